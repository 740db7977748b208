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

  @Test("refuses an argument that it does not know")
  func arguments() throws {
    let result = try ChildProcess.run(Peers.product("syncd-demo"), ["--twice"])
    #expect(result.status == 2)
  }
}
