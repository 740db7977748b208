import Platform
import Testing

@testable import SyncCore

@Suite("Plans without effect, and lists that are confirmed", .serialized)
struct EnginePlanTests {
  private func preview(_ world: Simulation, _ lists: [String] = []) -> PreviewAnswer? {
    let answer = Answer<PreviewAnswer>()
    world.send(.preview(lists: lists, answer))
    world.run(.seconds(1))
    return answer.wait(until: .after(.zero))
  }

  private func plan(_ world: Simulation, _ lists: [String] = []) throws -> Preview {
    guard case .preview(let found) = preview(world, lists) else {
      throw PortalError.refused("no preview")
    }
    return found
  }

  @Test("a plan says what the next cycles would do, and nothing is done or remembered")
  func noEffect() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set((1...30).map { "SE\($0)" })
    world.lists["dda"]!.set(["SE100"])
    world.run(.seconds(10))
    // Between two cycles: one new, one gone, one that both lists claim.
    world.lists["tmc"]!.set((2...31).map { "SE\($0)" })
    world.lists["dda"]!.set(["SE100", "SE2"])
    let before = world.engine.snapshot()
    let flags = try world.flags()
    let memory = world.engine.memory.count
    let found = try plan(world)
    #expect(found.readings.map(\.id) == ["tmc", "dda"])
    #expect(found.readings.map(\.rows) == [30, 2])
    #expect(found.count(.set) == 1 && found.changes.first?.key.number == "SE31")
    #expect(found.changes.first { $0.action == .absent }?.key.number == "SE1")
    #expect(found.changes.first { $0.action == .conflict }?.key.number == "SE2")
    #expect(found.changes.count == 3)
    #expect(try world.flags() == flags)
    #expect(world.engine.memory.count == memory)
    let after = world.engine.snapshot()
    #expect(after.lists.map(\.rows) == before.lists.map(\.rows))
    #expect(after.cycle?.number == before.cycle?.number)
    #expect(world.portal.faults.withLock { $0.writes } == 31)
    // A hundred plans are not a hundred absences.
    for _ in 0..<5 { _ = try plan(world) }
    #expect(
      try plan(world).changes.first { $0.action == .absent }?.reason?.contains("1 of the 2") == true
    )
  }

  @Test("a list that would lose too many is shown as held, and one that fails changes nothing")
  func heldAndFailed() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set((1...30).map { "SE\($0)" })
    world.run(.seconds(10))
    world.lists["tmc"]!.set((1...5).map { "SE\($0)" })
    world.run(.seconds(125))
    // Absent once, by the cycle; the plan's own read is the second.
    let found = try plan(world, ["tmc"])
    #expect(found.readings.count == 1)
    #expect(found.count(.held) == 25, "\(found.changes)")
    #expect(found.changes.first?.reason?.contains("25 of 30") == true)
    world.lists["tmc"]!.state.withLock { $0.failure = "no trailer" }
    let failed = try plan(world)
    #expect(failed.readings.first { $0.id == "tmc" }?.failure?.contains("no trailer") == true)
    #expect(failed.count(.clear) == 0 && failed.count(.held) == 0)
  }

  @Test("an unknown list, a second plan meanwhile and a stopping daemon are answered as such")
  func refusals() throws {
    let world = try Simulation()
    world.run(.seconds(5))
    guard case .noSuchList("x", let known) = preview(world, ["x"]) else {
      Issue.record("not refused")
      return
    }
    #expect(known == ["tmc", "dda"])
    world.jobs.hold("preview-tmc")
    #expect(preview(world) == nil)
    guard case .busy = preview(world) else {
      Issue.record("not busy")
      return
    }
    world.jobs.release()
    world.run(.seconds(1))
    #expect(try plan(world).readings.count == 2)
    // One that waits for a list that hangs is answered when the daemon stops.
    world.jobs.hold("preview-tmc")
    let waiting = Answer<PreviewAnswer>()
    world.send(.preview(lists: [], waiting))
    world.run(.seconds(1))
    world.engine.stop()
    guard case .stopping = waiting.wait(until: .after(.zero)), case .stopping = preview(world)
    else {
      Issue.record("not stopping")
      return
    }
  }

  @Test("what is odd about a list is told: statuses, scope, rows that cannot be used")
  func oddities() throws {
    let world = try Simulation()
    world.run(.seconds(5))
    world.lists["tmc"]!.set(["SE1", "SE2"], status: "Konstig")
    let reading = try #require(try plan(world, ["tmc"]).readings.first)
    #expect(reading.unknownStatuses.map(\.word) == ["Konstig"])
    #expect(reading.unknownStatuses.map(\.count) == [2])
    #expect(reading.samples.map(\.number) == ["SE1", "SE2"])
    #expect(reading.samples.map(\.statusRaw) == ["Konstig", "Konstig"])
    #expect(reading.samples.map(\.status) == [.unknown, .unknown])
  }

  @Test("rows of other care units are told by unit, unusable ones by reason, and hold the list")
  func scopeAndUnusable() throws {
    let world = try Simulation()
    world.settings.careUnits = ["SE1-OUR"]
    try world.start()
    world.lists["tmc"]!.state.withLock {
      $0.rows = (1...4).map { ListRow.simulated("SE\($0)", careUnit: "SE1-OUR") }
    }
    world.run(.seconds(10))
    world.lists["tmc"]!.state.withLock {
      $0.rows = ["SE1-OUR", "SE1-A", "SE1-B", "SE1-B", nil].enumerated().map {
        ListRow.simulated("SE\($0 + 1)", careUnit: $1)
      }
      $0.refused = [
        RefusedRow(line: 9, reason: "no examination number"),
        RefusedRow(line: 7, reason: "too long"),
        RefusedRow(line: 8, reason: "no examination number"),
      ]
    }
    let found = try plan(world, ["tmc"])
    let reading = try #require(found.readings.first)
    #expect(reading.rows == 5 && reading.outOfScope == 4)
    #expect(reading.foreignUnits.map(\.careUnit) == ["SE1-B", "", "SE1-A"])
    #expect(reading.foreignUnits.map(\.count) == [2, 1, 1])
    #expect(reading.refused.map(\.reason) == ["too long", "no examination number"])
    #expect(reading.refused.map(\.count) == [1, 2] && reading.refused.map(\.line) == [7, 9])
    #expect(found.changes.map(\.action) == [.held, .held, .held])
    #expect(found.changes.allSatisfy { $0.reason?.contains("3 rows of the list") == true })
  }

  @Test("an absence that a cycle has counted is shown, and the same snapshot counts no second time")
  func absenceOnRecord() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(10))
    world.lists["tmc"]!.set(["SE2"])
    world.lists["tmc"]!.state.withLock { $0.name = "file 1" }
    world.run(.seconds(125))
    for _ in 0..<2 {
      let found = try plan(world)
      #expect(found.changes.map(\.action) == [.absent])
      #expect(found.changes.first?.reason?.contains("from 1 of the 2") == true)
    }
    world.lists["tmc"]!.state.withLock { $0.name = "file 2" }
    #expect(try plan(world).changes.map(\.action) == [.clear])
  }

  @Test("a write that the portal does not keep waits, and says when it is tried again")
  func waiting() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(10))
    world.portal.faults.withLock { $0.keepsFlags = true }
    world.lists["tmc"]!.set(["SE2"])
    world.run(.seconds(490))
    let change = try #require(try plan(world).changes.first)
    #expect(change.action == .waiting && change.key.number == "SE1")
    #expect(change.reason?.contains("tries; the next follows at 20") == true, "\(change)")
    world.lists["dda"]!.set(["SE1"])
    let replaced = try #require(try plan(world).changes.first)
    #expect(replaced.action == .replace && replaced.from == "tmc" && replaced.to == "dda")
  }

  @Test("a list that hangs costs a plan that list only, and no second thread is sent after it")
  func hangingList() throws {
    let world = try Simulation()
    world.lists["dda"]!.set(["SE2"])
    world.run(.seconds(10))
    world.lists["dda"]!.set(["SE2", "SE3"])
    world.jobs.hold("preview-tmc")
    let first = Answer<PreviewAnswer>()
    world.send(.preview(lists: [], first))
    world.run(.seconds(40))
    guard case .preview(let found) = first.wait(until: .after(.zero)) else {
      Issue.record("no answer by the deadline")
      return
    }
    #expect(found.readings.map(\.failure) == ["no answer within 30 s", nil])
    #expect(found.changes.map(\.key.number) == ["SE3"])
    let second = try plan(world, ["tmc"])
    #expect(second.readings.first?.failure == "the read for an earlier plan has not come back")
    #expect(world.jobs.count("preview-tmc") == 1)
    // The cycles have gone on meanwhile, and read it as ever.
    #expect(world.engine.snapshot().lists.allSatisfy { $0.freshness == .fresh })
    world.jobs.release()
    world.run(.seconds(1))
    #expect(try plan(world).readings.map(\.failure) == [nil, nil])
  }

  @Test("a portal that does not answer in time is said to be the reason, and a plan tries again")
  func portalBusy() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(10))
    world.jobs.hold("portal")
    let answer = Answer<PreviewAnswer>()
    world.send(.preview(lists: ["tmc"], answer))
    world.run(.seconds(40))
    guard case .preview(let found) = answer.wait(until: .after(.zero)) else {
      Issue.record("no answer by the deadline")
      return
    }
    #expect(found.portalFailure?.contains("no answer within 30 s") == true)
    #expect(found.readings.map(\.rows) == [1] && found.changes.isEmpty)
    #expect(try plan(world).portalFailure?.contains("has not come back") == true)
    world.jobs.release()
    world.run(.seconds(1))
    #expect(try plan(world).portalFailure == nil)
    world.portal.faults.withLock { $0.isDown = true }
    #expect(try plan(world).portalFailure == "down")
    // Not what a cycle goes by: only a cycle says that the portal is down.
    #expect(world.engine.snapshot().portalReachable == true)
  }

  @Test("a daemon that stops or loads its configuration answers the plan that is under way")
  func interrupted() throws {
    let world = try Simulation()
    world.run(.seconds(10))
    world.jobs.hold("preview-tmc")
    let first = Answer<PreviewAnswer>()
    world.send(.preview(lists: [], first))
    world.run(.seconds(1))
    #expect(first.wait(until: .after(.zero)) == nil)
    world.send(.reconfigure(world.settings, world.surroundings, Answer<Bool>()))
    world.run(.seconds(1))
    guard case .busy(let reason) = first.wait(until: .after(.zero)) else {
      Issue.record("not answered")
      return
    }
    #expect(reason.contains("configuration"))
    world.jobs.hold("preview-dda")
    let second = Answer<PreviewAnswer>()
    world.send(.preview(lists: ["dda"], second))
    world.run(.seconds(1))
    world.engine.stop()
    guard case .stopping = second.wait(until: .after(.zero)) else {
      Issue.record("not answered")
      return
    }
    // What comes in afterwards concerns nobody.
    world.jobs.release()
    world.run(.seconds(1))
  }

  /// All that the engine goes by in its next cycle.
  private func known(_ world: Simulation) -> String {
    let engine = world.engine!
    let lists = engine.lists.sorted { $0.key < $1.key }.map { id, state in
      let members = state.members.keys.map(\.number).sorted()
      return "\(id) \(state.evidence) \(state.snapshot ?? "-") \(state.identity?.text ?? "-")"
        + " \(state.needsFullRead) \(state.needsPlan) \(state.isManual) \(state.isReading)"
        + " \(state.failure ?? "-") \(state.unusableRows) \(members)"
    }
    let memory = engine.memory.map { "\($0.key)=\($0.value)" }.sorted()
    return "\(lists) \(memory) \(engine.portalToken ?? "-") \(engine.recalled.count)"
  }

  @Test("a plan leaves the ledger as it is to the byte, and what the engine shows")
  func untouched() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set((1...20).map { "SE\($0)" })
    world.run(.seconds(10))
    world.lists["tmc"]!.set((4...30).map { "SE\($0)" })
    world.lists["dda"]!.set(["SE5", "SE50"])
    func ledger() throws -> [[UInt8]] {
      try ["", "-wal"].map {
        try FileDescriptor.contents(
          of: "\(world.directory.path)/ledger.sqlite\($0)", atMost: 64 << 20)
      }
    }
    func shown() -> String {
      var snapshot = world.engine.snapshot()
      snapshot.version = 0
      return "\(snapshot) \(known(world))"
    }
    let before = (try ledger(), shown(), world.portal.faults.withLock { $0.writes })
    let found = try plan(world)
    #expect(found.count(.set) == 11 && found.count(.absent) == 3 && found.count(.conflict) == 1)
    #expect(try ledger() == before.0)
    #expect(shown() == before.1)
    #expect(world.portal.faults.withLock { $0.writes } == before.2)
  }

  /// A history of random lists and failures; a step is ten seconds before each cycle.
  private func history(
    _ seed: UInt64, _ step: (Simulation, inout SeededGenerator) throws -> Void
  ) throws {
    var random = SeededGenerator(seed)
    let world = try Simulation()
    for list in world.lists.values { list.state.withLock { $0.isNamedByTime = true } }
    world.run(.seconds(60))
    for _ in 0..<25 {
      let end = world.clock.monotonic + .seconds(120)
      for name in ["tmc", "dda"] {
        let range = name == "tmc" ? 0..<30 : 25..<50
        let share = [0, 3, 6, 9, 10].randomElement(using: &random)!
        let isBroken = Int.random(in: 0..<6, using: &random) == 0
        let numbers = range.filter { _ in Int.random(in: 0..<10, using: &random) < share }
        world.lists[name]!.set(numbers.map { "SE\($0)" })
        world.lists[name]!.state.withLock { $0.failure = isBroken ? "broken" : nil }
      }
      world.run(.seconds(50))
      try step(world, &random)
      world.run(end - world.clock.monotonic)
    }
  }

  @Test(
    "what a plan says is what the next cycle does, whatever the lists do", arguments: UInt64(1)...5)
  func foretells(_ seed: UInt64) throws {
    var changes = 0
    try history(seed) { world, _ in
      var flags = try world.flags()
      for change in try plan(world).changes {
        switch change.action {
        case .set, .replace: flags[change.key.number] = change.to
        case .clear: flags[change.key.number] = nil
        default: continue
        }
        changes += 1
      }
      // The cycle comes before the lists change again.
      world.run(.seconds(20))
      #expect(try world.flags() == flags, "seed \(seed)")
    }
    #expect(changes > 20, "seed \(seed)")
  }

  @Test("a history with plans in it comes to the same as without them", arguments: UInt64(1)...2)
  func noTrace(_ seed: UInt64) throws {
    func run(planning: Bool) throws -> [String] {
      var seen: [String] = []
      try history(seed) { world, random in
        let count = Int.random(in: 0..<4, using: &random)
        for _ in 0..<count {
          if planning {
            _ = try plan(world, [[], ["tmc"], ["dda"]][count % 3])
          } else {
            world.run(.seconds(1))
          }
        }
        seen.append("\(try world.flags().sorted { $0.key < $1.key }) \(known(world))")
      }
      return seen
    }
    #expect(try run(planning: true) == run(planning: false))
  }

  @Test("twenty thousand changes are a plan of seventy bytes each, in the order of doing")
  func large() throws {
    let world = try Simulation()
    world.run(.seconds(10))
    world.lists["tmc"]!.state.withLock {
      $0.rows = (0..<20_000).map {
        var row = ListRow.simulated("SE\(100_000 + $0)")
        row.priority = $0 == 7777 ? "akut" : nil
        return row
      }
    }
    let found = try plan(world)
    #expect(found.count(.set) == 20_000 && found.changes.count == 20_000)
    #expect(found.changes[0].key.number == "SE107777" && found.changes[0].priority == .stat)
    #expect(found.changes[1].key.number == "SE100000")
    #expect(MemoryLayout<Preview.Change>.stride <= 72)
    #expect(try world.flags().isEmpty)
  }

  @Test("a list that its source confirms counts as seen again: an absence is cleared in time")
  func confirmed() throws {
    let world = try Simulation()
    world.lists["tmc"]!.state.withLock { $0.confirms = true }
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(10))
    world.lists["tmc"]!.set(["SE1"])
    // One snapshot with the change, one that confirms it.
    world.run(.seconds(120))
    #expect(try world.flags().count == 2)
    world.run(.seconds(125))
    #expect(try world.flags() == ["SE1": "tmc"])
    #expect(world.engine.snapshot().lists[0].freshness == .fresh)
    // A list that is empty and stays so is believed in time.
    world.lists["tmc"]!.set([])
    world.run(.seconds(125))
    #expect(try world.flags().count == 1)
    world.run(.seconds(360))
    #expect(try world.flags().isEmpty)
  }
}
