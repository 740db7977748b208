import Platform

/// Delivers a list as the robots and report engines do: a CSV file with a trailer that proves it
/// whole, renamed into its folder.
public struct CSVDropWriter: Sendable {
  /// One examination on the list.
  public struct Row: Hashable, Sendable {
    public var examination: String
    public var referral: String
    public var studyUID: String
    public var patientID: String
    public var patientName: String
    public var status: String
    public var modality: String
    public var description: String
    public var careUnit: String
    public var scheduled: String
    public var priority: String

    public init(
      examination: String, referral: String = "", studyUID: String = "",
      patientID: String = "191212121212", patientName: String = "", status: String = "Klar",
      modality: String = "CT", description: String = "", careUnit: String = "",
      scheduled: String = "", priority: String = "Rutin"
    ) {
      self.examination = examination
      self.referral = referral
      self.studyUID = studyUID
      self.patientID = patientID
      self.patientName = patientName
      self.status = status
      self.modality = modality
      self.description = description
      self.careUnit = careUnit
      self.scheduled = scheduled
      self.priority = priority
    }

    /// The row that lists a phantom.
    public init(_ study: PhantomStudy, status: String = "Klar", priority: String = "Rutin") {
      let date = Array(study.date)
      self.init(
        examination: study.accessionNumber, referral: "R" + study.accessionNumber.dropFirst(4),
        studyUID: study.studyInstanceUID.value, patientID: study.patient.id,
        patientName: study.patient.name, status: status, description: study.description,
        scheduled: String(date[0..<4]) + "-" + String(date[4..<6]) + "-" + String(date[6..<8]),
        priority: priority)
    }

    fileprivate var fields: [String] {
      [
        examination, referral, studyUID, patientID, patientName, status, modality, description,
        careUnit, scheduled, priority,
      ]
    }
  }

  public enum Delivery: Sendable {
    case whole
    /// The last part is missing, as after a full disk or an interrupted copy.
    case truncated
  }

  /// The columns' headings, in the order of the rows' fields.
  public static let heading = [
    "US-nummer", "Remissnummer", "Study UID", "Personnummer", "Namn", "Status", "Modalitet",
    "Undersökning", "Vårdenhet", "Datum", "Prioritet",
  ]

  public let path: String

  public init(path: String) { self.path = path }

  /// Puts the file in its place at once.
  public func write(
    _ rows: [Row], _ delivery: Delivery = .whole, generatedAt: WallTime = .now
  ) throws(TrainingError) {
    var bytes = Self.bytes(rows, generatedAt: generatedAt)
    if delivery == .truncated { bytes.removeLast(bytes.count / 3) }
    try FileWriting.replace(path, with: bytes)
  }

  /// The file's bytes: UTF-8, semicolons, and the trailer over everything before it.
  public static func bytes(_ rows: [Row], generatedAt: WallTime) -> [UInt8] {
    var text = line(heading)
    for row in rows { text += line(row.fields) }
    let content = Array(text.utf8)
    let digest = SHA256.hex(SHA256.hash(content))
    return content
      + Array("#rows=\(rows.count);sha256=\(digest);generatedAt=\(generatedAt)\n".utf8)
  }

  private static func line(_ fields: [String]) -> String {
    fields.map { field in
      let needsQuotes = field.utf8.contains { [0x22, 0x3B, 0x0A, 0x0D].contains($0) }
      return needsQuotes ? "\"" + field.replacing("\"", with: "\"\"") + "\"" : field
    }.joined(separator: ";") + "\r\n"
  }
}
