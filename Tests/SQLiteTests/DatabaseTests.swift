import Glibc
import SQLite
import Testing

@Suite struct DatabaseTests {
  @Test("values of every type come back as they were bound")
  func roundTrips() throws {
    let database = try Database.inMemory()
    try database.execute("CREATE TABLE t(a, b, c, d, e, f, g)")
    enum State: String, Bindable { case fetching }
    let absent: String? = nil
    try database.execute(
      "INSERT INTO t VALUES (?,?,?,?,?,?,?)", Int64.min, -0.5, "Åsa\0ö", [UInt8]([0, 255]), absent,
      true, State.fetching)
    let row = try database.first("SELECT * FROM t") { row in
      #expect(row.integer(0) == .min)
      #expect(row.real(1) == -0.5)
      #expect(row.text(2) == "Åsa\0ö")
      #expect(row.blob(3) == [0, 255])
      #expect(row.isNull(4) && row.optionalText(4) == nil)
      #expect(row.bool(5) == true)
      #expect(row.optional(6, as: State.self) == .fetching)
      return (0..<row.columnCount).map { row.value($0) }
    }
    #expect(
      row == [
        .integer(.min), .real(-0.5), .text("Åsa\0ö"), .blob([0, 255]), .null, .integer(1),
        .text("fetching"),
      ])
  }

  @Test("an empty text and an empty blob are not NULL")
  func emptyValues() throws {
    let database = try Database.inMemory()
    try database.execute("CREATE TABLE t(a NOT NULL, b NOT NULL)")
    try database.execute("INSERT INTO t VALUES (?,?)", "", [UInt8]())
    let values = try database.rows("SELECT a, b FROM t") { [$0.value(0), $0.value(1)] }
    #expect(values == [[.text(""), .blob([])]])
  }

  @Test("a body that throws leaves nothing of its transaction, nor of an inner one")
  func rollback() throws {
    struct Stop: Error {}
    let database = try Database.inMemory()
    try database.execute("CREATE TABLE t(a)")
    #expect(throws: Stop.self) {
      try database.transaction {
        try database.execute("INSERT INTO t VALUES (1)")
        throw Stop()
      }
    }
    #expect(try database.count("SELECT count(*) FROM t") == 0)
    try database.transaction {
      try database.execute("INSERT INTO t VALUES (1)")
      #expect(throws: Stop.self) {
        try database.transaction {
          try database.execute("INSERT INTO t VALUES (2)")
          throw Stop()
        }
      }
    }
    #expect(try database.rows("SELECT a FROM t") { $0.int(0) } == [1])
    #expect(!database.isInTransaction)
  }

  @Test("the same statement may run inside its own rows")
  func nestedStatement() throws {
    let database = try Database.inMemory()
    try database.execute("CREATE TABLE t(a)")
    for number in 1...3 { try database.execute("INSERT INTO t VALUES (?)", number) }
    var pairs = 0
    try database.query("SELECT a FROM t") { _ in
      try database.query("SELECT a FROM t") { _ in pairs += 1 }
    }
    #expect(pairs == 9)
  }

  @Test("changes counts rows, and a repeated upsert that alters nothing counts none")
  func changes() throws {
    let database = try Database.inMemory()
    try database.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v)")
    let upsert = """
      INSERT INTO t VALUES (?,?) ON CONFLICT(k) DO UPDATE SET v=excluded.v WHERE v<>excluded.v
      """
    #expect(try database.execute(upsert, 7, "a") == 1)
    #expect(database.lastInsertRowID == 7)
    let before = database.totalChanges
    try database.execute(upsert, 7, "a")
    #expect(database.totalChanges == before)
  }

  @Test("a wrong number of values, two statements and no statement are refused")
  func misuse() throws {
    let database = try Database.inMemory()
    #expect(throws: SQLiteError.self) { try database.execute("SELECT ?") }
    #expect(throws: SQLiteError.self) { try database.execute("SELECT ?", 1, 2) }
    #expect(throws: SQLiteError.self) { try database.execute("SELECT 1; SELECT 2") }
    #expect(throws: SQLiteError.self) { try database.execute(" ") }
  }

  @Test("constraints are told apart")
  func constraints() throws {
    let database = try Database.inMemory()
    try database.executeScript(
      """
      CREATE TABLE p(a PRIMARY KEY);
      CREATE TABLE c(p REFERENCES p(a));
      INSERT INTO p VALUES (1);
      """)
    let unique = #expect(throws: SQLiteError.self) {
      try database.execute("INSERT INTO p VALUES (1)")
    }
    #expect(unique?.isUnique == true && unique?.isConstraint == true)
    let foreign = #expect(throws: SQLiteError.self) {
      try database.execute("INSERT INTO c VALUES (9)")
    }
    #expect(foreign?.isConstraint == true && foreign?.isUnique == false)
  }
}

@Suite struct DatabaseFileTests {
  @Test("the database, its log and its shared memory can be read by their owner only")
  func mode() throws {
    try withDirectory { directory in
      let path = directory + "/a.sqlite"
      let database = try Database.open(path)
      try database.execute("CREATE TABLE t(a)")
      for suffix in ["", "-wal", "-shm"] {
        var status = stat()
        #expect(stat(path + suffix, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600, "\(suffix)")
      }
    }
  }

  @Test("a file others could read is closed to them when it is opened")
  func looseMode() throws {
    try withDirectory { directory in
      let path = directory + "/a.sqlite"
      _ = try Database.open(path)
      chmod(path, 0o644)
      _ = try Database.open(path)
      var status = stat()
      #expect(stat(path, &status) == 0 && status.st_mode & 0o777 == 0o600)
    }
  }

  @Test("a database that cannot do write-ahead logging is not opened")
  func walRefused() {
    let error = #expect(throws: SQLiteError.self) { _ = try Database.open(":memory:") }
    unlink(":memory:")
    #expect(error?.isWALRefused == true)
  }

  @Test("a commit waits for the disk")
  func synchronous() throws {
    try withDirectory { directory in
      let database = try Database.open(directory + "/a.sqlite")
      #expect(try database.count("PRAGMA synchronous") == 2)
      #expect(try database.single("PRAGMA journal_mode") == .text("wal"))
      #expect(try database.count("PRAGMA foreign_keys") == 1)
    }
  }

  @Test("a file that is no database is corrupt, and is left as it was")
  func notADatabase() throws {
    try withDirectory { directory in
      let path = directory + "/a.sqlite"
      let rubbish = [UInt8](repeating: 0x41, count: 8192)
      write(rubbish, to: path)
      let error = #expect(throws: SQLiteError.self) { _ = try Database.open(path) }
      #expect(error?.isCorrupt == true)
      #expect(read(path) == rubbish)
    }
  }

  @Test("a damaged page is corrupt, not a wrong answer")
  func damagedPage() throws {
    try withDirectory { directory in
      let path = directory + "/a.sqlite"
      do {
        let database = try Database.open(path)
        try database.execute("CREATE TABLE t(a)")
        try database.execute("INSERT INTO t VALUES (zeroblob(20000))")
        try database.checkpoint()
      }
      var bytes = read(path)
      for index in 4096..<8192 { bytes[index] = 0xEE }
      write(bytes, to: path)
      let error = #expect(throws: SQLiteError.self) {
        let database = try Database.open(path)
        _ = try database.count("SELECT sum(length(a)) FROM t")
      }
      #expect(error?.isCorrupt == true)
    }
  }

  @Test("a read-only connection reads and refuses to write; a missing file is not made")
  func readOnly() throws {
    try withDirectory { directory in
      let path = directory + "/a.sqlite"
      #expect(throws: SQLiteError.self) { _ = try Database.open(path, readOnly: true) }
      #expect(access(path, F_OK) != 0)
      let writer = try Database.open(path)
      try writer.execute("CREATE TABLE t(a)")
      let reader = try Database.open(path, readOnly: true)
      #expect(try reader.count("SELECT count(*) FROM t") == 0)
      let error = #expect(throws: SQLiteError.self) {
        try reader.execute("INSERT INTO t VALUES (1)")
      }
      #expect(error?.isReadOnly == true)
    }
  }

  @Test("a lock held beyond the timeout is busy, and the waiter can try again")
  func busy() throws {
    try withDirectory { directory in
      let path = directory + "/a.sqlite"
      let first = try Database.open(path)
      try first.execute("CREATE TABLE t(a)")
      let second = try Database.open(path, busyTimeout: .milliseconds(1))
      try first.transaction {
        let error = #expect(throws: SQLiteError.self) {
          try second.transaction { try second.execute("INSERT INTO t VALUES (1)") }
        }
        #expect(error?.isBusy == true)
      }
      try second.transaction { try second.execute("INSERT INTO t VALUES (1)") }
      #expect(try first.count("SELECT count(*) FROM t") == 1)
    }
  }

  @Test("migrations run once each and a newer schema is refused")
  func migrations() throws {
    try withDirectory { directory in
      let path = directory + "/a.sqlite"
      let first = Migration("first", "CREATE TABLE t(a); CREATE INDEX i ON t(a);")
      let second = Migration("second", "ALTER TABLE t ADD COLUMN b")
      try Database.open(path).migrate([first])
      let database = try Database.open(path)
      try database.migrate([first, second])
      try database.migrate([first, second])
      #expect(try database.userVersion() == 2)
      try database.execute("INSERT INTO t(a, b) VALUES (1, 2)")
      let error = #expect(throws: SQLiteError.self) { try database.migrate([first]) }
      #expect(error?.isNewerSchema == true)
    }
  }

  @Test("a migration that fails leaves the version before it")
  func failedMigration() throws {
    let database = try Database.inMemory()
    let good = Migration("good", "CREATE TABLE t(a)")
    let bad = Migration("bad", "CREATE TABLE u(a); CREATE TABLE t(a);")
    #expect(throws: SQLiteError.self) { try database.migrate([good, bad]) }
    #expect(try database.userVersion() == 1)
    #expect(try database.count("SELECT count(*) FROM sqlite_schema WHERE name='u'") == 0)
  }

  @Test(
    "a full disk fails the transaction, keeps what was committed, and small writes go on",
    .enabled(if: getuid() == 0, "needs root to mount a small tmpfs"))
  func diskFull() throws {
    try withDirectory { directory in
      guard mount("tmpfs", directory, "tmpfs", 0, "size=1m") == 0 else {
        Issue.record("no tmpfs could be mounted: \(String(cString: strerror(errno)))")
        return
      }
      defer { umount2(directory, Int32(MNT_DETACH)) }
      do {
        let database = try Database.open(directory + "/a.sqlite")
        try database.execute("CREATE TABLE t(a)")
        try database.execute("INSERT INTO t VALUES ('kept')")
        let error = #expect(throws: SQLiteError.self) {
          try database.transaction {
            for _ in 0..<100 { try database.execute("INSERT INTO t VALUES (zeroblob(50000))") }
          }
        }
        #expect(error?.isFull == true, "\(error.map(String.init(describing:)) ?? "none")")
        #expect(error?.isOutcomeUnknown == false)
        #expect(database.failure == nil)
        #expect(try database.rows("SELECT a FROM t") { $0.text(0) } == ["kept"])
        try database.execute("INSERT INTO t VALUES ('later')")
      }
      let again = try Database.open(directory + "/a.sqlite")
      #expect(try again.rows("SELECT a FROM t") { $0.text(0) } == ["kept", "later"])
    }
  }
}

private func withDirectory(_ body: (String) throws -> Void) throws {
  var template = Array("/tmp/syncd-sqlite-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else {
    Issue.record("mkdtemp: \(String(cString: strerror(errno)))")
    return
  }
  let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  defer {
    for suffix in ["", "-wal", "-shm"] { unlink(directory + "/a.sqlite" + suffix) }
    rmdir(directory)
  }
  try body(directory)
}

private func write(_ bytes: [UInt8], to path: String) {
  let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
  #expect(Glibc.write(file, bytes, bytes.count) == bytes.count)
  close(file)
}

private func read(_ path: String) -> [UInt8] {
  let file = open(path, O_RDONLY)
  var bytes = [UInt8](repeating: 0, count: 1 << 20)
  let count = Glibc.read(file, &bytes, bytes.count)
  close(file)
  return Array(bytes[..<max(0, count)])
}
