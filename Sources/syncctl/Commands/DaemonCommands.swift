import JSON
import Platform
import SyncCore

/// `syncctl ping`.
struct PingCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let start = MonotonicTime.now
    let fields = try session.daemon.call("Ping", [:])
    let microseconds = (MonotonicTime.now - start).wholeNanoseconds / 1000
    let name = try fields.string("name")
    let version = try fields.string("version")
    let pid = try fields.int("pid")
    let started = try fields.string("startedAt")
    try session.console.give(fields.line)
    try session.console.say(
      "syncd \(version.shown) (\(name.shown)) answers in \(microseconds / 1000)."
        + "\(microseconds % 1000 / 100) ms; pid \(pid), since \(Words.fullTime(started))\n")
    return .ok
  }
}

/// `syncctl version`, and `--version`, which asks nobody.
struct VersionCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let console = session.console
    let own = Version.text
    if session.invocation.has("version") {
      try console.give(JSONText.object([("syncctl", JSONText.string(own))]))
      try console.say("syncctl \(own)\n")
      return .ok
    }
    try console.say("syncctl \(own)\n")
    let version = try session.daemon.call("Ping", [:]).string("version")
    let lacking = try lacking()
    try console.give(
      JSONText.object([
        ("syncctl", JSONText.string(own)), ("syncd", JSONText.string(version)),
        ("lacking", JSONText.strings(lacking)),
      ]))
    try console.say("syncd   \(version.shown)\n")
    guard lacking.isEmpty else {
      throw Failure(
        .versionMismatch,
        "the running syncd \(version.shown) lacks what syncctl \(own) uses:"
          + " \(lacking.joined(separator: ", "))",
        advice: Daemon.restartAdvice)
    }
    return .ok
  }

  /// The methods of our interfaces that the daemon's own descriptions do not have.
  private func lacking() throws(Failure) -> [String] {
    var lacking = try lacking(SyncInterface.name, SyncInterface.description)
    for (name, description) in [
      (DeliveryInterface.name, DeliveryInterface.description),
      (PeerInterface.name, PeerInterface.description),
    ] {
      do throws(Failure) {
        lacking += try self.lacking(name, description)
      } catch {
        guard error.error == "InterfaceNotFound" else { throw error }
        lacking.append("the interface \(name)")
      }
    }
    return lacking
  }

  private func lacking(_ name: String, _ ours: String) throws(Failure) -> [String] {
    let reply = try session.daemon.callService(
      "GetInterfaceDescription", ["interface": .string(name)])
    let theirs = Set(Self.methods(in: try reply.string("description")))
    return Self.methods(in: ours).filter { !theirs.contains($0) }
  }

  /// The names after the word `method` at the start of a line.
  static func methods(in description: String) -> [String] {
    description.split(whereSeparator: \.isNewline).compactMap { line in
      let text = line.drop { $0 == " " || $0 == "\t" }
      guard text.hasPrefix("method ") else { return nil }
      let name = text.dropFirst(7).drop { $0 == " " }
        .prefix { $0.isASCII && ($0.isLetter || $0.isNumber) }
      return name.isEmpty ? nil : String(name)
    }
  }
}

/// `syncctl reload`.
struct ReloadCommand {
  let session: Session

  func run() throws(Failure) -> ExitCode {
    let fields = try session.daemon.call("Reload", [:])
    let applied = try fields.strings("applied")
    let needsRestart = try fields.strings("needsRestart")
    let console = session.console
    try console.give(fields.line)
    if applied.isEmpty, needsRestart.isEmpty {
      try console.say("The configuration is read; nothing has changed.\n")
    }
    if !applied.isEmpty {
      try console.say("Applied:\n" + applied.map { "  \($0.shown)\n" }.joined())
    }
    if !needsRestart.isEmpty {
      try console.say(
        "Needs a restart (`systemctl restart syncd`):\n"
          + needsRestart.map { "  \($0.shown)\n" }.joined())
    }
    return .ok
  }
}
