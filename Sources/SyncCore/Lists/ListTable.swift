/// The rows of one file by the meaning of their columns, with everything refused that a spreadsheet
/// or a cut file does to identifiers.
struct ListTable {
  private(set) var rows: [ListRow] = []
  private(set) var refused: [RefusedRow] = []
  private let columns: [String: Int]
  private let width: Int
  private let numberLength: Int
  private var seen: [String: Int] = [:]

  typealias Failure = CSVReader.Failure

  init(heading: [String], drop: Configuration.CSVDrop) throws(Failure) {
    var places: [String: Int] = [:]
    for (index, name) in heading.enumerated() {
      let name = Self.trimmed(name).lowercased()
      if name.isEmpty { continue }
      guard places[name] == nil else {
        // Not named: where the headings are missing, this is somebody's row.
        throw Failure(
          line: 1, message: "columns \(places[name]! + 1) and \(index + 1) have the same name")
      }
      places[name] = index
    }
    var columns: [String: Int] = [:]
    for (meaning, name) in drop.columns {
      if let place = places[name.lowercased()] { columns[meaning] = place }
    }
    guard columns["examination"] != nil else {
      // Only names from the configuration: where the headings are missing, the others are data.
      let known = columns.sorted { $0.value < $1.value }.compactMap { drop.columns[$0.key] }
      throw Failure(
        line: 1,
        message: "none of the \(heading.count) columns is named "
          + "\(drop.columns["examination"] ?? "?"); those known are: "
          + (known.isEmpty ? "none; has it a line of headings?" : known.joined(separator: ", ")))
    }
    self.columns = columns
    width = heading.count
    numberLength = drop.numberLength
  }

  mutating func add(_ fields: [String], line: Int) throws(Failure) {
    guard fields.count == width else {
      throw Failure(
        line: line, message: "\(fields.count) fields, but the heading has \(width): cut or damaged")
    }
    func value(_ meaning: String) -> String? {
      columns[meaning].flatMap {
        let text = Self.trimmed(fields[$0])
        return text.isEmpty ? nil : text
      }
    }
    for meaning in ["examination", "referral", "patient_id", "study_uid"] {
      if let text = value(meaning), let damage = Self.spreadsheetDamage(text, meaning) {
        throw Failure(line: line, message: "the \(meaning) \(damage)")
      }
    }
    guard let number = value("examination") else {
      refused.append(RefusedRow(line: line, reason: "no examination number"))
      return
    }
    // What an Accession Number (SH) cannot hold can match nothing.
    guard number.unicodeScalars.count <= 16 else {
      refused.append(RefusedRow(line: line, reason: "the examination number is longer than 16"))
      return
    }
    guard number.unicodeScalars.allSatisfy({ $0.value >= 0x20 && $0.value != 0x7F }) else {
      refused.append(
        RefusedRow(line: line, reason: "the examination number has a control character"))
      return
    }
    if numberLength > 0, number.count != numberLength {
      throw Failure(
        line: line,
        message: "an examination number of \(number.count) characters, not \(numberLength): "
          + "have zeros been lost?")
    }
    let row = ListRow(
      examination: number, referral: value("referral"), studyUID: value("study_uid"),
      patientID: value("patient_id"), status: value("status"), modality: value("modality"),
      description: value("description"), careUnit: value("care_unit"),
      scheduled: value("scheduled"), priority: value("priority"))
    if let first = seen[number] {
      guard rows[first] == row else {
        throw Failure(
          line: line, message: "an examination that stands on another line with other content")
      }
      return
    }
    seen[number] = rows.count
    rows.append(row)
  }

  private static func trimmed(_ text: String) -> String {
    guard let first = text.utf8.first, let last = text.utf8.last else { return text }
    if first > 0x20, last > 0x20 { return text }
    let bytes = Array(text.utf8)
    let start = bytes.firstIndex { $0 != 0x20 && $0 != 0x09 } ?? bytes.count
    let end = (bytes.lastIndex { $0 != 0x20 && $0 != 0x09 } ?? start - 1) + 1
    return String(decoding: bytes[start..<max(start, end)], as: UTF8.self)
  }

  /// What a spreadsheet or a wrong encoding has done to an identifier, if anything.
  private static func spreadsheetDamage(_ text: String, _ meaning: String) -> String? {
    let bytes = Array(text.utf8)
    func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }
    if text.unicodeScalars.contains("\u{FFFD}") {
      return "has a character that cannot be read: is the encoding the one configured?"
    }
    guard let first = bytes.first, isDigit(first) else { return nil }
    if meaning != "study_uid", let e = bytes.firstIndex(where: { $0 | 0x20 == 0x65 }),
      e + 2 < bytes.count, bytes[e + 1] == UInt8(ascii: "+") || bytes[e + 1] == UInt8(ascii: "-"),
      bytes[..<e].allSatisfy({ isDigit($0) || $0 == 0x2C || $0 == 0x2E }),
      bytes[(e + 2)...].allSatisfy(isDigit)
    {
      return "has become a number in a spreadsheet (1,23E+08): export it as text"
    }
    if meaning != "study_uid", let mark = bytes.firstIndex(where: { $0 == 0x2C || $0 == 0x2E }),
      mark + 1 < bytes.count, bytes[(mark + 1)...].allSatisfy({ $0 == 0x30 }),
      bytes[..<mark].allSatisfy(isDigit)
    {
      return "has become a number with a fraction in a spreadsheet: export it as text"
    }
    return nil
  }
}
