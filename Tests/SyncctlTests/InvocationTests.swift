import Platform
import Testing

@testable import syncctl

private func parse(_ line: String) throws -> Invocation {
  try Invocation.parse(line.split(separator: " ").map(String.init))
}

private func refusal(_ arguments: [String]) -> Failure? {
  do throws(Failure) {
    _ = try Invocation.parse(arguments)
    return nil
  } catch {
    return error
  }
}

@Suite struct InvocationTests {
  @Test("options go before and after the command, with = or a blank, and short ones together")
  func places() throws {
    let first = try parse("--json --socket /tmp/s sync teleconsult --wait tmc --timeout=5m")
    #expect(first.command.name == "sync")
    #expect(first.operands == ["teleconsult", "tmc"])
    #expect(first.has("json") && first.has("wait"))
    #expect(first.value("socket") == "/tmp/s")
    #expect(first.duration("timeout") == .seconds(300))

    let second = try parse("list -n5 -q")
    #expect(second.integer("limit") == 5)
    #expect(second.has("quiet"))
    #expect(try parse("sync -qw").has("wait"))
  }

  @Test("after -- nothing is an option, and a lone - is an operand")
  func operands() throws {
    #expect(try parse("show -- --odd -").operands == ["--odd", "-"])
    #expect(try parse("retry -").operands == ["-"])
  }

  @Test("values separated by commas and repeated options add up")
  func lists() throws {
    #expect(
      try parse("list --images none,partial --images complete").list("images")
        == ["none", "partial", "complete"])
  }

  @Test("commands of two words are found")
  func twoWords() throws {
    #expect(try parse("config check a.toml").command.name == "config check")
    #expect(try parse("config --json show --default").command.name == "config show")
  }

  @Test("retry takes examinations, and retry explain is a command of its own")
  func longerCommand() throws {
    #expect(try parse("retry S1 explain").operands == ["S1", "explain"])
    #expect(try parse("retry explain tmc").command.name == "retry explain")
    #expect(try parse("retry --json explain tmc").operands == ["tmc"])
    #expect(try parse("retry -- explain").command.name == "retry")
    #expect(try parse("retry --system SECTRA explain").operands == ["explain"])
    #expect(refusal(["retry", "explain"])?.message == "\"retry explain\" needs NAME")
    #expect(refusal(["retry"])?.message == "\"retry\" needs ID")
  }

  @Test("--help wins over everything that is missing")
  func help() throws {
    #expect(try parse("approve --help").command.name == "help")
    #expect(try parse("approve --help").operands == ["approve"])
    #expect(try parse("config check -h").operands == ["config", "check"])
    #expect(try parse("config -h").operands == ["config"])
    #expect(try parse("-h").operands == [])
    #expect(try parse("--version").command.name == "version")
    #expect(try parse("list --version").has("version"))
  }

  @Test(
    "what is wrong is refused with exit status 2 and a way on",
    arguments: [
      ("stauts", "unknown command \"stauts\"", "Did you mean \"status\"?"),
      ("config chekc", "unknown command \"config chekc\"", "Did you mean \"config check\"?"),
      ("config", "\"config\" needs a second word", "syncctl config check"),
      ("list --imags none", "unknown option --imags for \"list\"", "Did you mean \"--images\"?"),
      ("--images sync", "--images belongs to a command", "As in: syncctl sync --images"),
      ("list -z", "unknown option -z", "`syncctl help list` explains it."),
      ("list --images partail", "\"partail\" is not one", "Did you mean \"partial\"?"),
      ("list --columns number,nmae", "\"nmae\" is not one", "Allowed: system, number"),
      ("list --limit 0", "is not a whole number from 1", ""),
      ("list --limit 99999999999999999999", "is not a whole number from 1", ""),
      ("list --since soon", "is not a time", "Write it as 2026-11-23"),
      ("list --limit", "--limit needs a value", ""),
      ("list --number ,", "is not a value", ""),
      ("sync --wait=yes", "--wait takes no value", ""),
      ("ping --timeout 0", "is not a duration", "Write it as 30s"),
      ("ping --color sometimes", "is not one of auto, always, never", ""),
      ("ping now", "\"ping\" takes no argument: \"now\"", "Usage: syncctl ping"),
      ("show", "\"show\" needs ID", "Usage: syncctl show"),
      ("approve a b", "takes one LIST: \"b\"", ""),
      ("dest", "\"dest\" needs a second word", "syncctl dest pause"),
      ("dest puase tmc", "unknown command \"dest puase\"", "Did you mean \"dest pause\"?"),
      ("sent --phase transfering", "is not one of its values", "Did you mean \"transferring\"?"),
      ("sent --state gone", "is not one of active, failed, ended, all", ""),
      ("send 1 --review second", "is not one of primary, second-reading", "second-reading"),
      ("failed now", "\"failed\" takes no argument", ""),
      ("report A1 A2", "takes one ID: \"A2\"", ""),
      ("completion tcsh", "\"tcsh\" is not one of bash, zsh, fish", ""),
      ("", "a command is missing", "`syncctl help` lists the commands."),
    ])
  func refused(_ line: String, _ message: String, _ advice: String) throws {
    let failure = try #require(refusal(line.split(separator: " ").map(String.init)))
    #expect(failure.exit == .usage)
    #expect(failure.message.contains(message))
    #expect(advice.isEmpty || failure.advice.joined(separator: "\n").contains(advice))
  }

  @Test("an empty value or operand is refused, and control characters are not echoed")
  func odd() throws {
    #expect(refusal(["show", ""])?.exit == .usage)
    #expect(refusal(["list", "--text", ""])?.exit == .usage)
    #expect(refusal(["list", "--images", ""])?.exit == .usage)
    let failure = try #require(refusal(["\u{1B}]0;x\u{7}"]))
    #expect(!failure.text.contains("\u{1B}"))
  }

  @Test("an examination is a number, or a system and a number")
  func names() throws {
    #expect(try ExaminationName("S001", system: nil).system == nil)
    let name = try ExaminationName("SECTRA/00/1", system: nil)
    #expect(name.system == "SECTRA" && name.number == "00/1")
    #expect(try ExaminationName("00/1", system: "AGFA").number == "00/1")
    for wrong in ["/1", "SECTRA/"] {
      #expect(throws: Failure.self) { try ExaminationName(wrong, system: nil) }
    }
  }

  @Test("an assignment is the letter A and digits, unless an option says otherwise")
  func assignments() throws {
    func name(_ line: String) throws -> ShowCommand.Name {
      let invocation = try parse(line)
      return try ShowCommand.Name(invocation.operands[0], invocation)
    }
    let examination = { (text: String) in
      ShowCommand.Name.examination(try ExaminationName(text, system: nil))
    }
    #expect(try name("show A1042") == .assignment("A1042"))
    for text in ["A", "A10B", "a1042", "1042", "SECTRA/A1042", "A\u{0661}"] {
      #expect(try name("show \(text)") == examination(text))
    }
    #expect(try name("show A1042 --examination") == examination("A1042"))
    #expect(try name("show X7 --assignment") == .assignment("X7"))
    #expect(
      try name("show A1042 --system AGFA")
        == .examination(ExaminationName("A1042", system: "AGFA")))
  }

  @Test("- reads names from standard input, blank lines aside")
  func input() throws {
    var lines = ["SECTRA/1", "", "  2 "]
    let names = try ExaminationName.read(try parse("retry 9 -")) {
      lines.isEmpty ? nil : lines.removeFirst()
    }
    #expect(names.map(\.number) == ["9", "1", "2"])
    #expect(names.map(\.system) == [nil, "SECTRA", nil])
  }
}

@Suite struct TimeTextTests {
  // Noon in UTC, so that the local day is the same in every zone but those at the date line.
  let now = WallTime(rfc3339: "2026-11-23T12:00:00Z")!

  @Test(
    "durations have units, and no unit means seconds",
    arguments: [
      ("30", 30.0), ("30s", 30), ("500ms", 0.5), ("5m", 300), ("5min", 300), ("1h30m", 5400),
      ("7d", 604_800),
    ])
  func durations(_ text: String, _ seconds: Double) {
    #expect(TimeText.duration(text)?.inSeconds == seconds)
  }

  @Test(
    "what is no duration, or an absurd one, is none",
    arguments: ["", "0", "-5s", "5x", "s", "5s5", "1.5h", "9223372036854775807d", "5000000d", "٣s"])
  func noDurations(_ text: String) {
    #expect(TimeText.duration(text) == nil)
  }

  @Test("times are local, ago, by name or RFC 3339")
  func times() throws {
    #expect(
      TimeText.time("2026-11-23T10:00:00+01:00", now: now)?.description.prefix(13)
        == "2026-11-23T09")
    #expect(TimeText.time("2h", now: now)?.description == "2026-11-23T10:00:00.000Z")
    let day = try #require(TimeText.time("2026-11-20", now: now))
    #expect(day.local == "2026-11-20 00:00:00")
    #expect(TimeText.time("2026-11-20 08:30", now: now)?.local == "2026-11-20 08:30:00")
    #expect(TimeText.time("2026-11-20T08:30:15", now: now)?.local == "2026-11-20 08:30:15")
    let today = try #require(TimeText.time("today", now: now))
    #expect(today.local.hasSuffix("00:00:00"))
    #expect(TimeText.time("yesterday", now: now)!.local < today.local)
    #expect(TimeText.time("08:30", now: now)?.local == today.local.prefix(10) + " 08:30:00")
  }

  @Test(
    "what is no time is none; days that do not exist neither",
    arguments: ["", "soon", "2026-02-30", "2026-13-01", "25:00", "2026-11-23 8:30", "17", "2026"])
  func noTimes(_ text: String) {
    #expect(TimeText.time(text, now: now) == nil)
  }
}

@Suite struct SuggestionTests {
  @Test("the nearest word is suggested, and nothing when none is near")
  func nearest() {
    let words = ["sync", "status", "show", "version"]
    #expect(Suggestion.nearest(to: "snyc", among: words) == "sync")
    #expect(Suggestion.nearest(to: "STATUS", among: words) == "status")
    #expect(Suggestion.nearest(to: "stat", among: words) == "status")
    #expect(Suggestion.nearest(to: "frobnicate", among: words) == nil)
    #expect(Suggestion.nearest(to: "", among: words) == nil)
    #expect(Suggestion.nearest(to: String(repeating: "a", count: 100_000), among: words) == nil)
  }
}
