import Glibc

/// Takes a multipart body apart (RFC 2046 section 5.1; RFC 2387; PS3.18 section 8.6.1), fed in
/// pieces of any size: no I/O, and no part in memory. What a part holds is handed on byte for byte.
///
/// ```swift
/// var parser = try MultipartParser(boundary: boundary)
/// while try exchange.read(into: &piece) {
///   try piece.withUnsafeBytes { bytes in
///     var rest = bytes
///     while let event = try parser.next(&rest) { ... }
///   }
/// }
/// try parser.finish()
/// ```
///
/// A part is whole when its ``Event/partEnded`` has come, the body when ``finish()`` does not throw:
/// a body without its closing delimiter was cut, however many parts it had.
public struct MultipartParser {
  public enum Event {
    /// A part begins; these are its headers.
    case partBegan(PartHeaders)
    /// Its next bytes, valid until the parser or the input is used again.
    case bytes(UnsafeRawBufferPointer)
    case partEnded
    /// The closing delimiter. What follows is of no meaning.
    case closed
  }

  /// The longest boundary (RFC 2046 section 5.1.1).
  public static let longestBoundary = 70
  /// The longest headers of a part, and the longest text before and after the parts, in bytes.
  public static let longestHeaders = 16 << 10
  static let longestRest = 64 << 10

  private enum Place {
    case preamble
    /// Behind a delimiter: the line's end, or the two hyphens that close.
    case delimiterEnd, hyphen, lineFeed
    case headers, body, epilogue
  }

  private let delimiter: Delimiter
  private var place = Place.preamble
  /// How much of the delimiter the latest bytes may be the beginning of. Since a delimiter has its
  /// only CR at its start, what turns out to be something else can only begin one anew.
  private var matched: Int
  /// How much of that belongs to what came before: the body may begin with the delimiter, whose line
  /// break then is that before it.
  private var borrowed: Int
  private var headers: [UInt8] = []
  private var lineStart = 0
  /// Bytes before the parts, behind them, or of a delimiter line's padding.
  private var ignored = 0
  private var announced: Int?
  private var partBytes = 0

  /// - Throws: ``MultipartError`` where it cannot be a boundary.
  public init(boundary: String) throws(MultipartError) {
    let bytes = Array(boundary.utf8)
    guard (1...Self.longestBoundary).contains(bytes.count), bytes.last != 0x20,
      bytes.allSatisfy({ $0 >= 0x20 && $0 < 0x7F })
    else { throw MultipartError.boundary }
    delimiter = Delimiter([0x0D, 0x0A, 0x2D, 0x2D] + bytes)
    matched = 2
    borrowed = 2
  }

  /// The next event that the input completes; nil when all of it has been used.
  /// - Parameter input: what is left of it.
  public mutating func next(
    _ input: inout UnsafeRawBufferPointer
  ) throws(MultipartError) -> Event? {
    while !input.isEmpty {
      switch place {
      case .preamble:
        switch scan(&input) {
        case .bytes(let bytes): try ignore(bytes.count, "before the first part")
        case .delimiter: begin(.delimiterEnd)
        case nil: break
        }
      case .body:
        switch scan(&input) {
        case .bytes(let bytes):
          partBytes += bytes.count
          return .bytes(bytes)
        case .delimiter:
          begin(.delimiterEnd)
          if let announced, announced != partBytes {
            throw MultipartError.length(announced: announced, found: partBytes)
          }
          return .partEnded
        case nil: break
        }
      case .epilogue:
        try ignore(input.count, "behind the last part")
        input = UnsafeRawBufferPointer(rebasing: input[input.count...])
      case .delimiterEnd, .hyphen, .lineFeed, .headers:
        let byte = input[0]
        input = UnsafeRawBufferPointer(rebasing: input[1...])
        if let event = try step(byte) { return event }
      }
    }
    return nil
  }

  /// - Throws: ``MultipartError/incomplete`` where the closing delimiter has not come.
  public func finish() throws(MultipartError) {
    guard place == .epilogue else { throw MultipartError.incomplete }
  }

  // MARK: - Delimiters

  private enum Found {
    case bytes(UnsafeRawBufferPointer)
    case delimiter
  }

  /// What precedes the next delimiter, as far as the input has it; or the delimiter itself.
  private mutating func scan(_ input: inout UnsafeRawBufferPointer) -> Found? {
    if matched > 0 {
      let count = min(input.count, delimiter.bytes.count - matched)
      let isSame = memcmp(input.baseAddress!, delimiter.bytes.baseAddress! + matched, count) == 0
      if isSame {
        matched += count
        input = UnsafeRawBufferPointer(rebasing: input[count...])
        guard matched == delimiter.bytes.count else { return nil }
        matched = 0
        borrowed = 0
        return .delimiter
      }
      // It was none after all: what was held back is content.
      let held = UnsafeRawBufferPointer(rebasing: delimiter.bytes[borrowed..<matched])
      matched = 0
      borrowed = 0
      if !held.isEmpty { return .bytes(held) }
    }
    var start = 0
    while start < input.count,
      let place = memchr(input.baseAddress! + start, 0x0D, input.count - start)
    {
      let at = UnsafeRawPointer(place) - input.baseAddress!
      let count = min(input.count - at, delimiter.bytes.count)
      guard memcmp(place, delimiter.bytes.baseAddress!, count) == 0 else {
        start = at + 1
        continue
      }
      let before = UnsafeRawBufferPointer(rebasing: input[..<at])
      matched = count
      input = UnsafeRawBufferPointer(rebasing: input[(at + count)...])
      guard matched == delimiter.bytes.count else { return before.isEmpty ? nil : .bytes(before) }
      if before.isEmpty {
        matched = 0
        return .delimiter
      }
      // The delimiter is told of next: one byte of it is looked at again.
      matched -= 1
      input = UnsafeRawBufferPointer(start: input.baseAddress! - 1, count: input.count + 1)
      return .bytes(before)
    }
    defer { input = UnsafeRawBufferPointer(rebasing: input[input.count...]) }
    return .bytes(input)
  }

  private mutating func begin(_ next: Place) {
    place = next
    ignored = 0
  }

  private mutating func ignore(_ count: Int, _ where: String) throws(MultipartError) {
    ignored += count
    guard ignored <= Self.longestRest else {
      throw MultipartError.malformed("more than \(Self.longestRest) bytes \(`where`)")
    }
  }

  // MARK: - Lines

  private mutating func step(_ byte: UInt8) throws(MultipartError) -> Event? {
    switch (place, byte) {
    case (.delimiterEnd, 0x20), (.delimiterEnd, 0x09):
      try ignore(1, "of spaces behind a delimiter")
    case (.delimiterEnd, 0x0D): place = .lineFeed
    case (.delimiterEnd, 0x2D) where ignored == 0: place = .hyphen
    case (.lineFeed, 0x0A):
      place = .headers
      headers.removeAll(keepingCapacity: true)
      lineStart = 0
    case (.hyphen, 0x2D):
      begin(.epilogue)
      return .closed
    case (.headers, _): return try header(byte)
    default: throw MultipartError.malformed("a delimiter is followed by something else")
    }
    return nil
  }

  private mutating func header(_ byte: UInt8) throws(MultipartError) -> Event? {
    headers.append(byte)
    guard headers.count <= Self.longestHeaders else {
      throw MultipartError.malformed(
        "a part's headers are longer than \(Self.longestHeaders) bytes")
    }
    guard byte == 0x0A else { return nil }
    guard headers.count >= 2, headers[headers.count - 2] == 0x0D else {
      throw MultipartError.malformed("a part's header ends without CR LF")
    }
    let isEmpty = headers.count - lineStart == 2
    lineStart = headers.count
    guard isEmpty else { return nil }
    let read = try PartHeaders(headers.dropLast(2))
    if let encoding = read["content-transfer-encoding"]?.lowercased(),
      !["binary", "8bit", "7bit"].contains(encoding)
    {
      throw MultipartError.malformed("a part is encoded as \(encoding.prefix(20)), not binary")
    }
    announced = read["content-length"].flatMap { Int($0) }
    partBytes = 0
    place = .body
    // An empty body's delimiter begins with the line break that ended the headers.
    matched = 2
    borrowed = 2
    return .partBegan(read)
  }

  /// The delimiter's bytes where they stay.
  private final class Delimiter {
    let bytes: UnsafeRawBufferPointer

    init(_ delimiter: [UInt8]) {
      let room = UnsafeMutableRawBufferPointer.allocate(byteCount: delimiter.count, alignment: 1)
      room.copyBytes(from: delimiter)
      bytes = UnsafeRawBufferPointer(room)
    }

    deinit { bytes.deallocate() }
  }
}

/// The headers of one part.
public struct PartHeaders: Hashable, Sendable {
  /// Names in lower case.
  public let fields: [String: String]

  /// - Parameter text: whole lines.
  init(_ text: ArraySlice<UInt8>) throws(MultipartError) {
    var fields: [String: String] = [:]
    var last: String?
    for var line in text.split(separator: 0x0A) {
      // Its end has been seen to be CR LF.
      line.removeLast()
      guard line.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 }) else {
        throw MultipartError.malformed("a part's header has control characters")
      }
      if let first = line.first, first == 0x20 || first == 0x09 {
        // A folded line goes on with the one before (RFC 5322 section 2.2.3).
        guard let last else { throw MultipartError.malformed("a part begins with a folded line") }
        fields[last]! += " " + Self.trimmed(line)
        continue
      }
      guard let colon = line.firstIndex(of: UInt8(ascii: ":")), colon > line.startIndex else {
        throw MultipartError.malformed("a part's header has no name")
      }
      let name = Self.trimmed(line[..<colon]).lowercased()
      guard fields.updateValue(Self.trimmed(line[(colon + 1)...]), forKey: name) == nil else {
        throw MultipartError.malformed("a part has the header \(name.prefix(40)) twice")
      }
      last = name
    }
    self.fields = fields
  }

  public subscript(name: String) -> String? { fields[name] }

  public var contentType: MediaType? { fields["content-type"].flatMap { MediaType($0) } }

  private static func trimmed(_ bytes: ArraySlice<UInt8>) -> String {
    var bytes = bytes
    while let first = bytes.first, first == 0x20 || first == 0x09 { bytes.removeFirst() }
    while let last = bytes.last, last == 0x20 || last == 0x09 { bytes.removeLast() }
    return String(decoding: bytes, as: UTF8.self)
  }
}

/// Why a multipart body cannot be taken apart.
public enum MultipartError: Error, Hashable, Sendable, CustomStringConvertible {
  /// 1 to 70 visible characters are one.
  case boundary
  /// It has ended without its closing delimiter: there was more.
  case incomplete
  /// A part that was announced with another length.
  case length(announced: Int, found: Int)
  case malformed(String)

  public var description: String {
    switch self {
    case .boundary: "its boundary is none: 1 to 70 visible characters are"
    case .incomplete: "it ends without its closing delimiter: there was more"
    case .length(let announced, let found):
      "a part of \(found) bytes was announced with \(announced)"
    case .malformed(let what): what
    }
  }
}
