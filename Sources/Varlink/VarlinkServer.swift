import Glibc
import JSON
import Platform
import Synchronization

/// Serves a ``VarlinkService`` on listening sockets, with a thread a connection and bounds on
/// everything a client can make it hold.
public final class VarlinkServer: Sendable {
  public struct Options: Sendable {
    /// The longest request, in bytes.
    public var maximumRequest = 1 << 20
    /// Connections of one user (uid) at a time.
    public var connectionsPerUser = 16
    /// Connections at a time.
    public var connections = 64
    /// How long a connection may stay without a call.
    public var idleTimeout = Duration.seconds(300)
    /// How long a request may take from its first byte to its last.
    public var requestTimeout = Duration.seconds(45)
    /// How long a client may take to read a reply.
    public var writeTimeout = Duration.seconds(20)
    /// The answer to a connection beyond the bounds. Without one it is closed in silence.
    public var busyError: VarlinkError?
    /// Whether replies are checked against the interface; a mismatch is logged, and sent.
    public var checksReplies = true

    public init() {}
  }

  /// What an operator may want to know of.
  public enum Event: Sendable, CustomStringConvertible {
    case acceptFailed(socket: String, SystemError)
    case tooManyConnections(socket: String, uid: uid_t, ofUser: Bool)
    case protocolViolation(socket: String, PeerCredentials, ProtocolViolation)
    case requestTimedOut(socket: String, PeerCredentials)
    case slowReader(socket: String, PeerCredentials)
    case invalidReply(method: String, TypeMismatch)

    public var description: String {
      switch self {
      case .acceptFailed(let socket, let error): "\(socket): \(error)"
      case .tooManyConnections(let socket, let uid, let ofUser):
        "\(socket): connection of uid \(uid) refused: too many\(ofUser ? " of this user" : "")"
      case .protocolViolation(let socket, let peer, let violation):
        "\(socket): connection of uid \(peer.uid), pid \(peer.pid) closed: \(violation)"
      case .requestTimedOut(let socket, let peer):
        "\(socket): connection of uid \(peer.uid), pid \(peer.pid) closed: "
          + "its request was not finished in time"
      case .slowReader(let socket, let peer):
        "\(socket): connection of uid \(peer.uid), pid \(peer.pid) closed: "
          + "it did not read its reply in time"
      case .invalidReply(let method, let mismatch):
        "the reply to \(method) does not fit its interface: \(mismatch)"
      }
    }
  }

  let service: VarlinkService
  let options: Options
  let log: @Sendable (Event) -> Void
  private let stopping = Atomic<Bool>(false)

  private struct State {
    var listeners: [ListeningSocket] = []
    var acceptors = 0
    var connections: [UInt64: (uid: uid_t, socket: StreamSocket)] = [:]
    var nextConnection: UInt64 = 0
  }
  private let state = Monitor(State())

  public init(
    service: VarlinkService, options: Options = Options(),
    log: @escaping @Sendable (Event) -> Void = { _ in }
  ) {
    self.service = service
    self.options = options
    self.log = log
  }

  var isStopping: Bool { stopping.load(ordering: .acquiring) }

  /// Connections at the moment.
  public var connectionCount: Int { state.read { $0.connections.count } }

  /// Accepts connections on a socket, on a thread of its own, until ``stop(deadline:)``.
  /// - Parameter label: what handlers and the authorisation know the socket by.
  public func listen(on listener: ListeningSocket, label: String) {
    state.update {
      $0.listeners.append(listener)
      $0.acceptors += 1
    }
    if isStopping { listener.stop() }
    WorkThread.start("varlink-accept") { [self] in
      acceptConnections(listener, label)
      state.update { $0.acceptors -= 1 }
    }
  }

  /// Serves a socket that is connected already, within the same bounds.
  public func serve(_ socket: StreamSocket, label: String) {
    let peer: PeerCredentials
    do throws(SystemError) {
      peer = try socket.peerCredentials()
    } catch {
      log(.acceptFailed(socket: label, error))
      return
    }
    enum Admission { case admitted(UInt64), tooMany(ofUser: Bool), stopping }
    let admission = state.update { state -> Admission in
      if isStopping { return .stopping }
      if state.connections.values.count(where: { $0.uid == peer.uid })
        >= options.connectionsPerUser
      {
        return .tooMany(ofUser: true)
      }
      if state.connections.count >= options.connections { return .tooMany(ofUser: false) }
      let id = state.nextConnection
      state.nextConnection += 1
      state.connections[id] = (peer.uid, socket)
      return .admitted(id)
    }
    switch admission {
    case .stopping: return
    case .tooMany(let ofUser):
      log(.tooManyConnections(socket: label, uid: peer.uid, ofUser: ofUser))
      if let error = options.busyError {
        // Into the socket's own buffer or nowhere: the acceptor must not wait for a client.
        try? socket.write(VarlinkReply.failure(error).bytes, deadline: .after(.zero))
      }
    case .admitted(let id):
      let connection = Connection(server: self, socket: socket, label: label, peer: peer)
      WorkThread.start("varlink") { [self] in
        connection.run()
        state.update { $0.connections[id] = nil }
      }
    }
  }

  /// Stops: no new connections, idle ones end at once, calls under way are told
  /// (``VarlinkCall/isCancelled``) and may finish until the deadline. Then their connections are
  /// cut.
  /// - Returns: whether every thread of the server has ended, a second after the deadline at most.
  @discardableResult
  public func stop(deadline: Deadline) -> Bool {
    // Only after this can no connection be added: see `serve`.
    state.update { state in
      stopping.store(true, ordering: .releasing)
      for listener in state.listeners { listener.stop() }
      // The reading half only: what has been received is still answered.
      for connection in state.connections.values {
        _ = shutdown(connection.socket.descriptor.raw, Int32(SHUT_RD))
      }
    }
    func ended(until deadline: Deadline) -> Bool {
      state.wait(until: deadline) { $0.connections.isEmpty && $0.acceptors == 0 ? true : nil }
        ?? false
    }
    if ended(until: deadline) { return true }
    state.read { for connection in $0.connections.values { connection.socket.interrupt() } }
    return ended(until: .after(.seconds(1)))
  }

  private func acceptConnections(_ listener: ListeningSocket, _ label: String) {
    while true {
      do throws(SystemError) {
        guard let socket = try listener.accept() else { return }
        serve(socket, label: label)
      } catch {
        log(.acceptFailed(socket: label, error))
        // Whatever it was, it would come again at once.
        if state.wait(until: .after(.seconds(1)), { _ in isStopping ? true : nil }) != nil {
          return
        }
      }
    }
  }
}
