import Testing

@testable import HL7

/// The same random input in every run.
@Suite("HL7 under random input")
struct HL7PropertyTests {
  @Test("random messages read back field by field, and give back their bytes")
  func messages() throws {
    var random = SeededGenerator(seed: 1)
    for _ in 0..<300 {
      let set = HL7CharacterSet.allCases.randomElement(using: &random)!
      let delimiters = randomDelimiters(&random)
      var builder = HL7Builder(set, delimiters: delimiters)
      try builder.segment("MSH", [10: .text("7"), 18: .text(set.rawValue)])
      var written: [[Int: [String]]] = []
      for _ in 0..<Int.random(in: 0...6, using: &random) {
        var fields: [Int: [String]] = [:]
        for _ in 0..<Int.random(in: 0...8, using: &random) {
          fields[Int.random(in: 1...20, using: &random)] = (0..<3).map { _ in
            randomText(set, &random)
          }
        }
        written.append(fields)
        try builder.segment("Z01", fields.mapValues { .components($0) })
      }
      let message = try HL7Message(parsing: builder.bytes)
      #expect(message.encoded() == builder.bytes)
      #expect(message.characterSet == set)
      #expect(message.delimiters == delimiters)
      #expect(message.segments.count == written.count + 1)
      for (segment, fields) in zip(message.segments.dropFirst(), written) {
        for number in 1...21 {
          for component in 1...4 {
            let texts = fields[number] ?? []
            let expected = component <= texts.count ? texts[component - 1] : ""
            #expect(message.text(segment, number, component) == expected)
          }
        }
      }
    }
  }

  @Test("escaped bytes come back, with line ends made one, and hold no delimiter")
  func escapes() throws {
    var random = SeededGenerator(seed: 2)
    let alphabet = Array("|^&~\\\\\\FSTREX.br0A\r\n\u{0B}\u{1C}".utf8) + [0xFF]
    for round in 0..<4000 {
      let bytes = random.bytes(0...40, from: round % 2 == 0 ? alphabet : nil)
      let escaped = HL7Escape.encode(bytes)
      let plain = HL7Escape.decode(escaped[...])
      #expect(plain == withPlainLineEnds(bytes))
      #expect(escaped.allSatisfy { $0 >= 0x20 && $0 != 0x7F && !Array("|^&~".utf8).contains($0) })
      #expect(HL7Escape.decode(HL7Escape.encode(plain)[...]) == plain)
    }
  }

  @Test("decoding random bytes never grows them, nor fails")
  func decoding() {
    var random = SeededGenerator(seed: 3)
    let alphabet = Array("\\\\\\\\FSTREHNX.brBR0A4f".utf8)
    for _ in 0..<4000 {
      let bytes = random.bytes(0...60, from: alphabet)
      #expect(HL7Escape.decode(bytes[...]).count <= bytes.count)
    }
  }

  @Test("random bytes are a message that gives them back, or are refused")
  func parsing() {
    var random = SeededGenerator(seed: 4)
    let alphabet = Array("MSHPIDMSAERR|^~\\&\r\n10".utf8) + [0xC3, 0xFF, 0]
    var accepted = 0
    for round in 0..<4000 {
      var bytes = random.bytes(0...80, from: round % 4 == 0 ? nil : alphabet)
      if round % 2 == 0 { bytes = Array("MSH|^~\\&|\rMSA|".utf8) + bytes }
      guard let message = try? HL7Message(parsing: bytes) else { continue }
      accepted += 1
      #expect(message.encoded() == bytes)
      _ = (message.type, message.version, message.value("MSA", 2, 2))
      if let acknowledgement = Acknowledgement(message) { #expect(!acknowledgement.code.isEmpty) }
      let answer = Acknowledgement.answer(message, .AA, controlID: "A", time: "2026")
      let read = (try? HL7Message(parsing: answer)).flatMap { Acknowledgement($0) }
      #expect(read?.controlID == message.controlID)
    }
    #expect(accepted > 100)
  }

  @Test("a stream of random frames comes out alike in whatever pieces")
  func framing() throws {
    var random = SeededGenerator(seed: 5)
    let content = (0...255).map { UInt8($0) }.filter { $0 != 0x0B && $0 != 0x1C }
    for _ in 0..<200 {
      var stream: [UInt8] = []
      let messages = (0..<5).map { _ in random.bytes(0...50, from: content) }
      for message in messages {
        stream += random.bytes(0...2, from: [0x0D, 0x0A]) + MLLPFramer.framed(message)
      }
      var framer = MLLPFramer(limit: 50)
      var found: [[UInt8]] = []
      var rest = stream[...]
      while !rest.isEmpty {
        let size = Int.random(in: 1...20, using: &random)
        try framer.push(rest.prefix(size))
        rest = rest.dropFirst(size)
        while let message = framer.next() { found.append(message) }
      }
      #expect(found == messages)
    }
  }

  @Test("random bytes never break the framer, nor make a frame longer than its limit")
  func randomStream() {
    var random = SeededGenerator(seed: 6)
    let alphabet = [0x0B, 0x1C, 0x0D, 0x0A, 0x41, 0x1C, 0x0D] as [UInt8]
    for round in 0..<4000 {
      var framer = MLLPFramer(limit: 8)
      for _ in 0..<4 {
        let isBroken: Bool
        do throws(MLLPFramingError) {
          try framer.push(random.bytes(0...12, from: round % 4 == 0 ? nil : alphabet))
          isBroken = false
        } catch { isBroken = true }
        while let message = framer.next() {
          #expect(message.count <= 8 && !message.contains(0x0B) && !message.contains(0x1C))
        }
        if isBroken { break }
      }
    }
  }

  private func randomDelimiters(
    _ random: inout SeededGenerator
  ) -> HL7Message.Delimiters {
    guard Bool.random(using: &random) else { return .standard }
    let choice = Array("!#$%*+;=@_|^~\\&".utf8).shuffled(using: &random)
    var delimiters = HL7Message.Delimiters()
    delimiters.field = choice[0]
    delimiters.component = choice[1]
    delimiters.repetition = choice[2]
    delimiters.escape = choice[3]
    delimiters.subcomponent = choice[4]
    return delimiters
  }

  private func randomText(_ set: HL7CharacterSet, _ random: inout SeededGenerator) -> String {
    let pool =
      "aB1 |^~\\&#*!\u{0B}\u{1C}\t" + (set == .ascii ? "" : "åÄé") + (set == .utf8 ? "€Łю👍" : "")
    return String(
      (0..<Int.random(in: 0...6, using: &random)).map { _ in pool.randomElement(using: &random)! })
  }

  /// CR and CRLF as LF, which is what `\.br\` is read as.
  private func withPlainLineEnds(_ bytes: [UInt8]) -> [UInt8] {
    var plain: [UInt8] = []
    for (index, byte) in bytes.enumerated() {
      if byte == 0x0A, index > 0, bytes[index - 1] == 0x0D { continue }
      plain.append(byte == 0x0D ? 0x0A : byte)
    }
    return plain
  }
}
