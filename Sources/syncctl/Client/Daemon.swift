import Glibc
import JSON
import Platform
import SyncCore
import Varlink

/// The running daemon as a client sees it: which socket, how long to wait, and what went wrong
/// in words.
struct Daemon {
  /// Sockets to try, in order: the next only where the one before may not be used.
  let paths: [String]
  /// How long to wait for an answer.
  let timeout: Duration

  static let usualTimeout = Duration.seconds(10)
  /// A send reads the lists that it depends on first.
  static let sendTimeout = Duration.seconds(60)
  /// A plan reads all lists, in the time that a synchronisation gives them.
  static let planTimeout = Duration.seconds(300)
  static let restartAdvice = [
    "After an upgrade the old syncd may still run: `systemctl restart syncd`.",
    "`syncctl version` shows both versions.",
  ]

  init(paths: [String], timeout: Duration) {
    self.paths = paths
    self.timeout = timeout
  }

  init(_ invocation: Invocation) {
    let given = invocation.value("socket") ?? Console.environment("SYNCCTL_SOCKET")
    let path = given.flatMap { $0.isEmpty ? nil : $0 } ?? Sockets.defaultControl
    self.init(
      paths: Self.paths(path, command: invocation.command.name),
      timeout: invocation.duration("timeout") ?? Self.timeout(of: invocation.command.name))
  }

  private static func timeout(of command: String) -> Duration {
    switch command {
    case "send": sendTimeout
    case "plan", "list-source test": planTimeout
    default: usualTimeout
    }
  }

  /// `check` begins with the monitor socket; what reads health only may fall back to it.
  static func paths(_ path: String, command: String) -> [String] {
    switch command {
    case "check":
      if let monitor = Sockets.monitor(beside: path) { return [monitor, path] }
      if let control = Sockets.control(beside: path) { return [path, control] }
      return [path]
    case "status", "ping":
      return [path] + [Sockets.monitor(beside: path)].compactMap { $0 }
    case "version":
      // The description of the interface is served on both sockets.
      return [path] + [Sockets.monitor(beside: path)].compactMap { $0 }
    default: return [path]
    }
  }

  /// One call, one answer. `method` is a name within the daemon's interface.
  func call(_ method: String, _ parameters: JSONObject) throws(Failure) -> Fields {
    try call(full: "\(SyncInterface.name).\(method)", parameters)
  }

  /// The same of the interface of sending.
  func delivery(_ method: String, _ parameters: JSONObject) throws(Failure) -> Fields {
    try call(full: "\(DeliveryInterface.name).\(method)", parameters)
  }

  /// A method of `org.varlink.service`.
  func callService(_ method: String, _ parameters: JSONObject) throws(Failure) -> Fields {
    try call(full: "org.varlink.service.\(method)", parameters)
  }

  func call(
    full method: String, _ parameters: JSONObject
  ) throws(Failure) -> Fields {
    let deadline = Deadline.after(timeout)
    return try tryPaths { (path) throws(Trouble) in
      try Link(path: path, deadline: deadline).call(method, parameters, deadline: deadline)
    }
  }

  /// Calls `body` with every answer until it returns false or the daemon says that it was the
  /// last. The first answer has the usual deadline at most, the others the one given.
  func follow(
    _ method: String, _ parameters: JSONObject, deadline: Deadline,
    _ body: (Fields) throws(Failure) -> Bool
  ) throws(Failure) {
    try follow(full: "\(SyncInterface.name).\(method)", parameters, deadline: deadline, body)
  }

  /// The same of any interface.
  func follow(
    full method: String, _ parameters: JSONObject, deadline: Deadline,
    _ body: (Fields) throws(Failure) -> Bool
  ) throws(Failure) {
    let first = Deadline.after(timeout).sooner(deadline)
    var failure: Failure?
    try tryPaths { (path) throws(Trouble) in
      let link = try Link(path: path, deadline: first)
      try link.follow(
        method, parameters, first: first, deadline: deadline
      ) { fields in
        do throws(Failure) {
          return try body(fields)
        } catch {
          failure = error
          return false
        }
      }
    }
    if let failure { throw failure }
  }

  private func tryPaths<R>(_ body: (String) throws(Trouble) -> R) throws(Failure) -> R {
    var failures: [Failure] = []
    for path in paths {
      do throws(Trouble) {
        return try body(path)
      } catch {
        let failure = failure(for: error, path: path)
        failures.append(failure)
        guard goesOn(after: failure) else { break }
      }
    }
    // A socket that is there and may not be used says more than one that is not there.
    throw failures.first { $0.exit == .permission } ?? failures[0]
  }

  /// Only what one socket forbids is asked of the next. A site may do without the monitor socket:
  /// where that comes first its absence is no answer either.
  private func goesOn(after failure: Failure) -> Bool {
    switch failure.exit {
    case .permission: true
    case .notRunning: Sockets.control(beside: paths[0]) != nil
    default: false
    }
  }
}

/// What can go wrong between us and the daemon.
enum Trouble: Error, Equatable {
  /// Nothing listens at the socket.
  case notRunning(String)
  case noPermission(String)
  /// Any other reason for which no connection was made.
  case connection(String)
  case timedOut
  /// The connection ended before the answer came.
  case closed
  /// The other side does not speak the protocol, or the answer is not what it should be.
  case notUnderstood(String)
  case errorReply(name: String, parameters: JSONObject)
}

extension Daemon {
  /// The failure in words, with what to do about it.
  func failure(for trouble: Trouble, path: String) -> Failure {
    switch trouble {
    case .notRunning(let why):
      return Failure(
        .notRunning, "syncd does not run: nothing listens at \(path.shown) (\(why))",
        advice: [
          "`systemctl status syncd` says whether it runs, `journalctl -u syncd` why it does not.",
          "If it listens elsewhere: --socket PATH, or SYNCCTL_SOCKET in the environment.",
        ])
    case .noPermission: return Self.noPermission(path)
    case .connection(let why):
      return Failure(.failed, "cannot connect to \(path.shown): \(why)")
    case .timedOut:
      return Failure(
        .timeout, "syncd did not answer within \(Words.span(timeout))",
        advice: [
          "`journalctl -u syncd` says what it does; --timeout waits longer."
        ])
    case .closed:
      return Failure(
        .notRunning, "syncd closed the connection without an answer",
        advice: ["`systemctl status syncd` says whether it was stopped."])
    case .notUnderstood(let why):
      return Failure(
        .versionMismatch, "what answers at \(path.shown) is not understood: \(why.shown)",
        advice: Self.restartAdvice)
    case .errorReply(let name, let parameters):
      return Self.failure(error: name, Fields(parameters), path: path)
    }
  }

  static func noSuchList(_ list: String, known: [String]) -> Failure {
    var advice = Suggestion.advice(for: list, among: known)
    advice.append(
      known.isEmpty
        ? "No lists are configured." : "Lists: \(known.map(\.shown).joined(separator: ", "))")
    return Failure(
      .notFound, "there is no list \"\(list.shown)\"", advice: advice, error: "NoSuchList")
  }

  private static func failure(error: String, _ fields: Fields, path: String) -> Failure {
    func text(_ name: String) -> String { ((try? fields.string(name)) ?? "?").shown }
    func texts(_ name: String) -> [String] { (try? fields.strings(name)) ?? [] }
    func number(_ name: String) -> String { (try? fields.int(name)).map(String.init) ?? "more" }
    let short = error.split(separator: ".").last.map(String.init) ?? error
    func make(_ exit: ExitCode, _ message: String, _ advice: [String] = []) -> Failure {
      Failure(exit, message, advice: advice, error: short)
    }
    let prefix = error.dropLast(short.count + 1)
    switch (prefix, short) {
    case (SyncInterface.name[...], "NoSuchList"):
      return noSuchList(text("list"), known: texts("known"))
    case (SyncInterface.name[...], "NoSuchExamination"):
      return make(
        .notFound, "there is no examination \(text("number"))",
        ["`syncctl list --text PART` looks for part of a number."])
    case (SyncInterface.name[...], "AmbiguousExamination"):
      let number = text("number")
      return make(
        .failed, "several systems have an examination \(number)",
        [
          "Write one of: \(texts("systems").map { "\($0.shown)/\(number)" }.joined(separator: ", "))"
        ])
    case (SyncInterface.name[...], "NothingToApprove"):
      return make(.failed, "nothing is held for the list \"\(text("list"))\"")
    case (SyncInterface.name[...], "MoreThanSeen"):
      return make(
        .failed, "by now \(number("held")) clears are held for \"\(text("list"))\"; none was made",
        ["Look again: `syncctl approve \(text("list"))`."])
    case (SyncInterface.name[...], "InvalidConfiguration"):
      return make(
        .failed, "the configuration is invalid; the old one stays in force",
        texts("errors").map(\.shown))
    case (SyncInterface.name[...], "Busy"):
      return make(.timeout, "syncd is busy: \(text("reason"))", ["Try again in a while."])
    case (SyncInterface.name[...], "Stopping"):
      return make(
        .timeout, "syncd is stopping", ["`systemctl status syncd` says whether it starts again."])
    case (DeliveryInterface.name[...], _): return failure(delivery: short, fields)
    case (PeerInterface.name[...], _): return failure(peers: short, fields)
    case ("org.varlink.service", "PermissionDenied"):
      if Sockets.control(beside: path) != nil, text("reason").hasPrefix("the monitor socket") {
        return make(.permission, text("reason"))
      }
      return noPermission(path, error: short)
    case ("org.varlink.service", "MethodNotFound"), ("org.varlink.service", "InterfaceNotFound"),
      ("org.varlink.service", "MethodNotImplemented"):
      let what = (try? fields.string("method")) ?? (try? fields.string("interface"))
      return make(
        .versionMismatch,
        "the running syncd does not know \((what ?? "what is asked").shown);"
          + " this is syncctl \(Version.text)", restartAdvice)
    case ("org.varlink.service", "ExpectedMore"):
      return make(.versionMismatch, "the running syncd only lets this be followed", restartAdvice)
    case ("org.varlink.service", "InvalidParameter"):
      return make(
        .failed, "syncd refuses the value of \"\(text("parameter"))\"", restartAdvice)
    default:
      return make(.failed, "syncd refuses: \(error.shown)")
    }
  }

  /// Names the group to join, as the socket file has it, and the command for it.
  static func noPermission(_ path: String, error: String? = nil) -> Failure {
    var information = stat()
    var group: String?
    if stat(path, &information) == 0 { group = groupName(information.st_gid) }
    // The directory may hide the file, and root's group is nothing to join.
    if group == nil || group == "root" { group = Sockets.usualGroup(of: path) }
    let name = group ?? Sockets.usualGroup(of: path)
    let user = UserDatabase.userName(getuid()) ?? "USER"
    return Failure(
      .permission, "\(user) may not use \(path.shown): that takes the group \(name)",
      advice: [
        "Join it with: sudo usermod -aG \(name) \(user)",
        "Then log in again: a session keeps the groups it began with.",
      ], error: error)
  }

  private static func groupName(_ gid: gid_t) -> String? {
    withUnsafeTemporaryAllocation(of: CChar.self, capacity: 16 * 1024) { buffer in
      var entry = Glibc.group()
      var found: UnsafeMutablePointer<Glibc.group>?
      guard
        getgrgid_r(gid, &entry, buffer.baseAddress!, buffer.count, &found) == 0, found != nil
      else { return nil }
      return String(cString: entry.gr_name)
    }
  }
}
