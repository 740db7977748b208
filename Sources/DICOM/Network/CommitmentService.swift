import Platform

extension ProposedContext {
  /// Storage Commitment Push Model (PS3.4 annex J).
  public static let storageCommitment = ProposedContext(SOPClass.storageCommitmentPushModel)
}

extension Association {
  /// N-ACTION (PS3.7 section 10.1.4, PS3.4 section J.3.2): asks the peer to keep objects safely.
  /// Success means that it has understood; what it says to each object comes as a report, on this
  /// association (``commitmentReport(until:)``) or on one of the peer's own.
  public func requestCommitment(
    _ commitment: CommitmentRequest
  ) throws(AssociationError) -> OperationResult {
    let context = try context(for: SOPClass.storageCommitmentPushModel)
    var request = Command(.actionRequest)
    request.requestedSOPClass = SOPClass.storageCommitmentPushModel
    request.requestedSOPInstance = SOPClass.storageCommitmentPushModelInstance
    request.messageID = newMessageID()
    request.actionType = 1
    try connection.send(request, in: context, dataSet: commitment.information)
    while true {
      let message = try connection.nextMessage(
        waitingFor: .response, connection.timeouts.response)
      guard case .command(let command, let answered) = message else {
        throw connection.upperLayer.violation("A-RELEASE-RQ instead of a response")
      }
      // A quick peer reports before it answers.
      if command.field == .eventReportRequest {
        if let report = try takeReport(command, answered) { earlyReports.append(report) }
        continue
      }
      let status = try status(of: command, to: request)
      if command.hasDataSet {
        try connection.skipDataSet(
          in: answered, waitingFor: .response, connection.timeouts.response)
      }
      return OperationResult(status, command)
    }
  }

  /// The next report that comes on this association; nil if none has by the deadline, or the peer
  /// has released the association (see ``isOpen``).
  public func commitmentReport(
    until deadline: Deadline
  ) throws(AssociationError) -> CommitmentReport? {
    if !earlyReports.isEmpty { return earlyReports.removeFirst() }
    while isOpen {
      guard try connection.upperLayer.hasInput(until: deadline) else { return nil }
      let message = try connection.nextMessage(
        waitingFor: .response, connection.timeouts.response)
      switch message {
      case .releaseRequest:
        try connection.upperLayer.confirmRelease()
        connection.upperLayer.linger()
      case .command(let command, let context):
        guard command.field == .eventReportRequest else {
          throw connection.upperLayer.violation("\(command.field) where a report belongs")
        }
        if let report = try takeReport(command, context) { return report }
      }
    }
    return nil
  }

  private func takeReport(
    _ command: Command, _ context: PresentationContext
  ) throws(AssociationError) -> CommitmentReport? {
    var taken: CommitmentReport?
    try connection.receiveReport(command, in: context) { taken = $0 }
    return taken
  }

  /// N-EVENT-REPORT (PS3.7 section 10.1.1, PS3.4 section J.3.3): brings a report to the one who
  /// asked. Needs a context for storage commitment in which we were accepted as the provider.
  public func report(_ report: CommitmentReport) throws(AssociationError) -> OperationResult {
    let context = try context(for: SOPClass.storageCommitmentPushModel)
    let request = Command(reporting: report, messageID: newMessageID())
    try connection.send(request, in: context, dataSet: report.information)
    let (response, status, answered) = try response(to: request)
    if response.hasDataSet {
      try connection.skipDataSet(
        in: answered, waitingFor: .response, connection.timeouts.response)
    }
    return OperationResult(status, response)
  }
}

extension Command {
  init(reporting report: CommitmentReport, messageID: UInt16) {
    self.init(.eventReportRequest)
    affectedSOPClass = SOPClass.storageCommitmentPushModel
    affectedSOPInstance = SOPClass.storageCommitmentPushModelInstance
    self.messageID = messageID
    eventType = report.eventType
  }
}

extension DIMSEConnection {
  /// Serves one N-EVENT-REPORT request of storage commitment: `take` gets the report, and its
  /// failure is the answer.
  func receiveReport(
    _ command: Command, in context: PresentationContext,
    _ take: (CommitmentReport) throws(ServiceFailure) -> Void
  ) throws(AssociationError) {
    guard command.messageID != nil else {
      throw upperLayer.violation("N-EVENT-REPORT-RQ without a Message ID (0000,0110)")
    }
    var information: [UInt8] = []
    if command.hasDataSet {
      information = try dataSetBytes(in: context, waitingFor: .dataSet, timeouts.response)
    }
    var answer = command.response(.success)
    do throws(ServiceFailure) {
      guard context.abstractSyntax == SOPClass.storageCommitmentPushModel,
        command.affectedSOPClass ?? context.abstractSyntax == context.abstractSyntax
      else { throw ServiceFailure(.sopClassNotSupported) }
      guard let type = command.eventType, (1...2).contains(type) else {
        throw ServiceFailure(.noSuchEventType)
      }
      try take(try Self.report(information, context.transferSyntax))
    } catch {
      answer = command.response(error.status, comment: error.comment)
    }
    try send(answer, in: context)
  }

  private static func report(
    _ information: [UInt8], _ syntax: TransferSyntax
  ) throws(ServiceFailure) -> CommitmentReport {
    let content: DataSet
    do throws(DataSetError) {
      content = try DataSet(decoding: information, as: syntax)
    } catch {
      throw ServiceFailure(.mistypedArgument, "event information cannot be read")
    }
    do throws(CommitmentError) {
      return try CommitmentReport(content)
    } catch {
      throw ServiceFailure(.invalidArgumentValue, error.description)
    }
  }
}
