/// The registry of data elements (PS3.6 sections 6 to 9, PS3.7 annex E).
public enum DataDictionary {
  /// What the standard says of an element.
  public struct Entry: Equatable, Sendable {
    /// The VRs the element may have; several where other elements decide (PS3.6 "US or SS").
    public let vrs: [VR]
    /// The value multiplicity as the standard writes it, such as `1`, `2-2n` or `1-n`.
    public let vm: String
    public let keyword: String
    public let isRetired: Bool

    fileprivate init?(_ words: some StringProtocol) {
      let words = words.split(separator: " ")
      guard words.count == 3 else { return nil }
      vrs = words[0].split(separator: "/").compactMap { VR(rawValue: String($0)) }
      vm = String(words[1])
      isRetired = words[2].last == "!"
      keyword = String(isRetired ? words[2].dropLast() : words[2])
    }
  }

  /// The entry of a standard element, repeating groups included; nil for private, group length and
  /// unknown elements.
  public static func entry(_ tag: Tag) -> Entry? {
    guard !tag.isPrivate else { return nil }
    if let entry = find(tag).flatMap(Entry.init) { return entry }
    guard let first = firstOfRepeating(tag) else { return nil }
    return find(first).flatMap(Entry.init)
  }

  /// The VR for writing an element, or for reading it where the encoding does not name it: the
  /// only or first one of the dictionary, UL for group lengths, LO for private creators
  /// (PS3.5 section 7.8.1). Nil when unknown.
  public static func vr(_ tag: Tag) -> VR? { firstVR(tag)?.vr }

  /// The VR as ``vr(_:)`` gives it, and whether the element may have others.
  static func firstVR(_ tag: Tag) -> (vr: VR, isOneOfSeveral: Bool)? {
    if tag.isGroupLength { return (.UL, false) }
    if tag.isPrivate { return (0x10...0xFF).contains(tag.element) ? (.LO, false) : nil }
    let words =
      table.bytes(HexKey(tag.packed))
      ?? firstOfRepeating(tag).flatMap { table.bytes(HexKey($0.packed)) }
    guard let words, words.count > 2 else { return nil }
    let start = words.startIndex
    guard let vr = VR(words[start], words[start + 1]) else { return nil }
    return (vr, words[start + 2] == UInt8(ascii: "/"))
  }

  /// The tag with a keyword, such as `AccessionNumber`. Looks through the whole table.
  public static func tag(keyword: String) -> Tag? {
    var found: Tag?
    table.forEach { line in
      guard found == nil, line.hasSuffix(keyword) || line.hasSuffix("\(keyword)!") else { return }
      if Entry(line.dropFirst(9))?.keyword == keyword {
        found = UInt32(line.prefix(8), radix: 16).map(Tag.init(packed:))
      }
    }
    return found
  }

  /// Every tag of the table; of a repeating group or element the first.
  public static var tags: [Tag] {
    var all: [Tag] = []
    table.forEach { line in
      if let packed = UInt32(line.prefix(8), radix: 16) { all.append(Tag(packed: packed)) }
    }
    return all
  }

  private static let table = SortedTable(elementTable)

  private static func find(_ tag: Tag) -> Substring? { table.line(HexKey(tag.packed)) }

  /// The tag under which a repeating group or element is entered.
  private static func firstOfRepeating(_ tag: Tag) -> Tag? {
    switch tag.group {
    case 0x5000...0x50FF: Tag(0x5000, tag.element)
    case 0x6000...0x60FF: Tag(0x6000, tag.element)
    case 0x7F00...0x7FFF: Tag(0x7F00, tag.element)
    case 0x0020 where tag.element & 0xFF00 == 0x3100: Tag(0x0020, 0x3100)
    case 0x0028 where tag.element & 0xFF0F <= 0x0403 && tag.element & 0xFF00 == 0x0400:
      Tag(0x0028, 0x0410 | tag.element & 0xF)
    case 0x0028 where tag.element & 0xFF00 == 0x0800: Tag(0x0028, 0x0800 | tag.element & 0xF)
    case 0x1000 where tag.element & 0xF <= 5: Tag(0x1000, 0x0010 | tag.element & 0xF)
    case 0x1010: Tag(0x1010, 0x0004)
    default: nil
    }
  }
}

/// The eight hexadecimal digits of a tag, without a string.
private struct HexKey: RandomAccessCollection {
  let value: UInt32
  init(_ value: UInt32) { self.value = value }
  var startIndex: Int { 0 }
  var endIndex: Int { 8 }
  subscript(index: Int) -> UInt8 {
    let digit = UInt8(truncatingIfNeeded: value >> UInt32(28 - 4 * index)) & 0xF
    return digit < 10 ? 0x30 + digit : 0x37 + digit
  }
}

extension Tag {
  /// The standard's keyword, such as `PatientName`; nil for private and unknown elements.
  public var keyword: String? { DataDictionary.entry(self)?.keyword }

  /// The element with a keyword; nil if the dictionary has none.
  public init?(keyword: String) {
    guard let tag = DataDictionary.tag(keyword: keyword) else { return nil }
    self = tag
  }
}
