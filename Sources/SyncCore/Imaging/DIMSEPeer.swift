import DICOM
import HTTP
import Platform
import Synchronization

/// A PACS asked over DIMSE: C-FIND to enumerate, C-MOVE or C-GET to have it send (PS3.4 annex C).
/// A C-MOVE comes on an association that the PACS makes with our archive, whose address it must
/// know; a C-GET on the one that asks, so that nobody has to be let in.
///
/// Nothing that either says is taken for proof: peers answer Success with nothing sent, failure
/// with most of it sent, and leave out counters. What has arrived is for the archive to tell.
public final class DIMSEPeer: ImageSource {
  public struct Options: Sendable, Hashable {
    public var name: String
    public var address: PeerAddress
    public var timeouts: AssociationTimeouts
    public var retrieve: Retrieval
    /// The AE title that the peer shall send to, as it knows our archive; for a C-MOVE.
    public var destination: String
    /// The finest level it is asked to send at; it falls back by itself where the peer refuses.
    public var finestLevel: QueryLevel
    public var maximumPDULength: UInt32
    /// Who we say we are, where the peer asks.
    public var user: DICOMUser?

    public init(
      name: String, address: PeerAddress, timeouts: AssociationTimeouts = AssociationTimeouts(),
      destination: String, finestLevel: QueryLevel = .image,
      maximumPDULength: UInt32 = 256 * 1024, retrieve: Retrieval = .move, user: DICOMUser? = nil
    ) {
      self.name = name
      self.address = address
      self.timeouts = timeouts
      self.destination = destination
      self.finestLevel = finestLevel
      self.maximumPDULength = maximumPDULength
      self.retrieve = retrieve
      self.user = user
    }
  }

  /// How objects are fetched.
  public enum Retrieval: String, Sendable, CaseIterable {
    case move, get
  }

  public let options: Options
  public var name: String { options.name }
  private let storage: (any StorageProvider)?
  /// The finest level the peer has not refused.
  private let level: Mutex<QueryLevel>

  /// UIDs in one C-MOVE at IMAGE level: well below every peer's limit, and far enough from one
  /// association an object.
  static let instancesAtOnce = 200

  /// - Parameter storage: where the objects of a C-GET go.
  public init(_ options: Options, storage: (any StorageProvider)? = nil) {
    self.options = options
    self.storage = storage
    level = Mutex(options.finestLevel)
  }

  // MARK: - Queries

  public func studies(number: String, stop: Gate) throws(ImageSourceError) -> [UID] {
    guard !number.isEmpty, !number.contains(where: { "*?\\".contains($0) }) else {
      throw ImageSourceError(
        .notStored, "the examination number has characters that a query takes for wildcards",
        isPeerDown: false)
    }
    var identifier = Self.identifier(.study)
    do throws(DataSetError) {
      try identifier.set(.accessionNumber, number)
    } catch {
      throw ImageSourceError(
        .notStored, "the examination number cannot be asked for: \(error)", isPeerDown: false)
    }
    identifier.setEmpty(.studyInstanceUID)
    var found: [UID] = []
    let association = try open()
    defer { close(association) }
    try find(identifier, association, stop) { match in
      // Peers differ in what they match; an examination number is equal or it is not.
      guard match.string(.accessionNumber) ?? number == number,
        let uid = match.uid(.studyInstanceUID), !found.contains(uid)
      else { return }
      found.append(uid)
    }
    return found
  }

  public func objects(of study: UID, stop: Gate) throws(ImageSourceError) -> [ImageObject] {
    let association = try open()
    defer { close(association) }
    var series: [(UID, isKeyObjects: Bool)] = []
    var identifier = Self.identifier(.series)
    identifier.set(.studyInstanceUID, study)
    identifier.setEmpty(.seriesInstanceUID)
    identifier.setEmpty(.modality)
    try find(identifier, association, stop) { match in
      guard let uid = match.uid(.seriesInstanceUID) else { return }
      series.append((uid, match.string(.modality) == "KO"))
    }
    var objects: [ImageObject] = []
    for (uid, isKeyObjects) in series {
      var identifier = Self.identifier(.image)
      identifier.set(.studyInstanceUID, study)
      identifier.set(.seriesInstanceUID, uid)
      identifier.setEmpty(.sopInstanceUID)
      // What a C-GET has to propose contexts for.
      if options.retrieve == .get { identifier.setEmpty(.sopClassUID) }
      // Only key objects have a title worth asking for, and not every peer takes the question well.
      if isKeyObjects {
        var code = DataSet()
        code.setEmpty(.codeValue)
        identifier.set(.conceptNameCodeSequence, items: [code])
      }
      try find(identifier, association, stop) { match in
        guard let instance = match.uid(.sopInstanceUID) else { return }
        let title = match.items(.conceptNameCodeSequence).first?.string(.codeValue)
        objects.append(
          ImageObject(
            sopInstance: instance, series: uid,
            isRejectionNote: title.map(RejectionNote.titles.contains) ?? false,
            sopClass: match.uid(.sopClassUID)))
      }
    }
    return objects
  }

  static func identifier(_ level: QueryLevel) -> DataSet {
    var identifier = DataSet()
    // A code string of capitals always encodes.
    identifier.setBytes(.queryRetrieveLevel, .CS, Array(level.rawValue.utf8))
    return identifier
  }

  /// One query to its proven end.
  private func find(
    _ identifier: DataSet, _ association: Association, _ stop: Gate, _ match: (DataSet) -> Void
  ) throws(ImageSourceError) {
    let result: OperationResult
    do throws(AssociationError) {
      result = try association.find(identifier, in: .studyRoot) { found in
        match(found)
        return !stop.isOpen
      }
    } catch {
      throw unavailable(error)
    }
    if stop.isOpen { throw .stopping }
    guard result.status.isSuccess else {
      throw ImageSourceError(
        .peerUnavailable, "\(name) did not finish the query: \(result.status)", isPeerDown: false)
    }
  }

  // MARK: - Retrieve

  public func retrieve(
    study: UID, missing: [ImageObject], isWholeStudy: Bool, stop: Gate,
    progress: (Int) -> Void
  ) throws(ImageSourceError) -> ImageReason? {
    let association = try open(retrieving: missing)
    defer { close(association) }
    var work = Retrieve(
      peer: self, association: association, study: study, stop: stop, sent: 0, failure: nil)
    if isWholeStudy {
      try work.ask(.study, study, [], count: missing.count, progress)
      return work.failure
    }
    for (series, objects) in Dictionary(grouping: missing, by: \.series).sorted(by: {
      $0.key < $1.key
    }) {
      if try work.askSeries(series, objects.map(\.sopInstance).sorted(), progress) { continue }
      // The peer sends whole studies only: that has brought everything it can bring.
      return work.failure
    }
    return work.failure
  }

  var finestLevel: QueryLevel { level.withLock { $0 } }

  func refused(_ refusedLevel: QueryLevel) {
    level.withLock { known in
      if known == refusedLevel { known = refusedLevel == .image ? .series : .study }
    }
  }

  // MARK: - Associations

  private func open() throws(ImageSourceError) -> Association {
    try open([ProposedContext(InformationModel.studyRoot.findClass)], roles: [])
  }

  private func open(retrieving objects: [ImageObject]) throws(ImageSourceError) -> Association {
    guard getsInto != nil else {
      return try open([ProposedContext(InformationModel.studyRoot.moveClass!)], roles: [])
    }
    let proposal = Self.proposal(for: objects)
    let association = try open(proposal.contexts, roles: proposal.roles)
    let getClass = InformationModel.studyRoot.getClass
    guard association.contexts.contains(where: { $0.abstractSyntax == getClass }) else {
      close(association)
      throw ImageSourceError(
        .retrieveFailed,
        "\(name) does not offer C-GET in the Study Root model: retrieve = \"move\" asks for C-MOVE",
        isPeerDown: false)
    }
    return association
  }

  /// Where a C-GET's objects go; nil where it is a C-MOVE that is asked for.
  var getsInto: (any StorageProvider)? { options.retrieve == .get ? storage : nil }

  private func open(
    _ contexts: [ProposedContext], roles: [UserInformation.RoleSelection]
  ) throws(ImageSourceError) -> Association {
    let identity: UserInformation.UserIdentity?
    do throws(SecretPlace.Fault) { identity = try options.user?.identity() } catch {
      throw ImageSourceError(
        .peerUnavailable, "\(name): the passcode: \(error)", isPeerDown: true)
    }
    do throws(AssociationError) {
      return try Association.request(
        to: options.address, contexts: contexts, timeouts: options.timeouts,
        maximumPDULength: options.maximumPDULength,
        extensions: AssociationExtensions(roles: roles, userIdentity: identity))
    } catch {
      throw unavailable(error)
    }
  }

  private func close(_ association: Association) {
    guard association.isOpen else { return }
    do throws(AssociationError) { try association.release() } catch { association.abort() }
  }

  func unavailable(_ error: AssociationError) -> ImageSourceError {
    ImageSourceError(.peerUnavailable, "\(name) (\(options.address)): \(error)", isPeerDown: true)
  }
}

extension ImageSourceError {
  /// The daemon is stopping: nothing is said about the peer.
  static var stopping: ImageSourceError {
    ImageSourceError(
      .notStarted, "interrupted by a stop; it goes on after the start", isPeerDown: false)
  }
}

/// Key object selections that withdraw objects (IHE IOCM; PS3.16 CID 7011).
public enum RejectionNote {
  public static let sopClass: UID = "1.2.840.10008.5.1.4.1.1.88.59"
  /// Rejected for quality, for patient safety, incorrect worklist entry, data retention expired.
  public static let titles: Set<String> = ["113001", "113037", "113038", "113039"]
}
