import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// The embedded archive and the server in front of it, for one test.
final class ServedArchive: Sendable {
  let archive: EmbeddedArchive
  let server: DICOMServer
  let directory: TemporaryDirectory

  init(
    destinations: [ApplicationEntityAddress] = [],
    configure: (inout ServerConfiguration) -> Void = { _ in }
  ) throws {
    directory = try TemporaryDirectory()
    archive = try EmbeddedArchive.open(
      .init(directory: directory.file("archive"), minimumFree: 0))
    let known = Dictionary(uniqueKeysWithValues: destinations.map { ($0.aeTitle, $0) })
    server = try archive.server(
      on: .tcp(host: "127.0.0.1", port: 0),
      destination: { title in
        known[title].map {
          PeerAddress(
            host: $0.host, port: $0.port, calledAE: title, callingAE: "VGRSECTEMP")
        }
      }, configure: configure)
    server.start()
  }

  deinit {
    server.stop()
    archive.close()
  }

  var address: ApplicationEntityAddress {
    ApplicationEntityAddress("VGRSECTEMP", port: server.port)
  }

  func has(_ part10: Part10) throws -> Bool {
    let path = archive.path(of: part10.sopInstance)
    guard let copy = try? Part10(path) else { return false }
    return copy.transferSyntax == part10.transferSyntax && copy.dataSet == part10.dataSet
  }
}

/// A Part 10 file, read independently of the code under test.
struct Part10 {
  let sopInstance: UID
  let transferSyntax: String
  let dataSet: [UInt8]

  let path: String

  init(_ path: String) throws {
    self.path = path
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    try #require(bytes.count > 144 && Array(bytes[128..<132]) == Array("DICM".utf8), "\(path)")
    let length = (0..<4).reduce(0) { $0 | Int(bytes[140 + $1]) << (8 * $1) }
    let meta = bytes[144..<144 + length]
    func value(_ element: UInt8) -> String {
      var at = meta.startIndex
      while at + 8 <= meta.endIndex {
        let isLong = meta[at + 4] == 0x4F
        let size =
          isLong
          ? Int(meta[at + 8]) | Int(meta[at + 9]) << 8 : Int(meta[at + 6]) | Int(meta[at + 7]) << 8
        let start = at + (isLong ? 12 : 8)
        if meta[at + 2] == element {
          return String(
            decoding: meta[start..<start + size].filter { $0 != 0 && $0 != 0x20 }, as: UTF8.self)
        }
        at = start + size
      }
      return ""
    }
    sopInstance = UID(value(0x03))
    transferSyntax = value(0x10)
    dataSet = Array(bytes[(144 + length)...])
  }
}

@Suite("The embedded archive among real peers", .serialized)
struct ArchiveInteroperationTests {
  /// One of each kind; no two with the same SOP Instance UID.
  private static let kinds = [
    "JPEG-lossy.dcm", "SC_rgb_jpeg_dcmtk.dcm", "JPEG2000.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm",
    "SC_rgb_jpeg_gdcm.dcm", "reportsi.dcm", "test-SR.dcm", "SC_rgb_jpeg_dcmd.dcm",
    "examples_ybr_color.dcm", "waveform_ecg.dcm", "liver_1frame.dcm", "CT_small.dcm",
  ]

  private static var images: [String] {
    tinyAlpha
      + RealImages.paths(in: "dicomdirtests/98892003/MR700")
      + RealImages.paths(in: "dicomdirtests/98892003/MR1")
      + RealImages.paths(in: "dicomdirtests/98892003/MR2")
      + kinds.map { RealImages.path($0) }
  }

  /// The CT study of 50 slices, wherever its folders lie.
  private static var tinyAlpha: [String] {
    let root = RealImages.path("dicomdirtests/TINY_ALPHA")
    return (FileManager.default.enumerator(atPath: root)?.allObjects as? [String] ?? [])
      .filter { !$0.contains("DICOMDIR") && !$0.contains("README") }.map { "\(root)/\($0)" }
      .filter { FileManager.default.contents(atPath: $0) != nil }.sorted()
  }

  private func run(_ program: String, _ arguments: [String]) throws -> ChildProcess.Result {
    let result = try ChildProcess.run(program, arguments, deadline: .after(.seconds(60)))
    try #require(result.status == 0, "\(program): \(result.output.suffix(2000))")
    return result
  }

  private func studies(of orthanc: OrthancServer) throws -> [String] {
    let json = try run("curl", ["-sf", "\(orthanc.url)/studies?expand"]).standardOutput
    return json.matches(of: /"StudyInstanceUID"\s*:\s*"([0-9.]+)"/).map { String($0.output.1) }
  }

  @Test(
    "What Orthanc moves here is what it sends DCMTK's storescp, byte for byte, and all of it",
    .needs(
      .program("Orthanc"), .program("/usr/bin/storescp"), .program("/usr/bin/movescu"),
      .python("pydicom")))
  func fromOrthanc() async throws {
    try await offPool {
      let here = try ServedArchive()
      let reference = try StorescpServer()
      let orthanc = try OrthancServer(modalities: [here.address, reference.address])
      // One context a file: storescu does not negotiate a proposal for each transfer syntax.
      let files = Self.images
      for file in files {
        _ = try self.run(
          "curl", ["-sf", "-X", "POST", "\(orthanc.url)/instances", "--data-binary", "@\(file)"])
      }
      let studies = try self.studies(of: orthanc)
      #expect(studies.count >= 9)
      for destination in [here.address, reference.address] {
        for study in studies {
          _ = try self.run(
            DCMTK.path("movescu"),
            [
              "-S", "-aec", orthanc.aeTitle, "-aem", destination.aeTitle, "-k",
              "0008,0052=STUDY", "-k", "0020,000D=\(study)", "127.0.0.1", "\(orthanc.dicomPort)",
            ])
        }
      }
      let expected = try reference.received.map { try Part10($0) }
      #expect(expected.count == Set(files).count)
      for object in expected {
        #expect(try here.has(object), "\(object.sopInstance) \(object.transferSyntax)")
      }
      let archived = try studies.flatMap {
        try here.archive.instanceUIDs(study: UID($0)).flatMap(\.instances)
      }
      #expect(Set(archived) == Set(expected.map(\.sopInstance)))
      #expect(archived.count == expected.count)
      #expect(try here.archive.statistics().objects == expected.count)
      #expect(Set(expected.map(\.transferSyntax)).count >= 5)
      let tiny = try Part10(#require(Self.tinyAlpha.first))
      #expect(try here.archive.contains(tiny.sopInstance))
    }
  }

  @Test(
    "DCMTK's storescu, findscu and movescu find an archive like any other",
    .needs(.program("/usr/bin/storescu"), .program("/usr/bin/storescp"), .python("pydicom")))
  func dcmtk() async throws {
    try await offPool {
      let target = try StorescpServer()
      let here = try ServedArchive(destinations: [target.address])
      let files = Self.tinyAlpha
      #expect(files.count == 50)
      try DCMTK.store(files, to: here.address)
      // Once more: the same objects change nothing.
      try DCMTK.store(files, to: here.address)
      #expect(try here.archive.statistics().objects == 50)

      let address = ["-aec", "VGRSECTEMP", "127.0.0.1", "\(here.server.port)"]
      func find(_ model: String, _ keys: [String]) throws -> String {
        try self.run(
          DCMTK.path("findscu"), [model] + keys.flatMap { ["-k", $0] } + address
        ).output
      }
      let study = try find(
        "-S", ["0008,0052=STUDY", "0020,000D", "0020,1206", "0020,1208", "0008,0061", "0010,0010"])
      #expect(study.contains("(0020,1208) IS [50"), "\(study)")
      #expect(study.contains("[VGRSECTEMP"))
      let uid = try #require(
        study.firstMatch(of: /\(0020,000d\) UI \[([0-9.]+)/).map { String($0.output.1) })
      let images = try find(
        "-S", ["0008,0052=IMAGE", "0020,000D=\(uid)", "0020,000E", "0008,0018"])
      let found = Set(
        images.matches(of: /\(0008,0018\) UI \[([0-9.]+)/).map { String($0.output.1) })
      let sent = try files.map { try Part10($0).sopInstance.value }
      #expect(found == Set(sent))
      let patients = try find("-P", ["0008,0052=PATIENT", "0010,0020", "0020,1204"])
      #expect(patients.contains("(0020,1204) IS [50"), "\(patients)")

      let first = try Part10(files[0])
      _ = try self.run(
        DCMTK.path("movescu"),
        [
          "-S", "-aem", target.aeTitle, "-k", "0008,0052=IMAGE", "-k", "0020,000D=\(uid)", "-k",
          "0008,0018=\(first.sopInstance)",
        ] + address)
      #expect(try target.received.map { try Part10($0).sopInstance } == [first.sopInstance])
      _ = try self.run(
        DCMTK.path("movescu"),
        ["-S", "-aem", target.aeTitle, "-k", "0008,0052=STUDY", "-k", "0020,000D=\(uid)"] + address)
      let received = try target.received.map { try Part10($0) }
      #expect(received.count == 50)
      for object in received { #expect(try here.has(object)) }
    }
  }

  @Test(
    "storescu of DCMTK is told when an object under a known UID has other content",
    .needs(.program("/usr/bin/storescu"), .program("/usr/bin/dcmodify"), .python("pydicom")))
  func conflict() async throws {
    try await offPool {
      let here = try ServedArchive()
      let directory = try TemporaryDirectory()
      let original = RealImages.path("CT_small.dcm")
      let changed = try directory.write(
        [UInt8](try Data(contentsOf: URL(filePath: original))), to: "changed.dcm")
      _ = try self.run(
        DCMTK.path("dcmodify"), ["-nb", "-m", "(0010,0010)=changed", changed])
      try DCMTK.store([original], to: here.address)
      let path = try here.archive.path(of: Part10(original).sopInstance)
      let before = try Part10(path).dataSet
      let told = try ChildProcess.run(
        DCMTK.path("storescu"),
        ["-v", "-aec", "VGRSECTEMP", "127.0.0.1", "\(here.server.port)", changed])
      #expect(told.output.contains("Warning"), "\(told.output)")
      #expect(try here.archive.conflicts().count == 1)
      #expect(try Part10(path).dataSet == before)
    }
  }

  @Test(
    "pynetdicom stores every kind of object and finds and moves it",
    .needs(.python("pynetdicom"), .program("/usr/bin/storescp")))
  func pynetdicom() async throws {
    try await offPool {
      let target = try StorescpServer()
      let here = try ServedArchive(destinations: [target.address])
      func python(_ application: String, _ arguments: [String]) throws -> String {
        try self.run(Peers.python, ["-m", "pynetdicom", application] + arguments).output
      }
      let port = "\(here.server.port)"
      for name in Self.kinds {
        let file = RealImages.path(name)
        _ = try python("storescu", ["-cx", "-aec", "VGRSECTEMP", "127.0.0.1", port, file])
        let sent = try Part10(file)
        let stored = try Part10(here.archive.path(of: sent.sopInstance))
        #expect(stored.transferSyntax == sent.transferSyntax, "\(name)")
        #expect(try here.archive.contains(sent.sopInstance), "\(name)")
      }
      let found = try python(
        "findscu",
        [
          "-v", "-S", "-aec", "VGRSECTEMP", "-k", "QueryRetrieveLevel=STUDY", "-k",
          "StudyInstanceUID=", "-k", "PatientName=", "127.0.0.1", port,
        ])
      #expect(found.contains("Pending"), "\(found)")
      let rle = try Part10(RealImages.path("MR_small_RLE.dcm"))
      let archived = here.archive.path(of: rle.sopInstance)
      _ = try python(
        "movescu",
        [
          "-S", "-aec", "VGRSECTEMP", "-aem", target.aeTitle, "-k", "QueryRetrieveLevel=IMAGE",
          "-k", "SOPInstanceUID=\(rle.sopInstance)", "127.0.0.1", port,
        ])
      #expect(try target.received.map { try Part10($0).dataSet } == [Part10(archived).dataSet])
    }
  }
}
