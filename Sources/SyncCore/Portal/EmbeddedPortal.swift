import Platform
import SQLite
import Synchronization

/// A portal of our own in an SQLite file: with nothing configured, the flags live here.
public final class EmbeddedPortal: Portal {
  /// @unchecked: the database is only used inside the mutex.
  private struct Storage: ~Copyable, @unchecked Sendable {
    let database: Database
  }

  private let storage: Mutex<Storage>
  public let kind = "embedded"

  public init(path: String) throws {
    let database = try Database.open(path)
    try database.migrate([
      Migration(
        "examinations with one flag each",
        """
        CREATE TABLE examination (
          system TEXT NOT NULL, number TEXT NOT NULL,
          flag TEXT, source TEXT, list TEXT, observed_at INTEGER,
          version INTEGER NOT NULL DEFAULT 0,
          images TEXT, archived INTEGER, expected INTEGER, reason TEXT,
          PRIMARY KEY (system, number)
        ) STRICT, WITHOUT ROWID;
        CREATE INDEX flagged ON examination (flag) WHERE flag IS NOT NULL;
        """)
    ])
    storage = Mutex(Storage(database: database))
  }

  public func flags(
    since token: String?, deadline: Deadline
  ) throws(PortalError) -> FlagListing {
    try attempt { database in
      // data_version tells other connections' writes, total_changes our own.
      let version = try database.count("PRAGMA data_version")
      let now = "\(version).\(database.totalChanges)"
      if now == token { return .unchanged }
      var flags = ExaminationTable<PortalFlag>(
        minimumCapacity: try database.count(
          "SELECT count(*) FROM examination WHERE flag IS NOT NULL"))
      var words = WordReader()
      try database.query(
        "SELECT system, number, flag, source, list, version FROM examination WHERE flag IS NOT NULL"
      ) { row in
        let key = row.withBytes(1) { number in
          ExaminationKey(system: row.withBytes(0) { words.word($0) }, number: number)
        }
        flags[key] = PortalFlag(
          flag: row.withBytes(2) { words.word($0) }, source: row.withBytes(3) { words.word($0) },
          list: row.isNull(4) ? nil : row.withBytes(4) { words.word($0) },
          version: String(row.integer(5)))
      }
      return .flags(flags, token: now)
    }
  }

  public func apply(
    _ writes: [FlagWrite], source: String, now: WallTime, deadline: Deadline,
    outcome: (Int, FlagWriteOutcome) -> Void
  ) {
    var index = 0
    while index < writes.count {
      let group = index..<min(index + 500, writes.count)
      index = group.upperBound
      do throws(PortalError) {
        let results = try attempt { database in
          try database.transaction {
            try group.map { try self.apply(writes[$0], source, now, database) }
          }
        }
        for (offset, result) in results.enumerated() { outcome(group.lowerBound + offset, result) }
      } catch {
        for member in group { outcome(member, .failed(error)) }
      }
    }
  }

  private func apply(
    _ write: FlagWrite, _ source: String, _ now: WallTime, _ database: Database
  ) throws -> FlagWriteOutcome {
    let key = write.key
    let current = try database.first(
      "SELECT flag, source, list, version FROM examination WHERE system = ? AND number = ?",
      key.system, key.number
    ) { row in
      row.optionalText(0).map {
        PortalFlag(
          flag: $0, source: row.text(1), list: row.optionalText(2), version: String(row.integer(3)))
      }
    }
    let held = current ?? nil
    switch write.action {
    case .set(let flag):
      if let held, held.flag == flag, held.source == source, held.list == write.list {
        return .alreadySo
      }
      guard held?.version == write.expected?.version else { return .changedMeanwhile }
      try database.execute(
        """
        INSERT INTO examination (system, number, flag, source, list, observed_at, version)
        VALUES (?, ?, ?, ?, ?, ?, 1)
        ON CONFLICT (system, number) DO UPDATE SET flag = excluded.flag,
          source = excluded.source, list = excluded.list, observed_at = excluded.observed_at,
          version = version + 1
        """, key.system, key.number, flag, source, write.list, now.milliseconds)
    case .clear:
      guard let held else { return .alreadySo }
      guard held.version == write.expected?.version else { return .changedMeanwhile }
      try database.execute(
        """
        UPDATE examination SET flag = NULL, source = NULL, list = NULL, observed_at = ?,
          version = version + 1 WHERE system = ? AND number = ?
        """, now.milliseconds, key.system, key.number)
    }
    return .done
  }

  public func publish(
    _ availability: [ImageAvailability], deadline: Deadline
  ) throws(PortalError) {
    try attempt { database in
      try database.transaction {
        for entry in availability {
          try database.execute(
            """
            INSERT INTO examination (system, number, images, archived, expected, reason)
            VALUES (?, ?, ?, ?, ?, ?)
            ON CONFLICT (system, number) DO UPDATE SET images = excluded.images,
              archived = excluded.archived, expected = excluded.expected, reason = excluded.reason
            """, entry.key.system, entry.key.number, entry.state.rawValue, entry.archived,
            entry.expected, entry.reason?.code.rawValue)
        }
      }
    }
  }

  /// What the portal was told of an examination's images.
  public func availability(of key: ExaminationKey) throws(PortalError) -> (
    state: String, archived: Int, expected: Int?
  )? {
    try attempt { database in
      try database.first(
        "SELECT images, archived, expected FROM examination WHERE system = ? AND number = ?",
        key.system, key.number
      ) { row in
        row.optionalText(0).map { ($0, row.int(1), row.optionalInteger(2).map(Int.init)) }
      } ?? nil
    }
  }

  private func attempt<R>(_ body: (Database) throws -> R) throws(PortalError) -> R {
    do {
      return try storage.withLock { try body($0.database) }
    } catch let error as SQLiteError {
      throw .unavailable("embedded portal: \(error)")
    } catch {
      throw .unavailable("embedded portal: \(error)")
    }
  }
}
