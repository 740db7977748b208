import Glibc
import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

@Suite("Hostile and broken peers", .serialized)
struct HostilePeerTests {
  private static let empty: [UInt8] = []

  private func storeRequest(_ instance: UID) -> [UInt8] {
    var command = Command(.storeRequest, hasDataSet: true)
    command.affectedSOPClass = ctImageStorage
    command.affectedSOPInstance = instance
    command.messageID = 1
    command.priority = .medium
    return command.encoded()
  }

  @Test("Every PDU that does not belong before the association is answered with an abort")
  func beforeAssociation() async throws {
    try await offPool {
      let server = try TestServer()
      let wires: [(String, [UInt8])] = [
        ("AC", bytes("02 00 00 00 00 04 00 00 00 00")),
        ("RJ", bytes("03 00 00 00 00 04 00 01 01 01")),
        ("data", WirePeer.data(1, 3, [1, 2])),
        ("release", bytes("05 00 00 00 00 04 00 00 00 00")),
        ("release answer", bytes("06 00 00 00 00 04 00 00 00 00")),
        ("HTTP", Array("GET / HTTP/1.1\r\nHost: x\r\n\r\n".utf8)),
        ("unknown type", bytes("63 00 00 00 00 04 00 00 00 00")),
        ("endless request", bytes("01 00 FF FF FF FF 00 01")),
        ("empty request", bytes("01 00 00 00 00 00")),
      ]
      for (what, wire) in wires {
        let peer = try WirePeer(port: server.port)
        try peer.send(wire)
        peer.expectAbort(what, source: 0)
      }
      // The server still works.
      let association = try server.associate([.verification])
      #expect(try association.echo().status == .success)
      try association.release()
    }
  }

  @Test("Every PDU that does not belong in an association is answered with an abort")
  func inAssociation() async throws {
    try await offPool {
      let server = try TestServer { $0.maximumPDULength = 16384 }
      let request = try PDU.associateRequest(
        AssociateRequest(
          calledAE: "TEST", callingAE: "RAW",
          contexts: [
            .init(id: 1, abstractSyntax: "1.2", transferSyntaxes: [.explicitVRLittleEndian])
          ],
          user: UserInformation(maximumLength: 0))
      ).encoded()
      var noClass = Command(.echoRequest)
      noClass.field = CommandField(rawValue: 0x8030)
      let wires: [(String, [UInt8])] = [
        ("second request", request),
        ("AC", bytes("02 00 00 00 00 04 00 00 00 00")),
        ("RJ", bytes("03 00 00 00 00 04 00 01 01 01")),
        ("release answer", bytes("06 00 00 00 00 04 00 00 00 00")),
        ("release of 5 bytes", bytes("05 00 00 00 00 05 00 00 00 00 00")),
        ("unknown type", bytes("08 00 00 00 00 04 00 00 00 00")),
        ("too long a PDU", bytes("04 00 00 00 40 01")),
        ("value longer than its PDU", bytes("04 00 00 00 00 08 00 00 00 40 01 03 00 00")),
        ("a data set first", WirePeer.data(1, 2, [0, 0])),
        ("context not negotiated", WirePeer.data(9, 3, CommandTests.echoRequest)),
        ("damaged command", WirePeer.data(1, 3, [1, 2, 3])),
        ("a response", WirePeer.data(1, 3, noClass.encoded())),
        (
          "a command within a data set",
          WirePeer.data(1, 3, self.storeRequest("1.2"))
            + WirePeer.data(1, 3, CommandTests.echoRequest)
        ),
        (
          "a data set in another context",
          WirePeer.data(1, 3, self.storeRequest("1.2")) + WirePeer.data(3, 2, [0, 0])
        ),
        (
          "a release within a data set",
          WirePeer.data(1, 3, self.storeRequest("1.2")) + WirePeer.data(1, 0, [0, 0])
            + bytes("05 00 00 00 00 04 00 00 00 00")
        ),
      ]
      for (what, wire) in wires {
        let peer = try WirePeer(port: server.port)
        try peer.associate()
        try peer.send(wire)
        peer.expectAbort(what)
      }
      let isOver = waitUntil { server.server.associationCount == 0 }
      #expect(isOver)
      #expect(server.archive.state.read { $0.stored.isEmpty })
      #expect(server.archive.state.read { $0.aborted } >= 3)
    }
  }

  @Test("A command without end is cut off at a cap")
  func endlessCommand() async throws {
    try await offPool {
      let server = try TestServer()
      let peer = try WirePeer(port: server.port)
      try peer.associate()
      let piece = WirePeer.data(1, 1, [UInt8](repeating: 0, count: 16000))
      for _ in 0..<5 { try? peer.send(piece) }
      peer.expectAbort("endless command")
    }
  }

  @Test("A message cut into single bytes, with empty values between, is understood")
  func singleBytes() async throws {
    try await offPool {
      let server = try TestServer()
      let peer = try WirePeer(port: server.port)
      try peer.associate()
      let echo = CommandTests.echoRequest
      var wire: [UInt8] = []
      for (index, byte) in echo.enumerated() {
        wire += WirePeer.data(3, 1, [])
        wire += WirePeer.data(3, index == echo.count - 1 ? 3 : 1, [byte])
      }
      for byte in wire { try peer.send([byte]) }
      let answer = try #require(peer.receive())
      #expect(answer.type == .data)
      let response = try Command(decoding: Array(answer.body[6...]))
      #expect(response.status == .success)
      #expect(response.messageIDRespondedTo == 7)

      // An object in values of which the last is empty.
      try peer.send(
        WirePeer.data(1, 3, self.storeRequest("1.2.3")) + WirePeer.data(1, 0, [1, 2, 3, 4])
          + WirePeer.data(1, 0, []) + WirePeer.data(1, 2, []))
      let stored = try #require(peer.receive())
      #expect(try Command(decoding: Array(stored.body[6...])).status == .success)
      #expect(server.archive.state.read { $0.stored.first?.bytes } == [1, 2, 3, 4])

      try peer.send(bytes("05 00 00 00 00 04 00 00 00 00"))
      #expect(peer.receive()?.type == .releaseResponse)
      #expect(peer.receive() == nil)
    }
  }

  @Test("A peer that goes away, or stalls, in the middle of an object leaves nothing stored")
  func stalledObject() async throws {
    try await offPool {
      let server = try TestServer { $0.timeouts.response = .milliseconds(300) }
      let gone = try WirePeer(port: server.port)
      try gone.associate()
      try gone.send(WirePeer.data(1, 3, self.storeRequest("1.2.3")) + WirePeer.data(1, 0, [1, 2]))
      gone.socket.interrupt()
      let aborted = server.archive.state.wait(until: .after(.seconds(5))) {
        $0.aborted == 1 ? true : nil
      }
      #expect(aborted == true)

      let stalled = try WirePeer(port: server.port)
      try stalled.associate()
      try stalled.send(
        WirePeer.data(1, 3, self.storeRequest("1.2.3")) + WirePeer.data(1, 0, [1, 2]))
      stalled.expectAbort("stalled", source: 0)
      #expect(server.archive.state.read { $0.stored.isEmpty })
    }
  }

  @Test("Random bytes after the association never hang or end the server")
  func garbage() async throws {
    try await offPool {
      let server = try TestServer { $0.timeouts.response = .milliseconds(200) }
      var random = SeededGenerator(seed: 3)
      for round in 0..<60 {
        let peer = try WirePeer(port: server.port)
        if round % 3 != 0 { try peer.associate() }
        var wire =
          WirePeer.data(1, 3, self.storeRequest("1.2.3")) + WirePeer.data(1, 2, [1, 2, 3, 4])
        for _ in 0..<Int.random(in: 1...8, using: &random) {
          wire[Int.random(in: 0..<wire.count, using: &random)] = .random(
            in: 0...255, using: &random)
        }
        try? peer.send(wire)
        peer.socket.finishWriting()
        while peer.receive() != nil {}
      }
      let association = try server.associate([.verification])
      #expect(try association.echo().status == .success)
      try association.release()
    }
  }

  @Test("Both sides asking for the release at once end in peace")
  func releaseCollision() async throws {
    try await offPool {
      let listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
      let finished = Monitor<[PDUType]>([])
      let peer = WorkThread.start("collider") {
        guard let socket = try? listener.accept() else { return }
        let connection = UpperLayerConnection(
          .socket(socket), isRequestor: false, maximumLength: 16384, timeouts: .short)
        guard
          case .request(let request)? = try? connection.next(
            by: .after(.seconds(5)), waitingFor: .association)
        else { return }
        try? connection.accept(
          AssociateAccept(
            calledAE: request.calledAE, callingAE: request.callingAE,
            contexts: [.init(id: 1, result: .acceptance, transferSyntax: .implicitVRLittleEndian)],
            user: UserInformation(maximumLength: 0)))
        // Asks on its own account; the other side's request is on its way or comes later.
        if (try? connection.release()) != nil {
          finished.update { $0.append(.releaseResponse) }
        }
      }
      let association = try Association.request(
        to: PeerAddress(host: "127.0.0.1", port: listener.port, calledAE: "X", callingAE: "Y"),
        contexts: [ProposedContext(.init("1.2.840.10008.1.1"), [.implicitVRLittleEndian])],
        timeouts: .short)
      try association.release()
      #expect(!association.isOpen)
      #expect(peer.join(until: .after(.seconds(10))))
      #expect(finished.read { $0 } == [.releaseResponse])
    }
  }
}
