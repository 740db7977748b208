import Platform
import TestSupport
import Testing

@testable import DICOM

@Suite("Provider role against real peers", .serialized)
struct ProviderPeerTests {
  private func run(_ program: String, _ arguments: [String]) throws -> ChildProcess.Result {
    try ChildProcess.run(program, arguments, deadline: .after(.seconds(60)))
  }

  private func pynetdicom(_ application: String, _ arguments: [String]) throws
    -> ChildProcess.Result
  {
    try run(Peers.python, ["-m", "pynetdicom", application] + arguments)
  }

  @Test(
    "C-ECHO from DCMTK and pynetdicom, and their report of a rejection",
    .needs(.program("/usr/bin/echoscu"), .python("pynetdicom")))
  func echo() async throws {
    try await offPool {
      let server = try TestServer()
      let address = ["127.0.0.1", "\(server.port)"]
      let dcmtk = try self.run(
        DCMTK.path("echoscu"), ["-v", "-aec", "TEST", "--repeat", "3"] + address)
      #expect(dcmtk.status == 0, "\(dcmtk.output)")
      #expect(dcmtk.output.contains("Success"))
      let python = try self.pynetdicom("echoscu", ["-v", "-aec", "TEST"] + address)
      #expect(python.status == 0, "\(python.output)")

      let rejected = try self.run(DCMTK.path("echoscu"), ["-aec", "WRONG"] + address)
      #expect(rejected.status != 0)
      #expect(rejected.output.contains("Called AE Title Not Recognized"), "\(rejected.output)")
    }
  }

  @Test(
    "What DCMTK's storescu sends arrives byte for byte as at DCMTK's own storescp",
    .needs(.program("/usr/bin/storescu"), .program("/usr/bin/storescp"), .python("pydicom")),
    arguments: [4096, 16384, 262_144])
  func store(maximumPDULength: Int) async throws {
    try await offPool {
      let server = try TestServer { $0.maximumPDULength = UInt32(maximumPDULength) }
      let reference = try StorescpServer(arguments: ["+xa", "+B"])
      for name in realImages {
        let file = RealImages.path(name)
        let options =
          try ["-R", "--max-send-pdu", "131072"]
          + Self.proposal(for: StoredInstance(part10: file).transferSyntax)
        let ours = ApplicationEntityAddress("TEST", port: server.port)
        try DCMTK.store([file], to: ours, options: options)
        try DCMTK.store([file], to: reference.address, options: options)
        let stored = try #require(server.archive.state.read { $0.stored.last })
        let copies = try reference.received.map { try StoredInstance(part10: $0) }
        let copy = try #require(copies.first { $0.sopInstance == stored.sopInstance })
        #expect(stored.transferSyntax == copy.transferSyntax, "\(name)")
        #expect(try stored.bytes == copy.dataSetBytes, "\(name)")
      }
    }
  }

  @Test("pynetdicom's storescu is served", .needs(.python("pynetdicom")))
  func storeFromPython() async throws {
    try await offPool {
      let server = try TestServer()
      for name in realImages {
        let file = RealImages.path(name)
        let sent = try self.pynetdicom(
          "storescu", ["-cx", "-aec", "TEST", "127.0.0.1", "\(server.port)", file])
        #expect(sent.status == 0, "\(file): \(sent.output)")
        let original = try StoredInstance(part10: file)
        let stored = try #require(server.archive.state.read { $0.stored.last }, "\(name)")
        #expect(stored.transferSyntax == original.transferSyntax, "\(name)")
      }
    }
  }

  private static func proposal(for syntax: TransferSyntax) throws -> [String] {
    switch syntax.uid {
    case "1.2.840.10008.1.2": ["-xi"]
    case "1.2.840.10008.1.2.1": ["-xe"]
    case "1.2.840.10008.1.2.4.50": ["-xy"]
    case "1.2.840.10008.1.2.4.51": ["-xx"]
    case "1.2.840.10008.1.2.4.70": ["-xs"]
    case "1.2.840.10008.1.2.4.90": ["-xv"]
    case "1.2.840.10008.1.2.4.91": ["-xw"]
    case "1.2.840.10008.1.2.5": ["-xr"]
    default: throw NoPart10File(path: "\(syntax)")
    }
  }

  @Test(
    "findscu of DCMTK and pynetdicom gets the matches, and DCMTK can cancel",
    .needs(.program("/usr/bin/findscu"), .python("pynetdicom")))
  func find() async throws {
    try await offPool {
      let matches = (0..<200).map {
        DataSet([
          (DICOM.Tag(0x0008, 0x0050), .SH, "ACC\($0)"), (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"),
          (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.\($0)"),
        ])
      }
      let server = try TestServer(MemoryArchive { $0.matches = matches })
      let keys = [
        "-S", "-k", "0008,0052=STUDY", "-k", "0008,0050=", "-aec", "TEST", "127.0.0.1",
        "\(server.port)",
      ]
      let dcmtk = try self.run(DCMTK.path("findscu"), ["-v"] + keys)
      #expect(dcmtk.status == 0, "\(dcmtk.output)")
      #expect(dcmtk.output.contains("ACC199"))
      #expect(dcmtk.output.contains("Success"), "\(dcmtk.output.suffix(500))")
      let python = try self.pynetdicom("findscu", ["-v"] + keys)
      #expect(python.output.contains("ACC199"), "\(python.output.suffix(500))")

      server.archive.state.update { $0.isEndless = true }
      let cancelled = try self.run(DCMTK.path("findscu"), ["-v", "--cancel", "3"] + keys)
      #expect(cancelled.output.contains("Cancel"), "\(cancelled.output.suffix(500))")
      let ended = waitUntil { server.server.associationCount == 0 }
      #expect(ended)
    }
  }

  @Test(
    "movescu has the server send to storescp: sub-operations, counters and failures",
    .needs(.program("/usr/bin/movescu"), .program("/usr/bin/storescp"), .python("pydicom")))
  func move() async throws {
    try await offPool {
      let destination = try StorescpServer(aeTitle: "DEST", arguments: ["+xa", "+B", "--fork"])
      let down = try freePort()
      let instances = try realImages.prefix(6).map {
        try StoredInstance(part10: RealImages.path($0))
      }
      let server = try TestServer(MemoryArchive { $0.plan = instances }) {
        $0.destination = { title in
          switch title {
          case "DEST": destination.address.peerAddress
          case "DOWN":
            PeerAddress(host: "127.0.0.1", port: down, calledAE: "DOWN", callingAE: "TEST")
          default: nil
          }
        }
      }
      func move(to title: String) throws -> String {
        try self.run(
          DCMTK.path("movescu"),
          [
            "-v", "-d", "-S", "-aec", "TEST", "-aem", title, "-k", "0008,0052=STUDY", "-k",
            "0020,000d=1.2", "127.0.0.1", "\(server.port)",
          ]
        ).output
      }
      let whole = try move(to: "DEST")
      #expect(whole.contains("Success"), "\(whole.suffix(2000))")
      let distinct = Set(instances.map(\.sopInstance)).count
      #expect(destination.received.count == distinct)

      let unknown = try move(to: "NOBODY")
      #expect(unknown.contains("a801"), "\(unknown.suffix(2000))")
      let refused = try move(to: "DOWN")
      #expect(refused.contains("a702"), "\(refused.suffix(2000))")

      // A file that has gone: the others are sent, the failed one is named.
      server.archive.state.update {
        $0.plan[2] = StoredInstance(
          sopClass: $0.plan[2].sopClass, sopInstance: "1.2.3.999",
          transferSyntax: $0.plan[2].transferSyntax, path: "/nonexistent", dataSetOffset: 0,
          dataSetLength: 1)
      }
      let partial = try move(to: "DEST")
      #expect(partial.contains("b000"), "\(partial.suffix(2000))")
      #expect(partial.contains("1.2.3.999"))
    }
  }
}
