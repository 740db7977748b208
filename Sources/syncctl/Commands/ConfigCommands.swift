import JSON
import SyncCore

/// `syncctl config show`.
struct ConfigShowCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let fields = try session.daemon.call("GetConfiguration", [:])
    let toml = try fields.string("toml")
    try session.console.give(fields.line)
    try session.console.say(toml.hasSuffix("\n") || toml.isEmpty ? toml : toml + "\n")
    return .ok
  }
}

/// `syncctl config check`.
struct ConfigCheckCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    throw Failure(.failed, "the configuration reader is not built yet")
  }
}
