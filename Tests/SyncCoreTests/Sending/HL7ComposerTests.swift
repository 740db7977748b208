import HL7
import Platform
import TestSupport
import Testing

@testable import SyncCore

/// The messages of an assignment, field by field, and before a strict judge.
@Suite("Messages of an assignment")
struct HL7ComposerTests {
  static let time = WallTime(milliseconds: 1_790_000_000_000)

  private func interface(_ profile: Configuration.HL7Interface.Profile)
    -> Configuration.HL7Interface
  {
    var interface = Configuration.HL7Interface(name: "ahei", host: "localhost")
    interface.profile = profile
    interface.sendingFacility = "SE2321000131-E000000000001"
    interface.receivingApplication = "AHEI"
    return interface
  }

  private func record(_ change: (inout SendOrder) -> Void = { _ in }) -> AssignmentRecord {
    var facts = ExaminationFacts(key: ExaminationKey(system: "SECTRA", number: "SE00000000000101"))
    facts.referral = "R|1^2"
    facts.studyUID = "1.2.752.24.7.1"
    facts.patientID = "191212121212"
    facts.patientName = "Tolvansson^Tolvan^Åke^Dr^Jr"
    facts.birthDate = "19121212"
    facts.sex = "M"
    facts.modality = "CT"
    facts.description = "DT thorax & buk"
    facts.careUnit = "SE2321000131-E000000000002"
    var order = SendOrder(
      examination: facts, recipient: "tmc", destination: "ahei", orderedBy: "tolvan")
    order.message = "Frågeställning: expansivitet?\nRing 031|000"
    change(&order)
    let shape = AssignmentMachine.Shape(kind: order.kind, hasOrigin: true, hasOrders: true)
    return AssignmentRecord(
      id: 7, order: order, origin: "ris", orders: "ahei", flag: nil,
      machine: AssignmentMachine(shape), disclosed: false, supplementable: 0,
      orderedAt: Self.time, changed: Self.time, endedAt: nil, jobs: [])
  }

  private func compose(
    _ step: AssignmentStep, _ profile: Configuration.HL7Interface.Profile = .orm,
    received: [UInt8]? = nil, order change: (inout SendOrder) -> Void = { _ in },
    interface adjust: (inout Configuration.HL7Interface) -> Void = { _ in }
  ) throws -> [UInt8] {
    var settings = interface(profile)
    adjust(&settings)
    let composer = HL7Composer(interfaces: [settings]) { _ in "SE5560000001-0001" }
    return try composer.message(
      step, of: record(change), interface: "ahei", controlID: "S0000ABCD1", received: received,
      now: Self.time)
  }

  @Test("The order of 2.3.1 says what the interface profile says, field by field")
  func order() throws {
    let message = try HL7Message(parsing: try compose(.forward))
    #expect(message.segments.map(\.name) == ["MSH", "PID", "ORC", "OBR", "NTE", "ZDS"])
    let expected: [(String, Int, Int?, String)] = [
      ("MSH", 3, nil, "SYNCD"), ("MSH", 4, nil, "SE2321000131-E000000000001"),
      ("MSH", 5, nil, "AHEI"), ("MSH", 6, nil, "SE5560000001-0001"), ("MSH", 9, 1, "ORM"),
      ("MSH", 9, 2, "O01"), ("MSH", 10, nil, "S0000ABCD1"), ("MSH", 11, nil, "P"),
      ("MSH", 12, nil, "2.3.1"), ("MSH", 15, nil, ""), ("MSH", 16, nil, ""),
      ("MSH", 18, nil, "8859/1"), ("PID", 3, 1, "191212121212"), ("PID", 5, 1, "Tolvansson"),
      ("PID", 5, 2, "Tolvan"), ("PID", 5, 3, "Åke"), ("PID", 5, 4, "Jr"), ("PID", 5, 5, "Dr"),
      ("PID", 7, nil, "19121212"), ("PID", 8, nil, "M"), ("ORC", 1, nil, "NW"),
      ("ORC", 2, nil, "R|1^2"), ("ORC", 3, nil, "SE00000000000101"), ("ORC", 5, nil, "SC"),
      ("ORC", 7, 6, "R"), ("OBR", 4, 2, "DT thorax & buk"), ("OBR", 18, nil, "SE00000000000101"),
      ("OBR", 19, nil, "R|1^2"), ("OBR", 20, nil, "C-Primary"), ("OBR", 24, nil, "CT"),
      ("OBR", 25, nil, ""), ("NTE", 3, nil, "Frågeställning: expansivitet?\nRing 031|000"),
      ("ZDS", 1, 1, "1.2.752.24.7.1"),
    ]
    for (segment, field, component, value) in expected {
      #expect(
        message.text(segment, field, component) == value, "\(segment)-\(field).\(component ?? 0)")
    }
  }

  @Test("Each job has its order control, order status and result status")
  func controls() throws {
    for (step, control, status, result) in [
      (AssignmentStep.lock, "HD", "HD", ""), (.forward, "NW", "SC", ""),
      (.release, "RL", "CM", ""), (.cancel, "CA", "CA", "X"),
    ] {
      for profile in Configuration.HL7Interface.Profile.allCases {
        let message = try HL7Message(parsing: try compose(step, profile))
        #expect(message.text("ORC", 1) == control)
        #expect(message.text("ORC", 5) == status)
        #expect(message.text("OBR", 25) == result)
      }
    }
    let released = try compose(.release, interface: { $0.releaseStatus = "IP" })
    #expect(try HL7Message(parsing: released).text("ORC", 5) == "IP")
  }

  @Test("Clinical text goes to the recipient only")
  func messageText() throws {
    for step in [AssignmentStep.lock, .release, .cancel] {
      #expect(try !HL7Message(parsing: compose(step)).segments.contains { $0.name == "NTE" })
    }
  }

  @Test("The order of 2.5.1 has its timing in TQ1 and its identifiers in IPC")
  func imagingOrder() throws {
    let bytes = try compose(
      .forward, .omi,
      order: {
        $0.priority = .stat
        $0.review = .secondReading
      })
    let message = try HL7Message(parsing: bytes)
    #expect(message.segments.map(\.name) == ["MSH", "PID", "ORC", "TQ1", "OBR", "NTE", "IPC"])
    #expect(message.text("MSH", 9, 3) == "OMI_O23" && message.version == "2.5.1")
    #expect(message.text("TQ1", 9) == "S")
    #expect(message.text("IPC", 1) == "SE00000000000101")
    #expect(message.text("IPC", 3) == "1.2.752.24.7.1")
    #expect(message.text("OBR", 20) == "C-Second")
  }

  @Test("Where the activity type goes is the interface's to say")
  func activityField() throws {
    let bytes = try compose(.forward, interface: { $0.activityField = "OBR-44.2" })
    #expect(try HL7Message(parsing: bytes).text("OBR", 44, 2) == "C-Primary")
  }

  @Test("What an interface's character set has not is an error that names it, and no text")
  func unencodable() throws {
    let error = #expect(throws: MessageComposingError.self) {
      _ = try compose(.forward, order: { $0.message = "Tumör \u{1F600}" })
    }
    #expect(error?.description == "NTE-3: the character U+1F600 is not in 8859/1")
    let bytes = try compose(
      .forward, order: { $0.message = "\u{1F600}" }, interface: { $0.encoding = .utf8 })
    let message = try HL7Message(parsing: bytes)
    #expect(message.text("NTE", 3) == "\u{1F600}" && message.text("MSH", 18) == "UNICODE UTF-8")
  }

  @Test("An answer goes back as it came, with our order control, in the other character set")
  func answer() throws {
    let received = Array(
      """
      MSH|^~\\&|AHEI|AHEI|SYNCD||20261123||ORU^R01|A1|P|2.3.1||||||UNICODE UTF-8\r\
      PID|1||191212121212||Tolvansson^Tolvan\r\
      OBR|1||SE00000000000101||||||||||||||||||||||F\r\
      OBX|1|FT|18748-4||Förtätning \\T\\ vätska\\.br\\Ua||||||F\r

      """.utf8)
    let message = try HL7Message(parsing: try compose(.answer(0), received: received))
    #expect(message.segments.map(\.name) == ["MSH", "PID", "ORC", "OBR", "OBX"])
    #expect(message.text("ORC", 1) == "RE" && message.text("ORC", 5) == "CM")
    #expect(message.text("ORC", 3) == "SE00000000000101")
    #expect(message.text("OBR", 25) == "F")
    #expect(message.text("OBX", 5) == "Förtätning & vätska\nUa")
    #expect(message.characterSet == .latin1 && message.controlID == "S0000ABCD1")
  }

  @Test("A comparison examination's report is a result of its own")
  func prior() throws {
    let message = try HL7Message(
      parsing: try compose(
        .priorReport(0),
        order: {
          $0.priors = [
            PriorOrder(
              key: ExaminationKey(system: "SECTRA", number: "SE77"), report: "Ua.\nTolvan")
          ]
        }))
    #expect(message.type == "ORU^R01" && message.text("OBR", 18) == "SE77")
    #expect(message.text("OBR", 25) == "F" && message.text("OBX", 5) == "Ua.\nTolvan")
  }

  @Test(
    "hl7apy's strict validator finds nothing wrong", .needs(.python("hl7apy")),
    arguments: Configuration.HL7Interface.Profile.allCases)
  func validated(_ profile: Configuration.HL7Interface.Profile) throws {
    // Its tables give a namespace 20 characters, those of 2.3.1 and 2.5.1 alike; an HSA-id may have
    // 31, and Swedish receivers take it there.
    func compose(
      _ step: AssignmentStep, _ profile: Configuration.HL7Interface.Profile,
      order: (inout SendOrder) -> Void = { _ in }
    ) throws -> [UInt8] {
      try self.compose(
        step, profile, order: order, interface: { $0.sendingFacility = "SE2321000131-E0001" })
    }
    for step in [AssignmentStep.lock, .forward, .release, .cancel] {
      let verdict = try HL7Verdict.of(compose(step, profile))
      #expect(verdict.errors == [], "\(step) \(profile)")
    }
    let report = try HL7Verdict.of(
      compose(
        .priorReport(0), profile,
        order: {
          $0.priors = [PriorOrder(key: ExaminationKey(system: "S", number: "1"), report: "Ua")]
        }))
    #expect(report.errors == [])
    let move = try HL7Verdict.of(
      compose(
        .forward, profile,
        order: {
          $0.kind = .referralMove; $0.examination.studyUID = nil
        }))
    #expect(move.errors == [])
  }
}
