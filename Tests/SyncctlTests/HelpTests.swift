import SyncCore
import TestSupport
import Testing

@testable import syncctl

@Suite struct HelpTests {
  @Test("every command has a help that fits 80 columns and shows each of its options")
  func commands() throws {
    for command in CommandTable.commands {
      let text = try Help.text(for: command.words)
      #expect(text.contains(command.summary.prefix(40)))
      for option in command.options + CommandTable.global {
        #expect(text.contains("--\(option.long)"), "\(command.name) --\(option.long)")
      }
      for line in text.split(separator: "\n") where !command.examples.contains(where: line.contains)
      {
        #expect(line.count <= 80, "\(line)")
      }
    }
  }

  @Test("the overview names every command and every exit status")
  func overview() {
    let text = Help.overview()
    for command in CommandTable.commands { #expect(text.contains("  \(command.name) ")) }
    for code in ExitCode.allCases {
      #expect(text.contains("  \(code.rawValue)".padded(to: 6) + code.meaning), "\(code)")
    }
  }

  @Test("every example in the help is a command line that is accepted")
  func examples() throws {
    for command in CommandTable.commands {
      for example in command.examples {
        let words = example.split(separator: "syncctl ", maxSplits: 1)
        let line = try #require(words.last).prefix { !"|&>)".contains($0) }
        _ = try Invocation.parse(line.split(separator: " ").map(String.init))
      }
    }
  }

  @Test("the help of a group shows its commands, and an unknown topic is refused")
  func groups() throws {
    #expect(try Help.text(for: ["config"]).contains("syncctl [OPTIONS] config show"))
    #expect(throws: Failure.self) { try Help.text(for: ["nonsense"]) }
  }

  @Test("no option of a command hides one of every command")
  func distinct() {
    for command in CommandTable.commands {
      let all = command.options + CommandTable.global
      #expect(Set(all.map(\.long)).count == all.count)
      let short = all.compactMap(\.short)
      #expect(Set(short).count == short.count)
    }
  }

  @Test("exit statuses are 0 to 10 and have distinct words")
  func exitCodes() {
    #expect(ExitCode.allCases.map(\.rawValue) == Array(0...10))
    #expect(Set(ExitCode.allCases.map(\.code)).count == 11)
  }
}

@Suite struct ManualPageTests {
  static let folder = Peers.packageRoot + "/docs/man"

  @Test(
    "man formats every page without a warning", .needs(.program("man")),
    arguments: ["syncctl.1", "syncd.8", "syncd.toml.5"])
  func warnings(_ page: String) throws {
    let result = try ChildProcess.run(
      "man", ["--warnings", "-l", "\(Self.folder)/\(page)"],
      environment: ["LC_ALL": "C.UTF-8", "MANWIDTH": "80", "MANPAGER": "cat"])
    #expect(result.status == 0)
    #expect(result.standardError == "")
    #expect(result.standardOutput.contains("NAME"))
  }

  @Test("syncctl(1) has every command, option, value and exit status", .needs(.program("cat")))
  func complete() throws {
    let page = try ChildProcess.run("cat", ["\(Self.folder)/syncctl.1"]).standardOutput
    for command in CommandTable.commands {
      #expect(page.contains(".It Cm \(command.name)"), "\(command.name)")
      for option in command.options + CommandTable.global {
        #expect(page.contains("-\(option.long)"), "--\(option.long)")
        for word in option.value?.words ?? [] {
          #expect(page.contains(" \(word)"), "\(option.long) \(word)")
        }
      }
    }
    for code in ExitCode.allCases { #expect(page.contains("\n.It \(code.rawValue)\n")) }
  }
}

@Suite struct CompletionTests {
  /// The script of a shell in a file of its own.
  private func file(_ shell: String, in directory: TemporaryDirectory) throws -> String {
    try directory.write(Completion.script(for: shell), to: "completion.\(shell)")
  }

  @Test(
    "the scripts are sound for their shells",
    .needs(.program("bash"), .program("zsh"), .program("fish")),
    arguments: [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")])
  func syntax(_ shell: String, _ option: String) throws {
    let directory = try TemporaryDirectory()
    let result = try ChildProcess.run(shell, [option, file(shell, in: directory)])
    #expect(result.status == 0)
    #expect(result.output == "")
    let script = Completion.script(for: shell)
    for word in CommandTable.firstWords { #expect(script.contains(word)) }
    for option in CommandTable.commands.flatMap(\.options) {
      #expect(script.contains(option.long))
    }
  }

  @Test(
    "bash completes commands, options and values", .needs(.program("bash")),
    arguments: [
      (["st"], "status"),
      (["--json", "dr"], "drift"),
      (["--socket", "list", "dr"], "drift"),
      (["config", "ch"], "check"),
      (["list", "--im"], "--images"),
      (["list", "--images", "part"], "partial"),
      (["list", "--images", "none,part"], "none,partial"),
      (["list", "--color", "=", "al"], "always"),
      (["completion", "z"], "zsh"),
      (["help", "appr"], "approve"),
      (["dest", "pa"], "pause"),
      (["list-source", "te"], "test"),
      (["plan", "--det"], "--detailed-exitcode"),
      (["list-source", "test", "--lim"], "--limit"),
      (["dest", "list", "--js"], "--json"),
      (["retry", "ex"], "explain"),
      (["retry", "S1", "ex"], ""),
      (["retry", "--sy"], "--system"),
      (["retry", "explain", "--sy"], ""),
      (["cancel", "--all", "--phase", "sent,answ"], "sent,answering sent,answered"),
      (["send", "--review", "sec"], "second-reading"),
    ])
  func bash(_ words: [String], _ wanted: String) throws {
    let directory = try TemporaryDirectory()
    let line = (["syncctl"] + words).map { "'\($0)'" }.joined(separator: " ")
    let script = """
      source \(try file("bash", in: directory))
      COMP_WORDS=(\(line)); COMP_CWORD=\(words.count); _syncctl; echo "${COMPREPLY[*]}"
      """
    let result = try ChildProcess.run("bash", ["--norc", "-c", script])
    #expect(result.standardOutput == wanted + "\n")
    #expect(result.standardError == "")
  }

  @Test(
    "fish completes commands, options and values", .needs(.program("fish")),
    arguments: [
      ("syncctl st", "status"), ("syncctl config ch", "check"),
      ("syncctl list --im", "--images"), ("syncctl list --images=part", "--images=partial"),
      ("syncctl list --images=none,part", "--images=none,partial"),
      ("syncctl completion z", "zsh"), ("syncctl help appr", "approve"),
      ("syncctl dest pa", "pause"), ("syncctl retry ex", "explain"),
      ("syncctl list-source te", "test"), ("syncctl plan --det", "--detailed-exitcode"),
      ("syncctl retry --sy", "--system"), ("syncctl sent --phase=rel", "--phase=releasing"),
    ])
  func fish(_ line: String, _ wanted: String) throws {
    let directory = try TemporaryDirectory()
    let script = "source \(try file("fish", in: directory)); complete -C '\(line)'"
    let result = try ChildProcess.run(
      "fish", ["--no-config", "-c", script],
      environment: [
        "HOME": directory.path, "XDG_CONFIG_HOME": directory.path,
        "XDG_DATA_HOME": directory.path,
      ])
    let offered = result.standardOutput.split(separator: "\n")
      .map { $0.split(separator: "\t")[0] }
    #expect(offered.contains(Substring(wanted)), "\(result)")
  }

  @Test("fish does not take the second word of a group for a command", .needs(.program("fish")))
  func fishGroups() throws {
    let directory = try TemporaryDirectory()
    let script =
      "source \(try file("fish", in: directory)); complete -C 'syncctl dest list --im'"
    let result = try ChildProcess.run(
      "fish", ["--no-config", "-c", script],
      environment: [
        "HOME": directory.path, "XDG_CONFIG_HOME": directory.path,
        "XDG_DATA_HOME": directory.path,
      ])
    #expect(!result.standardOutput.contains("--images"))
  }

  @Test("zsh defines its completion when the script is read", .needs(.program("zsh")))
  func zsh() throws {
    let directory = try TemporaryDirectory()
    let script = """
      autoload -Uz compinit && compinit -u -D
      source \(try file("zsh", in: directory)) && echo "$_comps[syncctl]"
      """
    let result = try ChildProcess.run(
      "zsh", ["-f", "-c", script], environment: ["HOME": directory.path])
    #expect(result.output == "_syncctl\n")
  }
}
