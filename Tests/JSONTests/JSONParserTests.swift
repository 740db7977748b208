import Glibc
import JSON
import Testing

@Suite("JSON reader")
struct JSONParserTests {
  @Test(
    "Every kind of value is read",
    arguments: [
      ("null", .null), (" true\n", .bool(true)), ("false", .bool(false)), ("0", .integer(0)),
      ("-0", .integer(0)), ("-12", .integer(-12)), ("9223372036854775807", .integer(.max)),
      ("-9223372036854775808", .integer(.min)), ("1.0", .number(1)), ("-0.0", .number(-0.0)),
      ("1e2", .number(100)), ("25E-1", .number(2.5)), ("1e-400", .number(0)),
      ("0.1", .number(0.1)), ("5e-324", .number(.leastNonzeroMagnitude)), ("\"\"", .string("")),
      ("\"åäö€😀\"", .string("åäö€😀")), (#""\"\\\/\b\f\n\r\t""#, .string("\"\\/\u{8}\u{C}\n\r\t")),
      (#""\u00e5\uD83D\uDE00x\u0000""#, .string("å😀x\0")), ("[]", .array([])),
      ("[ 1 , [ ] , {} ]", .array([1, [], [:]])), ("{}", .object([:])),
      (#"{"a":1,"b":{"c":[null]}}"#, ["a": 1, "b": ["c": [nil]]]),
      ("{\t\"\" : \"\"\r\n}", ["": ""]),
    ] as [(String, JSONValue)])
  func valid(text: String, value: JSONValue) throws {
    #expect(try JSONValue.parse(text) == value)
  }

  @Test(
    "What is wrong, and where",
    arguments: [
      ("", 0, .unexpectedEnd), ("  ", 2, .unexpectedEnd), ("nul", 3, .unexpectedEnd),
      ("nulx", 3, .unexpectedByte(0x78, expected: "null")),
      ("True", 0, .unexpectedByte(0x54, expected: "a value")),
      ("NaN", 0, .unexpectedByte(0x4E, expected: "a value")),
      ("1 2", 2, .trailingBytes), ("{}\0", 2, .trailingBytes), ("[1,]", 3, value("]")),
      ("[1 2]", 3, .unexpectedByte(0x32, expected: "',' or ']'")), ("[", 1, .unexpectedEnd),
      ("{\"a\"}", 4, .unexpectedByte(0x7D, expected: "':'")),
      ("{\"a\":1,}", 7, .unexpectedByte(0x7D, expected: "a key in quotes")),
      ("{a:1}", 1, .unexpectedByte(0x61, expected: "a key in quotes or '}'")),
      ("{'a':1}", 1, .unexpectedByte(0x27, expected: "a key in quotes or '}'")),
      ("{\"a\":1,\"b\":2,\"a\":3}", 13, .duplicateKey),
      (#"{"a":1,"\u0061":2}"#, 7, .duplicateKey),
      ("01", 0, .invalidNumber), ("-01", 1, .invalidNumber), ("-", 1, .unexpectedEnd),
      ("-x", 1, .invalidNumber), ("+1", 0, value("+")), (".5", 0, value(".")),
      ("1.", 2, .unexpectedEnd), ("1.e1", 2, .invalidNumber), ("1e", 2, .unexpectedEnd),
      ("1e+", 3, .unexpectedEnd), ("1ex", 2, .invalidNumber), ("0x1", 1, .trailingBytes),
      ("9223372036854775808", 0, .numberOutOfRange), ("[1e400]", 1, .numberOutOfRange),
      ("\"a", 2, .unexpectedEnd), ("\"a\nb\"", 2, .controlCharacter(10)),
      (#""a\x""#, 2, .invalidEscape), (#""\u12g4""#, 1, .invalidEscape),
      (#""\u12"#, 5, .unexpectedEnd), (#""\"#, 2, .unexpectedEnd),
      (#""ab\uD800""#, 3, .loneSurrogate), (#""\uDC00""#, 1, .loneSurrogate),
      (#""\uD800\u0041""#, 1, .loneSurrogate), ("\u{FEFF}1", 0, .byteOrderMark),
      ("// comment\n1", 0, value("/")),
    ] as [(String, Int, JSONError.Reason)])
  func invalid(text: String, offset: Int, reason: JSONError.Reason) {
    #expect(throws: JSONError(offset: offset, reason: reason)) { try JSONValue.parse(text) }
  }

  private static func value(_ byte: Unicode.Scalar) -> JSONError.Reason {
    .unexpectedByte(UInt8(byte.value), expected: "a value")
  }

  @Test(
    "Bytes that are not UTF-8 are refused where they are",
    arguments: [
      ([0x22, 0x61, 0xFF, 0x22], 2), ([0x22, 0xC3, 0x22], 1), ([0x22, 0xC0, 0x80, 0x22], 1),
      // A surrogate in UTF-8; beyond Unicode; an overlong solidus after an escape.
      ([0x22, 0xED, 0xA0, 0x80, 0x22], 1), ([0x22, 0xF4, 0x90, 0x80, 0x80, 0x22], 1),
      ([0x22, 0x5C, 0x6E, 0xC3, 0xA5, 0xE0, 0x80, 0xAF, 0x22], 5),
    ] as [([UInt8], Int)])
  func invalidUTF8(bytes: [UInt8], offset: Int) {
    #expect(throws: JSONError(offset: offset, reason: .invalidUTF8)) {
      try JSONValue.parse(bytes)
    }
  }

  @Test("Nesting up to the limit is read, one level more is an error, not a stack overflow")
  func nesting() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "[", count: depth) + String(repeating: "]", count: depth)
    }
    _ = try JSONValue.parse(nested(64))
    #expect(throws: JSONError(offset: 64, reason: .tooDeep(limit: 64))) {
      try JSONValue.parse(nested(65))
    }
    let objects = String(repeating: "{\"a\":", count: 100_000)
    #expect(throws: JSONError(offset: 10, reason: .tooDeep(limit: 2))) {
      try JSONValue.parse(objects, limits: JSONLimits(depth: 2))
    }
    #expect(throws: JSONError(offset: 128, reason: .tooDeep(limit: 128))) {
      try JSONValue.parse(nested(100_000), limits: JSONLimits(depth: .max))
    }
  }

  @Test("Values beyond the limit are an error")
  func values() throws {
    _ = try JSONValue.parse("[1,2]", limits: JSONLimits(values: 3))
    #expect(throws: JSONError(offset: 5, reason: .tooManyValues(limit: 3))) {
      try JSONValue.parse("[1,2,3]", limits: JSONLimits(values: 3))
    }
  }

  @Test("A large integer is a rounded number only where that is asked for")
  func largeIntegers() throws {
    let rounding = JSONLimits(roundsLargeIntegers: true)
    #expect(
      try JSONValue.parse("18446744073709551615", limits: rounding) == .number(0x1p64))
    #expect(try JSONValue.parse("9007199254740993", limits: rounding) == .integer(1 << 53 + 1))
    #expect(throws: JSONError(offset: 0, reason: .numberOutOfRange)) {
      try JSONValue.parse(String(repeating: "9", count: 400), limits: rounding)
    }
  }

  @Test("Keys are told apart by code units, not by canonical equivalence")
  func codeUnits() throws {
    let composed = "\u{E5}"
    let decomposed = "a\u{30A}"
    let value = try JSONValue.parse("{\"\(composed)\":1,\"\(decomposed)\":2}")
    #expect(value[composed] == 1)
    #expect(value[decomposed] == 2)
    #expect(JSONValue.string(composed) != JSONValue.string(decomposed))
  }

  @Test("A hundred thousand elements and keys take linear time")
  func large() throws {
    func seconds(_ text: String, _ count: Int) throws -> Duration {
      let bytes = Array(text.utf8)
      let start = threadTime()
      let value = try JSONValue.parse(bytes)
      let time = threadTime() - start
      #expect((value.arrayValue?.count ?? value.objectValue?.count) == count)
      return time
    }
    // Time of the processor: a busy machine must not make this fail.
    func threadTime() -> Duration {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
    func list(_ count: Int) -> String {
      "["
        + (0..<count).map { #"{"accession":"SE\#($0)","date":"20261123","n":\#($0)}"# }
        .joined(separator: ",") + "]"
    }
    func object(_ count: Int) -> String {
      "{" + (0..<count).map { "\"key\($0)\":\($0)" }.joined(separator: ",") + "}"
    }
    // Quadratic behaviour would be a factor of 100 between the sizes; noise is not.
    for make in [list, object] {
      let small = try seconds(make(10_000), 10_000)
      let large = try seconds(make(100_000), 100_000)
      #expect(large < small * 40)
    }
  }

  @Test("No damaged text crashes the reader, and what it accepts survives a round trip")
  func damaged() throws {
    let text = #"{"a":[1,-2.5e3,true,null,"å\u00e5\n😀",{"b":{}},[]],"c":"\ud83d\ude00","d":0}"#
    let original = Array(text.utf8)
    for length in 0..<original.count {
      #expect(throws: JSONError.self) { try JSONValue.parse(Array(original[..<length])) }
    }
    for index in original.indices {
      for bit in 0..<8 {
        var bytes = original
        bytes[index] ^= 1 << bit
        guard let value = try? JSONValue.parse(bytes) else { continue }
        #expect(try JSONValue.parse(value.serialized()) == value)
      }
    }
  }
}
