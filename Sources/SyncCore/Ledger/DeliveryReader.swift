import Platform
import SQLite

/// Reads the delivery ledger beside the dispatcher: a connection of its own, which sees the latest
/// commit and neither waits for the dispatcher nor holds it up.
public final class DeliveryReader {
  private let database: Database

  public init(path: String) throws {
    database = try Database.open(path, readOnly: true)
  }

  /// What to list. Every condition given must hold; of several values, any.
  public struct Filter: Sendable, Hashable {
    public enum State: String, CaseIterable, Sendable { case active, failed, ended, all }
    public var state = State.all
    public var recipients: [String] = []
    public var systems: [String] = []
    public var numbers: [String] = []
    public var phases: [String] = []
    public var flags: [String] = []
    public var priorities: [Int] = []
    /// Part of a number, a referral or a study UID.
    public var text: String?
    public var held: Bool?
    public var orderedSince: WallTime?
    public var orderedUntil: WallTime?

    public init() {}

    var condition: (String, [SQLiteValue]) {
      var parts: [String] = []
      var values: [SQLiteValue] = []
      switch state {
      case .active: parts.append("ended = 0")
      case .failed: parts.append("failed = 1")
      case .ended: parts.append("ended = 1")
      case .all: break
      }
      func any(_ column: String, _ wanted: [SQLiteValue]) {
        if wanted.isEmpty { return }
        parts.append("\(column) IN (\(wanted.map { _ in "?" }.joined(separator: ", ")))")
        values += wanted
      }
      any("recipient", recipients.map { .text($0) })
      any("system", systems.map { .text($0) })
      any("number", numbers.map { .text($0) })
      any("phase", phases.map { .text($0) })
      any("flag", flags.map { .text($0) })
      any("priority", priorities.map { .integer(Int64($0)) })
      if let text {
        parts.append(
          "(instr(number, ?) OR instr(ifnull(referral, ''), ?) OR instr(ifnull(study_uid, ''), ?))")
        values += Array(repeating: .text(text), count: 3)
      }
      if let held { parts.append("held = \(held ? 1 : 0)") }
      if let orderedSince {
        parts.append("ordered_at >= ?")
        values.append(.integer(orderedSince.milliseconds))
      }
      if let orderedUntil {
        parts.append("ordered_at <= ?")
        values.append(.integer(orderedUntil.milliseconds))
      }
      return (parts.isEmpty ? "1" : parts.joined(separator: " AND "), values)
    }
  }

  /// A page of the send list (Skickatlistan), newest first.
  /// - Parameter before: the last one of the page before.
  public func list(
    _ filter: Filter, limit: Int, before: Int64?
  ) throws -> (assignments: [AssignmentRecord], total: Int) {
    var (condition, values) = filter.condition
    var total = 0
    try database.query("SELECT count(*) FROM assignment WHERE \(condition)", values: values) {
      total = $0.int(0)
    }
    if let before {
      condition += " AND id < ?"
      values.append(.integer(before))
    }
    let found = try DeliveryRows.assignments(database, where: condition, values, limit: limit)
    return (found, total)
  }

  /// The ids that a filter names, oldest first; at most `limit`.
  public func ids(_ filter: Filter, limit: Int) throws -> [Int64] {
    let (condition, values) = filter.condition
    var ids: [Int64] = []
    try database.query(
      "SELECT id FROM assignment WHERE \(condition) ORDER BY id LIMIT \(limit)", values: values
    ) { ids.append($0.integer(0)) }
    return ids
  }

  public func assignment(_ id: Int64) throws -> AssignmentRecord? {
    try DeliveryRows.assignment(database, id)
  }

  /// The assignment that an order of the portal has become.
  public func assignment(portalID: String) throws -> Int64? {
    try database.first("SELECT id FROM assignment WHERE portal_id = ?", portalID) { row in
      row.integer(0)
    }
  }

  /// The portal's assignments that are under way or have ended within a day, newest first.
  public func fromPortal(limit: Int) throws -> [AssignmentRecord] {
    let since = WallTime.now.milliseconds - 86_400_000
    return try DeliveryRows.assignments(
      database, where: "portal_id IS NOT NULL AND (ended = 0 OR ended_at > ?)",
      [.integer(since)], limit: limit)
  }

  public func wasRecalled(_ key: ExaminationKey, recipient: String) throws -> Bool {
    try database.count(
      """
      SELECT count(*) FROM assignment WHERE number = ? AND system = ? AND recipient = ?
        AND cancelled = 1
      """, key.number, key.system, recipient) > 0
  }

  public func active(_ key: ExaminationKey, recipient: String) throws -> Int64? {
    try database.first(
      """
      SELECT id FROM assignment WHERE system = ? AND number = ? AND recipient = ? AND ended = 0
      """, key.system, key.number, recipient
    ) { $0.integer(0) }
  }

  /// The objects of a transfer that are not in all places, and how many there are.
  public func differences(ofJob id: Int64, limit: Int) throws -> (
    objects: [ObjectRecord], total: Int
  ) {
    typealias Places = ObjectRecord.Places
    let all = Places.archive.rawValue | Places.sent.rawValue
    let origin = Places.source.rawValue | Places.sourceUnknown.rawValue
    let odd =
      Places.rejectionNote.rawValue | Places.refused.rawValue
    let condition = "job = ?1 AND (places & ?2 <> ?2 OR NOT places & ?3 OR places & ?4)"
    var objects: [ObjectRecord] = []
    try database.query(
      "SELECT uid, places, status FROM object WHERE \(condition) ORDER BY uid LIMIT ?5", id, all,
      origin, odd, limit
    ) { row in
      objects.append(
        ObjectRecord(
          uid: row.text(0), places: Places(rawValue: row.int(1)),
          status: row.optionalInteger(2).map { UInt16(truncatingIfNeeded: $0) }))
    }
    if objects.count < limit { return (objects, objects.count) }
    let total = try database.count(
      "SELECT count(*) FROM object WHERE \(condition)", id, all, origin, odd)
    return (objects, total)
  }

  public struct HistoryEntry: Sendable {
    public var time: WallTime
    public var event: String
    public var detail: String
  }

  public func history(of id: Int64, limit: Int) throws -> [HistoryEntry] {
    try database.rows(
      """
      SELECT time, event, detail FROM (
        SELECT id, time, event, detail FROM event WHERE assignment = ? ORDER BY id DESC LIMIT ?
      ) ORDER BY id
      """, id, limit
    ) {
      HistoryEntry(
        time: WallTime(milliseconds: $0.integer(0)), event: $0.text(1), detail: $0.text(2))
    }
  }

  /// Messages that came in and belong to no assignment, newest first.
  public func aside(limit: Int) throws -> (messages: [InboundRecord], total: Int) {
    let messages = try database.rows(
      """
      SELECT id, received, sender, control_id, type, reason FROM inbound
      WHERE assignment IS NULL ORDER BY id DESC LIMIT ?
      """, limit
    ) {
      InboundRecord(
        id: $0.integer(0), received: WallTime(milliseconds: $0.integer(1)), sender: $0.text(2),
        controlID: $0.text(3), type: $0.text(4), reason: $0.text(5))
    }
    let total = try database.count("SELECT count(*) FROM inbound WHERE assignment IS NULL")
    return (messages, total)
  }
}
