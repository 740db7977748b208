import Glibc
import Platform
import Synchronization

/// A program started by a test: its output is captured, and it ends no later than this object.
///
/// It is only ever ended by its own process id, and the kernel ends it when the test process dies
/// first, so that a crashed test run leaves nothing behind.
public final class ChildProcess: Sendable {
  /// How a process ended.
  public enum Exit: Hashable, Sendable {
    case exited(Int32)
    case signalled(Int32)
  }

  /// A program that has ended, and what it wrote.
  public struct Result: Sendable {
    public let exit: Exit
    public let standardOutput: String
    public let standardError: String

    /// The exit status; a signal is 128 and its number, as shells show it.
    public var status: Int32 {
      switch exit {
      case .exited(let status): status
      case .signalled(let signal): 128 + signal
      }
    }

    /// Both streams, for messages.
    public var output: String { standardOutput + standardError }
  }

  public struct SpawnError: Error, CustomStringConvertible {
    public let description: String
    public init(description: String) { self.description = description }
  }

  private struct State {
    var exit: Exit?
    var output: [UInt8] = []
    var error: [UInt8] = []
    var openStreams = 2
  }

  public let pid: pid_t
  /// The program and its arguments, for messages.
  public let command: String
  private let state: Monitor<State>
  private let input: Input

  /// What is kept of each stream; the rest is read and forgotten, so that no child ever blocks.
  private static let captureLimit = 64 << 20
  private static let spawning = Mutex(())

  /// Starts a program.
  /// - Parameters:
  ///   - executable: a path, or a name looked up in PATH and the usual system directories.
  ///   - environment: added to that of the test process; nil takes a variable away.
  ///   - standardInput: written to the child, which then sees the end; nil gives it no input.
  ///     Use `keepInputOpen` and ``write(_:)`` for a conversation.
  ///   - descriptors: inherited under the given numbers.
  public init(
    _ executable: String, _ arguments: [String] = [], environment: [String: String?] = [:],
    workingDirectory: String? = nil, standardInput: [UInt8]? = nil, keepInputOpen: Bool = false,
    descriptors: [(from: Int32, to: Int32)] = []
  ) throws {
    guard let path = Peers.executable(executable) else {
      throw SpawnError(description: "\(executable): no such program")
    }
    command = ([path] + arguments).joined(separator: " ")
    var prefix: [String] = []
    // The kernel's own end of orphans. It counts from the thread that spawns: hence one that
    // lives as long as the child.
    if let setpriv = Peers.executable("setpriv") {
      prefix += [setpriv, "--pdeathsig", "KILL", "--"]
    }
    if let workingDirectory { prefix += ["/usr/bin/env", "--chdir", workingDirectory] }
    let words = prefix + [path] + arguments
    let variables = Self.merge(environment)
    let wantsInput = standardInput != nil || keepInputOpen

    let state = Monitor(State())
    let spawned = Monitor(Swift.Result<(pid_t, Int32), SpawnError>?.none)
    WorkThread.start("child") {
      do throws(SpawnError) {
        let child = try Self.spawn(
          words, variables, wantsInput: wantsInput, descriptors)
        Self.capture(child.output, state) {
          $0.output += $1.prefix(Self.captureLimit - $0.output.count)
        }
        Self.capture(child.error, state) {
          $0.error += $1.prefix(Self.captureLimit - $0.error.count)
        }
        let pid = child.pid
        spawned.update { $0 = .success((pid, child.input)) }
        Self.reap(pid, state)
      } catch {
        spawned.update { [error] in $0 = .failure(error) }
      }
    }
    let (pid, inputEnd) = try spawned.wait { $0 }!.get()
    self.pid = pid
    self.state = state
    input = Input(inputEnd)
    if let standardInput {
      // A child that answers before it has read everything must not block us.
      WorkThread.start("child-stdin") { [input] in
        input.write(standardInput)
        if !keepInputOpen { input.close() }
      }
    }
  }

  deinit {
    // First the end of the child: that ends a write to it, which holds the input's lock.
    kill(SIGKILL)
    _ = wait(deadline: .after(.seconds(5)))
    closeInput()
  }

  /// Runs a program to its end. At the deadline it is killed.
  public static func run(
    _ executable: String, _ arguments: [String] = [], environment: [String: String?] = [:],
    workingDirectory: String? = nil, standardInput: [UInt8]? = nil,
    deadline: Deadline = .after(.seconds(60))
  ) throws -> Result {
    let child = try ChildProcess(
      executable, arguments, environment: environment, workingDirectory: workingDirectory,
      standardInput: standardInput)
    guard let result = child.result(deadline: deadline) else {
      child.kill(SIGKILL)
      throw SpawnError(
        description: "\(child.command): not finished by the deadline\n\(child.output)")
    }
    return result
  }

  public var isRunning: Bool { state.read { $0.exit == nil } }

  /// What it has written so far.
  public var standardOutput: String { state.read { String(decoding: $0.output, as: UTF8.self) } }
  public var standardError: String { state.read { String(decoding: $0.error, as: UTF8.self) } }
  public var standardOutputBytes: [UInt8] { state.read { $0.output } }

  /// Both streams, for messages and for waiting on a line.
  public var output: String { standardOutput + standardError }

  /// Waits for the end; nil when the deadline comes first.
  public func wait(deadline: Deadline = .after(.seconds(30))) -> Exit? {
    state.wait(until: deadline) { $0.exit }
  }

  /// Waits for the end and for all of the output; nil when the deadline comes first.
  public func result(deadline: Deadline = .after(.seconds(30))) -> Result? {
    state.wait(until: deadline) { state in
      guard let exit = state.exit, state.openStreams == 0 else { return nil }
      return Result(
        exit: exit, standardOutput: String(decoding: state.output, as: UTF8.self),
        standardError: String(decoding: state.error, as: UTF8.self))
    }
  }

  /// Waits until either stream contains a text. False when it ended, or the deadline came, first.
  public func waitForOutput(
    _ text: String, deadline: Deadline = .after(.seconds(30))
  ) -> Bool {
    let wanted = Array(text.utf8)
    return state.wait(until: deadline) { state -> Bool? in
      if Self.contains(state.output, wanted) || Self.contains(state.error, wanted) { return true }
      return state.exit != nil && state.openStreams == 0 ? false : nil
    } ?? false
  }

  /// Sends a signal, if it still runs.
  public func kill(_ signal: Int32) {
    // Under the lock: a reaped pid may already belong to somebody else.
    state.update { if $0.exit == nil { _ = Glibc.kill(pid, signal) } }
  }

  /// SIGTERM, then SIGKILL at the deadline.
  @discardableResult
  public func stop(deadline: Deadline = .after(.seconds(10))) -> Exit? {
    kill(SIGTERM)
    if let exit = wait(deadline: deadline) { return exit }
    kill(SIGKILL)
    return wait(deadline: .after(.seconds(5)))
  }

  /// Writes to its standard input. Nothing happens once it has closed it.
  public func write(_ bytes: [UInt8]) { input.write(bytes) }

  public func closeInput() { input.close() }

  // MARK: -

  /// The writing end of the child's standard input.
  private final class Input: Sendable {
    private let descriptor: Mutex<Int32>

    init(_ descriptor: Int32) { self.descriptor = Mutex(descriptor) }

    func write(_ bytes: [UInt8]) {
      descriptor.withLock { descriptor in
        var offset = 0
        while descriptor >= 0, offset < bytes.count {
          let count = bytes.withUnsafeBytes {
            // A socket and no pipe, so that a child that went away is an error, not SIGPIPE.
            send(descriptor, $0.baseAddress! + offset, bytes.count - offset, Int32(MSG_NOSIGNAL))
          }
          if count > 0 { offset += count } else if errno != EINTR { return }
        }
      }
    }

    func close() {
      descriptor.withLock {
        if $0 >= 0 { _ = Glibc.close($0) }
        $0 = -1
      }
    }
  }

  private struct Spawned {
    let pid: pid_t
    let input: Int32
    let output: Int32
    let error: Int32
  }

  private static func spawn(
    _ words: [String], _ environment: [String], wantsInput: Bool,
    _ descriptors: [(from: Int32, to: Int32)]
  ) throws(SpawnError) -> Spawned {
    // One at a time: Swift sees no pipe2(2), and a pipe end that leaked into a sibling between
    // pipe and fcntl would keep its stream open.
    let result = spawning.withLock { _ -> Swift.Result<Spawned, SpawnError> in
      var ends: [(Int32, Int32)] = []
      for index in 0..<3 {
        var pair: [Int32] = [-1, -1]
        let made =
          index == 0
          ? socketpair(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0, &pair) : pipe(&pair)
        guard made == 0 else {
          return .failure(SpawnError(description: "pipe: \(SystemError.last("pipe"))"))
        }
        for end in pair { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        ends.append((pair[0], pair[1]))
      }
      var actions = posix_spawn_file_actions_t()
      posix_spawn_file_actions_init(&actions)
      defer { posix_spawn_file_actions_destroy(&actions) }
      if wantsInput {
        posix_spawn_file_actions_adddup2(&actions, ends[0].1, 0)
      } else {
        posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
      }
      posix_spawn_file_actions_adddup2(&actions, ends[1].1, 1)
      posix_spawn_file_actions_adddup2(&actions, ends[2].1, 2)
      for pair in descriptors {
        posix_spawn_file_actions_adddup2(&actions, pair.from, pair.to)
      }
      var attributes = posix_spawnattr_t()
      posix_spawnattr_init(&attributes)
      defer { posix_spawnattr_destroy(&attributes) }
      var none = sigset_t()
      sigemptyset(&none)
      posix_spawnattr_setsigmask(&attributes, &none)
      var standard = sigset_t()
      sigfillset(&standard)
      posix_spawnattr_setsigdefault(&attributes, &standard)
      posix_spawnattr_setflags(
        &attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF))
      var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
      var variables: [UnsafeMutablePointer<CChar>?] = environment.map { strdup($0) } + [nil]
      defer { for pointer in arguments + variables { free(pointer) } }
      var pid: pid_t = 0
      let status = posix_spawn(&pid, words[0], &actions, &attributes, &arguments, &variables)
      for pair in [ends[0].1, ends[1].1, ends[2].1] { close(pair) }
      guard status == 0 else {
        for pair in [ends[0].0, ends[1].0, ends[2].0] { close(pair) }
        let error = SystemError(code: status, operation: "spawn", subject: words[0])
        return .failure(SpawnError(description: error.description))
      }
      if !wantsInput { close(ends[0].0) }
      return .success(
        Spawned(
          pid: pid, input: wantsInput ? ends[0].0 : -1, output: ends[1].0, error: ends[2].0))
    }
    return try result.get()
  }

  private static func capture(
    _ descriptor: Int32, _ state: Monitor<State>,
    _ append: @escaping @Sendable (inout State, ArraySlice<UInt8>) -> Void
  ) {
    WorkThread.start("child-output") {
      var buffer = [UInt8](repeating: 0, count: 64 * 1024)
      while true {
        let count = read(descriptor, &buffer, buffer.count)
        if count < 0, errno == EINTR { continue }
        if count <= 0 { break }
        state.update { append(&$0, buffer[..<count]) }
      }
      close(descriptor)
      state.update { $0.openStreams -= 1 }
    }
  }

  private static func reap(_ pid: pid_t, _ state: Monitor<State>) {
    var information = siginfo_t()
    while waitid(P_PID, id_t(pid), &information, WEXITED | WNOWAIT) != 0, errno == EINTR {}
    state.update {
      var status: Int32 = 0
      waitpid(pid, &status, 0)
      let signal = status & 0x7F
      $0.exit = signal == 0 ? .exited((status >> 8) & 0xFF) : .signalled(signal)
    }
  }

  private static func merge(_ changes: [String: String?]) -> [String] {
    var variables: [String: String] = [:]
    var next = environ
    while let entry = next.pointee {
      let text = String(cString: entry)
      if let equals = text.firstIndex(of: "=") {
        variables[String(text[..<equals])] = String(text[text.index(after: equals)...])
      }
      next += 1
    }
    for (name, value) in changes { variables[name] = value }
    return variables.map { "\($0.key)=\($0.value)" }
  }

  private static func contains(_ bytes: [UInt8], _ wanted: [UInt8]) -> Bool {
    guard !wanted.isEmpty else { return true }
    return bytes.withUnsafeBytes { haystack in
      wanted.withUnsafeBytes { needle in
        var from = 0
        while from + needle.count <= haystack.count {
          guard
            let hit = memchr(
              haystack.baseAddress! + from, Int32(needle[0]), haystack.count - from)
          else { return false }
          let index = UnsafeRawPointer(hit) - haystack.baseAddress!
          guard index + needle.count <= haystack.count else { return false }
          if memcmp(haystack.baseAddress! + index, needle.baseAddress!, needle.count) == 0 {
            return true
          }
          from = index + 1
        }
        return false
      }
    }
  }
}
