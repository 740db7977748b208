/// What the archive holds of an examination, where the old picture icon (bildikon) had one word
/// for "fetching or fetched".
public enum ImageState: String, CaseIterable, Sendable {
  /// Nothing is in the archive.
  case none
  /// Under way; or all there and waiting for the second, confirming read.
  case fetching
  /// Something is missing and nothing is being fetched at the moment.
  case partial
  /// The sets of SOP Instance UIDs are equal and have stayed so, and the status is sendable.
  case complete
}

/// Why an examination is not complete, and who can mend it.
public struct ImageReason: Hashable, Sendable {
  public enum Code: String, CaseIterable, Sendable {
    /// The source has no study with this examination number.
    case notStored = "not_stored"
    /// The study UID of the list and that of the source differ.
    case uidMismatch = "uid_mismatch"
    /// Several studies at the source carry this examination number.
    case ambiguous
    /// Waiting for its turn.
    case notStarted = "not_started"
    /// The source does not answer.
    case peerUnavailable = "peer_unavailable"
    /// The source answered with an error, or with less than it announced.
    case retrieveFailed = "retrieve_failed"
    /// The images do not arrive although the source says that it has sent them.
    case nothingArrived = "nothing_arrived"
    /// The archive refuses to store: disk, or an object it holds with other content.
    case archiveRefused = "archive_refused"
    /// The archive holds objects that the source does not: a rejected or split study.
    case extraInArchive = "extra_in_archive"
    /// All is there; the confirming read is still to come.
    case verifying
    /// All is there; the examination's status does not yet allow a send.
    case statusNotSendable = "status_not_sendable"
    /// Images came to the source after the study was complete.
    case lateImages = "late_images"
    /// The list has no image source and none is expected here yet (AGFA stores by itself).
    case awaitingSource = "awaiting_source"
  }

  public let code: Code
  public let text: String

  public init(_ code: Code, _ text: String) {
    self.code = code
    self.text = text
  }

  /// Who can mend it, in words an admin can act upon.
  public var owner: String {
    switch code {
    case .notStored: "the examining department: the images have not reached the PACS"
    case .uidMismatch, .ambiguous: "the RIS/PACS administrators: the study identity is wrong"
    case .notStarted, .verifying, .lateImages: "nobody: syncd goes on by itself"
    case .peerUnavailable, .retrieveFailed, .nothingArrived: "the PACS administrators"
    case .archiveRefused: "the archive's administrators"
    case .extraInArchive: "the PACS administrators: objects were rejected or moved at the source"
    case .statusNotSendable: "the examining department: the examination is not yet performed"
    case .awaitingSource: "the sending PACS: it stores into the archive by itself"
    }
  }
}
