import Glibc
import Platform

/// Where output goes and how it looks there.
struct Console: Sendable {
  var json = false
  var quiet = false
  var isTerminal = false
  var coloured = false
  /// Columns of the terminal; nil elsewhere.
  var width: Int?

  /// Looks at standard output, the options and the environment.
  static func detect(_ invocation: Invocation?) -> Console {
    var console = Console()
    console.json = invocation?.has("json") ?? false
    console.quiet = invocation?.has("quiet") ?? false
    console.isTerminal = isatty(1) == 1
    console.width = console.isTerminal ? terminalWidth() : nil
    console.coloured = wantsColour(
      option: invocation?.value("color"), isTerminal: console.isTerminal,
      noColor: environment("NO_COLOR"), term: environment("TERM"))
    return console
  }

  /// `--color` decides; else a non-empty NO_COLOR and a dumb terminal forbid, a terminal allows.
  static func wantsColour(
    option: String?, isTerminal: Bool, noColor: String?, term: String?
  ) -> Bool {
    switch option {
    case "always": true
    case "never": false
    default: isTerminal && (noColor ?? "").isEmpty && term != "dumb"
    }
  }

  static func environment(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }

  private static func terminalWidth() -> Int? {
    var size = winsize()
    guard ioctl(1, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
    return Int(size.ws_col)
  }

  /// Text for people: unless JSON or nothing was asked for.
  func say(_ text: String) throws(Failure) {
    if !json, !quiet { try Self.write(text, to: 1) }
  }

  /// A line of JSON, where that was asked for.
  func give(_ line: String) throws(Failure) {
    if json, !quiet { try Self.write(line + "\n", to: 1) }
  }

  /// What a program reads, whatever the options: a completion script, a plugin's line.
  func put(_ text: String) throws(Failure) { try Self.write(text, to: 1) }

  /// Whether a question was answered with yes; anything else is no.
  static func isYes(_ answer: String?) -> Bool {
    ["y", "yes", "j", "ja"].contains(answer?.trimmed.lowercased() ?? "")
  }

  /// Standard error. If that fails there is nobody left to tell.
  static func complain(_ text: String) { try? write(text, to: 2) }

  private static func write(_ text: String, to descriptor: Int32) throws(Failure) {
    var copy = text
    var code: Int32 = 0
    copy.withUTF8 { buffer in
      var rest = UnsafeRawBufferPointer(buffer)
      while !rest.isEmpty {
        let count = Glibc.write(descriptor, rest.baseAddress, rest.count)
        if count < 0 {
          if errno == EINTR { continue }
          // A reader that has seen enough (`| head`): end as quietly as everything else does,
          // also where the signal was ignored by whoever started us.
          if errno == EPIPE {
            signal(SIGPIPE, SIG_DFL)
            raise(SIGPIPE)
          }
          code = errno
          return
        }
        rest = UnsafeRawBufferPointer(rebasing: rest.dropFirst(count))
      }
    }
    // A full disk must not look like success.
    if code != 0 {
      throw Failure(
        .failed, "cannot write the output: \(SystemError(code: code, operation: "write"))")
    }
  }
}
