import Platform
import TestSupport
import Testing

@testable import DICOM

/// What the statuses of C-MOVE are worth, as two real archives show: the reason why nothing but an
/// enumeration of the destination proves that images arrived.
@Suite("C-MOVE against real peers", .serialized)
struct MovePeerTests {
  private struct Surroundings {
    let destination: TestServer
    let orthanc: OrthancServer
    let dcmqrscp: DcmqrscpServer
    let study: String
    let instances: [StoredInstance]

    init() throws {
      destination = try TestServer(aeTitle: "DESTINATION")
      let known = [
        ApplicationEntityAddress("DESTINATION", port: destination.port),
        ApplicationEntityAddress("DOWN", port: try freePort()),
      ]
      orthanc = try OrthancServer(modalities: known)
      dcmqrscp = try DcmqrscpServer(destinations: known)
      let images = RealImages.paths(in: "dicomdirtests/98892003/MR700")
      try orthanc.load(images)
      try dcmqrscp.load(images)
      instances = try images.map { try StoredInstance(part10: $0) }
      study = "1.3.6.1.4.1.5962.1.2.0.977067310.6001.0"
    }

    func move(
      _ study: String, from source: ApplicationEntityAddress, to destination: String
    ) throws -> MoveOutcome {
      let association = try Association.request(
        to: source.peerAddress,
        contexts: [
          ProposedContext(InformationModel.studyRoot.moveClass!),
          ProposedContext(InformationModel.studyRoot.findClass),
        ], timeouts: .short)
      defer { try? association.release() }
      let identifier = DataSet([
        (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, study),
      ])
      return try association.move(identifier, in: .studyRoot, to: destination)
    }

    /// The Study Instance UID, asked from the peer itself.
    func studyUID(at source: ApplicationEntityAddress) throws -> String {
      let association = try Association.request(
        to: source.peerAddress,
        contexts: [ProposedContext(InformationModel.studyRoot.findClass)], timeouts: .short)
      defer { try? association.release() }
      var found: [String] = []
      _ = try association.find(
        DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "")]),
        in: .studyRoot
      ) {
        if let uid = $0.plainText(DICOM.Tag(0x0020, 0x000D)) { found.append(uid) }
        return true
      }
      return try #require(found.first)
    }
  }

  @Test(
    "Both archives' statuses in the cases that matter",
    .needs(.program("Orthanc"), .program("/usr/bin/dcmqrscp"), .python("pydicom")))
  func statuses() async throws {
    try await offPool {
      let around = try Surroundings()
      let refused = around.instances[3].sopInstance
      for source in [around.dcmqrscp.address, around.orthanc.address] {
        let isOrthanc = source.aeTitle == "ORTHANC"
        let study = try around.studyUID(at: source)
        func expect(
          _ outcome: MoveOutcome, _ status: UInt16, orthanc: UInt16, _ what: String
        ) {
          #expect(
            outcome.result.status == DIMSEStatus(isOrthanc ? orthanc : status),
            "\(what) at \(source.aeTitle): \(outcome)")
        }

        // Everything arrives, with who asked for it.
        let arrived = around.destination.archive.state
        arrived.update { $0.stored = [] }
        let whole = try around.move(study, from: source, to: "DESTINATION")
        expect(whole, 0x0000, orthanc: 0x0000, "all")
        #expect(whole.suboperations.completed == 7)
        #expect(whole.suboperations.failed == 0)
        #expect(!whole.isSuspectSuccess)
        let stored = arrived.read { $0.stored }
        #expect(Set(stored.map(\.sopInstance)) == Set(around.instances.map(\.sopInstance)))
        #expect(stored.allSatisfy { $0.moveOriginator?.aeTitle == "SYNCD" })

        let absent = try around.move("1.2.3.4.5", from: source, to: "DESTINATION")
        expect(absent, 0x0000, orthanc: 0xC000, "absent study")
        #expect(absent.isSuspectSuccess == !isOrthanc)

        expect(
          try around.move(study, from: source, to: "NOBODY"), 0xA801, orthanc: 0xC000,
          "unknown destination")
        expect(
          try around.move(study, from: source, to: "DOWN"), 0xA702, orthanc: 0xC000,
          "destination down")

        // One object is refused: some of the others arrived whatever the status says.
        arrived.update {
          $0.stored = []
          $0.refusals = [refused: ServiceFailure(.outOfResources)]
        }
        let partial = try around.move(study, from: source, to: "DESTINATION")
        expect(partial, 0xB000, orthanc: 0xC000, "one refused")
        if !isOrthanc {
          #expect(partial.suboperations.completed == 6)
          #expect(partial.suboperations.failed == 1)
          #expect(partial.failedInstances == [refused])
          #expect(!partial.isOnlyWarnings)
          #expect(partial.lastPending != nil)
        }
        arrived.update { $0.refusals = [:] }
      }
    }
  }
}
