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

private struct NoMatches: QueryProvider {
  func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {}
}

/// A PACS that is asked to send: notes at which levels, and takes some of them only.
private final class LevelledPACS: RetrieveProvider {
  struct State: Sendable {
    var asked: [QueryLevel] = []
    var takes: [QueryLevel: DIMSEStatus] = [:]
  }
  let state = Monitor(State())
  private let instances: [StoredInstance]

  init(_ instances: [StoredInstance]) { self.instances = instances }

  func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance] {
    let level = request.level ?? .study
    let refusal = state.update { state -> DIMSEStatus? in
      state.asked.append(level)
      return state.takes[level]
    }
    if let refusal { throw ServiceFailure(refusal, "told to") }
    return instances
  }

  /// The levels asked for since the last call.
  func takeAsked() -> [QueryLevel] {
    state.update { state in
      defer { state.asked = [] }
      return state.asked
    }
  }
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

  private func peer(
    _ address: ApplicationEntityAddress, to destination: String, _ register: PeerRegister? = nil
  ) -> DIMSEPeer {
    DIMSEPeer(
      DIMSEPeer.Options(
        name: "sectra",
        address: PeerAddress(
          host: "127.0.0.1", port: address.port, calledAE: address.aeTitle, callingAE: "VGRSECTEMP"),
        destination: destination), register: register)
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
    "the level at which a peer sends is learnt from what arrives, and outlives a restart",
    .needs(.python("pydicom")))
  func learntLevel() async throws {
    try await offPool {
      let archive = RefusingArchive()
      let server = try server(archive)
      defer { server.stop() }
      let instances = try Self.images.prefix(2).map { path in
        let file = try Part10File.open(path)
        return StoredInstance(
          sopClass: try #require(file.header.metaInformation?.mediaStorageSOPClass),
          sopInstance: try #require(file.header.metaInformation?.mediaStorageSOPInstance),
          transferSyntax: file.transferSyntax, path: path, dataSetOffset: file.dataSetOffset,
          dataSetLength: file.dataSetLength)
      }
      let pacs = LevelledPACS(instances)
      let provider = try DICOMServer(
        on: .tcp(host: "127.0.0.1", port: 0),
        configuration: ServerConfiguration(
          aeTitle: "SECTRAPACS",
          destination: { [port = server.port] title in
            PeerAddress(
              host: "127.0.0.1", port: port, calledAE: title, callingAE: "SECTRAPACS")
          }),
        services: DICOMServices(query: NoMatches(), retrieve: pacs))
      provider.start()
      defer { provider.stop() }
      let address = ApplicationEntityAddress("SECTRAPACS", port: provider.port)
      let missing = instances.map { ImageObject(sopInstance: $0.sopInstance, series: "1.2") }
      func retrieve(_ register: PeerRegister) throws -> [QueryLevel] {
        let source = peer(address, to: "VGRSECTEMP", register)
        _ = try source.retrieve(
          study: "1.2.3", missing: missing, isWholeStudy: false, stop: Gate(), progress: { _ in })
        return pacs.takeAsked()
      }
      let directory = try TemporaryDirectory()

      // Everything is refused, as by one whose destination is down: that teaches nothing.
      pacs.state.update {
        $0.takes = [
          .image: .cannotUnderstand, .series: .cannotUnderstand, .study: .cannotUnderstand,
        ]
      }
      #expect(try retrieve(PeerRegister(directory: directory.path)) == [.image, .series, .study])
      #expect(try retrieve(PeerRegister(directory: directory.path)) == [.image, .series, .study])
      // Whole series only: found out once.
      pacs.state.update { $0.takes = [.image: .dataSetDoesNotMatchSOPClass] }
      #expect(try retrieve(PeerRegister(directory: directory.path)) == [.image, .series])
      #expect(archive.state.read { $0.stored.count } == 2)
      let later = PeerRegister(directory: directory.path)
      #expect(later.known("sectra").level == .series)
      #expect(try retrieve(later) == [.series])
      // Of another address nothing is known, and after a week a finer level is tried again.
      #expect(later.level(of: "sectra", at: "OTHER@h:104", finest: .image) == .image)
      let here = "SECTRAPACS@127.0.0.1:\(provider.port)"
      #expect(later.level(of: "sectra", at: here, finest: .image) == .series)
      #expect(
        later.level(of: "sectra", at: here, finest: .image, now: .now + .seconds(8 * 86_400))
          == .image)
      #expect(later.level(of: "sectra", at: here, finest: .study) == .study)
    }
  }

  @Test("what is remembered of peers may be damaged: it is told, and begun anew")
  func damagedRegister() throws {
    let directory = try TemporaryDirectory()
    let problems = Monitor<[String]>([])
    for damage in ["", "{", "[]", "{\"version\":2,\"peers\":{}}", "{\"version\":1}"] {
      try directory.write(damage, to: "peers.json")
      let register = PeerRegister(directory: directory.path) { text in
        problems.update { $0.append(text) }
      }
      #expect(register.known("sectra") == PeerRegister.Known())
      register.sends("sectra", at: "A@h:1", level: .study)
    }
    #expect(problems.read { $0.count } == 5)
    let register = PeerRegister(directory: directory.path) { text in
      problems.update { $0.append(text) }
    }
    #expect(register.level(of: "sectra", at: "A@h:1", finest: .image) == .study)
    #expect(problems.read { $0.count } == 5)
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
