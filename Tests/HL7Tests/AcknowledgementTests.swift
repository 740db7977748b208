import Testing

@testable import HL7

@Suite("Acknowledgements")
struct AcknowledgementTests {
  private func read(_ segments: String...) throws -> Acknowledgement? {
    Acknowledgement(
      try Samples.message(
        (["MSH|^~\\&|A|B|C|D|||ACK|9|P|2.3.1"] + segments).joined(separator: "\r")))
  }

  @Test("MSA says what came of which message")
  func plain() throws {
    let acknowledgement = try #require(try read("MSA|AA|ID0001"))
    #expect(acknowledgement.code == "AA")
    #expect(acknowledgement.controlID == "ID0001")
    #expect(acknowledgement.text == nil)
    #expect(acknowledgement.errorCodes.isEmpty)
  }

  @Test("a message without MSA-1 is none")
  func none() throws {
    #expect(try read("PID|1") == nil)
    #expect(try read("MSA||ID0001") == nil)
    #expect(try read("MSA|AA")?.controlID == "")
    #expect(try read("MSA|XX|\\F\\")?.code == "XX")
    #expect(try read("MSA|XX|\\F\\")?.controlID == "|")
  }

  @Test(
    "error conditions are found where each version writes them",
    arguments: [
      ("MSA|AE|1|no\rERR|^^^204&Unknown key&HL70357", [204]),
      ("MSA|AE|1|no\rERR|PID^1^3^101&Required&HL70357~OBR^1^4^103~ORC^1", [101, 103]),
      ("MSA|AE|1|no\rERR||PID^1^3|204^Unknown key^HL70357|E", [204]),
      ("MSA|AR|1|no\rERR||MSH^1^12|203^Version|E\rERR|||207|E", [203, 207]),
      ("MSA|AE|1|no|||205^Duplicate^HL70357", [205]),
      ("MSA|AE|1|no|||100\rERR|^^^102", [102, 100]),
      ("MSA|AE|1|no\rERR|PID^1^3^nonsense", []), ("MSA|AE|1|no\rERR", []),
      ("MSA|AE|1|no\rERR|||ABC^no code^L", []), ("MSA|AE|1", []),
    ] as [(String, [Int])])
  func errors(_ segments: String, _ codes: [Int]) throws {
    #expect(try read(segments)?.errorCodes == codes)
  }

  @Test("an answer turns sender and receiver about, and keeps version and character set")
  func answer() throws {
    let order = try HL7Message(parsing: Samples.order)
    let bytes = Acknowledgement.answer(order, .AA, controlID: "A1", time: "20260301120001+0100")
    #expect(
      String(decoding: bytes, as: UTF8.self)
        == "MSH|^~\\&|RIS|LOCAL|SYNC|REMOTE|20260301120001+0100||ACK^O01|A1|P|2.3.1||||||8859/1\r"
        + "MSA|AA|ID0001\r")
  }

  @Test("an answer's error is where its version has it")
  func answerErrors() throws {
    let older = try HL7Message(parsing: Samples.order("1", version: "2.3.1"))
    let newer = try HL7Message(parsing: Samples.order("1", version: "2.5.1"))
    let error = (code: 204, text: "Unknown | key")
    func lines(_ message: HL7Message) -> [Substring] {
      let bytes = Acknowledgement.answer(message, .AE, error: error, controlID: "A", time: "2026")
      return String(decoding: bytes, as: UTF8.self).split(separator: "\r")
    }
    #expect(lines(older)[1...] == ["MSA|AE|1|Unknown \\F\\ key", "ERR|^^^204&&HL70357"])
    #expect(
      lines(newer)[1...]
        == ["MSA|AE|1|Unknown \\F\\ key", "ERR|||204^Unknown \\F\\ key^HL70357|E"])
    #expect(lines(newer)[0].contains("|ACK^O01^ACK|"))
    for message in [older, newer] {
      let bytes = Acknowledgement.answer(message, .AE, error: error, controlID: "A", time: "2026")
      let read = try #require(Acknowledgement(try HL7Message(parsing: bytes)))
      #expect(read.code == "AE")
      #expect(read.controlID == "1")
      #expect(read.errorCodes == [204])
      #expect(read.text == "Unknown | key")
    }
  }

  @Test("a message with other delimiters is answered with those, and its control id survives")
  func otherDelimiters() throws {
    let message = try Samples.message("MSH#*+!%#A|B*C#D#E#F###ORM*O01#7|^!F!7#P#2.3.1\r")
    let bytes = Acknowledgement.answer(
      message, .AR, error: (code: 200, text: "a#b"), controlID: "A", time: "2026")
    let answer = try HL7Message(parsing: bytes)
    #expect(answer.delimiters == message.delimiters)
    #expect(answer.text("MSH", 5) == "A|B*C")
    #expect(answer.text("MSH", 6) == "D")
    #expect(answer.type == "ACK^O01")
    let read = try #require(Acknowledgement(answer))
    #expect(read.controlID == message.controlID)
    #expect(read.errorCodes == [200])
    #expect(read.text == "a#b")
  }

  @Test("what the message's character set cannot say is left out of the answer")
  func unencodable() throws {
    let message = try HL7Message(parsing: Samples.order("1"))
    #expect(message.characterSet == .ascii)
    let bytes = Acknowledgement.answer(
      message, .AE, error: (code: 207, text: "Läsfel"), controlID: "A", time: "2026")
    let read = try #require(Acknowledgement(try HL7Message(parsing: bytes)))
    #expect(read.errorCodes == [207])
    #expect(read.text == nil)
  }

  @Test("an answer to a message in UTF-8 or 8859/1 has its bytes")
  func bytesAsTheyAre() throws {
    for (set, byte) in [("8859/1", [0xC5]), ("UNICODE UTF-8", [0xC3, 0x85])] as [(String, [UInt8])]
    {
      let rest = "|B|C|D|||ADT^A04|1|P|2.3.1||||||\(set)\r"
      let message = try HL7Message(parsing: Array("MSH|^~\\&|".utf8) + byte + Array(rest.utf8))
      let bytes = Acknowledgement.answer(message, .AA, controlID: "A", time: "2026")
      let answer = try HL7Message(parsing: bytes)
      #expect(Array(answer.segments[0].field(5)) == byte)
      #expect(answer.text("MSH", 5) == "Å")
    }
  }
}
