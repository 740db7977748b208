import Glibc
import HL7
import Platform

/// Makes the messages of an assignment for HL7 interfaces, in the profile that each is configured
/// for: ORM^O01 with ZDS in 2.3.1, or OMI^O23 with TQ1 and IPC in 2.5.1; reports are ORU^R01 in
/// either. docs/hl7.md has the fields.
public struct HL7Composer: MessageComposer {
  private let interfaces: [String: Configuration.HL7Interface]
  /// The HSA-id of a recipient's unit.
  private let unit: @Sendable (String) -> String?

  public init(
    interfaces: [Configuration.HL7Interface], unit: @escaping @Sendable (String) -> String?
  ) {
    self.interfaces = Dictionary(
      interfaces.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
    self.unit = unit
  }

  public func message(
    _ step: AssignmentStep, of assignment: AssignmentRecord, interface name: String,
    controlID: String, received: [UInt8]?, now: WallTime
  ) throws(MessageComposingError) -> [UInt8] {
    guard let interface = interfaces[name] else {
      throw MessageComposingError("the HL7 interface \(name) is not configured any more")
    }
    var draft = Draft(
      interface: interface, assignment: assignment, step: step, controlID: controlID, now: now,
      facility: unit(assignment.order.recipient) ?? interface.receivingFacility)
    if case .answer = step {
      guard let received else {
        throw MessageComposingError("the answer that was to be forwarded is not kept any more")
      }
      return try forwarded(received, draft)
    }
    do throws(HL7BuildError) {
      switch step {
      case .lock: try draft.order(control: "HD", status: "HD")
      case .forward: try draft.order(control: "NW", status: "SC")
      case .release: try draft.order(control: "RL", status: interface.releaseStatus)
      case .cancel: try draft.order(control: "CA", status: "CA", resultStatus: "X")
      case .priorReport(let place): try draft.report(of: assignment.order.priors[place])
      case .answer, .transfer, .priorTransfer: break
      }
    } catch {
      throw MessageComposingError(error.description)
    }
    return draft.builder.bytes
  }

  private func forwarded(
    _ received: [UInt8], _ draft: Draft
  ) throws(MessageComposingError) -> [UInt8] {
    let message: HL7Message
    do throws(HL7ParseError) {
      message = try HL7Message(parsing: received)
    } catch {
      throw MessageComposingError("the answer cannot be read: \(error)")
    }
    guard message.delimiters == .standard else {
      throw MessageComposingError("the answer uses other delimiters than |^~\\&")
    }
    var draft = draft
    do throws(HL7BuildError) {
      try draft.forward(message)
    } catch {
      throw MessageComposingError(error.description)
    }
    return draft.builder.bytes
  }
}

extension HL7CharacterSet {
  init(_ encoding: Configuration.HL7Interface.Encoding) {
    switch encoding {
    case .latin1: self = .latin1
    case .utf8: self = .utf8
    }
  }
}

/// One message in the making.
private struct Draft {
  typealias Field = HL7Builder.Field

  let interface: Configuration.HL7Interface
  let assignment: AssignmentRecord
  let step: AssignmentStep
  let controlID: String
  let time: String
  let facility: String
  var builder: HL7Builder

  private var order: SendOrder { assignment.order }
  private var facts: ExaminationFacts { assignment.order.examination }
  private var isOMI: Bool { interface.profile == .omi }

  init(
    interface: Configuration.HL7Interface, assignment: AssignmentRecord, step: AssignmentStep,
    controlID: String, now: WallTime, facility: String
  ) {
    self.interface = interface
    self.assignment = assignment
    self.step = step
    self.controlID = controlID
    self.facility = facility
    time = HL7Time.format(
      milliseconds: now.milliseconds, offset: Self.localOffset(now))
    builder = HL7Builder(HL7CharacterSet(interface.encoding))
  }

  private static func localOffset(_ time: WallTime) -> Int {
    var seconds = time_t(time.milliseconds / 1000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return parts.tm_gmtoff / 60
  }

  // MARK: - Messages

  mutating func order(
    control: String, status: String, resultStatus: String? = nil
  ) throws(HL7BuildError) {
    try header(isOMI ? ["OMI", "O23", "OMI_O23"] : ["ORM", "O01"])
    try patient()
    try commonOrder(control, status)
    if isOMI { try builder.segment("TQ1", [1: .text("1"), 9: .text(priorityCode)]) }
    try request(resultStatus)
    // To whoever reviews; at the origin it is of no use, and clinical text goes no further than
    // it must.
    if step == .forward, let message = order.message, !message.isEmpty {
      try builder.segment("NTE", [1: .text("1"), 3: .text(message)])
    }
    if isOMI {
      try builder.segment(
        "IPC",
        [
          1: .text(facts.key.number), 2: .text(facts.key.number),
          // Required, and there is none before the images: the explicit null.
          3: facts.studyUID.map { .text($0) } ?? .raw("\"\""), 4: .text(facts.key.number),
          5: .text(facts.modality ?? ""),
        ])
    } else if let uid = facts.studyUID {
      try builder.segment("ZDS", [1: .components([uid, "", "Application", "DICOM"])])
    }
  }

  mutating func report(of prior: PriorOrder) throws(HL7BuildError) {
    try header(isOMI ? ["ORU", "R01", "ORU_R01"] : ["ORU", "R01"])
    try patient()
    try builder.segment(
      "OBR",
      [
        1: .text("1"), 3: .text(prior.key.number), 4: .components(["", "Jämförelse"]),
        18: .text(prior.key.number), 19: .text(facts.referral ?? ""), 25: .text("F"),
      ])
    try builder.segment(
      "OBX",
      [
        1: .text("1"), 2: .text("FT"),
        3: .components(["18748-4", "Diagnostic imaging study", "LN"]), 4: .text("1"),
        5: .text(prior.report ?? ""), 11: .text("F"),
      ])
  }

  /// The answer goes back as it came, but for who speaks to whom, and what the order comes to.
  mutating func forward(_ message: HL7Message) throws(HL7BuildError) {
    try header(isOMI ? ["ORU", "R01", "ORU_R01"] : ["ORU", "R01"])
    let control: [Int: Field] = [
      1: .text("RE"), 2: .text(facts.referral ?? ""), 3: .text(facts.key.number), 5: .text("CM"),
    ]
    let hasControl = message.segments.contains { $0.name == "ORC" }
    for segment in message.segments.dropFirst() where !segment.bytes.isEmpty {
      switch segment.name {
      case "MSH", "MSA", "ERR", "DSC", "SFT": continue
      case "ORC": try copied(segment, message, replacing: control)
      case "OBR":
        if !hasControl { try builder.segment("ORC", control) }
        try copied(segment, message, replacing: [:])
      default: try copied(segment, message, replacing: [:])
      }
    }
  }

  private mutating func copied(
    _ segment: HL7Segment, _ message: HL7Message, replacing new: [Int: Field]
  ) throws(HL7BuildError) {
    var fields: [Int: Field] = [:]
    for number in 1...max(1, segment.fieldCount) {
      let bytes = Array(segment.field(number))
      if bytes.isEmpty { continue }
      // Delimiters and escapes stay; only the characters are those of the other set.
      fields[number] = .raw(message.characterSet.decode(bytes))
    }
    fields.merge(new) { _, new in new }
    try builder.segment(segment.name, fields)
  }

  // MARK: - Segments

  private mutating func header(_ type: [String]) throws(HL7BuildError) {
    try builder.segment(
      "MSH",
      [
        3: .text(interface.sendingApplication), 4: .text(interface.sendingFacility),
        5: .text(interface.receivingApplication),
        6: .text(step.goesToOrigin ? interface.receivingFacility : facility),
        7: .text(time), 9: .components(type), 10: .text(controlID), 11: .text("P"),
        12: .text(isOMI ? "2.5.1" : "2.3.1"),
        // MSH-15 and MSH-16 stay empty: they would ask for the enhanced mode.
        18: .text(interface.encoding.rawValue),
      ])
  }

  private mutating func patient() throws(HL7BuildError) {
    var name = (facts.patientName ?? "").split(
      separator: "^", omittingEmptySubsequences: false
    ).map(String.init)
    // DICOM has prefix before suffix, HL7 the other way round.
    if name.count > 3 {
      while name.count < 5 { name.append("") }
      name.swapAt(3, 4)
      name = Array(name.prefix(5))
    }
    try builder.segment(
      "PID",
      [
        1: .text("1"), 3: .components([facts.patientID ?? "", "", "", "", "PI"]),
        5: name.isEmpty ? .raw("\"\"") : .components(name), 7: .text(facts.birthDate ?? ""),
        8: .text(facts.sex ?? ""),
      ])
  }

  private mutating func commonOrder(
    _ control: String, _ status: String
  ) throws(HL7BuildError) {
    var fields: [Int: Field] = [
      1: .text(control), 2: .text(facts.referral ?? ""), 3: .text(facts.key.number),
      5: .text(status), 9: .text(time), 17: .text(facts.careUnit ?? ""),
    ]
    // Quantity/timing: only its priority. From 2.5 it is TQ1's.
    if !isOMI { fields[7] = .components(["", "", "", "", "", priorityCode]) }
    try builder.segment("ORC", fields)
  }

  private mutating func request(_ resultStatus: String?) throws(HL7BuildError) {
    var fields: [Int: Field] = [
      1: .text("1"), 2: .text(facts.referral ?? ""), 3: .text(facts.key.number),
      4: .components(["", facts.description ?? facts.key.number]),
      18: .text(facts.key.number), 19: .text(facts.referral ?? ""),
      24: .text(facts.modality ?? ""), 25: .text(resultStatus ?? ""),
    ]
    if !isOMI {
      fields[5] = .text(priorityCode)
      fields[27] = .components(["", "", "", "", "", priorityCode])
    }
    if order.kind == .review, let (name, number, component) = activityPlace, name == "OBR" {
      let texts = Array(repeating: "", count: component - 1) + [activity]
      fields[number] = .components(texts)
    }
    try builder.segment("OBR", fields)
    if order.kind == .review, let (name, number, component) = activityPlace, name != "OBR" {
      let texts = Array(repeating: "", count: component - 1) + [activity]
      try builder.segment(name, [number: .components(texts)])
    }
  }

  private var priorityCode: String {
    switch order.priority {
    case .routine: "R"
    case .urgent: "A"
    case .stat: "S"
    }
  }

  private var activity: String {
    order.review == .primary ? interface.primaryActivity : interface.secondReadingActivity
  }

  /// `OBR-20` or `OBR-4.2`.
  private var activityPlace: (String, Int, Int)? {
    let parts = interface.activityField.split(separator: "-")
    guard parts.count == 2 else { return nil }
    let numbers = parts[1].split(separator: ".").compactMap { Int($0) }
    guard let field = numbers.first, field > 0 else { return nil }
    return (String(parts[0]), field, max(1, numbers.count > 1 ? numbers[1] : 1))
  }
}
