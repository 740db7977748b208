import Platform

/// The responses of one C-FIND: gathers matches, so that a long list does not cost a system call
/// and a packet each, without letting the peer wait.
final class FindResponses {
  private let association: ProviderAssociation
  private let command: Command
  private let context: PresentationContext
  private var out: [UInt8] = []
  private var lastWrite = MonotonicTime.now
  private var error: AssociationError?
  private var failure: ServiceFailure?
  private var isCancelled = false

  private static let batchLength = 64 * 1024
  private static let longestDelay = Duration.milliseconds(50)

  init(
    _ association: ProviderAssociation, _ command: Command, _ context: PresentationContext
  ) {
    self.association = association
    self.command = command
    self.context = context
  }

  /// False when there is nobody left to give matches to.
  func emit(_ match: DataSet) -> Bool {
    guard error == nil, failure == nil, !isCancelled else { return false }
    do throws(AssociationError) {
      try association.connection.append(
        command.response(.pending), in: context, dataSet: match, to: &out)
      if out.count >= Self.batchLength || MonotonicTime.now - lastWrite >= Self.longestDelay {
        try flush()
        isCancelled = try association.isCancelled(command)
      }
      return !isCancelled
    } catch {
      if case .notEncodable = error {
        failure = ServiceFailure(.cannotUnderstand, "a match cannot be encoded")
      } else {
        self.error = error
      }
      return false
    }
  }

  /// The final response.
  func finish(_ failure: ServiceFailure?) throws(AssociationError) {
    if let error { throw error }
    let final: Command
    if let failure = failure ?? self.failure {
      final = command.response(failure.status, comment: failure.comment)
    } else {
      final = command.response(isCancelled ? .cancel : .success)
    }
    try association.connection.append(final, in: context, to: &out)
    try flush()
  }

  private func flush() throws(AssociationError) {
    try association.connection.upperLayer.writeData(out)
    out.removeAll(keepingCapacity: true)
    lastWrite = .now
  }
}
