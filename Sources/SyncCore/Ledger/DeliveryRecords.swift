import DICOM
import Platform

// What the delivery ledger keeps, as values.

/// A job as the queue sees it.
public enum JobState: String, CaseIterable, Sendable {
  /// Due, and waiting for its turn at its endpoint.
  case ready
  /// For the time of its next attempt.
  case waiting
  case running
  case done, failed, stopped
  /// Its assignment is held.
  case held
}

/// Where a job's work is done: a DICOM node or an HL7 interface, each with a queue of its own.
public struct Outlet: Hashable, Comparable, Sendable, CustomStringConvertible {
  public enum Kind: String, Sendable { case dicom, hl7 }
  public let kind: Kind
  public let name: String

  public init(_ kind: Kind, _ name: String) {
    self.kind = kind
    self.name = name
  }

  /// As stored: `hl7:sectra`.
  public init?(_ text: String) {
    let parts = text.split(separator: ":", maxSplits: 1)
    guard parts.count == 2, let kind = Kind(rawValue: String(parts[0])) else { return nil }
    self.init(kind, String(parts[1]))
  }

  public var description: String { "\(kind.rawValue):\(name)" }

  public static func < (a: Outlet, b: Outlet) -> Bool { a.description < b.description }
}

extension AssignmentStep {
  /// As stored: a word, and the place among several.
  var stored: (word: String, place: Int) {
    switch self {
    case .transfer: ("transfer", 0)
    case .lock: ("lock", 0)
    case .forward: ("forward", 0)
    case .priorTransfer(let place): ("prior_transfer", place)
    case .priorReport(let place): ("prior_report", place)
    case .answer(let place): ("answer", place)
    case .release: ("release", 0)
    case .cancel: ("cancel", 0)
    }
  }

  init?(word: String, place: Int) {
    switch word {
    case "transfer": self = .transfer
    case "lock": self = .lock
    case "forward": self = .forward
    case "prior_transfer": self = .priorTransfer(place)
    case "prior_report": self = .priorReport(place)
    case "answer": self = .answer(place)
    case "release": self = .release
    case "cancel": self = .cancel
    default: return nil
    }
  }

  /// The kind of a message as admins know it; nil for a transfer.
  public var messageKind: String? {
    switch self {
    case .transfer, .priorTransfer: nil
    case .lock: "ormlock"
    case .forward: "ormforward"
    case .priorReport: "oruprior"
    case .answer: "oruforward"
    case .release: "ormrelease"
    case .cancel: "cancel"
    }
  }
}

/// A transfer or a message of an assignment, without its payload.
public struct JobRecord: Hashable, Sendable {
  public var id: Int64
  public var assignment: Int64
  public var step: AssignmentStep
  public var endpoint: Outlet
  public var state: JobState
  /// Something of it may have had an effect at the other side.
  public var mayHaveArrived: Bool
  /// Some attempt ended without anybody knowing whether it had an effect.
  public var isUnknown: Bool
  /// Attempts in all, and on the present ladder.
  public var attempts: Int
  public var tries: Int
  public var nextAttempt: WallTime?
  public var controlID: String?
  public var flag: String?
  public var result: String?
  public var reason: String?
  /// Who can mend it.
  public var owner: String?
  public var studyUID: String?
  public var number: String
  public var total: Int
  public var done: Int
  public var refused: Int
  public var created: WallTime
  public var changed: WallTime
}

/// An assignment with its jobs.
public struct AssignmentRecord: Sendable {
  public var id: Int64
  public var order: SendOrder
  /// The HL7 interfaces at the origin and at the recipient, as of the order.
  public var origin: String?
  public var orders: String?
  public var flag: String?
  public var machine: AssignmentMachine
  public var disclosed: Bool
  public var supplementable: Int
  public var orderedAt: WallTime
  public var changed: WallTime
  public var endedAt: WallTime?
  public var jobs: [JobRecord]

  /// As shown and typed: `A1042`.
  public var name: String { Self.name(id) }

  public static func name(_ id: Int64) -> String { "A\(id)" }

  /// Nil where the text is no such id.
  public static func id(_ name: String) -> Int64? {
    var digits = name[...]
    if digits.first == "A" || digits.first == "a" { digits.removeFirst() }
    guard let id = Int64(digits), id > 0 else { return nil }
    return id
  }

  public subscript(_ step: AssignmentStep) -> JobRecord? { jobs.first { $0.step == step } }
}

/// Where an object of a transfer is, and why it is not everywhere.
public struct ObjectRecord: Hashable, Sendable {
  public struct Places: OptionSet, Hashable, Sendable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }
    public static let source = Places(rawValue: 1)
    public static let archive = Places(rawValue: 2)
    public static let sent = Places(rawValue: 4)
    /// A key object selection that withdraws others; not for the recipient.
    public static let rejectionNote = Places(rawValue: 8)
    /// It came after the transfer had been done.
    public static let late = Places(rawValue: 16)
    /// The recipient will not have it.
    public static let refused = Places(rawValue: 32)
    /// The source was not asked: there is none to ask.
    public static let sourceUnknown = Places(rawValue: 64)
  }

  public var uid: String
  public var places: Places
  /// The recipient's latest status; nil while it has given none.
  public var status: UInt16?

  public init(uid: String, places: Places, status: UInt16? = nil) {
    self.uid = uid
    self.places = places
    self.status = status
  }

  /// Whether it belongs to what the recipient is to have.
  public var isWanted: Bool {
    !places.contains(.rejectionNote) && !places.isDisjoint(with: [.source, .sourceUnknown])
  }

  /// Why it is not in all three places; nil when it is.
  public var explanation: String? {
    if places.contains(.rejectionNote) { return "a rejection note: not for the recipient" }
    if places.contains(.refused) {
      return "refused by the recipient: \(status.map(Self.text) ?? "no status")"
    }
    let inSource = places.contains(.source) || places.contains(.sourceUnknown)
    switch (inSource, places.contains(.archive), places.contains(.sent)) {
    case (true, true, true): return nil
    case (true, true, false):
      if places.contains(.late) { return "late: came after the transfer; `supplement` sends it" }
      if let status { return "not stored by the recipient yet: \(Self.text(status))" }
      return "not sent yet"
    case (true, false, false): return "at the source, not in the archive"
    case (true, false, true): return "sent, and gone from the archive since"
    case (false, true, false): return "extra: not at the source (rejected or moved there)"
    case (false, true, true): return "extra: sent, and no longer at the source"
    case (false, false, true): return "sent, and gone from source and archive since"
    case (false, false, false): return "nowhere"
    }
  }

  private static func text(_ status: UInt16) -> String { "\(DIMSEStatus(rawValue: status))" }
}

/// A message that came in.
public struct InboundRecord: Sendable {
  public var id: Int64
  public var received: WallTime
  public var sender: String
  public var controlID: String
  public var type: String
  public var reason: String
}
