import CLinux
import Glibc

/// An open file descriptor with one owner; closed when the owner goes away.
public struct FileDescriptor: ~Copyable, Sendable {
  public let raw: Int32

  /// Takes over a descriptor that nothing else will close.
  public init(owning raw: Int32) {
    self.raw = raw
  }

  deinit {
    // close(2) is not retried on EINTR: on Linux the descriptor is gone either way.
    _ = Glibc.close(raw)
  }

  /// Gives the descriptor away without closing it.
  public consuming func release() -> Int32 {
    let given = raw
    discard self
    return given
  }

  /// Opens a file with `O_CLOEXEC`.
  public static func open(
    _ path: String, _ flags: Int32, mode: mode_t = 0o600
  ) throws(SystemError) -> FileDescriptor {
    while true {
      let opened = Glibc.open(path, flags | O_CLOEXEC, mode)
      if opened >= 0 { return FileDescriptor(owning: opened) }
      if errno != EINTR { throw .last("open", path) }
    }
  }

  /// Reads at most the buffer's size; 0 means the end of the file.
  public borrowing func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int
  {
    while true {
      let count = Glibc.read(raw, buffer.baseAddress, buffer.count)
      if count >= 0 { return count }
      if errno != EINTR { throw .last("read") }
    }
  }

  /// Writes all of the buffer.
  public borrowing func writeAll(_ buffer: UnsafeRawBufferPointer) throws(SystemError) {
    var written = 0
    while written < buffer.count {
      let count = Glibc.write(raw, buffer.baseAddress! + written, buffer.count - written)
      if count >= 0 {
        written += count
      } else if errno != EINTR {
        throw .last("write")
      }
    }
  }

  /// The file's data and size are on the disk when this returns.
  public borrowing func synchronize() throws(SystemError) {
    if fdatasync(raw) != 0 { throw .last("fdatasync") }
  }

  /// The bytes of a whole file.
  /// - Throws: `EFBIG` where there are more than `limit`.
  public static func contents(of path: String, atMost limit: Int) throws(SystemError) -> [UInt8] {
    let file = try open(path, O_RDONLY)
    var bytes: [UInt8] = []
    var failure: SystemError?
    var isAtEnd = false
    var shrink = 0
    while !isAtEnd {
      let room = 65536
      let filled = bytes.count
      bytes.append(contentsOf: repeatElement(0, count: room))
      bytes.withUnsafeMutableBytes { all in
        do throws(SystemError) {
          let count = try file.read(into: UnsafeMutableRawBufferPointer(rebasing: all[filled...]))
          isAtEnd = count == 0
          shrink = room - count
        } catch {
          failure = error
        }
      }
      if let failure { throw failure }
      bytes.removeLast(shrink)
      if bytes.count > limit { throw SystemError(code: EFBIG, operation: "read", subject: path) }
    }
    return bytes
  }
}
