import Glibc
import JSON
import Platform
import TestSupport
import Testing
import Varlink

@Suite("Varlink server and client", .serialized)
struct VarlinkServerTests {
  private let second = Deadline.after(.seconds(10))

  private func error(_ body: () throws(VarlinkClientError) -> Void) -> VarlinkError? {
    do throws(VarlinkClientError) {
      try body()
      return nil
    } catch {
      if case .reply(let reply) = error { return reply }
      Issue.record("\(error)")
      return nil
    }
  }

  @Test("Calls on one connection are answered in order")
  func calls() throws {
    let service = try TestService()
    let client = try service.client()
    for text in ["hej", "åäö\0\u{1F600}", ""] {
      let reply = try client.call(
        "org.example.test.Echo", ["text": .string(text)], deadline: second)
      #expect(reply == ["text": .string(text)])
    }
    let who = try client.call("org.example.test.Who", deadline: second)
    #expect(who["uid"]?.intValue == Int64(getuid()))
    #expect(who["pid"]?.intValue == Int64(getpid()))
    #expect(who["socket"] == "control")
  }

  @Test("Requests sent at once, or a byte at a time, are all answered in order")
  func pipelined() throws {
    let service = try TestService()
    let connection = try service.raw()
    func request(_ text: String) -> String {
      #"{"method":"org.example.test.Echo","parameters":{"text":"\#(text)"}}"# + "\0"
    }
    try connection.send((0..<200).map { request("\($0)") }.joined())
    for number in 0..<200 {
      #expect(try connection.receive() == #"{"parameters":{"text":"\#(number)"}}"#)
    }
    for byte in request("slow").utf8 { try connection.send([byte]) }
    #expect(try connection.receive() == #"{"parameters":{"text":"slow"}}"#)
  }

  @Test("The service describes itself")
  func introspection() throws {
    let service = try TestService()
    let client = try service.client()
    let information = try client.call("org.varlink.service.GetInfo", deadline: second)
    #expect(
      information == [
        "vendor": "Vendor", "product": "Product", "version": "1.2",
        "url": "https://example.org", "interfaces": ["org.varlink.service", "org.example.test"],
      ])
    let method = "org.varlink.service.GetInterfaceDescription"
    for name in ["org.example.test", "org.varlink.service"] {
      let reply = try client.call(method, ["interface": .string(name)], deadline: second)
      #expect(try InterfaceDescription(reply["description"]?.stringValue ?? "").name == name)
    }
    #expect(
      error { () throws(VarlinkClientError) in
        _ = try client.call(method, ["interface": "org.nope"], deadline: second)
      } == .interfaceNotFound("org.nope"))
  }

  @Test(
    "Every standard error, after which the connection goes on",
    arguments: [
      ("org.example.nope.Echo", [:], .interfaceNotFound("org.example.nope")),
      ("org.example.test.Nope", [:], .methodNotFound("org.example.test.Nope")),
      ("org.varlink.service.Nope", [:], .methodNotFound("org.varlink.service.Nope")),
      ("org.example.test.Missing", [:], .methodNotImplemented("org.example.test.Missing")),
      (
        "NoDot", [:],
        .invalidParameter("method", reason: "expected an interface, a dot and a method")
      ),
      (
        "org.example.test.Echo", ["text": 1],
        .invalidParameter("text", reason: "expected a string, found an integer")
      ),
      (
        "org.example.test.Find", ["filter": ["lists": ["a", 7]]],
        .invalidParameter("filter.lists[1]", reason: "expected a string, found an integer")
      ),
      ("org.example.test.Forbidden", [:], .permissionDenied(reason: "join the group")),
      ("org.example.test.Count", ["to": 3], .expectedMore),
      (
        "org.example.test.Refuse", [:],
        VarlinkError("org.example.test.Refused", ["reason": "so"])
      ),
    ] as [(String, JSONObject, VarlinkError)])
  func errors(method: String, parameters: JSONObject, expected: VarlinkError) throws {
    let service = try TestService()
    let client = try service.client()
    let found = error { () throws(VarlinkClientError) in
      _ = try client.call(method, parameters, deadline: second)
    }
    #expect(found == expected)
    #expect(try client.call("org.example.test.Find", deadline: second) == ["count": 0])
  }

  @Test("A oneway call gets no reply, not even an error")
  func oneway() throws {
    let service = try TestService()
    let client = try service.client()
    try client.callOneway("org.example.test.Note", ["text": "kept"], deadline: second)
    try client.callOneway("org.example.test.Nope", deadline: second)
    let reply = try client.call("org.example.test.Echo", ["text": "next"], deadline: second)
    #expect(reply == ["text": "next"])
    #expect(service.waitForNote("kept"))
  }

  @Test("A call with more gets every reply, and the last is told apart")
  func more() throws {
    let service = try TestService()
    let client = try service.client()
    var numbers: [Int64] = []
    var lasts: [Bool] = []
    try client.callMore("org.example.test.Count", ["to": 5], idle: .seconds(5)) { reply, isLast in
      numbers.append(reply["number"]?.intValue ?? 0)
      lasts.append(isLast)
      return true
    }
    #expect(numbers == [1, 2, 3, 4, 5])
    #expect(lasts == [false, false, false, false, true])
    #expect(try client.call("org.example.test.Find", deadline: second) == ["count": 0])
  }

  @Test("A client that leaves a stream ends the handler's work")
  func leaving() throws {
    let service = try TestService()
    let client = try service.client()
    let endless: JSONObject = ["to": .integer(.max)]
    try client.callMore("org.example.test.Count", endless, idle: .seconds(5)) { reply, _ in
      reply["number"]?.intValue != 3
    }
    #expect(waitUntil { service.server.connectionCount == 0 })
    #expect(service.notes.read { $0.contains { $0.hasPrefix("counted to") } })
  }

  @Test("A blocked handler sees that its client has gone; one that only stops writing has not")
  func abandoned() throws {
    let service = try TestService()
    do {
      let connection = try service.raw()
      try connection.send("{\"method\":\"org.example.test.Wait\",\"more\":true}\0")
      #expect(service.waitForNote("waiting"))
      connection.socket.interrupt()
    }
    #expect(service.waitForNote("abandoned"))

    let connection = try service.raw()
    try connection.send("{\"method\":\"org.example.test.Wait\"}\0")
    connection.socket.finishWriting()
    #expect(waitUntil { service.notes.read { $0.count { $0 == "waiting" } == 2 } })
    service.gate.open()
    #expect(try connection.receive() == "{\"parameters\":{}}")
    #expect(try connection.receive() == nil)
  }

  @Test("A reply that does not fit its interface is told to the log")
  func invalidReply() throws {
    let service = try TestService()
    let client = try service.client()
    _ = try client.call("org.example.test.Wrong", deadline: second)
    #expect(
      service.waitForEvent(
        "the reply to org.example.test.Wrong does not fit its interface: "
          + "number: expected an integer, found a string"))
  }

  @Test("A megabyte of reply arrives whole")
  func big() throws {
    let service = try TestService()
    let client = try service.client()
    let reply = try client.call("org.example.test.Big", ["size": 1_500_000], deadline: second)
    #expect(reply["text"]?.stringValue?.utf8.count == 1_500_000)
  }

  @Test("Sockets keep their labels; a socket that is connected already is served as well")
  func labels() throws {
    let service = try TestService()
    let monitor = Endpoint.unix(path: service.directory.file("monitor"))
    service.server.listen(on: try ListeningSocket(on: monitor), label: "monitor")
    let client = try VarlinkClient.connect(to: monitor, deadline: second)
    #expect(try client.call("org.example.test.Who", deadline: second)["socket"] == "monitor")
    #expect(try client.call("org.example.test.Forbidden", deadline: second) == [:])
    let (ours, theirs) = try StreamSocket.pair()
    service.server.serve(theirs, label: "pair")
    let paired = VarlinkClient(socket: ours)
    #expect(try paired.call("org.example.test.Who", deadline: second)["socket"] == "pair")
  }

  @Test("stop() ends idle connections at once and lets a call finish")
  func graceful() throws {
    let service = try TestService()
    let idle = try service.raw()
    try idle.send("{\"method\":\"org.example.test.Find\"}\0")
    #expect(try idle.receive() != nil)
    let busy = try service.raw()
    try busy.send("{\"method\":\"org.example.test.Wait\"}\0")
    #expect(service.waitForNote("waiting"))
    #expect(service.server.stop(deadline: .after(.seconds(10))))
    #expect(try idle.receive() == nil)
    #expect(try busy.receive() == "{\"parameters\":{}}")
    #expect(try busy.receive() == nil)
    #expect(service.server.connectionCount == 0)
  }

  @Test("stop() cuts a client that does not read, at the deadline")
  func abrupt() throws {
    let service = try TestService()
    let connection = try service.raw()
    try connection.send(
      "{\"method\":\"org.example.test.Big\",\"parameters\":{\"size\":1500000}}\0")
    // The reply has begun to come, so its handler is through and its writer waits for us.
    #expect(try connection.socket.waitReadable(until: second))
    let start = MonotonicTime.now
    #expect(service.server.stop(deadline: .after(.milliseconds(200))))
    #expect(MonotonicTime.now - start < .seconds(5))
  }
}
