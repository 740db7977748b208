import Glibc
import Platform

/// An accepted presentation context: what both sides agreed to exchange, and how.
public struct PresentationContext: Hashable, Sendable {
  public let id: UInt8
  public let abstractSyntax: UID
  public let transferSyntax: TransferSyntax

  public init(id: UInt8, abstractSyntax: UID, transferSyntax: TransferSyntax) {
    self.id = id
    self.abstractSyntax = abstractSyntax
    self.transferSyntax = transferSyntax
  }
}

/// DIMSE messages over an established association: commands as values, data sets in memory up to
/// a cap or streamed without one.
final class DIMSEConnection {
  let upperLayer: UpperLayerConnection
  let contexts: [PresentationContext]
  let timeouts: AssociationTimeouts
  private let writer: MessageWriter
  private let vectors = UnsafeMutableBufferPointer<iovec>.allocate(capacity: 64)

  /// A command whose fragments have begun to come, and by when it is due as a whole: a peer that
  /// sends it a byte at a time, or fragments without a byte, does not hold the association for ever.
  private struct Incomplete {
    var bytes: [UInt8] = []
    let contextID: UInt8
    let deadline: Deadline
  }
  private var incomplete: Incomplete?

  /// So much of a data set renews the time for the rest of it. Peers on the slowest of lines send
  /// more in a minute; one that sends a byte now and then only holds a thread and a file.
  static let leastProgress = 4096

  /// More than any identifier: a list of some 60 000 failed SOP Instance UIDs.
  static let longestDataSetInMemory = 4 * 1024 * 1024

  init(
    _ upperLayer: UpperLayerConnection, contexts: [PresentationContext],
    peerMaximumLength: UInt32, timeouts: AssociationTimeouts
  ) {
    self.upperLayer = upperLayer
    self.contexts = contexts
    self.timeouts = timeouts
    writer = MessageWriter(peerMaximumLength: peerMaximumLength)
  }

  deinit { vectors.deallocate() }

  enum Message {
    case command(Command, PresentationContext)
    case releaseRequest
  }

  // MARK: Receiving

  /// The next command. Its data set, if any, is still to be read.
  func nextMessage(
    waitingFor wait: AssociationError.Wait, _ timeout: Duration
  ) throws(AssociationError) -> Message {
    let deadline = Deadline.after(timeout)
    while true {
      let incoming = try upperLayer.next(
        by: incomplete?.deadline ?? deadline, waitingFor: wait)
      if let message = try take(incoming, wait) { return message }
    }
  }

  /// The next command if it has come as a whole, else nil: what there is of it is kept, and the
  /// work that is being done goes on.
  func arrivedMessage(
    waitingFor wait: AssociationError.Wait
  ) throws(AssociationError) -> Message? {
    while let incoming = try upperLayer.nextAvailable(waitingFor: wait) {
      if let message = try take(incoming, wait) { return message }
    }
    if let incomplete, incomplete.deadline.isPast { throw overdue(wait) }
    return nil
  }

  private func overdue(_ wait: AssociationError.Wait) -> AssociationError {
    upperLayer.abort()
    return .timedOut(wait)
  }

  /// Nil while the command is incomplete.
  private func take(
    _ incoming: UpperLayerConnection.Incoming, _ wait: AssociationError.Wait
  ) throws(AssociationError) -> Message? {
    switch incoming {
    case .releaseRequest:
      guard incomplete == nil else { throw upperLayer.violation("A-RELEASE-RQ within a command") }
      return .releaseRequest
    case .request, .accept, .released: throw .closed
    case .fragment(let fragment):
      guard fragment.isCommand else {
        throw upperLayer.violation("a data set where a command belongs")
      }
      var command =
        incomplete
        ?? Incomplete(contextID: fragment.contextID, deadline: .after(timeouts.response))
      incomplete = nil
      guard command.contextID == fragment.contextID else {
        throw upperLayer.violation("a command in two presentation contexts")
      }
      guard command.bytes.count + fragment.range.count <= Command.longest else {
        throw upperLayer.violation("a command of more than \(Command.longest) bytes")
      }
      command.bytes += upperLayer.bytes(fragment)
      guard fragment.isLast else {
        // Looked at here as well: what is always there is never waited for.
        if command.deadline.isPast { throw overdue(wait) }
        incomplete = command
        return nil
      }
      guard let context = contexts.first(where: { $0.id == fragment.contextID }) else {
        throw upperLayer.violation(
          "presentation context \(fragment.contextID), which was not accepted")
      }
      do throws(CommandError) {
        return .command(try Command(decoding: command.bytes), context)
      } catch {
        throw upperLayer.violation(error.description)
      }
    }
  }

  /// Hands out the data set that follows a command, as it comes, in pieces of the receive buffer.
  /// Returns when it is whole, or when `body` returns false. `timeout` starts anew with every
  /// ``leastProgress`` bytes; what `body` takes of it is not the peer's.
  /// - Parameters:
  ///   - file: where bytes may go without passing through here; nil for the moment, or always.
  ///   - moved: told of each such part, and why not all of it has got there.
  func streamDataSet(
    in context: PresentationContext, waitingFor wait: AssociationError.Wait, _ timeout: Duration,
    into file: () -> Int32? = { nil }, moved: (Int, SystemError?) -> Void = { _, _ in },
    _ body: (DataFragments) -> Bool
  ) throws(AssociationError) {
    var deadline = Deadline.after(timeout)
    var progress = 0
    while true {
      if let file = file(),
        let part = try upperLayer.moveValue(
          context.id, into: file, by: deadline, waitingFor: wait)
      {
        moved(part.count, part.failure)
        if part.isLast { return }
        progress += part.count
        if progress >= Self.leastProgress {
          progress = 0
          deadline = .after(timeout)
        }
        continue
      }
      guard
        case .fragment(var fragment) = try upperLayer.next(by: deadline, waitingFor: wait)
      else { throw upperLayer.violation("A-RELEASE-RQ within a data set") }
      // Everything that is here already goes out in one call.
      var used = 0
      var count = 0
      while true {
        guard !fragment.isCommand, fragment.contextID == context.id else {
          throw upperLayer.violation("a command, or another presentation context, in a data set")
        }
        if !fragment.range.isEmpty {
          let bytes = upperLayer.bytes(fragment)
          vectors[used] = iovec(iov_base: bytes.baseAddress, iov_len: bytes.count)
          used += 1
          count += bytes.count
        }
        guard !fragment.isLast, used < vectors.count,
          let more = try upperLayer.nextBuffered()
        else { break }
        fragment = more
      }
      progress += count
      let began = MonotonicTime.now
      if progress < Self.leastProgress, !fragment.isLast, deadline.isPast { throw overdue(wait) }
      if used > 0 {
        let pieces = UnsafeMutableBufferPointer(rebasing: vectors[..<used])
        guard body(DataFragments(borrowing: pieces, byteCount: count, isLast: fragment.isLast))
        else { return }
      }
      if fragment.isLast { return }
      if progress >= Self.leastProgress {
        progress = 0
        deadline = .after(timeout)
      } else if let time = deadline.time {
        deadline = .at(time + (MonotonicTime.now - began))
      }
    }
  }

  /// Reads the data set that follows a command, up to a cap.
  func dataSetBytes(
    in context: PresentationContext, waitingFor wait: AssociationError.Wait, _ timeout: Duration
  ) throws(AssociationError) -> [UInt8] {
    var bytes: [UInt8] = []
    var isTooLong = false
    try streamDataSet(in: context, waitingFor: wait, timeout) { fragments in
      guard bytes.count + fragments.byteCount <= Self.longestDataSetInMemory else {
        isTooLong = true
        return false
      }
      for vector in fragments.vectors {
        bytes += UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
      }
      return true
    }
    if isTooLong {
      throw upperLayer.violation(
        "an identifier of more than \(Self.longestDataSetInMemory) bytes")
    }
    return bytes
  }

  /// Reads and decodes the data set that follows a response.
  func dataSet(
    in context: PresentationContext, waitingFor wait: AssociationError.Wait, _ timeout: Duration
  ) throws(AssociationError) -> DataSet {
    let bytes = try dataSetBytes(in: context, waitingFor: wait, timeout)
    do {
      return try DataSet(decoding: bytes, as: context.transferSyntax)
    } catch {
      throw upperLayer.violation("identifier: \(error)")
    }
  }

  /// Reads the data set that follows a command and throws it away.
  func skipDataSet(
    in context: PresentationContext, waitingFor wait: AssociationError.Wait, _ timeout: Duration
  ) throws(AssociationError) {
    try streamDataSet(in: context, waitingFor: wait, timeout) { _ in true }
  }

  // MARK: Sending

  func send(
    _ command: Command, in context: PresentationContext, dataSet: DataSet? = nil
  ) throws(AssociationError) {
    var out: [UInt8] = []
    try append(command, in: context, dataSet: dataSet, to: &out)
    try upperLayer.writeData(out)
  }

  /// Adds a message to bytes that are written later, together.
  func append(
    _ command: Command, in context: PresentationContext, dataSet: DataSet? = nil,
    to out: inout [UInt8]
  ) throws(AssociationError) {
    var command = command
    command.hasDataSet = dataSet != nil
    // Encoded first: what cannot be must not leave half a message behind.
    let encoded: [UInt8]?
    do {
      encoded = try dataSet?.encoded(as: context.transferSyntax)
    } catch {
      throw .notEncodable("\(error)")
    }
    writer.append(command.encoded(), isCommand: true, contextID: context.id, to: &out)
    if let encoded {
      writer.append(encoded, isCommand: false, contextID: context.id, to: &out)
    }
  }

  func send(
    _ command: Command, in context: PresentationContext, streaming source: inout some DataSetSource
  ) throws(AssociationError) {
    var command = command
    command.hasDataSet = true
    try writer.send(
      command.encoded(), contextID: context.id, dataSet: &source, over: upperLayer)
  }
}
