import Glibc
import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

/// Peers that take their time, that say nothing, that come in crowds and that go without a word.
@Suite("Slow, silent, many, and gone", .serialized)
struct HostileTimingTests {
  private static let quick = AssociationTimeouts(
    connect: .seconds(2), association: .milliseconds(400), response: .milliseconds(400),
    move: .milliseconds(300), request: .milliseconds(400))

  private func store(_ instance: UID = "1.2.3") -> Command {
    var command = Command(.storeRequest, hasDataSet: true)
    command.affectedSOPClass = ctImageStorage
    command.affectedSOPInstance = instance
    command.messageID = 1
    command.priority = .medium
    return command
  }

  /// Sends a byte now and then until the server has had enough; false when it never had.
  private func drip(_ bytes: [UInt8], to peer: WirePeer) -> Bool {
    let deadline = Deadline.after(.seconds(10))
    var index = 0
    while !deadline.isPast {
      // The pause between two bytes is the attack.
      usleep(30_000)
      do { try peer.send([bytes[index % bytes.count]]) } catch { return true }
      index += 1
      // What the server says must be noticed: it may have closed its side already.
      if let isReadable = try? peer.socket.waitReadable(until: .after(.zero)), isReadable,
        peer.drain(until: .after(.zero))
      {
        return true
      }
    }
    return false
  }

  @Test("A byte now and then holds nothing: not a request, a command, a data set or a release")
  func slowLoris() async throws {
    try await offPool {
      let server = try TestServer { $0.timeouts = Self.quick }
      let echo = WirePeer.data(3, 1, [UInt8](repeating: 0, count: 4000))
      let cases: [(String, [UInt8], [UInt8], Bool)] = [
        ("request", [], [1, 0, 0, 0, 0x10, 0] + [UInt8](repeating: 0, count: 4096), false),
        ("header", [], [4], true),
        ("command", [], echo, true),
        ("empty values", [], WirePeer.data(3, 1, []), true),
        (
          "data set", WirePeer.data(1, 3, self.store().encoded()),
          WirePeer.data(1, 0, [UInt8](repeating: 7, count: 16000)), true
        ),
        (
          "values of a byte", WirePeer.data(1, 3, self.store().encoded()),
          WirePeer.data(1, 0, [7]), true
        ),
        ("release", [], Array(WirePeer.releaseRequest.prefix(8)), true),
        ("abort", [], Array(WirePeer.abort.prefix(8)), true),
      ]
      // Side by side: each takes as long as the server lets it.
      let results = Monitor<[String: Bool]>([:])
      let port = server.port
      for (what, prefix, bytes, isAssociated) in cases {
        WorkThread.start("drip") {
          var isOver = false
          if let peer = try? WirePeer(port: port),
            !isAssociated || (try? peer.associate()) == true,
            (try? peer.send(prefix)) != nil
          {
            isOver = self.drip(bytes, to: peer)
          }
          results.update { $0[what] = isOver }
        }
      }
      let all = results.wait(until: .after(.seconds(20))) {
        $0.count == cases.count ? $0 : nil
      }
      for (what, _, _, _) in cases { #expect(all?[what] == true, "\(what) was not ended") }
      #expect(server.archive.state.read { $0.stored.isEmpty })
      try server.expectClean("slow loris")
    }
  }

  @Test("Values without a byte, as fast as they go, do not outlast the time for a command")
  func emptyFlood() async throws {
    try await offPool {
      let server = try TestServer { $0.timeouts.response = .milliseconds(500) }
      for prefix in [[], WirePeer.data(1, 3, self.store().encoded())] {
        let peer = try WirePeer(port: server.port)
        #expect(try peer.associate())
        try peer.send(prefix)
        let flood = Array(
          repeatElement(WirePeer.data(1, prefix.isEmpty ? 1 : 0, []), count: 5000).joined())
        let deadline = Deadline.after(.seconds(12))
        while (try? peer.send(flood)) != nil, !deadline.isPast {}
        #expect(!deadline.isPast, "the flood goes on")
      }
      try server.expectClean("flood")
    }
  }

  @Test("A slow peer that does send is not cut off, however long its object takes in all")
  func slowButHonest() async throws {
    try await offPool {
      let server = try TestServer { $0.timeouts.response = .milliseconds(500) }
      let peer = try WirePeer(port: server.port)
      #expect(try peer.associate())
      try peer.send(WirePeer.data(1, 3, self.store().encoded()))
      let started = MonotonicTime.now
      while MonotonicTime.now - started < .milliseconds(1500) {
        try peer.send(WirePeer.data(1, 0, [UInt8](repeating: 7, count: 4096)))
        // The peer's line.
        usleep(100_000)
      }
      try peer.send(WirePeer.data(1, 2, []))
      #expect(peer.response()?.status == .success)
    }
  }

  @Test("Connections that say nothing do not keep out those that do")
  func halfOpen() async throws {
    try await offPool {
      let server = try TestServer { $0.mostAssociations = 4 }
      let silent = try (0..<200).map { _ in try WirePeer(port: server.port) }
      let before = MonotonicTime.now
      // In the rush itself one may find all places taken by those that are on their way out.
      let isIn = waitUntil { (try? server.associate([.verification])) != nil }
      #expect(isIn)
      for _ in 0..<10 {
        let association = try server.associate([.verification])
        #expect(try association.echo().status == .success)
        try association.release()
      }
      #expect(MonotonicTime.now - before < .seconds(5))
      #expect(server.server.connectionCount <= 2 * 20, "\(server.server.connectionCount) threads")
      for peer in silent { peer.socket.interrupt() }
      try server.expectClean("half open")
    }
  }

  @Test("More associations than there may be are told so, at once and for the time being")
  func associationFlood() async throws {
    try await offPool {
      let server = try TestServer { $0.mostAssociations = 4 }
      var held: [WirePeer] = []
      var refused = 0
      for _ in 0..<40 {
        let peer = try WirePeer(port: server.port)
        if try peer.associate() { held.append(peer) } else { refused += 1 }
      }
      #expect(held.count == 4 && refused == 36)
      let rejections = server.events.read { events in
        events.filter {
          if case .rejected(_, _, _, .localLimitExceeded) = $0 { true } else { false }
        }
        .count
      }
      #expect(rejections == 36)
      for peer in held { try peer.send(WirePeer.abort) }
      try server.expectClean("association flood")
    }
  }

  @Test("A reset in the middle of an object, at any place, leaves nothing of it")
  func resets() async throws {
    try await offPool {
      let server = try TestServer()
      let wire =
        WirePeer.data(1, 3, self.store().encoded())
        + WirePeer.data(1, 0, [UInt8](repeating: 1, count: 10_000))
        + WirePeer.data(1, 2, [UInt8](repeating: 2, count: 10_000))
      var random = SeededGenerator(seed: 7)
      for round in 0..<60 {
        let peer = try WirePeer(port: server.port)
        #expect(try peer.associate())
        try peer.send(Array(wire.prefix(Int.random(in: 1..<wire.count, using: &random))))
        if round % 2 == 0 { peer.reset() }
      }
      try server.expectClean("resets")
      #expect(server.archive.state.read { $0.stored.isEmpty })
    }
  }

  @Test("A peer that does not read its answers is let go of, and so is its query")
  func neverReads() async throws {
    try await offPool {
      let match = DataSet([
        (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.3"),
      ])
      let server = try TestServer(
        MemoryArchive {
          $0.matches = [match]
          $0.isEndless = true
        }
      ) { $0.timeouts.response = .milliseconds(500) }
      let peer = try WirePeer(port: server.port)
      #expect(try peer.associate())
      var find = Command(.findRequest)
      find.affectedSOPClass = InformationModel.studyRoot.findClass
      find.messageID = 1
      try peer.send(
        WirePeer.message(find, 5, dataSet: try match.encoded(as: .implicitVRLittleEndian)))
      try server.expectClean("does not read")
      withExtendedLifetime(peer) {}
    }
  }

  @Test("A file that becomes shorter while it is sent is cut off, not completed by an abort")
  func shorterFile() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      // Ways of their own: through memory in small PDUs, and from the file itself in large ones.
      for limit: UInt32 in [16384, 1 << 20] {
        for missing in [4, 10, 100_000] {
          let path = try directory.write([UInt8](repeating: 0xAA, count: 400_000), to: "object")
          let stream = Monitor<[UInt8]?>(nil)
          let server = try WireServer { peer, _ in
            guard let request = peer.receiveRequest() else { return }
            try peer.accept(request, maximumLength: limit)
            let received = peer.readToEnd()
            stream.update { $0 = received }
          }
          let association = try Association.request(
            to: PeerAddress(host: "127.0.0.1", port: server.port, calledAE: "X", callingAE: "Y"),
            contexts: [ProposedContext(ctImageStorage, [.implicitVRLittleEndian])],
            timeouts: .short)
          let source = try FileDataSet(path: path, offset: 0, length: 400_000)
          try #require(truncate(path, 400_000 - missing) == 0)
          #expect {
            try association.store(
              sopClass: ctImageStorage, sopInstance: "1.2.3",
              transferSyntax: .implicitVRLittleEndian, from: source)
          } throws: {
            if case .unreadable? = $0 as? AssociationError { true } else { false }
          }
          #expect(!association.isOpen)
          let received = try #require(stream.wait(until: .after(.seconds(20))) { $0 })
          // Whole PDUs, of which the last may be an abort; or the last is not whole.
          var position = 0
          var last: [UInt8] = []
          while position + 6 <= received.count {
            let length = received[position + 2..<position + 6].reduce(0) { $0 << 8 | Int($1) }
            last = Array(received[position..<min(position + 6 + length, received.count)])
            position += 6 + length
          }
          let isWhole = position == received.count
          #expect(
            isWhole ? last.first == 7 : last.suffix(10) != WirePeer.abort[...],
            "PDUs of \(limit), \(missing) bytes missing")
        }
      }
    }
  }

  @Test("What cannot be sent in time is cut off, never completed with the bytes of an abort")
  func interruptedWrite() async throws {
    try await offPool {
      let hasFailed = Gate()
      let stream = Monitor<[UInt8]?>(nil)
      let server = try WireServer { peer, _ in
        guard let request = peer.receiveRequest() else { return }
        try peer.accept(request, maximumLength: 65536)
        // Reads nothing until the sender has lost its patience, then everything.
        hasFailed.wait(until: .after(.seconds(10)))
        let received = peer.readToEnd()
        stream.update { $0 = received }
      }
      let association = try Association.request(
        to: PeerAddress(host: "127.0.0.1", port: server.port, calledAE: "X", callingAE: "Y"),
        contexts: [ProposedContext(ctImageStorage, [.implicitVRLittleEndian])], timeouts: Self.quick
      )
      let object = MemoryDataSet([UInt8](repeating: 0xAA, count: 16 << 20))
      #expect(throws: AssociationError.timedOut(.write)) {
        try association.store(
          sopClass: ctImageStorage, sopInstance: "1.2.3", transferSyntax: .implicitVRLittleEndian,
          from: object)
      }
      #expect(!association.isOpen)
      hasFailed.open()
      let received = try #require(stream.wait(until: .after(.seconds(60))) { $0 })
      var position = 0
      var types: Set<UInt8> = []
      while position + 6 <= received.count {
        let length = received[position + 2..<position + 6].reduce(0) { $0 << 8 | Int($1) }
        if position + 6 + length <= received.count { types.insert(received[position]) }
        position += 6 + length
      }
      // The last P-DATA-TF is incomplete, or nothing more came after a whole one.
      #expect(types == [4], "PDUs of types \(types)")
      #expect(received.count < 16 << 20)
      #expect(Array(received.suffix(WirePeer.abort.count)) != WirePeer.abort)
    }
  }

  @Test("A peer that sends and sends after our release request is not listened to for ever")
  func chattyRelease() async throws {
    try await offPool {
      let server = try WireServer { peer, _ in
        guard let request = peer.receiveRequest() else { return }
        try peer.accept(request)
        _ = peer.receive()
        let flood = Array(repeatElement(WirePeer.data(1, 0, [1, 2]), count: 4000).joined())
        while true { try peer.send(flood) }
      }
      let before = MonotonicTime.now
      do {
        let association = try Association.request(
          to: PeerAddress(host: "127.0.0.1", port: server.port, calledAE: "X", callingAE: "Y"),
          contexts: [.verification], timeouts: Self.quick)
        #expect(throws: AssociationError.timedOut(.release)) { try association.release() }
      }
      #expect(MonotonicTime.now - before < .seconds(5))
      #expect(server.isQuiet())
    }
  }
}
