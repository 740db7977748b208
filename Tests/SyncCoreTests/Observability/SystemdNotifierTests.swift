import Glibc
import Platform
import TestSupport
import Testing

@testable import SyncCore

@Suite struct SystemdNotifierTests {
  private func tell(_ path: String) throws {
    let receiver = try DatagramReceiver(path)
    let notifier = SystemdNotifier { $0 == "NOTIFY_SOCKET" ? path : nil }
    notifier.ready(status: "2 lists")
    #expect(receiver.receiveText() == "READY=1\nSTATUS=2 lists")
    notifier.alive()
    #expect(receiver.receiveText() == "WATCHDOG=1")
    notifier.reloading()
    let reloading = try #require(receiver.receiveText())
    #expect(reloading.hasPrefix("RELOADING=1\nMONOTONIC_USEC="))
    let told = try #require(reloading.split(separator: "=").last.flatMap { Int64($0) })
    #expect(abs(told - MonotonicTime.now.nanoseconds / 1000) < 60_000_000)
    notifier.stopping()
    #expect(receiver.receiveText() == "STOPPING=1\nSTATUS=stopping")
    notifier.status("two\nlines\nREADY=1")
    #expect(receiver.receiveText() == "STATUS=two lines READY=1")
  }

  @Test("systemd is told by a socket in the file system")
  func path() throws {
    let directory = try TemporaryDirectory()
    try tell(directory.file("notify"))
  }

  @Test("systemd is told by an abstract socket")
  func abstract() throws { try tell("@syncd-test-notify-\(getpid())") }

  @Test("Nothing happens without a socket, or with one that nobody reads")
  func nobody() throws {
    SystemdNotifier { _ in nil }.ready(status: "x")
    let directory = try TemporaryDirectory()
    let path = directory.file("none")
    SystemdNotifier { $0 == "NOTIFY_SOCKET" ? path : nil }.ready(status: "x")
  }

  @Test("The watchdog is fed at half its time, and only by the process it is meant for")
  func watchdog() {
    func interval(_ usec: String, _ pid: String?) -> Duration? {
      SystemdNotifier { ["WATCHDOG_USEC": usec, "WATCHDOG_PID": pid][$0] ?? nil }.watchdogInterval
    }
    #expect(interval("30000000", nil) == .seconds(15))
    #expect(interval("30000000", String(getpid())) == .seconds(15))
    #expect(interval("30000000", "1") == nil)
    #expect(interval("0", nil) == nil)
    #expect(interval("soon", nil) == nil)
  }
}
