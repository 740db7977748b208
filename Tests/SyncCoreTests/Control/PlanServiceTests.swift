import DICOM
import JSON
import Platform
import Synchronization
import TestSupport
import Testing
import Varlink

@testable import SyncCore

/// The real engine on its own thread, with a list that a test edits, behind the real sockets.
private final class PlanningDaemon: Sendable {
  /// Reads wait at the gate while one is there.
  final class Source: CollaborationListSource {
    struct State: Sendable {
      var rows: [ListRow] = []
      var gate: Gate?
      var reads = 0
    }
    let state = Mutex(State())

    func read(
      deadline: Deadline, previous: SnapshotIdentity?
    ) throws(ListReadError) -> ListReading {
      let (rows, gate, number) = state.withLock { state in
        state.reads += 1
        return (state.rows, state.gate, state.reads)
      }
      gate?.wait(until: deadline)
      return .snapshot(.simulated("s\(number)", asOf: .now, rows: rows))
    }
  }

  let directory: TemporaryDirectory
  let source = Source()
  let loop = EngineLoop()
  let server: VarlinkServer
  let problems = Monitor<[String]>([])

  init() throws {
    directory = try TemporaryDirectory()
    var settings = EngineSettings()
    settings.interval = .seconds(3600)
    settings.lists = [
      EngineSettings.List(
        id: "tmc", system: "SECTRA", flag: "tmc", peer: nil, prefetches: false,
        statuses: ["utförd": .completed])
    ]
    let archive = NoImages()
    let surroundings = EngineSurroundings(
      portal: try EmbeddedPortal(path: directory.file("portal.sqlite")), archive: archive,
      lists: ["tmc": source], sources: [:])
    let path = directory.file("ledger.sqlite")
    let loop = self.loop
    WorkThread.start("engine") { [settings] in
      do {
        let engine = try Engine(
          settings: settings, surroundings: surroundings, ledger: Ledger(path: path),
          clock: SystemClock(), jobs: ThreadJobs(), log: .silent, stop: loop.stopGate,
          post: { loop.post($0) })
        try loop.run(engine)
      } catch {
        Issue.record("\(error)")
      }
    }
    let facts = DaemonFacts(
      name: "test", startedAt: .now, ledgerPath: path, adminGroup: "nobody", monitorGroup: "nobody",
      archive: { nil }, portalKind: "embedded",
      configuration: {
        ConfigurationFacts(
          file: nil, loadedAt: .now, toml: "", flagLabels: [:], listSources: ["tmc": "made up"])
      }, reload: { .applied([], needsRestart: []) })
    let problems = self.problems
    server = VarlinkServer(
      service: try ControlService(engine: loop, facts: facts, log: .silent).service()
    ) { event in problems.update { $0.append("\(event)") } }
    for label in ["control", "monitor"] {
      server.listen(
        on: try ListeningSocket(on: .unix(path: directory.file(label)), mode: 0o600), label: label)
    }
    // The first cycle finds nothing; all that comes later is for plans.
    while loop.snapshot.finishedCycle == nil {
      guard loop.snapshot(after: loop.snapshot.version, until: .after(.seconds(20))) != nil else {
        throw PortalError.unavailable("no first cycle")
      }
    }
  }

  deinit {
    server.stop(deadline: .after(.seconds(5)))
    loop.stop()
    loop.waitUntilFinished(.after(.seconds(5)))
  }

  struct NoImages: ImageArchive {
    func storedObjects(of study: UID) throws -> [ImageObject] { [] }
    func storedStudies(number: String) throws -> [UID] { [] }
    var refusal: String? { nil }
  }

  func connect(_ label: String = "control") throws -> VarlinkClient {
    try VarlinkClient.connect(
      to: .unix(path: directory.file(label)), deadline: .after(.seconds(10)))
  }

  func plan(_ parameters: JSONObject = [:], _ label: String = "control") throws -> [JSONObject] {
    var replies: [JSONObject] = []
    try connect(label).callMore(
      "\(SyncInterface.name).Plan", parameters, first: .after(.seconds(20)), idle: .seconds(20),
      deadline: .after(.seconds(30))
    ) { reply, _ in
      replies.append(reply)
      return true
    }
    return replies
  }
}

@Suite("The control interface's plans", .serialized)
struct PlanServiceTests {
  private func error(_ body: () throws -> Void) -> String? {
    do {
      try body()
      return nil
    } catch VarlinkClientError.reply(let error) {
      return error.name
    } catch {
      return "\(error)"
    }
  }

  @Test("come in pieces of at most five hundred, with the counts of all in the first")
  func pieces() throws {
    let daemon = try PlanningDaemon()
    daemon.source.state.withLock {
      $0.rows = (0..<1203).map { ListRow.simulated("SE\(10_000 + $0)") }
    }
    let replies = try daemon.plan()
    #expect(replies.map { $0["changes"]?.arrayValue?.count } == [500, 500, 203])
    #expect(replies[0]["counts"]?["set"] == 1203)
    let reading = replies[0]["readings"]?[0]
    #expect(reading?["list"] == "tmc" && reading?["source"] == "made up")
    #expect(reading?["rows"] == 1203 && reading?["samples"]?.arrayValue?.count == 5)
    let numbers = replies.flatMap { $0["changes"]?.arrayValue ?? [] }.map {
      $0["number"]?.stringValue
    }
    #expect(numbers.count == 1203 && Set(numbers).count == 1203)
    for reply in replies { #expect(JSONValue.object(reply).description.utf8.count < 1 << 20) }
    let limited = try daemon.plan(["lists": ["tmc"], "limit": 3])
    #expect(limited.count == 1 && limited[0]["changes"]?.arrayValue?.count == 3)
    #expect(limited[0]["counts"]?["set"] == 1203)
    // Nothing has come of it.
    #expect(daemon.loop.snapshot.flags == 0)
    #expect(daemon.problems.read { $0 } == [])
  }

  @Test("are for the control socket, need `more`, and know the lists there are")
  func refusals() throws {
    let daemon = try PlanningDaemon()
    #expect(error { _ = try daemon.plan([:], "monitor") } == "org.varlink.service.PermissionDenied")
    #expect(
      error { _ = try daemon.plan(["lists": ["nope"]]) } == "\(SyncInterface.name).NoSuchList")
    #expect(
      error { _ = try daemon.plan(["limit": -1]) } == "org.varlink.service.InvalidParameter")
    #expect(
      error {
        _ = try daemon.connect().call(
          "\(SyncInterface.name).Plan", [:], deadline: .after(.seconds(10)))
      } == "org.varlink.service.ExpectedMore")
    #expect(daemon.problems.read { $0 } == [])
  }

  @Test("are made one at a time, and a client that leaves holds no connection")
  func oneAtATime() throws {
    let daemon = try PlanningDaemon()
    let gate = Gate()
    daemon.source.state.withLock { $0.gate = gate }
    do {
      let socket = try StreamSocket.connect(
        to: .unix(path: daemon.directory.file("control")), deadline: .after(.seconds(10)))
      let request = "{\"method\":\"\(SyncInterface.name).Plan\",\"more\":true}"
      try socket.write(Array(request.utf8) + [0], deadline: .after(.seconds(10)))
      #expect(waitUntil(.after(.seconds(10))) { daemon.source.state.withLock { $0.reads } == 2 })
      #expect(error { _ = try daemon.plan() } == "\(SyncInterface.name).Busy")
      socket.interrupt()
    }
    // Its plan still waits for the list, but nobody waits for the plan.
    #expect(waitUntil(.after(.seconds(10))) { daemon.server.connectionCount == 0 })
    gate.open()
    daemon.source.state.withLock { $0.gate = nil }
    #expect(
      waitUntil(.after(.seconds(10))) {
        error { _ = try daemon.plan() } == nil
      })
  }
}
