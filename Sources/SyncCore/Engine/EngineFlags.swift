import Platform

extension Engine {
  /// Takes over a listing, and records where it differs from what the ledger shows.
  func takePortalFlags(_ flags: ExaminationTable<PortalFlag>) {
    portalFlags = flags
    for id in lists.keys { lists[id]!.needsPlan = true }
    attempt("record the portal's flags") {
      try examinations.updateEach { key, known in
        let flag = flags[key]?.flagWord
        if known.portalFlag == flag { return }
        try ledger.recordPortalFlag(known.id, flag?.text)
        known.portalFlag = flag
      }
    }
  }

  /// Makes a plan, records it and starts its writes. When verifying, takes note of what has arrived:
  /// what has not gets its next try in the next cycle. What was left over by the cycle's plan, since
  /// it was too much at once, goes on.
  func plan(verifying: Bool) {
    guard verifying || lists.values.contains(where: \.needsPlan) || hasPendingWrites else { return }
    let reconciler = FlagReconciler(policy: settings.flags)
    let views = settings.lists.map { known($0, lists[$0.id]!) }
    let now = clock.wall
    forgetRecalled()
    let goesOn = verifying && !isStopping && (cycle?.remainingPlans ?? 0) > 0
    var plan = reconciler.plan(
      lists: views, portal: portalFlags, memory: memory, now: now,
      limit: !verifying || goesOn ? writesAtOnce : 0, onlyFirstTries: verifying)
    if verifying {
      if !goesOn { plan.memory = plan.memory.filter { $0.value == nil } }
      // Its first try has only just been made.
      plan.deviations.removeAll { ($0.attempt?.attempts ?? 2) < 2 && $0.attempt != nil }
    }
    guard record(&plan, now) else { return }
    deviations = plan.deviations
    reports = plan.lists
    for id in lists.keys { lists[id]!.needsPlan = false }
    guard !plan.writes.isEmpty, var cycle else { return }
    cycle.isWriting = true
    // Counted, so that a cycle ends whatever happens in the portal meanwhile.
    cycle.remainingPlans =
      goesOn
      ? cycle.remainingPlans - 1 : (plan.deferred + writesAtOnce - 1) / writesAtOnce
    self.cycle = cycle
    let writes = plan.writes
    let number = cycle.record.number
    let portal = surroundings.portal
    let source = settings.flags.source
    let post = self.post
    self.cycle!.record.flagsPending = writes.count + plan.deferred
    jobs.run("portal", lane: "portal") {
      var outcomes: [(FlagWrite, FlagWriteOutcome)] = []
      outcomes.reserveCapacity(writes.count)
      var told = 0
      var tellAt = MonotonicTime.now + .milliseconds(200)
      portal.apply(writes, source: source, now: now, deadline: .after(.seconds(300))) {
        outcomes.append((writes[$0], $1))
        guard MonotonicTime.now >= tellAt else { return }
        post(.flagsProgress(cycle: number, written: outcomes.count - told))
        told = outcomes.count
        tellAt = MonotonicTime.now + .milliseconds(200)
      }
      post(.flagsProgress(cycle: number, written: outcomes.count - told))
      post(.flagsWritten(cycle: number, outcomes))
    }
  }

  /// A list as it is known now.
  func known(_ list: EngineSettings.List, _ state: ListState) -> FlagReconciler.ListView {
    var readable = FlagReconciler.ListView.State.frozen
    if state.failure == nil, let snapshot = state.snapshot {
      readable = .complete(snapshot: snapshot)
    }
    return FlagReconciler.ListView(
      id: list.id, flag: list.flag, state: readable, members: wanted(state.members, list),
      isManual: state.isManual, unusableRows: state.unusableRows,
      lastSize: state.evidence.lastSize,
      emptySnapshots: state.evidence.emptySnapshots)
  }

  /// Who shall have a list's flag: its members, but for those that have been recalled.
  func wanted(
    _ members: ExaminationTable<Priority>, _ list: EngineSettings.List
  ) -> ExaminationTable<Priority> {
    guard !recalled.isEmpty, settings.unflagOnRecall.contains(list.system) else { return members }
    return members.filter { !recalled.contains($0.key) }
  }

  /// An assignment has been recalled (återtaget): the examination loses its flag although it is
  /// still on its list, and gets none again of itself before it has been seen to leave it.
  func recall(_ key: ExaminationKey) {
    guard settings.unflagOnRecall.contains(key.system), let known = examinations[key] else {
      return
    }
    // Somebody has decided it: no brake, and no second look at the list.
    var kept = memory[key] ?? FlagMemory()
    kept.approved = true
    let recorded = attempt("record a recall") {
      try ledger.recordRecalled(known.id, true)
      try ledger.recordMemory(known.id, kept)
      try ledger.addHistory(
        known.id, "recalled", "no flag until it has left its list", now: clock.wall)
    }
    guard recorded else { return }
    recalled.insert(key)
    memory[key] = kept
    for id in lists.keys { lists[id]!.needsPlan = true }
  }

  /// Those recalled that no list has any more, by its latest complete snapshot, may be flagged
  /// again when they come back.
  func forgetRecalled() {
    for key in recalled where !isListed(key) {
      let isFrozen = lists.values.contains { $0.snapshot == nil || $0.failure != nil }
      if isFrozen { continue }
      guard let known = examinations[key] else {
        recalled.remove(key)
        continue
      }
      let recorded = attempt("record that a recalled one has left") {
        try ledger.recordRecalled(known.id, false)
      }
      if recorded { recalled.remove(key) }
    }
  }

  /// Whether some write waits for its next try, or an absence for its confirmation.
  private var hasPendingWrites: Bool { !memory.isEmpty }

  private func record(_ plan: inout FlagReconciler.Plan, _ now: WallTime) -> Bool {
    if plan.memory.isEmpty { return true }
    let recorded = attempt("record a plan") {
      for (key, kept) in plan.memory {
        if examinations[key] == nil {
          // A flag of ours on an examination that the ledger has lost.
          try adopt(key, now)
        }
        try ledger.recordMemory(examinations[key]!.id, kept)
      }
    }
    guard recorded else { return false }
    for (key, kept) in plan.memory {
      if let kept { memory[key] = kept } else { memory[key] = nil }
      if kept == nil { dropIfGone(key) }
    }
    plan.memory = [:]
    return true
  }

  private func adopt(_ key: ExaminationKey, _ now: WallTime) throws {
    let flag = portalFlags[key]
    let record = ExaminationRecord(key: key, list: nil, flag: nil, portalFlag: flag?.flag)
    let id = try ledger.record(record, now: now)
    try ledger.recordPortalFlag(id, flag?.flag)
    let known = Known(id: id, portalFlag: flag?.flagWord)
    count(known, +1)
    examinations[key] = known
  }

  /// An examination on no list, without a flag and with nothing to remember leaves the memory; the
  /// ledger keeps its record.
  func dropIfGone(_ key: ExaminationKey) {
    guard let known = examinations[key], !known.isRunning, known.portalFlag == nil,
      portalFlags[key] == nil, memory[key] == nil, !isListed(key)
    else { return }
    if known.list != nil {
      attempt("record that an examination has left") {
        try ledger.recordLeft(known.id, now: clock.wall)
      }
    }
    count(known, -1)
    examinations[key] = nil
    running[key] = nil
  }

  func isListed(_ key: ExaminationKey) -> Bool {
    lists.values.contains { $0.members[key] != nil }
  }

  func flagsWritten(_ number: Int, _ outcomes: [(FlagWrite, FlagWriteOutcome)]) {
    let now = clock.wall
    var set = 0
    var cleared = 0
    var failed = 0
    attempt("record flag changes") {
      for (write, outcome) in outcomes {
        let id = examinations[write.key]?.id
        switch (outcome, write.action) {
        case (.done, .set(let flag)):
          set += 1
          if let id {
            let before = write.expected.map { " in place of \($0.flag)" } ?? ""
            try ledger.addHistory(
              id, "flag set", "\(flag)\(before) for list \(write.list)", now: now)
          }
        case (.done, .clear):
          cleared += 1
          if let id {
            try ledger.addHistory(
              id, "flag cleared", "\(write.expected?.flag ?? "-"), list \(write.list)", now: now)
          }
        case (.alreadySo, _): break
        case (.changedMeanwhile, _): failed += 1
        case (.unknown(let reason), _), (.failed(.unavailable(let reason)), _),
          (.failed(.foreign(let reason)), _):
          failed += 1
          portalReason = reason
        case (.failed(.refused(let reason)), _):
          failed += 1
          if let id {
            try ledger.addHistory(id, "flag refused", reason, now: now)
          }
        }
      }
    }
    if failed > 0 {
      log.warning(
        "the portal did not take every change",
        ["failed": "\(failed)", "reason": portalReason ?? "changed meanwhile"])
    }
    // A list whose examination came to it from another one is read in full, for its row.
    for (write, outcome) in outcomes where outcome == .done {
      if case .set = write.action, examinations[write.key]?.list?.text != write.list {
        lists[write.list]?.needsFullRead = true
      }
    }
    guard cycle?.record.number == number else { return }
    cycle!.record.flagsSet += set
    cycle!.record.flagsCleared += cleared
    cycle!.record.flagsFailed += failed
    // What the portal says it did is not what it holds: read back.
    readPortal(number, isVerification: true)
  }
}
