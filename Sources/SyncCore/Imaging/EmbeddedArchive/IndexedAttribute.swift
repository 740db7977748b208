import DICOM

/// An attribute the index keeps, and which queries can match and return.
struct IndexedAttribute: Sendable {
  let tag: Tag
  let vr: VR
  /// Where Query/Retrieve has it (PS3.4 section C.6).
  let level: QueryLevel
  /// Its column, in the table of its level; patients live in the table of studies.
  let column: String

  private init(_ tag: UInt32, _ vr: VR, _ level: QueryLevel, _ column: String) {
    self.tag = Tag(packed: tag)
    self.vr = vr
    self.level = level
    self.column = column
  }

  /// All that are text columns. Order is the order of ``ObjectHeader/values``.
  static let all: [IndexedAttribute] = [
    .init(0x0010_0020, .LO, .patient, "patient_id"),
    .init(0x0010_0021, .LO, .patient, "issuer"),
    .init(0x0010_0010, .PN, .patient, "patient_name"),
    .init(0x0010_0030, .DA, .patient, "birth_date"),
    .init(0x0010_0040, .CS, .patient, "sex"),

    .init(0x0008_0050, .SH, .study, "accession"),
    .init(0x0020_0010, .SH, .study, "study_id"),
    .init(0x0008_0020, .DA, .study, "study_date"),
    .init(0x0008_0030, .TM, .study, "study_time"),
    .init(0x0008_1030, .LO, .study, "study_description"),
    .init(0x0008_0090, .PN, .study, "referring_physician"),

    .init(0x0008_0060, .CS, .series, "modality"),
    .init(0x0020_0011, .IS, .series, "series_number"),
    .init(0x0008_103E, .LO, .series, "series_description"),
    .init(0x0008_0021, .DA, .series, "series_date"),
    .init(0x0008_0031, .TM, .series, "series_time"),
    .init(0x0018_0015, .CS, .series, "body_part"),
    .init(0x0018_1030, .LO, .series, "protocol"),
    .init(0x0008_0080, .LO, .series, "institution"),
    .init(0x0008_1010, .SH, .series, "station"),
    .init(0x0008_0070, .LO, .series, "manufacturer"),

    .init(0x0020_0013, .IS, .image, "instance_number"),
    .init(0x0008_0023, .DA, .image, "content_date"),
    .init(0x0008_0033, .TM, .image, "content_time"),
    .init(0x0028_0008, .IS, .image, "frames"),
    .init(0x0028_0010, .US, .image, "rows"),
    .init(0x0028_0011, .US, .image, "columns"),
  ]

  static func position(_ tag: Tag) -> Int? { positions[tag.packed] }
  private static let positions = Dictionary(
    uniqueKeysWithValues: all.enumerated().map { ($1.tag.packed, $0) })

  static let patientColumns = columns(.patient)
  static let studyColumns = columns(.patient) + columns(.study)
  static let seriesColumns = columns(.series)
  static let imageColumns = columns(.image)

  /// Positions in ``all``.
  static func positions(_ level: QueryLevel) -> [Int] {
    all.indices.filter { all[$0].level == level }
  }

  private static func columns(_ level: QueryLevel) -> [String] {
    all.filter { $0.level == level }.map(\.column)
  }
}

/// What the index needs to know of an object.
struct ObjectHeader: Sendable, Equatable {
  var sopClass: UID
  var sopInstance: UID
  var study: UID
  var series: UID
  /// The values of ``IndexedAttribute/all`` as text in UTF-8 without padding; empty when absent.
  var values: [String]

  init(sopClass: UID, sopInstance: UID, study: UID, series: UID, values: [String]? = nil) {
    self.sopClass = sopClass
    self.sopInstance = sopInstance
    self.study = study
    self.series = series
    self.values = values ?? [String](repeating: "", count: IndexedAttribute.all.count)
  }

  subscript(tag: Tag) -> String {
    get { IndexedAttribute.position(tag).map { values[$0] } ?? "" }
    set { if let position = IndexedAttribute.position(tag) { values[position] = newValue } }
  }
}

/// An object in its file.
struct ArchivedObject: Sendable, Equatable {
  var header: ObjectHeader
  var transferSyntax: TransferSyntax
  /// Where in the file the data set starts, and its bytes.
  var dataSetOffset: Int
  var dataSetLength: Int
  /// The AE title it came from.
  var source: String
  /// Milliseconds since 1970.
  var received: Int64
}
