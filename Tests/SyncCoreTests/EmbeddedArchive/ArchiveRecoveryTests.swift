import DICOM
import Foundation
import Glibc
import SQLite
import Testing

@testable import SyncCore

@Suite struct ArchiveRecoveryTests {
  /// The directory as a kill -9 at this moment would leave it.
  private func killed(_ fixture: ArchiveFixture) throws -> String {
    let copy = fixture.path + "-killed"
    try? FileManager.default.removeItem(atPath: copy)
    try FileManager.default.copyItem(atPath: fixture.path, toPath: copy)
    return copy
  }

  @Test("after an end in order, nothing is recovered and everything is there")
  func clean() throws {
    let fixture = try ArchiveFixture()
    try fixture.store(SampleObject(1))
    fixture.close()
    try fixture.open()
    #expect(fixture.events.isEmpty)
    #expect(try fixture.archive.statistics().objects == 1)
    #expect(try fixture.archive.contains(SampleObject(1).instance))
  }

  @Test("killed at any moment, whatever was promised is there, and whatever has its file is found")
  func killedAtAnyMoment() throws {
    let fixture = try ArchiveFixture()
    for number in 1...20 { try fixture.store(SampleObject(number)) }
    try fixture.archive.flush()
    // One conflict, three acknowledged but perhaps not promised, and one on its way.
    var other = SampleObject(1)
    other.pixels[0] = 9
    try fixture.store(other)
    for number in 21...23 { try fixture.store(SampleObject(number)) }
    let sink = try fixture.archive.beginStore(fixture.request(SampleObject(24)))
    try ArchiveFixture.send(Array(SampleObject(24).dataSet.prefix(50_000)), to: sink)
    let again = try ArchiveFixture(path: killed(fixture))
    sink.abort()
    let contents = try again.archive.instanceUIDs(study: "1.2.752.99.1")
    #expect(contents.first?.instances.count == 23)
    #expect(again.files("incoming").isEmpty)
    #expect(try again.archive.conflicts().count == 1)
    #expect(try again.storedDataSet(SampleObject(23)) == SampleObject(23).dataSet)
    #expect(try again.archive.statistics().objects == 23)
  }

  @Test("files without rows are indexed as if they had come by the network")
  func lostIndex() throws {
    let fixture = try ArchiveFixture()
    var object = SampleObject(1)
    object.patientName = "Tolvansson^Åsa"
    try fixture.store(object)
    object.pixels[0] = 9
    try fixture.store(object)
    let before = try fixture.find(.image, allKeys)
    fixture.close()
    for suffix in ["", "-wal", "-shm"] { unlink(fixture.path + "/index.sqlite" + suffix) }
    try fixture.open()
    #expect(try fixture.find(.image, allKeys) == before)
    #expect(try fixture.archive.conflicts().count == 1)
    #expect(try fixture.archive.conflicts().first?.source == "SECTRA")
    #expect(fixture.events.count == 1)
  }

  private let allKeys: [(UInt32, VR, String)] = [
    (0x0010_0010, .PN, ""), (0x0010_0020, .LO, ""), (0x0008_0050, .SH, ""),
    (0x0008_0060, .CS, ""), (0x0020_0013, .IS, ""), (0x0028_0010, .US, ""),
    (0x0020_1208, .IS, ""), (0x0008_0016, .UI, ""),
  ]

  @Test("an unreadable index is kept aside and rebuilt from the objects")
  func corruptIndex() throws {
    let fixture = try ArchiveFixture()
    for number in 1...300 { try fixture.store(SampleObject(number)) }
    fixture.close()
    let path = fixture.path + "/index.sqlite"
    try Data(repeating: 0x41, count: 20_000).write(to: URL(filePath: path))
    try fixture.open()
    #expect(try fixture.archive.statistics().objects == 300)
    guard case .indexRebuilt(objects: 300, let old)? = fixture.events.first else {
      Issue.record("\(fixture.events)")
      return
    }
    #expect(access(old, F_OK) == 0)
  }

  @Test("rows whose files are gone are dropped with their empty series and study, and counted")
  func lostFiles() throws {
    let fixture = try ArchiveFixture()
    try fixture.store(SampleObject(1))
    try fixture.store(SampleObject(2))
    try fixture.store(SampleObject(1, study: 2))
    try fixture.archive.flush()
    let copy = try killed(fixture)
    let directory = ArchiveDirectory(path: copy)
    unlink(directory.object(SampleObject(2).instance))
    unlink(directory.object(SampleObject(1, study: 2).instance))
    let again = try ArchiveFixture(path: copy)
    guard case .recovered(indexed: 0, dropped: 2, damaged: 0)? = again.events.first else {
      Issue.record("\(again.events)")
      return
    }
    #expect(try again.archive.statistics().objects == 1)
    #expect(try again.archive.study("1.2.752.99.2") == nil)
    // And it can come again.
    #expect(try again.store(SampleObject(1, study: 2)) == .success)
    #expect(try again.archive.contains(SampleObject(1, study: 2).instance))
  }

  @Test("after a power cut a file cut short is put aside, not indexed, and the object fits again")
  func powerCut() throws {
    let fixture = try ArchiveFixture()
    for number in 1...3 { try fixture.store(SampleObject(number)) }
    try fixture.archive.flush()
    let copy = try killed(fixture)
    do {
      // As the disk may look: two rows never written, one file without its end, one empty, and the
      // machine has started anew.
      let database = try Database.open(copy + "/index.sqlite")
      try database.execute("DELETE FROM instance WHERE uid<>?", SampleObject(1).instance.value)
      try database.execute("UPDATE state SET value='another boot' WHERE key='boot'")
    }
    let directory = ArchiveDirectory(path: copy)
    truncate(directory.object(SampleObject(2).instance), 100_500)
    truncate(directory.object(SampleObject(3).instance), 0)
    let again = try ArchiveFixture(path: copy)
    guard case .recovered(indexed: 0, dropped: 0, damaged: 2)? = again.events.first else {
      Issue.record("\(again.events)")
      return
    }
    #expect(again.files("damaged").count == 2)
    #expect(
      try again.archive.instanceUIDs(study: "1.2.752.99.1").first?.instances == [
        SampleObject(1).instance
      ])
    #expect(try again.store(SampleObject(2)) == .success)
    #expect(try again.storedDataSet(SampleObject(2)) == SampleObject(2).dataSet)
  }

  @Test("an index of a newer version is not touched")
  func newerIndex() throws {
    let fixture = try ArchiveFixture()
    fixture.close()
    do {
      let database = try Database.open(fixture.path + "/index.sqlite")
      try database.execute("PRAGMA user_version=99")
    }
    let error = #expect(throws: ArchiveError.self) { try fixture.open() }
    guard case .index(let cause)? = error else {
      Issue.record("no index error")
      return
    }
    #expect(cause.isNewerSchema)
  }
}
