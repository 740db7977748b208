import Platform

/// An examination as the lists tell of it and the ledger keeps it.
public struct ExaminationRecord: Hashable, Sendable {
  public var key: ExaminationKey
  /// The list it is on; nil once it has left.
  public var list: String?
  /// The flag that list stands for.
  public var flag: String?
  /// What the portal held when it was last read.
  public var portalFlag: String?
  public var referral: String?
  /// The study UID according to the list.
  public var studyUID: String?
  public var patientID: String?
  public var patientName: String?
  public var status: ExaminationStatus
  /// The RIS's own word for the status.
  public var statusRaw: String?
  public var modality: String?
  public var description: String?
  public var careUnit: String?
  public var scheduled: String?
  public var priority: Priority
  /// The peer that the images come from.
  public var source: String?
  /// Changes when anything that the list says changes, so that an unchanged row costs no write.
  public var digest: Int64 = 0

  public init(
    key: ExaminationKey, list: String?, flag: String?, portalFlag: String? = nil,
    referral: String? = nil, studyUID: String? = nil, patientID: String? = nil,
    status: ExaminationStatus = .unknown, statusRaw: String? = nil, modality: String? = nil,
    description: String? = nil, careUnit: String? = nil, scheduled: String? = nil,
    priority: Priority = .routine, source: String? = nil, patientName: String? = nil
  ) {
    self.key = key
    self.list = list
    self.flag = flag
    self.portalFlag = portalFlag
    self.referral = referral
    self.studyUID = studyUID
    self.patientID = patientID
    self.patientName = patientName
    self.status = status
    self.statusRaw = statusRaw
    self.modality = modality
    self.description = description
    self.careUnit = careUnit
    self.scheduled = scheduled
    self.priority = priority
    self.source = source
  }
}
