import Glibc
import Platform

/// Bytes to and from a peer, with deadlines.
public protocol MLLPTransport: Sendable {
  func write(_ bytes: [UInt8], deadline: Deadline) throws(SystemError)
  /// At least one byte; none at the end of the stream.
  func read(deadline: Deadline) throws(SystemError) -> [UInt8]
  /// Whether something is there to be read without waiting: also the end of the stream.
  var hasInput: Bool { get }
  /// Wakes up whoever reads or writes, with an error. From any thread.
  func interrupt()
}

/// Why an exchange came to nothing, told apart by what may have reached the other side.
public enum MLLPError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Nothing was sent.
  case notConnected(String)
  /// Nothing was sent: the peer has closed the kept connection, or has something to say unasked
  /// (an answer that came too late). Connect anew.
  case stale
  /// Some of the message may have left.
  case sendFailed(String)
  /// The message has left.
  case timedOut
  case closed
  case framing(MLLPFramingError)
  case receiveFailed(String)

  public var isNothingSent: Bool {
    switch self {
    case .notConnected, .stale: true
    default: false
    }
  }

  public var description: String {
    switch self {
    case .notConnected(let reason): reason
    case .stale: "the kept connection is of no use any more"
    case .sendFailed(let reason): "sending failed: \(reason)"
    case .timedOut: "no answer in time"
    case .closed: "the connection was closed without an answer"
    case .framing(let error): "the answer cannot be read: \(error)"
    case .receiveFailed(let reason): "receiving failed: \(reason)"
    }
  }
}

/// The user's side of MLLP: sends a message and takes its answer, one at a time.
///
/// Used by one thread; ``interrupt()`` from any. After any error the connection is ``MLLPError/stale``:
/// an answer may still be on its way, and must not be taken for that of the next message.
public final class MLLPConnection: @unchecked Sendable {
  // @unchecked: by the rule above; the transport is Sendable by itself.
  private let transport: any MLLPTransport
  private var framer = MLLPFramer()
  private var hasFailed = false

  public init(_ transport: any MLLPTransport) { self.transport = transport }

  public static func connect(
    host: String, port: UInt16, deadline: Deadline
  ) throws(MLLPError) -> MLLPConnection {
    do throws(SystemError) {
      let socket = try StreamSocket.connect(to: .tcp(host: host, port: port), deadline: deadline)
      return MLLPConnection(SocketTransport(socket))
    } catch {
      throw .notConnected(error.description)
    }
  }

  /// Sends a message and waits for the answer.
  public func exchange(
    _ message: [UInt8], deadline: Deadline
  ) throws(MLLPError) -> [UInt8] {
    if hasFailed || !framer.isEmpty || transport.hasInput { throw .stale }
    do throws(SystemError) {
      try transport.write(MLLPFramer.framed(message), deadline: deadline)
    } catch {
      hasFailed = true
      throw .sendFailed(error.description)
    }
    return try receive(deadline: deadline)
  }

  /// The next message from the peer, without sending anything.
  public func receive(deadline: Deadline) throws(MLLPError) -> [UInt8] {
    do throws(MLLPError) {
      return try nextMessage(deadline: deadline)
    } catch {
      hasFailed = true
      throw error
    }
  }

  private func nextMessage(deadline: Deadline) throws(MLLPError) -> [UInt8] {
    while true {
      if let message = framer.next() { return message }
      let bytes: [UInt8]
      do throws(SystemError) {
        bytes = try transport.read(deadline: deadline)
      } catch {
        if error.isTimeout { throw .timedOut }
        if error.code == ECONNRESET { throw .closed }
        throw .receiveFailed(error.description)
      }
      if bytes.isEmpty { throw .closed }
      do throws(MLLPFramingError) { try framer.push(bytes) } catch { throw .framing(error) }
    }
  }

  public func interrupt() { transport.interrupt() }
}

/// MLLP over TCP as it is.
public struct SocketTransport: MLLPTransport {
  private let socket: StreamSocket

  public init(_ socket: StreamSocket) { self.socket = socket }

  public func write(_ bytes: [UInt8], deadline: Deadline) throws(SystemError) {
    try socket.write(bytes, deadline: deadline)
  }

  public func read(deadline: Deadline) throws(SystemError) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    let result = buffer.withUnsafeMutableBytes { bytes -> Result<Int, SystemError> in
      do throws(SystemError) {
        return .success(try socket.read(into: bytes, deadline: deadline))
      } catch {
        return .failure(error)
      }
    }
    let count = try result.get()
    buffer.removeSubrange(count...)
    return buffer
  }

  public var hasInput: Bool {
    var poll = pollfd(fd: socket.descriptor.raw, events: Int16(POLLIN), revents: 0)
    return Glibc.poll(&poll, 1, 0) != 0
  }

  public func interrupt() { socket.interrupt() }
}
