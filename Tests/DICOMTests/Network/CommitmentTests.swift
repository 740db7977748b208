import Platform
import TestSupport
import Testing

@testable import DICOM

/// Commits to what it is told it has, and keeps the reports of others.
final class MemoryCommitments: CommitmentProvider, CommitmentReportReceiver {
  struct State {
    var held: Set<UID> = []
    var requests: [CommitmentRequest] = []
    var reports: [CommitmentReport] = []
    var reporters: [String] = []
    var refusal: ServiceFailure?
  }

  let state = Monitor(State())

  init(holding held: Set<UID> = []) {
    state.update { $0.held = held }
  }

  func commitment(
    to request: CommitmentRequest, for association: AssociationInfo
  ) -> CommitmentReport {
    let held = state.update { state in
      state.requests.append(request)
      return state.held
    }
    return CommitmentReport(
      transaction: request.transaction,
      committed: request.references.filter { held.contains($0.sopInstance) },
      failed: request.references.filter { !held.contains($0.sopInstance) }
        .map { .init($0, .noSuchSOPInstance) })
  }

  func received(
    _ report: CommitmentReport, from association: AssociationInfo
  ) throws(ServiceFailure) {
    if let refusal = state.read({ $0.refusal }) { throw refusal }
    state.update {
      $0.reports.append(report)
      $0.reporters.append(association.callingAE)
    }
  }

  func report(_ transaction: UID, _ seconds: Int64 = 20) -> CommitmentReport? {
    state.wait(until: .after(.seconds(seconds))) { state in
      state.reports.first { $0.transaction == transaction }
    }
  }
}

@Suite("Storage commitment between our two sides", .serialized)
struct CommitmentTests {
  private static let references = (1...5).map {
    ObjectReference(sopClass: ctImageStorage, sopInstance: UID("1.2.\($0)"))
  }

  private func server(
    _ commitments: MemoryCommitments, port: UInt16? = nil, title: String = "CLIENT"
  ) throws -> TestServer {
    try TestServer(
      services: DICOMServices(commitment: commitments, commitmentReports: commitments)
    ) { configuration in
      guard let port else { return }
      configuration.destination = { known in
        known == title
          ? PeerAddress(host: "127.0.0.1", port: port, calledAE: "TEST", callingAE: "REPORTER")
          : nil
      }
    }
  }

  @Test("What is asked and what is reported reads back as it was written")
  func coding() throws {
    let request = CommitmentRequest(transaction: .random(), references: Self.references)
    #expect(request.transaction.isValid && request.transaction != .random())
    for syntax in [TransferSyntax.implicitVRLittleEndian, .explicitVRLittleEndian] {
      let bytes = try request.information.encoded(as: syntax)
      #expect(try CommitmentRequest(DataSet(decoding: bytes, as: syntax)) == request)
      for failed in [0, 2, 5] {
        let report = CommitmentReport(
          transaction: request.transaction, committed: Array(Self.references.dropFirst(failed)),
          failed: Self.references.prefix(failed).map { .init($0, .classInstanceConflict) })
        let bytes = try report.information.encoded(as: syntax)
        #expect(try CommitmentReport(DataSet(decoding: bytes, as: syntax)) == report)
        #expect(report.eventType == (failed == 0 ? 1 : 2))
      }
    }
  }

  @Test("What names no transaction or no objects is refused with words")
  func malformed() {
    var noTransaction = CommitmentRequest(
      transaction: "1.2", references: Self.references
    ).information
    noTransaction.set(.transactionUID, UID("x"))
    #expect(throws: CommitmentError.self) { try CommitmentRequest(noTransaction) }
    var empty = DataSet()
    empty.set(.transactionUID, UID("1.2"))
    #expect(throws: CommitmentError.self) { try CommitmentRequest(empty) }
    #expect(throws: CommitmentError.self) { try CommitmentReport(empty) }
    empty.set(.referencedSOPSequence, items: [DataSet()])
    #expect(throws: CommitmentError.self) { try CommitmentRequest(empty) }
  }

  @Test("The report comes on the association of the request, object by object")
  func sameAssociation() async throws {
    try await offPool {
      let there = MemoryCommitments(holding: ["1.2.1", "1.2.2", "1.2.3"])
      let server = try self.server(there)
      let association = try server.associate([.storageCommitment])
      for _ in 0..<2 {
        let request = CommitmentRequest(transaction: .random(), references: Self.references)
        #expect(try association.requestCommitment(request).status == .success)
        let report = try #require(try association.commitmentReport(until: .after(.seconds(10))))
        #expect(report.transaction == request.transaction)
        #expect(report.committed == Array(Self.references.prefix(3)))
        #expect(report.failed.map(\.reference) == Array(Self.references.suffix(2)))
        #expect(report.failed.allSatisfy { $0.reason == .noSuchSOPInstance })
      }
      // Nothing more comes, and waiting for it ends nothing.
      #expect(try association.commitmentReport(until: .after(.milliseconds(300))) == nil)
      #expect(association.isOpen)
      try association.release()
    }
  }

  @Test("Several requests in a row, and other services between, get all their reports")
  func several() async throws {
    try await offPool {
      let there = MemoryCommitments(holding: ["1.2.1"])
      let archive = MemoryArchive()
      let server = try TestServer(
        archive,
        services: DICOMServices(storage: archive, query: archive, commitment: there))
      let association = try server.associate([
        .storageCommitment, .verification,
        ProposedContext(ctImageStorage, [.explicitVRLittleEndian]),
      ])
      let requests = (0..<3).map { _ in
        CommitmentRequest(transaction: .random(), references: Self.references)
      }
      for request in requests { _ = try association.requestCommitment(request) }
      var found: Set<UID> = []
      for _ in requests {
        if let report = try association.commitmentReport(until: .after(.seconds(10))) {
          found.insert(report.transaction)
        }
      }
      #expect(found == Set(requests.map(\.transaction)))
      #expect(try association.echo().status == .success)
      try association.release()
    }
  }

  @Test("Whoever releases at once gets the report on an association of the provider's")
  func newAssociation() async throws {
    try await offPool {
      let here = MemoryCommitments()
      let back = try self.server(here)
      let there = MemoryCommitments(holding: ["1.2.1"])
      let server = try self.server(there, port: back.port)
      let request = CommitmentRequest(transaction: .random(), references: Self.references)
      let association = try server.associate([.storageCommitment])
      #expect(try association.requestCommitment(request).status == .success)
      try association.release()
      let report = try #require(here.report(request.transaction))
      #expect(report.committed.map(\.sopInstance) == ["1.2.1"])
      #expect(report.failed.count == 4)
      #expect(here.state.read { $0.reporters } == ["REPORTER"])
    }
  }

  @Test("A report that nobody can be brought, and one that is not taken, is told")
  func undelivered() async throws {
    try await offPool {
      func reason(_ server: TestServer) throws -> String? {
        let association = try server.associate([.storageCommitment])
        _ = try association.requestCommitment(
          CommitmentRequest(transaction: .random(), references: Self.references))
        association.abort()
        return server.events.wait(until: .after(.seconds(20))) { events in
          for case .commitmentUndelivered("CLIENT", let reason) in events { return reason }
          return nil
        }
      }
      let unknown = try self.server(MemoryCommitments())
      #expect(try reason(unknown)?.contains("not known") == true)
      let unwilling = MemoryCommitments()
      unwilling.state.update { $0.refusal = ServiceFailure(.processingFailure) }
      let back = try self.server(unwilling)
      let told = try reason(try self.server(MemoryCommitments(), port: back.port))
      #expect(told?.contains("0110") == true, "\(told ?? "-")")
    }
  }

  @Test("Actions on another instance, of another type or without objects are refused by status")
  func refusals() async throws {
    try await offPool {
      let server = try self.server(MemoryCommitments())
      let association = try server.associate([.storageCommitment, .verification])
      func status(
        _ change: (inout Command) -> Void, _ information: DataSet?
      ) throws -> DIMSEStatus {
        let context = try association.context(for: SOPClass.storageCommitmentPushModel)
        var request = Command(.actionRequest)
        request.requestedSOPClass = SOPClass.storageCommitmentPushModel
        request.requestedSOPInstance = SOPClass.storageCommitmentPushModelInstance
        request.messageID = association.newMessageID()
        request.actionType = 1
        change(&request)
        try association.connection.send(request, in: context, dataSet: information)
        let (response, status, _) = try association.response(to: request)
        #expect(response.affectedSOPClass == SOPClass.storageCommitmentPushModel)
        return status
      }
      let good = CommitmentRequest(transaction: "1.2.3", references: Self.references).information
      #expect(try status({ $0.requestedSOPInstance = "1.2" }, good) == .noSuchSOPInstance)
      #expect(try status({ $0.actionType = 2 }, good) == .noSuchAction)
      #expect(try status({ _ in }, nil) == .invalidArgumentValue)
      #expect(
        try status({ $0.field = CommandField(rawValue: 0x0140) }, good) == .unrecognizedOperation)
      #expect(try association.echo().status == .success)
      try association.release()
    }
  }

  @Test("A report for nothing that was asked is answered by what its receiver says")
  func stranger() async throws {
    try await offPool {
      let here = MemoryCommitments()
      here.state.update { $0.refusal = ServiceFailure(.processingFailure, "no such transaction") }
      let server = try self.server(here)
      let association = try Association.request(
        to: server.address, contexts: [.storageCommitment], timeouts: .short,
        extensions: AssociationExtensions(roles: [
          .init(sopClass: SOPClass.storageCommitmentPushModel, user: false, provider: true)
        ]))
      let report = CommitmentReport(
        transaction: .random(), committed: Self.references, failed: [])
      let refused = try association.report(report)
      #expect(refused.status == .processingFailure && refused.comment == "no such transaction")
      here.state.update { $0.refusal = nil }
      #expect(try association.report(report).status == .success)
      #expect(here.state.read { $0.reports } == [report])
      try association.release()
    }
  }
}
