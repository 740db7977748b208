import JSON

/// An error reply: what a method answers when it cannot do what was asked.
public struct VarlinkError: Error, Equatable, Sendable, CustomStringConvertible {
  /// The interface, a dot and the error's name.
  public let name: String
  public let parameters: JSONObject

  public init(_ name: String, _ parameters: JSONObject = [:]) {
    self.name = name
    self.parameters = parameters
  }

  public var description: String {
    parameters.isEmpty ? name : "\(name) \(parameters)"
  }
}

/// The errors every service knows (the interface org.varlink.service).
extension VarlinkError {
  public static func interfaceNotFound(_ interface: String) -> VarlinkError {
    VarlinkError("org.varlink.service.InterfaceNotFound", ["interface": .string(interface)])
  }

  public static func methodNotFound(_ method: String) -> VarlinkError {
    VarlinkError("org.varlink.service.MethodNotFound", ["method": .string(method)])
  }

  public static func methodNotImplemented(_ method: String) -> VarlinkError {
    VarlinkError("org.varlink.service.MethodNotImplemented", ["method": .string(method)])
  }

  /// - Parameter reason: what is allowed, for people. The parameter's value is not repeated.
  public static func invalidParameter(
    _ parameter: String, reason: String? = nil
  ) -> VarlinkError {
    VarlinkError(
      "org.varlink.service.InvalidParameter", with(reason, ["parameter": .string(parameter)]))
  }

  /// - Parameter reason: which group to join, for people.
  public static func permissionDenied(reason: String? = nil) -> VarlinkError {
    VarlinkError("org.varlink.service.PermissionDenied", with(reason, [:]))
  }

  /// The method answers more than once, and the call did not say that it wants that.
  public static let expectedMore = VarlinkError("org.varlink.service.ExpectedMore")

  private static func with(_ reason: String?, _ parameters: JSONObject) -> JSONObject {
    var parameters = parameters
    if let reason { parameters["reason"] = .string(reason) }
    return parameters
  }
}
