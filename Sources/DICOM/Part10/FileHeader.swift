/// What precedes the data set in a Part 10 file (PS3.10 section 7.1), read from the file's first
/// bytes.
public struct FileHeader: Equatable, Sendable {
  /// Nil only where it was missing and the transfer syntax was guessed.
  public var metaInformation: FileMetaInformation?
  public var transferSyntax: TransferSyntax
  /// Where the data set starts in the file.
  public var dataSetOffset: Int

  /// What to do with a file that lacks the prefix, the meta information or its transfer syntax.
  public enum Missing: Sendable {
    case refuse
    /// Take it as a bare data set and guess the transfer syntax by the look of its first element.
    case guess
  }

  public enum Decoded: Equatable, Sendable {
    case header(FileHeader)
    /// The bytes from the file's start that are needed, more than were given.
    case needs(Int)
  }

  /// No file's meta information is longer in earnest.
  static let longest = 1 << 20

  /// Reads the header from the first bytes of a file.
  /// - Parameters:
  ///   - bytes: The start of the file, or all of it.
  ///   - isWhole: Nothing follows these bytes.
  public static func decode(
    _ bytes: [UInt8], isWhole: Bool, missing: Missing = .refuse
  ) throws(DataSetError) -> Decoded {
    if bytes.count < 140, !isWhole { return .needs(1024) }
    var start = 132
    if bytes.count < 132 || !bytes[128..<132].elementsEqual("DICM".utf8) {
      guard missing == .guess else { throw DataSetError(.noDICMPrefix) }
      start = 0
    }
    var end = start
    // By the elements themselves: the group length is often wrong or absent.
    while true {
      let parsed = bytes.withUnsafeBytes { ElementHeader.parse($0, at: end, explicit) }
      let available = bytes.count - end
      if available >= 2, bytes[end] != 2 || bytes[end + 1] != 0 { break }
      if available == 0, isWhole { break }
      guard end <= longest else {
        throw DataSetError(.valueTooLong(length: end, limit: longest), offset: end)
      }
      switch parsed {
      case .needs(let needed):
        guard isWhole else { return .needs(max(end + needed, bytes.count + 1024)) }
        throw DataSetError(.truncated(needed: needed, available: available), offset: end)
      case .invalidVR(let tag, let first, let second):
        throw DataSetError(.invalidVR(first, second), offset: end, tag: tag)
      case .header(let header):
        guard let length = header.length else {
          throw DataSetError(.undefinedLength(header.vr ?? .UN), offset: end, tag: header.tag)
        }
        guard length <= longest else {
          throw DataSetError(
            .valueTooLong(length: length, limit: longest), offset: end, tag: header.tag)
        }
        let next = end + header.size + length
        if next > bytes.count {
          guard isWhole else { return .needs(next + 1024) }
          throw DataSetError(
            .truncated(needed: length, available: available - header.size), offset: end,
            tag: header.tag)
        }
        end = next
      }
    }
    return .header(try decode(bytes, start, end, missing))
  }

  private static func decode(
    _ bytes: [UInt8], _ start: Int, _ end: Int, _ missing: Missing
  ) throws(DataSetError) -> FileHeader {
    var meta: FileMetaInformation?
    if end > start {
      do throws(DataSetError) {
        let group = try DataSet(decoding: bytes[start..<end], as: .explicitVRLittleEndian)
        meta = FileMetaInformation(group)
      } catch {
        throw DataSetError(error.reason, offset: error.offset.map { $0 + start }, tag: error.tag)
      }
    }
    if let syntax = meta?.transferSyntax {
      return FileHeader(metaInformation: meta, transferSyntax: syntax, dataSetOffset: end)
    }
    guard missing == .guess else {
      throw DataSetError(
        .invalidFileMetaInformation(
          meta == nil
            ? "absent, so that the transfer syntax is unknown"
            : "Transfer Syntax UID (0002,0010) is missing"), offset: start)
    }
    guard let syntax = guess(bytes[end...]) else {
      throw DataSetError(
        .invalidFileMetaInformation("absent, and what follows is no data set"), offset: end)
    }
    return FileHeader(metaInformation: meta, transferSyntax: syntax, dataSetOffset: end)
  }

  private static let explicit = ElementEncoding(.explicitVRLittleEndian)

  /// By the first element: a VR in it means Explicit VR, a low group in its second byte Big
  /// Endian.
  private static func guess(_ bytes: ArraySlice<UInt8>) -> TransferSyntax? {
    let first = Array(bytes.prefix(8))
    guard first.count == 8 else { return nil }
    let isExplicit = VR(first[4], first[5]) != nil
    // Data sets begin with group 0008 or another low one.
    let isBigEndian = first[0] == 0 && first[1] != 0
    switch (isExplicit, isBigEndian) {
    case (true, true): return .explicitVRBigEndian
    case (true, false): return .explicitVRLittleEndian
    case (false, false) where first[1] == 0: return .implicitVRLittleEndian
    default: return nil
    }
  }
}
