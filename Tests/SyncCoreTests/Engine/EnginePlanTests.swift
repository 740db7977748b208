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
    #expect(reading.numbers == ["SE1", "SE2"])
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
