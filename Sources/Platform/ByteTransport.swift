import Glibc

/// A connected stream of bytes that a protocol runs over: TCP as it is, or within TLS.
///
/// One thread at a time reads and writes; ``interrupt()`` may be called from any.
public protocol ByteTransport: AnyObject, Sendable {
  /// The other end, for messages.
  var peer: String { get }

  /// Reads what is there, waiting for at least one byte. 0 means that the peer closed its side.
  /// With a deadline that is past it takes what has arrived, or times out at once.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline
  ) throws(TransportError) -> Int

  /// Waits until a read would not have to wait: something has come, or the peer has closed its side.
  /// False at the deadline.
  func waitReadable(until deadline: Deadline) throws(TransportError) -> Bool

  /// Writes all of the bytes. After a failure some of them may have left.
  func write(_ bytes: [UInt8], deadline: Deadline) throws(TransportError)

  /// Writes all of several pieces of memory. The vectors are changed on the way.
  func write(
    gathering vectors: UnsafeMutableBufferPointer<iovec>, deadline: Deadline
  ) throws(TransportError)

  /// Tells the peer that nothing more will be written, where that can be told.
  func finishWriting()

  /// Ends the connection for both sides; whoever waits on it returns.
  func interrupt()

  /// Ends the connection in order: the peer learns that nothing is missing. By the thread that reads
  /// and writes; nothing can be read or written afterwards.
  func close()
}

extension ByteTransport {
  public func finishWriting() {}

  public func close() { interrupt() }

  /// At least one byte; none at the end of the stream.
  public func read(deadline: Deadline) throws(TransportError) -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 16 << 10)
    let result = buffer.withUnsafeMutableBytes { bytes -> Result<Int, TransportError> in
      do throws(TransportError) {
        return .success(try read(into: bytes, deadline: deadline))
      } catch {
        return .failure(error)
      }
    }
    let count = try result.get()
    buffer.removeSubrange(count...)
    return buffer
  }
}

/// Why a transport could not connect, read or write.
public struct TransportError: Error, Hashable, CustomStringConvertible {
  /// The deadline came first.
  public let isTimeout: Bool
  /// The peer has closed the connection under our hands.
  public let isReset: Bool
  /// The error number (errno) where a system call failed; 0 where none did.
  public let code: Int32
  /// What happened, to whom, and what can be done about it.
  public let description: String

  public init(
    isTimeout: Bool = false, isReset: Bool = false, code: Int32 = 0, _ description: String
  ) {
    self.isTimeout = isTimeout
    self.isReset = isReset
    self.code = code
    self.description = description
  }

  public init(_ error: SystemError) {
    self.init(
      isTimeout: error.isTimeout, isReset: error.code == ECONNRESET, code: error.code,
      error.description)
  }
}

/// Bytes over a socket, as they are.
public final class SocketTransport: ByteTransport {
  public let socket: StreamSocket

  public init(_ socket: StreamSocket) {
    self.socket = socket
  }

  public static func connect(
    to endpoint: Endpoint, deadline: Deadline
  ) throws(TransportError) -> SocketTransport {
    do throws(SystemError) {
      return SocketTransport(try StreamSocket.connect(to: endpoint, deadline: deadline))
    } catch {
      throw TransportError(error)
    }
  }

  public var peer: String { socket.peer }

  public func read(
    into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline
  ) throws(TransportError) -> Int {
    do throws(SystemError) {
      return try socket.read(into: buffer, deadline: deadline)
    } catch {
      throw TransportError(error)
    }
  }

  public func waitReadable(until deadline: Deadline) throws(TransportError) -> Bool {
    do throws(SystemError) {
      return try socket.waitReadable(until: deadline)
    } catch {
      throw TransportError(error)
    }
  }

  public func write(_ bytes: [UInt8], deadline: Deadline) throws(TransportError) {
    do throws(SystemError) {
      try socket.write(bytes, deadline: deadline)
    } catch {
      throw TransportError(error)
    }
  }

  public func write(
    gathering vectors: UnsafeMutableBufferPointer<iovec>, deadline: Deadline
  ) throws(TransportError) {
    do throws(SystemError) {
      try socket.write(gathering: vectors, deadline: deadline)
    } catch {
      throw TransportError(error)
    }
  }

  public func finishWriting() { socket.finishWriting() }
  public func interrupt() { socket.interrupt() }
}
