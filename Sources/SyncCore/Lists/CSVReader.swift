/// Reads CSV as robots and report engines write it (RFC 4180 with any of three separators), field
/// by field over the bytes. Knows nothing of lists.
struct CSVReader {
  struct Failure: Error, Hashable {
    var line: Int
    var message: String
  }

  private let bytes: ArraySlice<UInt8>
  private let separator: UInt8
  private let isWindows1252: Bool
  private var index: Int
  /// The line the next record begins on, from 1.
  private(set) var line = 1

  /// The longest field taken, in bytes: far beyond anything a list holds.
  static let longestField = 64 * 1024

  init(_ bytes: ArraySlice<UInt8>, separator: UInt8, isWindows1252: Bool) {
    self.bytes = bytes
    self.separator = separator
    self.isWindows1252 = isWindows1252
    index = bytes.startIndex
  }

  /// The next record; nil at the end. Empty lines are passed over.
  mutating func next() throws(Failure) -> [String]? {
    while index < bytes.endIndex, bytes[index] == 0x0A || bytes[index] == 0x0D {
      if bytes[index] == 0x0A { line += 1 }
      index += 1
    }
    guard index < bytes.endIndex else { return nil }
    var fields: [String] = []
    var endOfLine = 0
    while true {
      fields.append(try field(&endOfLine))
      guard index < bytes.endIndex else { break }
      // A separator at the very end of the file stands before one more, empty, field.
      guard bytes[index] == separator else { break }
      index += 1
    }
    if index < bytes.endIndex, bytes[index] == 0x0D {
      guard index + 1 == bytes.endIndex || bytes[index + 1] == 0x0A else {
        throw Failure(line: line, message: "a carriage return without a line feed")
      }
      index += 1
    }
    if index < bytes.endIndex, bytes[index] == 0x0A { index += 1 }
    line += 1 + endOfLine
    return fields
  }

  private mutating func field(_ linesInside: inout Int) throws(Failure) -> String {
    if index < bytes.endIndex, bytes[index] == 0x22 { return try quoted(&linesInside) }
    let start = index
    while index < bytes.endIndex {
      let byte = bytes[index]
      if byte == separator || byte == 0x0A || byte == 0x0D { break }
      if byte == 0x22 {
        throw Failure(
          line: line, message: "a quote in the middle of a field that has none around it")
      }
      index += 1
    }
    return try text(bytes[start..<index])
  }

  private mutating func quoted(_ linesInside: inout Int) throws(Failure) -> String {
    let opened = line + linesInside
    index += 1
    var content: [UInt8] = []
    while index < bytes.endIndex {
      let byte = bytes[index]
      index += 1
      if byte == 0x22 {
        guard index < bytes.endIndex, bytes[index] == 0x22 else {
          if index < bytes.endIndex, bytes[index] != separator, bytes[index] != 0x0A,
            bytes[index] != 0x0D
          {
            throw Failure(line: opened, message: "text after the closing quote of a field")
          }
          return try text(content[...])
        }
        index += 1
      }
      if byte == 0x0A { linesInside += 1 }
      content.append(byte)
      if content.count > Self.longestField { break }
    }
    throw Failure(line: opened, message: "a quote is opened and not closed")
  }

  private func text(_ content: ArraySlice<UInt8>) throws(Failure) -> String {
    guard content.count <= Self.longestField else {
      throw Failure(line: line, message: "a field of more than \(Self.longestField) bytes")
    }
    if content.contains(0) {
      throw Failure(line: line, message: "a NUL byte; is the file in UTF-16?")
    }
    if isWindows1252 {
      guard let text = Windows1252.decode(content) else {
        throw Failure(
          line: line, message: "a byte that windows-1252 does not have: how was the file made?")
      }
      return text
    }
    guard let text = String(validating: content, as: UTF8.self) else {
      throw Failure(line: line, message: "not UTF-8; is the file in windows-1252?")
    }
    return text
  }
}

/// The code page of Western European Windows.
enum Windows1252 {
  private static let upper: [UInt16] = [
    0x20AC, 0xFFFD, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021, 0x02C6, 0x2030, 0x0160, 0x2039,
    0x0152, 0xFFFD, 0x017D, 0xFFFD, 0xFFFD, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
    0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0xFFFD, 0x017E, 0x0178,
  ]

  /// Nil where a byte stands for nothing: a replacement would be another identifier.
  static func decode(_ bytes: ArraySlice<UInt8>) -> String? {
    if bytes.allSatisfy({ $0 < 0x80 }) { return String(decoding: bytes, as: UTF8.self) }
    var text = String.UnicodeScalarView()
    for byte in bytes {
      let code = (0x80..<0xA0).contains(byte) ? upper[Int(byte) - 0x80] : UInt16(byte)
      guard code != 0xFFFD, let scalar = Unicode.Scalar(code) else { return nil }
      text.append(scalar)
    }
    return String(text)
  }
}
