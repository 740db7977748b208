/// Where an examination has come in the department's work, whatever the RIS calls it.
/// The RIS's own word is kept beside it.
public enum ExaminationStatus: String, CaseIterable, Sendable {
  case requested
  case scheduled
  case arrived
  case started
  case ended
  /// Performed (utförd, klar): the lowest that may leave for a primary review.
  case completed
  case preliminary
  case signed
  case definitivelySigned = "definitively_signed"
  case onHold = "on_hold"
  case cancelled
  /// The RIS's word is not in the table, or there is none. Never sendable by itself.
  case unknown
}

/// How urgent an examination is (Rutin, Brådskande, Akut).
public enum Priority: Int, Comparable, CaseIterable, Sendable {
  case routine = 0
  case urgent = 1
  case stat = 2

  public static func < (a: Priority, b: Priority) -> Bool { a.rawValue < b.rawValue }

  public var name: String {
    switch self {
    case .routine: "routine"
    case .urgent: "urgent"
    case .stat: "stat"
    }
  }

  /// Reads our own words and those of RIS lists, in either language.
  public init?(_ text: String) {
    switch text.lowercased() {
    case "routine", "rutin", "r", "": self = .routine
    case "urgent", "brådskande", "a", "u": self = .urgent
    case "stat", "akut", "s": self = .stat
    default: return nil
    }
  }
}
