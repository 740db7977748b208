import Platform
import TestSupport
import Testing

@testable import HL7

/// Our sending side against receivers made of the Python packages hl7 and hl7apy.
@Suite(
  "MLLP connections to real peers", .serialized, .needs(.python("hl7"), .python("hl7apy")))
struct MLLPConnectionTests {
  private let soon = Duration.seconds(20)

  /// A connection, and its transport to look at.
  private func connect(
    _ server: HL7Server
  ) throws -> (connection: MLLPConnection, transport: SocketTransport) {
    let socket = try StreamSocket.connect(
      to: .tcp(host: "127.0.0.1", port: server.port), deadline: .after(soon))
    let transport = SocketTransport(socket)
    return (MLLPConnection(transport), transport)
  }

  private func acknowledgement(
    _ connection: MLLPConnection, _ message: [UInt8]
  ) throws -> Acknowledgement {
    let answer = try connection.exchange(message, deadline: .after(soon))
    return try #require(Acknowledgement(try HL7Message(parsing: answer)))
  }

  @Test("several messages go over one connection, each with its answer")
  func several() throws {
    let server = try HL7Server(.hl7)
    let connection = try MLLPConnection.connect(
      host: "127.0.0.1", port: server.port, deadline: .after(soon))
    for number in 1...20 {
      let read = try acknowledgement(connection, Samples.order("ID\(number)"))
      #expect(read.code == "AA")
      #expect(read.controlID == "ID\(number)")
    }
    let received = try server.received
    #expect(received.map(\.controlID) == (1...20).map { "ID\($0)" })
    #expect(received.allSatisfy { $0.type == "ORM^O01" })
    #expect(received[0].text == String(decoding: Samples.order("ID1"), as: UTF8.self))
  }

  @Test("texts arrive in the character set that is declared", arguments: HL7CharacterSet.allCases)
  func characterSets(_ set: HL7CharacterSet) throws {
    let name = set == .ascii ? "Asa" : set == .latin9 ? "Åsa Šimek" : "Åsa Ärlig"
    var builder = HL7Builder(set)
    try builder.segment(
      "MSH",
      [
        3: .text("S"), 9: .raw("ORM^O01"), 10: .text("1"), 12: .text("2.3.1"),
        18: .text(set.rawValue),
      ])
    try builder.segment("PID", [5: .text(name)])
    let server = try HL7Server(.hl7)
    #expect(try acknowledgement(try connect(server).connection, builder.bytes).code == "AA")
    #expect(try server.received.first?.text.contains("|\(name)\r") == true)
  }

  @Test("a long message arrives whole")
  func long() throws {
    let server = try HL7Server(.hl7)
    let message =
      Samples.order("1") + Array("NTE|1||".utf8) + [UInt8](repeating: 0x78, count: 1 << 20)
    let read = try acknowledgement(try connect(server).connection, message + [0x0D])
    #expect(read.code == "AA")
    #expect(try server.received.first?.text.utf8.count == message.count + 1)
  }

  @Test("a peer that closes after each message: the kept connection is stale, and nothing is sent")
  func oneMessage() throws {
    let server = try HL7Server(.hl7apy)
    let (connection, transport) = try connect(server)
    #expect(try acknowledgement(connection, Samples.order("ID1")).controlID == "ID1")
    #expect(waitUntil { transport.hasInput })
    #expect(throws: MLLPError.stale) {
      try connection.exchange(Samples.order("ID2"), deadline: .after(soon))
    }
    #expect(MLLPError.stale.isNothingSent)
    let again = try connect(server).connection
    #expect(try acknowledgement(again, Samples.order("ID3")).code == "AA")
    #expect(try server.received.map(\.controlID) == ["ID1", "ID3"])
  }

  @Test(
    "error conditions are read from both peers and versions", arguments: HL7Server.Peer.allCases)
  func errors(_ peer: HL7Server.Peer) throws {
    let rules = ["ORM^O01/NW=AE:204+AR:101+CE+CR+CA+AE"]
    let server = try HL7Server(peer, rules: rules)
    let expected = [
      ("2.3.1", "AE", [204]), ("2.5.1", "AR", [101]), ("2.3.1", "CE", []), ("2.5.1", "CR", []),
      ("2.3.1", "CA", []), ("2.5.1", "AE", []),
    ]
    for (version, code, errors) in expected {
      let message = Samples.order("7", version: version)
      let read = try acknowledgement(try connect(server).connection, message)
      #expect(read.code == code)
      #expect(read.controlID == "7")
      #expect(read.errorCodes == errors)
    }
  }

  @Test("silence is a time-out, and the connection is stale from then on")
  func silence() throws {
    let server = try HL7Server(rules: ["*=silent+AA"])
    let (connection, transport) = try connect(server)
    #expect(throws: MLLPError.timedOut) {
      try connection.exchange(Samples.order("1"), deadline: .after(.milliseconds(300)))
    }
    #expect(!transport.hasInput)
    #expect(throws: MLLPError.stale) {
      try connection.exchange(Samples.order("2"), deadline: .after(soon))
    }
    #expect(waitUntil { (try? server.received.count) == 1 })
  }

  @Test("a connection closed without an answer says so", arguments: HL7Server.Peer.allCases)
  func closing(_ peer: HL7Server.Peer) throws {
    let server = try HL7Server(peer, rules: ["*=close"])
    let connection = try connect(server).connection
    #expect(throws: MLLPError.closed) {
      try connection.exchange(Samples.order("1"), deadline: .after(soon))
    }
    #expect(throws: MLLPError.stale) {
      try connection.exchange(Samples.order("2"), deadline: .after(soon))
    }
    #expect(try server.received.count == 1)
  }

  @Test("a late answer is never taken for that of the next message")
  func late() throws {
    let server = try HL7Server(rules: ["*=late:1+AA"])
    let (connection, transport) = try connect(server)
    #expect(throws: MLLPError.timedOut) {
      try connection.exchange(Samples.order("1"), deadline: .after(.milliseconds(300)))
    }
    #expect(waitUntil { transport.hasInput })
    // Also for one who knows nothing of the time-out.
    for user in [connection, MLLPConnection(transport)] {
      #expect(throws: MLLPError.stale) {
        try user.exchange(Samples.order("2"), deadline: .after(soon))
      }
    }
    #expect(try server.received.map(\.controlID) == ["1"])
  }

  @Test("two answers to one message leave the connection stale", arguments: HL7Server.Peer.allCases)
  func twice(_ peer: HL7Server.Peer) throws {
    let server = try HL7Server(peer, rules: ["*=twice"])
    let (connection, _) = try connect(server)
    #expect(try acknowledgement(connection, Samples.order("1")).controlID == "1")
    #expect(throws: MLLPError.stale) {
      try connection.exchange(Samples.order("2"), deadline: .after(soon))
    }
    #expect(try server.received.map(\.controlID) == ["1"])
  }

  @Test("an answer to another message is given to the caller as it is")
  func wrongID() throws {
    let server = try HL7Server(rules: ["*=wrong-id+AA"])
    let connection = try connect(server).connection
    #expect(try acknowledgement(connection, Samples.order("1")).controlID == "ANOTHER-ONE")
  }

  @Test("an answer that is no frame is told from silence", arguments: HL7Server.Peer.allCases)
  func garbage(_ peer: HL7Server.Peer) throws {
    let server = try HL7Server(peer, rules: ["*=garbage"])
    let connection = try connect(server).connection
    #expect(throws: MLLPError.framing(.garbage(0x35))) {
      try connection.exchange(Samples.order("1"), deadline: .after(soon))
    }
  }

  @Test("whatever a peer does at random, each message's outcome is what the peer did with it")
  func random() throws {
    let server = try HL7Server(seed: 9)
    var connection = try connect(server).connection
    var outcomes: [String] = []
    for number in 1...30 {
      let message = Samples.order("ID\(number)")
      do {
        outcomes.append(try outcome(connection, message, "ID\(number)"))
      } catch MLLPError.stale {
        connection = try connect(server).connection
        outcomes.append(try outcome(connection, message, "ID\(number)"))
      }
    }
    let expected = try server.received.map { received in
      switch received.answer {
      case "AA", "late:0.5", "twice": "AA"
      case "AE:207": "AE 207"
      default: received.answer
      }
    }
    #expect(outcomes == expected)
    #expect(Set(expected).count == 7, "too few kinds of answers: choose another seed")
  }

  private func outcome(
    _ connection: MLLPConnection, _ message: [UInt8], _ controlID: String
  ) throws -> String {
    do {
      let answer = try connection.exchange(message, deadline: .after(.seconds(2)))
      let read = try #require(Acknowledgement(try HL7Message(parsing: answer)))
      if read.controlID != controlID { return "wrong-id" }
      return ([read.code] + read.errorCodes.map(String.init)).joined(separator: " ")
    } catch MLLPError.timedOut {
      return "silent"
    } catch MLLPError.closed {
      return "close"
    } catch MLLPError.framing {
      return "garbage"
    }
  }

  @Test("where nobody listens nothing is sent")
  func nobody() throws {
    let port = try freePort()
    let error = #expect(throws: MLLPError.self) {
      _ = try MLLPConnection.connect(host: "127.0.0.1", port: port, deadline: .after(soon))
    }
    #expect(error?.isNothingSent == true)
    #expect(error?.description.contains("127.0.0.1:\(port)") == true)
  }

  @Test("whoever waits is woken by an interruption")
  func interruption() throws {
    let server = try HL7Server(rules: ["*=silent"])
    let connection = try connect(server).connection
    WorkThread.start("interrupt") {
      _ = waitUntil { (try? server.received.count) == 1 }
      connection.interrupt()
    }
    #expect(throws: MLLPError.closed) {
      try connection.exchange(Samples.order("1"), deadline: .after(soon))
    }
  }
}

extension SocketTransport {
  /// Whether something is there to be read, the end of the stream as well.
  fileprivate var hasInput: Bool { (try? socket.waitReadable(until: .after(.zero))) ?? true }
}
