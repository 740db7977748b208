import JSON

/// An object of a reply, read by the names and types of the interface. A field that is missing
/// or of another type means that the daemon is of another version; the message says which.
struct Fields {
  let members: JSONObject
  /// Where the object lies in the reply, for messages: `status.lists[2]`.
  let path: String

  init(_ value: JSONValue, path: String = "reply") throws(Failure) {
    guard case .object(let members) = value else { throw Self.wrong(path, "is not an object") }
    self.members = members
    self.path = path
  }

  init(_ members: JSONObject, path: String = "reply") {
    self.members = members
    self.path = path
  }

  /// The object on one line, as JSON output gives it.
  var line: String { members.description }

  private static func wrong(_ path: String, _ what: String) -> Failure {
    Failure(
      .versionMismatch, "syncd's answer is not understood: \(path.shown) \(what)",
      advice: Daemon.restartAdvice)
  }

  private func wrong(_ name: String, _ what: String) -> Failure {
    Self.wrong("\(path).\(name)", members[name] == nil ? "is missing" : "is not \(what)")
  }

  private func present(_ name: String) -> JSONValue? {
    guard let value = members[name], !value.isNull else { return nil }
    return value
  }

  func optionalString(_ name: String) throws(Failure) -> String? {
    guard let value = present(name) else { return nil }
    guard case .string(let text) = value else { throw wrong(name, "a string") }
    return text
  }

  func string(_ name: String) throws(Failure) -> String {
    guard let text = try optionalString(name) else { throw wrong(name, "a string") }
    return text
  }

  func optionalInt(_ name: String) throws(Failure) -> Int? {
    guard let value = present(name) else { return nil }
    guard let number = value.intValue.flatMap({ Int(exactly: $0) }) else {
      throw wrong(name, "a whole number")
    }
    return number
  }

  func int(_ name: String) throws(Failure) -> Int {
    guard let number = try optionalInt(name) else { throw wrong(name, "a whole number") }
    return number
  }

  func double(_ name: String) throws(Failure) -> Double {
    guard let number = present(name)?.doubleValue else { throw wrong(name, "a number") }
    return number
  }

  func optionalBool(_ name: String) throws(Failure) -> Bool? {
    guard let value = present(name) else { return nil }
    guard case .bool(let flag) = value else { throw wrong(name, "true or false") }
    return flag
  }

  func bool(_ name: String) throws(Failure) -> Bool {
    guard let flag = try optionalBool(name) else { throw wrong(name, "true or false") }
    return flag
  }

  func optionalObject(_ name: String) throws(Failure) -> Fields? {
    guard let value = present(name) else { return nil }
    return try Fields(value, path: "\(path).\(name)")
  }

  func object(_ name: String) throws(Failure) -> Fields {
    guard let fields = try optionalObject(name) else { throw wrong(name, "an object") }
    return fields
  }

  /// For output after the object has been read: no errors left to find.
  func inner(_ name: String) -> Fields {
    guard case .object(let inner)? = members[name] else { return self }
    return Fields(inner, path: "\(path).\(name)")
  }

  private func array(_ name: String) throws(Failure) -> [JSONValue] {
    guard case .array(let values)? = present(name) else { throw wrong(name, "an array") }
    return values
  }

  func objects(_ name: String) throws(Failure) -> [Fields] {
    var found: [Fields] = []
    for (index, value) in try array(name).enumerated() {
      found.append(try Fields(value, path: "\(path).\(name)[\(index)]"))
    }
    return found
  }

  func strings(_ name: String) throws(Failure) -> [String] {
    var found: [String] = []
    for (index, value) in try array(name).enumerated() {
      guard case .string(let text) = value else {
        throw Self.wrong("\(path).\(name)[\(index)]", "is not a string")
      }
      found.append(text)
    }
    return found
  }
}
