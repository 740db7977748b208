import CSQLite
import Glibc

/// A connection to an SQLite database, used by one thread at a time: wrap it in a `Mutex` or a
/// `Monitor`, or keep it inside one thread.
///
///     let database = try Database.open("/var/lib/syncd/ledger.sqlite")
///     try database.migrate([Migration("examinations", "CREATE TABLE examination (…)")])
///     try database.transaction {
///       try database.execute("INSERT INTO examination(number) VALUES (?)", "SE123")
///     }
///     try database.query("SELECT number FROM examination") { row in print(row.text(0)) }
///
/// What a committed transaction wrote survives a crash of the machine (`synchronous=FULL`).
public final class Database {
  let handle: OpaquePointer
  public let path: String
  private var cache: [String: Statement] = [:]
  private var depth = 0
  private var poison: SQLiteError?

  /// Statements kept prepared; texts are few, as values are bound.
  private static let cacheLimit = 128

  /// How far a commit goes before it returns.
  public enum Synchronous: String, Sendable {
    /// The write-ahead log is on the disk: a commit survives a power cut.
    case full = "FULL"
    /// A commit survives the process; a power cut may lose the last ones, never the database.
    case normal = "NORMAL"
  }

  /// Opens a database, and creates it with mode 0600 unless `readOnly`.
  /// - Parameters:
  ///   - busyTimeout: how long to wait for another connection's lock.
  ///   - pageCache: the most memory for pages, in bytes.
  /// - Throws: ``SQLiteError``; `isWALRefused` where the file system cannot do write-ahead logging,
  ///   `isCorrupt` where the file is no database.
  public static func open(
    _ path: String, readOnly: Bool = false, busyTimeout: Duration = .seconds(5),
    synchronous: Synchronous = .full, pageCache: Int = 2 << 20
  ) throws(SQLiteError) -> Database {
    if !readOnly { try protect(path) }
    let flags = readOnly ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
    let database = try Database(path, flags)
    try database.configure(readOnly, busyTimeout, synchronous, pageCache)
    return database
  }

  /// A database in memory, for tests and scratch work.
  public static func inMemory() throws(SQLiteError) -> Database {
    let database = try Database(":memory:", SQLITE_OPEN_READWRITE | SQLITE_OPEN_MEMORY)
    try database.execute("PRAGMA foreign_keys=ON")
    return database
  }

  private init(_ path: String, _ flags: Int32) throws(SQLiteError) {
    var made: OpaquePointer?
    let code = sqlite3_open_v2(
      path, &made, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, nil)
    guard code == SQLITE_OK, let made else {
      let message = made.map { String(cString: sqlite3_errmsg($0)) } ?? "out of memory"
      sqlite3_close_v2(made)
      throw SQLiteError(extendedCode: code, message: message, sql: "open \(path)")
    }
    handle = made
    self.path = path
  }

  deinit {
    cache.removeAll()
    // v2: a statement still held by somebody keeps the connection alive instead of leaking it.
    sqlite3_close_v2(handle)
  }

  /// SQLite gives the log and the shared memory the mode of the database file, so only that one
  /// needs care. The file is not opened when it exists: closing it again would drop the locks
  /// other connections of this process hold on it.
  private static func protect(_ path: String) throws(SQLiteError) {
    let made = Glibc.open(path, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
    if made >= 0 {
      close(made)
    } else if errno == EEXIST {
      var status = stat()
      if stat(path, &status) == 0, status.st_mode & 0o777 != 0o600,
        status.st_mode & S_IFMT == S_IFREG
      {
        chmod(path, 0o600)
      }
    } else {
      throw SQLiteError(
        extendedCode: SQLITE_CANTOPEN, message: String(cString: strerror(errno)),
        sql: "create \(path)")
    }
  }

  private func configure(
    _ readOnly: Bool, _ busyTimeout: Duration, _ synchronous: Synchronous, _ pageCache: Int
  ) throws(SQLiteError) {
    let (seconds, attoseconds) = busyTimeout.components
    let milliseconds = Int64(clamping: seconds).multipliedReportingOverflow(by: 1000)
    sqlite3_busy_timeout(
      handle,
      milliseconds.overflow
        ? .max : Int32(clamping: milliseconds.partialValue + attoseconds / 1_000_000_000_000_000))
    try execute("PRAGMA foreign_keys=ON")
    try execute("PRAGMA trusted_schema=OFF")
    try execute("PRAGMA cache_size=-\(max(64, pageCache / 1024))")
    if !readOnly {
      let mode = try single("PRAGMA journal_mode=WAL")
      guard mode == .text("wal") else {
        throw SQLiteError(
          extendedCode: SQLiteError.walRefused,
          message: "write-ahead logging refused (journal mode \(mode)): is the file system local?",
          sql: "open \(path)")
      }
      try execute("PRAGMA synchronous=\(synchronous.rawValue)")
      // A log grown by one large transaction shrinks again at the next checkpoint.
      try execute("PRAGMA journal_size_limit=\(16 << 20)")
    } else {
      // Reads the header now, so that a file that is no database fails here.
      _ = try single("PRAGMA schema_version")
    }
  }

  // MARK: Statements

  /// Runs one statement to its end. Returns the number of rows it changed.
  @discardableResult
  public func execute(_ sql: String, _ values: (any Bindable)?...) throws(SQLiteError) -> Int {
    try prepare(sql).run(values.map { SQLiteValue($0) })
  }

  /// ``execute(_:_:)`` with the values in an array.
  @discardableResult
  public func execute(_ sql: String, values: [SQLiteValue]) throws(SQLiteError) -> Int {
    try prepare(sql).run(values)
  }

  /// Runs several statements without parameters, such as a schema.
  public func executeScript(_ sql: String) throws(SQLiteError) {
    try checkUsable()
    guard sqlite3_exec(handle, sql, nil, nil, nil) == SQLITE_OK else { throw lastError(sql) }
  }

  /// Calls `body` with each row. An error it throws ends the query and comes out here.
  public func query(
    _ sql: String, _ values: (any Bindable)?..., body: (borrowing Row) throws -> Void
  ) throws {
    try query(sql, values: values.map { SQLiteValue($0) }, body: body)
  }

  /// ``query(_:_:body:)`` with the values in an array.
  public func query(
    _ sql: String, values: [SQLiteValue], body: (borrowing Row) throws -> Void
  ) throws {
    try prepare(sql).forEach(values) {
      try body($0)
      return true
    }
  }

  /// What `body` makes of each row.
  public func rows<R>(
    _ sql: String, _ values: (any Bindable)?..., body: (borrowing Row) throws -> R
  ) throws -> [R] {
    var result: [R] = []
    try query(sql, values: values.map { SQLiteValue($0) }) { result.append(try body($0)) }
    return result
  }

  /// What `body` makes of the first row; nil when there is none.
  public func first<R>(
    _ sql: String, _ values: (any Bindable)?..., body: (borrowing Row) throws -> R
  ) throws -> R? {
    var result: R?
    try prepare(sql).forEach(values.map { SQLiteValue($0) }) {
      result = try body($0)
      return false
    }
    return result
  }

  /// The first column of the first row; NULL when there is none.
  public func single(_ sql: String, _ values: (any Bindable)?...) throws(SQLiteError) -> SQLiteValue
  {
    let statement = try prepare(sql)
    try checkUsable()
    defer { statement.reset() }
    try statement.bindAll(values.map { SQLiteValue($0) })
    return try statement.step() ? Row(handle: statement.handle).value(0) : .null
  }

  /// The first column of the first row as a number; 0 when there is none.
  public func count(_ sql: String, _ values: (any Bindable)?...) throws(SQLiteError) -> Int {
    let statement = try prepare(sql)
    try checkUsable()
    defer { statement.reset() }
    try statement.bindAll(values.map { SQLiteValue($0) })
    return try statement.step() ? Row(handle: statement.handle).int(0) : 0
  }

  /// The prepared statement of a text, from the cache where it lies there idle.
  public func prepare(_ sql: String) throws(SQLiteError) -> Statement {
    if let cached = cache[sql] {
      if !cached.isInUse { return cached }
      return try Statement(sql, in: self, persistent: false)
    }
    if cache.count >= Self.cacheLimit { cache = cache.filter { $0.value.isInUse } }
    let made = try Statement(sql, in: self, persistent: true)
    cache[sql] = made
    return made
  }

  // MARK: Transactions

  public enum TransactionKind: String, Sendable {
    /// Takes the write lock at once, so that nothing fails half-way for want of it.
    case immediate = "IMMEDIATE"
    /// Locks as needed: for a set of reads that must see one state.
    case deferred = "DEFERRED"
  }

  /// Runs `body` in a transaction: all of it is committed, or nothing when it throws. Inside
  /// another transaction it is a savepoint of that.
  ///
  /// - Throws: what `body` throws, or ``SQLiteError``. When COMMIT meets an I/O error nobody knows
  ///   whether it happened: the error says `isOutcomeUnknown`, and the database refuses all
  ///   further work with the same error (``failure``). The caller must stop.
  @discardableResult
  public func transaction<R>(
    _ kind: TransactionKind = .immediate, _ body: () throws -> R
  ) throws -> R {
    if depth > 0 { return try savepoint(body) }
    try execute("BEGIN \(kind.rawValue)")
    depth = 1
    defer { depth = 0 }
    let result: R
    do {
      result = try body()
    } catch {
      rollBack()
      throw error
    }
    do throws(SQLiteError) {
      try execute("COMMIT")
    } catch {
      var error = error
      if error.isIOError {
        error = SQLiteError(
          extendedCode: error.extendedCode, message: error.message, sql: error.sql,
          isOutcomeUnknown: true)
        poison = error
      }
      rollBack()
      throw error
    }
    return result
  }

  private func savepoint<R>(_ body: () throws -> R) throws -> R {
    let name = "level\(depth)"
    try execute("SAVEPOINT \(name)")
    depth += 1
    defer { depth -= 1 }
    do {
      let result = try body()
      try execute("RELEASE \(name)")
      return result
    } catch {
      // Some errors (disk full, I/O) have rolled everything back already; then this fails harmlessly.
      if sqlite3_get_autocommit(handle) == 0 {
        sqlite3_exec(handle, "ROLLBACK TO \(name)", nil, nil, nil)
        sqlite3_exec(handle, "RELEASE \(name)", nil, nil, nil)
      }
      throw error
    }
  }

  private func rollBack() {
    if sqlite3_get_autocommit(handle) == 0 { sqlite3_exec(handle, "ROLLBACK", nil, nil, nil) }
  }

  /// The error of a COMMIT whose outcome is unknown; nil in a healthy database.
  public var failure: SQLiteError? { poison }

  /// Whether a transaction is open.
  public var isInTransaction: Bool { sqlite3_get_autocommit(handle) == 0 }

  func checkUsable() throws(SQLiteError) {
    if let poison { throw poison }
  }

  // MARK: State

  /// Rows changed by the last INSERT, UPDATE or DELETE.
  public var changes: Int { Int(sqlite3_changes64(handle)) }

  /// Rows changed since the database was opened: unchanged means nothing was written.
  public var totalChanges: Int { Int(sqlite3_total_changes64(handle)) }

  public var lastInsertRowID: Int64 { sqlite3_last_insert_rowid(handle) }

  /// The number the application keeps in the file's header: here the version of the schema.
  public func userVersion() throws(SQLiteError) -> Int { try count("PRAGMA user_version") }

  /// Moves the write-ahead log into the database file and empties it, if no reader is in the way.
  public func checkpoint() throws(SQLiteError) {
    try checkUsable()
    let code = sqlite3_wal_checkpoint_v2(handle, nil, SQLITE_CHECKPOINT_TRUNCATE, nil, nil)
    guard code == SQLITE_OK || code & 0xFF == SQLITE_BUSY else { throw lastError("checkpoint") }
  }

  func lastError(_ sql: String) -> SQLiteError {
    SQLiteError(
      extendedCode: sqlite3_extended_errcode(handle),
      message: String(cString: sqlite3_errmsg(handle)),
      sql: sql)
  }
}
