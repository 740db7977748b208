import CLinux
import Glibc
import Platform
import SyncCore

// syncd keeps collaboration flags, prefetched images and the archive in step. Here are only its
// command line and its start; Daemon.swift puts the parts together.

let usage = """
  Usage: syncd [--config FILE] [--check | --verify-access-log] [--version] [--help]

  Keeps collaboration flags, prefetched images and the archive in step.

    --config FILE  the configuration (default: \(Configuration.standardPath) where that
                   exists, else everything embedded and no lists)
    --check        check the configuration, say what is wrong with it, and exit
    --verify-access-log
                   check that nothing in the access log has been changed, and exit
    --version      print the version and exit
    --help         print this and exit

  Signals: HUP reads the configuration again; TERM and INT stop.
  Exit status: 0 stopped or checked, 1 failed or changed, 2 wrong usage, 78 wrong configuration.
  See syncd(8) and syncd.toml(5); syncctl(1) drives it.

  """

func say(_ text: String, to descriptor: Int32 = 2) {
  let bytes = Array(text.utf8)
  _ = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
}

func wrongUsage(_ text: String) -> Never {
  say("syncd: \(text)\nTry 'syncd --help'.\n")
  exit(2)
}

/// Says whether the access log is as it was written: exit status 0 if so, 1 if not.
func verifyAccessLog(in directory: String) -> Never {
  do throws(AccessLogError) {
    let found = try AccessLog.verify(directory: directory)
    for note in found.notes { say("\(directory)/\(note)\n", to: 1) }
    if let broken = found.broken {
      say("\(directory)/\(broken)\nsyncd: the access log is not as it was written\n")
      exit(1)
    }
    let range = found.first.flatMap { first in found.last.map { " (\(first) to \($0))" } } ?? ""
    say(
      "\(directory): unbroken; entries: \(found.entries)\(range), files: \(found.files)\n"
        + (found.hash.map { "last hash: \($0)\n" } ?? ""), to: 1)
    exit(0)
  } catch {
    say("syncd: \(error)\n")
    exit(1)
  }
}

var path: String?
var isCheck = false
var isVerification = false
var arguments = CommandLine.arguments.dropFirst()
while let argument = arguments.popFirst() {
  switch argument {
  case "--help", "-h":
    say(usage, to: 1)
    exit(0)
  case "--version", "-V":
    say("syncd \(Version.text)\n", to: 1)
    exit(0)
  case "--check": isCheck = true
  case "--verify-access-log": isVerification = true
  case "--config", "-c":
    guard let value = arguments.popFirst() else { wrongUsage("--config needs a file") }
    path = value
  case _ where argument.hasPrefix("--config="): path = String(argument.dropFirst(9))
  default: wrongUsage("unknown argument '\(argument)'")
  }
}

if path == nil, access(Configuration.standardPath, F_OK) == 0 { path = Configuration.standardPath }
let configuration: Configuration
do throws(ConfigurationErrors) {
  configuration =
    try path.map { (file) throws(ConfigurationErrors) in
      try Configuration.load(path: file)
    } ?? Configuration()
} catch {
  say(
    "\(error)\nsyncd: the configuration has \(error.errors.count) "
      + (error.errors.count == 1 ? "error\n" : "errors\n"))
  // EX_CONFIG of sysexits.h: the unit does not restart upon it.
  exit(78)
}
if isCheck {
  say("\(path ?? "no file, defaults"): the configuration is right\n", to: 1)
  exit(0)
}

if isVerification { verifyAccessLog(in: configuration.accessLogDirectory) }

// A peer that goes away is an error of the call that met it, not the end of the process.
signal(SIGPIPE, SIG_IGN)
umask(0o077)
// Signals are taken by one thread of their own: blocked before any other thread is made.
var signals = sigset_t()
sigemptyset(&signals)
for number in [SIGTERM, SIGINT, SIGHUP] { sigaddset(&signals, number) }
pthread_sigmask(SIG_BLOCK, &signals, nil)
_ = clinux_forbid_dumps()
clinux_return_freed_memory()

do {
  let daemon = try Daemon(configuration, file: path)
  let taken = signals
  WorkThread.start("signals") {
    var waited = taken
    while true {
      var number: Int32 = 0
      guard sigwait(&waited, &number) == 0 else { continue }
      if number == SIGHUP {
        _ = daemon.reload()
      } else {
        daemon.stop()
      }
    }
  }
  try daemon.run()
  exit(0)
} catch let error as AccessLogError {
  say("syncd: \(error)\n")
  // A broken log is for a person to look at: starting again and again helps nobody.
  if case .broken = error { exit(78) }
  exit(1)
} catch {
  say("syncd: \(error)\n")
  exit(1)
}
