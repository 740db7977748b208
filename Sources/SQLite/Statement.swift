import CSQLite

/// A prepared statement. Obtain it from ``Database/prepare(_:)`` for a hot path; else the
/// database's `execute` and `query` do the same from its cache.
public final class Statement {
  let handle: OpaquePointer
  public let sql: String
  private unowned let database: Database
  /// Whether rows are being stepped through, so that the same text needs a second statement.
  var isInUse = false

  init(_ sql: String, in database: Database, persistent: Bool) throws(SQLiteError) {
    var made: OpaquePointer?
    var sql = sql
    let flags = persistent ? UInt32(SQLITE_PREPARE_PERSISTENT) : 0
    var hasMore = false
    let code = sql.withUTF8 { text -> Int32 in
      text.withMemoryRebound(to: CChar.self) { chars in
        var tail: UnsafePointer<CChar>?
        let code = sqlite3_prepare_v3(
          database.handle, chars.baseAddress, Int32(clamping: chars.count), flags, &made, &tail)
        if code == SQLITE_OK, let tail, let base = chars.baseAddress {
          hasMore = chars[(tail - base)...].contains { $0 > 0x20 && $0 != 0x3B }
        }
        return code
      }
    }
    guard code == SQLITE_OK else { throw database.lastError(sql) }
    guard let made, !hasMore else {
      sqlite3_finalize(made)
      throw SQLiteError(
        extendedCode: SQLITE_MISUSE, message: "expected exactly one statement", sql: sql)
    }
    handle = made
    self.sql = sql
    self.database = database
  }

  deinit { sqlite3_finalize(handle) }

  /// Binds a value to the parameter at a position, counted from 1.
  public func bind(_ value: SQLiteValue, at position: Int) throws(SQLiteError) {
    let index = Int32(clamping: position)
    let code: Int32
    switch value {
    case .null: code = sqlite3_bind_null(handle, index)
    case .integer(let number): code = sqlite3_bind_int64(handle, index, number)
    case .real(let number): code = sqlite3_bind_double(handle, index, number)
    case .text(var text):
      code = text.withUTF8 { bytes in
        bytes.withMemoryRebound(to: CChar.self) { chars in
          // An empty buffer may have no address, and SQLite takes a null address for NULL.
          guard let base = chars.baseAddress else { return syncd_bind_text(handle, index, "", 0) }
          return syncd_bind_text(handle, index, base, Int32(clamping: chars.count))
        }
      }
    case .blob(let bytes):
      code = bytes.withUnsafeBytes { buffer in
        guard let base = buffer.baseAddress, !buffer.isEmpty else {
          return sqlite3_bind_zeroblob(handle, index, 0)
        }
        return syncd_bind_blob(handle, index, base, Int32(clamping: buffer.count))
      }
    }
    guard code == SQLITE_OK else { throw database.lastError(sql) }
  }

  func bindAll(_ values: some Collection<SQLiteValue>) throws(SQLiteError) {
    guard values.count == Int(sqlite3_bind_parameter_count(handle)) else {
      throw SQLiteError(
        extendedCode: SQLITE_RANGE,
        message: "\(values.count) values for \(sqlite3_bind_parameter_count(handle)) parameters",
        sql: sql)
    }
    var position = 1
    for value in values {
      try bind(value, at: position)
      position += 1
    }
  }

  /// Runs the statement to its end, ignoring rows. Returns the number of rows changed.
  @discardableResult
  public func run(_ values: (any Bindable)?...) throws(SQLiteError) -> Int {
    try run(values.map { SQLiteValue($0) })
  }

  /// ``run(_:)-(Bindable?...)`` with the values in an array.
  @discardableResult
  public func run(_ values: [SQLiteValue]) throws(SQLiteError) -> Int {
    try database.checkUsable()
    defer { reset() }
    try bindAll(values)
    while try step() {}
    return sqlite3_stmt_readonly(handle) != 0 ? 0 : database.changes
  }

  /// Calls `body` with each row.
  public func forEach(_ values: [SQLiteValue], _ body: (borrowing Row) throws -> Bool) throws {
    try database.checkUsable()
    isInUse = true
    defer {
      reset()
      isInUse = false
    }
    try bindAll(values)
    while try step() {
      guard try body(Row(handle: handle)) else { return }
    }
  }

  /// True when there is a row.
  func step() throws(SQLiteError) -> Bool {
    switch sqlite3_step(handle) {
    case SQLITE_ROW: return true
    case SQLITE_DONE: return false
    default: throw database.lastError(sql)
    }
  }

  func reset() {
    // Its result repeats the last step's error, which has been thrown.
    sqlite3_reset(handle)
    // Values may be patient data and large: they do not stay in the cache.
    sqlite3_clear_bindings(handle)
  }
}

/// The current row of a query. Columns are counted from 0.
public struct Row: ~Copyable {
  let handle: OpaquePointer

  public var columnCount: Int { Int(sqlite3_data_count(handle)) }

  public func isNull(_ column: Int) -> Bool {
    sqlite3_column_type(handle, Int32(column)) == SQLITE_NULL
  }

  /// 0 for NULL.
  public func integer(_ column: Int) -> Int64 { sqlite3_column_int64(handle, Int32(column)) }
  /// 0 for NULL.
  public func int(_ column: Int) -> Int { Int(integer(column)) }
  /// False for NULL and 0.
  public func bool(_ column: Int) -> Bool { integer(column) != 0 }
  /// 0 for NULL.
  public func real(_ column: Int) -> Double { sqlite3_column_double(handle, Int32(column)) }

  public func optionalInteger(_ column: Int) -> Int64? {
    isNull(column) ? nil : integer(column)
  }

  /// Empty for NULL.
  public func text(_ column: Int) -> String {
    guard let start = sqlite3_column_text(handle, Int32(column)) else { return "" }
    let count = Int(sqlite3_column_bytes(handle, Int32(column)))
    return String(decoding: UnsafeBufferPointer(start: start, count: count), as: UTF8.self)
  }

  public func optionalText(_ column: Int) -> String? { isNull(column) ? nil : text(column) }

  /// Empty for NULL.
  public func blob(_ column: Int) -> [UInt8] { withBytes(column) { Array($0) } }

  public func optionalBlob(_ column: Int) -> [UInt8]? { isNull(column) ? nil : blob(column) }

  /// The bytes of a text or blob where SQLite has them, valid during `body` only.
  public func withBytes<R>(_ column: Int, _ body: (UnsafeRawBufferPointer) throws -> R) rethrows
    -> R
  {
    let start = sqlite3_column_blob(handle, Int32(column))
    let count = Int(sqlite3_column_bytes(handle, Int32(column)))
    return try body(UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : count))
  }

  /// The column as an enum with a raw text. Nil for NULL and for a text the enum does not know.
  public func optional<E: RawRepresentable>(_ column: Int, as type: E.Type) -> E?
  where E.RawValue == String {
    isNull(column) ? nil : E(rawValue: text(column))
  }

  public func value(_ column: Int) -> SQLiteValue {
    switch sqlite3_column_type(handle, Int32(column)) {
    case SQLITE_INTEGER: .integer(integer(column))
    case SQLITE_FLOAT: .real(real(column))
    case SQLITE_TEXT: .text(text(column))
    case SQLITE_BLOB: .blob(blob(column))
    default: .null
    }
  }
}
