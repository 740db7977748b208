import JSON
import Platform
import SQLite

/// The durable memory of what is sent: assignments, jobs, objects, inbound messages. One SQLite
/// database, written by the dispatcher's thread alone.
public final class DeliveryLedger {
  let database: Database
  /// Part of every message control id: another database never makes the same ones.
  public let installation: String

  public init(path: String) throws {
    database = try Database.open(path)
    try database.migrate(DeliverySchema.migrations)
    installation =
      try database.first("SELECT id FROM installation") { row in row.text(0) } ?? ""
  }

  /// The next message control id (MSH-10): at most 20 characters, and never the same again.
  public func newControlID() throws -> String {
    let number =
      try database.first("UPDATE installation SET messages = messages + 1 RETURNING messages") {
        $0.integer(0)
      } ?? 0
    return "S" + installation + String(number, radix: 36, uppercase: true)
  }

  /// A transaction; within another one, a part of it that is undone by itself.
  public func transaction<R>(_ body: () throws -> R) throws -> R {
    try database.transaction(.immediate, body)
  }

  // MARK: - Assignments

  /// Records an order. Nil when there is an active assignment of the examination to the recipient.
  public func insert(
    _ order: SendOrder, flag: String?, origin: String?, orders: String?,
    _ machine: AssignmentMachine, now: WallTime
  ) throws -> Int64? {
    let facts = order.examination
    let key = facts.key
    let active = try database.count(
      """
      SELECT count(*) FROM assignment WHERE system = ? AND number = ? AND recipient = ?
        AND ended = 0
      """, key.system, key.number, order.recipient)
    if active > 0 { return nil }
    try database.execute(
      """
      INSERT INTO assignment (kind, system, number, referral, study_uid, patient_id, patient_name,
        birth_date, sex, care_unit, modality, description, scheduled, list, flag, source,
        recipient, destination, origin, orders, review, priority, message, priors, forced,
        previously_sent, ordered_by, ordered_at, phase, changed, portal_id)
      VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)
      """,
      order.kind.rawValue, key.system, key.number, facts.referral, facts.studyUID,
      facts.patientID, facts.patientName, facts.birthDate, facts.sex, facts.careUnit,
      facts.modality, facts.description, facts.scheduled, facts.list, flag, facts.source,
      order.recipient, order.destination, origin, orders, order.review.rawValue,
      order.priority.rawValue, order.message, Self.encode(order.priors), order.forced,
      order.previouslySent, order.orderedBy, now.milliseconds, machine.phase.rawValue,
      now.milliseconds, order.portalID)
    return Int64(try database.count("SELECT last_insert_rowid()"))
  }

  /// Whether the examination has been recalled from the recipient before.
  public func wasRecalled(_ key: ExaminationKey, recipient: String) throws -> Bool {
    try database.count(
      """
      SELECT count(*) FROM assignment WHERE number = ? AND system = ? AND recipient = ?
        AND cancelled = 1
      """, key.number, key.system, recipient) > 0
  }

  public func assignment(_ id: Int64) throws -> AssignmentRecord? {
    try DeliveryRows.assignment(database, id)
  }

  /// Assignments that have not ended, wait for nobody and have nothing to do.
  public func idle() throws -> [Int64] {
    try database.rows(
      """
      SELECT id FROM assignment WHERE ended = 0 AND held = 0 AND phase NOT IN ('sent', 'failed')
        AND NOT EXISTS (SELECT 1 FROM job WHERE job.assignment = assignment.id
          AND job.state IN ('ready', 'waiting', 'running', 'held'))
      """
    ) { $0.integer(0) }
  }

  /// Records where an assignment has come.
  public func record(_ assignment: AssignmentRecord, now: WallTime) throws {
    let machine = assignment.machine
    try database.execute(
      """
      UPDATE assignment SET phase = ?, answer = ?, answers = ?, cancelled = ?, held = ?,
        delivered = ?, ended = ?, failed = ?, disclosed = ?, supplementable = ?, changed = ?,
        ended_at = CASE WHEN ? THEN ifnull(ended_at, ?) END WHERE id = ?
      """,
      machine.phase.rawValue, machine.answer.rawValue, machine.answers, machine.isCancelled,
      machine.isHeld, machine.wasDelivered, machine.hasEnded, machine.hasFailed,
      assignment.disclosed, assignment.supplementable, now.milliseconds, machine.hasEnded,
      now.milliseconds, assignment.id)
  }

  public func addEvent(_ id: Int64, _ event: String, _ detail: String, now: WallTime) throws {
    try database.execute(
      "INSERT INTO event (assignment, time, event, detail) VALUES (?, ?, ?, ?)", id,
      now.milliseconds, event, detail)
  }

  // MARK: - Jobs

  /// Adds a job that is ready; or held, with its assignment.
  public func addJob(
    _ assignment: Int64, _ step: AssignmentStep, at endpoint: Outlet, number: String,
    studyUID: String?, rank: Int64, payload: [UInt8]? = nil, now: WallTime
  ) throws {
    let (word, place) = step.stored
    try database.execute(
      """
      INSERT INTO job (assignment, step, place, endpoint, state, rank, number, study_uid, payload,
        created, changed) VALUES (?, ?, ?, ?, 'ready', ?, ?, ?, ?, ?, ?)
      """, assignment, word, place, endpoint.description, rank, number, studyUID, payload,
      now.milliseconds, now.milliseconds)
  }

  /// Holds the jobs of an assignment that have not begun, or lets them go on.
  public func hold(_ assignment: Int64, _ isHeld: Bool) throws {
    try database.execute(
      isHeld
        ? "UPDATE job SET state = 'held' WHERE assignment = ? AND state IN ('ready', 'waiting')"
        : """
        UPDATE job SET state = CASE WHEN next_attempt IS NULL THEN 'ready' ELSE 'waiting' END
        WHERE assignment = ? AND state = 'held'
        """, assignment)
  }

  public func recordJob(_ job: JobRecord, pause: Duration? = nil, now: WallTime) throws {
    try database.execute(
      """
      UPDATE job SET state = ?, arrived = ?, unknown = ?, attempts = ?, tries = ?,
        next_attempt = ?, pause = ?, control_id = ?, flag = ?, result = ?, reason = ?, owner = ?,
        study_uid = ?, total = ?, done = ?, refused = ?, changed = ? WHERE id = ?
      """,
      job.state.rawValue, job.mayHaveArrived, job.isUnknown, job.attempts, job.tries,
      job.nextAttempt?.milliseconds, pause.map { $0.wholeNanoseconds / 1_000_000 },
      job.controlID, job.flag, job.result, job.reason, job.owner, job.studyUID, job.total,
      job.done, job.refused, now.milliseconds, job.id)
  }

  public func payload(ofJob id: Int64) throws -> [UInt8]? {
    try database.first("SELECT payload FROM job WHERE id = ?", id) { $0.optionalBlob(0) } ?? nil
  }

  /// Stores a message as it is first sent; every attempt sends the same bytes.
  public func recordPayload(_ id: Int64, _ payload: [UInt8]?, controlID: String?) throws {
    try database.execute(
      "UPDATE job SET payload = ?, control_id = ? WHERE id = ?", payload, controlID, id)
  }

  /// The next jobs of an endpoint that are ready, most urgent first.
  public func ready(at endpoint: Outlet, limit: Int) throws -> [(id: Int64, assignment: Int64)] {
    try database.rows(
      "SELECT id, assignment FROM job WHERE endpoint = ? AND state = 'ready' ORDER BY rank LIMIT ?",
      endpoint.description, limit
    ) { ($0.integer(0), $0.integer(1)) }
  }

  /// Makes ready what has become due. Returns when the next one is.
  public func promote(_ now: WallTime) throws -> WallTime? {
    try database.execute(
      "UPDATE job SET state = 'ready' WHERE state = 'waiting' AND next_attempt <= ?",
      now.milliseconds)
    return try database.first(
      "SELECT min(next_attempt) FROM job WHERE state = 'waiting'"
    ) { $0.optionalInteger(0).map(WallTime.init(milliseconds:)) } ?? nil
  }

  /// At the start: nothing is running, and no pause is longer than it was meant to be, wherever
  /// the clock has been set meanwhile. Returns the jobs whose outcome nobody knows.
  public func recover(_ now: WallTime) throws -> Int {
    let running = try database.execute(
      "UPDATE job SET state = 'ready', unknown = 1 WHERE state = 'running'")
    try database.execute(
      """
      UPDATE job SET next_attempt = ?1 + pause
      WHERE state = 'waiting' AND pause IS NOT NULL AND next_attempt > ?1 + pause
      """, now.milliseconds)
    return running
  }

  /// The numbers of tries that the jobs ready at an outlet since before a moment have made.
  public func tries(at endpoint: Outlet, before: WallTime) throws -> [Int] {
    try database.rows(
      """
      SELECT DISTINCT tries FROM job WHERE endpoint = ? AND state = 'ready' AND changed < ?
      """, endpoint.description, before.milliseconds
    ) { $0.int(0) }
  }

  /// Jobs that are ready have used up a try without having been started: they wait for the next.
  /// - Parameter tries: as made so far; only the jobs with as many.
  public func charge(
    _ endpoint: Outlet, tries: Int, pause: Duration, reason: String, limit: Int,
    before: WallTime, now: WallTime
  ) throws {
    try database.execute(
      """
      UPDATE job SET state = 'waiting', tries = tries + 1, pause = ?1, next_attempt = ?2 + ?1,
        reason = ?3, changed = ?2
      WHERE id IN (SELECT id FROM job WHERE endpoint = ?4 AND state = 'ready' AND tries = ?5
        AND changed < ?6 LIMIT ?7)
      """, pause.wholeNanoseconds / 1_000_000, now.milliseconds, reason, endpoint.description,
      tries, before.milliseconds, limit)
  }

  /// Jobs that are ready at an outlet since before a moment and have made so many tries.
  public func ready(
    at endpoint: Outlet, tries: Int, before: WallTime, limit: Int
  ) throws -> [Int64] {
    try database.rows(
      """
      SELECT id FROM job WHERE endpoint = ? AND state = 'ready' AND tries = ? AND changed < ?
      LIMIT ?
      """, endpoint.description, tries, before.milliseconds, limit
    ) { $0.integer(0) }
  }

  /// How many jobs are ready at an outlet that were so before a moment.
  public func ready(at endpoint: Outlet, before: WallTime) throws -> Int {
    try database.count(
      """
      SELECT count(*) FROM (SELECT 1 FROM job WHERE endpoint = ? AND state = 'ready'
        AND changed < ? LIMIT 1)
      """, endpoint.description, before.milliseconds)
  }

  public func controlID(ofJob id: Int64) throws -> String? {
    try database.first("SELECT control_id FROM job WHERE id = ?", id) { $0.optionalText(0) } ?? nil
  }

  public func assignment(ofJob id: Int64) throws -> Int64? {
    try database.first("SELECT assignment FROM job WHERE id = ?", id) { $0.integer(0) }
  }

  /// Jobs that have not moved since a moment, and are not held.
  public func stuck(since time: WallTime, limit: Int) throws -> [(job: Int64, endpoint: Outlet)] {
    try database.rows(
      """
      SELECT id, endpoint FROM job WHERE state IN ('ready', 'waiting') AND changed < ? LIMIT ?
      """, time.milliseconds, limit
    ) { ($0.integer(0), Outlet($0.text(1)) ?? Outlet(.hl7, "")) }
  }

  // MARK: - Objects

  /// Records what a comparison has found of a transfer's objects; what was sent stays sent.
  public func recordObjects(_ job: Int64, _ objects: [ObjectRecord]) throws {
    let kept = ObjectRecord.Places.sent.rawValue | ObjectRecord.Places.refused.rawValue
    for object in objects {
      try database.execute(
        """
        INSERT INTO object (job, uid, places, status) VALUES (?1, ?2, ?3, ?4)
        ON CONFLICT DO UPDATE SET places = (places & ?5) | ?3, status = ifnull(?4, status)
        """, job, object.uid, object.places.rawValue, object.status.map(Int.init), kept)
    }
  }

  /// Records what the recipient has answered.
  public func recordOutcome(
    _ job: Int64, uid: String, status: UInt16, isSent: Bool, isRefused: Bool
  ) throws {
    var set = 0
    if isSent { set |= ObjectRecord.Places.sent.rawValue }
    if isRefused { set |= ObjectRecord.Places.refused.rawValue }
    try database.execute(
      """
      INSERT INTO object (job, uid, places, status) VALUES (?1, ?2, ?3, ?4)
      ON CONFLICT DO UPDATE SET places = (places & ~?5) | ?3, status = ?4
      """, job, uid, set, Int(status), ObjectRecord.Places.refused.rawValue)
  }

  /// What was refused for good is tried again.
  public func forgetRefusals(_ job: Int64) throws {
    let refused = ObjectRecord.Places.refused.rawValue
    try database.execute(
      "UPDATE object SET places = places & ~?1 WHERE job = ?2 AND places & ?1", refused, job)
  }

  public func sentObjects(_ job: Int64) throws -> Set<String> {
    Set(
      try database.rows(
        "SELECT uid FROM object WHERE job = ? AND places & ?", job,
        ObjectRecord.Places.sent.rawValue
      ) { $0.text(0) })
  }

  /// Objects wanted, sent and refused of a transfer.
  public func objectCounts(_ job: Int64) throws -> (wanted: Int, sent: Int, refused: Int) {
    typealias Places = ObjectRecord.Places
    let origin = Places.source.rawValue | Places.sourceUnknown.rawValue
    return try database.first(
      """
      SELECT count(*) FILTER (WHERE places & ?2 AND NOT places & ?3),
        count(*) FILTER (WHERE places & ?4), count(*) FILTER (WHERE places & ?5)
      FROM object WHERE job = ?1
      """, job, origin, Places.rejectionNote.rawValue, Places.sent.rawValue,
      Places.refused.rawValue
    ) { ($0.int(0), $0.int(1), $0.int(2)) } ?? (0, 0, 0)
  }

  // MARK: - Coding

  static func encode(_ priors: [PriorOrder]) -> String? {
    if priors.isEmpty { return nil }
    let list = priors.map { prior -> JSONValue in
      var entry: JSONObject = [
        "system": .string(prior.key.system), "number": .string(prior.key.number),
      ]
      if let report = prior.report { entry["report"] = .string(report) }
      return .object(entry)
    }
    return JSONValue.array(list).description
  }

  static func decodePriors(_ text: String?) -> [PriorOrder] {
    guard let text, let list = (try? JSONValue.parse(text))?.arrayValue else {
      return []
    }
    return list.compactMap { entry in
      guard let system = entry["system"]?.stringValue, let number = entry["number"]?.stringValue
      else { return nil }
      return PriorOrder(
        key: ExaminationKey(system: system, number: number), report: entry["report"]?.stringValue)
    }
  }
}
