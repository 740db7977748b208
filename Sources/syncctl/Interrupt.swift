import Glibc
import Synchronization

/// What Ctrl-C says while somebody waits for a job that goes on without them.
enum Interrupt {
  // Written once before the handler is installed, and only read by it.
  private nonisolated(unsafe) static var message: UnsafeMutableBufferPointer<UInt8>?

  /// From now on SIGINT and SIGTERM say this on standard error and end the process with status
  /// 130, as shells report an interrupted command.
  static func say(_ text: String) {
    let bytes = UnsafeMutableBufferPointer<UInt8>.allocate(capacity: text.utf8.count)
    _ = bytes.initialize(from: text.utf8)
    message = bytes
    var action = sigaction()
    action.__sigaction_handler.sa_handler = { _ in Interrupt.end() }
    sigaction(SIGINT, &action, nil)
    sigaction(SIGTERM, &action, nil)
  }

  /// Only calls that are safe in a signal handler.
  private static func end() {
    if let message { _ = write(2, message.baseAddress, message.count) }
    _exit(130)
  }
}
