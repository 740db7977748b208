import Platform

/// Samverkansportalen, as the engine sees it: where flags live and orders come from.
///
/// Calls block and come from one worker thread at a time.
public protocol Portal: Sendable {
  /// `embedded` or `http`, for display.
  var kind: String { get }

  /// Reads back every flag the portal holds.
  /// - Parameter token: what the latest listing gave; a portal that can tell that nothing has
  ///   changed since answers ``FlagListing/unchanged``.
  func flags(since token: String?, deadline: Deadline) throws(PortalError) -> FlagListing

  /// Does the writes in their order as far as it can, telling the outcome of each by its index.
  /// Idempotent: a write repeated after an unknown outcome does no harm.
  func apply(
    _ writes: [FlagWrite], source: String, now: WallTime, deadline: Deadline,
    outcome: (Int, FlagWriteOutcome) -> Void)

  /// Tells the portal what the archive holds of examinations.
  func publish(
    _ availability: [ImageAvailability], deadline: Deadline) throws(PortalError)
}

public enum FlagListing: Sendable {
  case unchanged
  /// The flags, and a token for the next call.
  case flags(ExaminationTable<PortalFlag>, token: String)
}

public enum FlagWriteOutcome: Hashable, Sendable {
  /// It is so now.
  case done
  /// It was so already.
  case alreadySo
  /// The record is not what the decision was made upon: decide again on the next read-back.
  case changedMeanwhile
  /// Nobody knows whether it happened; the read-back will tell.
  case unknown(String)
  case failed(PortalError)
}

/// What the archive holds of an examination, as told to the portal.
public struct ImageAvailability: Hashable, Sendable {
  public var key: ExaminationKey
  public var state: ImageState
  public var archived: Int
  public var expected: Int?
  public var reason: ImageReason?

  public init(
    key: ExaminationKey, state: ImageState, archived: Int, expected: Int?, reason: ImageReason?
  ) {
    self.key = key
    self.state = state
    self.archived = archived
    self.expected = expected
    self.reason = reason
  }
}

/// Why the portal did not do it.
public enum PortalError: Error, Hashable, Sendable, CustomStringConvertible {
  /// It does not answer, or cannot now: tried again with the next cycle.
  case unavailable(String)
  /// It will not, however often it is asked.
  case refused(String)
  /// Another daemon sets flags there under the same name: this one must not.
  case foreign(String)

  public var description: String {
    switch self {
    case .unavailable(let text), .refused(let text), .foreign(let text): text
    }
  }
}
