import HTTP
import JSON
import Platform
import SyncCore
import TestSupport
import Testing

@Suite("lists over HTTP", .serialized)
struct HTTPListTests {
  private static func source(
    _ server: ReferencePortal, maxAge: Duration = .seconds(240)
  ) -> HTTPListSource {
    var policy = CircuitBreaker.Policy()
    policy.minimum = .milliseconds(200)
    policy.maximum = .milliseconds(400)
    return HTTPListSource(
      service: HTTPService(name: "ris", base: HTTPURL(server.url)!, breaker: policy),
      list: "teleconsult", pageSize: 50, maxAge: maxAge)
  }

  private static func numbers(_ range: ClosedRange<Int>) -> [String] {
    range.map { number in
      let digits = "\(number)"
      return "SE" + String(repeating: "0", count: 14 - digits.count) + digits
    }
  }

  @Test(
    "every field arrives, from every page; what has not changed costs one 304 and counts as seen",
    .needs(.python("openapi_core")))
  func whole() throws {
    let server = try ReferencePortal()
    let row: JSONValue = [
      "number": "SE00000000000999", "referral": "R1", "studyUid": "1.2.3",
      "patientId": "191212121212", "patientName": "Tolvansson^Tolvan Åäö", "status": "Utförd",
      "modality": "CT", "description": "DT hjärna", "careUnit": "SE2321000131-E000000000001",
      "scheduled": "2026-11-23T08:00:00Z", "priority": "Akut",
    ]
    let rows = Self.numbers(1...120).map { number -> JSONValue in ["number": .string(number)] }
    try server.setList("teleconsult", rows + [row])
    let source = Self.source(server)
    guard
      case .snapshot(let snapshot) = try source.read(deadline: .after(.seconds(20)), previous: nil)
    else {
      Issue.record("no snapshot")
      return
    }
    #expect(snapshot.rows.count == 121)
    let last = try #require(snapshot.rows.first { $0.examination == "SE00000000000999" })
    #expect(last.patientName == "Tolvansson^Tolvan Åäö" && last.studyUID == "1.2.3")
    #expect(last.careUnit == "SE2321000131-E000000000001" && last.priority == "Akut")
    #expect(snapshot.proof.hasPrefix("121 rows of 121 announced on 3 pages"))
    guard
      case .confirmed(let id, _) = try source.read(
        deadline: .after(.seconds(20)), previous: snapshot.identity)
    else {
      Issue.record("not confirmed")
      return
    }
    // Seen again: another snapshot.
    #expect(id != snapshot.snapshotID)
    let calls = try #require(try server.counts["GET /v1/lists/teleconsult/examinations"])
    #expect(calls["200"]?.intValue == 3)
    #expect(calls["304"]?.intValue == 1)
    let violations = try server.violations
    #expect(violations.isEmpty, "\(violations)")
  }

  @Test(
    "a read that is not provably whole is an error that says why",
    .needs(.python("openapi_core")),
    arguments: [
      (#"{"kind":"shrink"}"#, "announced"), (#"{"kind":"shrink","of":"total"}"#, "announced"),
      (#"{"kind":"duplicateRow"}"#, "there twice"),
      (#"{"kind":"duplicateRow","append":true}"#, "there twice"),
      (#"{"kind":"duplicateRowConflict"}"#, "other content"),
      (#"{"kind":"changedSnapshot"}"#, "snapshot changed"),
      (#"{"kind":"garbage"}"#, "cannot be read"), (#"{"kind":"wrongType"}"#, "log-in page"),
      (#"{"kind":"cyclicCursor"}"#, ""), (#"{"kind":"wrongEtag304"}"#, "was not asked"),
      (#"{"kind":"truncate"}"#, "cut"), (#"{"kind":"cursorExpired"}"#, "cursor expired"),
      (#"{"kind":"status","status":404}"#, "does not have it"),
      (#"{"kind":"status","status":403}"#, "does not allow it"),
      (#"{"kind":"expiredToken"}"#, "does not know who asks"),
      (#"{"kind":"hugeBody","of":"space"}"#, ""),
    ])
  func doubtful(fault: String, words: String) throws {
    let server = try ReferencePortal(judges: false)
    try server.setList("teleconsult", numbers: Self.numbers(1...120))
    var parsed = try JSONValue.parse(fault).objectValue!
    parsed["path"] = "/v1/lists"
    try server.fault(.object(parsed))
    let source = Self.source(server)
    let error = #expect(throws: ListReadError.self) {
      try source.read(deadline: .after(.seconds(3)), previous: nil)
    }
    #expect(
      words.isEmpty || error?.message.contains(words) == true, "\(String(describing: error))")
    #expect(try server.requests("GET /v1/lists/teleconsult/examinations") <= 16)
  }

  @Test("what was made too long ago is not believed", .needs(.python("openapi_core")))
  func old() throws {
    let server = try ReferencePortal()
    try server.control(
      "PUT", "lists/teleconsult",
      ["rows": [["number": "SE00000000000001"]], "asOf": "2026-01-01T00:00:00Z"])
    let error = #expect(throws: ListReadError.self) {
      try Self.source(server).read(deadline: .after(.seconds(10)), previous: nil)
    }
    #expect(error?.message.contains("longer ago than 4m") == true)
  }

  @Test(
    "identifiers that are not texts fail the read: leading zeros may be lost",
    .needs(.python("openapi_core")))
  func identifiers() throws {
    let server = try ReferencePortal(judges: false)
    try server.setList("teleconsult", [["number": "SE1", "referral": 123]])
    let error = #expect(throws: ListReadError.self) {
      try Self.source(server).read(deadline: .after(.seconds(10)), previous: nil)
    }
    #expect(error?.message.contains("`referral` is not a text") == true, "\(error!)")
  }
}

/// The whole daemon against a portal and a list server that fail in every way they can.
@Suite("convergence over HTTP", .serialized)
struct HTTPConvergenceTests {
  /// A daemon whose portal and list are at a reference server.
  private final class World {
    let server: ReferencePortal
    let daemon: HTTPDaemon
    init(_ server: ReferencePortal, interval: String = "1s", listTimeout: String = "3s") throws {
      self.server = server
      daemon = try HTTPDaemon(server.url, interval: interval, listTimeout: listTimeout)
      try daemon.start()
    }

    func holds(_ numbers: [String]) throws -> Bool {
      Set(try server.flags.keys) == Set(numbers.map { "SECTRA:\($0)" })
    }

    /// Waits until the flags are these, and a cycle later are so still.
    func settles(_ numbers: [String], _ comment: String) throws {
      #expect(try HTTPPortalTests.eventually { try holds(numbers) }, "\(comment)")
    }
  }

  private static let before = (10...39).map { "SE000000000000\($0)" }
  private static let after = (14...45).map { "SE000000000000\($0)" }

  @Test(
    "under every fault nothing is cleared in doubt; without it flags are equal to the list",
    .needs(.python("openapi_core")), .timeLimit(.minutes(5)))
  func converges() throws {
    let server = try ReferencePortal(judges: false)
    try server.setList("teleconsult", numbers: Self.before)
    let world = try World(server)
    try world.settles(Self.before, "at first")
    let faults = [
      #"{"kind":"latency","ms":50}"#, #"{"kind":"status","status":500,"every":2}"#,
      #"{"kind":"status","status":503,"retryAfter":"1","every":3}"#,
      #"{"kind":"status","status":429,"retryAfter":"date:1","every":5}"#,
      #"{"kind":"truncate","every":2}"#, #"{"kind":"truncateChunked","every":2}"#,
      #"{"kind":"changedSnapshot","every":2}"#, #"{"kind":"shrink"}"#,
      #"{"kind":"shrink","of":"total"}"#, #"{"kind":"duplicateRow"}"#,
      #"{"kind":"duplicateRowConflict"}"#, #"{"kind":"race412","every":2}"#,
      #"{"kind":"applyThen500"}"#, #"{"kind":"applyThenClose"}"#, #"{"kind":"strict"}"#,
      #"{"kind":"redirect","location":"https://elsewhere.example/"}"#,
      #"{"kind":"expiredToken"}"#, #"{"kind":"cursorExpired"}"#, #"{"kind":"garbage"}"#,
      #"{"kind":"wrongType"}"#, #"{"kind":"close","every":2}"#, #"{"kind":"reset"}"#,
      #"{"kind":"cyclicCursor"}"#, #"{"kind":"wrongEtag304"}"#,
      #"{"kind":"hugeBody","of":"string"}"#, #"{"kind":"slowBody","ms":20,"bytes":16}"#,
    ]
    var isSecond = true
    for text in faults {
      let (from, to) = isSecond ? (Self.before, Self.after) : (Self.after, Self.before)
      isSecond.toggle()
      var fault = try JSONValue.parse(text).objectValue!
      fault["path"] = "^/v1"
      try server.forgetCounts()
      try server.fault(.object(fault))
      try server.setList("teleconsult", numbers: to)
      // Long enough for some cycles, whatever they come to.
      let cycle = try world.daemon.cycle()
      #expect(
        try HTTPPortalTests.eventually { try world.daemon.cycle() >= cycle + 2 }, "\(text)")
      // What is on both lists has kept its flag throughout.
      let kept = Set(from).intersection(to).map { "SECTRA:\($0)" }
      let effects = try server.effects
      #expect(!effects.contains { line in kept.contains { line == "clear \($0)" } }, "\(text)")
      try server.mend()
      try world.settles(to, text)
      // Nothing was done twice: at most one change for each that had to change.
      let changes = try server.effects
      if !text.contains("race412") {
        #expect(changes.count == Set(from).symmetricDifference(to).count, "\(text): \(changes)")
      }
      let all = try server.counts.objectValue ?? JSONObject()
      let asked = all.reduce(0) { sum, call in
        sum
          + (call.value.objectValue ?? JSONObject()).reduce(0) { $0 + Int($1.value.intValue ?? 0) }
      }
      let cycles = try world.daemon.cycle() - cycle
      // A cycle asks for pages, beats, writes and their read-back; the rest is repeats.
      #expect(asked <= 60 * (cycles + 1) + 200, "\(text): \(asked) requests in \(cycles) cycles")
    }
  }

  @Test(
    "5000 changes go out in order of urgency, with clears first, and sync --wait shows how far",
    .needs(.python("openapi_core")))
  func burst() throws {
    let server = try ReferencePortal(judges: false)
    let urgent = ["SE00000000009998", "SE00000000009999"]
    let rows =
      (1000..<6000).map { number -> JSONValue in ["number": .string("SE0000000000\(number)")] }
      + urgent.map { ["number": .string($0), "priority": "Akut"] }
    try server.setList("teleconsult", [])
    // No cycle but the first one and ours: another would take the work from it.
    let world = try World(server, interval: "1h", listTimeout: "1m")
    #expect(try HTTPPortalTests.eventually { try world.daemon.cycle() >= 1 })
    try server.setList("teleconsult", rows)
    let replies = try world.daemon.syncctl(["sync", "--wait"])
    #expect(try HTTPPortalTests.eventually { try server.flags.count == 5002 })
    let first = try server.effects.prefix(16)
    for number in urgent {
      #expect(first.contains { $0.contains(number) }, "\(first)")
    }
    let pending = replies.compactMap { $0["cycle"]?["flagsPending"]?.intValue }
    #expect(Set(pending).count >= 3, "\(pending)")
  }
}

/// The real daemon with its portal and one list over HTTP.
final class HTTPDaemon {
  let directory: TemporaryDirectory
  private var process: ChildProcess?

  init(
    _ url: String, extra: String = "", server: String = "", interval: String = "1s",
    listTimeout: String = "3s"
  ) throws {
    directory = try TemporaryDirectory()
    _ = try directory.write(
      """
      [daemon]
      state_directory = "\(directory.file("state"))"
      [control]
      socket = "\(directory.file("control"))"
      monitor_socket = "\(directory.file("monitor"))"
      [cycle]
      interval = "\(interval)"
      list_timeout = "\(listTimeout)"
      absence_snapshots = 2
      brake_minimum = 10
      write_retry = "1s"
      write_retry_maximum = "2s"
      [archive]
      port = 0
      minimum_free = "1 MB"
      [portal]
      server = "region"
      page_size = 20
      \(extra)
      [[server]]
      name = "region"
      url = "\(url)"
      \(server)
      [[list]]
      id = "teleconsult"
      flag = "sectra-samverkan-teleconsult"
      [list.source]
      kind = "http"
      server = "region"
      page_size = 20

      """, to: "config.toml")
  }

  deinit {
    process?.kill(9)
    _ = process?.wait(deadline: .after(.seconds(5)))
  }

  func start(environment: [String: String?] = [:]) throws {
    let child = try ChildProcess(
      Peers.product("syncd"), ["--config", directory.file("config.toml")],
      environment: environment)
    process = child
    guard waitUntil(.after(.seconds(30)), { !child.isRunning || (try? syncctl(["ping"])) != nil }),
      child.isRunning
    else { throw ChildProcess.SpawnError(description: child.output) }
  }

  var log: String { process?.output ?? "" }

  @discardableResult
  func syncctl(_ arguments: [String], anyStatus: Bool = false) throws -> [JSONValue] {
    let result = try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", directory.file("control"), "--json"] + arguments)
    guard result.status == 0 || anyStatus else {
      throw ChildProcess.SpawnError(description: result.output)
    }
    return try result.standardOutput.split(separator: "\n").map {
      try JSONValue.parse(Array($0.utf8))
    }
  }

  /// The number of the latest cycle that has ended.
  func cycle() throws -> Int {
    let status = try syncctl(["status"]).first
    let cycle = status?["cycle"]
    let number = Int(cycle?["number"]?.stringValue ?? "") ?? 0
    return cycle?["running"]?.boolValue == true ? number - 1 : number
  }

  func alarms() throws -> [String] {
    (try syncctl(["status"], anyStatus: true).first?["alarms"]?.arrayValue ?? []).compactMap {
      $0["code"]?.stringValue
    }
  }
}
