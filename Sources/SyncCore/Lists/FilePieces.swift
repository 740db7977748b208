import Glibc
import Platform

/// A stretch of an open file, read piece by piece and hashed on the way.
final class FilePieces {
  private let descriptor: Int32
  private var offset: Int
  private let end: Int
  private var hash = SHA256()
  /// Why the bytes ended before their end, if not with the file.
  private(set) var problem: SystemError?

  /// The descriptor must outlive this.
  init(_ file: borrowing FileDescriptor, from start: Int, to end: Int) {
    descriptor = file.raw
    offset = start
    self.end = end
  }

  /// Reads some bytes; 0 at the end, and once there has been a problem.
  func read(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    let wanted = min(buffer.count, end - offset)
    while wanted > 0, problem == nil {
      let count = pread(descriptor, buffer.baseAddress!, wanted, offset)
      if count < 0 {
        if errno != EINTR { problem = .last("read") }
        continue
      }
      offset += count
      hash.update(UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
      return count
    }
    return 0
  }

  /// Reads past some bytes.
  func skip(_ count: Int) {
    var left = count
    withUnsafeTemporaryAllocation(byteCount: 64 << 10, alignment: 16) { buffer in
      while left > 0 {
        let read = read(into: UnsafeMutableRawBufferPointer(rebasing: buffer.prefix(left)))
        if read == 0 { return }
        left -= read
      }
    }
  }

  /// Reads past what is left, and gives the digest of the whole stretch in hexadecimal.
  func digest() -> String {
    skip(end - offset)
    return SHA256.hex(hash.finalize())
  }
}
