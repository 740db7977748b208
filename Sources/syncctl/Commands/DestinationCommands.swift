import JSON
import Platform

/// `syncctl dest list`, `dest pause` and `dest resume`.
struct DestinationsCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let fields = try session.daemon.delivery("ListDestinations", [:]).objects("destinations")
    for each in fields { try console.give(each.line) }
    if console.json { return .ok }
    let rows = try fields.map { (it) throws(Failure) in try DestinationReply(it) }
    if rows.isEmpty {
      try console.say("No destinations are configured.\n")
      return .ok
    }
    var table = Table(
      [
        "NAME", "KIND", "ADDRESS", "STATE", "RUNNING", "READY", "WAITING", "FAILED", "WINDOW",
        "RETRY", "NEXT", "REASON",
      ], rightAligned: [4, 5, 6, 7], lineWidth: console.width, coloured: console.coloured)
    try console.say(table.render(rows.map { Self.row($0, now: .now) }))
    return .ok
  }

  static func row(_ it: DestinationReply, now: WallTime) -> [Cell] {
    [
      Cell(it.name), Cell(it.kind), Cell(it.address), state(it), Cell("\(it.running)/\(it.budget)"),
      Cell("\(it.ready)"), Cell("\(it.waiting)"),
      Cell("\(it.failed)", it.failed > 0 ? .red : .plain), Cell(it.window ?? "always"),
      Cell(it.retry.isEmpty ? "none" : it.retry), Cell(Words.time(it.nextAttempt, now: now)),
      Cell(reason(it)),
    ]
  }

  private static func state(_ it: DestinationReply) -> Cell {
    if it.paused { return Cell("paused", .orange) }
    if it.reachable == false { return Cell("down", .red) }
    if !it.windowOpen { return Cell("closed", .orange) }
    return it.reachable == true ? Cell("up", .green) : Cell("not tried")
  }

  private static func reason(_ it: DestinationReply) -> String {
    var parts: [String] = []
    if it.paused {
      parts.append(
        "paused" + (it.pausedBy.map { " by \($0)" } ?? "")
          + (it.pausedAt.map { " since \(Words.fullTime($0))" } ?? ""))
    }
    if let reason = it.reason, !reason.isEmpty { parts.append(reason) }
    return parts.joined(separator: "; ")
  }

  func pause() throws(Failure) -> ExitCode {
    let it = try change("PauseDestination")
    try session.console.say(
      "\(it.name.shown) is paused: nothing more starts there until"
        + " `syncctl dest resume \(it.name.shown)`.\n")
    return .ok
  }

  func resume() throws(Failure) -> ExitCode {
    let it = try change("ResumeDestination")
    var text = "\(it.name.shown) goes on: \(it.ready) ready, \(it.waiting) waiting"
    if !it.windowOpen { text += "; closed for now, open \((it.window ?? "later").shown)" }
    try session.console.say(text + ".\n")
    return .ok
  }

  private func change(_ method: String) throws(Failure) -> DestinationReply {
    var parameters = session.onBehalfOf
    parameters["name"] = .string(session.invocation.operands[0])
    let reply = try session.daemon.delivery(method, parameters)
    let destination = try DestinationReply(reply.object("destination"))
    try session.console.give(reply.inner("destination").line)
    return destination
  }
}

/// `syncctl retry explain`.
struct ExplainCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let name = session.invocation.operands[0]
    let fields = try session.daemon.delivery("ExplainRetry", ["name": .string(name)])
    let text = try Self.text(name, fields, session.console)
    try session.console.give(fields.line)
    try session.console.say(text)
    return .ok
  }

  static func text(_ name: String, _ fields: Fields, _ console: Console) throws(Failure) -> String {
    let ladder = try fields.string("ladder")
    let rows = try fields.objects("attempts").map { (it) throws(Failure) in
      [
        Cell("\(try it.int("number"))"), Cell(try it.string("after")),
        Cell(span(try it.double("at"))),
      ]
    }
    let watchdog = try fields.string("watchdog")
    let lines = try fields.strings("text")
    var text = "\(name.shown): retry \(ladder.isEmpty ? "none" : ladder.shown)"
    text += ", watchdog \(watchdog.shown)\n"
    if !rows.isEmpty {
      var table = Table(
        ["ATTEMPT", "PAUSE BEFORE", "SINCE THE FIRST"], rightAligned: [0],
        coloured: console.coloured)
      text += "\n" + table.render(rows)
    }
    if !lines.isEmpty { text += "\n" + lines.map { "\($0.shown)\n" }.joined() }
    return text
  }

  /// Numbers beyond any ladder are no reason to trap.
  private static func span(_ seconds: Double) -> String {
    guard seconds.isFinite, seconds >= 0, seconds < 1e9 else { return "?" }
    return Words.span(.milliseconds(Int64(seconds * 1000)))
  }
}

/// `syncctl recipients`.
struct RecipientsCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let fields = try session.daemon.delivery("ListRecipients", [:]).objects("recipients")
    for each in fields { try console.give(each.line) }
    if console.json { return .ok }
    let recipients = try fields.map { (it) throws(Failure) in try RecipientReply(it) }
    if recipients.isEmpty {
      try console.say("No recipients are configured.\n")
      return .ok
    }
    var table = Table(
      ["RECIPIENT", "ID", "TAKES", "FROM", "DESTINATION"], lineWidth: console.width,
      coloured: console.coloured)
    try console.say(
      table.render(
        Self.tree(recipients).map { depth, it in
          [
            Cell(String(repeating: "  ", count: depth) + it.label), Cell(it.id),
            Cell(it.kinds.isEmpty ? "-" : it.kinds.joined(separator: ",")),
            Cell(it.systems.isEmpty ? "all" : it.systems.joined(separator: ",")),
            Cell(it.destination ?? "-"),
          ]
        }))
    return .ok
  }

  /// The tree from the top, with how deep each is. What has no known parent stands at the top, so
  /// that nothing is lost, whatever the answer says.
  static func tree(_ recipients: [RecipientReply]) -> [(Int, RecipientReply)] {
    let ids = Set(recipients.map(\.id))
    var children: [String: [RecipientReply]] = [:]
    var tops: [RecipientReply] = []
    for each in recipients {
      if let parent = each.parent, ids.contains(parent) {
        children[parent, default: []].append(each)
      } else {
        tops.append(each)
      }
    }
    var rows: [(Int, RecipientReply)] = []
    var seen: Set<String> = []
    // A circle has no top: its members come last, each as one.
    for top in tops + recipients where !seen.contains(top.id) {
      var stack = [(0, top)]
      while let (depth, next) = stack.popLast() {
        guard seen.insert(next.id).inserted else { continue }
        rows.append((depth, next))
        stack += (children[next.id] ?? []).reversed().map { (depth + 1, $0) }
      }
    }
    return rows
  }
}

/// `syncctl report`.
struct ReportCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let id = session.invocation.operands[0]
    let fields = try session.daemon.delivery("GetReport", ["id": .string(id)])
    let text = try fields.string("text")
    try session.console.give(fields.line)
    try session.console.say(text.shownLines)
    return .ok
  }
}

/// `syncctl aside`.
struct AsideCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let limit = session.invocation.integer("limit").map { ["limit": JSONValue($0)] as JSONObject }
    let reply = try session.daemon.delivery("ListAside", limit ?? [:])
    let fields = try reply.objects("messages")
    let total = try reply.int("total")
    for each in fields { try console.give(each.line) }
    if console.json { return .ok }
    let rows = try fields.map { (it) throws(Failure) in try AsideReply(it) }
    if rows.isEmpty {
      try console.say("No message has been put aside.\n")
      return .ok
    }
    var table = Table(
      ["ID", "RECEIVED", "FROM", "CONTROL ID", "TYPE", "REASON"], lineWidth: console.width,
      coloured: console.coloured)
    try console.say(
      table.render(
        rows.map { row in
          [
            Cell(row.id), Cell(Words.fullTime(row.received)), Cell(row.from), Cell(row.controlId),
            Cell(row.type), Cell(row.reason),
          ]
        }))
    if rows.count < total, console.isTerminal {
      try console.say("\(rows.count) of \(total); the rest with a larger --limit.\n")
    }
    return .ok
  }
}
