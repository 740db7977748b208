import Testing

@testable import HL7

@Suite("HL7 character sets")
struct HL7CharacterSetTests {
  private func message(_ declared: String, _ text: [UInt8]) throws -> HL7Message {
    let header = "MSH|^~\\&|A|B|C|D|||ADT^A04|1|P|2.3.1||||||\(declared)\rPID|||||"
    return try HL7Message(parsing: Array(header.utf8) + text + [0x0D])
  }

  @Test(
    "MSH-18 says how texts are written",
    arguments: [
      ("8859/1", [0xC5, 0x73, 0x61], HL7CharacterSet.latin1, "Åsa"),
      ("8859/1", [0xC3, 0x85], .latin1, "Ã\u{85}"),
      ("8859/15", [0xA4, 0xA6, 0xBE], .latin9, "€ŠŸ"),
      ("UNICODE UTF-8", [0xC3, 0x85], .utf8, "Å"), ("unicode utf-8", [0xC3, 0x85], .utf8, "Å"),
      ("8859/1~UNICODE UTF-8", [0xC5], .latin1, "Å"), ("", [0x41], .ascii, "A"),
      ("", [0xC3, 0x85], .utf8, "Å"), ("", [0xC5, 0x73], .latin1, "Ås"),
      ("ASCII", [0xC5, 0x73], .latin1, "Ås"), ("8859/7", [0x41], .ascii, "A"),
      ("UNICODE UTF-8", [0xC5, 0x73], .utf8, "\u{FFFD}s"),
    ] as [(String, [UInt8], HL7CharacterSet, String)])
  func declared(_ name: String, _ bytes: [UInt8], _ set: HL7CharacterSet, _ text: String) throws {
    let message = try message(name, bytes)
    #expect(message.characterSet == set)
    #expect(message.text("PID", 5) == text)
  }

  @Test("escaped bytes are of the message's character set")
  func escapedBytes() throws {
    #expect(try message("8859/1", Array("\\XC5\\sa".utf8)).text("PID", 5) == "Åsa")
    #expect(try message("UNICODE UTF-8", Array("\\XC385\\sa".utf8)).text("PID", 5) == "Åsa")
  }

  @Test("every byte of the ISO sets is a character of its own, and is written as that byte")
  func everyByte() {
    let all = (0...255).map { UInt8($0) }
    for set in [HL7CharacterSet.latin1, .latin9] {
      let text = set.decode(all)
      #expect(text.unicodeScalars.count == 256)
      #expect(set.encode(text) == all)
    }
    #expect(HL7CharacterSet.ascii.encode(String(decoding: 0..<128, as: UTF8.self))?.count == 128)
  }

  @Test(
    "a character that a set lacks is named, never replaced",
    arguments: [
      (HL7CharacterSet.latin1, "Åsa €5", "€"), (.latin9, "¤", "¤"), (.latin9, "€¼", "¼"),
      (.ascii, "abcå", "å"), (.latin1, "Łódź", "Ł"), (.latin1, "a\u{30A}", "\u{30A}"),
      (.latin1, "👍", "👍"),
    ] as [(HL7CharacterSet, String, UnicodeScalar)])
  func missing(_ set: HL7CharacterSet, _ text: String, _ scalar: UnicodeScalar) {
    #expect(set.encode(text) == nil)
    #expect(set.firstMissing(in: text) == scalar)
  }

  @Test("UTF-8 has everything")
  func everything() {
    #expect(HL7CharacterSet.utf8.encode("Łódź 👍") == Array("Łódź 👍".utf8))
    #expect(HL7CharacterSet.utf8.firstMissing(in: "Łódź 👍") == nil)
  }

  @Test("the set of every name is found by that name")
  func names() throws {
    for set in HL7CharacterSet.allCases {
      #expect(try message(set.rawValue, [0x41]).characterSet == set)
    }
  }
}
