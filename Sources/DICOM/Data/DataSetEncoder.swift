extension DataSet {
  /// The bytes of the data set in a transfer syntax (PS3.5 section 7).
  ///
  /// Sequences and items are written with defined lengths, unless only an undefined one tells that
  /// an element is a sequence, and values of odd length are padded.
  /// Group lengths that are present are corrected, none are added. A deflated transfer syntax is
  /// written as stored blocks: valid, but not compressed.
  /// - Throws: ``DataSetError/Reason/valueTooLong(length:limit:)`` beyond 32 bit lengths.
  public func encoded(as syntax: TransferSyntax) throws(DataSetError) -> [UInt8] {
    var encoder = DataSetEncoder()
    try encoder.append(self, ElementEncoding(syntax))
    return syntax.isDeflated ? storedDeflate(encoder.bytes) : encoder.bytes
  }

  private func storedDeflate(_ bytes: [UInt8]) -> [UInt8] {
    var result: [UInt8] = []
    var rest = bytes[...]
    repeat {
      let block = rest.prefix(0xFFFF)
      rest = rest.dropFirst(block.count)
      let (low, high) = (UInt8(block.count & 0xFF), UInt8(block.count >> 8))
      result += [rest.isEmpty ? 1 : 0, low, high, ~low, ~high]
      result += block
    } while !rest.isEmpty
    if result.count & 1 == 1 { result.append(0) }
    return result
  }
}

private let longestValue = 0xFFFF_FFFE

struct DataSetEncoder {
  var bytes: [UInt8] = []

  mutating func append(_ dataSet: DataSet, _ encoding: ElementEncoding) throws(DataSetError) {
    var groupLength: (group: UInt16, valueEnd: Int)?
    for element in dataSet.elements {
      if let open = groupLength, open.group != element.tag.group {
        closeGroup(open.valueEnd, encoding)
        groupLength = nil
      }
      try append(element, encoding)
      if element.tag.isGroupLength, case .bytes(let value) = element.value, value.count == 4 {
        groupLength = (element.tag.group, bytes.count)
      }
    }
    if let open = groupLength { closeGroup(open.valueEnd, encoding) }
  }

  private mutating func closeGroup(_ valueEnd: Int, _ encoding: ElementEncoding) {
    put(UInt32(truncatingIfNeeded: bytes.count - valueEnd), at: valueEnd - 4, encoding)
  }

  private mutating func append(
    _ element: DataElement, _ encoding: ElementEncoding
  ) throws(DataSetError) {
    switch element.value {
    case .bytes(var value):
      if value.count & 1 == 1 { value.append(element.vr.padding) }
      guard value.count <= longestValue else {
        throw DataSetError(
          .valueTooLong(length: value.count, limit: longestValue), tag: element.tag)
      }
      // What the two bytes of a short length cannot tell goes as UN (PS3.5 section 6.2.2 note 8).
      let fits = element.vr.hasLongLength || value.count <= 0xFFFE
      appendHeader(element.tag, fits ? element.vr : .UN, UInt32(value.count), encoding)
      if encoding.isBigEndian { element.vr.swapBytes(&value) }
      bytes += value
    case .items(let items) where element.vr == .UN && encoding.isExplicitVR:
      // Read as such, written as such: implicit inside, which only an undefined length tells.
      appendHeader(element.tag, .UN, 0xFFFF_FFFF, encoding)
      for item in items { try append(item, of: element.tag, .implicitLittleEndian) }
      appendItemHeader(.sequenceDelimitationItem, 0, .implicitLittleEndian)
    case .items(let items) where !encoding.isExplicitVR && DataDictionary.vr(element.tag) != .SQ:
      // Only an undefined length tells that a private element is a sequence.
      appendHeader(element.tag, .SQ, 0xFFFF_FFFF, encoding)
      for item in items { try append(item, of: element.tag, encoding) }
      appendItemHeader(.sequenceDelimitationItem, 0, encoding)
    case .items(let items):
      appendHeader(element.tag, .SQ, 0, encoding)
      let start = bytes.count
      for item in items { try append(item, of: element.tag, encoding) }
      try putLength(since: start, element.tag, encoding)
    case .fragments(let fragments):
      appendHeader(
        element.tag, element.vr.hasLongLength ? element.vr : .OB, 0xFFFF_FFFF, encoding)
      for fragment in fragments {
        appendItemHeader(.item, UInt32(fragment.count + fragment.count & 1), encoding)
        bytes += fragment
        if fragment.count & 1 == 1 { bytes.append(0) }
      }
      appendItemHeader(.sequenceDelimitationItem, 0, encoding)
    }
  }

  private mutating func append(
    _ item: DataSet, of sequence: Tag, _ encoding: ElementEncoding
  ) throws(DataSetError) {
    appendItemHeader(.item, 0, encoding)
    let start = bytes.count
    try append(item, encoding)
    try putLength(since: start, sequence, encoding)
  }

  private mutating func putLength(
    since start: Int, _ tag: Tag, _ encoding: ElementEncoding
  ) throws(DataSetError) {
    let length = bytes.count - start
    guard length <= longestValue else {
      throw DataSetError(.valueTooLong(length: length, limit: longestValue), tag: tag)
    }
    put(UInt32(length), at: start - 4, encoding)
  }

  private mutating func appendHeader(
    _ tag: Tag, _ vr: VR, _ length: UInt32, _ encoding: ElementEncoding
  ) {
    append(tag.group, encoding)
    append(tag.element, encoding)
    guard encoding.isExplicitVR else { return append(length, encoding) }
    bytes += vr.rawValue.utf8
    if vr.hasLongLength {
      bytes += [0, 0]
      append(length, encoding)
    } else {
      append(UInt16(truncatingIfNeeded: length), encoding)
    }
  }

  private mutating func appendItemHeader(
    _ tag: Tag, _ length: UInt32, _ encoding: ElementEncoding
  ) {
    append(tag.group, encoding)
    append(tag.element, encoding)
    append(length, encoding)
  }

  private mutating func append(_ value: UInt16, _ encoding: ElementEncoding) {
    let (low, high) = (UInt8(value & 0xFF), UInt8(value >> 8))
    bytes.append(encoding.isBigEndian ? high : low)
    bytes.append(encoding.isBigEndian ? low : high)
  }

  private mutating func append(_ value: UInt32, _ encoding: ElementEncoding) {
    let start = bytes.count
    bytes += [0, 0, 0, 0]
    put(value, at: start, encoding)
  }

  private mutating func put(_ value: UInt32, at index: Int, _ encoding: ElementEncoding) {
    for byte in 0..<4 {
      let shift = UInt32(encoding.isBigEndian ? 24 - 8 * byte : 8 * byte)
      bytes[index + byte] = UInt8(truncatingIfNeeded: value >> shift)
    }
  }
}
