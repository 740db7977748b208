import Glibc

/// Reads CSV as robots and report engines write it (RFC 4180 with any of three separators), field
/// by field over bytes that come in pieces. Knows nothing of lists.
struct CSVReader {
  struct Failure: Error, Hashable {
    var line: Int
    var message: String
  }

  /// Puts bytes into a buffer, as many as it likes but at least one; 0 at the end.
  typealias Source = (UnsafeMutableRawBufferPointer) -> Int

  private let source: Source
  private let separator: UInt8
  private let isWindows1252: Bool
  /// The bytes at hand; those behind `end` count for nothing.
  private var buffer: [UInt8]
  private var end = 0
  private var index = 0
  /// The line the next record begins on, from 1.
  private(set) var line = 1
  /// What failed is a text that is not UTF-8.
  private(set) var isNotUTF8 = false

  /// The longest field taken, in bytes: far beyond anything a list holds.
  static let longestField = 64 * 1024
  private static let pieceSize = 64 * 1024

  init(separator: UInt8, isWindows1252: Bool, source: @escaping Source) {
    self.source = source
    self.separator = separator
    self.isWindows1252 = isWindows1252
    // A field that began in an earlier piece, and one more piece.
    buffer = [UInt8](repeating: 0, count: Self.longestField + 1 + Self.pieceSize)
  }

  /// The next record; nil at the end. Empty lines are passed over.
  mutating func next() throws(Failure) -> [String]? {
    while let byte = peek(), byte == 0x0A || byte == 0x0D {
      if byte == 0x0A { line += 1 }
      index += 1
    }
    guard peek() != nil else { return nil }
    var fields: [String] = []
    var linesInside = 0
    while true {
      fields.append(try field(&linesInside))
      // A separator at the very end of the file stands before one more, empty, field.
      guard let byte = peek(), byte == separator else { break }
      index += 1
    }
    if peek() == 0x0D {
      index += 1
      guard peek() ?? 0x0A == 0x0A else {
        throw Failure(line: line, message: "a carriage return without a line feed")
      }
    }
    if peek() == 0x0A { index += 1 }
    line += 1 + linesInside
    return fields
  }

  /// The byte that comes next; nil at the end.
  private mutating func peek() -> UInt8? {
    if index < end { return buffer[index] }
    return more(keeping: index) ? buffer[index] : nil
  }

  /// Gets more bytes, and moves those from `start` on to the beginning. False at the end.
  private mutating func more(keeping start: Int) -> Bool {
    let kept = end - start
    let count = buffer.withUnsafeMutableBytes { bytes in
      if kept > 0, start > 0 {
        memmove(bytes.baseAddress!, bytes.baseAddress! + start, kept)
      }
      return source(
        UnsafeMutableRawBufferPointer(
          rebasing: bytes[kept..<min(bytes.count, kept + Self.pieceSize)]))
    }
    index -= start
    end = kept + count
    return count > 0
  }

  private mutating func field(_ linesInside: inout Int) throws(Failure) -> String {
    if peek() == 0x22 { return try quoted(&linesInside) }
    var start = index
    while true {
      index = endOfPlain(from: index)
      if index < end || index - start > Self.longestField { break }
      let isMore = more(keeping: start)
      start = 0
      if !isMore { break }
    }
    if index < end, buffer[index] == 0x22 {
      throw Failure(
        line: line, message: "a quote in the middle of a field that has none around it")
    }
    return try text(buffer[start..<index])
  }

  /// Where the bytes at hand have the first one that ends a field without quotes.
  private func endOfPlain(from start: Int) -> Int {
    buffer.withUnsafeBufferPointer { bytes in
      var place = start
      while place < end {
        let byte = bytes[place]
        if byte == separator || byte == 0x0A || byte == 0x0D || byte == 0x22 { break }
        place += 1
      }
      return place
    }
  }

  private mutating func quoted(_ linesInside: inout Int) throws(Failure) -> String {
    let opened = line + linesInside
    index += 1
    var content: [UInt8] = []
    while let byte = peek() {
      index += 1
      if byte == 0x22 {
        let following = peek()
        guard following == 0x22 else {
          if let following, following != separator, following != 0x0A, following != 0x0D {
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

  private mutating func text(_ content: ArraySlice<UInt8>) throws(Failure) -> String {
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
      isNotUTF8 = true
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
