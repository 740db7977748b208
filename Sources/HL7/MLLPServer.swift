import Glibc
import Platform

/// The provider's side of MLLP: takes messages on a thread a connection, and answers each before
/// the next is read.
public final class MLLPServer: Sendable {
  public struct Options: Sendable {
    public var connections = 32
    /// How long a connection may stay without a message.
    public var idleTimeout: Duration = .seconds(600)
    /// How long a message may take from its first byte to its last.
    public var messageTimeout: Duration = .seconds(60)
    public var writeTimeout: Duration = .seconds(20)
    /// The longest message, in bytes.
    public var limit = HL7Message.longestMessage
    /// Whether a host, by its numeric address, may connect.
    public var admitsHost: @Sendable (String) -> Bool = { _ in true }

    public init() {}
  }

  public enum Event: Sendable, CustomStringConvertible {
    case refusedHost(String)
    case tooManyConnections(String)
    case broken(String, String)
    case listenerFailed(SystemError)

    public var description: String {
      switch self {
      case .refusedHost(let host): "\(host) may not connect"
      case .tooManyConnections(let host): "\(host): too many connections"
      case .broken(let host, let reason): "\(host): \(reason)"
      case .listenerFailed(let error): "the listener failed: \(error)"
      }
    }
  }

  private struct State {
    var connections: [UInt64: StreamSocket] = [:]
    var next: UInt64 = 0
    var isAccepting = false
    var isStopping = false
  }

  private let listener: ListeningSocket
  private let options: Options
  private let handle: @Sendable (_ message: [UInt8], _ host: String) -> [UInt8]?
  private let observe: @Sendable (Event) -> Void
  private let state = Monitor(State())

  public var port: UInt16 { listener.port }
  public var connectionCount: Int { state.read { $0.connections.count } }

  /// - Parameter handle: gives the answer to a message; nil closes the connection without one, so
  ///   that the sender comes again. Called on the connection's thread.
  public init(
    on listener: ListeningSocket, options: Options = Options(),
    observe: @escaping @Sendable (Event) -> Void = { _ in },
    handle: @escaping @Sendable (_ message: [UInt8], _ host: String) -> [UInt8]?
  ) {
    self.listener = listener
    self.options = options
    self.handle = handle
    self.observe = observe
  }

  public func start() {
    state.update { $0.isAccepting = true }
    WorkThread.start("mllp-accept") { [self] in
      accept()
      state.update { $0.isAccepting = false }
    }
  }

  /// No new connections; a message under way may be answered until the deadline.
  @discardableResult
  public func stop(deadline: Deadline) -> Bool {
    state.update { state in
      state.isStopping = true
      listener.stop()
    }
    func ended(_ deadline: Deadline) -> Bool {
      state.wait(until: deadline) { $0.connections.isEmpty && !$0.isAccepting ? true : nil }
        ?? false
    }
    state.read { for socket in $0.connections.values { socket.stopReading() } }
    if ended(deadline) { return true }
    state.read { for socket in $0.connections.values { socket.interrupt() } }
    return ended(.after(.seconds(1)))
  }

  private func accept() {
    while true {
      let socket: StreamSocket
      do throws(SystemError) {
        guard let accepted = try listener.accept() else { return }
        socket = accepted
      } catch {
        observe(.listenerFailed(error))
        // Whatever it was, it would come again at once.
        if state.wait(until: .after(.seconds(1)), { $0.isStopping ? true : nil }) != nil { return }
        continue
      }
      serve(socket)
    }
  }

  private func serve(_ socket: StreamSocket) {
    let host = Self.host(socket.peer)
    guard options.admitsHost(host) else {
      observe(.refusedHost(host))
      return
    }
    let id = state.update { state -> UInt64? in
      if state.isStopping || state.connections.count >= options.connections { return nil }
      state.next += 1
      state.connections[state.next] = socket
      return state.next
    }
    guard let id else {
      observe(.tooManyConnections(host))
      return
    }
    WorkThread.start("mllp") { [self] in
      converse(socket, host)
      _ = state.update { $0.connections.removeValue(forKey: id) }
    }
  }

  /// `10.1.2.3:2575` or `[::1]:2575` without the port.
  static func host(_ peer: String) -> String {
    guard let colon = peer.lastIndex(of: ":") else { return peer }
    var host = peer[..<colon]
    if host.first == "[", host.last == "]" { host = host.dropFirst().dropLast() }
    return String(host)
  }

  private func converse(_ socket: StreamSocket, _ host: String) {
    let transport = SocketTransport(socket)
    var framer = MLLPFramer(limit: options.limit)
    var deadline = Deadline.after(options.idleTimeout)
    while true {
      do throws(TransportError) {
        let bytes = try transport.read(deadline: deadline)
        if bytes.isEmpty { return }
        let wasInside = framer.isInFrame
        do throws(MLLPFramingError) { try framer.push(bytes) } catch {
          observe(.broken(host, error.description))
          return
        }
        var isAnswered = false
        while let message = framer.next() {
          isAnswered = true
          guard let answer = handle(message, host) else { return }
          try transport.write(
            MLLPFramer.framed(answer), deadline: .after(options.writeTimeout))
        }
        // Line ends between messages do not keep a connection, nor does one message's time count
        // for the next.
        if framer.isInFrame, isAnswered || !wasInside {
          deadline = .after(options.messageTimeout)
        } else if isAnswered {
          deadline = .after(options.idleTimeout)
        }
      } catch {
        if framer.isInFrame || !error.isTimeout { observe(.broken(host, error.description)) }
        return
      }
    }
  }
}

extension StreamSocket {
  /// What has been received is still answered; nothing more is read.
  func stopReading() { _ = Glibc.shutdown(descriptor.raw, Int32(SHUT_RD)) }
}
