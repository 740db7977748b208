import Platform
import SQLite

/// The daemon's durable memory: one SQLite database, written by the engine's thread alone.
///
/// Losing the file loses history and nothing else: what is on the lists, in the portal and in the
/// archives says what there is to do.
public final class Ledger {
  private let database: Database

  public init(path: String) throws {
    database = try Database.open(path)
    try database.migrate(LedgerSchema.migrations)
  }

  /// Rows written since the ledger was opened: a cycle in which nothing changed writes none.
  public var rowsWritten: Int { database.totalChanges }

  public func transaction<R>(_ body: () throws -> R) throws -> R {
    try database.transaction(.immediate, body)
  }

  // MARK: - Examinations

  /// What the engine keeps in memory of each examination.
  public struct Known: Sendable {
    public var id: Int64
    public var key: ExaminationKey
    public var digest: Int64
    public var list: String?
    public var source: String?
    public var portalFlag: String?
    public var status: ExaminationStatus
    public var priority: Priority
    public var memory: FlagMemory?
    public var images: ImageState
    public var archived: Int
    public var expected: Int?
    public var held: Bool
    public var reason: ImageReason?
    public var nextAttempt: WallTime?
  }

  /// Calls `body` with every examination that is on a list, flagged or being changed: at the start.
  public func forEachExamination(_ body: (Known) -> Void) throws {
    let sql = """
      SELECT id, system, number, digest, list, source, portal_flag, status, priority,
        absences, absence_snapshot, approved, write_kind, write_flag, write_attempts, write_first,
        write_next, images, archived, expected, held, reason_code, next_attempt,
        reason_text
      FROM examination
      WHERE list IS NOT NULL OR portal_flag IS NOT NULL OR write_kind IS NOT NULL
      """
    try database.query(sql) { row in
      var memory = FlagMemory(
        absences: row.int(9), absenceSnapshot: row.optionalText(10), approved: row.bool(11))
      if !row.isNull(12) {
        memory.write = WriteAttempt(
          flag: row.optionalText(13), attempts: row.int(14),
          first: WallTime(milliseconds: row.integer(15)),
          next: WallTime(milliseconds: row.integer(16)))
      }
      let reason = row.optionalText(21).flatMap(ImageReason.Code.init(rawValue:)).map {
        ImageReason($0, row.optionalText(23) ?? "")
      }
      body(
        Known(
          id: row.integer(0), key: ExaminationKey(system: row.text(1), number: row.text(2)),
          digest: row.integer(3), list: row.optionalText(4), source: row.optionalText(5),
          portalFlag: row.optionalText(6),
          status: ExaminationStatus(rawValue: row.text(7)) ?? .unknown,
          priority: Priority(rawValue: row.int(8)) ?? .routine,
          memory: memory.isEmpty ? nil : memory,
          images: ImageState(rawValue: row.text(17)) ?? .none, archived: row.int(18),
          expected: row.optionalInteger(19).map(Int.init), held: row.bool(20),
          reason: reason,
          nextAttempt: row.optionalInteger(22).map(WallTime.init(milliseconds:))))
    }
  }

  /// Records what a list says of an examination. Returns its row.
  public func record(_ record: ExaminationRecord, now: WallTime) throws -> Int64 {
    let key = record.key
    try database.execute(
      """
      INSERT INTO examination (system, number, list, flag, digest, referral, study_uid, patient_id,
        status, status_raw, modality, description, care_unit, scheduled, priority, source,
        first_seen, changed, reason_code, reason_text, patient_name)
      VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16,?17,?17,?18,?19,?20)
      ON CONFLICT (system, number) DO UPDATE SET
        list = excluded.list, flag = excluded.flag, digest = excluded.digest,
        referral = excluded.referral, study_uid = excluded.study_uid,
        patient_id = excluded.patient_id, patient_name = excluded.patient_name, status = excluded.status,
        status_raw = excluded.status_raw, modality = excluded.modality,
        description = excluded.description, care_unit = excluded.care_unit,
        scheduled = excluded.scheduled, priority = excluded.priority, source = excluded.source,
        changed = excluded.changed
      """,
      key.system, key.number, record.list, record.flag, record.digest, record.referral,
      record.studyUID, record.patientID, record.status.rawValue, record.statusRaw,
      record.modality, record.description, record.careUnit, record.scheduled,
      record.priority.rawValue, record.source, now.milliseconds,
      ImageReason.Code.notStarted.rawValue, "waiting for its turn",
      record.patientName)
    return Int64(
      try database.count(
        "SELECT id FROM examination WHERE system = ? AND number = ?", key.system, key.number))
  }

  /// An examination is on no list any more; its last row stays for the record.
  public func recordLeft(_ id: Int64, now: WallTime) throws {
    try database.execute(
      "UPDATE examination SET list = NULL, flag = NULL, digest = 0, changed = ? WHERE id = ?",
      now.milliseconds, id)
  }

  public func recordPortalFlag(_ id: Int64, _ flag: String?) throws {
    try database.execute("UPDATE examination SET portal_flag = ? WHERE id = ?", flag, id)
  }

  public func recordMemory(_ id: Int64, _ memory: FlagMemory?) throws {
    let write = memory?.write
    try database.execute(
      """
      UPDATE examination SET absences = ?, absence_snapshot = ?, approved = ?, write_kind = ?,
        write_flag = ?, write_attempts = ?, write_first = ?, write_next = ? WHERE id = ?
      """,
      memory?.absences ?? 0, memory?.absenceSnapshot, memory?.approved ?? false,
      write.map { $0.flag == nil ? "clear" : "set" }, write?.flag, write?.attempts,
      write?.first.milliseconds, write?.next.milliseconds, id)
  }

  public func recordRecalled(_ id: Int64, _ isRecalled: Bool) throws {
    try database.execute("UPDATE examination SET recalled = ? WHERE id = ?", isRecalled, id)
  }

  public func recalledExaminations() throws -> Set<ExaminationKey> {
    Set(
      try database.rows("SELECT system, number FROM examination WHERE recalled = 1") {
        ExaminationKey(system: $0.text(0), number: $0.text(1))
      })
  }

  // MARK: - Images

  public func progress(_ id: Int64) throws -> ImageProgress? {
    try database.first(
      """
      SELECT images, reason_code, reason_text, resolved_uid, archived, expected, held,
        equal_digest, equal_since, verified, attempts, next_attempt
      FROM examination WHERE id = ?
      """, id
    ) { row in
      var progress = ImageProgress()
      progress.state = ImageState(rawValue: row.text(0)) ?? .none
      progress.reason = row.optionalText(1).flatMap(ImageReason.Code.init(rawValue:)).map {
        ImageReason($0, row.optionalText(2) ?? "")
      }
      progress.resolvedStudyUID = row.optionalText(3)
      progress.archived = row.int(4)
      progress.expected = row.optionalInteger(5).map(Int.init)
      progress.held = row.bool(6)
      progress.equalDigest = row.optionalText(7)
      progress.equalSince = row.optionalInteger(8).map(WallTime.init(milliseconds:))
      progress.verified = row.optionalInteger(9).map(WallTime.init(milliseconds:))
      progress.attempts = row.int(10)
      progress.nextAttempt = row.optionalInteger(11).map(WallTime.init(milliseconds:))
      return progress
    }
  }

  /// What the portal is told of an examination's images.
  public func availability(of key: ExaminationKey) throws -> ImageAvailability? {
    try database.first(
      """
      SELECT images, archived, expected, reason_code, reason_text FROM examination
      WHERE system = ? AND number = ?
      """, key.system, key.number
    ) { row in
      ImageAvailability(
        key: key, state: ImageState(rawValue: row.text(0)) ?? .none, archived: row.int(1),
        expected: row.optionalInteger(2).map(Int.init),
        reason: row.optionalText(3).flatMap(ImageReason.Code.init(rawValue:)).map {
          ImageReason($0, row.optionalText(4) ?? "")
        })
    }
  }

  public func recordProgress(_ id: Int64, _ progress: ImageProgress, now: WallTime) throws {
    try database.execute(
      """
      UPDATE examination SET images = ?, reason_code = ?, reason_text = ?, resolved_uid = ?,
        archived = ?, expected = ?, held = ?, equal_digest = ?, equal_since = ?, verified = ?,
        attempts = ?, next_attempt = ?, changed = ? WHERE id = ?
      """,
      progress.state.rawValue, progress.reason?.code.rawValue, progress.reason?.text,
      progress.resolvedStudyUID, progress.archived, progress.expected, progress.held,
      progress.equalDigest, progress.equalSince?.milliseconds, progress.verified?.milliseconds,
      progress.attempts, progress.nextAttempt?.milliseconds, now.milliseconds, id)
  }

  /// What a pass over the images needs to know of an examination.
  public func identity(_ id: Int64) throws -> (studyUID: String?, status: ExaminationStatus)? {
    try database.first("SELECT study_uid, status FROM examination WHERE id = ?", id) { row in
      (row.optionalText(0), ExaminationStatus(rawValue: row.text(1)) ?? .unknown)
    }
  }

  // MARK: - History and lists

  public func addHistory(_ id: Int64, _ event: String, _ detail: String, now: WallTime) throws {
    try database.execute(
      "INSERT INTO history (examination, time, event, detail) VALUES (?, ?, ?, ?)", id,
      now.milliseconds, event, detail)
  }

  /// What outlives a restart of a list's evidence.
  public struct ListEvidence: Hashable, Sendable {
    public var lastSize = 0
    public var emptySnapshots = 0
    public var emptySnapshot: String?

    public init() {}

    /// With a complete snapshot of a size seen as well: what is known about sudden emptiness.
    func seeing(_ size: Int, in snapshot: String, atMost limit: Int) -> ListEvidence {
      var seen = self
      if size == 0 {
        if lastSize > 0, emptySnapshot != snapshot, emptySnapshots < limit {
          seen.emptySnapshots += 1
          seen.emptySnapshot = snapshot
        }
      } else {
        seen.emptySnapshots = 0
        seen.emptySnapshot = nil
        // Its exact size is of no use: not worth a write at every change.
        if lastSize == 0 || (lastSize == 1) != (size == 1) { seen.lastSize = size }
      }
      return seen
    }
  }

  public func listEvidence() throws -> [String: ListEvidence] {
    var result: [String: ListEvidence] = [:]
    try database.query("SELECT id, last_size, empty_snapshots, empty_snapshot FROM list") { row in
      var evidence = ListEvidence()
      evidence.lastSize = row.int(1)
      evidence.emptySnapshots = row.int(2)
      evidence.emptySnapshot = row.optionalText(3)
      result[row.text(0)] = evidence
    }
    return result
  }

  public func recordEvidence(_ list: String, _ evidence: ListEvidence) throws {
    try database.execute(
      """
      INSERT INTO list (id, last_size, empty_snapshots, empty_snapshot) VALUES (?, ?, ?, ?)
      ON CONFLICT (id) DO UPDATE SET last_size = excluded.last_size,
        empty_snapshots = excluded.empty_snapshots, empty_snapshot = excluded.empty_snapshot
      """, list, evidence.lastSize, evidence.emptySnapshots, evidence.emptySnapshot)
  }

  /// Forgets history older than a moment, and examinations that left every list before it and
  /// whose flag is gone. At most `limit` rows of each a call, so that no call takes long.
  /// Returns the examinations forgotten.
  public func prune(before time: WallTime, limit: Int = 1000) throws -> [ExaminationKey] {
    try database.transaction {
      try database.execute(
        "DELETE FROM history WHERE id IN (SELECT id FROM history WHERE time < ? LIMIT ?)",
        time.milliseconds, limit)
      let old = try database.rows(
        """
        SELECT id, system, number FROM examination
        WHERE list IS NULL AND portal_flag IS NULL AND write_kind IS NULL AND changed < ? LIMIT ?
        """, time.milliseconds, limit
      ) { ($0.integer(0), ExaminationKey(system: $0.text(1), number: $0.text(2))) }
      for (id, _) in old { try database.execute("DELETE FROM examination WHERE id = ?", id) }
      return old.map(\.1)
    }
  }
}
