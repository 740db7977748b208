import Platform
import SQLite
import TestSupport
import Testing

@testable import SyncCore

@Suite("The ledger")
struct LedgerTests {
  private let directory: TemporaryDirectory
  private let ledger: Ledger
  private static func time(_ seconds: Int64) -> WallTime { WallTime(milliseconds: seconds * 1000) }

  init() throws {
    directory = try TemporaryDirectory()
    ledger = try Ledger(path: directory.file("ledger.sqlite"))
  }

  private func reader() throws -> LedgerReader {
    try LedgerReader(path: directory.file("ledger.sqlite"))
  }

  private func reopened() throws -> Ledger { try Ledger(path: directory.file("ledger.sqlite")) }

  private func known(_ ledger: Ledger) throws -> [ExaminationKey: Ledger.Known] {
    var all: [ExaminationKey: Ledger.Known] = [:]
    try ledger.forEachExamination { all[$0.key] = $0 }
    return all
  }

  private static func record(_ number: String, system: String = "SECTRA") -> ExaminationRecord {
    ExaminationRecord(
      key: ExaminationKey(system: system, number: number), list: "tmc", flag: "sectra-tmc",
      referral: "R\(number)", studyUID: "1.2.752.\(number)", patientID: "191212121212",
      status: .completed, statusRaw: "Utförd", modality: "CT", description: "DT thorax",
      careUnit: "SE2321000016-1", scheduled: "2026-11-23", priority: .stat, source: "pacs")
  }

  @Test("Everything a list says of an examination is kept as it came")
  func records() throws {
    let record = Self.record("00012_A")
    let id = try ledger.record(record, now: Self.time(1))
    let entry = try #require(try reader().examinations(number: "00012_A", system: nil).first)
    #expect(entry.id == id)
    // The patient id is kept for what will be sent, and shown to nobody.
    var shown = record
    shown.patientID = nil
    #expect(entry.record == shown)
    #expect(entry.firstSeen == Self.time(1))
    #expect(entry.changed == Self.time(1))
    let held = try #require(try known(reopened())[record.key])
    #expect(held.id == id && held.digest == record.digest && held.list == "tmc")
    #expect(held.status == .completed && held.priority == .stat && held.source == "pacs")
    #expect(held.memory == nil && held.images == .none)

    // Again, with next to nothing in it: the same row, seen first when it was.
    let bare = ExaminationRecord(key: record.key, list: "jour", flag: nil)
    #expect(try ledger.record(bare, now: Self.time(2)) == id)
    let again = try #require(try reader().examinations(number: "00012_A", system: nil).first)
    #expect(again.record == bare)
    #expect(again.firstSeen == Self.time(1))
    #expect(again.changed == Self.time(2))
  }

  @Test("Memory of a flag comes back the same after a restart, a clear told from a set")
  func memory() throws {
    let memories = [
      FlagMemory(absences: 1, absenceSnapshot: "s1", approved: true, write: nil),
      FlagMemory(
        write: WriteAttempt(flag: "a", attempts: 3, first: Self.time(5), next: Self.time(6))),
      FlagMemory(
        absences: 2, absenceSnapshot: "s2", approved: false,
        write: WriteAttempt(flag: nil, attempts: 1, first: Self.time(7), next: Self.time(-8))),
    ]
    var ids: [Int64] = []
    for (index, memory) in memories.enumerated() {
      let id = try ledger.record(Self.record("\(index)"), now: Self.time(1))
      try ledger.recordMemory(id, memory)
      ids.append(id)
    }
    let all = try known(reopened())
    for (index, memory) in memories.enumerated() {
      #expect(all[Self.record("\(index)").key]?.memory == memory)
    }
    for id in ids { try ledger.recordMemory(id, nil) }
    #expect(try known(reopened()).values.allSatisfy { $0.memory == nil })
  }

  @Test("An examination that left is remembered only while it has a flag or a write under way")
  func left() throws {
    let key = Self.record("1").key
    let id = try ledger.record(Self.record("1"), now: Self.time(1))
    try ledger.recordPortalFlag(id, "sectra-tmc")
    try ledger.recordLeft(id, now: Self.time(2))
    let left = try #require(try known(ledger)[key])
    #expect(left.list == nil && left.portalFlag == "sectra-tmc" && left.digest == 0)
    try ledger.recordPortalFlag(id, nil)
    #expect(try known(ledger).isEmpty)
    try ledger.recordMemory(
      id,
      FlagMemory(
        write: WriteAttempt(flag: nil, attempts: 1, first: Self.time(1), next: Self.time(1))))
    #expect(try known(ledger)[key] != nil)
    try ledger.recordMemory(id, nil)
    #expect(try known(ledger).isEmpty)
    // Its last row stays for the record.
    #expect(try reader().examinations(number: "1", system: nil).count == 1)
  }

  @Test("Progress of images comes back the same, full and empty")
  func progress() throws {
    let id = try ledger.record(Self.record("1"), now: Self.time(1))
    #expect(try ledger.progress(id)?.reason?.code == .notStarted)
    var full = ImageProgress()
    full.state = .partial
    full.reason = ImageReason(.extraInArchive, "2 objects more")
    full.resolvedStudyUID = "1.2.3"
    full.archived = 4
    full.expected = 5
    full.held = true
    full.equalDigest = "digest"
    full.equalSince = Self.time(10)
    full.verified = Self.time(11)
    full.attempts = 6
    full.nextAttempt = Self.time(12)
    try ledger.recordProgress(id, full, now: Self.time(3))
    #expect(try reopened().progress(id) == full)
    let held = try #require(try known(reopened())[Self.record("1").key])
    #expect(held.images == .partial && held.archived == 4 && held.expected == 5 && held.held)
    #expect(held.reason == full.reason && held.nextAttempt == Self.time(12))
    let shown = try #require(try reader().examinations(number: "1", system: nil).first)
    #expect(shown.progress.reason == full.reason && shown.progress.held)
    #expect(shown.progress.verified == Self.time(11) && shown.changed == Self.time(3))

    var empty = ImageProgress()
    empty.reason = nil
    try ledger.recordProgress(id, empty, now: Self.time(4))
    #expect(try reopened().progress(id) == empty)
    #expect(try ledger.progress(id + 1) == nil)
    // A new row of the list leaves the images as they are.
    try ledger.recordProgress(id, full, now: Self.time(5))
    _ = try ledger.record(Self.record("1"), now: Self.time(6))
    #expect(try ledger.progress(id) == full)
  }

  @Test("Evidence of lists comes back the same after a restart")
  func evidence() throws {
    #expect(try ledger.listEvidence().isEmpty)
    var evidence = Ledger.ListEvidence()
    evidence.lastSize = 7
    try ledger.recordEvidence("a", evidence)
    evidence.emptySnapshots = 1
    evidence.emptySnapshot = "s"
    try ledger.recordEvidence("b", evidence)
    #expect(try reopened().listEvidence()["b"] == evidence)
    #expect(try reopened().listEvidence()["a"]?.emptySnapshot == nil)
    try ledger.recordEvidence("b", Ledger.ListEvidence())
    #expect(try reopened().listEvidence()["b"] == Ledger.ListEvidence())
    #expect(try ledger.listEvidence().count == 2)
  }

  @Test("A transaction that fails leaves nothing behind")
  func transactions() throws {
    struct Failure: Error {}
    #expect(throws: Failure.self) {
      try ledger.transaction {
        _ = try ledger.record(Self.record("1"), now: Self.time(1))
        throw Failure()
      }
    }
    #expect(try known(ledger).isEmpty)
    _ = try ledger.record(Self.record("1"), now: Self.time(1))
    #expect(try known(ledger).count == 1)
  }

  @Test("Pruning forgets what is old and gone, with its history, and nothing else")
  func pruning() throws {
    var ids: [String: Int64] = [:]
    for number in ["gone", "young", "listed", "flagged", "writing"] {
      ids[number] = try ledger.record(Self.record(number), now: Self.time(10))
      try ledger.addHistory(ids[number]!, "listed", "old", now: Self.time(10))
      try ledger.addHistory(ids[number]!, "shown", "new", now: Self.time(200))
    }
    for number in ["gone", "flagged", "writing"] {
      try ledger.recordLeft(ids[number]!, now: Self.time(20))
    }
    try ledger.recordLeft(ids["young"]!, now: Self.time(150))
    try ledger.recordPortalFlag(ids["flagged"]!, "a")
    try ledger.recordMemory(
      ids["writing"]!,
      FlagMemory(
        write: WriteAttempt(flag: nil, attempts: 1, first: Self.time(1), next: Self.time(1))))
    #expect(try ledger.prune(before: Self.time(100)) == [Self.record("gone").key])
    let reader = try reader()
    let left = try reader.list(LedgerReader.Filter(), limit: 100, after: nil)
    #expect(left.entries.map(\.record.key.number) == ["flagged", "listed", "writing", "young"])
    #expect(try reader.history(of: ids["gone"]!).isEmpty)
    #expect(try reader.history(of: ids["young"]!).map(\.detail) == ["new"])
    #expect(try ledger.prune(before: Self.time(100)).isEmpty)
  }

  @Test("Pruning takes at most so many a call, inside a transaction as well")
  func pruningInParts() throws {
    for number in 0..<25 {
      let id = try ledger.record(Self.record("\(number)"), now: Self.time(1))
      try ledger.recordLeft(id, now: Self.time(2))
    }
    var counts: [Int] = []
    repeat {
      counts.append(
        try ledger.transaction { try ledger.prune(before: Self.time(3), limit: 10).count })
    } while counts.last! > 0
    #expect(counts == [10, 10, 5, 0])
  }

  @Test("A cycle in which nothing changes writes no row")
  func rowsWritten() throws {
    _ = try ledger.record(Self.record("1"), now: Self.time(1))
    let written = ledger.rowsWritten
    _ = try known(ledger)
    _ = try ledger.listEvidence()
    #expect(ledger.rowsWritten == written)
    _ = try ledger.record(Self.record("1"), now: Self.time(2))
    #expect(ledger.rowsWritten == written + 1)
  }
}
