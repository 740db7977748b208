import DICOM
import Platform
import Synchronization

/// Takes orders: has the lists read anew that they depend on, lets the send gate judge each, and
/// hands over those that pass. Runs on the caller's thread; any number at once.
public final class OrderDesk: Sendable {
  /// What somebody wishes to be sent.
  public struct Wish: Sendable {
    public var examinations: [(number: String, system: String?)]
    public var recipient: String
    public var kind = AssignmentKind.review
    public var review = ReviewType.primary
    /// Nil: that of the examination.
    public var priority: Priority?
    public var message: String?
    public var priors: [(number: String, system: String?, report: String?)] = []
    public var force: String?
    public var recipientNotified = false
    public var isDryRun = false
    /// The portal's id of the order.
    public var portalID: String?
    public var by: String

    public init(examinations: [(number: String, system: String?)], recipient: String, by: String) {
      self.examinations = examinations
      self.recipient = recipient
      self.by = by
    }
  }

  public struct Result: Sendable {
    public var number: String
    public var system: String?
    /// The id of the assignment; nil in a dry run and when refused.
    public var id: Int64?
    public var refusals: [SendGate.Refusal] = []
    public var warnings: [String] = []
    public var isAccepted: Bool { refusals.isEmpty }
  }

  public struct Policy: Sendable {
    public var gate: SendGate
    public var refreshTimeout: Duration
    public var recipient: @Sendable (String) -> SendGate.Recipient?
    /// Why a message cannot be said in the character set of a recipient's interface; nil if it can.
    public var encodingFault: @Sendable (_ recipient: String, _ text: String) -> String?

    public init(
      gate: SendGate, refreshTimeout: Duration,
      recipient: @escaping @Sendable (String) -> SendGate.Recipient?,
      encodingFault: @escaping @Sendable (_ recipient: String, _ text: String) -> String?
    ) {
      self.gate = gate
      self.refreshTimeout = refreshTimeout
      self.recipient = recipient
      self.encodingFault = encodingFault
    }
  }

  /// What a send cannot be tried for at all.
  public enum Failure: Error, Sendable {
    case noSuchRecipient
    case busy(String)
  }

  private let engine: EngineLoop
  private let dispatcher: EventLoop<Dispatcher>
  private let archive: any ImageArchive
  private let policy: Mutex<Policy>
  private let ledgerPath: String
  private let deliveryPath: String
  private let longest: Duration = .seconds(10)

  public init(
    engine: EngineLoop, dispatcher: EventLoop<Dispatcher>, archive: any ImageArchive,
    policy: Policy, ledgerPath: String, deliveryPath: String
  ) {
    self.engine = engine
    self.dispatcher = dispatcher
    self.archive = archive
    self.policy = Mutex(policy)
    self.ledgerPath = ledgerPath
    self.deliveryPath = deliveryPath
  }

  public func setPolicy(_ new: Policy) { policy.withLock { $0 = new } }

  /// Judges and hands over. One result for each examination, in order.
  /// - Parameter record: called with what is about to be handed over, to write it into the access
  ///   log; when it throws, nothing is.
  public func take(
    _ wish: Wish, record: ([SendOrder]) throws(Failure) -> Void
  ) throws(Failure) -> [Result] {
    let policy = self.policy.withLock { $0 }
    guard let recipient = policy.recipient(wish.recipient) else { throw .noSuchRecipient }
    let ledgers = try Ledgers(ledgerPath, deliveryPath)
    let before = try ledgers.read { (reader, _) in
      try wish.examinations.map { try reader.examinations(number: $0.number, system: $0.system) }
    }
    // Somebody may have taken an examination from its list a moment ago.
    let lists = Set(before.flatMap { $0 }.compactMap(\.record.list))
    let doubts = refresh(lists.sorted(), policy.refreshTimeout)
    var results: [Result] = []
    var orders: [(Int, SendOrder, String?)] = []
    for wanted in wish.examinations {
      var result = Result(number: wanted.number, system: wanted.system)
      if let (order, flag) = try judge(
        wanted, wish, recipient, policy, doubts, ledgers, &result)
      {
        orders.append((results.count, order, flag))
      }
      results.append(result)
    }
    if wish.isDryRun || orders.isEmpty { return results }
    try record(orders.map(\.1))
    let answers = orders.map { _, order, flag in
      let answer = Answer<OrderAnswer>()
      dispatcher.post(.order(order, flag: flag, answer))
      return answer
    }
    let deadline = Deadline.after(longest)
    for ((index, order, _), answer) in zip(orders, answers) {
      switch answer.wait(until: deadline) {
      case .accepted(let id)?: results[index].id = id
      case .alreadyActive?:
        results[index].refusals.append(
          SendGate.Refusal(
            .active, "an assignment of it to \(recipient.label) has just been ordered",
            remedy: "see syncctl sent --number \(order.examination.key.number)"))
      case .failed(let reason)?: throw .busy(reason)
      case .stopping?: throw .busy("syncd is stopping")
      case nil: throw .busy("the dispatcher has not answered within \(longest)")
      }
    }
    return results
  }

  private func judge(
    _ wanted: (number: String, system: String?), _ wish: Wish, _ recipient: SendGate.Recipient,
    _ policy: Policy, _ doubts: [String: String], _ ledgers: Ledgers, _ result: inout Result
  ) throws(Failure) -> (SendOrder, String?)? {
    let found = try ledgers.read { (reader, _) in
      try reader.examinations(number: wanted.number, system: wanted.system).map {
        ($0, try reader.privateFacts(of: $0.id))
      }
    }
    guard let (entry, hidden) = found.first else {
      result.refusals = [
        SendGate.Refusal(
          .unknownExamination, "no list has named an examination with this number",
          remedy: "put it on its list, then: syncctl sync --wait")
      ]
      return nil
    }
    guard found.count == 1 else {
      let systems = found.map(\.0.record.key.system).joined(separator: ", ")
      result.refusals = [
        SendGate.Refusal(
          .ambiguous, "several systems have an examination with this number: \(systems)",
          remedy: "say which: --system")
      ]
      return nil
    }
    let key = entry.record.key
    result.system = key.system
    var facts = SendGate.Facts(record: entry.record, progress: entry.progress)
    facts.absences = hidden?.absences ?? 0
    facts.isUnflagged = hidden?.isRecalled ?? false
    facts.listDoubt = entry.record.list.flatMap { doubts[$0] }
    let earlier = try ledgers.read { (_, reader) in
      (
        try reader.active(key, recipient: recipient.id),
        try reader.wasRecalled(key, recipient: recipient.id)
      )
    }
    facts.active = earlier.0.map(AssignmentRecord.name)
    facts.wasRecalled = earlier.1
    let gateWish = SendGate.Wish(
      kind: wish.kind, review: wish.review, isForced: wish.force != nil,
      recipientNotified: wish.recipientNotified)
    var refusals = policy.gate.refusals(facts, to: recipient, gateWish)
    for text in [wish.message].compactMap({ $0 }) + wish.priors.compactMap(\.report) {
      if let fault = policy.encodingFault(recipient.id, text) {
        refusals.append(
          SendGate.Refusal(
            .message, fault,
            remedy: "write it without that character; nothing is replaced silently"))
      }
    }
    result.refusals = refusals
    guard refusals.isEmpty, let destination = recipient.destination else { return nil }
    // A reason that was not needed is not recorded as one.
    let needsForce =
      wish.force != nil
      && !policy.gate.refusals(
        facts, to: recipient,
        SendGate.Wish(
          kind: wish.kind, review: wish.review, recipientNotified: wish.recipientNotified)
      ).isEmpty
    if wish.force != nil, !needsForce {
      result.warnings.append("nothing had to be forced")
    }
    if needsForce { result.warnings.append("forced: \(wish.force ?? "")") }
    var order = SendOrder(
      examination: self.facts(entry, hidden), recipient: recipient.id, destination: destination,
      orderedBy: wish.by)
    order.kind = wish.kind
    order.review = wish.review
    order.priority = wish.priority ?? entry.record.priority
    order.message = wish.message
    order.priors = wish.priors.map {
      PriorOrder(
        key: ExaminationKey(system: $0.system ?? key.system, number: $0.number),
        report: $0.report)
    }
    order.forced = needsForce ? wish.force : nil
    order.previouslySent = facts.wasRecalled
    order.portalID = wish.portalID
    return (order, entry.record.flag)
  }

  private func facts(
    _ entry: LedgerReader.Entry, _ hidden: LedgerReader.Private?
  ) -> ExaminationFacts {
    let record = entry.record
    var facts = ExaminationFacts(key: record.key)
    facts.referral = record.referral
    facts.studyUID = entry.progress.resolvedStudyUID ?? record.studyUID
    facts.patientID = hidden?.patientID
    facts.patientName = hidden?.patientName.map(Self.name)
    facts.careUnit = record.careUnit
    facts.modality = record.modality
    facts.description = record.description
    facts.scheduled = record.scheduled
    facts.list = record.list
    facts.source = record.source
    // What the images say of the patient, where the list says less.
    if let uid = facts.studyUID, let patient = try? archive.patient(of: UID(uid)) {
      facts.patientID = facts.patientID ?? patient.id
      facts.patientName = patient.name ?? facts.patientName
      facts.birthDate = patient.birthDate
      facts.sex = patient.sex
    }
    return facts
  }

  /// `Tolvansson, Tolvan` as lists write it; `Tolvansson^Tolvan` as DICOM and HL7 do.
  static func name(_ text: String) -> String {
    if text.contains("^") { return text }
    let parts = text.split(separator: ",", maxSplits: 1).map { part in
      String(part.drop { $0 == " " })
    }
    return parts.joined(separator: "^")
  }

  /// Has the lists read. Why those that could not be are doubtful.
  private func refresh(_ lists: [String], _ timeout: Duration) -> [String: String] {
    if lists.isEmpty { return [:] }
    let deadline = Deadline.after(timeout)
    let answer = Answer<SyncAnswer>()
    engine.post(.sync(lists: lists, answer))
    let why: String
    switch answer.wait(until: deadline) {
    case .started(let number, _)?:
      var shown = engine.snapshot
      while (shown.finishedCycle?.number ?? 0) < number, !shown.isStopping, !deadline.isPast {
        shown = engine.snapshot(after: shown.version, until: deadline) ?? shown
      }
      guard (shown.finishedCycle?.number ?? 0) >= number else {
        why = "it was not read within \(DurationText.format(timeout))"
        break
      }
      var doubts: [String: String] = [:]
      for list in shown.lists where lists.contains(list.id) {
        if list.freshness != .fresh || list.reason != nil,
          list.lastRead == nil || list.reason != nil
        {
          // A brake on clears is no doubt about who is on the list.
          if list.held == 0 { doubts[list.id] = list.reason ?? "it has not been read" }
        }
      }
      return doubts
    case .noSuchList(let name, _)?: why = "the list \(name) is not configured any more"
    case .stopping?: why = "syncd is stopping"
    case nil: why = "the engine has not answered"
    }
    return Dictionary(lists.map { ($0, why) }, uniquingKeysWith: { first, _ in first })
  }

  /// Both ledgers, as one order needs them.
  private struct Ledgers {
    private let ledger: LedgerReader
    private let deliveries: DeliveryReader

    init(_ ledgerPath: String, _ deliveryPath: String) throws(Failure) {
      do {
        ledger = try LedgerReader(path: ledgerPath)
        deliveries = try DeliveryReader(path: deliveryPath)
      } catch {
        throw .busy("the ledgers cannot be read: \(error)")
      }
    }

    func read<T>(_ body: (LedgerReader, DeliveryReader) throws -> T) throws(Failure) -> T {
      do { return try body(ledger, deliveries) } catch {
        throw .busy("the ledgers cannot be read: \(error)")
      }
    }
  }
}
