import DICOM
import Foundation
import HL7
import JSON
import Platform
import TestSupport
import Testing
import Training

/// The real daemon between a PACS, a recipient's DICOM node and two HL7 interfaces made by others.
private struct SendingWorld {
  let studies: NumberedStudies
  let pacs: DcmqrscpServer
  let daemon: DaemonFixture
  let ris: HL7Server
  let reviewer: HL7Server
  let inbound: UInt16

  /// - Parameters:
  ///   - recipient: the DICOM node that images go to.
  ///   - reviewer: the peer that orders go to, with its rules.
  init(
    recipient: ApplicationEntityAddress, reviewer: HL7Server, ris: HL7Server? = nil,
    profile: String = "orm-2.3.1", encoding: String = "8859/1", retry: String = "9x1s",
    destinationExtra: String = "", extra: String = ""
  ) throws {
    studies = try NumberedStudies(images(in: "77654033") + images(in: "98892003"))
    let port = try freePort()
    pacs = try DcmqrscpServer(
      aeTitle: "SECTRAPACS", destinations: [ApplicationEntityAddress("VGRSECTEMP", port: port)])
    try pacs.load(studies.files)
    self.ris = try ris ?? HL7Server(.hl7)
    self.reviewer = reviewer
    inbound = try freePort()
    daemon = try DaemonFixture(peer: pacs.address, archivePort: port)
    try daemon.configure(
      peer: pacs.address,
      extra: """
        [sending]
        transfer_retry = "2x1s"
        [inbound]
        enabled = true
        port = \(inbound)
        [[hl7]]
        name = "ris"
        host = "127.0.0.1"
        port = \(self.ris.port)
        retry = "\(retry)"
        acknowledgement_timeout = "1s"
        [[hl7]]
        name = "reviewer"
        host = "127.0.0.1"
        port = \(reviewer.port)
        profile = "\(profile)"
        encoding = "\(encoding)"
        retry = "\(retry)"
        acknowledgement_timeout = "1s"
        [[destination]]
        name = "ahei"
        ae_title = "\(recipient.aeTitle)"
        host = "127.0.0.1"
        port = \(recipient.port)
        hl7 = "reviewer"
        \(destinationExtra)
        [[origin]]
        system = "SECTRA"
        hl7 = "ris"
        [[recipient]]
        id = "tmc"
        label = "TMC"
        [[recipient]]
        id = "tmc-ct"
        label = "CT"
        parent = "tmc"
        destination = "ahei"
        \(extra)
        """)
  }

  var numbers: [String] { studies.counts.keys.sorted() }

  /// Started, flagged, fetched and verified.
  func ready() throws {
    try daemon.drop(numbers)
    try daemon.start()
    let isComplete = try waitUntil(.after(.seconds(90))) {
      let now = try daemon.worklist()
      return numbers.allSatisfy {
        now[$0]?.images == "complete" && now[$0]?.flag == "sectra-samverkan-tmc"
      }
    }
    let list = try daemon.worklist()
    try #require(isComplete, "\(list)\n\(daemon.log)")
  }

  func assignment(_ id: String) throws -> JSONValue {
    try #require(try daemon.syncctl(["show", id]).first)
  }

  func phase(_ id: String) throws -> String {
    try assignment(id)["assignment"]?["phase"]?.stringValue ?? ""
  }

  func wait(_ id: String, _ wanted: String, _ seconds: Int64 = 60) throws {
    let isThere = try waitUntil(.after(.seconds(seconds))) { try phase(id) == wanted }
    let shown = try assignment(id)
    try #require(isThere, "\(shown)\n\(daemon.log.suffix(3000))")
  }

  /// A result from the reviewer, by python's client.
  func answer(_ number: String, id: String, status: String = "F") throws -> ChildProcess.Result {
    let text =
      "MSH|^~\\&|AHEI|AHEI|SYNCD||20261123||ORU^R01|\(id)|P|2.3.1\r"
      + "PID|1||191212121212\rOBR|1\(String(repeating: "|", count: 17))\(number)"
      + "\(String(repeating: "|", count: 7))\(status)\rOBX|1|FT|18748-4||Utan anm\u{E4}rkning||||||F\r"
    return try Peers.sendHL7([Array(text.unicodeScalars.map { UInt8($0.value) })], port: inbound)
  }
}

@Suite("Sending, end to end among real peers", .serialized)
struct SendingTests {
  private func uids(_ directory: StorescpServer) throws -> Set<UID> {
    Set(try directory.received.map { try Part10($0).sopInstance })
  }

  @Test(
    "an order goes out whole, is answered, and ends: storescp and python hl7",
    .needs(.program("dcmqrscp"), .program("storescp"), .python("pydicom"), .python("hl7")))
  func whole() async throws {
    try await offPool {
      let recipient = try StorescpServer(aeTitle: "AHEIPACS")
      let world = try SendingWorld(recipient: recipient.address, reviewer: try HL7Server(.hl7))
      try world.ready()
      let number = world.numbers[0]
      let prior = world.numbers[1]
      let answer = try #require(
        try world.daemon.syncctl([
          "send", number, "--to", "tmc-ct", "--message", "Frågeställning: Tolvan?", "--prior",
          prior,
        ]).first)
      let id = try #require(answer["id"]?.stringValue, "\(answer)")
      try world.wait(id, "sent")
      // Every object of both, as the source has them.
      let wanted = world.studies.counts[number]! + world.studies.counts[prior]!
      #expect(waitUntil(.after(.seconds(30))) { recipient.received.count == wanted })
      let lock = try #require(try world.ris.received.first)
      let order = try #require(try world.reviewer.received.first)
      #expect(lock.text.contains("ORC|HD|") && order.text.contains("ORC|NW|"))
      #expect(lock.time <= order.time)
      #expect(order.text.contains("Frågeställning: Tolvan?"))

      #expect(try world.answer(number, id: "R1").standardOutput.contains("MSA|AA|R1"))
      try world.wait(id, "answered")
      // The very same answer again is acknowledged, and does nothing.
      #expect(try world.answer(number, id: "R1").standardOutput.contains("MSA|AA|R1"))
      // What belongs to nothing is taken, and kept aside.
      #expect(try world.answer("SE404", id: "R2").standardOutput.contains("MSA|AA|R2"))
      #expect(try world.daemon.syncctl(["aside"]).count == 1)
      let back = try world.ris.received.map(\.text)
      #expect(back.count == 3, "\(back)")
      #expect(back[1].contains("ORC|RE|") && back[1].contains("Utan anmärkning"))
      #expect(back[2].contains("ORC|RL|"))
      let shown = try world.assignment(id)
      #expect(shown["assignment"]?["tick"]?.boolValue == true)
      #expect(shown["assignment"]?["dicom"]?.stringValue == "green")
      #expect(shown["assignment"]?["hl7"]?.stringValue == "green")
      #expect(shown["differencesTotal"]?.intValue == 0)
      let log = world.daemon.log
      #expect(!log.contains("191212121212") && !log.contains("Tolvan") && !log.contains("Utan an"))
      let access = try String(
        contentsOfFile: world.accessLog, encoding: .utf8)
      #expect(access.contains("\"action\":\"order\"") && access.contains("\"disclose\""))
    }
  }

  @Test(
    "hl7apy's server closes after each message: every message arrives all the same",
    .needs(.program("dcmqrscp"), .program("Orthanc"), .python("pydicom"), .python("hl7apy")))
  func hl7apy() async throws {
    try await offPool {
      let orthanc = try OrthancServer(aeTitle: "AHEIPACS")
      let world = try SendingWorld(
        recipient: orthanc.address, reviewer: try HL7Server(.hl7apy), ris: try HL7Server(.hl7apy),
        profile: "omi-2.5.1", encoding: "UNICODE UTF-8")
      try world.ready()
      for (index, number) in world.numbers.enumerated() {
        try world.daemon.syncctl(["send", number, "--to", "tmc-ct", "--message", "Hej då \(index)"])
      }
      for index in world.numbers.indices { try world.wait("A\(index + 1)", "sent") }
      let orders = try world.reviewer.received
      #expect(Set(orders.map(\.controlID)).count == world.numbers.count)
      #expect(orders.allSatisfy { $0.type.hasPrefix("OMI^O23") })
      for order in orders {
        #expect(try HL7Verdict.of(Array(order.text.utf8)).errors == [])
      }
      for index in world.numbers.indices {
        try world.daemon.syncctl(["cancel", "A\(index + 1)"])
        try world.wait("A\(index + 1)", "cancelled")
      }
      let all = try world.reviewer.received.map(\.text)
      #expect(all.count { $0.contains("ORC|CA|") } == world.numbers.count)
      // Recalled: their flags go although they are still listed.
      let isUnflagged = try waitUntil(.after(.seconds(30))) {
        try world.daemon.worklist().values.allSatisfy { $0.flag == nil }
      }
      let list = try world.daemon.worklist()
      #expect(isUnflagged, "\(list)")
    }
  }

  @Test(
    "errors, silence and late answers cost attempts, and the daemon's death none",
    .needs(.program("dcmqrscp"), .program("storescp"), .python("pydicom"), .python("hl7")))
  func faults() async throws {
    try await offPool {
      let recipient = try StorescpServer(aeTitle: "AHEIPACS")
      let reviewer = try HL7Server(
        .hl7, rules: ["ORM^O01/NW=AE:207+silent+late:2+wrong-id+garbage+close+AA"])
      let world = try SendingWorld(recipient: recipient.address, reviewer: reviewer)
      try world.ready()
      let number = world.numbers[0]
      try world.daemon.syncctl(["send", number, "--to", "tmc-ct"])
      #expect(waitUntil(.after(.seconds(30))) { (try? reviewer.received.count) ?? 0 >= 2 })
      world.daemon.killHard()
      try world.daemon.start()
      try world.wait("A1", "sent", 90)
      let orders = try reviewer.received
      #expect(Set(orders.map(\.controlID)).count == 1 && Set(orders.map(\.text)).count == 1)
      #expect(orders.count == 7, "\(orders.map(\.answer))")
      #expect(recipient.received.count == world.studies.counts[number])
      #expect(try world.ris.received.count == 1)
    }
  }

  @Test(
    "a refused order is red at once with the reason, and goes when it is resent",
    .needs(.program("dcmqrscp"), .program("storescp"), .python("pydicom"), .python("hl7")))
  func refused() async throws {
    try await offPool {
      let recipient = try StorescpServer(aeTitle: "AHEIPACS")
      let reviewer = try HL7Server(.hl7, rules: ["ORM^O01/NW=AR:102+AA"])
      let world = try SendingWorld(recipient: recipient.address, reviewer: reviewer)
      try world.ready()
      try world.daemon.syncctl(["send", world.numbers[0], "--to", "tmc-ct"])
      try world.wait("A1", "failed")
      let failed = try ChildProcess.run(
        Peers.product("syncctl"), ["--socket", world.daemon.socket, "failed"])
      #expect(failed.status == 9 && failed.standardOutput.contains("data type error"))
      let report = try ChildProcess.run(
        Peers.product("syncctl"), ["--socket", world.daemon.socket, "report", "A1"])
      #expect(report.standardOutput.contains("Who can mend it"))
      try world.daemon.syncctl(["resend", "A1"])
      try world.wait("A1", "sent")
      #expect(try Set(reviewer.received.map(\.controlID)).count == 2)
    }
  }

  @Test(
    "with storage commitment what a recipient answers for is sent, and what it does not is red",
    .needs(
      .program("dcmqrscp"), .program("storescp"), .program("Orthanc"), .python("pynetdicom"),
      .python("hl7")))
  func committed() async throws {
    try await offPool {
      let commitment = "storage_commitment = true\ncommitment_timeout = \"20s\""
      func send(
        _ recipient: ApplicationEntityAddress, _ phase: String,
        _ prepare: (SendingWorld) throws -> Void = { _ in }
      ) throws -> String {
        let world = try SendingWorld(
          recipient: recipient, reviewer: try HL7Server(.hl7), destinationExtra: commitment)
        try prepare(world)
        try world.ready()
        try world.daemon.syncctl(["send", world.numbers[0], "--to", "tmc-ct"])
        try world.wait("A1", phase)
        return "\(try world.assignment("A1"))"
      }
      // It reports on an association that it makes to the daemon's archive.
      let orthanc = try OrthancServer(aeTitle: "AHEIPACS")
      let proven = try send(orthanc.address, "sent") { world in
        try orthanc.setModality(
          ApplicationEntityAddress("VGRSECTEMP", port: world.daemon.archivePort))
      }
      #expect(!proven.contains("without proof"), "\(proven)")
      let plain = try StorescpServer(aeTitle: "AHEIPACS")
      let believed = try send(plain.address, "sent")
      #expect(plain.received.count > 0)
      #expect(believed.contains("without proof"), "\(believed)")
      let failing = try ServicesProvider()
      let failed = try send(failing.address("FAIL"), "failed")
      #expect(failed.contains("does not commit to it"), "\(failed)")
      // Every attempt asked, and only for what was still missing.
      let asked = failing.lines.filter { $0.hasPrefix("asked") }
      #expect(asked.count == 3 && asked.last == "asked 1", "\(asked)")
    }
  }

  @Test(
    "orders of the portal are taken over HTTP, and it is told what becomes of them",
    .needs(.program("dcmqrscp"), .program("storescp"), .python("pydicom"), .python("hl7")))
  func portalOrders() async throws {
    try await offPool {
      let folder = try TemporaryDirectory()
      let orders = try folder.write("[]", to: "orders.json")
      let told = try folder.write("", to: "told.jsonl")
      let token = try folder.write("secret\n", to: "token")
      #expect(chmod(token, 0o600) == 0)
      let portal = try ChildProcess(
        Peers.python,
        [
          "-u", Peers.packageRoot + "/Tests/Scripts/portal-orders.py", orders, told, "--fault",
          "500", "--fault", "garbage", "--fault", "cut", "--fault", "redirect", "--fault", "total",
        ])
      defer { portal.kill(9) }
      try #require(portal.waitForOutput("\n"))
      let port = portal.standardOutput.split(separator: "\n")[0]
      let recipient = try StorescpServer(aeTitle: "AHEIPACS")
      let world = try SendingWorld(
        recipient: recipient.address, reviewer: try HL7Server(.hl7),
        extra: """
          [orders]
          server = "portal"
          interval = "300ms"
          [[server]]
          name = "portal"
          url = "http://127.0.0.1:\(port)"
          token = "\(token)"
          """)
      try world.ready()
      let number = world.numbers[0]
      _ = try folder.write(
        """
        [{"id": "P 1", "examination": {"system": "SECTRA", "number": "\(number)"},
          "recipient": "tmc-ct", "priority": "stat", "orderedBy": "anna"},
         {"id": "P2", "examination": {"number": "SE404"}, "recipient": "tmc-ct"},
         {"id": "P3", "examination": {"number": "\(number)"}, "recipient": "nowhere"}]
        """, to: "orders.json")
      func states(_ id: String) throws -> [String] {
        try folder.read("told.jsonl").split(separator: 0x0A).compactMap {
          let line = try JSONValue.parse(Array($0))
          return line["id"]?.stringValue == id ? line["state"]?.stringValue : nil
        }
      }
      let isDone = try waitUntil(.after(.seconds(60))) {
        try states("P%201").last == "sent" && states("P2") == ["refused"]
          && states("P3") == ["refused"]
      }
      let record = String(decoding: try folder.read("told.jsonl"), as: UTF8.self)
      #expect(isDone, "\(record)\n\(world.daemon.log.suffix(3000))")
      #expect(record.contains("syncctl sync") && record.contains("[[recipient]]"))
      #expect(try world.answer(number, id: "R1").standardOutput.contains("MSA|AA|R1"))
      #expect(try waitUntil(.after(.seconds(30))) { try states("P%201").last == "answered" })
      // Once, however often it is listed.
      #expect(try world.daemon.syncctl(["sent"]).count == 1)
    }
  }

  @Test(
    "the gate refuses with every reason, and nothing leaves",
    .needs(.program("dcmqrscp"), .program("storescp"), .python("pydicom"), .python("hl7")))
  func gate() async throws {
    try await offPool {
      let recipient = try StorescpServer(aeTitle: "AHEIPACS")
      let world = try SendingWorld(recipient: recipient.address, reviewer: try HL7Server(.hl7))
      try world.ready()
      // Somebody takes one from the list a moment before the batch is sent.
      try world.daemon.drop(Array(world.numbers.dropFirst()))
      let result = try ChildProcess.run(
        Peers.product("syncctl"),
        ["--socket", world.daemon.socket, "send", "--to", "tmc-ct", "SE404"] + world.numbers)
      #expect(result.status == 6, "\(result.output)")
      #expect(result.output.contains("SE404") && result.output.contains("list"))
      let sent = try world.daemon.syncctl(["sent"]).compactMap { $0["number"]?.stringValue }
      #expect(Set(sent) == Set(world.numbers.dropFirst()))
      let unknown = try ChildProcess.run(
        Peers.product("syncctl"),
        ["--socket", world.daemon.socket, "send", world.numbers[1], "--to", "nowhere"])
      #expect(unknown.status != 0 && unknown.output.contains("tmc-ct"))
      let branch = try ChildProcess.run(
        Peers.product("syncctl"),
        ["--socket", world.daemon.socket, "send", world.numbers[1], "--to", "tmc"])
      #expect(branch.status == 1 && branch.output.contains("branch"))
    }
  }
}

extension SendingWorld {
  fileprivate var accessLog: String {
    let folder = daemon.directory.file("state/access")
    let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    return folder + "/" + (names.first { $0.hasSuffix(".log") } ?? "")
  }
}
