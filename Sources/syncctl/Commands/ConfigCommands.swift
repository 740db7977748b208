import JSON
import SyncCore

/// `syncctl config show`.
struct ConfigShowCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    if session.invocation.has("default") {
      let toml = ConfigurationFile.defaults()
      try console.give(JSONText.object([("toml", JSONText.string(toml))]))
      try console.say(toml)
      return .ok
    }
    let fields = try session.daemon.call("GetConfiguration", [:])
    let toml = try fields.string("toml")
    try console.give(fields.line)
    try console.say(toml.hasSuffix("\n") || toml.isEmpty ? toml : toml + "\n")
    return .ok
  }
}

/// `syncctl config check`.
struct ConfigCheckCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let path = session.invocation.operands.first ?? ConfigurationFile.defaultPath
    let errors = ConfigurationFile.errors(in: path)
    guard errors.isEmpty else {
      throw Failure(
        .failed, "\(path.shown) has \(Words.count(errors.count, "error"))",
        advice: errors.map(\.shown), error: "InvalidConfiguration")
    }
    try console.give(JSONText.object([("file", JSONText.string(path)), ("valid", "true")]))
    try console.say("\(path.shown) is valid.\n")
    return .ok
  }
}

/// The daemon's configuration file, read here without a daemon.
enum ConfigurationFile {
  /// Where it lies unless told otherwise.
  static let defaultPath = Configuration.standardPath

  /// Every error as `file:line:column: what`; none for a valid file.
  static func errors(in path: String) -> [String] {
    do throws(ConfigurationErrors) {
      _ = try Configuration.load(path: path)
      return []
    } catch {
      return error.errors.map(\.description)
    }
  }

  /// What is in force where the file says nothing, as TOML.
  static func defaults() -> String {
    Configuration().rendered()
  }
}
