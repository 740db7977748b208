import JSON
import SyncCore
import TestSupport
import Testing

@testable import syncctl

private func lines(_ text: String) throws -> [JSONObject] {
  try text.split(separator: "\n").map { try #require(JSONValue.parse(String($0)).objectValue) }
}

/// Destinations, recipients and what is told of sending as a whole, as the built program.
@Suite(.serialized) struct DestinationTests {
  let syncctl: Program

  init() throws {
    syncctl = try Program()
  }

  @Test("dest list tells what is up, paused and waiting")
  func destinations() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("dest", "list")
    #expect(result.status == 0)
    #expect(
      result.standardOutput == """
        NAME    KIND   ADDRESS               STATE   RUNNING  READY  WAITING  FAILED  WINDOW  RETRY       NEXT  REASON
        evidia  dicom  EVIDIA@127.0.0.1:104  up          1/2      3        4       0  always  1x10s,1x1m  -
        tmc     dicom  EVIDIA@127.0.0.1:104  paused      1/2      3        4       2  always  1x10s,1x1m  -     paused by anna since 2026-11-23 08:00:00

        """)
    #expect(try lines(try syncctl("dest", "list", "--json").standardOutput).count == 2)
    _ = daemon
  }

  @Test("dest pause and resume name the destination, and an unknown one is exit 8")
  func pause() throws {
    let daemon = try syncctl.daemon()
    let paused = try syncctl("dest", "pause", "tmc", "--on-behalf-of", "anna")
    #expect(paused.status == 0)
    #expect(paused.standardOutput.hasPrefix("tmc is paused: nothing more starts there"))
    #expect(daemon.received("PauseDestination") == [["name": "tmc", "onBehalfOf": "anna"]])
    let resumed = try syncctl("dest", "resume", "tmc")
    #expect(resumed.standardOutput == "tmc goes on: 3 ready, 4 waiting.\n")
    let json = try lines(try syncctl("dest", "resume", "tmc", "--json").standardOutput)
    #expect(json[0]["name"] == "tmc")
    let unknown = try syncctl("dest", "pause", "tmk")
    #expect(unknown.status == 8)
    #expect(unknown.standardError.contains("Did you mean \"tmc\"?"))
    #expect(unknown.standardError.contains("`syncctl dest list` shows them."))
  }

  @Test("retry explain shows the ladder, and retry goes on taking examinations")
  func explain() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("retry", "explain", "evidia")
    #expect(result.status == 0)
    #expect(
      result.standardOutput == """
        evidia: retry 1x5m,1x30m, watchdog 4h

        ATTEMPT  PAUSE BEFORE  SINCE THE FIRST
              1  0s            0 s
              2  5m            5 min
              3  30m           35 min

        After the third it has failed.

        """)
    #expect(daemon.received("ExplainRetry") == [["name": "evidia"]])
    #expect(try syncctl("retry", "S1").status == 0)
    #expect(daemon.received("Retry") == [["number": "S1"]])
  }

  @Test("recipients are a tree, and in JSON one a line")
  func recipients() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("recipients")
    #expect(
      result.standardOutput == """
        RECIPIENT  ID         TAKES   FROM    DESTINATION
        Evidia     evidia     review  all     -
          CT       evidia-ct  review  SECTRA  evidia
        TMC        tmc        review  all     -

        """)
    #expect(try lines(try syncctl("recipients", "--json").standardOutput).count == 3)
    _ = daemon
  }

  @Test("report is text of several lines without control characters; aside is a table")
  func report() throws {
    let daemon = try syncctl.daemon()
    let report = try syncctl("report", "A7")
    #expect(report.standardOutput == "Assignment A7\n\nOwner:\u{FFFD}the recipient\n\u{FFFD}[2J\n")
    #expect(try syncctl("report", "A404").status == 8)
    let aside = try syncctl("aside", "--limit", "5")
    #expect(aside.standardOutput.contains("m1  2026-11-23 08:00:00  EVIDIA  X1"))
    #expect(daemon.received("ListAside") == [["limit": 5]])
  }

  @Test("status has a line for sending, check its numbers; a daemon without either is well")
  func totals() throws {
    let daemon = try syncctl.daemon()
    let line = "Sending  5 active, 1 held, 2 failed, 3 sent, 40 answered, 1 recalled;"
    #expect(try syncctl("status").standardOutput.contains(line))
    let json = try lines(try syncctl("status", "--json").standardOutput)
    #expect(json[0]["sending"]?["failed"] == 2 && json[0]["version"] == "0.1.0")
    let check = try syncctl("check")
    #expect(check.status == 0)
    #expect(check.standardOutput.contains(" assignments_failed=2;;;0 "))
    _ = daemon

    let old = try Program()
    let without = try old.daemon(delivery: nil)
    let status = try old("status")
    #expect(status.status == 0 && !status.output.contains("Sending"))
    #expect(try old("check").status == 0)
    let sent = try old("sent")
    #expect(sent.status == 7)
    #expect(sent.standardError.contains("does not know \(DeliveryInterface.name)"))
    let version = try old("version")
    #expect(version.status == 7)
    #expect(version.standardError.contains("the interface \(DeliveryInterface.name)"))
    _ = without
  }

  @Test("a monitor socket that does not give the totals is no trouble")
  func totalsForbidden() throws {
    let denied = Answer.error("org.varlink.service.PermissionDenied", "{}")
    let daemon = try syncctl.daemon("monitor", delivery: { _ in [denied] })
    let status = try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", syncctl.directory.file("monitor"), "status"])
    #expect(status.status == 0 && !status.output.contains("Sending"))
    let check = try syncctl("check")
    #expect(check.status == 0 && !check.output.contains("assignments"))
    _ = daemon
  }

  @Test("a daemon that does not answer for sending does not take the status with it")
  func totalsSilent() throws {
    let daemon = try syncctl.fake { call in
      call.method.hasSuffix("GetTotals") ? [.silence] : Program.healthy(call)
    }
    let status = try syncctl("status", "--timeout", "300ms")
    #expect(status.status == 0)
    #expect(status.standardOutput.contains("Sending  not known: syncd did not answer"))
    #expect(try syncctl("check", "--timeout", "300ms").status == 0)
    _ = daemon
  }
}
