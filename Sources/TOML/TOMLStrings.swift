// Strings: basic and literal, on one line and on several.

extension TOMLParser {
  private static let quote = UInt8(ascii: "\"")
  private static let apostrophe = UInt8(ascii: "'")

  private func check(_ byte: UInt8) throws(TOMLError) {
    if (byte < 0x20 && byte != 0x09) || byte == 0x7F {
      if byte == 0x0A || byte == 0x0D {
        throw fail("the string is not closed on its line (use three quotes for several lines)")
      }
      throw fail("\(found) is not allowed in a string: write it as an escape")
    }
  }

  mutating func parseBasicString() throws(TOMLError) -> String {
    index += 1
    var text: [UInt8] = []
    while let byte = peek {
      if byte == Self.quote {
        index += 1
        return String(decoding: text, as: UTF8.self)
      }
      if byte == UInt8(ascii: "\\") {
        try parseEscape(into: &text)
        continue
      }
      try check(byte)
      text.append(byte)
      index += 1
    }
    throw fail("the string is not closed")
  }

  mutating func parseLiteralString() throws(TOMLError) -> String {
    index += 1
    let start = index
    while let byte = peek {
      if byte == Self.apostrophe {
        index += 1
        return String(decoding: bytes[start..<index - 1], as: UTF8.self)
      }
      try check(byte)
      index += 1
    }
    throw fail("the string is not closed")
  }

  mutating func parseMultilineBasic() throws(TOMLError) -> String {
    index += 3
    _ = takeNewline()
    var text: [UInt8] = []
    while let byte = peek {
      if byte == Self.quote, let count = closing(Self.quote) {
        text += Array(repeating: byte, count: count - 3)
        index += count
        return String(decoding: text, as: UTF8.self)
      }
      if byte == UInt8(ascii: "\\") {
        if !skipFoldedLine() { try parseEscape(into: &text) }
        continue
      }
      try takeMultilineCharacter(byte, into: &text)
    }
    throw fail("the string is not closed: expected \"\"\"")
  }

  mutating func parseMultilineLiteral() throws(TOMLError) -> String {
    index += 3
    _ = takeNewline()
    var text: [UInt8] = []
    while let byte = peek {
      if byte == Self.apostrophe, let count = closing(Self.apostrophe) {
        text += Array(repeating: byte, count: count - 3)
        index += count
        return String(decoding: text, as: UTF8.self)
      }
      try takeMultilineCharacter(byte, into: &text)
    }
    throw fail("the string is not closed: expected '''")
  }

  /// How many delimiters stand here, three to five of which close the string: the last three close,
  /// the others belong to it.
  private func closing(_ delimiter: UInt8) -> Int? {
    var count = 0
    while count < 5, peek(count) == delimiter { count += 1 }
    return count >= 3 ? count : nil
  }

  private mutating func takeMultilineCharacter(
    _ byte: UInt8, into text: inout [UInt8]
  ) throws(TOMLError) {
    let start = index
    if takeNewline() {
      text += bytes[start..<index]
      return
    }
    if byte == 0x0D { throw fail("a carriage return must be followed by a line feed") }
    try check(byte)
    text.append(byte)
    index += 1
  }

  /// A backslash at the end of a line swallows it with all white space up to the next character.
  private mutating func skipFoldedLine() -> Bool {
    let start = index
    index += 1
    skipBlanks()
    guard takeNewline() else {
      index = start
      return false
    }
    repeat { skipBlanks() } while takeNewline()
    return true
  }

  private mutating func parseEscape(into text: inout [UInt8]) throws(TOMLError) {
    let start = index
    index += 1
    guard let byte = peek else { throw fail("the string is not closed") }
    index += 1
    switch byte {
    case UInt8(ascii: "b"): text.append(0x08)
    case UInt8(ascii: "t"): text.append(0x09)
    case UInt8(ascii: "n"): text.append(0x0A)
    case UInt8(ascii: "f"): text.append(0x0C)
    case UInt8(ascii: "r"): text.append(0x0D)
    case UInt8(ascii: "\""): text.append(0x22)
    case UInt8(ascii: "\\"): text.append(0x5C)
    case UInt8(ascii: "u"): try parseCodePoint(digits: 4, start, into: &text)
    case UInt8(ascii: "U"): try parseCodePoint(digits: 8, start, into: &text)
    default:
      throw fail(
        "unknown escape: allowed are \\b \\t \\n \\f \\r \\\" \\\\ \\uXXXX \\UXXXXXXXX "
          + "(use '...' for text with backslashes)", at: start)
    }
  }

  private mutating func parseCodePoint(
    digits: Int, _ start: Int, into text: inout [UInt8]
  ) throws(TOMLError) {
    var value: UInt32 = 0
    for _ in 0..<digits {
      guard let byte = peek, let digit = Self.hexDigit(byte) else {
        throw fail("found \(found), expected \(digits) hexadecimal digits")
      }
      value = value << 4 | UInt32(digit)
      index += 1
    }
    guard let scalar = Unicode.Scalar(value) else {
      throw fail("U+\(String(value, radix: 16, uppercase: true)) is not a character", at: start)
    }
    text += Array(String(Character(scalar)).utf8)
  }

  static func hexDigit(_ byte: UInt8) -> UInt8? {
    switch byte {
    case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
    case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
    case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
    default: nil
    }
  }
}
