import Glibc
import Platform
import Synchronization

/// One transport connection driven by the protocol machine of PS3.8: performs the machine's
/// actions, and reads presentation data values where they lie in its one receive buffer.
/// Used by one thread at a time; only ``Interrupter`` is for others.
final class UpperLayerConnection {
  private let transport: AssociationTransport
  private(set) var machine: UpperLayerMachine
  private var parser: PDVParser
  private let timeouts: AssociationTimeouts
  let interrupter: Interrupter

  /// Reused for everything that is received; only pages that were needed are touched.
  private let buffer: UnsafeMutableRawBufferPointer
  private var start = 0
  private var end = 0

  /// For values of some length; made when the first one comes.
  private var mover: SocketToFile?
  /// Values are moved past the buffer: it is to take no more than their beginnings.
  private var isMoving = false

  /// A value of which less is still to come is read and written.
  private static let leastMoved = 48 * 1024
  /// Read at a time while values are moved: commands, and what an index wants of a data set.
  private static let beginning = 16 * 1024

  /// Ends a connection from another thread.
  final class Interrupter: Sendable {
    private let transport: AssociationTransport
    private let wanted = Atomic(false)

    init(_ transport: AssociationTransport) { self.transport = transport }

    var isInterrupted: Bool { wanted.load(ordering: .acquiring) }

    func interrupt() {
      wanted.store(true, ordering: .releasing)
      transport.interrupt()
    }
  }

  /// What has come.
  enum Incoming {
    /// Its bytes are at ``bytes(_:)`` until the next call of ``next(by:waitingFor:)``.
    case fragment(PDVParser.Fragment)
    case request(AssociateRequest)
    case accept(AssociateAccept)
    /// The peer asks for the release; ``confirmRelease()`` answers.
    case releaseRequest
    /// Both sides have released.
    case released
  }

  init(
    _ transport: AssociationTransport, isRequestor: Bool, maximumLength: UInt32,
    timeouts: AssociationTimeouts, bufferSize: Int = 256 * 1024
  ) {
    self.transport = transport
    self.timeouts = timeouts
    machine = UpperLayerMachine(isRequestor: isRequestor)
    parser = PDVParser(maximumLength: maximumLength)
    interrupter = Interrupter(transport)
    buffer = .allocate(byteCount: bufferSize, alignment: 4096)
    if isRequestor {
      _ = machine.handle(.associateRequest)
      _ = machine.handle(.transportConnected)
    } else {
      _ = machine.handle(.transportIndication)
    }
  }

  deinit {
    buffer.deallocate()
  }

  var isEstablished: Bool { machine.state == .sta6 }

  /// The bytes of a fragment, valid until the next read.
  func bytes(_ fragment: PDVParser.Fragment) -> UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(rebasing: buffer[fragment.range])
  }

  // MARK: Receiving

  /// The next thing from the peer.
  func next(
    by deadline: Deadline, waitingFor wait: AssociationError.Wait
  ) throws(AssociationError) -> Incoming {
    while true {
      switch try step() {
      case .needsMore: try fill(deadline, wait)
      case .dataPDU:
        let state = machine.state
        switch machine.handle(.dataPDU) {
        case .dt2, .ar6: break
        case let action: try refuse(action, "P-DATA-TF in \(state)")
        }
      case .fragment(let fragment):
        if machine.state != .sta13 { return .fragment(fragment) }
      case .header(let type, let length):
        if let incoming = try control(type, length, deadline, wait) { return incoming }
      }
    }
  }

  /// Another fragment, if one is already here; nothing else is taken.
  func nextBuffered() throws(AssociationError) -> PDVParser.Fragment? {
    while true {
      let saved = (parser, start)
      switch try step() {
      case .fragment(let fragment): return fragment
      case .dataPDU where machine.state == .sta6: _ = machine.handle(.dataPDU)
      default:
        (parser, start) = saved
        return nil
      }
    }
  }

  /// What has come and can be taken without waiting for the rest of it; nil where there is nothing
  /// such. For whoever has other work to do meanwhile.
  func nextAvailable(
    waitingFor wait: AssociationError.Wait
  ) throws(AssociationError) -> Incoming? {
    while true {
      if isOtherPDU {
        // Taken as a whole, once it is here as a whole. One that is too long for that is refused.
        let length = Int(UnsafeRawBufferPointer(buffer).bigEndian32(at: start + 2))
        if end - start >= PDU.headerLength + length || length > 16 {
          return try next(by: .after(timeouts.response), waitingFor: wait)
        }
      } else if let fragment = try nextBuffered() {
        return .fragment(fragment)
      }
      guard try isReadable() else { return nil }
      try fill(.after(timeouts.response), wait)
    }
  }

  /// Whether the header of a PDU that is no P-DATA-TF has come.
  private var isOtherPDU: Bool {
    parser.isBetweenPDUs && end - start >= PDU.headerLength
      && buffer[start] != PDUType.data.rawValue && PDUType(rawValue: buffer[start]) != nil
  }

  /// Whether something has come that was not yet taken. Without a deadline it does not wait.
  func hasInput(until deadline: Deadline = .after(.zero)) throws(AssociationError) -> Bool {
    start < end ? true : try isReadable(until: deadline)
  }

  private func isReadable(
    until deadline: Deadline = .after(.zero)
  ) throws(AssociationError) -> Bool {
    do throws(TransportError) {
      return try transport.waitReadable(until: deadline)
    } catch {
      throw lost(error)
    }
  }

  /// A part of a value that has gone into a file.
  struct Moved {
    var count: Int
    /// Why not all of it is in the file.
    var failure: SystemError?
    /// The data set ends with it.
    var isLast: Bool
  }

  /// Moves what has come of the current value into a file, waiting for at least one byte. Nil where
  /// that is not possible, or not worth it: then ``next(by:waitingFor:)`` goes on.
  func moveValue(
    _ contextID: UInt8, into file: Int32, by deadline: Deadline,
    waitingFor wait: AssociationError.Wait
  ) throws(AssociationError) -> Moved? {
    guard start == end, parser.valueLeft >= Self.leastMoved, parser.isDataSet,
      parser.contextID == contextID, machine.state == .sta6, let socket = transport.plainSocket
    else { return nil }
    if mover == nil { mover = try? SocketToFile() }
    guard let mover else { return nil }
    let outcome: SocketToFile.Outcome
    do throws(SystemError) {
      outcome = try mover.move(
        from: socket, to: file, atMost: parser.valueLeft, deadline: deadline)
    } catch {
      if error.isTimeout {
        abort()
        throw .timedOut(wait)
      }
      throw lost(TransportError(error))
    }
    guard outcome.taken > 0 else { throw lost(nil) }
    isMoving = true
    // What is left in the pipe belongs to nobody any more.
    if outcome.failure != nil { self.mover = nil }
    return Moved(
      count: outcome.taken, failure: outcome.failure, isLast: parser.pass(outcome.taken))
  }

  private func step() throws(AssociationError) -> PDVParser.Step {
    do throws(PDUError) {
      return try parser.step(UnsafeRawBufferPointer(rebasing: buffer[..<end]), &start)
    } catch {
      throw invalid(error)
    }
  }

  private func fill(
    _ deadline: Deadline, _ wait: AssociationError.Wait
  ) throws(AssociationError) {
    if start > 0 {
      // At most a header's beginning is left: the parser takes values as they come.
      let left = end - start
      if left > 0 { memmove(buffer.baseAddress!, buffer.baseAddress! + start, left) }
      start = 0
      end = left
    }
    if parser.valueLeft >= Self.leastMoved { isMoving = false }
    let limit = isMoving ? min(end + Self.beginning, buffer.count) : buffer.count
    let count: Int
    do throws(TransportError) {
      count = try transport.read(
        into: UnsafeMutableRawBufferPointer(rebasing: buffer[end..<limit]), deadline: deadline)
    } catch {
      if error.isTimeout {
        abort()
        throw .timedOut(wait)
      }
      throw lost(error)
    }
    guard count > 0 else { throw lost(nil) }
    end += count
  }

  /// Handles a PDU other than P-DATA-TF. Nil when it changes nothing for the caller.
  private func control(
    _ type: PDUType, _ length: UInt32, _ deadline: Deadline, _ wait: AssociationError.Wait
  ) throws(AssociationError) -> Incoming? {
    let state = machine.state
    do throws(PDUError) { try PDU.checkLength(length, of: type) } catch { throw invalid(error) }
    // Where it is not expected its contents do not matter.
    if let event = Self.unexpected(type, in: state) {
      try skip(Int(length), deadline, wait)
      try refuse(machine.handle(event), "\(type) in \(state)")
      return nil
    }
    let body = try body(Int(length), deadline, wait)
    let pdu: PDU
    do throws(PDUError) { pdu = try PDU(type, body: body) } catch { throw invalid(error) }
    switch pdu {
    case .associateRequest(let request):
      _ = machine.handle(.associateRequestPDU(acceptable: true))
      return .request(request)
    case .associateAccept(let accept):
      _ = machine.handle(.associateAcceptPDU)
      return .accept(accept)
    case .associateReject(let rejection):
      _ = machine.handle(.associateRejectPDU)
      close()
      throw .rejected(rejection)
    case .abort(let abort):
      _ = machine.handle(.abortPDU)
      close()
      throw .abortedByPeer(abort)
    case .releaseRequest:
      switch machine.handle(.releaseRequestPDU) {
      case .ar2: return .releaseRequest
      case .ar8:
        // Both asked at once. The requestor answers first (PS3.8 section 7.2.2.4).
        if machine.isRequestor, machine.handle(.releaseResponse) == .ar9 {
          try send(.releaseResponse)
        }
        return nil
      case let action:
        try refuse(action, "\(type) in \(state)")
        return nil
      }
    case .releaseResponse:
      switch machine.handle(.releaseResponsePDU) {
      case .ar3:
        close()
        return .released
      case .ar10:
        try confirmRelease()
        return .released
      case let action:
        try refuse(action, "\(type) in \(state)")
        return nil
      }
    }
  }

  private static func unexpected(
    _ type: PDUType, in state: UpperLayerMachine.State
  ) -> UpperLayerMachine.Event? {
    switch type {
    case .associateRequest where state != .sta2: .associateRequestPDU(acceptable: true)
    case .associateAccept where state != .sta5: .associateAcceptPDU
    case .associateReject where state != .sta5: .associateRejectPDU
    default: nil
    }
  }

  private func body(
    _ length: Int, _ deadline: Deadline, _ wait: AssociationError.Wait
  ) throws(AssociationError) -> [UInt8] {
    var body: [UInt8] = []
    body.reserveCapacity(min(length, 64 * 1024))
    while body.count < length {
      if start == end { try fill(deadline, wait) }
      let count = min(length - body.count, end - start)
      body += buffer[start..<start + count]
      start += count
    }
    return body
  }

  private func skip(
    _ length: Int, _ deadline: Deadline, _ wait: AssociationError.Wait
  ) throws(AssociationError) {
    var left = length
    while left > 0 {
      if start == end { try fill(deadline, wait) }
      let count = min(left, end - start)
      start += count
      left -= count
    }
  }

  // MARK: Sending

  /// Sends a PDU that is not P-DATA-TF.
  func send(_ pdu: PDU) throws(AssociationError) {
    let bytes: [UInt8]
    do throws(PDUError) { bytes = try pdu.encoded() } catch { throw .notEncodable("\(error)") }
    try write(bytes)
  }

  func accept(_ accept: AssociateAccept) throws(AssociationError) {
    _ = machine.handle(.associateResponseAccept)
    try send(.associateAccept(accept))
  }

  /// Refuses the association and closes the connection.
  func reject(_ rejection: AssociationRejection) {
    _ = machine.handle(.associateResponseReject)
    try? send(.associateReject(rejection))
    linger()
  }

  /// Writes whole P-DATA-TF PDUs.
  func writeData(_ bytes: [UInt8]) throws(AssociationError) {
    guard machine.handle(.dataRequest) != nil else { throw .closed }
    try write(bytes)
  }

  private func write(_ bytes: [UInt8]) throws(AssociationError) {
    do throws(TransportError) {
      try transport.write(bytes, deadline: .after(timeouts.response))
    } catch {
      throw writeFailed(error)
    }
  }

  /// Writes whole P-DATA-TF PDUs from several pieces of memory. The vectors are changed.
  func writeData(_ vectors: UnsafeMutableBufferPointer<iovec>) throws(AssociationError) {
    guard machine.handle(.dataRequest) != nil else { throw .closed }
    do throws(TransportError) {
      try transport.write(gathering: vectors, deadline: .after(timeouts.response))
    } catch {
      throw writeFailed(error)
    }
  }

  /// Whether a file can be sent without its bytes passing through this process.
  var sendsFiles: Bool { transport.sendsFiles }

  /// Writes what stands in front of a part of a file, and that part, which ends a P-DATA-TF. Only
  /// where ``sendsFiles``.
  func writeData(
    _ head: UnsafeMutableRawBufferPointer, _ part: FilePart
  ) throws(AssociationError) {
    guard machine.handle(.dataRequest) != nil else { throw .closed }
    let sent: Int
    do throws(TransportError) {
      sent = try transport.write(head, part, deadline: .after(timeouts.response))
    } catch {
      throw writeFailed(error)
    }
    guard sent == part.length else {
      // The peer waits for bytes that nobody has: what has begun cannot be taken back. It would take
      // an A-ABORT for those bytes, and might store the object.
      close()
      throw .unreadable(
        SystemError(code: EIO, operation: "read (file became shorter)", subject: part.path))
    }
  }

  // MARK: Ending

  /// Asks for the release, waits for the answer and closes.
  func release() throws(AssociationError) {
    guard machine.handle(.releaseRequest) == .ar1 else { throw .closed }
    try send(.releaseRequest)
    let deadline = Deadline.after(timeouts.association)
    while true {
      switch try next(by: deadline, waitingFor: .release) {
      case .released: return
      case .fragment, .releaseRequest, .request, .accept: break
      }
      // A peer that goes on sending data is never waited for, so that no wait would end it.
      if deadline.isPast {
        abort()
        throw .timedOut(.release)
      }
    }
  }

  /// Answers the peer's release request. ``linger()`` follows.
  func confirmRelease() throws(AssociationError) {
    guard machine.handle(.releaseResponse) == .ar4 else { return }
    try send(.releaseResponse)
  }

  /// Aborts on behalf of the application and closes. Does nothing when already closed.
  func abort() {
    guard machine.handle(.abortRequest) == .aa1 else { return close() }
    sendAbort(.byUser)
  }

  /// Waits for the peer to close first: closing with unread input makes the kernel reset the
  /// connection, and what was sent last would be lost. A peer that is silent is given a second; one
  /// that is still sending some more to come to where it reads, but not for ever: this is ARTIM
  /// (PS3.8 section 9.1.5).
  func linger() {
    transport.finishWriting()
    let artim = Deadline.after(min(timeouts.association, .seconds(5)))
    while let count = try? transport.read(
      into: buffer, deadline: .after(min(timeouts.association, .seconds(1)))), count > 0
    {
      if artim.isPast { break }
    }
    close()
  }

  func close() {
    transport.close()
    start = 0
    end = 0
    machine = UpperLayerMachine(isRequestor: machine.isRequestor)
  }

  private func sendAbort(_ abort: AssociationAbort) {
    if let bytes = try? PDU.abort(abort).encoded() {
      try? transport.write(bytes, deadline: .after(.seconds(1)))
    }
    linger()
  }

  private func invalid(_ error: PDUError) -> AssociationError {
    let reason: AssociationAbort.ProviderReason =
      switch error {
      case .invalid(let what) where what.hasPrefix("unrecognized"): .unrecognizedPDU
      default: .invalidParameterValue
      }
    switch machine.handle(.invalidPDU) {
    case .aa1: sendAbort(.byUser)
    case .aa8, .aa7: sendAbort(.byProvider(reason))
    default: close()
    }
    return .protocolViolation(error.description)
  }

  /// The peer sent something in an order the standard forbids, found by the layer above.
  func violation(_ what: String) -> AssociationError {
    if machine.handle(.abortRequest) == .aa1 {
      sendAbort(.byProvider(.unexpectedParameter))
    } else {
      close()
    }
    return .protocolViolation(what)
  }

  private func refuse(
    _ action: UpperLayerMachine.Action?, _ what: String
  ) throws(AssociationError) {
    switch action {
    case .aa6: return
    case .aa1: sendAbort(.byUser)
    case .aa8, .aa7: sendAbort(.byProvider(.unexpectedPDU))
    default: close()
    }
    throw .protocolViolation("unexpected \(what)")
  }

  private func lost(_ error: TransportError?) -> AssociationError {
    _ = machine.handle(.transportClosed)
    close()
    return interrupter.isInterrupted ? .interrupted : .connectionLost(error)
  }

  /// A peer that aborts in the middle of what we send closes at once: its reason is in our input.
  private func writeFailed(_ error: TransportError) -> AssociationError {
    if error.isTimeout {
      // No A-ABORT: a part of a P-DATA-TF may have left, and the peer would take the abort for the
      // rest of it - the last bytes of an object, which it would then store as whole.
      close()
      return .timedOut(.write)
    }
    if !interrupter.isInterrupted, machine.state != .sta1 {
      do throws(AssociationError) {
        let deadline = Deadline.after(.milliseconds(100))
        while !deadline.isPast { _ = try next(by: deadline, waitingFor: .write) }
      } catch {
        switch error {
        case .abortedByPeer, .rejected: return error
        default: break
        }
      }
    }
    return lost(error)
  }
}
