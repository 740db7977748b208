import DICOM
import Glibc
import Platform

/// One end of a connection over which PDUs are written by hand, the right ones and the wrong ones:
/// what no well-made peer can be made to say. It keeps no state and checks nothing.
public final class WirePeer: Sendable {
  public let socket: StreamSocket

  /// How long the other side may take for anything.
  private static let patience = Duration.seconds(15)

  public init(_ socket: StreamSocket) { self.socket = socket }

  public convenience init(port: UInt16) throws(SystemError) {
    self.init(
      try StreamSocket.connect(
        to: .tcp(host: "127.0.0.1", port: port), deadline: .after(.seconds(5))))
  }

  // MARK: Writing

  public func send(_ bytes: [UInt8]) throws(SystemError) {
    try socket.write(bytes, deadline: .after(Self.patience))
  }

  /// Every byte in a packet of its own.
  public func sendSingly(_ bytes: [UInt8]) throws(SystemError) {
    for byte in bytes { try send([byte]) }
  }

  /// Asks for an association; true when it is accepted.
  @discardableResult
  public func associate(
    calledAE: String = "TEST", callingAE: String = "RAW",
    _ contexts: [AssociateRequest.Context] = WirePeer.usualContexts, maximumLength: UInt32 = 16384
  ) throws -> Bool {
    let request = AssociateRequest(
      calledAE: calledAE, callingAE: callingAE, contexts: contexts,
      user: UserInformation(maximumLength: maximumLength))
    try send(try PDU.associateRequest(request).encoded())
    return receive()?.type == .associateAccept
  }

  /// CT Image Storage as 1, Verification as 3 and Study Root C-FIND as 5.
  public static let usualContexts: [AssociateRequest.Context] = [
    .init(id: 1, abstractSyntax: ctImageStorage, transferSyntaxes: [.implicitVRLittleEndian]),
    .init(id: 3, abstractSyntax: "1.2.840.10008.1.1", transferSyntaxes: [.implicitVRLittleEndian]),
    .init(
      id: 5, abstractSyntax: InformationModel.studyRoot.findClass,
      transferSyntaxes: [.implicitVRLittleEndian]),
  ]
  public static let ctImageStorage: UID = "1.2.840.10008.5.1.4.1.1.2"

  /// Accepts whatever the request proposes, in the first transfer syntax of each context.
  /// - Parameter operations: how many at once it says that it performs; nil: nothing.
  public func accept(
    _ request: AssociateRequest, maximumLength: UInt32 = 16384, operations: UInt16? = nil
  ) throws {
    let contexts = request.contexts.map {
      AssociateAccept.Context(
        id: $0.id, result: .acceptance, transferSyntax: $0.transferSyntaxes[0])
    }
    try send(
      try PDU.associateAccept(
        AssociateAccept(
          calledAE: request.calledAE, callingAE: request.callingAE, contexts: contexts,
          user: UserInformation(
            maximumLength: maximumLength,
            asynchronousOperations: operations.map { .init(invoked: 1, performed: $0) }))
      ).encoded())
  }

  /// Ends the connection without a farewell (RST), whatever is on its way.
  public func reset() {
    var now = linger(l_onoff: 1, l_linger: 0)
    setsockopt(
      socket.descriptor.raw, SOL_SOCKET, SO_LINGER, &now, socklen_t(MemoryLayout<linger>.size))
    // Takes the place of the connection; the kernel resets that one at once.
    let nothing = Glibc.open("/dev/null", O_RDONLY | O_CLOEXEC)
    _ = dup2(nothing, socket.descriptor.raw)
    _ = Glibc.close(nothing)
  }

  // MARK: Bytes

  /// A PDU of any type and of any length that it claims.
  public static func pdu(_ type: UInt8, _ body: [UInt8], claiming length: UInt32? = nil) -> [UInt8]
  {
    [type, 0] + bigEndian(length ?? UInt32(body.count)) + body
  }

  /// A P-DATA-TF with one value. Control: 1 for a command, 2 for the last fragment.
  public static func data(_ contextID: UInt8, _ control: UInt8, _ contents: [UInt8]) -> [UInt8] {
    pdu(4, value(contextID, control, contents))
  }

  /// A presentation data value, to be put into a P-DATA-TF with others.
  public static func value(_ contextID: UInt8, _ control: UInt8, _ contents: [UInt8]) -> [UInt8] {
    bigEndian(UInt32(contents.count + 2)) + [contextID, control] + contents
  }

  /// A command and, if there is one, its data set, each in one value.
  public static func message(
    _ command: Command, _ contextID: UInt8, dataSet: [UInt8]? = nil
  ) -> [UInt8] {
    var command = command
    command.hasDataSet = dataSet != nil
    return data(contextID, 3, command.encoded()) + (dataSet.map { data(contextID, 2, $0) } ?? [])
  }

  public static let releaseRequest: [UInt8] = pdu(5, [0, 0, 0, 0])
  public static let releaseResponse: [UInt8] = pdu(6, [0, 0, 0, 0])
  public static let abort: [UInt8] = pdu(7, [0, 0, 0, 0])

  static func bigEndian(_ value: UInt32) -> [UInt8] {
    (0..<4).map { UInt8(truncatingIfNeeded: value >> (24 - 8 * UInt32($0))) }
  }

  // MARK: Reading

  public typealias Received = (type: PDUType?, body: [UInt8])

  /// The next PDU; nil when the connection ends, or nothing comes.
  public func receive() -> Received? {
    guard let header = read(6) else { return nil }
    let length = header[2...].reduce(0) { $0 << 8 | Int($1) }
    guard length <= 64 << 20, let body = read(length) else { return nil }
    return (PDUType(rawValue: header[0]), body)
  }

  /// What came as a whole message: a command, and its data set if it has one.
  public struct Message: Sendable {
    public var command: Command
    public var contextID: UInt8
    public var dataSet: [UInt8]
  }

  /// What is received in place of a message: a release, an abort, or the end of the connection.
  public enum Incoming: Sendable {
    case message(Message)
    case other(PDUType)
    case end
  }

  /// The next message. Values are put together over P-DATA-TFs.
  public func receiveMessage() -> Incoming {
    var command: [UInt8] = []
    var dataSet: [UInt8] = []
    var decoded: Command?
    while let (type, body) = receive() {
      guard let type else { return .end }
      guard type == .data else { return .other(type) }
      var position = 0
      while position + 6 <= body.count {
        let length = body[position..<position + 4].reduce(0) { $0 << 8 | Int($1) }
        let (contextID, control) = (body[position + 4], body[position + 5])
        guard length >= 2, position + 4 + length <= body.count else { return .end }
        let contents = body[position + 6..<position + 4 + length]
        position += 4 + length
        if control & 1 != 0 { command += contents } else { dataSet += contents }
        guard control & 2 != 0 else { continue }
        if control & 1 != 0 {
          guard let read = try? Command(decoding: command) else { return .end }
          decoded = read
        }
        if let decoded, !decoded.hasDataSet || control & 1 == 0 {
          return .message(Message(command: decoded, contextID: contextID, dataSet: dataSet))
        }
      }
    }
    return .end
  }

  /// The association request that a client begins with.
  public func receiveRequest() -> AssociateRequest? {
    guard let (type, body) = receive(), type == .associateRequest,
      case .associateRequest(let request)? = try? PDU(.associateRequest, body: body)
    else { return nil }
    return request
  }

  /// Reads until the other side has closed. False when it has not within the time.
  public func drain(until deadline: Deadline = .after(.seconds(15))) -> Bool {
    pass(until: deadline) { _ in }
  }

  /// All that comes until the other side has closed.
  public func readToEnd(until deadline: Deadline = .after(.seconds(15))) -> [UInt8] {
    var all: [UInt8] = []
    _ = pass(until: deadline) { all += $0 }
    return all
  }

  private func pass(until deadline: Deadline, _ body: (ArraySlice<UInt8>) -> Void) -> Bool {
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let count = buffer.withUnsafeMutableBytes { bytes -> Int in
        do throws(SystemError) {
          return try socket.read(into: bytes, deadline: deadline)
        } catch {
          return error.isTimeout ? -1 : 0
        }
      }
      if count == 0 { return true }
      if count > 0 { body(buffer[..<count]) }
      if count < 0 || deadline.isPast { return false }
    }
  }

  /// That many bytes; nil when the connection ends before.
  public func read(_ count: Int) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let deadline = Deadline.after(Self.patience)
    var filled = 0
    while filled < count {
      let taken = bytes.withUnsafeMutableBytes { buffer -> Int in
        let rest = UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
        return (try? socket.read(into: rest, deadline: deadline)) ?? 0
      }
      guard taken > 0 else { return nil }
      filled += taken
    }
    return bytes
  }
}

/// A listener whose connections are each served by a script, on a thread of their own.
public final class WireServer: Sendable {
  private let listener: ListeningSocket
  private let state = Monitor(State())

  private struct State {
    var connections = 0
    var running = 0
  }

  /// - Parameter script: gets the connection and its number, from 0 on. The connection is closed
  ///   when it returns.
  public init(_ script: @escaping @Sendable (WirePeer, Int) throws -> Void) throws {
    listener = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0))
    let (listener, state) = (listener, state)
    WorkThread.start("wire-accept") {
      while let socket = try? listener.accept() {
        let number = state.update { state -> Int in
          state.connections += 1
          state.running += 1
          return state.connections - 1
        }
        WorkThread.start("wire-\(number)") {
          let peer = WirePeer(socket)
          try? script(peer, number)
          // In order, so that what was written last is read.
          peer.socket.finishWriting()
          _ = peer.drain(until: .after(.seconds(5)))
          state.update { $0.running -= 1 }
        }
      }
    }
  }

  deinit { listener.stop() }

  public var port: UInt16 { listener.port }
  /// How many connections there have been.
  public var connections: Int { state.read { $0.connections } }

  /// Waits until no connection is served any more.
  public func isQuiet(by deadline: Deadline = .after(.seconds(10))) -> Bool {
    state.wait(until: deadline) { $0.running == 0 ? true : nil } ?? false
  }
}
