import JSON
import Platform

/// `syncctl status`.
struct StatusCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    guard session.invocation.has("follow") else {
      let fields = try session.daemon.call("GetStatus", [:])
      let status = try StatusReply(fields)
      let sending = SendingTotals(session.daemon)
      try console.give(sending.line(with: fields.inner("status")))
      try console.say(StatusText.render(status, sending, console, now: .now))
      return .ok
    }
    // Changes may be hours apart: only the first answer has a deadline.
    try session.daemon.follow("GetStatus", [:], deadline: .never) { (fields) throws(Failure) in
      let status = try StatusReply(fields)
      let sending = SendingTotals(session.daemon)
      try console.give(sending.line(with: fields.inner("status")))
      let text = StatusText.render(status, sending, console, now: .now)
      try console.say(console.isTerminal ? "\u{1B}[H\u{1B}[2J" + text : text + "\n")
      return true
    }
    throw Failure(
      .notRunning, "syncd has ended the connection; it was stopped",
      advice: ["`systemctl status syncd` says why."])
  }
}

/// What the daemon says of sending. Status and health must not fail for want of it.
enum SendingTotals {
  case known(TotalsReply, JSONValue)
  /// The daemon is of a version that does not send.
  case none
  case unknown(Failure)

  init(_ daemon: Daemon) {
    do throws(Failure) {
      let fields = try daemon.delivery("GetTotals", [:])
      self = .known(try TotalsReply(fields), fields.members["totals"] ?? [:])
    } catch {
      let missing = ["InterfaceNotFound", "MethodNotFound", "MethodNotImplemented"]
      // The status was allowed: what forbids this knows of no totals on the monitor socket.
      let isMissing = error.error.map(missing.contains) == true || error.exit == .permission
      self = isMissing ? .none : .unknown(error)
    }
  }

  /// The status as JSON output has it, with these totals as `sending`.
  func line(with status: Fields) -> String {
    guard case .known(_, let totals) = self else { return status.line }
    var members = status.members
    members["sending"] = totals
    return members.description
  }
}

/// The status for people.
enum StatusText {
  static func render(
    _ status: StatusReply, _ sending: SendingTotals, _ console: Console, now: WallTime
  ) -> String {
    func paint(_ text: String, _ colour: Colour) -> String {
      colour.paint(text, if: console.coloured)
    }
    func row(_ label: String, _ text: String) -> String { "\(label.padded(to: 9))\(text)\n" }

    var text = row(
      "syncd",
      "\(status.version.shown) (\(status.name.shown)), \(status.state.shown), health "
        + paint(status.health.shown, colour(health: status.health))
        + "; pid \(status.pid), since \(Words.fullTime(status.startedAt))")
    text += row("Cycle", cycle(status, now: now))
    text += row("Images", images(status.images, coloured: console.coloured))
    text += row("Portal", portal(status.portal))
    switch sending {
    case .known(let totals, _):
      text += row("Sending", Self.sending(totals, coloured: console.coloured))
    case .none: break
    case .unknown(let failure):
      text += row("Sending", paint("not known: \(failure.message)", .orange))
    }
    if let archive = status.archive {
      var line = "\(archive.aeTitle.shown) port \(archive.port):"
      line += " \(Words.count(archive.objects, "object")), \(Words.bytes(archive.bytes))"
      line += "; \(Words.bytes(archive.freeBytes)) free"
      if archive.conflicts > 0 {
        line += "; " + paint(Words.count(archive.conflicts, "conflict"), .red)
      }
      if archive.refusing { line += "; " + paint("refuses to store", .red) }
      text += row("Archive", line)
    }
    if status.drift > 0 {
      var line = Words.count(status.drift, "flag")
      if status.driftAlarms > 0 {
        line += ", " + paint(Words.count(status.driftAlarms, "alarm"), .red)
      }
      text += row("Drift", line + "; `syncctl drift` shows them")
    }
    var configuration = status.configurationFile?.shown ?? "built-in defaults"
    if let error = status.reloadError {
      configuration += "; " + paint("last reload refused: \(error.shown)", .red)
    }
    text += row("Config", configuration)

    if !status.lists.isEmpty { text += "\n" + lists(status.lists, console, now: now) }
    if !status.peers.isEmpty { text += "\n" + peers(status.peers, console, now: now) }
    if !status.alarms.isEmpty {
      var table = Table(
        ["ALARM", "ON", "SINCE", "WHAT"], lineWidth: console.width, coloured: console.coloured)
      text += "\n"
      text += table.render(
        status.alarms.map { alarm in
          [
            Cell(alarm.severity, colour(health: alarm.severity)), Cell(alarm.subject),
            Cell(Words.time(alarm.since, now: now)), Cell(alarm.message),
          ]
        })
    }
    return text
  }

  static func colour(health: String) -> Colour {
    switch health {
    case "ok", "fresh": .green
    case "warning": .orange
    case "never": .plain
    default: .red
    }
  }

  static func images(_ totals: ImageTotals, coloured: Bool) -> String {
    var parts: [String] = []
    func add(_ count: Int, _ word: String, _ colour: Colour) {
      if count > 0 { parts.append(colour.paint("\(count) \(word)", if: coloured)) }
    }
    add(totals.complete, "complete", .green)
    add(totals.fetching, "fetching", .orange)
    add(totals.partial, "partial", .orange)
    add(totals.none, "none", .plain)
    add(totals.blocked, "blocked", .red)
    add(totals.held, "held", .red)
    return parts.isEmpty ? "no examinations" : parts.joined(separator: ", ")
  }

  static func sending(_ totals: TotalsReply, coloured: Bool) -> String {
    var text = "\(totals.active) active"
    if totals.held > 0 { text += ", " + Colour.orange.paint("\(totals.held) held", if: coloured) }
    if totals.failed > 0 {
      text += ", " + Colour.red.paint("\(totals.failed) failed", if: coloured)
    }
    text += ", \(totals.sent) sent, \(totals.answered) answered"
    if totals.cancelled > 0 { text += ", \(totals.cancelled) recalled" }
    text += "; waiting \(Words.count(totals.waitingTransfers, "transfer"))"
    text += ", \(Words.count(totals.waitingMessages, "message"))"
    if totals.aside > 0 { text += "; " + Words.count(totals.aside, "message") + " aside" }
    return text + (totals.failed > 0 ? "; `syncctl failed` shows them" : "")
  }

  private static func cycle(_ status: StatusReply, now: WallTime) -> String {
    var text = "none yet"
    if let cycle = status.cycle {
      text = "\(cycle.number.shown) "
      text +=
        cycle.running
        ? "running since \(Words.time(cycle.startedAt, now: now))"
        : "ended \(Words.time(cycle.finishedAt, now: now))"
      text += ": lists \(cycle.listsRead)/\(cycle.listsTotal)"
      if cycle.listsFailed > 0 { text += " (\(cycle.listsFailed) failed)" }
      text += ", flags \(cycle.flagsSet) set, \(cycle.flagsCleared) cleared"
      if cycle.flagsFailed > 0 { text += ", \(cycle.flagsFailed) failed" }
    }
    if let next = status.nextCycle { text += "; next \(Words.time(next, now: now))" }
    return text
  }

  private static func portal(_ portal: StatusReply.Portal) -> String {
    var text = portal.kind.shown
    switch portal.reachable {
    case true: break
    case false: text += ", not reachable"
    case nil: text += ", not tried yet"
    }
    text += ": \(Words.count(portal.flags, "flag"))"
    if portal.conflicts > 0 { text += ", \(Words.count(portal.conflicts, "conflict"))" }
    if let reason = portal.reason { text += "; \(reason.shown)" }
    return text
  }

  private static func lists(
    _ lists: [StatusReply.List], _ console: Console, now: WallTime
  ) -> String {
    var table = Table(
      ["LIST", "SYSTEM", "FLAG", "STATE", "READ", "ROWS", "REFUSED", "FLAGS", "HELD", "REASON"],
      rightAligned: [5, 6, 7, 8], lineWidth: console.width, coloured: console.coloured)
    return table.render(
      lists.map { list in
        [
          Cell(list.id), Cell(list.system), Cell(list.flag),
          Cell(list.freshness, colour(health: list.freshness)),
          Cell(Words.time(list.lastRead, now: now)), Cell(list.rows.map(String.init) ?? "-"),
          Cell("\(list.refusedRows)"), Cell("\(list.owned)"),
          Cell("\(list.brakeHeld)", list.brakeHeld > 0 ? .red : .plain), Cell(list.reason ?? ""),
        ]
      })
  }

  private static func peers(
    _ peers: [StatusReply.Peer], _ console: Console, now: WallTime
  ) -> String {
    var table = Table(
      ["PEER", "STATE", "RUNNING", "WAITING", "NEXT", "REASON"], rightAligned: [2, 3],
      lineWidth: console.width, coloured: console.coloured)
    return table.render(
      peers.map { peer in
        let state: Cell =
          switch peer.reachable {
          case true: Cell("up", .green)
          case false: Cell("down", .red)
          case nil: Cell("not tried")
          }
        return [
          Cell(peer.name), state, Cell("\(peer.running)/\(peer.budget)"), Cell("\(peer.queued)"),
          Cell(Words.time(peer.nextAttempt, now: now)), Cell(peer.reason ?? ""),
        ]
      })
  }
}
