import Platform
import TestSupport
import Testing

@testable import DICOM

extension ApplicationEntityAddress {
  var peerAddress: PeerAddress {
    PeerAddress(host: host, port: port, calledAE: aeTitle, callingAE: "SYNCD")
  }
}

/// Real images of several modalities and transfer syntaxes.
let realImages = [
  "CT_small.dcm", "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_implicit.dcm",
  "MR_small_jp2klossless.dcm", "JPEG2000.dcm", "JPEG-lossy.dcm", "SC_rgb_jpeg_dcmtk.dcm",
  "rtdose.dcm", "rtplan.dcm", "reportsi.dcm", "examples_ybr_color.dcm",
]

@Suite("User role against real peers", .serialized)
struct UserPeerTests {
  @Test(
    "C-ECHO and an orderly release",
    .needs(.program("Orthanc"), .program("/usr/bin/dcmqrscp"), .python("pynetdicom")))
  func echo() async throws {
    try await offPool {
      let orthanc = try OrthancServer()
      let dcmqrscp = try DcmqrscpServer()
      let port = try freePort()
      let pynetdicom = try ChildProcess(Peers.python, ["-m", "pynetdicom", "echoscp", "\(port)"])
      let isUp = waitUntil(.after(.seconds(20))) {
        (try? StreamSocket.connect(
          to: .tcp(host: "127.0.0.1", port: port), deadline: .after(.seconds(1)))) != nil
      }
      #expect(isUp, "\(pynetdicom.output)")
      let third = ApplicationEntityAddress("ANY-SCP", port: port)
      for address in [orthanc.address, dcmqrscp.address, third] {
        let association = try Association.request(
          to: address.peerAddress, contexts: [.verification], timeouts: .short)
        #expect(try association.echo().status == .success, "\(address)")
        #expect(try association.echo().status == .success)
        try association.release()
      }
    }
  }

  @Test(
    "Objects arrive at storescp byte for byte, in whatever transfer syntax they are",
    .needs(.program("/usr/bin/storescp"), .python("pydicom")), arguments: [4096, 16384, 131072])
  func store(peerPDULength: Int) async throws {
    try await offPool {
      let server = try StorescpServer(arguments: ["+xa", "+B", "-pdu", "\(peerPDULength)"])
      let instances = try realImages.map { try StoredInstance(part10: RealImages.path($0)) }
      let contexts = Array(Set(instances.map(\.context)))
      let association = try Association.request(
        to: server.address.peerAddress, contexts: contexts, timeouts: .short)
      #expect(association.refusedContexts.isEmpty)
      for instance in instances {
        let result = try association.store(instance)
        #expect(result.status == .success, "\(instance.path)")
      }
      try association.release()
      let received = try server.received.map { try StoredInstance(part10: $0) }
      // Some of the files are the same image in different transfer syntaxes.
      let expected = Dictionary(instances.map { ($0.sopInstance, $0) }) { $1 }
      #expect(received.count == expected.count)
      for copy in received {
        let original = try #require(expected[copy.sopInstance])
        #expect(copy.transferSyntax == original.transferSyntax)
        #expect(try copy.dataSetBytes == original.dataSetBytes, "\(original.path)")
      }
    }
  }

  @Test("Objects arrive whole at pynetdicom's storescp", .needs(.python("pynetdicom")))
  func storeToPython() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let port = try freePort()
      let server = try ChildProcess(
        Peers.python, ["-m", "pynetdicom", "storescp", "\(port)", "-od", directory.path])
      let isUp = waitUntil(.after(.seconds(20))) {
        (try? StreamSocket.connect(
          to: .tcp(host: "127.0.0.1", port: port), deadline: .after(.seconds(1)))) != nil
      }
      try #require(isUp, "\(server.output)")
      let instances = try realImages.map { try StoredInstance(part10: RealImages.path($0)) }
      let association = try Association.request(
        to: ApplicationEntityAddress("STORESCP", port: port).peerAddress,
        contexts: Array(Set(instances.map(\.context))), timeouts: .short)
      for instance in instances where !association.refusedContexts.contains(instance.context) {
        #expect(try association.store(instance).status == .success, "\(instance.path)")
        let copies = try files(in: directory.path).map {
          try StoredInstance(part10: directory.file($0))
        }
        // Found by its bytes: pynetdicom names it by the data set's UID, which in some of these
        // files is another than the File Meta Information's.
        let original = try instance.dataSetBytes
        #expect(try copies.contains { try $0.dataSetBytes == original }, "\(instance.path)")
      }
      try association.release()
      #expect(files(in: directory.path).count >= 8)
    }
  }

  @Test(
    "A peer that refuses, one that aborts, and one that sleeps",
    .needs(.program("/usr/bin/storescp")))
  func misbehaviour() async throws {
    try await offPool {
      let object = MemoryDataSet([UInt8](repeating: 0, count: 1_000_000))
      let context = ProposedContext(ctImageStorage, [.implicitVRLittleEndian])
      func failure(_ arguments: [String], _ timeouts: AssociationTimeouts) throws
        -> AssociationError?
      {
        let server = try StorescpServer(arguments: arguments)
        do throws(AssociationError) {
          let association = try Association.request(
            to: server.address.peerAddress, contexts: [context], timeouts: timeouts)
          _ = try association.store(
            sopClass: ctImageStorage, sopInstance: "1.2.3",
            transferSyntax: .implicitVRLittleEndian, from: object)
          return nil
        } catch {
          return error
        }
      }
      if case .rejected(let rejection)? = try failure(["--refuse"], .short) {
        #expect(rejection.source == 1)
      } else {
        Issue.record("not rejected")
      }
      for option in ["--abort-after", "--abort-during"] {
        let error = try failure([option], .short)
        if case .abortedByPeer? = error { continue }
        Issue.record("\(option): \(String(describing: error))")
      }
      var impatient = AssociationTimeouts.short
      impatient.response = .milliseconds(300)
      #expect(try failure(["--sleep-after", "5"], impatient) == .timedOut(.response))
    }
  }

  @Test(
    "C-FIND returns the same study, series and images from dcmqrscp and Orthanc, quickly",
    .needs(.program("Orthanc"), .program("/usr/bin/dcmqrscp"), .python("pydicom")))
  func find() async throws {
    try await offPool {
      let images = RealImages.paths(in: "dicomdirtests/98892003/MR700")
      #expect(images.count == 7)
      let orthanc = try OrthancServer()
      let dcmqrscp = try DcmqrscpServer()
      try orthanc.load(images)
      try dcmqrscp.load(images)
      let sent = Set(try images.map { try StoredInstance(part10: $0).sopInstance.value })
      for address in [orthanc.address, dcmqrscp.address] {
        let association = try Association.request(
          to: address.peerAddress,
          contexts: [ProposedContext(InformationModel.studyRoot.findClass)], timeouts: .short)
        func find(_ level: String, _ keys: [(DICOM.Tag, VR, String)]) throws -> [DataSet] {
          var found: [DataSet] = []
          let result = try association.find(
            DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, level)] + keys), in: .studyRoot
          ) {
            found.append($0)
            return true
          }
          #expect(result.status == .success, "\(address)")
          return found
        }
        let study = DICOM.Tag(0x0020, 0x000D)
        let series = DICOM.Tag(0x0020, 0x000E)
        let instance = DICOM.Tag(0x0008, 0x0018)
        let studies = try find("STUDY", [(study, .UI, "")])
        try #require(studies.count == 1, "\(address)")
        let studyUID = try #require(studies[0].plainText(study))
        let foundSeries = try find("SERIES", [(study, .UI, studyUID), (series, .UI, "")])
        try #require(foundSeries.count == 1)
        let seriesUID = try #require(foundSeries[0].plainText(series))
        let found = try find(
          "IMAGE", [(study, .UI, studyUID), (series, .UI, seriesUID), (instance, .UI, "")])
        #expect(Set(found.compactMap { $0.plainText(instance) }) == sent)
        // Nagle's algorithm on their side costs 40 ms a response unless we acknowledge at once.
        let before = MonotonicTime.now
        for _ in 0..<10 { _ = try find("STUDY", [(study, .UI, studyUID)]) }
        #expect(MonotonicTime.now - before < .milliseconds(350), "\(address)")
        try association.release()
      }
    }
  }
}
