import DICOM
import Platform
import SQLite

/// The writing side of the index: studies, series, instances and conflicts in SQLite. Used by the
/// indexing thread only.
///
/// Rows are small and keyed by integers; texts that repeat in every object (SOP classes, transfer
/// syntaxes, AE titles) are numbers of the table `word`. The first object of a study, and of a
/// series, gives that study's or series' attributes.
final class ArchiveIndex {
  let database: Database
  private var words: [String: Int64] = [:]
  private var studies: [UID: Int64] = [:]
  private var series: [SeriesKey: Int64] = [:]

  private struct SeriesKey: Hashable {
    let study: Int64
    let uid: UID
  }

  private static let cacheLimit = 1024

  init(path: String) throws {
    database = try Database.open(path)
    try database.migrate(Self.migrations)
  }

  static let migrations = [
    Migration(
      "studies, series, instances",
      """
      CREATE TABLE state(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
      INSERT INTO state VALUES ('objects', 0), ('bytes', 0), ('clean', 0), ('boot', '');
      CREATE TABLE word(id INTEGER PRIMARY KEY, text TEXT NOT NULL UNIQUE);
      CREATE TABLE study(
        id INTEGER PRIMARY KEY,
        uid TEXT NOT NULL UNIQUE,
        \(textColumns(IndexedAttribute.studyColumns)));
      CREATE INDEX study_accession ON study(accession);
      CREATE INDEX study_patient ON study(patient_id);
      CREATE INDEX study_date ON study(study_date);
      CREATE TABLE series(
        id INTEGER PRIMARY KEY,
        uid TEXT NOT NULL,
        study INTEGER NOT NULL REFERENCES study(id),
        \(textColumns(IndexedAttribute.seriesColumns)),
        UNIQUE(uid, study));
      CREATE INDEX series_study ON series(study);
      CREATE TABLE instance(
        id INTEGER PRIMARY KEY,
        uid TEXT NOT NULL UNIQUE,
        series INTEGER NOT NULL REFERENCES series(id),
        sop_class INTEGER NOT NULL REFERENCES word(id),
        transfer_syntax INTEGER NOT NULL REFERENCES word(id),
        source INTEGER NOT NULL REFERENCES word(id),
        offset INTEGER NOT NULL,
        length INTEGER NOT NULL,
        received INTEGER NOT NULL,
        \(textColumns(IndexedAttribute.imageColumns)));
      CREATE INDEX instance_series ON instance(series);
      CREATE TABLE conflict(
        uid TEXT NOT NULL,
        number INTEGER NOT NULL,
        study TEXT NOT NULL,
        transfer_syntax INTEGER NOT NULL REFERENCES word(id),
        source INTEGER NOT NULL REFERENCES word(id),
        offset INTEGER NOT NULL,
        length INTEGER NOT NULL,
        received INTEGER NOT NULL,
        PRIMARY KEY(uid, number)) WITHOUT ROWID;
      """)
  ]

  private static func textColumns(_ names: [String]) -> String {
    names.map { "\($0) TEXT NOT NULL" }.joined(separator: ", ")
  }

  /// What the indexing thread makes durable.
  enum Entry: Sendable {
    case object(ArchivedObject)
    /// The n-th other object under a UID already there.
    case conflict(ArchivedObject, number: Int)
  }

  /// Writes a group in one transaction. Entries that are there already are left alone, so that a
  /// group whose outcome is unknown can be written again.
  func write(_ entries: some Collection<Entry>) throws {
    do {
      try database.transaction {
        var objects = 0
        var bytes = 0
        for entry in entries {
          switch entry {
          case .object(let object):
            if try insert(object) {
              objects += 1
              bytes += object.dataSetOffset + object.dataSetLength
            }
          case .conflict(let object, let number): try insert(object, conflict: number)
          }
        }
        try add(objects: objects, bytes: bytes)
      }
    } catch {
      // The numbers in the caches may be of rows that were rolled back.
      words.removeAll()
      studies.removeAll()
      series.removeAll()
      throw error
    }
  }

  private func add(objects: Int, bytes: Int) throws {
    guard objects != 0 || bytes != 0 else { return }
    try database.execute("UPDATE state SET value=value+? WHERE key='objects'", objects)
    try database.execute("UPDATE state SET value=value+? WHERE key='bytes'", bytes)
  }

  private static let insertInstance = insertion(
    "instance",
    [
      "uid", "series", "sop_class", "transfer_syntax", "source", "offset", "length", "received",
    ] + IndexedAttribute.imageColumns)
  private static let insertStudy = insertion("study", ["uid"] + IndexedAttribute.studyColumns)
  private static let insertSeries = insertion(
    "series", ["uid", "study"] + IndexedAttribute.seriesColumns)
  private static let imagePositions = IndexedAttribute.positions(.image)
  private static let seriesPositions = IndexedAttribute.positions(.series)
  private static let studyPositions =
    IndexedAttribute.positions(.patient) + IndexedAttribute.positions(.study)

  private static func insertion(_ table: String, _ columns: [String]) -> String {
    "INSERT INTO \(table)(\(columns.joined(separator: ","))) VALUES ("
      + columns.map { _ in "?" }.joined(separator: ",") + ") ON CONFLICT DO NOTHING"
  }

  private func insert(_ object: ArchivedObject) throws -> Bool {
    let header = object.header
    let series = try seriesID(header, study: studyID(header))
    let values: [SQLiteValue] = [
      .text(header.sopInstance.value), .integer(series), .integer(try word(header.sopClass.value)),
      .integer(try word(object.transferSyntax.uid.value)), .integer(try word(object.source)),
      .integer(Int64(object.dataSetOffset)), .integer(Int64(object.dataSetLength)),
      .integer(object.received),
    ]
    return try database.execute(
      Self.insertInstance,
      values: values + Self.imagePositions.map { .text(header.values[$0]) }) == 1
  }

  private func insert(_ object: ArchivedObject, conflict number: Int) throws {
    try database.execute(
      """
      INSERT INTO conflict(uid, number, study, transfer_syntax, source, offset, length, received)
      VALUES (?,?,?,?,?,?,?,?) ON CONFLICT DO NOTHING
      """, object.header.sopInstance.value, number, object.header.study.value,
      try word(object.transferSyntax.uid.value), try word(object.source), object.dataSetOffset,
      object.dataSetLength, object.received)
  }

  private func studyID(_ header: ObjectHeader) throws -> Int64 {
    if let known = studies[header.study] { return known }
    let inserted = try database.execute(
      Self.insertStudy,
      values: [.text(header.study.value)]
        + Self.studyPositions.map { .text(header.values[$0]) })
    let id =
      inserted == 1
      ? database.lastInsertRowID
      : Int64(try database.count("SELECT id FROM study WHERE uid=?", header.study.value))
    if studies.count >= Self.cacheLimit { studies.removeAll() }
    studies[header.study] = id
    return id
  }

  private func seriesID(_ header: ObjectHeader, study: Int64) throws -> Int64 {
    let key = SeriesKey(study: study, uid: header.series)
    if let known = series[key] { return known }
    let inserted = try database.execute(
      Self.insertSeries,
      values: [.text(header.series.value), .integer(study)]
        + Self.seriesPositions.map { .text(header.values[$0]) })
    let id =
      inserted == 1
      ? database.lastInsertRowID
      : Int64(
        try database.count(
          "SELECT id FROM series WHERE uid=? AND study=?", header.series.value, study))
    if series.count >= Self.cacheLimit { series.removeAll() }
    series[key] = id
    return id
  }

  private func word(_ text: String) throws -> Int64 {
    if let known = words[text] { return known }
    let inserted = try database.execute(
      "INSERT INTO word(text) VALUES (?) ON CONFLICT DO NOTHING", text)
    let id =
      inserted == 1
      ? database.lastInsertRowID
      : Int64(try database.count("SELECT id FROM word WHERE text=?", text))
    if words.count >= Self.cacheLimit { words.removeAll() }
    words[text] = id
    return id
  }

  // MARK: Recovery

  /// Whether the archive was closed in order the last time, and during which boot of the machine
  /// it was last opened.
  func lastState() throws -> (isClean: Bool, boot: String) {
    (
      try database.count("SELECT value FROM state WHERE key='clean'") == 1,
      try database.first("SELECT value FROM state WHERE key='boot'") { $0.text(0) } ?? ""
    )
  }

  func setState(isClean: Bool, boot: String) throws {
    try database.transaction {
      try database.execute("UPDATE state SET value=? WHERE key='clean'", isClean)
      try database.execute("UPDATE state SET value=? WHERE key='boot'", boot)
    }
  }

  func contains(_ uid: UID) throws -> Bool {
    try database.count("SELECT 1 FROM instance WHERE uid=?", uid.value) == 1
  }

  func containsConflict(_ uid: UID, _ number: Int) throws -> Bool {
    try database.count("SELECT 1 FROM conflict WHERE uid=? AND number=?", uid.value, number) == 1
  }

  /// Drops the instances for which `isPresent` is false, and series and studies left empty.
  /// Returns how many were dropped.
  func drop(unless isPresent: (UID) -> Bool) throws -> Int {
    var dropped = 0
    try database.transaction {
      var last: Int64 = 0
      // In pages, as rows are not to vanish under a running query.
      while true {
        let page = try database.rows(
          "SELECT id, uid, offset+length FROM instance WHERE id>? ORDER BY id LIMIT 512", last
        ) { (id: $0.integer(0), uid: UID($0.text(1)), size: $0.int(2)) }
        guard let end = page.last else { break }
        last = end.id
        for row in page where !isPresent(row.uid) {
          try database.execute("DELETE FROM instance WHERE id=?", row.id)
          try add(objects: -1, bytes: -row.size)
          dropped += 1
        }
      }
      guard dropped > 0 else { return }
      try database.execute("DELETE FROM series WHERE id NOT IN (SELECT series FROM instance)")
      try database.execute("DELETE FROM study WHERE id NOT IN (SELECT study FROM series)")
    }
    if dropped > 0 {
      studies.removeAll()
      series.removeAll()
    }
    return dropped
  }
}
