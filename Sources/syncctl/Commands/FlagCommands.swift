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
        advice: ["Look with `syncctl list --list \(id.shown) --held`, then add --yes."])
    }
    let status = try StatusReply(session.daemon.call("GetStatus", [:]))
    guard let list = status.lists.first(where: { $0.id == id }) else {
      throw Daemon.noSuchList(id, known: status.lists.map(\.id))
    }
    guard list.brakeHeld > 0 else {
      throw Failure(
        .failed, "nothing is held for the list \"\(id.shown)\"", error: "NothingToApprove")
    }
    if !console.json, !console.quiet { try show(list) }
    if !isSure, try !ask(list) {
      throw Failure(.failed, "not approved; nothing has been cleared")
    }
    var parameters = session.onBehalfOf
    parameters["list"] = .string(id)
    parameters["count"] = JSONValue(list.brakeHeld)
    let reply = try session.daemon.call("Approve", parameters)
    let approved = try reply.int("approved")
    try console.give(reply.line)
    try console.say(
      "\(Words.count(approved, "flag")) of \(id.shown) will be cleared in the next cycle.\n")
    return .ok
  }

  private func show(_ list: StatusReply.List) throws(Failure) {
    let console = session.console
    let of = Words.count(list.owned, "flag")
    var text = "\(list.id.shown): \(list.brakeHeld) of \(of) would be cleared"
    text += " (\(list.flag.shown))"
    if let reason = list.reason { text += "; \(reason.shown)" }
    try console.say(text + ".\n")
    let reply = try session.daemon.call(
      "ListExaminations",
      [
        "filter": ["lists": [.string(list.id)], "held": true],
        "limit": JSONValue(Self.rowsShown),
      ])
    let rows = try reply.objects("examinations").map { (it) throws(Failure) in
      try ExaminationReply(it)
    }
    if rows.isEmpty { return }
    let columns: [WorklistColumn] = [.system, .number, .flag, .status, .changed]
    var table = Table(
      columns.map(\.header), lineWidth: console.width, coloured: console.coloured)
    try console.say(table.render(rows.map { row in columns.map { $0.cell(row) } }))
    let more = try reply.int("total") - rows.count
    if more > 0 {
      try console.say(
        "and \(more) more: `syncctl list --list \(list.id.shown) --held` shows all.\n")
    }
  }

  private func ask(_ list: StatusReply.List) throws(Failure) -> Bool {
    try session.console.say(
      "Clear \(Words.count(list.brakeHeld, "flag")) of \(list.id.shown)? [y/N] ")
    let answer = readLine()?.lowercased() ?? ""
    return ["y", "yes", "j", "ja"].contains(answer)
  }
}
