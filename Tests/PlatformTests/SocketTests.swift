import Glibc
import Platform
import TestSupport
import Testing

/// Bounded waiting: far longer than anything here takes, far shorter than a stuck test.
private var soon: Deadline { .after(.seconds(20)) }

@Suite("Stream and listening sockets", .serialized)
struct SocketTests {
  private func code(_ body: () throws -> Void) -> Int32? {
    do {
      try body()
      return nil
    } catch {
      return (error as? SystemError)?.code
    }
  }

  private func mode(_ path: String) -> mode_t? {
    var status = stat()
    return lstat(path, &status) == 0 ? status.st_mode & 0o7777 : nil
  }

  private func read(_ socket: StreamSocket, _ deadline: Deadline) throws -> [UInt8] {
    var buffer = [UInt8](repeating: 0, count: 4096)
    var failure: SystemError?
    var count = 0
    buffer.withUnsafeMutableBytes { bytes in
      do throws(SystemError) {
        count = try socket.read(into: bytes, deadline: deadline)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return Array(buffer.prefix(count))
  }

  @Test("A read from a silent peer ends at its deadline, and what comes later can be read")
  func readDeadline() throws {
    let (a, b) = try StreamSocket.pair()
    #expect(code { _ = try read(a, .after(.milliseconds(20))) } == ETIMEDOUT)
    #expect(try !a.waitReadable(until: .after(.milliseconds(5))))
    try b.write(Array("hej".utf8), deadline: soon)
    #expect(try a.waitReadable(until: soon))
    #expect(try read(a, soon) == Array("hej".utf8))
  }

  @Test("A write to a peer that does not read ends at its deadline")
  func writeDeadline() throws {
    let (a, b) = try StreamSocket.pair()
    let bytes = [UInt8](repeating: 1, count: 8 << 20)
    #expect(code { try a.write(bytes, deadline: .after(.milliseconds(50))) } == ETIMEDOUT)
    withExtendedLifetime(b) {}
  }

  @Test("A peer that is gone is an error and not a signal; the end of its data is nought bytes")
  func goneForWrites() throws {
    let (a, b) = try StreamSocket.pair()
    b.finishWriting()
    #expect(try read(a, soon).isEmpty)
    b.interrupt()
    #expect(code { try a.write([1], deadline: soon) } == EPIPE)
  }

  @Test("A large message comes whole, in vectors of any length")
  func gathered() async throws {
    let (a, b) = try StreamSocket.pair()
    let sent = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31) }
    WorkThread.start("writer") {
      var bytes = sent
      bytes.withUnsafeMutableBytes { all in
        var vectors: [iovec] = []
        var start = 0
        var length = 0
        while start < all.count {
          let end = min(start + length, all.count)
          vectors.append(iovec(iov_base: all.baseAddress! + start, iov_len: end - start))
          start = end
          length = (length * 3 + 1) % 4001
        }
        vectors.withUnsafeMutableBufferPointer { pointer in
          try? a.write(gathering: pointer, deadline: soon)
        }
      }
      a.finishWriting()
    }
    var received: [UInt8] = []
    while true {
      let part = try read(b, soon)
      if part.isEmpty { break }
      received += part
    }
    #expect(received == sent)
  }

  @Test("Interrupting wakes a thread that waits without a deadline")
  func interruption() throws {
    let (a, b) = try StreamSocket.pair()
    let started = Gate()
    let reader = WorkThread.start("reader") {
      started.open()
      _ = try? a.waitReadable(until: .never)
    }
    #expect(started.wait(until: soon))
    a.interrupt()
    #expect(reader.join(until: soon))
    withExtendedLifetime(b) {}
  }

  @Test("A socket's file has the mode asked for and goes away with the listener")
  func fileMode() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("s")
    for wanted in [0o600, 0o660, 0o666] as [mode_t] {
      let listener = try ListeningSocket(on: .unix(path: path), mode: wanted)
      #expect(mode(path) == wanted)
      withExtendedLifetime(listener) {}
    }
    #expect(mode(path) == nil)
  }

  @Test("A stale socket file is replaced; a live one and any other file are not")
  func staleFile() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("s")
    // Bound and closed without listening: what a killed daemon leaves.
    let raw = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
    let bound = withUnsafePointer(to: &address) {
      $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(raw, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    #expect(bound == 0)
    close(raw)
    #expect(mode(path) != nil)

    let listener = try ListeningSocket(on: .unix(path: path))
    #expect(code { _ = try ListeningSocket(on: .unix(path: path)) } == EADDRINUSE)
    // The refused one has not taken the file away.
    // It has asked whether somebody listens, though: that connection comes first.
    _ = try #require(try listener.accept())
    let client = try StreamSocket.connect(to: .unix(path: path), deadline: soon)
    let server = try #require(try listener.accept())
    try client.write([7], deadline: soon)
    #expect(try read(server, soon) == [7])
    #expect(try server.peerCredentials().uid == getuid())

    try directory.write("precious", to: "file")
    let other = directory.file("file")
    #expect(code { _ = try ListeningSocket(on: .unix(path: other)) } == EEXIST)
    #expect(try directory.read("file") == Array("precious".utf8))
  }

  @Test("A path too long for a socket is refused with its name")
  func longPath() throws {
    let path = "/tmp/" + String(repeating: "x", count: 200)
    #expect(code { _ = try ListeningSocket(on: .unix(path: path)) } == ENAMETOOLONG)
    #expect(
      code { _ = try StreamSocket.connect(to: .unix(path: path), deadline: soon) } == ENAMETOOLONG)
  }

  @Test("Over TCP a free port is found, names are read back, and stopping ends the accept")
  func tcp() throws {
    let listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
    #expect(listener.port > 0)
    #expect(listener.endpoint == .tcp(host: "127.0.0.1", port: listener.port))
    let client = try StreamSocket.connect(to: listener.endpoint, deadline: soon)
    let server = try #require(try listener.accept())
    #expect(server.peer.hasPrefix("127.0.0.1:"))
    try server.write([1, 2], deadline: soon)
    #expect(try read(client, soon) == [1, 2])
    #expect(
      code { _ = try ListeningSocket(on: listener.endpoint) } == EADDRINUSE)
    let waiting = WorkThread.start("accept") { _ = try? listener.accept() }
    listener.stop()
    #expect(waiting.join(until: soon))
    #expect(try listener.accept() == nil)
  }

  @Test("Nobody listening is a refusal, at once")
  func refused() throws {
    let port = try freePort()
    #expect(
      code {
        _ = try StreamSocket.connect(to: .tcp(host: "127.0.0.1", port: port), deadline: soon)
      } == ECONNREFUSED)
  }
}

@Suite("Monitors, gates and threads", .serialized)
struct MonitorTests {
  @Test("Updates from many threads are all there, and the waiter sees the last")
  func updates() {
    let monitor = Monitor(0)
    for _ in 0..<4 {
      WorkThread.start("adder") { for _ in 0..<1000 { monitor.update { $0 += 1 } } }
    }
    #expect(monitor.wait(until: soon) { $0 == 4000 ? $0 : nil } == 4000)
    #expect(monitor.read { $0 } == 4000)
  }

  @Test("A wait gives up at its deadline, also one long past")
  func deadline() {
    let monitor = Monitor(0)
    #expect(monitor.wait(until: .after(.milliseconds(10))) { $0 > 0 ? $0 : nil } == nil)
    #expect(monitor.wait(until: .after(.seconds(-10))) { $0 > 0 ? $0 : nil } == nil)
    #expect(monitor.wait(until: .after(.seconds(-10))) { $0 == 0 ? "now" : nil } == "now")
  }

  @Test("What a wait changes wakes the other waiters")
  func changedByWait() {
    let monitor = Monitor(0)
    let second = WorkThread.start("second") {
      _ = monitor.wait { $0 == 2 ? true : nil }
    }
    let first = WorkThread.start("first") {
      _ = monitor.wait { state -> Bool? in
        guard state == 1 else { return nil }
        state = 2
        return true
      }
    }
    monitor.update { $0 = 1 }
    #expect(first.join(until: soon))
    #expect(second.join(until: soon))
  }

  @Test("A gate opens once and for all")
  func gate() {
    let gate = Gate()
    #expect(!gate.isOpen)
    #expect(!gate.wait(until: .after(.milliseconds(5))))
    let waiter = WorkThread.start("waiter") { gate.wait() }
    gate.open()
    gate.open()
    #expect(waiter.join(until: soon))
    #expect(gate.isOpen)
    #expect(gate.wait(until: .after(.seconds(-1))))
  }
}
