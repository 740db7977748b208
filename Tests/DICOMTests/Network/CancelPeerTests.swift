import Platform
import TestSupport
import Testing

@testable import DICOM

@Suite("C-CANCEL with real peers", .serialized)
struct CancelPeerTests {
  /// Takes objects slowly, as a disk under load does.
  private final class SlowArchive: StorageProvider {
    let stored = Monitor(0)
    let pause: Duration

    init(_ pause: Duration) { self.pause = pause }

    func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink { Sink(self) }

    private final class Sink: StoreSink {
      let archive: SlowArchive
      init(_ archive: SlowArchive) { self.archive = archive }
      func write(_ fragments: DataFragments) {}
      func finish() -> DIMSEStatus {
        Gate().wait(until: .after(archive.pause))
        archive.stored.update { $0 += 1 }
        return .success
      }
      func abort() {}
    }
  }

  private static var images: [String] { RealImages.paths(in: "dicomdirtests/98892003/MR700") }

  private func study() throws -> DataSet {
    let uid = try #require(try Part10File.open(Self.images[0]).dataSet().uid(.studyInstanceUID))
    var identifier = DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, "STUDY")])
    identifier.set(.studyInstanceUID, uid)
    return identifier
  }

  @Test(
    "dcmqrscp stops moving, and tells what remains",
    .needs(.program("/usr/bin/dcmqrscp"), .python("pydicom"))
  )
  func move() async throws {
    try await offPool {
      let slow = SlowArchive(.milliseconds(200))
      let destination = try TestServer(
        aeTitle: "DESTINATION", services: DICOMServices(storage: slow))
      let dcmqrscp = try DcmqrscpServer(
        destinations: [ApplicationEntityAddress("DESTINATION", port: destination.port)])
      try dcmqrscp.load(Self.images)
      let association = try Association.request(
        to: dcmqrscp.address.peerAddress,
        contexts: [ProposedContext(InformationModel.studyRoot.moveClass!)], timeouts: .short)
      let outcome = try association.move(
        try self.study(), in: .studyRoot, to: "DESTINATION"
      ) { _ in false }
      #expect(outcome.result.status == .cancel, "\(outcome)")
      #expect(slow.stored.read { $0 } < Self.images.count)
      try association.release()
    }
  }

  @Test(
    "Orthanc, dcmqrscp and pynetdicom end a query early, and the association goes on",
    .needs(.program("Orthanc"), .program("/usr/bin/dcmqrscp"), .python("pynetdicom")))
  func find() async throws {
    try await offPool {
      let orthanc = try OrthancServer()
      let dcmqrscp = try DcmqrscpServer()
      let python = try ServicesProvider(files: Self.images, arguments: ["--stall"])
      try orthanc.load(Self.images)
      try dcmqrscp.load(Self.images)
      for peer in [orthanc.address, dcmqrscp.address, python.address()] {
        let association = try Association.request(
          to: peer.peerAddress,
          contexts: [ProposedContext(InformationModel.studyRoot.findClass), .verification],
          timeouts: .short)
        var query = try self.study()
        query.setBytes(.queryRetrieveLevel, .CS, Array("IMAGE".utf8))
        let series = try Part10File.open(Self.images[0]).dataSet().uid(.seriesInstanceUID)
        query.set(.seriesInstanceUID, try #require(series))
        query.setEmpty(.sopInstanceUID)
        var count = 0
        let result = try association.find(query, in: .studyRoot) { _ in
          count += 1
          return false
        }
        #expect(count == 1, "\(peer)")
        // Seven matches may be on their way before a quick peer has read the cancel.
        let isQuick = peer.aeTitle != "SAME"
        #expect(result.status == .cancel || isQuick && result.status.isSuccess, "\(peer) \(result)")
        #expect(try association.echo().status == .success, "\(peer)")
        try association.release()
      }
    }
  }

  @Test(
    "movescu cancels what we move", .needs(.program("/usr/bin/movescu"), .python("pydicom")))
  func movescu() async throws {
    try await offPool {
      let slow = SlowArchive(.milliseconds(150))
      let destination = try TestServer(
        aeTitle: "DEST", services: DICOMServices(storage: slow))
      let port = destination.port
      let instances = try Self.images.map { try StoredInstance(part10: $0) }
      let server = try TestServer(MemoryArchive { $0.plan = instances }) {
        $0.destination = { _ in
          PeerAddress(host: "127.0.0.1", port: port, calledAE: "DEST", callingAE: "TEST")
        }
      }
      let result = try ChildProcess.run(
        DCMTK.path("movescu"),
        [
          "-v", "-d", "-S", "--cancel", "1", "-aec", "TEST", "-aem", "DEST", "-k",
          "0008,0052=STUDY", "-k", "0020,000d=1.2", "127.0.0.1", "\(server.port)",
        ], deadline: .after(.seconds(60)))
      #expect(result.output.lowercased().contains("0xfe00"), "\(result.output.suffix(2000))")
      #expect(slow.stored.read { $0 } < instances.count)
    }
  }
}

@Suite("Ends of associations that nobody asked for", .serialized)
struct AssociationEndTests {
  private func server(
    _ archive: MemoryArchive = MemoryArchive(), _ timeouts: AssociationTimeouts
  ) throws -> TestServer {
    try TestServer(archive) { $0.timeouts = timeouts }
  }

  /// The error that a server's association ended with.
  private func ending(_ server: TestServer) -> AssociationError? {
    server.events.wait(until: .after(.seconds(20))) { events in
      for case .ended(_, let error?) in events { return error }
      return nil
    }
  }

  @Test("Who connects and says nothing is let go when ARTIM runs out")
  func silentConnection() async throws {
    try await offPool {
      var timeouts = AssociationTimeouts.short
      timeouts.association = .milliseconds(300)
      let server = try self.server(MemoryArchive(), timeouts)
      let socket = try StreamSocket.connect(
        to: .tcp(host: "127.0.0.1", port: server.port), deadline: .after(.seconds(5)))
      var buffer = [UInt8](repeating: 0, count: 64)
      let began = MonotonicTime.now
      // An abort may come first; then the end.
      while try buffer.withUnsafeMutableBytes({
        try socket.read(into: $0, deadline: .after(.seconds(10)))
      }) > 0 {}
      #expect(MonotonicTime.now - began < .seconds(8))
      let failed = server.events.wait(until: .after(.seconds(10))) { events in
        for case .failed(_, let error) in events { return error }
        return AssociationError?.none
      }
      #expect(failed == .timedOut(.association))
    }
  }

  @Test("An association without requests ends when its idle time is over")
  func idle() async throws {
    try await offPool {
      var timeouts = AssociationTimeouts.short
      timeouts.request = .milliseconds(300)
      let server = try self.server(MemoryArchive(), timeouts)
      let association = try server.associate([.verification])
      #expect(try association.echo().status == .success)
      #expect(self.ending(server) == .timedOut(.request))
      #expect(throws: AssociationError.self) { try association.echo() }
    }
  }

  @Test("A requestor of C-GET that aborts costs its association and nothing else")
  func abortedGet() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let path = try directory.write([UInt8](repeating: 1, count: 200_000), to: "object")
      let instances = (0..<200).map {
        StoredInstance(
          sopClass: ctImageStorage, sopInstance: UID("1.2.\($0)"),
          transferSyntax: .explicitVRLittleEndian, path: path, dataSetOffset: 0,
          dataSetLength: 200_000)
      }
      let server = try self.server(MemoryArchive { $0.plan = instances }, .short)
      let proposal = GetProposal(.studyRoot, sopClasses: [ctImageStorage])
      let association = try Association.request(
        to: server.address, contexts: proposal.contexts, timeouts: .short,
        extensions: AssociationExtensions(roles: proposal.roles))
      let here = MemoryArchive()
      #expect(throws: AssociationError.self) {
        try association.get(
          DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, "STUDY")]), in: .studyRoot, into: here
        ) { _ in
          association.abort()
          return true
        }
      }
      let error = self.ending(server)
      let isAbort =
        switch error {
        case .abortedByPeer, .connectionLost: true
        default: false
        }
      #expect(isAbort, "\(String(describing: error))")
      #expect(waitUntil { server.server.associationCount == 0 })
      #expect(try server.associate([.verification]).echo().status == .success)
    }
  }
}
