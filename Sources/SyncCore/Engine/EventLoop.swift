import Platform
import SQLite

/// What a loop runs: it takes events one batch at a time, on one thread.
public protocol LoopBody: AnyObject {
  associatedtype Event: Sendable
  associatedtype Snapshot: LoopSnapshot
  /// The event that stands for nothing but the passing of time.
  static var tick: Event { get }
  /// Takes the events over: what they carry may be large, and need not stay until all is done.
  func handle(_ events: consuming [Event])
  /// When it next has something to do of itself.
  var nextDeadline: MonotonicTime { get }
  var isStopping: Bool { get }
  func stop()
  /// Whether no work of its own is under way.
  var isIdle: Bool { get }
  func snapshot() -> Snapshot
  /// Its database can no longer be relied upon.
  var fatalFailure: SQLiteError? { get }
}

/// What a loop shows of its body, to any thread.
public protocol LoopSnapshot: Sendable {
  init(startedAt: WallTime)
  /// Counts up with every change.
  var version: UInt64 { get }
}

/// The engine's thread and mailbox.
public typealias EngineLoop = EventLoop<Engine>

/// A thread and a mailbox: events come from any thread, in order, and the latest snapshot is there
/// for any thread.
public final class EventLoop<Body: LoopBody>: Sendable {
  private struct Mailbox: Sendable {
    var events: [Body.Event] = []
    var isStopping = false
  }

  private let mailbox = Monitor(Mailbox())
  private let shown: Monitor<Body.Snapshot>
  private let finished = Gate()
  /// Opened when the daemon stops: blocking work looks at it.
  public let stopGate = Gate()
  /// How often the loop says that it is alive: systemd's watchdog hangs on it.
  private let heartbeat: Duration
  private let beat: @Sendable () -> Void

  /// - Parameters:
  ///   - heartbeat: the longest time between two calls of `beat` while the engine is well.
  ///   - beat: called from the engine's own thread, so that a wedged engine is found out.
  public init(heartbeat: Duration = .seconds(15), beat: @escaping @Sendable () -> Void = {}) {
    self.heartbeat = heartbeat
    self.beat = beat
    shown = Monitor(Body.Snapshot(startedAt: .now))
  }

  /// Puts an event into the mailbox.
  public func post(_ event: Body.Event) {
    mailbox.update { $0.events.append(event) }
  }

  /// The latest snapshot. Never waits for the body.
  public var snapshot: Body.Snapshot { shown.read { $0 } }

  /// Waits for a snapshot newer than a version; nil at the deadline.
  public func snapshot(after version: UInt64, until deadline: Deadline) -> Body.Snapshot? {
    shown.wait(until: deadline) { $0.version > version ? $0 : nil }
  }

  /// Runs the body on the calling thread until ``stop()``; returns when its work has ended or
  /// the time for that is over.
  ///
  /// - Throws: when the ledger can no longer be relied upon: the process must end, so that systemd
  ///   starts it anew and SQLite recovers.
  public func run(_ engine: Body, stopTimeout: Duration = .seconds(10)) throws {
    shown.update { $0 = engine.snapshot() }
    defer { finished.open() }
    engine.handle([Body.tick])
    shown.update { $0 = engine.snapshot() }
    beat()
    var stopDeadline = Deadline.never
    while true {
      let wake = Deadline.at(engine.isStopping ? .now + .milliseconds(200) : engine.nextDeadline)
        .sooner(.after(heartbeat))
      engine.handle(events(until: wake, isStopping: engine.isStopping))
      if let failure = engine.fatalFailure { throw failure }
      if mailbox.read({ $0.isStopping }), !engine.isStopping {
        engine.stop()
        stopDeadline = .after(stopTimeout)
      }
      shown.update { $0 = engine.snapshot() }
      beat()
      if engine.isStopping, engine.isIdle || stopDeadline.isPast { return }
    }
  }

  /// What is in the mailbox, once there is something.
  private func events(until wake: Deadline, isStopping: Bool) -> [Body.Event] {
    mailbox.wait(until: wake) { box -> [Body.Event]? in
      guard !box.events.isEmpty || (box.isStopping && !isStopping) else { return nil }
      defer { box.events.removeAll(keepingCapacity: true) }
      return box.events
    } ?? [Body.tick]
  }

  /// Asks the body to end; ``run(_:stopTimeout:)`` returns soon.
  public func stop() {
    mailbox.update { $0.isStopping = true }
    stopGate.open()
  }

  /// Waits for the body to have ended.
  @discardableResult
  public func waitUntilFinished(_ deadline: Deadline) -> Bool { finished.wait(until: deadline) }
}

/// Threads for blocking work: one for each serial lane, a new one for each other job.
public final class ThreadJobs: JobRunner {
  private struct Lanes: Sendable {
    /// The jobs that wait in a lane; a lane is here while its thread runs.
    var waiting: [String: [@Sendable () -> Void]] = [:]
  }

  private let lanes = Monitor(Lanes())

  public init() {}

  public func run(_ name: String, lane: String?, _ job: @escaping @Sendable () -> Void) {
    guard let lane else {
      WorkThread.start(name, job)
      return
    }
    let isFirst = lanes.update { lanes -> Bool in
      let isFirst = lanes.waiting[lane] == nil
      lanes.waiting[lane, default: []].append(job)
      return isFirst
    }
    guard isFirst else { return }
    WorkThread.start(name) { [self] in
      while true {
        let next = lanes.update { lanes -> (@Sendable () -> Void)? in
          if lanes.waiting[lane]!.isEmpty {
            lanes.waiting[lane] = nil
            return nil
          }
          return lanes.waiting[lane]!.removeFirst()
        }
        guard let next else { return }
        next()
      }
    }
  }
}
