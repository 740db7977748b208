import DICOM
import Foundation
import JSON
import Platform
import TestSupport
import Testing

/// The real daemon fetching by C-GET, from PACS that do not know the archive's address.
@Suite("Images are fetched by C-GET", .serialized)
struct GetFetchTests {
  private func complete(
    _ peer: ApplicationEntityAddress, _ studies: NumberedStudies, level: String = "image",
    extra: String = ""
  ) throws -> DaemonFixture {
    let daemon = try DaemonFixture(peer: peer, archivePort: try freePort())
    try daemon.configure(
      peer: peer, extra: "allow_calling = [\"NOBODY\"]",
      peerKeys: "retrieve = \"get\"\nretrieve_level = \"\(level)\"\n" + extra)
    try daemon.drop(studies.counts.keys.sorted())
    try daemon.start()
    let isComplete = try waitUntil(.after(.seconds(90))) {
      let now = try daemon.worklist()
      return studies.counts.keys.allSatisfy { now[$0]?.images == "complete" }
    }
    let list = try daemon.worklist()
    try #require(isComplete, "\(list)\n\(daemon.log.suffix(3000))")
    #expect(daemon.archived().count == studies.counts.values.reduce(0, +))
    return daemon
  }

  @Test(
    "dcmqrscp and Orthanc: everything arrives, and what comes late",
    .needs(.program("dcmqrscp"), .program("Orthanc"), .python("pydicom")),
    arguments: ["dcmqrscp", "Orthanc"])
  func whole(_ kind: String) async throws {
    try await offPool {
      let studies = try NumberedStudies(images(in: "98892003") + images(in: "77654033"))
      let late = try #require(studies.files.last)
      let early = studies.files.filter { $0 != late }
      let dcmqrscp = kind == "dcmqrscp" ? try DcmqrscpServer(aeTitle: "SECTRAPACS") : nil
      let orthanc = kind == "Orthanc" ? try OrthancServer(aeTitle: "SECTRAPACS") : nil
      let address = try #require(dcmqrscp?.address ?? orthanc?.address)
      try DCMTK.store(early, to: address)
      let daemon = try DaemonFixture(peer: address, archivePort: try freePort())
      // Nobody may come to the archive: what is there was fetched.
      try daemon.configure(
        peer: address, extra: "allow_calling = [\"NOBODY\"]", peerKeys: "retrieve = \"get\"")
      try daemon.drop(studies.counts.keys.sorted())
      try daemon.start()
      func isComplete(_ count: Int) throws -> Bool {
        try waitUntil(.after(.seconds(90))) {
          let now = try daemon.worklist()
          return studies.counts.keys.allSatisfy { now[$0]?.images == "complete" }
            && daemon.archived().count == count
        }
      }
      let isFirst = try isComplete(early.count)
      try #require(isFirst, "\(daemon.log.suffix(3000))")
      try DCMTK.store([late], to: address)
      let isSecond = try isComplete(studies.files.count)
      #expect(isSecond, "\(daemon.log.suffix(3000))")
      for file in studies.files {
        let sent = try Part10(file)
        #expect(
          daemon.archived().contains { (try? Part10($0).sopInstance) == sent.sopInstance })
      }
      #expect(!daemon.log.contains("191212121212"))
    }
  }

  @Test(
    "a PACS that asks for a user, and gives compressed images as they are",
    .needs(.python("pynetdicom")))
  func user() async throws {
    try await offPool {
      let studies = try NumberedStudies(
        ["MR_small_RLE.dcm", "JPEG2000.dcm", "SC_rgb_jpeg_dcmtk.dcm"].map(RealImages.path))
      let pacs = try ServicesProvider(files: studies.files)
      let folder = try TemporaryDirectory()
      let passcode = try folder.write("hemligt\n", to: "passcode")
      #expect(chmod(passcode, 0o600) == 0)
      let daemon = try self.complete(
        pacs.address(), studies, level: "study",
        extra: "user = \"syncd\"\npasscode = \"\(passcode)\"")
      let syntaxes = Set(try daemon.archived().map { try Part10($0).transferSyntax })
      #expect(syntaxes == Set(try studies.files.map { try Part10($0).transferSyntax }))
      #expect(syntaxes.count == 3)
      #expect(pacs.lines.contains("user syncd hemligt"))
      #expect(!daemon.log.contains("hemligt"))
    }
  }

  @Test(
    "a PACS without C-GET is told of by name, and its images come once it is asked by C-MOVE",
    .needs(.program("dcmqrscp"), .python("pydicom")))
  func withoutGet() async throws {
    try await offPool {
      let studies = try NumberedStudies(images(in: "77654033"))
      let port = try freePort()
      let pacs = try DcmqrscpServer(
        aeTitle: "SECTRAPACS", destinations: [ApplicationEntityAddress("VGRSECTEMP", port: port)],
        arguments: ["--disable-get"])
      try pacs.load(studies.files)
      let daemon = try DaemonFixture(peer: pacs.address, archivePort: port)
      try daemon.configure(peer: pacs.address, peerKeys: "retrieve = \"get\"")
      try daemon.drop(studies.counts.keys.sorted())
      try daemon.start()
      let number = try #require(studies.counts.keys.first)
      let isTold = try waitUntil(.after(.seconds(60))) {
        try daemon.syncctl(["show", number]).contains {
          "\($0)".contains("does not offer C-GET")
        }
      }
      let shown = try daemon.syncctl(["show", number])
      #expect(isTold, "\(shown)")
      try daemon.configure(peer: pacs.address)
      try daemon.syncctl(["reload"])
      let isComplete = try waitUntil(.after(.seconds(60))) {
        let now = try daemon.worklist()
        return studies.counts.keys.allSatisfy { now[$0]?.images == "complete" }
      }
      #expect(isComplete, "\(daemon.log.suffix(3000))")
    }
  }
}
