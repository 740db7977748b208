import JSON
import Platform

/// The program: from the arguments to the exit status.
enum Syncctl {
  static func run(_ arguments: [String]) -> Int32 {
    let invocation: Invocation
    var command: String?
    do throws(Failure) {
      invocation = try Invocation.parse(arguments, command: &command)
    } catch {
      // A plugin's status 2 means CRITICAL: a mistyped check must be UNKNOWN.
      if command == "check" {
        try? Console().put(PluginReport(error).text)
        return PluginState.unknown.rawValue
      }
      report(error, json: arguments.contains("--json"))
      return error.exit.rawValue
    }
    let session = Session(
      invocation: invocation, console: .detect(invocation), daemon: Daemon(invocation))
    do throws(Failure) {
      if invocation.command.name == "check" {
        return try CheckCommand(session: session).run().rawValue
      }
      return try dispatch(session).rawValue
    } catch {
      if invocation.command.name == "check" { return PluginState.unknown.rawValue }
      report(error, json: session.console.json && !session.console.quiet)
      return error.exit.rawValue
    }
  }

  private static func dispatch(_ session: Session) throws(Failure) -> ExitCode {
    switch session.invocation.command.name {
    case "sync": return try SyncCommand(session: session).run()
    case "status": return try StatusCommand(session: session).run()
    case "list": return try ListCommand(session: session).run()
    case "show": return try ShowCommand(session: session).run()
    case "drift": return try DriftCommand(session: session).run()
    case "plan": return try PlanCommand(session: session).run()
    case "list-source test": return try PlanCommand(session: session).test()
    case "approve": return try ApproveCommand(session: session).run()
    case "retry": return try RetryCommand(session: session).run()
    case "send": return try SendCommand(session: session).run()
    case "sent": return try SentCommand(session: session).run()
    case "failed": return try SentCommand(session: session).runFailed()
    case "resend": return try ActionCommand(session: session, action: .resend).run()
    case "supplement": return try ActionCommand(session: session, action: .supplement).run()
    case "cancel": return try ActionCommand(session: session, action: .cancel).run()
    case "hold": return try ActionCommand(session: session, action: .hold).run()
    case "release": return try ActionCommand(session: session, action: .release).run()
    case "recipients": return try RecipientsCommand(session: session).run()
    case "report": return try ReportCommand(session: session).run()
    case "aside": return try AsideCommand(session: session).run()
    case "dest list": return try DestinationsCommand(session: session).run()
    case "dest pause": return try DestinationsCommand(session: session).pause()
    case "dest resume": return try DestinationsCommand(session: session).resume()
    case "peer list": return try PeersCommand(session: session).run()
    case "peer probe": return try ProbeCommand(session: session).run()
    case "retry explain": return try ExplainCommand(session: session).run()
    case "config check": return try ConfigCheckCommand(session: session).run()
    case "config show": return try ConfigShowCommand(session: session).run()
    case "reload": return try ReloadCommand(session: session).run()
    case "ping": return try PingCommand(session: session).run()
    case "version": return try VersionCommand(session: session).run()
    case "completion":
      try session.console.put(Completion.script(for: session.invocation.operands[0]))
      return .ok
    case "help":
      try session.console.put(Help.text(for: session.invocation.operands))
      return .ok
    default:
      // The table has a command that nothing runs.
      throw Failure(.failed, "\"\(session.invocation.command.name)\" is not implemented")
    }
  }

  /// Text on standard error; with JSON an object on standard output as well.
  static func report(_ failure: Failure, json: Bool) {
    Console.complain(failure.text)
    guard json else { return }
    try? Console().put(JSONText.failure(failure) + "\n")
  }
}
