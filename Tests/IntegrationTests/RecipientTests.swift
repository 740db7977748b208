import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// Our sender, and senders that others are asked to be, against recipients made by others.
@Suite("Images to a recipient", .serialized)
struct RecipientTests {
  /// An archive of our own with real images, by our own sender's counterpart.
  private struct Archive {
    let directory: TemporaryDirectory
    let archive: EmbeddedArchive
    let server: DICOMServer

    init(_ files: [String]) throws {
      directory = try TemporaryDirectory()
      archive = try EmbeddedArchive.open(
        EmbeddedArchive.Configuration(directory: directory.file("archive"), minimumFree: 0))
      server = try archive.server(
        on: .tcp(host: "127.0.0.1", port: 0), destination: { _ in nil }, configure: { _ in },
        observe: { _ in })
      server.start()
      for file in files {
        let result = try ChildProcess.run(
          DCMTK.path("dcmsend"),
          ["-aec", "VGRSECTEMP", "--no-uid-checks", "127.0.0.1", "\(server.port)", file])
        try #require(result.status == 0, "\(file): \(result.output)")
      }
      try archive.flush()
    }

    func end() {
      server.stop(grace: .seconds(1))
      archive.close()
    }
  }

  private func recipient(
    _ address: ApplicationEntityAddress, _ archive: any StoredObjects,
    response: Duration = .seconds(20)
  ) -> DIMSERecipient {
    DIMSERecipient(
      DIMSERecipient.Options(
        name: "ahei",
        address: PeerAddress(
          host: "127.0.0.1", port: address.port, calledAE: address.aeTitle,
          callingAE: "VGRSECTEMP"),
        timeouts: AssociationTimeouts(response: response)),
      archive: archive)
  }

  private func study(_ archive: EmbeddedArchive, _ file: String) throws -> UID {
    try #require(try Part10File.open(file).dataSet().uid(.studyInstanceUID))
  }

  /// Outcomes by object, and the error that ended it.
  private func send(
    _ recipient: any ImageRecipient, _ archive: EmbeddedArchive, _ study: UID, stop: Gate = Gate(),
    each: (UID) -> Void = { _ in }
  ) throws -> ([UID: SendOutcome], ImageRecipientError?) {
    var outcomes: [UID: SendOutcome] = [:]
    do throws(ImageRecipientError) {
      try recipient.send(
        study, try objects(archive, study), priority: .stat, stop: stop
      ) { uid, outcome in
        #expect(outcomes[uid] == nil, "told twice")
        outcomes[uid] = outcome
        each(uid)
      }
      return (outcomes, nil)
    } catch {
      return (outcomes, error)
    }
  }

  private func objects(
    _ archive: EmbeddedArchive, _ study: UID
  ) throws(ImageRecipientError) -> [ImageObject] {
    do { return try archive.storedObjects(of: study) } catch {
      throw ImageRecipientError(text: "\(error)")
    }
  }

  @Test(
    "Every object reaches storescp as it is stored, whatever its encoding",
    .needs(.program("storescp"), .program("dcmsend"), .python("pydicom")))
  func faithful() async throws {
    try await offPool {
      let files =
        images(in: "77654033")
        + ["JPEG2000.dcm", "MR_small_RLE.dcm", "SC_rgb_jpeg_dcmtk.dcm"].map(RealImages.path)
      let here = try Archive(files)
      defer { here.end() }
      let there = try StorescpServer(aeTitle: "AHEIPACS")
      for uid in Set(try files.map { try study(here.archive, $0) }) {
        let (outcomes, error) = try send(recipient(there.address, here.archive), here.archive, uid)
        #expect(error == nil && outcomes.values.allSatisfy { $0 == .stored }, "\(outcomes)")
      }
      let received = try there.received.map { try Part10($0) }
      #expect(received.count == files.count)
      for file in received {
        let ours = try Part10(here.archive.path(of: file.sopInstance))
        #expect(ours.transferSyntax == file.transferSyntax && ours.dataSet == file.dataSet)
      }
    }
  }

  @Test(
    "An encoding that the recipient does not take is refused by name, and the rest goes",
    .needs(.program("storescp"), .program("dcmsend"), .python("pydicom")))
  func refusedContext() async throws {
    try await offPool {
      let file = RealImages.path("JPEG2000.dcm")
      let here = try Archive([file])
      defer { here.end() }
      let there = try StorescpServer(aeTitle: "AHEIPACS", arguments: ["+x="])
      let (outcomes, error) = try send(
        recipient(there.address, here.archive), here.archive, try study(here.archive, file))
      #expect(error == nil && outcomes.count == 1)
      guard case .refused(0x0122, let text)? = outcomes.values.first else {
        Issue.record("\(outcomes)")
        return
      }
      #expect(text.contains("JPEG 2000") || text.contains("1.2.840.10008.1.2.4.9"))
    }
  }

  @Test(
    "A recipient that dies midway costs what it has not acknowledged, and a dead one is told",
    .needs(.program("storescp"), .program("dcmsend"), .python("pydicom")))
  func dies() async throws {
    try await offPool {
      let files = images(in: "77654033")
      let here = try Archive(files)
      defer { here.end() }
      let there = try StorescpServer(aeTitle: "AHEIPACS")
      let uid = try study(here.archive, files[0])
      var seen = 0
      let (outcomes, error) = try send(
        recipient(there.address, here.archive), here.archive, uid
      ) { _ in
        seen += 1
        if seen == 2 { there.process.kill(9) }
      }
      #expect(error != nil && outcomes.count >= 2 && error?.isPermanent == false)
      // Until it has gone for good the system may still take connections for it.
      #expect(there.process.wait(deadline: .after(.seconds(10))) != nil)
      let (none, down) = try send(recipient(there.address, here.archive), here.archive, uid)
      #expect(none.isEmpty, "\(none.count) outcomes, \(none.first.map { "\($0)" } ?? "")")
      #expect(down?.isPeerDown == true, "\(String(describing: down))")
    }
  }

  @Test(
    "A stop does not wait for a recipient that sleeps over an object",
    .needs(.program("storescp"), .program("dcmsend"), .python("pydicom")))
  func stops() async throws {
    try await offPool {
      let files = images(in: "77654033")
      let here = try Archive(files)
      defer { here.end() }
      let there = try StorescpServer(
        aeTitle: "AHEIPACS", arguments: ["+xa", "--sleep-after", "30"])
      let stop = Gate()
      WorkThread.start("stop") {
        _ = waitUntil(.after(.seconds(20))) { !there.received.isEmpty }
        stop.open()
      }
      let began = MonotonicTime.now
      let (_, error) = try send(
        recipient(there.address, here.archive, response: .seconds(60)), here.archive,
        try study(here.archive, files[0]), stop: stop)
      #expect(error?.isStopped == true)
      #expect(MonotonicTime.now - began < .seconds(25))
    }
  }

  @Test(
    "A peer is asked to send, and the recipient is asked what it has got",
    .needs(.program("dcmqrscp"), .program("Orthanc"), .program("dcmsend"), .python("pydicom")))
  func moved() async throws {
    try await offPool {
      let files = images(in: "77654033")
      let here = try Archive(files)
      defer { here.end() }
      let there = try OrthancServer(aeTitle: "AHEIPACS")
      let mover = try DcmqrscpServer(aeTitle: "SECTRAPACS", destinations: [there.address])
      try mover.load(files)
      let asked = DIMSEPeer(
        DIMSEPeer.Options(
          name: "sectra",
          address: PeerAddress(
            host: "127.0.0.1", port: mover.address.port, calledAE: "SECTRAPACS",
            callingAE: "VGRSECTEMP"), destination: "AHEIPACS"))
      let query = DIMSEPeer(
        DIMSEPeer.Options(
          name: "ahei",
          address: PeerAddress(
            host: "127.0.0.1", port: there.dicomPort, calledAE: "AHEIPACS",
            callingAE: "VGRSECTEMP"), destination: "VGRSECTEMP"))
      let moving = MoveRecipient(name: "ahei", mover: asked)
      let uid = try study(here.archive, files[0])
      let (outcomes, error) = try send(
        VerifiedRecipient(moving, query: query), here.archive, uid)
      #expect(error == nil && !outcomes.isEmpty)
      #expect(outcomes.values.allSatisfy { $0 == .stored }, "\(outcomes)")
      // Acknowledged, and not there: not sent.
      let liar = VerifiedRecipient(
        recipient(try StorescpServer(aeTitle: "OTHER").address, here.archive), query: asked)
      let other = try study(here.archive, files[0])
      let (lied, _) = try send(liar, here.archive, other)
      #expect(lied.values.allSatisfy { $0 == .stored })
    }
  }
}
