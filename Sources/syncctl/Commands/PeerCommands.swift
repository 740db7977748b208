import JSON
import Platform
import SyncCore

/// `syncctl peer list`.
struct PeersCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let fields = try session.daemon.peers("ListPeers", [:]).objects("peers")
    for each in fields { try console.give(each.line) }
    if console.json { return .ok }
    let rows = try fields.map { (it) throws(Failure) in try PeerReply(it) }
    if rows.isEmpty {
      try console.say("No peers are configured.\n")
      return .ok
    }
    var table = Table(
      [
        "NAME", "KIND", "ADDRESS", "TLS", "STATE", "RUNNING", "QUEUED", "LEVEL", "CONTACT",
        "FAILURE", "PROBED", "KNOWN",
      ], rightAligned: [5, 6], lineWidth: console.width, coloured: console.coloured)
    try console.say(table.render(rows.map { Self.row($0, now: .now) }))
    return .ok
  }

  static func row(_ it: PeerReply, now: WallTime) -> [Cell] {
    let level = it.level.map { $0 + (it.levelLearnt ? " (learnt)" : "") } ?? "-"
    return [
      Cell(it.name), Cell(it.kind), Cell(it.address), Cell(it.tls ? "yes" : "no"), state(it),
      Cell("\(it.running)/\(it.budget)"), Cell("\(it.queued)"), Cell(level),
      Cell(Words.time(it.lastContact, now: now)), Cell(Words.time(it.lastFailure, now: now)),
      Cell(it.report.map { Words.time($0.time, now: now) } ?? "never"), Cell(known(it)),
    ]
  }

  private static func state(_ it: PeerReply) -> Cell {
    switch it.reachable {
    case true?: Cell("up", .green)
    case false?: Cell("down", .red)
    case nil: Cell("not tried")
    }
  }

  private static func known(_ it: PeerReply) -> String {
    if it.reachable == false, let reason = it.reason { return reason }
    return it.report?.summary ?? "-"
  }
}

/// `syncctl peer probe`.
struct ProbeCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let limit = session.invocation.duration("timeout") ?? .seconds(180)
    var report: PeerReportReply?
    let progress = ProbeText(coloured: console.coloured)
    try session.daemon.followPeers("Probe", parameters, deadline: .after(limit)) {
      (fields) throws(Failure) in
      if let peer = try fields.optionalObject("peer") {
        let it = try PeerReply(peer)
        try console.say("\(it.name.shown), \(it.kind.shown), \(it.address.shown)\n")
      }
      if let step = try fields.optionalObject("step") {
        try console.say(progress.line(try ProbeStepReply(step)))
      }
      guard let found = try fields.optionalObject("report") else { return true }
      let read = try PeerReportReply(found)
      try console.give(found.line)
      report = read
      return false
    }
    guard let report else {
      throw Failure(
        .notRunning, "syncd closed the connection before the probe had ended",
        advice: ["`systemctl status syncd` says whether it was stopped."])
    }
    try console.say(ProbeText.contexts(report))
    let name = session.invocation.operands[0].shown
    switch report.exit {
    case .failed: try console.say("\(name) cannot be used as it is.\n")
    case .partial: try console.say("\(name) answers, but not all that is asked of it.\n")
    default: try console.say("\(name) answers.\n")
    }
    return report.exit
  }

  private var parameters: JSONObject {
    var parameters = session.onBehalfOf
    let invocation = session.invocation
    parameters["name"] = .string(invocation.operands[0])
    if let number = invocation.value("number") { parameters["number"] = .string(number) }
    if invocation.has("ask-to-send") { parameters["asksToSend"] = .bool(true) }
    return parameters
  }
}

/// A probe for people, a line a step.
struct ProbeText {
  let coloured: Bool

  func line(_ step: ProbeStepReply) -> String {
    let colour: Colour =
      switch step.outcome {
      case "ok": .green
      case "warning": .orange
      case "failed": .red
      default: .plain
      }
    let outcome = colour.paint(step.outcome.shown.padded(to: 7), if: coloured)
    let time = step.seconds.map { "  \(Self.milliseconds($0))" } ?? ""
    return "  \(outcome)  \(step.name.shown.padded(to: 12))  \(step.text.shown)\(time)\n"
  }

  static func milliseconds(_ seconds: Double) -> String {
    // Numbers beyond reason are none to trap.
    guard seconds.isFinite, (0...1e6).contains(seconds) else { return "?" }
    let tenths = Int((seconds * 10_000).rounded())
    return "\(tenths / 10).\(tenths % 10) ms"
  }

  /// Each kind of objects with the transfer syntaxes in which it is taken.
  static func contexts(_ report: PeerReportReply) -> String {
    var order: [String] = []
    var syntaxes: [String: [String]] = [:]
    for context in report.contexts where context.accepted {
      if syntaxes[context.sopClass] == nil { order.append(context.sopClass) }
      syntaxes[context.sopClass, default: []].append(context.transferSyntax)
    }
    if order.isEmpty { return "" }
    let width = order.map { $0.shown.width }.max() ?? 0
    return "Accepted:\n"
      + order.map { name in
        "  \(name.shown.padded(to: width))  "
          + "\((syntaxes[name] ?? []).joined(separator: ", ").shown)\n"
      }.joined()
  }
}
