import JSON

/// A call as it stands on the wire.
public struct VarlinkRequest: Equatable, Sendable {
  /// The interface, a dot and the member: `org.varlink.service.GetInfo`.
  public var method: String
  public var parameters: JSONObject
  /// Several replies are welcome.
  public var more: Bool
  /// No reply is wanted.
  public var oneway: Bool

  public init(
    method: String, parameters: JSONObject = [:], more: Bool = false, oneway: Bool = false
  ) {
    self.method = method
    self.parameters = parameters
    self.more = more
    self.oneway = oneway
  }

  /// Reads a message. Members it does not know are passed over; absent and null parameters are
  /// no parameters.
  public init(message: [UInt8]) throws(ProtocolViolation) {
    // A daemon's memory must not be had for a megabyte of brackets.
    let object = try JSONObject(message: message, values: 50_000)
    guard let method = object["method"]?.stringValue else { throw .invalidMember("method") }
    self.method = method
    parameters = try object.parameters()
    more = try object.flag("more")
    oneway = try object.flag("oneway")
    if more, oneway { throw .invalidMember("oneway") }
  }

  /// The message with its NUL. What is false or empty is left out.
  public var bytes: [UInt8] {
    var object: JSONObject = ["method": .string(method)]
    if !parameters.isEmpty { object["parameters"] = .object(parameters) }
    if more { object["more"] = true }
    if oneway { object["oneway"] = true }
    return object.message
  }

  /// The interface and the member; nil when the name has no dot.
  var names: (interface: String, member: String)? {
    guard let dot = method.lastIndex(of: ".") else { return nil }
    return (String(method[..<dot]), String(method[method.index(after: dot)...]))
  }
}

/// A reply as it stands on the wire.
public enum VarlinkReply: Equatable, Sendable {
  /// The last reply, or with `continues` one before others.
  case success(JSONObject, continues: Bool)
  case failure(VarlinkError)

  public init(message: [UInt8]) throws(ProtocolViolation) {
    let object = try JSONObject(message: message, values: .max)
    let parameters = try object.parameters()
    switch object["error"] {
    case .string(let name)?: self = .failure(VarlinkError(name, parameters))
    case nil, .null?: self = .success(parameters, continues: try object.flag("continues"))
    default: throw .invalidMember("error")
    }
  }

  /// The message with its NUL.
  public var bytes: [UInt8] {
    switch self {
    case .success(let parameters, let continues):
      var object: JSONObject = ["parameters": .object(parameters)]
      if continues { object["continues"] = true }
      return object.message
    case .failure(let error):
      return
        (["error": .string(error.name), "parameters": .object(error.parameters)]
        as JSONObject).message
    }
  }
}

extension JSONObject {
  fileprivate init(message: [UInt8], values: Int) throws(ProtocolViolation) {
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(
        message, limits: JSONLimits(values: values, roundsLargeIntegers: true))
    } catch {
      throw .notJSON(error)
    }
    guard case .object(let object) = value else { throw .notAnObject }
    self = object
  }

  fileprivate func parameters() throws(ProtocolViolation) -> JSONObject {
    switch self["parameters"] {
    case nil, .null?: return [:]
    case .object(let parameters)?: return parameters
    default: throw .invalidMember("parameters")
    }
  }

  fileprivate func flag(_ name: String) throws(ProtocolViolation) -> Bool {
    switch self[name] {
    case nil, .null?: return false
    case .bool(let value)?: return value
    default: throw .invalidMember(name)
    }
  }

  fileprivate var message: [UInt8] {
    var bytes: [UInt8] = []
    JSONValue.object(self).write(into: &bytes)
    bytes.append(0)
    return bytes
  }
}
