import CSQLite

/// Why SQLite, or this wrapper of it, refused.
public struct SQLiteError: Error, Hashable, CustomStringConvertible {
  /// The extended result code (`SQLITE_IOERR_FSYNC` and the like), or one of the negative codes of
  /// this module: ``walRefused``, ``newerSchema``.
  public let extendedCode: Int32
  /// What SQLite says about it. May name tables and columns, never bound values.
  public let message: String
  /// The statement, without its bound values; or what was being done.
  public let sql: String
  /// Whether a COMMIT failed such that nobody knows what is on the disk. The database refuses
  /// all further work: stop, and find out after opening it anew.
  public let isOutcomeUnknown: Bool

  public init(
    extendedCode: Int32, message: String, sql: String = "", isOutcomeUnknown: Bool = false
  ) {
    self.extendedCode = extendedCode
    self.message = message
    self.sql = sql
    self.isOutcomeUnknown = isOutcomeUnknown
  }

  /// The file system cannot do write-ahead logging (it lacks shared memory maps), so the database
  /// was not opened.
  public static let walRefused: Int32 = -1
  /// The database was written by a newer version of the program.
  public static let newerSchema: Int32 = -2

  /// The primary result code (`SQLITE_BUSY` and the like).
  public var code: Int32 { extendedCode < 0 ? extendedCode : extendedCode & 0xFF }

  /// Another connection holds the lock beyond the busy timeout: worth trying again.
  public var isBusy: Bool { code == SQLITE_BUSY || code == SQLITE_LOCKED }
  /// The disk, or the database's own limit, is full. The transaction was not committed.
  public var isFull: Bool { code == SQLITE_FULL }
  public var isIOError: Bool { code == SQLITE_IOERR }
  /// The file is damaged, or is no database at all.
  public var isCorrupt: Bool { code == SQLITE_CORRUPT || code == SQLITE_NOTADB }
  /// A UNIQUE, FOREIGN KEY, NOT NULL or CHECK constraint.
  public var isConstraint: Bool { code == SQLITE_CONSTRAINT }
  public var isUnique: Bool {
    // SQLITE_CONSTRAINT_UNIQUE and _PRIMARYKEY are macros the importer does not take.
    extendedCode == SQLITE_CONSTRAINT | 8 << 8 || extendedCode == SQLITE_CONSTRAINT | 6 << 8
  }
  public var isReadOnly: Bool { code == SQLITE_READONLY }
  public var isNewerSchema: Bool { extendedCode == Self.newerSchema }
  public var isWALRefused: Bool { extendedCode == Self.walRefused }

  public var description: String {
    var text = "SQLite: \(message)"
    if extendedCode > 0 { text += " (code \(extendedCode))" }
    if isOutcomeUnknown { text += "; whether it was committed is unknown" }
    if !sql.isEmpty { text += ", in: \(sql)" }
    return text
  }
}
