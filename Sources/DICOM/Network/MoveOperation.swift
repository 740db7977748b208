import Platform

/// The sub-operations of one C-MOVE (PS3.4 section C.4.2): sends the planned objects to the
/// destination, one after the other, and tells the requestor how it goes.
final class MoveOperation {
  private let association: ProviderAssociation
  private let command: Command
  private let context: PresentationContext
  private let destination: PeerAddress
  private let originator: MoveOriginator

  private var remaining = 0
  private var completed = 0
  private var warned = 0
  private var failed: [UID] = []
  private var lastPending: MonotonicTime?

  /// Pending responses are optional; more often would cost more than they tell.
  private static let pendingInterval = Duration.milliseconds(100)

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
    remaining = instances.count
    for part in Self.parts(of: instances) {
      guard try send(part) else { return try finish(.cancel) }
    }
    let status: DIMSEStatus =
      if failed.isEmpty && warned == 0 {
        .success
      } else if completed == 0 && warned == 0 {
        .unableToPerformSuboperations
      } else {
        .coercionOrSuboperationsFailed
      }
    try finish(status)
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
    _ part: (contexts: [ProposedContext], instances: [StoredInstance])
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
          for rest in part.instances[index...] { record(rest, nil) }
          return true
        }
      }
      association.server.services.retrieve?.willSend(instance)
      do throws(AssociationError) {
        let result = try outgoing!.store(instance, moveOriginator: originator)
        record(instance, result.status)
      } catch {
        record(instance, nil)
        if !outgoing!.isOpen {
          if lossesLeft == 0 {
            for rest in part.instances[(index + 1)...] { record(rest, nil) }
            return true
          }
          lossesLeft -= 1
        }
      }
      try pending()
    }
    return true
  }

  private func record(_ instance: StoredInstance, _ status: DIMSEStatus?) {
    remaining -= 1
    switch status?.category {
    case .success: completed += 1
    case .warning: warned += 1
    default: failed.append(instance.sopInstance)
    }
  }

  private func pending() throws(AssociationError) {
    let now = MonotonicTime.now
    if let lastPending, now - lastPending < Self.pendingInterval { return }
    lastPending = now
    var response = command.response(.pending)
    response.suboperations = counters
    try association.connection.send(response, in: context)
  }

  private func finish(_ status: DIMSEStatus) throws(AssociationError) {
    var response = command.response(status)
    response.suboperations = counters
    // Only a cancelled operation has any left (PS3.4 section C.4.2.1.6).
    if status != .cancel { response.suboperations.remaining = nil }
    try association.connection.send(response, in: context, dataSet: failedList)
  }

  private var counters: Command.Suboperations {
    Command.Suboperations(
      remaining: UInt16(clamping: remaining), completed: UInt16(clamping: completed),
      failed: UInt16(clamping: failed.count), warning: UInt16(clamping: warned))
  }

  /// As many as the 16 bit length of a UI value in explicit VR holds.
  private var failedList: DataSet? {
    guard !failed.isEmpty else { return nil }
    var value: [UInt8] = []
    for uid in failed {
      guard value.count + 1 + uid.value.utf8.count <= 0xFFFE else { break }
      if !value.isEmpty { value.append(0x5C) }
      value += uid.value.utf8
    }
    if value.count & 1 == 1 { value.append(0) }
    var list = DataSet()
    list.set(DataElement(.failedSOPInstanceUIDList, .UI, .bytes(value)))
    return list
  }
}
