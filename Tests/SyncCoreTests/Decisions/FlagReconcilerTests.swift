import Platform
import Testing

@testable import SyncCore

private typealias Reconciler = FlagReconciler

private let start = WallTime(milliseconds: 1_790_000_000_000)

private func key(_ number: String) -> ExaminationKey {
  ExaminationKey(system: "SECTRA", number: number)
}

private func keys(_ count: Int) -> [String] { (0..<count).map { "SE\(1000 + $0)" } }

private func list(
  _ id: String, flag: String? = nil, _ members: [String], snapshot: String? = "s1",
  manual: Bool = false, lastSize: Int = 0, empty: Int = 0
) -> Reconciler.ListView {
  Reconciler.ListView(
    id: id, flag: flag ?? id, state: snapshot.map { .complete(snapshot: $0) } ?? .frozen,
    members: ExaminationTable(uniqueKeysWithValues: members.map { (key($0), Priority.routine) }),
    isManual: manual, lastSize: lastSize, emptySnapshots: empty)
}

private func ours(_ flag: String, list: String? = nil, version: String = "1") -> PortalFlag {
  PortalFlag(flag: flag, source: "syncd", list: list ?? flag, version: version)
}

/// A portal and a memory that plans are carried out upon, cycle by cycle.
private struct World {
  var reconciler = Reconciler(policy: .init(source: "syncd"))
  var portal: ExaminationTable<PortalFlag> = [:]
  var memory: ExaminationTable<FlagMemory> = [:]
  var now = start
  /// Writes that the portal acknowledges and does not do.
  var ignored: Set<ExaminationKey> = []
  var plan = Reconciler.Plan()

  mutating func cycle(_ lists: [Reconciler.ListView]) {
    plan = reconciler.plan(lists: lists, portal: portal, memory: memory, now: now)
    carryOut()
    now = now + .seconds(120)
  }

  mutating func carryOut() {
    for (key, kept) in plan.memory { memory[key] = kept }
    for write in plan.writes where !ignored.contains(write.key) {
      switch write.action {
      case .set(let flag):
        portal[write.key] = PortalFlag(
          flag: flag, source: "syncd", list: write.list, version: "\(now.milliseconds)")
      case .clear: portal[write.key] = nil
      }
    }
  }

  func flags() -> [String: String] {
    Dictionary(uniqueKeysWithValues: portal.map { ($0.key.number, $0.value.flag) })
  }
}

@Suite("The flag reconciler")
struct FlagReconcilerTests {
  @Test("sets the list's flag on every examination listed, and then has nothing to do")
  func sets() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    #expect(world.flags() == ["SE1": "tmc", "SE2": "tmc"])
    world.cycle([list("tmc", ["SE1", "SE2"])])
    #expect(world.plan.writes.isEmpty)
    #expect(world.memory.isEmpty)
    world.cycle([list("tmc", ["SE1", "SE2"], snapshot: "s2")])
    #expect(world.plan.writes.isEmpty && world.plan.memory.isEmpty)
  }

  @Test("plans no more at once than it is asked for, and the same in pieces as in one")
  func pieces() {
    let numbers = (0..<50).map { "SE\($0)" }
    var world = World()
    // Two flags to clear, found absent before; one of the lists is urgent.
    world.cycle([list("tmc", ["SE7", "SE8", "SE9"])])
    world.cycle([list("tmc", ["SE9"], snapshot: "s2")])
    var urgent = list("dda", (50..<60).map { "SE\($0)" })
    for key in urgent.members.keys { urgent.members[key] = .stat }
    let lists = [
      list("tmc", numbers.filter { $0 != "SE7" && $0 != "SE8" }, snapshot: "s3"), urgent,
    ]
    let whole = world.reconciler.plan(
      lists: lists, portal: world.portal, memory: world.memory, now: world.now)
    #expect(whole.writes.count == 59 && whole.deferred == 0)
    #expect(whole.memory.count == 59)
    var inPieces: [FlagWrite] = []
    for piece in 0..<9 {
      world.plan = world.reconciler.plan(
        lists: lists, portal: world.portal, memory: world.memory, now: world.now, limit: 7,
        onlyFirstTries: piece > 0)
      #expect(world.plan.writes.count == min(7, 59 - inPieces.count))
      #expect(world.plan.deferred == max(0, 59 - inPieces.count - 7))
      // Nothing is said to have been tried that is not written.
      let tried = world.plan.memory.filter { $0.value?.write != nil }.keys
      #expect(Set(tried) == Set(world.plan.writes.map(\.key)))
      inPieces += world.plan.writes
      world.carryOut()
    }
    #expect(inPieces == whole.writes)
    world.cycle(lists)
    #expect(world.plan.writes.isEmpty && world.memory.isEmpty && world.plan.deferred == 0)
  }

  @Test("leaves what has been tried in one piece to the next cycle")
  func onlyFirstTries() {
    var world = World()
    world.ignored = [key("SE1")]
    world.cycle([list("tmc", ["SE1", "SE2"])])
    let later = [list("tmc", ["SE1", "SE2", "SE3"])]
    let plan = world.reconciler.plan(
      lists: later, portal: world.portal, memory: world.memory, now: world.now, limit: 1,
      onlyFirstTries: true)
    #expect(plan.writes.map(\.key) == [key("SE3")] && plan.deferred == 0)
    #expect(plan.deviations.map(\.key) == [key("SE1")])
    world.cycle(later)
    #expect(world.plan.writes.map(\.key) == [key("SE1"), key("SE3")])
  }

  @Test("clears only after absence in two different complete snapshots")
  func absence() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    world.cycle([list("tmc", ["SE1"], snapshot: "s2")])
    #expect(world.flags().count == 2)
    // The same snapshot read again is no new evidence.
    world.cycle([list("tmc", ["SE1"], snapshot: "s2")])
    #expect(world.flags().count == 2)
    world.cycle([list("tmc", ["SE1"], snapshot: "s3")])
    #expect(world.flags() == ["SE1": "tmc"])
    world.cycle([list("tmc", ["SE1"], snapshot: "s4")])
    #expect(world.memory.isEmpty)
  }

  @Test("clears at the first absence in a manual synchronisation")
  func manual() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    world.cycle([list("tmc", ["SE1"], snapshot: "s2", manual: true)])
    #expect(world.flags() == ["SE1": "tmc"])
  }

  @Test("starts to count anew when an examination comes back")
  func returning() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    world.cycle([list("tmc", ["SE1"], snapshot: "s2")])
    world.cycle([list("tmc", ["SE1", "SE2"], snapshot: "s3")])
    #expect(world.memory.isEmpty)
    world.cycle([list("tmc", ["SE1"], snapshot: "s4")])
    #expect(world.flags().count == 2)
  }

  @Test("neither sets nor clears for a list that cannot be read")
  func frozen() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    for _ in 0..<10 {
      world.cycle([list("tmc", ["SE1"], snapshot: nil)])
      #expect(world.plan.writes.isEmpty)
    }
    #expect(world.flags().count == 2)
    // Nor after a restart, when it has never been read.
    world.memory = [:]
    world.cycle([list("tmc", [], snapshot: nil)])
    #expect(world.flags().count == 2)
  }

  @Test("clears nothing while rows of the list cannot be used: any of them may be the absent one")
  func unusableRows() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    for snapshot in ["s2", "s3", "s4"] {
      var damaged = list("tmc", ["SE1", "SE3"], snapshot: snapshot)
      damaged.unusableRows = 1
      world.cycle([damaged])
    }
    #expect(world.flags() == ["SE1": "tmc", "SE2": "tmc", "SE3": "tmc"])
    #expect(world.plan.lists["tmc"]?.holdReason?.contains("could not be used") == true)
    for snapshot in ["s5", "s6"] { world.cycle([list("tmc", ["SE1", "SE3"], snapshot: snapshot)]) }
    #expect(world.flags() == ["SE1": "tmc", "SE3": "tmc"])
  }

  @Test("one list's failure does not touch another list")
  func isolation() {
    var world = World()
    world.cycle([list("tmc", ["SE1"]), list("dda", ["SE2", "SE3"])])
    for snapshot in ["s2", "s3"] {
      world.cycle([
        list("tmc", ["SE1"], snapshot: nil), list("dda", ["SE3", "SE4"], snapshot: snapshot),
      ])
    }
    #expect(world.flags() == ["SE1": "tmc", "SE3": "dda", "SE4": "dda"])
  }

  @Test("replaces the flag at once when an examination moves from one list to another")
  func move() {
    var world = World()
    world.cycle([list("tmc", ["SE1"]), list("dda", ["SE2"])])
    world.cycle([
      list("tmc", ["SE9"], snapshot: "s2"), list("dda", ["SE1", "SE2"], snapshot: "s2"),
    ])
    #expect(world.flags()["SE1"] == "dda")
    let write = world.plan.writes.first { $0.key == key("SE1") }
    #expect(write?.expected?.flag == "tmc")
  }

  @Test("writes nothing for an examination that two lists claim with different flags")
  func conflict() {
    var world = World()
    world.cycle([list("tmc", ["SE1"]), list("dda", ["SE1"])])
    #expect(world.plan.writes.isEmpty)
    #expect(world.plan.deviations.map(\.kind) == [.conflict])
    #expect(world.plan.deviations.first?.lists == ["dda", "tmc"])
    // Nor is one set before taken away or replaced.
    world.portal[key("SE1")] = ours("tmc")
    for snapshot in ["s2", "s3", "s4"] {
      world.cycle([
        list("tmc", ["SE1"], snapshot: snapshot), list("dda", ["SE1"], snapshot: snapshot),
      ])
    }
    #expect(world.flags() == ["SE1": "tmc"])
  }

  @Test("two lists with the same flag agree")
  func agreement() {
    var world = World()
    world.cycle([list("a", flag: "tmc", ["SE1"]), list("b", flag: "tmc", ["SE1"])])
    #expect(world.flags() == ["SE1": "tmc"])
    #expect(world.plan.deviations.isEmpty)
    // It stays flagged when one of them lets go, and is then the other's to clear.
    for snapshot in ["s2", "s3", "s4"] {
      world.cycle([
        list("a", flag: "tmc", ["SE7"], snapshot: snapshot),
        list("b", flag: "tmc", ["SE1"], snapshot: snapshot),
      ])
    }
    #expect(world.flags()["SE1"] == "tmc")
    #expect(world.portal[key("SE1")]?.list == "b")
  }

  @Test("waits with a move while the old list cannot be read")
  func moveFromFrozen() {
    var world = World()
    world.cycle([list("tmc", ["SE1"]), list("dda", ["SE2"])])
    world.cycle([list("tmc", ["SE1"], snapshot: nil), list("dda", ["SE1", "SE2"], snapshot: "s2")])
    #expect(world.plan.writes.isEmpty)
    #expect(world.plan.deviations.first?.reason.contains("tmc") == true)
    // The same after a restart, when only the portal knows whose flag it is.
    world.cycle([list("tmc", [], snapshot: nil), list("dda", ["SE1", "SE2"], snapshot: "s3")])
    #expect(world.flags()["SE1"] == "tmc")
  }

  @Test("leaves a flag alone that somebody else has set")
  func foreign() {
    var world = World()
    world.portal[key("SE1")] = PortalFlag(flag: "tmc", source: "anna", list: nil, version: "1")
    world.portal[key("SE2")] = PortalFlag(flag: "tmc", source: "anna", list: nil, version: "1")
    for snapshot in ["s1", "s2", "s3"] {
      world.cycle([list("dda", ["SE2"], snapshot: snapshot)])
    }
    #expect(world.flags() == ["SE1": "tmc", "SE2": "tmc"])
    #expect(world.plan.deviations.map(\.kind) == [.foreign, .foreign])
    #expect(world.memory.isEmpty)
  }

  @Test("takes over the flags of a source it was told to adopt")
  func adopted() {
    var world = World()
    world.reconciler = Reconciler(policy: .init(source: "syncd", adoptedSources: ["robot"]))
    world.portal[key("SE1")] = PortalFlag(flag: "tmc", source: "robot", list: "tmc", version: "1")
    for snapshot in ["s1", "s2"] { world.cycle([list("tmc", ["SE2"], snapshot: snapshot)]) }
    #expect(world.flags() == ["SE2": "tmc"])
  }

  @Test("converges from a lost memory: what the portal says is ours is still cleared")
  func lostMemory() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    world.memory = [:]
    for snapshot in ["s2", "s3"] { world.cycle([list("tmc", ["SE1"], snapshot: snapshot)]) }
    #expect(world.flags() == ["SE1": "tmc"])
  }

  @Test(
    "the brake holds when more than ten and more than thirty per cent would go",
    arguments: [
      (flags: 12, gone: 10, held: 0), (12, 11, 11), (100, 30, 0), (100, 31, 31), (9, 9, 0),
    ])
  func brake(flags: Int, gone: Int, held: Int) {
    var world = World()
    let all = keys(flags)
    // One that stays keeps the list from being empty, which is another doubt.
    let rest = Array(all.dropFirst(gone)) + ["SE1"]
    world.cycle([list("tmc", all)])
    for snapshot in ["s2", "s3", "s4"] { world.cycle([list("tmc", rest, snapshot: snapshot)]) }
    #expect(world.plan.lists["tmc"]?.held.count == held)
    #expect(world.flags().count == (held == 0 ? flags - gone : flags) + 1)
  }

  @Test("approved clears pass the brake, later ones do not")
  func approval() {
    var world = World()
    let all = keys(40)
    world.cycle([list("tmc", all)])
    for snapshot in ["s2", "s3"] {
      world.cycle([list("tmc", Array(all.dropFirst(20)), snapshot: snapshot)])
    }
    let held = world.plan.lists["tmc"]!.held
    #expect(held.count == 20)
    for key in held { world.memory[key, default: FlagMemory()].approved = true }
    world.cycle([list("tmc", Array(all.dropFirst(20)), snapshot: "s4")])
    #expect(world.flags().count == 20)
    for snapshot in ["s5", "s6", "s7"] {
      world.cycle([list("tmc", Array(all.dropFirst(35)), snapshot: snapshot)])
    }
    #expect(world.flags().count == 20)
    #expect(world.plan.lists["tmc"]?.held.count == 15)
  }

  @Test("a list suddenly empty is believed only after five complete snapshots, or when approved")
  func suddenlyEmpty() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2", "SE3"])])
    for seen in 1...4 {
      world.cycle([list("tmc", [], snapshot: "e\(seen)", lastSize: 3, empty: seen)])
      #expect(world.flags().count == 3, "after \(seen)")
    }
    #expect(world.plan.lists["tmc"]?.held.count == 3)
    world.cycle([list("tmc", [], snapshot: "e5", lastSize: 3, empty: 5)])
    #expect(world.flags().isEmpty)
  }

  @Test("a manual synchronisation does not make an empty list believable")
  func manuallyEmpty() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2", "SE3"])])
    world.cycle([list("tmc", [], snapshot: "e1", manual: true, lastSize: 3, empty: 1)])
    #expect(world.flags().count == 3)
  }

  @Test("the last examination of a list may leave it like any other")
  func lastOne() {
    var world = World()
    world.cycle([list("tmc", ["SE1"])])
    for seen in 1...2 {
      world.cycle([list("tmc", [], snapshot: "e\(seen)", lastSize: 1, empty: seen)])
    }
    #expect(world.flags().isEmpty)
  }

  @Test("a clear that does not stick is repeated with growing pauses, and is an alarm after three")
  func drift() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    world.ignored = [key("SE2")]
    var tries: [Int] = []
    for cycle in 1...40 {
      world.cycle([list("tmc", ["SE1"], snapshot: "d\(cycle)")])
      if !world.plan.writes.isEmpty { tries.append(cycle) }
      let drift = world.plan.deviations.first
      if tries.count >= 3, world.plan.writes.isEmpty {
        #expect(drift?.isAlarm == true)
        #expect(drift?.kind == .clear)
      }
    }
    #expect(tries == [2, 3, 4, 6, 10, 18, 34])
    world.ignored = []
    for cycle in 41...80 { world.cycle([list("tmc", ["SE1"], snapshot: "d\(cycle)")]) }
    #expect(world.flags() == ["SE1": "tmc"])
    #expect(world.plan.deviations.isEmpty && world.memory.isEmpty)
  }

  @Test("a clock set back does not postpone a try for ever")
  func clockBack() {
    var world = World()
    world.ignored = [key("SE1")]
    for _ in 1...6 { world.cycle([list("tmc", ["SE1"])]) }
    world.now = start + .seconds(-400_000_000)
    world.cycle([list("tmc", ["SE1"])])
    #expect(world.plan.writes.count == 1)
  }

  @Test("an unchanged cycle asks for nothing to be recorded, even while something is held")
  func quiet() {
    var world = World()
    let all = keys(40)
    world.cycle([list("tmc", all)])
    for snapshot in ["s2", "s3", "s4", "s5"] {
      world.cycle([list("tmc", Array(all.dropFirst(20)), snapshot: snapshot)])
    }
    #expect(world.plan.lists["tmc"]?.held.count == 20)
    #expect(world.plan.memory.isEmpty)
  }

  @Test("clears go out before sets, and urgent sets before others")
  func order() {
    var world = World()
    world.cycle([list("tmc", ["SE1", "SE2"])])
    world.cycle([list("tmc", ["SE1"], snapshot: "s2")])
    var view = list("tmc", ["SE1", "SE8", "SE9"], snapshot: "s3")
    view.members[key("SE9")] = .stat
    world.cycle([view])
    #expect(world.plan.writes.map(\.key.number) == ["SE2", "SE9", "SE8"])
  }

  @Test("flags of a list that is configured no more stay, and wait for approval")
  func orphaned() {
    var world = World()
    world.portal[key("SE1")] = ours("tmc", list: "old")
    for _ in 1...6 { world.cycle([list("dda", ["SE2"])]) }
    #expect(world.flags()["SE1"] == "tmc")
    #expect(world.plan.lists["old"]?.held == [key("SE1")])
    world.memory[key("SE1"), default: FlagMemory()].approved = true
    world.cycle([list("dda", ["SE2"])])
    #expect(world.flags()["SE1"] == nil)
  }

  @Test("whatever happens, a flag is cleared only with proof of absence (random histories)")
  func randomHistories() {
    var random = SplitMix(seed: 20_261_123)
    for history in 0..<300 {
      var world = World()
      var proofs: [String: Set<String>] = [:]
      var complete: [String] = []
      for cycle in 0..<40 {
        let numbers = keys(14).filter { _ in random.next() % 4 != 0 }
        let other = keys(14).filter { !numbers.contains($0) && random.next() % 2 == 0 }
        let frozen = random.next() % 3 == 0
        let snapshot = "h\(history)c\(cycle)"
        if !frozen {
          complete = numbers
          for number in keys(14) {
            if numbers.contains(number) {
              proofs[number] = []
            } else {
              proofs[number, default: []].insert(snapshot)
            }
          }
        }
        let before = world.portal
        world.cycle([
          list("tmc", frozen ? complete : numbers, snapshot: frozen ? nil : snapshot),
          list("dda", other, snapshot: snapshot),
        ])
        for write in world.plan.writes {
          guard write.action == .clear, before[write.key]?.list == "tmc" else { continue }
          #expect(!frozen)
          #expect(proofs[write.key.number, default: []].count >= 2)
        }
      }
    }
  }

  @Test("who is told of everything as it is found is told of what the plan would have held")
  func visited() {
    var random = SplitMix(seed: 4_711)
    var told = 0
    var absences = 0
    for history in 0..<100 {
      var world = World()
      for cycle in 0..<20 {
        // Most leave now and then, so that the brake holds as well; some writes do not stick.
        let share = [1, 4, 9][Int(random.next() % 3)]
        var tmc = list(
          "tmc", keys(20).filter { _ in random.next() % 10 < share },
          snapshot: random.next() % 5 == 0 ? nil : "h\(history)c\(cycle)")
        tmc.unusableRows = random.next() % 8 == 0 ? 1 : 0
        let dda = list(
          "dda", keys(20).filter { _ in random.next() % 10 < 2 }, snapshot: "h\(history)c\(cycle)")
        world.ignored = Set(keys(20).filter { _ in random.next() % 5 == 0 }.map { key($0) })
        let (portal, memory, now) = (world.portal, world.memory, world.now)
        var writes: Set<FlagWrite> = []
        var absent: Set<ExaminationKey> = []
        let shown = world.reconciler.plan(
          lists: [tmc, dda], portal: portal, memory: memory, now: now
        ) { finding in
          switch finding {
          case .write(let write): #expect(writes.insert(write).inserted)
          case .absent(let key, _, _, _): #expect(absent.insert(key).inserted)
          }
        }
        world.cycle([tmc, dda])
        #expect(writes == Set(world.plan.writes))
        #expect(shown.writes.isEmpty && shown.memory.isEmpty)
        #expect(shown.deviations == world.plan.deviations && shown.lists == world.plan.lists)
        // Every flag that is absent from its list is cleared, held, tried again, or told of.
        let accounted = writes.filter { $0.action == .clear }.count + absent.count
        let deviant = Set(shown.deviations.filter { $0.kind == .clear }.map(\.key))
          .subtracting(writes.map(\.key)).count
        #expect(shown.lists.values.reduce(0) { $0 + $1.absent } == accounted + deviant)
        told += writes.count
        absences += absent.count
      }
    }
    #expect(told > 1000 && absences > 1000)
  }
}

/// A small generator whose seed makes a failing history repeatable.
struct SplitMix: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
