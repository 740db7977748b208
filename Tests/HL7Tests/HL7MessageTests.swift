import Testing

@testable import HL7

@Suite("HL7 messages")
struct HL7MessageTests {
  @Test("fields, components and repetitions are where the standard counts them")
  func lookup() throws {
    let message = try HL7Message(parsing: Samples.order)
    #expect(message.type == "ORM^O01")
    #expect(message.controlID == "ID0001")
    #expect(message.version == "2.3.1")
    #expect(message.characterSet == .latin1)
    #expect(message.text("MSH", 1) == "|")
    #expect(message.text("MSH", 2) == "^~\\&")
    #expect(message.text("MSH", 3) == "SYNC")
    #expect(message.text("MSH", 18) == "8859/1")
    #expect(message.text("MSH", 19) == "")
    #expect(message.text("PID", 3, 1) == "191212121212")
    #expect(message.text("PID", 3, 4) == "REMOTE")
    #expect(message.text("PID", 3, 5) == "")
    #expect(message.text("PID", 5) == "Tolvansson^Tolvan")
    #expect(message.text("PV1", 1) == nil)
    #expect(message.text("ZDS", 1, 2) == "SYNC")
    #expect(message.segments.map(\.name) == ["MSH", "PID", "ORC", "OBR", "ZDS"])
  }

  @Test("field numbers below one and beyond the last are empty")
  func outside() throws {
    let segment = try #require(HL7Message(parsing: Samples.order).segment("ORC"))
    #expect(segment.fieldCount == 5)
    #expect(segment.field(0).isEmpty)
    #expect(segment.field(-1).isEmpty)
    #expect(segment.field(6).isEmpty)
    #expect(segment.field(Int.max - 1).isEmpty)
    #expect(HL7Segment.part(segment.field(2), 0, 0x5E).isEmpty)
    let header = try #require(HL7Message(parsing: Samples.order).segment("MSH"))
    #expect(header.fieldCount == 18)
    #expect(header.field(0).isEmpty)
  }

  @Test("empty and trailing fields are kept apart from missing segments and from deletion")
  func empties() throws {
    let message = try Samples.message("MSH|^~\\&|A||\"\"|||\rPV1|||\rPV1\rNTE|1||x\r")
    #expect(message.text("MSH", 4) == "")
    #expect(message.value("MSH", 4) == nil)
    #expect(message.text("MSH", 5) == "\"\"")
    #expect(message.value("MSH", 5) == nil)
    #expect(message.value("MSH", 3) == "A")
    #expect(message.segment("MSH")?.fieldCount == 8)
    #expect(message.segment("PV1")?.fieldCount == 3)
    #expect(message.segment("PV1", occurrence: 1)?.fieldCount == 0)
    #expect(message.segment("PV1", occurrence: 2) == nil)
    #expect(message.text("PV1", 2, occurrence: 1) == "")
    #expect(message.text("PV1", 2, occurrence: 2) == nil)
    #expect(message.text("NTE", 3) == "x")
  }

  @Test("other delimiters than the usual ones hold for everything")
  func otherDelimiters() throws {
    let message = try Samples.message(
      "MSH#*+!%#A*B#C#D#E###ORU*R01#77#P#2.5.1\rOBX#1#TX#a%b*c*d|^~\\&!F!!S!!E!+again#\r")
    #expect(message.type == "ORU^R01")
    #expect(message.controlID == "77")
    #expect(message.text("MSH", 2) == "*+!%")
    #expect(message.text("MSH", 3, 2) == "B")
    #expect(message.text("OBX", 3, 1) == "a%b")
    #expect(message.text("OBX", 3, 3) == "d|^~\\&#*!")
    #expect(message.text("OBX", 3) == "a%b*c*d|^~\\&#*!")
    #expect(message.segment("OBX")?.fieldCount == 4)
  }

  @Test("only the first repetition is given")
  func repetitions() throws {
    let message = try Samples.message("MSH|^~\\&|A\rPID|||1^^^X~2^^^Y||A^B~C^D\r")
    #expect(message.text("PID", 3) == "1^^^X")
    #expect(message.text("PID", 3, 4) == "X")
    #expect(message.text("PID", 5, 2) == "B")
  }

  @Test(
    "what came is what is given back, byte for byte",
    arguments: [
      "MSH|^~\\&|A", "MSH|^~\\&|A\r", "MSH|^~\\&", "MSH|^~\\&|\r\r\r", "MSH|^~\\&|A\nPID|1\n",
      "MSH|^~\\&|A\r\nPID|1\r\nZ01|\r\n", "MSH|^~\\&|A\rPID|1\nOBR|1\r\nOBX",
      "MSH|^~\\&|A\n\rPID|1",
      "MSH|^~\\&#|A\rPID|\\F\\\\X41\\\\Q\\|", "MSH|^~\\&|Å\rPID|||~~^^&&|\r",
      "MSH|^~\\&|A\r\r\nPID|1",
    ])
  func roundTrip(_ text: String) throws {
    let bytes = Array(text.utf8)
    #expect(try HL7Message(parsing: bytes).encoded() == bytes)
    // Invalid UTF-8 stays as it is as well.
    let odd =
      Array("MSH|^~\\&|A\rNTE|||".utf8) + [0xFF, 0xC3, 0x00, 0x0B, 0x1C] + bytes.dropFirst(8)
    #expect(try HL7Message(parsing: odd).encoded() == odd)
  }

  @Test("segments end in CR, LF or CRLF, and the last need not end")
  func terminators() throws {
    for text in [
      "MSH|^~\\&|A\rPID|1\rZ01|2\r", "MSH|^~\\&|A\nPID|1\nZ01|2",
      "MSH|^~\\&|A\r\nPID|1\r\nZ01|2\r\n",
      "MSH|^~\\&|A\r\rPID|1\n\nZ01|2\r\n\r\n",
    ] {
      let message = try Samples.message(text)
      #expect(message.segments.filter { !$0.bytes.isEmpty }.map(\.name) == ["MSH", "PID", "Z01"])
      #expect(message.text("PID", 1) == "1")
      #expect(message.text("Z01", 1) == "2")
    }
  }

  @Test(
    "what is no message is refused with its place",
    arguments: [
      ("", 0, 1), ("MSH", 0, 1), ("MSH|^~\\", 0, 1), ("PID|^~\\&|", 0, 1), ("msh|^~\\&|", 0, 1),
      (" MSH|^~\\&|", 0, 1), ("MSH|^~\\||", 7, 1), ("MSHA^~\\&A", 3, 1), ("MSH|^~\\7|", 7, 1),
      ("MSH|^^\\&|", 5, 1), ("MSH|^~ &|", 6, 1), ("MSH|^~\\\r|", 7, 1), ("MSH|^~\\é|", 7, 1),
      ("MSH|^~\\&|\rPI|1\r", 10, 2), ("MSH|^~\\&|\rPID^1\r", 10, 2), ("MSH|^~\\&|\rpid|1\r", 10, 2),
      ("MSH|^~\\&|\r\n\nPID|1\r P", 18, 4),
    ])
  func refusals(_ text: String, offset: Int, segment: Int) throws {
    let error = #expect(throws: HL7ParseError.self) { try Samples.message(text) }
    #expect(error?.offset == offset)
    #expect(error?.segment == segment)
    #expect(error?.description.hasPrefix("segment \(segment), byte \(offset): expected") == true)
  }

  @Test("a message may have so many bytes and segments, and no more")
  func limits() throws {
    var bytes = Array("MSH|^~\\&|\rNTE|||".utf8)
    bytes += [UInt8](repeating: 0x78, count: HL7Message.longestMessage + 1 - bytes.count)
    let long = #expect(throws: HL7ParseError.self) { try HL7Message(parsing: bytes) }
    #expect(long?.message == "the message is longer than 10485760 bytes")

    var many = Array("MSH|^~\\&|\r".utf8)
    for _ in 1..<HL7Message.mostSegments { many += [0x4E, 0x54, 0x45, 0x0D] }
    #expect(try HL7Message(parsing: many).segments.count == HL7Message.mostSegments)
    let error = #expect(throws: HL7ParseError.self) { try HL7Message(parsing: many + [0x0D]) }
    #expect(error?.offset == many.count)
    #expect(error?.segment == HL7Message.mostSegments + 1)
  }
}
