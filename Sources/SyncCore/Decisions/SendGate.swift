/// Decides whether an examination may be sent to a recipient. Pure; every rule that is broken is
/// told, with what would satisfy it.
public struct SendGate: Sendable {
  public struct Refusal: Hashable, Sendable {
    public enum Rule: String, CaseIterable, Sendable {
      case recipient, kind, system, unknownExamination = "unknown_examination", ambiguous, listed
      case listFresh = "list_fresh", status, images, identity, extraObjects = "extra_objects"
      case active, recalled, prior, message
    }

    public var rule: Rule
    public var text: String
    /// What would satisfy the rule.
    public var remedy: String
    /// Whether a reason given for it lets the send through.
    public var canForce: Bool

    public init(_ rule: Rule, _ text: String, remedy: String, canForce: Bool = false) {
      self.rule = rule
      self.text = text
      self.remedy = remedy
      self.canForce = canForce
    }
  }

  /// The recipient, with what it inherits.
  public struct Recipient: Hashable, Sendable {
    public var id: String
    public var label: String
    public var destination: String?
    /// Nil: everything.
    public var kinds: [AssignmentKind]?
    public var systems: [String]?

    public init(
      id: String, label: String, destination: String?, kinds: [AssignmentKind]? = nil,
      systems: [String]? = nil
    ) {
      self.id = id
      self.label = label
      self.destination = destination
      self.kinds = kinds
      self.systems = systems
    }
  }

  /// What is known of the examination.
  public struct Facts: Hashable, Sendable {
    public var record: ExaminationRecord
    public var progress: ImageProgress
    public var absences = 0
    /// Nil: its list has just been read to a proven end. Otherwise why that cannot be said.
    public var listDoubt: String?
    /// The active assignment to the recipient.
    public var active: String?
    /// It has been recalled, and has not left its list since: it has no flag.
    public var isUnflagged = false
    /// It has been recalled from the recipient before.
    public var wasRecalled = false

    public init(record: ExaminationRecord, progress: ImageProgress) {
      self.record = record
      self.progress = progress
    }
  }

  public struct Wish: Hashable, Sendable {
    public var kind: AssignmentKind
    public var review: ReviewType
    public var isForced: Bool
    public var recipientNotified: Bool

    public init(
      kind: AssignmentKind, review: ReviewType, isForced: Bool = false,
      recipientNotified: Bool = false
    ) {
      self.kind = kind
      self.review = review
      self.isForced = isForced
      self.recipientNotified = recipientNotified
    }
  }

  public var primaryStatuses: [ExaminationStatus]
  public var secondReadingStatuses: [ExaminationStatus]
  public var referralMoveStatuses: [ExaminationStatus]

  public init(
    primaryStatuses: [ExaminationStatus], secondReadingStatuses: [ExaminationStatus],
    referralMoveStatuses: [ExaminationStatus]
  ) {
    self.primaryStatuses = primaryStatuses
    self.secondReadingStatuses = secondReadingStatuses
    self.referralMoveStatuses = referralMoveStatuses
  }

  /// The rules broken; none: it may go.
  public func refusals(_ facts: Facts, to recipient: Recipient, _ wish: Wish) -> [Refusal] {
    var found = recipientRules(facts, recipient, wish)
    found += listRules(facts)
    found += statusRules(facts, wish)
    if wish.kind == .review { found += imageRules(facts) }
    if let active = facts.active {
      found.append(
        Refusal(
          .active, "\(active) of this examination to \(recipient.label) has not ended",
          remedy: "wait for its end, or recall it: syncctl cancel \(active)"))
    }
    if facts.wasRecalled, !wish.recipientNotified {
      found.append(
        Refusal(
          .recalled, "it has been sent to \(recipient.label) and recalled before",
          remedy: "tell the recipient that it comes again, and say --recipient-notified"))
    }
    return wish.isForced ? found.filter { !$0.canForce } : found
  }

  private func recipientRules(
    _ facts: Facts, _ recipient: Recipient, _ wish: Wish
  ) -> [Refusal] {
    var found: [Refusal] = []
    if recipient.destination == nil {
      found.append(
        Refusal(
          .recipient, "\(recipient.label) is a branch of the recipients, not a recipient",
          remedy: "choose a unit below it: syncctl recipients"))
    }
    if let kinds = recipient.kinds, !kinds.contains(wish.kind) {
      found.append(
        Refusal(
          .kind,
          wish.kind == .review
            ? "\(recipient.label) takes referral moves only"
            : "\(recipient.label) takes no referral moves",
          remedy: "choose another recipient: syncctl recipients"))
    }
    if let systems = recipient.systems, !systems.contains(facts.record.key.system) {
      found.append(
        Refusal(
          .system,
          "\(recipient.label) takes examinations of \(systems.joined(separator: ", ")), and this "
            + "one is of \(facts.record.key.system)",
          remedy: "choose another recipient: syncctl recipients"))
    }
    return found
  }

  private func listRules(_ facts: Facts) -> [Refusal] {
    let record = facts.record
    guard let list = record.list, let flag = record.flag else {
      return [
        Refusal(
          .listed, "it is on no collaboration list",
          remedy: "put it on its list in \(record.key.system), then send again")
      ]
    }
    if facts.absences > 0 {
      return [
        Refusal(
          .listed, "it was taken from the list \(list) meanwhile",
          remedy: "put it on its list in \(record.key.system), then send again")
      ]
    }
    var found: [Refusal] = []
    if let doubt = facts.listDoubt {
      found.append(
        Refusal(
          .listFresh,
          "the list \(list) cannot be read now, so nobody knows whether it still is "
            + "there: \(doubt)",
          remedy: "mend the list, then send again; or --force with a reason", canForce: true))
    }
    if facts.isUnflagged {
      found.append(
        Refusal(
          .listed, "it was recalled, and has no flag until it has left its list and come back",
          remedy: "take it from its list in \(record.key.system) and put it there again"))
    } else if record.portalFlag != flag {
      found.append(
        Refusal(
          .listed,
          record.portalFlag.map { "the portal holds the flag \($0), the list wants \(flag)" }
            ?? "the portal does not hold its flag \(flag) (yet)",
          remedy: "see syncctl drift; a flag is set within a cycle: syncctl sync --wait"))
    }
    return found
  }

  private func statusRules(_ facts: Facts, _ wish: Wish) -> [Refusal] {
    let allowed: [ExaminationStatus]
    let what: String
    switch (wish.kind, wish.review) {
    case (.referralMove, _):
      allowed = referralMoveStatuses
      what = "a referral move"
    case (.review, .primary):
      allowed = primaryStatuses
      what = "a primary review"
    case (.review, .secondReading):
      allowed = secondReadingStatuses
      what = "a second reading"
    }
    let status = facts.record.status
    if allowed.contains(status) { return [] }
    let raw = facts.record.statusRaw.map { " (\($0))" } ?? ""
    let words = allowed.map(\.rawValue).joined(separator: ", ")
    var remedy = "\(what) needs one of: \(words)"
    if status == .unknown, facts.record.statusRaw != nil {
      remedy += "; if the RIS's word means one of these, add it to [statuses]"
    } else if wish.kind == .review, wish.review == .primary,
      secondReadingStatuses.contains(status)
    {
      remedy += "; what is signed can go for a second reading: --review second-reading"
    }
    return [Refusal(.status, "its status is \(status.rawValue)\(raw)", remedy: remedy)]
  }

  private func imageRules(_ facts: Facts) -> [Refusal] {
    let progress = facts.progress
    let reason = progress.reason
    switch reason?.code {
    case .uidMismatch, .ambiguous:
      // Never forced: somebody else's images might go.
      return [
        Refusal(
          .identity, reason?.text ?? "the study identity is wrong",
          remedy: reason?.owner ?? "the RIS/PACS administrators")
      ]
    default: break
    }
    if progress.held || reason?.code == .extraInArchive {
      return [
        Refusal(
          .extraObjects, reason?.text ?? "the archive holds objects that the source does not",
          remedy: "\(reason?.owner ?? "the PACS administrators"); or --force with a reason: what "
            + "is not at the source is not sent", canForce: true)
      ]
    }
    if progress.state == .complete { return [] }
    let count = "\(progress.archived) of \(progress.expected.map(String.init) ?? "?") images"
    let text = reason.map { ": \($0.text)" } ?? ""
    let remedy =
      reason.map { "\($0.owner); or --force with a reason" }
      ?? "wait until they are complete; or --force with a reason"
    return [
      Refusal(
        .images, "\(progress.state.rawValue), \(count)\(text)", remedy: remedy, canForce: true)
    ]
  }
}
