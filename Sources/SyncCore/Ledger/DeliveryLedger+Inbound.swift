import Platform
import SQLite

// Messages that came in, paused endpoints, and what is forgotten in time.
extension DeliveryLedger {
  /// Whether the very same message has come before.
  public func isDuplicate(sender: String, controlID: String, digest: [UInt8]) throws -> Bool {
    try database.count(
      "SELECT count(*) FROM inbound WHERE sender = ? AND control_id = ? AND digest = ?", sender,
      controlID, digest) > 0
  }

  /// Keeps a message that came in; without an assignment it is kept aside for a person.
  public func recordInbound(
    sender: String, controlID: String, digest: [UInt8], type: String, assignment: Int64?,
    place: Int?, reason: String?, payload: [UInt8], now: WallTime
  ) throws {
    try database.execute(
      """
      INSERT INTO inbound (received, sender, control_id, digest, type, assignment, place, reason,
        payload)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
      """, now.milliseconds, sender, controlID, digest, type, assignment, place, reason,
      payload)
  }

  /// The answer of an assignment that a step forwards.
  public func answer(of assignment: Int64, place: Int) throws -> [UInt8]? {
    try database.first(
      "SELECT payload FROM inbound WHERE assignment = ? AND place = ?", assignment, place
    ) { $0.optionalBlob(0) } ?? nil
  }

  /// The assignments that an answer about an examination may belong to, newest first.
  public func candidates(number: String, limit: Int = 50) throws -> [AssignmentRecord] {
    try DeliveryRows.assignments(
      database, where: "number = ?", [.text(number)], limit: limit)
  }

  // MARK: - Endpoints

  public struct Pause: Hashable, Sendable {
    public var by: String
    public var at: WallTime
  }

  public func pauses() throws -> [String: Pause] {
    var found: [String: Pause] = [:]
    try database.query("SELECT name, paused_by, paused_at FROM endpoint") { row in
      found[row.text(0)] = Pause(
        by: row.text(1), at: WallTime(milliseconds: row.integer(2)))
    }
    return found
  }

  public func recordPause(_ name: String, _ pause: Pause?) throws {
    if let pause {
      try database.execute(
        "INSERT OR REPLACE INTO endpoint (name, paused_by, paused_at) VALUES (?, ?, ?)", name,
        pause.by, pause.at.milliseconds)
    } else {
      try database.execute("DELETE FROM endpoint WHERE name = ?", name)
    }
  }

  // MARK: - Counting

  public struct Tally: Hashable, Sendable {
    var counts: [String: [String: Int]] = [:]

    public func jobs(_ endpoint: Outlet, _ state: JobState) -> Int {
      counts[endpoint.description]?[state.rawValue] ?? 0
    }
    public func phase(_ phase: AssignmentPhase) -> Int { counts["phase"]?[phase.rawValue] ?? 0 }
    public var active: Int { counts["open"]?["0"] ?? 0 }
    public var failed: Int { counts["failed"]?["1"] ?? 0 }
    public var held: Int { counts["held"]?["1"] ?? 0 }
  }

  public func tally() throws -> Tally {
    var tally = Tally()
    try database.query("SELECT subject, state, count FROM tally") { row in
      tally.counts[row.text(0), default: [:]][row.text(1)] = row.int(2)
    }
    return tally
  }

  public func asideCount() throws -> Int {
    try database.count("SELECT count(*) FROM inbound WHERE assignment IS NULL")
  }

  // MARK: - Forgetting

  /// Forgets messages and texts of what ended before one moment, and everything of what ended
  /// before an earlier one. A bounded number a call, so that no call takes long; true when there
  /// may be more.
  public func prune(messagesBefore: WallTime, before: WallTime, limit: Int = 500) throws -> Bool {
    try database.transaction {
      let purged = try database.rows(
        """
        SELECT id FROM assignment WHERE ended = 1 AND purged = 0 AND ended_at < ? LIMIT ?
        """, messagesBefore.milliseconds, limit
      ) { $0.integer(0) }
      for id in purged {
        try database.execute(
          "UPDATE assignment SET purged = 1, message = NULL, priors = NULL WHERE id = ?", id)
        try database.execute("UPDATE job SET payload = NULL WHERE assignment = ?", id)
        try database.execute(
          "DELETE FROM object WHERE job IN (SELECT id FROM job WHERE assignment = ?)", id)
        try database.execute("UPDATE inbound SET payload = NULL WHERE assignment = ?", id)
      }
      let gone = try database.execute(
        """
        DELETE FROM assignment WHERE id IN (
          SELECT id FROM assignment WHERE ended = 1 AND ended_at < ? LIMIT ?)
        """, before.milliseconds, limit)
      let inbound = try database.execute(
        "DELETE FROM inbound WHERE id IN (SELECT id FROM inbound WHERE received < ? LIMIT ?)",
        before.milliseconds, limit)
      return purged.count == limit || gone == limit || inbound == limit
    }
  }
}
