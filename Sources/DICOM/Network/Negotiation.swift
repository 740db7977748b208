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

    // Once for each class: a request has room for some ten thousand of them.
    let offered = Dictionary(
      request.user.roleSelections.map { ($0.sopClass, $0) }, uniquingKeysWith: { first, _ in first }
    )
    var roles: [UID: UserInformation.RoleSelection] = [:]
    var accepted: [PresentationContext] = []
    let answers = request.contexts.map { context in
      // Without meaning in a refusal (PS3.8 table 9-18); but nothing that does not fit into it.
      let fallback =
        context.transferSyntaxes.first { $0.uid.isValid } ?? .implicitVRLittleEndian
      let uid = context.abstractSyntax
      let role =
        roles[uid]
        ?? agreed(
          offered[uid] ?? .init(sopClass: uid, user: true, provider: false),
          configuration.contextPolicy, services)
      roles[uid] = role
      switch choose(context, role, configuration.contextPolicy) {
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
    var user = UserInformation(
      maximumLength: configuration.maximumPDULength,
      implementationClass: configuration.identity.classUID,
      implementationVersion: configuration.identity.version)
    var classes: [UID] = []
    for context in accepted where !classes.contains(context.abstractSyntax) {
      classes.append(context.abstractSyntax)
    }
    // Without an answer the default roles hold, which is right for what was not accepted.
    user.roleSelections = classes.compactMap { offered[$0] == nil ? nil : roles[$0] }
    let options = Dictionary(
      request.user.extendedNegotiations.map { ($0.sopClass, $0) },
      uniquingKeysWith: { first, _ in first })
    user.extendedNegotiations = classes.compactMap { uid in
      options[uid].flatMap { extended($0, services) }
    }
    if let window = request.user.asynchronousOperations {
      // Each side tells of itself. We ask one thing at a time. Objects are stored in the order they
      // come, and answered in it, so that the next may be on its way; a query or retrieve listens
      // for its cancellation meanwhile, and has to be alone.
      let isStorageOnly = accepted.allSatisfy { context in
        switch kind(of: context.abstractSyntax, configuration.contextPolicy) {
        case .storage, .verification: roles[context.abstractSyntax]?.provider == false
        default: false
        }
      }
      let most = UInt16(AssociationExtensions.mostOperations)
      user.asynchronousOperations = .init(
        invoked: 1,
        performed: !isStorageOnly ? 1 : window.invoked == 0 ? most : min(window.invoked, most))
    }
    // A name, with or without a passcode, is taken as it is: who may do what is decided by AE title
    // and address. The other types would have to be answered with what only their systems can say.
    if let identity = request.user.userIdentity, identity.responseRequested,
      (1...2).contains(identity.type)
    {
      user.others.append(.init(type: UserInformation.userIdentityResponse, contents: [0, 0]))
    }
    let accept = AssociateAccept(
      calledAE: request.calledAE, callingAE: request.callingAE, contexts: answers, user: user)
    return .accept(accept, accepted)
  }

  private struct Refusal: Error {
    var result: AssociateAccept.ContextResult
  }

  private enum Kind {
    case verification, storageCommitment, storage, unknown
    case query(InformationModel)
  }

  private static func kind(of sopClass: UID, _ policy: ContextPolicy) -> Kind {
    if sopClass == SOPClass.verification { return .verification }
    if sopClass == SOPClass.storageCommitmentPushModel { return .storageCommitment }
    if let model = InformationModel.of(sopClass) { return .query(model) }
    return policy.isStorage(sopClass) ? .storage : .unknown
  }

  /// Of the roles that the requestor offers for a SOP class, those that we have a counterpart for.
  private static func agreed(
    _ role: UserInformation.RoleSelection, _ policy: ContextPolicy, _ services: DICOMServices
  ) -> UserInformation.RoleSelection {
    let (weProvide, weUse) =
      switch kind(of: role.sopClass, policy) {
      case .verification: (true, false)
      case .storageCommitment: (services.commitment != nil, services.commitmentReports != nil)
      case .query(let model) where model.findClass == role.sopClass:
        (services.query != nil && services.queryModels.contains(model), false)
      case .query: (services.retrieve != nil, false)
      // We store as the user of what a C-GET asks for.
      case .storage: (services.storage != nil, services.retrieve != nil)
      case .unknown: (false, false)
      }
    return .init(
      sopClass: role.sopClass, user: role.user && weProvide, provider: role.provider && weUse)
  }

  private static func choose(
    _ context: AssociateRequest.Context, _ role: UserInformation.RoleSelection,
    _ policy: ContextPolicy
  ) -> Result<TransferSyntax, Refusal> {
    guard role.user || role.provider else {
      return .failure(Refusal(result: .abstractSyntaxNotSupported))
    }
    let uid = context.abstractSyntax
    let chosen: TransferSyntax? =
      switch kind(of: uid, policy) {
      case .storage where role.user: policy.storage(uid, context.transferSyntaxes)
      case .storage: policy.retrieval(uid, context.transferSyntaxes)
      default: ContextPolicy.chooseUncompressed(context.transferSyntaxes)
      }
    guard let chosen else { return .failure(Refusal(result: .transferSyntaxesNotSupported)) }
    return .success(chosen)
  }

  /// The options of a query or retrieve (PS3.4 sections C.5.1.1 and C.5.2.1): a byte each, of which
  /// the first is relational; combined date and time, fuzzy names, time zones and the views of
  /// enhanced images are not offered.
  private static func extended(
    _ proposal: UserInformation.ExtendedNegotiation, _ services: DICOMServices
  ) -> UserInformation.ExtendedNegotiation? {
    guard let model = InformationModel.of(proposal.sopClass), model != .modalityWorklist,
      let first = proposal.information.first
    else { return nil }
    let options = model.findClass == proposal.sopClass ? 5 : 2
    var answer = [UInt8](repeating: 0, count: min(proposal.information.count, options))
    answer[0] = services.isRelational && first == 1 ? 1 : 0
    return .init(sopClass: proposal.sopClass, information: answer)
  }
}
