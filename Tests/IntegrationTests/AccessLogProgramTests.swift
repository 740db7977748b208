import Platform
import SyncCore
import TestSupport
import Testing

@Suite("syncd --verify-access-log")
struct AccessLogProgramTests {
  @Test("ends with 0 for a log as it was written, and with 1 and the place where it was changed")
  func verify() throws {
    let directory = try TemporaryDirectory()
    let config = try directory.write(
      "[access_log]\ndirectory = \"\(directory.file("log"))\"\n", to: "config.toml")
    func run() throws -> ChildProcess.Result {
      try ChildProcess.run(
        Peers.product("syncd"), ["--config", config, "--verify-access-log"])
    }
    // No log is not the same as one in order.
    #expect(try run().status == 1)

    let time = try #require(WallTime(rfc3339: "2026-11-23T07:30:00Z"))
    let log = try AccessLog.open(directory: directory.file("log"), now: time)
    for _ in 0..<3 { try log.append([AccessLog.Entry(.reload)], now: time) }
    // While the log is open: the daemon need not be stopped.
    let right = try run()
    #expect(right.status == 0)
    #expect(right.standardOutput.contains("unbroken; entries: 3 (1 to 3), files: 1"))
    #expect(right.standardOutput.contains("last hash: \(log.head.hash)"))

    var bytes = try directory.read("log/access-2026-11.log")
    let second = try #require(bytes.firstIndex(of: 0x0A)) + 20
    bytes[second] ^= 1
    try directory.write(bytes, to: "log/access-2026-11.log")
    let wrong = try run()
    #expect(wrong.status == 1)
    #expect(wrong.standardError.contains("/log/access-2026-11.log:2: "))
  }
}
