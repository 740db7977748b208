import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

/// Servers that answer what no server should, to each of our requests.
@Suite("Hostile servers: what they answer", .serialized)
struct HostileServerTests {
  private static let quick = AssociationTimeouts(
    connect: .seconds(2), association: .seconds(2), response: .milliseconds(500),
    move: .milliseconds(200), request: .seconds(2))

  private static let find = InformationModel.studyRoot.findClass
  private static let move = InformationModel.studyRoot.moveClass!

  /// What we ask.
  enum Question: CaseIterable {
    case echo, find, move, store

    func ask(_ association: Association) throws(AssociationError) -> DIMSEStatus {
      let identifier = DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, "STUDY")])
      switch self {
      case .echo: return try association.echo().status
      case .find: return try association.find(identifier, in: .studyRoot) { _ in true }.status
      case .move:
        return try association.move(identifier, in: .studyRoot, to: "DEST").result.status
      case .store:
        return try association.store(
          sopClass: ctImageStorage, sopInstance: "1.2.3",
          transferSyntax: .implicitVRLittleEndian, from: MemoryDataSet([1, 2, 3, 4])
        ).status
      }
    }
  }

  /// What one question comes to when the server does what the script says with it. Whatever that
  /// is, the call returns, and nothing stays open.
  private func outcome(
    _ question: Question,
    _ script: @escaping @Sendable (WirePeer, WirePeer.Message) throws -> Void
  ) throws -> Result<DIMSEStatus, AssociationError> {
    let server = try WireServer { peer, _ in
      guard let request = peer.receiveRequest() else { return }
      try peer.accept(request)
      guard case .message(let message) = peer.receiveMessage() else { return }
      try script(peer, message)
    }
    let before = MonotonicTime.now
    let result = Result { () throws(AssociationError) in
      let association = try Association.request(
        to: PeerAddress(host: "127.0.0.1", port: server.port, calledAE: "X", callingAE: "Y"),
        contexts: [
          ProposedContext("1.2.840.10008.1.1", [.implicitVRLittleEndian]),
          ProposedContext(Self.find, [.implicitVRLittleEndian]),
          ProposedContext(Self.move, [.implicitVRLittleEndian]),
          ProposedContext(ctImageStorage, [.implicitVRLittleEndian]),
        ], timeouts: Self.quick)
      defer { association.abort() }
      return try question.ask(association)
    }
    #expect(MonotonicTime.now - before < .seconds(8))
    #expect(server.isQuiet())
    #expect(waitUntil { OpenSockets.connected(port: server.port) == 0 }, "a descriptor is left")
    return result
  }

  private func isViolation(_ result: Result<DIMSEStatus, AssociationError>) -> Bool {
    if case .failure(.protocolViolation) = result { true } else { false }
  }

  @Test(
    "An answer to another request, or one that is none, ends the association",
    arguments: Question.allCases)
  func wrongAnswers(question: Question) async throws {
    try await offPool {
      typealias Change = @Sendable (inout Command) -> Void
      let changes: [(String, Change)] = [
        ("another message", { $0.messageIDRespondedTo = 4711 }),
        ("no message", { $0.messageIDRespondedTo = nil }),
        ("no status", { $0.status = nil }),
        ("another command", { $0.field = CommandField(rawValue: 0x8110) }),
        ("a request", { $0.field = .echoRequest }),
      ]
      for (what, change) in changes {
        let result = try self.outcome(question) { peer, message in
          var response = message.command.response(.success)
          change(&response)
          try peer.send(WirePeer.message(response, message.contextID))
          _ = peer.drain()
        }
        #expect(self.isViolation(result), "\(question), \(what): \(result)")
      }
      let wires: [(String, [UInt8])] = [
        ("a data set", WirePeer.data(1, 2, [1, 2])),
        ("another context", WirePeer.data(99, 3, CommandTests.echoRequest)),
        ("a damaged command", WirePeer.data(1, 3, [1, 2, 3])),
        ("a release request", WirePeer.releaseRequest),
        ("a command of 100 kB", WirePeer.data(1, 1, [UInt8](repeating: 0, count: 100_000))),
      ]
      for (what, wire) in wires {
        let result = try self.outcome(question) { peer, _ in
          try peer.send(wire)
          _ = peer.drain()
        }
        #expect(self.isViolation(result), "\(question), \(what): \(result)")
      }
    }
  }

  @Test("Silence, an abort, an end and a reset are told apart", arguments: Question.allCases)
  func endings(question: Question) async throws {
    try await offPool {
      let silence = try self.outcome(question) { peer, _ in _ = peer.drain() }
      #expect(silence == .failure(.timedOut(question == .move ? .move : .response)))
      let aborted = try self.outcome(question) { peer, _ in
        try peer.send(WirePeer.pdu(7, [0, 0, 2, 6]))
      }
      #expect(aborted == .failure(.abortedByPeer(AssociationAbort(source: 2, reason: 6))))
      let ended = try self.outcome(question) { _, _ in }
      #expect(ended == .failure(.connectionLost(nil)))
      let reset = try self.outcome(question) { peer, _ in peer.reset() }
      if case .failure(.connectionLost) = reset {} else { Issue.record("\(question): \(reset)") }
      // In the middle of the answer.
      let half = try self.outcome(question) { peer, message in
        let wire = WirePeer.message(message.command.response(.success), message.contextID)
        try peer.send(Array(wire.prefix(40)))
      }
      #expect(half == .failure(.connectionLost(nil)))
    }
  }

  @Test("An answer in pieces of a byte, and with a data set that nobody asked for, is understood")
  func slowAnswer() async throws {
    try await offPool {
      for question in Question.allCases {
        let result = try self.outcome(question) { peer, message in
          // The identifier of a final response is a list of failures, or is passed over.
          let response = message.command.response(.success)
          try peer.sendSingly(WirePeer.message(response, message.contextID, dataSet: []))
          _ = peer.drain()
        }
        #expect(result == .success(.success), "\(question)")
      }
    }
  }

  @Test("Pending without end is not waited for: neither a query that was cancelled, nor a move")
  func pendingForEver() async throws {
    try await offPool {
      let move = try self.outcome(.move) { peer, message in
        var pending = message.command.response(.pending)
        pending.suboperations = Command.Suboperations(
          remaining: 9, completed: 1, failed: 0, warning: 0)
        let wire = WirePeer.message(pending, message.contextID)
        while true {
          try peer.send(wire)
          Gate().wait(until: .after(.milliseconds(20)))
        }
      }
      #expect(move == .failure(.timedOut(.move)))

      let server = try WireServer { peer, _ in
        guard let request = peer.receiveRequest() else { return }
        try peer.accept(request)
        guard case .message(let message) = peer.receiveMessage() else { return }
        let match = try DataSet([(DICOM.Tag(0x0020, 0x000D), .UI, "1.2")])
          .encoded(as: .implicitVRLittleEndian)
        while true {
          try peer.send(
            WirePeer.message(message.command.response(.pending), message.contextID, dataSet: match))
        }
      }
      let association = try Association.request(
        to: PeerAddress(host: "127.0.0.1", port: server.port, calledAE: "X", callingAE: "Y"),
        contexts: [ProposedContext(Self.find, [.implicitVRLittleEndian])], timeouts: Self.quick)
      var count = 0
      #expect(throws: AssociationError.timedOut(.response)) {
        try association.find(DataSet(), in: .studyRoot) { _ in
          count += 1
          return count < 100
        }
      }
      #expect(count == 100)
      #expect(server.isQuiet())
    }
  }

  @Test("A move that gets on is waited for, though each step takes as long as it may")
  func slowMove() async throws {
    try await offPool {
      let result = try self.outcome(.move) { peer, message in
        for done in 1...12 {
          var pending = message.command.response(.pending)
          pending.suboperations = Command.Suboperations(
            remaining: UInt16(12 - done), completed: UInt16(done), failed: 0, warning: 0)
          try peer.send(WirePeer.message(pending, message.contextID))
          // In all twice the time without progress.
          Gate().wait(until: .after(.milliseconds(150)))
        }
        try peer.send(WirePeer.message(message.command.response(.success), message.contextID))
        _ = peer.drain()
      }
      #expect(result == .success(.success))
    }
  }

  @Test("A second answer is not taken for that of the next request")
  func answerTwice() async throws {
    try await offPool {
      let server = try WireServer { peer, _ in
        guard let request = peer.receiveRequest() else { return }
        try peer.accept(request)
        guard case .message(let message) = peer.receiveMessage() else { return }
        let answer = WirePeer.message(message.command.response(.success), message.contextID)
        try peer.send(answer + answer)
        _ = peer.receiveMessage()
        _ = peer.drain()
      }
      let association = try Association.request(
        to: PeerAddress(host: "127.0.0.1", port: server.port, calledAE: "X", callingAE: "Y"),
        contexts: [.verification], timeouts: Self.quick)
      #expect(try association.echo().status == .success)
      #expect {
        try association.echo()
      } throws: {
        if case .protocolViolation? = $0 as? AssociationError { true } else { false }
      }
      #expect(!association.isOpen)
    }
  }

  @Test("A match without an identifier, or with one that cannot be read, is no match")
  func unreadableMatches() async throws {
    try await offPool {
      for dataSet: [UInt8]? in [nil, [1, 2, 3], [UInt8](repeating: 0xFF, count: 40)] {
        let result = try self.outcome(.find) { peer, message in
          try peer.send(
            WirePeer.message(
              message.command.response(.pending), message.contextID, dataSet: dataSet))
          _ = peer.drain()
        }
        #expect(self.isViolation(result), "\(String(describing: dataSet)): \(result)")
      }
      let endless = try self.outcome(.find) { peer, message in
        var response = message.command.response(.pending)
        response.hasDataSet = true
        try peer.send(WirePeer.data(message.contextID, 3, response.encoded()))
        let piece = WirePeer.data(message.contextID, 0, [UInt8](repeating: 0, count: 60_000))
        while true { try peer.send(piece) }
      }
      #expect(self.isViolation(endless), "\(endless)")
    }
  }

  @Test("A C-GET that only says that it is pending, or sends one object for ever, comes to an end")
  func endlessGet() async throws {
    try await offPool {
      let getClass = try #require(InformationModel.studyRoot.getClass)
      for sendsObjects in [false, true] {
        let server = try WireServer { peer, _ in
          guard let request = peer.receiveRequest() else { return }
          try peer.accept(request)
          guard case .message(let message) = peer.receiveMessage() else { return }
          var store = Command(.storeRequest)
          store.affectedSOPClass = ctImageStorage
          store.affectedSOPInstance = "1.2.3"
          store.messageID = 1
          let wire =
            sendsObjects
            ? WirePeer.message(store, 3, dataSet: [1, 2, 3, 4])
            : WirePeer.message(message.command.response(.pending), message.contextID)
          while true {
            try peer.send(wire)
            if sendsObjects, peer.response() == nil { return }
            Gate().wait(until: .after(.milliseconds(20)))
          }
        }
        let archive = MemoryArchive()
        let before = MonotonicTime.now
        do {
          let association = try Association.request(
            to: PeerAddress(host: "127.0.0.1", port: server.port, calledAE: "X", callingAE: "Y"),
            contexts: [
              ProposedContext(getClass, [.implicitVRLittleEndian]),
              ProposedContext(ctImageStorage, [.implicitVRLittleEndian]),
            ], timeouts: Self.quick)
          #expect(throws: AssociationError.timedOut(.get)) {
            try association.get(DataSet(), in: .studyRoot, into: archive)
          }
        }
        #expect(MonotonicTime.now - before < .seconds(8))
        #expect(archive.state.read { $0.open } == 0)
        #expect(archive.state.read { $0.ended } == 1)
        #expect(server.isQuiet())
      }
    }
  }
}
