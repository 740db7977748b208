/// An acknowledgement (HL7 2.5.1 section 2.9; 2.3.1 chapter 2).
public struct Acknowledgement: Sendable, Hashable {
  public enum Code: String, Sendable, CaseIterable {
    case AA, AE, AR, CA, CE, CR
  }

  /// MSA-1 as it came.
  public var code: String
  /// MSA-2: the control id of the message it is for.
  public var controlID: String
  /// The error conditions of table 0357: ERR-3 (from 2.5), ERR-1.4 (before), and MSA-6.
  public var errorCodes: [Int]
  /// MSA-3. May hold anything, also patient data.
  public var text: String?

  /// Nil where the message is no acknowledgement.
  public init?(_ message: HL7Message) {
    guard let code = message.value("MSA", 1) else { return nil }
    self.code = code
    controlID = message.text("MSA", 2) ?? ""
    text = message.value("MSA", 3)
    var codes: [Int] = []
    for segment in message.segments(named: "ERR") {
      if let found = Int(message.text(segment, 3, 1)) {
        codes.append(found)
      } else {
        codes += Self.olderCodes(message, segment)
      }
    }
    if let found = message.value("MSA", 6, 1).flatMap({ Int($0) }) { codes.append(found) }
    errorCodes = codes
  }

  /// ERR-1 repeats, an error each. ERR-1.4 is a coded element; its identifier is the first
  /// subcomponent.
  private static func olderCodes(_ message: HL7Message, _ segment: HL7Segment) -> [Int] {
    let delimiters = message.delimiters
    return segment.field(1).split(separator: delimiters.repetition).compactMap { error in
      let component = HL7Segment.part(error, 4, delimiters.component)
      let identifier = HL7Segment.part(component, 1, delimiters.subcomponent)
      return Int(String(decoding: identifier, as: UTF8.self))
    }
  }

  /// Answers a message: sender and receiver change places; version, processing id, character set
  /// and delimiters are those of the message.
  /// - Parameters:
  ///   - error: a condition of table 0357 with AE and AR. The text is left out where the message's
  ///     character set cannot say it.
  ///   - controlID: that of the acknowledgement itself.
  ///   - time: MSH-7, see ``HL7Time``.
  public static func answer(
    _ message: HL7Message, _ code: Code, error: (code: Int, text: String)? = nil,
    controlID: String, time: String
  ) -> [UInt8] {
    let header = message.segments[0]
    func copy(_ field: Int) -> HL7Builder.Field { .bytes(Array(header.field(field))) }
    let event = message.text("MSH", 9, 2) ?? ""
    let delimiters = message.delimiters
    let characterSet = message.characterSet
    var builder = HL7Builder(characterSet, delimiters: delimiters)
    let error = error.map { error in
      (code: error.code, text: characterSet.encode(error.text) == nil ? "" : error.text)
    }
    let isNew = !["2.1", "2.2", "2.3", "2.3.1", "2.4"].contains(message.version)
    // The structure belongs to it from 2.5.
    let type = isNew ? ["ACK", event, "ACK"] : ["ACK", event]
    do throws(HL7BuildError) {
      try builder.segment(
        "MSH",
        [
          3: copy(5), 4: copy(6), 5: copy(3), 6: copy(4), 7: .text(time),
          9: .components(event.isEmpty ? ["ACK"] : type), 10: .text(controlID),
          11: copy(11), 12: copy(12), 18: copy(18),
        ])
      var answer: [Int: HL7Builder.Field] = [1: .text(code.rawValue), 2: copy(10)]
      if let error { answer[3] = .text(error.text) }
      try builder.segment("MSA", answer)
      if let error {
        try builder.segment(
          "ERR",
          isNew
            ? [3: .components([String(error.code), error.text, "HL70357"]), 4: .text("E")]
            : [1: .bytes(Self.olderError(error.code, delimiters))])
      }
    } catch {
      // Codes and numbers are ASCII, and the rest is the message's own bytes.
      return []
    }
    return builder.bytes
  }

  /// `^^^204&&HL70357`
  private static func olderError(_ code: Int, _ delimiters: HL7Message.Delimiters) -> [UInt8] {
    let coded = [Array(String(code).utf8), [], Array("HL70357".utf8)]
    return [UInt8](repeating: delimiters.component, count: 3)
      + coded.joined(separator: [delimiters.subcomponent])
  }
}
