import Testing

@testable import SyncCore

@Suite struct ExaminationKeyTests {
  private static let systems = ["SECTRA", "AGFA", "", "Å", "SECTRA2"]
  private static let numbers = [
    "", "1", "0", "00012_A", "SE12345678", "12345678", "123456789", "1234567", "SEBENCH000000001",
    "SEBENCH0000000012", "~~~~~~~~~~~~~~~~", "Å1", "e\u{301}", "\u{e9}", "a b", "a\0b", "a\0",
    "\0", "1234567\0", "1234567\0A", "12345678\0", "12345678\u{1}", "\u{7f}", "@", "P", "`",
    "svår-1234567890-lång-och-mer-än-sexton", "👩‍⚕️",
  ]
  private static let all = systems.flatMap { system in numbers.map { (system, $0) } }

  private static func precedes(_ a: (String, String), _ b: (String, String)) -> Bool {
    if Array(a.0.utf8) != Array(b.0.utf8) { return a.0.utf8.lexicographicallyPrecedes(b.0.utf8) }
    return a.1.utf8.lexicographicallyPrecedes(b.1.utf8)
  }

  @Test("A key gives back the system and the number it was made of, byte by byte")
  func texts() {
    for (system, number) in Self.all {
      let key = ExaminationKey(system: system, number: number)
      #expect(Array(key.system.utf8) == Array(system.utf8))
      #expect(Array(key.number.utf8) == Array(number.utf8), "\(number.debugDescription)")
      #expect(key.description == "\(system)/\(number)")
    }
  }

  @Test("Two keys are equal when their bytes are, and ordered by system and number as texts are")
  func order() {
    for a in Self.all {
      let first = ExaminationKey(system: a.0, number: a.1)
      for b in Self.all {
        let second = ExaminationKey(system: b.0, number: b.1)
        let same = Array(a.0.utf8) == Array(b.0.utf8) && Array(a.1.utf8) == Array(b.1.utf8)
        #expect((first == second) == same, "\(a) \(b)")
        #expect((first < second) == Self.precedes(a, b), "\(a) \(b)")
        if same { #expect(first.hashValue == second.hashValue) }
      }
    }
  }

  @Test("Every ASCII character keeps its place in each of the sixteen positions")
  func positions() {
    for position in 0..<16 {
      for byte in UInt8(1)..<0x80 {
        var bytes = [UInt8](repeating: 0x30, count: 16)
        bytes[position] = byte
        let number = String(decoding: bytes, as: UTF8.self)
        #expect(ExaminationKey(system: "S", number: number).number == number)
      }
    }
  }

  @Test("A hundred thousand of them take sixteen bytes each")
  func size() {
    #expect(MemoryLayout<ExaminationKey>.stride == 16)
    #expect(MemoryLayout<PortalFlag>.stride == 32)
    #expect(MemoryLayout<Engine.Known>.stride <= 56)
    #expect(MemoryLayout<DueQueue.Item>.stride == 32)
  }

  @Test("More systems than the short form can number are keys like the others")
  func manySystems() {
    let keys = (0..<70_000).map { ExaminationKey(system: "system \($0)", number: "1") }
    #expect(Set(keys).count == keys.count)
    for index in stride(from: 0, to: keys.count, by: 997) {
      #expect(keys[index].system == "system \(index)" && keys[index].number == "1")
      #expect(keys[index] == ExaminationKey(system: "system \(index)", number: "1"))
    }
  }
}
