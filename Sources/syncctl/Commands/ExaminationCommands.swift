import Glibc
import JSON
import Platform

/// An examination as the command line names it: `NUMBER` or `SYSTEM/NUMBER`.
struct ExaminationName: Hashable {
  var system: String?
  var number: String

  /// With a system given apart, the text is the number as it stands, slashes and all.
  init(_ text: String, system: String?) throws(Failure) {
    if let system {
      self.system = system
      number = text
    } else if let slash = text.firstIndex(of: "/") {
      self.system = String(text[..<slash])
      number = String(text[text.index(after: slash)...])
    } else {
      number = text
    }
    guard !number.isEmpty, self.system?.isEmpty != true else {
      throw Failure(
        .usage, "\"\(text.shown)\" is not an examination",
        advice: ["Write NUMBER or SYSTEM/NUMBER."])
    }
  }

  var parameters: JSONObject {
    var parameters: JSONObject = ["number": .string(number)]
    if let system { parameters["system"] = .string(system) }
    return parameters
  }

  /// The names on a command line; `-` stands for those on standard input.
  static func read(
    _ invocation: Invocation, input: () -> String?
  ) throws(Failure) -> [ExaminationName] {
    try Operands.read(invocation, input: input).map { (text) throws(Failure) in
      try ExaminationName(text, system: invocation.value("system"))
    }
  }
}

/// Does something with each of several: one that fails does not stop the others.
private func forEach<Name>(
  _ names: [Name], _ session: Session, _ body: (Name) throws(Failure) -> Void
) throws(Failure) -> ExitCode {
  var failures: Set<ExitCode> = []
  var failed = 0
  for name in names {
    do throws(Failure) {
      try body(name)
    } catch {
      switch error.exit {
      case .failed, .notFound:
        if names.count == 1 { throw error }
        failed += 1
        failures.insert(error.exit)
        Syncctl.report(error, json: session.console.json && !session.console.quiet)
      // These would fail for the others as well.
      default: throw error
      }
    }
  }
  if failed == 0 { return .ok }
  return failed == names.count && failures.count == 1 ? failures.first! : .partial
}

/// `syncctl show`.
struct ShowCommand {
  let session: Session

  /// What an id stands for.
  enum Name: Equatable {
    case examination(ExaminationName)
    case assignment(String)

    /// Assignments are the letter A and digits. A number may look so too, and options decide.
    init(_ text: String, _ invocation: Invocation) throws(Failure) {
      let looksSo = text.first == "A" && text.count > 1 && text.dropFirst().allSatisfy(\.isDigit)
      let isExamination = invocation.has("examination") || invocation.has("system")
      if invocation.has("assignment") || looksSo && !isExamination {
        self = .assignment(text)
      } else {
        self = .examination(try ExaminationName(text, system: invocation.value("system")))
      }
    }
  }

  func run() throws(Failure) -> ExitCode {
    let invocation = session.invocation
    if let other = ["examination", "system"].first(where: invocation.has),
      invocation.has("assignment")
    {
      throw Failure(
        .usage, "--assignment and --\(other) do not go together",
        advice: ["An assignment's id says it all: syncctl show A1042"])
    }
    let names = try Operands.read(invocation) { readLine() }.map { (text) throws(Failure) in
      try Name(text, invocation)
    }
    var isFirst = true
    return try forEach(names, session) { (name) throws(Failure) in
      let text =
        switch name {
        case .examination(let name): try examination(name)
        case .assignment(let id): try assignment(id)
        }
      try session.console.say(isFirst ? text : "\n" + text)
      isFirst = false
    }
  }

  private func examination(_ name: ExaminationName) throws(Failure) -> String {
    let console = session.console
    let fields = try session.daemon.call("GetExamination", name.parameters)
    let examination = try ExaminationReply(fields.object("examination"))
    let history = try fields.objects("history")
    try console.give(fields.line)
    var text = Self.render(examination, coloured: console.coloured)
    if history.isEmpty { return text }
    var table = Table(
      ["TIME", "EVENT", "DETAIL"], lineWidth: console.width, coloured: console.coloured)
    var rows: [[Cell]] = []
    for entry in history {
      rows.append([
        Cell(Words.fullTime(try entry.string("time"))), Cell(try entry.string("event")),
        Cell(try entry.string("detail")),
      ])
    }
    text += "\n" + table.render(rows)
    return text
  }

  private func assignment(_ id: String) throws(Failure) -> String {
    let fields: Fields
    do throws(Failure) {
      fields = try session.daemon.delivery("GetAssignment", ["id": .string(id)])
    } catch {
      var failure = error
      if error.exit == .notFound, !session.invocation.has("assignment") {
        failure.advice.append("An examination of that number: syncctl show --examination ID")
      }
      throw failure
    }
    let details = try AssignmentDetails(fields)
    try session.console.give(fields.line)
    return AssignmentText.render(details, session.console)
  }

  static func render(_ it: ExaminationReply, coloured: Bool) -> String {
    var text = ""
    func row(_ label: String, _ value: String?, _ colour: Colour = .plain) {
      guard let value, !value.isEmpty else { return }
      text += "\(label.padded(to: 15))\(colour.paint(value.shown, if: coloured))\n"
    }
    func time(_ label: String, _ value: String?) {
      if value != nil { row(label, Words.fullTime(value)) }
    }
    row("Examination", it.key, .bold)
    row("List", it.list ?? "none")
    row("Flag", [it.flag ?? "none", it.flagLabel.map { "(\($0))" }].compact.joined(separator: " "))
    row("In the portal", it.portalFlag ?? "none", it.portalFlag == it.flag ? .plain : .orange)
    row("Status", [it.status, it.statusRaw.map { "(\($0))" }].compact.joined(separator: " "))
    row("Priority", it.priority)
    row("Images", "\(it.images) \(WorklistColumn.count(it))", WorklistColumn.colour(it))
    if it.held { row("Held", "yes: waits for a person", .red) }
    if let reason = it.reason {
      row("Reason", "\(reason.text) (\(reason.code))")
      row("Who mends it", reason.owner)
    }
    if it.attempts > 0 { row("Attempts", "\(it.attempts)") }
    time("Next attempt", it.nextAttempt)
    row("Source", it.source)
    row("Modality", it.modality)
    row("Description", it.description)
    row("Referral", it.referral)
    row("Care unit", it.careUnit)
    time("Scheduled", it.scheduled)
    row("Study UID", it.studyUid)
    if it.resolvedStudyUid != it.studyUid {
      row("At the source", it.resolvedStudyUid, it.studyUid == nil ? .plain : .red)
    }
    time("First seen", it.firstSeen)
    time("Changed", it.changed)
    time("Verified", it.verified)
    return text
  }
}

extension Character {
  fileprivate var isDigit: Bool { isASCII && isNumber }
}

extension Array where Element == String? {
  fileprivate var compact: [String] { compactMap { $0 } }
}

/// `syncctl retry`.
struct RetryCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let names = try ExaminationName.read(session.invocation) { readLine() }
    return try forEach(names, session) { (name) throws(Failure) in
      var parameters = name.parameters
      for (key, value) in session.onBehalfOf { parameters[key] = value }
      let fields = try session.daemon.call("Retry", parameters)
      let examination = try ExaminationReply(fields.object("examination"))
      try session.console.give(fields.inner("examination").line)
      try session.console.say(
        "\(examination.key.shown): due now; images \(examination.images.shown)"
          + " \(WorklistColumn.count(examination)).\n")
    }
  }
}
