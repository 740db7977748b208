import DICOM
import Platform
import Synchronization

/// A PACS asked over DIMSE: C-FIND to enumerate, C-MOVE to have it send (PS3.4 annex C).
///
/// Nothing that a C-MOVE says is taken for proof: peers answer Success with nothing sent, failure
/// with most of it sent, and leave out counters. What has arrived is for the archive to tell.
public final class DIMSEPeer: ArchivingPeer {
  public struct Options: Sendable, Hashable {
    public var name: String
    public var address: PeerAddress
    public var timeouts: AssociationTimeouts
    /// The AE title that the peer shall send to, as it knows our archive.
    public var destination: String
    /// The finest level it is asked to send at; it falls back by itself where the peer refuses.
    public var finestLevel: QueryLevel
    public var maximumPDULength: UInt32

    public init(
      name: String, address: PeerAddress, timeouts: AssociationTimeouts = AssociationTimeouts(),
      destination: String, finestLevel: QueryLevel = .image,
      maximumPDULength: UInt32 = 256 * 1024
    ) {
      self.name = name
      self.address = address
      self.timeouts = timeouts
      self.destination = destination
      self.finestLevel = finestLevel
      self.maximumPDULength = maximumPDULength
    }
  }

  public let options: Options
  public var name: String { options.name }
  /// The finest level the peer has not refused.
  private let level: Mutex<QueryLevel>

  /// UIDs in one C-MOVE at IMAGE level: well below every peer's limit, and far enough from one
  /// association an object.
  static let instancesAtOnce = 200

  public init(_ options: Options) {
    self.options = options
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
            isRejectionNote: title.map(RejectionNote.titles.contains) ?? false))
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
      guard match.uid(.studyInstanceUID) == study else { return }
      // Only the alphabetic form of the name.
      let name = match.string(.patientName)?.split(separator: "=", maxSplits: 1).first
      found = ArchivedPatient(
        id: match.string(.patientID), name: name.map(String.init),
        birthDate: match.string(.patientBirthDate), sex: match.string(.patientSex))
    }
    return found
  }

  fileprivate static func identifier(_ level: QueryLevel) -> DataSet {
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
    let association = try open()
    defer { close(association) }
    var work = Retrieve(
      peer: self, association: association, study: study, stop: stop, sent: 0, failure: nil)
    if isWholeStudy {
      try work.move(.study, study, [], count: missing.count, progress)
      return work.failure
    }
    for (series, objects) in Dictionary(grouping: missing, by: \.series).sorted(by: {
      $0.key < $1.key
    }) {
      if try work.moveSeries(series, objects.map(\.sopInstance).sorted(), progress) { continue }
      // The peer sends whole studies only: that has brought everything it can bring.
      return work.failure
    }
    return work.failure
  }

  fileprivate var finestLevel: QueryLevel { level.withLock { $0 } }

  fileprivate func refused(_ refusedLevel: QueryLevel) {
    level.withLock { known in
      if known == refusedLevel { known = refusedLevel == .image ? .series : .study }
    }
  }

  // MARK: - Associations

  private func open() throws(ImageSourceError) -> Association {
    do throws(AssociationError) {
      return try Association.request(
        to: options.address,
        contexts: [
          ProposedContext(InformationModel.studyRoot.findClass),
          ProposedContext(InformationModel.studyRoot.moveClass!),
        ], timeouts: options.timeouts, maximumPDULength: options.maximumPDULength)
    } catch {
      throw unavailable(error)
    }
  }

  private func close(_ association: Association) {
    guard association.isOpen else { return }
    do throws(AssociationError) { try association.release() } catch { association.abort() }
  }

  fileprivate func unavailable(_ error: AssociationError) -> ImageSourceError {
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

/// The moves of one retrieve.
private struct Retrieve {
  let peer: DIMSEPeer
  let association: Association
  let study: UID
  let stop: Gate
  var sent: Int
  var failure: ImageReason?

  /// Moves objects of one series at the finest level the peer takes. False when it takes only whole
  /// studies, and has been asked for this one.
  mutating func moveSeries(
    _ series: UID, _ instances: [UID], _ progress: (Int) -> Void
  ) throws(ImageSourceError) -> Bool {
    if peer.finestLevel == .image {
      var rest = instances[...]
      while !rest.isEmpty {
        let group = Array(rest.prefix(DIMSEPeer.instancesAtOnce))
        if try move(.image, series, group, count: group.count, progress) {
          rest = rest.dropFirst(group.count)
        } else {
          peer.refused(.image)
          break
        }
      }
      if rest.isEmpty { return true }
    }
    if peer.finestLevel == .series {
      if try move(.series, series, [], count: instances.count, progress) { return true }
      peer.refused(.series)
    }
    try move(.study, study, [], count: instances.count, progress)
    return false
  }

  /// One C-MOVE. False when the peer refused the question itself and sent nothing, so that a
  /// coarser one is worth asking.
  @discardableResult
  mutating func move(
    _ level: QueryLevel, _ series: UID, _ instances: [UID], count: Int,
    _ progress: (Int) -> Void
  ) throws(ImageSourceError) -> Bool {
    var identifier = DIMSEPeer.identifier(level)
    identifier.set(.studyInstanceUID, study)
    if level != .study { identifier.set(.seriesInstanceUID, series) }
    if level == .image { identifier.set(.sopInstanceUID, uids: instances) }
    let before = sent
    let stop = self.stop
    let outcome: MoveOutcome
    do throws(AssociationError) {
      outcome = try association.move(
        identifier, in: .studyRoot, to: peer.options.destination
      ) { counters in
        progress(before + Int(counters.completed ?? 0) + Int(counters.warning ?? 0))
        return !stop.isOpen
      }
    } catch {
      throw peer.unavailable(error)
    }
    if stop.isOpen { throw .stopping }
    let last = outcome.lastPending
    let arrived =
      Int(outcome.suboperations.completed ?? last?.completed ?? 0)
      + Int(outcome.suboperations.warning ?? last?.warning ?? 0)
    let status = outcome.result.status
    if status.isFailure, arrived == 0, level != .study, Self.refusesQuestion(status) {
      return false
    }
    sent = before + (status.isSuccess && arrived == 0 ? 0 : arrived)
    progress(sent)
    if let reason = explain(outcome, status, arrived, count) { failure = reason }
    return true
  }

  /// Whether another level is worth trying: the identifier was not understood, rather than the
  /// destination not reached.
  private static func refusesQuestion(_ status: DIMSEStatus) -> Bool {
    status == .dataSetDoesNotMatchSOPClass || status.rawValue & 0xF000 == 0xC000
  }

  private func explain(
    _ outcome: MoveOutcome, _ status: DIMSEStatus, _ arrived: Int, _ count: Int
  ) -> ImageReason? {
    let failed = Int(outcome.suboperations.failed ?? 0)
    switch status {
    case _ where status.isSuccess:
      guard arrived == 0 else { return nil }
      return ImageReason(
        .nothingArrived, "\(peer.name) answered Success and told of no object sent")
    case .moveDestinationUnknown:
      return ImageReason(
        .retrieveFailed,
        "\(peer.name) does not know the AE title \(peer.options.destination) (\(status.code)): "
          + "it must be entered there with our address and port")
    case .unableToPerformSuboperations:
      return ImageReason(
        .retrieveFailed,
        "\(peer.name) could not send to \(peer.options.destination) (\(status.code)): is our port "
          + "reachable from there?")
    case _ where status.isWarning:
      if outcome.isOnlyWarnings { return nil }
      let listed = outcome.failedInstances.count
      return ImageReason(
        .retrieveFailed,
        "\(peer.name) sent \(arrived) of \(count) objects, \(max(failed, listed)) failed (\(status.code))"
      )
    default:
      return ImageReason(
        .retrieveFailed, "\(peer.name) answered \(status), \(arrived) of \(count) objects sent")
    }
  }
}
