import DICOM
import Glibc
import Platform
import SQLite
import Synchronization
import TestSupport

@testable import SyncCore

/// The real engine, ledger and embedded portal among simulated lists, PACS and archive, on virtual
/// clocks and one thread: days pass in a moment, and a seed repeats a history exactly.
final class Simulation {
  final class Clock: EngineClock {
    private let time = Mutex<(MonotonicTime, WallTime)>(
      (MonotonicTime(nanoseconds: 1_000_000_000_000), WallTime(milliseconds: 1_790_000_000_000)))
    var monotonic: MonotonicTime { time.withLock { $0.0 } }
    var wall: WallTime { time.withLock { $0.1 } }
    func advance(to monotonic: MonotonicTime) {
      time.withLock { time in
        let step = monotonic - time.0
        guard step > .zero else { return }
        time = (monotonic, time.1 + step)
      }
    }
    /// Somebody sets the clock on the wall.
    func setWall(by step: Duration) { time.withLock { $0.1 = $0.1 + step } }
  }

  /// Runs jobs at once, but for those whose names begin with a held prefix.
  final class Jobs: JobRunner {
    struct State: Sendable {
      var held: [(String, @Sendable () -> Void)] = []
      var holding: [String] = []
      var started: [String] = []
    }
    let state = Mutex(State())
    func run(_ name: String, lane: String?, _ job: @escaping @Sendable () -> Void) {
      let runsNow = state.withLock { state -> Bool in
        state.started.append(name)
        if state.holding.contains(where: { name.hasPrefix($0) }) {
          state.held.append((name, job))
          return false
        }
        return true
      }
      if runsNow { job() }
    }
    func hold(_ prefix: String) { state.withLock { $0.holding.append(prefix) } }
    func release() {
      let jobs = state.withLock { state in
        defer { state.held = [] }
        state.holding = []
        return state.held
      }
      for (_, job) in jobs { job() }
    }
    func count(_ prefix: String) -> Int {
      state.withLock { $0.started.count { $0.hasPrefix(prefix) } }
    }
  }

  /// A list that a test edits; every read is a new snapshot unless told otherwise.
  final class List: CollaborationListSource {
    struct State: Sendable {
      var rows: [ListRow] = []
      var failure: String?
      var reads = 0
      var isStill = false
      /// Answers that nothing has changed when nothing has: seen again.
      var confirms = false
      /// The snapshot's name, the same until it is changed; else every read is a new one.
      var name: String?
      /// Named by the time of the read: as often as it is read at one time, it is one.
      var isNamedByTime = false
      var refused: [RefusedRow] = []
      var given: [ListRow]?
    }
    let state = Mutex(State())
    let clock: Clock
    init(_ clock: Clock) { self.clock = clock }

    func read(
      deadline: Deadline, previous: SnapshotIdentity?
    ) throws(ListReadError) -> ListReading {
      let now = clock.wall
      let result = state.withLock { state -> Result<ListReading, ListReadError> in
        state.reads += 1
        if let failure = state.failure { return .failure(.simulated(failure)) }
        if state.isStill, previous != nil { return .success(.unchanged) }
        if state.confirms, previous != nil, state.given == state.rows {
          return .success(.confirmed(snapshotID: "s\(state.reads)", asOf: now))
        }
        state.given = state.rows
        let name =
          state.name ?? (state.isNamedByTime ? "\(now.milliseconds / 60_000)" : "s\(state.reads)")
        var snapshot = ListSnapshot.simulated(name, asOf: now, rows: state.rows)
        snapshot.refusedRows = state.refused
        return .success(.snapshot(snapshot))
      }
      return try result.get()
    }
    func set(_ numbers: [String], status: String = "Utförd") {
      state.withLock { $0.rows = numbers.map { ListRow.simulated($0, status: status) } }
    }
  }

  /// A PACS and the archive that it sends to.
  final class Imaging: ImageSource, ImageArchive {
    struct State: Sendable {
      /// Objects by study, at the source and in the archive.
      var source: [UID: [ImageObject]] = [:]
      var archive: [UID: [ImageObject]] = [:]
      var studies: [String: [UID]] = [:]
      var isDown = false
      /// Objects that one retrieve loses, and whether it lies about that.
      var loses = 0
      var lies = false
      var refusal: String?
      var retrieves = 0
      var asked = 0
    }
    let state = Mutex(State())
    let name = "sectra"

    func add(_ number: String, objects: Int) {
      let study = UID("1.2.3.\(number.utf8.reduce(0) { $0 &* 31 &+ Int($1) & 0xFFFFFF })")
      state.withLock { state in
        let old = state.source[study]?.count ?? 0
        state.studies[number] = [study]
        state.source[study, default: []] += (old..<old + objects).map {
          ImageObject(sopInstance: UID("\(study).\($0)"), series: UID("\(study).9"))
        }
      }
    }

    private func check(_ state: borrowing State) throws(ImageSourceError) {
      if state.isDown {
        throw ImageSourceError(.peerUnavailable, "refused", isPeerDown: true)
      }
    }
    func studies(number: String, stop: Gate) throws(ImageSourceError) -> [UID] {
      try state.withLock { (state) throws(ImageSourceError) in
        try check(state)
        return state.studies[number] ?? []
      }
    }
    func objects(of study: UID, stop: Gate) throws(ImageSourceError) -> [ImageObject] {
      try state.withLock { (state) throws(ImageSourceError) in
        try check(state)
        return state.source[study] ?? []
      }
    }
    func retrieve(
      study: UID, missing: [ImageObject], isWholeStudy: Bool, stop: Gate, progress: (Int) -> Void
    ) throws(ImageSourceError) -> ImageReason? {
      try state.withLock { (state) throws(ImageSourceError) -> ImageReason? in
        try check(state)
        state.retrieves += 1
        state.asked += missing.count
        let sent = missing.dropLast(min(state.loses, missing.count))
        state.archive[study, default: []] += sent
        progress(sent.count)
        if sent.count == missing.count || state.lies { return nil }
        return ImageReason(.retrieveFailed, "lost some")
      }
    }
    func storedObjects(of study: UID) throws -> [ImageObject] {
      state.withLock { $0.archive[study] ?? [] }
    }
    func storedStudies(number: String) throws -> [UID] {
      state.withLock { state in (state.studies[number] ?? []).filter { state.archive[$0] != nil } }
    }
    var refusal: String? { state.withLock { $0.refusal } }
  }

  /// The embedded portal, with faults.
  final class FaultyPortal: Portal {
    struct Faults: Sendable {
      var isDown = false
      /// Acknowledges clears and does not do them.
      var keepsFlags = false
      var writes = 0
    }
    let faults = Mutex(Faults())
    let inner: EmbeddedPortal
    var kind: String { inner.kind }
    init(_ inner: EmbeddedPortal) { self.inner = inner }

    func flags(since token: String?, deadline: Deadline) throws(PortalError) -> FlagListing {
      if faults.withLock({ $0.isDown }) { throw .unavailable("down") }
      return try inner.flags(since: token, deadline: deadline)
    }
    func apply(
      _ writes: [FlagWrite], source: String, now: WallTime, deadline: Deadline,
      outcome: (Int, FlagWriteOutcome) -> Void
    ) {
      let now2 = faults.withLock { faults in
        faults.writes += writes.count
        return faults
      }
      for (index, write) in writes.enumerated() {
        if now2.isDown {
          outcome(index, .failed(.unavailable("down")))
        } else if now2.keepsFlags, write.action == .clear {
          outcome(index, .done)
        } else {
          inner.apply([write], source: source, now: now, deadline: deadline) { outcome(index, $1) }
        }
      }
    }
    func publish(_ availability: [ImageAvailability], deadline: Deadline) throws(PortalError) {
      if faults.withLock({ $0.isDown }) { throw .unavailable("down") }
      try inner.publish(availability, deadline: deadline)
    }
  }

  let directory: TemporaryDirectory
  let clock = Clock()
  let jobs = Jobs()
  let imaging = Imaging()
  let portal: FaultyPortal
  let lists: [String: List]
  var settings = EngineSettings()
  /// Makes the engine do things in pieces of so many.
  var pieces: Int?
  private(set) var engine: Engine!
  private let mailbox: Mailbox

  private final class Mailbox: Sendable {
    let events = Mutex<[EngineEvent]>([])
    func take() -> [EngineEvent] {
      events.withLock { events in
        defer { events = [] }
        return events
      }
    }
  }

  init(lists names: [String] = ["tmc", "dda"], interval: Duration = .seconds(120)) throws {
    directory = try TemporaryDirectory()
    portal = FaultyPortal(try EmbeddedPortal(path: "\(directory.path)/portal.sqlite"))
    let clock = self.clock
    lists = Dictionary(uniqueKeysWithValues: names.map { ($0, List(clock)) })
    settings.interval = interval
    settings.budgets = ["sectra": 2]
    settings.lists = names.map {
      EngineSettings.List(
        id: $0, system: "SECTRA", flag: $0, peer: "sectra", prefetches: true,
        statuses: ["utförd": .completed, "bokad": .scheduled])
    }
    mailbox = Mailbox()
    try start()
  }

  /// Starts the daemon, as after a crash: whatever was under way is gone.
  func start() throws {
    engine = nil
    _ = mailbox.take()
    let mailbox = self.mailbox
    engine = try Engine(
      settings: settings, surroundings: surroundings,
      ledger: Ledger(path: "\(directory.path)/ledger.sqlite"), clock: clock, jobs: jobs,
      log: .silent, stop: Gate(), post: { event in mailbox.events.withLock { $0.append(event) } })
    if let pieces {
      engine.writesAtOnce = pieces
      engine.publishedAtOnce = pieces
    }
  }

  func engineGone() { engine = nil }

  var surroundings: EngineSurroundings {
    EngineSurroundings(
      portal: portal, archive: imaging, lists: lists, sources: ["sectra": imaging])
  }

  /// Lets the engine work for a span of virtual time.
  func run(_ span: Duration) {
    let end = clock.monotonic + span
    while true {
      var batches = 0
      repeat {
        engine.handle(mailbox.take() + [.tick])
        batches += 1
        precondition(batches < 10_000, "the engine spins")
      } while mailbox.events.withLock({ !$0.isEmpty })
      let next = engine.nextDeadline
      if next > end { break }
      // A deadline in the past that nothing comes of would spin a real loop as well.
      clock.advance(to: max(next, clock.monotonic + .milliseconds(1)))
    }
    clock.advance(to: end)
  }

  func send(_ event: EngineEvent) { mailbox.events.withLock { $0.append(event) } }

  func sync(_ lists: [String] = []) -> SyncAnswer {
    let answer = Answer<SyncAnswer>()
    engine.handle([.sync(lists: lists, answer)])
    return answer.wait(until: .after(.zero))!
  }

  func flags() throws -> [String: String] {
    guard case .flags(let flags, _) = try portal.inner.flags(since: nil, deadline: .never) else {
      return [:]
    }
    return Dictionary(uniqueKeysWithValues: flags.map { ($0.key.number, $0.value.flag) })
  }

  func images(_ number: String) throws -> String? {
    try portal.inner.availability(of: ExaminationKey(system: "SECTRA", number: number))?.state
  }
}

extension Simulation {
  /// The ledger's file is gone, and the daemon started anew.
  func loseLedger() throws {
    engineGone()
    for suffix in ["", "-wal", "-shm"] { unlink("\(directory.path)/ledger.sqlite\(suffix)") }
    try start()
  }
}

extension ListReadError {
  static func simulated(_ text: String) -> ListReadError { ListReadError("simulated", text) }
}

extension ListSnapshot {
  static func simulated(_ id: String, asOf: WallTime, rows: [ListRow]) -> ListSnapshot {
    ListSnapshot(snapshotID: id, asOf: asOf, rows: ListRows(rows), identity: SnapshotIdentity(id))
  }
}

extension ListRow {
  static func simulated(
    _ number: String, status: String = "Utförd", careUnit: String? = nil
  ) -> ListRow {
    ListRow(examination: number, status: status, careUnit: careUnit)
  }
}
