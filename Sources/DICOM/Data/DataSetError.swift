/// Why bytes are not a data set, or a data set cannot be written as asked.
public struct DataSetError: Error, Equatable, Sendable, CustomStringConvertible {
  public enum Reason: Equatable, Sendable {
    /// The data ends inside an element: the bytes still needed and those there were.
    case truncated(needed: Int, available: Int)
    /// Explicit VR: the two bytes where a VR is expected.
    case invalidVR(UInt8, UInt8)
    /// An item or a delimiter where an element is expected.
    case unexpectedDelimiter
    /// Something else where an item or a delimiter is expected.
    case itemExpected(found: Tag)
    /// Only sequences, UN and pixel data may have an undefined length.
    case undefinedLength(VR)
    /// Fragments of pixel data must have defined lengths.
    case fragmentOfUndefinedLength
    case nestedTooDeeply(limit: Int)
    case valueTooLong(length: Int, limit: Int)
    /// The deflate stream of a deflated transfer syntax.
    case invalidDeflate(String)
    case inflatedTooLarge(limit: Int)
    /// Text with a character that Specific Character Set (0008,0005) has no code for. The
    /// character is not kept here: errors are logged, and it is the patient's.
    case unencodableText(characterSet: String)
    case noVRKnown
    case notText(VR)
    /// Part 10 (PS3.10 section 7.1).
    case noDICMPrefix
    case invalidFileMetaInformation(String)
  }

  public var reason: Reason
  /// Byte from the start of the data set, or of the file for a file's header.
  public var offset: Int?
  public var tag: Tag?

  public init(_ reason: Reason, offset: Int? = nil, tag: Tag? = nil) {
    self.reason = reason
    self.offset = offset
    self.tag = tag
  }

  public var description: String {
    var place: [String] = []
    if let tag { place.append(tag.keyword.map { "\(tag) \($0)" } ?? "\(tag)") }
    if let offset { place.append("at byte \(offset)") }
    return place.isEmpty ? "\(reason)" : place.joined(separator: " ") + ": \(reason)"
  }
}

extension DataSetError.Reason: CustomStringConvertible {
  public var description: String {
    switch self {
    case .truncated(let needed, let available):
      "needs \(needed) bytes but only \(available) remain; the data is truncated or damaged"
    case .invalidVR(let first, let second):
      "bytes \(hex(first)) \(hex(second)) are no VR; "
        + "is the data really in Explicit VR, and undamaged?"
    case .unexpectedDelimiter: "item or delimiter outside a sequence"
    case .itemExpected(let found): "\(found) in a sequence where an item or its end must be"
    case .undefinedLength(let vr): "undefined length is not allowed for VR \(vr)"
    case .fragmentOfUndefinedLength: "a fragment of pixel data has undefined length"
    case .nestedTooDeeply(let limit): "sequences are nested more than \(limit) deep"
    case .valueTooLong(let length, let limit): "value of \(length) bytes, at most \(limit) allowed"
    case .invalidDeflate(let what): "deflated data is damaged: \(what)"
    case .inflatedTooLarge(let limit): "deflated data inflates to more than \(limit) bytes"
    case .unencodableText(let set):
      "text has a character that character set \(set) cannot encode; "
        + "set Specific Character Set (0008,0005) to ISO_IR 192"
    case .noVRKnown: "not in the data dictionary; name its VR"
    case .notText(let vr): "VR \(vr) does not hold text"
    case .noDICMPrefix: "no DICM prefix at byte 128: not a DICOM Part 10 file"
    case .invalidFileMetaInformation(let what): "file meta information: \(what)"
    }
  }
}

private func hex(_ byte: UInt8) -> String {
  let digits = String(byte, radix: 16, uppercase: true)
  return digits.count < 2 ? "0" + digits : digits
}
