extension DIMSEConnection {
  /// Serves one C-STORE request (PS3.7 section 9.1.1): has its data set written as it comes, and
  /// answers. For objects that come to a server, and for those that a C-GET of ours brings.
  /// - Returns: what was answered.
  @discardableResult
  func receiveStore(
    _ command: Command, in context: PresentationContext, into provider: (any StorageProvider)?,
    from info: AssociationInfo
  ) throws(AssociationError) -> DIMSEStatus {
    guard command.hasDataSet else {
      return try answerStore(
        command, context, ServiceFailure(.mistypedArgument, "C-STORE without a data set"))
    }
    let opened: Result<any StoreSink, ServiceFailure> = Result {
      () throws(ServiceFailure) in try Self.beginStore(command, context, provider, info)
    }
    var failure: ServiceFailure?
    var status = DIMSEStatus.success
    switch opened {
    case .failure(let refusal):
      failure = refusal
      try skipDataSet(in: context, waitingFor: .dataSet, timeouts.response)
    case .success(let sink):
      var isOpen = true
      /// The rest of the data set is thrown away once the sink has given up.
      func use(_ body: (any StoreSink) throws(ServiceFailure) -> Void) {
        guard isOpen else { return }
        do throws(ServiceFailure) {
          try body(sink)
        } catch {
          failure = error
          isOpen = false
          sink.abort()
        }
      }
      do throws(AssociationError) {
        try streamDataSet(
          in: context, waitingFor: .dataSet, timeouts.response, into: { isOpen ? sink.file : nil },
          moved: { count, error in
            use { (sink) throws(ServiceFailure) in try sink.moved(count, error) }
          }
        ) { fragments in
          use { (sink) throws(ServiceFailure) in try sink.write(fragments) }
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
    if let failure { return try answerStore(command, context, failure) }
    try send(command.response(status), in: context)
    return status
  }

  private func answerStore(
    _ command: Command, _ context: PresentationContext, _ failure: ServiceFailure
  ) throws(AssociationError) -> DIMSEStatus {
    try send(command.response(failure.status, comment: failure.comment), in: context)
    return failure.status
  }

  private static func beginStore(
    _ command: Command, _ context: PresentationContext, _ provider: (any StorageProvider)?,
    _ info: AssociationInfo
  ) throws(ServiceFailure) -> any StoreSink {
    guard let provider else { throw ServiceFailure(.sopClassNotSupported) }
    guard let sopClass = command.affectedSOPClass, sopClass == context.abstractSyntax else {
      throw ServiceFailure(
        .sopClassNotSupported, "SOP class differs from the presentation context's")
    }
    guard let sopInstance = command.affectedSOPInstance, sopInstance.isValid else {
      throw ServiceFailure(.invalidSOPInstance, "Affected SOP Instance UID is no UID")
    }
    return try provider.beginStore(
      StoreRequest(
        association: info, sopClass: sopClass, sopInstance: sopInstance,
        transferSyntax: context.transferSyntax, moveOriginator: command.moveOriginator))
  }
}
