import Glibc
import JSON
import Platform
import TestSupport
import Testing
import Varlink

@Suite("Varlink server's bounds", .serialized)
struct VarlinkBoundsTests {
  private let find = "{\"method\":\"org.example.test.Find\"}\0"
  private let found = "{\"parameters\":{\"count\":0}}"

  @Test("A user has so many connections, and gets one back for each that ends")
  func perUser() throws {
    let service = try TestService {
      $0.connectionsPerUser = 2
      $0.busyError = VarlinkError("org.example.test.Busy")
    }
    var open = try [service.client(), service.client()]
    for client in open {
      _ = try client.call("org.example.test.Find", deadline: .after(.seconds(5)))
    }
    let third = try service.raw()
    #expect(try third.receive() == "{\"error\":\"org.example.test.Busy\",\"parameters\":{}}")
    #expect(try third.receive() == nil)
    #expect(service.waitForEvent("too many of this user"))
    open.removeFirst().close()
    #expect(waitUntil { service.server.connectionCount == 1 })
    _ = try service.client().call("org.example.test.Find", deadline: .after(.seconds(5)))
  }

  @Test("All users together have so many connections; our client names the refusal")
  func inTotal() throws {
    let service = try TestService {
      $0.connections = 1
      $0.busyError = VarlinkError("org.example.test.Busy")
    }
    let first = try service.client()
    _ = try first.call("org.example.test.Find", deadline: .after(.seconds(5)))
    let second = try service.client()
    #expect(service.waitForEvent("too many"))
    do throws(VarlinkClientError) {
      _ = try second.call("org.example.test.Find", deadline: .after(.seconds(5)))
      Issue.record("was answered")
    } catch {
      guard case .reply(let reply) = error else {
        Issue.record("\(error)")
        return
      }
      #expect(reply.name == "org.example.test.Busy")
    }
  }

  @Test("A connection without a call is closed in time")
  func idle() throws {
    let service = try TestService { $0.idleTimeout = .milliseconds(50) }
    let connection = try service.raw()
    #expect(try connection.receive() == nil)
    #expect(waitUntil { service.server.connectionCount == 0 })
  }

  @Test("A request that drips in has its time from the first byte, not from the latest")
  func dripping() throws {
    let service = try TestService { $0.requestTimeout = .milliseconds(150) }
    let connection = try service.raw()
    let start = MonotonicTime.now
    var sent = 0
    // Each byte is well within the time; the request is not.
    while MonotonicTime.now - start < .seconds(5) {
      do { try connection.send([0x20]) } catch { break }
      sent += 1
      if try connection.socket.waitReadable(until: .after(.milliseconds(20))) { break }
    }
    #expect(sent > 1)
    #expect(MonotonicTime.now - start < .seconds(4))
    #expect(try connection.receive() == nil)
    #expect(service.waitForEvent("was not finished in time"))
  }

  @Test("A client that does not read its reply is dropped in time")
  func slowReader() throws {
    let service = try TestService { $0.writeTimeout = .milliseconds(50) }
    let connection = try service.raw()
    try connection.send(
      "{\"method\":\"org.example.test.Big\",\"parameters\":{\"size\":1500000}}\0")
    #expect(service.waitForEvent("did not read its reply in time"))
    #expect(waitUntil { service.server.connectionCount == 0 })
    // Others are served meanwhile and after.
    let other = try service.raw()
    try other.send(find)
    #expect(try other.receive() == found)
  }

  @Test("A slow reader of a stream ends the stream")
  func slowStream() throws {
    let service = try TestService { $0.writeTimeout = .milliseconds(50) }
    let connection = try service.raw()
    try connection.send(
      "{\"method\":\"org.example.test.Count\",\"more\":true,"
        + "\"parameters\":{\"to\":9223372036854775807}}\0")
    #expect(service.waitForEvent("did not read its reply in time"))
    #expect(waitUntil { service.server.connectionCount == 0 })
  }

  @Test(
    "Garbage is answered with what is wrong, and the connection closed",
    arguments: [
      ("hello\0", "byte 0: expected a value, found 'h'"),
      ("\0", "byte 0: the text ends too early"),
      ("[]\0", "not a JSON object"), ("{\"method\":5}\0", "\\\"method\\\""),
      ("GET / HTTP/1.1\r\n\r\n\0", "expected a value, found 'G'"),
      ("{\"method\":\"a.B\"\0}", "ends too early"),
    ])
  func garbage(text: String, reason: String) throws {
    let service = try TestService()
    let connection = try service.raw()
    try connection.send(text)
    let reply = try #require(try connection.receive())
    #expect(reply.contains("org.varlink.service.InvalidParameter"))
    #expect(reply.contains(reason), "\(reply)")
    #expect(try connection.receive() == nil)
    #expect(service.waitForEvent("uid \(getuid())"))
  }

  @Test("A request beyond the limit ends the connection before it has come to its end")
  func tooLong() throws {
    let service = try TestService { $0.maximumRequest = 1000 }
    let connection = try service.raw()
    try connection.send([UInt8](repeating: 0x20, count: 1001))
    #expect(try connection.receive()?.contains("longer than 1000 bytes") == true)
    #expect(try connection.receive() == nil)
  }

  @Test("No damaged request crashes or hangs the server")
  func damaged() throws {
    let service = try TestService { $0.requestTimeout = .milliseconds(100) }
    let request = Array(
      ("{\"method\":\"org.example.test.Find\",\"parameters\":"
        + "{\"filter\":{\"lists\":[\"a\",\"\\u00e5\"],\"limit\":-1.5e1}},\"more\":true}\0").utf8)
    // Cut off at every byte, the client gone.
    for length in 0..<request.count {
      let connection = try service.raw()
      try connection.send(Array(request[..<length]))
      connection.socket.finishWriting()
      #expect(try connection.receive() == nil)
    }
    // Every bit turned; a second, sound request follows, so that each connection gets a reply or
    // its end.
    for index in 0..<request.count * 8 {
      var bytes = request
      bytes[index / 8] ^= 1 << (index % 8)
      let connection = try service.raw()
      try connection.send(bytes + Array(find.utf8))
      connection.socket.finishWriting()
      while try connection.receive() != nil {}
    }
    let connection = try service.raw()
    try connection.send(find)
    #expect(try connection.receive() == found)
    connection.socket.interrupt()
    #expect(waitUntil { service.server.connectionCount == 0 })
  }
}
