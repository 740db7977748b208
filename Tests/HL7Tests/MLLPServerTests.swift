import Platform
import TestSupport
import Testing

@testable import HL7

/// Our receiving side; the senders are the package hl7's client, or bare sockets that misbehave.
@Suite("MLLP server", .serialized)
struct MLLPServerTests {
  private let soon = Duration.seconds(20)

  /// A server that answers with AA, what it has seen and what it has said.
  private final class Receiver: Sendable {
    let server: MLLPServer
    let messages: Monitor<[[UInt8]]>
    let events: Monitor<[String]>

    init(
      _ change: (inout MLLPServer.Options) -> Void = { _ in },
      handle: @escaping @Sendable (HL7Message) -> [UInt8]? = { message in
        Acknowledgement.answer(message, .AA, controlID: "A", time: "20260301")
      }
    ) throws {
      var options = MLLPServer.Options()
      change(&options)
      let messages = Monitor<[[UInt8]]>([])
      let events = Monitor<[String]>([])
      server = MLLPServer(
        on: try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0)), options: options,
        observe: { event in events.update { $0.append(event.description) } },
        handle: { bytes, host in
          messages.update { $0.append(bytes) }
          guard host == "127.0.0.1", let message = try? HL7Message(parsing: bytes) else {
            return nil
          }
          return handle(message)
        })
      self.messages = messages
      self.events = events
      server.start()
    }

    deinit { server.stop(deadline: .after(.seconds(1))) }

    func connect() throws -> StreamSocket {
      try StreamSocket.connect(
        to: .tcp(host: "127.0.0.1", port: server.port), deadline: .after(.seconds(20)))
    }

    func waitForEvent(_ text: String) -> Bool {
      events.wait(until: .after(.seconds(20))) { $0.contains(text) ? true : nil } ?? false
    }

    func waitForConnections(_ count: Int) -> Bool {
      waitUntil(.after(.seconds(20))) { server.connectionCount == count }
    }
  }

  private func isClosed(_ socket: StreamSocket) throws -> Bool {
    do throws(TransportError) {
      return try SocketTransport(socket).read(deadline: .after(soon)).isEmpty
    } catch {
      return !error.isTimeout
    }
  }

  @Test("the package hl7's client is answered, message after message", .needs(.python("hl7")))
  func client() throws {
    let receiver = try Receiver()
    let messages = (1...5).map { Samples.order("ID\($0)") } + [Samples.order]
    let result = try Peers.sendHL7(messages, port: receiver.server.port)
    #expect(result.status == 0, "\(result.output)")
    let answers = result.standardOutput.split(separator: "\n").filter { $0.hasPrefix("MSA") }
    #expect(answers == (1...5).map { "MSA|AA|ID\($0)" } + ["MSA|AA|ID0001"])
    #expect(receiver.messages.read { $0 } == messages)
    #expect(receiver.waitForConnections(0))
    #expect(receiver.events.read { $0 }.isEmpty)
  }

  @Test(
    "our answers pass hl7apy's strict validation", .needs(.python("hl7apy")),
    arguments: ["2.3.1", "2.5.1"])
  func validAnswers(_ version: String) throws {
    let message = try HL7Message(parsing: Samples.order("1", version: version))
    for error in [nil, (code: 204, text: "Unknown key identifier")] {
      let answer = Acknowledgement.answer(
        message, error == nil ? .AA : .AE, error: error, controlID: "A1",
        time: HL7Time.format(milliseconds: 1_767_225_600_000, offset: 60))
      #expect(try HL7Verdict.of(answer).errors == [])
      // The judge does judge.
      let broken = String(decoding: answer, as: UTF8.self).replacing("MSA|A", with: "MSA||A")
      #expect(try !HL7Verdict.of(Array(broken.utf8)).valid)
    }
  }

  @Test("without an answer the connection is closed, for the sender to come again")
  func noAnswer() throws {
    let receiver = try Receiver(handle: { _ in nil })
    let connection = MLLPConnection(SocketTransport(try receiver.connect()))
    #expect(throws: MLLPError.closed) {
      try connection.exchange(Samples.order("1"), deadline: .after(soon))
    }
    #expect(receiver.messages.read { $0.count } == 1)
  }

  @Test("coalesced messages and ones in small pieces are each answered, in order")
  func pieces() throws {
    let receiver = try Receiver()
    let socket = try receiver.connect()
    let messages = (1...3).map { Samples.order("ID\($0)") }
    let stream = messages.flatMap { message -> [UInt8] in MLLPFramer.framed(message) + [0x0D, 0x0A]
    }
    let reader = MLLPConnection(SocketTransport(socket))
    func expectAnswers() throws {
      for number in 1...3 {
        let answer = try HL7Message(parsing: try reader.receive(deadline: .after(soon)))
        #expect(Acknowledgement(answer)?.controlID == "ID\(number)")
      }
    }
    try socket.write(stream, deadline: .after(soon))
    try expectAnswers()
    for byte in stream { try socket.write([byte], deadline: .after(soon)) }
    try expectAnswers()
    #expect(receiver.messages.read { $0 } == messages + messages)
  }

  @Test("one connection too many is closed, and there is room again once another ends")
  func tooMany() throws {
    let receiver = try Receiver { $0.connections = 1 }
    let first = try receiver.connect()
    #expect(receiver.waitForConnections(1))
    #expect(try isClosed(try receiver.connect()))
    #expect(receiver.waitForEvent("127.0.0.1: too many connections"))
    first.interrupt()
    #expect(receiver.waitForConnections(0))
    let connection = MLLPConnection(SocketTransport(try receiver.connect()))
    #expect(throws: Never.self) {
      try connection.exchange(Samples.order("1"), deadline: .after(soon))
    }
  }

  @Test("a host that is not admitted is closed at once and unheard")
  func refusedHost() throws {
    let receiver = try Receiver { $0.admitsHost = { $0 != "127.0.0.1" } }
    let socket = try receiver.connect()
    _ = try? socket.write(MLLPFramer.framed(Samples.order("1")), deadline: .after(soon))
    #expect(try isClosed(socket))
    #expect(receiver.waitForEvent("127.0.0.1 may not connect"))
    #expect(receiver.messages.read { $0.isEmpty })
  }

  @Test("a message beyond the limit ends the connection", .needs(.python("hl7")))
  func oversized() throws {
    let receiver = try Receiver { $0.limit = 300 }
    let short = Samples.order("1")
    let long = short + Array("NTE|1||\(String(repeating: "x", count: 300))\r".utf8)
    #expect(try Peers.sendHL7([short], port: receiver.server.port).status == 0)
    #expect(try Peers.sendHL7([long], port: receiver.server.port).status == 1)
    #expect(receiver.waitForEvent("127.0.0.1: the message is longer than 300 bytes"))
    #expect(receiver.messages.read { $0 } == [short])
  }

  @Test("bytes that are no frame end the connection")
  func garbage() throws {
    let receiver = try Receiver()
    let socket = try receiver.connect()
    try socket.write(Array("GET / HTTP/1.1\r\n".utf8), deadline: .after(soon))
    #expect(try isClosed(socket))
    #expect(
      receiver.waitForEvent("127.0.0.1: byte 0x47 between messages, expected 0x0b"))
  }

  @Test("a connection without messages is closed after a while, and line ends do not keep it")
  func idle() throws {
    let receiver = try Receiver { $0.idleTimeout = .milliseconds(300) }
    let silent = try receiver.connect()
    #expect(try isClosed(silent))
    let dripping = try receiver.connect()
    let deadline = Deadline.after(.seconds(10))
    while try !dripping.waitReadable(until: .after(.milliseconds(50))), !deadline.isPast {
      try? dripping.write([0x0D], deadline: .after(soon))
    }
    #expect(!deadline.isPast)
    #expect(receiver.waitForConnections(0))
    #expect(receiver.events.read { $0.allSatisfy { !$0.contains("too many") } })
  }

  @Test("half a message is not waited for longer than a message may take")
  func half() throws {
    let receiver = try Receiver { $0.messageTimeout = .milliseconds(300) }
    let socket = try receiver.connect()
    try socket.write([0x0B, 0x4D], deadline: .after(soon))
    #expect(try isClosed(socket))
    #expect(receiver.events.wait(until: .after(soon)) { $0.isEmpty ? nil : true } == true)
    #expect(receiver.messages.read { $0.isEmpty })
  }

  @Test("the time of one message does not count for the next that began with its end")
  func messageTimes() throws {
    let receiver = try Receiver { $0.messageTimeout = .seconds(2) }
    let socket = try receiver.connect()
    let reader = MLLPConnection(SocketTransport(socket))
    let frame = MLLPFramer.framed(Samples.order("1"))
    let began = MonotonicTime.now
    try socket.write(Array(frame.prefix(10)), deadline: .after(soon))
    // Nothing comes: it is only a pause.
    #expect(try !socket.waitReadable(until: .after(.milliseconds(1200))))
    try socket.write(Array(frame[10...] + frame[..<10]), deadline: .after(soon))
    _ = try reader.receive(deadline: .after(soon))
    #expect(try !socket.waitReadable(until: .after(.milliseconds(1200))))
    try socket.write(Array(frame.dropFirst(10)), deadline: .after(soon))
    _ = try reader.receive(deadline: .after(soon))
    #expect(MonotonicTime.now - began > .seconds(2))
  }

  @Test("stopping ends idle connections at once, and every thread")
  func stopIdle() throws {
    let receiver = try Receiver()
    let sockets = try (0..<3).map { _ in try receiver.connect() }
    #expect(receiver.waitForConnections(3))
    let began = MonotonicTime.now
    #expect(receiver.server.stop(deadline: .after(soon)))
    #expect(MonotonicTime.now - began < .seconds(5))
    #expect(receiver.server.connectionCount == 0)
    for socket in sockets { #expect(try isClosed(socket)) }
    // Once more changes nothing.
    #expect(receiver.server.stop(deadline: .after(soon)))
  }

  @Test("stopping lets a message under way be answered")
  func stopUnderWay() throws {
    let isHandling = Gate()
    let mayAnswer = Gate()
    let receiver = try Receiver(handle: { message in
      isHandling.open()
      _ = mayAnswer.wait(until: .after(.seconds(20)))
      return Acknowledgement.answer(message, .AA, controlID: "A", time: "2026")
    })
    let idle = try receiver.connect()
    let socket = try receiver.connect()
    try socket.write(MLLPFramer.framed(Samples.order("1")), deadline: .after(soon))
    #expect(isHandling.wait(until: .after(soon)))
    let stopped = Monitor<Bool?>(nil)
    WorkThread.start("stop") {
      let result = receiver.server.stop(deadline: .after(.seconds(20)))
      stopped.update { $0 = result }
    }
    // The idle one's end shows that stopping has begun.
    #expect(try isClosed(idle))
    #expect(receiver.waitForConnections(1))
    mayAnswer.open()
    let answer = try MLLPConnection(SocketTransport(socket)).receive(deadline: .after(soon))
    #expect(Acknowledgement(try HL7Message(parsing: answer))?.controlID == "1")
    #expect(stopped.wait(until: .after(soon)) { $0 } == true)
    #expect(receiver.server.connectionCount == 0)
  }

  @Test("stopping does not wait beyond its deadline for a handler that hangs")
  func stopHanging() throws {
    let isHandling = Gate()
    let mayAnswer = Gate()
    let receiver = try Receiver(handle: { _ in
      isHandling.open()
      _ = mayAnswer.wait(until: .after(.seconds(30)))
      return nil
    })
    let socket = try receiver.connect()
    try socket.write(MLLPFramer.framed(Samples.order("1")), deadline: .after(soon))
    #expect(isHandling.wait(until: .after(soon)))
    #expect(!receiver.server.stop(deadline: .after(.milliseconds(100))))
    #expect(try isClosed(socket))
    mayAnswer.open()
    #expect(receiver.waitForConnections(0))
  }

  @Test(
    "a peer's address is told without its port",
    arguments: [
      ("10.1.2.3:2575", "10.1.2.3"), ("[::1]:2575", "::1"), ("[fe80::1%eth0]:1", "fe80::1%eth0"),
      ("somewhere", "somewhere"), ("", ""),
    ])
  func hosts(_ peer: String, _ host: String) {
    #expect(MLLPServer.host(peer) == host)
  }
}
