import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

@Suite("Several objects under way at once", .serialized)
struct StoreStreamTests {
  private static let contexts = [ProposedContext(ctImageStorage, [.explicitVRLittleEndian])]

  /// Files of different contents and sizes, some sent from the kernel's cache and some not.
  private func instances(_ count: Int, in directory: TemporaryDirectory) throws -> [StoredInstance]
  {
    try (0..<count).map { number in
      let size = number % 5 == 4 ? 300_001 : 10 + number
      let contents = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ number) }
      let path = try directory.write(contents, to: "\(number)")
      return StoredInstance(
        sopClass: ctImageStorage, sopInstance: UID("1.2.\(number)"),
        transferSyntax: .explicitVRLittleEndian, path: path, dataSetOffset: 3,
        dataSetLength: size - 3)
    }
  }

  private func associate(port: UInt16, operations: Int) throws -> Association {
    try Association.request(
      to: PeerAddress(host: "127.0.0.1", port: port, calledAE: "TEST", callingAE: "CLIENT"),
      contexts: Self.contexts, timeouts: .short,
      extensions: AssociationExtensions(operations: operations))
  }

  @Test("All objects arrive whole and are answered once each", arguments: [1, 2, 16, 64])
  func toOurServer(operations: Int) async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let server = try TestServer()
      let instances = try self.instances(100, in: directory)
      let association = try self.associate(port: server.port, operations: operations)
      #expect(association.storeWindow == operations)
      var answered: [UID] = []
      try association.store(instances) { instance, answer in
        if case .success(let result) = answer, result.status == .success {
          answered.append(instance.sopInstance)
        }
      }
      try association.release()
      #expect(answered == instances.map(\.sopInstance))
      let stored = server.archive.state.read { $0.stored }
      #expect(stored.map(\.sopInstance) == instances.map(\.sopInstance))
      for (object, instance) in zip(stored, instances) {
        #expect(object.bytes == Array(try fileContents(instance.path)[3...]), "\(instance.path)")
      }
    }
  }

  @Test("Answers out of order belong to their objects; what cannot be read is told and passed over")
  func outOfOrder() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      // Takes three objects, answers the last one first, and gives each a status of its own.
      let server = try WireServer { peer, _ in
        guard let request = peer.receiveRequest() else { return }
        try peer.accept(request, operations: 3)
        var received: [WirePeer.Message] = []
        while received.count < 3 {
          guard case .message(let message) = peer.receiveMessage() else { return }
          received.append(message)
        }
        for message in received.reversed() {
          let number = UInt16(message.command.affectedSOPInstance!.value.dropFirst(4))!
          try peer.send(
            WirePeer.message(
              message.command.response(DIMSEStatus(0xB000 + number)), message.contextID))
        }
        while case .message = peer.receiveMessage() {}
        try peer.send(WirePeer.releaseResponse)
      }
      var instances = try self.instances(3, in: directory)
      instances.insert(
        StoredInstance(
          sopClass: ctImageStorage, sopInstance: "1.2.9", transferSyntax: .explicitVRLittleEndian,
          path: directory.path + "/missing", dataSetOffset: 0, dataSetLength: 10), at: 1)
      let association = try self.associate(port: server.port, operations: 8)
      #expect(association.storeWindow == 3)
      var statuses: [UID: UInt16] = [:]
      var unreadable: [UID] = []
      try association.store(instances) { instance, answer in
        switch answer {
        case .success(let result): statuses[instance.sopInstance] = result.status.rawValue
        case .failure(.unreadable): unreadable.append(instance.sopInstance)
        case .failure: break
        }
      }
      #expect(statuses == ["1.2.0": 0xB000, "1.2.1": 0xB001, "1.2.2": 0xB002])
      #expect(unreadable == ["1.2.9"])
      try association.release()
    }
  }

  @Test("An answer to an object that is not under way ends the association")
  func foreignAnswer() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let server = try WireServer { peer, _ in
        guard let request = peer.receiveRequest() else { return }
        try peer.accept(request, operations: 2)
        guard case .message(let message) = peer.receiveMessage() else { return }
        var response = message.command.response(.success)
        response.messageIDRespondedTo = 4711
        try peer.send(WirePeer.message(response, message.contextID))
      }
      let association = try self.associate(port: server.port, operations: 2)
      var answered = 0
      #expect(throws: AssociationError.self) {
        try association.store(try self.instances(5, in: directory)) { _, _ in answered += 1 }
      }
      #expect(answered == 0)
      #expect(!association.isOpen)
    }
  }

  @Test("A stop sends nothing more, and waits for what is under way")
  func stops() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let server = try TestServer()
      let association = try self.associate(port: server.port, operations: 4)
      var answered = 0
      var asked = 0
      try association.store(
        try self.instances(20, in: directory),
        while: {
          asked += 1
          return asked <= 7
        }
      ) { _, _ in answered += 1 }
      #expect(answered == 7)
      #expect(server.archive.state.read { $0.stored.count } == 7)
      try association.release()
    }
  }

  @Test(
    "A peer that takes no part in it gets one object at a time",
    .needs(.program("/usr/bin/storescp")))
  func synchronousPeer() async throws {
    try await offPool {
      let server = try StorescpServer(arguments: ["+xa", "+B"])
      let instances = try ["CT_small.dcm", "MR_small.dcm"].map {
        try StoredInstance(part10: RealImages.path($0))
      }
      let association = try Association.request(
        to: server.address.peerAddress, contexts: instances.map(\.context), timeouts: .short,
        extensions: AssociationExtensions(operations: 16))
      #expect(association.storeWindow == 1)
      var statuses: [DIMSEStatus] = []
      try association.store(instances) { _, answer in
        if case .success(let result) = answer { statuses.append(result.status) }
      }
      #expect(statuses == [.success, .success])
      try association.release()
    }
  }
}
