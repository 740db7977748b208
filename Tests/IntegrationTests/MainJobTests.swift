import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// Real images with examination numbers, as a PACS would have them.
struct NumberedStudies {
  let directory: TemporaryDirectory
  let files: [String]
  /// Objects by examination number.
  let counts: [String: Int]
  let studies: [String: UID]

  init(_ paths: [String]) throws {
    directory = try TemporaryDirectory()
    let result = try ChildProcess.run(
      Peers.python,
      [Peers.packageRoot + "/Tests/Scripts/number-studies.py", directory.path] + paths)
    try #require(result.status == 0, "\(result.output)")
    var counts: [String: Int] = [:]
    var studies: [String: UID] = [:]
    for line in result.standardOutput.split(separator: "\n") {
      let words = line.split(separator: " ").map(String.init)
      counts[words[0]] = Int(words[2])
      studies[words[0]] = UID(words[1])
    }
    self.counts = counts
    self.studies = studies
    files = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
      .map { [path = directory.path] in "\(path)/\($0)" }
  }
}

/// Every image in a folder of pydicom's test files and the folders in it.
func images(in folder: String) -> [String] {
  let root = RealImages.path("dicomdirtests/\(folder)")
  return (FileManager.default.enumerator(atPath: root)?.allObjects as? [String] ?? [])
    .filter { !$0.contains("DICOMDIR") && !$0.contains("README") }.map { "\(root)/\($0)" }
    .filter { FileManager.default.contents(atPath: $0) != nil }.sorted()
}

/// The 50-slice CT, the MR of several series, compressed images of each kind and reports.
private let realImages: [String] =
  images(in: "TINY_ALPHA") + images(in: "98892003")
  + [
    "JPEG-lossy.dcm", "JPEG2000.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm",
    "SC_rgb_jpeg_dcmtk.dcm", "reportsi.dcm", "test-SR.dcm", "CT_small.dcm",
  ].map(RealImages.path)

@Suite("The main job, end to end among real peers", .serialized)
struct MainJobTests {
  /// From the list to complete, by way of the real daemon and the real syncctl.
  private func run(_ daemon: DaemonFixture, _ studies: NumberedStudies) throws {
    try daemon.drop(studies.counts.keys.sorted() + ["SE99999999999999"])
    try daemon.start()
    let isDone = try waitUntil(.after(.seconds(90))) {
      let now = try daemon.worklist()
      return studies.counts.keys.allSatisfy { now[$0]?.images == "complete" }
        && now["SE99999999999999"]?.reason == "not_stored"
    }
    let list = try daemon.worklist()
    #expect(isDone, "\(list)\n\(daemon.log)")
    #expect(list.values.allSatisfy { $0.flag == "sectra-samverkan-tmc" })
    #expect(daemon.archived().count == studies.files.count)
    #expect(!daemon.log.contains("191212121212") && !daemon.log.contains("Tolvan"))
  }

  @Test(
    "Orthanc as SECTRA: real studies come complete, every data set as Orthanc sends it to DCMTK",
    .needs(.program("Orthanc"), .program("storescp"), .python("pydicom")))
  func orthanc() async throws {
    try await offPool {
      let studies = try NumberedStudies(realImages)
      let port = try freePort()
      let storescp = try StorescpServer()
      let pacs = try OrthancServer(
        aeTitle: "SECTRAPACS",
        modalities: [ApplicationEntityAddress("VGRSECTEMP", port: port), storescp.address])
      // By REST: storescu cannot send every transfer syntax as it is.
      for file in studies.files {
        let result = try ChildProcess.run(
          "curl", ["-sf", "-X", "POST", "\(pacs.url)/instances", "--data-binary", "@\(file)"])
        try #require(result.status == 0, "\(file): \(result.output)")
      }
      let daemon = try DaemonFixture(peer: pacs.address, archivePort: port)
      try run(daemon, studies)

      let association = try Association.request(
        to: PeerAddress(
          host: "127.0.0.1", port: pacs.dicomPort, calledAE: pacs.aeTitle, callingAE: "TEST"),
        contexts: [ProposedContext(InformationModel.studyRoot.moveClass!)])
      defer { association.abort() }
      for study in studies.studies.values {
        var identifier = DataSet()
        identifier.setBytes(.queryRetrieveLevel, .CS, Array("STUDY".utf8))
        identifier.set(.studyInstanceUID, study)
        _ = try association.move(identifier, in: .studyRoot, to: storescp.address.aeTitle)
      }
      let sent = try storescp.received.map { try Part10($0) }
      #expect(sent.count == studies.files.count)
      var archived: [UID: Part10] = [:]
      for path in daemon.archived() {
        let file = try Part10(path)
        archived[file.sopInstance] = file
      }
      for file in sent {
        let ours = archived[file.sopInstance]
        #expect(ours?.transferSyntax == file.transferSyntax, "\(file.sopInstance)")
        #expect(ours?.dataSet == file.dataSet, "\(file.sopInstance)")
      }
    }
  }

  @Test(
    "dcmqrscp as SECTRA: real studies come complete",
    .needs(.program("dcmqrscp"), .python("pydicom")))
  func dcmqrscp() async throws {
    try await offPool {
      // dcmqrscp takes uncompressed objects unless told otherwise.
      let studies = try NumberedStudies(
        images(in: "77654033") + images(in: "98892003"))
      let port = try freePort()
      let pacs = try DcmqrscpServer(
        aeTitle: "SECTRAPACS", destinations: [ApplicationEntityAddress("VGRSECTEMP", port: port)])
      try pacs.load(studies.files)
      let daemon = try DaemonFixture(peer: pacs.address, archivePort: port)
      try run(daemon, studies)
    }
  }

  @Test(
    "killed at any moment it carries on, and loses and doubles nothing",
    .needs(.program("dcmqrscp"), .python("pydicom")))
  func killed() async throws {
    try await offPool {
      let studies = try NumberedStudies(
        images(in: "77654033") + images(in: "98892003"))
      let port = try freePort()
      let pacs = try DcmqrscpServer(
        aeTitle: "SECTRAPACS", destinations: [ApplicationEntityAddress("VGRSECTEMP", port: port)])
      try pacs.load(studies.files)
      let daemon = try DaemonFixture(peer: pacs.address, archivePort: port)
      try daemon.drop(studies.counts.keys.sorted())
      for milliseconds in [0, 30, 80, 150, 300, 600] {
        try daemon.start()
        // A moment is what is wanted here, not a condition.
        usleep(useconds_t(milliseconds * 1000))
        daemon.killHard()
      }
      try daemon.start()
      let isDone = try waitUntil(.after(.seconds(60))) {
        let now = try daemon.worklist()
        return studies.counts.keys.allSatisfy { now[$0]?.images == "complete" }
      }
      let list = try daemon.worklist()
      #expect(isDone, "\(list)\n\(daemon.log)")
      #expect(daemon.archived().count == studies.files.count)
      let status = try daemon.syncctl(["status"])[0]
      #expect((status["archive"] ?? status["status"]?["archive"])?["conflicts"]?.intValue == 0)
    }
  }

  @Test(
    "a peer that does not know the archive's AE title is told apart from one that is down",
    .needs(.program("dcmqrscp"), .python("pydicom")))
  func reasons() async throws {
    try await offPool {
      let studies = try NumberedStudies([RealImages.path("CT_small.dcm")])
      let pacs = try DcmqrscpServer(aeTitle: "SECTRAPACS", destinations: [])
      try pacs.load(studies.files)
      let daemon = try DaemonFixture(peer: pacs.address, archivePort: try freePort())
      try daemon.drop(studies.counts.keys.sorted())
      try daemon.start()
      let number = studies.counts.keys.first!
      #expect(
        try waitUntil(.after(.seconds(30))) {
          try daemon.worklist()[number]?.reason == "retrieve_failed"
        })
      let shown = try daemon.syncctl(["show", number])[0]
      let reason = (shown["examination"] ?? shown)["reason"]?["text"]?.stringValue
      #expect(reason?.contains("does not know the AE title VGRSECTEMP") == true)
      pacs.process.kill(9)
      #expect(
        try waitUntil(.after(.seconds(30))) {
          try daemon.worklist()[number]?.reason == "peer_unavailable"
        })
      #expect(try daemon.worklist()[number]?.flag == "sectra-samverkan-tmc")
    }
  }

  @Test("SIGHUP takes over a right configuration and keeps the old one for a wrong one")
  func reload() async throws {
    try await offPool {
      let nobody = ApplicationEntityAddress("SECTRAPACS", port: try freePort())
      let daemon = try DaemonFixture(peer: nobody, archivePort: try freePort())
      try daemon.drop(["SE00000000000001"])
      try daemon.start()
      try daemon.configure(peer: nobody, extra: "prot = 1")
      daemon.signal(SIGHUP)
      func reloadError() throws -> String? {
        let status = try daemon.syncctl(["status"])[0]
        return (status["configuration"] ?? status["status"]?["configuration"])?["reloadError"]?
          .stringValue
      }
      #expect(try waitUntil(.after(.seconds(10))) { try reloadError() != nil })
      #expect(try reloadError()?.contains("config.toml:") == true)
      try daemon.configure(peer: nobody)
      daemon.signal(SIGHUP)
      #expect(try waitUntil(.after(.seconds(10))) { try reloadError() == nil })
      daemon.signal(SIGTERM)
      #expect(daemon.exit(.after(.seconds(15))) == .exited(0), "\(daemon.log)")
    }
  }

  @Test("a wrong configuration ends with 78 and says where and what")
  func wrongConfiguration() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("[archive]\nport = 99999\n", to: "config.toml")
    for arguments in [["--config", path], ["--config", path, "--check"]] {
      let result = try ChildProcess.run(Peers.product("syncd"), arguments)
      #expect(result.status == 78)
      #expect(result.output.contains("config.toml:2:8: archive.port: found 99999, expected"))
    }
  }
}
