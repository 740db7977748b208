import Platform

/// What the dispatcher shows of itself: made by its thread, read by any other.
public struct DispatchSnapshot: LoopSnapshot {
  public struct Destination: Sendable {
    public var outlet: Outlet
    public var address: String
    public var isReachable: Bool?
    public var pause: DeliveryLedger.Pause?
    public var window: TimeWindow?
    public var isWindowOpen: Bool
    public var budget: Int
    public var running: Int
    public var ready: Int
    public var waiting: Int
    public var failed: Int
    public var retry: RetryLadder
    public var nextAttempt: WallTime?
    public var reason: String?
  }

  public var startedAt: WallTime
  public var destinations: [Destination] = []
  public var active = 0
  public var failed = 0
  public var held = 0
  public var aside = 0
  public var phases: [AssignmentPhase: Int] = [:]
  public var waitingTransfers = 0
  public var waitingMessages = 0
  public var watchdog: Duration = .zero
  public var alarms: [EngineSnapshot.Alarm] = []
  public var isStopping = false
  /// What the stored times of next attempts are ahead of the machine's clock.
  public var clockOffset: Duration = .zero
  public var version: UInt64 = 0

  public init(startedAt: WallTime) { self.startedAt = startedAt }
}

extension Dispatcher {
  public func snapshot() -> DispatchSnapshot {
    var shown = DispatchSnapshot(startedAt: startedAt)
    shown.version = version
    shown.isStopping = isStopping
    shown.watchdog = settings.watchdog
    shown.clockOffset = now - clock.wall
    let monotonic = clock.monotonic
    for (outlet, state) in outlets.sorted(by: { $0.key < $1.key }) {
      shown.destinations.append(
        DispatchSnapshot.Destination(
          outlet: outlet, address: state.settings.address, isReachable: state.isReachable,
          pause: pauses[outlet.description], window: state.settings.window,
          isWindowOpen: isOpen(state), budget: state.settings.budget, running: state.running,
          ready: tally.jobs(outlet, .ready), waiting: tally.jobs(outlet, .waiting),
          failed: tally.jobs(outlet, .failed), retry: state.settings.retry,
          nextAttempt: state.closedUntil.map { clock.wall + max(.zero, $0 - monotonic) },
          reason: state.reason))
    }
    shown.active = tally.active
    shown.failed = tally.failed
    shown.held = tally.held
    shown.aside = asideCount
    for phase in AssignmentPhase.allCases { shown.phases[phase] = tally.phase(phase) }
    for destination in shown.destinations {
      let count = destination.ready + destination.waiting + destination.running
      if destination.outlet.kind == .dicom {
        shown.waitingTransfers += count
      } else {
        shown.waitingMessages += count
      }
    }
    shown.alarms = alarms(shown)
    return shown
  }

  private func alarms(_ shown: DispatchSnapshot) -> [EngineSnapshot.Alarm] {
    var found: [(EngineSnapshot.Alarm.Severity, String, String, String)] = []
    if shown.failed > 0 {
      found.append(
        (
          .critical, "sending_failed", "sending",
          "\(shown.failed) assignments have failed jobs: see `syncctl failed`"
        ))
    }
    for destination in shown.destinations where destination.isReachable == false {
      found.append(
        (
          .warning, "destination_down", destination.outlet.description,
          destination.reason ?? "no answer"
        ))
    }
    if shown.aside > 0 {
      found.append(
        (
          .warning, "messages_aside", "inbound",
          "\(shown.aside) messages belong to no assignment: see `syncctl aside`"
        ))
    }
    if let ledgerProblem {
      found.append((.critical, "delivery_ledger", "deliveries", ledgerProblem))
    }
    if let disclosureProblem {
      found.append(
        (
          .critical, "access_log", "access log",
          "nothing is sent: what leaves cannot be recorded: \(disclosureProblem)"
        ))
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
}
