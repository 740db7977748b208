import Glibc
import JSON
import Platform
import SyncCore
import TestSupport
import Testing

@testable import syncctl

/// The built program and a daemon that is not there, not allowed, silent or out of its mind.
@Suite(.serialized) struct TroubleTests {
  let syncctl: Program

  init() throws {
    syncctl = try Program()
  }

  @Test(
    "without a daemon every command is exit 3 and says what to do",
    arguments: [
      ["sync"], ["sync", "--wait"], ["status"], ["status", "--follow"], ["list"], ["show", "1"],
      ["drift"], ["approve", "tmc", "--yes"], ["retry", "1"], ["config", "show"], ["reload"],
      ["ping"], ["version"], ["send", "1", "--to", "tmc"], ["sent"], ["failed"], ["show", "A1"],
      ["resend", "A1"], ["cancel", "--all", "--yes"], ["dest", "list"], ["dest", "pause", "tmc"],
      ["retry", "explain", "tmc"], ["recipients"], ["report", "A1"], ["aside"],
    ])
  func notRunning(_ arguments: [String]) throws {
    let result = try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", syncctl.socket] + arguments)
    #expect(result.status == 3)
    #expect(result.standardError.contains("nothing listens at \(syncctl.socket)"))
    #expect(result.standardError.contains("systemctl status syncd"))
  }

  @Test("a socket file that nobody listens at is not running either")
  func stale() throws {
    let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    #expect(raw >= 0)
    // A listener that is gone leaves its file.
    let path = syncctl.socket
    let made = try ChildProcess.run(
      "/usr/bin/python3",
      ["-c", "import socket,sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])", path])
    close(raw)
    try #require(made.status == 0)
    #expect(try syncctl("ping").status == 3)
  }

  @Test(
    "help, completion and --version need no daemon",
    arguments: [
      ["help"], ["--help"], ["help", "sync"], ["sync", "--help"], ["config", "check", "--help"],
      ["completion", "bash"], ["--version"], ["status", "-V"],
    ])
  func withoutDaemon(_ arguments: [String]) throws {
    let result = try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", syncctl.socket] + arguments)
    #expect(result.status == 0)
    #expect(!result.standardOutput.isEmpty)
    #expect(result.standardError == "")
  }

  @Test("wrong arguments are exit 2, in JSON on standard output too")
  func usage() throws {
    let text = try syncctl("stauts")
    #expect(text.status == 2)
    #expect(text.standardOutput == "")
    #expect(text.standardError.contains("Did you mean \"status\"?"))
    let json = try syncctl("stauts", "--json")
    #expect(json.status == 2)
    let error = try JSONValue.parse(json.standardOutput)["error"]
    #expect(error?["code"] == "usage")
  }

  @Test("a daemon that accepts and never answers is exit 5 in time")
  func silent() throws {
    let daemon = try syncctl.fake { _ in [.silence] }
    let start = MonotonicTime.now
    let result = try syncctl("status", "--timeout", "300ms")
    #expect(result.status == 5)
    #expect(result.standardError.contains("did not answer within"))
    #expect(MonotonicTime.now - start < .seconds(5))
    #expect(try syncctl("sync", "--wait", "--timeout", "300ms").status == 5)
    let check = try syncctl("check", "--timeout", "300ms")
    #expect(check.status == 2)
    _ = daemon
  }

  @Test("half an answer is no answer")
  func half() throws {
    let daemon = try syncctl.fake { _ in [.bytes(Array("{\"parameters\":{".utf8)), .silence] }
    #expect(try syncctl("ping", "--timeout", "300ms").status == 5)
    _ = daemon
  }

  @Test("a connection that ends without an answer is exit 3")
  func closed() throws {
    let daemon = try syncctl.fake { _ in [.close] }
    #expect(try syncctl("ping").status == 3)
    _ = daemon
  }

  @Test(
    "what is not the protocol is exit 7, never a crash",
    arguments: [
      "HTTP/1.1 400 Bad Request\r\n\r\n\0", "\0", "[]\0", "{\"parameters\":[]}\0",
      "{\"parameters\":{\"name\":1}}\0", "{\"error\":7}\0", "{}\0",
    ])
  func garbage(_ text: String) throws {
    let daemon = try syncctl.fake { _ in [.bytes(Array(text.utf8))] }
    let result = try syncctl("ping")
    #expect(result.status == 7, "\(result.standardError)")
    _ = daemon
  }

  @Test("a busy daemon is exit 5, one that refuses a list exit 8")
  func errors() throws {
    let daemon = try syncctl.daemon { call in
      call.parameters["lists"] == nil
        ? [.failure("Busy", "{\"reason\":\"the ledger is being checked\"}")]
        : [.failure("NoSuchList", "{\"list\":\"tmk\",\"known\":[\"tmc\"]}")]
    }
    let busy = try syncctl("sync")
    #expect(busy.status == 5)
    #expect(busy.standardError.contains("the ledger is being checked"))
    let list = try syncctl("sync", "tmk", "--wait")
    #expect(list.status == 8)
    #expect(list.standardError.contains("Did you mean \"tmc\"?"))
    _ = daemon
  }

  /// Runs it as somebody without rights: to root no socket is closed.
  private func asNobody(_ arguments: String...) throws -> ChildProcess.Result {
    try ChildProcess.run(
      "setpriv",
      ["--reuid=65534", "--regid=65534", "--clear-groups", "--", Peers.product("syncctl")]
        + ["--socket", syncctl.socket] + arguments)
  }

  static var canBecomeNobody: Bool {
    guard geteuid() == 0, Peers.executable("setpriv") != nil else { return false }
    let result = try? ChildProcess.run(
      "setpriv", ["--reuid=65534", "--clear-groups", "--", Peers.product("syncctl"), "--version"])
    return result?.status == 0
  }

  @Test(
    "no permission is exit 4 and names the socket's group and the command to join it",
    .enabled(if: canBecomeNobody))
  func permission() throws {
    let daemon = try syncctl.daemon(mode: 0o660)
    chmod(syncctl.directory.path, 0o755)
    // The group "adm" of every Debian, as systemd would give it "syncd-admin".
    chown(syncctl.socket, 0, 4)
    let result = try asNobody("list")
    #expect(result.status == 4)
    #expect(result.standardError.contains("that takes the group adm\n"))
    #expect(result.standardError.contains("sudo usermod -aG adm nobody\n"))
    let check = try asNobody("check")
    #expect(check.status == 3)
    #expect(check.standardOutput.hasPrefix("SYNCD UNKNOWN - nobody may not use"))
    _ = daemon
  }

  @Test(
    "what reads health falls back to the monitor socket, what names examinations does not",
    .enabled(if: canBecomeNobody))
  func fallback() throws {
    let control = try syncctl.daemon(mode: 0o600)
    let monitor = try syncctl.daemon("monitor", mode: 0o666)
    chmod(syncctl.directory.path, 0o755)
    #expect(try asNobody("status").status == 0)
    #expect(try asNobody("ping").status == 0)
    #expect(try asNobody("version").status == 0)
    #expect(try asNobody("check").status == 0)
    #expect(try asNobody("list").status == 4)
    #expect(try asNobody("drift").status == 4)
    #expect(control.received("GetStatus").isEmpty)
    #expect(monitor.received("GetStatus").count == 2)
  }
}
