import Platform

/// How the sub-operations of one C-MOVE or C-GET go, and how the requestor is told of it (PS3.7
/// sections 9.1.3 and 9.1.4, PS3.4 sections C.4.2 and C.4.3).
final class SuboperationTally {
  private let association: ProviderAssociation
  private let command: Command
  private let context: PresentationContext

  private var remaining: Int
  private var completed = 0
  private var warned = 0
  private var failed: [UID] = []
  private var lastPending: MonotonicTime?

  /// Pending responses are optional; more often would cost more than they tell.
  private static let pendingInterval = Duration.milliseconds(100)

  /// - Parameter count: the sub-operations that are to be made.
  init(
    _ association: ProviderAssociation, _ command: Command, _ context: PresentationContext,
    count: Int
  ) {
    self.association = association
    self.command = command
    self.context = context
    remaining = count
  }

  /// - Parameter status: nil where none came.
  func record(_ instance: StoredInstance, _ status: DIMSEStatus?) {
    remaining -= 1
    switch status?.category {
    case .success: completed += 1
    case .warning: warned += 1
    default: failed.append(instance.sopInstance)
    }
  }

  /// Tells the requestor how far it has come, unless that was a moment ago.
  func pending() throws(AssociationError) {
    let now = MonotonicTime.now
    if let lastPending, now - lastPending < Self.pendingInterval { return }
    lastPending = now
    var response = command.response(.pending)
    response.suboperations = counters
    try association.connection.send(response, in: context)
  }

  /// The final response.
  func finish(isCancelled: Bool = false) throws(AssociationError) {
    let status: DIMSEStatus =
      if isCancelled {
        .cancel
      } else if failed.isEmpty && warned == 0 {
        .success
      } else if completed == 0 && warned == 0 {
        .unableToPerformSuboperations
      } else {
        .coercionOrSuboperationsFailed
      }
    var response = command.response(status)
    response.suboperations = counters
    // Only a cancelled operation has any left (PS3.4 section C.4.2.1.6).
    if !isCancelled { response.suboperations.remaining = nil }
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
