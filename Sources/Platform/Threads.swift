import CLinux
import Glibc
import Synchronization

/// A thread of our own for blocking work: sockets, disks, SQLite. The cooperative pool of Swift's
/// tasks has a thread a core, and a blocked one starves the rest.
public struct WorkThread: Sendable {
  private let finished: Gate

  /// Starts `body` on a new thread.
  /// - Parameters:
  ///   - name: at most 15 bytes are shown by `top -H`.
  ///   - stackSize: in bytes; only touched pages count.
  @discardableResult
  public static func start(
    _ name: String, stackSize: Int = 512 * 1024, _ body: @escaping @Sendable () -> Void
  ) -> WorkThread {
    let finished = Gate()
    final class Box: Sendable {
      let run: @Sendable () -> Void
      init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }
    let box = Box {
      clinux_name_thread(name)
      body()
      finished.open()
    }
    var attributes = pthread_attr_t()
    pthread_attr_init(&attributes)
    pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
    pthread_attr_setstacksize(&attributes, stackSize)
    defer { pthread_attr_destroy(&attributes) }
    var thread = pthread_t()
    let result = pthread_create(
      &thread, &attributes,
      { context in
        Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().run()
        return nil
      }, Unmanaged.passRetained(box).toOpaque())
    // Out of threads or memory: nothing sensible can go on, and systemd restarts us.
    precondition(result == 0, "pthread_create: error \(result)")
    return WorkThread(finished: finished)
  }

  /// Waits for the body to return. False if the deadline came first.
  @discardableResult
  public func join(until deadline: Deadline = .never) -> Bool {
    finished.wait(until: deadline)
  }
}

/// A lock with a condition on the monotonic clock: state that threads wait upon.
public final class Monitor<State>: @unchecked Sendable {
  // @unchecked: `state` is only touched between lock and unlock of `mutex`.
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private var state: State

  public init(_ state: sending State) {
    self.state = state
    mutex = .allocate(capacity: 1)
    condition = .allocate(capacity: 1)
    pthread_mutex_init(mutex, nil)
    var attributes = pthread_condattr_t()
    pthread_condattr_init(&attributes)
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
    pthread_cond_init(condition, &attributes)
    pthread_condattr_destroy(&attributes)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
  }

  /// Runs `body` alone, then wakes every waiter.
  public func update<R, E: Error>(_ body: (inout State) throws(E) -> R) throws(E) -> R {
    pthread_mutex_lock(mutex)
    defer {
      pthread_cond_broadcast(condition)
      pthread_mutex_unlock(mutex)
    }
    return try body(&state)
  }

  /// Runs `body` alone; for reads, which no waiter cares about.
  public func read<R, E: Error>(_ body: (borrowing State) throws(E) -> R) throws(E) -> R {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    return try body(state)
  }

  /// Waits until `body` returns a value, tried at once and after every update. Nil when the
  /// deadline passes first.
  public func wait<R>(until deadline: Deadline = .never, _ body: (inout State) -> R?) -> R? {
    pthread_mutex_lock(mutex)
    defer { pthread_mutex_unlock(mutex) }
    while true {
      if let result = body(&state) {
        pthread_cond_broadcast(condition)
        return result
      }
      if let time = deadline.time {
        let left = (time - .now).wholeNanoseconds
        if left <= 0 { return nil }
        var until = timespec()
        clock_gettime(CLOCK_MONOTONIC, &until)
        let bounded = min(left, 3_600_000_000_000)
        let nanoseconds = Int64(until.tv_nsec) + bounded
        until.tv_sec += Int(nanoseconds / 1_000_000_000)
        until.tv_nsec = Int(nanoseconds % 1_000_000_000)
        pthread_cond_timedwait(condition, mutex, &until)
      } else {
        pthread_cond_wait(condition, mutex)
      }
    }
  }
}

/// A door that opens once: "stopped", "ready".
public final class Gate: Sendable {
  private let monitor = Monitor(false)

  public init() {}

  public func open() { monitor.update { $0 = true } }

  public var isOpen: Bool { monitor.read { $0 } }

  /// True once open; false if the deadline came first.
  @discardableResult
  public func wait(until deadline: Deadline = .never) -> Bool {
    monitor.wait(until: deadline) { $0 ? true : nil } ?? false
  }
}
