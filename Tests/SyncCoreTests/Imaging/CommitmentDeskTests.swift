import DICOM
import Platform
import Testing

@testable import SyncCore

@Suite("Storage commitments that are waited for")
struct CommitmentDeskTests {
  private func report(_ transaction: UID) -> CommitmentReport {
    CommitmentReport(
      transaction: transaction,
      committed: [ObjectReference(sopClass: "1.2.840.10008.5.1.4.1.1.2", sopInstance: "1.2.3")],
      failed: [])
  }

  private func answer(
    _ desk: CommitmentDesk, _ transaction: UID, from aeTitle: String
  ) -> DIMSEStatus {
    do throws(ServiceFailure) {
      try desk.received(
        report(transaction),
        from: AssociationInfo(
          id: 1, callingAE: aeTitle, calledAE: "VGRSECTEMP", peerHost: "127.0.0.1"))
      return .success
    } catch {
      return error.status
    }
  }

  @Test("a report is found by its transaction, and only the peer that was asked can give it")
  func matching() {
    let desk = CommitmentDesk()
    desk.expect("1.2.1", from: "AHEIPACS")
    #expect(answer(desk, "1.2.9", from: "AHEIPACS") == .processingFailure)
    #expect(answer(desk, "1.2.1", from: "STRANGER") == .notAuthorized)
    #expect(desk.report(on: "1.2.1", until: .after(.zero)) == nil)
    #expect(answer(desk, "1.2.1", from: "AHEIPACS") == .success)
    #expect(desk.report(on: "1.2.1", until: .after(.zero)) == report("1.2.1"))
  }

  @Test("whoever waits is woken by the report")
  func waiting() {
    let desk = CommitmentDesk()
    desk.expect("1.2.1", from: "AHEIPACS")
    let thread = WorkThread.start("report") { _ = answer(desk, "1.2.1", from: "AHEIPACS") }
    #expect(desk.report(on: "1.2.1", until: .after(.seconds(20))) != nil)
    thread.join()
  }

  @Test("a report that comes too late is taken and forgotten; memory has its bounds")
  func late() {
    let desk = CommitmentDesk()
    desk.expect("1.2.1", from: "AHEIPACS")
    desk.finish("1.2.1")
    #expect(answer(desk, "1.2.1", from: "AHEIPACS") == .success)
    #expect(desk.report(on: "1.2.1", until: .after(.zero)) == nil)
    for index in 0..<CommitmentDesk.remembered {
      desk.expect(UID("1.3.\(index)"), from: "AHEIPACS")
      desk.finish(UID("1.3.\(index)"))
    }
    #expect(answer(desk, "1.2.1", from: "AHEIPACS") == .processingFailure)
    #expect(answer(desk, "1.3.0", from: "AHEIPACS") == .success)
  }
}

@Suite("What a C-GET proposes for the objects it wants")
struct GetProposalTests {
  private func objects(_ classes: [UID?]) -> [ImageObject] {
    classes.enumerated().map {
      ImageObject(sopInstance: UID("1.2.\($0)"), series: "1.3", sopClass: $1)
    }
  }

  @Test("the SOP classes that the query told, the most frequent first")
  func told() {
    let proposal = DIMSEPeer.proposal(for: objects(["1.2.4", "1.2.3", "1.2.3", "1.2.5"]))
    #expect(proposal.roles.map(\.sopClass) == ["1.2.3", "1.2.4", "1.2.5"])
    #expect(
      proposal.contexts.first == ProposedContext(InformationModel.studyRoot.getClass!))
  }

  @Test("where the query did not tell, what most studies consist of, beside what it told")
  func untold() {
    let proposal = DIMSEPeer.proposal(for: objects(["1.2.3", nil, "", "not a uid"]))
    #expect(proposal.roles.first?.sopClass == "1.2.3")
    #expect(proposal.roles.count == 1 + DIMSEPeer.usualClasses.count)
    #expect(proposal.contexts.count <= Association.mostContexts)
    // Uncompressed, and the two lossless encodings, have contexts of their own.
    let ct = proposal.contexts.filter { $0.abstractSyntax == "1.2.840.10008.5.1.4.1.1.2" }
    #expect(ct.count >= 3)
    #expect(DIMSEPeer.usualClasses.allSatisfy { SOPClass.isStorage($0) })
  }
}
