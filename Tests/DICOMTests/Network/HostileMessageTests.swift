import Platform
import TestSupport
import Testing
import Training

@testable import DICOM

/// What a client can say within an association, or in asking for one, that no well-made client says.
@Suite("Hostile clients: requests and messages", .serialized)
struct HostileMessageTests {
  private static let findClass = InformationModel.studyRoot.findClass

  private func command(
    _ field: CommandField, id: UInt16? = 1, _ change: (inout Command) -> Void = { _ in }
  ) -> Command {
    var command = Command(field)
    command.messageID = id
    switch field {
    case .echoRequest: command.affectedSOPClass = "1.2.840.10008.1.1"
    case .storeRequest:
      command.affectedSOPClass = ctImageStorage
      command.affectedSOPInstance = "1.2.3"
      command.priority = .medium
    case .findRequest: command.affectedSOPClass = Self.findClass
    default: break
    }
    change(&command)
    return command
  }

  private func echo(_ id: UInt16 = 1) -> [UInt8] {
    WirePeer.message(command(.echoRequest, id: id), 3)
  }

  /// An element of a command set: Implicit VR Little Endian, group 0000.
  private func element(_ number: UInt16, _ value: [UInt8], claiming: UInt32? = nil) -> [UInt8] {
    let length = claiming ?? UInt32(value.count)
    return [0, 0, UInt8(number & 0xFF), UInt8(number >> 8)]
      + (0..<4).map { UInt8(truncatingIfNeeded: length >> (8 * UInt32($0))) } + value
  }

  @Test("Lies about lengths, and values where none belong, end the association with the reason")
  func lies() async throws {
    try await offPool {
      let server = try TestServer { $0.maximumPDULength = 16384 }
      let echoSet = self.command(.echoRequest).encoded()
      let store = self.command(.storeRequest) { $0.hasDataSet = true }.encoded()
      let whole = WirePeer.value(3, 3, echoSet)
      // What, its bytes, and the abort: 5 is "unexpected parameter", found by the layer above.
      let cases: [(String, [UInt8], UInt8)] = [
        ("a P-DATA-TF without a value", WirePeer.pdu(4, []), 6),
        ("a P-DATA-TF of five bytes", WirePeer.pdu(4, [0, 0, 0, 1, 1]), 6),
        ("a value of length 0", WirePeer.pdu(4, [0, 0, 0, 0, 1, 3]), 6),
        ("a value of length 1", WirePeer.pdu(4, [0, 0, 0, 1, 1, 3]), 6),
        ("a value longer than its PDU", WirePeer.pdu(4, [0, 0, 1, 0, 3, 3] + echoSet), 6),
        ("a value of 4 GiB", WirePeer.pdu(4, [0xFF, 0xFF, 0xFF, 0xFF, 3, 3] + echoSet), 6),
        ("two bytes after a value", WirePeer.pdu(4, WirePeer.value(3, 1, [0, 0]) + [0, 0]), 6),
        ("a PDU one byte longer than announced", WirePeer.pdu(4, [], claiming: 16385), 6),
        ("a PDU of 4 GiB", WirePeer.pdu(4, [], claiming: .max), 6),
        ("an association request of 4 GiB", WirePeer.pdu(1, [], claiming: .max), 6),
        ("an abort of 4 GiB", WirePeer.pdu(7, [], claiming: .max), 6),
        ("an unknown type of 4 GiB", WirePeer.pdu(0xFE, [], claiming: .max), 1),
        ("an even context", WirePeer.data(2, 3, echoSet), 5),
        ("context 0", WirePeer.data(0, 3, echoSet), 5),
        ("a context that was not proposed", WirePeer.data(99, 3, echoSet), 5),
        ("a data set where a command belongs", WirePeer.data(3, 2, echoSet), 5),
        ("an empty data set where a command belongs", WirePeer.data(3, 0, []), 5),
        (
          "a command in two contexts",
          WirePeer.data(3, 1, Array(echoSet.prefix(20)))
            + WirePeer.data(1, 3, Array(echoSet.dropFirst(20))), 5
        ),
        (
          "two contexts in one PDU",
          WirePeer.pdu(
            4, WirePeer.value(3, 1, Array(echoSet.prefix(20))) + WirePeer.value(5, 3, [])), 5
        ),
        (
          "a command between the fragments of a data set",
          WirePeer.data(1, 3, store) + WirePeer.data(1, 0, [1, 2]) + WirePeer.pdu(4, whole), 5
        ),
        (
          "another context's fragment in a data set",
          WirePeer.data(1, 3, store) + WirePeer.data(1, 0, [1, 2]) + WirePeer.data(5, 2, [3, 4]), 5
        ),
        ("a command set of no bytes", WirePeer.data(3, 3, []), 5),
        ("a command set of seven bytes", WirePeer.data(3, 3, [UInt8](repeating: 0, count: 7)), 5),
        (
          "an element longer than the set",
          WirePeer.data(3, 3, echoSet + self.element(0x0902, [1], claiming: 9)), 5
        ),
        (
          "an element of undefined length",
          WirePeer.data(3, 3, echoSet + self.element(0x0902, [], claiming: .max)), 5
        ),
        (
          "an element of another group before the command",
          WirePeer.data(3, 3, [8, 0, 0x18, 0, 0, 0, 0, 0] + echoSet), 5
        ),
        (
          "a Command Field of four bytes",
          WirePeer.data(3, 3, self.element(0x0100, [0x30, 0, 0, 0])), 5
        ),
        (
          "a set without Command Field", WirePeer.data(3, 3, self.element(0x0800, [1, 1])), 5
        ),
        (
          "a set without Data Set Type", WirePeer.data(3, 3, self.element(0x0100, [0x30, 0])), 5
        ),
        ("no Message ID", WirePeer.message(self.command(.echoRequest, id: nil), 3), 5),
        (
          "a response where a request belongs",
          WirePeer.message(self.command(.echoRequest).response(.success), 3), 5
        ),
        (
          "a C-CANCEL with a data set",
          WirePeer.message(self.command(CommandField(rawValue: 0x0FFF)), 5, dataSet: [0, 0]), 5
        ),
      ]
      for (what, wire, reason) in cases {
        for isSingly in [false, true] {
          let peer = try WirePeer(port: server.port)
          #expect(try peer.associate())
          // It may give up before it has read all.
          if isSingly { try? peer.sendSingly(wire) } else { try peer.send(wire) }
          peer.expectAbort(what, source: 2, reason: reason)
        }
      }
      #expect(server.archive.state.read { $0.stored.isEmpty })
      try server.expectClean("lies")
    }
  }

  @Test("What is odd and harmless is answered, and the association goes on")
  func oddities() async throws {
    try await offPool {
      let server = try TestServer()
      let echoSet = self.command(.echoRequest).encoded()
      var wrongGroupLength = echoSet
      wrongGroupLength.replaceSubrange(8..<12, with: [0xFF, 0xFF, 0xFF, 0x7F])
      let empties = Array(repeatElement(WirePeer.data(3, 1, []), count: 500).joined())
      let find = self.command(.findRequest) { $0.hasDataSet = true }
      let cases: [(String, [UInt8], DIMSEStatus)] = [
        ("one value", WirePeer.data(3, 3, echoSet), .success),
        ("a wrong group length", WirePeer.data(3, 3, wrongGroupLength), .success),
        ("no group length", WirePeer.data(3, 3, Array(echoSet.dropFirst(12))), .success),
        (
          "elements nobody knows, out of order",
          WirePeer.data(3, 3, echoSet + self.element(0x5020, [1, 2]) + self.element(0x0010, [])),
          .success
        ),
        ("control bits that are reserved", WirePeer.data(3, 0xFF, echoSet), .success),
        ("500 values without a byte", empties + WirePeer.data(3, 3, echoSet), .success),
        (
          "a value for each byte, in one PDU",
          WirePeer.pdu(
            4,
            echoSet.enumerated().flatMap {
              WirePeer.value(3, $0 == echoSet.count - 1 ? 3 : 1, [$1])
            }), .success
        ),
        (
          "an echo with a data set",
          WirePeer.message(self.command(.echoRequest), 3, dataSet: [1, 2, 3, 4]), .success
        ),
        (
          "a late C-CANCEL", WirePeer.message(self.command(.cancelRequest), 5) + self.echo(),
          .success
        ),
        (
          "a command nobody knows",
          WirePeer.message(self.command(CommandField(rawValue: 0x0777)), 3), .unrecognizedOperation
        ),
        (
          "an echo in a context of another class",
          WirePeer.message(self.command(.echoRequest), 5), .unrecognizedOperation
        ),
        (
          "a query in a storage context",
          WirePeer.message(find, 1, dataSet: [0, 0]), .unrecognizedOperation
        ),
        (
          "a query without an identifier", WirePeer.message(self.command(.findRequest), 5),
          .mistypedArgument
        ),
        (
          "an identifier that is none",
          WirePeer.message(find, 5, dataSet: [UInt8](repeating: 0xFF, count: 9)), .cannotUnderstand
        ),
        (
          "an empty identifier", WirePeer.message(find, 5, dataSet: []),
          .dataSetDoesNotMatchSOPClass
        ),
        (
          "a store without a data set", WirePeer.message(self.command(.storeRequest), 1),
          .mistypedArgument
        ),
        (
          "a store without a UID",
          WirePeer.message(
            self.command(.storeRequest) { $0.affectedSOPInstance = nil }, 1, dataSet: [1, 2]),
          .invalidSOPInstance
        ),
        (
          "a store under a path",
          WirePeer.message(
            self.command(.storeRequest) { $0.affectedSOPInstance = "../../etc/passwd" }, 1,
            dataSet: [1, 2]), .invalidSOPInstance
        ),
        (
          "a store of another class than the context's",
          WirePeer.message(
            self.command(.storeRequest) { $0.affectedSOPClass = secondaryCapture }, 1,
            dataSet: [1, 2]), .sopClassNotSupported
        ),
        (
          "a store in the context of Verification",
          WirePeer.message(
            self.command(.storeRequest) { $0.affectedSOPClass = "1.2.840.10008.1.1" }, 3,
            dataSet: [1, 2]), .sopClassNotSupported
        ),
      ]
      // All on one association as well as each on its own.
      let longLived = try WirePeer(port: server.port)
      #expect(try longLived.associate())
      for (what, wire, status) in cases {
        let peer = try WirePeer(port: server.port)
        #expect(try peer.associate())
        for one in [peer, longLived] {
          try one.send(wire)
          #expect(one.response()?.status == status, "\(what)")
          try one.send(self.echo(77))
          #expect(one.response()?.messageIDRespondedTo == 77, "\(what): does not go on")
        }
      }
      #expect(server.archive.state.read { $0.stored.isEmpty })
      try longLived.send(WirePeer.releaseRequest)
      #expect(longLived.receive()?.type == .releaseResponse)
      try server.expectClean("oddities")
    }
  }

  @Test("Requests sent before the first is answered are answered in order")
  func pipelined() async throws {
    try await offPool {
      let server = try TestServer()
      let peer = try WirePeer(port: server.port)
      #expect(try peer.associate())
      let store = WirePeer.message(
        self.command(.storeRequest, id: 2), 1, dataSet: [UInt8](repeating: 9, count: 100_000 / 8))
      try peer.send(self.echo(1) + store + self.echo(3) + WirePeer.releaseRequest)
      for id: UInt16 in 1...3 { #expect(peer.response()?.messageIDRespondedTo == id) }
      #expect(peer.receive()?.type == .releaseResponse)
      #expect(server.archive.state.read { $0.stored.count } == 1)
      try server.expectClean("pipelined")
    }
  }

  @Test("A release, or a request, in the middle of an operation ends it without an answer")
  func interrupted() async throws {
    try await offPool {
      let match = DataSet([
        (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.3"),
      ])
      let server = try TestServer(
        MemoryArchive {
          $0.matches = [match]
          $0.isEndless = true
        })
      let query = try match.encoded(as: .implicitVRLittleEndian)
      for (what, wire) in [("release", WirePeer.releaseRequest), ("echo", self.echo(9))] {
        let peer = try WirePeer(port: server.port)
        #expect(try peer.associate())
        try peer.send(WirePeer.message(self.command(.findRequest), 5, dataSet: query))
        #expect(peer.response()?.status == .pending)
        try peer.send(wire)
        var last: PDUType?
        while let pdu = peer.receive() {
          last = pdu.type
          if last == .abort { break }
        }
        #expect(last == .abort, "\(what)")
      }
      try server.expectClean("interrupted")
    }
  }

  @Test("Half a C-CANCEL does not hold up the matches; the whole one ends them")
  func halfCancel() async throws {
    try await offPool {
      let match = DataSet([
        (DICOM.Tag(0x0008, 0x0052), .CS, "STUDY"), (DICOM.Tag(0x0020, 0x000D), .UI, "1.2.3"),
      ])
      let server = try TestServer(
        MemoryArchive {
          $0.matches = [match]
          $0.isEndless = true
        })
      let peer = try WirePeer(port: server.port)
      #expect(try peer.associate())
      let query = try match.encoded(as: .implicitVRLittleEndian)
      try peer.send(WirePeer.message(self.command(.findRequest), 5, dataSet: query))
      #expect(peer.response()?.status == .pending)
      var cancel = Command(.cancelRequest)
      cancel.messageIDRespondedTo = 1
      let wire = WirePeer.message(cancel, 5)
      // At each place in turn: in the PDU's header, the value's, the command.
      let started = MonotonicTime.now
      var sent = 0
      for part in [3, 9, 20, 40] {
        try peer.send(Array(wire[sent..<part]))
        sent = part
        // Several batches, so that it has looked at what has come at least once.
        var isEnded = false
        for _ in 0..<3000 where !isEnded { isEnded = peer.response()?.status != .pending }
        #expect(!isEnded, "ended after \(part) bytes")
      }
      try peer.send(Array(wire[sent...]))
      var final: DIMSEStatus? = .pending
      while final == .pending { final = peer.response()?.status }
      #expect(final == .cancel)
      #expect(MonotonicTime.now - started < .seconds(9))
      try peer.send(self.echo(2))
      #expect(peer.response()?.status == .success)
      peer.socket.interrupt()
      try server.expectClean("half a cancel")
    }
  }
}
