import DICOM
import Platform

// What people and recipients ask for.
extension Dispatcher {
  // MARK: - Orders

  func accept(
    _ order: SendOrder, _ flag: String?, _ answer: Answer<OrderAnswer>, _ now: WallTime
  ) throws {
    if isStopping {
      afterCommit.append { answer.give(.stopping) }
      return
    }
    let origin = settings.origins[order.examination.key.system]
    let orders = settings.orders[order.destination]
    let shape = AssignmentMachine.Shape(
      kind: order.kind, hasOrigin: origin != nil, hasOrders: orders != nil,
      priors: order.priors.map { $0.report != nil })
    var machine = AssignmentMachine(shape)
    let effects = machine.begin()
    guard
      let id = try ledger.insert(
        order, flag: flag, origin: origin, orders: orders, machine, now: now)
    else {
      afterCommit.append { answer.give(.alreadyActive) }
      return
    }
    guard var record = try ledger.assignment(id) else { return }
    record.machine = machine
    try ledger.addEvent(
      id, "ordered",
      "by \(order.orderedBy) for \(order.recipient)"
        + (order.forced.map { ", forced: \($0)" } ?? ""), now: now)
    try carryOut(effects, &record, now)
    try ledger.record(record, now: now)
    afterCommit.append { [self] in
      log.notice(
        "assignment ordered",
        [
          "assignment": AssignmentRecord.name(id), "recipient": order.recipient,
          "kind": order.kind.rawValue, "user": order.orderedBy,
        ])
      answer.give(.accepted(id))
    }
  }

  /// Does what the machine has decided.
  func carryOut(
    _ effects: [AssignmentMachine.Effect], _ record: inout AssignmentRecord, _ now: WallTime
  ) throws {
    for effect in effects {
      switch effect {
      case .start(let step): try add(step, record, now)
      case .restart(let step):
        guard var job = record[step] else { continue }
        job.state = record.machine.isHeld ? .held : .ready
        job.tries = 0
        job.nextAttempt = nil
        job.reason = nil
        job.owner = nil
        try ledger.recordJob(job, now: now)
        if step.isTransfer { try ledger.forgetRefusals(job.id) }
        // What has certainly had no effect is made anew, as the configuration may be another by
        // now. What may have had one is repeated to the letter: the receiver must recognise it.
        if !step.isTransfer, !job.isUnknown {
          try ledger.recordPayload(job.id, nil, controlID: nil)
        }
      case .stop(let step):
        guard var job = record[step] else { continue }
        job.state = .stopped
        job.nextAttempt = nil
        try ledger.recordJob(job, now: now)
        let id = job.id
        afterCommit.append { [self] in running[id]?.stop.open() }
      case .proved(let step):
        guard var job = record[step] else { continue }
        job.state = .done
        job.nextAttempt = nil
        job.result = "SUCCESS (the recipient has answered to it)"
        job.reason = nil
        job.owner = nil
        try ledger.recordJob(job, now: now)
      case .recalled:
        let key = record.order.examination.key
        afterCommit.append { [self] in recalled(key) }
      case .unexpected: break
      }
    }
    // What runs is looked up anew: the record's jobs are as they were before the effects.
    if !effects.isEmpty, let fresh = try ledger.assignment(record.id) { record.jobs = fresh.jobs }
  }

  private func add(
    _ step: AssignmentStep, _ record: AssignmentRecord, _ now: WallTime
  ) throws {
    let order = record.order
    let facts = order.examination
    var number = facts.key.number
    var study = facts.studyUID
    if case .priorTransfer(let place) = step {
      number = order.priors[place].key.number
      study = nil
    }
    if case .priorReport(let place) = step { number = order.priors[place].key.number }
    let outlet: Outlet
    if step.isTransfer {
      outlet = Outlet(.dicom, order.destination)
    } else if step.goesToOrigin {
      outlet = Outlet(.hl7, record.origin ?? "")
    } else {
      outlet = Outlet(.hl7, record.orders ?? "")
    }
    // The most urgent first; but who has waited long enough comes before whoever is more urgent.
    var ahead: Duration =
      switch order.priority {
      case .routine: .zero
      case .urgent: .seconds(3600)
      case .stat: .seconds(6 * 3600)
      }
    if step.isCompensation { ahead = .seconds(6 * 3600) }
    let rank = (now - ahead).milliseconds
    try ledger.addJob(
      record.id, step, at: outlet, number: number, studyUID: study, rank: rank, now: now)
    if record.machine.isHeld { try ledger.hold(record.id, true) }
  }

  // MARK: - Actions

  func act(
    _ action: AssignmentAction, _ id: Int64, _ by: String, _ isDryRun: Bool, _ now: WallTime
  ) throws -> ActionResult {
    guard var record = try ledger.assignment(id) else {
      return ActionResult(id: id, number: "", isDone: false, text: "there is no such assignment")
    }
    let number = record.order.examination.key.number
    func refused(_ text: String) -> ActionResult {
      ActionResult(id: id, number: number, isDone: false, text: text)
    }
    let machine = record.machine
    let event: AssignmentMachine.Event
    var text: String
    switch action {
    case .resend:
      guard machine.canResend else {
        return refused(
          machine.isCancelled
            ? "it has been recalled: send the examination anew, with --recipient-notified"
            : "nothing of it has failed")
      }
      event = .resend
      let steps = machine.steps.filter { $0.state == .failed }.map(\.step.stored.word)
      text = "again: \(steps.joined(separator: ", "))"
    case .supplement:
      guard machine.canSupplement else {
        return refused(
          machine.isCancelled
            ? "it has been recalled"
            : machine.shape.kind == .referralMove
              ? "a referral move has no images"
              : machine.wasDelivered ? "a transfer is under way" : "it has not been delivered yet")
      }
      event = .supplement
      text = "images that came since are sent"
    case .cancel:
      guard machine.canCancel else {
        return refused("it has been answered and released: there is nothing to recall")
      }
      guard !machine.isCancelled else { return refused("it has been recalled already") }
      event = .cancel
      text = "recalled"
      if record.order.examination.key.system == "AGFA" {
        text += "; move the examination from its list in AGFA, or it will be flagged still"
      }
    case .hold:
      guard !machine.isHeld else { return refused("it is held already") }
      guard !machine.hasEnded else { return refused("it has ended") }
      event = .hold
      text = "held: nothing more of it starts"
    case .release:
      guard machine.isHeld else { return refused("it is not held") }
      event = .unhold
      text = "released: it goes on"
    }
    if isDryRun { return ActionResult(id: id, number: number, isDone: true, text: text) }
    let effects = record.machine.handle(event)
    if effects == [.unexpected] { return refused("not possible in its present state") }
    try ledger.addEvent(id, action.rawValue, "by \(by)", now: now)
    // Recorded first: jobs that are added look at whether it is held.
    try ledger.record(record, now: now)
    if action == .hold { try ledger.hold(id, true) }
    if action == .release || action == .cancel { try ledger.hold(id, false) }
    if let fresh = try ledger.assignment(id) { record.jobs = fresh.jobs }
    try carryOut(effects, &record, now)
    try ledger.record(record, now: now)
    if action == .hold {
      afterCommit.append { [self] in
        for job in running.values where job.assignment == id { job.stop.open() }
      }
    }
    afterCommit.append { [self] in
      nextDue = now
      log.notice(
        "asked by an operator",
        ["action": action.rawValue, "assignment": AssignmentRecord.name(id), "user": by])
    }
    return ActionResult(id: id, number: number, isDone: true, text: text)
  }

  // MARK: - What comes in

  /// Takes a message from a recipient: to its assignment, or aside.
  func receive(_ message: InboundMessage, _ now: WallTime) throws -> InboundAnswer {
    let digest = Self.digest(message.payload)
    if try ledger.isDuplicate(
      sender: message.sender, controlID: message.controlID, digest: digest)
    {
      return .duplicate
    }
    func aside(_ reason: String) throws -> InboundAnswer {
      try ledger.recordInbound(
        sender: message.sender, controlID: message.controlID, digest: digest, type: message.type,
        assignment: nil, place: nil, reason: reason, payload: message.payload, now: now)
      afterCommit.append { [self] in
        log.warning(
          "a message belongs to no assignment",
          ["from": message.sender, "type": message.type, "reason": reason])
      }
      return .taken(assignment: nil)
    }
    guard let number = message.number, !number.isEmpty else {
      return try aside("it has no examination number (OBR-18 or ORC-3)")
    }
    let event: AssignmentMachine.Event
    switch Self.meaning(of: message) {
    case .status(let status): event = .status(status)
    case .result(let isFinal): event = .result(isFinal: isFinal)
    case .unknown(let why): return try aside(why)
    }
    var reasons: Set<String> = []
    var matching: [AssignmentRecord] = []
    for record in try ledger.candidates(number: number) {
      let unit =
        settings.units[record.order.recipient] ?? settings.facilities[record.order.destination]
      if let unit, !unit.isEmpty, unit != message.facility {
        reasons.insert("it comes from another unit than the examination was sent to")
        continue
      }
      if let uid = message.studyUID, let ours = record.order.examination.studyUID, uid != ours {
        reasons.insert("its study UID is another one")
        continue
      }
      if let patient = message.patientID, let ours = record.order.examination.patientID,
        Self.plain(patient) != Self.plain(ours)
      {
        reasons.insert("its patient is another one")
        continue
      }
      var trial = record.machine
      if trial.handle(event) == [.unexpected] {
        reasons.insert("the assignment does not wait for an answer (\(record.machine.phase))")
        continue
      }
      matching.append(record)
    }
    // Of several, the one that still waits.
    let waiting = matching.filter { !$0.machine.hasEnded }
    if !waiting.isEmpty { matching = waiting }
    guard matching.count == 1, var record = matching.first else {
      if matching.count > 1 { return try aside("several assignments could be meant") }
      return try aside(reasons.sorted().first ?? "no assignment has that examination number")
    }
    var place: Int?
    if case .result = event { place = record.machine.answers }
    try ledger.recordInbound(
      sender: message.sender, controlID: message.controlID, digest: digest, type: message.type,
      assignment: record.id, place: place, reason: nil, payload: message.payload, now: now)
    let effects = record.machine.handle(event)
    try ledger.addEvent(
      record.id, "answer", "\(message.type): \(record.machine.answer.rawValue)", now: now)
    try carryOut(effects, &record, now)
    try ledger.record(record, now: now)
    try surroundings.disclosures.received(record, what: message.type, now: clock.wall)
    let id = record.id
    let answer = record.machine.answer
    afterCommit.append { [self] in
      log.notice(
        "an answer came in",
        ["assignment": AssignmentRecord.name(id), "answer": answer.rawValue])
    }
    return .taken(assignment: id)
  }

  private enum Meaning {
    case status(AnswerState)
    case result(isFinal: Bool)
    case unknown(String)
  }

  /// What a message says, by its type, ORC-1 (table 0119), ORC-5 (0038) and OBR-25 (0123).
  private static func meaning(of message: InboundMessage) -> Meaning {
    if message.type.hasPrefix("ORU") {
      switch message.resultStatus ?? "F" {
      case "F", "C", "": return .result(isFinal: true)
      case "P", "R", "S", "I", "A": return .result(isFinal: false)
      case let other: return .unknown("its result status (OBR-25) is \(Scrubber.scrub(other))")
      }
    }
    guard
      message.type.hasPrefix("ORM") || message.type.hasPrefix("ORR")
        || message.type.hasPrefix("OMI") || message.type.hasPrefix("ORI")
    else { return .unknown("messages of this type have no meaning here") }
    switch (message.orderControl ?? "", message.orderStatus ?? "") {
    case ("UA", _), ("CR", _), ("OC", _), (_, "CA"), (_, "DC"): return .status(.declined)
    case (_, "HD"), (_, "A"): return .status(.pending)
    case ("OK", _), ("SC", _), ("SN", _), ("NA", _), (_, "SC"), (_, "IP"), (_, "CM"):
      return .status(.accepted)
    case (let control, let status):
      return .unknown(
        "its order control and status (ORC-1 '\(Scrubber.scrub(control))', ORC-5 "
          + "'\(Scrubber.scrub(status))') have no meaning here")
    }
  }

  private static func plain(_ id: String) -> String {
    String(id.uppercased().filter { $0 != "-" && $0 != "+" && $0 != " " })
  }

  private static func digest(_ bytes: [UInt8]) -> [UInt8] {
    var hash = SHA256()
    hash.update(bytes)
    return Array(hash.finalize().prefix(16))
  }
}
