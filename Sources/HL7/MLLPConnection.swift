import Platform

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
  private let transport: any ByteTransport
  private var framer = MLLPFramer()
  private var hasFailed = false

  public init(_ transport: any ByteTransport) { self.transport = transport }

  public static func connect(
    host: String, port: UInt16, deadline: Deadline
  ) throws(MLLPError) -> MLLPConnection {
    do throws(TransportError) {
      return MLLPConnection(
        try SocketTransport.connect(to: .tcp(host: host, port: port), deadline: deadline))
    } catch {
      throw .notConnected(error.description)
    }
  }

  /// Sends a message and waits for the answer.
  public func exchange(
    _ message: [UInt8], deadline: Deadline
  ) throws(MLLPError) -> [UInt8] {
    if hasFailed || !framer.isEmpty { throw .stale }
    try checkSilence()
    do throws(TransportError) {
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
      do throws(TransportError) {
        bytes = try transport.read(deadline: deadline)
      } catch {
        if error.isTimeout { throw .timedOut }
        if error.isReset { throw .closed }
        throw .receiveFailed(error.description)
      }
      if bytes.isEmpty { throw .closed }
      do throws(MLLPFramingError) { try framer.push(bytes) } catch { throw .framing(error) }
    }
  }

  /// What comes unasked, the end of the stream as well, makes the connection useless. It is read
  /// rather than waited for: within TLS there may be something to read that is no message.
  private func checkSilence() throws(MLLPError) {
    do throws(TransportError) {
      _ = try transport.read(deadline: .after(.zero))
    } catch {
      if error.isTimeout { return }
      hasFailed = true
      // Within TLS 1.3 a peer that refuses our certificate says so only now.
      throw error.isReset ? .stale : .notConnected(error.description)
    }
    hasFailed = true
    throw .stale
  }

  public func interrupt() { transport.interrupt() }
}
