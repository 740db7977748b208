/// Reads big endian numbers and fields of the upper layer's PDUs, never past their end.
struct WireReader {
  private let bytes: [UInt8]
  private(set) var position: Int
  private let end: Int

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    position = 0
    end = bytes.count
  }

  private init(_ bytes: [UInt8], from position: Int, to end: Int) {
    self.bytes = bytes
    self.position = position
    self.end = end
  }

  var remaining: Int { end - position }
  var isAtEnd: Bool { position == end }

  mutating func byte(_ what: String) throws(PDUError) -> UInt8 {
    guard remaining >= 1 else { throw .truncated(what) }
    defer { position += 1 }
    return bytes[position]
  }

  mutating func uint16(_ what: String) throws(PDUError) -> UInt16 {
    guard remaining >= 2 else { throw .truncated(what) }
    defer { position += 2 }
    return UInt16(bytes[position]) << 8 | UInt16(bytes[position + 1])
  }

  mutating func uint32(_ what: String) throws(PDUError) -> UInt32 {
    let high = try uint16(what)
    return UInt32(high) << 16 | UInt32(try uint16(what))
  }

  mutating func take(_ count: Int, _ what: String) throws(PDUError) -> [UInt8] {
    guard count >= 0, remaining >= count else { throw .truncated(what) }
    defer { position += count }
    return Array(bytes[position..<position + count])
  }

  mutating func skip(_ count: Int, _ what: String) throws(PDUError) {
    guard count >= 0, remaining >= count else { throw .truncated(what) }
    position += count
  }

  /// A reader of the next bytes alone, which are passed over.
  mutating func part(_ count: Int, _ what: String) throws(PDUError) -> WireReader {
    guard count >= 0, remaining >= count else { throw .truncated(what) }
    defer { position += count }
    return WireReader(bytes, from: position, to: position + count)
  }

  /// Text without the padding some peers add: trailing NUL and spaces, leading spaces.
  mutating func text(_ count: Int, _ what: String) throws(PDUError) -> String {
    let field = try take(count, what)
    let isPadding = { (byte: UInt8) in byte == 0x20 || byte == 0 }
    guard let first = field.firstIndex(where: { !isPadding($0) }),
      let last = field.lastIndex(where: { !isPadding($0) })
    else { return "" }
    return String(decoding: field[first...last], as: UTF8.self)
  }

  mutating func uid(_ count: Int, _ what: String) throws(PDUError) -> UID {
    UID(try text(count, what))
  }
}

/// Writes PDUs: big endian, items with a 16 bit length (PS3.8 section 9.3).
struct WireWriter {
  private(set) var bytes: [UInt8] = []

  mutating func byte(_ value: UInt8) { bytes.append(value) }

  mutating func uint16(_ value: UInt16) {
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
    bytes.append(UInt8(truncatingIfNeeded: value))
  }

  mutating func uint32(_ value: UInt32) {
    uint16(UInt16(truncatingIfNeeded: value >> 16))
    uint16(UInt16(truncatingIfNeeded: value))
  }

  mutating func append(_ more: some Sequence<UInt8>) { bytes.append(contentsOf: more) }

  /// An AE title: 16 characters, filled with spaces (PS3.8 table 9-11).
  mutating func aeTitle(_ title: String) {
    let characters = Array(title.utf8.prefix(16))
    append(characters)
    append(repeatElement(0x20, count: 16 - characters.count))
  }

  /// An item: type, reserved byte, 16 bit length, contents.
  mutating func item(
    _ type: UInt8, _ what: String, _ body: (inout WireWriter) throws(PDUError) -> Void
  ) throws(PDUError) {
    var inner = WireWriter()
    try body(&inner)
    guard let length = UInt16(exactly: inner.bytes.count) else { throw .tooLong(what) }
    byte(type)
    byte(0)
    uint16(length)
    append(inner.bytes)
  }

  mutating func item(_ type: UInt8, uid: UID) throws(PDUError) {
    try item(type, "UID") { (inner) throws(PDUError) in inner.append(uid.value.utf8) }
  }

  /// A whole PDU: type, reserved byte, 32 bit length, contents.
  static func pdu(
    _ type: PDUType, _ body: (inout WireWriter) throws(PDUError) -> Void
  ) throws(PDUError) -> [UInt8] {
    var inner = WireWriter()
    try body(&inner)
    guard let length = UInt32(exactly: inner.bytes.count) else { throw .tooLong("PDU") }
    var writer = WireWriter()
    writer.byte(type.rawValue)
    writer.byte(0)
    writer.uint32(length)
    writer.append(inner.bytes)
    return writer.bytes
  }
}

/// A PDU that does not follow PS3.8 section 9.3, or cannot be written so.
public enum PDUError: Error, Hashable, Sendable, CustomStringConvertible {
  /// The PDU or an item ends within a field.
  case truncated(String)
  /// A field's contents do not fit the length field in front of it.
  case tooLong(String)
  case invalid(String)

  public var description: String {
    switch self {
    case .truncated(let what): "PDU ends within \(what)"
    case .tooLong(let what): "\(what) is too long for a PDU"
    case .invalid(let what): "invalid PDU: \(what)"
    }
  }
}
