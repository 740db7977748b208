/// Bounds for reading what others sent.
public struct DecodingLimits: Equatable, Sendable {
  /// How deep sequences may nest.
  public var maximumNesting: Int
  /// What a deflated data set may inflate to, in bytes.
  public var maximumInflatedBytes: Int

  public init(maximumNesting: Int = 32, maximumInflatedBytes: Int = 64 << 20) {
    self.maximumNesting = maximumNesting
    self.maximumInflatedBytes = maximumInflatedBytes
  }

  public static let `default` = DecodingLimits()
}

extension DataSet {
  /// Reads a data set (PS3.5 section 7) from its first byte to its last.
  ///
  /// Odd lengths, elements out of order and superfluous delimiters are tolerated, since they occur
  /// and their meaning is clear. Values are copied; memory is proportional to the input.
  /// - Throws: What is wrong and where. The offsets of a deflated data set are those of the
  ///   inflated bytes.
  public init(
    decoding bytes: [UInt8], as syntax: TransferSyntax, limits: DecodingLimits = .default
  ) throws(DataSetError) {
    var bytes = bytes
    if syntax.isDeflated {
      var inflater = Inflater(limit: limits.maximumInflatedBytes)
      try inflater.push(bytes)
      guard inflater.isFinished else {
        throw DataSetError(.invalidDeflate("it ends early"), offset: bytes.count)
      }
      bytes = inflater.output
    }
    var decoder = DataSetDecoder(bytes: bytes, limits: limits)
    self = try decoder.dataSet(
      until: .end(bytes.count), ElementEncoding(syntax), depth: 0, isSigned: false)
  }

  public init(
    decoding bytes: ArraySlice<UInt8>, as syntax: TransferSyntax, limits: DecodingLimits = .default
  ) throws(DataSetError) {
    try self.init(decoding: Array(bytes), as: syntax, limits: limits)
  }
}

/// A reader of elements, by recursion over sequences up to the limit of nesting.
struct DataSetDecoder {
  private let bytes: [UInt8]
  private let limits: DecodingLimits
  private var offset = 0

  /// How a data set, item or sequence ends.
  enum Boundary {
    /// At an offset.
    case end(Int)
    /// With its delimiter, before an offset.
    case delimiter(before: Int)

    var offset: Int {
      switch self {
      case .end(let offset), .delimiter(let offset): offset
      }
    }

    var isDelimited: Bool {
      if case .delimiter = self { true } else { false }
    }
  }

  init(bytes: [UInt8], limits: DecodingLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  /// - Parameter isSigned: Pixel Representation of the data set around, which decides between US
  ///   and SS where Implicit VR leaves it open.
  mutating func dataSet(
    until boundary: Boundary, _ encoding: ElementEncoding, depth: Int, isSigned: Bool
  ) throws(DataSetError) -> DataSet {
    var elements: [DataElement] = []
    var isSigned = isSigned
    while offset < boundary.offset {
      if depth == 0, isZeroPadding(until: boundary.offset) { break }
      let start = offset
      let header = try self.header(encoding, end: boundary.offset)
      if header.tag == .itemDelimitationItem, depth > 0 {
        // In an item of defined length the delimiter is superfluous but harmless.
        return DataSet(inAnyOrder: elements)
      }
      if header.tag.isItemOrDelimiter {
        throw DataSetError(.unexpectedDelimiter, offset: start, tag: header.tag)
      }
      let element = try self.element(
        header, start, encoding, end: boundary.offset, depth: depth, isSigned: isSigned)
      if element.tag == .pixelRepresentation, case .bytes(let value) = element.value {
        isSigned = value.first == 1
      }
      elements.append(element)
    }
    if boundary.isDelimited {
      throw DataSetError(.truncated(needed: 8, available: 0), offset: offset)
    }
    return DataSet(inAnyOrder: elements)
  }

  /// Fewer than eight zeros at the very end are padding that someone added.
  private func isZeroPadding(until end: Int) -> Bool {
    end - offset < 8 && bytes[offset..<end].allSatisfy { $0 == 0 }
  }

  private mutating func header(
    _ encoding: ElementEncoding, end: Int
  ) throws(DataSetError) -> ElementHeader {
    let start = offset
    let parsed = bytes.withUnsafeBytes { buffer in
      ElementHeader.parse(UnsafeRawBufferPointer(rebasing: buffer[..<end]), at: start, encoding)
    }
    switch parsed {
    case .header(let header):
      offset += header.size
      return header
    case .needs(let needed):
      throw DataSetError(.truncated(needed: needed, available: end - start), offset: start)
    case .invalidVR(let tag, let first, let second):
      throw DataSetError(.invalidVR(first, second), offset: start, tag: tag)
    }
  }

  private mutating func element(
    _ header: ElementHeader, _ start: Int, _ encoding: ElementEncoding, end: Int, depth: Int,
    isSigned: Bool
  ) throws(DataSetError) -> DataElement {
    let vr = header.vr ?? Self.implicitVR(header.tag, isSigned: isSigned)
    guard let length = header.length else {
      return try undefinedLength(
        header.tag, vr, start, encoding, end: end, depth: depth, isSigned: isSigned)
    }
    guard length <= end - offset else {
      throw DataSetError(
        .truncated(needed: length, available: end - offset), offset: offset, tag: header.tag)
    }
    if vr == .SQ {
      let items = try self.items(
        header.tag, until: .end(offset + length), encoding, depth: depth, isSigned: isSigned)
      return DataElement(header.tag, vr, .items(items))
    }
    var value = Array(bytes[offset..<offset + length])
    offset += length
    if encoding.isBigEndian { vr.swapBytes(&value) }
    return DataElement(header.tag, vr, .bytes(value))
  }

  private mutating func undefinedLength(
    _ tag: Tag, _ vr: VR, _ start: Int, _ encoding: ElementEncoding, end: Int, depth: Int,
    isSigned: Bool
  ) throws(DataSetError) -> DataElement {
    switch vr {
    case .OB, .OW:
      return DataElement(tag, vr, .fragments(try fragments(tag, encoding, end: end)))
    case .SQ:
      let items = try self.items(
        tag, until: .delimiter(before: end), encoding, depth: depth, isSigned: isSigned)
      return DataElement(tag, .SQ, .items(items))
    case .UN:
      // A sequence whose VR the sender did not know: Implicit VR Little Endian inside, whatever
      // the transfer syntax (PS3.5 section 6.2.2 note 2).
      let items = try self.items(
        tag, until: .delimiter(before: end), .implicitLittleEndian, depth: depth,
        isSigned: isSigned)
      return DataElement(tag, encoding.isExplicitVR ? .UN : .SQ, .items(items))
    default:
      throw DataSetError(.undefinedLength(vr), offset: start, tag: tag)
    }
  }

  private mutating func items(
    _ tag: Tag, until boundary: Boundary, _ encoding: ElementEncoding, depth: Int, isSigned: Bool
  ) throws(DataSetError) -> [DataSet] {
    guard depth < limits.maximumNesting else {
      throw DataSetError(
        .nestedTooDeeply(limit: limits.maximumNesting), offset: offset, tag: tag)
    }
    var items: [DataSet] = []
    while offset < boundary.offset {
      let start = offset
      let header = try self.header(encoding, end: boundary.offset)
      if header.tag == .sequenceDelimitationItem {
        // Superfluous in a sequence of defined length, which ends where it said.
        if !boundary.isDelimited { offset = boundary.offset }
        return items
      }
      guard header.tag == .item else {
        throw DataSetError(.itemExpected(found: header.tag), offset: start, tag: tag)
      }
      guard let length = header.length else {
        items.append(
          try dataSet(
            until: .delimiter(before: boundary.offset), encoding, depth: depth + 1,
            isSigned: isSigned))
        continue
      }
      guard length <= boundary.offset - offset else {
        throw DataSetError(
          .truncated(needed: length, available: boundary.offset - offset), offset: offset, tag: tag)
      }
      let end = offset + length
      items.append(
        try dataSet(until: .end(end), encoding, depth: depth + 1, isSigned: isSigned))
      offset = end
    }
    if boundary.isDelimited {
      throw DataSetError(.truncated(needed: 8, available: 0), offset: offset, tag: tag)
    }
    return items
  }

  private mutating func fragments(
    _ tag: Tag, _ encoding: ElementEncoding, end: Int
  ) throws(DataSetError) -> [[UInt8]] {
    var fragments: [[UInt8]] = []
    while true {
      let start = offset
      let header = try self.header(encoding, end: end)
      if header.tag == .sequenceDelimitationItem { return fragments }
      guard header.tag == .item else {
        throw DataSetError(.itemExpected(found: header.tag), offset: start, tag: tag)
      }
      guard let length = header.length else {
        throw DataSetError(.fragmentOfUndefinedLength, offset: start, tag: tag)
      }
      guard length <= end - offset else {
        throw DataSetError(
          .truncated(needed: length, available: end - offset), offset: offset, tag: tag)
      }
      fragments.append(Array(bytes[offset..<offset + length]))
      offset += length
    }
  }

  /// The VR of an element whose encoding does not name it (PS3.5 annex A.1).
  static func implicitVR(_ tag: Tag, isSigned: Bool) -> VR {
    guard let (vr, isOneOfSeveral) = DataDictionary.firstVR(tag) else { return .UN }
    guard isOneOfSeveral else { return vr }
    if DataDictionary.entry(tag)?.vrs.contains(.OW) == true { return .OW }
    return vr == .US && isSigned ? .SS : vr
  }
}
