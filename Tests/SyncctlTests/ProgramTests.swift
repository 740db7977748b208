import Glibc
import JSON
import Platform
import SyncCore
import TestSupport
import Testing

@testable import syncctl

private func lines(_ text: String) throws -> [JSONObject] {
  try text.split(separator: "\n").map { try #require(JSONValue.parse(String($0)).objectValue) }
}

/// The built program against a daemon with canned answers.
@Suite(.serialized) struct ProgramTests {
  let syncctl: Program

  init() throws {
    syncctl = try Program()
  }

  @Test("ping tells who answers")
  func ping() throws {
    let daemon = try syncctl.daemon()
    let text = try syncctl("ping")
    #expect(text.status == 0)
    #expect(text.standardOutput.contains("(demo) answers in "))
    #expect(text.standardOutput.contains("since 2026-11-23 07:00:00"))
    let json = try lines(try syncctl("ping", "--json").standardOutput)
    #expect(json.count == 1 && json[0]["pid"] == 4711)
    #expect(daemon.received("Ping").count == 2)
    let quiet = try syncctl("ping", "--quiet")
    #expect(quiet.status == 0 && quiet.output == "")
  }

  @Test("status is text or one object, and needs no terminal")
  func status() throws {
    let daemon = try syncctl.daemon()
    let text = try syncctl("status")
    #expect(text.status == 0)
    #expect(text.standardOutput.contains("Archive  VGRSECTEMP port 11112"))
    #expect(!text.standardOutput.contains("\u{1B}"))
    let json = try lines(try syncctl("--json", "status").standardOutput)
    #expect(json.count == 1 && json[0]["version"] == "0.1.0")
    #expect(json[0]["startedAt"] == "2026-11-23T06:00:00.000Z")
    #expect(try syncctl("status", "--color=always").standardOutput.contains("\u{1B}[32m"))
    _ = daemon
  }

  @Test("status --follow shows every change and says when the daemon goes")
  func statusFollow() throws {
    let daemon = try syncctl.fake { _ in
      [.more(Canned.status()), .more(Canned.status(health: "warning")), .close]
    }
    let result = try syncctl("status", "--follow", "--json")
    #expect(result.status == 3)
    let seen = try lines(result.standardOutput)
    #expect(seen.count == 3)
    #expect(seen[1]["health"] == "warning")
    #expect(seen[2]["error"]?["code"] == "not_running")
    _ = daemon
  }

  @Test("list goes through all pages into one table")
  func list() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("list", "--columns", "number,images,state", "--system", "SECTRA")
    #expect(result.status == 0)
    #expect(
      result.standardOutput == """
        NUMBER  IMAGES  STATE
        S0000    50/50  complete
        S0001     7/50  fetching
        S0002    50/50  complete
        S0003    50/50  complete
        S0004    50/50  complete
        S0005    50/50  complete
        S0006    50/50  complete

        """)
    let calls = daemon.received("ListExaminations")
    #expect(calls.map { $0["cursor"]?.stringValue } == [nil, "3", "6"])
    #expect(calls.allSatisfy { $0["filter"] == ["systems": ["SECTRA"]] })
  }

  @Test("list --json is an object a line, and --limit ends it")
  func listJSON() throws {
    let daemon = try syncctl.daemon()
    let rows = try lines(try syncctl("list", "--json", "-n", "4").standardOutput)
    #expect(rows.map { $0["number"]?.stringValue } == ["S0000", "S0001", "S0002", "S0003"])
    #expect(daemon.received("ListExaminations").map { $0["limit"] } == [4, 1])
  }

  @Test("a daemon whose pages never end does not keep list for ever")
  func endlessPages() throws {
    let daemon = try syncctl.daemon { _ in
      [.reply("{\"examinations\":[],\"next\":\"again\",\"total\":1}")]
    }
    #expect(try syncctl("list").status == 7)
    _ = daemon
  }

  @Test("a reader that has seen enough ends list without a word", .needs(.program("bash")))
  func brokenPipe() throws {
    let daemon = try syncctl.daemon()
    let command =
      "'\(Peers.product("syncctl"))' --socket '\(syncctl.socket)' list | (exec 0<&-; sleep 1);"
      + " echo ${PIPESTATUS[0]}"
    let result = try ChildProcess.run("bash", ["-c", command])
    #expect(result.standardError == "")
    #expect(result.standardOutput == "141\n")
    _ = daemon
  }

  @Test("output that cannot be written is no success", .needs(.program("bash")))
  func fullDisk() throws {
    let daemon = try syncctl.daemon()
    let command = "'\(Peers.product("syncctl"))' --socket '\(syncctl.socket)' ping > /dev/full"
    let result = try ChildProcess.run("bash", ["-c", command])
    #expect(result.status == 1)
    #expect(result.standardError.contains("cannot write the output"))
    _ = daemon
  }

  @Test("show gives an examination and its history, by number or system and number")
  func show() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("show", "SECTRA/S0007", "S0008")
    #expect(result.status == 0)
    #expect(result.standardOutput.contains("Examination    SECTRA/S0007\n"))
    #expect(result.standardOutput.contains("2026-11-23 07:10:00  flagged  tmc\n"))
    #expect(
      daemon.received("GetExamination")
        == [["number": "S0007", "system": "SECTRA"], ["number": "S0008"]])
  }

  @Test("an examination that is not there is exit 8, in JSON on standard output too")
  func notFound() throws {
    let daemon = try syncctl.daemon()
    let text = try syncctl("show", "missing")
    #expect(text.status == 8)
    #expect(text.standardOutput == "")
    #expect(text.standardError.hasPrefix("syncctl: there is no examination missing\n"))
    let json = try syncctl("show", "missing", "--json")
    #expect(json.status == 8)
    let error = try lines(json.standardOutput)[0]["error"]
    #expect(error?["code"] == "not_found" && error?["exit"] == 8)
    #expect(error?["interfaceError"] == "NoSuchExamination")
    _ = daemon
  }

  @Test("retry takes ids from standard input; one that fails does not stop the others")
  func retry() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl(
      "retry", "-", "--on-behalf-of", "anna", input: "SECTRA/S1\nmissing\n\nS2\n")
    #expect(result.status == 6)
    #expect(result.standardOutput.split(separator: "\n").count == 2)
    #expect(result.standardError.contains("no examination missing"))
    let calls = daemon.received("Retry")
    #expect(calls.count == 3)
    #expect(calls[0] == ["number": "S1", "system": "SECTRA", "onBehalfOf": "anna"])
    #expect(try syncctl("retry", "missing", "missing").status == 8)
  }

  @Test("sync starts a synchronisation and does not wait")
  func sync() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("sync", "tmc", "teleconsult")
    #expect(result.status == 0)
    #expect(result.standardOutput == "Synchronisation 42 is started.\n")
    #expect(daemon.received("StartSync") == [["lists": ["tmc", "teleconsult"]]])
  }

  @Test("sync --wait shows plain lines where there is no terminal")
  func syncWait() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("sync", "--wait")
    #expect(result.status == 0)
    #expect(
      result.standardOutput == """
        Synchronisation 42: lists 0/2, flags 0 set, 1 cleared, images 10/50
        Synchronisation 42 has ended: 2 lists read, 3 flags set, 1 cleared, images 50/50.

        """)
    #expect(daemon.received("StartSync") == [[:]])
    #expect(try lines(try syncctl("sync", "--wait", "--json").standardOutput).count == 2)
  }

  @Test("sync --wait draws over its line on a terminal", .needs(.program("script")))
  func syncTerminal() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl.inTerminal("sync --wait")
    #expect(result.status == 0)
    #expect(result.standardOutput.contains("\r\u{1B}[KSynchronisation 42: lists 0/2"))
    #expect(result.standardOutput.contains("\r\u{1B}[KSynchronisation 42 has ended"))
    _ = daemon
  }

  @Test("sync --wait is exit 6 when a list failed and 1 when all did")
  func syncFailed() throws {
    for (failed, status) in [(1, Int32(6)), (2, 1)] {
      let syncctl = try Program()
      let daemon = try syncctl.daemon { _ in
        let cycle = Canned.cycle(running: false, read: 2 - failed, failed: failed)
        let lists = [Canned.list("tmc", freshness: "warning", missed: 2, reason: "no trailer")]
        return [.reply(Canned.sync(running: false, cycle: cycle, lists: lists))]
      }
      let result = try syncctl("sync", "--wait")
      #expect(result.status == status)
      #expect(result.standardOutput.contains("  tmc: no trailer\n"))
      _ = daemon
    }
  }

  @Test("sync --images waits until images settle, and is exit 6 when some are not complete")
  func syncImages() throws {
    let daemon = try syncctl.daemon { call in
      guard call.method.hasSuffix("GetStatus") else { return Program.healthy(call) }
      return [
        .more(Canned.status(images: Canned.images(fetching: 3), running: 3)),
        .more(Canned.status(images: Canned.images(blocked: 1))),
      ]
    }
    let result = try syncctl("sync", "--images")
    #expect(result.status == 6)
    #expect(result.standardOutput.contains("Images: 10 complete, 3 fetching, 1 none; 3 under way"))
    #expect(result.standardOutput.hasSuffix("Images: 10 complete, 1 none, 1 blocked.\n"))
    _ = daemon

    let whole = try Program()
    let other = try whole.daemon { call in
      guard call.method.hasSuffix("GetStatus") else { return Program.healthy(call) }
      return [.more(Canned.status(images: Canned.images(none: 0)))]
    }
    #expect(try whole("sync", "--images").status == 0)
    _ = other
  }

  @Test("sync --wait --timeout ends the following with exit 5 and says that it goes on")
  func syncTimeout() throws {
    let daemon = try syncctl.fake { _ in
      [.more(Canned.sync(running: true, cycle: Canned.cycle(running: true))), .silence]
    }
    let result = try syncctl("sync", "--wait", "--timeout", "300ms")
    #expect(result.status == 5)
    #expect(result.standardError.contains("it goes on in syncd"))
    _ = daemon
  }

  @Test("a daemon that stops in the middle of a synchronisation is exit 3")
  func syncStopped() throws {
    let daemon = try syncctl.fake { _ in
      [.more(Canned.sync(running: true, cycle: Canned.cycle(running: true))), .close]
    }
    #expect(try syncctl("sync", "--wait").status == 3)
    _ = daemon
  }

  @Test("Ctrl-C while waiting says that the synchronisation goes on")
  func interrupt() throws {
    let daemon = try syncctl.fake { _ in
      [.more(Canned.sync(running: true, cycle: Canned.cycle(running: true))), .silence]
    }
    let child = try syncctl.start("sync", "--wait")
    #expect(child.waitForOutput("Synchronisation 42: lists"))
    child.kill(SIGINT)
    let result = try #require(child.result())
    #expect(result.status == 130)
    #expect(result.standardError.contains("The synchronisation goes on in syncd"))
    _ = daemon
  }

  @Test("drift shows flags that differ")
  func drift() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("drift")
    #expect(result.status == 0)
    #expect(result.standardOutput.contains("S0009   clear  TMC"))
    #expect(try lines(try syncctl("drift", "--json").standardOutput)[0]["attempts"] == 4)
    _ = daemon
  }

  @Test("plan shows what would change, list by list, and what would not and why")
  func plan() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("plan")
    #expect(result.status == 6)
    #expect(
      result.standardOutput == """
        tmc: 3 rows, 3 not ours, 1 unusable (3 rows of 3)
        dda: cannot be relied upon: no trailer
          + SECTRA/S1  TMC  (tmc)
          ~ SECTRA/S2  DDA -> TMC  (tmc)
          ! SECTRA/S3  TMC  (tmc)  held: too many
        Plan: 1 to set, 1 to replace, 0 to clear. Not now: 1 held. Nothing has been done.

        """)
    let json = try lines(try syncctl("plan", "--json").standardOutput)
    #expect(json.count == 6 && json[0]["list"] == "tmc" && json[2]["action"] == "set")
    #expect(json[5]["counts"]?["held"] == 1)
    #expect(try syncctl("plan", "tmc", "dda", "--limit", "7", "--quiet").output == "")
    // As text a thousand, as JSON all.
    let asked = daemon.received("Plan")
    #expect(asked.map { $0["limit"]?.intValue } == [1000, nil, 7])
    #expect(asked[0]["lists"] == nil && asked[2]["lists"] == ["tmc", "dda"])
    // Whoever asks for the detail is told first that a list could not be read.
    #expect(try syncctl("plan", "--detailed-exitcode").status == 6)
  }

  /// A daemon whose plan has these counts, of which nothing is sent.
  private func planning(
    _ counts: String, reading: String = "", rest: String = ""
  ) throws -> CannedDaemon {
    var all = ""
    for name in PlannedChange.actions {
      all += (all.isEmpty ? "" : ",") + "\"\(name)\":\(counts.contains(name) ? 3 : 0)"
    }
    let reply = "{\"readings\":[\(reading)],\"counts\":{\(all)},\"changes\":[]\(rest)}"
    return try syncctl.daemon(answer: { _ in [.reply(reply)] })
  }

  @Test(
    "--detailed-exitcode is 10 for what synchronisations change, 0 for what they leave alone",
    arguments: [
      ("", 0), ("set", 10), ("clear", 10), ("replace", 10), ("absent", 10), ("waiting", 10),
      ("held", 0), ("foreign conflict", 0), ("held set", 10),
    ])
  func detailedExitCode(_ counts: String, _ status: Int32) throws {
    let daemon = try planning(counts)
    let result = try syncctl("plan", "--detailed-exitcode")
    #expect(result.status == status, "\(result)")
    #expect(try syncctl("plan").status == 0)
    #expect(result.standardOutput.contains("Nothing has been done.\n"))
    #expect(result.standardOutput.contains("no changes") == counts.isEmpty)
    #expect(result.standardOutput.contains("more; --limit") != counts.isEmpty)
    _ = daemon
  }

  @Test("a plan without the portal, and one without any list, fails and says why")
  func planFailures() throws {
    let down = try planning("", rest: ",\"portalFailure\":\"refused the connection\"")
    let portal = try syncctl("plan", "--json")
    #expect(portal.status == 1)
    #expect(portal.standardError.contains("the portal cannot be read: refused the connection"))
    #expect(try lines(portal.standardOutput).last?["error"]?["code"] == "failed")
    _ = down
  }

  @Test("list-source test of a list that cannot be relied upon fails with the reason")
  func listSourceFails() throws {
    let failed = """
      {"list":"tmc","source":"/lists/tmc/*.csv","failure":"/lists/tmc/a.csv: it was cut",
      "seconds":0.1,"rows":0,"repeated":0,"outOfScope":0,"foreignUnits":[],"refused":[],
      "unknownStatuses":[],"samples":[]}
      """
    let daemon = try planning("", reading: failed.replacing("\n", with: ""))
    let text = try syncctl("list-source", "test", "tmc")
    #expect(text.status == 1)
    #expect(text.standardOutput.contains("Source      /lists/tmc/*.csv"))
    #expect(!text.standardOutput.contains("Plan:"))
    #expect(text.standardError.contains("cannot be relied upon: /lists/tmc/a.csv: it was cut"))
    let json = try lines(try syncctl("list-source", "test", "tmc", "--json").standardOutput)
    #expect(json.first?["failure"] == "/lists/tmc/a.csv: it was cut")
    #expect(json.last?["error"]?["exit"] == 1)
    #expect(try syncctl("plan").status == 1)
    _ = daemon
  }

  /// The first reading of a canned plan.
  private static func reading(_ plan: [Answer]) throws -> JSONValue {
    guard case .more(let text) = plan[0] else { return .null }
    return try #require(JSONValue.parse(text)["readings"]?[0])
  }

  @Test("list-source test tells everything that is odd about a list")
  func listSource() throws {
    let tmc = try Fields(Self.reading(Canned.plan)).line
    let daemon = try planning("set", reading: tmc)
    let result = try syncctl("list-source", "test", "tmc")
    #expect(result.status == 0)
    for words in [
      "Source      /lists/tmc/*.csv", "Took        12 ms", "Proof       3 rows of 3",
      "Unusable    1: no examination number, first in row 7; nothing is cleared",
      "Unknown     status \"Konstig\", 2 rows: not sendable; see [statuses]",
      "Repeated    2 rows to the letter; counted once",
      "Not ours    3, of care units outside [scope] (SE1-A: 2, no care unit: 1)",
      "As of       2026-11-23 07:00:00 (", "  S1      Utförd  completed  stat      SE1-B  -",
      "  S2      -       unknown    routine   -      -", "... and 3 more",
      "Plan: 3 to set, 0 to replace, 0 to clear. Nothing has been done.",
    ] {
      #expect(result.standardOutput.contains(words), "\(result.standardOutput)")
    }
    #expect(try syncctl("list-source", "test").status == 2)
    _ = daemon
  }

  private func withHeld() throws -> CannedDaemon {
    try syncctl.daemon { call in
      guard call.method.hasSuffix("GetStatus") else { return Program.healthy(call) }
      return [.reply(Canned.status(lists: [Canned.list("tmc", held: 12), Canned.list("other")]))]
    }
  }

  @Test("approve without a terminal needs --yes, and approves just what was seen")
  func approve() throws {
    let daemon = try withHeld()
    let without = try syncctl("approve", "tmc")
    #expect(without.status == 2)
    #expect(daemon.received("Approve").isEmpty)
    let with = try syncctl("approve", "tmc", "--yes", "--on-behalf-of", "anna")
    #expect(with.status == 0)
    #expect(with.standardOutput.hasPrefix("tmc: 12 of 14 flags would be cleared (TMC).\n"))
    #expect(with.standardOutput.contains("SECTRA  S0009   TMC        the portal keeps the flag\n"))
    #expect(with.standardOutput.hasSuffix("12 flags of tmc will be cleared in the next cycle.\n"))
    #expect(
      daemon.received("Approve") == [["onBehalfOf": "anna", "list": "tmc", "count": 12]])
  }

  @Test("approve asks on a terminal, and anything but yes is no", .needs(.program("script")))
  func approveAsks() throws {
    let daemon = try withHeld()
    let no = try syncctl.inTerminal("approve tmc", typed: "\n")
    #expect(no.status == 1)
    #expect(no.standardOutput.contains("Clear 12 flags of tmc? [y/N]"))
    #expect(daemon.received("Approve").isEmpty)
    let yes = try syncctl.inTerminal("approve tmc", typed: "ja\n")
    #expect(yes.status == 0)
    #expect(daemon.received("Approve").count == 1)
  }

  @Test("approve lets a list go whose flags wait although it is not configured any more")
  func approveRemoved() throws {
    let daemon = try syncctl.daemon { call in
      guard call.method.hasSuffix("GetStatus") else { return Program.healthy(call) }
      return [.reply(Canned.status(lists: [Canned.list("other")]))]
    }
    let result = try syncctl("approve", "tmc", "--yes")
    #expect(result.status == 0)
    #expect(result.standardOutput.hasPrefix("tmc: 1 flag would be cleared; the list is not"))
    #expect(daemon.received("Approve") == [["list": "tmc", "count": 1]])
  }

  @Test("approve of an unknown list is exit 8, of one with nothing held exit 1")
  func approveNothing() throws {
    let daemon = try withHeld()
    let unknown = try syncctl("approve", "tmk", "--yes")
    #expect(unknown.status == 8)
    #expect(unknown.standardError.contains("Did you mean \"tmc\"?"))
    #expect(try syncctl("approve", "other", "--yes").status == 1)
    #expect(daemon.received("Approve").isEmpty)
  }

  @Test("reload says what was applied and what takes a restart")
  func reload() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("reload")
    #expect(result.status == 0)
    #expect(result.standardOutput.contains("Applied:\n  lists\n"))
    #expect(result.standardOutput.contains("restart syncd`):\n  archive.port\n"))
    _ = daemon
  }

  @Test("reload of an invalid file is exit 1 and shows its errors")
  func reloadInvalid() throws {
    let daemon = try syncctl.daemon { _ in
      [.failure("InvalidConfiguration", "{\"errors\":[\"a.toml:3:1: unknown key\"]}")]
    }
    let result = try syncctl("reload")
    #expect(result.status == 1)
    #expect(result.standardError.contains("\n  a.toml:3:1: unknown key\n"))
    _ = daemon
  }

  @Test("config check shows every error with file, line and column, without a daemon")
  func configCheck() throws {
    let file = try syncctl.directory.write(
      "[cycle]\ninterval = \"1 fortnight\"\n[archive]\nprot = 104\n", to: "a.toml")
    let bad = try syncctl("config", "check", file)
    #expect(bad.status == 1)
    #expect(bad.standardError.contains("\(file) has 2 errors\n  \(file):2:"))
    #expect(bad.standardError.contains("\n  \(file):4:1: archive.prot"))
    let json = try lines(try syncctl("config", "check", file, "--json").standardOutput)
    #expect(json[0]["error"]?["interfaceError"] == "InvalidConfiguration")
    let good = try syncctl.directory.write("[cycle]\ninterval = \"1m\"\n", to: "b.toml")
    #expect(try syncctl("config", "check", good).output == "\(good) is valid.\n")
    #expect(try syncctl("config", "check", "/nonexistent.toml").status == 1)
  }

  @Test("config show prints the configuration in force")
  func configShow() throws {
    let daemon = try syncctl.daemon()
    #expect(try syncctl("config", "show").standardOutput == "[syncd]\nname = \"demo\"\n")
    let json = try lines(try syncctl("config", "show", "--json").standardOutput)
    #expect(json[0]["file"] == "/etc/syncd/config.toml")
    _ = daemon
  }

  @Test("version tells both, and a daemon that lacks a method is exit 7")
  func version() throws {
    let daemon = try syncctl.daemon()
    let same = try syncctl("version")
    #expect(same.status == 0)
    #expect(same.standardOutput == "syncctl \(Version.text)\nsyncd   \(Version.text)\n")
    _ = daemon

    let old = try Program()
    let oldDaemon = try old.fake { call in
      if call.method.hasSuffix("GetInterfaceDescription") {
        return [.reply("{\"description\":\"interface x.y\\nmethod Ping() -> ()\"}")]
      }
      if call.method.hasSuffix("Ping") { return Program.healthy(call) }
      return [.error("org.varlink.service.MethodNotFound", "{\"method\":\"\(call.method)\"}")]
    }
    let skew = try old("version")
    #expect(skew.status == 7)
    #expect(skew.standardError.contains("GetStatus"))
    let drift = try old("drift")
    #expect(drift.status == 7)
    #expect(drift.standardError.contains("does not know \(SyncInterface.name).ListDrift"))
    #expect(drift.standardError.contains("systemctl restart syncd"))
    _ = oldDaemon
  }

  @Test("check is one line and the plugins' exit status")
  func check() throws {
    let healthy = try syncctl.daemon("monitor")
    let ok = try syncctl("check")
    #expect(ok.status == 0)
    #expect(ok.standardOutput.hasPrefix("SYNCD OK - lists 2/2 fresh"))
    #expect(ok.standardOutput.split(separator: "\n").count == 1)
    _ = healthy

    let bad = try Program()
    let daemon = try bad.daemon("monitor") { _ in
      [.reply(Canned.status(health: "critical", alarms: [Canned.alarm]))]
    }
    let critical = try bad("check")
    #expect(critical.status == 2)
    #expect(critical.standardOutput.hasPrefix("SYNCD CRITICAL - list tmc: not read"))
    _ = daemon

    let gone = try Program()("check")
    #expect(gone.status == 2)
    #expect(gone.standardOutput.hasPrefix("SYNCD CRITICAL - syncd does not run"))
    let mistyped = try syncctl("check", "--wiat")
    #expect(mistyped.status == 3)
    #expect(mistyped.standardOutput.hasPrefix("SYNCD UNKNOWN - "))
  }
}
