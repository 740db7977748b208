import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// An archive that takes objects in memory and refuses those it is told to, in front of a real
/// listener: what a PACS sends its C-MOVE to.
private final class RefusingArchive: StorageProvider, ImageArchive {
  struct State: Sendable {
    var stored: Set<UID> = []
    /// Refuses every object from this one on, counted as they come; nil for none.
    var refusesFrom: Int?
    var offered = 0
  }
  let state = Monitor(State())

  final class Sink: StoreSink {
    let archive: RefusingArchive
    let instance: UID
    init(_ archive: RefusingArchive, _ instance: UID) {
      self.archive = archive
      self.instance = instance
    }
    func write(_ fragments: DataFragments) throws(ServiceFailure) {}
    func finish() throws(ServiceFailure) -> DIMSEStatus {
      archive.state.update { _ = $0.stored.insert(instance) }
      return .success
    }
    func abort() {}
  }

  func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink {
    let isRefused = state.update { state -> Bool in
      state.offered += 1
      return state.refusesFrom.map { state.offered > $0 } ?? false
    }
    if isRefused { throw ServiceFailure(.outOfResources, "told to") }
    return Sink(self, request.sopInstance)
  }

  func storedObjects(of study: UID) throws -> [ImageObject] {
    state.read { $0.stored }.map { ImageObject(sopInstance: $0, series: "1.2") }
  }
  func storedStudies(number: String) throws -> [UID] { [] }
  var refusal: String? { nil }
}

@Suite("What peers do, and what is made of it", .serialized)
struct OdditiesTests {
  private static let images = RealImages.paths(in: "dicomdirtests/98892003/MR700")

  /// The images with an examination number, in a folder of their own.
  private func numbered() throws -> (TemporaryDirectory, [String]) {
    let directory = try TemporaryDirectory()
    let result = try ChildProcess.run(
      Peers.python,
      [Peers.packageRoot + "/Tests/Scripts/number-studies.py", directory.path] + Self.images)
    try #require(result.status == 0, "\(result.output)")
    let files = try FileManager.default.contentsOfDirectory(atPath: directory.path).sorted()
    return (directory, files.map { "\(directory.path)/\($0)" })
  }

  private func peer(_ address: ApplicationEntityAddress, to destination: String) -> DIMSEPeer {
    DIMSEPeer(
      DIMSEPeer.Options(
        name: "sectra",
        address: PeerAddress(
          host: "127.0.0.1", port: address.port, calledAE: address.aeTitle, callingAE: "VGRSECTEMP"),
        destination: destination))
  }

  private func pass(
    _ source: DIMSEPeer, _ archive: RefusingArchive, number: String = "SE00000000000001"
  ) -> ImageObservation {
    ImagePass(source: source, archive: archive, prefetches: true)
      .run(number: number, listStudyUID: nil, stop: Gate()) { _, _ in }.observation
  }

  private func failure(_ observation: ImageObservation) -> ImageReason? {
    guard case .compared(let comparison) = observation else { return nil }
    return comparison.retrieveFailure
  }

  /// Every case against one PACS, which knows two destinations: one that listens, one that is down.
  private func check(
    _ address: ApplicationEntityAddress, _ archive: RefusingArchive, unknown: String, down: String
  ) throws {
    let count = Self.images.count
    #expect(pass(peer(address, to: "VGRSECTEMP"), archive, number: "SE404") == .notFound)

    let stranger = failure(pass(peer(address, to: "STRANGER"), archive))
    #expect(stranger?.code == .retrieveFailed)
    #expect(stranger?.text.contains(unknown) == true, "\(stranger?.text ?? "-")")

    let downReason = failure(pass(peer(address, to: "DOWN"), archive))
    #expect(downReason?.code == .retrieveFailed)
    #expect(downReason?.text.contains(down) == true, "\(downReason?.text ?? "-")")

    // The last object is refused: whatever the peer calls that, one is missing and is named.
    archive.state.update {
      $0.refusesFrom = count - 1
      $0.offered = 0
    }
    let source = peer(address, to: "VGRSECTEMP")
    guard case .compared(let partly) = pass(source, archive) else {
      Issue.record("not compared")
      return
    }
    #expect(partly.missing >= 1 && partly.missing < count)
    #expect(partly.retrieveFailure?.code == .retrieveFailed)

    // Mended: the next pass asks for what is missing and nothing else.
    archive.state.update {
      $0.refusesFrom = nil
      $0.offered = 0
    }
    guard case .compared(let whole) = pass(source, archive) else {
      Issue.record("not compared")
      return
    }
    #expect(whole.missing == 0 && whole.extra == 0 && whole.source == count)
    #expect(archive.state.read { $0.offered } == partly.missing)
  }

  private func server(_ archive: RefusingArchive) throws -> DICOMServer {
    let server = try DICOMServer(
      on: .tcp(host: "127.0.0.1", port: 0),
      configuration: ServerConfiguration(aeTitle: "VGRSECTEMP"),
      services: DICOMServices(storage: archive))
    server.start()
    return server
  }

  @Test(
    "dcmqrscp: absent study, unknown and dead destination, refused object; mended by the missing",
    .needs(.program("dcmqrscp"), .python("pydicom")))
  func dcmqrscp() async throws {
    try await offPool {
      let (directory, files) = try numbered()
      defer { withExtendedLifetime(directory) {} }
      let archive = RefusingArchive()
      let server = try server(archive)
      defer { server.stop() }
      let pacs = try DcmqrscpServer(
        aeTitle: "SECTRAPACS",
        destinations: [
          ApplicationEntityAddress("VGRSECTEMP", port: server.port),
          ApplicationEntityAddress("DOWN", port: try freePort()),
        ])
      try pacs.load(files)
      try check(
        pacs.address, archive, unknown: "does not know the AE title STRANGER",
        down: "could not send to DOWN")
    }
  }

  @Test(
    "Orthanc: absent study, unknown and dead destination, refused object; mended by the missing",
    .needs(.program("Orthanc"), .python("pydicom")))
  func orthanc() async throws {
    try await offPool {
      let (directory, files) = try numbered()
      defer { withExtendedLifetime(directory) {} }
      let archive = RefusingArchive()
      let server = try server(archive)
      defer { server.stop() }
      let pacs = try OrthancServer(
        aeTitle: "SECTRAPACS",
        modalities: [
          ApplicationEntityAddress("VGRSECTEMP", port: server.port),
          ApplicationEntityAddress("DOWN", port: try freePort()),
        ])
      try pacs.load(files)
      // Orthanc calls every one of them C000; the archive tells what arrived.
      try check(pacs.address, archive, unknown: "C000", down: "C000")
    }
  }
}
