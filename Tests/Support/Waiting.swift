import Glibc
import Platform
import Synchronization

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
/// It stays the test's own task: what fails in it is told as that test's.
public func offPool<R: Sendable>(_ body: @escaping @Sendable () throws -> R) async throws -> R {
  try await withTaskExecutorPreference(ThreadExecutor()) { try await onExecutor(body) }
}

/// Asynchronous and on no actor, hence on the executor that its task prefers.
@concurrent
private func onExecutor<R: Sendable>(_ body: @Sendable () throws -> R) async throws -> R {
  try body()
}

/// Gives each piece of a task a thread.
private final class ThreadExecutor: TaskExecutor {
  func enqueue(_ job: consuming ExecutorJob) {
    let unowned = UnownedJob(job)
    WorkThread.start("offPool") { [self] in
      unowned.runSynchronously(on: asUnownedTaskExecutor())
    }
  }
}

/// A TCP port on 127.0.0.1 that was free a moment ago, and that no other caller in this process
/// gets. It lies below the ports that the kernel gives to connections, so that a test's client
/// cannot take it before the program it is meant for does. Where a program can listen on port 0
/// and tell what it got, that is better still.
public func freePort() throws -> UInt16 {
  for _ in 0..<1000 {
    let port = ports.withLock { next in
      defer { next = next == 31_999 ? 12_000 : next + 1 }
      return next
    }
    if (try? ListeningSocket(on: .tcp(host: "127.0.0.1", port: port))) != nil { return port }
  }
  throw NoFreePort()
}

/// Where the next search for a port begins: somewhere else in each process.
private let ports = Mutex(UInt16(12_000 + Int(getpid()) * 37 % 20_000))

struct NoFreePort: Error {}
