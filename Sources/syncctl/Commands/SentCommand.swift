import JSON
import Platform

/// Which assignments the options of a command line name.
enum AssignmentFilter {
  static let options = CommandTable.assignmentFilters.map(\.long)

  /// The interface's Filter for the options given.
  /// - Parameter state: where neither a state nor a phase is given; never left to the daemon.
  static func parameters(
    _ invocation: Invocation, state: String, now: WallTime
  ) -> JSONObject {
    var filter: JSONObject = [:]
    let lists = [
      ("to", "recipients"), ("number", "numbers"), ("system", "systems"), ("phase", "phases"),
      ("flag", "flags"), ("priority", "priorities"),
    ]
    for (option, field) in lists {
      if let values = invocation.list(option) { filter[field] = JSONValue(values) }
    }
    if let text = invocation.value("text") { filter["text"] = .string(text) }
    // A phase such as `answered` says by itself that what has ended is meant.
    let usual = invocation.has("phase") ? "all" : state
    filter["state"] = .string(invocation.value("state") ?? usual)
    if invocation.has("held") { filter["held"] = .bool(true) }
    for (option, field) in [("since", "orderedSince"), ("until", "orderedUntil")] {
      if let time = invocation.value(option).flatMap({ TimeText.time($0, now: now) }) {
        filter[field] = .string(time.description)
      }
    }
    return filter
  }

  /// The filters that are on a command line.
  static func given(_ invocation: Invocation) -> [String] { options.filter(invocation.has) }
}

/// `syncctl sent` and `syncctl failed`.
struct SentCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let invocation = session.invocation
    let console = session.console
    let columns =
      invocation.list("columns")?.compactMap(SentColumn.init(rawValue:)) ?? SentColumn.usual
    let (shown, total) = try show(
      columns, AssignmentFilter.parameters(invocation, state: "all", now: .now),
      limit: invocation.integer("limit") ?? .max)
    if shown == 0 {
      try console.say(
        AssignmentFilter.given(invocation).isEmpty
          ? "Nothing has been sent.\n" : "No assignment matches.\n")
    } else if shown < total, console.isTerminal {
      try console.say("\(shown) of \(total); the rest with a larger --limit.\n")
    }
    return .ok
  }

  /// Nothing at all is shown where nothing has failed.
  func runFailed() throws(Failure) -> ExitCode {
    let (shown, _) = try show(SentColumn.failed, ["state": "failed"], limit: .max)
    return shown == 0 ? .ok : .failedAssignments
  }

  private func show(
    _ columns: [SentColumn], _ filter: JSONObject, limit: Int
  ) throws(Failure) -> (shown: Int, total: Int) {
    let console = session.console
    var table = Table(
      columns.map(\.header),
      rightAligned: Set(columns.indices.filter { columns[$0].isNumeric }),
      lineWidth: console.width, coloured: console.coloured)
    return try Pages(rows: "assignments", filter: filter, limit: limit).each(
      call: { (parameters) throws(Failure) in
        try session.daemon.delivery("ListAssignments", parameters)
      },
      body: { (rows) throws(Failure) in
        for row in rows { try console.give(row.line) }
        if console.json || rows.isEmpty { return }
        let assignments = try rows.map { (it) throws(Failure) in try AssignmentReply(it) }
        try console.say(table.render(assignments.map { row in columns.map { $0.cell(row) } }))
      })
  }
}
