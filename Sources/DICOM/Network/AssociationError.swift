import Platform

/// Why an association could not be made or did not last. After any of these but
/// ``noAcceptedContext(_:_:)``, ``unreadable(_:)`` and ``notEncodable(_:)`` the association is
/// closed.
public enum AssociationError: Error, Hashable, Sendable, CustomStringConvertible {
  /// No transport connection. The peer is down, unreachable, or elsewhere; or not who it should be.
  case cannotConnect(TransportError)
  /// The peer refused (A-ASSOCIATE-RJ).
  case rejected(AssociationRejection)
  /// The peer aborted (A-ABORT).
  case abortedByPeer(AssociationAbort)
  /// The connection ended without a release or an abort.
  case connectionLost(TransportError?)
  case timedOut(Wait)
  /// The peer sent what the standard forbids. Never patient data.
  case protocolViolation(String)
  /// The peer accepted no presentation context for the SOP class, in the transfer syntax if given.
  case noAcceptedContext(UID, TransferSyntax?)
  /// The local object cannot be read. Thrown before anything is sent, or with the association
  /// aborted when it happened in the middle.
  case unreadable(SystemError)
  /// A data set or an argument that cannot be sent.
  case notEncodable(String)
  /// Another thread called ``Association/interrupt()``.
  case interrupted
  /// The association had ended before.
  case closed

  /// What was waited for.
  public enum Wait: String, Sendable {
    case connect = "the connection"
    case association = "the answer to the association request"
    case response = "a response"
    case move = "progress of the C-MOVE"
    case get = "progress of the C-GET"
    case request = "a request"
    case dataSet = "the data set"
    case write = "the peer to read"
    case release = "the release"
  }

  public var description: String {
    switch self {
    case .cannotConnect(let error): "cannot connect: \(error)"
    case .rejected(let rejection): "association rejected, \(rejection)"
    case .abortedByPeer(let abort): "association aborted \(abort)"
    case .connectionLost(nil): "the peer closed the connection"
    case .connectionLost(let error?): "connection lost: \(error)"
    case .timedOut(let wait): "timed out waiting for \(wait.rawValue)"
    case .protocolViolation(let what): "protocol violation by the peer: \(what)"
    case .noAcceptedContext(let sopClass, nil):
      "the peer accepts no presentation context for \(sopClass)"
    case .noAcceptedContext(let sopClass, let syntax?):
      "the peer does not accept \(sopClass) in transfer syntax \(syntax)"
    case .unreadable(let error): "cannot read the object: \(error)"
    case .notEncodable(let what): "cannot be sent: \(what)"
    case .interrupted: "interrupted"
    case .closed: "the association is closed"
    }
  }
}

/// How long to wait for a peer. A wait that is over closes the association.
public struct AssociationTimeouts: Hashable, Sendable {
  public var connect: Duration
  /// For the answer to the association request, and for the release (ARTIM, PS3.8 section 9.1.5).
  public var association: Duration
  /// For a response, or the next part of one; starts anew with each pending response.
  public var response: Duration
  /// The same for C-MOVE and C-GET, during which peers may be silent as long as they work.
  public var move: Duration
  /// For the next request, when we provide.
  public var request: Duration

  public init(
    connect: Duration = .seconds(10), association: Duration = .seconds(30),
    response: Duration = .seconds(60), move: Duration = .seconds(600),
    request: Duration = .seconds(600)
  ) {
    self.connect = connect
    self.association = association
    self.response = response
    self.move = move
    self.request = request
  }
}
