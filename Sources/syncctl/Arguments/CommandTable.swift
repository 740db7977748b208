import SyncCore

/// Every command and option of syncctl. Parsing, help and completion are made from this table,
/// so they cannot differ.
enum CommandTable {
  static let global: [Option] = [
    Option(
      "socket", .file("PATH"),
      "Where syncd listens (\(Sockets.defaultControl); or the environment's SYNCCTL_SOCKET)."),
    Option(
      "json", nil,
      "JSON instead of text: one object, or one a line for lists. Errors too. Times in UTC."),
    Option(
      "timeout", .duration("DURATION"),
      "How long to wait for an answer (10s), or for the end with --wait (10m) or --images (1h)."),
    Option("quiet", short: "q", nil, "Say nothing but errors."),
    Option(
      "on-behalf-of", .text("WHO"),
      "Whom you act for; recorded in the access log beside your own user name."),
    Option(
      "color", .choice("WHEN", ["auto", "always", "never"]),
      "Colours: on a terminal (auto, unless NO_COLOR is set), always or never."),
    Option("help", short: "h", nil, "Explain a command. Needs no running syncd."),
    Option("version", short: "V", nil, "Show syncctl's own version. Needs no running syncd."),
  ]

  static let imageStates = ImageState.allCases.map(\.rawValue)
  static let statuses = ExaminationStatus.allCases.map(\.rawValue)

  static let commands = synchronising + delivery + peers + administering

  private static let planLimit = Option(
    "limit", short: "n", .integer("COUNT", 1...1_000_000),
    "At most so many changes (1000; all as JSON). They are counted all the same.")

  /// Lists, flags and images.
  private static let synchronising: [Command] = [
    Command(
      "sync", "Synchronise lists and flags now (Starta synkning).",
      operand: .init("LIST", .any),
      options: [
        Option("wait", short: "w", nil, "Follow the synchronisation until it has ended."),
        Option("images", nil, "Wait until fetching of images has settled as well."),
      ],
      details: [
        "Joins a synchronisation that has not begun to read, or else starts one that follows the"
          + " running one. Without LIST all lists are read.",
        "With --wait or --images the progress is shown: lists read, flags set and cleared, images"
          + " n/m. Ctrl-C, or the time given with --timeout, ends the following; the"
          + " synchronisation goes on. Exit status 6 says that some lists failed, that flags"
          + " could not be written or, with --images, that not all images are complete.",
      ],
      examples: ["syncctl sync", "syncctl sync teleconsult --wait", "syncctl sync --images"]),
    Command(
      "status", "How syncd is: lists, images, peers, alarms.",
      options: [Option("follow", short: "f", nil, "Show it again at every change, until Ctrl-C.")],
      details: [
        "The answer is a snapshot; syncd gives it at once, also when it is busy. Names no"
          + " examination, so members of the monitoring group may use it."
      ],
      examples: ["syncctl status", "syncctl status --json | jq .lists"]),
    Command(
      "list", "The worklist: flagged examinations and their images (Arbetslistan).",
      options: [
        Option("list", .texts("LIST"), "Only examinations on these lists."),
        Option("system", .texts("SYSTEM"), "Only these systems, such as SECTRA."),
        Option("flag", .texts("FLAG"), "Only these flags (Samverkansflagga)."),
        Option("status", .choices("STATUS", statuses), "Only these examination statuses."),
        Option(
          "images", .choices("STATE", imageStates), "Only these states of the images (Bildikon)."),
        Option("number", .texts("NUMBER"), "Only these examination numbers (US-nummer)."),
        Option(
          "text", .text("TEXT"), "Part of the number, the referral (Remissnummer) or a study UID."),
        Option("held", nil, "Only examinations whose images are held back until a person looks."),
        Option("since", .time("TIME"), "Changed at or after this time."),
        Option("until", .time("TIME"), "Changed before this time."),
        Option(
          "columns", .choices("COLUMN", WorklistColumn.allCases.map(\.rawValue)),
          "Which columns to show, in this order."),
        Option("limit", short: "n", .integer("COUNT", 1...1_000_000), "At most so many rows."),
      ],
      details: [
        "Every filter given must hold; of several values for one filter, any. Values are separated"
          + " by commas, or the option is repeated.",
        "IMAGES shows how many of the images the archive holds: orange while they are being"
          + " fetched, green when complete, red when somebody must act; `syncctl show` says who.",
        "TIME is local: 2026-11-23, '2026-11-23 08:30', 08:30, today, yesterday, or how long ago:"
          + " 30m, 2h, 7d. RFC 3339 with a zone is taken as written.",
      ],
      examples: [
        "syncctl list --list tmc --images partial,none",
        "syncctl list --since 2h --columns system,number,images,reason",
        "syncctl list --json | jq -r 'select(.held) | .number'",
      ]),
    Command(
      "show", "One examination or assignment (Uppdrag), with its history.",
      operand: .init("ID", .some),
      options: [
        Option("system", .text("SYSTEM"), "The system, where several have the same number."),
        Option("assignment", nil, "ID is an assignment, whatever it looks like."),
        Option("examination", nil, "ID is an examination, whatever it looks like."),
      ],
      details: [
        "ID is an examination number (US-nummer), or SYSTEM/NUMBER; or an assignment: the letter A"
          + " and digits, as `syncctl sent` shows it. `-` reads ids from standard input, one a"
          + " line.",
        "Of an examination: flag, status, images. Of an assignment: its DICOM and HL7 jobs, and"
          + " objects that are not in all three places: the source, the archive and the recipient.",
      ],
      examples: [
        "syncctl show SECTRA/SEVG0000123456", "syncctl show SEVG0000123456 --json",
        "syncctl show A1042",
      ]),
    Command(
      "drift", "Flags in the portal that differ from what the lists say.",
      details: [
        "clear, set: a write that does not stick. foreign: flagged by somebody else and on no list;"
          + " left alone. conflict: claimed by several lists; not written until one lets go."
      ]),
    Command(
      "plan", "What the next synchronisations would change, without changing it.",
      operand: .init("LIST", .any),
      options: [
        planLimit,
        Option("detailed-exitcode", nil, "Exit status 10 when something would be changed."),
      ],
      details: [
        "Reads the lists (without LIST, all) and the portal now, once, and decides as a"
          + " synchronisation would. Nothing is written, and no absence is counted.",
        "+ set, ~ replace, - clear; ? absent, and cleared once it has been absent often enough;"
          + " ! not now: held by the brake or since rows cannot be used, waiting for its next try,"
          + " claimed by several lists, or flagged by others.",
        "Exit status 1 says that no list, or not the portal, could be read; 6 that some lists"
          + " could not. With --detailed-exitcode it is 10 when something would be set, replaced or"
          + " cleared, now or once it is due; what is held for a person or left alone is no change.",
        "JSON: an object for each list, with the member \"list\"; one for each change, with"
          + " \"action\"; and at the end one with \"counts\", of all changes.",
      ],
      examples: [
        "syncctl plan", "syncctl plan tmc --limit 50",
        "syncctl plan --json | jq -r 'select(.action == \"clear\") | .number'",
      ]),
    Command(
      "list-source test", "Read one list now, without effect, and say what is there.",
      operand: .init("LIST", .one),
      options: [planLimit],
      details: [
        "Shows where the list is read, what proves that it is whole, rows that cannot be used or"
          + " are not ours, words for a status that [statuses] does not explain, the first few rows"
          + " as they are understood, and what the list would change (see `syncctl plan`). Exit"
          + " status 1 when it cannot be relied upon, with the reason."
      ],
      examples: ["syncctl list-source test teleconsult"]),
    Command(
      "approve", "Let the held clears of a list go ahead, once.",
      operand: .init("LIST", .one),
      options: [Option("yes", short: "y", nil, "Do not ask.")],
      details: [
        "A list that suddenly is empty, or that would lose many of its flags at once, is held back"
          + " until a person has looked. This shows what is held, asks, and lets just that go"
          + " ahead; if more is held by then, nothing is done. Without a terminal --yes is needed."
      ],
      examples: ["syncctl approve teleconsult", "syncctl approve tmc --yes --on-behalf-of anna"]),
    Command(
      "retry", "Make the waiting retries of examinations due at once.",
      operand: .init("ID", .some),
      options: [
        Option("system", .text("SYSTEM"), "The system, where several have the same number.")
      ],
      details: [
        "ID is an examination number (US-nummer), or SYSTEM/NUMBER. `-` reads ids from standard"
          + " input, one a line. One that fails does not stop the others; the exit status is then"
          + " 6, or that of the failure if all failed. What `retry explain` is about are the"
          + " attempts at a destination; `syncctl resend` sends again what has failed."
      ],
      examples: [
        "syncctl retry SECTRA/SEVG0000123456",
        "syncctl list --images partial --json | jq -r '.system+\"/\"+.number' | syncctl retry -",
      ]),
  ]

  /// The daemon itself, and syncctl's own.
  private static let administering: [Command] = [
    Command(
      "check", "One line for a monitoring system, with performance data.",
      details: [
        "Follows the convention of monitoring plugins: exit status 0 OK, 1 WARNING, 2 CRITICAL,"
          + " 3 UNKNOWN. A syncd that does not run or does not answer is CRITICAL; no access is"
          + " UNKNOWN, never OK. Uses the monitor socket, which carries no patient data; the user"
          + " that checks needs to be in the group syncd-monitor only."
      ],
      examples: ["syncctl check --timeout 5s"]),
    Command(
      "config check", "Check a configuration file. Needs no running syncd.",
      operand: .init("FILE", .optional, .file),
      details: [
        "Shows every error with its file, line and column. FILE is"
          + " \(ConfigurationFile.defaultPath) unless given."
      ],
      examples: ["syncctl config check ./syncd.toml && sudo syncctl reload"]),
    Command(
      "config show", "The configuration in force, secrets masked.",
      options: [
        Option("default", nil, "The built-in defaults instead. Needs no running syncd.")
      ]),
    Command(
      "reload", "Read the configuration file again.",
      details: [
        "The same as SIGHUP. Says what was applied and what takes a restart. An invalid file"
          + " changes nothing: its errors are shown and the old configuration stays in force."
      ]),
    Command("ping", "Ask whether syncd answers."),
    Command(
      "version", "The versions of syncctl and of the running syncd.",
      details: [
        "Exit status 7 says that the running syncd lacks something this syncctl uses: restart it"
          + " after an upgrade. `syncctl --version` asks nobody."
      ]),
    Command(
      "completion", "A completion script for a shell. Needs no running syncd.",
      operand: .init("SHELL", .one, .words(["bash", "zsh", "fish"])),
      examples: [
        "source <(syncctl completion bash)",
        "syncctl completion zsh > ~/.zfunc/_syncctl",
        "syncctl completion fish > ~/.config/fish/completions/syncctl.fish",
      ]),
    Command(
      "help", "Explain a command. Needs no running syncd.",
      operand: .init("COMMAND", .any, .command)),
  ]

  static func command(_ name: String) -> Command? { commands.first { $0.name == name } }

  /// What a first word is about, also where it is no command by itself.
  static func summary(of word: String) -> String {
    switch word {
    case "config": "Check or show the configuration."
    case "dest": "List, pause or resume destinations."
    case "list-source": "Test where a list is read."
    case "peer": "List or probe peers."
    default: command(word)?.summary ?? ""
    }
  }

  /// The words that may come first.
  static var firstWords: [String] {
    var words: [String] = []
    for command in commands where !words.contains(command.words[0]) {
      words.append(command.words[0])
    }
    return words
  }

  /// The words that may follow a first word: `config` has `check` and `show`.
  static func secondWords(after first: String) -> [String] {
    commands.filter { $0.words.count == 2 && $0.words[0] == first }.map { $0.words[1] }
  }
}
