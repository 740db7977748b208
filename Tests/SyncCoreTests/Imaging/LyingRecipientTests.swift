import DICOM
import Platform
import TestSupport
import Testing
import Training

@testable import SyncCore

/// What a recipient answers to C-STORE, through the real sender: an object counts as sent when the
/// recipient has said so for that object, and only then.
@Suite("A recipient that lies", .serialized)
struct LyingRecipientTests {
  private static let study = PhantomStudy(
    accession: "SE00000000000001", patientName: "Tolvansson^Tolvan", description: "Thorax",
    size: 16, series: [.init(number: 1, description: "axial", images: 4)])

  private struct Files: StoredObjects {
    let instances: [StoredInstance]
    func storedInstances(of study: UID, _ objects: [UID]) throws -> [StoredInstance] {
      instances.filter { objects.contains($0.sopInstance) }
    }
  }

  typealias Answer = @Sendable (WirePeer, WirePeer.Message, Int) throws -> Void

  /// Outcomes in the order of the objects, nil for those without one, and the error at the end.
  private func send(
    response: Duration = .seconds(5), _ answer: @escaping Answer
  ) throws -> ([SendOutcome?], ImageRecipientError?) {
    let directory = try TemporaryDirectory()
    let instances = try Self.study.write(Self.study.series[0], into: directory.path)
    let server = try WireServer { peer, _ in
      guard let request = peer.receiveRequest() else { return }
      try peer.accept(request)
      var number = 0
      while true {
        switch peer.receiveMessage() {
        case .message(let message):
          try answer(peer, message, number)
          number += 1
        case .other(.releaseRequest): return try peer.send(WirePeer.releaseResponse)
        case .other, .end: return
        }
      }
    }
    let recipient = DIMSERecipient(
      DIMSERecipient.Options(
        name: "ahei",
        address: PeerAddress(
          host: "127.0.0.1", port: server.port, calledAE: "LIAR", callingAE: "VGRSECTEMP"),
        timeouts: AssociationTimeouts(
          connect: .seconds(2), association: .seconds(2), response: response)),
      archive: Files(instances: instances))
    var outcomes: [UID: SendOutcome] = [:]
    var failure: ImageRecipientError?
    let before = MonotonicTime.now
    do throws(ImageRecipientError) {
      try recipient.send(
        Self.study.studyUID,
        instances.map { ImageObject(sopInstance: $0.sopInstance, series: Self.study.seriesUID(1)) },
        priority: .routine, stop: Gate()
      ) { uid, outcome in
        #expect(outcomes[uid] == nil, "told twice")
        outcomes[uid] = outcome
      }
    } catch {
      failure = error
    }
    #expect(MonotonicTime.now - before < .seconds(15))
    #expect(server.isQuiet())
    #expect(waitUntil { OpenSockets.connected(port: server.port) == 0 }, "a descriptor is left")
    return (instances.map { outcomes[$0.sopInstance] }, failure)
  }

  private static func respond(
    _ peer: WirePeer, _ message: WirePeer.Message, _ status: DIMSEStatus = .success,
    _ change: (inout Command) -> Void = { _ in }
  ) throws {
    var response = message.command.response(status)
    change(&response)
    try peer.send(WirePeer.message(response, message.contextID))
  }

  @Test("Each status is what the standard makes of it, and the others of the study go on")
  func statuses() async throws {
    try await offPool {
      enum Kind { case stored, warning, again, refused }
      let cases: [(UInt16, Kind)] = [
        (0x0000, .stored), (0x0111, .stored),
        (0xB000, .warning), (0xB006, .warning), (0xB007, .warning), (0x0107, .warning),
        (0xA700, .again), (0xA7FF, .again), (0x0110, .again), (0x0213, .again),
        (0xA900, .refused), (0xC000, .refused), (0xCFFF, .refused), (0x0117, .refused),
        (0x0122, .refused), (0x0124, .refused),
      ]
      for (value, kind) in cases {
        let (outcomes, error) = try self.send { peer, message, number in
          try Self.respond(peer, message, number == 1 ? DIMSEStatus(value) : .success)
        }
        #expect(error == nil)
        #expect([outcomes[0], outcomes[2], outcomes[3]] == [.stored, .stored, .stored])
        let isRight =
          switch outcomes[1] {
          case .stored?: kind == .stored
          case .storedWithWarning(value)?: kind == .warning
          case .failed(value, _)?: kind == .again
          case .refused(value, _)?: kind == .refused
          default: false
          }
        #expect(isRight, "\(DIMSEStatus(value)): \(String(describing: outcomes[1]))")
      }
    }
  }

  @Test("A status that means that more follows is none for a C-STORE")
  func pending() async throws {
    try await offPool {
      for value: UInt16 in [0xFF00, 0xFF01, 0xFE00, 0x1234, 0xFFFF] {
        let (outcomes, error) = try self.send { peer, message, _ in
          try Self.respond(peer, message, DIMSEStatus(value))
        }
        #expect(error == nil)
        for case let outcome? in outcomes {
          switch outcome {
          case .refused(value, _), .failed(value, _): break
          default: Issue.record("\(DIMSEStatus(value)): \(outcome)")
          }
        }
        #expect(!outcomes.contains(nil))
      }
    }
  }

  @Test("Success for another object is not success for this one; a warning may change the UID")
  func wrongUID() async throws {
    try await offPool {
      let (outcomes, error) = try self.send { peer, message, number in
        switch number {
        case 0: try Self.respond(peer, message) { $0.affectedSOPInstance = "1.2.3.4711" }
        case 1: try Self.respond(peer, message) { $0.affectedSOPInstance = nil }
        case 2: try Self.respond(peer, message) { $0.affectedSOPInstance = "" }
        default:
          try Self.respond(peer, message, .coercionOrSuboperationsFailed) {
            $0.affectedSOPInstance = "1.2.3.4711"
          }
        }
      }
      #expect(error == nil)
      guard case .failed(0, let text)? = outcomes[0] else {
        Issue.record("\(String(describing: outcomes[0]))")
        return
      }
      #expect(text.contains("1.2.3.4711"))
      #expect(outcomes[1] == .stored && outcomes[2] == .stored)
      #expect(outcomes[3] == .storedWithWarning(0xB000))
    }
  }

  @Test("What is not answered, not in time, twice or for another message is sent again")
  func noAnswer() async throws {
    try await offPool {
      func check(
        _ what: String, acknowledged: Int, isPeerDown: Bool,
        response: Duration = .milliseconds(400),
        _ answer: @escaping Answer
      ) throws {
        let (outcomes, error) = try self.send(response: response, answer)
        #expect(outcomes.prefix(acknowledged).allSatisfy { $0 == .stored }, "\(what): \(outcomes)")
        #expect(outcomes.dropFirst(acknowledged).allSatisfy { $0 == nil }, "\(what): \(outcomes)")
        #expect(
          error != nil && error?.isPermanent == false, "\(what): \(String(describing: error))")
        #expect(error?.isPeerDown == isPeerDown, "\(what): \(String(describing: error))")
      }
      try check("silence", acknowledged: 1, isPeerDown: true) { peer, message, number in
        if number == 0 { try Self.respond(peer, message) } else { _ = peer.drain() }
      }
      try check("too late", acknowledged: 1, isPeerDown: true) { peer, message, number in
        // The lateness is the attack.
        if number == 1 { Gate().wait(until: .after(.milliseconds(900))) }
        try Self.respond(peer, message)
      }
      try check("twice", acknowledged: 1, isPeerDown: false, response: .seconds(5)) {
        peer, message, number in
        let answer = WirePeer.message(message.command.response(.success), message.contextID)
        try peer.send(answer + answer)
      }
      try check("another message", acknowledged: 2, isPeerDown: false, response: .seconds(5)) {
        peer, message, number in
        try Self.respond(peer, message) { if number == 2 { $0.messageIDRespondedTo = 4711 } }
      }
      try check("no status", acknowledged: 0, isPeerDown: false, response: .seconds(5)) {
        peer, message, _ in
        try Self.respond(peer, message) { $0.status = nil }
      }
      try check("an abort", acknowledged: 2, isPeerDown: false, response: .seconds(5)) {
        peer, message, number in
        if number < 2 { try Self.respond(peer, message) } else { try peer.send(WirePeer.abort) }
      }
      try check("a reset", acknowledged: 3, isPeerDown: false, response: .seconds(5)) {
        peer, message, number in
        if number < 3 { try Self.respond(peer, message) } else { peer.reset() }
      }
      try check(
        "a release in place of an answer", acknowledged: 0, isPeerDown: false, response: .seconds(5)
      ) {
        peer, message, number in
        try peer.send(WirePeer.releaseRequest)
        _ = peer.drain()
      }
    }
  }
}
