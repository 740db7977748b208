import Platform

/// What a command line asks for.
struct Invocation: Equatable {
  var command: Command
  var operands: [String] = []
  /// By long name; a switch has one empty value.
  var values: [String: [String]] = [:]

  func has(_ option: String) -> Bool { values[option] != nil }

  /// The last one given counts.
  func value(_ option: String) -> String? { values[option]?.last }

  /// Every value of an option that may be repeated or separated by commas.
  func list(_ option: String) -> [String]? {
    values[option]?.flatMap {
      $0.split(separator: ",").map(String.init)
    }
  }

  func duration(_ option: String) -> Duration? { value(option).flatMap { TimeText.duration($0) } }

  func integer(_ option: String) -> Int? { value(option).flatMap { Int($0) } }

  /// Reads a command line, without the program's name.
  static func parse(_ arguments: [String]) throws(Failure) -> Invocation {
    var command: String?
    return try parse(arguments, command: &command)
  }

  /// The same; tells which command was meant also where the rest is refused.
  static func parse(
    _ arguments: [String], command: inout String?
  ) throws(Failure) -> Invocation {
    var parser = Parser(rest: arguments[...])
    defer { command = parser.command?.name }
    return try parser.parse()
  }
}

/// Reads the arguments from left to right by the command table.
private struct Parser {
  var rest: ArraySlice<String>
  var words: [String] = []
  var command: Command?
  var values: [String: [String]] = [:]
  var operands: [String] = []

  mutating func parse() throws(Failure) -> Invocation {
    var onlyOperands = false
    while let argument = rest.popFirst() {
      if onlyOperands || argument == "-" || !argument.hasPrefix("-") {
        try takeWord(argument, canBeCommand: !onlyOperands)
      } else if argument == "--" {
        onlyOperands = true
      } else if argument.hasPrefix("--") {
        try takeLong(argument.dropFirst(2))
      } else {
        try takeShort(argument.dropFirst())
      }
    }
    guard let command else {
      if values["help"] != nil || values["version"] != nil || words.isEmpty {
        return try withoutCommand()
      }
      let group = words[0]
      if values["help"] != nil { return helping(words) }
      throw Failure(
        .usage, "\"\(group)\" needs a second word",
        advice: CommandTable.secondWords(after: group).map { "syncctl \(group) \($0)" })
    }
    if values["help"] != nil { return helping(command.words) }
    if values["version"] != nil, command.name != "version" { return versionOnly() }
    try checkOperands(command)
    return Invocation(command: command, operands: operands, values: values)
  }

  private func helping(_ words: [String]) -> Invocation {
    Invocation(
      command: CommandTable.command("help")!, operands: words,
      values: values.filter { $0.key == "json" })
  }

  private func versionOnly() -> Invocation {
    Invocation(
      command: CommandTable.command("version")!, operands: [],
      values: values.filter { $0.key == "json" || $0.key == "version" })
  }

  private func withoutCommand() throws(Failure) -> Invocation {
    if values["help"] != nil { return helping(words) }
    if values["version"] != nil { return versionOnly() }
    throw Failure(
      .usage, "a command is missing", advice: ["`syncctl help` lists the commands."])
  }

  private mutating func takeWord(_ word: String, canBeCommand: Bool) throws(Failure) {
    if command != nil {
      if canBeCommand, let longer = longerCommand(word) {
        words.append(word)
        command = longer
        return
      }
      operands.append(word)
      return
    }
    words.append(word)
    if let found = CommandTable.command(words.joined(separator: " ")) {
      command = found
      return
    }
    if words.count == 1 {
      guard CommandTable.secondWords(after: word).isEmpty else { return }
      throw Failure(
        .usage, "unknown command \"\(word.shown)\"",
        advice: Suggestion.advice(for: word, among: CommandTable.firstWords)
          + ["`syncctl help` lists the commands."])
    }
    throw Failure(
      .usage, "unknown command \"\(words[0]) \(word.shown)\"",
      advice: Suggestion.advice(
        for: word, among: CommandTable.secondWords(after: words[0]), prefix: words[0] + " ")
        + ["`syncctl help` lists the commands."])
  }

  /// `retry` is a command, and so is `retry explain`: the first operand may be a second word,
  /// unless an option of the shorter command has been given.
  private func longerCommand(_ word: String) -> Command? {
    guard words.count == 1, operands.isEmpty,
      let longer = CommandTable.command("\(words[0]) \(word)")
    else { return nil }
    let fitting = Set((longer.options + CommandTable.global).map(\.long))
    return fitting.isSuperset(of: values.keys) ? longer : nil
  }

  private var known: [Option] { (command?.options ?? []) + CommandTable.global }

  private var helpHint: String {
    command.map { "`syncctl help \($0.name)` explains it." } ?? "`syncctl help` lists the options."
  }

  private mutating func takeLong(_ text: Substring) throws(Failure) {
    let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
    let name = String(parts[0])
    guard let option = known.first(where: { $0.long == name }) else {
      if command == nil,
        let owner = CommandTable.commands.first(where: { owner in
          owner.options.contains { $0.long == name }
        })
      {
        throw Failure(
          .usage, "--\(name) belongs to a command and goes after it",
          advice: ["As in: syncctl \(owner.name) --\(name)"])
      }
      let where_ = command.map { " for \"\($0.name)\"" } ?? ""
      throw Failure(
        .usage, "unknown option --\(name.shown)\(where_)",
        advice: Suggestion.advice(for: name, among: known.map(\.long), prefix: "--") + [helpHint])
    }
    try take(option, attached: parts.count == 2 ? String(parts[1]) : nil)
  }

  private mutating func takeShort(_ text: Substring) throws(Failure) {
    var letters = text
    while let letter = letters.popFirst() {
      guard let option = known.first(where: { $0.short == letter }) else {
        throw Failure(
          .usage, "unknown option -\(String(letter).shown)",
          advice: Suggestion.advice(for: String(text), among: known.map(\.long), prefix: "--")
            + [helpHint])
      }
      if option.value != nil, !letters.isEmpty {
        try take(option, attached: String(letters))
        return
      }
      try take(option, attached: nil)
    }
  }

  private mutating func take(_ option: Option, attached: String?) throws(Failure) {
    guard let kind = option.value else {
      guard attached == nil else {
        throw Failure(.usage, "--\(option.long) takes no value", advice: [helpHint])
      }
      values[option.long] = [""]
      return
    }
    guard let value = attached ?? rest.popFirst() else {
      throw Failure(
        .usage, "--\(option.long) needs a value: \(option.signature)", advice: [helpHint])
    }
    try check(value, kind, option)
    values[option.long, default: []].append(value)
  }

  private func check(
    _ value: String, _ kind: Option.Value, _ option: Option
  ) throws(Failure) {
    func wrong(_ what: String, _ advice: [String] = []) -> Failure {
      Failure(
        .usage, "--\(option.long): \"\(value.shown)\" is not \(what)",
        advice: advice + [helpHint])
    }
    if value.isEmpty { throw wrong("a value: it is empty") }
    switch kind {
    case .text, .file: break
    case .texts:
      if value.split(separator: ",").isEmpty { throw wrong("a value") }
    case .choice(_, let words):
      guard words.contains(value) else { throw wrongWord(value, words, wrong) }
    case .choices(_, let words):
      let given = value.split(separator: ",").map(String.init)
      if given.isEmpty { throw wrong("a value") }
      for word in given where !words.contains(word) {
        throw Failure(
          .usage, "--\(option.long): \"\(word.shown)\" is not one of its values",
          advice: Suggestion.advice(for: word, among: words)
            + ["Allowed: \(words.joined(separator: ", "))"])
      }
    case .integer(_, let range):
      guard let number = Int(value), range.contains(number) else {
        throw wrong("a whole number from \(range.lowerBound) to \(range.upperBound)")
      }
    case .duration:
      guard TimeText.duration(value) != nil else {
        throw wrong("a duration", ["Write it as 30s, 5m or 1h30m."])
      }
    case .time:
      guard TimeText.time(value, now: .now) != nil else {
        throw wrong(
          "a time", ["Write it as 2026-11-23, '2026-11-23 08:30', 08:30, today, yesterday or 2h."])
      }
    }
  }

  private func wrongWord(
    _ value: String, _ words: [String], _ wrong: (String, [String]) -> Failure
  ) -> Failure {
    wrong(
      "one of \(words.joined(separator: ", "))", Suggestion.advice(for: value, among: words))
  }

  private func checkOperands(_ command: Command) throws(Failure) {
    let hint = ["Usage: " + Help.usage(of: command)]
    guard let operand = command.operand else {
      if let extra = operands.first {
        throw Failure(
          .usage, "\"\(command.name)\" takes no argument: \"\(extra.shown)\"", advice: hint)
      }
      return
    }
    switch operand.count {
    case .any: break
    case .some, .one:
      if operands.isEmpty {
        throw Failure(.usage, "\"\(command.name)\" needs \(operand.name)", advice: hint)
      }
      fallthrough
    case .optional:
      if operand.count != .some, operands.count > 1 {
        throw Failure(
          .usage, "\"\(command.name)\" takes one \(operand.name): \"\(operands[1].shown)\"",
          advice: hint)
      }
    }
    if let empty = operands.first(where: \.isEmpty) {
      throw Failure(.usage, "\(operand.name) is empty: \"\(empty)\"", advice: hint)
    }
    if case .words(let words) = operand.kind {
      for word in operands where !words.contains(word) {
        throw Failure(
          .usage, "\"\(word.shown)\" is not one of \(words.joined(separator: ", "))",
          advice: Suggestion.advice(for: word, among: words) + hint)
      }
    }
  }
}
