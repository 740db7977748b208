import Platform

/// What is known of one examination's images, and when to look again. Durable: the whole of it is
/// one row of the ledger, so that a daemon killed at any moment carries on.
public struct ImageProgress: Hashable, Sendable {
  public var state: ImageState = .none
  public var reason: ImageReason? = ImageReason(.notStarted, "waiting for its turn")
  /// The study that the source has under the examination number.
  public var resolvedStudyUID: String?
  /// Objects of the source's set that the archive holds.
  public var archived = 0
  /// Objects of the source's set; nil until the source has been read.
  public var expected: Int?
  /// Objects in the archive that the source does not have: no send until a person has looked.
  public var held = false
  /// A digest of the source's set when it was last found equal to the archive's, and since when it
  /// has been that: two equal reads, far enough apart, make it stable.
  public var equalDigest: String?
  public var equalSince: WallTime?
  /// When the images were last found complete.
  public var verified: WallTime?
  /// Passes in a row that came no further.
  public var attempts = 0
  /// When to look again; nil for at once.
  public var nextAttempt: WallTime?

  public init() {}

  /// Whether it goes no further until a person has mended something.
  public var isBlocked: Bool { Self.isBlocked(by: reason) }

  /// Whether anything but the times of looking differs.
  func isNews(after old: ImageProgress) -> Bool {
    var same = self
    same.nextAttempt = old.nextAttempt
    if old.verified != nil, verified != nil { same.verified = old.verified }
    return same != old
  }

  static func isBlocked(by reason: ImageReason?) -> Bool {
    switch reason?.code {
    case .uidMismatch, .ambiguous, .extraInArchive, .archiveRefused: true
    default: false
    }
  }
}

/// What one pass over an examination has seen.
public enum ImageObservation: Hashable, Sendable {
  /// The source knows no such examination number.
  case notFound
  /// The source has several studies under the number.
  case ambiguous(studies: Int)
  /// The list and the source name different studies.
  case mismatch(list: String, source: String)
  /// Both sides have been enumerated, after whatever was retrieved.
  case compared(Comparison)
  /// There is no source to compare with; the archive holds this many.
  case archiveOnly(studyUID: String?, archived: Int)
  /// The pass did not get that far.
  case failed(ImageReason.Code, String)

  /// Two sets of SOP Instance UIDs against each other, rejection notes left out.
  public struct Comparison: Hashable, Sendable {
    public var studyUID: String
    /// The number of objects at the source, and a digest of their sorted UIDs.
    public var source: Int
    public var sourceDigest: String
    /// At the source and not in the archive.
    public var missing: Int
    /// In the archive and not at the source.
    public var extra: Int
    /// What the retrieve of this pass said, where there was one that did not do all.
    public var retrieveFailure: ImageReason?
    /// Whether the pass asked for the missing objects at all.
    public var didRetrieve: Bool

    public init(
      studyUID: String, source: Int, sourceDigest: String, missing: Int, extra: Int,
      retrieveFailure: ImageReason? = nil, didRetrieve: Bool = false
    ) {
      self.studyUID = studyUID
      self.source = source
      self.sourceDigest = sourceDigest
      self.missing = missing
      self.extra = extra
      self.retrieveFailure = retrieveFailure
      self.didRetrieve = didRetrieve
    }
  }
}

/// Decides from what a pass has seen whether an examination is complete. Pure.
///
/// Complete is: the sets of SOP Instance UIDs are equal, have been unchanged over two reads at
/// least ``Policy/stability`` apart, and the examination's status is sendable. Counts are for
/// display; they decide nothing, since the right number of wrong objects is not the study.
public struct Completeness: Sendable {
  public struct Policy: Hashable, Sendable {
    /// The least time between the two equal reads.
    public var stability: Duration
    /// The first pause after a pass that came no further; doubles every time.
    public var retryMinimum: Duration
    public var retryMaximum: Duration
    /// How often a complete or waiting examination is compared again, for late images.
    public var recheck: Duration
    public var sendable: Set<ExaminationStatus>

    public init(
      stability: Duration = .seconds(60), retryMinimum: Duration = .seconds(30),
      retryMaximum: Duration = .seconds(1800), recheck: Duration = .seconds(600),
      sendable: Set<ExaminationStatus> = [.completed, .signed, .definitivelySigned]
    ) {
      self.stability = stability
      self.retryMinimum = retryMinimum
      self.retryMaximum = retryMaximum
      self.recheck = recheck
      self.sendable = sendable
    }
  }

  public let policy: Policy

  public init(policy: Policy) {
    self.policy = policy
  }

  /// The progress after a pass.
  public func after(
    _ observation: ImageObservation, _ old: ImageProgress, status: ExaminationStatus,
    now: WallTime
  ) -> ImageProgress {
    var new = old
    switch observation {
    case .notFound:
      new.resolvedStudyUID = nil
      new.expected = nil
      new.equalDigest = nil
      stall(&new, ImageReason(.notStored, "the source has no study with this number"), now)
    case .ambiguous(let studies):
      new.resolvedStudyUID = nil
      new.equalDigest = nil
      block(
        &new, ImageReason(.ambiguous, "the source has \(studies) studies with this number"), now)
    case .mismatch(let list, let source):
      new.resolvedStudyUID = source
      new.equalDigest = nil
      block(
        &new,
        ImageReason(.uidMismatch, "the list says study \(list), the source says \(source)"), now)
    case .failed(let code, let text):
      fail(&new, ImageReason(code, text), now)
    case .archiveOnly(let studyUID, let archived):
      new.resolvedStudyUID = studyUID
      new.archived = archived
      new.expected = nil
      new.state = archived > 0 ? .partial : .none
      new.reason = ImageReason(
        .awaitingSource,
        archived > 0 ? "no source is configured to compare with" : "nothing has been stored yet")
      new.attempts = 0
      new.nextAttempt = now + policy.recheck
    case .compared(let comparison):
      compare(comparison, old, &new, status, now)
    }
    return new
  }

  private func compare(
    _ seen: ImageObservation.Comparison, _ old: ImageProgress, _ new: inout ImageProgress,
    _ status: ExaminationStatus, _ now: WallTime
  ) {
    new.resolvedStudyUID = seen.studyUID
    new.expected = seen.source
    new.archived = seen.source - seen.missing
    new.held = seen.extra > 0
    if seen.source == 0, seen.extra == 0 {
      new.equalDigest = nil
      stall(&new, ImageReason(.notStored, "the study has no objects at the source"), now)
      return
    }
    if seen.missing > 0 {
      new.equalDigest = nil
      new.equalSince = nil
      if new.archived > old.archived { new.attempts = 0 }
      let late = old.verified != nil && old.state == .complete
      new.verified = nil
      stall(&new, shortfall(seen, late: late), now)
      return
    }
    if new.held {
      new.equalDigest = nil
      new.verified = nil
      block(
        &new,
        ImageReason(
          .extraInArchive, "\(seen.extra) objects in the archive are not at the source"), now)
      return
    }
    new.attempts = 0
    if old.equalDigest != seen.sourceDigest || (old.equalSince ?? now) > now {
      new.equalDigest = seen.sourceDigest
      new.equalSince = now
      new.verified = nil
    }
    let since = new.equalSince ?? now
    guard now - since >= policy.stability else {
      new.state = .fetching
      new.reason = ImageReason(.verifying, "all is there; read once more after the pause")
      new.nextAttempt = since + policy.stability
      return
    }
    new.nextAttempt = now + policy.recheck
    guard policy.sendable.contains(status) else {
      new.state = .fetching
      new.reason = ImageReason(
        .statusNotSendable, "all is there; the status is \(status.rawValue)")
      return
    }
    new.state = .complete
    new.reason = nil
    new.verified = now
  }

  private func shortfall(_ seen: ImageObservation.Comparison, late: Bool) -> ImageReason {
    if let failure = seen.retrieveFailure { return failure }
    if !seen.didRetrieve {
      return ImageReason(
        late ? .lateImages : .awaitingSource, "\(seen.missing) objects are not in the archive")
    }
    return ImageReason(
      .nothingArrived, "\(seen.missing) objects did not arrive although the source said so")
  }

  /// Something is still to come: look again, a little later every time.
  private func stall(_ new: inout ImageProgress, _ reason: ImageReason, _ now: WallTime) {
    new.attempts += 1
    new.state = new.archived > 0 ? .partial : .none
    new.reason = reason
    new.nextAttempt = now + pause(after: new.attempts)
  }

  /// Nothing was seen, so nothing is known to have changed: what was complete stays complete, and
  /// what was all there stays so, until a pass that sees says otherwise.
  private func fail(_ new: inout ImageProgress, _ reason: ImageReason, _ now: WallTime) {
    let state = new.state
    let known = new.reason
    stall(&new, reason, now)
    if state == .complete {
      new.state = state
      new.reason = known
    } else if new.expected == new.archived, new.archived > 0 {
      new.state = state
    }
  }

  /// Somebody must mend it: look again seldom, so that it goes on by itself once mended.
  private func block(_ new: inout ImageProgress, _ reason: ImageReason, _ now: WallTime) {
    new.attempts += 1
    new.state = new.archived > 0 ? .partial : .none
    new.reason = reason
    new.nextAttempt = now + policy.recheck
  }

  /// The pause after so many passes in a row that came no further.
  public func pause(after attempts: Int) -> Duration {
    min(policy.retryMinimum * (1 << min(max(attempts - 1, 0), 20)), policy.retryMaximum)
  }
}
