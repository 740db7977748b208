import Platform

/// What a server serves, and to whom.
public struct ServerConfiguration: Sendable {
  public var aeTitle: String
  /// Whether requests for any called AE title are taken, not only for ours.
  public var acceptsAnyCalledAE: Bool
  /// The calling AE titles that are taken; nil for all.
  public var allowedCallingAEs: Set<String>?
  /// Whether a numeric address may connect at all. One that may not is closed without a word.
  public var admitsHost: @Sendable (String) -> Bool
  /// At once. More are rejected as transient, local limit exceeded.
  public var mostAssociations: Int
  public var timeouts: AssociationTimeouts
  /// What we are ready to receive in one P-DATA-TF, in bytes.
  public var maximumPDULength: UInt32
  /// Of the receive buffer each association has while it lasts, in bytes.
  public var receiveBufferSize: Int
  public var contextPolicy: ContextPolicy
  /// Where the AE title of a C-MOVE destination is found; nil when it is unknown. The calling AE
  /// title of the address is the one the sub-operations' associations use.
  public var destination: @Sendable (_ aeTitle: String) -> PeerAddress?
  public var identity: ImplementationIdentity

  public init(
    aeTitle: String, acceptsAnyCalledAE: Bool = false, allowedCallingAEs: Set<String>? = nil,
    admitsHost: @escaping @Sendable (String) -> Bool = { _ in true },
    mostAssociations: Int = 64, timeouts: AssociationTimeouts = AssociationTimeouts(),
    maximumPDULength: UInt32 = 256 * 1024, receiveBufferSize: Int = 256 * 1024,
    contextPolicy: ContextPolicy = .standard,
    destination: @escaping @Sendable (_ aeTitle: String) -> PeerAddress? = { _ in nil },
    identity: ImplementationIdentity = .ours
  ) {
    self.aeTitle = aeTitle
    self.acceptsAnyCalledAE = acceptsAnyCalledAE
    self.allowedCallingAEs = allowedCallingAEs
    self.admitsHost = admitsHost
    self.mostAssociations = mostAssociations
    self.timeouts = timeouts
    self.maximumPDULength = maximumPDULength
    self.receiveBufferSize = receiveBufferSize
    self.contextPolicy = contextPolicy
    self.destination = destination
    self.identity = identity
  }
}

/// The services behind a server. C-ECHO is always there; what is nil is not accepted.
public struct DICOMServices: Sendable {
  public var storage: (any StorageProvider)?
  public var query: (any QueryProvider)?
  /// The information models that queries are taken in.
  public var queryModels: [InformationModel]
  public var retrieve: (any RetrieveProvider)?
  /// Answers requests for storage commitment.
  public var commitment: (any CommitmentProvider)?
  /// Takes the reports on what we asked commitment for, which others bring on associations of
  /// their own.
  public var commitmentReports: (any CommitmentReportReceiver)?
  /// Whether query and retrieve take keys of any level without the unique keys above it: what
  /// SOP Class Extended Negotiation is answered by (PS3.4 sections C.5.1.1 and C.5.2.1).
  public var isRelational: Bool

  public init(
    storage: (any StorageProvider)? = nil, query: (any QueryProvider)? = nil,
    retrieve: (any RetrieveProvider)? = nil, commitment: (any CommitmentProvider)? = nil,
    commitmentReports: (any CommitmentReportReceiver)? = nil, isRelational: Bool = false,
    queryModels: [InformationModel] = InformationModel.known
  ) {
    self.queryModels = queryModels
    self.storage = storage
    self.query = query
    self.retrieve = retrieve
    self.commitment = commitment
    self.commitmentReports = commitmentReports
    self.isRelational = isRelational
  }
}

/// What happened at a server, for logs and metrics. Without patient data.
public enum ServerEvent: Sendable {
  case refusedHost(String)
  /// More connections than can even be answered.
  case overloaded(host: String)
  case rejected(
    callingAE: String, calledAE: String, host: String, rejection: AssociationRejection)
  case accepted(AssociationInfo)
  /// The error is nil after a release.
  case ended(AssociationInfo, AssociationError?)
  /// The connection ended before there was an association.
  case failed(host: String, AssociationError)
  /// A storage commitment report that could not be brought to the one who asked for it.
  case commitmentUndelivered(callingAE: String, reason: String)
  /// The listener cannot go on.
  case listenerFailed(SystemError)
}

/// Which presentation contexts a server accepts.
public struct ContextPolicy: Sendable {
  /// Nil if the storage SOP class is not taken; else the transfer syntax chosen from the proposed.
  public var storage: @Sendable (_ sopClass: UID, _ proposed: [TransferSyntax]) -> TransferSyntax?
  /// Whether a SOP class is stored, also a manufacturer's.
  public var isStorage: @Sendable (_ sopClass: UID) -> Bool
  /// The same for a context in which only we send: the sub-operations of a C-GET.
  public var retrieval: @Sendable (_ sopClass: UID, _ proposed: [TransferSyntax]) -> TransferSyntax?

  public init(
    isStorage: @escaping @Sendable (_ sopClass: UID) -> Bool = ContextPolicy.isStandardStorage,
    storage:
      @escaping @Sendable (_ sopClass: UID, _ proposed: [TransferSyntax]) -> TransferSyntax? =
      ContextPolicy.chooseStorage,
    retrieval:
      @escaping @Sendable (_ sopClass: UID, _ proposed: [TransferSyntax]) -> TransferSyntax? =
      ContextPolicy.chooseRetrieval
  ) {
    self.isStorage = isStorage
    self.storage = storage
    self.retrieval = retrieval
  }

  /// All standard storage classes, in the transfer syntax the sender prefers.
  public static let standard = ContextPolicy()

  /// The storage classes of PS3.4 annex B.5: most share a root, also those of later editions; the
  /// registry knows the others, and the queries that lie among them (of protocols and inventories).
  public static func isStandardStorage(_ sopClass: UID) -> Bool {
    guard let entry = UIDRegistry.entry(sopClass) else {
      return sopClass.value.hasPrefix("1.2.840.10008.5.1.4.1.1.")
    }
    return entry.kind == .storageSOPClass
      || entry.kind == .otherSOPClass && entry.name.contains(" Storage")
        && sopClass.value.hasPrefix("1.2.840.10008.5.1.4.1.1.")
  }

  /// The first proposed, so that a compressed object arrives as it is stored; but Explicit VR
  /// Little Endian rather than another uncompressed one. Deflated and big endian objects are left
  /// to the sender to convert.
  public static func chooseStorage(
    _ sopClass: UID, _ proposed: [TransferSyntax]
  ) -> TransferSyntax? {
    let usable = proposed.filter { !$0.isDeflated && !$0.isBigEndian }
    guard let first = usable.first else { return nil }
    if !first.isEncapsulated, usable.contains(.explicitVRLittleEndian) {
      return .explicitVRLittleEndian
    }
    return first
  }

  /// The first proposed, which the requestor likes best; but Explicit VR Little Endian, as which
  /// most uncompressed objects are stored, rather than another uncompressed one. Uncompressed
  /// objects are converted to what was chosen, compressed ones need a context of their own.
  public static func chooseRetrieval(
    _ sopClass: UID, _ proposed: [TransferSyntax]
  ) -> TransferSyntax? {
    guard let first = proposed.first else { return nil }
    if !first.isEncapsulated, proposed.contains(.explicitVRLittleEndian) {
      return .explicitVRLittleEndian
    }
    return first
  }

  /// For identifiers and C-ECHO, which we write ourselves.
  static func chooseUncompressed(_ proposed: [TransferSyntax]) -> TransferSyntax? {
    if proposed.contains(.explicitVRLittleEndian) { return .explicitVRLittleEndian }
    return proposed.contains(.implicitVRLittleEndian) ? .implicitVRLittleEndian : nil
  }
}
