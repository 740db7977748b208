import Platform

/// Where the membership of one collaboration list comes from.
///
/// A read counts only if it is provably complete. Everything else - a file cut short, a row count
/// that differs, an answer that is too old - is an error, and an error clears nothing.
public protocol CollaborationListSource: Sendable {
  /// Reads the list once. Blocks; called on a thread of its own.
  /// - Parameter previous: what the latest successful read gave, where an unchanged list may be
  ///   answered with ``ListReading/unchanged``; nil for a read in full.
  func read(
    deadline: Deadline, previous: SnapshotIdentity?
  ) throws(ListReadError) -> ListReading
}

public enum ListReading: Sendable {
  /// The same snapshot as before, and still not too old.
  case unchanged
  /// The source has looked again and found the same: a new snapshot of equal content, so that an
  /// absence is seen once more.
  case confirmed(snapshotID: String, asOf: WallTime)
  case snapshot(ListSnapshot)
}

/// Tells whether what lies at the source now is what was read before, without reading it.
public struct SnapshotIdentity: Hashable, Sendable {
  public var text: String

  public init(_ text: String) { self.text = text }
}

/// A list at one moment, proved complete.
public struct ListSnapshot: Sendable {
  /// Differs between any two snapshots, also of equal content: absence is counted in snapshots.
  public var snapshotID: String
  /// When the source made it.
  public var asOf: WallTime
  public var rows: ListRows
  /// Rows that could not be used, with the reason for each.
  public var refusedRows: [RefusedRow]
  public var identity: SnapshotIdentity
  /// What proves that it is whole, for an admin to read.
  public var proof: String
  /// Rows that were there again, to the letter: each counts once.
  public var repeatedRows: Int

  public init(
    snapshotID: String, asOf: WallTime, rows: ListRows, refusedRows: [RefusedRow] = [],
    identity: SnapshotIdentity, proof: String = "", repeatedRows: Int = 0
  ) {
    self.snapshotID = snapshotID
    self.asOf = asOf
    self.rows = rows
    self.refusedRows = refusedRows
    self.identity = identity
    self.proof = proof
    self.repeatedRows = repeatedRows
  }
}

public struct RefusedRow: Hashable, Sendable {
  public var line: Int
  public var reason: String

  public init(line: Int, reason: String) {
    self.line = line
    self.reason = reason
  }
}

/// One examination on a list. Every value is an opaque text, kept as it came.
public struct ListRow: Hashable, Sendable {
  /// US-nummer.
  public var examination: String
  /// Remissnummer.
  public var referral: String?
  public var studyUID: String?
  public var patientID: String?
  public var patientName: String?
  public var status: String?
  public var modality: String?
  public var description: String?
  /// HSA-id.
  public var careUnit: String?
  public var scheduled: String?
  public var priority: String?

  public init(
    examination: String, referral: String? = nil, studyUID: String? = nil,
    patientID: String? = nil, status: String? = nil, modality: String? = nil,
    description: String? = nil, careUnit: String? = nil, scheduled: String? = nil,
    priority: String? = nil, patientName: String? = nil
  ) {
    self.examination = examination
    self.referral = referral
    self.studyUID = studyUID
    self.patientID = patientID
    self.patientName = patientName
    self.status = status
    self.modality = modality
    self.description = description
    self.careUnit = careUnit
    self.scheduled = scheduled
    self.priority = priority
  }
}

/// Why a list cannot be relied upon now.
public struct ListReadError: Error, Hashable, Sendable, CustomStringConvertible {
  /// Where: a file with line and column, as far as there is one.
  public var place: String
  /// What is wrong, and what to do. Never patient data.
  public var message: String

  public init(_ place: String, _ message: String) {
    self.place = place
    self.message = message
  }

  public var description: String { place.isEmpty ? message : "\(place): \(message)" }
}
