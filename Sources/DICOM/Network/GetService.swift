import Synchronization

extension Association {
  /// C-GET (PS3.7 section 9.1.3, PS3.4 section C.4.3): has the peer send objects on this very
  /// association, into `storage`. Needs contexts for their SOP classes in which the peer was
  /// accepted as the provider: see ``GetProposal``.
  ///
  /// `progress` is called after each object and with each pending response, with the peer's last
  /// counters, in which no fewer are completed than have been stored; when it returns false the
  /// operation is cancelled.
  ///
  /// What was stored is for `storage` to tell: as with C-MOVE no status proves anything.
  public func get(
    _ identifier: DataSet, in model: InformationModel, into storage: any StorageProvider,
    priority: Command.Priority = .medium, progress: (Command.Suboperations) -> Bool = { _ in true }
  ) throws(AssociationError) -> MoveOutcome {
    guard let getClass = model.getClass else {
      throw .notEncodable("\(model.name) has no C-GET")
    }
    let context = try context(for: getClass)
    var request = Command(.getRequest)
    request.affectedSOPClass = getClass
    request.messageID = newMessageID()
    request.priority = priority
    try connection.send(request, in: context, dataSet: identifier)
    let info = AssociationInfo(
      id: Self.lastGet.wrappingAdd(1, ordering: .relaxed).newValue, callingAE: peer.calledAE,
      calledAE: peer.callingAE, peerHost: peer.host,
      peerImplementationClass: peerInformation.implementationClass,
      peerImplementationVersion: peerInformation.implementationVersion)
    defer { storage.associationEnded(info) }
    var lastPending: Command.Suboperations?
    var stored = 0
    var isCancelled = false
    var advance = MoveProgress(connection.timeouts.move)
    var received: Set<UID> = []
    while true {
      let message = try connection.nextMessage(waitingFor: .get, connection.timeouts.move)
      guard case .command(let command, let answered) = message else {
        throw connection.upperLayer.violation("A-RELEASE-RQ within a C-GET")
      }
      if command.field == .storeRequest {
        guard command.messageID != nil else {
          throw connection.upperLayer.violation("C-STORE-RQ without a Message ID (0000,0110)")
        }
        let status = try connection.receiveStore(command, in: answered, into: storage, from: info)
        if status.isSuccess || status.isWarning { stored += 1 }
        // The same object again and again is no progress.
        if let uid = command.affectedSOPInstance, received.insert(uid).inserted {
          advance.noteObject()
        }
      } else {
        let status = try status(of: command, to: request)
        let failed = try failedInstances(command, status, answered)
        guard status.isPending else {
          return MoveOutcome(
            result: OperationResult(status, command), suboperations: command.suboperations,
            lastPending: lastPending, failedInstances: failed, stored: stored)
        }
        if !command.suboperations.isEmpty { lastPending = command.suboperations }
        advance.note(command.suboperations)
      }
      // Pending responses, and their counters, may be left out.
      var counters = lastPending ?? Command.Suboperations()
      let told = Int(counters.completed ?? 0) + Int(counters.warning ?? 0)
      if told < stored {
        counters.completed = UInt16(clamping: stored - Int(counters.warning ?? 0))
      }
      if !isCancelled, !progress(counters) {
        isCancelled = true
        advance.end()
        try cancel(request, in: context)
      }
      if advance.deadline.isPast { throw overdue(.get) }
    }
  }

  private func failedInstances(
    _ response: Command, _ status: DIMSEStatus, _ context: PresentationContext
  ) throws(AssociationError) -> [UID] {
    guard response.hasDataSet else { return [] }
    let timeout = connection.timeouts.response
    if status.isPending {
      try connection.skipDataSet(in: context, waitingFor: .get, timeout)
      return []
    }
    return try connection.dataSet(in: context, waitingFor: .get, timeout)
      .uids(.failedSOPInstanceUIDList)
  }

  /// The ids of associations that objects came on: not among those that a server counts from 1.
  private static let lastGet = Atomic<UInt64>(1 << 63)
}

/// What to propose for a C-GET: the class itself, and contexts for the objects that may come, with
/// the peer as their provider (PS3.7 section D.3.3.4).
///
/// A peer that has to choose among transfer syntaxes does not know yet which objects it will send.
/// So each SOP class gets a context for each transfer syntax by itself, and an object comes as it
/// is stored. At most 128 contexts fit an association: with many SOP classes the rarer transfer
/// syntaxes share the last context of each, from which the peer takes one.
public struct GetProposal: Hashable, Sendable {
  public let contexts: [ProposedContext]
  public let roles: [UserInformation.RoleSelection]

  /// - Parameter sopClasses: of the objects that are expected. Those that do not fit, beyond 127,
  ///   are left out.
  public init(
    _ model: InformationModel, sopClasses: [UID],
    transferSyntaxes: [TransferSyntax] = GetProposal.transferSyntaxes
  ) {
    let room = Association.mostContexts - 1
    var classes: [UID] = []
    for uid in sopClasses where !classes.contains(uid) && classes.count < room {
      classes.append(uid)
    }
    let each = classes.isEmpty ? 0 : min(room / classes.count, transferSyntaxes.count)
    var contexts = [ProposedContext(model.getClass ?? model.findClass)]
    for uid in classes {
      for (index, syntax) in transferSyntaxes.prefix(each).enumerated() {
        let isLast = index == each - 1
        contexts.append(
          ProposedContext(uid, isLast ? Array(transferSyntaxes[index...]) : [syntax]))
      }
    }
    self.contexts = contexts
    roles = classes.map { .init(sopClass: $0, user: false, provider: true) }
  }

  /// What images, reports and documents are stored as, the most frequent first.
  public static let transferSyntaxes: [TransferSyntax] = [
    .explicitVRLittleEndian, .implicitVRLittleEndian,
    // JPEG lossless, JPEG 2000 lossless and not, JPEG baseline, JPEG-LS, RLE, JPEG extended.
    TransferSyntax("1.2.840.10008.1.2.4.70"), TransferSyntax("1.2.840.10008.1.2.4.90"),
    TransferSyntax("1.2.840.10008.1.2.4.91"), TransferSyntax("1.2.840.10008.1.2.4.50"),
    TransferSyntax("1.2.840.10008.1.2.4.80"), TransferSyntax("1.2.840.10008.1.2.5"),
    TransferSyntax("1.2.840.10008.1.2.4.51"), TransferSyntax("1.2.840.10008.1.2.4.81"),
    TransferSyntax("1.2.840.10008.1.2.4.57"),
    // High-throughput JPEG 2000.
    TransferSyntax("1.2.840.10008.1.2.4.201"), TransferSyntax("1.2.840.10008.1.2.4.202"),
    TransferSyntax("1.2.840.10008.1.2.4.203"),
    // Video: MPEG-2, H.264, H.265.
    TransferSyntax("1.2.840.10008.1.2.4.102"), TransferSyntax("1.2.840.10008.1.2.4.103"),
    TransferSyntax("1.2.840.10008.1.2.4.100"), TransferSyntax("1.2.840.10008.1.2.4.101"),
    TransferSyntax("1.2.840.10008.1.2.4.107"), TransferSyntax("1.2.840.10008.1.2.4.108"),
    .deflatedExplicitVRLittleEndian, .explicitVRBigEndian,
  ]
}
