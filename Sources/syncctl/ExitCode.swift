/// What syncctl's exit status means. The same for every command, except `check`, which follows
/// the convention of monitoring plugins (``PluginState``).
enum ExitCode: Int32, CaseIterable {
  case ok = 0
  case failed = 1
  case usage = 2
  case notRunning = 3
  case permission = 4
  case timeout = 5
  case partial = 6
  case versionMismatch = 7
  case notFound = 8
  case failedAssignments = 9
  case changes = 10

  /// For the help and the manual page.
  var meaning: String {
    switch self {
    case .ok: "Done."
    case .failed: "Refused, or failed."
    case .usage: "Wrong use: an unknown command or option, or a value that is not allowed."
    case .notRunning: "syncd does not run, or nothing listens at the socket."
    case .permission: "No permission to use the socket or the command."
    case .timeout: "No answer in time, or syncd is busy. What was started goes on."
    case .partial: "Done in part: some lists, flags, images or assignments are not."
    case .versionMismatch: "syncd and syncctl are of versions that do not fit together."
    case .notFound: "No such list, examination, assignment, recipient, destination or peer."
    case .failedAssignments: "There are failed assignments; of `failed` only."
    case .changes: "Something would be changed; of `plan --detailed-exitcode` only."
    }
  }

  /// The word for it in JSON.
  var code: String {
    switch self {
    case .ok: "ok"
    case .failed: "failed"
    case .usage: "usage"
    case .notRunning: "not_running"
    case .permission: "permission"
    case .timeout: "timeout"
    case .partial: "partial"
    case .versionMismatch: "version_mismatch"
    case .notFound: "not_found"
    case .failedAssignments: "failed_assignments"
    case .changes: "changes"
    }
  }
}

/// The exit status of `syncctl check`: the convention of monitoring plugins.
enum PluginState: Int32, Comparable, CaseIterable {
  case ok = 0
  case warning = 1
  case critical = 2
  case unknown = 3

  var name: String {
    switch self {
    case .ok: "OK"
    case .warning: "WARNING"
    case .critical: "CRITICAL"
    case .unknown: "UNKNOWN"
    }
  }

  static func < (a: PluginState, b: PluginState) -> Bool { a.rawValue < b.rawValue }
}

/// Why a command ended without doing what was asked, in words for the one who asked.
struct Failure: Error, Equatable {
  var exit: ExitCode
  /// One sentence without a full stop.
  var message: String
  /// What to do about it, one line each.
  var advice: [String]
  /// The interface's error, such as `NoSuchList`, where the daemon gave one.
  var error: String?

  init(_ exit: ExitCode, _ message: String, advice: [String] = [], error: String? = nil) {
    self.exit = exit
    self.message = message
    self.advice = advice
    self.error = error
  }

  /// What standard error gets.
  var text: String {
    (["syncctl: \(message)"] + advice.map { "  \($0)" }).joined(separator: "\n") + "\n"
  }
}
