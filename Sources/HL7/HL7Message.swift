/// A message of HL7 version 2 in its vertical-bar encoding (HL7 2.5.1 chapter 2).
///
/// It keeps the bytes it was read from, so that ``encoded()`` gives back exactly what came; fields
/// are looked up when they are asked for, escapes and the character set undone then.
///
/// ```swift
/// let message = try HL7Message(parsing: bytes)
/// message.text("MSH", 10)        // the control id
/// message.text("PID", 3, 1)      // the patient's number
/// ```
public struct HL7Message: Sendable, Hashable {
  public let delimiters: Delimiters
  public private(set) var segments: [HL7Segment]
  public let characterSet: HL7CharacterSet

  /// Separators and the escape character (MSH-1 and MSH-2).
  public struct Delimiters: Sendable, Hashable {
    public var field: UInt8 = 0x7C
    public var component: UInt8 = 0x5E
    public var repetition: UInt8 = 0x7E
    public var escape: UInt8 = 0x5C
    public var subcomponent: UInt8 = 0x26

    public static let standard = Delimiters()

    public init() {}

    /// MSH-1 and MSH-2.
    var header: [UInt8] { [field, component, repetition, escape, subcomponent] }
  }

  public static let longestMessage = 10 << 20
  public static let mostSegments = 100_000

  /// Reads a message. Segments end in CR; LF and CRLF are taken as well, and given back as they
  /// came.
  public init(parsing bytes: [UInt8]) throws(HL7ParseError) {
    guard bytes.count <= Self.longestMessage else {
      throw HL7ParseError(0, 1, "the message is longer than \(Self.longestMessage) bytes")
    }
    delimiters = try Self.delimiters(bytes)
    var segments: [HL7Segment] = []
    var start = 0
    while start < bytes.count {
      var end = start
      while end < bytes.count, bytes[end] != 0x0D, bytes[end] != 0x0A { end += 1 }
      var next = end
      if next < bytes.count {
        next += bytes[end] == 0x0D && end + 1 < bytes.count && bytes[end + 1] == 0x0A ? 2 : 1
      }
      guard segments.count < Self.mostSegments else {
        throw HL7ParseError(
          start, segments.count + 1, "more than \(Self.mostSegments) segments")
      }
      let segment = HL7Segment(
        bytes: Array(bytes[start..<end]), terminator: Array(bytes[end..<next]), delimiters)
      // An empty line is kept for the round trip, and is no segment.
      if !segment.bytes.isEmpty, !segment.hasValidName(delimiters) {
        throw HL7ParseError(
          start, segments.count + 1,
          "expected a segment: three capitals or digits and the field separator")
      }
      segments.append(segment)
      start = next
    }
    self.segments = segments
    let declared = segments[0].field(18)
    characterSet = HL7CharacterSet(
      declared: String(decoding: declared, as: UTF8.self), bytes: bytes, delimiters)
  }

  private static func delimiters(_ bytes: [UInt8]) throws(HL7ParseError) -> Delimiters {
    guard bytes.count >= 8, bytes[0] == 0x4D, bytes[1] == 0x53, bytes[2] == 0x48 else {
      throw HL7ParseError(0, 1, "expected MSH and its delimiters, as MSH|^~\\&|")
    }
    var delimiters = Delimiters()
    delimiters.field = bytes[3]
    delimiters.component = bytes[4]
    delimiters.repetition = bytes[5]
    delimiters.escape = bytes[6]
    delimiters.subcomponent = bytes[7]
    var used: Set<UInt8> = []
    for (index, byte) in bytes[3..<8].enumerated() {
      let isLetter = (byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x7A
      let isDigit = byte >= 0x30 && byte <= 0x39
      guard byte > 0x20, byte < 0x7F, !isLetter, !isDigit, used.insert(byte).inserted else {
        throw HL7ParseError(
          3 + index, 1, "expected five different printable delimiters, as |^~\\&")
      }
    }
    return delimiters
  }

  /// The bytes, as they came.
  public func encoded() -> [UInt8] {
    var bytes: [UInt8] = []
    for segment in segments { bytes += segment.bytes + segment.terminator }
    return bytes
  }

  public func segments(named name: String) -> [HL7Segment] {
    let wanted = Array(name.utf8)
    return segments.filter { $0.bytes.starts(with: wanted) }
  }

  /// A segment by name, the first of them unless another is asked for.
  public func segment(_ name: String, occurrence: Int = 0) -> HL7Segment? {
    let found = segments(named: name)
    return occurrence < found.count ? found[occurrence] : nil
  }

  /// The text of a field's first repetition, or of one of its components, escapes and character
  /// set undone. Fields and components count from 1 as in the standard: MSH-1 is the separator.
  /// Nil where there is no such segment; empty where the field is. `""`, which deletes, is given
  /// back as it stands.
  public func text(
    _ name: String, _ field: Int, _ component: Int? = nil, occurrence: Int = 0
  ) -> String? {
    guard let segment = segment(name, occurrence: occurrence) else { return nil }
    return text(segment, field, component)
  }

  public func text(_ segment: HL7Segment, _ field: Int, _ component: Int? = nil) -> String {
    var value = segment.field(field)
    if segment.isHeader, field <= 2 { return String(decoding: value, as: UTF8.self) }
    value = HL7Segment.part(value, 1, delimiters.repetition)
    if let component { value = HL7Segment.part(value, component, delimiters.component) }
    return characterSet.decode(HL7Escape.decode(value, delimiters))
  }

  /// Nil for an empty text and for the `""` that deletes.
  public func value(
    _ name: String, _ field: Int, _ component: Int? = nil, occurrence: Int = 0
  ) -> String? {
    let text = text(name, field, component, occurrence: occurrence)
    return text == "" || text == "\"\"" ? nil : text
  }

  /// MSH-10.
  public var controlID: String { text("MSH", 10) ?? "" }
  /// MSH-9, as `ORU^R01`.
  public var type: String {
    let code = text("MSH", 9, 1) ?? ""
    let event = text("MSH", 9, 2) ?? ""
    return event.isEmpty ? code : "\(code)^\(event)"
  }
  /// MSH-12.
  public var version: String { text("MSH", 12, 1) ?? "" }
}

/// One segment: its name and fields, as bytes.
public struct HL7Segment: Sendable, Hashable {
  public let bytes: [UInt8]
  /// CR, or what stood in its place; empty after a last segment without one.
  public let terminator: [UInt8]
  private let separator: UInt8

  init(bytes: [UInt8], terminator: [UInt8], _ delimiters: HL7Message.Delimiters) {
    self.bytes = bytes
    self.terminator = terminator
    separator = delimiters.field
  }

  public var name: String { String(decoding: bytes.prefix(3), as: UTF8.self) }

  var isHeader: Bool { bytes.starts(with: [0x4D, 0x53, 0x48]) }

  func hasValidName(_ delimiters: HL7Message.Delimiters) -> Bool {
    guard bytes.count >= 3, bytes.count == 3 || bytes[3] == delimiters.field else { return false }
    return bytes[0..<3].allSatisfy {
      ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x30 && $0 <= 0x39)
    }
  }

  /// The bytes of a field, counted from 1; empty beyond the last.
  public func field(_ number: Int) -> ArraySlice<UInt8> {
    guard number > 0 else { return [] }
    var wanted = number
    if isHeader {
      // MSH-1 is the separator itself.
      if number == 1 { return bytes.count > 3 ? bytes[3..<4] : [] }
      wanted -= 1
    }
    return Self.part(bytes[...], wanted + 1, separator)
  }

  /// The number of fields, empty ones at the end included.
  public var fieldCount: Int {
    bytes.count(where: { $0 == separator }) + (isHeader ? 1 : 0)
  }

  /// The nth part of something, counted from 1; empty beyond the last.
  static func part(
    _ bytes: ArraySlice<UInt8>, _ number: Int, _ separator: UInt8
  ) -> ArraySlice<UInt8> {
    guard number > 0 else { return [] }
    var start = bytes.startIndex
    var left = number - 1
    while left > 0 {
      guard let end = bytes[start...].firstIndex(of: separator) else { return [] }
      start = end + 1
      left -= 1
    }
    let end = bytes[start...].firstIndex(of: separator) ?? bytes.endIndex
    return bytes[start..<end]
  }
}

/// Why bytes are not a message.
public struct HL7ParseError: Error, Hashable, Sendable, CustomStringConvertible {
  /// From the start of the message, in bytes.
  public let offset: Int
  /// From 1.
  public let segment: Int
  public let message: String

  init(_ offset: Int, _ segment: Int, _ message: String) {
    self.offset = offset
    self.segment = segment
    self.message = message
  }

  public var description: String { "segment \(segment), byte \(offset): \(message)" }
}
