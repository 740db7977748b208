import DICOM
import Platform

/// The C-MOVEs or C-GETs of one retrieve.
struct Retrieve {
  let peer: DIMSEPeer
  let association: Association
  let study: UID
  let stop: Gate
  var sent: Int
  var failure: ImageReason?

  /// Asks for objects of one series at the finest level the peer takes. False when it takes only
  /// whole studies, and has been asked for this one.
  mutating func askSeries(
    _ series: UID, _ instances: [UID], _ progress: (Int) -> Void
  ) throws(ImageSourceError) -> Bool {
    let finest = peer.finestLevel
    var before = sent
    if finest == .image {
      var rest = instances[...]
      while !rest.isEmpty {
        let group = Array(rest.prefix(DIMSEPeer.instancesAtOnce))
        if try ask(.image, series, group, count: group.count, progress) {
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
      if try ask(.series, series, [], count: instances.count, progress) {
        if sent > before { peer.sends(at: .series) }
        return true
      }
    }
    before = sent
    try ask(.study, study, [], count: instances.count, progress)
    if sent > before { peer.sends(at: .study) }
    return false
  }

  /// One C-MOVE or C-GET. False when the peer refused the question itself and sent nothing, so that
  /// a coarser one is worth asking.
  @discardableResult
  mutating func ask(
    _ level: QueryLevel, _ series: UID, _ instances: [UID], count: Int,
    _ progress: (Int) -> Void
  ) throws(ImageSourceError) -> Bool {
    var identifier = DIMSEPeer.identifier(level)
    identifier.set(.studyInstanceUID, study)
    if level != .study { identifier.set(.seriesInstanceUID, series) }
    if level == .image { identifier.set(.sopInstanceUID, uids: instances) }
    let before = sent
    let outcome = try outcome(of: identifier) { progress(before + $0) }
    if stop.isOpen { throw .stopping }
    let last = outcome.lastPending
    let told =
      Int(outcome.suboperations.completed ?? last?.completed ?? 0)
      + Int(outcome.suboperations.warning ?? last?.warning ?? 0)
    let arrived = outcome.stored ?? told
    let status = outcome.result.status
    if status.isFailure, arrived == 0, level != .study, Self.refusesQuestion(status) {
      return false
    }
    sent = before + (status.isSuccess && arrived == 0 ? 0 : arrived)
    progress(sent)
    if let reason = explain(outcome, status, arrived, count) { failure = reason }
    return true
  }

  private func outcome(
    of identifier: DataSet, _ progress: (Int) -> Void
  ) throws(ImageSourceError) -> MoveOutcome {
    let stop = self.stop
    let goesOn = { (counters: Command.Suboperations) in
      progress(Int(counters.completed ?? 0) + Int(counters.warning ?? 0))
      return !stop.isOpen
    }
    do throws(AssociationError) {
      guard let storage = peer.getsInto else {
        return try association.move(
          identifier, in: .studyRoot, to: peer.options.destination, progress: goesOn)
      }
      return try association.get(identifier, in: .studyRoot, into: storage, progress: goesOn)
    } catch {
      throw peer.failed(error)
    }
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
    case .unableToPerformSuboperations where peer.getsInto != nil:
      return ImageReason(
        .retrieveFailed,
        "\(peer.name) could send none of \(count) objects (\(status.code)): it has them in an encoding"
          + " that was not negotiated, or our archive refused them")
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

extension DIMSEPeer {
  /// What to propose for objects: their SOP classes, as the query told them. A peer that does not
  /// tell is offered what most studies consist of.
  static func proposal(for objects: [ImageObject]) -> GetProposal {
    var counts: [UID: Int] = [:]
    var isWhole = true
    for object in objects {
      if let sopClass = object.sopClass, sopClass.isValid {
        counts[sopClass, default: 0] += 1
      } else {
        isWhole = false
      }
    }
    // The most frequent first: they are to have their contexts whatever else there is.
    var classes = counts.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map(\.key)
    if !isWhole { classes += usualClasses.filter { counts[$0] == nil } }
    return GetProposal(.studyRoot, sopClasses: classes)
  }

  /// CT, MR, US, CR, DX, MG, NM, PET, XA, RF and SC images, their enhanced and multi-frame forms,
  /// reports, presentation states, key objects and documents: few enough to leave each some four
  /// transfer syntaxes.
  static let usualClasses: [UID] = [
    "2", "2.1", "4", "4.1", "6.1", "3.1", "1", "1.1", "1.2", "20", "128", "12.1", "12.1.1", "12.2",
    "7", "7.1", "7.2", "7.3", "7.4", "13.1.3", "11.1", "88.11", "88.22", "88.33", "88.59", "88.67",
    "104.1", "66.4", "77.1.4", "481.3", "130",
  ].map { UID("1.2.840.10008.5.1.4.1.1." + $0) }
}
