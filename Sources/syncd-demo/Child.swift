import Glibc
import Platform

/// A program of ours, run and waited for, or left running until it is ended.
final class Child {
  let pid: pid_t

  /// - Parameter output: the file that its output and errors go to; nil for a pipe of its own.
  init(_ path: String, _ arguments: [String], output: Int32) throws {
    var actions = posix_spawn_file_actions_t()
    posix_spawn_file_actions_init(&actions)
    defer { posix_spawn_file_actions_destroy(&actions) }
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
    posix_spawn_file_actions_adddup2(&actions, output, 1)
    posix_spawn_file_actions_adddup2(&actions, output, 2)
    // The demonstration takes these signals for itself; its children must not inherit that.
    var attributes = posix_spawnattr_t()
    posix_spawnattr_init(&attributes)
    defer { posix_spawnattr_destroy(&attributes) }
    var signals = sigset_t()
    sigemptyset(&signals)
    posix_spawnattr_setsigmask(&attributes, &signals)
    sigaddset(&signals, SIGPIPE)
    posix_spawnattr_setsigdefault(&attributes, &signals)
    posix_spawnattr_setflags(
      &attributes, Int16(POSIX_SPAWN_SETSIGMASK) | Int16(POSIX_SPAWN_SETSIGDEF))
    var pointers: [UnsafeMutablePointer<CChar>?] = ([path] + arguments).map { strdup($0) } + [nil]
    defer { for pointer in pointers { free(pointer) } }
    var made: pid_t = 0
    let result = posix_spawn(&made, path, &actions, &attributes, &pointers, environ)
    guard result == 0 else { throw SystemError(code: result, operation: "start", subject: path) }
    pid = made
  }

  /// Waits for its end. Returns its exit status, or 128 and the signal that ended it.
  @discardableResult
  func wait() -> Int32 {
    var status: Int32 = 0
    while waitpid(pid, &status, 0) < 0, errno == EINTR {}
    return status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + (status & 0x7F)
  }

  func end(_ signal: Int32 = SIGTERM) {
    kill(pid, signal)
    wait()
  }

  /// Runs a program to its end and returns what it wrote.
  static func run(_ path: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    var ends: (Int32, Int32) = (0, 0)
    let made = withUnsafeMutableBytes(of: &ends) {
      pipe($0.assumingMemoryBound(to: Int32.self).baseAddress)
    }
    guard made == 0 else { throw SystemError.last("pipe") }
    // Programs started here get their output by dup2, and must not hold these open beside it.
    for end in [ends.0, ends.1] { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
    let reading = FileDescriptor(owning: ends.0)
    let child: Child
    do {
      let writing = FileDescriptor(owning: ends.1)
      child = try Child(path, arguments, output: writing.raw)
    }
    var output: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while true {
      let count = read(reading.raw, &buffer, buffer.count)
      if count <= 0 { break }
      output += buffer[..<count]
    }
    return (child.wait(), String(decoding: output, as: UTF8.self))
  }
}
