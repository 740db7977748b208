import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

/// PS3.8 table 9-10 over real connections: every PDU in every state that the network can bring one
/// of our sides into. What is expected is written down from the standard.
@Suite("Every PDU in every state, over the network", .serialized)
struct StateTableWireTests {
  /// The PDUs of the table's rows, and two that are none.
  enum Arrival: String, CaseIterable, CustomStringConvertible {
    case associateRequest, associateAccept, associateReject, data, releaseRequest, releaseResponse
    case abort, unknownType, wrongLength

    var description: String { rawValue }

    func wire() throws -> [UInt8] {
      switch self {
      case .associateRequest:
        try PDU.associateRequest(
          AssociateRequest(
            calledAE: "TEST", callingAE: "RAW", contexts: WirePeer.usualContexts,
            user: UserInformation(maximumLength: 16384))
        ).encoded()
      case .associateAccept:
        try PDU.associateAccept(
          AssociateAccept(
            calledAE: "TEST", callingAE: "RAW",
            contexts: [.init(id: 1, result: .acceptance, transferSyntax: .implicitVRLittleEndian)],
            user: UserInformation(maximumLength: 16384))
        ).encoded()
      case .associateReject: WirePeer.pdu(3, [0, 1, 1, 1])
      case .data: WirePeer.data(3, 3, CommandTests.echoRequest)
      case .releaseRequest: WirePeer.releaseRequest
      case .releaseResponse: WirePeer.releaseResponse
      case .abort: WirePeer.abort
      case .unknownType: WirePeer.pdu(8, [0, 0, 0, 0])
      case .wrongLength: WirePeer.pdu(6, [0, 0, 0, 0, 0])
      }
    }
  }

  /// What the other side sees.
  enum Reaction: Equatable {
    /// AA-1: A-ABORT, service user.
    case abortByUser
    /// AA-8: A-ABORT, service provider, with this reason.
    case abortByProvider(UInt8)
    /// The transport is closed without a word: AA-2, AA-3, AE-4, AR-3.
    case close
    /// A PDU of this type, and the association goes on or ends in peace.
    case answer(PDUType)
  }

  /// How the bytes come.
  enum Cut: CaseIterable {
    case whole, singly
  }

  // MARK: - As acceptor

  /// Sta2, awaiting A-ASSOCIATE-RQ.
  static let acceptorSta2: [Arrival: Reaction] = [
    .associateRequest: .answer(.associateAccept),  // AE-6, AE-7
    .associateAccept: .abortByUser,  // AA-1
    .associateReject: .abortByUser,
    .data: .abortByUser,
    .releaseRequest: .abortByUser,
    .releaseResponse: .abortByUser,
    .abort: .close,  // AA-2
    .unknownType: .abortByUser,
    .wrongLength: .abortByUser,
  ]

  /// Sta6, established. 2 is "unexpected PDU", 1 "unrecognized PDU", 6 "invalid parameter value".
  static let acceptorSta6: [Arrival: Reaction] = [
    .associateRequest: .abortByProvider(2),  // AA-8
    .associateAccept: .abortByProvider(2),
    .associateReject: .abortByProvider(2),
    .data: .answer(.data),  // DT-2: the echo is answered
    .releaseRequest: .answer(.releaseResponse),  // AR-2, AR-4
    .releaseResponse: .abortByProvider(2),
    .abort: .close,  // AA-3
    .unknownType: .abortByProvider(1),
    .wrongLength: .abortByProvider(6),
  ]

  @Test("As acceptor: before the association and in it", arguments: Cut.allCases)
  func acceptor(cut: Cut) async throws {
    try await offPool {
      let server = try TestServer()
      for (state, table) in [("Sta2", Self.acceptorSta2), ("Sta6", Self.acceptorSta6)] {
        #expect(table.count == Arrival.allCases.count)
        for arrival in Arrival.allCases {
          let peer = try WirePeer(port: server.port)
          if state == "Sta6" { #expect(try peer.associate()) }
          let wire = try arrival.wire()
          if cut == .whole { try peer.send(wire) } else { try peer.sendSingly(wire) }
          self.expect(table[arrival], from: peer, "\(arrival) in \(state), \(cut)")
        }
      }
      try server.expectClean("\(cut)")
    }
  }

  @Test("As acceptor: a PDU that comes in one packet with the association request")
  func coalesced() async throws {
    try await offPool {
      let server = try TestServer()
      for arrival in Arrival.allCases {
        let peer = try WirePeer(port: server.port)
        try peer.send(try Arrival.associateRequest.wire() + arrival.wire())
        #expect(peer.receive()?.type == .associateAccept)
        self.expect(Self.acceptorSta6[arrival], from: peer, "\(arrival) with the request")
      }
      try server.expectClean("coalesced")
    }
  }

  @Test("As acceptor: after the release or a rejection (Sta13) nothing is answered any more")
  func awaitingClose() async throws {
    try await offPool {
      let server = try TestServer()
      for arrival in Arrival.allCases {
        let peer = try WirePeer(port: server.port)
        #expect(try peer.associate())
        try peer.send(WirePeer.releaseRequest + arrival.wire())
        #expect(peer.receive()?.type == .releaseResponse, "\(arrival)")
        peer.expectEnd("\(arrival) after the release")

        let rejected = try WirePeer(port: server.port)
        #expect(try !rejected.associate(calledAE: "OTHER"))
        // The other side may have gone already, which is as good.
        try? rejected.send(try arrival.wire())
        rejected.expectEnd("\(arrival) after the rejection")
      }
      try server.expectClean("Sta13")
    }
  }

  @Test("As acceptor: a transport that is closed, or reset, in any state leaves nothing")
  func transportClosed() async throws {
    try await offPool {
      let server = try TestServer()
      var prefixes: [[UInt8]] = []
      for arrival in Arrival.allCases {
        let wire = try arrival.wire()
        prefixes += [[], Array(wire.prefix(1)), Array(wire.prefix(6)), Array(wire.dropLast())]
      }
      for (index, prefix) in prefixes.enumerated() {
        let peer = try WirePeer(port: server.port)
        if index % 2 == 0 { #expect(try peer.associate()) }
        try peer.send(prefix)
        if index % 3 == 0 { peer.reset() }
      }
      try server.expectClean("closed")
    }
  }

  // MARK: - As requestor

  /// Sta5, awaiting A-ASSOCIATE-AC or -RJ.
  static let requestorSta5: [Arrival: Reaction] = [
    .associateRequest: .abortByProvider(2),  // AA-8
    .associateAccept: .answer(.data),  // AE-3: the echo request follows
    .associateReject: .close,  // AE-4
    .data: .abortByProvider(2),
    .releaseRequest: .abortByProvider(2),
    .releaseResponse: .abortByProvider(2),
    .abort: .close,  // AA-3
    .unknownType: .abortByProvider(1),
    .wrongLength: .abortByProvider(6),
  ]

  /// Sta7, awaiting A-RELEASE-RP.
  static let requestorSta7: [Arrival: Reaction] = [
    .associateRequest: .abortByProvider(2),
    .associateAccept: .abortByProvider(2),
    .associateReject: .abortByProvider(2),
    .data: .close,  // AR-6: taken; the release response that follows ends it, AR-3
    .releaseRequest: .answer(.releaseResponse),  // AR-8, AR-9: collision, the requestor answers
    .releaseResponse: .close,  // AR-3
    .abort: .close,  // AA-3
    .unknownType: .abortByProvider(1),
    .wrongLength: .abortByProvider(6),
  ]

  /// Sta11, a collision: our answer is sent, theirs is awaited.
  static let requestorSta11: [Arrival: Reaction] = [
    .associateRequest: .abortByProvider(2),
    .associateAccept: .abortByProvider(2),
    .associateReject: .abortByProvider(2),
    .data: .abortByProvider(2),
    .releaseRequest: .abortByProvider(2),
    .releaseResponse: .close,  // AR-3
    .abort: .close,
    .unknownType: .abortByProvider(1),
    .wrongLength: .abortByProvider(6),
  ]

  @Test("As requestor: where the answer to the request is awaited", arguments: Cut.allCases)
  func requestorSta5(cut: Cut) async throws {
    try await offPool {
      for arrival in Arrival.allCases {
        let what = "\(arrival) in Sta5, \(cut)"
        try self.asRequestor(what, cut, Self.requestorSta5[arrival], arrival) { peer in
          _ = peer.receive()
          return []
        }
      }
    }
  }

  @Test("As requestor: while the release is awaited, and in a collision", arguments: Cut.allCases)
  func requestorReleasing(cut: Cut) async throws {
    try await offPool {
      for arrival in Arrival.allCases {
        try self.asRequestor(
          "\(arrival) in Sta7, \(cut)", cut, Self.requestorSta7[arrival], arrival
        ) { peer in
          try self.untilRelease(peer)
          // What follows P-DATA so that there is an end.
          return arrival == .data ? WirePeer.releaseResponse : []
        }
        try self.asRequestor(
          "\(arrival) in Sta11, \(cut)", cut, Self.requestorSta11[arrival], arrival
        ) { peer in
          try self.untilRelease(peer)
          try peer.send(WirePeer.releaseRequest)
          #expect(peer.receive()?.type == .releaseResponse)
          return []
        }
      }
    }
  }

  /// Serves an echo, up to the release request.
  private func untilRelease(_ peer: WirePeer) throws {
    let request = try #require(peer.receiveRequest())
    try peer.accept(request)
    guard case .message(let echo) = peer.receiveMessage() else {
      Issue.record("no echo")
      return
    }
    try peer.send(WirePeer.message(echo.command.response(.success), echo.contextID))
    #expect(peer.receive()?.type == .releaseRequest)
  }

  /// One association of ours: echo and release, whatever comes of them. Both must return, and every
  /// descriptor must be closed.
  private func asRequestor(
    _ what: String, _ cut: Cut, _ reaction: Reaction?, _ arrival: Arrival,
    prepare: @escaping @Sendable (WirePeer) throws -> [UInt8]
  ) throws {
    let isSeen = Gate()
    let server = try WireServer { peer, _ in
      defer { isSeen.open() }
      let rest = try prepare(peer)
      let wire = try arrival.wire() + rest
      if cut == .whole { try peer.send(wire) } else { try peer.sendSingly(wire) }
      self.expect(reaction, from: peer, what)
    }
    let address = PeerAddress(
      host: "127.0.0.1", port: server.port, calledAE: "TEST", callingAE: "RAW")
    let before = MonotonicTime.now
    var failure: AssociationError?
    do throws(AssociationError) {
      var timeouts = AssociationTimeouts.short
      timeouts.association = .seconds(2)
      timeouts.response = .seconds(2)
      let association = try Association.request(
        to: address, contexts: [ProposedContext("1.2.840.10008.1.1", [.implicitVRLittleEndian])],
        timeouts: timeouts)
      _ = try association.echo()
      try association.release()
    } catch {
      failure = error
    }
    #expect(MonotonicTime.now - before < .seconds(5), "\(what)")
    #expect(isSeen.wait(until: .after(.seconds(10))), "\(what)")
    switch reaction {
    case .abortByProvider: #expect(failure.isViolation, "\(what): \(String(describing: failure))")
    case .close where arrival == .abort:
      #expect(failure == .abortedByPeer(AssociationAbort(source: 0, reason: 0)), "\(what)")
    default: break
    }
    let isClosed = waitUntil { OpenSockets.connected(port: server.port) == 0 }
    #expect(isClosed, "\(what): a descriptor is left")
  }

  private func expect(_ reaction: Reaction?, from peer: WirePeer, _ what: String) {
    switch reaction {
    case .abortByUser: peer.expectAbort(what, source: 0, reason: 0)
    case .abortByProvider(let reason): peer.expectAbort(what, source: 2, reason: reason)
    case .close: peer.expectEnd(what)
    case .answer(let type):
      let pdu = peer.receive()
      #expect(pdu?.type == type, "\(what): \(String(describing: pdu))")
    case nil: Issue.record("\(what): no expectation")
    }
  }
}

extension AssociationError? {
  fileprivate var isViolation: Bool {
    if case .protocolViolation? = self { true } else { false }
  }
}
