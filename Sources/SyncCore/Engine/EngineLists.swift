import Platform

extension Engine {
  /// What is known of one list.
  struct ListState {
    var settings: EngineSettings.List
    var isReading = false
    /// The next read takes no short cut.
    var needsFullRead = true
    /// The next plan must be made although nothing was read anew.
    var needsPlan = true
    var isManual = false
    var identity: SnapshotIdentity?
    /// Tells the latest complete snapshot from every other one.
    var snapshot: String?
    var asOf: WallTime?
    var readAt: WallTime?
    var readAtMonotonic: MonotonicTime?
    var members: ExaminationTable<Priority> = [:]
    /// Rows left out: those that could not be used, and those of foreign care units.
    var refusedRows = 0
    var unusableRows = 0
    var failure: String?
    var evidence: Ledger.ListEvidence

    init(_ settings: EngineSettings.List, _ evidence: Ledger.ListEvidence) {
      self.settings = settings
      self.evidence = evidence
    }
  }

  func listRead(_ id: String, _ number: Int, _ result: Result<ListReading, ListReadError>) {
    guard lists[id] != nil else { return }
    lists[id]!.isReading = false
    // What a read brings after its time is of no worth: the next one is under way or soon will be.
    let isCurrent = cycle?.record.number == number && cycle?.pending.contains(id) == true
    guard isCurrent else { return }
    cycle!.pending.remove(id)
    cycle!.needsPlan = true
    switch result {
    case .failure(let error):
      cycle!.record.listsFailed += 1
      listFailed(id, error.description)
    case .success(.unchanged):
      cycle!.record.listsRead += 1
      listSucceeded(id)
    case .success(.confirmed(let snapshot, let asOf)):
      if confirm(snapshot, asOf, id) {
        cycle!.record.listsRead += 1
        listSucceeded(id)
      } else {
        cycle!.record.listsFailed += 1
        listFailed(id, ledgerProblem ?? "could not be recorded")
      }
    case .success(.snapshot(let snapshot)):
      if take(snapshot, id) {
        cycle!.record.listsRead += 1
        listSucceeded(id)
      } else {
        cycle!.record.listsFailed += 1
        listFailed(id, ledgerProblem ?? "could not be recorded")
      }
    }
  }

  private func listSucceeded(_ id: String) {
    if lists[id]!.failure != nil {
      log.notice("the list is readable again", ["list": id])
    }
    lists[id]!.failure = nil
    lists[id]!.readAt = clock.wall
    lists[id]!.readAtMonotonic = clock.monotonic
  }

  func listFailed(_ id: String, _ reason: String) {
    if lists[id]!.failure != reason {
      log.warning("the list cannot be relied upon; its flags stay", ["list": id, "reason": reason])
    }
    lists[id]!.failure = reason
    lists[id]!.needsPlan = true
    lists[id]!.needsFullRead = true
  }

  /// Takes a complete snapshot: records what is new in it. False when that could not be recorded.
  private func take(_ snapshot: ListSnapshot, _ id: String) -> Bool {
    let settings = lists[id]!.settings
    // What the list's settings make of a row belongs to what may have changed.
    let seed = settings.digest
    let list = Word(id)
    let system = Word(settings.system)
    let scoped = !self.settings.careUnits.isEmpty
    var members = ExaminationTable<Priority>(minimumCapacity: snapshot.rows.count)
    var refused = snapshot.refusedRows.count
    // Those to record, by their places: they are decoded one at a time.
    var changed: [UInt32] = []
    for index in snapshot.rows.indices {
      let (key, digest, isInScope) = snapshot.rows.withRow(index) { row in
        (
          ExaminationKey(system: system, number: row.number), row.digest(seed: seed),
          !scoped || self.settings.isInScope(row.text(.careUnit))
        )
      }
      guard isInScope else {
        refused += 1
        continue
      }
      let known = examinations[key]
      // The usual case, and the one that must be cheap.
      if let known, known.digest == digest, known.list == list {
        members[key] = known.priority
        continue
      }
      members[key] = settings.priority(of: snapshot.rows.withRow(index) { $0.text(.priority) })
      // Claimed by another list as well: the first one's row stands until it lets go.
      if let other = known?.list, other != list, lists[other.text]?.members[key] != nil { continue }
      changed.append(UInt32(index))
    }
    if changed.count > examinations.count / 4 {
      examinations.reserveCapacity(examinations.count + changed.count)
    }
    let evidence = self.evidence(of: id, size: members.count, snapshot.snapshotID)
    let now = clock.wall
    let recorded = attempt("record a list") {
      if evidence != lists[id]!.evidence { try ledger.recordEvidence(id, evidence) }
      for index in changed {
        let row = snapshot.rows[Int(index)]
        let key = ExaminationKey(system: settings.system, number: row.examination)
        var record = self.record(row, key, settings)
        record.digest = snapshot.rows.withRow(Int(index)) { $0.digest(seed: seed) }
        try self.record(record, now)
      }
    }
    guard recorded else { return false }
    lists[id]!.evidence = evidence
    if members.count > 0 { lists[id]!.evidence.lastSize = members.count }
    lists[id]!.members = members
    lists[id]!.refusedRows = refused
    lists[id]!.unusableRows = snapshot.refusedRows.count
    lists[id]!.identity = snapshot.identity
    lists[id]!.snapshot = snapshot.snapshotID
    lists[id]!.asOf = snapshot.asOf
    lists[id]!.needsFullRead = false
    lists[id]!.needsPlan = true
    return true
  }

  /// The source has seen again what it showed before. False when that could not be recorded.
  private func confirm(_ snapshot: String, _ asOf: WallTime, _ id: String) -> Bool {
    let evidence = self.evidence(of: id, size: lists[id]!.members.count, snapshot)
    if evidence != lists[id]!.evidence {
      let recorded = attempt("record a list") { try ledger.recordEvidence(id, evidence) }
      guard recorded else { return false }
      lists[id]!.evidence = evidence
    }
    lists[id]!.snapshot = snapshot
    lists[id]!.asOf = asOf
    // A plan is only due where an absence has to be seen once more; those are in its memory.
    return true
  }

  /// What a complete snapshot of a size adds to what is known about sudden emptiness.
  private func evidence(of id: String, size: Int, _ snapshot: String) -> Ledger.ListEvidence {
    let before = lists[id]!.evidence
    let evidence = before.seeing(
      size, in: snapshot, atMost: settings.flags.emptyListSnapshots)
    if evidence.emptySnapshots > before.emptySnapshots { lists[id]!.needsPlan = true }
    return evidence
  }

  /// Records one row that is new or different, and has its images looked at when that matters.
  private func record(_ record: ExaminationRecord, _ now: WallTime) throws {
    let key = record.key
    let old = examinations[key]
    let list = record.list.map { Word($0) }
    let id = try ledger.record(record, now: now)
    if old == nil || old?.list == nil {
      try ledger.addHistory(id, "listed", "on list \(record.list ?? "-")", now: now)
    } else if old?.list != list {
      try ledger.addHistory(
        id, "moved", "from list \(old?.list?.text ?? "-") to \(record.list ?? "-")", now: now)
    }
    var known: Known
    if let old {
      known = old
    } else {
      let progress = try ledger.progress(id) ?? ImageProgress()
      known = Known(
        id: id, images: progress.state, archived: progress.archived,
        expected: progress.expected ?? 0, held: progress.held, isBlocked: progress.isBlocked)
      count(known, +1)
    }
    known.digest = record.digest
    known.list = list
    known.source = record.source.map { Word($0) }
    known.status = record.status
    known.priority = record.priority
    examinations[key] = known
    schedule(key, at: now)
  }

  private func record(
    _ row: ListRow, _ key: ExaminationKey, _ list: EngineSettings.List
  ) -> ExaminationRecord {
    return ExaminationRecord(
      key: key, list: list.id, flag: list.flag, referral: row.referral, studyUID: row.studyUID,
      patientID: row.patientID, status: list.status(of: row.status) ?? .unknown,
      statusRaw: row.status, modality: row.modality,
      description: row.description, careUnit: row.careUnit, scheduled: row.scheduled,
      priority: list.priority(of: row.priority), source: list.peer, patientName: row.patientName)
  }

  /// How many beats ago a list was last read.
  func missedCycles(_ list: ListState, _ now: MonotonicTime) -> Int {
    let since = list.readAtMonotonic ?? startedMonotonic
    // A cycle that is only just late is not missed.
    let late = (now - since).inSeconds - min(settings.interval.inSeconds / 2, 10)
    return max(0, Int(late / settings.interval.inSeconds))
  }
}
