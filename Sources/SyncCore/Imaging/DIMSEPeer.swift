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
public final class DIMSEPeer: ArchivingPeer {
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
    /// Matches of one query, and objects of one study, that are believed. No examination comes near
    /// it; a peer that answers with everything it has, or never ends, does.
    public var mostMatches = 100_000
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
  /// The finest level that is worth asking at: coarser than wanted once the peer has refused that,
  /// and sent when asked at this one.
  private let level: Mutex<QueryLevel>
  /// Where that is remembered.
  private let register: PeerRegister?

  /// UIDs in one C-MOVE at IMAGE level: well below every peer's limit, and far enough from one
  /// association an object.
  static let instancesAtOnce = 200

  /// - Parameter storage: where the objects of a C-GET go.
  public init(
    _ options: Options, storage: (any StorageProvider)? = nil, register: PeerRegister? = nil
  ) {
    self.options = options
    self.storage = storage
    self.register = register
    level = Mutex(
      register?.level(
        of: options.name, at: options.address.description, finest: options.finestLevel)
        ?? options.finestLevel)
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
      guard match.string(.accessionNumber) ?? number == number else { return nil }
      guard let uid = Self.name(.studyInstanceUID, match) else {
        return Self.nameless("a study", "Study Instance UID (0020,000D)")
      }
      if !found.contains(uid) { found.append(uid) }
      return nil
    }
    return found
  }

  public func objects(of study: UID, stop: Gate) throws(ImageSourceError) -> [ImageObject] {
    let association = try open()
    defer { close(association) }
    var series: [(UID, isKeyObjects: Bool)] = []
    var seen: Set<UID> = []
    var identifier = Self.identifier(.series)
    identifier.set(.studyInstanceUID, study)
    identifier.setEmpty(.seriesInstanceUID)
    identifier.setEmpty(.modality)
    try find(identifier, association, stop) { match in
      guard Self.isOf(study, match) else { return nil }
      guard let uid = Self.name(.seriesInstanceUID, match) else {
        return Self.nameless("a series", "Series Instance UID (0020,000E)")
      }
      // One of several matches for a series may be the one that tells its modality.
      let isKeyObjects = match.string(.modality) == "KO"
      if seen.insert(uid).inserted {
        series.append((uid, isKeyObjects))
      } else if isKeyObjects, let index = series.firstIndex(where: { $0.0 == uid }) {
        series[index].isKeyObjects = true
      }
      return nil
    }
    var objects: [ImageObject] = []
    seen = []
    for (uid, isKeyObjects) in series {
      var identifier = Self.identifier(.image)
      identifier.set(.studyInstanceUID, study)
      identifier.set(.seriesInstanceUID, uid)
      identifier.setEmpty(.sopInstanceUID)
      // What a C-GET has to propose contexts for.
      if getsInto != nil { identifier.setEmpty(.sopClassUID) }
      // Only key objects have a title worth asking for, and not every peer takes the question well.
      if isKeyObjects {
        var code = DataSet()
        code.setEmpty(.codeValue)
        identifier.set(.conceptNameCodeSequence, items: [code])
      }
      try find(identifier, association, stop) { match in
        guard Self.isOf(study, match) else { return nil }
        guard let instance = Self.name(.sopInstanceUID, match) else {
          return Self.nameless("an object", "SOP Instance UID (0008,0018)")
        }
        guard seen.insert(instance).inserted else { return nil }
        guard objects.count < options.mostMatches else {
          return "it has more than \(options.mostMatches) objects in one study"
        }
        let title = match.items(.conceptNameCodeSequence).first?.string(.codeValue)
        objects.append(
          ImageObject(
            sopInstance: instance, series: uid,
            isRejectionNote: title.map(RejectionNote.titles.contains) ?? false,
            sopClass: match.uid(.sopClassUID)))
        return nil
      }
    }
    return objects
  }

  public func patient(of study: UID, stop: Gate) throws(ImageSourceError) -> ArchivedPatient? {
    var identifier = Self.identifier(.study)
    identifier.set(.studyInstanceUID, study)
    for tag in [Tag.patientID, .patientName, .patientBirthDate, .patientSex] {
      identifier.setEmpty(tag)
    }
    var found: ArchivedPatient?
    let association = try open()
    defer { close(association) }
    try find(identifier, association, stop) { match in
      guard match.uid(.studyInstanceUID) == study else { return nil }
      // Only the alphabetic form of the name.
      let name = match.string(.patientName)?.split(separator: "=", maxSplits: 1).first
      found = ArchivedPatient(
        id: match.string(.patientID), name: name.map(String.init),
        birthDate: match.string(.patientBirthDate), sex: match.string(.patientSex))
      return nil
    }
    return found
  }

  /// Peers that do not know a key match everything: what says that it is of another study is.
  private static func isOf(_ study: UID, _ match: DataSet) -> Bool {
    name(.studyInstanceUID, match) ?? study == study
  }

  /// Nil where it is absent or empty.
  private static func name(_ tag: Tag, _ match: DataSet) -> UID? {
    match.uid(tag).flatMap { $0.value.isEmpty ? nil : $0 }
  }

  /// A match that cannot be named is one that would be missing from the set without being missed.
  private static func nameless(_ what: String, _ attribute: String) -> String {
    "it has a match for \(what) without \(attribute)"
  }

  static func identifier(_ level: QueryLevel) -> DataSet {
    var identifier = DataSet()
    // A code string of capitals always encodes.
    identifier.setBytes(.queryRetrieveLevel, .CS, Array(level.rawValue.utf8))
    return identifier
  }

  /// One query to its proven end. `match` returns why an answer cannot be relied upon, which ends
  /// the query; nil to go on.
  private func find(
    _ identifier: DataSet, _ association: Association, _ stop: Gate, _ match: (DataSet) -> String?
  ) throws(ImageSourceError) {
    var doubt: String?
    var count = 0
    // An hour with the usual time-out: one match a minute must not hold a pass for ever.
    let end = Deadline.after(options.timeouts.response * 60)
    let result: OperationResult
    do throws(AssociationError) {
      result = try association.find(identifier, in: .studyRoot) { found in
        count += 1
        doubt = match(found)
        if doubt == nil, count > options.mostMatches {
          doubt = "it does not come to an end: more than \(options.mostMatches) matches"
        }
        if doubt == nil, end.isPast {
          doubt = "it does not come to an end: \(count) matches so far"
        }
        return doubt == nil && !stop.isOpen
      }
    } catch {
      if let doubt { throw unreliable(doubt) }
      throw failed(error)
    }
    if stop.isOpen { throw .stopping }
    if let doubt { throw unreliable(doubt) }
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

  /// The peer has sent objects when asked at a level, and has refused the finer ones. A refusal
  /// alone says little: some answer the same where the destination is down.
  func sends(at sentLevel: QueryLevel) {
    level.withLock { if sentLevel.isCoarser(than: $0) { $0 = sentLevel } }
    register?.sends(name, at: options.address.description, level: sentLevel)
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
      let association = try Association.request(
        to: options.address, contexts: contexts, timeouts: options.timeouts,
        maximumPDULength: options.maximumPDULength,
        extensions: AssociationExtensions(roles: roles, userIdentity: identity))
      register?.answered(name)
      return association
    } catch {
      throw unavailable(error)
    }
  }

  private func close(_ association: Association) {
    guard association.isOpen else { return }
    do throws(AssociationError) { try association.release() } catch { association.abort() }
  }

  private func unreliable(_ doubt: String) -> ImageSourceError {
    ImageSourceError(
      .retrieveFailed, "\(name)'s answer to a query cannot be relied upon: \(doubt)",
      isPeerDown: false)
  }

  private func unavailable(_ error: AssociationError) -> ImageSourceError {
    register?.failed(name, "\(error)")
    return ImageSourceError(
      .peerUnavailable, "\(name) (\(options.address)): \(error)", isPeerDown: true)
  }

  /// An operation that did not come to its end. A peer that has gone is gone for everybody; what it
  /// makes of one examination, or never comes to an end with, says nothing of the others.
  func failed(_ error: AssociationError) -> ImageSourceError {
    switch error {
    case .protocolViolation, .notEncodable, .timedOut(.move), .timedOut(.get):
      ImageSourceError(
        .retrieveFailed, "\(name) (\(options.address)): \(error)", isPeerDown: false)
    default: unavailable(error)
    }
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
