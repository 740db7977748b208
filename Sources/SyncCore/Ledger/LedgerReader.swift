import Platform
import SQLite

/// Reads the ledger beside the engine: a connection of its own, which sees the state of the latest
/// commit and neither waits for the engine nor holds it up.
public final class LedgerReader {
  private let database: Database

  public init(path: String) throws {
    database = try Database.open(path, readOnly: true)
  }

  /// What to list. Every condition given must hold; of several values, any.
  public struct Filter: Sendable, Hashable {
    public var lists: [String] = []
    public var systems: [String] = []
    public var flags: [String] = []
    public var statuses: [String] = []
    public var images: [String] = []
    public var numbers: [String] = []
    /// Part of the number, the referral or a study UID.
    public var text: String?
    public var held: Bool?
    public var flagged: Bool?
    public var changedSince: WallTime?
    public var changedUntil: WallTime?

    public init() {}
  }

  /// An examination with its images, as shown.
  public struct Entry: Sendable {
    public var id: Int64
    public var record: ExaminationRecord
    public var progress: ImageProgress
    public var firstSeen: WallTime
    public var changed: WallTime
  }

  public struct HistoryEntry: Sendable {
    public var time: WallTime
    public var event: String
    public var detail: String
  }

  private static let columns = """
    id, system, number, list, flag, portal_flag, referral, study_uid, status, status_raw, modality,
    description, care_unit, scheduled, priority, source, first_seen, changed, images, reason_code,
    reason_text, resolved_uid, archived, expected, held, verified, attempts, next_attempt
    """

  /// A page of the worklist, in order of system and number.
  /// - Parameter after: the last one of the page before.
  public func list(
    _ filter: Filter, limit: Int, after: ExaminationKey?
  ) throws -> (entries: [Entry], total: Int) {
    var (condition, values) = Self.condition(filter)
    let total = try Self.count(database, condition, values)
    if let after {
      condition += " AND (system, number) > (?, ?)"
      values += [.text(after.system), .text(after.number)]
    }
    var entries: [Entry] = []
    try database.query(
      "SELECT \(Self.columns) FROM examination WHERE \(condition) "
        + "ORDER BY system, number LIMIT \(limit)", values: values
    ) { row in entries.append(Self.entry(row)) }
    return (entries, total)
  }

  private static func count(
    _ database: Database, _ condition: String, _ values: [SQLiteValue]
  ) throws -> Int {
    var total = 0
    try database.query("SELECT count(*) FROM examination WHERE \(condition)", values: values) {
      total = $0.int(0)
    }
    return total
  }

  /// Every examination with a number, in whatever system.
  public func examinations(number: String, system: String?) throws -> [Entry] {
    var filter = Filter()
    filter.numbers = [number]
    if let system { filter.systems = [system] }
    return try list(filter, limit: 100, after: nil).entries
  }

  /// What a send needs to know of an examination and nobody is shown.
  public struct Private: Sendable {
    public var patientID: String?
    public var patientName: String?
    /// How many snapshots in a row its list has been without it.
    public var absences: Int
    public var isRecalled: Bool
  }

  public func privateFacts(of id: Int64) throws -> Private? {
    try database.first(
      "SELECT patient_id, patient_name, absences, recalled FROM examination WHERE id = ?", id
    ) { row in
      Private(
        patientID: row.optionalText(0), patientName: row.optionalText(1), absences: row.int(2),
        isRecalled: row.bool(3))
    }
  }

  public func history(of id: Int64, limit: Int = 200) throws -> [HistoryEntry] {
    try database.rows(
      """
      SELECT time, event, detail FROM (
        SELECT id, time, event, detail FROM history WHERE examination = ? ORDER BY id DESC LIMIT ?
      ) ORDER BY id
      """, id, limit
    ) {
      HistoryEntry(
        time: WallTime(milliseconds: $0.integer(0)), event: $0.text(1), detail: $0.text(2))
    }
  }

  private static func condition(_ filter: Filter) -> (String, [SQLiteValue]) {
    var parts = ["1"]
    var values: [SQLiteValue] = []
    func any(_ column: String, _ wanted: [String]) {
      if wanted.isEmpty { return }
      parts.append("\(column) IN (\(wanted.map { _ in "?" }.joined(separator: ", ")))")
      values += wanted.map { .text($0) }
    }
    any("list", filter.lists)
    any("system", filter.systems)
    any("flag", filter.flags)
    any("status", filter.statuses)
    any("images", filter.images)
    any("number", filter.numbers)
    if let text = filter.text {
      parts.append(
        "(instr(number, ?) OR instr(ifnull(referral, ''), ?) OR instr(ifnull(study_uid, ''), ?) "
          + "OR instr(ifnull(resolved_uid, ''), ?))")
      values += Array(repeating: .text(text), count: 4)
    }
    if let held = filter.held { parts.append("held = \(held ? 1 : 0)") }
    if let flagged = filter.flagged { parts.append("portal_flag IS \(flagged ? "NOT " : "")NULL") }
    if let since = filter.changedSince {
      parts.append("changed >= ?")
      values.append(.integer(since.milliseconds))
    }
    if let until = filter.changedUntil {
      parts.append("changed < ?")
      values.append(.integer(until.milliseconds))
    }
    return (parts.joined(separator: " AND "), values)
  }

  private static func entry(_ row: borrowing Row) -> Entry {
    let record = ExaminationRecord(
      key: ExaminationKey(system: row.text(1), number: row.text(2)), list: row.optionalText(3),
      flag: row.optionalText(4), portalFlag: row.optionalText(5), referral: row.optionalText(6),
      studyUID: row.optionalText(7),
      status: ExaminationStatus(rawValue: row.text(8)) ?? .unknown,
      statusRaw: row.optionalText(9), modality: row.optionalText(10),
      description: row.optionalText(11), careUnit: row.optionalText(12),
      scheduled: row.optionalText(13), priority: Priority(rawValue: row.int(14)) ?? .routine,
      source: row.optionalText(15))
    var progress = ImageProgress()
    progress.state = ImageState(rawValue: row.text(18)) ?? .none
    progress.reason = row.optionalText(19).flatMap(ImageReason.Code.init(rawValue:)).map {
      ImageReason($0, row.optionalText(20) ?? "")
    }
    progress.resolvedStudyUID = row.optionalText(21)
    progress.archived = row.int(22)
    progress.expected = row.optionalInteger(23).map(Int.init)
    progress.held = row.bool(24)
    progress.verified = row.optionalInteger(25).map(WallTime.init(milliseconds:))
    progress.attempts = row.int(26)
    progress.nextAttempt = row.optionalInteger(27).map(WallTime.init(milliseconds:))
    return Entry(
      id: row.integer(0), record: record, progress: progress,
      firstSeen: WallTime(milliseconds: row.integer(16)),
      changed: WallTime(milliseconds: row.integer(17)))
  }
}
