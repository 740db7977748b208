import Platform

/// What an assignment (Uppdrag) is about.
public enum AssignmentKind: String, CaseIterable, Sendable {
  /// Images and an order go to a reviewer, who answers.
  case review
  /// The referral goes to another unit (flytt av remiss): messages only.
  case referralMove = "referral_move"
}

/// The type of a review (Uppdragstyp).
public enum ReviewType: String, CaseIterable, Sendable {
  /// Primär.
  case primary
  /// Dubbelgranskning.
  case secondReading = "second_reading"
}

/// A comparison examination (jämförande) that goes along.
public struct PriorOrder: Hashable, Sendable {
  public var key: ExaminationKey
  /// The text of its report, which becomes a result message of its own; nil where there is none.
  public var report: String?

  public init(key: ExaminationKey, report: String? = nil) {
    self.key = key
    self.report = report
  }
}

/// The patient and the examination as messages tell of them. Kept with the assignment, so that a
/// message can be built long after the examination has left its list.
public struct ExaminationFacts: Hashable, Sendable {
  public var key: ExaminationKey
  public var referral: String?
  public var studyUID: String?
  public var patientID: String?
  /// In DICOM's and HL7's form, components parted by `^`.
  public var patientName: String?
  /// `YYYYMMDD`.
  public var birthDate: String?
  /// `M`, `F` or `O`.
  public var sex: String?
  public var careUnit: String?
  public var modality: String?
  public var description: String?
  public var scheduled: String?
  /// The list it was on, its flag, and the peer that has the originals.
  public var list: String?
  public var source: String?

  public init(key: ExaminationKey) { self.key = key }
}

/// What somebody has ordered.
public struct SendOrder: Hashable, Sendable {
  public var kind = AssignmentKind.review
  public var examination: ExaminationFacts
  /// The recipient's id in the configuration, and the destination that it stands for.
  public var recipient: String
  public var destination: String
  public var review = ReviewType.primary
  public var priority = Priority.routine
  /// To the recipient; clinical text, never logged.
  public var message: String?
  public var priors: [PriorOrder] = []
  /// Why it was sent although the images were not complete; nil when they were.
  public var forced: String?
  /// It has been sent and recalled before.
  public var previouslySent = false
  /// The portal's id of the order; nil where it was ordered here.
  public var portalID: String?
  /// The user who ordered it, and for whom.
  public var orderedBy: String

  public init(
    examination: ExaminationFacts, recipient: String, destination: String, orderedBy: String
  ) {
    self.examination = examination
    self.recipient = recipient
    self.destination = destination
    self.orderedBy = orderedBy
  }
}
