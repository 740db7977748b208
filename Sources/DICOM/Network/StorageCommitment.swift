/// An object by its SOP class and instance, as Referenced SOP Sequence (0008,1199) names it.
public struct ObjectReference: Hashable, Sendable {
  public let sopClass: UID
  public let sopInstance: UID

  public init(sopClass: UID, sopInstance: UID) {
    self.sopClass = sopClass
    self.sopInstance = sopInstance
  }

  public init(_ instance: StoredInstance) {
    self.init(sopClass: instance.sopClass, sopInstance: instance.sopInstance)
  }
}

/// Somebody asks whether objects are kept safely (PS3.4 section J.3.2).
public struct CommitmentRequest: Hashable, Sendable {
  /// Transaction UID (0008,1195): what the report is known by.
  public let transaction: UID
  public let references: [ObjectReference]

  public init(transaction: UID, references: [ObjectReference]) {
    self.transaction = transaction
    self.references = references
  }

  /// Reads the action information.
  public init(_ information: DataSet) throws(CommitmentError) {
    transaction = try information.transaction()
    references = try information.references(.referencedSOPSequence).map(\.reference)
    guard !references.isEmpty else {
      throw CommitmentError("no items in Referenced SOP Sequence (0008,1199)")
    }
  }

  /// The action information.
  public var information: DataSet {
    var information = DataSet()
    information.set(.transactionUID, transaction)
    information.set(.referencedSOPSequence, items: references.map { $0.item() })
    return information
  }
}

/// The answer to a ``CommitmentRequest`` (PS3.4 section J.3.3): each object is either committed to,
/// or has failed for a reason.
public struct CommitmentReport: Hashable, Sendable {
  public let transaction: UID
  public let committed: [ObjectReference]
  public let failed: [Failure]

  public struct Failure: Hashable, Sendable {
    public let reference: ObjectReference
    /// Failure Reason (0008,1197), a code of PS3.3 table C.14-1: those of DIMSE statuses.
    public let reason: DIMSEStatus

    public init(_ reference: ObjectReference, _ reason: DIMSEStatus) {
      self.reference = reference
      self.reason = reason
    }
  }

  public init(transaction: UID, committed: [ObjectReference], failed: [Failure]) {
    self.transaction = transaction
    self.committed = committed
    self.failed = failed
  }

  /// Event Type ID (0000,1002): 1 when all are committed to, 2 when some have failed.
  public var eventType: UInt16 { failed.isEmpty ? 1 : 2 }

  /// Reads the event information. What it says is taken from its sequences, not from the event's
  /// type: some peers send the type for success with failures.
  public init(_ information: DataSet) throws(CommitmentError) {
    transaction = try information.transaction()
    committed = try information.references(.referencedSOPSequence).map(\.reference)
    failed = try information.references(.failedSOPSequence).map { entry in
      Failure(
        entry.reference,
        DIMSEStatus(UInt16(clamping: entry.item.integer(.failureReason) ?? 0x0110)))
    }
    guard !committed.isEmpty || !failed.isEmpty else {
      throw CommitmentError("a report that names no object")
    }
  }

  /// The event information.
  public var information: DataSet {
    var information = DataSet()
    information.set(.transactionUID, transaction)
    if !failed.isEmpty {
      information.set(
        .failedSOPSequence, items: failed.map { $0.reference.item(failure: $0.reason) })
    }
    if !committed.isEmpty {
      information.set(.referencedSOPSequence, items: committed.map { $0.item() })
    }
    return information
  }
}

/// A storage commitment message that cannot be understood.
public struct CommitmentError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

/// Answers requests for storage commitment (PS3.4 annex J).
public protocol CommitmentProvider: Sendable {
  /// Which of the objects are kept such that they survive a power cut. May take its time: the
  /// request has been answered, and this is what the report says.
  func commitment(to request: CommitmentRequest, for association: AssociationInfo)
    -> CommitmentReport
}

/// Takes reports on what we have asked commitment for.
public protocol CommitmentReportReceiver: Sendable {
  /// Throwing is the status of the response: the report is not ours.
  func received(_ report: CommitmentReport, from association: AssociationInfo)
    throws(ServiceFailure)
}

extension ObjectReference {
  fileprivate func item(failure: DIMSEStatus? = nil) -> DataSet {
    var item = DataSet()
    item.set(.referencedSOPClassUID, sopClass)
    item.set(.referencedSOPInstanceUID, sopInstance)
    if let failure { item.set(.failureReason, uint16: failure.rawValue) }
    return item
  }
}

extension DataSet {
  fileprivate func transaction() throws(CommitmentError) -> UID {
    guard let uid = uid(.transactionUID), uid.isValid else {
      throw CommitmentError("Transaction UID (0008,1195) is missing or no UID")
    }
    return uid
  }

  fileprivate func references(
    _ sequence: Tag
  ) throws(CommitmentError) -> [(reference: ObjectReference, item: DataSet)] {
    var found: [(reference: ObjectReference, item: DataSet)] = []
    for item in items(sequence) {
      guard let sopInstance = item.uid(.referencedSOPInstanceUID), sopInstance.isValid else {
        throw CommitmentError("an item of \(sequence) without (0008,1155) or with what is no UID")
      }
      // The class is mandatory; peers that leave it out still tell which object they mean.
      let told = item.uid(.referencedSOPClassUID) ?? ""
      let sopClass: UID = told.isValid ? told : ""
      found.append((ObjectReference(sopClass: sopClass, sopInstance: sopInstance), item))
    }
    return found
  }
}

extension UID {
  /// A new UID, of a random UUID (PS3.5 annex B.2).
  public static func random() -> UID {
    // Version 4, variant 1 (RFC 9562 section 5.4).
    let bits = UInt128.random(in: .min ... .max)
    let version: UInt128 = 0xF << 76
    let variant: UInt128 = 0b11 << 62
    return UID("2.25.\(bits & ~version & ~variant | 0x4 << 76 | 0b10 << 62)")
  }
}
