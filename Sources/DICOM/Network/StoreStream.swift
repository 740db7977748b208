import Platform

extension Association {
  /// How many C-STOREs may be under way at once: what was negotiated as the asynchronous operations
  /// window (PS3.7 section D.3.3.3), and one where nothing was.
  public var storeWindow: Int {
    // The acceptor's own view: what it performs is what we may invoke.
    guard let window = peerInformation.asynchronousOperations, proposedOperations > 1 else {
      return 1
    }
    return window.performed == 0
      ? proposedOperations : min(Int(window.performed), proposedOperations)
  }

  /// C-STORE of objects in files, one after the other, as many under way as were negotiated. With
  /// more than one the peer never waits for us, nor we for it.
  /// - Parameters:
  ///   - goesOn: asked before each object. When it says no, what is under way is still waited for.
  ///   - answered: called once for each object: with what the peer says, or with why it was not sent:
  ///     ``AssociationError/noAcceptedContext(_:_:)``, ``AssociationError/unreadable(_:)`` or
  ///     ``AssociationError/notEncodable(_:)``. Answers come in the peer's order.
  /// - Throws: what closes the association. What has had no answer until then may have arrived or
  ///   not.
  public func store(
    _ instances: some Sequence<StoredInstance>, priority: Command.Priority = .medium,
    while goesOn: () -> Bool = { true },
    answered: (StoredInstance, Result<OperationResult, AssociationError>) -> Void
  ) throws(AssociationError) {
    var underWay: [(request: Command, instance: StoredInstance)] = []
    let window = storeWindow
    for instance in instances {
      guard goesOn() else { break }
      while underWay.count >= window { try takeAnswer(&underWay, answered) }
      do throws(AssociationError) {
        let request = try sendStore(
          instance.sopClass, instance.sopInstance, instance.transferSyntax,
          from: try open(instance), priority)
        underWay.append((request, instance))
      } catch {
        guard isOpen else { throw error }
        answered(instance, .failure(error))
      }
      // Alone under way, an object is answered before anything is asked about the next one.
      if window == 1, !underWay.isEmpty { try takeAnswer(&underWay, answered) }
    }
    while !underWay.isEmpty { try takeAnswer(&underWay, answered) }
  }

  private func takeAnswer(
    _ underWay: inout [(request: Command, instance: StoredInstance)],
    _ answered: (StoredInstance, Result<OperationResult, AssociationError>) -> Void
  ) throws(AssociationError) {
    let timeout = connection.timeouts.response
    guard
      case .command(let response, let context) = try connection.nextMessage(
        waitingFor: .response, timeout)
    else { throw connection.upperLayer.violation("A-RELEASE-RQ instead of a response") }
    guard response.field == .storeRequest.response,
      let index = underWay.firstIndex(where: {
        $0.request.messageID == response.messageIDRespondedTo
      })
    else {
      throw connection.upperLayer.violation(
        "\(response.field) to message \(response.messageIDRespondedTo ?? 0), which is not under way"
      )
    }
    guard let status = response.status else {
      throw connection.upperLayer.violation("\(response.field) without a Status (0000,0900)")
    }
    if response.hasDataSet {
      try connection.skipDataSet(in: context, waitingFor: .response, timeout)
    }
    answered(underWay.remove(at: index).instance, .success(OperationResult(status, response)))
  }
}
