/// The rows of one file by the meaning of their columns, with everything refused that a spreadsheet
/// or a cut file does to identifiers.
struct ListTable {
  private var collected: RowCollector
  private let columns: Columns
  /// The columns in which a spreadsheet does damage, with their names.
  private let identifiers: [(place: Int, name: String)]
  private let width: Int

  var rows: ListRows { collected.rows }
  var refused: [RefusedRow] { collected.refused }
  var repeated: Int { collected.repeated }

  typealias Failure = CSVReader.Failure

  /// Where in a row each value stands.
  private struct Columns {
    var examination: Int
    var referral, studyUID, patientID, status, modality, description: Int?
    var careUnit, scheduled, priority, patientName: Int?
  }

  init(heading: [String], drop: Configuration.CSVDrop) throws(Failure) {
    var places: [String: Int] = [:]
    for (index, name) in heading.enumerated() {
      let name = Self.trimmed(name).lowercased()
      if name.isEmpty { continue }
      // Names from the file stay out of the errors: without headings, they are a patient's.
      guard places[name] == nil else {
        throw Failure(line: 1, message: "column \(index + 1) is named like another one")
      }
      places[name] = index
    }
    func place(_ meaning: String) -> Int? {
      drop.columns[meaning].flatMap { places[$0.lowercased()] }
    }
    guard let examination = place("examination") else {
      throw Failure(
        line: 1,
        message: "none of the \(heading.count) columns is named "
          + "\(drop.columns["examination"] ?? "?"): is it the line with their names, and is the "
          + "separator right?")
    }
    columns = Columns(
      examination: examination, referral: place("referral"), studyUID: place("study_uid"),
      patientID: place("patient_id"), status: place("status"), modality: place("modality"),
      description: place("description"), careUnit: place("care_unit"),
      scheduled: place("scheduled"), priority: place("priority"), patientName: place("patient_name")
    )
    identifiers = ["examination", "referral", "patient_id"].compactMap { meaning in
      place(meaning).map { ($0, drop.columns[meaning] ?? meaning) }
    }
    width = heading.count
    collected = RowCollector(numberLength: drop.numberLength)
  }

  mutating func add(_ fields: [String], line: Int) throws(Failure) {
    guard fields.count == width else {
      throw Failure(
        line: line, message: "\(fields.count) fields, but the heading has \(width): cut or damaged")
    }
    func value(_ place: Int?) -> String? {
      guard let place else { return nil }
      let text = Self.trimmed(fields[place])
      return text.isEmpty ? nil : text
    }
    for (place, name) in identifiers {
      if let text = value(place), let damage = Self.spreadsheetDamage(text) {
        throw Failure(line: line, message: "the \(name) \(damage)")
      }
    }
    let row = ListRow(
      examination: value(columns.examination) ?? "", referral: value(columns.referral),
      studyUID: value(columns.studyUID),
      patientID: value(columns.patientID), status: value(columns.status),
      modality: value(columns.modality), description: value(columns.description),
      careUnit: value(columns.careUnit), scheduled: value(columns.scheduled),
      priority: value(columns.priority), patientName: value(columns.patientName))
    do throws(RowCollector.Fault) {
      try collected.add(row, line: line)
    } catch {
      throw Failure(line: error.line, message: error.message)
    }
  }

  /// Looks at the rows together, once all are there.
  func check() throws(Failure) {
    do throws(RowCollector.Fault) {
      try collected.check(name: identifiers[0].name)
    } catch {
      throw Failure(line: error.line, message: error.message)
    }
  }

  private static func trimmed(_ text: String) -> String {
    guard let first = text.utf8.first, let last = text.utf8.last else { return text }
    if first > 0x20, last > 0x20 { return text }
    let bytes = Array(text.utf8)
    let start = bytes.firstIndex { $0 != 0x20 && $0 != 0x09 } ?? bytes.count
    let end = (bytes.lastIndex { $0 != 0x20 && $0 != 0x09 } ?? start - 1) + 1
    return String(decoding: bytes[start..<max(start, end)], as: UTF8.self)
  }

  /// What a spreadsheet has done to an identifier, if anything.
  private static func spreadsheetDamage(_ text: String) -> String? {
    func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    // Most identifiers are digits alone, or do not begin with one.
    guard let first = text.utf8.first, isDigit(first), !text.utf8.allSatisfy(isDigit) else {
      return nil
    }
    let bytes = Array(text.utf8)
    if let e = bytes.firstIndex(where: { $0 | 0x20 == 0x65 }),
      // Identifiers become large numbers, never small ones: E- is not a spreadsheet's doing.
      e + 2 < bytes.count, bytes[e + 1] == UInt8(ascii: "+"),
      bytes[..<e].allSatisfy({ isDigit($0) || $0 == 0x2C || $0 == 0x2E }),
      bytes[(e + 2)...].allSatisfy(isDigit)
    {
      return "has become a number in a spreadsheet (1,23E+08): export it as text"
    }
    if let mark = bytes.firstIndex(where: { $0 == 0x2C || $0 == 0x2E }), mark + 1 < bytes.count,
      bytes[..<mark].allSatisfy(isDigit), bytes[(mark + 1)...].allSatisfy({ $0 == 0x30 })
    {
      return "has become a number with a fraction in a spreadsheet: export it as text"
    }
    return nil
  }
}
