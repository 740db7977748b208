import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

/// pynetdicom, an implementation that is not ours, going wrong in both roles.
@Suite("pynetdicom going wrong", .serialized, .needs(.python("pynetdicom")))
struct HostilePynetdicomTests {
  @Test("As user: aborts, resets, half objects and many contexts; each as it should be")
  func user() async throws {
    try await offPool {
      let match = DataSet([
        (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.3"),
      ])
      let server = try TestServer(
        MemoryArchive {
          $0.matches = [match]
          $0.isEndless = true
          $0.refusals["1.2.3.4.2"] = ServiceFailure(.notAuthorized)
        })
      let result = try ChildProcess.run(
        Peers.python,
        [Peers.packageRoot + "/Tests/Scripts/hostile-user.py", "\(server.port)", "TEST"],
        deadline: .after(.seconds(120)))
      #expect(result.status == 0, "\(result.output)")
      for line in [
        "abort after association: done", "reset after association: done",
        "abort among matches: done", "cancel among matches: FE00", "provider abort: done",
        "no limit: 0000", "128 contexts: 128", "data set first: aborted",
        "store and echo: 0124 0000",
      ] {
        #expect(result.standardOutput.contains(line), "\(line)\n\(result.output)")
      }
      #expect(server.archive.state.read { $0.stored.map(\.sopInstance) } == ["1.2.3.4.1"])
      try server.expectClean("pynetdicom")
    }
  }

  @Test("As provider: every status, and every way to end an association")
  func provider() async throws {
    try await offPool {
      let port = try freePort()
      let provider = try ChildProcess(
        Peers.python, [Peers.packageRoot + "/Tests/Scripts/hostile-provider.py", "\(port)"])
      let isUp = waitUntil(.after(.seconds(30))) {
        (try? StreamSocket.connect(
          to: .tcp(host: "127.0.0.1", port: port), deadline: .after(.seconds(1)))) != nil
      }
      try #require(isUp, "\(provider.output)")
      var timeouts = AssociationTimeouts.short
      timeouts.response = .seconds(2)
      func associate() throws(AssociationError) -> Association {
        try Association.request(
          to: PeerAddress(host: "127.0.0.1", port: port, calledAE: "HOSTILE", callingAE: "SYNCD"),
          contexts: [
            .verification, ProposedContext(ctImageStorage, [.implicitVRLittleEndian]),
            ProposedContext(InformationModel.studyRoot.findClass),
          ], timeouts: timeouts)
      }
      func store(_ what: Int) -> Result<DIMSEStatus, AssociationError> {
        Result { () throws(AssociationError) in
          let association = try associate()
          let status = try association.store(
            sopClass: ctImageStorage, sopInstance: UID("1.2.3.\(what)"),
            transferSyntax: .implicitVRLittleEndian,
            from: MemoryDataSet([UInt8](repeating: 0, count: 100_000))
          ).status
          // It goes on after any status.
          #expect(try association.echo().status == .success)
          try association.release()
          return status
        }
      }
      for status in [0x0000, 0x0111, 0xA700, 0xA900, 0xB000, 0xB006, 0xB007, 0xC000, 0x0122] {
        #expect(store(status) == .success(DIMSEStatus(UInt16(status))))
      }
      // An exception in its handler is C211, a status of pynetdicom's own.
      #expect(store(2) == .success(DIMSEStatus(0xC211)))
      if case .failure(.abortedByPeer) = store(1) {} else { Issue.record("no abort") }
      if case .failure(.connectionLost) = store(3) {} else { Issue.record("not lost") }
      #expect(store(4) == .failure(.timedOut(.response)))

      func find(_ word: String, most: Int = 100) -> Result<DIMSEStatus, AssociationError> {
        Result { () throws(AssociationError) in
          let association = try associate()
          var count = 0
          let status = try association.find(
            DataSet([
              (DICOM.Tag(0x0008, 0x0050), .SH, word), (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"),
            ]), in: .studyRoot
          ) { _ in
            count += 1
            return count < most
          }.status
          #expect(try association.echo().status == .success)
          try association.release()
          return status
        }
      }
      #expect(find("PLAIN") == .success(.success))
      #expect(find("ENDLESS") == .success(.cancel))
      #expect(find("NONSENSE") == .success(DIMSEStatus(0x1234)))
      #expect(find("RAISE") == .success(DIMSEStatus(0xC311)))
      if case .failure(.abortedByPeer) = find("ABORT") {} else { Issue.record("no abort") }
      let isClosed = waitUntil(.after(.seconds(20))) { OpenSockets.connected(port: port) == 0 }
      #expect(isClosed, "\(OpenSockets.connected(port: port)) sockets")
    }
  }
}
