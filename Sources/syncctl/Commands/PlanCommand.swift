import JSON
import Platform

/// `syncctl plan` and `syncctl list-source test`.
struct PlanCommand {
  let session: Session

  /// The changes of a plan: how many are shown as text, unless --limit says otherwise.
  static let usualLimit = 1000

  func run() throws(Failure) -> ExitCode {
    let plan = try read { (readings) throws(Failure) in
      for reading in readings {
        try session.console.say(Self.line(reading, coloured: session.console.coloured))
      }
    }
    try conclude(plan)
    if plan.failed == plan.readings.count, plan.failed > 0 {
      throw Failure(.failed, "no list could be read", advice: ["Their flags stay as they are."])
    }
    return exit(plan)
  }

  /// One list, with everything that is odd about it.
  func test() throws(Failure) -> ExitCode {
    let plan = try read { (readings) throws(Failure) in
      for reading in readings {
        try session.console.say(Self.details(reading, now: .now, console: session.console))
        if reading.failure == nil { try session.console.say("\n") }
      }
    }
    for reading in plan.readings {
      guard let failure = reading.failure else { continue }
      throw Failure(
        .failed, "the list \"\(reading.list.shown)\" cannot be relied upon: \(failure.shown)",
        advice: ["While it is so, its flags stay as they are."])
    }
    try conclude(plan)
    return exit(plan)
  }

  /// What follows the changes.
  private func conclude(_ plan: Plan) throws(Failure) {
    if let failure = plan.portalFailure {
      throw Failure(
        .failed, "the portal cannot be read: \(failure.shown)",
        advice: ["What the lists would change is not known."])
    }
    if plan.shown < plan.total {
      try session.console.say(
        "... and \(plan.total - plan.shown) more; --limit shows more of them.\n")
    }
    try session.console.say(plan.summary)
  }

  private func exit(_ plan: Plan) -> ExitCode {
    if plan.failed > 0 { return .partial }
    return session.invocation.has("detailed-exitcode") && plan.hasChanges ? .changes : .ok
  }

  // MARK: - Reading

  struct Plan {
    var readings: [PlanReading] = []
    var counts: [String: Int] = [:]
    var portalFailure: String?
    /// How many changes have been shown.
    var shown = 0

    var failed: Int { readings.count { $0.failure != nil } }
    var total: Int { counts.values.reduce(0, +) }

    private func count(_ name: String) -> Int { counts[name] ?? 0 }

    /// Whether the coming synchronisations would change something of themselves.
    var hasChanges: Bool {
      ["set", "replace", "clear", "waiting", "absent"].contains { count($0) > 0 }
    }

    var summary: String {
      if total == 0 { return "Plan: no changes. Nothing has been done.\n" }
      var text =
        "Plan: \(count("set")) to set, \(count("replace")) to replace, \(count("clear")) to clear."
      var rest: [String] = []
      for (name, words) in [
        ("waiting", "waiting"), ("absent", "absent"), ("held", "held"),
        ("conflict", "in conflict"), ("foreign", "of others"),
      ] where count(name) > 0 {
        rest.append("\(count(name)) \(words)")
      }
      if !rest.isEmpty { text += " Not now: \(rest.joined(separator: ", "))." }
      return text + " Nothing has been done.\n"
    }
  }

  /// Shows the changes as they come: there may be a hundred thousand.
  private func read(
    _ begin: ([PlanReading]) throws(Failure) -> Void
  ) throws(Failure) -> Plan {
    let console = session.console
    var parameters = JSONObject()
    let lists = session.invocation.operands
    if !lists.isEmpty { parameters["lists"] = JSONValue(lists) }
    let limit = session.invocation.integer("limit") ?? (console.json ? nil : Self.usualLimit)
    if let limit { parameters["limit"] = JSONValue(limit) }
    let deadline = Deadline.after(session.daemon.timeout)
    var plan = Plan()
    var summary: JSONObject?
    try session.daemon.follow("Plan", parameters, deadline: deadline) {
      (fields) throws(Failure) in
      if summary == nil {
        let readings = try fields.objects("readings")
        for each in readings { try console.give(each.line) }
        plan.readings = try readings.map { (it) throws(Failure) in try PlanReading(it) }
        plan.portalFailure = try fields.optionalString("portalFailure")
        let counts = try fields.object("counts")
        for name in PlannedChange.actions { plan.counts[name] = try counts.int(name) }
        summary = ["counts": .object(counts.members)]
        try begin(plan.readings)
      }
      for each in try fields.objects("changes") {
        try console.give(each.line)
        plan.shown += 1
        if console.json { continue }
        try console.say(Self.line(PlannedChange(each), coloured: console.coloured))
      }
      return true
    }
    if let summary { try console.give(Fields(summary).line) }
    return plan
  }

  // MARK: - Text

  static func line(_ change: PlannedChange, coloured: Bool) -> String {
    let sign: String
    let colour: Colour
    switch change.action {
    case "set": (sign, colour) = ("+", .green)
    case "replace": (sign, colour) = ("~", .orange)
    case "clear": (sign, colour) = ("-", .red)
    case "absent": (sign, colour) = ("?", .dim)
    default: (sign, colour) = ("!", .orange)
    }
    var text = "  \(sign) \(change.system.shown)/\(change.number.shown)  "
    switch (change.from, change.to) {
    case (let from?, let to?): text += "\(from.shown) -> \(to.shown)"
    case (nil, let to?): text += to.shown
    case (let from?, nil): text += from.shown
    case (nil, nil): text += "-"
    }
    if !change.lists.isEmpty { text += "  (\(change.lists.map(\.shown).joined(separator: ", ")))" }
    // The signs of the others say it.
    let isPlain = ["set", "replace", "clear"].contains(change.action)
    var rest = isPlain ? [] : [change.action.shown]
    if let reason = change.reason {
      // The daemon's reason may begin with the same word.
      let begins = reason.hasPrefix(change.action)
      if begins { rest = [] }
      rest.append(reason.shown)
    }
    if !rest.isEmpty { text += "  " + rest.joined(separator: ": ") }
    return colour.paint(text, if: coloured) + "\n"
  }

  static func line(_ reading: PlanReading, coloured: Bool) -> String {
    let name = reading.list.shown
    if let failure = reading.failure {
      return Colour.red.paint("\(name): cannot be relied upon: \(failure.shown)", if: coloured)
        + "\n"
    }
    var text = "\(name): \(Words.count(reading.rows, "row"))"
    if reading.outOfScope > 0 { text += ", \(reading.outOfScope) not ours" }
    let refused = reading.refused.reduce(0) { $0 + $1.count }
    if refused > 0 { text += ", \(refused) unusable" }
    return text + " (\((reading.proof ?? "").shown))\n"
  }

  static func details(_ reading: PlanReading, now: WallTime, console: Console) -> String {
    func row(_ name: String, _ text: String) -> String {
      name + String(repeating: " ", count: max(1, 12 - name.count)) + text + "\n"
    }
    var text = row("List", reading.list.shown) + row("Source", reading.source.shown)
    text += row("Took", "\(Int((reading.seconds * 1000).rounded())) ms")
    if reading.failure != nil { return text }
    text += row("Proof", (reading.proof ?? "").shown)
    text += row("As of", Words.fullTime(reading.asOf) + age(reading.asOf, now))
    text += row("Rows", "\(reading.rows)")
    if reading.repeated > 0 {
      text += row("Repeated", "\(Words.count(reading.repeated, "row")) to the letter; counted once")
    }
    if reading.outOfScope > 0 {
      let units = reading.foreignUnits.map {
        "\($0.careUnit.isEmpty ? "no care unit" : $0.careUnit.shown): \($0.count)"
      }
      text += row(
        "Not ours",
        "\(reading.outOfScope), of care units outside [scope] (\(units.joined(separator: ", ")))")
    }
    for each in reading.refused {
      text += row(
        "Unusable",
        "\(each.count): \(each.reason.shown), first in row \(each.line); nothing is cleared")
    }
    for each in reading.unknownStatuses {
      let word = each.word.isEmpty ? "no status" : "status \"\(each.word.shown)\""
      text += row(
        "Unknown", "\(word), \(Words.count(each.count, "row")): not sendable; see [statuses]")
    }
    if reading.samples.isEmpty { return text }
    var table = Table(
      ["  NUMBER", "STATUS", "MEANS", "PRIORITY", "UNIT", "MODALITY"], lineWidth: console.width,
      coloured: console.coloured)
    return text + row("Such as", "")
      + table.render(
        reading.samples.map { row in
          [
            Cell("  " + row.number), Cell(row.statusRaw ?? "-"), Cell(row.status),
            Cell(row.priority), Cell(row.careUnit ?? "-"), Cell(row.modality ?? "-"),
          ]
        })
  }

  private static func age(_ asOf: String?, _ now: WallTime) -> String {
    guard let time = asOf.flatMap({ WallTime(rfc3339: $0) }), time <= now else { return "" }
    return " (\(Words.span(now - time)) ago)"
  }
}

struct PlanReading {
  struct Refused {
    let reason: String
    let count: Int
    let line: Int
  }
  struct Unknown {
    let word: String
    let count: Int
  }
  struct Foreign {
    let careUnit: String
    let count: Int
  }
  struct Sample {
    let number: String
    let status: String
    let statusRaw: String?
    let priority: String
    let careUnit: String?
    let modality: String?
  }
  let list: String
  let source: String
  let failure: String?
  let seconds: Double
  let asOf: String?
  let proof: String?
  let rows: Int
  let repeated: Int
  let outOfScope: Int
  let foreignUnits: [Foreign]
  let refused: [Refused]
  let unknownStatuses: [Unknown]
  let samples: [Sample]

  init(_ fields: Fields) throws(Failure) {
    list = try fields.string("list")
    source = try fields.string("source")
    failure = try fields.optionalString("failure")
    seconds = try fields.double("seconds")
    asOf = try fields.optionalString("asOf")
    proof = try fields.optionalString("proof")
    rows = try fields.int("rows")
    repeated = try fields.int("repeated")
    outOfScope = try fields.int("outOfScope")
    foreignUnits = try fields.objects("foreignUnits").map { (it) throws(Failure) in
      Foreign(careUnit: try it.string("careUnit"), count: try it.int("count"))
    }
    refused = try fields.objects("refused").map { (it) throws(Failure) in
      Refused(
        reason: try it.string("reason"), count: try it.int("count"), line: try it.int("line"))
    }
    unknownStatuses = try fields.objects("unknownStatuses").map { (it) throws(Failure) in
      Unknown(word: try it.string("word"), count: try it.int("count"))
    }
    samples = try fields.objects("samples").map { (it) throws(Failure) in
      Sample(
        number: try it.string("number"), status: try it.string("status"),
        statusRaw: try it.optionalString("statusRaw"), priority: try it.string("priority"),
        careUnit: try it.optionalString("careUnit"), modality: try it.optionalString("modality"))
    }
  }
}

struct PlannedChange {
  static let actions = [
    "set", "replace", "clear", "held", "absent", "waiting", "foreign", "conflict",
  ]
  let action: String
  let system: String
  let number: String
  let lists: [String]
  let from: String?
  let to: String?
  let reason: String?

  init(_ fields: Fields) throws(Failure) {
    action = try fields.string("action")
    system = try fields.string("system")
    number = try fields.string("number")
    lists = try fields.strings("lists")
    from = try fields.optionalString("from")
    to = try fields.optionalString("to")
    reason = try fields.optionalString("reason")
  }
}
