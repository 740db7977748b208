import Glibc
import JSON
import SyncCore
import TestSupport
import Testing

@testable import syncctl

private func lines(_ text: String) throws -> [JSONObject] {
  try text.split(separator: "\n").map { try #require(JSONValue.parse(String($0)).objectValue) }
}

/// The commands of sending, as the built program against a daemon with canned answers.
@Suite(.serialized) struct DeliveryTests {
  let syncctl: Program

  init() throws {
    syncctl = try Program()
  }

  @Test("send tells of each examination whether it was accepted, and is exit 6 for some")
  func send() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("send", "SECTRA/S1", "-", "--to", "tmc", input: "S2\n\nS2\n")
    #expect(result.status == 6)
    #expect(
      result.standardOutput == """
        SECTRA/S1: sent as A1042
          note: the priority is not that of the referral
        S2: refused
          3 of 10 images are in the archive (images_incomplete)
            Wait until they are fetched.
            Or all the same: --force REASON, which is recorded.
          the status is requested (status)
            Complete the examination.

        """)
    #expect(
      daemon.received("Send") == [
        [
          "recipient": "tmc",
          "examinations": [["number": "S1", "system": "SECTRA"], ["number": "S2"]],
        ]
      ])
    let json = try lines(try syncctl("send", "S1", "S2", "--to", "tmc", "--json").standardOutput)
    #expect(json.map { $0["accepted"] } == [true, false])
  }

  @Test("send --dry-run says what would be, and every option reaches the daemon")
  func sendOptions() throws {
    let daemon = try syncctl.daemon()
    let message = try syncctl.directory.write("\u{FEFF}Jämför\r\nmed förra.\r\n", to: "m.txt")
    let report = try syncctl.directory.write("Inget nytt.\n", to: "r=1.txt")
    let result = try syncctl(
      "send", "S1", "S2", "--to", "tmc", "--dry-run", "--kind", "review", "--review",
      "second-reading", "--priority", "stat", "--message-file", message, "--prior", "S8,AGFA/S9",
      "--prior-report", "S8=\(report)", "--force", "late series", "--recipient-notified",
      "--system", "SECTRA", "--on-behalf-of", "anna")
    #expect(result.standardOutput.hasPrefix("SECTRA/S1: would be sent\n"))
    #expect(result.standardOutput.contains("S2: would be refused\n"))
    #expect(
      daemon.received("Send") == [
        [
          "examinations": [
            ["number": "S1", "system": "SECTRA"], ["number": "S2", "system": "SECTRA"],
          ],
          "recipient": "tmc", "kind": "review", "review": "second_reading", "priority": "stat",
          "message": "Jämför\r\nmed förra.", "force": "late series", "dryRun": true,
          "priors": [
            ["number": "S8", "report": "Inget nytt."], ["number": "S9", "system": "AGFA"],
          ],
          "recipientNotified": true, "onBehalfOf": "anna",
        ]
      ])
    _ = try syncctl("send", "S1", "--to", "tmc", "--kind", "referral-move")
    #expect(daemon.received("Send").last?["kind"] == "referral_move")
  }

  @Test("send is exit 0 when all were accepted and 1 when none was")
  func sendExit() throws {
    for (reply, status) in [(Canned.accepted, Int32(0)), (Canned.refused, 1)] {
      let syncctl = try Program()
      let daemon = try syncctl.daemon(delivery: { _ in [.reply(Canned.results([reply]))] })
      #expect(try syncctl("send", "S1", "--to", "tmc").status == status)
      // One that the answer leaves out was not sent.
      #expect(try syncctl("send", "S1", "S2", "--to", "tmc").status == (status == 0 ? 6 : 1))
      _ = daemon
    }
  }

  @Test("send without a recipient says how to find one, and asks nobody")
  func sendWithoutRecipient() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("send", "S1")
    #expect(result.status == 2)
    #expect(result.standardError.contains("there is no default recipient"))
    #expect(result.standardError.contains("`syncctl recipients` lists them."))
    let empty = try syncctl("send", "-", "--to", "tmc", input: "\n")
    #expect(empty.status == 0)
    #expect(daemon.received("Send").isEmpty)
  }

  @Test("what send is given is checked before anything is sent")
  func sendRefusals() throws {
    let daemon = try syncctl.daemon()
    let latin1 = try syncctl.directory.write("x", to: "latin1.txt")
    try [UInt8]([0x4A, 0xE4]).withUnsafeBytes { bytes in
      let file = try #require(fopen(latin1, "w"))
      #expect(fwrite(bytes.baseAddress, 1, 2, file) == 2)
      fclose(file)
    }
    let large = try syncctl.directory.write(
      String(repeating: "x", count: SendCommand.largestText + 1), to: "large.txt")
    let blank = try syncctl.directory.write(" \n", to: "blank.txt")
    let wrong: [([String], String)] = [
      (["--message-file", latin1], "is not UTF-8"),
      (["--message-file", large], "is larger than"),
      (["--message-file", blank], "has no text"),
      (["--message-file", "/nonexistent"], "cannot be read"),
      (["--message", "a", "--message-file", blank], "do not go together"),
      (["--prior-report", "S8"], "is not NUMBER=FILE"),
      (["--prior-report", "=\(blank)"], "is not NUMBER=FILE"),
      (["--force", "  "], "needs a reason"),
    ]
    for (options, message) in wrong {
      let result = try ChildProcess.run(
        Peers.product("syncctl"),
        ["--socket", syncctl.socket, "send", "S1", "--to", "tmc"] + options)
      #expect(result.status == 2, "\(options)")
      #expect(result.standardError.contains(message), "\(options) \(result.standardError)")
    }
    #expect(daemon.received("Send").isEmpty)
  }

  @Test("errors of sending are told with a way on")
  func errors() throws {
    let cases: [(Answer, Int32, [String])] = [
      (
        .refusal("NoSuchRecipient", "{\"recipient\":\"tmk\",\"known\":[\"evidia\",\"tmc\"]}"), 8,
        [
          "no recipient \"tmk\"", "Did you mean \"tmc\"?", "Known: evidia, tmc",
          "syncctl recipients",
        ]
      ),
      (
        .refusal("AccessLogFailed", "{\"reason\":\"no space left\"}"), 1,
        ["the access log cannot be written, so nothing was done: no space left"]
      ),
      (.refusal("Busy", "{\"reason\":\"lists\"}"), 5, ["syncd is busy: lists"]),
      (.refusal("Stopping"), 5, ["syncd is stopping"]),
      (.error("org.varlink.service.InvalidParameter", "{\"parameter\":\"review\"}"), 1, ["review"]),
    ]
    for (answer, status, texts) in cases {
      let syncctl = try Program()
      let daemon = try syncctl.daemon(delivery: { _ in [answer] })
      let result = try syncctl("send", "S1", "--to", "tmk")
      #expect(result.status == status)
      for text in texts { #expect(result.standardError.contains(text), "\(result.standardError)") }
      _ = daemon
    }
  }

  @Test("a send that is not answered in time may have been made, and the error says so")
  func sendTimeout() throws {
    let daemon = try syncctl.fake { _ in [.silence] }
    let result = try syncctl("send", "S1", "--to", "tmc", "--timeout", "200ms")
    #expect(result.status == 5)
    #expect(result.standardError.contains("It may be sent all the same"))
    let dry = try syncctl("send", "S1", "--to", "tmc", "--dry-run", "--timeout", "200ms")
    #expect(!dry.standardError.contains("all the same"))
    _ = daemon
  }

  @Test("the monitor socket does not send, and the error names the other one")
  func monitor() throws {
    let denied = Answer.error(
      "org.varlink.service.PermissionDenied",
      "{\"reason\":\"the monitor socket only answers GetTotals; use the control socket\"}")
    let daemon = try syncctl.daemon("monitor", delivery: { _ in [denied] })
    let result = try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", syncctl.directory.file("monitor"), "sent"])
    #expect(result.status == 4)
    #expect(result.standardError.contains("use the control socket"))
    _ = daemon
  }

  @Test("sent goes through all pages into one table, without colours where there is no terminal")
  func sent() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("sent", "--to", "evidia-ct,tmc")
    #expect(result.status == 0)
    #expect(
      result.standardOutput == """
        ID  NUMBER  RECIPIENT  PRIORITY  DICOM  HL7  TICK  PHASE         CHANGED              REASON
        A4  S0004   evidia-ct  routine    3/10  0/4  -     transferring  2026-11-23 08:10:00  -
        A3  S0003   evidia-ct  stat       1/10    -  -     failed        2026-11-23 08:10:00  no answer
        A2  S0002   evidia-ct  routine   10/10  4/4  ✓     answered      2026-11-23 08:10:00  -
        A1  S0001   evidia-ct  routine    3/10  0/4  -     transferring  2026-11-23 08:10:00  -

        """)
    let calls = daemon.received("ListAssignments")
    #expect(calls.map { $0["cursor"]?.stringValue } == [nil, "2"])
    #expect(
      calls.allSatisfy {
        $0["filter"] == ["recipients": ["evidia-ct", "tmc"], "state": "all"]
      })
    let coloured = try syncctl("sent", "--color=always", "--columns", "dicom,tick")
    #expect(coloured.standardOutput.contains("\u{1B}[33m3/10\u{1B}[0m"))
    #expect(coloured.standardOutput.contains("\u{1B}[31m1/10\u{1B}[0m"))
    #expect(
      coloured.standardOutput.contains("\u{1B}[32m10/10\u{1B}[0m  \u{1B}[32m✓\u{1B}[0m"))
  }

  @Test("sent --json is an object a line with times in UTC, and --limit ends it")
  func sentJSON() throws {
    let daemon = try syncctl.daemon()
    let rows = try lines(try syncctl("sent", "--json", "-n", "3").standardOutput)
    #expect(rows.map { $0["id"]?.stringValue } == ["A4", "A3", "A2"])
    #expect(rows[0]["changed"] == "2026-11-23T07:10:00.000Z")
    #expect(daemon.received("ListAssignments").map { $0["limit"] } == [3, 1])
  }

  @Test("failed is exit 9 with reason and owner, and silent with exit 0 when nothing has failed")
  func failed() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("failed")
    #expect(result.status == 9)
    #expect(
      result.standardOutput == """
        ID  NUMBER  RECIPIENT  PRIORITY  DICOM  HL7  PHASE   CHANGED              OWNER          REASON
        A3  S0003   evidia-ct  stat       1/10    -  failed  2026-11-23 08:10:00  the recipient  no answer

        """)
    #expect(try lines(try syncctl("failed", "--json").standardOutput)[0]["id"] == "A3")
    _ = daemon

    let other = try Program()
    let well = try other.daemon(delivery: { _ in [.reply("{\"assignments\":[],\"total\":0}")] })
    let nothing = try other("failed")
    #expect(nothing.status == 0)
    #expect(nothing.output == "")
    #expect(try other("sent").standardOutput == "Nothing has been sent.\n")
    #expect(try other("sent", "--held").standardOutput == "No assignment matches.\n")
    _ = well
  }

  @Test("show takes assignments and examinations side by side")
  func show() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("show", "A1", "S0007")
    #expect(result.status == 0)
    #expect(result.standardOutput.hasPrefix("Assignment    A1\n"))
    #expect(result.standardOutput.contains("by anna\n\nExamination    SECTRA/S0007\n"))
    #expect(daemon.received("GetAssignment") == [["id": "A1"]])
    let json = try lines(try syncctl("show", "A1", "--json").standardOutput)
    #expect(json[0]["assignment"]?["id"] == "A1")
    let missing = try syncctl("show", "A404")
    #expect(missing.status == 8)
    #expect(missing.standardError.contains("there is no assignment A404"))
    #expect(missing.standardError.contains("syncctl show --examination ID"))
    let examination = try syncctl("show", "A404", "--examination")
    #expect(examination.standardOutput.hasPrefix("Examination    SECTRA/A404\n"))
    #expect(try syncctl("show", "A1", "--assignment", "--system", "X").status == 2)
  }

  @Test(
    "actions take ids, from standard input too, and are exit 6 when some could not be done",
    arguments: [
      ("resend", "Resend", "sent again"), ("supplement", "Supplement", "supplemented"),
      ("cancel", "Cancel", "recalled"), ("hold", "Hold", "held"),
      ("release", "Release", "released"),
    ])
  func actions(_ command: String, _ method: String, _ what: String) throws {
    let daemon = try syncctl.daemon()
    let some = try syncctl(command, "-", "--on-behalf-of", "anna", input: "A1\nA9\nA1\n")
    #expect(some.status == 6)
    #expect(
      some.standardOutput
        == "A1 SA1: \(what): 2 messages\nA9 SA9: not \(what): it has ended\n")
    #expect(
      daemon.received(method)
        == [["selection": ["ids": ["A1", "A9"]], "onBehalfOf": "anna"]])
    #expect(try syncctl(command, "A1").status == 0)
    #expect(try syncctl(command, "A9").status == 1)
    let dry = try syncctl(command, "A1", "A9", "--dry-run")
    #expect(
      dry.standardOutput
        == "A1 SA1: would be \(what): 2 messages\nA9 SA9: would not be \(what): it has ended\n")
    #expect(daemon.received(method).last?["dryRun"] == true)
    let json = try lines(try syncctl(command, "A1", "A2", "--json").standardOutput)
    #expect(json.map { $0["id"]?.stringValue } == ["A1", "A2"])
  }

  @Test("an id that is not there is exit 8 alone, and does not stop the others")
  func actionMissing() throws {
    let daemon = try syncctl.daemon()
    let alone = try syncctl("cancel", "A404")
    #expect(alone.status == 8)
    let result = try syncctl("cancel", "A1", "A404", "A2")
    #expect(result.status == 6)
    #expect(result.standardOutput.split(separator: "\n").count == 2)
    #expect(result.standardError.contains("there is no assignment A404"))
    _ = daemon
  }

  @Test("actions need ids or --all, and not both")
  func actionUsage() throws {
    let daemon = try syncctl.daemon()
    let wrong: [([String], String)] = [
      (["cancel"], "needs ID, - or --all"),
      (["cancel", "A1", "--all"], "do not go together"),
      (["cancel", "A1", "--to", "tmc"], "--to goes with --all"),
      (["cancel", "--all"], "there is no terminal to ask on"),
    ]
    for (arguments, message) in wrong {
      let result = try ChildProcess.run(
        Peers.product("syncctl"), ["--socket", syncctl.socket] + arguments)
      #expect(result.status == 2)
      #expect(result.standardError.contains(message), "\(arguments)")
    }
    let none = try syncctl("cancel", "-", input: "")
    #expect(none.status == 0)
    #expect(daemon.received("Cancel").isEmpty)
  }

  @Test("--all --yes acts on what the filters name, by default what the action is for")
  func all() throws {
    let daemon = try syncctl.daemon()
    let result = try syncctl("resend", "--all", "--yes", "--to", "tmc")
    #expect(result.status == 6)
    #expect(result.standardOutput.split(separator: "\n").count == 3)
    _ = try syncctl("cancel", "--all", "--dry-run", "--phase", "answered")
    _ = try syncctl("release", "--all", "--yes")
    let filter = { (method: String) in daemon.received(method)[0]["selection"] }
    #expect(
      filter("Resend") == ["all": true, "filter": ["recipients": ["tmc"], "state": "failed"]])
    #expect(filter("Cancel") == ["all": true, "filter": ["phases": ["answered"], "state": "all"]])
    #expect(filter("Release") == ["all": true, "filter": ["state": "active", "held": true]])
    #expect(daemon.received("Cancel")[0]["dryRun"] == true)
  }

  @Test("--all that matches nothing is exit 0")
  func allOfNothing() throws {
    for answer in [Answer.refusal("NothingSelected"), .reply(Canned.results([]))] {
      let syncctl = try Program()
      let daemon = try syncctl.daemon(delivery: { _ in [answer] })
      let result = try syncctl("resend", "--all", "--yes")
      #expect(result.status == 0)
      #expect(result.standardOutput == "No assignment matches; nothing to do.\n")
      _ = daemon
    }
  }

  @Test("--all asks on a terminal and acts on just what was seen", .needs(.program("script")))
  func allAsks() throws {
    let daemon = try syncctl.daemon()
    let no = try syncctl.inTerminal("cancel --all", typed: "\n")
    #expect(no.status == 1)
    #expect(no.standardOutput.contains("Recall 2 assignments? [y/N]"))
    #expect(daemon.received("Cancel").count == 1)
    #expect(daemon.received("Cancel")[0]["dryRun"] == true)
    let yes = try syncctl.inTerminal("cancel --all", typed: "ja\n")
    // One of the three could not be recalled.
    #expect(yes.status == 6)
    #expect(daemon.received("Cancel").last == ["selection": ["ids": ["A1", "A2"]]])
  }
}
