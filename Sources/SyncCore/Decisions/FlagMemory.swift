import Platform

/// What must be remembered of one examination's flag between cycles and across restarts.
/// An examination whose flag is as it should be has none.
public struct FlagMemory: Hashable, Sendable {
  /// In how many different complete snapshots in a row it has been absent.
  public var absences: Int
  /// The snapshot last counted: the same one read twice is one piece of evidence.
  public var absenceSnapshot: String?
  /// An admin has let this clear pass the brake.
  public var approved: Bool
  /// A write that has been tried and not yet been seen in the portal.
  public var write: WriteAttempt?

  public init(
    absences: Int = 0, absenceSnapshot: String? = nil, approved: Bool = false,
    write: WriteAttempt? = nil
  ) {
    self.absences = absences
    self.absenceSnapshot = absenceSnapshot
    self.approved = approved
    self.write = write
  }

  var isEmpty: Bool { absences == 0 && !approved && write == nil }
}

/// Tries of one write.
public struct WriteAttempt: Hashable, Sendable {
  /// The flag wanted; nil for a clear.
  public var flag: String?
  public var attempts: Int
  public var first: WallTime
  /// Not tried again before.
  public var next: WallTime

  public init(flag: String?, attempts: Int, first: WallTime, next: WallTime) {
    self.flag = flag
    self.attempts = attempts
    self.first = first
    self.next = next
  }
}
