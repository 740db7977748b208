import DICOM
import Platform
import SQLite

/// Carries assignments through: it takes events one batch at a time, lets the pure machine of each
/// assignment decide, records what it decides, and starts blocking work elsewhere whose outcome
/// comes back as an event.
///
/// A batch is one transaction. Nothing is started, answered or forgotten before it is committed, so
/// that what is durable and what is done never part: an attempt is recorded before it is made, and
/// one whose end nobody saw is unknown, not failed.
///
/// Used by one thread. The queues lie in the ledger; in memory is only what runs.
public final class Dispatcher: LoopBody {
  public static var tick: DispatchEvent { .tick }

  var settings: DispatchSettings
  var surroundings: DispatchSurroundings
  let ledger: DeliveryLedger
  let clock: any EngineClock
  let jobs: any JobRunner
  let log: Log
  let post: @Sendable (DispatchEvent) -> Void
  /// Told when an examination has been recalled.
  let recalled: @Sendable (ExaminationKey) -> Void
  let stopGate: Gate

  /// A job that is out.
  struct Running {
    var assignment: Int64
    var outlet: Outlet
    /// Opened when its work is not wanted any more.
    var stop: Gate
    var startedAt: WallTime
  }
  var running: [Int64: Running] = [:]
  var outlets: [Outlet: OutletState] = [:]
  var pauses: [String: DeliveryLedger.Pause] = [:]

  // Time. Stored times are of a clock that no setting of the machine's clock moves while the
  // daemon runs: the wall time of the start, and what has passed since.
  let startedAt: WallTime
  let startedMonotonic: MonotonicTime

  var nextDue: WallTime?
  var nextWatch: MonotonicTime
  var nextPrune: MonotonicTime
  /// What to do once the batch is committed.
  var afterCommit: [() -> Void] = []
  /// Outcomes that could not be recorded yet: they are not lost, and nothing new starts.
  private var unrecorded: [DispatchEvent] = []
  private var retryAt: MonotonicTime?

  public private(set) var isStopping = false
  public private(set) var fatalFailure: SQLiteError?
  var version: UInt64 = 0
  var ledgerProblem: String?
  var disclosureProblem: String?
  var tally = DeliveryLedger.Tally()
  var asideCount = 0
  var alarmsSince: [String: WallTime] = [:]

  public init(
    settings: DispatchSettings, surroundings: DispatchSurroundings, ledger: DeliveryLedger,
    clock: any EngineClock, jobs: any JobRunner, log: Log, stop: Gate,
    recalled: @escaping @Sendable (ExaminationKey) -> Void = { _ in },
    post: @escaping @Sendable (DispatchEvent) -> Void
  ) throws {
    self.settings = settings
    self.surroundings = surroundings
    self.ledger = ledger
    self.clock = clock
    self.jobs = jobs
    self.log = log
    self.post = post
    self.recalled = recalled
    stopGate = stop
    startedAt = clock.wall
    startedMonotonic = clock.monotonic
    nextWatch = clock.monotonic + .seconds(60)
    nextPrune = clock.monotonic + .seconds(90)
    let now = clock.wall
    let ledger = self.ledger
    let unknown = try ledger.transaction { try ledger.recover(now) }
    if unknown > 0 {
      log.notice("attempts with an unknown outcome are repeated", ["count": "\(unknown)"])
    }
    pauses = try ledger.pauses()
    makeOutlets()
    nextDue = now
    tally = try ledger.tally()
    asideCount = try ledger.asideCount()
    try resume(now)
  }

  /// Now, by the clock that stored times are of.
  var now: WallTime { startedAt + (clock.monotonic - startedMonotonic) }

  /// An assignment whose next step was never recorded goes on: what there is to do follows from
  /// its state.
  private func resume(_ now: WallTime) throws {
    for id in try ledger.idle() {
      try ledger.transaction {
        guard var record = try ledger.assignment(id) else { return }
        let effects = record.machine.begin()
        guard !effects.isEmpty else { return }
        try carryOut(effects, &record, now)
        try ledger.record(record, now: now)
      }
    }
    runAfterCommit()
  }

  // MARK: - Events

  public func handle(_ events: [DispatchEvent]) {
    version += 1
    let waiting = unrecorded + events
    unrecorded = []
    let steady = now
    do {
      afterCommit = []
      try ledger.transaction {
        for event in waiting { try take(event, steady) }
        if !isStopping { try advance(steady) }
      }
      ledgerProblem = nil
      retryAt = nil
    } catch {
      afterCommit = []
      refused(waiting, error)
      return
    }
    runAfterCommit()
    count()
  }

  private func runAfterCommit() {
    let actions = afterCommit
    afterCommit = []
    for action in actions { action() }
  }

  private func count() {
    do {
      tally = try ledger.tally()
      asideCount = try ledger.asideCount()
    } catch {
      ledgerProblem = "\(error)"
    }
  }

  /// The batch could not be recorded. Who waits is told so; what has happened is kept, and tried
  /// again every second.
  private func refused(_ events: [DispatchEvent], _ error: any Error) {
    ledgerProblem = "\(error)"
    if let error = error as? SQLiteError, error.isOutcomeUnknown { fatalFailure = error }
    log.error("the delivery ledger refused", ["reason": "\(error)"])
    let reason = "could not be recorded: \(error)"
    for event in events {
      switch event {
      case .order(_, _, let answer): answer.give(.failed(reason))
      case .act(_, let ids, _, _, let answer):
        answer.give(ids.map { ActionResult(id: $0, number: "", isDone: false, text: reason) })
      case .inbound(_, let answer): answer.give(.failed(reason))
      case .pause(_, _, let answer): answer.give(.failed(reason))
      case .reconfigure, .transferCompared, .transferProgress, .transferEnded, .messageEnded,
        .imagesChanged:
        unrecorded.append(event)
      case .tick: break
      }
    }
    retryAt = clock.monotonic + .seconds(1)
  }

  private func take(_ event: DispatchEvent, _ now: WallTime) throws {
    switch event {
    case .tick: break
    case .order(let order, let flag, let answer): try accept(order, flag, answer, now)
    case .act(let action, let ids, let by, let isDryRun, let answer):
      let results = try ids.map { try act(action, $0, by, isDryRun, now) }
      afterCommit.append { answer.give(results) }
    case .transferCompared(let job, let study, let objects):
      try compared(job, study, objects, now)
    case .transferProgress(let job, let outcomes): try progressed(job, outcomes, now)
    case .transferEnded(let job, let result): try transferEnded(job, result, now)
    case .messageEnded(let job, let outcome): try messageEnded(job, outcome, now)
    case .inbound(let message, let answer):
      let given = try receive(message, now)
      afterCommit.append { answer.give(given) }
    case .pause(let outlet, let by, let answer):
      let given = try pause(outlet, by, now)
      afterCommit.append { answer.give(given) }
    case .imagesChanged(let key): try imagesChanged(key, now)
    case .reconfigure(let settings, let surroundings, let answer):
      afterCommit.append { [self] in
        self.settings = settings
        self.surroundings = surroundings
        makeOutlets()
        answer.give(true)
      }
    }
  }

  private func advance(_ now: WallTime) throws {
    noteOpenings(now)
    if let due = nextDue, due <= now {
      let next = try ledger.promote(now)
      nextDue = next
    }
    let monotonic = clock.monotonic
    if monotonic >= nextWatch {
      nextWatch = monotonic + .seconds(60)
      try failStuck(now)
    }
    if monotonic >= nextPrune {
      let mayBeMore = try ledger.prune(
        messagesBefore: now - settings.keepMessages, before: now - settings.retention)
      nextPrune = monotonic + (mayBeMore ? .seconds(1) : .seconds(600))
    }
    try claim(now, monotonic)
  }

  /// A job's next attempt is planned: wake up for it.
  func plan(_ time: WallTime) {
    nextDue = min(nextDue ?? time, time)
  }

  public func stop() {
    isStopping = true
    stopGate.open()
    for job in running.values { job.stop.open() }
    version += 1
  }

  public var isIdle: Bool { running.isEmpty && unrecorded.isEmpty }

  public var nextDeadline: MonotonicTime {
    if let retryAt { return retryAt }
    var next = min(nextWatch, nextPrune)
    if let nextDue { next = min(next, clock.monotonic + max(.zero, nextDue - now)) }
    for (outlet, state) in outlets where pauses[outlet.description] == nil && isOpen(state) {
      if let closedUntil = state.closedUntil, tally.jobs(outlet, .ready) > 0, state.running == 0 {
        next = min(next, closedUntil)
      }
    }
    return next
  }
}

/// One place where something goes: how busy it is, and whether it answers.
struct OutletState {
  var settings: DispatchSettings.OutletSettings
  var running = 0
  var isReachable: Bool?
  /// Attempts in a row that the other side did not answer.
  var silences = 0
  var failures = 0
  /// While it does not answer: when one job may try it again.
  var closedUntil: MonotonicTime?
  var reason: String?
  /// Since when something may go there; nil while it is paused or its window is closed.
  var openSince: WallTime?
  /// It did not answer: what was ready before then has used up a try, as far as not yet recorded.
  var chargeBefore: WallTime?
}

extension Dispatcher {
  func makeOutlets() {
    for (outlet, wanted) in settings.outlets {
      if outlets[outlet] == nil {
        var state = OutletState(settings: wanted)
        // Without a window there was nothing to wait for before the start either.
        if wanted.window == nil { state.openSince = WallTime(milliseconds: 0) }
        outlets[outlet] = state
      } else {
        outlets[outlet]!.settings = wanted
      }
    }
    for (outlet, state) in outlets where settings.outlets[outlet] == nil && state.running == 0 {
      outlets[outlet] = nil
    }
  }

  /// Whether the window of an outlet is open now.
  func isOpen(_ outlet: OutletState) -> Bool {
    outlet.settings.window?.contains(clock.wall) ?? true
  }

  func pause(_ outlet: Outlet, _ by: String?, _ now: WallTime) throws -> PauseAnswer {
    guard outlets[outlet] != nil else { return .noSuchOutlet }
    let pause = by.map { DeliveryLedger.Pause(by: $0, at: now) }
    try ledger.recordPause(outlet.description, pause)
    afterCommit.append { [self] in
      pauses[outlet.description] = pause
      // Whoever opens it again wants to see at once whether it works.
      if pause == nil { outlets[outlet]?.closedUntil = nil }
      log.notice(
        pause == nil ? "destination opened" : "destination paused",
        ["destination": outlet.description, "by": by ?? ""])
    }
    return .done
  }

  /// Keeps since when each outlet has been open.
  func noteOpenings(_ now: WallTime) {
    for (outlet, state) in outlets {
      if pauses[outlet.description] != nil || !isOpen(state) {
        outlets[outlet]!.openSince = nil
      } else if state.openSince == nil {
        outlets[outlet]!.openSince = now
      }
    }
  }

  /// Nothing stays orange for ever: what has not moved for so long has failed.
  func failStuck(_ now: WallTime) throws {
    let hours = DurationText.format(settings.watchdog)
    for (job, outlet) in try ledger.stuck(since: now - settings.watchdog, limit: 200) {
      // What waited for a pause or a window to end has stood still by nobody's fault.
      if let state = outlets[outlet] {
        guard let since = state.openSince, since <= now - settings.watchdog else { continue }
      }
      try fail(
        job, reason: "stuck: has not moved for \(hours)", owner: Owner.us, flag: nil, now)
    }
  }
}

/// Who can mend something, in words an admin can act upon.
enum Owner {
  static let us = "the administrators of syncd"
  static let recipient = "the recipient's administrators"
  static let origin = "the RIS administrators"
  static let source = "the PACS administrators"
  static let nobody = "nobody: syncd goes on by itself"
}
