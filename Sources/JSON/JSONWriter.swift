extension JSONValue {
  public enum Style: Hashable, Sendable {
    /// No white space at all.
    case compact
    /// Two spaces a level, a member or element a line.
    case pretty
  }

  /// The value as a JSON text in UTF-8. The same value gives the same bytes, and numbers read back
  /// as they were. JSON has no infinities and no NaN: they become null.
  public func serialized(_ style: Style = .compact) -> [UInt8] {
    var bytes: [UInt8] = []
    write(into: &bytes, style)
    return bytes
  }

  /// Appends the value as a JSON text, without a line's end.
  public func write(into bytes: inout [UInt8], _ style: Style = .compact) {
    write(into: &bytes, style, level: 0)
  }

  private func write(into bytes: inout [UInt8], _ style: Style, level: Int) {
    switch self {
    case .null: bytes += "null".utf8
    case .bool(let value): bytes += (value ? "true" : "false").utf8
    case .integer(let value): bytes += String(value).utf8
    case .number(let value): bytes += (value.isFinite ? value.description : "null").utf8
    case .string(let value): Self.write(value, into: &bytes)
    case .array(let elements):
      if elements.isEmpty {
        bytes += "[]".utf8
        return
      }
      var separator = UInt8(ascii: "[")
      for element in elements {
        bytes.append(separator)
        separator = UInt8(ascii: ",")
        Self.breakLine(&bytes, style, level + 1)
        element.write(into: &bytes, style, level: level + 1)
      }
      Self.breakLine(&bytes, style, level)
      bytes.append(UInt8(ascii: "]"))
    case .object(let members):
      if members.isEmpty {
        bytes += "{}".utf8
        return
      }
      var separator = UInt8(ascii: "{")
      for (key, value) in members {
        bytes.append(separator)
        separator = UInt8(ascii: ",")
        Self.breakLine(&bytes, style, level + 1)
        Self.write(key, into: &bytes)
        bytes.append(UInt8(ascii: ":"))
        if style == .pretty { bytes.append(0x20) }
        value.write(into: &bytes, style, level: level + 1)
      }
      Self.breakLine(&bytes, style, level)
      bytes.append(UInt8(ascii: "}"))
    }
  }

  private static func breakLine(_ bytes: inout [UInt8], _ style: Style, _ level: Int) {
    guard style == .pretty else { return }
    bytes.append(0x0A)
    bytes.append(contentsOf: repeatElement(0x20, count: 2 * level))
  }

  /// Writes a string in quotes, escaping only what must be (RFC 8259 section 7) and DEL, which
  /// terminals act upon.
  private static func write(_ text: String, into bytes: inout [UInt8]) {
    var text = text
    bytes.append(UInt8(ascii: "\""))
    text.withUTF8 { units in
      var run = 0
      for (index, unit) in units.enumerated() {
        guard unit < 0x20 || unit == 0x22 || unit == 0x5C || unit == 0x7F else { continue }
        bytes.append(contentsOf: units[run..<index])
        run = index + 1
        bytes.append(UInt8(ascii: "\\"))
        switch unit {
        case 0x22, 0x5C: bytes.append(unit)
        case 0x08: bytes.append(UInt8(ascii: "b"))
        case 0x09: bytes.append(UInt8(ascii: "t"))
        case 0x0A: bytes.append(UInt8(ascii: "n"))
        case 0x0C: bytes.append(UInt8(ascii: "f"))
        case 0x0D: bytes.append(UInt8(ascii: "r"))
        default:
          let digits = Array("0123456789abcdef".utf8)
          bytes += "u00".utf8
          bytes.append(digits[Int(unit >> 4)])
          bytes.append(digits[Int(unit & 15)])
        }
      }
      bytes.append(contentsOf: units[run...])
    }
    bytes.append(UInt8(ascii: "\""))
  }
}

extension JSONValue: CustomStringConvertible {
  /// The compact JSON text.
  public var description: String { String(decoding: serialized(), as: UTF8.self) }
}
