import Platform

/// What the lists would have changed, without changing anything: lists read afresh, and the same
/// pure decision that a cycle makes.
public struct Preview: Sendable {
  /// One list as it was read for this.
  public struct Reading: Sendable {
    public var id: String
    /// Why it cannot be relied upon; its flags would stay.
    public var failure: String?
    public var elapsed: Duration
    public var snapshotID: String?
    public var asOf: WallTime?
    public var proof: String?
    /// Rows of the source that can be used.
    public var rows = 0
    /// Of those, the ones that are not ours to handle (scope).
    public var outOfScope = 0
    /// Rows that cannot be used, by reason: how many, and the first one's line.
    public var refused: [(reason: String, count: Int, line: Int)] = []
    /// Words for a status that are not in the table, and how often each occurs.
    public var unknownStatuses: [(word: String, count: Int)] = []
    /// Some examination numbers, to see that the right column was read.
    public var numbers: [String] = []

    init(id: String, elapsed: Duration) {
      self.id = id
      self.elapsed = elapsed
    }
  }

  public struct Change: Sendable, Hashable {
    public enum Action: String, Sendable, CaseIterable {
      case set, replace, clear
      /// Due, and waiting for `syncctl approve` or a better list.
      case held
      /// Absent, but not often enough yet.
      case absent
      /// A write that has been tried, and waits for its next try.
      case waiting
      case foreign, conflict
    }
    public var action: Action
    public var key: ExaminationKey
    public var lists: [String]
    public var from: String?
    public var to: String?
    public var priority: Priority?
    public var reason: String?
  }

  public var readings: [Reading] = []
  /// Why the portal could not be read; then nothing would be changed.
  public var portalFailure: String?
  /// In the order in which they would be done, then what would not be done.
  public var changes: [Change] = []

  public func count(_ action: Change.Action) -> Int { changes.count { $0.action == action } }
}

public enum PreviewAnswer: Sendable {
  case preview(Preview)
  case noSuchList(String, known: [String])
  /// Another one is under way.
  case busy
  case stopping
}

extension Engine {
  /// A preview on its way. Kept apart from everything that a cycle uses.
  struct PendingPreview {
    var number: UInt64
    var chosen: Set<String>
    var missing: Set<String>
    var readings: [String: Preview.Reading] = [:]
    var members: [String: ExaminationTable<Priority>] = [:]
    var unusable: [String: Int] = [:]
    var snapshots: [String: String] = [:]
    var portal: Result<ExaminationTable<PortalFlag>, PortalError>?
    var answer: Answer<PreviewAnswer>
    var deadline: MonotonicTime
  }

  /// What a job has read for a preview.
  public enum PreviewPart: Sendable {
    case list(String, Result<ListReading, ListReadError>, elapsed: Duration)
    case portal(Result<FlagListing, PortalError>)
  }

  func preview(_ wanted: [String], _ answer: Answer<PreviewAnswer>) {
    if isStopping { return answer.give(.stopping) }
    for name in wanted where lists[name] == nil {
      return answer.give(.noSuchList(name, known: settings.lists.map(\.id)))
    }
    let now = clock.monotonic
    if let running = pendingPreview {
      guard now >= running.deadline else { return answer.give(.busy) }
      // Something that it waits for hangs.
      running.answer.give(.busy)
    }
    let chosen = wanted.isEmpty ? Set(lists.keys) : Set(wanted)
    previewNumber += 1
    let number = previewNumber
    pendingPreview = PendingPreview(
      number: number, chosen: chosen, missing: chosen, answer: answer,
      deadline: now + settings.listTimeout + .seconds(35))
    let post = self.post
    for id in chosen {
      guard let source = surroundings.lists[id] else {
        previewPart(
          number, .list(id, .failure(ListReadError("", "the list has no source")), elapsed: .zero))
        continue
      }
      let deadline = Deadline.after(settings.listTimeout)
      jobs.run("preview-\(id)", lane: nil) {
        let start = MonotonicTime.now
        let result: Result<ListReading, ListReadError>
        do throws(ListReadError) {
          result = .success(try source.read(deadline: deadline, previous: nil))
        } catch {
          result = .failure(error)
        }
        post(.previewPart(number, .list(id, result, elapsed: .now - start)))
      }
    }
    let portal = surroundings.portal
    let token = portalToken
    jobs.run("portal", lane: "portal") {
      do throws(PortalError) {
        let listing = try portal.flags(since: token, deadline: .after(.seconds(30)))
        post(.previewPart(number, .portal(.success(listing))))
      } catch {
        post(.previewPart(number, .portal(.failure(error))))
      }
    }
  }

  func previewPart(_ number: UInt64, _ part: PreviewPart) {
    guard var pending = pendingPreview, pending.number == number else { return }
    switch part {
    case .portal(.success(.unchanged)): pending.portal = .success(portalFlags)
    case .portal(.success(.flags(let flags, _))): pending.portal = .success(flags)
    case .portal(.failure(let error)): pending.portal = .failure(error)
    case .list(let id, let result, let elapsed):
      pending.missing.remove(id)
      var reading = Preview.Reading(id: id, elapsed: elapsed)
      switch result {
      case .failure(let error): reading.failure = error.description
      case .success(.snapshot(let snapshot)):
        guard let settings = lists[id]?.settings else { break }
        pending.members[id] = look(snapshot, settings, &reading)
        pending.unusable[id] = snapshot.refusedRows.count
        pending.snapshots[id] = snapshot.snapshotID
      // Asked for in full, so it has nothing to compare with.
      case .success: reading.failure = "answered that nothing has changed, which was not asked"
      }
      pending.readings[id] = reading
    }
    pendingPreview = pending
    guard pending.missing.isEmpty, let portal = pending.portal else { return }
    pendingPreview = nil
    pending.answer.give(.preview(finish(pending, portal)))
  }

  /// What a snapshot says, for a person: its members, and what is odd about it.
  private func look(
    _ snapshot: ListSnapshot, _ list: EngineSettings.List, _ reading: inout Preview.Reading
  ) -> ExaminationTable<Priority> {
    reading.snapshotID = snapshot.snapshotID
    reading.asOf = snapshot.asOf
    reading.proof = snapshot.proof
    reading.rows = snapshot.rows.count
    var members = ExaminationTable<Priority>(minimumCapacity: snapshot.rows.count)
    let system = Word(list.system)
    var unknown: [String: Int] = [:]
    for index in snapshot.rows.indices {
      snapshot.rows.withRow(index) { row in
        guard isInScope(row.text(.careUnit)) else {
          reading.outOfScope += 1
          return
        }
        let key = ExaminationKey(system: system, number: row.number)
        members[key] = priority(row.text(.priority), list)
        if reading.numbers.count < 5 { reading.numbers.append(key.number) }
        let word = row.text(.status) ?? ""
        if list.statuses[word.lowercased()] == nil, unknown[word] != nil || unknown.count < 50 {
          unknown[word, default: 0] += 1
        }
      }
    }
    reading.unknownStatuses = unknown.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
      .map { ($0.key, $0.value) }
    var reasons: [String: (count: Int, line: Int)] = [:]
    for row in snapshot.refusedRows {
      reasons[row.reason, default: (0, row.line)].count += 1
    }
    reading.refused = reasons.sorted { $0.key < $1.key }.map {
      ($0.key, $0.value.count, $0.value.line)
    }
    return members
  }

  private func finish(
    _ pending: PendingPreview, _ portal: Result<ExaminationTable<PortalFlag>, PortalError>
  ) -> Preview {
    var preview = Preview()
    preview.readings = settings.lists.compactMap { pending.readings[$0.id] }
    let flags: ExaminationTable<PortalFlag>
    switch portal {
    case .success(let found): flags = found
    case .failure(let error):
      preview.portalFailure = error.description
      return preview
    }
    let views = settings.lists.map { view(of: $0, pending) }
    let now = clock.wall
    let plan = FlagReconciler(policy: settings.flags).plan(
      lists: views, portal: flags, memory: memory, now: now)
    func concerns(_ lists: [String]) -> Bool {
      pending.chosen.count == settings.lists.count || lists.contains { pending.chosen.contains($0) }
    }
    var told: Set<ExaminationKey> = []
    for write in plan.writes where concerns([write.list]) {
      var change = Preview.Change(
        action: .clear, key: write.key, lists: [write.list], from: write.expected?.flag, to: nil,
        priority: write.priority, reason: nil)
      if case .set(let flag) = write.action {
        change.action = write.expected == nil ? .set : .replace
        change.to = flag
      }
      preview.changes.append(change)
      told.insert(write.key)
    }
    for deviation in plan.deviations where concerns(deviation.lists) {
      // One that is being written again is among the writes.
      guard told.insert(deviation.key).inserted else { continue }
      preview.changes.append(
        Preview.Change(
          action: Self.action(deviation), key: deviation.key, lists: deviation.lists,
          from: deviation.portalFlag ?? flags[deviation.key]?.flag, to: deviation.wantedFlag,
          priority: nil, reason: deviation.reason))
    }
    preview.changes += absent(plan, flags, told, concerns)
    return preview
  }

  private static func action(_ deviation: FlagReconciler.Deviation) -> Preview.Change.Action {
    switch deviation.kind {
    case .foreign: .foreign
    case .conflict: .conflict
    case .set, .clear: deviation.attempt == nil ? .held : .waiting
    }
  }

  /// Flags whose examinations have not been absent often enough.
  private func absent(
    _ plan: FlagReconciler.Plan, _ flags: ExaminationTable<PortalFlag>,
    _ told: Set<ExaminationKey>, _ concerns: ([String]) -> Bool
  ) -> [Preview.Change] {
    var found: [Preview.Change] = []
    for (key, kept) in plan.memory {
      guard let kept, let flag = flags[key], let list = flag.list, !told.contains(key),
        kept.absences > 0, concerns([list])
      else { continue }
      found.append(
        Preview.Change(
          action: .absent, key: key, lists: [list], from: flag.flag, to: nil, priority: nil,
          reason: "absent from \(kept.absences) of the \(settings.flags.absenceSnapshots) "
            + "different complete snapshots that are needed"))
    }
    return found.sorted { $0.key < $1.key }
  }

  /// A list as it would be for the next cycle: freshly read if it was asked for, else as it is
  /// known.
  private func view(
    of list: EngineSettings.List, _ pending: PendingPreview
  ) -> FlagReconciler.ListView {
    let state = lists[list.id]!
    guard pending.chosen.contains(list.id) else { return known(list, state) }
    guard let members = pending.members[list.id], let snapshot = pending.snapshots[list.id] else {
      var frozen = known(list, state)
      frozen.state = .frozen
      return frozen
    }
    // Empty once more than is on record: as the next cycle would count it.
    let empties = members.isEmpty && state.evidence.emptySnapshot != snapshot ? 1 : 0
    return FlagReconciler.ListView(
      id: list.id, flag: list.flag, state: .complete(snapshot: snapshot),
      members: wanted(members, list), unusableRows: pending.unusable[list.id] ?? 0,
      lastSize: state.evidence.lastSize,
      emptySnapshots: members.isEmpty ? state.evidence.emptySnapshots + empties : 0)
  }
}
