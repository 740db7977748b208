import Platform

/// The sub-operations of one C-GET (PS3.4 section C.4.3): sends the planned objects on the
/// requestor's own association, in the contexts for which it offered to be the provider.
///
/// A compressed object goes only as it is stored. An uncompressed one whose own transfer syntax
/// was not negotiated is written anew in one that was: nothing of it is lost.
final class GetOperation {
  private let association: ProviderAssociation
  private let command: Command
  private let tally: SuboperationTally
  private var lastMessageID: UInt16 = 0
  private var isCancelled = false

  /// Of an object that is converted, as that takes it into memory: in bytes.
  static let longestConverted = 128 << 20
  /// Those that differ in nothing but how they are written.
  private static let native: Set<TransferSyntax> = [
    .implicitVRLittleEndian, .explicitVRLittleEndian, .explicitVRBigEndian,
    .deflatedExplicitVRLittleEndian,
  ]

  init(
    _ association: ProviderAssociation, _ command: Command, _ context: PresentationContext,
    count: Int
  ) {
    self.association = association
    self.command = command
    tally = SuboperationTally(association, command, context, count: count)
  }

  func run(_ instances: [StoredInstance]) throws(AssociationError) {
    for instance in instances {
      if try association.isCancelled(command) { isCancelled = true }
      if isCancelled { break }
      association.server.services.retrieve?.willSend(instance)
      tally.record(instance, try send(instance))
      try tally.pending()
    }
    try tally.finish(isCancelled: isCancelled)
  }

  /// The status of one sub-operation; nil where the object could not be sent.
  private func send(_ instance: StoredInstance) throws(AssociationError) -> DIMSEStatus? {
    let contexts = association.connection.contexts.filter {
      $0.abstractSyntax == instance.sopClass && association.isProvidedByPeer($0)
    }
    if let exact = contexts.first(where: { $0.transferSyntax == instance.transferSyntax }) {
      let source: FileDataSet
      do throws(SystemError) { source = try FileDataSet(instance) } catch { return nil }
      return try store(instance, source, in: exact)
    }
    for context in contexts {
      guard let bytes = Self.converted(instance, to: context.transferSyntax) else { continue }
      return try store(instance, MemoryDataSet(bytes), in: context)
    }
    return nil
  }

  /// An uncompressed object in another uncompressed transfer syntax; nil where there is none.
  static func converted(_ instance: StoredInstance, to syntax: TransferSyntax) -> [UInt8]? {
    let original = instance.transferSyntax
    guard native.contains(original), native.contains(syntax),
      instance.dataSetLength <= longestConverted,
      var source = try? FileDataSet(instance)
    else { return nil }
    var bytes = [UInt8](repeating: 0, count: instance.dataSetLength)
    let isWhole = bytes.withUnsafeMutableBytes { buffer in
      var filled = 0
      while filled < buffer.count,
        let count = try? source.read(
          into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])),
        count > 0
      {
        filled += count
      }
      return filled == buffer.count
    }
    let limits = DecodingLimits(maximumInflatedBytes: longestConverted)
    guard isWhole, let content = try? DataSet(decoding: bytes, as: original, limits: limits)
    else { return nil }
    return try? content.encoded(as: syntax)
  }

  private func store(
    _ instance: StoredInstance, _ source: some DataSetSource, in context: PresentationContext
  ) throws(AssociationError) -> DIMSEStatus? {
    lastMessageID = lastMessageID == .max ? 1 : lastMessageID + 1
    var request = Command(.storeRequest)
    request.affectedSOPClass = instance.sopClass
    request.affectedSOPInstance = instance.sopInstance
    request.messageID = lastMessageID
    request.priority = command.priority ?? .medium
    var source = source
    do throws(AssociationError) {
      try association.connection.send(request, in: context, streaming: &source)
    } catch {
      // Nothing of it was sent, so that the others can be.
      if case .unreadable = error, association.connection.upperLayer.isEstablished { return nil }
      throw error
    }
    return try response(to: request)
  }

  /// Waits for the response to a sub-operation. A C-CANCEL may come before it.
  private func response(to request: Command) throws(AssociationError) -> DIMSEStatus {
    let connection = association.connection
    let deadline = Deadline.after(connection.timeouts.response)
    while true {
      // Whoever cancels and cancels does not answer.
      if deadline.isPast {
        connection.upperLayer.abort()
        throw .timedOut(.response)
      }
      let message = try connection.nextMessage(
        waitingFor: .response, connection.timeouts.response)
      guard case .command(let answer, let context) = message else {
        throw connection.upperLayer.violation("A-RELEASE-RQ within a C-GET")
      }
      if answer.field == .cancelRequest {
        if answer.messageIDRespondedTo == command.messageID { isCancelled = true }
        continue
      }
      if answer.field == .eventReportRequest.response {
        try association.reportAnswered(answer, context)
        continue
      }
      guard answer.field == request.field.response,
        answer.messageIDRespondedTo == request.messageID, let status = answer.status
      else {
        throw connection.upperLayer.violation("\(answer.field) instead of a C-STORE-RSP")
      }
      if answer.hasDataSet {
        try connection.skipDataSet(
          in: context, waitingFor: .response, connection.timeouts.response)
      }
      return status
    }
  }
}
