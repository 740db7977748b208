import DICOM
import Platform

// Jobs: starting what is due, and taking what comes of it.
extension Dispatcher {
  /// Starts the most urgent jobs of every outlet that has room and answers.
  func claim(_ now: WallTime, _ monotonic: MonotonicTime) throws {
    var toDisclose: [AssignmentRecord] = []
    var chosen: [(JobRecord, AssignmentRecord, [UInt8]?)] = []
    for outlet in outlets.keys.sorted() {
      try chargeSilence(of: outlet, now)
      let state = outlets[outlet]!
      if pauses[outlet.description] != nil || !isOpen(state) { continue }
      var room = state.settings.budget - state.running
      if let closedUntil = state.closedUntil {
        // One job may try whether it is back.
        if closedUntil > monotonic || state.running > 0 { continue }
        room = 1
      }
      guard room > 0 else { continue }
      var busy = Set(running.values.filter { $0.outlet == outlet }.map(\.assignment))
      // Those whose assignment has something under way here wait for it: order is kept.
      for (job, assignment) in try ledger.ready(at: outlet, limit: room + busy.count) {
        guard room > 0 else { break }
        guard busy.insert(assignment).inserted else { continue }
        guard let record = try ledger.assignment(assignment),
          let job = record.jobs.first(where: { $0.id == job })
        else { continue }
        guard let ready = try prepare(job, record, now) else { continue }
        chosen.append((job, record, ready.payload))
        if !record.disclosed, !job.step.goesToOrigin,
          !toDisclose.contains(where: { $0.id == assignment })
        {
          toDisclose.append(record)
        }
        room -= 1
      }
    }
    guard !chosen.isEmpty else { return }
    if !toDisclose.isEmpty {
      do {
        try surroundings.disclosures.disclose(toDisclose, now: clock.wall)
        disclosureProblem = nil
      } catch {
        // Nothing leaves that is not in the access log.
        disclosureProblem = "\(error)"
        let kept = Set(toDisclose.map(\.id))
        chosen.removeAll { kept.contains($0.1.id) }
        toDisclose = []
      }
      for var record in toDisclose {
        record.disclosed = true
        try ledger.record(record, now: now)
      }
    }
    for (job, record, payload) in chosen { try start(job, record, payload, now) }
  }

  private struct Prepared {
    var payload: [UInt8]?
  }

  /// Makes the message of a job, the first time. Nil when there is nothing to start: it failed.
  private func prepare(
    _ job: JobRecord, _ record: AssignmentRecord, _ now: WallTime
  ) throws -> Prepared? {
    guard job.endpoint.kind == .hl7 else { return Prepared(payload: nil) }
    if let payload = try ledger.payload(ofJob: job.id) { return Prepared(payload: payload) }
    var received: [UInt8]?
    if case .answer(let place) = job.step {
      received = try ledger.answer(of: record.id, place: place)
    }
    let controlID = try ledger.newControlID()
    do throws(MessageComposingError) {
      let payload = try surroundings.composer.message(
        job.step, of: record, interface: job.endpoint.name, controlID: controlID,
        received: received, now: clock.wall)
      try keep(payload, controlID, job.id)
      return Prepared(payload: payload)
    } catch {
      try fail(job.id, reason: error.description, owner: Owner.us, flag: nil, now)
      return nil
    }
  }

  /// The ledger's errors are not the composer's: they end the batch.
  private func keep(
    _ payload: [UInt8], _ controlID: String, _ job: Int64
  ) throws(MessageComposingError) {
    do {
      try ledger.recordPayload(job, payload, controlID: controlID)
    } catch {
      throw MessageComposingError("the message could not be recorded: \(error)")
    }
  }

  /// Records the attempt, and makes it once that is durable.
  private func start(
    _ job: JobRecord, _ record: AssignmentRecord, _ payload: [UInt8]?, _ now: WallTime
  ) throws {
    var started = job
    started.state = .running
    started.attempts += 1
    started.tries += 1
    started.nextAttempt = nil
    started.mayHaveArrived = true
    if let payload, job.controlID == nil {
      _ = payload
      started.controlID = try ledger.controlID(ofJob: job.id)
    }
    try ledger.recordJob(started, now: now)
    let sent = job.step.isTransfer ? try ledger.sentObjects(job.id) : []
    let stop = Gate()
    let outlet = job.endpoint
    let gone = Running(assignment: record.id, outlet: outlet, stop: stop, startedAt: now)
    let final = started
    afterCommit.append { [self] in
      running[job.id] = gone
      outlets[outlet]?.running += 1
      if job.step.isTransfer {
        startTransfer(final, record, sent, stop)
      } else {
        deliver(final, payload ?? [], stop)
      }
    }
  }

  private func deliver(_ job: JobRecord, _ payload: [UInt8], _ stop: Gate) {
    let post = self.post
    guard let peer = surroundings.interfaces[job.endpoint.name] else {
      post(.messageEnded(job: job.id, .notSent("the interface is not configured any more")))
      return
    }
    let controlID = job.controlID ?? ""
    jobs.run("hl7-\(job.endpoint.name)", lane: nil) {
      post(.messageEnded(job: job.id, peer.deliver(payload, controlID: controlID, stop: stop)))
    }
  }

  private func startTransfer(
    _ job: JobRecord, _ record: AssignmentRecord, _ sent: Set<String>, _ stop: Gate
  ) {
    let post = self.post
    let order = record.order
    guard let recipient = surroundings.recipients[job.endpoint.name] else {
      let result = TransferPass.Result.retry(
        reason: "the destination is not configured any more", owner: Owner.us, isPeerDown: false)
      post(.transferEnded(job: job.id, result))
      return
    }
    let sourceName = order.examination.source
    let pass = TransferPass(
      source: sourceName.flatMap { surroundings.sources[$0] }, archive: surroundings.archive,
      recipient: recipient,
      prefetches: sourceName.map { settings.prefetching.contains($0) } ?? false)
    var isPrior = false
    if case .priorTransfer = job.step { isPrior = true }
    let request = TransferPass.Request(
      number: job.number, studyUID: job.studyUID, isPrior: isPrior,
      isForced: order.forced != nil, priority: order.priority, sent: sent)
    jobs.run("send-\(job.endpoint.name)", lane: nil) {
      let result = pass.run(request, stop: stop) { event in
        switch event {
        case .compared(let study, let objects):
          post(.transferCompared(job: job.id, study: study, objects))
        case .acknowledged(let outcomes):
          post(.transferProgress(job: job.id, outcomes))
        }
      }
      post(.transferEnded(job: job.id, result))
    }
  }

  // MARK: - What comes of it

  /// The job and its assignment, as recorded.
  private func find(_ id: Int64) throws -> (JobRecord, AssignmentRecord)? {
    guard let assignment = try ledger.assignment(ofJob: id),
      let record = try ledger.assignment(assignment),
      let job = record.jobs.first(where: { $0.id == id })
    else { return nil }
    return (job, record)
  }

  /// A job is back: its outlet has room again, and has answered or not. In memory only, and done at
  /// once: when the batch cannot be recorded it is done already the next time.
  private func leave(_ id: Int64, answered: Bool?, reason: String?) {
    guard let gone = running.removeValue(forKey: id), var state = outlets[gone.outlet] else {
      return
    }
    state.running -= 1
    switch answered {
    case true?:
      if state.isReachable == false {
        log.notice("the destination answers again", ["destination": gone.outlet.description])
      }
      state.isReachable = true
      state.silences = 0
      state.failures = 0
      state.closedUntil = nil
      state.reason = nil
    case false?:
      if state.isReachable != false {
        log.error(
          "the destination does not answer",
          ["destination": gone.outlet.description, "reason": reason ?? ""])
      }
      state.isReachable = false
      state.reason = reason
      state.failures += 1
      var pause = settings.outletPause
      for _ in 1..<min(state.failures, 20) where pause < settings.longestOutletPause {
        pause = pause * 2
      }
      state.closedUntil = clock.monotonic + min(pause, settings.longestOutletPause)
      state.chargeBefore = gone.startedAt
    case nil:
      // Some silences in a row are the peer's, not the message's.
      state.silences += 1
      if state.silences >= 3 {
        state.isReachable = false
        state.reason = reason
        state.closedUntil = clock.monotonic + settings.outletPause
      }
    }
    outlets[gone.outlet] = state
  }

  func messageEnded(_ id: Int64, _ outcome: MessageOutcome, _ now: WallTime) throws {
    let answered: Bool? =
      switch outcome {
      case .acknowledged: true
      case .notSent: false
      case .unknown, .stopped: nil
      }
    if case .notSent(let reason) = outcome {
      leave(id, answered: answered, reason: reason)
    } else if case .unknown(let reason) = outcome {
      leave(id, answered: answered, reason: reason)
    } else {
      leave(id, answered: answered ?? true, reason: nil)
    }
    guard var (job, record) = try find(id) else { return }
    var withdraws = false
    if job.step == .cancel { withdraws = record[.forward]?.state != .done }
    if job.step == .release { withdraws = record[.lock]?.state != .done }
    let rule = AcknowledgementRule(
      wasUnknown: job.isUnknown, withdrawsUnconfirmed: withdraws)
    let verdict = rule.verdict(outcome)
    let isWanted = job.state == .running
    switch verdict {
    case .success(let flag, let result):
      job.flag = flag
      job.result = result
      job.reason = nil
      job.owner = nil
      job.isUnknown = false
      if isWanted { job.state = .done }
      try ledger.recordJob(job, now: now)
      try ledger.addEvent(
        record.id, job.step.messageKind ?? "", "\(flag) \(result)", now: now)
      if isWanted { try apply(.succeeded(job.step), &record, job, now) }
    case .permanent(let flag, let reason):
      job.flag = flag
      job.result = "REFUSED"
      if !job.isUnknown { job.mayHaveArrived = false }
      try ledger.recordJob(job, now: now)
      if isWanted {
        try fail(id, reason: reason, owner: owner(of: job), flag: flag, now)
      }
    case .retry(let flag, let reason, let isUnknown):
      job.flag = flag
      job.result = isUnknown ? "UNKNOWN" : nil
      job.isUnknown = job.isUnknown || isUnknown
      if !job.isUnknown { job.mayHaveArrived = false }
      if case .stopped = outcome {
        // It did not leave, and loses no try.
        job.tries = max(0, job.tries - 1)
        if isWanted { job.state = record.machine.isHeld ? .held : .ready }
        try ledger.recordJob(job, now: now)
        return
      }
      job.reason = reason
      job.owner = owner(of: job)
      guard isWanted else {
        try ledger.recordJob(job, now: now)
        return
      }
      try retryLater(&job, record, reason: reason, now)
    }
  }

  private func owner(of job: JobRecord) -> String {
    job.step.goesToOrigin ? Owner.origin : Owner.recipient
  }

  /// The next rung of the ladder, or the end of it.
  private func retryLater(
    _ job: inout JobRecord, _ record: AssignmentRecord, reason: String, _ now: WallTime
  ) throws {
    let ladder = outlets[job.endpoint]?.settings.retry ?? RetryLadder(rungs: [])
    guard let pause = ladder.pause(after: max(1, job.tries)) else {
      try ledger.recordJob(job, now: now)
      try fail(
        job.id, reason: "\(reason); \(job.attempts) attempts", owner: job.owner ?? Owner.us,
        flag: job.flag, now)
      return
    }
    job.state = record.machine.isHeld ? .held : .waiting
    job.nextAttempt = now + pause
    try ledger.recordJob(job, pause: pause, now: now)
    try ledger.addEvent(
      record.id, job.step.stored.word,
      "attempt \(job.attempts): \(reason); again in \(DurationText.format(pause))", now: now)
    let next = now + pause
    afterCommit.append { [self] in plan(next) }
  }

  /// For good, as far as the daemon is concerned: a person may resend.
  func fail(
    _ id: Int64, reason: String, owner: String, flag: String?, _ now: WallTime
  ) throws {
    guard var (job, record) = try find(id) else { return }
    job.state = .failed
    job.nextAttempt = nil
    job.reason = reason
    job.owner = owner
    if let flag { job.flag = flag }
    if job.result == nil || job.result == "UNKNOWN" { job.result = "FAILED" }
    try ledger.recordJob(job, now: now)
    try ledger.addEvent(record.id, job.step.stored.word, "failed: \(reason)", now: now)
    try apply(.failed(job.step), &record, job, now)
    let name = record.name
    let step = job.step.stored.word
    afterCommit.append { [self] in
      log.error("a job has failed", ["assignment": name, "step": step, "reason": reason])
    }
  }

  /// Lets the machine take an event of a job that has just been recorded.
  private func apply(
    _ event: AssignmentMachine.Event, _ record: inout AssignmentRecord, _ job: JobRecord,
    _ now: WallTime
  ) throws {
    let effects = record.machine.handle(event)
    try carryOut(effects, &record, now)
    try ledger.record(record, now: now)
  }

  /// What was ready at an outlet that does not answer has used up a try, as if each had been
  /// attempted: a queue of thousands does not wait for as many time-outs.
  private func chargeSilence(of outlet: Outlet, _ now: WallTime) throws {
    guard let before = outlets[outlet]?.chargeBefore, let settings = outlets[outlet]?.settings
    else { return }
    let reason = outlets[outlet]?.reason ?? "no answer"
    var soonest: Duration?
    for tries in try ledger.tries(at: outlet, before: before) {
      // The one that has not been made counts.
      if let pause = settings.retry.pause(after: tries + 1) {
        try ledger.charge(
          outlet, tries: tries, pause: pause, reason: "not tried: \(reason)", limit: 5000,
          before: before, now: now)
        soonest = min(soonest ?? pause, pause)
      } else {
        for id in try ledger.ready(at: outlet, tries: tries, before: before, limit: 500) {
          try fail(
            id, reason: "\(reason) (not tried again)", owner: Owner.recipient, flag: nil, now)
        }
      }
    }
    let next = now + (soonest ?? .zero)
    let isDone = try ledger.ready(at: outlet, before: before) == 0
    afterCommit.append { [self] in
      plan(next)
      if isDone { outlets[outlet]?.chargeBefore = nil } else { post(.tick) }
    }
  }

  // MARK: - Transfers

  func compared(_ id: Int64, _ study: UID, _ objects: [ObjectRecord], _ now: WallTime) throws {
    guard var (job, _) = try find(id) else { return }
    try ledger.recordObjects(id, objects)
    let counts = try ledger.objectCounts(id)
    job.studyUID = study.value
    job.total = counts.wanted
    job.done = counts.sent
    job.refused = counts.refused
    try ledger.recordJob(job, now: now)
  }

  func progressed(_ id: Int64, _ outcomes: [(UID, SendOutcome)], _ now: WallTime) throws {
    guard var (job, _) = try find(id) else { return }
    for (uid, outcome) in outcomes {
      let (status, isSent, isRefused): (UInt16, Bool, Bool) =
        switch outcome {
        case .stored: (0, true, false)
        case .storedWithWarning(let status): (status, true, false)
        case .storedUnproven: (0, true, false)
        case .refused(let status, _): (status, false, true)
        case .failed(let status, _): (status, false, false)
        }
      try ledger.recordOutcome(
        id, uid: uid.value, status: status, isSent: isSent, isRefused: isRefused)
      if isSent { job.done += 1 }
      if isRefused { job.refused += 1 }
    }
    try ledger.recordJob(job, now: now)
  }

  func transferEnded(_ id: Int64, _ result: TransferPass.Result, _ now: WallTime) throws {
    switch result {
    case .done, .failed: leave(id, answered: true, reason: nil)
    case .retry(let reason, _, let isPeerDown):
      leave(id, answered: !isPeerDown, reason: reason)
    case .stopped: leave(id, answered: true, reason: nil)
    }
    guard var (job, record) = try find(id) else { return }
    let counts = try ledger.objectCounts(id)
    job.total = counts.wanted
    job.done = counts.sent
    job.refused = counts.refused
    let isWanted = job.state == .running
    switch result {
    case .done(let text):
      job.reason = text
      job.owner = nil
      if isWanted { job.state = .done }
      try ledger.recordJob(job, now: now)
      try ledger.addEvent(
        record.id, job.step.stored.word, "done: \(job.done) of \(job.total) objects", now: now)
      if isWanted {
        if job.step == .transfer { record.supplementable = 0 }
        try apply(.succeeded(job.step), &record, job, now)
      }
    case .failed(let reason, let owner):
      try ledger.recordJob(job, now: now)
      if isWanted { try fail(id, reason: reason, owner: owner, flag: nil, now) }
    case .retry(let reason, let owner, _):
      job.reason = reason
      job.owner = owner
      guard isWanted else {
        try ledger.recordJob(job, now: now)
        return
      }
      try retryLater(&job, record, reason: reason, now)
    case .stopped:
      // By a stop of the daemon, a pause or a hold: it goes on where it was, and loses no try.
      job.tries = max(0, job.tries - 1)
      if isWanted { job.state = record.machine.isHeld ? .held : .ready }
      try ledger.recordJob(job, now: now)
    }
  }

  /// The archive has got other images of an examination: what was sent may be supplemented.
  func imagesChanged(_ key: ExaminationKey, _ now: WallTime) throws {
    // What a peer holds is compared by the transfer itself: nobody waits for the network here.
    if surroundings.archive.isRemote { return }
    for var record in try ledger.candidates(number: key.number)
    where record.order.examination.key == key && record.machine.canSupplement {
      guard let job = record[.transfer], let study = job.studyUID.map({ UID($0) }) else {
        continue
      }
      let sent = try ledger.sentObjects(job.id)
      let stored = try surroundings.archive.storedObjects(of: study)
      let late = stored.filter { !$0.isRejectionNote && !sent.contains($0.sopInstance.value) }
      guard late.count != record.supplementable else { continue }
      try ledger.recordObjects(
        job.id,
        late.map {
          ObjectRecord(uid: $0.sopInstance.value, places: [.source, .archive, .late])
        })
      record.supplementable = late.count
      if late.count > 0 {
        try ledger.addEvent(
          record.id, "late images", "\(late.count) objects came after the transfer", now: now)
      }
      try ledger.record(record, now: now)
    }
  }
}
