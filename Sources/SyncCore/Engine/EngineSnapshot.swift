import Platform

/// What the engine shows of itself: made by its thread, read by any other without waiting for it.
public struct EngineSnapshot: LoopSnapshot {
  public struct List: Sendable {
    public enum Freshness: String, Sendable { case fresh, warning, critical, never }
    public var id: String
    public var system: String
    public var flag: String
    public var freshness: Freshness
    public var missedCycles: Int
    public var lastRead: WallTime?
    public var snapshotAsOf: WallTime?
    public var rows: Int?
    public var refusedRows: Int
    public var owned: Int
    public var absent: Int
    public var held: Int
    public var reason: String?
  }

  public struct Peer: Sendable {
    public var name: String
    public var reachable: Bool?
    public var running: Int
    public var queued: Int
    public var budget: Int
    public var nextAttempt: WallTime?
    public var reason: String?
  }

  public struct ImageTotals: Sendable, Hashable {
    public var none = 0
    public var fetching = 0
    public var partial = 0
    public var complete = 0
    public var blocked = 0
    public var held = 0
    public var archived = 0
    public var expected = 0

    public init() {}
  }

  public struct Alarm: Sendable, Hashable {
    public enum Severity: String, Sendable { case warning, critical }
    public var severity: Severity
    public var code: String
    public var subject: String
    public var message: String
    public var since: WallTime

    public init(
      severity: Severity, code: String, subject: String, message: String, since: WallTime
    ) {
      self.severity = severity
      self.code = code
      self.subject = subject
      self.message = message
      self.since = since
    }
  }

  public var startedAt: WallTime
  public var isStopping = false
  public var interval: Duration = .zero
  public var nextCycle: WallTime?
  /// The running cycle, or else the latest.
  public var cycle: CycleRecord?
  /// The latest that has ended.
  public var finishedCycle: CycleRecord?
  public var lists: [List] = []
  public var peers: [Peer] = []
  public var images = ImageTotals()
  public var portalReachable: Bool?
  public var portalReason: String?
  public var flags = 0
  public var conflicts = 0
  public var drift: [FlagReconciler.Deviation] = []
  public var alarms: [Alarm] = []
  /// Progress of the passes that are running now, over what the ledger has.
  public var running: [ExaminationKey: (archived: Int, expected: Int)] = [:]
  public var reloadError: String?
  /// Counts up with every change.
  public var version: UInt64 = 0

  public init(startedAt: WallTime) {
    self.startedAt = startedAt
  }
}
