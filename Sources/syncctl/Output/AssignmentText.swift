/// One assignment for people, as the portal's detail view has it.
enum AssignmentText {
  static func render(_ it: AssignmentDetails, _ console: Console) -> String {
    var text = header(it.assignment, coloured: console.coloured)
    func add(_ title: String, _ headers: [String], _ right: Set<Int>, _ rows: [[Cell]]) {
      if rows.isEmpty { return }
      var table = Table(
        headers, rightAligned: right, lineWidth: console.width, coloured: console.coloured)
      text += "\n\(Colour.bold.paint(title, if: console.coloured))\n" + table.render(rows)
    }
    add(
      "DICOM",
      [
        "ID", "EXAMINATION", "STUDY UID", "PATH", "CREATED", "CHANGED", "DONE", "STATE",
        "ATTEMPTS", "NEXT", "REASON",
      ], [6, 8], it.transfers.map(row))
    add(
      "HL7",
      [
        "ID", "DIRECTION", "FLAG", "RESULT", "KIND", "UNIT", "PRIORITY", "ACTIVITY", "STATE",
        "ATTEMPTS", "NEXT", "REASON",
      ], [9], it.messages.map(row))
    add(
      "Differences", ["EXAMINATION", "OBJECT", "SOURCE", "ARCHIVE", "SENT", "WHY"], [],
      it.differences.map(row))
    if it.differences.count < it.differencesTotal {
      text += "and \(it.differencesTotal - it.differences.count) more\n"
    }
    add(
      "History", ["TIME", "EVENT", "DETAIL"], [],
      it.history.map { [Cell(Words.fullTime($0.time)), Cell($0.event), Cell($0.detail)] })
    return text
  }

  private static func header(_ it: AssignmentReply, coloured: Bool) -> String {
    var text = ""
    func row(_ label: String, _ value: String?, _ colour: Colour = .plain) {
      guard let value, !value.isEmpty else { return }
      text += "\(label.padded(to: 14))\(colour.paint(value.shown, if: coloured))\n"
    }
    func light(_ label: String, _ cell: Cell) {
      row(label, cell.text == "-" ? "nothing to do" : cell.text, cell.colour)
    }
    row("Assignment", it.id, .bold)
    row("Kind", it.kind == "review" ? "review, \(it.review)" : it.kind)
    row("Examination", it.key)
    row("Referral", it.referral)
    row("Recipient", "\(it.recipientLabel) (\(it.recipient))")
    row("Destination", it.destination)
    row("Priority", it.priority, it.priority == "routine" ? .plain : .bold)
    row("Phase", it.phase, it.failed ? .red : .plain)
    light("DICOM", SentColumn.light(it.dicom, it.dicomDone, it.dicomTotal))
    light("HL7", SentColumn.light(it.hl7, it.hl7Done, it.hl7Total))
    if it.tick { row("Tick", "✓", .green) }
    row("Answer", it.answer)
    if it.held { row("Held", "yes: `syncctl release \(it.id)` lets it go on", .orange) }
    if let reason = it.reason {
      row("Reason", "\(reason.text) (\(reason.code))", it.failed ? .red : .plain)
      row("Who mends it", reason.owner)
    }
    if it.nextAttempt != nil { row("Next attempt", Words.fullTime(it.nextAttempt)) }
    row("Forced", it.forced)
    if it.previouslySent { row("Sent before", "yes, and recalled") }
    if it.supplementable > 0 {
      row(
        "Late images",
        "\(Words.count(it.supplementable, "image")): `syncctl supplement \(it.id)` sends them")
    }
    row("List", it.list)
    row("Flag", it.flag)
    row("Care unit", it.careUnit)
    row("Modality", it.modality)
    row("Description", it.description)
    row("Study UID", it.studyUid)
    row("Ordered", "\(Words.fullTime(it.orderedAt)) by \(it.orderedBy)")
    row("Changed", Words.fullTime(it.changed))
    if it.endedAt != nil { row("Ended", Words.fullTime(it.endedAt)) }
    return text
  }

  private static func row(_ it: TransferReply) -> [Cell] {
    var done = "\(it.done)/\(it.total)"
    if it.refused > 0 { done += " (\(it.refused) refused)" }
    return [
      Cell(number(it.id)), Cell(it.number + (it.prior ? " (prior)" : "")), text(it.studyUid),
      Cell("\(it.from) > \(it.to)"), Cell(Words.fullTime(it.created)),
      Cell(Words.fullTime(it.changed)), Cell(done), Cell(it.state, colour(state: it.state)),
      Cell("\(it.attempts)"), Cell(Words.fullTime(it.nextAttempt)), Cell(it.reason ?? ""),
    ]
  }

  private static func row(_ it: MessageReply) -> [Cell] {
    [
      Cell(number(it.id)), Cell(it.direction), text(it.flag), text(it.result),
      Cell(kind(it.kind)), text(it.unit), Cell(it.priority.uppercased()), text(it.activityType),
      Cell(it.state, colour(state: it.state)), Cell("\(it.attempts)"),
      Cell(Words.fullTime(it.nextAttempt)), Cell(it.reason ?? ""),
    ]
  }

  private static func row(_ it: DifferenceReply) -> [Cell] {
    func place(_ isThere: Bool) -> Cell { isThere ? Cell("yes") : Cell("no", .red) }
    return [
      Cell(it.number), Cell(it.sopInstanceUid), place(it.source), place(it.archive),
      place(it.sent), Cell(it.explanation),
    ]
  }

  private static func text(_ text: String?) -> Cell {
    Cell(text.flatMap { $0.isEmpty ? nil : $0 } ?? "-")
  }

  /// `#7`, as the portal writes it.
  private static func number(_ id: String) -> String { id.hasPrefix("#") ? id : "#" + id }

  static func colour(state: String) -> Colour {
    switch state {
    case "done": .green
    case "waiting", "running": .orange
    case "stopped": .plain
    default: .red
    }
  }

  /// The words that administrators know.
  static func kind(_ kind: String) -> String {
    switch kind {
    case "ormlock": "ORM lock"
    case "ormforward": "ORM forward"
    case "oruprior": "ORU prior"
    case "oruforward": "ORU forward"
    case "ormrelease": "ORM release"
    case "cancel": "ORM cancel"
    default: kind
    }
  }
}
