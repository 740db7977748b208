import Platform

extension Engine {
  /// A cycle on its way: read every list and the portal, decide, write, read back.
  struct Cycle {
    var record: CycleRecord
    var startedAt: MonotonicTime
    /// Lists whose read has not come back.
    var pending: Set<String>
    var listDeadline: MonotonicTime
    var graceDeadline: MonotonicTime
    var isPortalRead = false
    var portalFailed = false
    /// Writes are on their way, or their read-back is.
    var isWriting = false
    /// A list came in since the last plan.
    var needsPlan = true
    /// Plans still to follow the read-back of this one's writes, for what was too much at once.
    var remainingPlans = 0

    var nextDeadline: MonotonicTime {
      if isWriting || !isPortalRead { return listDeadline }
      return needsPlan && !pending.isEmpty ? min(graceDeadline, listDeadline) : listDeadline
    }
  }

  /// The one cycle that follows a running one, for everybody who asked meanwhile.
  struct Queued {
    var number: Int
    /// Nil for all.
    var lists: Set<String>?
  }

  func advanceCycle(_ now: MonotonicTime) {
    if cycle != nil {
      continueCycle(now)
      return
    }
    if let queued {
      self.queued = nil
      startCycle(.manual, number: queued.number, only: queued.lists, now)
    } else if now >= nextCycleAt {
      cycleNumber += 1
      startCycle(.timer, number: cycleNumber, only: nil, now)
    }
  }

  private func startCycle(
    _ trigger: CycleRecord.Trigger, number: Int, only: Set<String>?, _ now: MonotonicTime
  ) {
    if only == nil {
      // On the beat of the interval, whatever a cycle takes; beats that were missed are gone.
      nextCycleAt = max(nextCycleAt + settings.interval, now)
      if nextCycleAt < now + settings.interval / 2 { nextCycleAt = now + settings.interval }
    }
    let chosen = settings.lists.filter { only?.contains($0.id) ?? true }
    var record = CycleRecord(number: number, trigger: trigger, startedAt: clock.wall)
    record.listsTotal = chosen.count
    var cycle = Cycle(
      record: record, startedAt: now, pending: [], listDeadline: now + settings.listTimeout,
      graceDeadline: now + settings.grace)
    for list in chosen {
      guard let source = surroundings.lists[list.id] else { continue }
      lists[list.id]!.isManual = trigger == .manual
      if lists[list.id]!.isReading {
        listFailed(list.id, "the read of an earlier cycle has not come back")
        cycle.record.listsFailed += 1
        continue
      }
      lists[list.id]!.isReading = true
      cycle.pending.insert(list.id)
      let previous = lists[list.id]!.needsFullRead ? nil : lists[list.id]!.identity
      let deadline = Deadline.after(settings.listTimeout)
      let post = self.post
      jobs.run("list-\(list.id)", lane: nil) {
        let result: Result<ListReading, ListReadError>
        do throws(ListReadError) {
          result = .success(try source.read(deadline: deadline, previous: previous))
        } catch {
          result = .failure(error)
        }
        post(.listRead(list: list.id, cycle: number, result))
      }
    }
    self.cycle = cycle
    servers = surroundings.services.map { ($0.name, $0.facts) }
    certificates = surroundings.certificates()
    readPortal(number, isVerification: false)
    continueCycle(now)
  }

  func readPortal(_ number: Int, isVerification: Bool) {
    let portal = surroundings.portal
    let token = portalToken
    let post = self.post
    jobs.run("portal", lane: "portal") {
      let result: Result<FlagListing, PortalError>
      do throws(PortalError) {
        result = .success(try portal.flags(since: token, deadline: .after(.seconds(30))))
      } catch {
        result = .failure(error)
      }
      post(.portalRead(cycle: number, isVerification: isVerification, result))
    }
  }

  func portalRead(
    _ number: Int, _ isVerification: Bool, _ result: Result<FlagListing, PortalError>
  ) {
    switch result {
    case .success(.unchanged):
      portalReachable = true
      isPortalForeign = false
    case .success(.flags(let flags, let token)):
      portalReachable = true
      isPortalForeign = false
      takePortalFlags(flags)
      portalToken = token
    case .failure(let error):
      var isForeign = false
      if case .foreign = error { isForeign = true }
      if portalReachable != false || isForeign != isPortalForeign {
        log.error(
          isForeign ? "another daemon drives the portal" : "the portal cannot be relied upon",
          ["reason": error.description])
      }
      isPortalForeign = isForeign
      portalReachable = false
      portalReason = error.description
    }
    if portalReachable == true { portalReason = nil }
    guard var cycle, cycle.record.number == number else { return }
    if isVerification {
      cycle.isWriting = false
      self.cycle = cycle
      if portalReachable == true { plan(verifying: true) }
    } else {
      cycle.isPortalRead = true
      cycle.portalFailed = portalReachable == false
      self.cycle = cycle
    }
  }

  /// Plans as soon as all lists are in, or the others have waited long enough for a slow one; ends
  /// the cycle when nothing is to come.
  private func continueCycle(_ now: MonotonicTime) {
    guard var cycle else { return }
    if now >= cycle.listDeadline, !cycle.pending.isEmpty {
      for list in cycle.pending.sorted() {
        listFailed(list, "no answer within \(Int(settings.listTimeout.inSeconds.rounded())) s")
        cycle.record.listsFailed += 1
      }
      cycle.pending = []
      self.cycle = cycle
    }
    guard cycle.isPortalRead, !cycle.isWriting else { return }
    if cycle.needsPlan, cycle.pending.isEmpty || now >= cycle.graceDeadline {
      cycle.needsPlan = false
      self.cycle = cycle
      if !cycle.portalFailed { plan(verifying: false) }
    }
    if let cycle = self.cycle, !cycle.isWriting, !cycle.needsPlan, cycle.pending.isEmpty {
      finishCycle(now)
    }
  }

  private func finishCycle(_ now: MonotonicTime) {
    guard var record = cycle?.record, let startedAt = cycle?.startedAt else { return }
    record.finishedAt = clock.wall
    record.elapsed = now - startedAt
    record.flagsPending = deviations.count { $0.kind == .set || $0.kind == .clear }
    lastCycle = record
    cycle = nil
    let noteworthy =
      record.flagsSet + record.flagsCleared + record.flagsFailed + record.listsFailed > 0
    log.write(
      noteworthy || record.trigger == .manual ? .info : .debug, "cycle done",
      [
        "cycle": "\(record.number)", "trigger": record.trigger.rawValue,
        "lists_read": "\(record.listsRead)", "lists_failed": "\(record.listsFailed)",
        "flags_set": "\(record.flagsSet)", "flags_cleared": "\(record.flagsCleared)",
        "flags_failed": "\(record.flagsFailed)",
        "seconds": "\(Int(record.elapsed.inSeconds * 1000))e-3",
      ])
  }

  // MARK: - Requests

  func sync(_ wanted: [String]) -> SyncAnswer {
    if isStopping { return .stopping }
    for name in wanted where lists[name] == nil {
      return .noSuchList(name, known: settings.lists.map(\.id))
    }
    let only = wanted.isEmpty ? nil : Set(wanted)
    if var waiting = queued {
      // It has not read yet: join it.
      waiting.lists = only.flatMap { mine in waiting.lists.map { $0.union(mine) } }
      queued = waiting
      return .started(cycle: waiting.number, joined: true)
    }
    cycleNumber += 1
    queued = Queued(number: cycleNumber, lists: only)
    return .started(cycle: cycleNumber, joined: false)
  }

  func approve(_ list: String, _ seen: Int?) -> ApproveAnswer {
    guard let report = reports[list] else {
      return .noSuchList(known: settings.lists.map(\.id))
    }
    guard !report.held.isEmpty else { return .nothingHeld }
    if let seen, report.held.count > seen { return .moreThanSeen(report.held.count) }
    let recorded = attempt("record an approval") {
      for key in report.held {
        var kept = memory[key] ?? FlagMemory()
        kept.approved = true
        if let known = examinations[key] {
          try ledger.recordMemory(known.id, kept)
          try ledger.addHistory(known.id, "approved", "clear let past the brake", now: clock.wall)
        }
        memory[key] = kept
      }
    }
    guard recorded else { return .nothingHeld }
    reports[list]!.held = []
    lists[list]?.needsPlan = true
    log.notice("clears approved", ["list": list, "count": "\(report.held.count)"])
    if lists[list] != nil { _ = sync([list]) } else { _ = sync([]) }
    return .approved(report.held.count)
  }
}
