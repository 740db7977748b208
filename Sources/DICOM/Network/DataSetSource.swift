import Glibc
import Platform

/// The bytes of a data set to send, in order.
public protocol DataSetSource {
  /// Fills the buffer from its start; returns how many bytes, 0 at the end of the data set.
  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int

  /// Where what is still to come lies as a whole, for a transport that can take it from there.
  /// The default is nil.
  var file: FilePart? { get }
}

extension DataSetSource {
  public var file: FilePart? { nil }
}

/// A part of an open file, which stays open as long as its source.
public struct FilePart {
  public let descriptor: Int32
  public let offset: Int
  public let length: Int
  /// For messages.
  public let path: String

  public init(descriptor: Int32, offset: Int, length: Int, path: String) {
    self.descriptor = descriptor
    self.offset = offset
    self.length = length
    self.path = path
  }
}

/// A data set that lies in a file, from an offset on.
public struct FileDataSet: DataSetSource {
  private final class File {
    let descriptor: FileDescriptor
    init(_ descriptor: consuming FileDescriptor) { self.descriptor = descriptor }
  }

  private let open: File
  private let path: String
  private var position: Int
  private let end: Int

  public var file: FilePart? {
    FilePart(
      descriptor: open.descriptor.raw, offset: position, length: end - position, path: path)
  }

  /// Opens the file and checks that it is as long as it should be.
  public init(path: String, offset: Int, length: Int) throws(SystemError) {
    guard offset >= 0, length >= 0, case (let end, false) = offset.addingReportingOverflow(length)
    else { throw SystemError(code: EINVAL, operation: "read", subject: path) }
    let descriptor = try FileDescriptor.open(path, O_RDONLY)
    var status = stat()
    guard fstat(descriptor.raw, &status) == 0 else { throw .last("fstat", path) }
    guard status.st_size >= end else {
      throw SystemError(code: EIO, operation: "read (file too short)", subject: path)
    }
    open = File(descriptor)
    self.path = path
    position = offset
    self.end = end
  }

  public init(_ instance: StoredInstance) throws(SystemError) {
    try self.init(
      path: instance.path, offset: instance.dataSetOffset, length: instance.dataSetLength)
  }

  public mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int {
    let wanted = min(buffer.count, end - position)
    guard wanted > 0 else { return 0 }
    while true {
      let count = pread(open.descriptor.raw, buffer.baseAddress, wanted, position)
      if count > 0 {
        position += count
        return count
      }
      if count == 0 {
        throw SystemError(code: EIO, operation: "read (file became shorter)", subject: path)
      }
      if errno != EINTR { throw .last("read", path) }
    }
  }
}

/// A data set in memory.
public struct MemoryDataSet: DataSetSource {
  private let bytes: [UInt8]
  private var position = 0

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public mutating func read(
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(SystemError) -> Int {
    let count = min(buffer.count, bytes.count - position)
    guard count > 0 else { return 0 }
    bytes.withUnsafeBytes {
      buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[position..<position + count]))
    }
    position += count
    return count
  }
}
