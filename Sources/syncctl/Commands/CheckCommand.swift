import Platform

/// `syncctl check`: what a monitoring plugin says of the daemon.
struct PluginReport: Equatable {
  var state: PluginState
  /// One line without a bar, which would begin the performance data.
  var summary: String
  var performance: [String] = []
  /// One line each, below the first.
  var details: [String] = []

  var text: String {
    var text = "SYNCD \(state.name) - \(Self.clean(summary))"
    if !performance.isEmpty { text += " | " + performance.joined(separator: " ") }
    return text + "\n" + details.map { Self.clean($0) + "\n" }.joined()
  }

  private static func clean(_ text: String) -> String { text.shown.replacing("|", with: "/") }
}

extension PluginReport {
  /// What a status amounts to. Never better than the daemon's own judgement, its alarms or what
  /// its lists show.
  init(_ status: StatusReply, now: WallTime) {
    var state: PluginState =
      switch status.health {
      case "ok": .ok
      case "warning": .warning
      case "critical": .critical
      default: .unknown
      }
    if status.state != "running" { state = max(state, .warning) }
    for alarm in status.alarms {
      state = max(state, alarm.severity == "critical" ? .critical : .warning)
    }
    var stale: [StatusReply.List] = []
    var fresh = 0
    for list in status.lists {
      switch list.freshness {
      case "fresh": fresh += 1
      case "never":
        // Just started: the first cycle has still to come.
        break
      case "warning":
        state = max(state, .warning)
        stale.append(list)
      default:
        state = max(state, .critical)
        stale.append(list)
      }
    }
    self.state = state

    var parts = [
      "lists \(fresh)/\(status.lists.count) fresh",
      "images " + StatusText.images(status.images, coloured: false),
    ]
    if status.state != "running" { parts.insert(status.state, at: 0) }
    if status.drift > 0 { parts.append("drift \(status.drift)") }
    if let worst = status.alarms.first(where: { $0.severity == "critical" }) ?? status.alarms.first
    {
      parts.insert("\(worst.subject): \(worst.message)", at: 0)
    } else if let list = stale.max(by: { $0.missedCycles < $1.missedCycles }) {
      parts.insert("list \(list.id) missed \(Words.count(list.missedCycles, "cycle"))", at: 0)
    }
    summary = parts.joined(separator: "; ")

    func value(_ label: String, _ number: Int, _ unit: String = "", _ range: String = ";;0") {
      performance.append("\(label)=\(number)\(unit);\(range)")
    }
    value("lists_fresh", fresh, "", ";;0;\(status.lists.count)")
    value("lists_stale", stale.count)
    value("missed_cycles", status.lists.map(\.missedCycles).max() ?? 0)
    value("images_complete", status.images.complete)
    value("images_fetching", status.images.fetching)
    value("images_partial", status.images.partial)
    value("images_none", status.images.none)
    value("images_blocked", status.images.blocked)
    value("images_held", status.images.held)
    value("drift", status.drift)
    value("drift_alarms", status.driftAlarms)
    value("alarms", status.alarms.count)
    if let archive = status.archive {
      value("archive_objects", archive.objects)
      value("archive_free", archive.freeBytes, "B")
    }
    if let started = WallTime(rfc3339: status.startedAt) {
      let seconds = (now.milliseconds - started.milliseconds) / 1000
      value("uptime", max(0, Int(seconds)), "s")
    }
    details = status.alarms.map {
      "\($0.severity): \($0.subject): \($0.message), since \(Words.fullTime($0.since))"
    }
  }

  /// Sending as numbers only: its alarms are among those of the status.
  mutating func add(_ totals: TotalsReply) {
    let values = [
      ("assignments_active", totals.active), ("assignments_failed", totals.failed),
      ("assignments_held", totals.held), ("assignments_sent", totals.sent),
      ("transfers_waiting", totals.waitingTransfers), ("messages_waiting", totals.waitingMessages),
      ("messages_aside", totals.aside),
    ]
    for (label, number) in values { performance.append("\(label)=\(number);;;0") }
  }

  /// What it amounts to that there is no status. Doubt is never OK.
  init(_ failure: Failure) {
    switch failure.exit {
    // A daemon that is down or stuck is the very thing this looks for.
    case .notRunning, .timeout: state = .critical
    default: state = .unknown
    }
    summary = failure.message
    details = failure.advice
  }
}

struct CheckCommand {
  let session: Session

  func run() throws(Failure) -> PluginState {
    var failure: Failure?
    var report: PluginReport
    let daemon = session.daemon
    let start = MonotonicTime.now
    do throws(Failure) {
      report = PluginReport(try StatusReply(daemon.call("GetStatus", [:])), now: .now)
      // What is left of the time; without the numbers the verdict stands all the same.
      let left = max(.milliseconds(100), daemon.timeout - (MonotonicTime.now - start))
      if case .known(let totals, _) = SendingTotals(Daemon(paths: daemon.paths, timeout: left)) {
        report.add(totals)
      }
    } catch {
      failure = error
      report = PluginReport(error)
    }
    // The convention wants text; an object where it was asked for.
    if session.console.json {
      try session.console.put(Self.json(report, failure) + "\n")
    } else {
      try session.console.put(report.text)
    }
    return report.state
  }

  private static func json(_ report: PluginReport, _ failure: Failure?) -> String {
    JSONText.object([
      ("state", JSONText.string(report.state.name)),
      ("exit", "\(report.state.rawValue)"),
      ("summary", JSONText.string(report.summary)),
      ("performance", JSONText.strings(report.performance)),
      ("details", JSONText.strings(report.details)),
    ])
  }
}
