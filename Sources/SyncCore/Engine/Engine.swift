import DICOM
import HTTP
import Platform
import SQLite

/// The daemon's mind: it takes events one at a time, decides with the pure parts, records in the
/// ledger, and starts blocking work elsewhere whose outcome comes back as an event.
///
/// Used by one thread. Nothing in it blocks but the ledger, and nothing in it knows threads or real
/// time, so a test can run days of it in a moment.
///
/// Every cycle starts from what the lists, the portal and the archives say now. What is kept here
/// and in the ledger is only what cannot be read back: evidence of absence, tries, history.
public final class Engine {
  public internal(set) var settings: EngineSettings
  var surroundings: EngineSurroundings
  let ledger: Ledger
  let clock: any EngineClock
  let jobs: any JobRunner
  let log: Log
  /// Puts an event into the engine's mailbox, from any thread.
  let post: @Sendable (EngineEvent) -> Void
  /// Told when the archive has other images of an examination than before.
  let imagesChanged: @Sendable (ExaminationKey) -> Void

  // Lists and flags (EngineLists, EngineFlags).
  var lists: [String: ListState] = [:]
  var examinations: ExaminationTable<Known> = [:]
  var memory: ExaminationTable<FlagMemory> = [:]
  var portalFlags: ExaminationTable<PortalFlag> = [:]
  /// Recalled, and not seen absent from their lists since: they get no flag.
  var recalled: Set<ExaminationKey> = []
  /// So many changes are planned, recorded and sent at a time: a first import has a hundred thousand.
  var writesAtOnce = 10_000
  var portalToken: String?
  var portalReachable: Bool?
  var portalReason: String?
  /// Another daemon drives the same portal: this one changes nothing there.
  var isPortalForeign = false
  /// What was known of the HTTP servers when the cycle began.
  var servers: [(name: String, facts: HTTPService.Facts)] = []
  /// Of DICOM nodes reached over TLS, likewise.
  var certificates: [CertificateEnds] = []
  var deviations: [FlagReconciler.Deviation] = []
  var reports: [String: FlagReconciler.ListReport] = [:]

  // Cycles (EngineCycle).
  var cycle: Cycle?
  var lastCycle: CycleRecord?
  var cycleNumber = 0
  var queued: Queued?
  var nextCycleAt: MonotonicTime
  var nextPruneAt: MonotonicTime

  // Images (EngineImages).
  var lanes: [String: Lane] = [:]
  var totals = EngineSnapshot.ImageTotals()
  var running: [ExaminationKey: (archived: Int, expected: Int)] = [:]
  var ticket: UInt32 = 0
  /// What the portal is still to be told of; how it is with their images, the ledger knows.
  var unpublished: ExaminationTable<Void> = [:]
  /// So many examinations are told of in one message: at a start it is all of them.
  var publishedAtOnce = 500
  var isPublishing = false
  let stopGate: Gate

  // Previews (EnginePlan).
  var previews = Previews()

  // For show.
  public private(set) var isStopping = false
  let startedAt: WallTime
  let startedMonotonic: MonotonicTime
  /// The ledger's commit may or may not have happened: nothing more can be relied upon.
  public private(set) var fatalFailure: SQLiteError?
  var version: UInt64 = 0
  var alarmsSince: [String: WallTime] = [:]
  var ledgerProblem: String?
  var reloadError: String?

  /// What is kept in memory of an examination; the rest lies in the ledger. In an order that leaves
  /// no gaps, since there may be a hundred thousand.
  struct Known {
    var id: Int64
    var digest: Int64
    var list: Word?
    var status: ExaminationStatus
    var priority: Priority
    var images: ImageState
    var source: Word?
    var held: Bool
    var isBlocked: Bool
    var isRunning = false
    var portalFlag: Word?
    /// Something changed while a pass ran: run another at once.
    var isStale = false
    /// Which entry in a queue counts; 0 for none.
    var ticket: UInt32 = 0
    private var archivedObjects: UInt32 = 0
    private var expectedObjects: UInt32 = 0

    var archived: Int {
      get { Int(archivedObjects) }
      set { archivedObjects = UInt32(clamping: newValue) }
    }

    var expected: Int {
      get { Int(expectedObjects) }
      set { expectedObjects = UInt32(clamping: newValue) }
    }

    init(
      id: Int64, digest: Int64 = 0, list: Word? = nil, source: Word? = nil,
      portalFlag: Word? = nil, status: ExaminationStatus = .unknown, priority: Priority = .routine,
      images: ImageState = .none, archived: Int = 0, expected: Int = 0, held: Bool = false,
      isBlocked: Bool = false
    ) {
      self.id = id
      self.digest = digest
      self.list = list
      self.source = source
      self.portalFlag = portalFlag
      self.status = status
      self.priority = priority
      self.images = images
      self.held = held
      self.isBlocked = isBlocked
      self.archived = archived
      self.expected = expected
    }
  }

  public init(
    settings: EngineSettings, surroundings: EngineSurroundings, ledger: Ledger,
    clock: any EngineClock, jobs: any JobRunner, log: Log, stop: Gate,
    imagesChanged: @escaping @Sendable (ExaminationKey) -> Void = { _ in },
    post: @escaping @Sendable (EngineEvent) -> Void
  ) throws {
    self.settings = settings
    self.surroundings = surroundings
    self.ledger = ledger
    self.clock = clock
    self.jobs = jobs
    self.log = log
    self.post = post
    self.imagesChanged = imagesChanged
    stopGate = stop
    startedAt = clock.wall
    startedMonotonic = clock.monotonic
    nextCycleAt = clock.monotonic
    nextPruneAt = clock.monotonic + .seconds(60)
    try load()
  }

  private func load() throws {
    let evidence = try ledger.listEvidence()
    for list in settings.lists {
      lists[list.id] = ListState(list, evidence[list.id] ?? Ledger.ListEvidence())
    }
    makeLanes()
    recalled = try ledger.recalledExaminations()
    try ledger.forEachExamination { stored in
      if let kept = stored.memory { memory[stored.key] = kept }
      var known = Known(
        id: stored.id, digest: stored.digest, list: stored.list.map { Word($0) },
        source: stored.source.map { Word($0) }, portalFlag: stored.portalFlag.map { Word($0) },
        status: stored.status, priority: stored.priority,
        images: stored.images, archived: stored.archived, expected: stored.expected ?? 0,
        held: stored.held, isBlocked: ImageProgress.isBlocked(by: stored.reason))
      // A pass that was running when the daemon died is not running now.
      if known.images == .fetching { known.images = known.archived > 0 ? .partial : .none }
      count(known, +1)
      examinations[stored.key] = known
      if known.list != nil {
        schedule(stored.key, at: stored.nextAttempt)
        // What was recorded last may never have reached the portal.
        unpublished[stored.key] = ()
      }
    }
  }

  /// Handles a batch of events, then starts whatever has become due.
  public func handle(_ events: consuming [EngineEvent]) {
    var passed: [(ExaminationKey, String, ImagePass.Result)] = []
    for index in events.indices {
      // A list or a listing is large: gone before the next thing is done.
      let event = events[index]
      events[index] = .tick
      if case .imagePassed(let key, let lane, let result) = event {
        passed.append((key, lane, result))
        continue
      }
      finishPasses(&passed)
      handle(event)
    }
    finishPasses(&passed)
    advance()
    version += 1
  }

  private func handle(_ event: EngineEvent) {
    switch event {
    case .tick: break
    case .listRead(let list, let number, let result): listRead(list, number, result)
    case .portalRead(let number, let isVerification, let result):
      portalRead(number, isVerification, result)
    case .flagsProgress(let number, let written):
      if cycle?.record.number == number {
        cycle!.record.flagsPending = max(0, cycle!.record.flagsPending - written)
      }
    case .flagsWritten(let number, let outcomes): flagsWritten(number, outcomes)
    case .availabilityPublished(let entries, let error): availabilityPublished(entries, error)
    case .imageProgress(let key, let archived, let expected):
      if examinations[key]?.isRunning == true { running[key] = (archived, expected) }
    case .imagePassed: break
    case .sync(let wanted, let answer): answer.give(sync(wanted))
    case .approve(let list, let seen, let answer): answer.give(approve(list, seen))
    case .retry(let key, let answer): answer.give(retry(key))
    case .preview(let wanted, let answer): preview(wanted, answer)
    case .previewPart(let number, let part): previewPart(number, part)
    case .recalled(let key): recall(key)
    case .reconfigure(let settings, let surroundings, let answer):
      reconfigure(settings, surroundings)
      answer.give(true)
    case .reloadFailed(let text): reloadError = text
    }
  }

  /// No new work is started from now on; what runs is told to end.
  public func stop() {
    isStopping = true
    endPreview(.stopping)
    stopGate.open()
    version += 1
  }

  /// Whether work is still under way somewhere.
  public var isIdle: Bool {
    lanes.values.allSatisfy { $0.running == 0 } && !isPublishing
      && cycle?.isWriting != true
  }

  private func advance() {
    if isStopping { return }
    let now = clock.monotonic
    advanceCycle(now)
    advanceLanes(now)
    advancePreview(now)
    publishAvailability()
    if now >= nextPruneAt {
      nextPruneAt = now + .seconds(600)
      attempt("forget old history") {
        for key in try ledger.prune(before: clock.wall - settings.retention) {
          if let known = examinations.removeValue(forKey: key) { count(known, -1) }
        }
      }
    }
  }

  /// When the engine next has something to do of itself.
  public var nextDeadline: MonotonicTime {
    var next = min(nextCycleAt, nextPruneAt)
    if let cycle {
      next = min(cycle.nextDeadline, nextPruneAt)
    } else if queued != nil {
      return clock.monotonic
    }
    for lane in lanes.values {
      if let time = lane.wakeTime { next = min(next, time) }
    }
    if let previewDeadline { next = min(next, previewDeadline) }
    return next
  }

  /// Does something with the ledger; a failure is an alarm, and the caller does not go on to act
  /// upon what could not be recorded. Returns whether it was done.
  @discardableResult
  func attempt(_ what: String, _ body: () throws -> Void) -> Bool {
    do {
      try ledger.transaction(body)
      ledgerProblem = nil
      return true
    } catch {
      ledgerProblem = "\(what): \(error)"
      if let error = error as? SQLiteError, error.isOutcomeUnknown { fatalFailure = error }
      log.error("the ledger refused", ["doing": what, "reason": "\(error)"])
      return false
    }
  }

  func reconfigure(_ new: EngineSettings, _ surroundings: EngineSurroundings) {
    endPreview(.busy("the configuration was loaded anew meanwhile"))
    let evidence = Dictionary(uniqueKeysWithValues: lists.map { ($0.key, $0.value.evidence) })
    var kept: [String: ListState] = [:]
    for list in new.lists {
      if let old = lists[list.id], old.settings == list {
        kept[list.id] = old
      } else {
        kept[list.id] = ListState(list, evidence[list.id] ?? Ledger.ListEvidence())
      }
      // A changed scope or status table changes what rows mean: read in full.
      kept[list.id]!.needsFullRead = true
    }
    lists = kept
    settings = new
    self.surroundings = surroundings
    makeLanes()
    for key in examinations.keys where examinations[key]?.isRunning == false {
      schedule(key, at: clock.wall)
    }
    reloadError = nil
    nextCycleAt = min(nextCycleAt, clock.monotonic)
  }
}

extension Engine: LoopBody {
  public static var tick: EngineEvent { .tick }
}

extension WallTime {
  static func - (time: WallTime, duration: Duration) -> WallTime {
    WallTime(milliseconds: time.milliseconds - duration.wholeNanoseconds / 1_000_000)
  }
}
