import CLinux
import Glibc
import Platform

/// Tells systemd how the service is (sd_notify(3)): datagrams to the socket in NOTIFY_SOCKET, a
/// path or, with `@` first, a name in the abstract space. Without one, nothing happens.
public struct SystemdNotifier: Sendable {
  private let path: String?
  /// Half of what the unit's WatchdogSec allows; nil where there is no watchdog for this process.
  public let watchdogInterval: Duration?

  public init(environment: (String) -> String? = { getenv($0).map { String(cString: $0) } }) {
    path = environment("NOTIFY_SOCKET").flatMap {
      $0.hasPrefix("/") || $0.hasPrefix("@") ? $0 : nil
    }
    let isForUs = environment("WATCHDOG_PID").map { $0 == String(getpid()) } ?? true
    watchdogInterval = environment("WATCHDOG_USEC").flatMap { Int64($0) }.flatMap {
      isForUs && $0 > 1 ? .microseconds($0 / 2) : nil
    }
  }

  public func ready(status: String) { send("READY=1\nSTATUS=\(Self.line(status))") }
  public func status(_ text: String) { send("STATUS=\(Self.line(text))") }
  public func alive() { send("WATCHDOG=1") }
  public func stopping() { send("STOPPING=1\nSTATUS=stopping") }

  /// A reload has begun; ``ready(status:)`` ends it.
  public func reloading() {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    let microseconds = Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1000
    send("RELOADING=1\nMONOTONIC_USEC=\(microseconds)")
  }

  /// A line end would begin another assignment.
  private static func line(_ text: String) -> String {
    String(text.map { $0.isNewline ? " " : $0 })
  }

  private func send(_ message: String) {
    guard let path else { return }
    let made = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard made >= 0 else { return }
    defer { close(made) }
    guard UnixDatagram.connect(made, path) else { return }
    let bytes = Array(message.utf8)
    _ = bytes.withUnsafeBytes {
      Glibc.send(made, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
    }
  }
}

/// Unix datagram sockets by path, or by abstract name with `@` first.
enum UnixDatagram {
  static func connect(_ descriptor: Int32, _ path: String) -> Bool {
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    var bytes = Array(path.utf8)
    guard !bytes.isEmpty, bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
      return false
    }
    if bytes[0] == UInt8(ascii: "@") { bytes[0] = 0 }
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    // An abstract name ends where its length says, not at a NUL.
    let length = socklen_t(
      MemoryLayout<sa_family_t>.size + bytes.count + (bytes[0] == 0 ? 0 : 1))
    return withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        Glibc.connect(descriptor, $0, length) == 0
      }
    }
  }
}

/// Listening sockets that systemd hands over (sd_listen_fds(3)).
public enum SocketActivation {
  /// The sockets by their names (FileDescriptorName=); empty where none were handed over. Takes the
  /// environment variables away, so that child processes do not believe that they are meant.
  public static func take() -> [(name: String, socket: ListeningSocket)] {
    defer {
      for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] { unsetenv(name) }
    }
    func value(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    guard value("LISTEN_PID") == String(getpid()),
      let count = value("LISTEN_FDS").flatMap(Int.init),
      (1...64).contains(count)
    else { return [] }
    let names =
      value("LISTEN_FDNAMES")?.split(separator: ":", omittingEmptySubsequences: false)
      .map(String.init) ?? []
    return (0..<count).map { index in
      (index < names.count ? names[index] : "", ListeningSocket(adopting: Int32(3 + index)))
    }
  }
}
