import Platform

/// The sub-operations of one C-MOVE (PS3.4 section C.4.2): sends the planned objects to the
/// destination, one after the other, and tells the requestor how it goes.
final class MoveOperation {
  private let association: ProviderAssociation
  private let command: Command
  private let context: PresentationContext
  private let destination: PeerAddress
  private let originator: MoveOriginator

  init(
    _ association: ProviderAssociation, _ command: Command, _ context: PresentationContext,
    _ destination: PeerAddress
  ) {
    self.association = association
    self.command = command
    self.context = context
    self.destination = destination
    originator = MoveOriginator(
      aeTitle: association.info.callingAE, messageID: command.messageID ?? 0)
  }

  func run(_ instances: [StoredInstance]) throws(AssociationError) {
    let tally = SuboperationTally(association, command, context, count: instances.count)
    for part in Self.parts(of: instances) {
      guard try send(part, tally) else { return try tally.finish(isCancelled: true) }
    }
    try tally.finish()
  }

  /// What shares an association: objects of at most 128 different pairs of SOP class and transfer
  /// syntax, as each pair takes a presentation context.
  static func parts(
    of instances: [StoredInstance]
  ) -> [(contexts: [ProposedContext], instances: [StoredInstance])] {
    var parts: [(contexts: [ProposedContext], instances: [StoredInstance])] = []
    var partOfPair: [ProposedContext: Int] = [:]
    for instance in instances {
      let pair = ProposedContext(instance.sopClass, [instance.transferSyntax])
      if let part = partOfPair[pair] {
        parts[part].instances.append(instance)
        continue
      }
      if parts.last.map({ $0.contexts.count == Association.mostContexts }) ?? true {
        parts.append(([], []))
      }
      parts[parts.count - 1].contexts.append(pair)
      parts[parts.count - 1].instances.append(instance)
      partOfPair[pair] = parts.count - 1
    }
    return parts
  }

  /// False when the requestor cancelled.
  private func send(
    _ part: (contexts: [ProposedContext], instances: [StoredInstance]),
    _ tally: SuboperationTally
  ) throws(AssociationError) -> Bool {
    var outgoing: Association?
    // A destination that is lost gets one more chance, but not one for each object.
    var lossesLeft = 1
    defer { try? outgoing?.release() }
    for (index, instance) in part.instances.enumerated() {
      if try association.isCancelled(command) { return false }
      if outgoing?.isOpen != true {
        outgoing = try? Association.request(
          to: destination, contexts: part.contexts, timeouts: association.connection.timeouts,
          identity: association.server.configuration.identity)
        guard outgoing != nil else {
          for rest in part.instances[index...] { tally.record(rest, nil) }
          return true
        }
      }
      association.server.services.retrieve?.willSend(instance)
      do throws(AssociationError) {
        let result = try outgoing!.store(instance, moveOriginator: originator)
        tally.record(instance, result.status)
      } catch {
        tally.record(instance, nil)
        if !outgoing!.isOpen {
          if lossesLeft == 0 {
            for rest in part.instances[(index + 1)...] { tally.record(rest, nil) }
            return true
          }
          lossesLeft -= 1
        }
      }
      try tally.pending()
    }
    return true
  }
}
