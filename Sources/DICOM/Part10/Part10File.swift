import Glibc
import Platform

/// Why a file could not be read.
public enum Part10Error: Error, Equatable, CustomStringConvertible {
  case system(SystemError)
  case format(DataSetError)

  public var description: String {
    switch self {
    case .system(let error): "\(error)"
    case .format(let error): "\(error)"
    }
  }
}

/// An open Part 10 file (PS3.10 section 7): its header is read, its data set lies in the file to
/// be scanned or sent on as it is.
public struct Part10File: ~Copyable, Sendable {
  public let file: FileDescriptor
  public let header: FileHeader
  /// Of the whole file, in bytes, when it was opened.
  public let length: Int

  public var transferSyntax: TransferSyntax { header.transferSyntax }
  /// Where the data set starts in the file.
  public var dataSetOffset: Int { header.dataSetOffset }
  /// The bytes of the data set.
  public var dataSetLength: Int { length - header.dataSetOffset }

  /// Opens a file and reads its header, a few KiB.
  public static func open(
    _ path: String, missing: FileHeader.Missing = .refuse
  ) throws(Part10Error) -> Part10File {
    let file: FileDescriptor
    do throws(SystemError) {
      file = try FileDescriptor.open(path, O_RDONLY)
    } catch {
      throw .system(error)
    }
    return try Part10File(file, missing: missing)
  }

  /// Takes over an open file and reads its header.
  public init(
    _ file: consuming FileDescriptor, missing: FileHeader.Missing = .refuse
  ) throws(Part10Error) {
    var status = stat()
    guard fstat(file.raw, &status) == 0 else { throw .system(.last("fstat")) }
    let length = Int(status.st_size)
    header = try Self.header(file, length, missing)
    self.length = length
    self.file = file
  }

  private static func header(
    _ file: borrowing FileDescriptor, _ length: Int, _ missing: FileHeader.Missing
  ) throws(Part10Error) -> FileHeader {
    var wanted = 4096
    while true {
      let bytes = try Self.bytes(file, at: 0, count: min(wanted, length))
      let isWhole = bytes.count < wanted || bytes.count == length
      do throws(DataSetError) {
        switch try FileHeader.decode(bytes, isWhole: isWhole, missing: missing) {
        case .header(let header): return header
        case .needs(let count): wanted = max(count, wanted + 1)
        }
      } catch {
        throw .format(error)
      }
    }
  }

  /// The wanted elements of the data set, up to one of them, without reading what large values
  /// hold. See ``HeaderScanner``.
  public func elements(
    _ wanted: some Sequence<Tag>, through last: Tag
  ) throws(Part10Error) -> DataSet {
    var scanner = HeaderScanner(transferSyntax, wanted: wanted, through: last)
    var position = dataSetOffset
    while !scanner.isDone, position < length {
      let skipped = min(scanner.skippable, length - position)
      scanner.skip(skipped)
      position += skipped
      let bytes = try Self.bytes(file, at: position, count: min(8192, length - position))
      if bytes.isEmpty { break }
      position += bytes.count
      do throws(DataSetError) { try scanner.push(bytes) } catch { throw .format(error) }
    }
    do throws(DataSetError) { try scanner.finish() } catch { throw .format(error) }
    return scanner.header
  }

  /// The whole data set, pixels and all, in memory.
  public func dataSet(limits: DecodingLimits = .default) throws(Part10Error) -> DataSet {
    let bytes = try Self.bytes(file, at: dataSetOffset, count: dataSetLength)
    do throws(DataSetError) {
      return try DataSet(decoding: bytes, as: transferSyntax, limits: limits)
    } catch {
      throw .format(error)
    }
  }

  /// At most that many bytes from a place in the file; fewer at its end.
  private static func bytes(
    _ file: borrowing FileDescriptor, at offset: Int, count: Int
  ) throws(Part10Error) -> [UInt8] {
    var failure: SystemError?
    let descriptor = file.raw
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      while initialized < count {
        let read = pread(
          descriptor, buffer.baseAddress! + initialized, count - initialized,
          off_t(offset + initialized))
        if read == 0 { return }
        if read > 0 {
          initialized += read
        } else if errno != EINTR {
          failure = .last("read")
          return
        }
      }
    }
    if let failure { throw .system(failure) }
    return bytes
  }
}
