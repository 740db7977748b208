import Glibc
import Platform
import TestSupport
import Testing

@testable import SyncCore

@Suite("An access log that was changed")
struct AccessLogTamperingTests {
  private func filled() throws -> AccessLogFixture {
    let fixture = try AccessLogFixture()
    try fixture.write(4)
    return fixture
  }

  @Test("any changed byte is found, in the line where it is, and nothing more is recorded")
  func changedByte() throws {
    let fixture = try filled()
    let whole = try fixture.bytes()
    var line = 1
    for index in whole.indices {
      if index % 17 == 0 {
        var changed = whole
        changed[index] ^= 1
        try fixture.replace(changed)
        let broken = try #require(try fixture.verify().broken, "byte \(index)")
        // A line's end that is gone makes one line of two.
        #expect(broken.line == line, "byte \(index)")
        #expect(broken.file == AccessLogFixture.november)
        #expect(throws: AccessLogError.self) { try fixture.open() }
        #expect(try fixture.bytes() == changed)
      }
      if whole[index] == 0x0A { line += 1 }
    }
    try fixture.replace(whole)
    #expect(try fixture.verify().broken == nil)
  }

  @Test("a removed line is found, wherever it was", arguments: 0..<4)
  func removedLine(_ index: Int) throws {
    let fixture = try filled()
    var lines = try fixture.lines()
    lines.remove(at: index)
    try fixture.replace(lines: lines)
    let broken = try #require(try fixture.verify().broken)
    let expected = [
      "1: the log begins with entry 2: the ones before it were removed",
      "2: is entry 3, expected 2: lines were removed, added or moved",
      "3: is entry 4, expected 3: lines were removed, added or moved",
      "4: the log ends with entry 3, but 4 were written: its end was cut off",
    ]
    #expect(broken.description == "\(AccessLogFixture.november):" + expected[index])
  }

  @Test("lines that were moved, doubled or forged are found")
  func movedLines() throws {
    let fixture = try filled()
    let lines = try fixture.lines()
    try fixture.replace(lines: [lines[0], lines[2], lines[1], lines[3]])
    #expect(try fixture.verify().broken?.line == 2)
    try fixture.replace(lines: [lines[0], lines[1], lines[1], lines[2], lines[3]])
    #expect(try fixture.verify().broken?.line == 3)
    // A well made entry with the right number after the wrong one.
    let forged = AccessLogLine.encode(
      AccessLogFixture.entry(9), after: .init(sequence: 1, hash: [UInt8](repeating: 7, count: 32)),
      at: fixture.now, left: 0)
    try fixture.replace(lines: [lines[0], Array(forged.bytes.dropLast()), lines[2], lines[3]])
    #expect(
      try fixture.verify().broken?.description
        == "\(AccessLogFixture.november):2: does not follow the entry before it")
  }

  @Test("a log that was made anew is found as long as the mark of its end is the old one")
  func madeAnew() throws {
    let fixture = try filled()
    var last = AccessLogLine.Link.origin
    var lines: [[UInt8]] = []
    for number in 0..<6 {
      let line = AccessLogLine.encode(
        AccessLogFixture.entry(number + 10), after: last, at: fixture.now, left: 0)
      lines.append(Array(line.bytes.dropLast()))
      last = line.link
    }
    try fixture.replace(lines: lines)
    let broken = "\(AccessLogFixture.november):4: is not the entry that access.head tells of"
    #expect(try fixture.verify().broken?.description == broken)
    let error = #expect(throws: AccessLogError.self) { try fixture.open() }
    guard case .broken(let place)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(place.description == broken)
  }

  @Test("a file cut anywhere is found, and the log is not written on")
  func cut() throws {
    let fixture = try filled()
    let whole = try fixture.bytes()
    for length in stride(from: 0, to: whole.count, by: 97) {
      try fixture.replace(Array(whole[..<length]))
      #expect(try fixture.verify().broken != nil, "\(length) bytes")
      #expect(throws: AccessLogError.self) { try fixture.open() }
      #expect(try fixture.bytes().count == length)
    }
    unlink(fixture.path(AccessLogFixture.november))
    #expect(try fixture.verify().broken != nil)
    #expect(throws: AccessLogError.self) { try fixture.open() }
  }

  @Test("a month in the middle that was removed, emptied, cut or put before its time is found")
  func months() throws {
    let fixture = try AccessLogFixture()
    let months = ["2026-10", "2026-11", "2026-12"]
    let log = try fixture.open()
    for month in months {
      let now = WallTime(rfc3339: "\(month)-15T00:00:00Z")!
      try log.append([AccessLogFixture.entry()], now: now)
      try log.append([AccessLogFixture.entry()], now: now)
    }
    let whole = try fixture.bytes()
    try fixture.replace([])
    #expect(try fixture.verify().broken?.file == "access-2026-12.log")
    try fixture.replace(Array(whole.dropLast(5)))
    #expect(
      try fixture.verify().broken?.description == "access-2026-11.log:2: is not a whole line")
    unlink(fixture.path(AccessLogFixture.november))
    #expect(try fixture.verify().broken?.file == "access-2026-12.log")
    try fixture.replace(whole, in: "access-2026-09.log")
    #expect(try fixture.verify().broken?.file == "access-2026-10.log")
  }

  @Test("a lost mark of the end is found, and the chain says so when the log is opened again")
  func lostHead() throws {
    for content in [nil, [], Array("{}".utf8), [UInt8](repeating: 0, count: 128)] as [[UInt8]?] {
      let fixture = try filled()
      if let content {
        try fixture.replace(content, in: "access.head")
      } else {
        unlink(fixture.path("access.head"))
      }
      #expect(try fixture.verify().broken?.file == "access.head")
      try fixture.write(1)
      let found = try fixture.verify()
      #expect(found.broken == nil)
      #expect(found.entries == 6)
      #expect(
        found.notes == ["\(AccessLogFixture.november):5: the mark of the end had been lost"])
    }
  }

  // MARK: - Power cuts

  /// What is behind the last acknowledged entry when the power goes, and how many bytes of it.
  private func torn(_ tail: (AccessLogLine.Link, WallTime) -> [UInt8]) throws {
    let fixture = try filled()
    let before = try fixture.bytes()
    let last = try AccessLogLine.decode(#require(fixture.lines().last)).link
    let bytes = tail(last, fixture.now)
    try fixture.replace(before + bytes)
    try fixture.write(1)
    let found = try fixture.verify()
    #expect(found.broken == nil)
    #expect(found.entries == 6)
    #expect(found.notes == ["\(AccessLogFixture.november):5: an unfinished end was moved aside"])
    let name = "access.torn-2026-11-23T07:30:00.000Z"
    #expect(try fixture.names().filter { $0.hasPrefix("access.torn") } == [name])
    #expect(try fixture.bytes(name) == bytes)
    #expect(fixture.mode(name) == 0o600)
    #expect(try fixture.bytes().starts(with: before))
    let line = String(decoding: try fixture.lines()[4], as: UTF8.self)
    #expect(line.contains("\(bytes.count) bytes"))
    #expect(line.contains(SHA256.hex(SHA256.hash(bytes))))
    #expect(line.contains(name))
  }

  @Test("a torn line behind the last acknowledged one is moved aside, and the chain tells of it")
  func tornLine() throws {
    for part in [1, 40, 200] {
      try torn { last, now in
        let line = AccessLogLine.encode(AccessLogFixture.entry(5), after: last, at: now, left: 0)
        return Array(line.bytes.prefix(part))
      }
    }
  }

  @Test("a batch that is not whole counts nothing, however many whole lines it has")
  func tornBatch() throws {
    try torn { last, now in
      let first = AccessLogLine.encode(AccessLogFixture.entry(5), after: last, at: now, left: 2)
      let second = AccessLogLine.encode(
        AccessLogFixture.entry(6), after: first.link, at: now, left: 1)
      return first.bytes + second.bytes
    }
  }

  @Test("pages that never reached the disk are moved aside, even where later ones did")
  func holes() throws {
    try torn { last, now in
      let first = AccessLogLine.encode(AccessLogFixture.entry(5), after: last, at: now, left: 1)
      let second = AccessLogLine.encode(
        AccessLogFixture.entry(6), after: first.link, at: now, left: 0)
      return [UInt8](repeating: 0, count: first.bytes.count - 10) + first.bytes.suffix(10)
        + second.bytes
    }
    try torn { _, _ in [UInt8](repeating: 0, count: 2 << 20) }
  }

  @Test("a whole batch that nobody was told of counts")
  func wholeBatch() throws {
    let fixture = try filled()
    let before = try fixture.bytes()
    let last = try AccessLogLine.decode(#require(fixture.lines().last)).link
    let line = AccessLogLine.encode(
      AccessLogFixture.entry(5), after: last, at: fixture.now, left: 0)
    try fixture.replace(before + line.bytes)
    #expect(try fixture.open().head.sequence == 5)
    #expect(try fixture.bytes() == before + line.bytes)
    #expect(try fixture.verify().broken == nil)
  }

  @Test("the first line of a new month may be torn too")
  func tornMonth() throws {
    let fixture = try filled()
    fixture.now = WallTime(rfc3339: "2026-12-01T00:00:00Z")!
    try fixture.replace(Array("{\"seq".utf8), in: "access-2026-12.log")
    #expect(
      try fixture.verify().notes
        == ["access-2026-12.log:1: an unfinished entry at the end, perhaps being written"])
    try fixture.write(1)
    let found = try fixture.verify()
    #expect(found.broken == nil)
    #expect(found.entries == 6)
    #expect(try fixture.lines("access-2026-12.log").count == 2)
  }

  @Test("a power cut while a torn end is moved aside loses neither it nor the word of it")
  func cutWhileMoving() throws {
    let fixture = try filled()
    try fixture.replace(Array("{".utf8), in: "access.torn-2026-11-23T07:29:00.000Z.new")
    try fixture.write(1)
    let found = try fixture.verify()
    #expect(found.entries == 6)
    #expect(found.notes.count == 1)
    #expect(try fixture.names().contains("access.torn-2026-11-23T07:29:00.000Z"))
    // Told of once.
    try fixture.write(1)
    #expect(try fixture.verify().entries == 7)
  }
}
