import Glibc
import TestSupport
import Testing

@Suite("The demonstration", .serialized)
struct DemoTests {
  @Test("runs to its end, and every flag and every object is where it should be")
  func once() async throws {
    let result = try await offPool {
      try ChildProcess.run(Peers.product("syncd-demo"), ["--once"], deadline: .after(.seconds(120)))
    }
    #expect(result.status == 0, "\(result.output)")
    #expect(result.output.contains("Every flag and every object is where it should be."))
  }

  @Test("interrupted on its way, takes the daemon and its folder with it")
  func interrupted() async throws {
    try await offPool {
      let demo = try ChildProcess(Peers.product("syncd-demo"), ["--once"])
      let words = "is being built in "
      try #require(
        waitUntil(.after(.seconds(20))) {
          demo.standardOutput.contains(words) && !self.daemons(below: demo.pid).isEmpty
        }, "\(demo.output)")
      let folder = try #require(
        demo.standardOutput.firstRange(of: words).map {
          String(demo.standardOutput[$0.upperBound...].prefix { $0 != " " })
        })
      let daemon = try #require(self.daemons(below: demo.pid).first)
      demo.kill(SIGTERM)
      let result = try #require(demo.result(deadline: .after(.seconds(30))))
      #expect(result.status == 130, "\(result.output)")
      #expect(kill(daemon, 0) != 0)
      #expect(access(folder, F_OK) != 0)
    }
  }

  /// The processes that a process has started and that are the daemon.
  private func daemons(below parent: pid_t) -> [pid_t] {
    let listed = try? ChildProcess.run(
      "ps", ["-o", "pid=,comm=", "--ppid", "\(parent)"])
    return (listed?.standardOutput ?? "").split(whereSeparator: \.isNewline).compactMap {
      let words = $0.split(separator: " ")
      return words.count == 2 && words[1] == "syncd" ? pid_t(words[0]) : nil
    }
  }

  @Test("refuses an argument that it does not know")
  func arguments() throws {
    let result = try ChildProcess.run(Peers.product("syncd-demo"), ["--twice"])
    #expect(result.status == 2)
  }
}
