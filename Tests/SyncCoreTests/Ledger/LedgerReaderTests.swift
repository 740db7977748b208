import Platform
import TestSupport
import Testing

@testable import SyncCore

@Suite("Reading the ledger beside the engine")
struct LedgerReaderTests {
  private let directory: TemporaryDirectory
  private let ledger: Ledger
  private let reader: LedgerReader
  private static func time(_ seconds: Int64) -> WallTime { WallTime(milliseconds: seconds * 1000) }

  /// Four examinations that differ in everything a filter looks at.
  init() throws {
    directory = try TemporaryDirectory()
    let ledger = try Ledger(path: directory.file("ledger.sqlite"))
    self.ledger = ledger
    func add(
      _ system: String, _ number: String, list: String?, flag: String?, _ status: ExaminationStatus,
      at seconds: Int64, portal: String? = nil, images: ImageState = .none, held: Bool = false
    ) throws {
      let record = ExaminationRecord(
        key: ExaminationKey(system: system, number: number), list: list, flag: flag,
        referral: "REM-\(number)", studyUID: "1.2.\(number)", status: status)
      let id = try ledger.record(record, now: Self.time(seconds))
      try ledger.recordPortalFlag(id, portal)
      var progress = ImageProgress()
      progress.state = images
      progress.held = held
      progress.resolvedStudyUID = "9.8.\(number)"
      try ledger.recordProgress(id, progress, now: Self.time(seconds))
    }
    try add("SECTRA", "001", list: "tmc", flag: "a", .completed, at: 10, portal: "a")
    try add("SECTRA", "002", list: "tmc", flag: "a", .signed, at: 20, images: .complete)
    try add("AGFA", "001", list: "jour", flag: "b", .unknown, at: 30, images: .partial, held: true)
    try add("AGFA", "100%", list: nil, flag: nil, .cancelled, at: 40, portal: "b")
    reader = try LedgerReader(path: directory.file("ledger.sqlite"))
  }

  private func found(_ change: (inout LedgerReader.Filter) -> Void) throws -> [String] {
    var filter = LedgerReader.Filter()
    change(&filter)
    let (entries, total) = try reader.list(filter, limit: 100, after: nil)
    #expect(total == entries.count)
    return entries.map(\.record.key.description)
  }

  @Test("Without conditions everything is listed, in order of system and number")
  func everything() throws {
    #expect(try found { _ in } == ["AGFA/001", "AGFA/100%", "SECTRA/001", "SECTRA/002"])
  }

  @Test("Each condition finds what it says")
  func conditions() throws {
    #expect(try found { $0.lists = ["tmc"] } == ["SECTRA/001", "SECTRA/002"])
    #expect(try found { $0.systems = ["AGFA"] } == ["AGFA/001", "AGFA/100%"])
    #expect(try found { $0.flags = ["b"] } == ["AGFA/001"])
    #expect(try found { $0.statuses = ["signed"] } == ["SECTRA/002"])
    #expect(try found { $0.images = ["partial"] } == ["AGFA/001"])
    #expect(try found { $0.numbers = ["001"] } == ["AGFA/001", "SECTRA/001"])
    #expect(try found { $0.held = true } == ["AGFA/001"])
    #expect(try found { $0.held = false }.count == 3)
    #expect(try found { $0.flagged = true } == ["AGFA/100%", "SECTRA/001"])
    #expect(try found { $0.flagged = false } == ["AGFA/001", "SECTRA/002"])
    #expect(try found { $0.changedSince = Self.time(30) } == ["AGFA/001", "AGFA/100%"])
    #expect(try found { $0.changedUntil = Self.time(20) } == ["SECTRA/001"])
  }

  @Test("Text is looked for in the number, the referral and both study UIDs, letter by letter")
  func text() throws {
    #expect(try found { $0.text = "002" } == ["SECTRA/002"])
    #expect(try found { $0.text = "REM-001" } == ["AGFA/001", "SECTRA/001"])
    #expect(try found { $0.text = "1.2.002" } == ["SECTRA/002"])
    #expect(try found { $0.text = "9.8.002" } == ["SECTRA/002"])
    // No wildcards, and no SQL.
    #expect(try found { $0.text = "%" } == ["AGFA/100%"])
    #expect(try found { $0.text = "_" } == [])
    #expect(try found { $0.text = "' OR 1 --" } == [])
  }

  @Test("Several values are alternatives, several conditions hold together")
  func together() throws {
    #expect(try found { $0.lists = ["tmc", "jour"] }.count == 3)
    #expect(
      try found {
        $0.lists = ["tmc", "jour"]
        $0.numbers = ["001"]
        $0.statuses = ["completed", "signed"]
      } == ["SECTRA/001"])
    #expect(
      try found {
        $0.changedSince = Self.time(10)
        $0.changedUntil = Self.time(30)
        $0.flagged = true
      } == ["SECTRA/001"])
    #expect(try found { $0.systems = ["'; DROP TABLE examination; --"] } == [])
  }

  @Test("Pages follow each other without a gap or a repetition, and know the total")
  func pages() throws {
    for size in 1...5 {
      var seen: [String] = []
      var last: ExaminationKey?
      while true {
        let page = try reader.list(LedgerReader.Filter(), limit: size, after: last)
        #expect(page.total == 4)
        #expect(page.entries.count <= size)
        guard let end = page.entries.last else { break }
        seen += page.entries.map(\.record.key.description)
        last = end.record.key
      }
      #expect(seen == ["AGFA/001", "AGFA/100%", "SECTRA/001", "SECTRA/002"], "pages of \(size)")
    }
    var filter = LedgerReader.Filter()
    filter.numbers = ["001"]
    let page = try reader.list(
      filter, limit: 10, after: ExaminationKey(system: "AGFA", number: "001"))
    #expect(page.entries.map(\.record.key.system) == ["SECTRA"])
    #expect(page.total == 2)
  }

  @Test("A number is found in every system, or in the one asked for")
  func numbers() throws {
    #expect(try reader.examinations(number: "001", system: nil).count == 2)
    let entry = try #require(try reader.examinations(number: "001", system: "AGFA").first)
    #expect(entry.record.key.system == "AGFA")
    #expect(entry.progress.held)
    #expect(try reader.examinations(number: "1", system: nil).isEmpty)
  }

  @Test("History is the latest, oldest first")
  func history() throws {
    let id = try #require(try reader.examinations(number: "002", system: nil).first).id
    for number in 1...5 {
      try ledger.addHistory(id, "event", "\(number)", now: Self.time(Int64(100 - number)))
    }
    #expect(try reader.history(of: id).map(\.detail) == ["1", "2", "3", "4", "5"])
    #expect(try reader.history(of: id, limit: 2).map(\.detail) == ["4", "5"])
    #expect(try reader.history(of: id).first?.time == Self.time(99))
  }

  @Test("The reader sees the latest commit while the writer is in a transaction")
  func besideTheWriter() throws {
    let key = ExaminationKey(system: "SECTRA", number: "003")
    try ledger.transaction {
      _ = try ledger.record(
        ExaminationRecord(key: key, list: "tmc", flag: "a"), now: Self.time(50))
      #expect(try found { $0.numbers = ["003"] } == [])
      #expect(try found { _ in }.count == 4)
    }
    #expect(try found { $0.numbers = ["003"] } == ["SECTRA/003"])
  }

  @Test("A ledger that is not there is an error, and none is made")
  func missing() throws {
    #expect(throws: (any Error).self) {
      _ = try LedgerReader(path: directory.file("none.sqlite"))
    }
    #expect(throws: (any Error).self) { try directory.read("none.sqlite") }
  }
}
