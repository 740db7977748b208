import Platform
import TestSupport
import Testing

@testable import DICOM

@Suite("Storage commitment with real peers", .serialized)
struct CommitmentPeerTests {
  private func curl(_ arguments: [String]) throws -> String {
    let result = try ChildProcess.run("curl", ["-sf"] + arguments)
    try #require(result.status == 0, "curl \(arguments): \(result.output)")
    return result.standardOutput
  }

  private func request(
    _ peer: ApplicationEntityAddress, _ request: CommitmentRequest, calling: String = "SYNCD"
  ) throws -> (Association, OperationResult) {
    var address = peer.peerAddress
    address.callingAE = calling
    let association = try Association.request(
      to: address, contexts: [.storageCommitment], timeouts: .short)
    return (association, try association.requestCommitment(request))
  }

  @Test(
    "Orthanc as the provider reports on an association of its own, object by object",
    .needs(.program("Orthanc"), .python("pydicom")))
  func orthancProvides() async throws {
    try await offPool {
      let here = MemoryCommitments()
      let back = try TestServer(
        aeTitle: "SYNCD", services: DICOMServices(commitmentReports: here))
      let orthanc = try OrthancServer(
        modalities: [ApplicationEntityAddress("SYNCD", port: back.port)])
      let images = RealImages.paths(in: "dicomdirtests/98892003/MR700")
      try orthanc.load(images)
      let held = try images.map { ObjectReference(try StoredInstance(part10: $0)) }
      let absent = ObjectReference(sopClass: held[0].sopClass, sopInstance: "1.2.3.4")
      for (references, failures) in [(held, 0), (held + [absent], 1)] {
        let asked = CommitmentRequest(transaction: .random(), references: references)
        let (association, result) = try self.request(orthanc.address, asked)
        #expect(result.status == .success)
        try association.release()
        let report = try #require(
          here.report(asked.transaction), "\(orthanc.process.output.suffix(2000))")
        #expect(report.failed.count == failures)
        #expect(Set(report.committed) == Set(held))
        if failures == 1 { #expect(report.failed.map(\.reference) == [absent]) }
      }
      #expect(here.state.read { $0.reporters }.allSatisfy { $0 == "ORTHANC" })
    }
  }

  @Test(
    "Orthanc as the user asks us, and takes our report on an association of ours",
    .needs(.program("Orthanc"), .python("pydicom")))
  func orthancUses() async throws {
    try await offPool {
      let orthancAddress = Monitor<PeerAddress?>(nil)
      let there = MemoryCommitments(holding: ["1.2.1", "1.2.2"])
      let server = try TestServer(services: DICOMServices(commitment: there)) {
        $0.destination = { title in
          title == "ORTHANC" ? orthancAddress.read { $0 } : nil
        }
      }
      let orthanc = try OrthancServer(
        modalities: [ApplicationEntityAddress("TEST", port: server.port)])
      orthancAddress.update {
        $0 = PeerAddress(
          host: "127.0.0.1", port: orthanc.dicomPort, calledAE: "ORTHANC", callingAE: "TEST")
      }
      let answer = try self.curl([
        "-X", "POST", "\(orthanc.url)/modalities/TEST/storage-commitment", "-d",
        """
        {"DicomInstances": [["\(ctImageStorage)", "1.2.1"], ["\(ctImageStorage)", "1.2.2"],
          ["\(ctImageStorage)", "1.2.3"]]}
        """,
      ])
      let id = try #require(answer.firstMatch(of: /"ID"\s*:\s*"([^"]+)"/)?.output.1)
      var report = ""
      let hasCome = try waitUntil(.after(.seconds(20))) {
        report = try self.curl(["\(orthanc.url)/storage-commitment/\(id)"])
        return !report.contains("Pending")
      }
      #expect(hasCome, "\(report)\n\(server.events.read { $0 })")
      #expect(report.contains("\"Status\" : \"Failure\""), "\(report)")
      #expect(report.contains("1.2.3"))
      #expect(there.state.read { $0.requests.first?.references.count } == 3)
    }
  }

  @Test(
    "pynetdicom as the provider: on the same association, on its own, with failures, and not at all",
    .needs(.python("pynetdicom")))
  func pynetdicomProvides() async throws {
    try await offPool {
      let here = MemoryCommitments()
      let back = try TestServer(
        aeTitle: "SYNCD", services: DICOMServices(commitmentReports: here))
      let python = try ServicesProvider(reportTo: back.port)
      let references = ["1.2.1", "1.2.2"].map {
        ObjectReference(sopClass: ctImageStorage, sopInstance: $0)
      }
      for word in ["SAME", "FAIL"] {
        let asked = CommitmentRequest(transaction: .random(), references: references)
        let (association, result) = try self.request(python.address(word), asked)
        #expect(result.status == .success)
        let report = try #require(try association.commitmentReport(until: .after(.seconds(20))))
        #expect(report.transaction == asked.transaction)
        #expect(report.failed.count == (word == "FAIL" ? 1 : 0))
        #expect(report.failed.allSatisfy { $0.reason == .noSuchSOPInstance })
        #expect(waitUntil { python.lines.contains("reported 0000") })
        try association.release()
      }
      let asked = CommitmentRequest(transaction: .random(), references: references)
      let (association, _) = try self.request(python.address("NEW"), asked)
      #expect(here.report(asked.transaction)?.committed == references, "\(python.lines)")
      #expect(try association.commitmentReport(until: .after(.milliseconds(100))) == nil)
      try association.release()
      let (refused, result) = try self.request(python.address("REFUSE"), asked)
      #expect(result.status == .processingFailure)
      try refused.release()
    }
  }

  @Test(
    "pynetdicom as the user gets its report on the association it leaves open, or on a new one",
    .needs(.python("pynetdicom")))
  func pynetdicomUses() async throws {
    try await offPool {
      let port = try freePort()
      let there = MemoryCommitments(holding: ["1.2.1"])
      let server = try TestServer(services: DICOMServices(commitment: there)) {
        $0.destination = { title in
          title == "USER"
            ? PeerAddress(host: "127.0.0.1", port: port, calledAE: "USER", callingAE: "TEST") : nil
        }
      }
      for place in ["same", "new"] {
        let lines = try ServicesProvider.use(
          port: server.port,
          ["commit", place, "\(port)", "\(ctImageStorage):1.2.1", "\(ctImageStorage):1.2.2"])
        let answer = try #require(lines.first { $0.hasPrefix("answer 0000 ") }, "\(lines)")
        let transaction = answer.split(separator: " ")[2]
        #expect(lines.contains("report 2 \(transaction) 1 1.2.2=0112"), "\(place): \(lines)")
        #expect(lines.contains("done"))
      }
    }
  }
}
