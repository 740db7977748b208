import DICOM
import Foundation
import Glibc
import Platform
import Testing

@testable import SyncCore

@Suite struct ArchiveStoreTests {
  @Test("an object's file holds the data set byte for byte, and its header says whose it is")
  func storesUnchanged() throws {
    let fixture = try ArchiveFixture()
    let object = SampleObject(1)
    #expect(try fixture.store(object) == .success)
    #expect(try fixture.storedDataSet(object) == object.dataSet)
    let file = try FileDescriptor.open(fixture.archive.path(of: object.instance), O_RDONLY)
    let header = try #require(try ArchiveFileHeader.read(file))
    #expect(header.sopInstance == object.instance)
    #expect(header.sopClass == object.sopClass)
    #expect(header.transferSyntax == .explicitVRLittleEndian)
    #expect(header.source == "SECTRA")
    #expect(fixture.files("incoming").isEmpty)
  }

  @Test("what was acknowledged is found by the next query, series by series and sorted")
  func readsItsWrites() throws {
    let fixture = try ArchiveFixture()
    for number in [3, 1, 2] { try fixture.store(SampleObject(number)) }
    try fixture.store(SampleObject(1, series: 2))
    let contents = try fixture.archive.instanceUIDs(study: "1.2.752.99.1")
    #expect(contents.map(\.uid) == ["1.2.752.99.1.1", "1.2.752.99.1.2"])
    #expect(contents[0].instances == ["1.2.752.99.1.1.1", "1.2.752.99.1.1.2", "1.2.752.99.1.1.3"])
    #expect(try fixture.archive.instanceUIDs(study: "1.2.752.99.9").isEmpty)
    let study = try #require(try fixture.archive.studies(accession: "SEEXAMPLE0000001").first)
    #expect(study.uid == "1.2.752.99.1" && study.seriesCount == 2 && study.instanceCount == 4)
    #expect(study.modalities == ["CT"])
    let statistics = try fixture.archive.statistics()
    #expect(statistics.objects == 4)
    #expect(statistics.bytes > 400_000)
  }

  @Test("the same object again is a success and changes nothing")
  func sameAgain() throws {
    let fixture = try ArchiveFixture()
    let object = SampleObject(1)
    try fixture.store(object)
    #expect(try fixture.store(object) == .success)
    #expect(try fixture.archive.statistics().objects == 1)
    #expect(fixture.files("objects").count == 1)
    #expect(fixture.files("conflicts").isEmpty && fixture.files("incoming").isEmpty)
    #expect(fixture.events.isEmpty)
  }

  @Test("other bytes under the same UID are kept beside, once each, reported and answered B007")
  func conflict() throws {
    let fixture = try ArchiveFixture()
    let first = SampleObject(1)
    var second = first
    second.pixels[63] = 8
    var third = first
    third.pixels.removeLast(2)
    try fixture.store(first)
    #expect(try fixture.store(second) == .dataSetDoesNotMatchSOPClassWarning)
    #expect(try fixture.store(second) == .dataSetDoesNotMatchSOPClassWarning)
    #expect(try fixture.store(third) == .dataSetDoesNotMatchSOPClassWarning)
    #expect(try fixture.storedDataSet(first) == first.dataSet)
    let conflicts = try fixture.archive.conflicts(study: first.study).sorted {
      $0.number < $1.number
    }
    #expect(conflicts.map(\.number) == [1, 2])
    #expect(try ArchiveFixture.dataSet(inFile: conflicts[0].path) == second.dataSet)
    #expect(try ArchiveFixture.dataSet(inFile: conflicts[1].path) == third.dataSet)
    #expect(try fixture.archive.conflicts(study: "1.2").isEmpty)
    #expect(fixture.files("incoming").isEmpty)
    let reported = fixture.events.filter { if case .conflict = $0 { true } else { false } }
    #expect(reported.count == 3)
    #expect(try fixture.archive.statistics().objects == 1)
  }

  @Test("an aborted object leaves no file and no row")
  func abort() throws {
    let fixture = try ArchiveFixture()
    let object = SampleObject(1)
    let sink = try fixture.archive.beginStore(fixture.request(object))
    try ArchiveFixture.send(Array(object.dataSet.dropLast(100)), to: sink)
    #expect(fixture.files("incoming").count == 1)
    sink.abort()
    #expect(fixture.files("incoming").isEmpty && fixture.files("objects").isEmpty)
    #expect(try fixture.archive.statistics().objects == 0)
  }

  @Test(
    "a data set that is not what the command says, or lacks a UID, is refused A900",
    arguments: [0x0008_0018, 0x0008_0016, 0x0020_000D, 0x0020_000E] as [UInt32])
  func refusals(tag: UInt32) throws {
    let fixture = try ArchiveFixture()
    var object = SampleObject(1)
    object.omitted = [tag]
    let missing = #expect(throws: ServiceFailure.self) { try fixture.store(object) }
    #expect(missing?.status == .dataSetDoesNotMatchSOPClass)
    let other = SampleObject(2)
    let different = #expect(throws: ServiceFailure.self) {
      try fixture.store(other.dataSet, fixture.request(SampleObject(1)))
    }
    #expect(different?.status == .dataSetDoesNotMatchSOPClass)
    #expect(fixture.files("incoming").isEmpty && fixture.files("objects").isEmpty)
    #expect(fixture.events.count == 2)
  }

  @Test("any cut of a data set before its UIDs is refused, and nothing crashes")
  func truncation() throws {
    let fixture = try ArchiveFixture()
    let object = SampleObject(1)
    let bytes = object.dataSet
    for length in Array(0..<400) + Array((bytes.count - 300)..<(bytes.count - 250)) {
      _ = try? fixture.store(Array(bytes[..<length]), fixture.request(object))
    }
    #expect(fixture.files("incoming").isEmpty)
    #expect(fixture.files("objects").isEmpty)
  }

  @Test("flipped bits in a header never crash, and what is taken has the right UID")
  func flippedBits() throws {
    let fixture = try ArchiveFixture()
    let object = SampleObject(1)
    let bytes = object.dataSet
    var generator = SystemRandomNumberGenerator()
    for _ in 0..<500 {
      var damaged = bytes
      damaged.replaceSubrange(400..<100_300, with: [])
      for _ in 0..<3 {
        damaged[Int.random(in: 0..<min(500, damaged.count), using: &generator)] ^=
          1 << UInt8.random(in: 0..<8, using: &generator)
      }
      _ = try? fixture.store(damaged, fixture.request(object))
    }
    #expect(fixture.files("incoming").isEmpty)
    #expect(fixture.files("objects").allSatisfy { $0.hasSuffix("/\(object.instance).dcm") })
  }

  @Test("objects are refused A700 while less than the minimum is free, and that is said once")
  func lowDisk() throws {
    let fixture = try ArchiveFixture(minimumFree: .max)
    for _ in 0..<2 {
      let failure = #expect(throws: ServiceFailure.self) { try fixture.store(SampleObject(1)) }
      #expect(failure?.status == .outOfResources)
    }
    #expect(fixture.events.count == 1)
  }

  @Test(
    "a disk that fills up in the middle of an object refuses it A700, and the next fits again",
    .enabled(if: getuid() == 0, "needs root to mount a small tmpfs"))
  func fullDisk() throws {
    var template = Array("/tmp/syncd-archive-XXXXXX".utf8CString)
    try #require(mkdtemp(&template) != nil)
    let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    try #require(mount("tmpfs", path, "tmpfs", 0, "size=4m") == 0)
    defer {
      umount2(path, Int32(MNT_DETACH))
      rmdir(path)
    }
    let fixture = try ArchiveFixture(path: path)
    var large = SampleObject(1)
    large.pixels = [UInt8](repeating: 1, count: 8 << 20)
    let failure = #expect(throws: ServiceFailure.self) { try fixture.store(large) }
    #expect(failure?.status == .outOfResources)
    #expect(fixture.files("incoming").isEmpty)
    #expect(try fixture.store(SampleObject(2)) == .success)
    #expect(try fixture.archive.statistics().objects == 1)
    fixture.close()
  }

  @Test("when the disk fails nothing of the group is promised, and all of it may come again")
  func diskFails() throws {
    let fixture = try ArchiveFixture()
    try fixture.store(SampleObject(1))
    try fixture.archive.flush()
    let late = SampleObject(3)
    let sink = try fixture.archive.beginStore(fixture.request(late))
    try ArchiveFixture.send(late.dataSet, to: sink)
    fixture.setDiskError(EIO)
    try fixture.store(SampleObject(2))
    #expect(throws: ArchiveError.self) { try fixture.archive.flush() }
    let refused = #expect(throws: ServiceFailure.self) { try fixture.store(SampleObject(4)) }
    #expect(refused?.status == .outOfResources)
    // Written before the failure, finished after it: its pages may be among the lost.
    let failure = #expect(throws: ServiceFailure.self) { try sink.finish() }
    #expect(failure?.status == .outOfResources)
    fixture.setDiskError(0)
    try waitUntil { (try? fixture.archive.flush()) != nil }
    try waitUntil { (try? fixture.store(SampleObject(2))) == .success }
    #expect(try fixture.store(late) == .success)
    let contents = try fixture.archive.instanceUIDs(study: "1.2.752.99.1")
    #expect(contents.first?.instances == (1...3).map { SampleObject($0).instance })
    #expect(fixture.files("damaged").count == 1)
    #expect(
      fixture.events.map(String.init(describing:)).filter { $0.contains("disk failed: 1") }.count
        == 1)
  }

  private func waitUntil(_ condition: () -> Bool) throws {
    let deadline = Deadline.after(.seconds(10))
    while !condition() {
      try #require(!deadline.isPast)
      usleep(1000)
    }
  }

  @Test("a directory has one archive at a time")
  func locked() throws {
    let fixture = try ArchiveFixture()
    let error = #expect(throws: ArchiveError.self) {
      _ = try EmbeddedArchive.open(fixture.configuration)
    }
    guard case .inUse? = error else {
      Issue.record("\(error.map(String.init(describing:)) ?? "no error")")
      return
    }
  }

  @Test("storing from several threads loses nothing, and one UID has one winner")
  func concurrent() throws {
    let fixture = try ArchiveFixture()
    let archive = try #require(fixture.archive)
    let request = fixture.request(SampleObject(1))
    let threads = (0..<4).map { thread in
      WorkThread.start("store \(thread)") {
        for number in 1...100 {
          var object = SampleObject(number, series: thread + 1)
          if number == 100 { object = SampleObject(1000, series: 9) }
          object.pixels[0] = number == 100 ? UInt8(thread) : 0
          let request = StoreRequest(
            association: request.association, sopClass: object.sopClass,
            sopInstance: object.instance, transferSyntax: .explicitVRLittleEndian)
          do {
            let sink = try archive.beginStore(request)
            try ArchiveFixture.send(object.dataSet, to: sink)
            _ = try sink.finish()
          } catch {
            Issue.record("\(error)")
          }
        }
      }
    }
    for thread in threads { #expect(thread.join(until: .after(.seconds(60)))) }
    let contents = try archive.instanceUIDs(study: "1.2.752.99.1")
    #expect(contents.map(\.instances.count) == [99, 99, 99, 99, 1])
    #expect(try archive.conflicts().count == 3)
  }
}

@Suite struct ArchiveDirectoryTests {
  @Test("no UID leads out of its directory, and different UIDs have different files")
  func pathTricks() {
    let directory = ArchiveDirectory(path: "/a")
    let tricks: [UID] = [
      "..", "../../etc/passwd", "/etc/passwd", "1.2/3", "1.2\0.3", "1..2", "", ".", "1.2.", "å",
      "x31", UID(String(repeating: "9", count: 64)), UID(String(repeating: "9", count: 65)),
      "1.2.3", "1.2.3 ", "CON", "-rf", "1.2.3.dcm",
    ]
    var files = Set<String>()
    for trick in tricks {
      let file = directory.object(trick)
      let parts = file.split(separator: "/", omittingEmptySubsequences: false)
      #expect(parts.count == 5 && parts[1] == "a" && parts[2] == "objects" && parts[3].count == 2)
      #expect(parts[4].utf8.allSatisfy { $0 > 0x2C && $0 < 0x7F })
      #expect(!parts[4].hasPrefix(".") || parts[4] == ".dcm")
      #expect(files.insert(String(parts[4])).inserted)
      #expect(ArchiveDirectory.uid(ofName: ArchiveDirectory.name(trick)) == trick)
    }
  }

  @Test("a header is read as it was written, and any cut of it is no header")
  func header() throws {
    var header = ArchiveFileHeader(
      sopClass: "1.2.3", sopInstance: "1.2.3.4", transferSyntax: .implicitVRLittleEndian,
      source: "SECTRA")
    header.dataSetLength = 526_000
    let bytes = header.encoded(identity: .ours)
    header.dataSetOffset = bytes.count
    #expect(ArchiveFileHeader.decode(bytes[...]) == header)
    for length in 0..<bytes.count { #expect(ArchiveFileHeader.decode(bytes[..<length]) == nil) }
  }

  @Test("files spread evenly over the directories")
  func buckets() {
    var counts = [Int](repeating: 0, count: ArchiveDirectory.bucketCount)
    for number in 0..<25_600 { counts[ArchiveDirectory.bucket(UID("1.2.752.24.7.\(number)"))] += 1 }
    #expect(counts.min()! > 40 && counts.max()! < 200)
  }
}
