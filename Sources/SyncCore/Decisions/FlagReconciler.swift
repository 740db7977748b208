import Platform

/// Decides which flags to set and clear: what the lists say against what the portal holds.
///
/// Pure: the same input gives the same plan. Level-triggered: nothing depends on having seen a
/// change happen, so any state, an empty memory included, moves towards the lists.
///
/// The rule above all others is that doubt never clears. A list that could not be read to a proven
/// end freezes its flags; an absence counts only in a complete snapshot, and must be seen in
/// several; many clears at once, or a list suddenly empty, wait for a person; and a flag that
/// somebody else set is left alone.
public struct FlagReconciler: Sendable {
  public struct Policy: Hashable, Sendable {
    /// The name under which this daemon sets flags.
    public var source: String
    /// Other names whose flags it owns as well: the robot it replaces.
    public var adoptedSources: Set<String>
    /// Different complete snapshots that must lack an examination before its flag is cleared.
    public var absenceSnapshots: Int
    /// Different complete snapshots that must be empty before an empty list is believed.
    public var emptyListSnapshots: Int
    /// The brake holds when more flags of a list would be cleared than this number...
    public var brakeMinimum: Int
    /// ...and than this share of the list's flags.
    public var brakePercent: Int
    /// The first pause between tries of one write that does not stick; doubles every time.
    public var retryMinimum: Duration
    public var retryMaximum: Duration
    /// Tries after which a write that does not stick is an alarm.
    public var alarmAfter: Int

    public init(
      source: String, adoptedSources: Set<String> = [], absenceSnapshots: Int = 2,
      emptyListSnapshots: Int = 5, brakeMinimum: Int = 10, brakePercent: Int = 30,
      retryMinimum: Duration = .seconds(120), retryMaximum: Duration = .seconds(3600),
      alarmAfter: Int = 3
    ) {
      self.source = source
      self.adoptedSources = adoptedSources
      self.absenceSnapshots = absenceSnapshots
      self.emptyListSnapshots = emptyListSnapshots
      self.brakeMinimum = brakeMinimum
      self.brakePercent = brakePercent
      self.retryMinimum = retryMinimum
      self.retryMaximum = retryMaximum
      self.alarmAfter = alarmAfter
    }

    func owns(_ flag: PortalFlag) -> Bool {
      flag.source == source || adoptedSources.contains(flag.source)
    }
  }

  /// One list as it is known now.
  public struct ListView: Sendable {
    public enum State: Hashable, Sendable {
      /// Proved complete. The identity tells one snapshot from the next.
      case complete(snapshot: String)
      /// Not readable, or read with doubt: its flags stay as they are.
      case frozen
    }

    public var id: String
    /// The flag its examinations shall have.
    public var flag: String
    public var state: State
    /// The examinations of the latest complete snapshot, with their priorities.
    public var members: ExaminationTable<Priority>
    /// A person asked for this read and vouches for it: one absence is enough.
    public var isManual: Bool
    /// Rows of the snapshot that could not be used: any absence may be one of them.
    public var unusableRows: Int
    /// The size of the latest complete snapshot that was not empty; 0 if none is known.
    public var lastSize: Int
    /// In how many different complete snapshots in a row it has been empty, this one included.
    public var emptySnapshots: Int

    public init(
      id: String, flag: String, state: State, members: ExaminationTable<Priority>,
      isManual: Bool = false, unusableRows: Int = 0, lastSize: Int = 0,
      emptySnapshots: Int = 0
    ) {
      self.id = id
      self.flag = flag
      self.state = state
      self.members = members
      self.isManual = isManual
      self.unusableRows = unusableRows
      self.lastSize = lastSize
      self.emptySnapshots = emptySnapshots
    }
  }

  /// What became of the flags of one list.
  public struct ListReport: Hashable, Sendable {
    /// Flags in the portal that this daemon owns for the list.
    public var owned = 0
    /// Of those, how many are absent from the list.
    public var absent = 0
    /// Clears that are due and wait for `syncctl approve`.
    public var held: [ExaminationKey] = []
    /// Why they wait.
    public var holdReason: String?
  }

  /// Why the portal differs from the lists and stays so for now.
  public struct Deviation: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable { case set, clear, foreign, conflict }
    public var key: ExaminationKey
    public var kind: Kind
    public var portalFlag: String?
    public var wantedFlag: String?
    public var lists: [String]
    public var attempt: WriteAttempt?
    public var isAlarm: Bool
    public var reason: String
  }

  public struct Plan: Sendable {
    /// In the order in which they shall be done.
    public var writes: [FlagWrite] = []
    /// How many more there would be without the limit: the last in that order.
    public var deferred = 0
    /// Memory to record before anything is done; nil forgets.
    public var memory: ExaminationTable<FlagMemory?> = [:]
    public var lists: [String: ListReport] = [:]
    public var deviations: [Deviation] = []
  }

  /// What a plan comes upon, for who shows it rather than does it.
  public enum Finding: Sendable {
    case write(FlagWrite)
    /// A flag whose examination is not on its list: not seen often enough, or held because the
    /// list could not be read in every row.
    case absent(ExaminationKey, list: String, reason: String, isHeld: Bool)
  }

  public let policy: Policy

  public init(policy: Policy) {
    self.policy = policy
  }

  /// Makes the plan of one cycle.
  /// - Parameters:
  ///   - lists: every configured list.
  ///   - portal: every flag the portal holds, just read back.
  ///   - memory: what earlier plans asked to remember.
  ///   - limit: the most writes at a time. A plan costs memory for each, and a portal time: a first
  ///     import is done in pieces, of which the next is planned upon the read-back of this one.
  ///   - onlyFirstTries: what has been tried before waits: for the later pieces of one cycle.
  ///   - visit: is told of each write and absence, in no order. The plan then has neither writes
  ///     nor memory: a hundred thousand of them need not be held to be shown.
  public func plan(
    lists: [ListView], portal: ExaminationTable<PortalFlag>,
    memory: ExaminationTable<FlagMemory>, now: WallTime, limit: Int = .max,
    onlyFirstTries: Bool = false, visit: ((Finding) -> Void)? = nil
  ) -> Plan {
    var work = Work(
      policy: policy, lists: lists, portal: portal, memory: memory, now: now, limit: limit,
      onlyFirstTries: onlyFirstTries, visit: visit)
    work.run()
    return work.plan
  }
}

/// The steps of one plan over its shared tables.
private struct Work {
  let policy: FlagReconciler.Policy
  let lists: [FlagReconciler.ListView]
  let portal: ExaminationTable<PortalFlag>
  let memory: ExaminationTable<FlagMemory>
  let now: WallTime
  let limit: Int
  let onlyFirstTries: Bool
  let visit: ((FlagReconciler.Finding) -> Void)?
  var plan = FlagReconciler.Plan()

  /// The list that claims an examination; -1 where several claim it with different flags.
  private var claims: ExaminationTable<Int32> = [:]
  private var disputed: [ExaminationKey: [Int]] = [:]
  private var indexes: [Word: Int] = [:]
  /// Of each list, what is looked at for every examination.
  private let facts: [(id: Word, flag: Word, isFrozen: Bool)]
  /// Of each list, how many flags in the portal are this daemon's.
  private var owned: [Int]
  private let ownSources: [Word]

  init(
    policy: FlagReconciler.Policy, lists: [FlagReconciler.ListView],
    portal: ExaminationTable<PortalFlag>, memory: ExaminationTable<FlagMemory>, now: WallTime,
    limit: Int, onlyFirstTries: Bool, visit: ((FlagReconciler.Finding) -> Void)?
  ) {
    self.policy = policy
    self.lists = lists
    self.portal = portal
    self.memory = memory
    self.now = now
    self.limit = limit
    self.onlyFirstTries = onlyFirstTries
    self.visit = visit
    facts = lists.map { (Word($0.id), Word($0.flag), $0.state == .frozen) }
    owned = lists.map { _ in 0 }
    ownSources = [Word(policy.source)] + policy.adoptedSources.map { Word($0) }
    for (index, list) in facts.enumerated() { indexes[list.id] = index }
  }

  mutating func run() {
    for list in lists { plan.lists[list.id] = FlagReconciler.ListReport() }
    collectClaims()
    for (key, index) in claims where index >= 0 { settle(key, claimedBy: Int(index)) }
    for (key, claimants) in disputed { dispute(key, claimants) }
    var due: [Int: [ExaminationKey]] = [:]
    for (key, flag) in portal where !claims.contains(key) { release(key, flag, &due) }
    for (index, list) in lists.enumerated() { plan.lists[list.id]!.owned += owned[index] }
    for (index, keys) in due { brake(index, keys.sorted()) }
    if visit == nil {
      for (key, old) in memory where plan.memory[key] == nil && isForgotten(key, old) {
        plan.memory[key] = .some(nil)
      }
    }
    chooseWrites()
    for write in plan.writes { noteTry(write) }
    plan.deviations.sort { ($0.key, $0.kind.rawValue) < ($1.key, $1.kind.rawValue) }
  }

  /// Sorts what there is to write, and leaves out what is beyond the limit.
  private mutating func chooseWrites() {
    // Clears first: a flag too many lets images leave; then by urgency.
    plan.writes.sort { a, b in
      let aClears = a.action == .clear
      let bClears = b.action == .clear
      if aClears != bClears { return aClears }
      if a.priority != b.priority { return a.priority > b.priority }
      return a.key < b.key
    }
    guard plan.writes.count > limit else { return }
    plan.deferred += plan.writes.count - limit
    plan.writes.removeLast(plan.writes.count - limit)
  }

  private func owns(_ flag: PortalFlag) -> Bool { ownSources.contains(flag.sourceWord) }

  private mutating func collectClaims() {
    claims.reserveCapacity(lists.map(\.members.count).max() ?? 0)
    for (index, list) in lists.enumerated() {
      for key in list.members.keys { claim(key, index) }
    }
    if !facts.contains(where: \.isFrozen) { return }
    // A frozen list that this process has never read still claims what it was flagged for.
    for (key, flag) in portal where owns(flag) {
      if let name = flag.listWord, let index = indexes[name], facts[index].isFrozen {
        claim(key, index)
      }
    }
  }

  private mutating func claim(_ key: ExaminationKey, _ index: Int) {
    guard let other = claims[key].map(Int.init) else {
      claims[key] = Int32(index)
      return
    }
    if other == index { return }
    if other >= 0, facts[other].flag == facts[index].flag {
      // Two lists with one flag agree. The readable one speaks for it.
      if facts[other].isFrozen { claims[key] = Int32(index) }
      return
    }
    if other >= 0 {
      disputed[key] = [other, index]
      claims[key] = -1
    } else if disputed[key]?.contains(index) == false {
      disputed[key]?.append(index)
    }
  }

  /// An examination that one list claims.
  private mutating func settle(_ key: ExaminationKey, claimedBy index: Int) {
    let (id, flag, isFrozen) = facts[index]
    let current = portal[key]
    let isOwned = current.map(owns) ?? false
    if isOwned, current?.listWord == id { owned[index] += 1 }
    if isFrozen { return }
    if let current {
      if current.flagWord == flag, !isOwned || current.listWord == id { return }
      if !isOwned {
        deviate(
          key, .foreign, flag.text, [id.text],
          "\(current.source) has set another flag; it is not ours to replace")
        return
      }
    }
    write(
      FlagWrite(
        key: key, action: .set(flag: flag.text), list: id.text, expected: current,
        priority: lists[index].members[key] ?? .routine), absence: nil)
  }

  private mutating func dispute(_ key: ExaminationKey, _ claimants: [Int]) {
    let names = claimants.map { lists[$0].id }.sorted()
    if let current = portal[key], owns(current), let list = current.list {
      plan.lists[list]?.owned += 1
    }
    let unreadable = claimants.filter { facts[$0].isFrozen }.map { lists[$0].id }
    let reason =
      unreadable.isEmpty
      ? "on several lists with different flags: \(names.joined(separator: ", "))"
      : "may still be on \(unreadable.sorted().joined(separator: ", ")), which cannot be read now"
    deviate(key, .conflict, nil, names, reason)
  }

  /// A flag in the portal: one that no list claims may have to go.
  private mutating func release(
    _ key: ExaminationKey, _ flag: PortalFlag, _ due: inout [Int: [ExaminationKey]]
  ) {
    guard owns(flag) else {
      deviate(key, .foreign, nil, [], "set by \(flag.source) and on no list; left alone")
      return
    }
    guard let word = flag.listWord, let index = indexes[word] else {
      let name = flag.list ?? "unknown"
      plan.lists[name, default: .init()].owned += 1
      plan.lists[name]!.absent += 1
      plan.lists[name]!.holdReason = "the list is not configured any more"
      var kept = memory[key] ?? FlagMemory()
      if kept.approved {
        clear(key, flag, name, &kept)
      } else {
        plan.lists[name]!.held.append(key)
        deviate(key, .clear, nil, [name], "its list is not configured any more")
      }
      return
    }
    let list = lists[index]
    let name = list.id
    owned[index] += 1
    guard case .complete(let snapshot) = list.state else { return }
    plan.lists[name]!.absent += 1
    if list.unusableRows > 0 {
      let reason =
        "\(list.unusableRows) rows of the list could not be used: nothing is cleared for it"
      plan.lists[name]!.holdReason = reason
      visit?(.absent(key, list: name, reason: reason, isHeld: true))
      return
    }
    var kept = memory[key] ?? FlagMemory()
    if kept.absenceSnapshot != snapshot {
      kept.absences += 1
      kept.absenceSnapshot = snapshot
    }
    let needed = list.isManual ? 1 : policy.absenceSnapshots
    // Once enough evidence is in, the exact count is of no interest: no row is rewritten for it.
    if kept.absences > policy.absenceSnapshots, let old = memory[key] {
      kept.absences = old.absences
      kept.absenceSnapshot = old.absenceSnapshot
    }
    if kept != memory[key], visit == nil { plan.memory[key] = kept }
    if kept.absences >= needed || kept.approved {
      due[index, default: []].append(key)
    } else if let visit {
      visit(
        .absent(
          key, list: name,
          reason: "absent from \(kept.absences) of the \(needed) different complete snapshots "
            + "that are needed", isHeld: false))
    }
  }

  /// Holds the clears of a list that are too many or rest on a suddenly empty list.
  private mutating func brake(_ index: Int, _ keys: [ExaminationKey]) {
    let list = lists[index]
    let name = list.id
    let owned = plan.lists[name]!.owned
    let waiting = keys.filter { !remembered($0).approved }
    var reason: String?
    if list.members.isEmpty, list.lastSize >= 2, list.emptySnapshots < policy.emptyListSnapshots {
      reason =
        "the list is suddenly empty (\(list.lastSize) before; seen empty "
        + "\(list.emptySnapshots) of \(policy.emptyListSnapshots) times)"
    } else if waiting.count > max(policy.brakeMinimum, owned * policy.brakePercent / 100) {
      reason =
        "\(waiting.count) of \(owned) flags would be cleared at once, more than "
        + "\(max(policy.brakeMinimum, owned * policy.brakePercent / 100))"
    }
    if let reason {
      plan.lists[name]!.held = waiting
      plan.lists[name]!.holdReason = reason
    }
    for key in keys {
      var kept = remembered(key)
      if reason != nil, !kept.approved {
        deviate(key, .clear, nil, [name], "held: \(reason!)")
      } else {
        clear(key, portal[key]!, name, &kept)
      }
    }
  }

  private mutating func clear(
    _ key: ExaminationKey, _ flag: PortalFlag, _ list: String, _ kept: inout FlagMemory
  ) {
    write(
      FlagWrite(key: key, action: .clear, list: list, expected: flag, priority: .routine),
      absence: kept)
  }

  /// Plans a write unless an earlier try of the same one is to be given more time.
  private mutating func write(_ write: FlagWrite, absence: FlagMemory?) {
    let earlier = earlierTry(write)
    if let earlier {
      deviate(
        write.key, earlier.flag == nil ? .clear : .set, earlier.flag, [write.list],
        "the portal does not show the change after \(earlier.attempts) "
          + (earlier.attempts == 1 ? "try" : "tries"), earlier)
    }
    // A clock set back must not postpone a try for longer than the longest pause.
    let waits =
      earlier.map { onlyFirstTries || ($0.next > now && $0.next - now <= policy.retryMaximum) }
      ?? false
    if !waits {
      if let visit {
        visit(.write(write))
      } else if limit == 0 {
        plan.deferred += 1
      } else {
        plan.writes.append(write)
        if limit < .max / 2, plan.writes.count >= limit * 2 { chooseWrites() }
      }
    }
    if visit != nil { return }
    // That it is tried is noted once it has been chosen.
    var kept = absence ?? FlagMemory()
    kept.write = earlier
    guard let old = memory[write.key] else {
      if !kept.isEmpty { plan.memory[write.key] = kept }
      return
    }
    untouched.insert(write.key)
    if kept == old {
      // Nothing new to record, and nothing to forget.
      plan.memory[write.key] = nil
    } else {
      plan.memory[write.key] = .some(kept.isEmpty ? nil : kept)
    }
  }

  /// The tries so far of a write.
  private func earlierTry(_ write: FlagWrite) -> WriteAttempt? {
    guard let earlier = memory[write.key]?.write, earlier.attempts > 0,
      earlier.flag == write.wanted
    else { return nil }
    return earlier
  }

  private mutating func noteTry(_ write: FlagWrite) {
    var kept = remembered(write.key)
    var attempt =
      earlierTry(write) ?? WriteAttempt(flag: write.wanted, attempts: 0, first: now, next: now)
    attempt.attempts += 1
    attempt.next = now + pause(after: attempt.attempts)
    kept.write = attempt
    plan.memory[write.key] = kept
  }

  /// Keys whose memory stays whatever is not said of it.
  private var untouched: Set<ExaminationKey> = []

  /// The second try comes at once with the next cycle: most failures are a passing fault.
  private func pause(after attempts: Int) -> Duration {
    guard attempts > 1 else { return .zero }
    let doublings = min(attempts - 2, 30)
    let wanted = policy.retryMinimum * (1 << doublings)
    return min(wanted, policy.retryMaximum)
  }

  private func remembered(_ key: ExaminationKey) -> FlagMemory {
    if let planned = plan.memory[key] { return planned ?? FlagMemory() }
    return memory[key] ?? FlagMemory()
  }

  /// Whether what is remembered of an examination has become void: its flag is as it should be.
  private func isForgotten(_ key: ExaminationKey, _ old: FlagMemory) -> Bool {
    if untouched.contains(key) { return false }
    if let index = claims[key] {
      // Back on a list, or waiting on one that cannot be read: only the first settles it.
      return index >= 0 && !facts[Int(index)].isFrozen
    }
    return portal[key] == nil
  }

  private mutating func deviate(
    _ key: ExaminationKey, _ kind: FlagReconciler.Deviation.Kind, _ wanted: String?,
    _ lists: [String], _ reason: String, _ attempt: WriteAttempt? = nil
  ) {
    plan.deviations.append(
      FlagReconciler.Deviation(
        key: key, kind: kind, portalFlag: portal[key]?.flag, wantedFlag: wanted, lists: lists,
        attempt: attempt, isAlarm: (attempt?.attempts ?? 0) >= policy.alarmAfter, reason: reason))
  }
}

extension FlagWrite {
  /// The flag that is to be there; nil for none.
  fileprivate var wanted: String? {
    if case .set(let flag) = action { return flag }
    return nil
  }
}
