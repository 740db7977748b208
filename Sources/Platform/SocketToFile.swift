import CLinux
import Glibc

/// Moves bytes from a socket into files without a copy of them in this process: through a pipe, which
/// holds references to the kernel's own buffers (splice(2)). Used by one thread.
public final class SocketToFile {
  private let output: FileDescriptor
  private let input: FileDescriptor

  /// Of the pipe: as much as an unprivileged process may have.
  private static let capacity = 1 << 20

  public init() throws(SystemError) {
    var ends: (Int32, Int32) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &ends) {
      clinux_pipe($0.assumingMemoryBound(to: Int32.self).baseAddress, Int32(Self.capacity))
    }
    guard status == 0 else { throw .last("pipe") }
    output = FileDescriptor(owning: ends.0)
    input = FileDescriptor(owning: ends.1)
  }

  /// What came of one move.
  public struct Outcome {
    /// Bytes taken from the socket; 0 when the peer has closed its side.
    public var taken: Int
    /// Why not all of them have got into the file. The mover must not be used again then.
    public var failure: SystemError?
  }

  /// Moves what has come, waiting for at least one byte, to the file's position.
  /// - Throws: the socket's error; nothing has been taken then.
  public func move(
    from socket: StreamSocket, to file: Int32, atMost count: Int, deadline: Deadline
  ) throws(SystemError) -> Outcome {
    let taken = try take(from: socket, min(count, Self.capacity), deadline)
    var left = taken
    while left > 0 {
      let written = clinux_splice(output.raw, file, left)
      if written > 0 {
        left -= written
      } else if written == 0 || errno != EINTR {
        return Outcome(
          taken: taken,
          failure: written == 0
            ? SystemError(code: EIO, operation: "write") : .last("write"))
      }
    }
    return Outcome(taken: taken, failure: nil)
  }

  private func take(
    from socket: StreamSocket, _ count: Int, _ deadline: Deadline
  ) throws(SystemError) -> Int {
    while true {
      let taken = clinux_splice(socket.descriptor.raw, input.raw, count)
      if taken >= 0 { return taken }
      switch errno {
      case EINTR: continue
      case EAGAIN:
        socket.acknowledgeNow()
        try StreamSocket.wait(
          socket.descriptor.raw, POLLIN, deadline, "read", socket.peer)
      default: throw .last("read", socket.peer)
      }
    }
  }
}
