import DICOM
import Foundation
import JSON
import Platform
import SyncCore
import TestSupport
import Testing
import Training

/// The real daemon's archive while it is killed, and while its disk is full.
@Suite("The archive under fire", .serialized)
struct ArchiveUnderFireTests {
  private static let study = PhantomStudy(
    accession: "SE00000000000707", patientName: "Tolvansson^Tolvan", description: "DT thorax",
    size: 96, series: [.init(number: 1, description: "axial", images: 60)])

  private let nobody = ApplicationEntityAddress("NOBODY", port: 1)

  /// Sends objects and returns the status of each that was answered, until one is not.
  private func send(
    _ objects: [StoredInstance], to port: UInt16, each: (Int) -> Void = { _ in }
  ) -> [(UID, DIMSEStatus)] {
    var answers: [(UID, DIMSEStatus)] = []
    do throws(AssociationError) {
      let association = try Association.request(
        to: PeerAddress(
          host: "127.0.0.1", port: port, calledAE: "VGRSECTEMP", callingAE: "SENDER"),
        contexts: [ProposedContext(PhantomStudy.ctImageStorage, [.explicitVRLittleEndian])],
        timeouts: AssociationTimeouts(response: .seconds(20)))
      for object in objects {
        let result = try association.store(object)
        answers.append((object.sopInstance, result.status))
        each(answers.count)
      }
      try association.release()
    } catch {}
    return answers
  }

  /// What the daemon says of itself; with an alarm the command's status is not 0.
  private func status(_ daemon: DaemonFixture) -> String {
    do {
      return try daemon.syncctl(["status"]).map(\.description).joined()
    } catch {
      return (error as? DaemonFixture.CommandFailure)?.text ?? ""
    }
  }

  /// What a query finds.
  private func found(_ port: UInt16) throws -> Set<UID> {
    let association = try Association.request(
      to: PeerAddress(host: "127.0.0.1", port: port, calledAE: "VGRSECTEMP", callingAE: "ASKER"),
      contexts: [ProposedContext(InformationModel.studyRoot.findClass)])
    var identifier = DataSet()
    identifier.setBytes(.queryRetrieveLevel, .CS, Array("IMAGE ".utf8))
    identifier.set(.studyInstanceUID, Self.study.studyUID)
    identifier.set(.seriesInstanceUID, Self.study.seriesUID(1))
    identifier.setEmpty(.sopInstanceUID)
    var uids: Set<UID> = []
    let result = try association.find(identifier, in: .studyRoot) { match in
      if let uid = match.uid(.sopInstanceUID) { uids.insert(uid) }
      return true
    }
    #expect(result.status == .success)
    try association.release()
    return uids
  }

  /// The object files, by UID: each must be whole and what was sent.
  private func check(
    _ daemon: DaemonFixture, _ root: String, _ objects: [StoredInstance]
  ) throws -> Set<UID> {
    let sent = Dictionary(uniqueKeysWithValues: objects.map { ($0.sopInstance, $0.path) })
    let files = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    var whole: Set<UID> = []
    for file in files where file.hasSuffix(".dcm") && file.hasPrefix("objects/") {
      let copy = try Part10("\(root)/\(file)")
      let original = try Part10(try #require(sent[copy.sopInstance], "\(file)"))
      #expect(copy.dataSet == original.dataSet, "\(copy.sopInstance) is not what was sent")
      whole.insert(copy.sopInstance)
    }
    #expect(!files.contains { $0.hasSuffix(".tmp") }, "something is left in incoming")
    #expect(
      !files.contains {
        $0.hasPrefix("conflicts/") || $0.hasPrefix("damaged/") && $0.hasSuffix(".dcm")
      })
    return whole
  }

  @Test(
    "Killed while peers store, it has afterwards all that it acknowledged, and nothing by halves")
  func killed() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let objects = try Self.study.write(Self.study.series[0], into: directory.path)
      let daemon = try DaemonFixture(peer: nobody, archivePort: try freePort())
      let root = daemon.directory.file("state/archive")
      var acknowledged: Set<UID> = []
      for (round, kills) in [2, 7, 15, 16, 29].enumerated() {
        try daemon.start()
        // Two at a time; one of them decides when.
        let part = objects[(round * 12)..<(round * 12 + 12)]
        let others = WorkThread.start("sender") { [port = daemon.archivePort] in
          _ = self.send(Array(part.reversed()), to: port)
        }
        let answers = self.send(Array(objects.prefix(kills)) + part, to: daemon.archivePort) {
          count in
          if count == kills { daemon.killHard() }
        }
        others.join(until: .after(.seconds(30)))
        #expect(answers.count >= kills)
        acknowledged.formUnion(answers.filter { !$0.1.isFailure }.map(\.0))
        try daemon.start()
        let there = try self.found(daemon.archivePort)
        #expect(acknowledged.isSubset(of: there), "\(acknowledged.subtracting(there).count) lost")
        #expect(try self.check(daemon, root, objects) == there)
        daemon.killHard()
      }
      #expect(acknowledged.count >= 29)
    }
  }

  @Test(
    "A full disk is A700 and no more: what was acknowledged is whole, and it goes on when there is room",
    .needsSmallDisk)
  func diskFull() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      // 18 kB each, and two that do not fit beside the room that must stay free.
      let objects = try Self.study.write(Self.study.series[0], into: directory.path)
      var large = Self.study
      large.size = 1100
      let huge = try large.write(
        PhantomStudy.Series(number: 2, description: "large", images: 1), into: directory.path)
      let daemon = try DaemonFixture(peer: nobody, archivePort: try freePort())
      let root = try daemon.directory.makeDirectory("small")
      let disk = try SmallDisk(path: root, megabytes: 6)
      try daemon.configure(peer: nobody, extra: "directory = \"\(root)\"")
      try daemon.start()
      defer { daemon.killHard() }

      let first = self.send(Array(objects.prefix(20)), to: daemon.archivePort)
      #expect(first.count == 20 && first.allSatisfy { $0.1 == .success })

      // Full in the middle of an object: there is room for its beginning only.
      var free = statvfs()
      statvfs(root, &free)
      let room = Int(free.f_bavail) * Int(free.f_frsize) / 1024
      try disk.setBallast(kilobytes: room - 1400)
      let within = self.send(huge, to: daemon.archivePort)
      #expect(within.map(\.1) == [.outOfResources], "\(within)")

      // Full from the start: the next ones are refused before a byte is written, on one association.
      try disk.setBallast(kilobytes: room - 300)
      let refused = self.send(Array(objects[20..<40]), to: daemon.archivePort)
      #expect(refused.count == 20 && refused.allSatisfy { $0.1 == .outOfResources }, "\(refused)")
      let alarmed = waitUntil { self.status(daemon).contains("archive_refusing") }
      #expect(alarmed, "\(daemon.log.suffix(1000))")
      // Who was acknowledged is found all the same.
      #expect(try self.found(daemon.archivePort) == Set(first.map(\.0)))

      try disk.setBallast(kilobytes: 0)
      let isBack = waitUntil(.after(.seconds(20))) {
        self.send([objects[20]], to: daemon.archivePort).first?.1 == .success
      }
      #expect(isBack)
      let rest = self.send(Array(objects[21...]), to: daemon.archivePort)
      #expect(rest.count == objects.count - 21 && rest.allSatisfy { $0.1 == .success })
      #expect(try self.found(daemon.archivePort) == Set(objects.map(\.sopInstance)))
      #expect(try self.check(daemon, root, objects) == Set(objects.map(\.sopInstance)))
      daemon.killHard()
    }
  }
}
