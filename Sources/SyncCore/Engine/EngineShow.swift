import Platform

extension Engine {
  /// What there is to show, as of now. Costs nothing that grows with the number of examinations.
  public func snapshot() -> EngineSnapshot {
    let now = clock.monotonic
    var shown = EngineSnapshot(startedAt: startedAt)
    shown.version = version
    shown.isStopping = isStopping
    shown.interval = settings.interval
    shown.cycle = cycle?.record ?? lastCycle
    shown.finishedCycle = lastCycle
    shown.nextCycle =
      cycle == nil && !isStopping ? clock.wall + max(.zero, nextCycleAt - now) : nil
    shown.lists = settings.lists.map { show(lists[$0.id]!, now) }
    for (id, report) in reports.sorted(by: { $0.key < $1.key }) where lists[id] == nil {
      // Flags of a list that is not configured any more.
      shown.lists.append(
        EngineSnapshot.List(
          id: id, system: "", flag: "", freshness: .never, missedCycles: 0, lastRead: nil,
          snapshotAsOf: nil, rows: nil, refusedRows: 0, owned: report.owned,
          absent: report.absent, held: report.held.count, reason: report.holdReason))
    }
    shown.peers = lanes.keys.filter { $0 != Self.localLane }.sorted().map {
      show($0, lanes[$0]!, now)
    }
    shown.images = totals
    shown.portalReachable = portalReachable
    shown.portalReason = portalReason
    shown.flags = portalFlags.count
    shown.drift = deviations
    shown.conflicts = deviations.count { $0.kind == .conflict }
    shown.running = running
    shown.reloadError = reloadError
    shown.alarms = alarms(shown)
    return shown
  }

  private func show(_ list: ListState, _ now: MonotonicTime) -> EngineSnapshot.List {
    let missed = missedCycles(list, now)
    let report = reports[list.settings.id] ?? FlagReconciler.ListReport()
    let freshness: EngineSnapshot.List.Freshness =
      missed >= settings.criticalMissed
      ? .critical
      : missed >= settings.warnMissed
        ? .warning : list.readAtMonotonic == nil ? .never : .fresh
    return EngineSnapshot.List(
      id: list.settings.id, system: list.settings.system, flag: list.settings.flag,
      freshness: freshness, missedCycles: missed, lastRead: list.readAt, snapshotAsOf: list.asOf,
      rows: list.snapshot == nil ? nil : list.members.count, refusedRows: list.refusedRows,
      owned: report.owned, absent: report.absent, held: report.held.count,
      reason: list.failure ?? report.holdReason)
  }

  private func show(
    _ name: String, _ lane: Lane, _ now: MonotonicTime
  ) -> EngineSnapshot.Peer {
    EngineSnapshot.Peer(
      name: name, reachable: lane.isReachable, running: lane.running,
      queued: lane.queue.readyCount, budget: lane.budget,
      nextAttempt: lane.closedUntil.map { clock.wall + max(.zero, $0 - now) },
      reason: lane.reason)
  }

  /// What a person must look at, derived from the state: it goes away when its cause does.
  private func alarms(_ shown: EngineSnapshot) -> [EngineSnapshot.Alarm] {
    var found: [(EngineSnapshot.Alarm.Severity, String, String, String)] = []
    for list in shown.lists {
      if list.freshness == .critical || list.freshness == .warning {
        found.append(
          (
            list.freshness == .critical ? .critical : .warning, "list_stale", list.id,
            "not read for \(list.missedCycles) cycles: \(list.reason ?? "no answer")"
          ))
      }
      if list.held > 0 {
        found.append(
          (
            .warning, "clears_held", list.id,
            "\(list.held) clears wait for `syncctl approve \(list.id)`: \(list.reason ?? "")"
          ))
      }
    }
    for peer in shown.peers where peer.reachable == false {
      found.append((.warning, "peer_down", peer.name, peer.reason ?? "no answer"))
    }
    if shown.portalReachable == false {
      found.append(
        (
          .critical, isPortalForeign ? "portal_foreign" : "portal_down", "portal",
          shown.portalReason ?? "no answer"
        ))
    }
    found += certificateAlarms()
    let stuck = shown.drift.count { $0.isAlarm }
    if stuck > 0 {
      found.append(
        (.critical, "flag_drift", "portal", "\(stuck) flags do not change: see `syncctl drift`"))
    }
    if shown.conflicts > 0 {
      found.append(
        (
          .warning, "flag_conflict", "lists",
          "\(shown.conflicts) examinations are claimed by several lists: see `syncctl drift`"
        ))
    }
    if shown.images.blocked > 0 {
      found.append(
        (
          .warning, "images_blocked", "images",
          "\(shown.images.blocked) examinations need a person: see `syncctl list --images none,partial`"
        ))
    }
    if let reason = surroundings.archive.refusal {
      found.append((.critical, "archive_refusing", "archive", reason))
    }
    if let ledgerProblem {
      found.append((.critical, "ledger", "ledger", ledgerProblem))
    }
    if let reloadError {
      found.append((.warning, "configuration", "configuration", reloadError))
    }
    var since: [String: WallTime] = [:]
    let alarms = found.map { severity, code, subject, message in
      let first = alarmsSince[code + subject] ?? clock.wall
      since[code + subject] = first
      return EngineSnapshot.Alarm(
        severity: severity, code: code, subject: subject, message: message, since: first)
    }
    alarmsSince = since
    return alarms
  }

  /// Certificates that end within a month.
  private func certificateAlarms() -> [(EngineSnapshot.Alarm.Severity, String, String, String)] {
    var found: [(EngineSnapshot.Alarm.Severity, String, String, String)] = []
    let ends =
      servers.map { name, facts in
        CertificateEnds(
          name: name, own: facts.ownCertificateUntil, peers: facts.peerCertificateUntil)
      } + certificates
    for end in ends {
      let name = end.name
      for (whose, until) in [
        ("our certificate for it", end.own), ("its certificate", end.peers),
      ] {
        guard let until else { continue }
        let left = until - clock.wall
        if left > .seconds(30 * 86400) { continue }
        found.append(
          (
            left > .seconds(3 * 86400) ? .warning : .critical, "certificate_ends", name,
            left > .zero
              ? "\(whose) ends on \(until): it has to be renewed" : "\(whose) ended on \(until)"
          ))
      }
    }
    return found
  }
}
