import Glibc
import Platform

/// Waits until a condition holds; false at the deadline. For conditions of other processes, which
/// have nothing to wait upon; inside this process wait on a `Monitor` or a `Gate`.
public func waitUntil(
  _ deadline: Deadline = .after(.seconds(10)), _ condition: () throws -> Bool
) rethrows -> Bool {
  var pause: useconds_t = 1_000
  while true {
    if try condition() { return true }
    if deadline.isPast { return false }
    usleep(pause)
    pause = min(pause * 2, 50_000)
  }
}

/// Runs blocking work on a thread of its own, so that the tests' small cooperative pool goes on.
public func offPool<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  try await withCheckedThrowingContinuation { continuation in
    WorkThread.start("offPool") {
      continuation.resume(with: Swift.Result { try body() })
    }
  }
}

/// A TCP port on 127.0.0.1 that was free a moment ago. Somebody else may take it before you do:
/// listen on port 0 and read it back where the program allows that.
public func freePort() throws -> UInt16 {
  try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0)).port
}
