import DICOM
import Platform
import Testing

@testable import SyncCore

@Suite("The engine", .serialized)
struct EngineTests {
  @Test("flags what is listed and brings its images, complete after the stability window")
  func mainJob() throws {
    let world = try Simulation()
    world.imaging.add("SE1", objects: 30)
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(5))
    #expect(try world.flags() == ["SE1": "tmc"])
    #expect(world.engine.snapshot().images.fetching == 1)
    world.run(.seconds(70))
    #expect(try world.images("SE1") == "complete")
    #expect(world.engine.snapshot().images.complete == 1)
    #expect(world.engine.snapshot().alarms.isEmpty)
  }

  @Test("a long list is flagged in pieces within one cycle, and its images told of in pieces")
  func pieces() throws {
    let world = try Simulation(lists: ["tmc"])
    world.pieces = 7
    try world.start()
    let numbers = (1...50).map { "SE\($0)" }
    for number in numbers { world.imaging.add(number, objects: 1) }
    world.lists["tmc"]!.set(numbers)
    world.run(.seconds(100))
    #expect(try world.flags().count == 50)
    #expect(world.engine.snapshot().finishedCycle?.number == 1)
    #expect(world.engine.snapshot().finishedCycle?.flagsSet == 50)
    // Each written once.
    #expect(world.portal.faults.withLock { $0.writes } == 50)
    for number in numbers { #expect(try world.images(number) == "complete") }
    world.lists["tmc"]!.set(Array(numbers.dropLast(9)))
    world.run(.seconds(360))
    #expect(try world.flags().count == 41)
    // A portal that does not do what it says is not asked again and again within a cycle.
    world.portal.faults.withLock {
      $0.keepsFlags = true; $0.writes = 0
    }
    world.lists["tmc"]!.set(Array(numbers.dropLast(18)))
    world.run(.seconds(240))
    #expect(world.portal.faults.withLock { $0.writes } <= 9 * 2)
    world.portal.faults.withLock { $0.keepsFlags = false }
    world.run(.seconds(7200))
    #expect(try world.flags().count == 32)
  }

  @Test("runs a cycle every interval, never two at once")
  func beat() throws {
    let world = try Simulation()
    world.run(.seconds(119))
    #expect(world.lists["tmc"]!.state.withLock { $0.reads } == 1)
    world.run(.seconds(1201))
    #expect(world.lists["tmc"]!.state.withLock { $0.reads } == 12)
  }

  @Test("a list that hangs costs itself its cycles, and the other list nothing")
  func hangingList() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1"])
    world.lists["dda"]!.set(["SE2"])
    world.jobs.hold("list-tmc")
    world.run(.seconds(3))
    #expect(try world.flags() == ["SE2": "dda"])
    world.run(.seconds(700))
    let lists = world.engine.snapshot().lists
    #expect(lists.first { $0.id == "tmc" }?.freshness == .critical)
    #expect(lists.first { $0.id == "dda" }?.freshness == .fresh)
    // One read hangs: no second thread is sent after it.
    #expect(world.jobs.count("list-tmc") == 1)
    #expect(world.lists["dda"]!.state.withLock { $0.reads } == 6)
    world.jobs.release()
    world.run(.seconds(240))
    #expect(try world.flags() == ["SE1": "tmc", "SE2": "dda"])
    #expect(world.engine.snapshot().lists.allSatisfy { $0.freshness == .fresh })
  }

  @Test("a list that cannot be read freezes its flags, warns after two cycles, alarms after five")
  func staleList() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(10))
    world.lists["tmc"]!.state.withLock { $0.failure = "no trailer" }
    world.run(.seconds(150))
    #expect(world.engine.snapshot().lists[0].freshness == .fresh)
    world.run(.seconds(120))
    #expect(world.engine.snapshot().lists[0].freshness == .warning)
    world.run(.seconds(360))
    #expect(world.engine.snapshot().lists[0].freshness == .critical)
    #expect(
      world.engine.snapshot().alarms.contains {
        $0.code == "list_stale" && $0.severity == .critical
      })
    #expect(try world.flags().count == 2)
  }

  @Test(
    "an examination that leaves its list loses its flag after two snapshots, also over a restart")
  func unflag() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(10))
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(120))
    #expect(try world.flags().count == 2)
    try world.start()
    world.run(.seconds(5))
    #expect(try world.flags() == ["SE1": "tmc"])
  }

  @Test("manual requests during a cycle are one cycle after it")
  func coalescing() throws {
    let world = try Simulation()
    world.run(.seconds(10))
    world.jobs.hold("list-")
    #expect(world.sync() == .started(cycle: 2, joined: false))
    world.run(.milliseconds(1))
    #expect(world.sync(["tmc"]) == .started(cycle: 3, joined: false))
    #expect(world.sync(["dda"]) == .started(cycle: 3, joined: true))
    #expect(world.sync(["tmc"]) == .started(cycle: 3, joined: true))
    world.jobs.release()
    world.run(.seconds(5))
    #expect(world.engine.snapshot().finishedCycle?.number == 3)
    #expect(world.lists["tmc"]!.state.withLock { $0.reads } == 3)
    #expect(world.sync(["nope"]) == .noSuchList("nope", known: ["tmc", "dda"]))
  }

  @Test("a manual synchronisation clears at the first absence")
  func manualClear() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(10))
    world.lists["tmc"]!.set(["SE2"])
    _ = world.sync(["tmc"])
    world.run(.seconds(2))
    #expect(try world.flags() == ["SE2": "tmc"])
  }

  @Test(
    "a flag that the portal keeps is retried, listed as drift and an alarm; and gone once mended")
  func drift() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(10))
    world.portal.faults.withLock { $0.keepsFlags = true }
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(1200))
    var shown = world.engine.snapshot()
    #expect(shown.drift.map(\.key.number) == ["SE2"])
    #expect(shown.drift.first?.isAlarm == true)
    #expect(shown.alarms.contains { $0.code == "flag_drift" })
    let attempts = shown.drift.first?.attempt?.attempts
    try world.start()
    world.run(.seconds(10))
    #expect(world.engine.snapshot().drift.first?.attempt?.attempts ?? 0 >= attempts!)
    world.portal.faults.withLock { $0.keepsFlags = false }
    world.run(.seconds(4000))
    shown = world.engine.snapshot()
    #expect(shown.drift.isEmpty && shown.alarms.isEmpty)
    #expect(try world.flags() == ["SE1": "tmc"])
  }

  @Test("the brake holds a mass clear until it is approved, and then only what was seen")
  func brake() throws {
    let world = try Simulation()
    let all = (0..<40).map { "SE\(100 + $0)" }
    world.lists["tmc"]!.set(all)
    world.run(.seconds(10))
    world.lists["tmc"]!.set(Array(all.prefix(10)))
    world.run(.seconds(600))
    #expect(try world.flags().count == 40)
    #expect(world.engine.snapshot().lists[0].held == 30)
    let tooMany = Answer<ApproveAnswer>()
    world.engine.handle([.approve(list: "tmc", seen: 29, tooMany)])
    #expect(tooMany.wait(until: .after(.zero)) == .moreThanSeen(30))
    let answer = Answer<ApproveAnswer>()
    world.engine.handle([.approve(list: "tmc", seen: 30, answer)])
    #expect(answer.wait(until: .after(.zero)) == .approved(30))
    world.run(.seconds(5))
    #expect(try world.flags().count == 10)
  }

  @Test("a peer that is down is left alone for growing pauses, and the rest goes on")
  func peerDown() throws {
    let world = try Simulation()
    for number in 0..<20 { world.imaging.add("SE\(number)", objects: 3) }
    world.lists["tmc"]!.set((0..<20).map { "SE\($0)" })
    world.imaging.state.withLock { $0.isDown = true }
    world.run(.seconds(3600))
    #expect(world.jobs.count("images-sectra") < 20)
    #expect(world.engine.snapshot().peers[0].reachable == false)
    #expect(world.engine.snapshot().alarms.contains { $0.code == "peer_down" })
    #expect(try world.flags().count == 20)
    world.imaging.state.withLock { $0.isDown = false }
    world.run(.seconds(4000))
    #expect(world.engine.snapshot().images.complete == 20)
    #expect(world.engine.snapshot().alarms.isEmpty)
  }

  @Test("only what is missing is asked for again, and a lie about success is found out")
  func missingOnly() throws {
    let world = try Simulation()
    world.imaging.add("SE1", objects: 100)
    world.imaging.state.withLock {
      $0.loses = 10
      $0.lies = true
    }
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(10))
    #expect(try world.images("SE1") == "partial")
    world.imaging.state.withLock { $0.loses = 0 }
    world.run(.seconds(200))
    #expect(try world.images("SE1") == "complete")
    #expect(world.imaging.state.withLock { $0.asked } == 110)
  }

  @Test("late images of a complete examination are fetched by themselves")
  func lateImages() throws {
    let world = try Simulation()
    world.imaging.add("SE1", objects: 5)
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(100))
    #expect(try world.images("SE1") == "complete")
    world.imaging.add("SE1", objects: 7)
    world.run(.seconds(800))
    #expect(try world.images("SE1") == "complete")
    #expect(world.imaging.state.withLock { $0.asked } == 12)
  }

  @Test(
    "an examination becomes complete as soon as its status allows, without a wait for the recheck")
  func statusChange() throws {
    let world = try Simulation()
    world.imaging.add("SE1", objects: 5)
    world.lists["tmc"]!.set(["SE1"], status: "Bokad")
    world.run(.seconds(130))
    #expect(try world.images("SE1") == "fetching")
    world.lists["tmc"]!.set(["SE1"], status: "Utförd")
    world.run(.seconds(125))
    #expect(try world.images("SE1") == "complete")
  }

  @Test("rows of foreign care units are refused and counted")
  func scope() throws {
    let world = try Simulation()
    world.settings.careUnits = ["SE2321000131-E000000000001"]
    try world.start()
    world.lists["tmc"]!.state.withLock {
      $0.rows = [
        .simulated("SE1", careUnit: "SE2321000131-E000000000001"),
        .simulated("SE2", careUnit: "SE2321000131-E000000000002"), .simulated("SE3"),
      ]
    }
    world.run(.seconds(5))
    #expect(try world.flags() == ["SE1": "tmc"])
    #expect(world.engine.snapshot().lists[0].refusedRows == 2)
  }

  @Test(
    "a cycle in which nothing has changed writes nothing, with new snapshots of equal content too")
  func quiet() throws {
    let world = try Simulation()
    world.lists["tmc"]!.set((0..<100).map { "SE\($0)" })
    world.imaging.state.withLock { $0.isDown = true }
    world.run(.seconds(130))
    let written = world.engine.ledger.rowsWritten
    let writes = world.portal.faults.withLock { $0.writes }
    world.jobs.hold("images")
    world.run(.seconds(1200))
    #expect(world.engine.ledger.rowsWritten == written)
    #expect(world.portal.faults.withLock { $0.writes } == writes)
  }

  @Test("losing the ledger loses history, not work")
  func lostLedger() throws {
    let world = try Simulation()
    world.imaging.add("SE1", objects: 5)
    world.lists["tmc"]!.set(["SE1", "SE2"])
    world.run(.seconds(100))
    try world.loseLedger()
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(300))
    #expect(try world.flags() == ["SE1": "tmc"])
    #expect(try world.images("SE1") == "complete")
    #expect(world.imaging.state.withLock { $0.asked } == 5)
  }

  @Test("a new configuration is taken over without dropping what is under way")
  func reconfigure() throws {
    let world = try Simulation()
    world.imaging.add("SE1", objects: 5)
    world.lists["tmc"]!.set(["SE1"])
    world.run(.seconds(10))
    world.settings.lists.removeAll { $0.id == "dda" }
    world.settings.lists[0].flag = "samverkan"
    let answer = Answer<Bool>()
    world.engine.handle([.reconfigure(world.settings, world.surroundings, answer)])
    world.run(.seconds(200))
    #expect(try world.flags() == ["SE1": "samverkan"])
    #expect(try world.images("SE1") == "complete")
  }

  @Test(
    "after any faults and crashes everything is right once the faults stop",
    arguments: [1, 2, 3, 4, 5, 6, 7, 8] as [UInt64])
  func convergence(seed: UInt64) throws {
    var random = SplitMix(seed: seed)
    let world = try Simulation()
    // Half of them in small pieces.
    if seed % 2 == 1 {
      world.pieces = 3
      try world.start()
    }
    let numbers = (0..<12).map { "SE\($0)" }
    for number in numbers {
      world.imaging.add(number, objects: Int.random(in: 1...9, using: &random))
    }
    var wanted: [String: String] = [:]
    for _ in 0..<60 {
      for number in numbers where Int.random(in: 0..<6, using: &random) == 0 {
        wanted[number] = ["tmc", "dda", nil].randomElement(using: &random)!
      }
      for list in ["tmc", "dda"] {
        world.lists[list]!.set(wanted.filter { $0.value == list }.keys.sorted())
        world.lists[list]!.state.withLock {
          $0.failure = Int.random(in: 0..<4, using: &random) == 0 ? "fault" : nil
        }
      }
      world.imaging.state.withLock {
        $0.isDown = Int.random(in: 0..<4, using: &random) == 0
        $0.loses = Int.random(in: 0..<3, using: &random)
        $0.lies = Bool.random(using: &random)
      }
      world.portal.faults.withLock {
        $0.isDown = Int.random(in: 0..<4, using: &random) == 0
        $0.keepsFlags = Int.random(in: 0..<4, using: &random) == 0
      }
      switch Int.random(in: 0..<10, using: &random) {
      case 0: try world.start()
      case 1: try world.loseLedger()
      case 2: world.clock.setWall(by: .seconds(Int.random(in: -7200...7200, using: &random)))
      case 3: _ = world.sync()
      default: break
      }
      world.run(.seconds(Int.random(in: 1...200, using: &random)))
    }
    for list in world.lists.values { list.state.withLock { $0.failure = nil } }
    world.imaging.state.withLock {
      $0.isDown = false
      $0.loses = 0
    }
    world.portal.faults.withLock {
      $0.isDown = false
      $0.keepsFlags = false
    }
    world.run(.seconds(8000))
    #expect(try world.flags() == wanted, "seed \(seed)")
    let shown = world.engine.snapshot()
    #expect(shown.alarms.isEmpty, "seed \(seed)")
    #expect(shown.drift.isEmpty, "seed \(seed)")
    #expect(shown.images.complete == wanted.count, "seed \(seed): \(shown.images)")
    for number in wanted.keys { #expect(try world.images(number) == "complete", "seed \(seed)") }
  }
}
