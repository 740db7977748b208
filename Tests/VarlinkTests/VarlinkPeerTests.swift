import Platform
import TestSupport
import Testing
import Varlink

/// Our server judged by other people's clients, and our client by other people's server.
@Suite(
  "Varlink with independent implementations", .serialized,
  .needs(.python("varlink"), .python("asyncvarlink")))
struct VarlinkPeerTests {
  private let directory: TemporaryDirectory
  private let ours = Peers.product("varlink-certification")
  private var address: String { "unix:" + directory.file("socket") }

  init() throws {
    directory = try TemporaryDirectory()
  }

  private func startServer() throws -> ChildProcess {
    let server = try ChildProcess(ours, ["--varlink=" + address])
    #expect(server.waitForOutput("listening"), "\(server.output)")
    return server
  }

  private func certify(_ arguments: String...) throws {
    let result = try ChildProcess.run(
      Peers.python, ["-m", "varlink.tests.test_certification", "--client"] + arguments)
    #expect(result.status == 0, "\(result.output)")
    #expect(result.standardOutput.contains("Certification passed"), "\(result.output)")
    // Not only passed: it went through all of the steps.
    for step in ["Test01", "Test09", "Reply number 10", "Test11", "'all_ok': True"] {
      #expect(result.standardOutput.contains(step))
    }
  }

  @Test("python varlink's certification client passes our server, several at a time")
  func certification() throws {
    let server = try startServer()
    try certify("--varlink=" + address)
    let clients = try (0..<4).map { _ in
      try ChildProcess(
        Peers.python,
        ["-m", "varlink.tests.test_certification", "--client", "--varlink=" + address])
    }
    for client in clients {
      let result = try #require(client.result(deadline: .after(.seconds(60))))
      #expect(result.status == 0, "\(result.output)")
    }
    #expect(server.isRunning)
    #expect(server.standardError == "")
  }

  @Test("python varlink's certification client passes our server over TCP")
  func tcp() throws {
    let address = "tcp:127.0.0.1:\(try freePort())"
    let server = try ChildProcess(ours, ["--varlink=" + address])
    #expect(server.waitForOutput("listening"), "\(server.output)")
    try certify("--varlink=" + address)
  }

  @Test(
    "The same under systemd's socket activation", .needs(.program("systemd-socket-activate")))
  func socketActivation() throws {
    let server = try ChildProcess(
      "systemd-socket-activate", ["-l", directory.file("socket"), ours])
    #expect(server.waitForOutput("Listening on"), "\(server.output)")
    try certify("--varlink=" + address)
    #expect(server.output.contains("listening"), "\(server.output)")
    #expect(server.isRunning)
  }

  @Test("The same under python's activation, which hands over a non-blocking listener")
  func pythonActivation() throws {
    try certify("--activate=" + ours)
  }

  @Test("A certification server of ours refuses a client that errs")
  func refusing() throws {
    let server = try startServer()
    let client = try VarlinkClient.connect(
      to: .unix(path: directory.file("socket")), deadline: .after(.seconds(5)))
    let prefix = "org.varlink.certification."
    let id = try client.call(prefix + "Start", deadline: .after(.seconds(5)))
    let error = #expect(throws: VarlinkClientError.self) {
      try client.call(prefix + "Test02", id, deadline: .after(.seconds(5)))
    }
    // Test02 wants a boolean beside the identity.
    #expect(error?.description.contains("InvalidParameter") == true)
    var wrong = id
    wrong["bool"] = true
    let order = #expect(throws: VarlinkClientError.self) {
      try client.call(prefix + "Test02", wrong, deadline: .after(.seconds(5)))
    }
    #expect(order?.description.contains("CertificationError") == true)
    #expect(server.isRunning)
  }

  @Test("asyncvarlink calls our server: typed, more, oneway, errors, fifty calls at once")
  func asyncvarlink() throws {
    let server = try startServer()
    let result = try ChildProcess.run(
      Peers.python,
      [
        Peers.packageRoot + "/Tests/VarlinkTests/asyncvarlink_client.py",
        directory.file("socket"),
      ])
    #expect(result.status == 0, "\(result.output)")
    #expect(result.standardOutput == "passed\n", "\(result.output)")
    #expect(server.standardError == "")
  }

  @Test("python varlink's certification server passes our client")
  func ourClient() throws {
    let server = try ChildProcess(
      Peers.python, ["-u", "-m", "varlink.tests.test_certification", "--varlink=" + address])
    #expect(server.waitForOutput("Listening on"), "\(server.output)")
    let result = try ChildProcess.run(ours, ["--client", "--varlink=" + address])
    #expect(result.status == 0, "\(result.output)\n\(server.output)")
    #expect(result.standardOutput == "Certification passed\n")
  }

  @Test("Our client reads the description of python varlink's server, and our parser takes it")
  func descriptions() throws {
    let server = try ChildProcess(
      Peers.python, ["-u", "-m", "varlink.tests.test_certification", "--varlink=" + address])
    #expect(server.waitForOutput("Listening on"), "\(server.output)")
    let client = try VarlinkClient.connect(
      to: .unix(path: directory.file("socket")), deadline: .after(.seconds(5)))
    for (name, methods) in [("org.varlink.certification", 13), ("org.varlink.service", 2)] {
      let reply = try client.call(
        "org.varlink.service.GetInterfaceDescription", ["interface": .string(name)],
        deadline: .after(.seconds(5)))
      let text = try #require(reply["description"]?.stringValue)
      let interface = try InterfaceDescription(text)
      #expect(interface.name == name)
      #expect(interface.methods.count == methods)
    }
  }
}
