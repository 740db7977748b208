import DICOM
import SQLite

/// A C-FIND or C-MOVE identifier, read: what must match, and what is asked for.
struct ArchiveQuery {
  var level: QueryLevel
  /// Nil where the identifier does not restrict it.
  private(set) var studies: Set<String>?
  private(set) var series: Set<String>?
  private(set) var instances: Set<String>?
  private(set) var sopClasses: AttributeMatching = .universal
  private(set) var modalitiesInStudy: AttributeMatching = .universal
  private(set) var sopClassesInStudy: AttributeMatching = .universal
  /// By position in ``IndexedAttribute/all``.
  private(set) var keys: [(position: Int, matching: AttributeMatching)] = []

  static let studyUID = Tag(0x0020, 0x000D)
  static let seriesUID = Tag(0x0020, 0x000E)
  static let instanceUID = Tag(0x0008, 0x0018)
  static let sopClassUID = Tag(0x0008, 0x0016)
  static let modalitiesInStudyTag = Tag(0x0008, 0x0061)
  static let sopClassesInStudyTag = Tag(0x0008, 0x0062)
  static let patientID = Tag(0x0010, 0x0020)

  /// - Parameter uniqueKeysOnly: for C-MOVE, whose identifier has nothing else (PS3.4 section
  ///   C.4.2.2.1).
  init(_ level: QueryLevel, _ identifier: DataSet, uniqueKeysOnly: Bool = false) {
    self.level = level
    let characterSet = identifier.bytes(Tag(0x0008, 0x0005)) ?? []
    func uids(_ tag: Tag) -> Set<String>? {
      let text = identifier.bytes(tag).map {
        AttributeText.decode($0, .UI, characterSet: [])
      }
      if case .anyOf(let list)? = text.map({ AttributeMatching(.UI, $0) }) { return list }
      return nil
    }
    func matching(_ tag: Tag, _ vr: VR) -> AttributeMatching {
      guard let bytes = identifier.bytes(tag) else { return .universal }
      if vr == .US {
        return bytes.count < 2 ? .universal : .number(Int(bytes[0]) | Int(bytes[1]) << 8)
      }
      return AttributeMatching(vr, AttributeText.decode(bytes, vr, characterSet: characterSet))
    }
    if level != .patient { studies = uids(Self.studyUID) }
    if level == .series || level == .image { series = uids(Self.seriesUID) }
    if level == .image { instances = uids(Self.instanceUID) }
    for (position, attribute) in IndexedAttribute.all.enumerated()
    where attribute.level.depth <= level.depth {
      if uniqueKeysOnly, attribute.tag != Self.patientID { continue }
      let matching = matching(attribute.tag, attribute.vr)
      if matching != .universal { keys.append((position, matching)) }
    }
    if uniqueKeysOnly { return }
    if level == .image { sopClasses = matching(Self.sopClassUID, .UI) }
    if level != .patient {
      modalitiesInStudy = matching(Self.modalitiesInStudyTag, .CS)
      sopClassesInStudy = matching(Self.sopClassesInStudyTag, .UI)
    }
  }

  func key(_ tag: Tag) -> AttributeMatching {
    keys.first { IndexedAttribute.all[$0.position].tag == tag }?.matching ?? .universal
  }

  /// Whether the keys of some levels match an entity's values.
  func matches(_ values: [String], _ levels: QueryLevel...) -> Bool {
    keys.allSatisfy { key in
      !levels.contains(IndexedAttribute.all[key.position].level)
        || key.matching.matches(values[key.position])
    }
  }
}

extension QueryLevel {
  var depth: Int {
    switch self {
    case .patient: 0
    case .study: 1
    case .series: 2
    case .image: 3
    }
  }
}

extension DataSet {
  func bytes(_ tag: Tag) -> [UInt8]? {
    if case .bytes(let bytes)? = self[tag]?.value { return bytes }
    return nil
  }
}

/// What a query walks over: the entities that match, from the study down to its level.
struct ArchiveMatch {
  let study: ArchiveReader.StudyRow
  var series: ArchiveReader.SeriesRow?
  var instance: ArchiveReader.InstanceRow?
}

extension ArchiveReader {
  /// Calls `body` with each match until it returns false. The connection is free during `body`.
  func forEachMatch(
    _ query: ArchiveQuery, _ body: (ArchiveMatch) throws(ArchiveError) -> Bool
  ) throws(ArchiveError) {
    var patients = Set<[String]>()
    for id in try candidates(query) {
      guard let study = try study(id), query.studies?.contains(study.uid) ?? true,
        query.matches(study.values, .patient, .study)
      else { continue }
      if query.modalitiesInStudy != .universal {
        guard query.modalitiesInStudy.matchesAny(try modalities(ofStudy: id)) else { continue }
      }
      if query.sopClassesInStudy != .universal {
        let classes = try words("sop_class", ofStudy: id)
        guard query.sopClassesInStudy.matchesAny(classes) else { continue }
      }
      switch query.level {
      case .patient:
        // One answer a patient, from the newest study that matches.
        let identity = [study.values[Self.patientPosition], study.values[Self.issuerPosition]]
        guard patients.insert(identity).inserted else { continue }
        guard try body(ArchiveMatch(study: study)) else { return }
      case .study:
        guard try body(ArchiveMatch(study: study)) else { return }
      case .series, .image:
        guard try forEachSeries(study, query, body) else { return }
      }
    }
  }

  static let patientPosition = IndexedAttribute.position(ArchiveQuery.patientID)!
  static let issuerPosition = IndexedAttribute.position(Tag(0x0010, 0x0021))!

  private func forEachSeries(
    _ study: StudyRow, _ query: ArchiveQuery, _ body: (ArchiveMatch) throws(ArchiveError) -> Bool
  ) throws(ArchiveError) -> Bool {
    for series in try series(ofStudy: study.id) {
      guard query.series?.contains(series.uid) ?? true, query.matches(series.values, .series)
      else { continue }
      var match = ArchiveMatch(study: study, series: series)
      if query.level == .series {
        guard try body(match) else { return false }
        continue
      }
      var last: Int64 = 0
      while true {
        let page = try instances(ofSeries: series.id, after: last, among: query.instances)
        for instance in page {
          guard query.instances?.contains(instance.uid) ?? true,
            query.sopClasses.matches(instance.sopClass), query.matches(instance.values, .image)
          else { continue }
          match.instance = instance
          guard try body(match) else { return false }
        }
        guard page.count == Self.pageSize, let end = page.last else { break }
        last = end.id
      }
    }
    return true
  }

  /// Studies that may match, by the most selective key there is an index for; else all.
  private func candidates(_ query: ArchiveQuery) throws(ArchiveError) -> [Int64] {
    if let uids = query.studies {
      return try lookUp(uids) { "uid IN (\($0))" }
    }
    if let uids = query.instances {
      return try lookUp(uids) {
        "id IN (SELECT study FROM series WHERE id IN (SELECT series FROM instance "
          + "WHERE uid IN (\($0))))"
      }
    }
    if let uids = query.series {
      return try lookUp(uids) { "id IN (SELECT study FROM series WHERE uid IN (\($0)))" }
    }
    if case .exact(let accession) = query.key(Tag(0x0008, 0x0050)) {
      return try studyIDs(where: "accession=?", [.text(accession)])
    }
    if case .exact(let patient) = query.key(ArchiveQuery.patientID) {
      return try studyIDs(where: "patient_id=?", [.text(patient)]).reversed()
    }
    if case .range(let from?, let to, false) = query.key(Tag(0x0008, 0x0020)) {
      // The bounds are digits; values with dots sort lower and are found by the digits of the year.
      return try studyIDs(
        where: "study_date>=? AND study_date<=?",
        [.text(String(from.prefix(4))), .text((to ?? "9999") + "~")])
    }
    let all = try studyIDs(where: "1", [])
    return query.level == .patient ? all.reversed() : all
  }

  /// Looks a list up in parts, as a statement takes only so many parameters. Sorted, no repeats.
  private func lookUp(
    _ uids: Set<String>, _ condition: (String) -> String
  ) throws(ArchiveError) -> [Int64] {
    var found = Set<Int64>()
    var rest = Array(uids)[...]
    while !rest.isEmpty {
      let part = rest.prefix(Self.listLimit)
      rest = rest.dropFirst(Self.listLimit)
      found.formUnion(
        try studyIDs(where: condition(Self.marks(part.count)), part.map { .text($0) }))
    }
    return found.sorted()
  }
}
