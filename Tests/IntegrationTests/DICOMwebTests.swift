import DICOM
import DICOMweb
import Foundation
import HTTP
import JSON
import Platform
import TLS
import TestSupport
import Testing

@testable import SyncCore

extension NumberedStudies {
  /// The study of most objects.
  fileprivate var largest: UID {
    get throws {
      let number = try #require(counts.max { ($0.value, $0.key) < ($1.value, $1.key) }?.key)
      return try #require(studies[number])
    }
  }
}

/// Sources and recipients over DICOMweb, with Orthanc's plugin as the peer.
@Suite("DICOMweb, among real peers", .serialized)
struct DICOMwebTests {
  private static let realImages: [String] =
    images(in: "TINY_ALPHA") + images(in: "98892003")
    + [
      "JPEG-lossy.dcm", "JPEG2000.dcm", "693_J2KI.dcm", "MR_small_RLE.dcm",
      "SC_rgb_jpeg_dcmtk.dcm", "reportsi.dcm", "test-SR.dcm", "CT_small.dcm",
    ].map(RealImages.path)

  private static func orthanc(
    aeTitle: String = "WEBPACS", modalities: [ApplicationEntityAddress] = []
  ) throws -> OrthancServer {
    try OrthancServer(aeTitle: aeTitle, modalities: modalities, plugins: [.dicomWeb])
  }

  /// By REST: as the files are.
  private static func load(_ files: [String], into pacs: OrthancServer) throws {
    for file in files {
      let result = try ChildProcess.run(
        "curl", ["-sf", "-X", "POST", "\(pacs.url)/instances", "--data-binary", "@\(file)"])
      try #require(result.status == 0, "\(file): \(result.output)")
    }
  }

  private static func client(
    _ url: String, page: Int = 1000, tls: TLSOptions? = nil
  ) throws -> DICOMwebClient {
    var options = DICOMwebClient.Options()
    options.pageSize = page
    options.idleTimeout = .seconds(30)
    var settings = HTTPSession.Settings()
    if let tls { settings.tls = tls }
    return DICOMwebClient(
      HTTPService(name: "web", base: try #require(HTTPURL(url)), settings: settings), options)
  }

  private static func archive(_ directory: TemporaryDirectory) throws -> EmbeddedArchive {
    try EmbeddedArchive.open(
      EmbeddedArchive.Configuration(directory: directory.file("archive"), minimumFree: 0))
  }

  private static func source(
    _ client: DICOMwebClient, _ storage: (any StorageProvider)?, level: QueryLevel = .image
  ) -> DICOMwebSource {
    DICOMwebSource(
      DICOMwebSource.Options(name: "web", finestLevel: level, archiveTitle: "VGRSECTEMP"),
      client: client, storage: storage)
  }

  /// What Orthanc sends over DIMSE to DCMTK's storescp, by object.
  private static func sentByDIMSE(
    _ pacs: OrthancServer, to storescp: StorescpServer, _ studies: some Sequence<UID>
  ) throws -> [UID: Part10] {
    let association = try Association.request(
      to: PeerAddress(
        host: "127.0.0.1", port: pacs.dicomPort, calledAE: pacs.aeTitle, callingAE: "TEST"),
      contexts: [ProposedContext(InformationModel.studyRoot.moveClass!)])
    defer { association.abort() }
    for study in studies {
      var identifier = DataSet()
      identifier.setBytes(.queryRetrieveLevel, .CS, Array("STUDY".utf8))
      identifier.set(.studyInstanceUID, study)
      _ = try association.move(identifier, in: .studyRoot, to: storescp.address.aeTitle)
    }
    var result: [UID: Part10] = [:]
    for path in storescp.received {
      let file = try Part10(path)
      result[file.sopInstance] = file
    }
    return result
  }

  @Test(
    "real studies come into the archive, byte for byte as they went into Orthanc",
    .needs(.program("Orthanc"), .program("storescp"), .python("pydicom")))
  func retrieve() async throws {
    try await offPool {
      let studies = try NumberedStudies(Self.realImages)
      let storescp = try StorescpServer()
      let pacs = try Self.orthanc(modalities: [storescp.address])
      try Self.load(studies.files, into: pacs)
      let directory = try TemporaryDirectory()
      let archive = try Self.archive(directory)
      defer { archive.close() }
      // In small pages, so that there are many.
      let source = Self.source(try Self.client("\(pacs.url)/dicom-web", page: 7), archive)
      for (number, count) in studies.counts {
        #expect(try source.studies(number: number, stop: Gate()) == [studies.studies[number]!])
        let pass = ImagePass(source: source, archive: archive, prefetches: true)
        var reported = 0
        let result = pass.run(number: number, listStudyUID: nil, stop: Gate()) { done, all in
          #expect(all == count && done >= reported)
          reported = done
        }
        guard case .compared(let found) = result.observation else {
          Issue.record("\(number): \(result.observation)")
          continue
        }
        #expect(found.source == count && found.missing == 0 && found.extra == 0)
        #expect(found.retrieveFailure == nil && reported == count)
      }
      let sent = try Self.sentByDIMSE(pacs, to: storescp, studies.studies.values)
      #expect(sent.count == studies.files.count)
      var alike = 0
      for path in studies.files {
        let file = try Part10(path)
        let ours = try Part10(archive.path(of: file.sopInstance))
        #expect(ours.transferSyntax == file.transferSyntax, "\(path)")
        #expect(ours.dataSet == file.dataSet, "\(path)")
        // Over DIMSE DCMTK writes some data sets anew: group lengths, lengths of sequences.
        let other = try #require(sent[file.sopInstance])
        #expect(ours.transferSyntax == other.transferSyntax, "\(path)")
        if ours.dataSet == other.dataSet { alike += 1 }
      }
      #expect(alike >= studies.files.count - 8, "\(alike) of \(studies.files.count)")
      // No such number, and one that would be a wildcard.
      #expect(try source.studies(number: "SE404", stop: Gate()).isEmpty)
      #expect(throws: ImageSourceError.self) { try source.studies(number: "SE*", stop: Gate()) }
    }
  }

  @Test(
    "only what is missing is moved, at each level",
    .needs(.program("Orthanc"), .python("pydicom")), arguments: [QueryLevel.image, .series, .study])
  func missing(level: QueryLevel) async throws {
    try await offPool {
      let files = images(in: "98892003")
      let studies = try NumberedStudies(files)
      let pacs = try Self.orthanc()
      try Self.load(studies.files, into: pacs)
      let study = try studies.largest
      let client = try Self.client("\(pacs.url)/dicom-web")
      let directory = try TemporaryDirectory()
      let archive = try Self.archive(directory)
      defer { archive.close() }
      let source = Self.source(client, archive, level: level)
      let objects = try source.objects(of: study, stop: Gate()).sorted {
        $0.sopInstance < $1.sopInstance
      }
      let wanted = [objects[1], objects[objects.count - 2]]
      var sent = 0
      let reason = try source.retrieve(
        study: study, missing: wanted, isWholeStudy: false, stop: Gate()
      ) { sent = $0 }
      #expect(reason == nil && sent == 2)
      #expect(
        Set(try archive.storedObjects(of: study).map(\.sopInstance))
          == Set(wanted.map(\.sopInstance)))
      // What is there already comes to the same.
      #expect(
        try source.retrieve(
          study: study, missing: objects, isWholeStudy: true, stop: Gate(), progress: { _ in })
          == nil)
      #expect(try archive.storedObjects(of: study).count == objects.count)
      #expect(try archive.statistics().conflicts == 0)
    }
  }

  @Test(
    "a peer that gives no single objects gives series, or studies",
    .needs(.python("pydicom")), arguments: ["no-instances", "studies-only"])
  func coarser(mode: String) async throws {
    try await offPool {
      let files = ["CT_small.dcm", "MR_small_RLE.dcm"].map(RealImages.path)
      let server = try DICOMwebServer(files)
      let directory = try TemporaryDirectory()
      let archive = try Self.archive(directory)
      defer { archive.close() }
      let source = Self.source(try Self.client(server.url(mode)), archive)
      let file = try Part10File.open(files[1])
      let wanted = try #require(file.header.metaInformation?.mediaStorageSOPInstance)
      let object = ImageObject(sopInstance: wanted, series: "1.2.752.24.7.1.1")
      let stored = Monitor(0)
      for _ in 0..<2 {
        let reason = try source.retrieve(
          study: "1.2.752.24.7.1", missing: [object], isWholeStudy: false, stop: Gate()
        ) { done in stored.update { $0 = done } }
        #expect(reason == nil)
      }
      #expect(stored.read { $0 } == 1)
      try archive.flush()
      // The other one of the answer was not wanted.
      #expect(try archive.statistics().objects == 1)
      // It is refused once, and remembered.
      let requests = ["no-instances": 3, "studies-only": 4][mode]!
      #expect(try server.requests("GET \(mode)") == requests)
    }
  }

  /// Outcomes by object, and the error that ended it.
  private static func send(
    _ recipient: any ImageRecipient, _ archive: EmbeddedArchive, _ study: UID
  ) throws -> ([UID: SendOutcome], ImageRecipientError?) {
    let objects = try archive.storedObjects(of: study)
    var outcomes: [UID: SendOutcome] = [:]
    do throws(ImageRecipientError) {
      try recipient.send(study, objects, priority: .routine, stop: Gate()) { uid, outcome in
        #expect(outcomes[uid] == nil, "told twice")
        outcomes[uid] = outcome
      }
      return (outcomes, nil)
    } catch {
      return (outcomes, error)
    }
  }

  /// An archive with the objects of files, by way of WADO-RS.
  private static func filled(
    _ files: [String], _ directory: TemporaryDirectory
  ) throws -> (archive: EmbeddedArchive, studies: NumberedStudies) {
    let studies = try NumberedStudies(files)
    let pacs = try Self.orthanc()
    try load(studies.files, into: pacs)
    let archive = try archive(directory)
    let source = source(try client("\(pacs.url)/dicom-web"), archive)
    for study in studies.studies.values {
      let reason = try source.retrieve(
        study: study, missing: try source.objects(of: study, stop: Gate()), isWholeStudy: true,
        stop: Gate(), progress: { _ in })
      #expect(reason == nil)
    }
    try archive.flush()
    return (archive, studies)
  }

  @Test(
    "every object reaches Orthanc by STOW-RS, and comes back as it went",
    .needs(.program("Orthanc"), .python("pydicom")))
  func store() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let (archive, studies) = try Self.filled(Self.realImages, directory)
      defer { archive.close() }
      let there = try Self.orthanc(aeTitle: "AHEIPACS")
      let client = try Self.client("\(there.url)/dicom-web")
      let recipient = VerifiedRecipient(
        DICOMwebRecipient(name: "ahei", client: client, archive: archive),
        query: Self.source(client, nil))
      for study in studies.studies.values {
        // Twice: the same again is no error.
        for _ in 0..<2 {
          let (outcomes, error) = try Self.send(recipient, archive, study)
          #expect(error == nil, "\(String(describing: error))")
          #expect(outcomes.values.allSatisfy { $0 == .stored }, "\(outcomes)")
          #expect(
            outcomes.count == studies.counts.first { studies.studies[$0.key] == study }?.value)
        }
      }
      let second = try TemporaryDirectory()
      let back = try Self.archive(second)
      defer { back.close() }
      let source = Self.source(client, back)
      for study in studies.studies.values {
        let objects = try source.objects(of: study, stop: Gate())
        _ = try source.retrieve(
          study: study, missing: objects, isWholeStudy: true, stop: Gate(), progress: { _ in })
        for object in objects {
          let ours = try Part10(archive.path(of: object.sopInstance))
          let theirs = try Part10(back.path(of: object.sopInstance))
          #expect(ours.transferSyntax == theirs.transferSyntax && ours.dataSet == theirs.dataSet)
        }
      }
    }
  }

  @Test(
    "the daemon lists, flags, fetches and sends over DICOMweb alone",
    .needs(.program("Orthanc"), .python("pydicom"), .python("hl7")))
  func daemon() async throws {
    try await offPool {
      let studies = try NumberedStudies(Self.realImages)
      let pacs = try Self.orthanc()
      try Self.load(studies.files, into: pacs)
      let there = try Self.orthanc(aeTitle: "AHEIPACS")
      let interface = try HL7Server(.hl7)
      let daemon = try DaemonFixture(
        peer: ApplicationEntityAddress("UNUSED", port: 104), archivePort: try freePort())
      try daemon.configure(
        peer: "kind = \"dicomweb\"\nserver = \"pacs\"",
        extra: """
          [[server]]
          name = "pacs"
          url = "\(pacs.url)/dicom-web"
          [[server]]
          name = "reviewer"
          url = "\(there.url)/dicom-web"
          [[peer]]
          name = "ahei"
          kind = "dicomweb"
          server = "reviewer"
          [[hl7]]
          name = "reviewer"
          host = "127.0.0.1"
          port = \(interface.port)
          [[destination]]
          name = "ahei"
          peer = "ahei"
          verify_by_query = true
          hl7 = "reviewer"
          [[origin]]
          system = "SECTRA"
          hl7 = "reviewer"
          [[recipient]]
          id = "tmc"
          label = "TMC"
          destination = "ahei"
          """)
      try daemon.drop(studies.counts.keys.sorted() + ["SE99999999999999"])
      try daemon.start()
      let isDone = try waitUntil(.after(.seconds(90))) {
        let now = try daemon.worklist()
        return studies.counts.keys.allSatisfy {
          now[$0]?.images == "complete" && now[$0]?.flag != nil
        } && now["SE99999999999999"]?.reason == "not_stored"
      }
      let list = try daemon.worklist()
      try #require(isDone, "\(list)\n\(daemon.log.suffix(3000))")
      #expect(daemon.archived().count == studies.files.count)

      let number = try #require(studies.counts.max { $0.value < $1.value }?.key)
      let probed = try ChildProcess.run(
        Peers.product("syncctl"),
        ["--socket", daemon.socket, "peer", "probe", "sectra", "--number", number])
      #expect(probed.status == 0, "\(probed.output)")
      for words in ["QIDO-RS", "WADO-RS", "\(studies.counts[number]!) objects"] {
        #expect(probed.output.contains(words), "\(probed.output)")
      }
      let id = try #require(
        try daemon.syncctl(["send", number, "--to", "tmc"]).first?["id"]?.stringValue)
      let isSent = try waitUntil(.after(.seconds(60))) {
        try daemon.syncctl(["show", id]).first?["assignment"]?["phase"]?.stringValue == "sent"
      }
      #expect(isSent, "\(daemon.log.suffix(3000))")
      let objects = try Self.source(try Self.client("\(there.url)/dicom-web"), nil)
        .objects(of: studies.studies[number]!, stop: Gate())
      #expect(objects.count == studies.counts[number])

      // The peer goes down, and is told of as such.
      pacs.process.kill(9)
      let isTold = try waitUntil(.after(.seconds(30))) {
        try daemon.worklist()["SE99999999999999"]?.reason == "peer_unavailable"
      }
      #expect(isTold, "\(daemon.log.suffix(3000))")
      #expect(!daemon.log.contains("191212121212") && !daemon.log.contains("Tolvan"))
    }
  }

  @Test(
    "the archive is a peer: the source sends there, it is asked what has come, and it sends on",
    .needs(.program("Orthanc"), .program("storescp"), .python("pydicom"), .python("hl7")),
    arguments: [false, true])
  func peerArchive(isWeb: Bool) async throws {
    try await offPool {
      let studies = try NumberedStudies(images(in: "98892003") + images(in: "77654033"))
      let recipient = try StorescpServer(aeTitle: "AHEIPACS")
      let bfr = try OrthancServer(
        aeTitle: "BFR", modalities: [recipient.address], plugins: [.dicomWeb])
      let pacs = try OrthancServer(
        aeTitle: "SECTRAPACS", modalities: [bfr.address, recipient.address])
      try Self.load(studies.files, into: pacs)
      let interface = try HL7Server(.hl7)
      let daemon = try DaemonFixture(
        peer: ApplicationEntityAddress("UNUSED", port: 104), archivePort: try freePort())
      let bfrPeer =
        isWeb
        ? "kind = \"dicomweb\"\nserver = \"bfr\""
        : "ae_title = \"BFR\"\nhost = \"127.0.0.1\"\nport = \(bfr.dicomPort)"
      try daemon.configure(
        peer: "ae_title = \"SECTRAPACS\"\nhost = \"127.0.0.1\"\nport = \(pacs.dicomPort)",
        extra: """
          kind = "peer"
          peer = "bfr"
          ae_title = "\(isWeb ? "BFR" : "SYNCD")"
          [[server]]
          name = "bfr"
          url = "\(bfr.url)/dicom-web"
          [[peer]]
          name = "bfr"
          \(bfrPeer)
          [[hl7]]
          name = "reviewer"
          host = "127.0.0.1"
          port = \(interface.port)
          [[destination]]
          name = "ahei"
          ae_title = "AHEIPACS"
          host = "127.0.0.1"
          port = \(recipient.port)
          transfer = "move"
          mover = "\(isWeb ? "sectra" : "bfr")"
          hl7 = "reviewer"
          [[origin]]
          system = "SECTRA"
          hl7 = "reviewer"
          [[recipient]]
          id = "tmc"
          label = "TMC"
          destination = "ahei"
          """)
      try daemon.drop(studies.counts.keys.sorted())
      try daemon.start()
      let isDone = try waitUntil(.after(.seconds(90))) {
        let now = try daemon.worklist()
        return studies.counts.keys.allSatisfy { now[$0]?.images == "complete" }
      }
      let list = try daemon.worklist()
      try #require(isDone, "\(list)\n\(daemon.log.suffix(3000))")
      // Nothing has come here.
      #expect(daemon.archived().isEmpty)
      #expect(try daemon.syncctl(["status"]).first?["archive"]?.objectValue == nil)
      let held = Self.source(try Self.client("\(bfr.url)/dicom-web"), nil)
      for (number, study) in studies.studies {
        #expect(try held.objects(of: study, stop: Gate()).count == studies.counts[number])
      }
      let number = try #require(studies.counts.max { $0.value < $1.value }?.key)
      let id = try #require(
        try daemon.syncctl(["send", number, "--to", "tmc"]).first?["id"]?.stringValue)
      let isSent = try waitUntil(.after(.seconds(60))) {
        try daemon.syncctl(["show", id]).first?["assignment"]?["phase"]?.stringValue == "sent"
      }
      #expect(isSent, "\(daemon.log.suffix(3000))")
      #expect(recipient.received.count == studies.counts[number])
      // What the archive says of the patient is in the order.
      let orders = try interface.received.map(\.text)
      #expect(orders.contains { $0.contains("ORC|NW|") && $0.contains("191212121212") })
    }
  }

  @Test(
    "over HTTP/2 a transfer that waits holds up no other, and all come whole",
    .needs(.program("Orthanc"), .program("nghttpx"), .program("openssl"), .python("pydicom")))
  func http2() async throws {
    try await offPool {
      let studies = try NumberedStudies(images(in: "TINY_ALPHA") + images(in: "98892003"))
      let pacs = try Self.orthanc()
      try Self.load(studies.files, into: pacs)
      let proxy = try HTTP2Proxy(before: pacs.httpPort)
      let client = try Self.client(
        "\(proxy.url)/dicom-web", tls: TLSOptions(trustedCertificates: proxy.authorityFile))
      let directory = try TemporaryDirectory()
      let archive = try Self.archive(directory)
      defer { archive.close() }
      let source = Self.source(client, archive)
      for study in studies.studies.values {
        let reason = try source.retrieve(
          study: study, missing: try source.objects(of: study, stop: Gate()), isWholeStudy: true,
          stop: Gate(), progress: { _ in })
        #expect(reason == nil)
      }
      try archive.flush()
      #expect(try archive.statistics().objects == studies.files.count)
      #expect(client.service.facts.version == 20)
      let recipient = DICOMwebRecipient(name: "back", client: client, archive: archive)
      for study in studies.studies.values {
        let (outcomes, error) = try Self.send(recipient, archive, study)
        #expect(error == nil && outcomes.values.allSatisfy { $0 == .stored })
      }
    }
  }

  @Test(
    "over HTTP/2 a great object whose disk is slow holds up no other stream",
    .needs(.program("nghttpx"), .program("openssl"), .python("pydicom")))
  func http2Waits() async throws {
    try await offPool {
      let server = try DICOMwebServer([RealImages.path("CT_small.dcm")])
      let proxy = try HTTP2Proxy(before: server.port)
      let session = HTTPSession(
        HTTPSession.Settings(tls: TLSOptions(trustedCertificates: proxy.authorityFile)))
      let big = try session.exchange(
        HTTPRequest("GET", "\(proxy.url)/big/studies/1.2"), idle: .seconds(30))
      #expect(try big.head().status == 200 && big.head().version == 20)
      // Nobody reads it: everything on its way fills up.
      let sent = try #require(try server.waitUntilStalled())
      #expect(sent < 64 << 20, "\(sent)")
      for _ in 0..<5 {
        let other = try session.exchange(
          HTTPRequest("GET", "\(proxy.url)/ok/studies/1.2"), idle: .seconds(5))
        #expect(try other.body(limit: 16 << 20).count > 10_000)
      }
      var piece: [UInt8] = []
      var total = 0
      while try big.read(into: &piece) { total += piece.count }
      #expect(total > 300 << 20)
    }
  }

  @Test(
    "what a recipient's answer leaves open is asked, and one bad object costs that one",
    .needs(.program("Orthanc"), .python("pydicom")))
  func outcomes() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let files = images(in: "98892003")
      let (archive, studies) = try Self.filled(files, directory)
      defer { archive.close() }
      let study = try studies.largest
      let objects = try archive.storedObjects(of: study)
      let instances = try archive.storedInstances(of: study, objects.map(\.sopInstance))
      let bad = instances[1]
      let server = try DICOMwebServer(instances.map(\.path))
      func outcomes(
        _ mode: String
      ) throws -> ([UID: SendOutcome], ImageRecipientError?) {
        try Self.send(
          DICOMwebRecipient(
            name: mode, client: try Self.client(server.url(mode)), archive: archive),
          archive, study)
      }
      for mode in ["ok", "silent", "garbage", "one-by-one"] {
        let (found, error) = try outcomes(mode)
        #expect(error == nil && found.count == objects.count)
        #expect(found.values.allSatisfy { $0 == .stored }, "\(mode): \(found)")
      }
      let (lost, _) = try outcomes("forgets")
      #expect(lost.count == objects.count)
      for outcome in lost.values {
        guard case .failed(0x0112, _) = outcome else {
          Issue.record("\(outcome)")
          continue
        }
      }
      for mode in ["picky", "picky-409"] {
        let (found, error) = try outcomes(mode)
        #expect(error == nil && found.count == objects.count)
        #expect(found.count { $0.value == .stored } == objects.count - 1, "\(mode): \(found)")
        guard case .refused? = found[bad.sopInstance] else {
          Issue.record("\(mode): \(String(describing: found[bad.sopInstance]))")
          continue
        }
      }
      let (mixed, _) = try outcomes("mixed")
      #expect(mixed.values.contains(.storedWithWarning(0xB000)))
      for (mode, isDown, isPermanent) in [
        ("403", false, true), ("404", false, true), ("500", false, false),
        ("retry-after", true, false), ("resets", true, false),
      ] {
        let (none, error) = try outcomes(mode)
        #expect(none.isEmpty, "\(mode)")
        #expect(
          error?.isPeerDown == isDown && error?.isPermanent == isPermanent,
          "\(mode): \(String(describing: error))")
      }
      // Once more on another connection, and no oftener.
      #expect(try server.requests("POST resets") == 2)
      // A file that is gone costs that one.
      unlink(archive.path(of: bad.sopInstance))
      let (rest, error) = try outcomes("ok")
      #expect(error == nil && rest.count { $0.value == .stored } == objects.count - 1)
      guard case .failed(0x0110, _)? = rest[bad.sopInstance] else {
        Issue.record("\(String(describing: rest[bad.sopInstance]))")
        return
      }
    }
  }
}
