import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

/// Association requests of every kind, and answers of every kind to ours.
@Suite("Hostile association requests and answers", .serialized)
struct HostileRequestTests {
  private static let echo: UID = "1.2.840.10008.1.1"

  private func item(_ type: UInt8, _ contents: [UInt8], claiming length: Int? = nil) -> [UInt8] {
    let count = length ?? contents.count
    return [type, 0, UInt8(truncatingIfNeeded: count >> 8), UInt8(truncatingIfNeeded: count)]
      + contents
  }

  private func title(_ text: [UInt8]) -> [UInt8] {
    text + [UInt8](repeating: 0x20, count: max(0, 16 - text.count))
  }

  private func context(_ id: UInt8, _ syntaxes: [String] = ["1.2.840.10008.1.2"]) -> [UInt8] {
    item(
      0x20,
      [id, 0, 0, 0] + item(0x30, Array(Self.echo.value.utf8))
        + syntaxes.flatMap { item(0x40, Array($0.utf8)) })
  }

  private func maximumLength(_ value: UInt32) -> [UInt8] {
    item(0x51, (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) })
  }

  private func request(
    called: [UInt8] = Array("TEST".utf8), version: [UInt8] = [0, 1],
    application: [UInt8]? = Array("1.2.840.10008.3.1.1.1".utf8), contexts: [UInt8]? = nil,
    user: [UInt8]? = nil, rest: [UInt8] = []
  ) -> [UInt8] {
    let body =
      version + [0, 0] + title(called) + title(Array("RAW".utf8))
      + [UInt8](repeating: 0, count: 32) + (application.map { item(0x10, $0) } ?? [])
      + (contexts ?? context(1)) + item(0x50, user ?? maximumLength(16384)) + rest
    return WirePeer.pdu(1, body)
  }

  private func echoes(_ peer: WirePeer, context: UInt8 = 1) throws -> Bool {
    var command = Command(.echoRequest)
    command.affectedSOPClass = Self.echo
    command.messageID = 1
    try peer.send(WirePeer.message(command, context))
    return peer.response()?.status == .success
  }

  @Test("What a request may hold is taken, known or not, and the association works")
  func accepted() async throws {
    try await offPool {
      let server = try TestServer()
      let identity = self.item(0x58, [2, 1, 0, 1, 0x41, 0, 1, 0x42])
      let cases: [(String, [UInt8])] = [
        ("plain", self.request()),
        ("an item nobody knows", self.request(rest: self.item(0x77, [1, 2, 3]))),
        (
          "an item before the others",
          self.request(
            application: nil,
            contexts:
              self.item(0x99, []) + self.item(0x10, Array("1.2.840.10008.3.1.1.1".utf8))
              + self.context(1))
        ),
        (
          "a sub-item nobody knows",
          self.request(
            user: self.maximumLength(0) + self.item(0x7F, [UInt8](repeating: 1, count: 3000)))
        ),
        (
          "sub-items that we do not use",
          self.request(
            user: self.maximumLength(16384) + self.item(0x53, [0, 5, 0, 5]) + identity
              + self.item(0x56, [0, 3, 0x31, 0x2E, 0x32, 1, 1]) + self.item(0x57, [0, 0]))
        ),
        ("no maximum length", self.request(user: [])),
        ("no limit", self.request(user: self.maximumLength(0))),
        ("the smallest limit", self.request(user: self.maximumLength(16))),
        ("the largest limit", self.request(user: self.maximumLength(.max))),
        ("two user informations", self.request(rest: self.item(0x50, self.maximumLength(4096)))),
        ("versions beside the first", self.request(version: [0xFF, 0xFF])),
        ("a title ended by a zero byte", self.request(called: Array("TEST\0\0".utf8))),
        ("a title with spaces before it", self.request(called: Array("  TEST".utf8))),
        (
          "UIDs ended by a zero byte",
          self.request(contexts: self.context(1, ["1.2.840.10008.1.2\0"]))
        ),
        (
          "a transfer syntax of 60000 bytes beside ours",
          self.request(
            contexts: self.context(1, ["1.2.840.10008.1.2"])
              + self.context(3, [String(repeating: "9", count: 60_000)]))
        ),
        (
          "a transfer syntax of bytes that are no text",
          self.request(
            contexts: self.context(1)
              + self.item(
                0x20,
                [3, 0, 0, 0] + self.item(0x30, Array(Self.echo.value.utf8))
                  + self.item(0x40, [UInt8](repeating: 0xFF, count: 40_000))))
        ),
        (
          "a context without transfer syntaxes",
          self.request(
            contexts: self.context(1) + self.context(3, []))
        ),
      ]
      for (what, wire) in cases {
        for isSingly in [false, true] where !isSingly || wire.count < 2000 {
          let peer = try WirePeer(port: server.port)
          if isSingly { try peer.sendSingly(wire) } else { try peer.send(wire) }
          #expect(peer.receive()?.type == .associateAccept, "\(what)")
          #expect(try self.echoes(peer), "\(what)")
        }
      }
      try server.expectClean("accepted")
    }
  }

  @Test("Each fault of a request has its own answer: rejected with the reason, or aborted")
  func refused() async throws {
    try await offPool {
      let server = try TestServer()
      func rejection(_ result: UInt8, _ source: UInt8, _ reason: UInt8) -> [UInt8] {
        [0, result, source, reason]
      }
      let rejected: [(String, [UInt8], [UInt8])] = [
        ("another called title", self.request(called: Array("OTHER".utf8)), rejection(1, 1, 7)),
        ("an empty title", self.request(called: []), rejection(1, 1, 7)),
        (
          "a title of odd bytes", self.request(called: [0xFF, 0xFE, 0, 0x0A, 0x1B]),
          rejection(1, 1, 7)
        ),
        (
          "another application context", self.request(application: Array("1.2.3".utf8)),
          rejection(1, 1, 2)
        ),
        ("another version", self.request(version: [0, 2]), rejection(1, 2, 2)),
        ("a limit of 1", self.request(user: self.maximumLength(1)), rejection(1, 2, 1)),
        ("a limit of 15", self.request(user: self.maximumLength(15)), rejection(1, 2, 1)),
      ]
      for (what, wire, answer) in rejected {
        let peer = try WirePeer(port: server.port)
        try peer.send(wire)
        let pdu = peer.receive()
        #expect(pdu?.type == .associateReject && pdu?.body == answer, "\(what): \(pdu as Any)")
        peer.expectEnd(what)
      }
      let aborted: [(String, [UInt8])] = [
        ("no application context", self.request(application: nil)),
        ("no context", self.request(contexts: [])),
        ("an even context id", self.request(contexts: self.context(2))),
        ("context id 0", self.request(contexts: self.context(0))),
        ("the same context id twice", self.request(contexts: self.context(1) + self.context(1))),
        (
          "an abstract syntax that is missing",
          self.request(contexts: self.item(0x20, [1, 0, 0, 0]))
        ),
        ("an item longer than its PDU", self.request(rest: self.item(0x77, [], claiming: 500))),
        ("an item cut off", self.request(rest: [0x77, 0, 0])),
        ("a sub-item longer than its item", self.request(user: self.item(0x51, [], claiming: 4))),
        ("a maximum length of two bytes", self.request(user: self.item(0x51, [0, 1]))),
        (
          "a role selection longer than its sub-item",
          self.request(
            user: self.maximumLength(0) + self.item(0x54, [0xFF, 0xFF, 0x31]))
        ),
        (
          "no user information",
          WirePeer.pdu(
            1,
            [0, 1, 0, 0] + self.title(Array("TEST".utf8)) + self.title([0x41])
              + [UInt8](repeating: 0, count: 32)
              + self.item(0x10, Array("1.2.840.10008.3.1.1.1".utf8)) + self.context(1))
        ),
        ("a request of 67 bytes", WirePeer.pdu(1, [UInt8](repeating: 0, count: 67))),
        ("a request of zeros", WirePeer.pdu(1, [UInt8](repeating: 0, count: 5000))),
        ("a request of 1 MiB and a byte", WirePeer.pdu(1, [], claiming: 1 << 20 + 1)),
      ]
      for (what, wire) in aborted {
        let peer = try WirePeer(port: server.port)
        try peer.send(wire)
        peer.expectAbort(what, source: 0, reason: 0)
      }
      try server.expectClean("refused")
    }
  }

  @Test("128 contexts are answered one by one, and each accepted one works")
  func manyContexts() async throws {
    try await offPool {
      let server = try TestServer()
      let ids = (0..<128).map { UInt8(2 * $0 + 1) }
      let peer = try WirePeer(port: server.port)
      try peer.send(self.request(contexts: ids.flatMap { self.context($0) }))
      let pdu = try #require(peer.receive())
      guard case .associateAccept(let accept)? = try? PDU(.associateAccept, body: pdu.body) else {
        Issue.record("not accepted")
        return
      }
      #expect(accept.contexts.map(\.id) == ids)
      #expect(accept.contexts.allSatisfy { $0.result == .acceptance })
      for id in ids { #expect(try self.echoes(peer, context: id), "context \(id)") }
    }
  }

  @Test("No P-DATA-TF is longer than the peer has said, however little that is")
  func smallPDUs() async throws {
    try await offPool {
      let server = try TestServer()
      for limit: UInt32 in [16, 17, 18, 64] {
        let peer = try WirePeer(port: server.port)
        try peer.send(self.request(user: self.maximumLength(limit)))
        #expect(peer.receive()?.type == .associateAccept)
        var command = Command(.echoRequest)
        command.affectedSOPClass = Self.echo
        command.messageID = 1
        try peer.send(WirePeer.message(command, 1))
        var bytes: [UInt8] = []
        while let pdu = peer.receive(), pdu.type == .data {
          #expect(pdu.body.count <= Int(limit), "\(pdu.body.count) bytes")
          bytes += pdu.body.dropFirst(6)
          if pdu.body[5] & 2 != 0 { break }
        }
        #expect(try Command(decoding: bytes).status == .success)
      }
    }
  }

  @Test("Answers to our request that are wrong end it with an abort; odd ones are understood")
  func answers() async throws {
    try await offPool {
      typealias Change = @Sendable (inout AssociateAccept) -> Void
      let ours = PeerAddress(host: "127.0.0.1", port: 0, calledAE: "TEST", callingAE: "RAW")
      func outcome(_ change: @escaping Change) throws -> (AssociationError?, [UID], PDUType?) {
        let last = Monitor<PDUType?>(nil)
        let server = try WireServer { peer, _ in
          guard let request = peer.receiveRequest() else { return }
          var accept = AssociateAccept(
            calledAE: request.calledAE, callingAE: request.callingAE,
            contexts: request.contexts.map {
              .init(id: $0.id, result: .acceptance, transferSyntax: $0.transferSyntaxes[0])
            }, user: UserInformation(maximumLength: 16384))
          change(&accept)
          try peer.send(try PDU.associateAccept(accept).encoded())
          let type = peer.receive()?.type
          last.update { $0 = type }
        }
        var address = ours
        address.port = server.port
        var failure: AssociationError?
        var accepted: [UID] = []
        do throws(AssociationError) {
          let association = try Association.request(
            to: address, contexts: [.verification, ProposedContext(ctImageStorage)],
            timeouts: .short)
          accepted = association.contexts.map(\.abstractSyntax)
          association.abort()
        } catch {
          failure = error
        }
        #expect(server.isQuiet())
        #expect(waitUntil { OpenSockets.connected(port: server.port) == 0 })
        return (failure, accepted, last.read { $0 })
      }
      func isViolation(_ change: @escaping Change) throws -> Bool {
        let (failure, _, last) = try outcome(change)
        guard case .protocolViolation? = failure else { return false }
        return last == .abort
      }
      // A transfer syntax that was not proposed, and limits that nothing fits into.
      #expect(try isViolation { $0.contexts[0].transferSyntax = .explicitVRBigEndian })
      #expect(try isViolation { $0.user.maximumLength = 1 })
      #expect(try isViolation { $0.user.maximumLength = 15 })
      // Contexts that were not proposed, answers left out, no context at all.
      let extra = try outcome {
        $0.contexts.append(
          .init(id: 99, result: .acceptance, transferSyntax: .implicitVRLittleEndian))
        $0.contexts.append(
          .init(id: 2, result: .acceptance, transferSyntax: .implicitVRLittleEndian))
      }
      #expect(extra.0 == nil && extra.1.count == 2)
      let left = try outcome { $0.contexts.removeFirst() }
      #expect(left.0 == nil && left.1 == [ctImageStorage])
      let none = try outcome { $0.contexts = [] }
      #expect(none.0 == nil && none.1.isEmpty)
      let refused = try outcome {
        $0.contexts[1].result = AssociateAccept.ContextResult(rawValue: 77)
      }
      #expect(refused.1 == [ProposedContext.verification.abstractSyntax])
    }
  }
}
