import Glibc
import Platform

/// Somebody wants the demonstration to end: Ctrl-C or a signal of the same kind.
struct Interrupted: Error {}

/// The signals that end the demonstration, taken where it waits, so that the daemon and the folder
/// never outlive it.
enum Interruption {
  private static var signals: sigset_t {
    var signals = sigset_t()
    sigemptyset(&signals)
    for number in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&signals, number) }
    return signals
  }

  /// Before any thread is started: threads inherit it.
  static func prepare() {
    var signals = signals
    pthread_sigmask(SIG_BLOCK, &signals, nil)
  }

  /// Waits for a signal.
  /// - Throws: ``Interrupted`` if one has come.
  static func pause(milliseconds: Int) throws(Interrupted) {
    var signals = signals
    let (seconds, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
    var timeout = timespec(tv_sec: seconds, tv_nsec: rest * 1_000_000)
    if sigtimedwait(&signals, nil, &timeout) > 0 { throw Interrupted() }
  }
}
