/// Completion scripts, made from the command table.
enum Completion {
  static func script(for shell: String) -> String {
    switch shell {
    case "bash": bash()
    case "zsh": zsh()
    default: fish()
    }
  }

  private static func flags(_ options: [Option]) -> [String] {
    options.flatMap { option in
      ["--\(option.long)"] + (option.short.map { ["-\($0)"] } ?? [])
    }
  }

  // MARK: bash

  /// The words after which a value follows, and what completes it.
  private static func bashValues(_ options: [Option]) -> String {
    var cases = ""
    for option in options {
      guard let value = option.value else { continue }
      let names = flags([option]).joined(separator: "|")
      let action =
        switch value {
        case .file: "COMPREPLY=($(compgen -f -- \"$word\"))"
        case .choice(_, let words):
          "COMPREPLY=($(compgen -W \"\(words.joined(separator: " "))\" -- \"$word\"))"
        case .choices(_, let words):
          "_syncctl_several \"$word\" \(words.joined(separator: " "))"
        default: ":"
        }
      cases += "      \(names)) \(action); return ;;\n"
    }
    return cases
  }

  private static func bash() -> String {
    var text = """
      # bash completion for syncctl, made by `syncctl completion bash`.

      # Completes the last of several values that are separated by commas.
      _syncctl_several() {
        local word=$1 before=
        shift
        if [[ $word == *,* ]]; then before=${word%,*},; fi
        COMPREPLY=($(compgen -P "$before" -W "$*" -- "${word##*,}"))
        compopt -o nospace 2>/dev/null
      }

      _syncctl() {
        local word=${COMP_WORDS[COMP_CWORD]} previous= command= index
        local -a line=()
        COMPREPLY=()
        # An equals sign is a word of its own to bash: --color=always comes as three.
        for ((index = 1; index < COMP_CWORD; index++)); do
          [[ ${COMP_WORDS[index]} == = ]] || line+=("${COMP_WORDS[index]}")
        done
        [[ $word == = ]] && word=
        ((${#line[@]})) && previous=${line[-1]}

        for ((index = 0; index < ${#line[@]}; index++)); do
          case ${line[index]} in
            \(flags(CommandTable.global.filter { $0.value != nil }).joined(separator: "|"))) ((++index)) ;;
            -*) ;;
            *)
              command=${line[index]}
              case "$command ${line[index + 1]-}" in
                \(pureGroups.map { "\"\($0) \"*" }.joined(separator: "|"))\
                |\(pairs.map { "\"\($0)\"" }.joined(separator: "|")))
                  command+=" ${line[index + 1]-}" ;;
              esac
              break ;;
          esac
        done

        case $previous in
      \(bashValues(CommandTable.global))  esac

        case $command in

      """
    for command in CommandTable.commands {
      text += "    \"\(command.name)\")\n"
      let values = bashValues(command.options)
      if !values.isEmpty { text += "      case $previous in\n\(values)      esac\n" }
      let all = flags(command.options + CommandTable.global).joined(separator: " ")
      text += "      if [[ $word == -* ]]; then\n"
      text += "        COMPREPLY=($(compgen -W \"\(all)\" -- \"$word\"))\n"
      text += "        return\n      fi\n"
      switch command.operand?.kind {
      case .file: text += "      COMPREPLY=($(compgen -f -- \"$word\"))\n"
      case .command:
        text += "      COMPREPLY=($(compgen -W"
        text += " \"\(CommandTable.firstWords.joined(separator: " "))\" -- \"$word\"))\n"
      case .words(let words):
        text += "      COMPREPLY=($(compgen -W"
        text += " \"\(words.joined(separator: " "))\" -- \"$word\"))\n"
      case .text, nil:
        let seconds = CommandTable.secondWords(after: command.name)
        if !seconds.isEmpty {
          text += "      [[ $previous == \(command.name) ]] && COMPREPLY=($(compgen -W"
          text += " \"\(seconds.joined(separator: " "))\" -- \"$word\"))\n"
        }
      }
      text += "      ;;\n"
    }
    for group in pureGroups {
      text += "    \"\(group) \"*)\n      COMPREPLY=($(compgen -W"
      text += " \"\(CommandTable.secondWords(after: group).joined(separator: " "))\""
      text += " -- \"$word\"))\n      ;;\n"
    }
    let first = CommandTable.firstWords + flags(CommandTable.global)
    text += """
          "")
            COMPREPLY=($(compgen -W "\(first.joined(separator: " "))" -- "$word"))
            ;;
        esac
      }
      complete -F _syncctl syncctl

      """
    return text
  }

  /// First words that are no command by themselves.
  private static var pureGroups: [String] {
    CommandTable.firstWords.filter { CommandTable.command($0) == nil }
  }

  private static var pairs: [String] {
    CommandTable.commands.map(\.name).filter { $0.contains(" ") }
  }

  // MARK: zsh

  private static func zshQuoted(_ text: String) -> String {
    text.replacing("'", with: "'\\''")
  }

  private static func zshOption(_ option: Option) -> [String] {
    let help = zshQuoted(option.help).replacing("[", with: "(").replacing("]", with: ")")
      .replacing(":", with: "\\:")
    let names = flags([option])
    return names.map { name in
      guard let value = option.value else { return "'\(name)[\(help)]'" }
      let action =
        switch value {
        case .file: "_files"
        case .choice(_, let words): "(\(words.joined(separator: " ")))"
        case .choices(_, let words): "_values -s , value \(words.joined(separator: " "))"
        default: " "
        }
      let assignment = name.hasPrefix("--") ? "=" : "+"
      return "'*\(name)\(assignment)[\(help)]:\(value.placeholder.lowercased()):\(action)'"
    }
  }

  private static func zsh() -> String {
    let global = CommandTable.global.flatMap(zshOption).map { "    \($0)" }
      .joined(separator: " \\\n")
    var text = """
      #compdef syncctl
      # zsh completion for syncctl, made by `syncctl completion zsh`.

      _syncctl() {
        local curcontext="$curcontext" state line
        local -a global commands
        global=(
      \(global.replacing(" \\\n", with: "\n"))
        )
        _arguments -C $global '1:command:->command' '*::argument:->arguments' && return
        case $state in
          command)
            commands=(

      """
    for word in CommandTable.firstWords {
      let summary =
        CommandTable.summary(of: word)
      text += "        '\(word):\(zshQuoted(summary).replacing(":", with: "\\:"))'\n"
    }
    text += """
            )
            _describe command commands
            ;;
          arguments)
            case $words[1] in

      """
    for word in CommandTable.firstWords {
      text += "        \(word))\n"
      let seconds = CommandTable.secondWords(after: word)
      if let command = CommandTable.command(word) {
        for second in seconds {
          text += "          if [[ $words[2] == \(second) ]] && ((CURRENT > 2)); then\n"
          text += "            shift words\n            ((CURRENT--))\n"
          text += zshArguments(
            CommandTable.command("\(word) \(second)")!, indent: "            ")
          text += "            return\n          fi\n"
        }
        text += zshArguments(command, indent: "          ", or: seconds)
      } else {
        text += "          if ((CURRENT == 2)); then\n"
        text += "            _values command \(seconds.joined(separator: " "))\n"
        text += "            return\n          fi\n"
        text += "          shift words\n          ((CURRENT--))\n"
        text += "          case $words[1] in\n"
        for second in seconds {
          text += "            \(second))\n"
          text += zshArguments(
            CommandTable.command("\(word) \(second)")!, indent: "              ")
          text += "              ;;\n"
        }
        text += "          esac\n"
      }
      text += "          ;;\n"
    }
    text += """
            esac
            ;;
        esac
      }
      # Called as an autoloaded function, or read by `source`.
      if [[ $funcstack[1] == _syncctl ]]; then _syncctl "$@"; else compdef _syncctl syncctl; fi

      """
    return text
  }

  /// - Parameter seconds: words that may stand in place of the operand.
  private static func zshArguments(
    _ command: Command, indent: String, or seconds: [String] = []
  ) -> String {
    var parts = ["$global"] + command.options.flatMap(zshOption)
    if let operand = command.operand {
      let action =
        switch operand.kind {
        case .file: "_files"
        case .command: "(\(CommandTable.firstWords.joined(separator: " ")))"
        case .words(let words): "(\(words.joined(separator: " ")))"
        case .text: seconds.isEmpty ? " " : "(\(seconds.joined(separator: " ")))"
        }
      let position = operand.count == .any || operand.count == .some ? "*" : "1"
      parts.append("'\(position):\(operand.name.lowercased()):\(action)'")
    }
    return "\(indent)_arguments \(parts.joined(separator: " \\\n\(indent)  "))\n"
  }

  // MARK: fish

  private static func fish() -> String {
    func quoted(_ text: String) -> String {
      "'" + text.replacing("\\", with: "\\\\").replacing("'", with: "\\'") + "'"
    }
    func option(_ option: Option, _ condition: String?) -> String {
      var line = "complete -c syncctl"
      if let condition { line += " -n \(quoted(condition))" }
      line += " -l \(option.long)"
      if let short = option.short { line += " -s \(short)" }
      switch option.value {
      case .file: line += " -r -F"
      case .choice(_, let words): line += " -x -a \(quoted(words.joined(separator: " ")))"
      case .choices(_, let words):
        line += " -x -a \(quoted("(__fish_append , \(words.joined(separator: " ")))"))"
      case .some: line += " -x"
      case nil: break
      }
      return line + " -d \(quoted(option.help))\n"
    }
    var text = """
      # fish completion for syncctl, made by `syncctl completion fish`.

      complete -c syncctl -f

      """
    for word in CommandTable.firstWords {
      let summary = CommandTable.summary(of: word)
      text += "complete -c syncctl -n __fish_use_subcommand -a \(word) -d \(quoted(summary))\n"
    }
    for global in CommandTable.global { text += option(global, nil) }
    for command in CommandTable.commands {
      let words = command.words
      var condition = "__fish_seen_subcommand_from \(words[0])"
      // `list` is a command, and the second word of `dest list`.
      let groups = CommandTable.firstWords.filter {
        words.count == 1 && $0 != words[0]
          && CommandTable.secondWords(after: $0).contains(words[0])
      }
      if !groups.isEmpty {
        condition += "; and not __fish_seen_subcommand_from \(groups.joined(separator: " "))"
      }
      if words.count == 2 {
        let seconds = CommandTable.secondWords(after: words[0]).joined(separator: " ")
        text += "complete -c syncctl -n "
        text += quoted("\(condition); and not __fish_seen_subcommand_from \(seconds)")
        text += " -a \(words[1]) -d \(quoted(command.summary))\n"
        condition += "; and __fish_seen_subcommand_from \(words[1])"
      }
      for each in command.options { text += option(each, condition) }
      let offered: String? =
        switch command.operand?.kind {
        case .command: "-a \(quoted(CommandTable.firstWords.joined(separator: " ")))"
        case .words(let words): "-a \(quoted(words.joined(separator: " ")))"
        case .file: "-F"
        case .text, nil: nil
        }
      if let offered {
        text += "complete -c syncctl -n \(quoted(condition)) \(offered)\n"
      }
    }
    return text
  }
}
