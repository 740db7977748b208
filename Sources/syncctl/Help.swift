/// The help, made from the command table.
enum Help {
  static func usage(of command: Command, gap: String = " ") -> String {
    var words = ["syncctl", command.name]
    words += command.options.map { "[\($0.signature)]".replacing(" ", with: gap) }
    if let operand = command.operand { words.append(operand.signature) }
    return words.joined(separator: " ")
  }

  static func overview() -> String {
    var text = """
      syncctl - the administrator's hand on syncd, which keeps collaboration flags, images and
      the archive in step (Samverkan).

      Usage: syncctl [OPTIONS] COMMAND ...

      Commands:

      """
    text += columns(CommandTable.commands.map { ($0.name, $0.summary) })
    text += "\nOptions of every command:\n"
    text += options(CommandTable.global)
    text += "\nExit status:\n"
    text += columns(ExitCode.allCases.map { ("\($0.rawValue)", $0.meaning) })
    text += "\n`syncctl help COMMAND` explains one command; the manual is syncctl(1).\n"
    return text
  }

  /// The help of one command, or of a group such as `config`.
  static func text(for words: [String]) throws(Failure) -> String {
    if words.isEmpty { return overview() }
    if let command = CommandTable.command(words.joined(separator: " ")) { return text(of: command) }
    if words.count == 1 {
      let seconds = CommandTable.secondWords(after: words[0])
      if !seconds.isEmpty {
        return seconds.compactMap { CommandTable.command("\(words[0]) \($0)") }
          .map(text(of:)).joined(separator: "\n")
      }
    }
    throw Failure(
      .usage, "no help for \"\(words.joined(separator: " ").shown)\": unknown command",
      advice: Suggestion.advice(
        for: words.joined(separator: " "), among: CommandTable.commands.map(\.name))
        + ["`syncctl help` lists the commands."])
  }

  static func text(of command: Command) -> String {
    var text = "\(command.summary)\n\nUsage:\n"
    // An option and its value stay on one line.
    let usage = "syncctl [OPTIONS] " + usage(of: command, gap: "\u{A0}").dropFirst(8)
    text += wrap(usage, indent: 2, hanging: 6).replacing("\u{A0}", with: " ")
    for paragraph in command.details { text += "\n" + wrap(paragraph) }
    if !command.options.isEmpty {
      text += "\nOptions:\n" + options(command.options)
    }
    let allowed = command.options.compactMap(\.value).filter { !$0.words.isEmpty }
    for value in allowed {
      text +=
        "\n" + wrap("\(value.placeholder): \(value.words.joined(separator: ", "))", hanging: 2)
    }
    text += "\nOptions of every command:\n" + options(CommandTable.global)
    if !command.examples.isEmpty {
      text += "\nExamples:\n" + command.examples.map { "  \($0)\n" }.joined()
    }
    return text
  }

  private static func options(_ options: [Option]) -> String {
    columns(
      options.map { option in
        let short = option.short.map { "-\($0), " } ?? "    "
        return (short + option.signature, option.help)
      })
  }

  /// Two columns, the right one wrapped at 80.
  private static func columns(_ rows: [(String, String)]) -> String {
    let width = min(28, (rows.map(\.0.count).max() ?? 0) + 2)
    var text = ""
    for (left, right) in rows {
      let hanging = String(repeating: " ", count: width + 2)
      let wrapped = wrap(right, width: 78 - width - 2).split(separator: "\n")
      if left.count > width - 2 {
        text += "  \(left)\n"
        text += wrapped.map { hanging + $0 + "\n" }.joined()
      } else {
        for (index, line) in wrapped.enumerated() {
          text += (index == 0 ? "  " + left.padded(to: width) : hanging) + line + "\n"
        }
      }
    }
    return text
  }

  private static func wrap(
    _ paragraph: String, width: Int = 78, indent: Int = 0, hanging: Int? = nil
  ) -> String {
    var lines: [String] = []
    var line = String(repeating: " ", count: indent)
    var isEmpty = true
    for word in paragraph.split(separator: " ") {
      if !isEmpty, line.count + 1 + word.count > width {
        lines.append(line)
        line = String(repeating: " ", count: hanging ?? indent)
        isEmpty = true
      }
      if !isEmpty { line += " " }
      line += word
      isEmpty = false
    }
    lines.append(line)
    return lines.joined(separator: "\n") + "\n"
  }
}
