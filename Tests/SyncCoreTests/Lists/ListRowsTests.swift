import Testing

@testable import SyncCore

@Suite struct ListRowsTests {
  private static let full = ListRow(
    examination: "00012_A", referral: "R1", studyUID: "1.2.752", patientID: "191212121212",
    status: "Utförd", modality: "CT", description: "DT thorax; åäö", careUnit: "SE2321000016-1",
    scheduled: "2026-11-23", priority: "Akut", patientName: "Tolvan^Tolvansson")

  private static func row(_ number: Int) -> ListRow {
    ListRow(
      examination: "SE\(number)", referral: number % 2 == 0 ? nil : "R\(number)",
      description: String(repeating: "å", count: number % 500), priority: number % 3 == 0 ? "" : nil
    )
  }

  @Test("Rows come out as they went in: all, empty and missing values, and long ones")
  func roundTrip() {
    var bare = ListRow(examination: "")
    bare.referral = ""
    let lengths = [0, 1, 126, 127, 128, 16_382, 16_383, 16_384, 300_000]
    let long = lengths.map { ListRow(examination: "A", status: String(repeating: "x", count: $0)) }
    let rows = [Self.full, bare] + long + (0..<3000).map(Self.row) + [Self.full]
    let kept = ListRows(rows)
    #expect(kept.count == rows.count)
    #expect(Array(kept) == rows)
    #expect(kept.last == Self.full && kept[1] == bare)
    #expect(kept == ListRows(rows) && kept != ListRows(rows.dropLast()))
  }

  @Test("A row's digest changes with each of its values, and with their places")
  func digest() {
    var rows = [Self.full]
    let fields: [WritableKeyPath<ListRow, String?>] = [
      \.referral, \.studyUID, \.patientID, \.status, \.modality, \.description, \.careUnit,
      \.scheduled, \.priority, \.patientName,
    ]
    for field in fields {
      for value in [nil, "", "other"] {
        var row = Self.full
        row[keyPath: field] = value
        rows.append(row)
      }
    }
    let kept = ListRows(rows)
    let digests = kept.indices.map { kept.withRow($0) { $0.digest(seed: 7) } }
    #expect(Set(digests).count == rows.count)
    #expect(kept.withRow(0) { $0.digest(seed: 8) } != digests[0])
    // Kept in ledgers: it must be the same in every version and on every machine.
    #expect(digests[0] == Self.reference(Self.full, seed: 7))
  }

  private static func reference(_ row: ListRow, seed: UInt64) -> Int64 {
    var hash = seed
    for text in [
      row.referral, row.studyUID, row.patientID, row.patientName, row.status, row.modality,
      row.description, row.careUnit, row.scheduled, row.priority,
    ] {
      for byte in text?.utf8 ?? "".utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      hash = (hash ^ (text == nil ? 0x1FF : 0x1FE)) &* 0x100_0000_01b3
    }
    return Int64(bitPattern: hash)
  }

  @Test("A row that comes again is taken once; with other content the list is refused")
  func duplicates() throws {
    var collector = RowCollector()
    try collector.add(Self.full, line: 2)
    try collector.add(Self.row(1), line: 3)
    try collector.add(Self.full, line: 4)
    #expect(Array(collector.rows) == [Self.full, Self.row(1)])
    var other = Self.full
    other.status = nil
    let fault = #expect(throws: RowCollector.Fault.self) { try collector.add(other, line: 9) }
    #expect(fault?.line == 9)
  }

  @Test("Numbers that no examination can have are left out, with the line and the reason")
  func unusable() throws {
    var collector = RowCollector()
    for (line, number) in ["", "a\u{7}", "12345678901234567", "ÅÄÖ", "1234567890123456"]
      .enumerated()
    {
      try collector.add(ListRow(examination: number), line: line)
    }
    #expect(collector.rows.map(\.examination) == ["ÅÄÖ", "1234567890123456"])
    #expect(collector.refused.map(\.line) == [0, 1, 2])
  }

  @Test("Numbers of another length than the configured one, or without their zeros, are refused")
  func lengths() throws {
    var fixed = RowCollector(numberLength: 4)
    try fixed.add(ListRow(examination: "0012"), line: 1)
    #expect(throws: RowCollector.Fault.self) {
      try fixed.add(ListRow(examination: "12"), line: 2)
    }
    var mixed = RowCollector()
    try mixed.add(ListRow(examination: "0012"), line: 1)
    try mixed.check(name: "number")
    try mixed.add(ListRow(examination: "12"), line: 2)
    let fault = #expect(throws: RowCollector.Fault.self) { try mixed.check(name: "number") }
    #expect(fault?.line == 1)
  }
}
