import Glibc
import Platform
import TestSupport
import Testing

@testable import DICOM

/// Our user against our provider: what no peer can be made to do on demand.
@Suite("Association between our two sides", .serialized)
struct LoopbackTests {
  /// A prime number of bytes over and over: a shift by any buffer's length would show.
  private static let pattern: [UInt8] = {
    let period = (0..<251).map { UInt8($0) }
    return Array(repeatElement(period, count: 8000).joined())
  }()

  private func pattern(_ count: Int) -> [UInt8] { Array(Self.pattern[..<count]) }

  @Test("Objects of all sizes arrive byte for byte, whatever PDU lengths the two sides announce")
  func storeSizes() async throws {
    try await offPool {
      for maximum: UInt32 in [64, 4096, 16384, 256 * 1024, 3 * 1024 * 1024] {
        let server = try TestServer { $0.maximumPDULength = maximum }
        let context = ProposedContext(ctImageStorage, [.explicitVRLittleEndian])
        let association = try server.associate([context])
        #expect(association.peerInformation.maximumLength == maximum)
        // Around the ends of fragments and of the writer's batches.
        var sizes = [0, 2, 56, 58, 60, min(Int(maximum), 300_000) - 6, 100_000]
        if maximum > 4096 { sizes += [262_144, 262_146, 262_148, 524_288, 1_500_000] }
        for (index, size) in sizes.enumerated() where size >= 0 {
          let object = self.pattern(size)
          let result = try association.store(
            sopClass: ctImageStorage, sopInstance: UID("1.2.\(index)"),
            transferSyntax: .explicitVRLittleEndian, from: MemoryDataSet(object))
          #expect(result.status == .success)
          let stored = server.archive.state.read { $0.stored.last }
          #expect(stored?.bytes == object, "\(size) bytes in PDUs of \(maximum)")
          #expect(stored?.sopInstance == UID("1.2.\(index)"))
        }
        try association.release()
        #expect(!association.isOpen)
        #expect(
          server.archive.state.wait(until: .after(.seconds(5))) { $0.ended == 1 ? true : nil }
            == true)
      }
    }
  }

  @Test("A refused object costs its data set and no more: the association goes on")
  func refusals() async throws {
    try await offPool {
      let server = try TestServer(
        MemoryArchive {
          $0.refusals["1.2.1"] = ServiceFailure(.notAuthorized, "not here")
          $0.full = 100_000
        })
      let association = try server.associate([
        ProposedContext(ctImageStorage, [.explicitVRLittleEndian])
      ])
      func store(_ instance: UID, _ count: Int) throws -> OperationResult {
        try association.store(
          sopClass: ctImageStorage, sopInstance: instance,
          transferSyntax: .explicitVRLittleEndian, from: MemoryDataSet(self.pattern(count)))
      }
      let refused = try store("1.2.1", 500_000)
      #expect(refused.status == .notAuthorized)
      #expect(refused.comment == "not here")
      #expect(try store("1.2.2", 500_000).status == .outOfResources)
      #expect(try store("1.2.3", 1000).status == .success)
      let (aborted, stored) = server.archive.state.read { ($0.aborted, $0.stored.count) }
      #expect(aborted == 1)
      #expect(stored == 1)
      try association.release()
    }
  }

  @Test("What has no accepted context is refused here, and the association stays usable")
  func noContext() async throws {
    try await offPool {
      let server = try TestServer()
      let association = try server.associate([
        ProposedContext(ctImageStorage, [.explicitVRLittleEndian]),
        ProposedContext("1.2.3.4"),
        ProposedContext(secondaryCapture, [.explicitVRBigEndian]),
        .verification,
      ])
      #expect(association.contexts.map(\.id) == [1, 7])
      #expect(association.refusedContexts.map(\.abstractSyntax) == ["1.2.3.4", secondaryCapture])
      #expect(
        throws: AssociationError.noAcceptedContext(ctImageStorage, .implicitVRLittleEndian)
      ) {
        try association.store(
          sopClass: ctImageStorage, sopInstance: "1.2", transferSyntax: .implicitVRLittleEndian,
          from: MemoryDataSet([]))
      }
      let missing = StoredInstance(
        sopClass: ctImageStorage, sopInstance: "1.2", transferSyntax: .explicitVRLittleEndian,
        path: "/nonexistent/file", dataSetOffset: 0, dataSetLength: 10)
      #expect {
        try association.store(missing)
      } throws: {
        if case .unreadable(let error)? = $0 as? AssociationError {
          error.code == ENOENT
        } else {
          false
        }
      }
      #expect(try association.echo().status == .success)
      try association.release()
      #expect(throws: AssociationError.closed) { try association.echo() }
    }
  }

  @Test("Matches stream in order, with the final status of the provider")
  func find() async throws {
    try await offPool {
      let matches = (0..<3000).map {
        DataSet([
          (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.\($0)"),
        ])
      }
      let server = try TestServer(MemoryArchive { $0.matches = matches })
      let association = try server.associate([ProposedContext(InformationModel.studyRoot.findClass)]
      )
      let query = DataSet([
        (DICOM.Tag(0x0008, 0x0050), .SH, ""), (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"),
      ])
      var found: [DataSet] = []
      let result = try association.find(query, in: .studyRoot) {
        found.append($0)
        return true
      }
      #expect(result.status == .success)
      #expect(found == matches)
      #expect(server.archive.state.read { $0.queries.first?.level } == .study)

      server.archive.state.update { $0.findFailure = ServiceFailure(.outOfResources, "busy") }
      let failed = try association.find(query, in: .studyRoot) { _ in true }
      #expect(failed.status == .outOfResources)
      #expect(failed.comment == "busy")

      let nonsense = DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, "NONSENSE")])
      #expect(
        try association.find(nonsense, in: .studyRoot) { _ in true }.status
          == .dataSetDoesNotMatchSOPClass)
      try association.release()
    }
  }

  @Test("A query is cancelled when the callback has had enough, and the association goes on")
  func cancelledFind() async throws {
    try await offPool {
      let match = DataSet([
        (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.3"),
      ])
      let server = try TestServer(
        MemoryArchive {
          $0.matches = [match]
          $0.isEndless = true
        })
      let association = try server.associate([
        ProposedContext(InformationModel.studyRoot.findClass), .verification,
      ])
      var count = 0
      let result = try association.find(match, in: .studyRoot) { _ in
        count += 1
        return count < 5
      }
      #expect(result.status == .cancel)
      #expect(count == 5)
      #expect(try association.echo().status == .success)
      try association.release()
    }
  }

  @Test("Each reason to refuse an association is told apart, and which of them may pass")
  func rejections() async throws {
    try await offPool {
      let server = try TestServer {
        $0.allowedCallingAEs = ["CLIENT"]
        $0.mostAssociations = 1
      }
      func rejection(called: String, calling: String) -> AssociationRejection? {
        let address = PeerAddress(
          host: "127.0.0.1", port: server.port, calledAE: called, callingAE: calling)
        do throws(AssociationError) {
          let made = try Association.request(
            to: address, contexts: [.verification], timeouts: .short)
          made.abort()
          return nil
        } catch {
          if case .rejected(let rejection) = error { return rejection }
          Issue.record("\(error)")
          return nil
        }
      }
      #expect(rejection(called: "OTHER", calling: "CLIENT") == .calledAENotRecognized)
      #expect(rejection(called: "TEST", calling: "STRANGER") == .callingAENotRecognized)
      let first = try server.associate([.verification])
      #expect(rejection(called: "TEST", calling: "CLIENT") == .localLimitExceeded)
      try first.release()
      let isFree = waitUntil { rejection(called: "TEST", calling: "CLIENT") == nil }
      #expect(isFree)
    }
  }

  @Test("A host that may not connect gets no answer")
  func refusedHost() async throws {
    try await offPool {
      let server = try TestServer { $0.admitsHost = { _ in false } }
      #expect {
        try server.associate([.verification])
      } throws: {
        if case .connectionLost? = $0 as? AssociationError { true } else { false }
      }
    }
  }

  @Test("Nobody listening, nobody answering, and an interrupt are three different errors")
  func waits() async throws {
    try await offPool {
      let port = try freePort()
      let nobody = PeerAddress(host: "127.0.0.1", port: port, calledAE: "X", callingAE: "Y")
      #expect {
        try Association.request(to: nobody, contexts: [.verification])
      } throws: {
        if case .cannotConnect(let error)? = $0 as? AssociationError {
          error.code == ECONNREFUSED
        } else {
          false
        }
      }
      // Connects, but nobody accepts and answers.
      let silent = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
      var timeouts = AssociationTimeouts.short
      timeouts.association = .milliseconds(200)
      #expect(throws: AssociationError.timedOut(.association)) {
        try Association.request(
          to: PeerAddress(host: "127.0.0.1", port: silent.port, calledAE: "X", callingAE: "Y"),
          contexts: [.verification], timeouts: timeouts)
      }
      // A provider that works for ever is interrupted from another thread.
      let match = DataSet([
        (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.3"),
      ])
      let server = try TestServer(
        MemoryArchive {
          $0.matches = [match]
          $0.isEndless = true
        })
      let association = try server.associate([ProposedContext(InformationModel.studyRoot.findClass)]
      )
      let started = Gate()
      let interrupter = WorkThread.start("interrupter") {
        started.wait(until: .after(.seconds(10)))
        association.interrupt()
      }
      #expect(throws: AssociationError.interrupted) {
        try association.find(match, in: .studyRoot) { _ in
          started.open()
          return true
        }
      }
      interrupter.join()
      #expect(!association.isOpen)
    }
  }

  @Test("Arguments that cannot be sent are refused before anything is")
  func arguments() {
    let good = PeerAddress(host: "127.0.0.1", port: 1, calledAE: "X", callingAE: "Y")
    var long = good
    long.calledAE = "SEVENTEEN-LETTERS"
    var backslash = good
    backslash.callingAE = "A\\B"
    let many = (0..<129).map { ProposedContext(UID("1.2.\($0)")) }
    let cases: [(PeerAddress, [ProposedContext])] = [
      (long, [.verification]), (backslash, [.verification]), (good, []), (good, many),
      (good, [ProposedContext("1.2", [])]), (good, [ProposedContext("not a uid")]),
    ]
    for (peer, contexts) in cases {
      #expect {
        try Association.request(to: peer, contexts: contexts)
      } throws: {
        if case .notEncodable? = $0 as? AssociationError { true } else { false }
      }
    }
  }

  @Test("A server that stops ends idle associations and returns")
  func stop() async throws {
    try await offPool {
      let server = try TestServer()
      let association = try server.associate([.verification])
      try association.echo()
      let before = MonotonicTime.now
      server.server.stop(grace: .seconds(5))
      #expect(MonotonicTime.now - before < .seconds(4))
      #expect(throws: AssociationError.self) { try association.echo() }
      #expect(server.server.associationCount == 0)
    }
  }
}
