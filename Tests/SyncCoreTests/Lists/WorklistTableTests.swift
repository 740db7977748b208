import DICOM
import Testing

@testable import SyncCore

/// Worklist answers to rows, without a peer.
@Suite struct WorklistTableTests {
  private static let worklist = Configuration.Worklist(peer: "ris", station: "TELECONSULT")

  /// An answer with one step; nil takes a value away.
  private static func answer(
    _ number: String?, _ values: [DICOM.Tag: String?] = [:], step: [DICOM.Tag: String?] = [:],
    characterSet: String? = "ISO_IR 192"
  ) throws -> DataSet {
    func set(_ values: [DICOM.Tag: String?], in dataSet: inout DataSet) throws {
      for (tag, value) in values {
        if let value { try dataSet.set(tag, value) }
      }
    }
    var item = DataSet()
    if let characterSet { try item.set(.specificCharacterSet, characterSet) }
    let ofStep: [DICOM.Tag: String?] = [
      .modality: "CT", .scheduledStationAETitle: "TELECONSULT",
      .scheduledProcedureStepStartDate: "20261123",
      .scheduledProcedureStepStartTime: "093000.00", .scheduledProcedureStepStatus: "ARRIVED",
      .scheduledProcedureStepDescription: "Serie 1",
    ]
    try set(ofStep.merging(step) { $1 }, in: &item)
    // As peers do: an item has the character set of what it is in.
    if characterSet != nil { item.remove(.specificCharacterSet) }
    var answer = DataSet()
    if let characterSet { try answer.set(.specificCharacterSet, characterSet) }
    let ofAnswer: [DICOM.Tag: String?] = [
      .accessionNumber: number, .patientName: "Tolvansson^Åke Östen",
      .patientID: "191212121212", .studyInstanceUID: "2.25.1",
      .requestedProcedureDescription: "CT Hjärna", .requestedProcedureID: "R1",
      .requestedProcedurePriority: "HIGH",
    ]
    try set(ofAnswer.merging(values) { $1 }, in: &answer)
    answer.set(.scheduledProcedureStepSequence, items: [item])
    return answer
  }

  private func table(
    _ answers: [DataSet], days: WorklistTable.Days = WorklistTable.Days(),
    _ worklist: Configuration.Worklist = worklist
  ) throws -> WorklistTable {
    var table = WorklistTable(worklist, days: days)
    for answer in answers {
      // Over the wire: an item then knows no more than what came.
      let bytes = try answer.encoded(as: .implicitVRLittleEndian)
      try add(try DataSet(decoding: bytes, as: .implicitVRLittleEndian), to: &table)
    }
    return table
  }

  private func add(_ answer: DataSet, to table: inout WorklistTable) throws(WorklistTable.Failure) {
    try table.add(answer)
  }

  /// Why the answers prove nothing; nil if they do.
  private func failure(_ answers: [DataSet]) throws -> WorklistTable.Failure? {
    do {
      _ = try table(answers)
      return nil
    } catch let error as WorklistTable.Failure {
      return error
    }
  }

  @Test("An answer becomes a row", arguments: ["ISO_IR 192", "ISO_IR 100", "\\ISO 2022 IR 100"])
  func row(_ characterSet: String) throws {
    let rows = try table([try Self.answer("US00001", characterSet: characterSet)]).rows()
    #expect(
      rows == [
        ListRow(
          examination: "US00001", referral: "R1", studyUID: "2.25.1", patientID: "191212121212",
          status: "ARRIVED", modality: "CT", description: "CT Hjärna",
          scheduled: "2026-11-23 09:30", priority: "urgent", patientName: "Tolvansson^Åke Östen")
      ])
  }

  @Test("Step's own text is decoded by the character set of the answer")
  func inheritedCharacterSet() throws {
    let answer = try Self.answer(
      "US1", [.requestedProcedureDescription: nil],
      step: [.scheduledProcedureStepDescription: "MR Öga"], characterSet: "ISO_IR 100")
    #expect(try table([answer]).rows().first?.description == "MR Öga")
  }

  @Test(
    "Requested Procedure Priority in our words",
    arguments: [
      ("STAT", Priority.stat), ("HIGH", .urgent), ("ROUTINE", .routine), ("MEDIUM", .routine),
      ("LOW", .routine), ("AKUT", .stat), ("WHENEVER", nil), (nil, nil),
    ] as [(String?, Priority?)])
  func priority(_ word: String?, _ expected: Priority?) throws {
    let row = try #require(
      try table([try Self.answer("US1", [.requestedProcedurePriority: word])]).rows().first)
    #expect(row.priority.flatMap { Priority($0) } == expected)
  }

  @Test("Only what is absent is absent")
  func absent() throws {
    let answer = try Self.answer(
      "US1",
      [
        .patientName: "=山田^太郎", .patientID: nil, .studyInstanceUID: nil,
        .requestedProcedureDescription: nil, .requestedProcedureID: "  ",
        .requestedProcedurePriority: nil,
      ],
      step: [
        .modality: nil, .scheduledProcedureStepStartDate: nil,
        .scheduledProcedureStepStartTime: nil, .scheduledProcedureStepStatus: nil,
        .scheduledProcedureStepDescription: nil,
      ])
    #expect(try table([answer]).rows() == [ListRow(examination: "US1")])
  }

  @Test("The care unit is taken from where it is said to stand")
  func careUnit() throws {
    let answer = try Self.answer(
      "US1", [DICOM.Tag(0x0032, 0x1033): "SE2321000131-E000000000001", .institutionName: "VGR"])
    var worklist = Self.worklist
    for (place, expected) in [
      (.none, nil), (.requestingService, "SE2321000131-E000000000001"), (.institutionName, "VGR"),
    ] as [(Configuration.Worklist.CareUnit, String?)] {
      worklist.careUnit = place
      #expect(try table([answer], worklist).rows().first?.careUnit == expected)
      let asked = try WorklistTable(worklist).identifier()
      #expect(place.tag.map { asked[$0] != nil } ?? true)
    }
  }

  @Test("Numbers that no examination can have are refused and counted, with the answer")
  func refusals() throws {
    let numbers: [String?] = [
      "US1", nil, "", "   ", "US12345678901234567", "US\u{1}1", "US1\\US2", " US2 ",
    ]
    let table = try table(try numbers.map { try Self.answer($0) })
    #expect(table.rows().map(\.examination) == ["US1", "US2"])
    #expect(table.refused.map(\.line) == [2, 3, 4, 5, 6, 7])
    #expect(
      table.refused.map(\.reason)
        == Array(repeating: "no examination number", count: 3) + [
          "the examination number is longer than 16",
          "a control character in the examination number", "several examination numbers",
        ])
    #expect(table.answers == 8)
  }

  @Test("A number in no known character set is refused")
  func undecodable() throws {
    var answer = try Self.answer("US1")
    answer.setBytes(.accessionNumber, .SH, [0x55, 0xE5, 0x31, 0x32])
    let table = try table([answer])
    #expect(table.rows().isEmpty)
    #expect(table.refused.first?.reason.contains("(0008,0005)") == true)
  }

  /// Every order of some values.
  private func orders<T>(_ values: [T]) -> [[T]] {
    guard values.count > 1 else { return [values] }
    return values.indices.flatMap { index in
      var rest = values
      let first = rest.remove(at: index)
      return orders(rest).map { [first] + $0 }
    }
  }

  @Test("Several steps fold into the same row, in whatever order they come")
  func fold() throws {
    let steps = [
      try Self.answer(
        "US1", [.patientName: nil, .requestedProcedurePriority: "LOW"],
        step: [.scheduledProcedureStepStatus: "DEPARTED"]),
      try Self.answer(
        "US1", [.requestedProcedureDescription: nil, .studyInstanceUID: nil],
        step: [
          .scheduledProcedureStepStartTime: "0800", .modality: "MR",
          .scheduledProcedureStepStatus: "STARTED",
        ]),
      try Self.answer(
        "US1", [.requestedProcedurePriority: "STAT", .patientID: nil],
        step: [.scheduledProcedureStepStartDate: "20261124"]),
      try Self.answer(
        "US1", step: [.scheduledProcedureStepStartDate: nil, .scheduledProcedureStepStartTime: nil]
      ),
    ]
    for order in orders(steps) {
      #expect(
        try table(order).rows() == [
          ListRow(
            examination: "US1", referral: "R1", studyUID: "2.25.1", patientID: "191212121212",
            status: "ARRIVED", modality: "MR", description: "Serie 1",
            scheduled: "2026-11-23 08:00", priority: "stat", patientName: "Tolvansson^Åke Östen")
        ])
    }
  }

  @Test("Steps in states of no known order are in no state, in whatever order they come")
  func mixedStatus() throws {
    for states: [String?] in [
      ["ARRIVED", "GRANSKAS", "ARRIVED"], ["ARRIVED", nil, "STARTED"],
      ["GRANSKAS", "VILANDE", "GRANSKAS"],
    ] {
      for order in orders(states) {
        let answers = try order.map {
          try Self.answer("US1", step: [.scheduledProcedureStepStatus: $0])
        }
        #expect(try table(answers).rows().map(\.status) == [nil], "\(order)")
      }
    }
  }

  @Test(
    "Steps that disagree on what the examination is prove nothing, and tell of no patient",
    arguments: [
      DICOM.Tag.patientID, .studyInstanceUID, .requestedProcedureID, .issuerOfPatientID,
    ])
  func conflict(_ tag: DICOM.Tag) throws {
    let answers = [
      try Self.answer("US1", [tag: "2.25.7"]), try Self.answer("US2"),
      try Self.answer("US1", [tag: "2.25.8"]),
    ]
    for order in orders(answers) {
      let error = try #require(try failure(order))
      #expect(error.message.contains("with the same accession number"))
      #expect(!error.message.contains("2.25") && !error.message.contains("US1"))
      #expect(error.answer >= 2)
    }
  }

  @Test("What is not for the station proves nothing")
  func station() throws {
    for station: String? in ["OTHER", nil, "TELECONSULT2", "teleconsult"] {
      let answers = [
        try Self.answer("US1"),
        try Self.answer("US2", step: [.scheduledStationAETitle: station]),
      ]
      let error = try #require(try failure(answers), "\(station ?? "none")")
      #expect(error.answer == 2 && error.message.contains("(0040,0001)"))
    }
    var bare = try Self.answer("US1")
    bare.set(.scheduledProcedureStepSequence, items: [])
    #expect(try failure([bare])?.message.contains("(0040,0100)") == true)
    // One of several stations is ours.
    var several = try Self.answer("US1")
    var item = several.items(.scheduledProcedureStepSequence)[0]
    try item.set(.scheduledStationAETitle, "OTHER", "TELECONSULT ")
    several.set(.scheduledProcedureStepSequence, items: [item])
    #expect(try table([several]).rows().count == 1)
  }

  @Test("Steps outside the days asked for are not on the list, whatever the peer matches")
  func days() throws {
    let answers = try ["20261122", "20261123", "20261130", "20261201", nil, "2026.11.01"]
      .enumerated().map { index, day in
        try Self.answer("US\(index)", step: [.scheduledProcedureStepStartDate: day])
      }
    func numbers(_ first: String?, _ last: String?) throws -> [String] {
      try table(answers, days: .init(first: first, last: last)).rows().map(\.examination)
    }
    // What has no date that can be compared stays: doubt takes nothing from a list.
    #expect(try numbers("20261123", "20261130") == ["US1", "US2", "US4", "US5"])
    #expect(try numbers("20261123", nil) == ["US1", "US2", "US3", "US4", "US5"])
    #expect(try numbers(nil, "20261122") == ["US0", "US4", "US5"])
    #expect(try numbers(nil, nil).count == 6)
    #expect(WorklistTable.Days().key == "")
    #expect(WorklistTable.Days(first: "20261123").key == "20261123-")
    #expect(WorklistTable.Days(last: "20261123").key == "-20261123")
    #expect(WorklistTable.Days(first: "1", last: "2").key == "1-2")
  }

  @Test("More answers than any list has are refused")
  func tooMany() throws {
    let answer = try Self.answer("US1")
    var table = WorklistTable(Self.worklist, mostAnswers: 10)
    for _ in 0..<10 { try add(answer, to: &table) }
    #expect(table.rows().count == 1)
    #expect(throws: WorklistTable.Failure.self) { try add(answer, to: &table) }
  }

  @Test("More text than any list has is refused")
  func tooMuch() throws {
    var table = WorklistTable(Self.worklist)
    let long = String(repeating: "x", count: 1 << 20)
    var answer = try Self.answer("US1", [.requestedProcedureDescription: long])
    for number in 0..<63 {
      try answer.set(.accessionNumber, "US\(number)")
      try add(answer, to: &table)
    }
    try answer.set(.accessionNumber, "US63")
    #expect(throws: WorklistTable.Failure.self) { try add(answer, to: &table) }
  }

  @Test("The query asks for the station, the days, and everything that is used")
  func identifier() throws {
    var table = WorklistTable(Self.worklist, days: .init(first: "20261024", last: "20261124"))
    let asked = try table.identifier()
    let step = try #require(asked.items(.scheduledProcedureStepSequence).first)
    #expect(step.strings(.scheduledStationAETitle) == ["TELECONSULT"])
    #expect(step.strings(.scheduledProcedureStepStartDate) == ["20261024-20261124"])
    let answer = try Self.answer("US1", [.issuerOfPatientID: "x"])
    for element in answer.elements where element.tag != .specificCharacterSet {
      #expect(asked[element.tag] != nil, "\(element.tag)")
    }
    for element in answer.items(.scheduledProcedureStepSequence)[0].elements {
      #expect(step[element.tag] != nil, "\(element.tag)")
    }
    try add(answer, to: &table)
  }
}
