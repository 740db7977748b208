import SyncCore

/// A column of `syncctl list`.
enum WorklistColumn: String, CaseIterable {
  case system
  case number
  case list
  case flag
  case flagLabel = "flag-label"
  case portalFlag = "portal-flag"
  case status
  case risStatus = "ris-status"
  case priority
  case unit
  case modality
  case description
  case referral
  case scheduled
  case study
  case resolvedStudy = "resolved-study"
  case images
  case state
  case held
  case reason
  case owner
  case firstSeen = "first-seen"
  case changed
  case verified
  case attempts
  case nextAttempt = "next-attempt"
  case source

  static let usual: [WorklistColumn] = [
    .system, .number, .list, .flag, .status, .priority, .images, .changed, .reason,
  ]

  var header: String { rawValue.uppercased().replacing("-", with: " ") }

  var isNumeric: Bool { self == .images || self == .attempts }

  func cell(_ examination: ExaminationReply) -> Cell {
    switch self {
    case .system: Cell(examination.system)
    case .number: Cell(examination.number)
    case .list: Self.text(examination.list)
    case .flag: Self.text(examination.flag)
    case .flagLabel: Self.text(examination.flagLabel)
    case .portalFlag: Self.text(examination.portalFlag)
    case .status: Cell(examination.status)
    case .risStatus: Self.text(examination.statusRaw)
    case .priority:
      Cell(examination.priority, examination.priority == "routine" ? .plain : .bold)
    case .unit: Self.text(examination.careUnit)
    case .modality: Self.text(examination.modality)
    case .description: Self.text(examination.description)
    case .referral: Self.text(examination.referral)
    case .scheduled: Cell(Words.fullTime(examination.scheduled))
    case .study: Self.text(examination.studyUid)
    case .resolvedStudy: Self.text(examination.resolvedStudyUid)
    case .images: Cell(Self.count(examination), Self.colour(examination))
    case .state: Cell(examination.images, Self.colour(examination))
    case .held: Cell(examination.held ? "held" : "-", examination.held ? .red : .plain)
    case .reason: Self.text(examination.reason?.text)
    case .owner: Self.text(examination.reason?.owner)
    case .firstSeen: Cell(Words.fullTime(examination.firstSeen))
    case .changed: Cell(Words.fullTime(examination.changed))
    case .verified: Cell(Words.fullTime(examination.verified))
    case .attempts: Cell("\(examination.attempts)")
    case .nextAttempt: Cell(Words.fullTime(examination.nextAttempt))
    case .source: Self.text(examination.source)
    }
  }

  private static func text(_ text: String?) -> Cell {
    Cell(text.flatMap { $0.isEmpty ? nil : $0 } ?? "-")
  }

  /// `3/10`; `3/?` while the source has not said how many there are.
  static func count(_ examination: ExaminationReply) -> String {
    if examination.expected == nil, examination.archived == 0 { return "-" }
    return "\(examination.archived)/\(examination.expected.map(String.init) ?? "?")"
  }

  /// Green only for complete; red where somebody must act; orange while it goes on by itself.
  static func colour(_ examination: ExaminationReply) -> Colour {
    if examination.held { return .red }
    if let reason = examination.reason {
      switch ImageReason.Code(rawValue: reason.code) {
      case .notStarted, .verifying, .lateImages, .awaitingSource, .statusNotSendable: break
      // A code that this syncctl does not know is no reason to call it well.
      default: return .red
      }
    }
    switch ImageState(rawValue: examination.images) {
    case .complete: return .green
    case .fetching, .partial: return .orange
    case .some(.none), nil: return examination.reason == nil ? .plain : .orange
    }
  }
}
