import Glibc
import JSON
import Platform
import Synchronization
import TestSupport
import Testing

@testable import SyncCore

@Suite("The access log")
struct AccessLogTests {
  @Test(
    "an entry is a line with its fields, its number, its time and the hash of the one before it")
  func fields() throws {
    let fixture = try AccessLogFixture()
    try fixture.write(2)
    let lines = try fixture.lines().map { try JSONValue.parse($0) }
    #expect(lines.count == 2)
    let first = try #require(lines.first?.objectValue)
    #expect(
      first.keys == [
        "sequence", "time", "action", "result", "actor", "on_behalf_of", "care_unit", "patient_id",
        "system", "number", "assignment", "recipient", "detail", "previous", "hash",
      ])
    #expect(first["sequence"] == 1)
    #expect(first["time"] == "2026-11-23T07:30:00.000Z")
    #expect(first["action"] == "order")
    #expect(first["actor"] == "uid:1000 lotta")
    #expect(first["on_behalf_of"] == "Dr Å \"citat\"\n")
    #expect(first["patient_id"] == "191212121212")
    #expect(first["number"] == "US0")
    #expect(first["result"] == "asked")
    #expect(first["previous"]?.stringValue == String(repeating: "0", count: 64))
    #expect(lines[1]["previous"] == first["hash"])
    #expect(lines[1]["sequence"] == 2)
  }

  @Test("the hash is the SHA-256 of the previous hash and the line without its hash")
  func hash() throws {
    let fixture = try AccessLogFixture()
    try fixture.write(1)
    let line = String(decoding: try #require(fixture.lines().first), as: UTF8.self)
    let parts = line.split(separator: ",\"hash\":\"")
    let canonical = Array((parts[0] + "}").utf8)
    let hash = SHA256.hash([UInt8](repeating: 0, count: 32) + canonical)
    #expect(parts[1] == SHA256.hex(hash) + "\"}")
  }

  @Test("goes on where it was when it is opened again")
  func reopened() throws {
    let fixture = try AccessLogFixture()
    try fixture.write(3)
    try fixture.write(2)
    let found = try fixture.verify()
    #expect(found.broken == nil)
    #expect(found.notes == [])
    #expect(found.entries == 5)
    #expect(found.first == 1)
    #expect(found.last == 5)
    let log = try fixture.open()
    #expect(log.head.sequence == 5)
    #expect(log.head.hash == found.hash)
  }

  @Test("a directory that was never used is in order, and one that is not there is an error")
  func nothing() throws {
    let fixture = try AccessLogFixture()
    #expect(throws: AccessLogError.self) { try fixture.verify() }
    try fixture.write(0)
    #expect(try fixture.verify() == AccessLog.Verification())
  }

  @Test("nobody else may read it, whatever the umask and whoever made the file")
  func mode() throws {
    let fixture = try AccessLogFixture()
    try fixture.write(1)
    for name in [AccessLogFixture.november, "access.head", "lock"] {
      #expect(fixture.mode(name) == 0o600, "\(name)")
    }
    #expect(fixture.mode(".") == 0o700)
    chmod(fixture.path(AccessLogFixture.november), 0o644)
    try fixture.write(1)
    #expect(fixture.mode(AccessLogFixture.november) == 0o600)
  }

  @Test("a second writer is refused, and may come when the first has gone")
  func twoWriters() throws {
    let fixture = try AccessLogFixture()
    do {
      let log = try fixture.open()
      let error = #expect(throws: AccessLogError.self) { try fixture.open() }
      guard case .inUse? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      // A reader is welcome.
      try log.append([AccessLogFixture.entry()], now: fixture.now)
      #expect(try fixture.verify().entries == 1)
    }
    try fixture.write(1)
    #expect(try fixture.verify().entries == 2)
  }

  @Test("many threads write one chain")
  func threads() throws {
    let fixture = try AccessLogFixture()
    let log = try fixture.open()
    let now = fixture.now
    let failures = Mutex(0)
    let threads = (0..<4).map { number in
      WorkThread.start("writer") {
        for _ in 0..<5 {
          do {
            try log.append([AccessLogFixture.entry(number), AccessLogFixture.entry()], now: now)
          } catch {
            failures.withLock { $0 += 1 }
          }
        }
      }
    }
    for thread in threads { thread.join() }
    #expect(failures.withLock { $0 } == 0)
    let found = try fixture.verify()
    #expect(found.entries == 40)
    #expect(found.broken == nil)
  }

  @Test("a text beyond all bounds is cut, and the line can be read")
  func longText() throws {
    let fixture = try AccessLogFixture()
    let log = try fixture.open()
    var entry = AccessLogFixture.entry()
    entry.detail = String(repeating: "\u{1}", count: 10_000)
    entry.recipient = String(repeating: "å", count: 10_000)
    entry.patientID = String(repeating: "e\u{301}", count: 10_000)
    try log.append([entry], now: fixture.now)
    let line = try JSONValue.parse(#require(fixture.lines().first))
    #expect(line["detail"]?.stringValue?.utf8.count == 4096)
    #expect(line["recipient"]?.stringValue?.hasSuffix("å…") == true)
    #expect(try fixture.verify().broken == nil)
  }

  @Test("a new month has a file of its own, chained to the one before it")
  func months() throws {
    let fixture = try AccessLogFixture()
    let log = try fixture.open()
    try log.append([AccessLogFixture.entry()], now: WallTime(rfc3339: "2026-11-30T23:59:59.999Z")!)
    try log.append([AccessLogFixture.entry()], now: WallTime(rfc3339: "2026-12-01T00:00:00Z")!)
    try log.append([AccessLogFixture.entry()], now: WallTime(rfc3339: "2027-01-01T00:00:00Z")!)
    let names = try fixture.names().filter { $0.hasSuffix(".log") }
    #expect(names == ["access-2026-11.log", "access-2026-12.log", "access-2027-01.log"])
    let found = try fixture.verify()
    #expect(found.files == 3)
    #expect(found.entries == 3)
    #expect(found.broken == nil)
  }

  @Test("a clock that is set back does not lead back to an earlier file, and 1969 is refused")
  func clock() throws {
    let fixture = try AccessLogFixture()
    try fixture.write(1)
    fixture.now = WallTime(rfc3339: "2026-10-01T00:00:00Z")!
    try fixture.write(1)
    #expect(try fixture.lines().count == 2)
    #expect(try fixture.verify().broken == nil)
    let log = try fixture.open()
    for time in [WallTime(milliseconds: -1), WallTime(milliseconds: .max)] {
      #expect(throws: AccessLogError.self) {
        try log.append([AccessLogFixture.entry()], now: time)
      }
    }
    try log.append([AccessLogFixture.entry()], now: fixture.now)
    #expect(try fixture.verify().entries == 3)
  }

  // MARK: - Failures

  @Test("after a sync that failed nothing more is recorded, until the log is opened anew")
  func failedSync() throws {
    let fixture = try AccessLogFixture()
    try {
      let shared = Shared(false)
      let log = try AccessLog.open(directory: fixture.directory, now: fixture.now) { _ in
        shared.value.withLock { $0 } ? EIO : 0
      }
      try log.append([AccessLogFixture.entry(1)], now: fixture.now)
      shared.value.withLock { $0 = true }
      for _ in 0..<2 {
        let error = #expect(throws: AccessLogError.self) {
          try log.append([AccessLogFixture.entry(2)], now: fixture.now)
        }
        guard case .unknownOutcome? = error else {
          Issue.record("\(String(describing: error))")
          return
        }
        // The disk is well again, but what became of the entry is as unknown as before.
        shared.value.withLock { $0 = false }
      }
      #expect(throws: AccessLogError.self) { try log.prune(keep: .zero, now: fixture.now) }
      #expect(log.head.sequence == 1)
    }()
    // It was written once, whether it counts or not; what follows it is chained to it.
    try fixture.write(1)
    let found = try fixture.verify()
    #expect(found.broken == nil)
    #expect(found.entries == 3)
  }

  @Test("a file that somebody else has added to is left alone, and nothing more is recorded")
  func foreignBytes() throws {
    let fixture = try AccessLogFixture()
    let log = try fixture.open()
    try log.append([AccessLogFixture.entry()], now: fixture.now)
    try fixture.replace(fixture.bytes() + Array("{}\n".utf8))
    #expect(throws: AccessLogError.self) {
      try log.append([AccessLogFixture.entry()], now: fixture.now)
    }
    #expect(try fixture.lines().count == 2)
  }

  @Test(
    "on a full disk nothing of a batch counts, and when there is room again the chain goes on",
    .enabled(if: getuid() == 0, "needs root to mount a small tmpfs"))
  func fullDisk() throws {
    let fixture = try AccessLogFixture()
    mkdir(fixture.directory, 0o700)
    try #require(mount("tmpfs", fixture.directory, "tmpfs", 0, "size=256k") == 0)
    defer { umount2(fixture.directory, Int32(MNT_DETACH)) }
    do {
      let log = try fixture.open()
      try log.append([AccessLogFixture.entry()], now: fixture.now)
      let before = try fixture.bytes()
      let error = #expect(throws: AccessLogError.self) {
        try log.append((0..<2000).map(AccessLogFixture.entry), now: fixture.now)
      }
      guard case .system(let system)? = error, system.code == ENOSPC else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(try fixture.bytes() == before)
      try log.append([AccessLogFixture.entry()], now: fixture.now)
      #expect(log.head.sequence == 2)
    }
    let found = try fixture.verify()
    #expect(found.entries == 2)
    #expect(found.broken == nil)
  }

  // MARK: - Pruning

  @Test("whole months older than the time to keep are removed, and the rest still proves itself")
  func pruning() throws {
    let fixture = try AccessLogFixture()
    let log = try fixture.open()
    for month in ["2021-10", "2021-11", "2021-12", "2026-12"] {
      for _ in 0..<2 {
        try log.append(
          [AccessLogFixture.entry()], now: WallTime(rfc3339: "\(month)-15T00:00:00Z")!)
      }
    }
    let now = WallTime(rfc3339: "2026-12-15T01:00:00Z")!
    let removed = try log.prune(keep: AccessLog.defaultKeep, now: now)
    #expect(removed == ["access-2021-10.log", "access-2021-11.log"])
    var found = try fixture.verify()
    #expect(found.broken == nil)
    #expect(found.first == 5)
    #expect(found.last == 9)
    #expect(found.notes == ["access-2026-12.log:3: old months were removed"])
    #expect(try log.prune(keep: AccessLog.defaultKeep, now: now) == [])
    // Everything but the current month.
    #expect(try log.prune(keep: .zero, now: now) == ["access-2021-12.log"])
    found = try fixture.verify()
    #expect(found.broken == nil)
    #expect(found.first == 7)
  }

  @Test("months that somebody else has removed are missed, although others were pruned")
  func removedMonths() throws {
    let fixture = try AccessLogFixture()
    let log = try fixture.open()
    for month in ["2021-10", "2022-01", "2026-11", "2026-12"] {
      try log.append([AccessLogFixture.entry()], now: WallTime(rfc3339: "\(month)-15T00:00:00Z")!)
    }
    let now = WallTime(rfc3339: "2026-12-15T01:00:00Z")!
    #expect(try log.prune(keep: AccessLog.defaultKeep, now: now).count == 1)
    unlink(fixture.path("access-2022-01.log"))
    #expect(
      try fixture.verify().broken?.description
        == "access-2026-11.log:1: the log begins with entry 3: the ones before it were removed")
  }

  @Test("a removal that a power cut has interrupted leaves an unbroken chain, and is completed")
  func interruptedPruning() throws {
    let fixture = try AccessLogFixture()
    let log = try fixture.open()
    for month in ["2021-08", "2021-09", "2021-10", "2026-12"] {
      try log.append([AccessLogFixture.entry()], now: WallTime(rfc3339: "\(month)-15T00:00:00Z")!)
    }
    let now = WallTime(rfc3339: "2026-12-15T01:00:00Z")!
    let kept = try ["access-2021-09.log", "access-2021-10.log"].map { ($0, try fixture.bytes($0)) }
    #expect(try log.prune(keep: AccessLog.defaultKeep, now: now).count == 3)
    for (name, bytes) in kept { try fixture.replace(bytes, in: name) }
    #expect(try fixture.verify().broken == nil)
    #expect(try log.prune(keep: AccessLog.defaultKeep, now: now) == kept.map(\.0))
    #expect(try fixture.verify().broken == nil)
    #expect(try fixture.verify().first == 4)
  }

  @Test(
    "a clock that has jumped into the future removes nothing before something was recorded then")
  func jumpedClock() throws {
    let fixture = try AccessLogFixture()
    try fixture.write(1)
    fixture.now = WallTime(rfc3339: "2099-01-01T00:00:00Z")!
    let log = try fixture.open()
    #expect(try log.prune(keep: AccessLog.defaultKeep, now: fixture.now) == [])
    #expect(try fixture.verify().entries == 1)
  }
}

/// A value that a closure on another thread may share.
final class Shared<Value: Sendable>: Sendable {
  let value: Mutex<Value>
  init(_ value: Value) { self.value = Mutex(value) }
}
