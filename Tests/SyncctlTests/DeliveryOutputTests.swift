import JSON
import Platform
import SyncCore
import Testing
import Varlink

@testable import syncctl

@Suite struct DeliveryOutputTests {
  init() { Canned.zone }

  private func expectText(_ found: String, _ wanted: String) {
    #expect(found == wanted, "\n\(found)\nwanted\n\(wanted)")
  }

  @Test("an assignment in full, as administrators know it")
  func details() throws {
    let assignment = Canned.assignment(
      "A1042", held: true, reason: "stuck", priority: "urgent", late: 2,
      extra: "\"forced\":\"late series\",\"nextAttempt\":\"2026-11-23T07:40:00.000Z\",")
    let details = try AssignmentDetails(fields(Canned.details(assignment)))
    expectText(
      AssignmentText.render(details, Console()),
      """
      Assignment    A1042
      Kind          review, primary
      Examination   SECTRA/S0001
      Referral      R77
      Recipient     Evidia > CT (evidia-ct)
      Destination   evidia
      Priority      urgent
      Phase         transferring
      DICOM         3/10
      HL7           0/4
      Answer        none
      Held          yes: `syncctl release A1042` lets it go on
      Reason        no answer (stuck)
      Who mends it  the recipient
      Next attempt  2026-11-23 08:40:00
      Forced        late series
      Late images   2 images: `syncctl supplement A1042` sends them
      List          tmc
      Flag          TMC
      Care unit     SE0000000000-E000000000001
      Modality      CT
      Description   CT thorax
      Study UID     1.2.752.1
      Ordered       2026-11-23 08:00:00 by anna
      Changed       2026-11-23 08:10:00

      DICOM
      ID  EXAMINATION    STUDY UID  PATH                 CREATED              CHANGED                         DONE  STATE    ATTEMPTS  NEXT  REASON
      #7  S0001          1.2.752.1  VGRSURT0 > AHEIPACS  2026-11-23 08:00:00  2026-11-23 08:10:00             3/10  running         1  -
      #8  S0000 (prior)  -          VGRSURT0 > AHEIPACS  2026-11-23 08:00:00  2026-11-23 08:05:00  1/2 (1 refused)  failed          5  -     A900 \u{FFFD}[31mdata set

      HL7
      ID   DIRECTION    FLAG    RESULT   KIND         UNIT  PRIORITY  ACTIVITY   STATE    ATTEMPTS  NEXT                 REASON
      #21  ORIGIN       AA_ACK  SUCCESS  ORM lock     SE01  URGENT    C-Primary  done            1  -
      #22  DESTINATION  -       -        ORM forward  SE02  URGENT    -          waiting         2  2026-11-23 08:40:00  connection refused

      Differences
      EXAMINATION  OBJECT       SOURCE  ARCHIVE  SENT  WHY
      S0001        1.2.752.1.5  yes     yes      no    came after the transfer
      and 2 more

      History
      TIME                 EVENT    DETAIL
      2026-11-23 08:00:00  ordered  by anna

      """)
    let coloured = AssignmentText.render(details, Console(coloured: true))
    #expect(coloured.contains("\u{1B}[33m3/10\u{1B}[0m"))
    #expect(coloured.contains("\u{1B}[31mfailed\u{1B}[0m"))
    // Only our own sequences: each is one of the colours, or their end.
    for part in coloured.split(separator: "\u{1B}").dropFirst() {
      #expect(["[0m", "[1m", "[31m", "[32m", "[33m"].contains { part.hasPrefix($0) })
    }
  }

  @Test("a light that is not known is never green, and nothing to do has no number")
  func lights() {
    #expect(SentColumn.light("green", 3, 3) == Cell("3/3", .green))
    #expect(SentColumn.light("from_the_future", 3, 3).colour == .red)
    #expect(SentColumn.light("none", 0, 0) == Cell("-"))
    #expect(AssignmentText.colour(state: "from_the_future") == .red)
  }

  @Test("a tree loses nobody: unknown parents stand at the top, and circles end")
  func tree() throws {
    func tree(_ all: [(String, String?)]) throws -> [String] {
      let recipients = try all.map {
        try RecipientReply(fields(Canned.recipient($0.0, $0.0, parent: $0.1)))
      }
      return RecipientsCommand.tree(recipients).map { "\($0.0)\($0.1.id)" }
    }
    #expect(
      try tree([("c", "b"), ("a", nil), ("b", "a"), ("d", "a"), ("x", "gone")])
        == ["0a", "1b", "2c", "1d", "0x"])
    #expect(
      try tree([("a", "b"), ("b", "a"), ("s", "s"), ("t", nil)]) == ["0t", "0a", "1b", "0s"])
  }

  @Test("destinations that are down, closed or not tried say so")
  func destinations() throws {
    func state(_ text: String) throws -> Cell {
      DestinationsCommand.row(try DestinationReply(fields(text)), now: .now)[3]
    }
    #expect(try state(Canned.destination("a")) == Cell("up", .green))
    #expect(try state(Canned.destination("a", reachable: "false")) == Cell("down", .red))
    #expect(try state(Canned.destination("a", reachable: "null")) == Cell("not tried"))
    #expect(try state(Canned.destination("a", open: false)) == Cell("closed", .orange))
    #expect(
      try state(Canned.destination("a", reachable: "false", paused: true))
        == Cell("paused", .orange))
  }

  @Test("what the daemon says was done is not said twice, and is not said of a dry run")
  func actionLines() throws {
    func line(_ text: String, done: Bool = true, dry: Bool = false) throws -> String {
      let reply = Canned.result("A1", done: done, text: text)
      return ActionCommand.line(
        try ActionReply(fields(reply)), .hold, isDry: dry, coloured: false)
    }
    #expect(try line("held: nothing starts") == "A1 SA1: held: nothing starts\n")
    #expect(try line("held", dry: true) == "A1 SA1: would be held\n")
    #expect(try line("") == "A1 SA1: held\n")
    #expect(try line("2 jobs") == "A1 SA1: held: 2 jobs\n")
    #expect(try line("held already", done: false) == "A1 SA1: not held: held already\n")
    let unknown = try ActionReply(
      fields("{\"id\":\"A7\",\"number\":\"\",\"done\":false,\"text\":\"\\u001b[2J\"}"))
    #expect(
      ActionCommand.line(unknown, .hold, isDry: false, coloured: false)
        == "A7: not held: \u{FFFD}[2J\n")
  }

  @Test("spans that no ladder has are a question mark, not a crash")
  func explain() throws {
    for at in ["-1", "1e300"] {
      let reply = try fields(
        "{\"ladder\":\"\",\"attempts\":[{\"number\":1,\"after\":\"0s\",\"at\":\(at)}],"
          + "\"watchdog\":\"4h\",\"text\":[]}")
      let text = try ExplainCommand.text("x", reply, Console())
      #expect(text.hasPrefix("x: retry none, watchdog 4h\n"))
      #expect(text.hasSuffix("?\n"))
    }
  }

  @Test("text of several lines keeps them and nothing else that controls")
  func shownLines() {
    #expect("a\r\nb\n\n".shownLines == "a\nb\n")
    #expect("a\u{202E}\rb".shownLines == "a\u{FFFD}\u{FFFD}b\n")
    #expect("".shownLines == "")
  }

  @Test("every filter of the send list becomes its parameter, times in UTC")
  func filter() throws {
    let invocation = try Invocation.parse([
      "sent", "--to", "tmc", "--number", "S1,S2", "--system", "SECTRA", "--phase",
      "sent,answered", "--flag", "TMC", "--priority", "stat", "--text", "77", "--state",
      "active", "--held", "--since", "2026-11-23 08:30", "--until", "1h",
    ])
    let found = AssignmentFilter.parameters(
      invocation, state: "all", now: WallTime(rfc3339: "2026-11-23T12:00:00Z")!)
    let wanted = try JSONValue.parse(
      """
      {"recipients":["tmc"],"numbers":["S1","S2"],"systems":["SECTRA"],
      "phases":["sent","answered"],"flags":["TMC"],"priorities":["stat"],"text":"77",
      "state":"active","held":true,"orderedSince":"2026-11-23T07:30:00.000Z",
      "orderedUntil":"2026-11-23T11:00:00.000Z"}
      """)
    #expect(JSONValue.object(found) == wanted)
    let description = try InterfaceDescription(DeliveryInterface.description)
    try description.check(
      ["filter": wanted], against: #require(description.methods["ListAssignments"]).input)
  }

  @Test("the words of the options are those of the interface")
  func words() throws {
    let text = DeliveryInterface.description
    for phase in CommandTable.phases { #expect(text.contains(" \(phase)")) }
    let description = try InterfaceDescription(text)
    let input = try #require(description.methods["ListAssignments"]).input
    for state in CommandTable.states {
      try description.check(["filter": ["state": .string(state)]], against: input)
    }
    try description.check(
      ["filter": ["phases": JSONValue(CommandTable.phases)]], against: input)
    #expect(throws: (any Error).self) {
      try description.check(["filter": ["phases": ["nonsense"]]], against: input)
    }
    #expect(CommandTable.priorities == Priority.allCases.map { "\($0)" })
  }
}
