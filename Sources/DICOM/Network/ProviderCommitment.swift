import Platform

// Storage commitment as its provider (PS3.4 annex J). A request is answered at once, then the
// objects are looked at, and the report is brought to the peer: on the association the request
// came on if the peer leaves it open and takes it, else on one of our own.

/// The reports of one association.
struct CommitmentReports {
  /// Still to be sent.
  fileprivate var waiting: [CommitmentReport] = []
  /// Sent on this association, and not answered yet.
  fileprivate var outstanding: (messageID: UInt16, report: CommitmentReport)?
  /// What the peer did not take on this association.
  fileprivate var refused: [CommitmentReport] = []
  private var lastMessageID: UInt16 = 0

  var isOutstanding: Bool { outstanding != nil }

  fileprivate mutating func newMessageID() -> UInt16 {
    lastMessageID = lastMessageID == .max ? 1 : lastMessageID + 1
    return lastMessageID
  }

  fileprivate var undelivered: [CommitmentReport] {
    (outstanding.map { [$0.report] } ?? []) + refused + waiting
  }
}

extension ProviderAssociation {
  /// How long a peer that has got its answer may take to say what it does next: most release the
  /// association, and some take a message amiss that comes meanwhile.
  private static let courtesy = Duration.milliseconds(200)
  /// Between the attempts to reach somebody with reports. Who has not got one asks again.
  private static let pauses: [Duration] = [.zero, .seconds(2), .seconds(10)]

  /// Serves an N-ACTION (PS3.7 section 10.1.4).
  func commit(
    _ command: Command, _ context: PresentationContext, _ provider: any CommitmentProvider
  ) throws(AssociationError) {
    var information: [UInt8] = []
    if command.hasDataSet {
      information = try connection.dataSetBytes(
        in: context, waitingFor: .dataSet, timeouts.response)
    }
    let request: CommitmentRequest
    do throws(ServiceFailure) {
      guard command.requestedSOPInstance == SOPClass.storageCommitmentPushModelInstance else {
        throw ServiceFailure(.noSuchSOPInstance, "only the well-known instance takes actions")
      }
      guard command.actionType == 1 else { throw ServiceFailure(.noSuchAction) }
      request = try Self.request(information, context.transferSyntax)
    } catch {
      return try fail(command, context, error)
    }
    try connection.send(command.response(.success), in: context)
    reports.waiting.append(provider.commitment(to: request, for: info))
  }

  private static func request(
    _ information: [UInt8], _ syntax: TransferSyntax
  ) throws(ServiceFailure) -> CommitmentRequest {
    let content: DataSet
    do throws(DataSetError) {
      content = try DataSet(decoding: information, as: syntax)
    } catch {
      throw ServiceFailure(.mistypedArgument, "action information cannot be read")
    }
    do throws(CommitmentError) {
      return try CommitmentRequest(content)
    } catch {
      throw ServiceFailure(.invalidArgumentValue, error.description)
    }
  }

  /// Sends the next report, unless the peer has something to say first or has not answered the
  /// last one.
  func sendReport() throws(AssociationError) {
    guard let report = reports.waiting.first, !reports.isOutstanding,
      let context = connection.contexts.first(where: {
        $0.abstractSyntax == SOPClass.storageCommitmentPushModel
      }),
      try !connection.upperLayer.hasInput(until: .after(Self.courtesy))
    else { return }
    reports.waiting.removeFirst()
    let request = Command(reporting: report, messageID: reports.newMessageID())
    reports.outstanding = (request.messageID ?? 0, report)
    try connection.send(request, in: context, dataSet: report.information)
  }

  /// Takes an N-EVENT-REPORT response.
  func reportAnswered(
    _ response: Command, _ context: PresentationContext
  ) throws(AssociationError) {
    guard let outstanding = reports.outstanding,
      response.messageIDRespondedTo == outstanding.messageID, let status = response.status
    else { throw connection.upperLayer.violation("\(response.field) to nothing that was asked") }
    try skipDataSet(of: response, context)
    reports.outstanding = nil
    // It may take on an association of our own what it does not take on its own.
    if status.isFailure { reports.refused.append(outstanding.report) }
  }

  /// At the end of the association: what was not taken goes to the peer's known address.
  func deliverReportsElsewhere() {
    let reports = reports.undelivered
    guard !reports.isEmpty else { return }
    let title = info.callingAE
    guard let address = server.configuration.destination(title) else {
      server.observe(
        .commitmentUndelivered(callingAE: title, reason: "its address is not known"))
      return
    }
    let server = server
    let isTaken = server.deliver { Self.deliver(reports, to: address, title, server) }
    if !isTaken {
      server.observe(
        .commitmentUndelivered(callingAE: title, reason: "too many reports wait, or it stops"))
    }
  }

  private static func deliver(
    _ reports: [CommitmentReport], to address: PeerAddress, _ title: String,
    _ server: DICOMServer
  ) {
    var left = reports[...]
    var failure: String?
    var refusal: String?
    for pause in pauses {
      if pause > .zero, server.stopping.wait(until: .after(pause)) { break }
      do throws(AssociationError) {
        let association = try Association.request(
          to: address, contexts: [.storageCommitment], timeouts: server.configuration.timeouts,
          identity: server.configuration.identity,
          extensions: AssociationExtensions(roles: [
            .init(sopClass: SOPClass.storageCommitmentPushModel, user: false, provider: true)
          ]))
        while let report = left.first {
          let status = try association.report(report).status
          left = left.dropFirst()
          // Told and not believed: nothing is gained by telling it again.
          if status.isFailure { refusal = "a report was answered \(status)" }
        }
        try association.release()
      } catch {
        failure = error.description
      }
      if left.isEmpty { break }
    }
    if let reason = left.isEmpty ? refusal : failure ?? refusal {
      server.observe(.commitmentUndelivered(callingAE: title, reason: reason))
    }
  }
}
