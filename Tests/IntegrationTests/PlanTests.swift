import JSON
import Platform
import TestSupport
import Testing

/// The real daemon and the real syncctl; no PACS, which a plan does not ask.
@Suite("Plans of the real daemon", .serialized)
struct PlanTests {
  private func run(_ daemon: DaemonFixture, _ arguments: String...) throws -> ChildProcess.Result {
    try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", daemon.socket] + arguments,
      deadline: .after(.seconds(30)))
  }

  private func lines(_ result: ChildProcess.Result) throws -> [JSONValue] {
    try result.standardOutput.split(separator: "\n").map { try JSONValue.parse(String($0)) }
  }

  @Test("a list is tested before it is there, when it is well, and when the brake holds it")
  func listSource() throws {
    let daemon = try DaemonFixture(
      peer: .init("NOBODY", port: try freePort()), archivePort: try freePort())
    try daemon.start()
    let missing = try run(daemon, "list-source", "test", "tmc", "--json")
    #expect(missing.status == 1)
    let seen = try lines(missing)
    #expect(seen.first?["source"]?.stringValue?.contains(daemon.lists) == true, "\(missing)")
    #expect(seen.first?["failure"]?.stringValue?.contains("no file matches") == true)
    #expect(seen.last?["error"]?["code"] == "failed")

    try daemon.drop((10..<40).map { "SE\($0)" })
    #expect(
      waitUntil(.after(.seconds(20))) {
        (try? run(daemon, "list").standardOutput.contains("SE39")) ?? false
      })
    #expect(
      waitUntil(.after(.seconds(20))) {
        (try? run(daemon, "plan", "--detailed-exitcode").status) == 0
      })
    let well = try run(daemon, "list-source", "test", "tmc")
    #expect(well.status == 0, "\(well)")
    for words in [
      "Proof       30 rows, sha256", "Rows        30", "  SE10    Utförd  completed  routine",
      "Plan: no changes.",
    ] {
      #expect(well.standardOutput.contains(words), "\(well)")
    }

    // Absent once, then twice: held, whatever comes of the cycles.
    try daemon.drop(["SE10"])
    #expect(
      waitUntil(.after(.seconds(20))) {
        guard let result = try? run(daemon, "plan", "--json"), let all = try? lines(result) else {
          return false
        }
        return all.last?["counts"]?["absent"] == 29
      })
    // It is a cycle that counts, not a plan.
    #expect(
      waitUntil(.after(.seconds(20))) {
        (try? daemon.syncctl(["status"]))?.first?["lists"]?[0]?["absent"] == 29
      })
    try daemon.drop(["SE10", "SE11"])
    #expect(
      waitUntil(.after(.seconds(20))) {
        guard let result = try? run(daemon, "plan", "--json"), let all = try? lines(result) else {
          return false
        }
        return all.last?["counts"]?["held"] == 28
      })
    let held = try run(daemon, "plan", "--detailed-exitcode", "--limit", "2")
    #expect(held.status == 0, "\(held)")
    #expect(held.standardOutput.contains("held: 28 of 30 flags would be cleared at once"))
    #expect(held.standardOutput.contains("... and 26 more"))
    // The next cycle comes to the same.
    #expect(
      waitUntil(.after(.seconds(20))) {
        (try? run(daemon, "drift").standardOutput.contains("SE39")) ?? false
      })

    let foreign = try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", daemon.directory.file("monitor"), "plan"],
      deadline: .after(.seconds(30)))
    #expect(foreign.status == 4, "\(foreign)")
    #expect(!foreign.output.contains("SE10"))
  }
}
