import JSON
import Platform

/// `syncctl plan` and `syncctl list-source test`.
struct PlanCommand {
  let session: Session

  /// The changes of a plan: how many are shown, unless --limit says otherwise.
  static let usualLimit = 1000

  func run() throws(Failure) -> ExitCode {
    let plan = try read(session.invocation.operands)
    let console = session.console
    if console.json { return plan.exit }
    for reading in plan.readings {
      try console.say(Self.line(reading, coloured: console.coloured))
    }
    if let failure = plan.portalFailure {
      try console.say(
        Colour.red.paint("The portal cannot be read: \(failure.shown)\n", if: console.coloured))
      return plan.exit
    }
    try show(plan)
    return plan.exit
  }

  /// One list, with everything that is odd about it.
  func test() throws(Failure) -> ExitCode {
    let plan = try read(session.invocation.operands)
    let console = session.console
    guard !console.json, let reading = plan.readings.first else { return plan.exit }
    try console.say(Self.details(reading, coloured: console.coloured))
    if reading.failure != nil {
      try console.say("Its flags stay as they are.\n")
      return plan.exit
    }
    if let failure = plan.portalFailure {
      try console.say(
        Colour.red.paint("The portal cannot be read: \(failure.shown)\n", if: console.coloured))
      return plan.exit
    }
    try console.say("\n")
    try show(plan)
    return plan.exit
  }

  private func show(_ plan: Plan) throws(Failure) {
    let console = session.console
    let limit = session.invocation.integer("limit") ?? Self.usualLimit
    for change in plan.changes.prefix(limit) {
      try console.say(Self.line(change, coloured: console.coloured))
    }
    if plan.changes.count > limit {
      try console.say("... and \(plan.changes.count - limit) more; --limit shows more of them.\n")
    }
    try console.say(plan.summary)
  }

  // MARK: - Reading

  struct Plan {
    var readings: [PlanReading] = []
    var changes: [PlannedChange] = []
    var counts: [String: Int] = [:]
    var portalFailure: String?

    var exit: ExitCode {
      let failed = readings.count { $0.failure != nil }
      if portalFailure != nil || failed > 0 {
        return failed == readings.count || portalFailure != nil ? .failed : .partial
      }
      return .ok
    }

    var summary: String {
      func count(_ name: String) -> Int { counts[name] ?? 0 }
      var text =
        "Plan: \(count("set")) to set, \(count("replace")) to replace, \(count("clear")) to clear."
      var rest: [String] = []
      for (name, words) in [
        ("held", "held"), ("absent", "absent for the first time"), ("waiting", "waiting"),
        ("conflict", "in conflict"), ("foreign", "of others"),
      ] where count(name) > 0 {
        rest.append("\(count(name)) \(words)")
      }
      if !rest.isEmpty { text += " Not changed: \(rest.joined(separator: ", "))." }
      return text + " Nothing has been done.\n"
    }
  }

  private func read(_ lists: [String]) throws(Failure) -> Plan {
    var parameters = JSONObject()
    if !lists.isEmpty { parameters["lists"] = JSONValue(lists) }
    // Lists may take as long as a cycle gives them.
    let deadline = Deadline.after(session.invocation.duration("timeout") ?? .seconds(300))
    var plan = Plan()
    var isFirst = true
    try session.daemon.follow("Plan", parameters, deadline: deadline, first: deadline) {
      (fields) throws(Failure) in
      if isFirst {
        isFirst = false
        for each in try fields.objects("readings") {
          try session.console.give(each.line)
          plan.readings.append(try PlanReading(each))
        }
        plan.portalFailure = try fields.optionalString("portalFailure")
        let counts = try fields.object("counts")
        for name in PlannedChange.actions { plan.counts[name] = try counts.int(name) }
      }
      for each in try fields.objects("changes") {
        try session.console.give(each.line)
        plan.changes.append(try PlannedChange(each))
      }
      return true
    }
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
    if change.action == "held" || change.action == "waiting" || change.action == "foreign"
      || change.action == "conflict" || change.action == "absent"
    {
      text += "  \(change.action)"
    }
    if let reason = change.reason { text += ": \(reason.shown)" }
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

  static func details(_ reading: PlanReading, coloured: Bool) -> String {
    func row(_ name: String, _ text: String) -> String {
      name + String(repeating: " ", count: max(1, 12 - name.count)) + text + "\n"
    }
    var text = row("List", reading.list.shown) + row("Source", reading.source.shown)
    text += row("Took", "\(Int((reading.seconds * 1000).rounded())) ms")
    if let failure = reading.failure {
      return text + row("Failed", Colour.red.paint(failure.shown, if: coloured))
    }
    text += row("Proof", (reading.proof ?? "").shown)
    text += row("As of", Words.fullTime(reading.asOf))
    text += row("Rows", "\(reading.rows)")
    if reading.outOfScope > 0 {
      text += row("Not ours", "\(reading.outOfScope), of care units outside [scope]")
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
    if !reading.numbers.isEmpty {
      text += row("Such as", reading.numbers.map(\.shown).joined(separator: ", "))
    }
    return text
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
  let list: String
  let source: String
  let failure: String?
  let seconds: Double
  let asOf: String?
  let proof: String?
  let rows: Int
  let outOfScope: Int
  let refused: [Refused]
  let unknownStatuses: [Unknown]
  let numbers: [String]

  init(_ fields: Fields) throws(Failure) {
    list = try fields.string("list")
    source = try fields.string("source")
    failure = try fields.optionalString("failure")
    seconds = try fields.double("seconds")
    asOf = try fields.optionalString("asOf")
    proof = try fields.optionalString("proof")
    rows = try fields.int("rows")
    outOfScope = try fields.int("outOfScope")
    refused = try fields.objects("refused").map { (it) throws(Failure) in
      Refused(
        reason: try it.string("reason"), count: try it.int("count"), line: try it.int("line"))
    }
    unknownStatuses = try fields.objects("unknownStatuses").map { (it) throws(Failure) in
      Unknown(word: try it.string("word"), count: try it.int("count"))
    }
    numbers = try fields.strings("numbers")
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
