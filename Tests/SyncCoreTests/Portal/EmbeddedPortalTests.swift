import Platform
import SQLite
import TestSupport
import Testing

@testable import SyncCore

@Suite("The embedded portal")
struct EmbeddedPortalTests {
  private static let one = ExaminationKey(system: "SECTRA", number: "0001")
  private static let two = ExaminationKey(system: "AGFA", number: "0001")
  private let directory: TemporaryDirectory
  private let portal: EmbeddedPortal

  init() throws {
    directory = try TemporaryDirectory()
    portal = try EmbeddedPortal(path: directory.file("portal.sqlite"))
  }

  private func write(
    _ action: FlagWrite.Action, _ key: ExaminationKey = one, list: String = "tmc",
    expected: PortalFlag? = nil
  ) -> FlagWrite {
    FlagWrite(key: key, action: action, list: list, expected: expected, priority: .routine)
  }

  private func apply(
    _ writes: [FlagWrite], source: String = "syncd", to portal: EmbeddedPortal? = nil
  ) -> [FlagWriteOutcome] {
    var outcomes: [Int: FlagWriteOutcome] = [:]
    (portal ?? self.portal).apply(
      writes, source: source, now: WallTime(milliseconds: 1), deadline: .never
    ) { index, outcome in
      #expect(outcomes[index] == nil, "told twice of \(index)")
      outcomes[index] = outcome
    }
    #expect(outcomes.count == writes.count)
    return writes.indices.compactMap { outcomes[$0] }
  }

  private func flags(_ portal: EmbeddedPortal? = nil) throws -> ExaminationTable<PortalFlag> {
    guard
      case .flags(let flags, _) = try (portal ?? self.portal).flags(since: nil, deadline: .never)
    else {
      Issue.record("unchanged without a token")
      return [:]
    }
    return flags
  }

  @Test("A flag that is set is read back with its source, list and version")
  func setAndRead() throws {
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    let flag = try #require(try flags()[Self.one])
    #expect(flag.flag == "a" && flag.source == "syncd" && flag.list == "tmc")
    #expect(!flag.version.isEmpty)
    #expect(try flags().count == 1)
  }

  @Test("A write repeated after an unknown outcome does no harm")
  func idempotent() throws {
    let set = write(.set(flag: "a"))
    #expect(apply([set, set]) == [.done, .alreadySo])
    #expect(apply([set]) == [.alreadySo])
    let version = try #require(try flags()[Self.one]).version
    let clear = write(.clear, expected: try flags()[Self.one])
    #expect(apply([clear, clear]) == [.done, .alreadySo])
    #expect(apply([clear]) == [.alreadySo])
    #expect(try flags().isEmpty)
    #expect(apply([set]) == [.done])
    #expect(try flags()[Self.one]?.version != version, "a version came back")
  }

  @Test("Whoever decided upon another state than the portal's is told to decide again")
  func conflicts() throws {
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    let seen = try #require(try flags()[Self.one])
    // Somebody else changes it meanwhile.
    #expect(
      apply([write(.set(flag: "b"), expected: seen)], source: "somebody") == [.done])
    let now = try #require(try flags()[Self.one])
    #expect(now.version != seen.version)
    #expect(apply([write(.clear, expected: seen)]) == [.changedMeanwhile])
    #expect(apply([write(.set(flag: "c"), expected: seen)]) == [.changedMeanwhile])
    #expect(apply([write(.set(flag: "c"))]) == [.changedMeanwhile])
    #expect(apply([write(.clear)]) == [.changedMeanwhile])
    #expect(try flags()[Self.one] == now)
    // It is gone: what was decided upon it does not bring it back.
    #expect(apply([write(.clear, expected: now)], source: "somebody") == [.done])
    #expect(apply([write(.set(flag: "c"), expected: now)]) == [.changedMeanwhile])
    #expect(try flags().isEmpty)
  }

  @Test("Cleared and set again by others in between is a change, although it looks the same")
  func setAgain() throws {
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    let seen = try #require(try flags()[Self.one])
    #expect(apply([write(.clear, expected: seen)]) == [.done])
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    #expect(apply([write(.clear, expected: seen)]) == [.changedMeanwhile])
    #expect(try flags()[Self.one] != nil)
  }

  @Test("An examination has one flag: another one takes its place, in one system only")
  func oneFlag() throws {
    #expect(apply([write(.set(flag: "a")), write(.set(flag: "a"), Self.two)]) == [.done, .done])
    let seen = try #require(try flags()[Self.one])
    #expect(apply([write(.set(flag: "b"), expected: seen)]) == [.done])
    let all = try flags()
    #expect(all.count == 2)
    #expect(all[Self.one]?.flag == "b")
    #expect(all[Self.two]?.flag == "a")
  }

  @Test("The same flag for another list, or of another source, is a write of its own")
  func takenOver() throws {
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    var seen = try #require(try flags()[Self.one])
    #expect(apply([write(.set(flag: "a"), list: "jour", expected: seen)]) == [.done])
    seen = try #require(try flags()[Self.one])
    #expect(seen.list == "jour")
    let mine = write(.set(flag: "a"), list: "jour", expected: seen)
    #expect(apply([mine], source: "other") == [.done])
    #expect(try flags()[Self.one]?.source == "other")
  }

  @Test("A refusal in the middle of many leaves the others done, each told by its index")
  func many() throws {
    let count = 1203
    var writes = (0..<count).map {
      write(.set(flag: "a"), ExaminationKey(system: "S", number: String($0)))
    }
    let stale = PortalFlag(flag: "a", source: "syncd", list: "tmc", version: "7")
    writes[700] = write(.set(flag: "a"), Self.one, expected: stale)
    let outcomes = apply(writes)
    #expect(outcomes.indices.filter { outcomes[$0] != .done } == [700])
    #expect(outcomes[700] == .changedMeanwhile)
    #expect(try flags().count == count - 1)
    #expect(apply([]).isEmpty)
  }

  @Test("A listing's token says unchanged until somebody writes, here or elsewhere")
  func token() throws {
    func listing(_ token: String?) throws -> String? {
      switch try portal.flags(since: token, deadline: .never) {
      case .unchanged: return nil
      case .flags(_, let token): return token
      }
    }
    let first = try #require(try listing(nil))
    #expect(try listing(first) == nil)
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    let second = try #require(try listing(first))
    #expect(try listing(second) == nil)
    // What changes nothing changes no token.
    #expect(apply([write(.set(flag: "a"))]) == [.alreadySo])
    #expect(try listing(second) == nil)
    let other = try EmbeddedPortal(path: directory.file("portal.sqlite"))
    #expect(apply([write(.set(flag: "b"), Self.two)], to: other) == [.done])
    let third = try #require(try listing(second))
    #expect(try listing(third) == nil)
    #expect(try flags().count == 2)
  }

  @Test("Flags outlive the portal's object")
  func durable() throws {
    let path = directory.file("durable.sqlite")
    var first: EmbeddedPortal? = try EmbeddedPortal(path: path)
    #expect(apply([write(.set(flag: "a"))], to: first) == [.done])
    let seen = try flags(first)
    first = nil
    let second = try EmbeddedPortal(path: path)
    #expect(try flags(second) == seen)
    #expect(apply([write(.clear, expected: seen[Self.one])], to: second) == [.done])
  }

  @Test("What is published of the images is kept, and touches no flag")
  func publish() throws {
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    let seen = try flags()
    func publish(_ key: ExaminationKey, _ state: ImageState, _ archived: Int, _ expected: Int?)
      throws
    {
      try portal.publish(
        [
          ImageAvailability(
            key: key, state: state, archived: archived, expected: expected,
            reason: ImageReason(.notStored, "not there"))
        ], deadline: .never)
    }
    #expect(try portal.availability(of: Self.one) == nil)
    try publish(Self.one, .fetching, 3, nil)
    try publish(Self.two, .none, 0, 12)
    let one = try #require(try portal.availability(of: Self.one))
    #expect(one.state == "fetching" && one.archived == 3 && one.expected == nil)
    try publish(Self.one, .complete, 12, 12)
    let again = try #require(try portal.availability(of: Self.one))
    #expect(again.state == "complete" && again.archived == 12 && again.expected == 12)
    #expect(try flags() == seen)
    // A flag for an examination that only had images before; clearing it leaves the images.
    #expect(apply([write(.set(flag: "a"), Self.two)]) == [.done])
    #expect(
      apply([write(.clear, Self.two, expected: try flags()[Self.two])]) == [.done])
    #expect(try portal.availability(of: Self.two)?.expected == 12)
    try portal.publish([], deadline: .never)
  }

  @Test("A damaged database is an error of the portal, and every write fails by itself")
  func damaged() throws {
    #expect(apply([write(.set(flag: "a"))]) == [.done])
    let saboteur = try Database.open(directory.file("portal.sqlite"))
    try saboteur.execute("DROP TABLE examination")
    #expect(throws: PortalError.self) { try portal.flags(since: nil, deadline: .never) }
    for outcome in apply([write(.clear), write(.clear, Self.two)]) {
      guard case .failed = outcome else {
        Issue.record("\(outcome)")
        continue
      }
    }
  }
}
