import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// What the embedded archive does for others beside storing and moving.
@Suite("The embedded archive's services among real peers", .serialized)
struct ArchiveServicesTests {
  private func run(_ program: String, _ arguments: [String]) throws -> ChildProcess.Result {
    let result = try ChildProcess.run(program, arguments, deadline: .after(.seconds(90)))
    try #require(result.status == 0, "\(program): \(result.output.suffix(2000))")
    return result
  }

  private func study(_ file: String) throws -> UID {
    try #require(try Part10File.open(file).dataSet().uid(.studyInstanceUID))
  }

  /// What getscu gets, by its own counting of levels and models.
  private func get(
    _ here: ServedArchive, _ model: String, _ keys: [String], options: [String] = []
  ) throws -> [Part10] {
    let folder = try TemporaryDirectory()
    _ = try run(
      DCMTK.path("getscu"),
      [model, "+B", "-od", folder.path, "-aec", "VGRSECTEMP"] + options
        + keys.flatMap { ["-k", $0] }
        + ["127.0.0.1", "\(here.server.port)"])
    return try files(in: folder.path).map { try Part10(folder.file($0)) }
  }

  @Test(
    "getscu gets at every level, in every model, byte for byte",
    .needs(.program("/usr/bin/getscu"), .program("storescu"), .python("pydicom")))
  func levels() async throws {
    try await offPool {
      let here = try ServedArchive()
      let sent = images(in: "98892003")
      try DCMTK.store(sent, to: here.address)
      let content = try Part10File.open(here.archive.path(of: Part10(sent[0]).sopInstance))
        .dataSet()
      let study = try #require(content.uid(.studyInstanceUID))
      let series = try #require(content.uid(.seriesInstanceUID))
      let instance = try #require(content.uid(.sopInstanceUID))
      let patient = try #require(content.string(.patientID))
      let held = try here.archive.instanceUIDs(study: study)
      let inStudy = Set(held.flatMap(\.instances))
      let inSeries = Set(try #require(held.first { $0.uid == series }).instances)
      func uids(_ model: String, _ keys: String...) throws -> Set<UID> {
        let got = try get(here, model, keys)
        #expect(try got.allSatisfy { try here.has($0) })
        #expect(Set(got.map(\.sopInstance)).count == got.count)
        return Set(got.map(\.sopInstance))
      }
      #expect(inSeries.count < inStudy.count)
      for model in ["-S", "-P"] {
        #expect(try uids(model, "0008,0052=STUDY", "0020,000D=\(study)") == inStudy)
        #expect(
          try uids(model, "0008,0052=SERIES", "0020,000D=\(study)", "0020,000E=\(series)")
            == inSeries)
        // Relational: the instance alone.
        #expect(try uids(model, "0008,0052=IMAGE", "0008,0018=\(instance)") == [instance])
      }
      for model in ["-P", "-O"] {
        #expect(
          try uids(model, "0008,0052=PATIENT", "0010,0020=\(patient)").isSuperset(of: inStudy))
      }
      #expect(try uids("-O", "0008,0052=STUDY", "0020,000D=\(study)") == inStudy)
      // A preference for JPEG does not cost the uncompressed ones their context.
      #expect(
        try get(here, "-S", ["0008,0052=STUDY", "0020,000D=\(study)"], options: ["+xy"]).count
          == inStudy.count)
      // Patient/Study Only ends at the study, and Study Root begins there.
      for (model, level) in [("-O", "SERIES"), ("-S", "PATIENT")] {
        let refused = try ChildProcess.run(
          DCMTK.path("getscu"),
          [
            "-v", model, "-aec", "VGRSECTEMP", "-k", "0008,0052=\(level)", "-k",
            "0020,000D=\(study)", "127.0.0.1", "\(here.server.port)",
          ])
        #expect(refused.output.contains("DataSetDoesNotMatchSOPClass"), "\(refused.output)")
      }
    }
  }

  @Test(
    "findscu finds in the Patient/Study Only model, and no further than the study",
    .needs(.program("/usr/bin/findscu"), .program("storescu"), .python("pydicom")))
  func patientStudyOnly() async throws {
    try await offPool {
      let here = try ServedArchive()
      try DCMTK.store([RealImages.path("CT_small.dcm")], to: here.address)
      func find(_ level: String) throws -> String {
        try ChildProcess.run(
          DCMTK.path("findscu"),
          [
            "-v", "-O", "-aec", "VGRSECTEMP", "-k", "0008,0052=\(level)", "-k", "0010,0020", "-k",
            "0020,000D", "127.0.0.1", "\(here.server.port)",
          ]
        ).output
      }
      #expect(try find("PATIENT").contains("1CT1"))
      #expect(
        try find("STUDY").contains("(0020,000d) UI [1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"))
      let image = try find("IMAGE")
      #expect(image.contains("DoesNotMatchSOPClass"), "\(image)")
    }
  }

  @Test(
    "pynetdicom asks for commitment: what is stored is committed to, what is not has its reason",
    .needs(.program("storescu"), .python("pynetdicom")))
  func commitment() async throws {
    try await offPool {
      let port = try freePort()
      let here = try ServedArchive(destinations: [ApplicationEntityAddress("USER", port: port)]) {
        $0.acceptsAnyCalledAE = true
      }
      let file = RealImages.path("CT_small.dcm")
      try DCMTK.store([file], to: here.address)
      let uid = try Part10(file).sopInstance
      let ct = SOPClass.ctImageStorage
      for place in ["same", "new"] {
        let lines = try ServicesProvider.use(
          port: here.server.port,
          [
            "commit", place, "\(port)", "\(ct):\(uid)", "\(ct):1.2.3",
            "\(SOPClass.mrImageStorage):\(uid)",
          ])
        #expect(lines.contains("done"), "\(lines)")
        let report = try #require(lines.first { $0.hasPrefix("report 2 ") })
        #expect(report.hasSuffix(" 1 1.2.3=0112 \(uid)=0119"), "\(report)")
      }
    }
  }

  @Test(
    "deflated and big endian objects, and a manufacturer's own, are kept as they come and are found",
    .needs(.program("/usr/bin/storescu"), .program("/usr/bin/dcmconv"), .python("pydicom")))
  func unusual() async throws {
    try await offPool {
      let here = try ServedArchive {
        $0.contextPolicy = EmbeddedArchive.contextPolicy(accepting: ["1.2.752.24.*"])
      }
      let folder = try TemporaryDirectory()
      let original = RealImages.path("CT_small.dcm")
      for (index, option) in ["+td", "+tb"].enumerated() {
        let file = folder.file("\(index).dcm")
        _ = try self.run(DCMTK.path("dcmconv"), [option, original, file])
        _ = try self.run(
          DCMTK.path("dcmodify"), ["-nb", "-m", "(0008,0018)=1.2.3.\(index)", file])
        try DCMTK.store([file], to: here.address, options: ["-R", index == 0 ? "-xd" : "-xb"])
        let sent = try Part10(file)
        let stored = try Part10(here.archive.path(of: UID("1.2.3.\(index)")))
        #expect(stored.transferSyntax == sent.transferSyntax, "\(option)")
        let content = try Part10File.open(stored.path).dataSet()
        #expect(content.string(.patientID) == "1CT1")
      }
      let private_ = folder.file("private.dcm")
      _ = try self.run("cp", [original, private_])
      _ = try self.run(
        Peers.python,
        [
          "-c",
          """
          import sys, pydicom
          d = pydicom.dcmread(sys.argv[1])
          d.SOPClassUID = d.file_meta.MediaStorageSOPClassUID = "1.2.752.24.3.1"
          d.SOPInstanceUID = d.file_meta.MediaStorageSOPInstanceUID = "1.2.3.9"
          d.save_as(sys.argv[1])
          """, private_,
        ])
      _ = try self.run(
        Peers.python,
        [
          "-m", "pynetdicom", "storescu", "-cx", "-aec", "VGRSECTEMP", "127.0.0.1",
          "\(here.server.port)", private_,
        ])
      #expect(try here.archive.contains("1.2.3.9"))
      let study = try self.study(original)
      #expect(try here.archive.instanceUIDs(study: study).flatMap(\.instances).count == 3)
      // Each comes out in what getscu understands.
      let got = try self.get(here, "-S", ["0008,0052=STUDY", "0020,000D=\(study)"])
      #expect(Set(got.map(\.sopInstance)).isSuperset(of: ["1.2.3.0", "1.2.3.1"]))
      // Another manufacturer's is not taken.
      let strict = try ServedArchive()
      let refused = try ChildProcess.run(
        Peers.python,
        [
          "-m", "pynetdicom", "storescu", "-cx", "-aec", "VGRSECTEMP", "127.0.0.1",
          "\(strict.server.port)", private_,
        ])
      #expect(try strict.archive.statistics().objects == 0, "\(refused.output)")
    }
  }
}
