import Platform

/// Serves one association until it ends: takes a request, has its service do it, answers.
final class ProviderAssociation {
  let connection: DIMSEConnection
  let info: AssociationInfo
  let server: DICOMServer

  init(_ connection: DIMSEConnection, _ info: AssociationInfo, _ server: DICOMServer) {
    self.connection = connection
    self.info = info
    self.server = server
  }

  private var timeouts: AssociationTimeouts { connection.timeouts }

  /// Returns nil when the association was released.
  func run() -> AssociationError? {
    defer { server.services.storage?.associationEnded(info) }
    do throws(AssociationError) {
      while true {
        guard server.setIdle(info.id, true) else {
          connection.upperLayer.abort()
          return .interrupted
        }
        switch try connection.nextMessage(waitingFor: .request, timeouts.request) {
        case .releaseRequest:
          try connection.upperLayer.confirmRelease()
          return nil
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
    let model = InformationModel.known.first {
      $0.findClass == context.abstractSyntax || $0.moveClass == context.abstractSyntax
    }
    switch command.field {
    case .echoRequest where context.abstractSyntax == ProposedContext.verification.abstractSyntax:
      try skipDataSet(of: command, context)
      try connection.send(command.response(.success), in: context)
    case .storeRequest where model == nil:
      try store(command, context)
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
    default: try refuse(command, context)
    }
  }

  private func refuse(
    _ command: Command, _ context: PresentationContext
  ) throws(AssociationError) {
    try skipDataSet(of: command, context)
    try connection.send(command.response(.unrecognizedOperation), in: context)
  }

  private func skipDataSet(
    of command: Command, _ context: PresentationContext
  ) throws(AssociationError) {
    guard command.hasDataSet else { return }
    try connection.skipDataSet(in: context, waitingFor: .dataSet, timeouts.response)
  }

  private func fail(
    _ command: Command, _ context: PresentationContext, _ failure: ServiceFailure
  ) throws(AssociationError) {
    try connection.send(
      command.response(failure.status, comment: failure.comment), in: context)
  }

  // MARK: C-STORE

  private func store(
    _ command: Command, _ context: PresentationContext
  ) throws(AssociationError) {
    guard command.hasDataSet else {
      return try fail(
        command, context, ServiceFailure(.mistypedArgument, "C-STORE without a data set"))
    }
    let opened: Result<any StoreSink, ServiceFailure> = Result {
      () throws(ServiceFailure) in try beginStore(command, context)
    }
    var failure: ServiceFailure?
    var status = DIMSEStatus.success
    switch opened {
    case .failure(let refusal):
      failure = refusal
      try skipDataSet(of: command, context)
    case .success(let sink):
      var isOpen = true
      do throws(AssociationError) {
        try connection.streamDataSet(in: context, waitingFor: .dataSet, timeouts.response) {
          fragments in
          guard isOpen else { return true }
          do throws(ServiceFailure) {
            try sink.write(fragments)
          } catch {
            failure = error
            isOpen = false
            sink.abort()
          }
          return true
        }
      } catch {
        if isOpen { sink.abort() }
        throw error
      }
      if isOpen {
        do throws(ServiceFailure) { status = try sink.finish() } catch { failure = error }
      }
    }
    if let failure { return try fail(command, context, failure) }
    try connection.send(command.response(status), in: context)
  }

  private func beginStore(
    _ command: Command, _ context: PresentationContext
  ) throws(ServiceFailure) -> any StoreSink {
    guard let provider = server.services.storage else {
      throw ServiceFailure(.sopClassNotSupported)
    }
    guard let sopClass = command.affectedSOPClass, sopClass == context.abstractSyntax else {
      throw ServiceFailure(
        .sopClassNotSupported, "SOP class differs from the presentation context's")
    }
    guard server.configuration.contextPolicy.isStorage(sopClass) else {
      throw ServiceFailure(.sopClassNotSupported, "nothing that is stored")
    }
    guard let sopInstance = command.affectedSOPInstance, sopInstance.isValid else {
      throw ServiceFailure(.invalidSOPInstance, "Affected SOP Instance UID is no UID")
    }
    return try provider.beginStore(
      StoreRequest(
        association: info, sopClass: sopClass, sopInstance: sopInstance,
        transferSyntax: context.transferSyntax, moveOriginator: command.moveOriginator))
  }

  // MARK: Queries

  /// The identifier of a C-FIND or C-MOVE; nil after the answer was that it is unusable.
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
    let instances: [StoredInstance]
    do throws(ServiceFailure) {
      instances = try provider.plan(request)
    } catch {
      return try fail(command, context, error)
    }
    let operation = MoveOperation(self, command, context, destination)
    try operation.run(instances)
  }

  /// Whether the peer cancelled the operation. Does not wait.
  func isCancelled(_ command: Command) throws(AssociationError) -> Bool {
    while let message = try connection.arrivedMessage(waitingFor: .request) {
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
