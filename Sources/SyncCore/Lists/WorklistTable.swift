import DICOM
import Platform

/// The rows of a Modality Worklist's answers (PS3.4 section K.6.1.2.2), one an examination.
///
/// An answer is one scheduled procedure step. What the steps of one accession number tell is folded
/// such that it does not depend on the order in which they came: peers promise none.
struct WorklistTable {
  /// Why the answers as a whole prove nothing. Never patient data.
  struct Failure: Error {
    /// The answer in question, counted from one.
    var answer: Int
    var message: String
  }

  /// The days in which a step must begin, `YYYYMMDD`; nil: no bound on that side.
  struct Days: Hashable {
    var first: String?
    var last: String?

    /// Range matching (PS3.4 section C.2.2.2.5); empty for no bound at all.
    var key: String { first == nil && last == nil ? "" : "\(first ?? "")-\(last ?? "")" }

    func contains(_ day: String) -> Bool {
      if let first, day < first { return false }
      if let last, day > last { return false }
      return true
    }
  }

  /// More answers are no list that anybody works with.
  static let mostAnswers = 200_000
  /// Bytes of text in all the rows.
  static let mostText = 64 << 20

  private let mostAnswers: Int
  private(set) var answers = 0
  private(set) var refused: [RefusedRow] = []
  private let worklist: Configuration.Worklist
  private let days: Days
  private var entries: [Entry] = []
  private var places: [String: Int] = [:]
  private var text = 0

  private struct Entry {
    var row: ListRow
    var issuer: String?
    /// Steps stand in different states of which none is known to come first.
    var isStatusMixed = false
  }

  init(
    _ worklist: Configuration.Worklist, days: Days = Days(), mostAnswers: Int = Self.mostAnswers
  ) {
    self.worklist = worklist
    self.days = days
    self.mostAnswers = mostAnswers
  }

  /// What to ask for: all steps of the station, within the days.
  func identifier() throws(DataSetError) -> DataSet {
    var step = DataSet()
    step.setEmpty(.modality)
    try step.set(.scheduledStationAETitle, worklist.station)
    try step.set(.scheduledProcedureStepStartDate, days.key)
    step.setEmpty(.scheduledProcedureStepStartTime)
    step.setEmpty(.scheduledProcedureStepDescription)
    step.setEmpty(.scheduledProcedureStepStatus)
    var identifier = DataSet()
    for tag: Tag in [
      .accessionNumber, .patientName, .patientID, .issuerOfPatientID, .studyInstanceUID,
      .requestedProcedureDescription, .requestedProcedureID, .requestedProcedurePriority,
    ] { identifier.setEmpty(tag) }
    if let tag = worklist.careUnit.tag { identifier.setEmpty(tag) }
    identifier.set(.scheduledProcedureStepSequence, items: [step])
    return identifier
  }

  /// The rows, in the order of their numbers.
  func rows() -> [ListRow] {
    entries.map(\.row).sorted {
      $0.examination.utf8.lexicographicallyPrecedes($1.examination.utf8)
    }
  }

  // MARK: - One answer

  mutating func add(_ answer: DataSet) throws(Failure) {
    answers += 1
    guard answers <= mostAnswers else {
      throw failure("more than \(mostAnswers) answers: no list is that long")
    }
    let steps = answer.items(.scheduledProcedureStepSequence)
    guard !steps.isEmpty else {
      throw failure("has no Scheduled Procedure Step Sequence (0040,0100)")
    }
    // A peer that does not match by the station would put every examination on this list.
    let ours = steps.filter { step in
      step.strings(.scheduledStationAETitle).contains {
        Self.trimmed($0) == Self.trimmed(worklist.station)
      }
    }
    guard !ours.isEmpty else {
      throw failure(
        "is not for the station \(worklist.station): the peer does not match by Scheduled Station "
          + "AE Title (0040,0001)")
    }
    var number: String?
    for step in ours {
      let day = Self.day(step)
      if let day, !days.contains(day) { continue }
      if number == nil {
        guard let usable = self.number(answer) else { return }
        number = usable
      }
      try add(step, day, of: answer, number!)
    }
  }

  /// Nil, and the refusal noted, where no examination can have this number.
  private mutating func number(_ answer: DataSet) -> String? {
    let values = answer.strings(.accessionNumber).map(Self.trimmed)
    let reason: String
    if values.allSatisfy(\.isEmpty) {
      reason = "no examination number"
    } else if values.count > 1 {
      reason = "several examination numbers"
    } else if values[0].unicodeScalars.contains(where: {
      $0.value < 0x20 || (0x7F...0x9F).contains($0.value)
    }) {
      reason = "a control character in the examination number"
    } else if values[0].unicodeScalars.contains("\u{FFFD}") {
      reason = "the examination number has characters outside its character set (0008,0005)"
    } else if values[0].unicodeScalars.count > 16 {
      // An Accession Number (SH) holds no more: such a row can match nothing.
      reason = "the examination number is longer than 16"
    } else {
      return values[0]
    }
    refused.append(RefusedRow(line: answers, reason: reason))
    return nil
  }

  private mutating func add(
    _ step: DataSet, _ day: String?, of answer: DataSet, _ number: String
  ) throws(Failure) {
    let row = ListRow(
      examination: number, referral: Self.value(answer, .requestedProcedureID),
      studyUID: Self.value(answer, .studyInstanceUID), patientID: Self.value(answer, .patientID),
      status: Self.value(step, .scheduledProcedureStepStatus),
      modality: Self.value(step, .modality),
      description: Self.value(answer, .requestedProcedureDescription)
        ?? Self.value(step, .scheduledProcedureStepDescription),
      careUnit: worklist.careUnit.tag.flatMap { Self.value(answer, $0) },
      scheduled: Self.scheduled(step, day),
      priority: Self.priority(Self.value(answer, .requestedProcedurePriority)),
      patientName: Self.name(answer))
    let issuer = Self.value(answer, .issuerOfPatientID)
    guard let place = places[number] else {
      text += Self.length(row)
      guard text <= Self.mostText else {
        throw failure("more than \(Self.mostText >> 20) MiB of text: no list is that long")
      }
      places[number] = entries.count
      entries.append(Entry(row: row, issuer: issuer))
      return
    }
    // The usual case of several steps, and no work.
    if entries[place].row == row, entries[place].issuer == issuer { return }
    try fold(row, issuer, into: &entries[place])
  }

  // MARK: - Several steps of one examination

  private func fold(
    _ row: ListRow, _ issuer: String?, into entry: inout Entry
  ) throws(Failure) {
    // What says which examination this is, and who may see it, has one value or none.
    entry.row.patientID = try agreed(entry.row.patientID, row.patientID, "Patient ID")
    entry.issuer = try agreed(entry.issuer, issuer, "Issuer of Patient ID")
    entry.row.studyUID = try agreed(entry.row.studyUID, row.studyUID, "Study Instance UID")
    entry.row.referral = try agreed(entry.row.referral, row.referral, "Requested Procedure ID")
    entry.row.careUnit = try agreed(entry.row.careUnit, row.careUnit, "care unit")
    entry.row.patientName = Self.least(entry.row.patientName, row.patientName)
    entry.row.priority = Self.mostUrgent(entry.row.priority, row.priority)
    foldStatus(row.status, &entry)
    // What a step tells of itself is that of the first one.
    func rank(_ row: ListRow) -> [String] {
      [row.scheduled ?? "\u{10FFFF}", row.modality ?? "", row.description ?? ""]
    }
    if rank(row).lexicographicallyPrecedes(rank(entry.row)) {
      entry.row.scheduled = row.scheduled
      entry.row.modality = row.modality
      entry.row.description = row.description
    }
  }

  private func agreed(
    _ known: String?, _ new: String?, _ name: String
  ) throws(Failure) -> String? {
    guard let known, let new else { return known ?? new }
    guard known == new else {
      throw failure("has another \(name) than an earlier answer with the same accession number")
    }
    return known
  }

  /// An examination is as far as the step that has come least far.
  private func foldStatus(_ new: String?, _ entry: inout Entry) {
    if entry.isStatusMixed || entry.row.status == new { return }
    let order = ["SCHEDULED", "ARRIVED", "READY", "STARTED", "DEPARTED", "COMPLETED"]
    guard let old = entry.row.status, let new, let first = order.firstIndex(of: old),
      let second = order.firstIndex(of: new)
    else {
      // Unknown: never sendable.
      entry.isStatusMixed = true
      entry.row.status = nil
      return
    }
    if second < first { entry.row.status = new }
  }

  private static func least(_ one: String?, _ other: String?) -> String? {
    guard let one, let other else { return one ?? other }
    return min(one, other)
  }

  private static func mostUrgent(_ one: String?, _ other: String?) -> String? {
    guard let one, let other else { return one ?? other }
    let (first, second) = (Priority(one), Priority(other))
    if first == second { return min(one, other) }
    guard let first else { return other }
    guard let second else { return one }
    return first > second ? one : other
  }

  // MARK: - Values

  /// Nil also where characters are not of the character set (0008,0005) that the answer names:
  /// peers are known to leave it out. Better no name than a wrong one.
  private static func value(_ dataSet: DataSet, _ tag: Tag) -> String? {
    guard let text = dataSet.string(tag), !text.unicodeScalars.contains("\u{FFFD}") else {
      return nil
    }
    let trimmed = trimmed(text)
    return trimmed.isEmpty ? nil : trimmed
  }

  private static func trimmed(_ text: String) -> String {
    guard text.utf8.first == 0x20 || text.utf8.last == 0x20 else { return text }
    let scalars = text.unicodeScalars
    guard let start = scalars.firstIndex(where: { $0 != " " }),
      let end = scalars.lastIndex(where: { $0 != " " })
    else { return "" }
    return String(scalars[start...end])
  }

  /// The alphabetic one of a name's representations (PS3.5 section 6.2.1).
  private static func name(_ answer: DataSet) -> String? {
    guard let name = value(answer, .patientName) else { return nil }
    let first = trimmed(String(name.prefix { $0 != "=" }))
    return first.isEmpty ? nil : first
  }

  /// `YYYYMMDD`; nil where it is absent or no date.
  private static func day(_ step: DataSet) -> String? {
    guard let date = value(step, .scheduledProcedureStepStartDate), date.utf8.count == 8,
      date.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
    else { return nil }
    return date
  }

  /// `2026-11-23 09:30`; a date or a time in no form that is known stays as it came.
  private static func scheduled(_ step: DataSet, _ day: String?) -> String? {
    let time = value(step, .scheduledProcedureStepStartTime)
    guard let day else {
      let parts = [value(step, .scheduledProcedureStepStartDate), time].compactMap { $0 }
      return parts.isEmpty ? nil : parts.joined(separator: " ")
    }
    let date = "\(day.prefix(4))-\(day.dropFirst(4).prefix(2))-\(day.dropFirst(6))"
    guard let time else { return date }
    let digits = time.prefix(4)
    guard digits.utf8.count == 4, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) else {
      return "\(date) \(time)"
    }
    return "\(date) \(digits.prefix(2)):\(digits.dropFirst(2))"
  }

  /// Our word for Requested Procedure Priority (PS3.3 section C.4.11); another one stays.
  private static func priority(_ word: String?) -> String? {
    switch word {
    case "STAT": Priority.stat.name
    case "HIGH": Priority.urgent.name
    case "ROUTINE", "MEDIUM", "LOW": Priority.routine.name
    default: word
    }
  }

  private static func length(_ row: ListRow) -> Int {
    [
      row.referral, row.studyUID, row.patientID, row.patientName, row.status, row.modality,
      row.description, row.careUnit, row.scheduled, row.priority,
    ].reduce(row.examination.utf8.count) { $0 + ($1?.utf8.count ?? 0) }
  }

  private func failure(_ message: String) -> Failure { Failure(answer: answers, message: message) }
}

extension Configuration.Worklist.CareUnit {
  var tag: Tag? {
    switch self {
    case .none: nil
    case .requestingService: Tag(0x0032, 0x1033)
    case .institutionName: .institutionName
    }
  }
}
