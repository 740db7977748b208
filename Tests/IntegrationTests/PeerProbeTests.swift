import DICOM
import DICOMweb
import Foundation
import HTTP
import JSON
import Platform
import SyncCore
import TestSupport
import Testing

@Suite("Probing peers", .serialized)
struct PeerProbeTests {
  private func probe(
    _ port: UInt16, _ title: String, tls: Configuration.CertificateFiles? = nil,
    number: String? = nil, asksToSend: Bool = false, connections: Int = 3,
    timeouts: AssociationTimeouts = AssociationTimeouts(
      connect: .seconds(5), association: .seconds(5)),
    deadline: Deadline = .after(.seconds(60)), stop: Gate = Gate()
  ) -> PeerReport {
    let peer = PeerAddress(
      host: "127.0.0.1", port: port, calledAE: title, callingAE: "VGRSECTEMP",
      connector: tls.map { TLSConnector($0) })
    let prober = DIMSEProbe(
      name: "sectra", peer: peer, timeouts: timeouts, destination: "VGRSECTEMP")
    var told: [ProbeStep] = []
    let report = prober.probe(
      ProbeRequest(
        number: number, asksToSend: asksToSend, connections: connections, deadline: deadline,
        stop: stop)
    ) { told.append($0) }
    #expect(told == report.steps)
    #expect(!told.contains { $0.text.contains("Tolvan") || $0.text.contains("191212121212") })
    return report
  }

  private func step(_ report: PeerReport, _ name: String) -> ProbeStep? {
    report.steps.first { $0.name == name }
  }

  private func numbered(_ file: String) throws -> NumberedStudies {
    try NumberedStudies([RealImages.path(file)])
  }

  @Test(
    "Orthanc: its services, its objects, its queries at each level, its associations",
    .needs(.program("Orthanc"), .python("pydicom")))
  func orthanc() async throws {
    try await offPool {
      let studies = try numbered("CT_small.dcm")
      let number = try #require(studies.counts.keys.first)
      let pacs = try OrthancServer(aeTitle: "SECTRAPACS")
      try pacs.load(studies.files)
      let report = probe(pacs.dicomPort, "SECTRAPACS", number: number)
      #expect(report.isReachable && !report.hasFailures, "\(report.steps)")
      #expect(report.implementationVersion?.hasPrefix("OFFIS_DCMTK") == true)
      #expect(report.tellsObjectCount == true)
      #expect(report.findsStudies == true && report.findsSeries == true)
      #expect(report.findsImages == true)
      #expect(report.connections == 3 && report.connectionsTried == 3)
      for time in [report.connectTime, report.echoTime, report.findTime] {
        #expect(try #require(time) > .zero && time! < .seconds(5))
      }
      func accepts(_ sopClass: UID, _ syntax: String) -> Bool {
        report.contexts.contains {
          $0.sopClass == sopClass.value && $0.transferSyntax == syntax && $0.isAccepted
        }
      }
      #expect(accepts(SOPClass.studyRootMove, "1.2.840.10008.1.2.1"))
      #expect(accepts(SOPClass.ctImageStorage, "1.2.840.10008.1.2.4.90"))
      #expect(report.contexts.count == 12 + 126)

      // Without a number nobody is asked for, and yet each level has answered.
      let blind = probe(pacs.dicomPort, "SECTRAPACS")
      #expect(!blind.hasFailures && blind.tellsObjectCount == nil)
      #expect(blind.findsSeries == true && blind.findsImages == true)
    }
  }

  @Test(
    "dcmqrscp: leaves the count of objects out; whether it knows us shows only when it is asked",
    .needs(.program("dcmqrscp"), .python("pydicom")))
  func dcmqrscp() async throws {
    try await offPool {
      let studies = try numbered("CT_small.dcm")
      let number = try #require(studies.counts.keys.first)
      let pacs = try DcmqrscpServer(aeTitle: "SECTRAPACS")
      try pacs.load(studies.files)
      let report = probe(pacs.port, "SECTRAPACS", number: number, asksToSend: true)
      #expect(report.tellsObjectCount == false, "\(report.steps)")
      #expect(report.findsImages == true)
      // It looks for the object first, so that it does not tell whether it knows the destination.
      #expect(report.sendsImages == true && report.knowsDestination == nil)
      let nothing = probe(pacs.port, "SECTRAPACS", number: "SE404")
      #expect(step(nothing, "find-study")?.outcome == .warning)
      #expect(nothing.tellsObjectCount == nil && nothing.knowsDestination == nil)

      // One that looks at the destination first.
      let strict = try DICOMServer(
        on: .tcp(host: "127.0.0.1", port: 0),
        configuration: ServerConfiguration(aeTitle: "SECTRAPACS"),
        services: DICOMServices(retrieve: NothingToSend()))
      strict.start()
      defer { strict.stop() }
      let unknown = probe(strict.port, "SECTRAPACS", asksToSend: true)
      #expect(unknown.knowsDestination == false && unknown.sendsImages == nil)
      #expect(step(unknown, "move")?.outcome == .failed)
      #expect(step(unknown, "move")?.text.contains("does not know the AE title VGRSECTEMP") == true)
      #expect(step(unknown, "find")?.outcome == .skipped)
    }
  }

  private struct NothingToSend: RetrieveProvider {
    func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance] { [] }
  }

  @Test(
    "one that does not know us, one of another name, and one that takes few at once",
    .needs(.program("dcmqrscp"), .program("Orthanc"), .python("pynetdicom")))
  func refusals() async throws {
    try await offPool {
      // dcmqrscp calls that "called AE title not recognized".
      let strict = try DcmqrscpServer(
        aeTitle: "SECTRAPACS", clients: "(OTHER, 127.0.0.1, 104)")
      let port = try freePort()
      let pynetdicom = try ChildProcess(
        Peers.python,
        [
          "-c",
          "from pynetdicom import AE; ae = AE('SECTRAPACS'); "
            + "ae.require_calling_aet = ['OTHER']; "
            + "ae.add_supported_context('1.2.840.10008.1.1'); "
            + "ae.start_server(('127.0.0.1', \(port)))",
        ])
      defer { pynetdicom.kill(9) }
      #expect(
        waitUntil(.after(.seconds(30))) {
          (try? StreamSocket.connect(
            to: .tcp(host: "127.0.0.1", port: port), deadline: .after(.seconds(1)))) != nil
        }, "\(pynetdicom.output)")
      for stranger in [probe(strict.port, "SECTRAPACS"), probe(port, "SECTRAPACS")] {
        #expect(!stranger.isReachable)
        let text = step(stranger, "association")?.text ?? ""
        #expect(text.contains("know us as VGRSECTEMP"), "\(text)")
        #expect(step(stranger, "connect")?.outcome == .ok)
      }

      let named = try OrthancServer(aeTitle: "ORTHANC", options: ["DicomCheckCalledAet": "true"])
      let wrong = probe(named.dicomPort, "SECTRAPACS")
      let called = step(wrong, "association")?.text ?? ""
      #expect(called.contains("is not called SECTRAPACS"), "\(called)")

      var configuration = ServerConfiguration(aeTitle: "SMALL", mostAssociations: 2)
      configuration.timeouts = AssociationTimeouts(association: .seconds(5))
      let small = try DICOMServer(
        on: .tcp(host: "127.0.0.1", port: 0), configuration: configuration,
        services: DICOMServices())
      small.start()
      defer { small.stop() }
      let few = probe(small.port, "SMALL", connections: 5)
      #expect(few.connections == 2 && few.connectionsTried == 5, "\(few.steps)")
      #expect(step(few, "associations")?.text.contains("no more than 2") == true)
      // They were released at once.
      #expect(waitUntil(.after(.seconds(5))) { small.associationCount == 0 })
    }
  }

  @Test(
    "a closed port, a web server, one that says nothing, and one that speaks TLS: each told apart",
    .needs(.program("Orthanc"), .program("openssl"), .program("/usr/bin/storescp")))
  func noDICOM() async throws {
    try await offPool {
      let closed = probe(try freePort(), "X")
      #expect(!closed.isReachable)
      #expect(
        step(closed, "connect")?.text.contains("nothing listens there") == true, "\(closed.steps)")

      let web = try OrthancServer()
      let page = probe(web.httpPort, "X")
      let text = step(page, "association")?.text ?? "\(page.steps)"
      #expect(text.contains("web server"), "\(text)")

      let mute = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
      let short = AssociationTimeouts(connect: .seconds(2), association: .milliseconds(300))
      let silent = probe(mute.port, "X", timeouts: short)
      let silence = step(silent, "association")?.text ?? "\(silent.steps)"
      #expect(silence.contains("takes the connection and answers nothing"), "\(silence)")

      let party = try TLSParty()
      let secure = try StorescpServer(arguments: party.dcmtk)
      let plain = probe(secure.port, secure.aeTitle)
      let hint = step(plain, "association")?.text ?? "\(plain.steps)"
      #expect(hint.contains("TLS"), "\(hint)")
      // It serves one at a time: no more are tried.
      let right = probe(
        secure.port, secure.aeTitle, tls: party.files(showing: party.client), connections: 0)
      #expect(right.isReachable, "\(right.steps)")
      #expect(step(right, "tls")?.outcome == .ok)
      let wrong = probe(secure.port, secure.aeTitle, tls: party.files(), connections: 0)
      let demand = wrong.steps.last?.text ?? ""
      #expect(!wrong.isReachable && demand.contains("certificate of ours"), "\(wrong.steps)")
      let old = try TLSParty(notAfter: "210101000000Z")
      let ended = try StorescpServer(arguments: old.dcmtk)
      let expired = probe(ended.port, ended.aeTitle, tls: old.files(showing: old.client))
      #expect(step(expired, "tls")?.text.contains("has expired") == true, "\(expired.steps)")
      let nobody = probe(try freePort(), "X", tls: party.files())
      #expect(step(nobody, "connect")?.outcome == .failed, "\(nobody.steps)")
    }
  }

  @Test("a probe ends with its time, and when nobody waits for it")
  func bounds() async throws {
    try await offPool {
      let mute = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
      let start = MonotonicTime.now
      let late = probe(mute.port, "X", deadline: .after(.milliseconds(500)))
      #expect(!late.isReachable)
      #expect(MonotonicTime.now - start < .seconds(10))

      // One that answers no query, for longer than anybody would wait.
      let sleeping = SleepingProvider()
      let sleeper = try DICOMServer(
        on: .tcp(host: "127.0.0.1", port: 0), configuration: ServerConfiguration(aeTitle: "SLEEP"),
        services: DICOMServices(query: sleeping))
      sleeper.start()
      defer {
        sleeping.wake.open()
        sleeper.stop()
      }
      let stop = Gate()
      WorkThread.start("client-goes") {
        if sleeping.isAsleep.wait(until: .after(.seconds(20))) { stop.open() }
      }
      let again = MonotonicTime.now
      let given = probe(sleeper.port, "SLEEP", stop: stop)
      #expect(step(given, "find-study")?.outcome == .failed, "\(given.steps)")
      #expect(given.steps.last?.name == "end")
      #expect(MonotonicTime.now - again < .seconds(20))
    }
  }

  private final class SleepingProvider: QueryProvider {
    let isAsleep = Gate()
    let wake = Gate()
    func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {
      isAsleep.open()
      wake.wait(until: .after(.seconds(60)))
    }
  }

  @Test(
    "syncctl peer: a probe is shown, kept over a restart and listed; what is wrong has its exit code",
    .needs(.program("dcmqrscp"), .python("pydicom")))
  func program() async throws {
    try await offPool {
      let studies = try numbered("CT_small.dcm")
      let number = try #require(studies.counts.keys.first)
      let port = try freePort()
      let pacs = try DcmqrscpServer(
        aeTitle: "SECTRAPACS", destinations: [ApplicationEntityAddress("VGRSECTEMP", port: port)])
      try pacs.load(studies.files)
      let daemon = try DaemonFixture(peer: pacs.address, archivePort: port)
      try daemon.start()
      func run(_ arguments: [String]) throws -> ChildProcess.Result {
        try ChildProcess.run(
          Peers.product("syncctl"), ["--socket", daemon.socket] + arguments)
      }
      #expect(try daemon.syncctl(["peer", "list"])[0]["report"] == nil)
      let shown = try run(["peer", "probe", "sectra", "--number", number, "--ask-to-send"])
      #expect(shown.status == 0, "\(shown.output)")
      for word in ["connect", "association", "echo", "find-image", "Accepted:", "sectra answers."] {
        #expect(shown.standardOutput.contains(word), "\(shown.standardOutput)")
      }
      let report = try daemon.syncctl(["peer", "probe", "sectra"])
      #expect(report.count == 1 && report[0]["reachable"]?.boolValue == true)

      daemon.killHard()
      try daemon.start()
      let listed = try daemon.syncctl(["peer", "list"])[0]
      #expect(listed["report"]?["findsImages"]?.boolValue == true, "\(listed)")
      #expect(listed["address"]?.stringValue == "SECTRAPACS@127.0.0.1:\(pacs.port)")
      #expect(listed["lastContact"]?.stringValue != nil)
      let table = try run(["peer", "list"])
      #expect(table.standardOutput.contains("finds to IMAGE"), "\(table.output)")

      let unknown = try run(["peer", "probe", "sektra"])
      #expect(unknown.status == 8)
      #expect(unknown.standardError.contains("Did you mean \"sectra\"?"))
      #expect(try run(["peer", "probe", "sectra", "--number", "SE*"]).status == 1)
      // Not by those who only watch: nothing of it is there.
      let watching = try ChildProcess.run(
        Peers.product("syncctl"),
        ["--socket", daemon.directory.file("monitor"), "peer", "probe", "sectra"])
      #expect(watching.status == 4, "\(watching.output)")

      pacs.process.kill(9)
      _ = pacs.process.wait(deadline: .after(.seconds(5)))
      let dead = try run(["peer", "probe", "sectra"])
      #expect(dead.status == 1, "\(dead.output)")
      #expect(dead.standardOutput.contains("nothing listens there"))
      #expect(dead.standardOutput.contains("cannot be used as it is"))
      let after = try daemon.syncctl(["peer", "list"])[0]
      #expect(after["report"]?["reachable"]?.boolValue == false)
      #expect(after["failure"]?.stringValue?.contains("nothing listens there") == true)
    }
  }
}
