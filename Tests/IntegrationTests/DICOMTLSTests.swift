import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// Certificates of one authority, and how a node of ours uses them.
struct TLSParty {
  let authority: TestAuthority
  /// The peer's, for 127.0.0.1.
  let server: (certificate: String, key: String)
  let client: (certificate: String, key: String)

  init(notAfter: String = "491231235959Z", clientNotAfter: String = "491231235959Z") throws {
    authority = try TestAuthority()
    server = try authority.issue("127.0.0.1", notAfter: notAfter)
    client = try authority.issue("syncd", notAfter: clientNotAfter)
  }

  /// What we are configured with.
  func files(
    showing shown: (certificate: String, key: String)? = nil, trusting: String? = nil
  ) -> Configuration.CertificateFiles {
    var files = Configuration.CertificateFiles()
    files.authorities = trusting ?? authority.file
    files.certificate = shown?.certificate
    files.key = shown?.key
    return files
  }

  /// DCMTK's options for a server; it demands certificates unless told otherwise.
  var dcmtk: [String] { ["+tls", server.key, server.certificate, "+cf", authority.file] }

  /// TOML for a peer.
  func toml(shows: Bool = true) -> String {
    "tls = true\nauthorities = \"\(authority.file)\"\n"
      + (shows ? "certificate = \"\(client.certificate)\"\nkey = \"\(client.key)\"\n" : "")
  }
}

/// What listens, reached within TLS.
func secureAddress(
  _ port: UInt16, _ title: String, _ files: Configuration.CertificateFiles,
  host: String = "127.0.0.1"
) -> PeerAddress {
  PeerAddress(
    host: host, port: port, calledAE: title, callingAE: "VGRSECTEMP",
    connector: TLSConnector(files))
}

@Suite("DICOM over TLS, towards others", .serialized)
struct DICOMTLSTests {
  private static let kinds = ["CT_small.dcm", "JPEG2000.dcm", "MR_small_RLE.dcm", "test-SR.dcm"]

  private func instance(_ path: String) throws -> StoredInstance {
    let file = try Part10File.open(path)
    return StoredInstance(
      sopClass: try #require(file.header.metaInformation?.mediaStorageSOPClass),
      sopInstance: try #require(file.header.metaInformation?.mediaStorageSOPInstance),
      transferSyntax: file.transferSyntax, path: path, dataSetOffset: file.dataSetOffset,
      dataSetLength: file.dataSetLength)
  }

  @Test(
    "DCMTK's storescp gets every byte within TLS, each side knowing the other by certificate",
    .needs(.program("/usr/bin/storescp"), .program("openssl"), .python("pydicom")),
    arguments: ["--profile-bcp195-nd", "--profile-bcp195", "--profile-bcp195-ex"])
  func storescp(_ profile: String) async throws {
    try await offPool {
      let party = try TLSParty()
      let server = try StorescpServer(arguments: ["+xa", "+B", profile] + party.dcmtk)
      let instances = try Self.kinds.map { try instance(RealImages.path($0)) }
      let association = try Association.request(
        to: secureAddress(server.port, server.aeTitle, party.files(showing: party.client)),
        contexts: [.verification]
          + instances.map { ProposedContext($0.sopClass, [$0.transferSyntax]) })
      #expect(try association.echo().status.isSuccess)
      for each in instances { #expect(try association.store(each).status.isSuccess) }
      try association.release()
      let received = try server.received.map { try Part10($0) }
      #expect(received.count == instances.count)
      for file in received {
        let path = try #require(instances.first { $0.sopInstance == file.sopInstance }?.path)
        #expect(try Part10(path).dataSet == file.dataSet)
      }
      #expect(!server.process.output.contains("E: TLS"), "\(server.process.output)")
    }
  }

  @Test(
    "an object of many records, and one after the other, arrive as they are",
    .needs(.program("/usr/bin/storescp"), .program("openssl")))
  func large() async throws {
    try await offPool {
      let party = try TLSParty()
      let server = try StorescpServer(
        arguments: ["+xa", "+B", "--max-pdu", "131072"] + party.dcmtk)
      let association = try Association.request(
        to: secureAddress(server.port, server.aeTitle, party.files(showing: party.client)),
        contexts: [ProposedContext(SOPClass.ctImageStorage, [.explicitVRLittleEndian])])
      // Around the sizes at which fragments, batches and records begin anew.
      let sizes = [0, 2, 131_058, 131_060, 16_384, 65_536, 262_116, 262_144, 9_000_000]
      var expected: [UID: [UInt8]] = [:]
      for (index, size) in sizes.enumerated() {
        let uid = UID("1.2.752.24.7.9.\(index)")
        var data = DataSet()
        data.set(.sopClassUID, SOPClass.ctImageStorage)
        data.set(.sopInstanceUID, uid)
        let pixels = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ index) }
        data.setBytes(DICOM.Tag(0x7FE0, 0x0010), .OB, pixels)
        let bytes = try data.encoded(as: .explicitVRLittleEndian)
        expected[uid] = bytes
        #expect(
          try association.store(
            sopClass: SOPClass.ctImageStorage, sopInstance: uid,
            transferSyntax: .explicitVRLittleEndian, from: MemoryDataSet(bytes)
          ).status.isSuccess)
      }
      try association.release()
      let received = try server.received.map { try Part10($0) }
      #expect(received.count == sizes.count)
      for file in received { #expect(expected[file.sopInstance] == file.dataSet) }
    }
  }

  /// Why no association comes about.
  private func refusal(_ address: PeerAddress) -> String {
    let error = #expect(throws: AssociationError.self) {
      let association = try Association.request(
        to: address, contexts: [.verification],
        timeouts: AssociationTimeouts(connect: .seconds(10), association: .seconds(5)))
      _ = try association.echo()
    }
    return error?.description ?? ""
  }

  @Test(
    "a peer that demands a certificate is told of ours, or we are told of the demand",
    .needs(.program("/usr/bin/storescp"), .program("openssl")))
  func demands() async throws {
    try await offPool {
      let party = try TLSParty()
      let server = try StorescpServer(arguments: ["--require-peer-cert"] + party.dcmtk)
      let without = refusal(secureAddress(server.port, server.aeTitle, party.files()))
      #expect(without.contains("may demand a certificate of ours"), "\(without)")
      let others = try TestAuthority()
      let stranger = try others.issue("syncd")
      let strange = refusal(
        secureAddress(server.port, server.aeTitle, party.files(showing: stranger)))
      #expect(strange.contains("not accept our certificate"), "\(strange)")
      let ours = try Association.request(
        to: secureAddress(server.port, server.aeTitle, party.files(showing: party.client)),
        contexts: [.verification])
      #expect(try ours.echo().status.isSuccess)
      try ours.release()
    }
  }

  /// `openssl s_server` on a port of its own.
  private func opensslServer(
    _ certificate: (certificate: String, key: String), _ arguments: [String]
  ) throws -> (ChildProcess, UInt16) {
    let port = try freePort()
    let server = try ChildProcess(
      "openssl",
      [
        "s_server", "-accept", "\(port)", "-cert", certificate.certificate, "-key",
        certificate.key,
      ] + arguments, keepInputOpen: true)
    try #require(
      waitUntil(.after(.seconds(20))) {
        (try? StreamSocket.connect(
          to: .tcp(host: "127.0.0.1", port: port), deadline: .after(.seconds(1)))) != nil
      }, "\(server.output)")
    return (server, port)
  }

  @Test(
    "an authority we do not trust, an old certificate and another name are each told as that",
    .needs(.program("openssl")))
  func certificates() async throws {
    try await offPool {
      let party = try TLSParty()
      let (server, port) = try opensslServer(party.server, [])
      defer { server.stop() }
      let other = try TestAuthority()
      let untrusted = refusal(secureAddress(port, "PACS", party.files(trusting: other.file)))
      #expect(
        untrusted.contains("put that authority's certificate into \(other.file)"), "\(untrusted)")
      let name = refusal(secureAddress(port, "PACS", party.files(), host: "localhost"))
      #expect(name.contains("its certificate is for another name"), "\(name)")
      let old = try TLSParty(notAfter: "210101000000Z")
      let (expired, oldPort) = try opensslServer(old.server, [])
      defer { expired.stop() }
      let ended = refusal(secureAddress(oldPort, "PACS", old.files()))
      #expect(ended.contains("has expired: it has to be renewed there"), "\(ended)")
    }
  }

  @Test(
    "TLS 1.1 and cipher suites that BCP 195 does not allow are refused, whatever the peer prefers",
    .needs(.program("openssl")),
    arguments: [
      (["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "it speaks no TLS 1.2 or later"),
      (["-tls1_2", "-cipher", "AES256-GCM-SHA384"], "no cipher suite in common with us"),
      (
        ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256:ECDHE-ECDSA-AES256-SHA"],
        "no cipher suite in common with us"
      ),
    ])
  func weak(_ arguments: [String], _ text: String) async throws {
    try await offPool {
      let party = try TLSParty()
      let (server, port) = try opensslServer(party.server, arguments)
      defer { server.stop() }
      let refused = refusal(secureAddress(port, "PACS", party.files()))
      #expect(refused.contains(text), "\(refused)")
    }
  }

  @Test("what is to go within TLS goes nowhere in plain text", .needs(.program("openssl")))
  func neverPlain() async throws {
    try await offPool {
      let party = try TLSParty()
      // Takes whatever comes, and keeps it.
      let listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
      let heard = Monitor<[UInt8]>([])
      let peer = WorkThread.start("plain") {
        while let socket = try? listener.accept() {
          var buffer = [UInt8](repeating: 0, count: 4096)
          let count = buffer.withUnsafeMutableBytes {
            (try? socket.read(into: $0, deadline: .after(.seconds(2)))) ?? 0
          }
          heard.update { $0 += buffer.prefix(count) }
          // What a DICOM node answers to something it does not understand: A-ABORT.
          try? socket.write([7, 0, 0, 0, 0, 4, 0, 0, 2, 1], deadline: .after(.seconds(2)))
        }
      }
      var configuration = Configuration()
      var node = Configuration.Peer(
        name: "a", aeTitle: "PACS", host: "127.0.0.1", port: Int(listener.port))
      node.tls = party.files()
      configuration.peers = [node]
      let refused = refusal(node.address(from: configuration))
      #expect(refused.contains("does not speak TLS on that port"), "\(refused)")
      var destination = Configuration.Destination(
        name: "b", aeTitle: "PACS", host: "127.0.0.1")
      destination.port = Int(listener.port)
      destination.tls = party.files()
      #expect(
        refusal(destination.address(from: configuration)).contains("does not speak TLS"))
      listener.stop()
      #expect(peer.join(until: .after(.seconds(10))))
      // Each began with a TLS record of a handshake, and named no AE title.
      let bytes = heard.read { $0 }
      #expect(bytes.first == 22)
      #expect(!String(decoding: bytes, as: UTF8.self).contains("VGRSECTEMP"))
    }
  }

  @Test(
    "a wait within TLS has its deadline, and can be interrupted from another thread",
    .needs(.program("openssl"), .program("/usr/bin/storescp")))
  func waits() async throws {
    try await offPool {
      let party = try TLSParty()
      let (server, port) = try opensslServer(party.server, ["-quiet"])
      defer { server.stop() }
      let start = MonotonicTime.now
      #expect(throws: AssociationError.timedOut(.association)) {
        try Association.request(
          to: secureAddress(port, "PACS", party.files()), contexts: [.verification],
          timeouts: AssociationTimeouts(association: .milliseconds(300)))
      }
      #expect(MonotonicTime.now - start < .seconds(5))

      // Sleeps before it answers.
      let slow = try StorescpServer(arguments: ["--sleep-after", "60"] + party.dcmtk)
      let association = try Association.request(
        to: secureAddress(slow.port, slow.aeTitle, party.files(showing: party.client)),
        contexts: [ProposedContext(SOPClass.ctImageStorage, [.explicitVRLittleEndian])])
      let isSent = Gate()
      let interrupter = WorkThread.start("interrupter") {
        guard isSent.wait(until: .after(.seconds(20))) else { return }
        association.interrupt()
      }
      #expect(throws: AssociationError.interrupted) {
        try association.store(
          sopClass: SOPClass.ctImageStorage, sopInstance: "1.2.752.24.7.9.1",
          transferSyntax: .explicitVRLittleEndian, from: Announcing(isSent))
      }
      #expect(interrupter.join(until: .after(.seconds(5))))
      #expect(MonotonicTime.now - start < .seconds(40))
    }
  }
}

/// An empty data set that tells when it has been read to its end.
private struct Announcing: DataSetSource {
  let gate: Gate
  init(_ gate: Gate) { self.gate = gate }

  mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(SystemError) -> Int {
    gate.open()
    return 0
  }
}
