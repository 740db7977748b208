import Platform

/// Serves one association until it ends: takes a request, has its service do it, answers.
final class ProviderAssociation {
  let connection: DIMSEConnection
  let info: AssociationInfo
  let server: DICOMServer
  /// The SOP classes that the peer was accepted as the provider of.
  private let providedByPeer: Set<UID>
  /// Storage commitment reports that are still to be brought to the peer.
  var reports = CommitmentReports()

  init(
    _ connection: DIMSEConnection, _ info: AssociationInfo, _ server: DICOMServer,
    roles: [UserInformation.RoleSelection] = []
  ) {
    self.connection = connection
    self.info = info
    self.server = server
    providedByPeer = Set(roles.filter(\.provider).map(\.sopClass))
  }

  /// Whether we may be the user in a context: send objects in it, as a C-GET wants.
  func isProvidedByPeer(_ context: PresentationContext) -> Bool {
    providedByPeer.contains(context.abstractSyntax)
  }

  var timeouts: AssociationTimeouts { connection.timeouts }

  /// Returns nil when the association was released.
  func run() -> AssociationError? {
    defer {
      server.services.storage?.associationEnded(info)
      deliverReportsElsewhere()
    }
    do throws(AssociationError) {
      while true {
        guard server.setIdle(info.id, true) else {
          connection.upperLayer.abort()
          return .interrupted
        }
        try sendReport()
        switch try connection.nextMessage(
          waitingFor: .request, reports.isOutstanding ? timeouts.response : timeouts.request)
        {
        case .releaseRequest:
          try connection.upperLayer.confirmRelease()
          return nil
        case .command(let command, let context)
        where command.field == .eventReportRequest.response:
          try reportAnswered(command, context)
        case .command(let command, let context):
          _ = server.setIdle(info.id, false)
          try serve(command, context)
        }
      }
    } catch {
      return error
    }
  }

  private func serve(
    _ command: Command, _ context: PresentationContext
  ) throws(AssociationError) {
    guard !command.field.isResponse else {
      throw connection.upperLayer.violation("\(command.field) where a request belongs")
    }
    // A C-CANCEL that comes after the end of its operation (PS3.7 section 9.3.2.3.1).
    if command.field == .cancelRequest { return }
    guard command.messageID != nil else {
      throw connection.upperLayer.violation("\(command.field) without a Message ID (0000,0110)")
    }
    let model = InformationModel.of(context.abstractSyntax)
    switch command.field {
    case .echoRequest where context.abstractSyntax == SOPClass.verification:
      try skipDataSet(of: command, context)
      try connection.send(command.response(.success), in: context)
    case .storeRequest where model == nil && !Self.isNormalized(context):
      guard server.configuration.contextPolicy.isStorage(context.abstractSyntax) else {
        try skipDataSet(of: command, context)
        return try fail(
          command, context, ServiceFailure(.sopClassNotSupported, "nothing that is stored"))
      }
      try connection.receiveStore(
        command, in: context, into: server.services.storage, from: info)
    case .findRequest:
      guard let model, model.findClass == context.abstractSyntax,
        let provider = server.services.query
      else { return try refuse(command, context) }
      try find(command, context, model, provider)
    case .moveRequest:
      guard let model, model.moveClass == context.abstractSyntax,
        let provider = server.services.retrieve
      else { return try refuse(command, context) }
      try move(command, context, model, provider)
    case .getRequest:
      guard let model, model.getClass == context.abstractSyntax,
        let provider = server.services.retrieve
      else { return try refuse(command, context) }
      try get(command, context, model, provider)
    case .actionRequest:
      guard Self.isNormalized(context), let provider = server.services.commitment else {
        return try refuse(command, context)
      }
      try commit(command, context, provider)
    case .eventReportRequest:
      guard Self.isNormalized(context), let receiver = server.services.commitmentReports else {
        return try refuse(command, context)
      }
      try connection.receiveReport(command, in: context) { [info] report throws(ServiceFailure) in
        try receiver.received(report, from: info)
      }
    default: try refuse(command, context)
    }
  }

  private static func isNormalized(_ context: PresentationContext) -> Bool {
    context.abstractSyntax == SOPClass.storageCommitmentPushModel
  }

  private func refuse(
    _ command: Command, _ context: PresentationContext
  ) throws(AssociationError) {
    try skipDataSet(of: command, context)
    try connection.send(command.response(.unrecognizedOperation), in: context)
  }

  func skipDataSet(
    of command: Command, _ context: PresentationContext
  ) throws(AssociationError) {
    guard command.hasDataSet else { return }
    try connection.skipDataSet(in: context, waitingFor: .dataSet, timeouts.response)
  }

  func fail(
    _ command: Command, _ context: PresentationContext, _ failure: ServiceFailure
  ) throws(AssociationError) {
    try connection.send(
      command.response(failure.status, comment: failure.comment), in: context)
  }

  // MARK: Queries

  /// The identifier of a C-FIND, C-MOVE or C-GET; nil after the answer was that it is unusable.
  func query(
    _ command: Command, _ context: PresentationContext, _ model: InformationModel
  ) throws(AssociationError) -> QueryRequest? {
    guard command.hasDataSet else {
      try fail(command, context, ServiceFailure(.mistypedArgument, "no identifier"))
      return nil
    }
    let bytes = try connection.dataSetBytes(
      in: context, waitingFor: .dataSet, timeouts.response)
    let identifier: DataSet
    do {
      identifier = try DataSet(decoding: bytes, as: context.transferSyntax)
    } catch {
      try fail(command, context, ServiceFailure(.cannotUnderstand, "identifier cannot be read"))
      return nil
    }
    var level: QueryLevel?
    if model != .modalityWorklist {
      level = identifier.queryLevel
      guard level != nil else {
        let comment = "(0008,0052) is not PATIENT, STUDY, SERIES or IMAGE"
        try fail(command, context, ServiceFailure(.dataSetDoesNotMatchSOPClass, comment))
        return nil
      }
    }
    return QueryRequest(
      association: info, model: model, level: level, identifier: identifier)
  }

  private func find(
    _ command: Command, _ context: PresentationContext, _ model: InformationModel,
    _ provider: any QueryProvider
  ) throws(AssociationError) {
    guard let request = try query(command, context, model) else { return }
    let responses = FindResponses(self, command, context)
    var failure: ServiceFailure?
    do throws(ServiceFailure) {
      try provider.find(request) { responses.emit($0) }
    } catch {
      failure = error
    }
    try responses.finish(failure)
  }

  private func move(
    _ command: Command, _ context: PresentationContext, _ model: InformationModel,
    _ provider: any RetrieveProvider
  ) throws(AssociationError) {
    guard let request = try query(command, context, model) else { return }
    let title = command.moveDestination ?? ""
    guard let destination = server.configuration.destination(title) else {
      return try fail(
        command, context, ServiceFailure(.moveDestinationUnknown, "unknown: \(title)"))
    }
    guard let instances = try plan(command, context, request, provider) else { return }
    let operation = MoveOperation(self, command, context, destination)
    try operation.run(instances)
  }

  private func get(
    _ command: Command, _ context: PresentationContext, _ model: InformationModel,
    _ provider: any RetrieveProvider
  ) throws(AssociationError) {
    guard let request = try query(command, context, model),
      let instances = try plan(command, context, request, provider)
    else { return }
    let operation = GetOperation(self, command, context, count: instances.count)
    try operation.run(instances)
  }

  /// What a C-MOVE or C-GET is to send; nil after the answer was that there is no telling.
  private func plan(
    _ command: Command, _ context: PresentationContext, _ request: QueryRequest,
    _ provider: any RetrieveProvider
  ) throws(AssociationError) -> [StoredInstance]? {
    do throws(ServiceFailure) {
      return try provider.plan(request)
    } catch {
      try fail(command, context, error)
      return nil
    }
  }

  /// Whether the peer cancelled the operation. Does not wait.
  func isCancelled(_ command: Command) throws(AssociationError) -> Bool {
    while let message = try connection.arrivedMessage(waitingFor: .request) {
      // The answer to a report of ours comes when the peer gets to it.
      if case .command(let other, let context) = message,
        other.field == .eventReportRequest.response
      {
        try reportAnswered(other, context)
        continue
      }
      guard case .command(let other, _) = message, other.field == .cancelRequest else {
        throw connection.upperLayer.violation("a second request before the first was answered")
      }
      if other.messageIDRespondedTo == command.messageID { return true }
    }
    return false
  }
}

extension DataSet {
  var queryLevel: QueryLevel? {
    guard case .bytes(let bytes) = self[.queryRetrieveLevel]?.value else { return nil }
    let text = String(decoding: bytes.filter { $0 != 0x20 && $0 != 0 }, as: UTF8.self)
    return QueryLevel(rawValue: text)
  }
}
