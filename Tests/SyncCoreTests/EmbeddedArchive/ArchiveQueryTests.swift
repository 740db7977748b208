import DICOM
import Testing

@testable import SyncCore

@Suite struct ArchiveQueryTests {
  /// Two studies of one patient and one of another.
  private func filled() throws -> ArchiveFixture {
    let fixture = try ArchiveFixture()
    for series in 1...2 {
      for number in 1...3 { try fixture.store(SampleObject(number, series: series)) }
    }
    var object = SampleObject(1, study: 2)
    object.accession = "SEEXAMPLE0000002"
    object.modality = "MR"
    object.studyDate = "20250101"
    try fixture.store(object)
    object = SampleObject(1, study: 3)
    object.accession = "SEEXAMPLE0000003"
    object.patientID = "191212121213"
    object.patientName = "Åkesson^Örjan"
    object.characterSet = "ISO_IR 100"
    try fixture.store(object)
    return fixture
  }

  @Test("studies are found by accession number, with the counts and modalities asked for")
  func byAccession() throws {
    let fixture = try filled()
    let answers = try fixture.find(
      .study,
      [
        (0x0008_0050, .SH, "SEEXAMPLE0000001"), (0x0020_000D, .UI, ""), (0x0020_1206, .IS, ""),
        (0x0020_1208, .IS, ""), (0x0008_0061, .CS, ""), (0x0008_0056, .CS, ""),
        (0x0010_0010, .PN, ""), (0x0018_9999, .LO, ""), (0x0008_0062, .UI, ""),
      ])
    let answer = try #require(answers.first)
    #expect(answers.count == 1)
    #expect(answer.text(0x0020_000D) == "1.2.752.99.1")
    #expect(answer.text(0x0020_1206) == "2")
    #expect(answer.text(0x0020_1208) == "6")
    #expect(answer.text(0x0008_0061) == "CT")
    #expect(answer.text(0x0008_0056) == "ONLINE")
    #expect(answer.text(0x0008_0052) == "STUDY")
    #expect(answer.text(0x0008_0054) == "VGRSECTEMP")
    #expect(answer.text(0x0010_0010) == "Tolvansson^Tolvan")
    #expect(answer.text(0x0018_9999) == "")
    #expect(answer.text(0x0008_0062) == "1.2.840.10008.5.1.4.1.1.2")
    #expect(answer[Tag(0x0008, 0x0005)] == nil)
  }

  @Test(
    "study level keys restrict as they should",
    arguments: [
      (0x0010_0010, .PN, "tolv*", 2), (0x0010_0010, .PN, "ÅKESSON*", 1),
      (0x0010_0020, .LO, "191212121212", 2), (0x0010_0020, .LO, "1912121212*", 3),
      (0x0008_0020, .DA, "20260101-", 2), (0x0008_0020, .DA, "-20260101", 1),
      (0x0008_0020, .DA, "20250101", 1), (0x0008_0061, .CS, "MR", 1),
      (0x0008_0061, .CS, "MR\\CT", 3), (0x0008_0050, .SH, "", 3), (0x0008_0050, .SH, "no", 0),
      (0x0020_000D, .UI, "1.2.752.99.1\\1.2.752.99.3", 2), (0x0008_0030, .TM, "0730-0731", 3),
    ] as [(UInt32, VR, String, Int)])
  func studyKeys(tag: UInt32, vr: VR, key: String, count: Int) throws {
    let fixture = try filled()
    var tagged: [(UInt32, VR, String)] = [(0x0020_000D, .UI, "")]
    if tag == 0x0020_000D { tagged = [] }
    #expect(try fixture.find(.study, tagged + [(tag, vr, key)]).count == count)
  }

  @Test("a name outside ASCII comes back in UTF-8 and says so")
  func characterSet() throws {
    let fixture = try filled()
    let answers = try fixture.find(
      .study, [(0x0020_000D, .UI, "1.2.752.99.3"), (0x0010_0010, .PN, "")])
    #expect(answers.first?.text(0x0008_0005) == "ISO_IR 192")
    #expect(answers.first?.text(0x0010_0010) == "Åkesson^Örjan")
  }

  @Test("series and images are enumerated below their study, and only there")
  func levels() throws {
    let fixture = try filled()
    let series = try fixture.find(
      .series,
      [(0x0020_000D, .UI, "1.2.752.99.1"), (0x0020_000E, .UI, ""), (0x0020_1209, .IS, "")])
    #expect(series.compactMap { $0.text(0x0020_000E) } == ["1.2.752.99.1.1", "1.2.752.99.1.2"])
    #expect(series.compactMap { $0.text(0x0020_1209) } == ["3", "3"])
    let images = try fixture.find(
      .image,
      [
        (0x0020_000D, .UI, "1.2.752.99.1"), (0x0020_000E, .UI, "1.2.752.99.1.2"),
        (0x0008_0018, .UI, ""), (0x0020_0013, .IS, ""), (0x0028_0010, .US, ""),
      ])
    #expect(
      images.compactMap { $0.text(0x0008_0018) } == [
        "1.2.752.99.1.2.1", "1.2.752.99.1.2.2", "1.2.752.99.1.2.3",
      ])
    #expect(images.first?[Tag(0x0028, 0x0010)]?.value == .bytes([0, 2]))
    let one = try fixture.find(.image, [(0x0008_0018, .UI, "1.2.752.99.1.2.2")])
    #expect(one.compactMap { $0.text(0x0020_000E) } == ["1.2.752.99.1.2"])
    #expect(
      try fixture.find(
        .image, [(0x0020_000D, .UI, "1.2.752.99.2"), (0x0008_0018, .UI, "1.2.752.99.1.2.2")]
      ).isEmpty)
  }

  @Test("Patient Root answers each patient once, with counts")
  func patients() throws {
    let fixture = try filled()
    let answers = try fixture.find(
      .patient,
      [
        (0x0010_0020, .LO, ""), (0x0010_0010, .PN, ""), (0x0020_1200, .IS, ""),
        (0x0020_1202, .IS, ""), (0x0020_1204, .IS, ""),
      ], model: .patientRoot)
    let found = answers.map {
      [0x0010_0020, 0x0020_1200, 0x0020_1202, 0x0020_1204].map { (tag: UInt32) in tag }.map(
        $0.text)
    }
    #expect(
      Set(found) == [["191212121212", "2", "3", "7"], ["191212121213", "1", "1", "1"]])
    let failure = #expect(throws: ServiceFailure.self) {
      try fixture.find(.patient, [(0x0010_0020, .LO, "")])
    }
    #expect(failure?.status == .dataSetDoesNotMatchSOPClass)
  }

  @Test("a cancelled query stops")
  func cancelled() throws {
    let fixture = try filled()
    var count = 0
    try fixture.archive.find(fixture.query(.image, [(0x0008_0018, .UI, "")])) { _ in
      count += 1
      return count < 2
    }
    #expect(count == 2)
  }

  @Test("moves are planned at every level, from lists too, and lead to the right bytes")
  func plans() throws {
    let fixture = try filled()
    func plan(
      _ level: QueryLevel, _ keys: [(UInt32, VR, String)], _ model: InformationModel = .studyRoot
    ) throws -> [UID] {
      try fixture.archive.plan(fixture.query(level, keys, model: model)).map(\.sopInstance)
    }
    #expect(try plan(.study, [(0x0020_000D, .UI, "1.2.752.99.1")]).count == 6)
    #expect(
      try plan(
        .series, [(0x0020_000D, .UI, "1.2.752.99.1"), (0x0020_000E, .UI, "1.2.752.99.1.2")]
      ).count == 3)
    #expect(
      try plan(
        .image,
        [
          (0x0020_000D, .UI, "1.2.752.99.1"), (0x0020_000E, .UI, "1.2.752.99.1.2"),
          (0x0008_0018, .UI, "1.2.752.99.1.2.3\\1.2.752.99.1.2.1\\1.2.752.99.1.1.1"),
        ]) == ["1.2.752.99.1.2.1", "1.2.752.99.1.2.3"])
    #expect(try plan(.patient, [(0x0010_0020, .LO, "191212121212")], .patientRoot).count == 7)
    #expect(try plan(.study, [(0x0020_000D, .UI, "1.2.3")]).isEmpty)
    let failure = #expect(throws: ServiceFailure.self) {
      try plan(.study, [(0x0008_0050, .SH, "SEEXAMPLE0000001")])
    }
    #expect(failure?.status == .dataSetDoesNotMatchSOPClass)

    let object = SampleObject(2)
    let instance = try #require(
      try fixture.archive.plan(
        fixture.query(.image, [(0x0008_0018, .UI, object.instance.value)])
      ).first)
    #expect(instance.sopClass == object.sopClass)
    #expect(instance.transferSyntax == .explicitVRLittleEndian)
    #expect(instance.dataSetLength == object.dataSet.count)
    #expect(try ArchiveFixture.dataSet(inFile: instance.path) == object.dataSet)
  }

  @Test("a list of thousands of UIDs is planned, over pages and parts")
  func longLists() throws {
    let fixture = try ArchiveFixture()
    for number in 1...1100 {
      var object = SampleObject(number)
      object.omitted = [0x0009_1001]
      try fixture.store(object)
    }
    func plan(_ count: Int) throws -> Int {
      let list = (1...count).map { SampleObject($0 * 2).instance.value }.joined(separator: "\\")
      return try fixture.archive.plan(fixture.query(.image, [(0x0008_0018, .UI, list)])).count
    }
    #expect(try plan(300) == 300)
    #expect(try plan(550) == 550)
    #expect(try plan(1100) == 550)
    #expect(try fixture.find(.image, [(0x0020_000D, .UI, "1.2.752.99.1")]).count == 1100)
  }
}
