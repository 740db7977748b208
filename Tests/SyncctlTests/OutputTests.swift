import JSON
import Platform
import SyncCore
import Testing
import Varlink

@testable import syncctl

func fields(_ text: String) throws -> Fields { try Fields(JSONValue.parse(text)) }

private func expectText(_ found: String, _ wanted: String) {
  #expect(found == wanted, "\n\(found)\nwanted\n\(wanted)")
}

@Suite struct OutputTests {
  let now = WallTime(rfc3339: "2026-11-23T07:31:00Z")!

  init() { Canned.zone }

  private func examination(_ text: String) throws -> ExaminationReply {
    try ExaminationReply(fields(text))
  }

  @Test("a table is aligned, numbers to the right, and ends no line with blanks")
  func table() {
    var table = Table(["NAME", "N", "WHY"], rightAligned: [1])
    let text = table.render([
      [Cell("a"), Cell("5"), Cell("")], [Cell("långt namn"), Cell("12345"), Cell("därför")],
    ])
    expectText(
      text,
      """
      NAME            N  WHY
      a               5
      långt namn  12345  därför

      """)
    expectText(
      table.render([[Cell("b"), Cell("1"), Cell("x")]]), "b               1  x\n")
  }

  @Test("colour goes around the text and not around the padding")
  func colour() {
    var table = Table(["A", "B"], coloured: true)
    let text = table.render([[Cell("x", .green), Cell("y", .red)]])
    #expect(text.hasSuffix("\u{1B}[32mx\u{1B}[0m  \u{1B}[31my\u{1B}[0m\n"))
  }

  @Test("only the last column is cut to the terminal's width")
  func cut() {
    var table = Table(["A", "B"], lineWidth: 20)
    let text = table.render([[Cell("abcdef"), Cell("0123456789abcdef")]])
    #expect(text.hasSuffix("abcdef  0123456789a…\n"))
  }

  @Test("nothing that a list or a peer wrote reaches the terminal as a control sequence")
  func control() throws {
    let nasty = "a\\u001b[2J\\u009bb\\u202ec\\n"
    let row = try examination(Canned.examination("S1", description: nasty))
    #expect(WorklistColumn.description.cell(row).text == "a\u{FFFD}[2J\u{FFFD}b\u{FFFD}c\u{FFFD}")
    let shown = ShowCommand.render(row, coloured: false)
    #expect(!shown.unicodeScalars.contains { $0 == "\u{1B}" || $0 == "\u{9B}" })
  }

  @Test("NO_COLOR, --color and dumb terminals are honoured")
  func wantsColour() {
    func wants(
      _ option: String?, tty: Bool = true, no: String? = nil, term: String? = "xterm"
    ) -> Bool {
      Console.wantsColour(option: option, isTerminal: tty, noColor: no, term: term)
    }
    #expect(wants(nil) && wants("auto"))
    #expect(!wants(nil, tty: false))
    #expect(!wants(nil, no: "1"))
    #expect(wants(nil, no: ""))
    #expect(!wants(nil, term: "dumb"))
    #expect(wants("always", tty: false, no: "1"))
    #expect(!wants("never"))
  }

  @Test("images are green when complete, orange under way and red when somebody must act")
  func images() throws {
    func colour(
      _ state: String, _ reason: String? = nil, held: Bool = false
    ) throws -> Colour {
      WorklistColumn.colour(
        try examination(Canned.examination("S1", images: state, held: held, reason: reason)))
    }
    #expect(try colour("complete") == .green)
    #expect(try colour("complete", held: true) == .red)
    #expect(try colour("fetching") == .orange)
    #expect(try colour("fetching", "verifying") == .orange)
    #expect(try colour("partial") == .orange)
    #expect(try colour("none") == .plain)
    #expect(try colour("none", "not_started") == .orange)
    #expect(try colour("none", "not_stored") == .red)
    #expect(try colour("partial", "uid_mismatch") == .red)
    #expect(try colour("complete", "from_the_future") == .red)
    #expect(try colour("from_the_future") == .plain)
  }

  @Test("n/m has a question mark until the source has said how many")
  func count() throws {
    func count(_ archived: Int, _ expected: Int?) throws -> String {
      WorklistColumn.count(
        try examination(Canned.examination("S1", archived: archived, expected: expected)))
    }
    #expect(try count(3, 10) == "3/10")
    #expect(try count(3, nil) == "3/?")
    #expect(try count(0, nil) == "-")
    #expect(try count(0, 0) == "0/0")
  }

  @Test("show tells who mends it, and where the study UIDs differ")
  func show() throws {
    var text = Canned.examination(
      "S0001", images: "partial", archived: 3, expected: 10, reason: "uid_mismatch",
      owner: "the RIS/PACS administrators")
    text.replace("\"resolvedStudyUid\":\"1.2.752.1\"", with: "\"resolvedStudyUid\":\"1.2.752.2\"")
    expectText(
      ShowCommand.render(try examination(text), coloured: false),
      """
      Examination    SECTRA/S0001
      List           tmc
      Flag           TMC (Sectra Samverkan TMC)
      In the portal  TMC
      Status         completed (Utförd)
      Priority       routine
      Images         partial 3/10
      Reason         why (uid_mismatch)
      Who mends it   the RIS/PACS administrators
      Source         sectra
      Modality       CT
      Description    CT thorax
      Study UID      1.2.752.1
      At the source  1.2.752.2
      First seen     2026-11-23 07:10:00
      Changed        2026-11-23 08:10:00

      """)
  }

  @Test("the status in full")
  func status() throws {
    let lists = [
      Canned.list("teleconsult"),
      Canned.list("tmc", freshness: "critical", missed: 5, held: 12, reason: "rows 3, announced 5"),
    ]
    let status = try StatusReply(
      fields(
        Canned.status(
          health: "critical", lists: lists, images: Canned.images(fetching: 2),
          alarms: [Canned.alarm], running: 2, drift: 1)))
    expectText(
      StatusText.render(status, .none, Console(), now: now),
      """
      syncd    0.1.0 (demo), running, health critical; pid 4711, since 2026-11-23 07:00:00
      Cycle    42 ended 08:30:04: lists 2/2, flags 3 set, 1 cleared; next 08:32:00
      Images   10 complete, 2 fetching, 1 none
      Portal   embedded: 28 flags
      Archive  VGRSECTEMP port 11112: 5231 objects, 2.8 GB; 120 GB free
      Drift    1 flag; `syncctl drift` shows them
      Config   /etc/syncd/config.toml

      LIST         SYSTEM  FLAG         STATE     READ      ROWS  REFUSED  FLAGS  HELD  REASON
      teleconsult  SECTRA  TELECONSULT  fresh     08:30:01    14        0     14     0
      tmc          SECTRA  TMC          critical  08:30:01    14        0     14    12  rows 3, announced 5

      PEER    STATE  RUNNING  WAITING  NEXT  REASON
      sectra  up         2/4        0  -

      ALARM     ON        SINCE     WHAT
      critical  list tmc  08:20:00  not read for 5 cycles | see the file

      """)
  }

  @Test("a synchronisation's progress and end, with what failed")
  func sync() throws {
    let under = try SyncReply(
      fields(Canned.sync(running: true, cycle: Canned.cycle(running: true, read: 1, failed: 1))))
    expectText(
      SyncCommand.line(under),
      "Synchronisation 42: lists 1/2 (1 failed), flags 3 set, 1 cleared, images 10/50")
    let ended = try SyncReply(
      fields(
        Canned.sync(
          running: false, cycle: Canned.cycle(running: false, read: 1, failed: 1, flagsFailed: 2),
          lists: [Canned.list("tmc", freshness: "warning", held: 12, reason: "no trailer")])))
    expectText(
      SyncCommand.summary(ended, coloured: false),
      """
      Synchronisation 42 has ended: 1 list read, 3 flags set, 1 cleared, images 50/50.
      1 list failed; their flags are left as they were.
        tmc: no trailer
      2 flags not written; `syncctl drift` shows them.
      tmc: 12 clears held; look with `syncctl approve tmc`.

      """)
  }

  @Test("how a synchronisation ended decides the exit status")
  func syncExit() throws {
    func exit(failed: Int, flags: Int = 0) throws -> ExitCode {
      SyncCommand.exit(
        of: try CycleReply(
          fields(
            Canned.cycle(
              running: false, read: 2 - failed, failed: failed, flagsFailed: flags))))
    }
    #expect(try exit(failed: 0) == .ok)
    #expect(try exit(failed: 1) == .partial)
    #expect(try exit(failed: 2) == .failed)
    #expect(try exit(failed: 0, flags: 1) == .partial)
  }

  @Test("images have settled when nothing is fetched and nothing waits but for a dead peer")
  func settled() throws {
    func settled(_ change: (inout String) -> Void) throws -> Bool {
      var text = Canned.status()
      change(&text)
      return try StatusReply(fields(text)).imagesHaveSettled
    }
    #expect(try settled { _ in })
    #expect(try !settled { $0.replace("\"fetching\":0", with: "\"fetching\":1") })
    #expect(try !settled { $0.replace("\"queued\":0", with: "\"queued\":7") })
    #expect(
      try settled {
        $0.replace("\"queued\":0", with: "\"queued\":7")
        $0.replace("\"reachable\":true,\"running\"", with: "\"reachable\":false,\"running\"")
      })
  }

  @Test("an answer that lacks a field, or has it of another type, says which and is exit 7")
  func versionSkew() throws {
    for (wrong, where_) in [
      ("\"pid\":\"4711\"", "reply.status.pid is not a whole number"),
      ("\"dip\":4711", "reply.status.pid is missing"),
      ("\"pid\":1.5", "reply.status.pid is not a whole number"),
    ] {
      var text = Canned.status()
      text.replace("\"pid\":4711", with: wrong)
      let reply = try fields(text)
      let failure = #expect(throws: Failure.self) { try StatusReply(reply) }
      #expect(failure?.exit == .versionMismatch)
      #expect(failure?.message.contains(where_) == true, "\(wrong)")
    }
  }

  @Test("amounts and spans are rounded to what people read")
  func words() {
    #expect(Words.bytes(999) == "999 B")
    #expect(Words.bytes(1000) == "1.0 kB")
    #expect(Words.bytes(2_500_000_000) == "2.5 GB")
    #expect(Words.bytes(120_000_000_000) == "120 GB")
    #expect(Words.span(.seconds(45)) == "45 s")
    #expect(Words.span(.seconds(7500)) == "2 h 5 min")
    #expect(Words.span(.seconds(90_000 * 2)) == "2 d 2 h")
    #expect(Words.count(1, "flag") == "1 flag")
    #expect(Words.count(0, "flag") == "0 flags")
  }
}

@Suite struct CannedTests {
  @Test("the canned replies of these tests fit the interface")
  func fit() throws {
    let description = try InterfaceDescription(SyncInterface.description)
    func check(_ text: String, _ method: String) throws {
      let object = try #require(JSONValue.parse(text).objectValue)
      try description.check(object, against: #require(description.methods[method]).output)
    }
    try check(Canned.status(alarms: [Canned.alarm]), "GetStatus")
    try check(
      Canned.status(lists: [Canned.list("a", freshness: "critical", reason: "r")]), "GetStatus")
    for running in [true, false] {
      try check(
        Canned.sync(running: running, cycle: Canned.cycle(running: running)), "StartSync")
    }
    let examination = Canned.examination("S1", images: "partial", reason: "not_stored")
    try check("{\"examination\":\(examination)}", "Retry")
    try check("{\"drift\":[\(Canned.drift)]}", "ListDrift")
  }
}

@Suite struct FilterTests {
  @Test("every filter of the worklist becomes its parameter, times in UTC")
  func all() throws {
    Canned.zone
    let invocation = try Invocation.parse([
      "list", "--list", "tmc,teleconsult", "--system", "SECTRA", "--flag", "TMC", "--status",
      "completed,signed", "--images", "none", "--images", "partial", "--number", "S1", "--text",
      "77", "--held", "--since", "2026-11-23 08:30", "--until", "1h",
    ])
    let filter = ListCommand.filter(invocation, now: WallTime(rfc3339: "2026-11-23T12:00:00Z")!)
    let wanted = try JSONValue.parse(
      """
      {"lists":["tmc","teleconsult"],"systems":["SECTRA"],"flags":["TMC"],
      "statuses":["completed","signed"],"images":["none","partial"],"numbers":["S1"],"text":"77",
      "held":true,"changedSince":"2026-11-23T07:30:00.000Z",
      "changedUntil":"2026-11-23T11:00:00.000Z"}
      """)
    #expect(JSONValue.object(filter) == wanted)
    let description = try InterfaceDescription(SyncInterface.description)
    try description.check(
      ["filter": .object(filter)], against: #require(description.methods["ListExaminations"]).input)
    #expect(ListCommand.filter(try Invocation.parse(["list"]), now: .now).isEmpty)
  }
}

@Suite struct PluginReportTests {
  let now = WallTime(rfc3339: "2026-11-23T07:31:00Z")!

  init() { Canned.zone }

  private func report(_ text: String) throws -> PluginReport {
    PluginReport(try StatusReply(fields(text)), now: now)
  }

  @Test("a healthy daemon is OK, with performance data")
  func ok() throws {
    let report = try report(Canned.status())
    #expect(report.state == .ok)
    expectText(
      report.text,
      "SYNCD OK - lists 2/2 fresh; images 10 complete, 1 none | lists_fresh=2;;;0;2"
        + " lists_stale=0;;;0 missed_cycles=0;;;0 images_complete=10;;;0 images_fetching=0;;;0"
        + " images_partial=0;;;0 images_none=1;;;0 images_blocked=0;;;0 images_held=0;;;0"
        + " drift=0;;;0 drift_alarms=0;;;0 alarms=0;;;0 archive_objects=5231;;;0"
        + " archive_free=120000000000B;;;0 uptime=5460s;;;0\n")
  }

  @Test("alarms, stale lists and an unknown health are never OK")
  func notOK() throws {
    #expect(try report(Canned.status(health: "warning")).state == .warning)
    #expect(try report(Canned.status(health: "critical")).state == .critical)
    #expect(try report(Canned.status(health: "splendid")).state == .unknown)
    #expect(try report(Canned.status(state: "stopping")).state == .warning)
    #expect(
      try report(Canned.status(lists: [Canned.list("a", freshness: "warning", missed: 2)])).state
        == .warning)
    #expect(
      try report(Canned.status(lists: [Canned.list("a", freshness: "critical", missed: 5)])).state
        == .critical)
  }

  @Test("an alarm leads the line, and a bar in it does not begin the performance data")
  func alarm() throws {
    let report = try report(Canned.status(alarms: [Canned.alarm]))
    #expect(report.state == .critical)
    #expect(
      report.text.hasPrefix(
        "SYNCD CRITICAL - list tmc: not read for 5 cycles / see the file; lists 2/2 fresh"))
    #expect(report.text.split(separator: "\n")[0].count { $0 == "|" } == 1)
    #expect(
      report.text.hasSuffix(
        "\ncritical: list tmc: not read for 5 cycles / see the file,"
          + " since 2026-11-23 08:20:00\n"))
  }

  @Test("a dead or stuck daemon is CRITICAL; no access or no sense is UNKNOWN")
  func failures() {
    #expect(PluginReport(Failure(.notRunning, "x")).state == .critical)
    #expect(PluginReport(Failure(.timeout, "x")).state == .critical)
    for exit in [ExitCode.permission, .versionMismatch, .failed, .usage, .notFound, .partial] {
      #expect(PluginReport(Failure(exit, "x")).state == .unknown)
    }
  }
}

@Suite struct FailureTests {
  let daemon = Daemon(paths: ["/run/syncd/control"], timeout: .seconds(10))

  private func failure(_ error: String, _ parameters: String = "{}") throws -> Failure {
    let name = error.contains(".") ? error : "\(SyncInterface.name).\(error)"
    guard case .object(let members) = try JSONValue.parse(parameters) else {
      throw Failure(.failed, "the test's parameters are no object")
    }
    return daemon.failure(
      for: .errorReply(name: name, parameters: members), path: "/run/syncd/control")
  }

  @Test("every error of the interface has its exit status and words")
  func errors() throws {
    let list = try failure("NoSuchList", #"{"list":"tmk","known":["tmc","teleconsult"]}"#)
    #expect(list.exit == .notFound)
    #expect(list.advice == ["Did you mean \"tmc\"?", "Lists: tmc, teleconsult"])
    #expect(list.error == "NoSuchList")
    #expect(try failure("NoSuchExamination", #"{"number":"S1"}"#).exit == .notFound)
    let several = try failure(
      "AmbiguousExamination", #"{"number":"S1","systems":["AGFA","SECTRA"]}"#)
    #expect(several.exit == .failed)
    #expect(several.advice == ["Write one of: AGFA/S1, SECTRA/S1"])
    #expect(try failure("NothingToApprove", #"{"list":"tmc"}"#).exit == .failed)
    let more = try failure("MoreThanSeen", #"{"list":"tmc","held":31}"#)
    #expect(more.exit == .failed && more.message.contains("31 clears"))
    let invalid = try failure("InvalidConfiguration", #"{"errors":["a.toml:3:1: x"]}"#)
    #expect(invalid.exit == .failed && invalid.advice == ["a.toml:3:1: x"])
    #expect(try failure("Busy", #"{"reason":"r"}"#).exit == .timeout)
    #expect(try failure("Stopping").exit == .timeout)
    #expect(try failure("org.varlink.service.PermissionDenied").exit == .permission)
    for name in ["MethodNotFound", "InterfaceNotFound", "MethodNotImplemented", "ExpectedMore"] {
      #expect(try failure("org.varlink.service.\(name)").exit == .versionMismatch)
    }
    #expect(try failure("org.varlink.service.InvalidParameter").exit == .failed)
    #expect(try failure("com.example.Odd").exit == .failed)
  }

  @Test("the errors of the interface's description are all known here")
  func complete() throws {
    for line in SyncInterface.description.split(separator: "\n") where line.hasPrefix("error ") {
      let name = line.dropFirst(6).prefix { $0.isLetter }
      #expect(try !failure(String(name)).message.hasPrefix("syncd refuses:"), "\(name)")
    }
  }

  @Test("no permission names the group to join and the command for it")
  func permission() {
    let failure = daemon.failure(for: .noPermission("x"), path: "/nowhere/syncd/control")
    #expect(failure.exit == .permission)
    #expect(failure.message.hasSuffix("that takes the group syncd-admin"))
    #expect(failure.advice[0].hasPrefix("Join it with: sudo usermod -aG syncd-admin "))
    let monitor = daemon.failure(for: .noPermission("x"), path: "/nowhere/syncd/monitor")
    #expect(monitor.message.contains("syncd-monitor"))
  }

  @Test("where the daemon is not, times out or talks nonsense, the way on is said")
  func connection() {
    let gone = daemon.failure(for: .notRunning("x"), path: "/run/syncd/control")
    #expect(gone.exit == .notRunning)
    #expect(gone.message.contains("/run/syncd/control"))
    #expect(gone.text.contains("systemctl status syncd"))
    #expect(daemon.failure(for: .timedOut, path: "").exit == .timeout)
    #expect(daemon.failure(for: .closed, path: "").exit == .notRunning)
    #expect(daemon.failure(for: .notUnderstood("x"), path: "").exit == .versionMismatch)
    #expect(daemon.failure(for: .connection("x"), path: "").exit == .failed)
  }

  @Test("a failure in JSON has its code, exit status, words and advice")
  func json() throws {
    let failure = Failure(
      .notFound, "there is no \"x\"", advice: ["Do this."], error: "NoSuchList")
    #expect(
      JSONText.failure(failure)
        == #"{"error":{"code":"not_found","exit":8,"message":"there is no \"x\"","#
        + #""advice":["Do this."],"interfaceError":"NoSuchList"}}"#)
  }

  @Test("check begins with the monitor socket, and health only may fall back to it")
  func paths() {
    #expect(Daemon.paths("/r/control", command: "check") == ["/r/monitor", "/r/control"])
    #expect(Daemon.paths("/r/other", command: "check") == ["/r/other"])
    #expect(Daemon.paths("/r/control", command: "status") == ["/r/control", "/r/monitor"])
    #expect(Daemon.paths("/r/control", command: "list") == ["/r/control"])
  }

  @Test("methods are read from an interface's description")
  func methods() {
    let names = VersionCommand.methods(in: SyncInterface.description)
    #expect(names.count == 11)
    #expect(names.contains("GetStatus") && names.contains("StartSync"))
  }
}
