import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// The sample configuration of a terminator, in front of the real daemon.
@Suite("DICOM over TLS, from others through stunnel", .serialized)
struct InboundTLSTests {
  private func terminator(_ party: TLSParty, to port: UInt16) throws -> StunnelServer {
    var text = try String(
      contentsOfFile: "\(Peers.packageRoot)/docs/stunnel-dicom.conf", encoding: .utf8)
    for (sample, ours) in [
      ("accept = :::2762", "accept = 127.0.0.1:@PORT@"),
      ("connect = 127.0.0.1:11112", "connect = 127.0.0.1:@BACKEND@"),
      ("/etc/syncd/dicom.pem", party.server.certificate),
      ("/etc/syncd/dicom.key", party.server.key),
      ("/etc/syncd/dicom-partners.pem", party.authority.file),
      // Not everybody who runs tests may become somebody else.
      ("setuid = stunnel4\n", ""), ("setgid = stunnel4\n", ""), ("foreground = yes\n", ""),
      ("pid =\n", ""),
    ] {
      #expect(text.contains(sample), "\(sample)")
      text = text.replacingOccurrences(of: sample, with: ours)
    }
    return try StunnelServer(configuration: text, backend: port)
  }

  private func send(
    _ file: String, to port: UInt16, _ options: [String]
  ) throws -> ChildProcess.Result {
    try ChildProcess.run(
      DCMTK.path("storescu"),
      options + ["-R", "-aet", "PARTNER", "-aec", "VGRSECTEMP", "127.0.0.1", "\(port)", file],
      environment: ["TCP_NODELAY": "1"])
  }

  @Test(
    "a partner with a certificate stores into the archive; one without, or a stranger, does not",
    .needs(
      .program("stunnel"), .program("/usr/bin/storescu"), .program("openssl"), .python("pydicom")))
  func stunnel() async throws {
    try await offPool {
      let party = try TLSParty()
      let port = try freePort()
      let daemon = try DaemonFixture(
        peer: ApplicationEntityAddress("SECTRAPACS", port: try freePort()), archivePort: port)
      try daemon.start()
      let terminator = try terminator(party, to: port)
      let file = RealImages.path("CT_small.dcm")
      let trust = ["+cf", party.authority.file]

      let anonymous = try send(file, to: terminator.port, ["--anonymous-tls"] + trust)
      #expect(anonymous.status != 0, "\(anonymous.output)")
      let others = try TestAuthority()
      let stranger = try others.issue("partner")
      let strange = try send(
        file, to: terminator.port, ["+tls", stranger.key, stranger.certificate] + trust)
      #expect(strange.status != 0, "\(strange.output)")
      let plain = try send(file, to: terminator.port, [])
      #expect(plain.status != 0, "\(plain.output)")
      #expect(daemon.archived().isEmpty)

      let partner = try party.authority.issue("partner")
      for profile in ["--profile-bcp195-nd", "--profile-bcp195-ex"] {
        let sent = try send(
          file, to: terminator.port,
          [profile, "+tls", partner.key, partner.certificate] + trust)
        #expect(sent.status == 0, "\(sent.output)\n\(terminator.process.output)")
      }
      #expect(waitUntil(.after(.seconds(10))) { daemon.archived().count == 1 })
      // storescu encodes anew: what is stored is what it sends to its own kind in plain text.
      let other = try StorescpServer()
      try DCMTK.store([file], to: other.address)
      let stored = try Part10(try #require(daemon.archived().first))
      #expect(try stored.dataSet == Part10(try #require(other.received.first)).dataSet)

      // Our own client over the same way, and a query.
      let association = try Association.request(
        to: secureAddress(terminator.port, "VGRSECTEMP", party.files(showing: party.client)),
        contexts: [.verification, ProposedContext(InformationModel.studyRoot.findClass)])
      #expect(try association.echo().status.isSuccess)
      try association.release()
    }
  }
}

/// A PACS that is reached within TLS, by the real daemon.
@Suite("DICOM over TLS, the main job", .serialized)
struct SecureSourceTests {
  @Test(
    "certificates that end soon are alarms, ours and the peer's",
    .needs(.program("/usr/bin/storescp"), .program("openssl")))
  func alarms() async throws {
    try await offPool {
      func days(_ count: Int) -> String {
        let digits = (WallTime.now + .seconds(count * 86_400)).description.filter(\.isNumber)
        return String(digits.prefix(14).dropFirst(2)) + "Z"
      }
      let party = try TLSParty(notAfter: days(2), clientNotAfter: days(10))
      // It serves one association at a time.
      let pacs = try StorescpServer(aeTitle: "SECTRAPACS", arguments: party.dcmtk)
      let daemon = try DaemonFixture(
        peer: pacs.address, archivePort: try freePort(), peerKeys: party.toml() + "budget = 1\n")
      try daemon.start()
      let probe = try daemon.syncctl(["peer", "probe", "sectra"])[0]
      let step = probe["steps"]?.arrayValue?.first { $0["name"]?.stringValue == "tls" }
      #expect(step?["outcome"]?.stringValue == "warning", "\(probe)")
      #expect(probe["connections"]?.intValue == 1, "\(probe)")
      #expect(step?["text"]?.stringValue?.contains("ends in 1 days") == true, "\(probe)")
      func found() throws -> [String: String] {
        let status = try daemon.syncctl(["status"])[0]
        var found: [String: String] = [:]
        for alarm in (status["alarms"] ?? status["status"]?["alarms"])?.arrayValue ?? []
        where alarm["code"]?.stringValue == "certificate_ends" {
          found[alarm["severity"]?.stringValue ?? ""] = alarm["message"]?.stringValue
        }
        return found
      }
      #expect(try waitUntil(.after(.seconds(20))) { try found().count == 2 })
      #expect(try found()["critical"]?.hasPrefix("its certificate ends on") == true)
      #expect(try found()["warning"]?.hasPrefix("our certificate for it ends on") == true)
    }
  }

  @Test(
    "Orthanc within TLS as SECTRA: queries and C-MOVE by certificate, real studies come complete",
    .needs(.program("Orthanc"), .program("openssl"), .python("pydicom")))
  func orthanc() async throws {
    try await offPool {
      let party = try TLSParty()
      let studies = try NumberedStudies(
        images(in: "98892003") + [RealImages.path("CT_small.dcm")])
      let port = try freePort()
      let pacs = try OrthancServer(
        aeTitle: "SECTRAPACS", modalities: [ApplicationEntityAddress("VGRSECTEMP", port: port)],
        options: [
          "DicomTlsEnabled": "true", "DicomTlsCertificate": "\"\(party.server.certificate)\"",
          "DicomTlsPrivateKey": "\"\(party.server.key)\"",
          "DicomTlsTrustedCertificates": "\"\(party.authority.file)\"",
          "DicomTlsRemoteCertificateRequired": "true",
        ])
      for file in studies.files {
        let result = try ChildProcess.run(
          "curl", ["-sf", "-X", "POST", "\(pacs.url)/instances", "--data-binary", "@\(file)"])
        try #require(result.status == 0, "\(file): \(result.output)")
      }
      let daemon = try DaemonFixture(peer: pacs.address, archivePort: port, peerKeys: party.toml())
      try daemon.drop(studies.counts.keys.sorted())
      try daemon.start()
      let isDone = try waitUntil(.after(.seconds(90))) {
        let now = try daemon.worklist()
        return studies.counts.keys.allSatisfy { now[$0]?.images == "complete" }
      }
      let list = try daemon.worklist()
      #expect(isDone, "\(list)\n\(daemon.log)")
      #expect(daemon.archived().count == studies.files.count)

      // A probe tells of the certificate.
      let report = try daemon.syncctl(["peer", "probe", "sectra"])[0]
      #expect(report["tls"]?["version"]?.stringValue?.hasPrefix("TLSv1.") == true)
      #expect(report["tls"]?["subject"]?.stringValue?.contains("127.0.0.1") == true)
      #expect(report["tls"]?["notAfter"]?.stringValue?.hasPrefix("2049-12-31") == true)

      // Without our certificate it is down, and that is said.
      try daemon.configure(peer: pacs.address, peerKeys: party.toml(shows: false))
      try daemon.syncctl(["reload"])
      try daemon.syncctl(["retry", try #require(studies.counts.keys.first)])
      #expect(
        try waitUntil(.after(.seconds(30))) {
          try daemon.syncctl(["peer", "list"])[0]["reachable"]?.boolValue == false
        })
      let reason = try daemon.syncctl(["peer", "list"])[0]["reason"]?.stringValue ?? ""
      #expect(reason.contains("certificate of ours"), "\(reason)")
    }
  }
}
