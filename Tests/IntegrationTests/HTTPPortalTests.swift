import HTTP
import JSON
import Platform
import SyncCore
import TestSupport
import Testing

/// The portal over HTTP, against a server of others' making that judges what it is asked by the
/// published interface.
@Suite("portal over HTTP", .serialized)
struct HTTPPortalTests {
  private static let instance = PortalInstance(
    id: String(repeating: "a", count: 32), startedAt: .now)

  private static func portal(
    _ server: ReferencePortal, instance: PortalInstance = instance, parallel: Int = 4,
    pageSize: Int = 50
  ) -> HTTPPortal {
    var settings = HTTPSession.Settings()
    settings.parallel = parallel
    var policy = CircuitBreaker.Policy()
    policy.minimum = .milliseconds(200)
    policy.maximum = .milliseconds(400)
    let service = HTTPService(
      name: "portal", base: HTTPURL(server.url)!, settings: settings, breaker: policy)
    return HTTPPortal(
      service: service, source: "syncd", instance: instance, interval: .seconds(120),
      pageSize: pageSize, log: Log(.text, level: .error))
  }

  private static func key(_ number: Int) -> ExaminationKey {
    let digits = "\(number)"
    return ExaminationKey(
      system: "SECTRA", number: "SE" + String(repeating: "0", count: 14 - digits.count) + digits)
  }

  private static func set(_ number: Int, expected: PortalFlag? = nil) -> FlagWrite {
    FlagWrite(
      key: key(number), action: .set(flag: "samverkan"), list: "tmc", expected: expected,
      priority: .routine)
  }

  private static func listing(
    _ portal: HTTPPortal, since token: String? = nil
  ) throws -> (flags: ExaminationTable<PortalFlag>, token: String)? {
    switch try portal.flags(since: token, deadline: .after(.seconds(20))) {
    case .unchanged: return nil
    case .flags(let flags, let token): return (flags, token)
    }
  }

  private static func apply(_ writes: [FlagWrite], to portal: HTTPPortal) -> [FlagWriteOutcome] {
    var outcomes = [FlagWriteOutcome?](repeating: nil, count: writes.count)
    portal.apply(writes, source: "syncd", now: .now, deadline: .after(.seconds(20))) {
      outcomes[$0] = $1
    }
    return outcomes.compactMap { $0 }
  }

  @Test(
    "flags are set, listed over pages, replaced and cleared; what has not changed costs one 304",
    .needs(.python("openapi_core")))
  func whole() throws {
    let server = try ReferencePortal()
    let portal = Self.portal(server)
    let writes = (1...120).map { Self.set($0) }
    #expect(Self.apply(writes, to: portal).allSatisfy { $0 == .done })
    #expect(Self.apply([Self.set(1)], to: portal) == [.alreadySo])
    let (flags, token) = try #require(try Self.listing(portal))
    #expect(flags.count == 120)
    #expect(flags[Self.key(7)]?.source == "syncd")
    #expect(flags[Self.key(7)]?.list == "tmc")
    #expect(try Self.listing(portal, since: token) == nil)
    let calls = try #require(try server.counts["GET /v1/examinations"])
    #expect(calls["200"]?.intValue == 3)
    #expect(calls["304"]?.intValue == 1)

    var replace = Self.set(7, expected: flags[Self.key(7)])
    replace.action = .set(flag: "sectra-samverkan-tmc")
    var clear = Self.set(8, expected: flags[Self.key(8)])
    clear.action = .clear
    #expect(Self.apply([replace, clear], to: portal) == [.done, .done])
    #expect(Self.apply([clear], to: portal) == [.alreadySo])
    let after = try #require(try Self.listing(portal, since: token)).flags
    #expect(after.count == 119)
    #expect(after[Self.key(7)]?.flag == "sectra-samverkan-tmc")
    // Decided upon what is no longer so.
    #expect(Self.apply([replace], to: portal) == [.alreadySo])
    var late = replace
    late.action = .clear
    #expect(Self.apply([late], to: portal) == [.changedMeanwhile])

    try portal.publish(
      [ImageAvailability(key: Self.key(7), state: .partial, archived: 3, expected: 5, reason: nil)],
      deadline: .after(.seconds(10)))
    let images = try server.control("GET", "images")
    #expect(images[Self.key(7).system + ":" + Self.key(7).number]?["archived"]?.intValue == 3)
    try expectNoViolations(server)
  }

  @Test(
    "whatever happens to a write, it is done once, or said not to be",
    .needs(.python("openapi_core")),
    arguments: [
      #"{"kind":"applyThen500","times":2}"#, #"{"kind":"applyThenClose","times":2}"#,
      #"{"kind":"close","times":2,"method":"PUT"}"#, #"{"kind":"reset","times":1,"method":"PUT"}"#,
      #"{"kind":"status","status":500,"times":2,"method":"PUT"}"#,
      #"{"kind":"status","status":503,"retryAfter":"1","times":1,"method":"PUT"}"#,
      #"{"kind":"status","status":429,"retryAfter":"date:1","times":2,"method":"PUT"}"#,
      #"{"kind":"latency","ms":30}"#,
    ])
  func writes(fault: String) throws {
    let server = try ReferencePortal(judges: false)
    let portal = Self.portal(server)
    let flags: (Int) throws -> PortalFlag? = { number in
      try Self.listing(portal)?.flags[Self.key(number)]
    }
    try server.fault(try JSONValue.parse(fault))
    let outcomes = Self.apply((1...12).map { Self.set($0) }, to: portal)
    #expect(outcomes.count == 12 && outcomes.allSatisfy { $0 == .done }, "\(outcomes)")
    try server.mend()
    #expect(try server.flags.count == 12)
    // Nothing was done twice.
    #expect(try server.effects.count == 12)
    var clears = try (1...12).map { try Self.set($0, expected: flags($0)) }
    for index in clears.indices { clears[index].action = .clear }
    try server.fault(try JSONValue.parse(fault.replacing("PUT", with: "DELETE")))
    let cleared = Self.apply(clears, to: portal)
    #expect(cleared.allSatisfy { $0 == .done || $0 == .alreadySo }, "\(cleared)")
    #expect(try server.flags.isEmpty)
    #expect(try server.effects.count == 24)
  }

  @Test(
    "while one tries on behalf of all whether the server is back, the others wait",
    .needs(.python("openapi_core")))
  func trial() throws {
    let server = try ReferencePortal(judges: false)
    let portal = Self.portal(server, parallel: 8)
    // The one that tries is answered later than the rest is over.
    try server.fault(
      ["kind": "latency", "ms": 400],
      ["kind": "status", "status": 429, "retryAfter": "1", "times": 1, "method": "PUT"])
    let outcomes = Self.apply((1...24).map { Self.set($0) }, to: portal)
    #expect(outcomes.count == 24 && outcomes.allSatisfy { $0 == .done }, "\(outcomes)")
    #expect(try server.effects.count == 24)
  }

  @Test(
    "a record whose version alone has changed is decided anew; one that is another's is left",
    .needs(.python("openapi_core")))
  func races() throws {
    let server = try ReferencePortal()
    let portal = Self.portal(server)
    _ = Self.apply([Self.set(1), Self.set(2)], to: portal)
    let flags = try #require(try Self.listing(portal)).flags
    try server.fault(["kind": "race412", "times": 2])
    var clear = Self.set(1, expected: flags[Self.key(1)])
    clear.action = .clear
    #expect(Self.apply([clear], to: portal) == [.done])
    try server.fault(["kind": "race412", "flag": "sectra-samverkan-tmc", "source": "portal"])
    clear = Self.set(2, expected: flags[Self.key(2)])
    clear.action = .clear
    #expect(Self.apply([clear], to: portal) == [.changedMeanwhile])
    #expect(try server.flags["SECTRA:SE00000000000002"] == "sectra-samverkan-tmc")
    // A portal on which every write meets another one is not asked for ever.
    try server.forgetCounts()
    try server.fault(["kind": "race412"])
    let third = Self.apply([Self.set(3)], to: portal)
    #expect(third == [.changedMeanwhile] || third == [.done])
    #expect(try server.requests("PUT /v1/examinations/{id}/collaboration-flag") <= 3)
    try expectNoViolations(server)
  }

  @Test(
    "403 ends the rest of a batch at once; a server that is down is not asked 500 times",
    .needs(.python("openapi_core")))
  func storms() throws {
    let server = try ReferencePortal()
    let portal = Self.portal(server)
    try server.fault(["kind": "status", "status": 403, "method": "PUT"])
    var outcomes = Self.apply((1...500).map { Self.set($0) }, to: portal)
    #expect(
      outcomes.allSatisfy {
        if case .failed(.refused(let text)) = $0 { text.contains("403") } else { false }
      })
    #expect(try server.requests("PUT /v1/examinations/{id}/collaboration-flag") <= 8)
    try server.mend()
    try server.forgetCounts()
    try server.fault(["kind": "status", "status": 500])
    outcomes = []
    portal.apply(
      (1...500).map { Self.set($0) }, source: "syncd", now: .now, deadline: .after(.seconds(3))
    ) { outcomes.append($1) }
    #expect(outcomes.count == 500)
    let asked = try server.requests("PUT /v1/examinations/{id}/collaboration-flag")
    #expect(asked <= 40, "asked \(asked) times")
    try server.mend()
    #expect(try server.flags.isEmpty)
  }

  @Test(
    "a listing that is not provably whole is an error",
    .needs(.python("openapi_core")),
    arguments: [
      #"{"kind":"shrink"}"#, #"{"kind":"shrink","of":"total"}"#, #"{"kind":"duplicateRow"}"#,
      #"{"kind":"duplicateRowConflict"}"#, #"{"kind":"changedSnapshot"}"#, #"{"kind":"garbage"}"#,
      #"{"kind":"wrongType"}"#, #"{"kind":"cyclicCursor"}"#, #"{"kind":"wrongEtag304"}"#,
      #"{"kind":"truncate"}"#, #"{"kind":"truncateChunked"}"#, #"{"kind":"cursorExpired"}"#,
      #"{"kind":"redirect","location":"https://elsewhere.example/"}"#,
      #"{"kind":"hugeBody","of":"rows"}"#, #"{"kind":"hugeBody","of":"string"}"#,
      #"{"kind":"hang"}"#, #"{"kind":"slowBody"}"#, #"{"kind":"status","status":500}"#,
    ])
  func doubtful(fault: String) throws {
    let server = try ReferencePortal(judges: false)
    let portal = Self.portal(server)
    try server.control(
      "PUT", "flags",
      ["generate": 120, "flag": "samverkan", "source": "syncd", "listId": "tmc"])
    var parsed = try JSONValue.parse(fault).objectValue!
    parsed["path"] = "/v1/examinations"
    try server.fault(.object(parsed))
    let error = #expect(throws: PortalError.self) {
      try portal.flags(since: nil, deadline: .after(.seconds(3)))
    }
    if fault.contains("redirect") {
      #expect(error?.description.contains("https://elsewhere.example") == true)
    }
    #expect(try server.requests("GET /v1/examinations") <= 16)
    try server.mend()
    #expect(try Self.eventually { try Self.listing(portal)?.flags.count == 120 })
  }

  @Test(
    "what passes by is sat out within the time there is",
    .needs(.python("openapi_core")),
    arguments: [
      #"{"kind":"changedSnapshot","times":1}"#, #"{"kind":"cursorExpired","times":1}"#,
      #"{"kind":"status","status":500,"times":2}"#, #"{"kind":"close","times":1}"#,
      #"{"kind":"status","status":503,"retryAfter":"1","times":1}"#,
      #"{"kind":"status","status":429,"retryAfter":"date:2","times":1}"#,
    ])
  func passing(fault: String) throws {
    let server = try ReferencePortal(judges: false)
    let portal = Self.portal(server)
    try server.control(
      "PUT", "flags",
      ["generate": 120, "flag": "samverkan", "source": "syncd", "listId": "tmc"])
    var parsed = try JSONValue.parse(fault).objectValue!
    parsed["path"] = "/v1/examinations"
    try server.fault(.object(parsed))
    #expect(try Self.listing(portal)?.flags.count == 120)
  }

  @Test(
    "a second daemon on the same portal changes nothing, and the first one goes on",
    .needs(.python("openapi_core")))
  func foreign() throws {
    let server = try ReferencePortal()
    let first = Self.portal(server)
    #expect(try Self.listing(first) != nil)
    let other = PortalInstance(id: String(repeating: "b", count: 32), startedAt: .now)
    let second = Self.portal(server, instance: other)
    let error = #expect(throws: PortalError.self) { try Self.listing(second) }
    guard case .foreign(let text) = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(text.contains("aaaaaaaa") && text.contains("stop one of them"))
    #expect(try Self.listing(first) != nil)
    // The same installation after a restart goes on at once; a copy of it does not.
    let again = PortalInstance(id: Self.instance.id, startedAt: .now + .seconds(1))
    #expect(try Self.listing(Self.portal(server, instance: again)) != nil)
    #expect(throws: PortalError.self) { try Self.listing(first) }
    // One that has been silent for three intervals has ended.
    try server.control(
      "PUT", "heartbeats/syncd",
      [
        "instance": .string(Self.instance.id), "version": "1", "interval": 120,
        "startedAt": .string(WallTime.now.description), "age": 400,
      ])
    #expect(try Self.listing(second) != nil)
    try expectNoViolations(server)
  }

  @Test(
    "the reference server is what the published interfaces say, by schemathesis",
    .needs(.python("schemathesis"), .python("openapi_core")), .timeLimit(.minutes(4)))
  func reference() throws {
    let result = try ChildProcess.run(
      Peers.python,
      [
        "\(Peers.packageRoot)/Tests/Scripts/schemathesis-run.py", "--max-time", "150",
        "--max-examples", "10",
      ], deadline: .after(.seconds(200)))
    #expect(result.status == 0, "\(result.output.suffix(3000))")
  }

  private func expectNoViolations(_ server: ReferencePortal) throws {
    let violations = try server.violations
    #expect(violations.isEmpty, "\(violations.joined(separator: "\n"))")
  }

  static func eventually(_ body: () throws -> Bool) throws -> Bool {
    let deadline = Deadline.after(.seconds(20))
    var last: (any Error)?
    repeat {
      do {
        if try body() { return true }
        last = nil
      } catch {
        last = error
      }
      _ = Gate().wait(until: .after(.milliseconds(50)))
    } while !deadline.isPast
    if let last { throw last }
    return false
  }
}
