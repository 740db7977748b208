import Glibc
import JSON
import Platform

/// Why a call has no reply, kept apart by what the caller can do about it.
public enum VarlinkClientError: Error, Sendable, CustomStringConvertible {
  /// Nobody listens: no socket, or one that nobody answers on.
  case notRunning(SystemError)
  /// The socket is there and may not be opened.
  case permissionDenied(SystemError)
  /// The deadline passed first.
  case timedOut(String)
  /// The service answered with an error.
  case reply(VarlinkError)
  /// The connection ended before the reply.
  case disconnected(String)
  /// What came was not varlink.
  case protocolViolation(String)
  /// Any other failure of the system.
  case system(SystemError)

  public var description: String {
    switch self {
    case .notRunning(let error): "nobody listens: \(error)"
    case .permissionDenied(let error): "not allowed: \(error)"
    case .timedOut(let what): "no answer in time: \(what)"
    case .reply(let error): error.description
    case .disconnected(let what): "the service closed the connection: \(what)"
    case .protocolViolation(let what): "not a varlink reply: \(what)"
    case .system(let error): error.description
    }
  }
}

/// A connection to a varlink service, for one thread. Every wait has a deadline.
///
/// ```swift
/// let client = try VarlinkClient.connect(to: .unix(path: path), deadline: .after(.seconds(5)))
/// let reply = try client.call("org.example.Ping", ["text": "hej"], deadline: .after(.seconds(5)))
/// ```
///
/// After an error other than ``VarlinkClientError/reply(_:)`` the connection is closed: a reply
/// that comes late would be taken for another call's.
public final class VarlinkClient {
  private let socket: StreamSocket
  private var framer: MessageFramer
  private var isOpen = true
  private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 64 * 1024, alignment: 1)

  /// Takes over a connected socket.
  /// - Parameter maximumReply: the longest reply, in bytes.
  public init(socket: StreamSocket, maximumReply: Int = 64 << 20) {
    self.socket = socket
    framer = MessageFramer(limit: maximumReply)
  }

  deinit { buffer.deallocate() }

  /// Connects to a service.
  public static func connect(
    to endpoint: Endpoint, deadline: Deadline
  ) throws(VarlinkClientError) -> VarlinkClient {
    while true {
      do throws(SystemError) {
        return VarlinkClient(socket: try StreamSocket.connect(to: endpoint, deadline: deadline))
      } catch {
        switch error.code {
        case ENOENT, ECONNREFUSED: throw .notRunning(error)
        case EACCES, EPERM: throw .permissionDenied(error)
        case ETIMEDOUT: throw .timedOut("connecting to \(endpoint)")
        case EAGAIN:
          // The service is there and its backlog is full; the kernel tells nobody when it is not.
          if deadline.isPast { throw .timedOut("connecting to \(endpoint)") }
          usleep(10_000)
        default: throw .system(error)
        }
      }
    }
  }

  /// Calls a method and waits for its reply.
  public func call(
    _ method: String, _ parameters: JSONObject = [:], deadline: Deadline
  ) throws(VarlinkClientError) -> JSONObject {
    try send(VarlinkRequest(method: method, parameters: parameters), deadline)
    let (reply, continues) = try receive(method, deadline)
    if continues { throw broken(.protocolViolation("more replies than \(method) asked for")) }
    return reply
  }

  /// Calls a method that may answer several times; the last reply is told apart.
  ///
  /// - Parameters:
  ///   - first: by when the first reply must be there, where `idle` is too long for that.
  ///   - idle: the longest wait for each reply.
  ///   - deadline: the end of the whole call.
  ///   - body: takes a reply and says whether it wants the next. False closes the connection,
  ///     which is how varlink ends such a call.
  public func callMore(
    _ method: String, _ parameters: JSONObject = [:], first: Deadline = .never,
    idle: Duration, deadline: Deadline = .never,
    _ body: (_ reply: JSONObject, _ isLast: Bool) -> Bool
  ) throws(VarlinkClientError) {
    let request = VarlinkRequest(method: method, parameters: parameters, more: true)
    var next = deadline.sooner(.after(idle)).sooner(first)
    try send(request, next)
    while true {
      let (reply, continues) = try receive(method, next)
      let wantsNext = body(reply, !continues)
      if !continues { return }
      if !wantsNext {
        close()
        return
      }
      next = deadline.sooner(.after(idle))
    }
  }

  /// Calls a method that gives no reply. It has been sent when this returns, not more.
  public func callOneway(
    _ method: String, _ parameters: JSONObject = [:], deadline: Deadline
  ) throws(VarlinkClientError) {
    try send(VarlinkRequest(method: method, parameters: parameters, oneway: true), deadline)
  }

  /// Ends the connection.
  public func close() {
    isOpen = false
    socket.interrupt()
  }

  private func send(
    _ request: VarlinkRequest, _ deadline: Deadline
  ) throws(VarlinkClientError) {
    guard isOpen else { throw .disconnected("it had been closed before \(request.method)") }
    do throws(SystemError) {
      try socket.write(request.bytes, deadline: deadline)
    } catch {
      switch error.code {
      case ETIMEDOUT: throw broken(.timedOut("sending \(request.method)"))
      case EPIPE, ECONNRESET:
        // A service that refuses a connection says why before it closes it.
        do throws(VarlinkClientError) {
          _ = try receive(request.method, deadline)
        } catch {
          throw broken(error)
        }
        throw broken(.disconnected("before \(request.method)"))
      default: throw broken(.system(error))
      }
    }
  }

  private func receive(
    _ method: String, _ deadline: Deadline
  ) throws(VarlinkClientError) -> (JSONObject, continues: Bool) {
    let message = try nextMessage(method, deadline)
    let reply: VarlinkReply
    do throws(ProtocolViolation) {
      reply = try VarlinkReply(message: message)
    } catch {
      throw broken(.protocolViolation(error.description))
    }
    switch reply {
    case .success(let parameters, let continues): return (parameters, continues)
    case .failure(let error): throw .reply(error)
    }
  }

  private func nextMessage(
    _ method: String, _ deadline: Deadline
  ) throws(VarlinkClientError) -> [UInt8] {
    while true {
      do throws(ProtocolViolation) {
        if let message = try framer.next() { return message }
      } catch {
        throw broken(.protocolViolation(error.description))
      }
      let count: Int
      do throws(SystemError) {
        count = try socket.read(into: buffer, deadline: deadline)
      } catch {
        switch error.code {
        case ETIMEDOUT: throw broken(.timedOut(method))
        case ECONNRESET, EPIPE: throw broken(.disconnected("before the reply to \(method)"))
        default: throw broken(.system(error))
        }
      }
      if count == 0 {
        let place = framer.isEmpty ? "before" : "inside"
        throw broken(.disconnected("\(place) the reply to \(method)"))
      }
      framer.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }

  private func broken(_ error: VarlinkClientError) -> VarlinkClientError {
    close()
    return error
  }
}
