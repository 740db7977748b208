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
    /// Matches of one query, and objects of one study, that are believed. No examination comes near
    /// it; a peer that answers with everything it has, or never ends, does.
    public var mostMatches = 100_000

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
  /// The finest level that is worth asking at: coarser than wanted once the peer has refused that,
  /// and sent when asked at this one.
  private let level: Mutex<QueryLevel>
  /// Where that is remembered.
  private let register: PeerRegister?

  /// UIDs in one C-MOVE at IMAGE level: well below every peer's limit, and far enough from one
  /// association an object.
  static let instancesAtOnce = 200

  public init(_ options: Options, register: PeerRegister? = nil) {
    self.options = options
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
            isRejectionNote: title.map(RejectionNote.titles.contains) ?? false))
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

  fileprivate static func identifier(_ level: QueryLevel) -> DataSet {
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

  /// The peer has sent objects when asked at a level, and has refused the finer ones. A refusal
  /// alone says little: some answer the same where the destination is down.
  fileprivate func sends(at sentLevel: QueryLevel) {
    level.withLock { if sentLevel.isCoarser(than: $0) { $0 = sentLevel } }
    register?.sends(name, at: options.address.description, level: sentLevel)
  }

  // MARK: - Associations

  private func open() throws(ImageSourceError) -> Association {
    do throws(AssociationError) {
      let association = try Association.request(
        to: options.address,
        contexts: [
          ProposedContext(InformationModel.studyRoot.findClass),
          ProposedContext(InformationModel.studyRoot.moveClass!),
        ], timeouts: options.timeouts, maximumPDULength: options.maximumPDULength)
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
  fileprivate func failed(_ error: AssociationError) -> ImageSourceError {
    switch error {
    case .protocolViolation, .notEncodable, .timedOut(.move):
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
    let finest = peer.finestLevel
    var before = sent
    if finest == .image {
      var rest = instances[...]
      while !rest.isEmpty {
        let group = Array(rest.prefix(DIMSEPeer.instancesAtOnce))
        if try move(.image, series, group, count: group.count, progress) {
          rest = rest.dropFirst(group.count)
        } else {
          break
        }
      }
      if rest.isEmpty {
        if sent > before { peer.sends(at: .image) }
        return true
      }
    }
    before = sent
    if finest != .study {
      if try move(.series, series, [], count: instances.count, progress) {
        if sent > before { peer.sends(at: .series) }
        return true
      }
    }
    before = sent
    try move(.study, study, [], count: instances.count, progress)
    if sent > before { peer.sends(at: .study) }
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
      throw peer.failed(error)
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
