import DICOM
import SQLite

extension EmbeddedArchive: QueryProvider {
  /// Study Root and Patient Root queries (PS3.4 section C.6). Keys of every level at and above the
  /// one asked for match, whether or not the unique keys above are given.
  public func find(
    _ request: QueryRequest, emit: (DataSet) -> Bool
  ) throws(ServiceFailure) {
    let level = try Self.level(request)
    let query = ArchiveQuery(level, request.identifier)
    do throws(ArchiveError) {
      try flush()
      try reader.forEachMatch(query) { (match) throws(ArchiveError) -> Bool in
        emit(try answer(match, request.identifier, level))
      }
    } catch {
      throw ServiceFailure(.cannotUnderstand, "the archive's index cannot be read")
    }
  }

  static let models: [InformationModel] = [.studyRoot, .patientRoot, .patientStudyOnly]

  static func level(_ request: QueryRequest) throws(ServiceFailure) -> QueryLevel {
    guard models.contains(request.model) else {
      throw ServiceFailure(.sopClassNotSupported)
    }
    guard let level = request.level else {
      throw ServiceFailure(.dataSetDoesNotMatchSOPClass, "no Query/Retrieve Level (0008,0052)")
    }
    guard level != .patient || request.model != .studyRoot else {
      throw ServiceFailure(
        .dataSetDoesNotMatchSOPClass, "Study Root has no PATIENT level")
    }
    guard level.depth <= QueryLevel.study.depth || request.model != .patientStudyOnly else {
      throw ServiceFailure(
        .dataSetDoesNotMatchSOPClass, "Patient/Study Only has no \(level.rawValue) level")
    }
    return level
  }

  /// The requested attributes of a match. What the archive does not keep is returned empty.
  private func answer(
    _ match: ArchiveMatch, _ identifier: DataSet, _ level: QueryLevel
  ) throws(ArchiveError) -> DataSet {
    var answer = DataSet()
    var isASCII = true
    func set(_ tag: Tag, _ vr: VR, _ text: String) {
      if !text.utf8.allSatisfy({ $0 < 0x80 }) { isASCII = false }
      answer.set(DataElement(tag, vr, .bytes(AttributeText.encode(text, vr))))
    }
    for element in identifier.elements where !element.tag.isGroupLength {
      if element.tag == Self.characterSet { continue }
      if let position = IndexedAttribute.position(element.tag) {
        let attribute = IndexedAttribute.all[position]
        let values: [String]? =
          switch attribute.level {
          case .patient, .study: match.study.values
          case .series: match.series?.values
          case .image: match.instance?.values
          }
        let text = values?[position] ?? ""
        if attribute.vr == .US {
          let number = UInt16(text)
          answer.set(
            DataElement(
              attribute.tag, .US,
              .bytes(number.map { [UInt8(truncatingIfNeeded: $0), UInt8($0 >> 8)] } ?? [])))
        } else {
          set(attribute.tag, attribute.vr, attribute.level.depth <= level.depth ? text : "")
        }
      } else if let (vr, text) = try computed(element.tag, match) {
        set(element.tag, vr, text)
      } else if case .items = element.value {
        answer.set(DataElement(element.tag, .SQ, .items([])))
      } else {
        answer.set(DataElement(element.tag, element.vr, .bytes([])))
      }
    }
    // Always there (PS3.4 section C.4.1.1.3.2): the level, the keys that name the entity, and
    // where to retrieve it from.
    set(Tag(0x0008, 0x0052), .CS, level.rawValue)
    set(Tag(0x0008, 0x0054), .AE, configuration.aeTitle)
    if level != .patient { set(ArchiveQuery.studyUID, .UI, match.study.uid) }
    if let series = match.series { set(ArchiveQuery.seriesUID, .UI, series.uid) }
    if let instance = match.instance { set(ArchiveQuery.instanceUID, .UI, instance.uid) }
    if !isASCII { set(Self.characterSet, .CS, "ISO_IR 192") }
    return answer
  }

  private static let characterSet = Tag(0x0008, 0x0005)

  /// Attributes made by the archive. Counts are taken from the rows, never kept.
  private func computed(
    _ tag: Tag, _ match: ArchiveMatch
  ) throws(ArchiveError) -> (VR, String)? {
    let study = match.study.id
    let patient = match.study.values[ArchiveReader.patientPosition]
    switch tag.packed {
    case 0x0008_0052, 0x0008_0054: return (.AE, "")
    case 0x0008_0056: return (.CS, "ONLINE")
    case 0x0020_000D: return (.UI, match.study.uid)
    case 0x0020_000E: return (.UI, match.series?.uid ?? "")
    case 0x0008_0018: return (.UI, match.instance?.uid ?? "")
    case 0x0008_0016: return (.UI, match.instance?.sopClass ?? "")
    case 0x0008_3002: return (.UI, match.instance?.transferSyntax ?? "")
    case 0x0008_0061: return (.CS, try reader.modalities(ofStudy: study).joined(separator: "\\"))
    case 0x0008_0062:
      return (.UI, try reader.words("sop_class", ofStudy: study).joined(separator: "\\"))
    case 0x0020_1206:
      return (.IS, try count("FROM series WHERE study=?", study))
    case 0x0020_1208:
      return (
        .IS,
        try count("FROM series JOIN instance ON instance.series=series.id WHERE study=?", study)
      )
    case 0x0020_1209:
      guard let series = match.series else { return (.IS, "") }
      return (.IS, try count("FROM instance WHERE series=?", series.id))
    case 0x0020_1200: return (.IS, try count("FROM study WHERE patient_id=?", patient))
    case 0x0020_1202:
      return (
        .IS,
        try count("FROM study JOIN series ON series.study=study.id WHERE patient_id=?", patient)
      )
    case 0x0020_1204:
      return (
        .IS,
        try count(
          """
          FROM study JOIN series ON series.study=study.id
          JOIN instance ON instance.series=series.id WHERE patient_id=?
          """, patient)
      )
    default: return nil
    }
  }

  private func count(_ from: String, _ value: any Bindable) throws(ArchiveError) -> String {
    String(try reader.count("SELECT count(*) \(from)", value))
  }
}

extension EmbeddedArchive: RetrieveProvider {
  /// The objects a C-MOVE or C-GET names by the unique keys of its level, and of those above where given.
  public func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance] {
    let level = try Self.level(request)
    let query = ArchiveQuery(level, request.identifier, uniqueKeysOnly: true)
    let (isGiven, name) =
      switch level {
      case .patient:
        (query.key(ArchiveQuery.patientID) != .universal, "Patient ID (0010,0020)")
      case .study: (query.studies != nil, "Study Instance UID (0020,000D)")
      case .series: (query.series != nil, "Series Instance UID (0020,000E)")
      case .image: (query.instances != nil, "SOP Instance UID (0008,0018)")
      }
    guard isGiven else {
      throw ServiceFailure(.dataSetDoesNotMatchSOPClass, "no \(name)")
    }
    var plan: [StoredInstance] = []
    do throws(ArchiveError) {
      try flush()
      try reader.forEachMatch(query.atImageLevel) { match in
        guard let instance = match.instance else { return true }
        let uid = UID(instance.uid)
        plan.append(
          StoredInstance(
            sopClass: UID(instance.sopClass), sopInstance: uid,
            transferSyntax: TransferSyntax(UID(instance.transferSyntax)),
            path: directory.object(uid), dataSetOffset: instance.offset,
            dataSetLength: instance.length))
        return true
      }
    } catch {
      throw ServiceFailure(
        .unableToCalculateMatches, "the archive's index cannot be read")
    }
    return plan
  }
}

extension ArchiveQuery {
  /// The same restrictions, for the objects below.
  fileprivate var atImageLevel: ArchiveQuery {
    var query = self
    query.level = .image
    return query
  }
}
