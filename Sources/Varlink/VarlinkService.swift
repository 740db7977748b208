import JSON
import Platform

/// One call, as its handler sees it.
///
/// A handler answers once by returning, or by throwing. A method that streams sends what comes
/// before the last reply with ``replyContinues(_:)``. A call is used by one thread at a time.
public struct VarlinkCall: Sendable {
  public let request: VarlinkRequest
  /// Who calls, by the kernel's word.
  public let peer: PeerCredentials
  /// The label of the listening socket the call came through.
  public let socket: String
  private let channel: any ReplyChannel

  init(
    request: VarlinkRequest, peer: PeerCredentials, socket: String, channel: any ReplyChannel
  ) {
    self.request = request
    self.peer = peer
    self.socket = socket
    self.channel = channel
  }

  /// The method's full name.
  public var method: String { request.method }
  /// The parameters, which have the types their interface gives them.
  public var parameters: JSONObject { request.parameters }
  /// Whether the client takes several replies.
  public var wantsMore: Bool { request.more }
  public var isOneway: Bool { request.oneway }

  /// Sends a reply that others follow, waiting while the client is slow.
  ///
  /// False when the handler should come to its end: the client has gone, is too slow, did not ask
  /// for several replies, or the server is stopping.
  public func replyContinues(_ parameters: JSONObject) -> Bool {
    guard wantsMore, !isCancelled else { return false }
    return channel.send(continuing: parameters, method: method)
  }

  /// Whether the client has closed the connection. A handler that waits for something to tell
  /// looks here now and then, so that abandoned clients do not fill the server.
  public var isClientGone: Bool { channel.isClientGone }

  /// Whether the handler should come to its end: the client has gone or the server is stopping.
  public var isCancelled: Bool { channel.isStopping || channel.isClientGone }
}

/// What a call needs of its connection.
protocol ReplyChannel: Sendable {
  func send(continuing parameters: JSONObject, method: String) -> Bool
  var isClientGone: Bool { get }
  var isStopping: Bool { get }
}

/// An interface and what its methods do.
public struct VarlinkInterface: Sendable {
  public typealias Handler = @Sendable (VarlinkCall) throws(VarlinkError) -> JSONObject

  public struct Method: Sendable {
    let requiresMore: Bool
    let handler: Handler

    /// - Parameters:
    ///   - requiresMore: a call without `more` is answered with ExpectedMore.
    ///   - handler: runs on the connection's own thread and may block.
    public init(requiresMore: Bool = false, _ handler: @escaping Handler) {
      self.requiresMore = requiresMore
      self.handler = handler
    }
  }

  public let description: InterfaceDescription
  let methods: [String: Method]

  /// Methods of the description that are not here answer MethodNotImplemented.
  public init(_ text: String, methods: [String: Method]) throws(DescriptionError) {
    description = try InterfaceDescription(text)
    self.methods = methods
    for name in methods.keys.sorted() where description.methods[name] == nil {
      throw DescriptionError(line: 1, reason: "the description has no method \(name)")
    }
  }
}

/// What a server offers: its interfaces and who may use them. Pure but for the handlers.
public struct VarlinkService: Sendable {
  /// Decides on a call before anything of it is looked at: nil, or the error it is answered with.
  /// The methods of org.varlink.service are open to everybody who can connect.
  public typealias Authorization =
    @Sendable (_ peer: PeerCredentials, _ socket: String, _ method: String) -> VarlinkError?

  private let information: JSONObject
  private let interfaces: [String: VarlinkInterface]
  private let authorize: Authorization

  public init(
    vendor: String, product: String, version: String, url: String,
    interfaces: [VarlinkInterface], authorize: @escaping Authorization = { _, _, _ in nil }
  ) {
    let names = [Self.serviceInterface.name] + interfaces.map(\.description.name)
    information = [
      "vendor": .string(vendor), "product": .string(product), "version": .string(version),
      "url": .string(url), "interfaces": JSONValue(names),
    ]
    self.interfaces = Dictionary(interfaces.map { ($0.description.name, $0) }) { first, _ in first }
    self.authorize = authorize
  }

  /// The last reply to a call.
  func answer(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    guard let (interfaceName, member) = call.request.names else {
      throw .invalidParameter("method", reason: "expected an interface, a dot and a method")
    }
    if interfaceName == Self.serviceInterface.name { return try answerService(call, member) }
    guard let interface = interfaces[interfaceName] else {
      throw .interfaceNotFound(interfaceName)
    }
    guard let description = interface.description.methods[member] else {
      throw .methodNotFound(call.method)
    }
    if let refusal = authorize(call.peer, call.socket, call.method) { throw refusal }
    guard let method = interface.methods[member] else { throw .methodNotImplemented(call.method) }
    if method.requiresMore, !call.wantsMore { throw .expectedMore }
    try Self.check(call.parameters, description, interface.description)
    return try method.handler(call)
  }

  /// What is wrong with a reply of ours, by the interface it belongs to.
  func mismatch(inReply parameters: JSONObject, to request: VarlinkRequest) -> TypeMismatch? {
    guard let (interfaceName, member) = request.names,
      let interface = interfaces[interfaceName]?.description,
      let method = interface.methods[member]
    else { return nil }
    do throws(TypeMismatch) {
      try interface.check(parameters, against: method.output)
      return nil
    } catch {
      return error
    }
  }

  private func answerService(
    _ call: VarlinkCall, _ member: String
  ) throws(VarlinkError) -> JSONObject {
    guard let method = Self.serviceInterface.methods[member] else {
      throw .methodNotFound(call.method)
    }
    try Self.check(call.parameters, method, Self.serviceInterface)
    if member == "GetInfo" { return information }
    let name = call.parameters["interface"]?.stringValue ?? ""
    let found =
      name == Self.serviceInterface.name
      ? Self.serviceInterface : interfaces[name]?.description
    guard let found else { throw .interfaceNotFound(name) }
    return ["description": .string(found.text)]
  }

  private static func check(
    _ parameters: JSONObject, _ method: InterfaceDescription.Method,
    _ interface: InterfaceDescription
  ) throws(VarlinkError) {
    do throws(TypeMismatch) {
      try interface.check(parameters, against: method.input)
    } catch {
      throw .invalidParameter(error.path, reason: error.reason)
    }
  }

  static let serviceInterface: InterfaceDescription = {
    do {
      return try InterfaceDescription(
        """
        # What every varlink service can tell about itself.
        interface org.varlink.service

        # Who made the service, and the interfaces it offers.
        method GetInfo() -> (
          vendor: string,
          product: string,
          version: string,
          url: string,
          interfaces: []string
        )

        # The description of one of the interfaces.
        method GetInterfaceDescription(interface: string) -> (description: string)

        # The service does not offer the interface.
        error InterfaceNotFound (interface: string)

        # The interface has no such method.
        error MethodNotFound (method: string)

        # The interface has the method, and this service does not implement it.
        error MethodNotImplemented (method: string)

        # A parameter is missing or is not what the method takes; the reason is for people.
        error InvalidParameter (parameter: string, reason: ?string)

        # The caller may not do this; the reason is for people.
        error PermissionDenied (reason: ?string)

        # The method has several replies and must be called with "more".
        error ExpectedMore ()

        """)
    } catch {
      preconditionFailure("\(error)")
    }
  }()
}
