/// A column of `syncctl sent`.
enum SentColumn: String, CaseIterable {
  case id
  case number
  case system
  case kind
  case referral
  case study
  case list
  case flag
  case unit
  case modality
  case description
  case recipient
  case recipientLabel = "recipient-label"
  case destination
  case review
  case priority
  case dicom
  case hl7
  case tick
  case phase
  case answer
  case held
  case reason
  case owner
  case late
  case forced
  case again
  case ordered
  case orderedBy = "ordered-by"
  case changed
  case ended
  case nextAttempt = "next-attempt"

  static let usual: [SentColumn] = [
    .id, .number, .recipient, .priority, .dicom, .hl7, .tick, .phase, .changed, .reason,
  ]

  /// Of `syncctl failed`.
  static let failed: [SentColumn] = [
    .id, .number, .recipient, .priority, .dicom, .hl7, .phase, .changed, .owner, .reason,
  ]

  var header: String { rawValue.uppercased().replacing("-", with: " ") }

  var isNumeric: Bool { self == .dicom || self == .hl7 || self == .late }

  func cell(_ it: AssignmentReply) -> Cell {
    switch self {
    case .id: Cell(it.id)
    case .number: Cell(it.number)
    case .system: Cell(it.system)
    case .kind: Cell(it.kind)
    case .referral: Self.text(it.referral)
    case .study: Self.text(it.studyUid)
    case .list: Self.text(it.list)
    case .flag: Self.text(it.flag)
    case .unit: Self.text(it.careUnit)
    case .modality: Self.text(it.modality)
    case .description: Self.text(it.description)
    case .recipient: Cell(it.recipient)
    case .recipientLabel: Cell(it.recipientLabel)
    case .destination: Cell(it.destination)
    case .review: Cell(it.review)
    case .priority: Cell(it.priority, it.priority == "routine" ? .plain : .bold)
    case .dicom: Self.light(it.dicom, it.dicomDone, it.dicomTotal)
    case .hl7: Self.light(it.hl7, it.hl7Done, it.hl7Total)
    case .tick: it.tick ? Cell("✓", .green) : Cell("-")
    case .phase: Cell(it.phase, it.failed ? .red : .plain)
    case .answer: Cell(it.answer)
    case .held: it.held ? Cell("held", .orange) : Cell("-")
    case .reason: Self.text(it.reason?.text)
    case .owner: Self.text(it.reason?.owner)
    case .late: Cell(it.supplementable > 0 ? "\(it.supplementable)" : "-")
    case .forced: Self.text(it.forced)
    case .again: Cell(it.previouslySent ? "again" : "-")
    case .ordered: Cell(Words.fullTime(it.orderedAt))
    case .orderedBy: Cell(it.orderedBy)
    case .changed: Cell(Words.fullTime(it.changed))
    case .ended: Cell(Words.fullTime(it.endedAt))
    case .nextAttempt: Cell(Words.fullTime(it.nextAttempt))
    }
  }

  private static func text(_ text: String?) -> Cell {
    Cell(text.flatMap { $0.isEmpty ? nil : $0 } ?? "-")
  }

  /// `3/10` in the colour of the light; `-` where there is nothing to do.
  static func light(_ light: String, _ done: Int, _ total: Int) -> Cell {
    light == "none" && total == 0 ? Cell("-") : Cell("\(done)/\(total)", colour(light: light))
  }

  /// A light that this syncctl does not know is no reason to call it well.
  static func colour(light: String) -> Colour {
    switch light {
    case "green": .green
    case "orange": .orange
    case "none": .plain
    default: .red
    }
  }
}
