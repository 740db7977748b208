import Platform
import Synchronization
import Testing

@testable import DICOM
@testable import SyncCore

/// What the archive's queries match and return, found out by asking it: every attribute of the
/// dictionary is asked for at every level, and each that is answered is then given as a key.
struct StatementQueryTables {
  private typealias Tag = DICOM.Tag

  private let fixture: ArchiveFixture
  private let instance: StoredNames

  private struct StoredNames {
    let study: UID = "1.2.752.99.1"
    let series: UID = "1.2.752.99.1.1"
    let object: UID = "1.2.752.99.1.1.1"
  }

  /// Stores the one object that is asked for.
  init(_ fixture: ArchiveFixture) throws {
    self.fixture = fixture
    instance = StoredNames()
    var object = DataSet()
    object.set(.sopClassUID, SOPClass.ctImageStorage)
    object.set(.sopInstanceUID, instance.object)
    object.set(.studyInstanceUID, instance.study)
    object.set(.seriesInstanceUID, instance.series)
    for (index, attribute) in IndexedAttribute.all.enumerated() {
      if attribute.vr == .US {
        object.set(attribute.tag, uint16: UInt16(500 + index))
      } else {
        try object.set(attribute.tag, attribute.vr, Self.value(attribute.vr, index))
      }
    }
    let request = StoreRequest(
      association: ArchiveFixture.association, sopClass: SOPClass.ctImageStorage,
      sopInstance: instance.object, transferSyntax: .explicitVRLittleEndian)
    try fixture.store(object.encoded(as: .explicitVRLittleEndian), request)
  }

  private static func value(_ vr: VR, _ index: Int) -> String {
    switch vr {
    case .DA: "20261123"
    case .TM: "073000"
    case .IS: "\(index + 1)"
    case .PN: "Tolvansson^Tolvan"
    case .CS: "VALUE\(index)"
    default: "Value \(index)"
    }
  }

  func all() throws -> [(String, String)] {
    [
      ("query-keys", try keys()), ("query-levels", try levels()),
      ("retrieve-keys", try retrieveKeys()),
    ]
  }

  // MARK: - C-FIND

  private func find(_ level: QueryLevel, _ identifier: DataSet) throws -> [DataSet] {
    var answers: [DataSet] = []
    let request = QueryRequest(
      association: ArchiveFixture.association,
      model: level == .patient ? .patientRoot : .studyRoot, level: level, identifier: identifier)
    try fixture.archive.find(request) {
      answers.append($0)
      return true
    }
    return answers
  }

  private func matches(_ level: QueryLevel, _ tag: Tag, _ vr: VR, _ key: String) throws -> Bool {
    var identifier = DataSet()
    if vr == .US, !key.isEmpty {
      identifier.set(tag, uint16: UInt16(key) ?? 0)
    } else {
      identifier.setBytes(tag, vr, Array(key.utf8))
    }
    return try !find(level, identifier).isEmpty
  }

  private struct Answered {
    let vr: VR
    var returned: [QueryLevel] = []
    var matched: [QueryLevel] = []
    var kinds = ""
  }

  private func keys() throws -> String {
    var known: [Tag: Answered] = [:]
    var everything = DataSet()
    for tag in DataDictionary.tags
    where tag.group > 2 && !tag.isGroupLength && tag != .specificCharacterSet
      && tag != .queryRetrieveLevel && DataDictionary.vr(tag) != .SQ
    {
      everything.setEmpty(tag)
    }
    for level in QueryLevel.allCases {
      let answer = try #require(try find(level, everything).first)
      for element in answer.elements where element.tag != .queryRetrieveLevel {
        guard let value = answer.string(element.tag) else { continue }
        let (tag, vr) = (element.tag, element.vr)
        var entry = known[tag] ?? Answered(vr: vr)
        entry.returned.append(level)
        if try !matches(level, tag, vr, Self.other(vr)) {
          entry.matched.append(level)
          entry.kinds = try kinds(level, tag, vr, value)
        }
        known[tag] = entry
      }
    }
    var table = StatementTable("Tag", "Attribute", "VR", "Returned", "Matched", "Matching")
    for (tag, entry) in known.sorted(by: { $0.key < $1.key }) {
      table.add(
        "\(tag)", DataDictionary.entry(tag)?.keyword ?? "", entry.vr.rawValue,
        Self.text(entry.returned), Self.text(entry.matched), entry.kinds)
    }
    return table.text
  }

  /// A value that the object has not.
  private static func other(_ vr: VR) -> String {
    switch vr {
    case .DA: "19000101"
    case .TM: "0001"
    case .IS, .US: "999"
    case .UI: "1.2.3.4"
    default: "NOTHING"
    }
  }

  /// How a key matches whose value is the object's.
  private func kinds(
    _ level: QueryLevel, _ tag: Tag, _ vr: VR, _ value: String
  ) throws -> String {
    func isMatch(_ key: String) throws -> Bool { try matches(level, tag, vr, key) }
    var kinds: [String] = []
    if try isMatch(value) { kinds.append("single value") }
    if try isMatch(value.lowercased()) && isMatch(value.uppercased()),
      value.lowercased() != value.uppercased()
    {
      kinds.append("any case")
    }
    if try isMatch("\(Self.other(vr))\\\(value)") { kinds.append("list") }
    if try isMatch("\(value.prefix(1))*") && !isMatch("Q*") && isMatch("?\(value.dropFirst())") {
      kinds.append("wildcard")
    }
    if try isMatch("\(value)-") && isMatch("-\(value)") && !isMatch("-\(Self.other(vr))") {
      kinds.append("range")
    }
    if try isMatch("") { kinds.append("universal") }
    return kinds.joined(separator: ", ")
  }

  /// "STUDY" stands for that level and those below it.
  private static func text(_ levels: [QueryLevel]) -> String {
    guard let first = levels.first else { return "-" }
    let below = QueryLevel.allCases.filter { $0.depth >= first.depth }
    return levels == below
      ? (first == .image ? "IMAGE" : "\(first.rawValue) and below")
      : levels.map(\.rawValue).joined(separator: ", ")
  }

  private func levels() throws -> String {
    var table = StatementTable(
      "Query/Retrieve Level", "Patient Root", "Study Root", "Patient/Study Only")
    for level in QueryLevel.allCases {
      let cells = [InformationModel.patientRoot, .studyRoot, .patientStudyOnly].map { model in
        status {
          try EmbeddedArchive.level(
            QueryRequest(
              association: ArchiveFixture.association, model: model, level: level,
              identifier: DataSet()))
        }
      }
      table.add(level.rawValue, cells[0], cells[1], cells[2])
    }
    return table.text
  }

  private func status<Result>(_ body: () throws -> Result) -> String {
    do {
      _ = try body()
      return "yes"
    } catch {
      return (error as? ServiceFailure)?.status.code ?? "\(error)"
    }
  }

  // MARK: - C-MOVE and C-GET

  private func retrieveKeys() throws -> String {
    var table = StatementTable("Level", "Unique key", "Alone", "Without it", "Others are ignored")
    let names: [(QueryLevel, Tag, String)] = [
      (.patient, .patientID, "Value 0"), (.study, .studyInstanceUID, instance.study.value),
      (.series, .seriesInstanceUID, instance.series.value),
      (.image, .sopInstanceUID, instance.object.value),
    ]
    for (level, tag, value) in names {
      func plan(_ keys: [(Tag, VR, String)]) throws -> Int {
        var identifier = DataSet()
        for (tag, vr, key) in keys { identifier.setBytes(tag, vr, Array(key.utf8)) }
        return try fixture.archive.plan(
          QueryRequest(
            association: ArchiveFixture.association,
            model: level == .patient ? .patientRoot : .studyRoot, level: level,
            identifier: identifier)
        ).count
      }
      let key = (tag, level == .patient ? VR.LO : .UI, value)
      let isIgnored = try plan([key, (.accessionNumber, .SH, "NOTHING")]) == 1
      table.add(
        level.rawValue, "\(tag) \(DataDictionary.entry(tag)?.keyword ?? "")",
        try plan([key]) == 1 ? "yes" : "no", status { try plan([]) }, isIgnored ? "yes" : "no")
    }
    return table.text
  }
}

/// The identifiers that a source is asked by, as they arrive at one.
struct StatementSourceTables {
  private final class Recorder: QueryProvider {
    let asked = Mutex<[DataSet]>([])

    func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {
      asked.withLock { $0.append(request.identifier) }
      var match = request.identifier
      match.set(.studyInstanceUID, UID("1.2.752.99.1"))
      match.set(.seriesInstanceUID, UID("1.2.752.99.1.1"))
      match.set(.sopInstanceUID, UID("1.2.752.99.1.1.1"))
      // So that the title is asked for.
      if request.level == .series { match.setBytes(.modality, .CS, Array("KO".utf8)) }
      _ = emit(match)
    }
  }

  /// - Parameter storage: where the objects of a C-GET would go; without one none is meant.
  func all(storage: any StorageProvider) throws -> [(String, String)] {
    let recorder = Recorder()
    let server = try DICOMServer(
      on: .tcp(host: "127.0.0.1", port: 0), configuration: ServerConfiguration(aeTitle: "SOURCE"),
      services: DICOMServices(query: recorder))
    server.start()
    defer { server.stop() }
    let address = PeerAddress(
      host: "127.0.0.1", port: server.port, calledAE: "SOURCE", callingAE: "VGRSECTEMP")
    let peer = DIMSEPeer(
      DIMSEPeer.Options(
        name: "source", address: address, destination: "VGRSECTEMP", retrieve: .get),
      storage: storage)
    _ = try peer.studies(number: "SE00000000000001", stop: Gate())
    _ = try peer.objects(of: "1.2.752.99.1", stop: Gate())
    _ = try peer.patient(of: "1.2.752.99.1", stop: Gate())

    var table = StatementTable("For", "Level", "Keys that match", "Asked for")
    let purposes = [
      "the study of an examination number", "the series of a study",
      "the objects of a series (1)", "the patient of a study",
    ]
    let asked = recorder.asked.withLock { $0 }
    try #require(asked.count == purposes.count)
    for (purpose, identifier) in zip(purposes, asked) {
      var given: [String] = []
      var wanted: [String] = []
      for element in identifier.elements where element.tag != .queryRetrieveLevel {
        let name = "\(element.tag) \(DataDictionary.entry(element.tag)?.keyword ?? "")"
        if case .items(let items) = element.value {
          let inner = items.flatMap(\.elements).map {
            "\($0.tag) \(DataDictionary.entry($0.tag)?.keyword ?? "")"
          }
          wanted.append("\(name) > \(inner.joined(separator: ", "))")
        } else if identifier.string(element.tag) == nil {
          wanted.append(name)
        } else {
          given.append(name)
        }
      }
      table.add(
        purpose, identifier.queryLevel?.rawValue ?? "", given.joined(separator: ", "),
        wanted.joined(separator: ", "))
    }
    return [("source-queries", table.text)]
  }
}
