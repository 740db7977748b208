import DICOM
import SQLite

/// A study as the archive holds it.
public struct ArchivedStudy: Hashable, Sendable {
  public let uid: UID
  public let accession: String
  public let patientID: String
  /// Sorted, without repeats.
  public let modalities: [String]
  public let seriesCount: Int
  public let instanceCount: Int
}

/// The objects of a series: sorted, so that two sets are compared in one pass.
public struct ArchivedSeries: Hashable, Sendable {
  public let uid: UID
  public let modality: String
  public let instances: [UID]
}

/// Another object that came under the UID of one already there.
public struct ArchiveConflict: Hashable, Sendable {
  public let sopInstance: UID
  public let study: UID
  /// Several may come under one UID: from 1.
  public let number: Int
  public let source: String
  /// Milliseconds since 1970.
  public let received: Int64
  /// Where it is kept.
  public let path: String
}

/// The archive in numbers.
public struct ArchiveStatistics: Hashable, Sendable {
  public let objects: Int
  /// The size of their files.
  public let bytes: Int64
  public let conflicts: Int
  /// Left on the file system for the archive, before ``EmbeddedArchive/Configuration/minimumFree``.
  public let freeBytes: Int64
}

/// Every call first waits until what was acknowledged before it is durable and indexed.
extension EmbeddedArchive {
  /// The study with a Study Instance UID.
  public func study(_ uid: UID) throws(ArchiveError) -> ArchivedStudy? {
    try studies("uid=?", uid.value).first
  }

  /// The studies with an Accession Number. Several means that it is ambiguous.
  public func studies(accession: String) throws(ArchiveError) -> [ArchivedStudy] {
    try studies("accession=?", accession)
  }

  private func studies(_ condition: String, _ value: String) throws(ArchiveError) -> [ArchivedStudy]
  {
    try flush()
    return try reader.read { database in
      try database.rows(
        """
        SELECT uid, accession, patient_id,
          (SELECT group_concat(modality, '\\') FROM (SELECT DISTINCT modality FROM series
            WHERE study=study.id AND modality<>'' ORDER BY modality)),
          (SELECT count(*) FROM series WHERE study=study.id),
          (SELECT count(*) FROM series JOIN instance ON instance.series=series.id
            WHERE study=study.id)
        FROM study WHERE \(condition) ORDER BY id
        """, value
      ) { row in
        ArchivedStudy(
          uid: UID(row.text(0)), accession: row.text(1), patientID: row.text(2),
          modalities: row.text(3).split(separator: "\\").map(String.init),
          seriesCount: row.int(4), instanceCount: row.int(5))
      }
    }
  }

  /// What the archive has of a study, series by series in the order of their UIDs. Empty when it
  /// has nothing.
  public func instanceUIDs(study: UID) throws(ArchiveError) -> [ArchivedSeries] {
    try flush()
    return try reader.read { database in
      let series = try database.rows(
        """
        SELECT series.id, series.uid, modality FROM study JOIN series ON series.study=study.id
        WHERE study.uid=? ORDER BY series.uid
        """, study.value
      ) { (id: $0.integer(0), uid: UID($0.text(1)), modality: $0.text(2)) }
      return try series.map { series in
        let instances = try database.rows("SELECT uid FROM instance WHERE series=?", series.id) {
          UID($0.text(0))
        }
        return ArchivedSeries(
          uid: series.uid, modality: series.modality, instances: instances.sorted())
      }
    }
  }

  /// Whether the archive has an object.
  public func contains(_ sopInstance: UID) throws(ArchiveError) -> Bool {
    try flush()
    return try reader.count("SELECT count(*) FROM instance WHERE uid=?", sopInstance.value) > 0
  }

  /// The file of an object that ``instanceUIDs(study:)`` named.
  public func path(of sopInstance: UID) -> String { directory.object(sopInstance) }

  /// Conflicts, the newest first; of one study, or of all.
  public func conflicts(
    study: UID? = nil, limit: Int = 1000
  ) throws(ArchiveError) -> [ArchiveConflict] {
    try flush()
    return try reader.read { [directory] database in
      try database.rows(
        """
        SELECT uid, study, number, text, received FROM conflict JOIN word ON word.id=source
        WHERE ?1 IS NULL OR study=?1 ORDER BY received DESC, uid, number LIMIT ?2
        """, study?.value, limit
      ) { row in
        let uid = UID(row.text(0))
        return ArchiveConflict(
          sopInstance: uid, study: UID(row.text(1)), number: row.int(2), source: row.text(3),
          received: row.integer(4), path: directory.conflict(uid, row.int(2)))
      }
    }
  }

  public func statistics() throws(ArchiveError) -> ArchiveStatistics {
    try flush()
    let free: Int64
    do {
      free = try directory.space().free
    } catch {
      throw .system(error)
    }
    return try reader.read { database in
      ArchiveStatistics(
        objects: try database.count("SELECT value FROM state WHERE key='objects'"),
        bytes: Int64(try database.count("SELECT value FROM state WHERE key='bytes'")),
        conflicts: try database.count("SELECT count(*) FROM conflict"), freeBytes: free)
    }
  }
}
