import Testing

@testable import SyncCore

@Suite struct ExaminationTableTests {
  private struct Generator: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
      state &+= 0x9E37_79B9_7F4A_7C15
      var z = state
      z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
      z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
      return z ^ (z >> 31)
    }
  }

  private static func key(_ number: Int) -> ExaminationKey {
    // Some that do not fit into the short form.
    ExaminationKey(system: "S\(number % 3)", number: number % 7 == 0 ? "Å\(number)" : "\(number)")
  }

  @Test("It does what a dictionary does, whatever is done in whatever order")
  func model() {
    for _ in 0..<20 {
      let seed = UInt64.random(in: .min ... .max)
      var random = Generator(state: seed)
      var table: ExaminationTable<Int> = [:]
      var model: [ExaminationKey: Int] = [:]
      let keys = Int.random(in: 1...3000, using: &random)
      // Grows and shrinks: at times most of it goes.
      for step in 0..<6000 {
        let key = Self.key(Int.random(in: 0..<keys, using: &random))
        let removes = (step / 2000) % 2 == 1 ? 8 : 2
        switch Int.random(in: 0..<12, using: &random) {
        case 0..<removes:
          #expect(table.removeValue(forKey: key) == model.removeValue(forKey: key), "seed \(seed)")
        case 8:
          table[key] = nil
          model[key] = nil
        case 9:
          table[key, default: 7] += step
          model[key, default: 7] += step
        default:
          table[key] = step
          model[key] = step
        }
        if step % 500 == 0 {
          let odd = table.filter { $0.value % 2 == 1 }
          #expect(Self.dictionary(odd) == model.filter { $0.value % 2 == 1 }, "seed \(seed)")
        }
      }
      #expect(Self.dictionary(table) == model, "seed \(seed)")
      #expect(table.count == model.count && table.isEmpty == model.isEmpty, "seed \(seed)")
      #expect(table == ExaminationTable(uniqueKeysWithValues: model.map { ($0.key, $0.value) }))
      for number in 0..<keys {
        let key = Self.key(number)
        #expect(table[key] == model[key] && table.contains(key) == (model[key] != nil))
      }
      for key in model.keys { table[key] = nil }
      #expect(table.isEmpty && table == [:], "seed \(seed)")
    }
  }

  private static func dictionary(_ table: ExaminationTable<Int>) -> [ExaminationKey: Int] {
    Dictionary(uniqueKeysWithValues: table.map { ($0.key, $0.value) })
  }

  @Test("A copy stays as it was")
  func copies() {
    var table: ExaminationTable<Int> = [Self.key(1): 1, Self.key(2): 2]
    let copy = table
    table[Self.key(1)] = nil
    table.updateEach { _, value in value += 10 }
    #expect(copy == [Self.key(1): 1, Self.key(2): 2])
    #expect(table == [Self.key(2): 12])
  }

  @Test("It can be changed while it is gone through, which meets what was there at the beginning")
  func changesDuringIteration() {
    var table = ExaminationTable(uniqueKeysWithValues: (0..<100).map { (Self.key($0), $0) })
    var seen: Set<Int> = []
    for (key, value) in table {
      seen.insert(value)
      table[key] = nil
    }
    #expect(seen.count == 100 && table.isEmpty)
  }

  @Test("Room is made for what is asked for and what comes, and given back")
  func room() {
    var table = ExaminationTable<UInt32>(minimumCapacity: 100_000)
    for number in 0..<100_000 { table[Self.key(number)] = UInt32(number) }
    #expect(table.keys.capacity < 110_000)
    for number in 0..<99_900 { table[Self.key(number)] = nil }
    #expect(table.keys.capacity < 2000)
    for number in 99_900..<100_000 { #expect(table[Self.key(number)] == UInt32(number)) }
  }
}
