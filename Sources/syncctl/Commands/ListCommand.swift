import JSON
import Platform

/// `syncctl list`.
struct ListCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let columns = columns
    var table = Table(
      columns.map(\.header),
      rightAligned: Set(columns.indices.filter { columns[$0].isNumeric }),
      lineWidth: console.width, coloured: console.coloured)
    let filter = Self.filter(session.invocation, now: .now)
    let pages = Pages(
      rows: "examinations", filter: filter, limit: session.invocation.integer("limit") ?? .max)
    let (shown, total) = try pages.each(
      call: { (parameters) throws(Failure) in
        try session.daemon.call("ListExaminations", parameters)
      },
      body: { (rows) throws(Failure) in
        for row in rows { try console.give(row.line) }
        if console.json || rows.isEmpty { return }
        let examinations = try rows.map { (it) throws(Failure) in try ExaminationReply(it) }
        try console.say(table.render(examinations.map { row in columns.map { $0.cell(row) } }))
      })
    if shown == 0 {
      try console.say(filter.isEmpty ? "The worklist is empty.\n" : "No examination matches.\n")
    } else if shown < total, console.isTerminal {
      try console.say("\(shown) of \(total); the rest with a larger --limit.\n")
    }
    return .ok
  }

  private var columns: [WorklistColumn] {
    session.invocation.list("columns")?.compactMap(WorklistColumn.init(rawValue:))
      ?? WorklistColumn.usual
  }

  /// The interface's Filter for the options given.
  static func filter(_ invocation: Invocation, now: WallTime) -> JSONObject {
    var filter: JSONObject = [:]
    let lists = [
      ("list", "lists"), ("system", "systems"), ("flag", "flags"), ("status", "statuses"),
      ("images", "images"), ("number", "numbers"),
    ]
    for (option, field) in lists {
      if let values = invocation.list(option) {
        filter[field] = JSONValue(values)
      }
    }
    if let text = invocation.value("text") { filter["text"] = .string(text) }
    if invocation.has("held") { filter["held"] = .bool(true) }
    let times = [("since", "changedSince"), ("until", "changedUntil")]
    for (option, field) in times {
      if let time = invocation.value(option).flatMap({ TimeText.time($0, now: now) }) {
        filter[field] = .string(time.description)
      }
    }
    return filter
  }
}
