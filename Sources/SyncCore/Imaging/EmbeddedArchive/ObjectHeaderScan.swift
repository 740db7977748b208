import DICOM
import Platform

extension ObjectHeader {
  /// Reads what the index needs from a data set in a file, in a window of a few KiB: large values
  /// are passed over, and nothing behind group 0028 is read.
  /// - Parameters:
  ///   - offset: where the data set starts in the file.
  ///   - length: its bytes.
  ///   - beginning: its first bytes, where they are known: those are not read again.
  static func scan(
    _ file: borrowing FileDescriptor, from offset: Int, length: Int, _ syntax: TransferSyntax,
    beginning: [UInt8] = []
  ) throws(ObjectHeaderError) -> ObjectHeader {
    if syntax.isDeflated { return try scanDeflated(file, from: offset, length: length, syntax) }
    var reader = HeaderReader(
      position: offset, end: offset + length, isExplicit: syntax.isExplicitVR,
      isBigEndian: syntax.isBigEndian, window: beginning)
    var uids: [UInt32: UID] = [:]
    var characterSet: [UInt8] = []
    var values: [(position: Int, bytes: [UInt8])] = []
    while let element = try reader.next(file) {
      if element.tag.group > 0x0028 { break }
      let wanted = IndexedAttribute.position(element.tag)
      switch element.tag.packed {
      case 0x0008_0005: characterSet = try reader.value(file, element)
      case 0x0008_0016, 0x0008_0018, 0x0020_000D, 0x0020_000E:
        let text = String(decoding: try reader.value(file, element), as: UTF8.self)
        uids[element.tag.packed] = UID(AttributeMatching.trimmed(text))
      default:
        if let wanted {
          values.append((wanted, try reader.value(file, element)))
        } else {
          try reader.skip(file, element)
        }
      }
    }
    return try make(uids, values, characterSet, isBigEndian: syntax.isBigEndian)
  }

  /// A deflated data set has to be inflated from its first byte on (PS3.5 annex A.5): in pieces, and
  /// not further than the elements reach that are wanted.
  private static func scanDeflated(
    _ file: borrowing FileDescriptor, from offset: Int, length: Int, _ syntax: TransferSyntax
  ) throws(ObjectHeaderError) -> ObjectHeader {
    let uidTags = [0x0008_0016, 0x0008_0018, 0x0020_000D, 0x0020_000E].map {
      Tag(packed: $0)
    }
    let last = Tag(0x0028, 0xFFFF)
    var scanner = HeaderScanner(
      syntax, wanted: uidTags + IndexedAttribute.all.map(\.tag), through: last)
    var done = 0
    do throws(DataSetError) {
      while !scanner.isDone, done < length {
        let piece: [UInt8]
        do throws(SystemError) {
          piece = try file.bytes(min(64 << 10, length - done), at: offset + done)
        } catch {
          throw DataSetError(.invalidDeflate("the file cannot be read: \(error.name)"))
        }
        guard !piece.isEmpty else { break }
        done += piece.count
        try scanner.push(piece)
      }
      if !scanner.isDone { try scanner.finish() }
    } catch {
      throw .unreadable(error.description)
    }
    let found = scanner.header
    var uids: [UInt32: UID] = [:]
    for tag in uidTags {
      if let bytes = found.bytes(tag) {
        uids[tag.packed] = UID(AttributeMatching.trimmed(String(decoding: bytes, as: UTF8.self)))
      }
    }
    let values = IndexedAttribute.all.indices.compactMap { position in
      found.bytes(IndexedAttribute.all[position].tag).map { (position: position, bytes: $0) }
    }
    return try make(
      uids, values, found.bytes(.specificCharacterSet) ?? [], isBigEndian: false)
  }

  private static func make(
    _ uids: [UInt32: UID], _ values: [(position: Int, bytes: [UInt8])], _ characterSet: [UInt8],
    isBigEndian: Bool
  ) throws(ObjectHeaderError) -> ObjectHeader {
    func uid(_ tag: UInt32, _ name: String) throws(ObjectHeaderError) -> UID {
      guard let uid = uids[tag], !uid.value.isEmpty else { throw .missing(name) }
      // Such a UID fits nowhere in the network protocol: no peer could ask for it.
      guard uid.value.utf8.count <= 64 else { throw .unreadable("\(name) is too long") }
      return uid
    }
    var header = ObjectHeader(
      sopClass: try uid(0x0008_0016, "SOP Class UID (0008,0016)"),
      sopInstance: try uid(0x0008_0018, "SOP Instance UID (0008,0018)"),
      study: try uid(0x0020_000D, "Study Instance UID (0020,000D)"),
      series: try uid(0x0020_000E, "Series Instance UID (0020,000E)"))
    for (position, bytes) in values {
      let attribute = IndexedAttribute.all[position]
      header.values[position] =
        attribute.vr == .US
        ? Self.unsignedShort(bytes, isBigEndian: isBigEndian)
        : AttributeText.decode(bytes, attribute.vr, characterSet: characterSet)
    }
    return header
  }

  private static func unsignedShort(_ bytes: [UInt8], isBigEndian: Bool) -> String {
    guard bytes.count >= 2 else { return "" }
    let (low, high) = isBigEndian ? (bytes[1], bytes[0]) : (bytes[0], bytes[1])
    return String(UInt16(high) << 8 | UInt16(low))
  }
}

/// Steps through the elements of a data set in a file (PS3.5 section 7).
struct HeaderReader: ~Copyable {
  private(set) var position: Int
  private let end: Int
  private let isExplicit: Bool
  private let isBigEndian: Bool
  private var window: [UInt8]
  private var windowStart: Int

  struct Element {
    let tag: Tag
    /// Nil for an undefined length.
    let length: Int?
    /// UN with an undefined length is implicit VR little endian inside (PS3.5 section 6.2.2).
    let isUnknown: Bool
  }

  static let windowSize = 8 * 1024
  /// No value the index keeps is longer in earnest.
  private static let valueLimit = 4 * 1024
  private static let nestingLimit = 64
  private static let item = Tag(0xFFFE, 0xE000)
  private static let itemEnd = Tag(0xFFFE, 0xE00D)
  private static let sequenceEnd = Tag(0xFFFE, 0xE0DD)

  /// - Parameter window: the bytes from `position` on, as far as they are known.
  init(
    position: Int, end: Int, isExplicit: Bool, isBigEndian: Bool, window: [UInt8] = []
  ) {
    self.position = position
    self.end = end
    self.window = window
    windowStart = position
    self.isExplicit = isExplicit
    self.isBigEndian = isBigEndian
  }

  /// The next element's header; its value must then be read or skipped. Nil at the end.
  mutating func next(_ file: borrowing FileDescriptor) throws(ObjectHeaderError) -> Element? {
    if position >= end { return nil }
    return try header(file, isExplicit: isExplicit, isBigEndian: isBigEndian)
  }

  mutating func value(
    _ file: borrowing FileDescriptor, _ element: Element
  ) throws(ObjectHeaderError) -> [UInt8] {
    guard let length = element.length else {
      try skip(file, element)
      return []
    }
    let taken = min(length, Self.valueLimit)
    try need(file, taken)
    let start = position - windowStart
    let bytes = Array(window[start..<start + taken])
    try skip(file, element)
    return bytes
  }

  /// Passes over an element's value, nested sequences and all.
  mutating func skip(
    _ file: borrowing FileDescriptor, _ element: Element
  ) throws(ObjectHeaderError) {
    if let length = element.length {
      try advance(length, element.tag)
    } else {
      try skipSequence(file, element, isExplicit: isExplicit && !element.isUnknown, depth: 0)
    }
  }

  private mutating func skipSequence(
    _ file: borrowing FileDescriptor, _ element: Element, isExplicit: Bool, depth: Int
  ) throws(ObjectHeaderError) {
    guard depth < Self.nestingLimit else { throw .unreadable("sequences nested too deep") }
    let isBigEndian = isBigEndian && !element.isUnknown
    while true {
      let item = try header(file, isExplicit: false, isBigEndian: isBigEndian)
      if item.tag == Self.sequenceEnd { return }
      guard item.tag == Self.item else {
        throw .unreadable("\(item.tag) in sequence \(element.tag), where an item belongs")
      }
      if let length = item.length {
        try advance(length, element.tag)
        continue
      }
      while true {
        let inner = try header(file, isExplicit: isExplicit, isBigEndian: isBigEndian)
        if inner.tag == Self.itemEnd { break }
        if let length = inner.length {
          try advance(length, inner.tag)
        } else {
          try skipSequence(
            file, inner, isExplicit: isExplicit && !inner.isUnknown, depth: depth + 1)
        }
      }
    }
  }

  private mutating func advance(_ length: Int, _ tag: Tag) throws(ObjectHeaderError) {
    guard length <= end - position else {
      throw .unreadable("\(tag) claims \(length) bytes and \(end - position) are left")
    }
    position += length
  }

  private mutating func header(
    _ file: borrowing FileDescriptor, isExplicit: Bool, isBigEndian: Bool
  ) throws(ObjectHeaderError) -> Element {
    try need(file, 8)
    let at = position - windowStart
    let tag = Tag(short(at, isBigEndian), short(at + 2, isBigEndian))
    position += 8
    var length: Int
    var isUnknown = false
    if isExplicit, tag.group != 0xFFFE {
      let first = window[at + 4]
      let second = window[at + 5]
      let isLong: Bool
      if let vr = VR(first, second) {
        isLong = vr.hasLongLength
        isUnknown = vr == .UN
      } else {
        // VRs of the future have the long form (PS3.5 section 7.1.2).
        isLong = first >= 0x41 && first <= 0x5A && second >= 0x41 && second <= 0x5A
      }
      if isLong {
        position -= 8
        try need(file, 12)
        length = long(position - windowStart + 8, isBigEndian)
        position += 12
      } else {
        length = Int(short(at + 6, isBigEndian))
      }
    } else {
      length = long(at + 4, isBigEndian)
    }
    return Element(
      tag: tag, length: length == 0xFFFF_FFFF ? nil : length, isUnknown: isUnknown)
  }

  private func short(_ at: Int, _ isBigEndian: Bool) -> UInt16 {
    let (first, second) = (UInt16(window[at]), UInt16(window[at + 1]))
    return isBigEndian ? first << 8 | second : second << 8 | first
  }

  private func long(_ at: Int, _ isBigEndian: Bool) -> Int {
    let (first, second) = (Int(short(at, isBigEndian)), Int(short(at + 2, isBigEndian)))
    return isBigEndian ? first << 16 | second : second << 16 | first
  }

  /// Has the next bytes in the window.
  private mutating func need(
    _ file: borrowing FileDescriptor, _ count: Int
  ) throws(ObjectHeaderError) {
    guard count <= end - position else { throw .unreadable("it ends inside an element") }
    if position >= windowStart, position + count <= windowStart + window.count { return }
    let size = min(max(count, Self.windowSize), end - position)
    let start = position
    do throws(SystemError) {
      window = try file.bytes(size, at: start)
    } catch {
      throw .unreadable(error.name)
    }
    windowStart = start
    guard window.count == size else { throw .unreadable("the file ends early") }
  }
}
