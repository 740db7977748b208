@testable import HL7

/// Messages of made-up people.
enum Samples {
  /// An order of 2.3.1 with a Z segment, in 8859/1.
  static let order = bytes(
    "MSH|^~\\&|SYNC|REMOTE|RIS|LOCAL|20260301120000||ORM^O01|ID0001|P|2.3.1||||||8859/1",
    "PID|||191212121212^^^REMOTE||Tolvansson^Tolvan",
    "ORC|HD|SE1^SYNC|||HD",
    "OBR|1|SE1^SYNC||DT^Skalle|||||||||||||||||||||||||||~^^^~|",
    "ZDS|1.2.752.1^SYNC^Application^DICOM")

  /// Segments, each with CR.
  static func bytes(_ segments: String...) -> [UInt8] {
    Array((segments.joined(separator: "\r") + "\r").utf8)
  }

  static func message(_ text: String) throws -> HL7Message {
    try HL7Message(parsing: Array(text.utf8))
  }

  /// A message of one type and control id, for the wire.
  static func order(_ controlID: String, version: String = "2.3.1") -> [UInt8] {
    bytes(
      "MSH|^~\\&|SYNC|REMOTE|RIS|LOCAL|20260301120000||ORM^O01|\(controlID)|P|\(version)",
      "PID|||191212121212||Tolvansson^Tolvan", "ORC|NW|SE1", "OBR|1|SE1")
  }
}

/// A small generator whose numbers are the same in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }

  mutating func bytes(_ counts: ClosedRange<Int>, from alphabet: [UInt8]? = nil) -> [UInt8] {
    let count = Int.random(in: counts, using: &self)
    return (0..<count).map { _ in
      alphabet?.randomElement(using: &self) ?? UInt8.random(in: 0...255, using: &self)
    }
  }
}
