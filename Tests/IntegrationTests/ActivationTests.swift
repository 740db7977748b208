import Foundation
import Glibc
import Platform
import TestSupport
import Testing

/// What NOTIFY_SOCKET leads to: takes datagrams and keeps them.
private final class NotifyReceiver: Sendable {
  let path: String
  private let descriptor: FileDescriptor
  private let received = Monitor<[String]>([])

  init(_ path: String) throws {
    self.path = path
    let made = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
    descriptor = FileDescriptor(owning: made)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(made, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    guard bound == 0 else { throw SystemError.last("bind", path) }
    WorkThread.start("notify") { [self] in
      var buffer = [UInt8](repeating: 0, count: 4096)
      while true {
        let count = recv(descriptor.raw, &buffer, buffer.count, 0)
        if count <= 0 { return }
        let text = String(decoding: buffer[..<count], as: UTF8.self)
        received.update { $0.append(text) }
        if text == "END" { return }
      }
    }
  }

  /// Whether a line comes, in whatever datagram, before the deadline.
  func sees(_ line: String, _ deadline: Deadline = .after(.seconds(15))) -> Bool {
    received.wait(until: deadline) { all in
      all.contains { $0.split(separator: "\n").contains { $0.hasPrefix(line) } } ? true : nil
    } ?? false
  }
}

@Suite("Started by systemd", .serialized)
struct ActivationTests {
  @Test("says when it is ready, alive, reloading and stopping")
  func notifies() async throws {
    try await offPool {
      let nobody = ApplicationEntityAddress("SECTRAPACS", port: try freePort())
      let daemon = try DaemonFixture(peer: nobody, archivePort: try freePort())
      let receiver = try NotifyReceiver(daemon.directory.file("notify"))
      try daemon.start(environment: [
        "NOTIFY_SOCKET": receiver.path, "WATCHDOG_USEC": "400000",
      ])
      #expect(receiver.sees("READY=1"))
      #expect(receiver.sees("STATUS="))
      #expect(receiver.sees("WATCHDOG=1"))
      daemon.signal(SIGHUP)
      #expect(receiver.sees("RELOADING=1"))
      #expect(receiver.sees("MONOTONIC_USEC="))
      daemon.signal(SIGTERM)
      #expect(receiver.sees("STOPPING=1"))
      #expect(daemon.exit(.after(.seconds(15))) == .exited(0))
    }
  }

  @Test(
    "takes its control and monitor sockets by their names, and leaves their files alone",
    .needs(.program("systemd-socket-activate")))
  func activated() async throws {
    try await offPool {
      let nobody = ApplicationEntityAddress("SECTRAPACS", port: try freePort())
      let daemon = try DaemonFixture(peer: nobody, archivePort: try freePort())
      let monitor = daemon.directory.file("monitor")
      let child = try ChildProcess(
        "systemd-socket-activate",
        [
          "-l", daemon.socket, "-l", monitor, "--fdname=control:monitor",
          Peers.product("syncd"), "--config", daemon.directory.file("config.toml"),
        ])
      defer {
        child.kill(SIGKILL)
        _ = child.wait()
      }
      #expect(waitUntil { access(monitor, F_OK) == 0 })
      #expect(waitUntil(.after(.seconds(20))) { (try? daemon.syncctl(["ping"])) != nil })
      let denied = try ChildProcess.run(
        Peers.product("syncctl"), ["--socket", monitor, "--json", "list"])
      #expect(denied.status == 4, "\(denied.output)")
      let status = try ChildProcess.run(
        Peers.product("syncctl"), ["--socket", monitor, "--json", "status"])
      #expect(status.status == 0, "\(status.output)")
      child.kill(SIGTERM)
      #expect(child.wait(deadline: .after(.seconds(15))) == .exited(0), "\(child.output)")
      #expect(access(daemon.socket, F_OK) == 0)
    }
  }
}
