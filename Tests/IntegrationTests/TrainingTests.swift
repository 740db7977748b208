import DICOM
import Glibc
import JSON
import Platform
import TestSupport
import Testing
import Training

/// A simulated PACS with one study of two series, and a folder of its own.
private final class PracticePACS: Sendable {
  static let study = PhantomStudy(
    accession: "SE00000000000909", patientName: "Ärla^Åkesson",
    description: "DT thorax, jämförelse",
    size: 96,
    series: [
      .init(number: 1, description: "Översikt", images: 3),
      .init(number: 2, description: "Thorax 5 mm", images: 5),
    ])
  static let late = PhantomStudy.Series(number: 3, description: "Sen serie", images: 2)

  let directory: TemporaryDirectory
  let pacs: SimulatedPACS
  let server: DICOMServer

  init(destination: ApplicationEntityAddress? = nil) throws {
    directory = try TemporaryDirectory()
    pacs = SimulatedPACS(aeTitle: "SECTRAPACS", directory: try directory.makeDirectory("objects"))
    try pacs.add(Self.study, series: Self.study.series)
    server = try pacs.server(port: 0) { title in
      destination.flatMap {
        $0.aeTitle != title
          ? nil
          : PeerAddress(host: $0.host, port: $0.port, calledAE: title, callingAE: "SECTRAPACS")
      }
    }
    server.start()
  }

  deinit { server.stop(grace: .seconds(1)) }

  /// Runs a DCMTK query/retrieve user against it.
  func dcmtk(_ program: String, _ options: [String], _ keys: [String]) throws
    -> ChildProcess.Result
  {
    try ChildProcess.run(
      DCMTK.path(program),
      ["-S"] + options + keys.flatMap { ["-k", $0] }
        + ["-aec", "SECTRAPACS", "127.0.0.1", "\(server.port)"],
      deadline: .after(.seconds(30)))
  }

  /// The UIDs that findscu shows for one element.
  func found(_ element: String, _ keys: [String]) throws -> [String] {
    let result = try dcmtk("findscu", [], keys)
    try #require(result.status == 0, "\(result.output)")
    let lines = result.output.split(whereSeparator: \.isNewline).filter {
      $0.contains("(\(element)) UI [") && !$0.contains("Request")
    }
    return lines.compactMap { line in
      line.split(separator: "[").dropFirst().first?.split(separator: "]").first
        // DCMTK shows the byte that pads a UID of odd length.
        .map { String($0.prefix { $0 != "\0" }) }
    }
  }
}

@Suite("The simulated surroundings", .serialized)
struct TrainingTests {
  /// What pydicom says of every file in a folder, one JSON object a line.
  private static let describe = """
    import json, pathlib, sys
    import pydicom
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        ds = pydicom.dcmread(path)
        pixels = ds.pixel_array
        missing = [k for k in (
            "ImageType StudyDate Modality PatientID FrameOfReferenceUID ImagePositionPatient "
            "ImageOrientationPatient PixelSpacing SliceThickness RescaleIntercept RescaleSlope "
            "KVP PatientPosition InstanceNumber SeriesNumber").split() if k not in ds]
        print(json.dumps({
            "name": str(ds.PatientName), "id": ds.PatientID, "accession": ds.AccessionNumber,
            "study": ds.StudyInstanceUID, "series": ds.SeriesInstanceUID,
            "instance": ds.SOPInstanceUID, "class": ds.SOPClassUID.name,
            "meta": ds.file_meta.MediaStorageSOPInstanceUID,
            "syntax": ds.file_meta.TransferSyntaxUID.name, "description": ds.SeriesDescription,
            "shape": list(pixels.shape), "spread": int(pixels.max()) - int(pixels.min()),
            "missing": missing}))
    """

  @Test(
    "pydicom reads every phantom: names, identifiers, image plane and pixels",
    .needs(.python("pydicom"), .python("numpy")))
  func pydicom() async throws {
    try await offPool {
      let practice = try PracticePACS()
      let result = try ChildProcess.run(
        Peers.python, ["-W", "error", "-c", Self.describe, practice.directory.file("objects")])
      try #require(result.status == 0, "\(result.output)")
      let objects = try result.standardOutput.split(separator: "\n").map {
        try JSONValue.parse(Array($0.utf8))
      }
      #expect(objects.count == 8)
      let study = PracticePACS.study
      for object in objects {
        #expect(object["name"]?.stringValue == "Ärla^Åkesson")
        #expect(object["id"]?.stringValue == "191212121212")
        #expect(object["accession"]?.stringValue == "SE00000000000909")
        #expect(object["study"]?.stringValue == study.studyUID.value)
        #expect(object["class"]?.stringValue == "CT Image Storage")
        #expect(object["syntax"]?.stringValue == "Explicit VR Little Endian")
        #expect(object["meta"]?.stringValue == object["instance"]?.stringValue)
        #expect(object["missing"]?.arrayValue?.isEmpty == true, "\(object)")
        #expect(object["shape"]?.arrayValue?.compactMap(\.intValue) == [96, 96])
        #expect((object["spread"]?.intValue ?? 0) > 1000)
      }
      let instances = Set(objects.compactMap { $0["instance"]?.stringValue })
      #expect(instances == Set(practice.pacs.instances(accession: study.accession).map(\.value)))
      let descriptions = Set(objects.compactMap { $0["description"]?.stringValue })
      #expect(descriptions == ["Översikt", "Thorax 5 mm"])
    }
  }

  @Test("a phantom is the same bytes every time")
  func deterministic() throws {
    let first = try PracticePACS()
    let second = try PracticePACS()
    let instances = first.pacs.instances(accession: PracticePACS.study.accession)
    #expect(instances.count == 8)
    for uid in instances {
      #expect(
        try first.directory.read("objects/\(uid).dcm")
          == second.directory.read("objects/\(uid).dcm"))
    }
  }

  @Test(
    "DCMTK's echoscu and findscu find a study by its number, then its series and objects",
    .needs(.program("/usr/bin/findscu"), .program("/usr/bin/echoscu")))
  func find() async throws {
    try await offPool {
      let practice = try PracticePACS()
      let echo = try ChildProcess.run(
        DCMTK.path("echoscu"), ["-aec", "SECTRAPACS", "127.0.0.1", "\(practice.server.port)"])
      #expect(echo.status == 0, "\(echo.output)")

      let study = PracticePACS.study
      let byNumber = ["0008,0052=STUDY", "0020,000D"]
      #expect(
        try practice.found("0020,000d", byNumber + ["0008,0050=\(study.accession)"])
          == [study.studyUID.value])
      #expect(try practice.found("0020,000d", byNumber + ["0008,0050=SE00000000000000"]) == [])
      practice.pacs.setHidden(true, accession: study.accession)
      #expect(
        try practice.found("0020,000d", byNumber + ["0008,0050=\(study.accession)"]) == [])
      practice.pacs.setHidden(false, accession: study.accession)

      let series = try practice.found(
        "0020,000e", ["0008,0052=SERIES", "0020,000D=\(study.studyUID)", "0020,000E"])
      #expect(Set(series) == [study.seriesUID(1).value, study.seriesUID(2).value])

      let images = try practice.found(
        "0008,0018",
        [
          "0008,0052=IMAGE", "0020,000D=\(study.studyUID)", "0020,000E=\(study.seriesUID(2))",
          "0008,0018",
        ])
      #expect(Set(images) == Set((1...5).map { study.instanceUID(2, $0).value }))
      #expect(images.count == 5)
    }
  }

  @Test(
    "DCMTK's movescu has single objects, a series and a study sent, and a late series too",
    .needs(.program("/usr/bin/movescu"), .program("/usr/bin/storescp")))
  func move() async throws {
    try await offPool {
      let target = try StorescpServer()
      let practice = try PracticePACS(destination: target.address)
      let study = PracticePACS.study
      func move(_ keys: [String], to title: String = target.address.aeTitle) throws -> Int32 {
        try practice.dcmtk(
          "movescu", ["-aem", title], keys + ["0020,000D=\(study.studyUID)"]
        ).status
      }
      func received() -> Int { target.received.count }

      #expect(
        try move([
          "0008,0052=IMAGE", "0020,000E=\(study.seriesUID(2))",
          "0008,0018=\(study.instanceUID(2, 4))",
        ]) == 0)
      #expect(received() == 1)
      #expect(try move(["0008,0052=SERIES", "0020,000E=\(study.seriesUID(1))"]) == 0)
      #expect(received() == 4)
      #expect(try move(["0008,0052=STUDY"]) == 0)
      #expect(received() == 8)

      try practice.pacs.add(study, series: [PracticePACS.late])
      #expect(try move(["0008,0052=STUDY"]) == 0)
      #expect(received() == 10)

      #expect(try move(["0008,0052=STUDY"], to: "NOBODY") != 0)
      #expect(received() == 10)
    }
  }
}
