extension JSONValue {
  /// Reads one JSON text (RFC 8259), strictly: UTF-8, no byte order mark, nothing after the value
  /// but white space, no key twice in an object.
  public static func parse(
    _ bytes: [UInt8], limits: JSONLimits = JSONLimits()
  ) throws(JSONError) -> JSONValue {
    var parser = JSONParser(bytes: bytes, limits: limits)
    return try parser.parseText()
  }

  /// Reads one JSON text.
  public static func parse(
    _ text: String, limits: JSONLimits = JSONLimits()
  ) throws(JSONError) -> JSONValue {
    try parse(Array(text.utf8), limits: limits)
  }
}

/// A recursive descent over bytes; each is looked at once, but for the contents of strings, which
/// are found first and copied then.
private struct JSONParser {
  let bytes: [UInt8]
  let limits: JSONLimits
  var index = 0
  var depth = 0
  var values = 0

  init(bytes: [UInt8], limits: JSONLimits) {
    self.bytes = bytes
    self.limits = limits
  }

  mutating func parseText() throws(JSONError) -> JSONValue {
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { throw error(.byteOrderMark) }
    skipWhitespace()
    let value = try parseValue()
    skipWhitespace()
    if index < bytes.count { throw error(.trailingBytes) }
    return value
  }

  // RFC 8259 section 3.
  private mutating func parseValue() throws(JSONError) -> JSONValue {
    values += 1
    if values > limits.values { throw error(.tooManyValues(limit: limits.values)) }
    guard index < bytes.count else { throw error(.unexpectedEnd) }
    switch bytes[index] {
    case UInt8(ascii: "\""): return .string(try parseString())
    case UInt8(ascii: "{"): return .object(try parseObject())
    case UInt8(ascii: "["): return .array(try parseArray())
    case UInt8(ascii: "t"): return try parseWord("true", .bool(true))
    case UInt8(ascii: "f"): return try parseWord("false", .bool(false))
    case UInt8(ascii: "n"): return try parseWord("null", .null)
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return try parseNumber()
    default: throw unexpected("a value")
    }
  }

  // Section 4.
  private mutating func parseObject() throws(JSONError) -> JSONObject {
    try enter()
    var object = JSONObject()
    if !skip(UInt8(ascii: "}")) {
      repeat {
        skipWhitespace()
        let start = index
        guard index < bytes.count, bytes[index] == UInt8(ascii: "\"") else {
          throw unexpected(object.isEmpty ? "a key in quotes or '}'" : "a key in quotes")
        }
        let key = try parseString()
        guard skip(UInt8(ascii: ":")) else { throw unexpected("':'") }
        skipWhitespace()
        let value = try parseValue()
        guard object.insert(key, value) else {
          throw JSONError(offset: start, reason: .duplicateKey)
        }
      } while skip(UInt8(ascii: ","))
      guard skip(UInt8(ascii: "}")) else { throw unexpected("',' or '}'") }
    }
    depth -= 1
    return object
  }

  // Section 5.
  private mutating func parseArray() throws(JSONError) -> [JSONValue] {
    try enter()
    var elements: [JSONValue] = []
    if !skip(UInt8(ascii: "]")) {
      repeat {
        skipWhitespace()
        elements.append(try parseValue())
      } while skip(UInt8(ascii: ","))
      guard skip(UInt8(ascii: "]")) else { throw unexpected("',' or ']'") }
    }
    depth -= 1
    return elements
  }

  private mutating func enter() throws(JSONError) {
    guard depth < limits.depth else { throw error(.tooDeep(limit: limits.depth)) }
    depth += 1
    index += 1
  }

  private mutating func parseWord(
    _ word: StaticString, _ value: JSONValue
  ) throws(JSONError) -> JSONValue {
    for position in 0..<word.utf8CodeUnitCount {
      guard index < bytes.count else { throw error(.unexpectedEnd) }
      guard bytes[index] == word.utf8Start[position] else { throw unexpected("\(word)") }
      index += 1
    }
    return value
  }

  // Section 6.
  private mutating func parseNumber() throws(JSONError) -> JSONValue {
    let start = index
    func invalid(_ parser: JSONParser) -> JSONError {
      JSONError(
        offset: parser.index,
        reason: parser.index < parser.bytes.count ? .invalidNumber : .unexpectedEnd)
    }
    let isNegative = bytes[index] == UInt8(ascii: "-")
    if isNegative { index += 1 }
    // Counted downwards: Int64 has one more negative value than positive ones.
    var value: Int64 = 0
    var fits = true
    let digits = index
    while let digit = digit() {
      let (product, overflow) = value.multipliedReportingOverflow(by: 10)
      let (difference, overflow2) = product.subtractingReportingOverflow(Int64(digit))
      if overflow || overflow2 { fits = false }
      value = difference
    }
    guard index > digits else { throw invalid(self) }
    if bytes[digits] == UInt8(ascii: "0"), index > digits + 1 {
      throw JSONError(offset: digits, reason: .invalidNumber)
    }
    var isInteger = true
    if index < bytes.count, bytes[index] == UInt8(ascii: ".") {
      isInteger = false
      index += 1
      let fraction = index
      while digit() != nil {}
      guard index > fraction else { throw invalid(self) }
    }
    if index < bytes.count, bytes[index] | 0x20 == UInt8(ascii: "e") {
      isInteger = false
      index += 1
      if index < bytes.count, [UInt8(ascii: "+"), UInt8(ascii: "-")].contains(bytes[index]) {
        index += 1
      }
      let exponent = index
      while digit() != nil {}
      guard index > exponent else { throw invalid(self) }
    }
    if isInteger, fits {
      if isNegative { return .integer(value) }
      let (positive, overflow) = (0 as Int64).subtractingReportingOverflow(value)
      if !overflow { return .integer(positive) }
    }
    if isInteger, !limits.roundsLargeIntegers {
      throw JSONError(offset: start, reason: .numberOutOfRange)
    }
    guard let number = Double(String(decoding: bytes[start..<index], as: UTF8.self)),
      number.isFinite
    else { throw JSONError(offset: start, reason: .numberOutOfRange) }
    return .number(number)
  }

  private mutating func digit() -> UInt8? {
    guard index < bytes.count else { return nil }
    let byte = bytes[index]
    guard byte >= UInt8(ascii: "0"), byte <= UInt8(ascii: "9") else { return nil }
    index += 1
    return byte - UInt8(ascii: "0")
  }

  // Section 7.
  private mutating func parseString() throws(JSONError) -> String {
    index += 1
    let start = index
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\"") {
        let text = try text(bytes[start..<index], from: start)
        index += 1
        return text
      }
      if byte == UInt8(ascii: "\\") { return try parseEscapedString(from: start) }
      if byte < 0x20 { throw error(.controlCharacter(byte)) }
      index += 1
    }
    throw error(.unexpectedEnd)
  }

  private mutating func parseEscapedString(from start: Int) throws(JSONError) -> String {
    // What has been copied is checked by the run, so that an error's offset is one in the input.
    var contents: String = try text(bytes[start..<index], from: start)
    var run = index
    while index < bytes.count {
      let byte = bytes[index]
      if byte == UInt8(ascii: "\"") {
        contents += try text(bytes[run..<index], from: run)
        index += 1
        return contents
      }
      if byte == UInt8(ascii: "\\") {
        contents += try text(bytes[run..<index], from: run)
        contents.unicodeScalars.append(try parseEscape())
        run = index
        continue
      }
      if byte < 0x20 { throw error(.controlCharacter(byte)) }
      index += 1
    }
    throw error(.unexpectedEnd)
  }

  private mutating func parseEscape() throws(JSONError) -> Unicode.Scalar {
    let start = index
    guard index + 1 < bytes.count else {
      throw JSONError(offset: bytes.count, reason: .unexpectedEnd)
    }
    index += 2
    switch bytes[index - 1] {
    case UInt8(ascii: "\""): return "\""
    case UInt8(ascii: "\\"): return "\\"
    case UInt8(ascii: "/"): return "/"
    case UInt8(ascii: "b"): return "\u{8}"
    case UInt8(ascii: "f"): return "\u{C}"
    case UInt8(ascii: "n"): return "\n"
    case UInt8(ascii: "r"): return "\r"
    case UInt8(ascii: "t"): return "\t"
    case UInt8(ascii: "u"): break
    default: throw JSONError(offset: start, reason: .invalidEscape)
    }
    let unit = try hexadecimal(start)
    if let scalar = Unicode.Scalar(unit) { return scalar }
    // A high surrogate, and the low one that must follow.
    guard unit < 0xDC00, index + 1 < bytes.count, bytes[index] == UInt8(ascii: "\\"),
      bytes[index + 1] == UInt8(ascii: "u")
    else { throw JSONError(offset: start, reason: .loneSurrogate) }
    index += 2
    let low = try hexadecimal(index - 2)
    guard (0xDC00...0xDFFF).contains(low),
      let scalar = Unicode.Scalar(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
    else { throw JSONError(offset: start, reason: .loneSurrogate) }
    return scalar
  }

  private mutating func hexadecimal(_ start: Int) throws(JSONError) -> UInt32 {
    var value: UInt32 = 0
    for _ in 0..<4 {
      guard index < bytes.count else { throw error(.unexpectedEnd) }
      let byte = bytes[index]
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value << 4 | UInt32(byte - 0x30)
      case UInt8(ascii: "A")...UInt8(ascii: "F"): value = value << 4 | UInt32(byte - 0x37)
      case UInt8(ascii: "a")...UInt8(ascii: "f"): value = value << 4 | UInt32(byte - 0x57)
      default: throw JSONError(offset: start, reason: .invalidEscape)
      }
      index += 1
    }
    return value
  }

  private func text(_ run: ArraySlice<UInt8>, from start: Int) throws(JSONError) -> String {
    // Most strings are ASCII, for which this is several times faster than validating.
    if run.allSatisfy({ $0 < 0x80 }) { return String(decoding: run, as: UTF8.self) }
    if let text = String(validating: run, as: UTF8.self) { return text }
    throw JSONError(offset: start + Self.validPrefix(run), reason: .invalidUTF8)
  }

  /// How many bytes come before the first sequence that is not UTF-8.
  private static func validPrefix(_ run: ArraySlice<UInt8>) -> Int {
    var iterator = run.makeIterator()
    var decoder = UTF8()
    var valid = 0
    while case .scalarValue(let scalar) = decoder.decode(&iterator) {
      valid += UTF8.width(scalar)
    }
    return valid
  }

  private mutating func skipWhitespace() {
    while index < bytes.count {
      switch bytes[index] {
      case 0x20, 0x09, 0x0A, 0x0D: index += 1
      default: return
      }
    }
  }

  /// Steps over white space and the byte, if it comes next.
  private mutating func skip(_ byte: UInt8) -> Bool {
    skipWhitespace()
    guard index < bytes.count, bytes[index] == byte else { return false }
    index += 1
    return true
  }

  private func error(_ reason: JSONError.Reason) -> JSONError {
    JSONError(offset: index, reason: reason)
  }

  private func unexpected(_ expected: String) -> JSONError {
    guard index < bytes.count else { return error(.unexpectedEnd) }
    return error(.unexpectedByte(bytes[index], expected: expected))
  }
}
