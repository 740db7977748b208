import JSON

/// A value that has not the type its interface gives it.
public struct TypeMismatch: Error, Equatable, Sendable, CustomStringConvertible {
  /// Where: `filter.lists[2]`.
  public let path: String
  /// What was expected and what was found; never the value itself.
  public let reason: String

  public var description: String { "\(path): \(reason)" }

  /// The same mismatch, seen from one level further out.
  fileprivate func inside(_ place: String) -> TypeMismatch {
    let separator = path.isEmpty || path.hasPrefix("[") ? "" : "."
    return TypeMismatch(path: place + separator + path, reason: reason)
  }
}

extension InterfaceDescription {
  /// Checks an object against the fields of a structure of this interface.
  ///
  /// Fields that the structure does not have are tolerated: they are how interfaces grow. An
  /// optional field may be null or absent.
  public func check(
    _ object: JSONObject, against fields: [VarlinkField]
  ) throws(TypeMismatch) {
    for field in fields {
      guard let value = object[field.name] else {
        if case .optional = field.type { continue }
        throw TypeMismatch(path: field.name, reason: "missing; expected \(name(of: field.type))")
      }
      do throws(TypeMismatch) {
        try check(value, against: field.type)
      } catch {
        throw error.inside(field.name)
      }
    }
  }

  private func check(
    _ value: JSONValue, against type: VarlinkType
  ) throws(TypeMismatch) {
    switch type {
    case .bool where value.boolValue != nil, .int where value.intValue != nil,
      .float where value.doubleValue != nil, .string where value.stringValue != nil,
      .object where value.objectValue != nil:
      return
    case .optional(let inner):
      if !value.isNull { try check(value, against: inner) }
      return
    case .named(let name):
      if let type = types[name] {
        try check(value, against: type)
        return
      }
    case .array(let element):
      if case .array(let elements) = value {
        for (index, value) in elements.enumerated() {
          do throws(TypeMismatch) {
            try check(value, against: element)
          } catch {
            throw error.inside("[\(index)]")
          }
        }
        return
      }
    case .map(let element):
      if case .object(let members) = value {
        // Keys are data: the path does not repeat them.
        for (_, value) in members {
          do throws(TypeMismatch) {
            try check(value, against: element)
          } catch {
            throw error.inside("[]")
          }
        }
        return
      }
    case .structure(let fields):
      if case .object(let members) = value {
        try check(members, against: fields)
        return
      }
    case .enumeration(let names):
      if case .string(let text) = value {
        if names.contains(text) { return }
        throw TypeMismatch(
          path: "", reason: "expected one of \(names.joined(separator: ", "))")
      }
    default: break
    }
    throw TypeMismatch(path: "", reason: "expected \(name(of: type)), found \(value.kind)")
  }

  private func name(of type: VarlinkType) -> String {
    switch type {
    case .bool: "a boolean"
    case .int: "an integer"
    case .float: "a number"
    case .string: "a string"
    case .object, .structure, .map: "an object"
    case .array: "an array"
    case .enumeration(let names): "one of \(names.joined(separator: ", "))"
    case .optional(let inner): "\(name(of: inner)) or null"
    case .named(let reference): types[reference].map(name(of:)) ?? reference
    }
  }
}
