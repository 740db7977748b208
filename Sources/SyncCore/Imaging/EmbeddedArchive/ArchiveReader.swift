import DICOM
import Platform
import SQLite

/// The reading side of the index. Any thread; each call holds the one connection only for a small
/// query, so that a slow peer in the middle of its answers stops nobody.
final class ArchiveReader: Sendable {
  private let database: Monitor<Database>

  init(path: String) throws {
    database = Monitor(try Database.open(path, readOnly: true))
  }

  struct StudyRow {
    let id: Int64
    let uid: String
    /// As ``ObjectHeader/values``; only those of patient and study are set.
    let values: [String]
  }

  struct SeriesRow {
    let id: Int64
    let uid: String
    let values: [String]
  }

  struct InstanceRow {
    let id: Int64
    let uid: String
    let sopClass: String
    let transferSyntax: String
    let offset: Int
    let length: Int
    let values: [String]
  }

  /// Runs `body` with the connection.
  func read<R>(_ body: (Database) throws -> R) throws(ArchiveError) -> R {
    try database.read { (database) throws(ArchiveError) -> R in
      do {
        return try body(database)
      } catch {
        throw .wrapping(error)
      }
    }
  }

  /// Studies that fulfil a condition, in the order they came.
  func studyIDs(where condition: String, _ values: [SQLiteValue]) throws(ArchiveError) -> [Int64] {
    try read { database in
      var ids: [Int64] = []
      try database.query("SELECT id FROM study WHERE \(condition) ORDER BY id", values: values) {
        ids.append($0.integer(0))
      }
      return ids
    }
  }

  private static let studySQL =
    "SELECT id, uid, \(IndexedAttribute.studyColumns.joined(separator: ", ")) FROM study WHERE id=?"
  private static let studyPositions =
    IndexedAttribute.positions(.patient) + IndexedAttribute.positions(.study)

  func study(_ id: Int64) throws(ArchiveError) -> StudyRow? {
    try read { database in
      try database.first(Self.studySQL, id) { row in
        StudyRow(
          id: row.integer(0), uid: row.text(1), values: Self.values(row, 2, Self.studyPositions))
      }
    }
  }

  private static let seriesSQL =
    "SELECT id, uid, \(IndexedAttribute.seriesColumns.joined(separator: ", ")) "
    + "FROM series WHERE study=? ORDER BY id"
  private static let seriesPositions = IndexedAttribute.positions(.series)

  func series(ofStudy study: Int64) throws(ArchiveError) -> [SeriesRow] {
    try read { database in
      try database.rows(Self.seriesSQL, study) { row in
        SeriesRow(
          id: row.integer(0), uid: row.text(1), values: Self.values(row, 2, Self.seriesPositions))
      }
    }
  }

  private static let instanceColumns =
    "SELECT id, uid, (SELECT text FROM word WHERE id=sop_class), "
    + "(SELECT text FROM word WHERE id=transfer_syntax), offset, length, "
    + IndexedAttribute.imageColumns.joined(separator: ", ") + " FROM instance "
  private static let instancePositions = IndexedAttribute.positions(.image)
  static let pageSize = 512
  /// More UIDs than this are looked for by reading the series instead.
  static let listLimit = 500

  /// A page of a series' instances after the one with a row id; of all, or of those in a list.
  func instances(
    ofSeries series: Int64, after last: Int64, among uids: Set<String>?
  ) throws(ArchiveError) -> [InstanceRow] {
    var values: [SQLiteValue] = [.integer(series), .integer(last)]
    var condition = "WHERE series=? AND id>? ORDER BY id LIMIT \(Self.pageSize)"
    if let uids, uids.count <= Self.listLimit {
      // The plus keeps SQLite from reading the whole series for a few UIDs.
      condition =
        "WHERE +series=? AND +id>? AND uid IN (\(Self.marks(uids.count))) ORDER BY id "
        + "LIMIT \(Self.pageSize)"
      values += uids.map { .text($0) }
    }
    return try read { database in
      var rows: [InstanceRow] = []
      try database.query(Self.instanceColumns + condition, values: values) { row in
        rows.append(
          InstanceRow(
            id: row.integer(0), uid: row.text(1), sopClass: row.text(2),
            transferSyntax: row.text(3), offset: row.int(4), length: row.int(5),
            values: Self.values(row, 6, Self.instancePositions)))
      }
      return rows
    }
  }

  /// Instances by their UIDs, at most ``listLimit``, in the order they came.
  func instances(_ uids: [String]) throws(ArchiveError) -> [InstanceRow] {
    let condition = "WHERE uid IN (\(Self.marks(uids.count))) ORDER BY id"
    return try read { database in
      var rows: [InstanceRow] = []
      try database.query(
        Self.instanceColumns + condition, values: uids.map { .text($0) }
      ) { row in
        rows.append(
          InstanceRow(
            id: row.integer(0), uid: row.text(1), sopClass: row.text(2),
            transferSyntax: row.text(3), offset: row.int(4), length: row.int(5), values: []))
      }
      return rows
    }
  }

  /// The texts of the table `word` that a study's instances refer to by a column.
  func words(_ column: String, ofStudy study: Int64) throws(ArchiveError) -> [String] {
    try read { database in
      try database.rows(
        """
        SELECT DISTINCT text FROM series JOIN instance ON instance.series=series.id
        JOIN word ON word.id=\(column) WHERE series.study=? ORDER BY text
        """, study
      ) { $0.text(0) }
    }
  }

  func modalities(ofStudy study: Int64) throws(ArchiveError) -> [String] {
    try read { database in
      try database.rows(
        "SELECT DISTINCT modality FROM series WHERE study=? AND modality<>'' ORDER BY modality",
        study
      ) { $0.text(0) }
    }
  }

  func count(_ sql: String, _ value: any Bindable) throws(ArchiveError) -> Int {
    try read { try $0.count(sql, value) }
  }

  static func marks(_ count: Int) -> String {
    [String](repeating: "?", count: count).joined(separator: ",")
  }

  private static func values(
    _ row: borrowing Row, _ first: Int, _ positions: [Int]
  ) -> [String] {
    var values = [String](repeating: "", count: IndexedAttribute.all.count)
    for (offset, position) in positions.enumerated() { values[position] = row.text(first + offset) }
    return values
  }
}
