import Testing

@testable import SyncCore

@Suite("The send gate")
struct SendGateTests {
  private static let gate = SendGate(
    primaryStatuses: [.completed], secondReadingStatuses: [.completed, .signed],
    referralMoveStatuses: [.requested])
  private static let recipient = SendGate.Recipient(
    id: "tmc", label: "TMC > CT", destination: "ahei")

  private static func facts(_ change: (inout SendGate.Facts) -> Void = { _ in }) -> SendGate.Facts {
    var progress = ImageProgress()
    progress.state = .complete
    progress.archived = 3
    progress.expected = 3
    var facts = SendGate.Facts(
      record: ExaminationRecord(
        key: ExaminationKey(system: "SECTRA", number: "SE1"), list: "tmc", flag: "f",
        portalFlag: "f", status: .completed, statusRaw: "Utförd"),
      progress: progress)
    change(&facts)
    return facts
  }

  private func rules(
    _ facts: SendGate.Facts, to recipient: SendGate.Recipient = Self.recipient,
    kind: AssignmentKind = .review, review: ReviewType = .primary, isForced: Bool = false,
    isNotified: Bool = false
  ) -> [SendGate.Refusal.Rule] {
    let wish = SendGate.Wish(
      kind: kind, review: review, isForced: isForced, recipientNotified: isNotified)
    let refusals = Self.gate.refusals(facts, to: recipient, wish)
    for refusal in refusals { #expect(!refusal.text.isEmpty && !refusal.remedy.isEmpty) }
    return refusals.map(\.rule)
  }

  @Test("What is listed, flagged, performed and complete may go")
  func passes() { #expect(rules(Self.facts()) == []) }

  @Test("Each rule refuses for itself, and a reason lets through only what may be forced")
  func eachRule() {
    let table: [(SendGate.Refusal.Rule, Bool, SendGate.Facts)] = [
      (.listed, false, Self.facts { $0.record.list = nil }),
      (.listed, false, Self.facts { $0.absences = 1 }),
      (.listed, false, Self.facts { $0.record.portalFlag = nil }),
      (.listed, false, Self.facts { $0.record.portalFlag = "another" }),
      (.listed, false, Self.facts { $0.isUnflagged = true }),
      (.listFresh, true, Self.facts { $0.listDoubt = "the file is cut" }),
      (.status, false, Self.facts { $0.record.status = .started }),
      (.status, false, Self.facts { $0.record.status = .unknown }),
      (.images, true, Self.facts { $0.progress.state = .partial }),
      (
        .identity, false,
        Self.facts {
          $0.progress.state = .none
          $0.progress.reason = ImageReason(.uidMismatch, "1.2 is not 1.3")
        }
      ),
      (.extraObjects, true, Self.facts { $0.progress.held = true }),
      (.active, false, Self.facts { $0.active = "A1" }),
      (.recalled, false, Self.facts { $0.wasRecalled = true }),
    ]
    for (rule, canForce, facts) in table {
      #expect(rules(facts) == [rule])
      #expect(rules(facts, isForced: true) == (canForce ? [] : [rule]))
    }
    #expect(rules(Self.facts { $0.wasRecalled = true }, isNotified: true) == [])
  }

  @Test("Every broken rule is told, not only the first")
  func all() {
    let facts = Self.facts {
      $0.record.status = .scheduled
      $0.progress.state = .none
      $0.active = "A1"
    }
    #expect(rules(facts) == [.status, .images, .active])
  }

  @Test("What is signed goes for a second reading only, and a referral move needs no images")
  func kinds() {
    let signed = Self.facts { $0.record.status = .signed }
    #expect(rules(signed) == [.status])
    #expect(rules(signed, review: .secondReading) == [])
    let received = Self.facts {
      $0.record.status = .requested
      $0.progress = ImageProgress()
    }
    #expect(rules(received, kind: .referralMove) == [])
    #expect(rules(Self.facts(), kind: .referralMove) == [.status])
  }

  @Test("A recipient takes its own kinds and systems, and a branch of the tree nothing")
  func recipients() {
    let evidia = SendGate.Recipient(
      id: "evidia", label: "Evidia", destination: "ahei", kinds: [.referralMove],
      systems: ["AGFA"])
    #expect(rules(Self.facts(), to: evidia) == [.kind, .system])
    let branch = SendGate.Recipient(id: "vgr", label: "VGR", destination: nil)
    #expect(rules(Self.facts(), to: branch) == [.recipient])
  }
}
