import SyncCore

extension CommandTable {
  static let states = ["active", "failed", "ended", "all"]
  static let priorities = ["routine", "urgent", "stat"]
  static let phases = [
    "transferring", "locking", "forwarding", "sent", "answering", "releasing", "answered",
    "cancelling", "cancelled", "failed",
  ]

  /// Which assignments: the same for the send list and for what is done with `--all`.
  static let assignmentFilters: [Option] = [
    Option("to", .texts("RECIPIENT"), "Only these recipients; `syncctl recipients` lists them."),
    Option("number", .texts("NUMBER"), "Only these examination numbers (US-nummer)."),
    Option("system", .texts("SYSTEM"), "Only these systems, such as SECTRA."),
    Option("phase", .choices("PHASE", phases), "Only assignments in these phases."),
    Option("flag", .texts("FLAG"), "Only these flags (Samverkansflagga)."),
    Option("priority", .choices("PRIORITY", priorities), "Only these priorities."),
    Option(
      "text", .text("TEXT"), "Part of the number, the referral (Remissnummer) or a study UID."),
    Option("state", .choice("STATE", states), "Not ended, failed, ended, or all of them."),
    Option("held", nil, "Only assignments that are held."),
    Option("since", .time("TIME"), "Ordered at or after this time."),
    Option("until", .time("TIME"), "Ordered before this time."),
  ]

  private static let dryRun = Option("dry-run", nil, "Only say what would be done.")

  private static let filterDetails = [
    "Every filter given must hold; of several values for one filter, any. Values are separated"
      + " by commas, or the option is repeated.",
    "TIME is local: 2026-11-23, '2026-11-23 08:30', 08:30, today, yesterday, or how long ago:"
      + " 30m, 2h, 7d. RFC 3339 with a zone is taken as written.",
  ]

  private static func action(
    _ name: String, _ summary: String, _ detail: String, examples: [String]
  ) -> Command {
    Command(
      name, summary, operand: .init("ID", .any),
      options: [
        Option("all", nil, "All assignments that the filters name, instead of ids."),
        Option("yes", short: "y", nil, "Do not ask. Only --all asks."), dryRun,
      ] + assignmentFilters,
      details: [
        detail,
        "ID is an assignment as `syncctl sent` shows it; `-` reads ids from standard input, one a"
          + " line. With --all the assignments are shown first and asked about; just those are"
          + " acted on. Without a terminal --yes is needed. The exit status is 6 if it was done"
          + " for some only, and 1 if for none.",
      ],
      examples: examples)
  }

  /// Sending: assignments, destinations and recipients.
  static let delivery: [Command] = [
    Command(
      "send", "Send examinations to a reviewer (Sänd).",
      operand: .init("NUMBER", .some),
      options: [
        Option("to", .text("RECIPIENT"), "Whom to send to; needed, there is no default."),
        Option("system", .text("SYSTEM"), "The system, where several have the same number."),
        Option(
          "kind", .choice("KIND", ["review", "referral-move"]),
          "A review (usual), or a move of the referral: messages without images."),
        Option(
          "review", .choice("REVIEW", ["primary", "second-reading"]),
          "Type of review (Uppdragstyp): primary (usual), or second reading (Dubbelgranskning)."),
        Option(
          "priority", .choice("PRIORITY", priorities),
          "Rutin, Brådskande or Akut."),
        Option("message", .text("TEXT"), "A message to the recipient. Goes into no log."),
        Option("message-file", .file("FILE"), "The same, read from a file in UTF-8."),
        Option(
          "prior", .texts("NUMBER"), "A comparison examination (jämförande) that goes along."),
        Option(
          "prior-report", .text("NUMBER=FILE"),
          "The same, with the text of its report from a file in UTF-8."),
        Option("force", .text("REASON"), "Send although images are not complete; recorded."),
        Option(
          "recipient-notified", nil,
          "The recipient knows that what was recalled comes again."),
        dryRun,
      ],
      details: [
        "The lists that the examinations are on are read anew first. Each is then accepted, and"
          + " gets an assignment (Uppdrag), or refused, with every rule it breaks and what would"
          + " satisfy it. The exit status is 0 if all were accepted, 6 if some, 1 if none.",
        "NUMBER is an examination number (US-nummer), or SYSTEM/NUMBER. `-` reads them from"
          + " standard input, one a line. --prior and --prior-report may be repeated and take"
          + " SYSTEM/NUMBER too; they go along with every examination that is named. The answer is"
          + " waited for one minute, unless --timeout says otherwise.",
      ],
      examples: [
        "syncctl send SECTRA/SEVG0000123456 --to tmc",
        "syncctl send SEVG0000123456 --to tmc --priority stat --prior SEVG0000111111 --dry-run",
        "syncctl list --list tmc --json | jq -r .number | syncctl send - --to tmc",
      ]),
    Command(
      "sent", "The send list: assignments, how far they are (Skickatlistan).",
      options: assignmentFilters + [
        Option(
          "columns", .choices("COLUMN", SentColumn.allCases.map(\.rawValue)),
          "Which columns to show, in this order."),
        Option("limit", short: "n", .integer("COUNT", 1...1_000_000), "At most so many rows."),
      ],
      details: [
        "Newest first. DICOM and HL7 show how many of the images and of the messages are done:"
          + " orange in progress, green when all are, red when something has failed. The tick"
          + " says that it is answered or recalled."
      ] + filterDetails,
      examples: [
        "syncctl sent --to tmc --since today",
        "syncctl sent --state active --columns id,number,dicom,hl7,phase,next-attempt",
        "syncctl sent --text SEVG0000123456 --json | jq -r .id",
      ]),
    Command(
      "failed", "Failed assignments, and who can mend them (Felade jobb).",
      details: [
        "Shows nothing when there are none. The exit status is 9 when there are some."
      ],
      examples: ["syncctl failed || syncctl resend --all"]),
    action(
      "resend", "Send again what has failed (Sänd om).",
      "Only the failed parts; what was delivered is left alone. With --all those that have"
        + " failed, unless --state or --phase says otherwise.",
      examples: ["syncctl resend A1042", "syncctl resend --all --to tmc --yes"]),
    action(
      "supplement", "Send images that came after the transfer (Komplettera).",
      "Only images that the recipient has not got. With --all those that have not ended, unless"
        + " --state or --phase says otherwise.",
      examples: ["syncctl supplement A1042"]),
    action(
      "cancel", "Recall assignments (Återta).",
      "Stops what is under way, releases the examination at its origin and cancels the order at"
        + " the recipient. With --all those that have not ended, unless --state or --phase says"
        + " otherwise.",
      examples: [
        "syncctl cancel A1042 --on-behalf-of anna", "syncctl cancel --all --to tmc --dry-run",
      ]),
    action(
      "hold", "Hold assignments: nothing more of them starts.",
      "With --all those that have not ended, unless --state or --phase says otherwise.",
      examples: ["syncctl hold A1042", "syncctl hold --all --to tmc"]),
    action(
      "release", "Let held assignments go on.",
      "With --all those that are held.",
      examples: ["syncctl release A1042", "syncctl release --all --yes"]),
    Command(
      "recipients", "Who can be sent to: the tree of recipients.",
      details: ["The ids are what --to takes. A branch without a destination takes nothing itself."]
    ),
    Command(
      "report", "A trouble report on an assignment, to paste (Felanmälan).",
      operand: .init("ID", .one),
      details: ["Who owns the trouble, the steps tried and when. Names no patient."],
      examples: ["syncctl report A1042 | mail -s A1042 support@example.org"]),
    Command(
      "aside", "Messages that came in and belong to no assignment.",
      options: [
        Option("limit", short: "n", .integer("COUNT", 1...1000), "At most so many; 200 usually.")
      ]),
    Command(
      "dest list", "Destinations: whether they are up, and what waits for them.",
      examples: ["syncctl dest list --json | jq -r 'select(.paused) | .name'"]),
    Command(
      "dest pause", "Start nothing more to a destination.", operand: .init("NAME", .one),
      details: ["What is under way is let to end. Lasts until `syncctl dest resume`."],
      examples: ["syncctl dest pause tmc --on-behalf-of anna"]),
    Command("dest resume", "Let a paused destination go on.", operand: .init("NAME", .one)),
    Command(
      "retry explain", "What happens when an attempt at a destination fails.",
      operand: .init("NAME", .one),
      details: ["NAME is a destination as `syncctl dest list` shows it."],
      examples: ["syncctl retry explain tmc"]),
  ]
}
