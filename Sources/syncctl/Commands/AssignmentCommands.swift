import Glibc
import JSON
import Platform

/// `syncctl resend`, `supplement`, `cancel`, `hold` and `release`.
struct ActionCommand {
  /// How many are shown before the question.
  static let rowsShown = 20
  /// Ids in one call: progress is shown, and a request stays small.
  static let batch = 200

  let session: Session
  let action: Action

  private var isDry: Bool { session.invocation.has("dry-run") }

  func run() throws(Failure) -> ExitCode {
    let invocation = session.invocation
    if invocation.has("all") { return try runAll() }
    if let filter = AssignmentFilter.given(invocation).first {
      throw Failure(
        .usage, "--\(filter) goes with --all", advice: ["`syncctl sent` has the same filters."])
    }
    guard !invocation.operands.isEmpty else {
      throw Failure(
        .usage, "\"\(invocation.command.name)\" needs ID, - or --all",
        advice: ["`syncctl sent` shows the ids."])
    }
    let ids = Operands.read(invocation) { readLine() }.distinct
    if ids.isEmpty { try session.console.say("No assignment is named; nothing to do.\n") }
    return try act(on: ids)
  }

  // MARK: - By id

  private func act(on ids: [String]) throws(Failure) -> ExitCode {
    var done = 0
    for start in stride(from: 0, to: ids.count, by: Self.batch) {
      let batch = Array(ids[start..<min(start + Self.batch, ids.count)])
      do throws(Failure) {
        done += try show(call(ids: batch))
      } catch {
        guard error.error == "NoSuchAssignment", ids.count > 1 else { throw error }
        // One that is not there must not keep the others from it.
        for id in batch { done += try actOnOne(id) }
      }
    }
    return .some(done, of: ids.count)
  }

  private func actOnOne(_ id: String) throws(Failure) -> Int {
    do throws(Failure) {
      return try show(call(ids: [id]))
    } catch {
      guard error.exit == .notFound else { throw error }
      Syncctl.report(error, json: session.console.json && !session.console.quiet)
      return 0
    }
  }

  private func call(ids: [String]) throws(Failure) -> [Fields] {
    try call(["ids": JSONValue(ids)], isDry: isDry)
  }

  private func call(_ selection: JSONObject, isDry: Bool) throws(Failure) -> [Fields] {
    var parameters = session.onBehalfOf
    parameters["selection"] = .object(selection)
    if isDry { parameters["dryRun"] = .bool(true) }
    return try session.daemon.delivery(action.method, parameters).objects("results")
  }

  /// - Returns: how many were done.
  private func show(_ results: [Fields]) throws(Failure) -> Int {
    let console = session.console
    var done = 0
    for fields in results {
      let result = try ActionReply(fields)
      if result.done { done += 1 }
      try console.give(fields.line)
      try console.say(Self.line(result, action, isDry: isDry, coloured: console.coloured))
    }
    return done
  }

  static func line(
    _ result: ActionReply, _ action: Action, isDry: Bool, coloured: Bool
  ) -> String {
    var what = isDry ? "would be \(action.participle)" : action.participle
    var text = result.text
    if !result.done {
      what = isDry ? "would not be \(action.participle)" : "not \(what)"
    } else if text.hasPrefix(action.participle) {
      // The daemon's text begins with what was done; it need not be said twice.
      text.removeFirst(action.participle.count)
    }
    if !text.isEmpty, text == result.text { text = ": " + text }
    let name = [result.id, result.number].filter { !$0.isEmpty }.joined(separator: " ")
    return "\(name.shown): " + (result.done ? Colour.green : .red).paint(what, if: coloured)
      + "\(text.shown)\n"
  }

  // MARK: - All

  private func runAll() throws(Failure) -> ExitCode {
    let invocation = session.invocation
    let console = session.console
    if let operand = invocation.operands.first {
      throw Failure(
        .usage, "--all and \"\(operand.shown)\" do not go together: either ids or filters")
    }
    let isSure = invocation.has("yes") || isDry
    let canAsk = console.isTerminal && isatty(0) == 1 && !console.json && !console.quiet
    guard isSure || canAsk else {
      throw Failure(
        .usage, "there is no terminal to ask on",
        advice: ["Look with --dry-run, then add --yes."])
    }
    let selection: JSONObject = [
      "all": true, "filter": .object(action.filter(invocation, now: .now)),
    ]
    do throws(Failure) {
      if isSure {
        let results = try call(selection, isDry: isDry)
        if results.isEmpty { return try none() }
        return .some(try show(results), of: results.count)
      }
      return try ask(call(selection, isDry: true))
    } catch {
      // That there is none is what was wished for.
      guard error.error == "NothingSelected" else { throw error }
      return try none()
    }
  }

  private func none() throws(Failure) -> ExitCode {
    try session.console.say("No assignment matches; nothing to do.\n")
    return .ok
  }

  /// Only what has been seen is acted on: the ids, not the filters.
  private func ask(_ found: [Fields]) throws(Failure) -> ExitCode {
    let console = session.console
    if found.isEmpty { return try none() }
    let results = try found.map { (it) throws(Failure) in try ActionReply(it) }
    let lines = results.map { Self.line($0, action, isDry: true, coloured: console.coloured) }
    try console.say(lines.prefix(Self.rowsShown).joined())
    if lines.count > Self.rowsShown {
      try console.say("and \(lines.count - Self.rowsShown) more: --dry-run shows all.\n")
    }
    let ids = results.filter(\.done).map(\.id)
    if ids.isEmpty { return .failed }
    try console.say(action.question(ids.count) + " [y/N] ")
    guard Console.isYes(readLine()) else {
      throw Failure(.failed, "nothing has been done")
    }
    let exit = try act(on: ids)
    return exit == .ok && ids.count < results.count ? .partial : exit
  }
}

extension ActionCommand {
  /// What may be done with assignments that there are.
  enum Action: CaseIterable {
    case resend
    case supplement
    case cancel
    case hold
    case release

    /// The interface's method.
    var method: String {
      switch self {
      case .resend: "Resend"
      case .supplement: "Supplement"
      case .cancel: "Cancel"
      case .hold: "Hold"
      case .release: "Release"
      }
    }

    /// `Recall 12 assignments?`
    func question(_ count: Int) -> String {
      let assignments = Words.count(count, "assignment")
      return switch self {
      case .resend: "Send \(assignments) again?"
      case .supplement: "Supplement \(assignments)?"
      case .cancel: "Recall \(assignments)?"
      case .hold: "Hold \(assignments)?"
      case .release: "Release \(assignments)?"
      }
    }

    /// As in `would be recalled`.
    var participle: String {
      switch self {
      case .resend: "sent again"
      case .supplement: "supplemented"
      case .cancel: "recalled"
      case .hold: "held"
      case .release: "released"
      }
    }

    /// The filter with `--all` where the command line has none of its own for it.
    func filter(_ invocation: Invocation, now: WallTime) -> JSONObject {
      var filter = AssignmentFilter.parameters(
        invocation, state: self == .resend ? "failed" : "active", now: now)
      if self == .release { filter["held"] = .bool(true) }
      return filter
    }
  }
}
