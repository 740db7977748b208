import Glibc
import JSON
import Platform
import TestSupport
import Testing
import Varlink

@Suite("Varlink client", .serialized)
struct VarlinkClientTests {
  private func failure(_ body: () throws(VarlinkClientError) -> Void) -> VarlinkClientError? {
    do throws(VarlinkClientError) {
      try body()
      return nil
    } catch {
      return error
    }
  }

  /// Answers one connection with the given bytes, whatever it is asked, and then keeps it open
  /// until the gate opens.
  private func respond(_ bytes: [UInt8], _ gate: Gate) throws -> VarlinkClient {
    let (ours, theirs) = try StreamSocket.pair()
    try theirs.write(bytes, deadline: .after(.seconds(5)))
    WorkThread.start("responder") {
      gate.wait(until: .after(.seconds(20)))
      theirs.interrupt()
    }
    return VarlinkClient(socket: ours)
  }

  @Test("No socket and a socket that nobody listens on both say: not running")
  func notRunning() throws {
    let directory = try TemporaryDirectory()
    let path = directory.file("control")
    for _ in 0..<2 {
      let error = failure { () throws(VarlinkClientError) in
        _ = try VarlinkClient.connect(to: .unix(path: path), deadline: .after(.seconds(5)))
      }
      guard case .notRunning? = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      // The second time there is a file, whose listener is gone.
      let made = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
      _ = withUnsafeBytes(of: &address) {
        bind(made, $0.baseAddress!.assumingMemoryBound(to: sockaddr.self), socklen_t($0.count))
      }
      close(made)
    }
  }

  @Test("A socket that may not be opened says: permission")
  func permission() throws {
    let service = try TestService()
    chmod(service.directory.path, 0o755)
    var arguments = ["--client", "--varlink=unix:" + service.directory.file("control")]
    var program = Peers.product("varlink-certification")
    if getuid() == 0 {
      // For root nothing is forbidden.
      arguments = ["--reuid=65534", "--regid=65534", "--clear-groups", program] + arguments
      program = "setpriv"
    } else {
      chmod(service.directory.file("control"), 0)
    }
    let result = try ChildProcess.run(program, arguments)
    #expect(result.status == 4, "\(result.output)")
    #expect(result.standardError.contains("not allowed: connect"), "\(result.output)")
  }

  @Test("A service that does not answer: the deadline holds, and a late reply is nobody's")
  func timeout() throws {
    let service = try TestService()
    let client = try service.client()
    let start = MonotonicTime.now
    let error = failure { () throws(VarlinkClientError) in
      _ = try client.call("org.example.test.Wait", deadline: .after(.milliseconds(50)))
    }
    guard case .timedOut? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(MonotonicTime.now - start < .seconds(5))
    service.gate.open()
    let next = failure { () throws(VarlinkClientError) in
      _ = try client.call("org.example.test.Find", deadline: .after(.seconds(5)))
    }
    guard case .disconnected? = next else {
      Issue.record("\(String(describing: next))")
      return
    }
  }

  @Test("A listener that accepts nobody: the deadline holds for connecting and for calling")
  func notAccepting() throws {
    let directory = try TemporaryDirectory()
    let endpoint = Endpoint.unix(path: directory.file("control"))
    let listener = try ListeningSocket(on: endpoint, backlog: 0)
    // The backlog of 0 holds one; the others get EAGAIN from the kernel.
    var clients: [VarlinkClient] = []
    var failures = 0
    for _ in 0..<3 {
      let error = failure { () throws(VarlinkClientError) in
        clients.append(try VarlinkClient.connect(to: endpoint, deadline: .after(.milliseconds(50))))
      }
      if case .timedOut? = error { failures += 1 }
    }
    #expect(failures >= 1)
    let error = failure { () throws(VarlinkClientError) in
      _ = try clients[0].call("a.b.C", deadline: .after(.milliseconds(50)))
    }
    guard case .timedOut? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    listener.stop()
  }

  @Test("The wait for each reply of a stream is bounded by itself")
  func idle() throws {
    let gate = Gate()
    defer { gate.open() }
    let client = try respond(
      Array("{\"continues\":true}\0{\"continues\":true,\"parameters\":{\"a\":1}}\0".utf8), gate)
    var replies = 0
    let error = failure { () throws(VarlinkClientError) in
      try client.callMore("a.b.C", idle: .milliseconds(50)) { _, _ in
        replies += 1
        return true
      }
    }
    #expect(replies == 2)
    guard case .timedOut? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test(
    "What is not varlink is named so",
    arguments: [
      "hello\0", "[]\0", "{\"error\":1}\0", "{\"parameters\":[]}\0", "{\"continues\":true}\0",
    ])
  func violation(bytes: String) throws {
    let gate = Gate()
    defer { gate.open() }
    let client = try respond(Array(bytes.utf8), gate)
    let error = failure { () throws(VarlinkClientError) in
      _ = try client.call("a.b.C", deadline: .after(.seconds(5)))
    }
    guard case .protocolViolation? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("A reply beyond the limit is refused before memory is spent on it")
  func tooLong() throws {
    let (ours, theirs) = try StreamSocket.pair()
    try theirs.write([UInt8](repeating: 0x20, count: 1001), deadline: .after(.seconds(5)))
    let client = VarlinkClient(socket: ours, maximumReply: 1000)
    let error = failure { () throws(VarlinkClientError) in
      _ = try client.call("a.b.C", deadline: .after(.seconds(5)))
    }
    guard case .protocolViolation? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("A connection that ends before or inside a reply is a disconnection", arguments: ["", "{"])
  func disconnection(bytes: String) throws {
    let gate = Gate()
    gate.open()
    let client = try respond(Array(bytes.utf8), gate)
    let error = failure { () throws(VarlinkClientError) in
      _ = try client.call("a.b.C", deadline: .after(.seconds(5)))
    }
    guard case .disconnected? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
  }

  @Test("Addresses")
  func addresses() {
    #expect(Endpoint(varlinkAddress: "unix:/run/x;mode=0600") == .unix(path: "/run/x"))
    #expect(Endpoint(varlinkAddress: "tcp:127.0.0.1:80") == .tcp(host: "127.0.0.1", port: 80))
    #expect(Endpoint(varlinkAddress: "tcp:[::1]:80") == .tcp(host: "::1", port: 80))
    for text in ["", "unix:", "unix:@abstract", "tcp:host", "tcp:host:99999", "exec:/bin/x"] {
      #expect(Endpoint(varlinkAddress: text) == nil)
    }
  }
}
