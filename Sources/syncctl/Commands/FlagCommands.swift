import Glibc
import JSON
import Platform

/// `syncctl drift`.
struct DriftCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let fields = try session.daemon.call("ListDrift", [:]).objects("drift")
    for each in fields { try console.give(each.line) }
    if console.json { return .ok }
    let rows = try fields.map { (it) throws(Failure) in try DriftReply(it) }
    if rows.isEmpty {
      try console.say("No drift: the portal's flags are what the lists say.\n")
      return .ok
    }
    var table = Table(
      [
        "SYSTEM", "NUMBER", "KIND", "IN PORTAL", "WANTED", "LISTS", "ATTEMPTS", "SINCE", "NEXT",
        "REASON",
      ], rightAligned: [6], lineWidth: console.width, coloured: console.coloured)
    try console.say(
      table.render(
        rows.map { row in
          [
            Cell(row.system), Cell(row.number), Cell(row.kind, row.alarm ? .red : .orange),
            Cell(row.portalFlag ?? "-"), Cell(row.wantedFlag ?? "-"),
            Cell(row.lists.isEmpty ? "-" : row.lists.joined(separator: ",")),
            Cell("\(row.attempts)"), Cell(Words.fullTime(row.since)),
            Cell(Words.fullTime(row.nextAttempt)), Cell(row.reason),
          ]
        }))
    return .ok
  }
}

/// `syncctl approve`.
struct ApproveCommand {
  static let rowsShown = 20

  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let id = session.invocation.operands[0]
    let isSure = session.invocation.has("yes")
    let canAsk = console.isTerminal && isatty(0) == 1 && !console.json && !console.quiet
    guard isSure || canAsk else {
      throw Failure(
        .usage, "there is no terminal to ask on",
        advice: ["Look with `syncctl drift`, then add --yes."])
    }
    let status = try StatusReply(session.daemon.call("GetStatus", [:]))
    let held = try held(id)
    let list = status.lists.first { $0.id == id }
    // A list that is no longer configured may still have flags that wait.
    guard list != nil || !held.isEmpty else {
      throw Daemon.noSuchList(id, known: status.lists.map(\.id))
    }
    let count = list?.brakeHeld ?? held.count
    guard count > 0 else {
      throw Failure(
        .failed, "nothing is held for the list \"\(id.shown)\"", error: "NothingToApprove")
    }
    try show(id, list, count, held)
    if !isSure, try !ask(id, count) {
      throw Failure(.failed, "not approved; nothing has been cleared")
    }
    var parameters = session.onBehalfOf
    parameters["list"] = .string(id)
    parameters["count"] = JSONValue(count)
    let reply = try session.daemon.call("Approve", parameters)
    let approved = try reply.int("approved")
    try console.give(reply.line)
    try console.say(
      "\(Words.count(approved, "flag")) of \(id.shown) will be cleared in the next cycle.\n")
    return .ok
  }

  /// What is held is a flag that differs from the list, and known as such.
  private func held(_ id: String) throws(Failure) -> [DriftReply] {
    var held: [DriftReply] = []
    for fields in try session.daemon.call("ListDrift", [:]).objects("drift") {
      let drift = try DriftReply(fields)
      if drift.kind == "clear", drift.lists.contains(id) { held.append(drift) }
    }
    return held
  }

  private func show(
    _ id: String, _ list: StatusReply.List?, _ count: Int, _ held: [DriftReply]
  ) throws(Failure) {
    let console = session.console
    var text = "\(id.shown): "
    if let list {
      text += "\(count) of \(Words.count(list.owned, "flag")) would be cleared"
      text += " (\(list.flag.shown))"
      if let reason = list.reason { text += "; \(reason.shown)" }
    } else {
      text += "\(Words.count(count, "flag")) would be cleared; the list is not configured any more"
    }
    try console.say(text + ".\n")
    if held.isEmpty { return }
    var table = Table(
      ["SYSTEM", "NUMBER", "IN PORTAL", "REASON"], lineWidth: console.width,
      coloured: console.coloured)
    try console.say(
      table.render(
        held.prefix(Self.rowsShown).map { row in
          [Cell(row.system), Cell(row.number), Cell(row.portalFlag ?? "-"), Cell(row.reason)]
        }))
    if held.count > Self.rowsShown {
      try console.say("and \(held.count - Self.rowsShown) more: `syncctl drift` shows all.\n")
    }
  }

  private func ask(_ id: String, _ count: Int) throws(Failure) -> Bool {
    try session.console.say("Clear \(Words.count(count, "flag")) of \(id.shown)? [y/N] ")
    return Console.isYes(readLine())
  }
}
