import Platform
import TestSupport
import Testing

@testable import DICOM

@Suite("C-GET with real peers", .serialized)
struct GetPeerTests {
  private static let mr = "dicomdirtests/98892003/MR700"

  private func run(_ program: String, _ arguments: [String]) throws -> ChildProcess.Result {
    try ChildProcess.run(program, arguments, deadline: .after(.seconds(60)))
  }

  private func get(
    _ study: UID, from source: ApplicationEntityAddress, sopClasses: [UID],
    into archive: MemoryArchive, series: UID? = nil, instances: [UID] = [],
    progress: (Command.Suboperations) -> Bool = { _ in true }
  ) throws -> MoveOutcome {
    let proposal = GetProposal(.studyRoot, sopClasses: sopClasses)
    let association = try Association.request(
      to: source.peerAddress, contexts: proposal.contexts, timeouts: .short,
      extensions: AssociationExtensions(roles: proposal.roles))
    defer { try? association.release() }
    let level = instances.isEmpty ? "STUDY" : "IMAGE"
    var identifier = DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, level)])
    identifier.set(.studyInstanceUID, study)
    if let series { identifier.set(.seriesInstanceUID, series) }
    if !instances.isEmpty { identifier.set(.sopInstanceUID, uids: instances) }
    return try association.get(identifier, in: .studyRoot, into: archive, progress: progress)
  }

  private func study(_ path: String) throws -> UID {
    try #require(try Part10File.open(path).dataSet().uid(.studyInstanceUID))
  }

  @Test(
    "dcmqrscp, Orthanc and pynetdicom send a study as it is stored, and single images of it",
    .needs(
      .program("Orthanc"), .program("/usr/bin/dcmqrscp"), .python("pynetdicom")))
  func user() async throws {
    try await offPool {
      let images = RealImages.paths(in: Self.mr)
      let orthanc = try OrthancServer()
      let dcmqrscp = try DcmqrscpServer()
      let python = try ServicesProvider(files: images)
      try orthanc.load(images)
      try dcmqrscp.load(images)
      let sent = try images.map { try StoredInstance(part10: $0) }
      let classes = Array(Set(sent.map(\.sopClass)))
      let study = try self.study(images[0])
      let series = try Part10File.open(images[0]).dataSet().uid(.seriesInstanceUID)
      for source in [dcmqrscp.address, orthanc.address, python.address()] {
        let whole = MemoryArchive()
        let outcome = try self.get(study, from: source, sopClasses: classes, into: whole)
        #expect(outcome.result.status == .success, "\(source.aeTitle): \(outcome)")
        #expect(outcome.suboperations.completed == 7, "\(source.aeTitle)")
        let stored = whole.state.read { $0.stored }
        #expect(Set(stored.map(\.sopInstance)) == Set(sent.map(\.sopInstance)), "\(source.aeTitle)")
        for copy in stored {
          let original = try #require(sent.first { $0.sopInstance == copy.sopInstance })
          #expect(copy.transferSyntax == original.transferSyntax, "\(source.aeTitle)")
          // storescu writes them anew on the way to the first two.
          if source.aeTitle == "SAME" { #expect(try copy.bytes == original.dataSetBytes) }
        }
        let two = MemoryArchive()
        let wanted = sent.prefix(2).map(\.sopInstance)
        let part = try self.get(
          study, from: source, sopClasses: classes, into: two, series: series, instances: wanted)
        #expect(part.result.status == .success, "\(source.aeTitle): \(part)")
        #expect(two.state.read { $0.stored.map(\.sopInstance).sorted() } == wanted.sorted())
        // One that is refused here is told by the peer, in its way.
        let picky = MemoryArchive {
          $0.refusals[sent[3].sopInstance] = ServiceFailure(.outOfResources)
        }
        let partial = try self.get(study, from: source, sopClasses: classes, into: picky)
        #expect(!partial.result.status.isSuccess, "\(source.aeTitle): \(partial)")
        #expect(picky.state.read { $0.stored.count } == 6, "\(source.aeTitle)")
      }
    }
  }

  @Test(
    "compressed images come from Orthanc and pynetdicom in their own encoding",
    .needs(.program("Orthanc"), .python("pynetdicom")))
  func compressed() async throws {
    try await offPool {
      let files = ["MR_small_RLE.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "SC_rgb_jpeg_dcmtk.dcm"]
        .map { RealImages.path($0) }
      let orthanc = try OrthancServer()
      for file in files {
        let posted = try self.run(
          "curl", ["-sf", "-X", "POST", "\(orthanc.url)/instances", "--data-binary", "@\(file)"])
        #expect(posted.status == 0)
      }
      let python = try ServicesProvider(files: files)
      for file in files {
        let original = try StoredInstance(part10: file)
        let content = try Part10File.open(file).dataSet()
        let uid = try #require(content.uid(.sopInstanceUID))
        for source in [orthanc.address, python.address()] {
          let here = MemoryArchive()
          let outcome = try self.get(
            try self.study(file), from: source, sopClasses: [original.sopClass], into: here,
            series: content.uid(.seriesInstanceUID), instances: [uid])
          #expect(outcome.result.status == .success, "\(source.aeTitle) \(file): \(outcome)")
          let copy = try #require(here.state.read { $0.stored.first }, "\(source.aeTitle) \(file)")
          #expect(copy.transferSyntax == original.transferSyntax, "\(source.aeTitle) \(file)")
        }
      }
    }
  }

  @Test(
    "a cancelled C-GET ends early at dcmqrscp and pynetdicom",
    .needs(.program("/usr/bin/dcmqrscp"), .python("pynetdicom")))
  func cancelled() async throws {
    try await offPool {
      let images = RealImages.paths(in: Self.mr)
      let python = try ServicesProvider(files: images, arguments: ["--stall"])
      let study = try self.study(images[0])
      let classes = try Array(Set(images.map { try StoredInstance(part10: $0).sopClass }))
      let here = MemoryArchive()
      let outcome = try self.get(
        study, from: python.address(), sopClasses: classes, into: here
      ) { _ in false }
      #expect(outcome.result.status == .cancel, "\(outcome)")
      #expect(here.state.read { $0.stored.count } < images.count)
      #expect(waitUntil { python.lines.contains("cancelled") })
      // As fast as it is: it may have sent all of them before it looks.
      let dcmqrscp = try DcmqrscpServer()
      try dcmqrscp.load(images)
      let quick = try self.get(
        study, from: dcmqrscp.address, sopClasses: classes, into: MemoryArchive()
      ) { _ in false }
      #expect(quick.result.status == .cancel || quick.result.status == .success, "\(quick)")
    }
  }

  @Test(
    "getscu gets every object, uncompressed ones whatever they are stored as",
    .needs(.program("/usr/bin/getscu"), .python("pydicom")))
  func getscu() async throws {
    try await offPool {
      let plain = try ["CT_small.dcm", "MR_small_implicit.dcm", "rtdose.dcm", "reportsi.dcm"]
        .map { try StoredInstance(part10: RealImages.path($0)) }
      let jpeg = try StoredInstance(part10: RealImages.path("SC_rgb_jpeg_dcmtk.dcm"))
      let server = try TestServer(MemoryArchive { $0.plan = plain })
      let directory = try TemporaryDirectory()
      func get(_ arguments: [String], _ model: String = "-S") throws -> (String, [StoredInstance]) {
        let folder = try directory.makeDirectory("got")
        defer { _ = try? ChildProcess.run("rm", ["-r", folder]) }
        let result = try self.run(
          DCMTK.path("getscu"),
          [
            "-v", model, "+B", "-od", folder, "-aec", "TEST", "-k", "0008,0052=STUDY", "-k",
            "0020,000d=1.2",
          ] + arguments + ["127.0.0.1", "\(server.port)"])
        #expect(result.status == 0, "\(result.output.suffix(2000))")
        return (
          result.output,
          try files(in: folder).map { try StoredInstance(part10: "\(folder)/\($0)") }
        )
      }
      let (whole, received) = try get([])
      #expect(whole.contains("Success"), "\(whole.suffix(2000))")
      #expect(Set(received.map(\.sopInstance)) == Set(plain.map(\.sopInstance)))
      #expect(try get([], "-P").1.count == plain.count)
      #expect(try get([], "-O").1.count == plain.count)
      // A compressed one does not fit what getscu proposes, and is told as failed.
      server.archive.state.update { $0.plan = plain + [jpeg] }
      let (partial, rest) = try get([])
      #expect(partial.contains("Failed") || partial.contains("0xb000"), "\(partial.suffix(2000))")
      #expect(rest.count == plain.count)
    }
  }

  @Test(
    "pynetdicom gets every object as it is stored, and can cancel", .needs(.python("pynetdicom")))
  func pynetdicom() async throws {
    try await offPool {
      let instances = try [
        "CT_small.dcm", "MR_small_RLE.dcm", "examples_ybr_color.dcm", "SC_rgb_jpeg_dcmtk.dcm",
      ].map { try StoredInstance(part10: RealImages.path($0)) }
      let server = try TestServer(MemoryArchive { $0.plan = instances })
      let got = try ServicesProvider.use(port: server.port, ["get", "STUDY", "1.2"])
      for instance in instances {
        #expect(
          got.contains("object \(instance.sopInstance) \(instance.transferSyntax)"), "\(got)")
      }
      #expect(got.last == "final 0000 4 0", "\(got)")
      server.archive.state.update {
        $0.plan = Array(repeatElement(instances, count: 500).joined())
      }
      let cancelled = try ServicesProvider.use(port: server.port, ["cancel-get", "1.2"])
      #expect(cancelled.last?.hasPrefix("final FE00") == true, "\(cancelled.suffix(2))")
      #expect(cancelled.count < 1000)
    }
  }

  @Test(
    "a user, a window, roles and options are answered as pynetdicom understands them",
    .needs(.python("pynetdicom")))
  func negotiation() async throws {
    try await offPool {
      let archive = MemoryArchive()
      let server = try TestServer(
        services: DICOMServices(
          storage: archive, query: archive, retrieve: archive, isRelational: true))
      let answers = try ServicesProvider.use(port: server.port, ["negotiate"])
      #expect(answers.contains("identity True"), "\(answers)")
      #expect(answers.contains("window 1 1"), "\(answers)")
      #expect(answers.contains("options 0100000000"), "\(answers)")
      #expect(answers.contains("context \(ctImageStorage) True True"), "\(answers)")
    }
  }

  @Test(
    "pynetdicom is told which user asks, and refuses the wrong one", .needs(.python("pynetdicom")))
  func identity() async throws {
    try await offPool {
      let python = try ServicesProvider()
      func associate(_ identity: UserInformation.UserIdentity) throws -> Association {
        try Association.request(
          to: python.address().peerAddress, contexts: [.verification], timeouts: .short,
          extensions: AssociationExtensions(userIdentity: identity))
      }
      let association = try associate(.user("syncd", passcode: "secret", responseRequested: true))
      // pynetdicom answers only the kinds of identity that have something to say in return.
      #expect(!association.peerInformation.isUserIdentityAcknowledged)
      #expect(try association.echo().status == .success)
      try association.release()
      try associate(.user("syncd")).release()
      #expect(throws: AssociationError.self) { try associate(.user("wrong", passcode: "x")) }
      #expect(waitUntil { python.lines.contains("user syncd secret") })
      #expect(python.lines.contains("user syncd -"))
    }
  }
}
