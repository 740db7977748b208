/// What a server answers to an A-ASSOCIATE-RQ: a decision without I/O.
enum Negotiation {
  enum Outcome {
    case accept(AssociateAccept, [PresentationContext])
    case reject(AssociationRejection)
  }

  /// - Parameter hasRoom: asked last, as a yes takes a place.
  static func answer(
    _ request: AssociateRequest, _ configuration: ServerConfiguration, _ services: DICOMServices,
    hasRoom: () -> Bool
  ) -> Outcome {
    guard request.protocolVersion & 1 == 1 else { return .reject(.protocolVersionNotSupported) }
    guard request.applicationContext == dicomApplicationContext else {
      return .reject(.applicationContextNotSupported)
    }
    guard configuration.acceptsAnyCalledAE || request.calledAE == configuration.aeTitle else {
      return .reject(.calledAENotRecognized)
    }
    if let allowed = configuration.allowedCallingAEs, !allowed.contains(request.callingAE) {
      return .reject(.callingAENotRecognized)
    }
    // Less than a value of two bytes in each PDU cannot carry anything.
    guard request.user.maximumLength == 0 || request.user.maximumLength >= 16 else {
      return .reject(AssociationRejection(result: 1, source: 2, reason: 1))
    }
    guard hasRoom() else { return .reject(.localLimitExceeded) }

    var accepted: [PresentationContext] = []
    let answers = request.contexts.map { context in
      // Without meaning in a refusal (PS3.8 table 9-18); but nothing that does not fit into it.
      let fallback =
        context.transferSyntaxes.first { $0.uid.isValid } ?? .implicitVRLittleEndian
      switch choose(context, configuration.contextPolicy, services) {
      case .success(let syntax):
        accepted.append(
          PresentationContext(
            id: context.id, abstractSyntax: context.abstractSyntax, transferSyntax: syntax))
        return AssociateAccept.Context(
          id: context.id, result: .acceptance, transferSyntax: syntax)
      case .failure(let refusal):
        return AssociateAccept.Context(
          id: context.id, result: refusal.result, transferSyntax: fallback)
      }
    }
    let accept = AssociateAccept(
      calledAE: request.calledAE, callingAE: request.callingAE, contexts: answers,
      user: UserInformation(
        maximumLength: configuration.maximumPDULength,
        implementationClass: configuration.identity.classUID,
        implementationVersion: configuration.identity.version))
    return .accept(accept, accepted)
  }

  private struct Refusal: Error {
    var result: AssociateAccept.ContextResult
  }

  private static func choose(
    _ context: AssociateRequest.Context, _ policy: ContextPolicy, _ services: DICOMServices
  ) -> Result<TransferSyntax, Refusal> {
    let uid = context.abstractSyntax
    let chosen: TransferSyntax?
    if uid == ProposedContext.verification.abstractSyntax
      || services.query != nil && InformationModel.known.contains(where: { $0.findClass == uid })
      || services.retrieve != nil && InformationModel.known.contains(where: { $0.moveClass == uid })
    {
      chosen = ContextPolicy.chooseUncompressed(context.transferSyntaxes)
    } else if services.storage != nil, policy.isStorage(uid) {
      chosen = policy.storage(uid, context.transferSyntaxes)
    } else {
      return .failure(Refusal(result: .abstractSyntaxNotSupported))
    }
    guard let chosen else { return .failure(Refusal(result: .transferSyntaxesNotSupported)) }
    return .success(chosen)
  }
}
