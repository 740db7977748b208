import JSON
import Platform

/// `syncctl sync`.
struct SyncCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let invocation = session.invocation
    let images = invocation.has("images")
    guard invocation.has("wait") || images else {
      let fields = try session.daemon.call("StartSync", parameters)
      let reply = try SyncReply(fields)
      try session.console.give(fields.line)
      try session.console.say(
        reply.joined
          ? "Synchronisation \(reply.cycle.number.shown) is about to read; yours joins it.\n"
          : "Synchronisation \(reply.cycle.number.shown) is started.\n")
      return .ok
    }
    let limit = invocation.duration("timeout") ?? (images ? .seconds(3600) : .seconds(600))
    let deadline = Deadline.after(limit)
    Interrupt.say(
      "\nThe synchronisation goes on in syncd; `syncctl status --follow` shows it.\n")
    let ended = try follow(deadline, limit)
    var exit = Self.exit(of: ended.cycle)
    if images {
      let totals = try settle(deadline, limit)
      if !totals.isComplete, exit == .ok { exit = .partial }
    }
    return exit
  }

  var parameters: JSONObject {
    var parameters = session.onBehalfOf
    if !session.invocation.operands.isEmpty {
      parameters["lists"] = JSONValue(session.invocation.operands)
    }
    return parameters
  }

  /// All lists failed: failed. Something failed: partial.
  static func exit(of cycle: CycleReply) -> ExitCode {
    if cycle.listsTotal > 0, cycle.listsFailed >= cycle.listsTotal { return .failed }
    return cycle.listsFailed > 0 || cycle.flagsFailed > 0 ? .partial : .ok
  }

  private func follow(_ deadline: Deadline, _ limit: Duration) throws(Failure) -> SyncReply {
    var progress = Progress(console: session.console)
    var last: SyncReply?
    do throws(Failure) {
      try session.daemon.follow("StartSync", parameters, deadline: deadline) {
        (fields) throws(Failure) in
        let reply = try SyncReply(fields)
        try session.console.give(fields.line)
        if reply.cycle.running { try progress.show(Self.line(reply)) }
        last = reply
        return reply.cycle.running
      }
    } catch {
      try progress.clear()
      throw last == nil ? error : Self.goesOn(error, limit)
    }
    guard let last, !last.cycle.running else {
      throw Failure(
        .notRunning, "syncd closed the connection before the synchronisation had ended",
        advice: ["`systemctl status syncd` says whether it was stopped."])
    }
    try progress.clear()
    try session.console.say(Self.summary(last, coloured: session.console.coloured))
    return last
  }

  private func settle(_ deadline: Deadline, _ limit: Duration) throws(Failure) -> ImageTotals {
    var progress = Progress(console: session.console)
    var last: StatusReply?
    do throws(Failure) {
      try session.daemon.follow("GetStatus", [:], deadline: deadline) { (fields) throws(Failure) in
        let status = try StatusReply(fields)
        try session.console.give(fields.inner("status").line)
        last = status
        if status.imagesHaveSettled { return false }
        try progress.show(Self.line(status))
        return true
      }
    } catch {
      try progress.clear()
      throw last == nil ? error : Self.goesOn(error, limit)
    }
    guard let last, last.imagesHaveSettled else {
      throw Failure(
        .notRunning, "syncd closed the connection before the images had settled",
        advice: ["`systemctl status syncd` says whether it was stopped."])
    }
    try progress.clear()
    try session.console.say(
      "Images: " + StatusText.images(last.images, coloured: session.console.coloured) + ".\n")
    return last.images
  }

  /// The following has ended early; what was started has not.
  private static func goesOn(_ failure: Failure, _ limit: Duration) -> Failure {
    guard failure.exit == .timeout else { return failure }
    return Failure(
      .timeout, "not finished within \(Words.span(limit)); it goes on in syncd",
      advice: ["Follow it with `syncctl status --follow`, or give a longer --timeout."])
  }

  static func line(_ reply: SyncReply) -> String {
    let cycle = reply.cycle
    var text = "Synchronisation \(cycle.number.shown):"
    text += " lists \(cycle.listsRead)/\(cycle.listsTotal)"
    if cycle.listsFailed > 0 { text += " (\(cycle.listsFailed) failed)" }
    text += ", flags \(cycle.flagsSet) set, \(cycle.flagsCleared) cleared"
    if cycle.flagsPending > 0 { text += ", \(cycle.flagsPending) to write" }
    if cycle.flagsFailed > 0 { text += ", \(cycle.flagsFailed) failed" }
    return text + ", images \(reply.imagesArchived)/\(reply.imagesExpected)"
  }

  static func line(_ status: StatusReply) -> String {
    let running = status.peers.reduce(0) { $0 + min($1.running, 1_000_000) }
    let queued = status.peers.reduce(0) { $0 + min($1.queued, 1_000_000) }
    return "Images: \(StatusText.images(status.images, coloured: false));"
      + " \(running) under way, \(queued) waiting"
  }

  static func summary(_ reply: SyncReply, coloured: Bool) -> String {
    let cycle = reply.cycle
    var text = "Synchronisation \(cycle.number.shown) has ended:"
    text += " \(Words.count(cycle.listsRead, "list")) read"
    text += ", \(Words.count(cycle.flagsSet, "flag")) set, \(cycle.flagsCleared) cleared"
    text += ", images \(reply.imagesArchived)/\(reply.imagesExpected).\n"
    if cycle.listsFailed > 0 {
      text += Colour.red.paint(
        "\(Words.count(cycle.listsFailed, "list")) failed; their flags are left as they were.",
        if: coloured)
      text += "\n"
    }
    for list in reply.lists where list.reason != nil {
      text += "  \(list.id.shown): \((list.reason ?? "").shown)\n"
    }
    if cycle.flagsFailed > 0 {
      text += Colour.red.paint(
        "\(Words.count(cycle.flagsFailed, "flag")) not written; `syncctl drift` shows them.",
        if: coloured)
      text += "\n"
    }
    for list in reply.lists where list.brakeHeld > 0 {
      text += "\(list.id.shown): \(Words.count(list.brakeHeld, "clear")) held;"
      text += " look with `syncctl approve \(list.id.shown)`.\n"
    }
    return text
  }
}

/// One line that is drawn over on a terminal; elsewhere a line at each change.
struct Progress {
  let console: Console
  private var last = ""

  init(console: Console) {
    self.console = console
  }

  mutating func show(_ line: String) throws(Failure) {
    guard line != last else { return }
    last = line
    if console.isTerminal {
      // A line that wraps cannot be drawn over.
      let fitting = console.width.map { line.cut(to: max(20, $0 - 1)) } ?? line
      try console.say("\r\u{1B}[K" + fitting)
    } else {
      try console.say(line + "\n")
    }
  }

  mutating func clear() throws(Failure) {
    if console.isTerminal, !last.isEmpty { try console.say("\r\u{1B}[K") }
    last = ""
  }
}
