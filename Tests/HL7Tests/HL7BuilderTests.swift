import Testing

@testable import HL7

@Suite("Building HL7 messages")
struct HL7BuilderTests {
  private func text(_ builder: HL7Builder) -> String {
    String(decoding: builder.bytes, as: UTF8.self)
  }

  @Test("fields stand at their numbers, and empty ones at the end are left out")
  func fields() throws {
    var builder = HL7Builder(.latin1)
    try builder.segment("MSH", [1: .text("no"), 3: .text("A"), 10: .text("7"), 12: .text("")])
    try builder.segment(
      "PID", [3: .components(["1", "", "", "X", ""]), 5: .raw("A^B"), 6: .text(""), 8: .text("")])
    try builder.segment("PV1", [:])
    try builder.segment(
      "ZDS", [1: .repetitions([.text("a|b"), .components(["c", "^"]), .raw("~")])])
    #expect(
      text(builder) == "MSH|^~\\&|A|||||||7\rPID|||1^^^X||A^B\rPV1\rZDS|a\\F\\b~c^\\S\\~~\r")
  }

  @Test("what is written reads back as it was meant")
  func readsBack() throws {
    let awkward = "a|b^c&d~e\\f \\F\\ Å\u{0B}\u{1C}"
    var builder = HL7Builder(.latin1)
    try builder.segment("MSH", [3: .text(awkward), 18: .text("8859/1")])
    try builder.segment("NTE", [3: .text(awkward), 4: .components([awkward, "", awkward])])
    let message = try HL7Message(parsing: builder.bytes)
    #expect(message.text("MSH", 3) == awkward)
    #expect(message.text("NTE", 3) == awkward)
    #expect(message.text("NTE", 4, 1) == awkward)
    #expect(message.text("NTE", 4, 2) == "")
    #expect(message.text("NTE", 4, 3) == awkward)
    #expect(message.segments.count == 2)
  }

  @Test("line ends in a text are line breaks and end no segment")
  func lineEnds() throws {
    var builder = HL7Builder(.utf8)
    try builder.segment("MSH", [:])
    try builder.segment("NTE", [3: .text("one\r\ntwo\rthree\nZDS|1")])
    let message = try HL7Message(parsing: builder.bytes)
    #expect(message.segments.count == 2)
    #expect(message.text("NTE", 3) == "one\ntwo\nthree\nZDS|1")
  }

  @Test("an unencodable character is an error that names field and code point, not the text")
  func unencodable() throws {
    let cases: [(HL7Builder.Field, String)] = [
      (.text("Łukasz"), "0141"), (.components(["a", "👍"]), "1F44D"), (.raw("a^€"), "20AC"),
      (.repetitions([.text("a"), .components(["\u{85}", "\u{300}"])]), "0300"),
    ]
    for (field, code) in cases {
      var builder = HL7Builder(.latin1)
      try builder.segment("MSH", [3: .text("A")])
      let before = builder.bytes
      let error = #expect(throws: HL7BuildError.self) {
        try builder.segment("NTE", [1: .text("1"), 3: field])
      }
      #expect(error?.field == "NTE-3")
      #expect(error?.description == "NTE-3: the character U+\(code) is not in 8859/1")
      #expect(builder.bytes == before)
    }
  }

  @Test("another message's bytes and segments are taken as they are")
  func copies() throws {
    let message = try HL7Message(parsing: Samples.order)
    var builder = HL7Builder(message.characterSet, delimiters: message.delimiters)
    for segment in message.segments { builder.segment(segment) }
    #expect(builder.bytes == Samples.order)
    try builder.segment("ZZZ", [2: .bytes([0xFF, 0x5E])])
    #expect(builder.bytes.suffix(8) == [0x5A, 0x5A, 0x5A, 0x7C, 0x7C, 0xFF, 0x5E, 0x0D])
  }

  @Test("other delimiters are written, escaped and read back")
  func otherDelimiters() throws {
    let delimiters = try Samples.message("MSH#*+!%#\r").delimiters
    var builder = HL7Builder(.utf8, delimiters: delimiters)
    try builder.segment("MSH", [3: .components(["a#b", "c|d"]), 10: .text("*")])
    #expect(text(builder) == "MSH#*+!%#a!F!b*c|d#######!S!\r")
    let message = try HL7Message(parsing: builder.bytes)
    #expect(message.text("MSH", 3, 1) == "a#b")
    #expect(message.text("MSH", 3, 2) == "c|d")
    #expect(message.controlID == "*")
  }
}
