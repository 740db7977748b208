import DICOM
import DICOMweb
import Platform

/// A recipient reached over DICOMweb: STOW-RS (PS3.18 section 10.5) of objects as they are stored,
/// several in a request. What the answer leaves open is asked by QIDO-RS.
public final class DICOMwebRecipient: ImageRecipient {
  public let name: String
  private let client: DICOMwebClient
  private let archive: any StoredObjects

  public init(name: String, client: DICOMwebClient, archive: any StoredObjects) {
    self.name = name
    self.client = client
    self.archive = archive
  }

  public func send(
    _ study: UID, _ objects: [ImageObject], priority: Priority, stop: Gate,
    acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    try archive.forEachGroup(
      of: study, objects,
      missing: { acknowledged($0, .failed(0x0112, "it is not in the archive any more")) }
    ) { (instances) throws(ImageRecipientError) in
      for batch in batches(instances) {
        try send(batch, study, stop, acknowledged)
      }
    }
  }

  /// Bounded in objects and bytes: what is lost with a connection is sent again.
  private func batches(_ instances: [StoredInstance]) -> [[StoredInstance]] {
    var batches: [[StoredInstance]] = []
    var bytes = 0
    for instance in instances {
      let fits =
        batches.last.map {
          $0.count < client.options.mostInstances
            && bytes + instance.dataSetLength <= client.options.mostBytes
        } ?? false
      if !fits {
        batches.append([])
        bytes = 0
      }
      batches[batches.count - 1].append(instance)
      bytes += instance.dataSetLength
    }
    return batches
  }

  private func send(
    _ batch: [StoredInstance], _ study: UID, _ stop: Gate,
    _ acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    var batch = batch
    var repeats = 0
    while !batch.isEmpty {
      if stop.isOpen { throw Self.stopped }
      let result: DICOMwebClient.StoreResult
      do throws(DICOMwebClient.StoreFailure) {
        result = try client.store(batch, of: study, stop: stop)
      } catch {
        if stop.isOpen { throw Self.stopped }
        switch error {
        case .unreadable(let uid, let cause):
          acknowledged(uid, .failed(0x0110, "the archive's file: \(cause.name)"))
          batch.removeAll { $0.sopInstance == uid }
        case .service(let failure):
          // A connection that was kept may have been closed at that moment. Nothing is stored twice.
          repeats += 1
          guard failure.kind == .failed(.broken), repeats < 2 else { throw self.failure(failure) }
        }
        continue
      }
      return try settle(batch, result, study, stop, acknowledged)
    }
  }

  /// What an answer means for each object.
  private func settle(
    _ batch: [StoredInstance], _ result: DICOMwebClient.StoreResult, _ study: UID, _ stop: Gate,
    _ acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    if let refusal = result.refusal {
      guard let code = Self.code(of: result.status) else { throw failure(refusal, result.status) }
      // One of them may be what it does not take: it must not cost the others.
      if batch.count > 1 {
        let middle = batch.count / 2
        try send(Array(batch[..<middle]), study, stop, acknowledged)
        return try send(Array(batch[middle...]), study, stop, acknowledged)
      }
      return acknowledged(batch[0].sopInstance, .refused(code.rawValue, "\(name): \(refusal)"))
    }
    var present: Set<UID>?
    for instance in batch {
      let uid = instance.sopInstance
      switch result.answers[uid] ?? .unknown {
      case .stored: acknowledged(uid, .stored)
      case .storedWithWarning(let status): acknowledged(uid, .storedWithWarning(status.rawValue))
      case .failed(let status): acknowledged(uid, DIMSERecipient.outcome(status))
      case .unknown:
        if present == nil { present = try stored(study, stop) }
        acknowledged(
          uid,
          present?.contains(uid) == true
            ? .stored
            : .failed(
              0x0112,
              "\(name) answered \(result.status) without a word about it, and does "
                + "not have it"))
      }
    }
  }

  /// What the recipient has of a study.
  private func stored(_ study: UID, _ stop: Gate) throws(ImageRecipientError) -> Set<UID> {
    do throws(DICOMwebError) {
      return Set(try client.instances(of: study, stop: stop).map(\.uid))
    } catch {
      if stop.isOpen { throw Self.stopped }
      // It may well know nothing of the study.
      if error.kind == .refused(404) { return [] }
      throw ImageRecipientError(
        text: "\(name) did not say what it has stored, and cannot be asked: \(error)",
        isPeerDown: error.isServerDown)
    }
  }

  /// The status for an object that was refused with its request; nil where the status is about the
  /// service, not about what was sent.
  private static func code(of status: Int) -> DIMSEStatus? {
    switch status {
    case 400, 422: .cannotUnderstand
    case 409: .processingFailure
    case 413: .outOfResources
    case 415: .sopClassNotSupported
    default: nil
    }
  }

  private static let stopped = ImageRecipientError(text: "interrupted", isStopped: true)

  private func failure(_ error: DICOMwebError) -> ImageRecipientError {
    ImageRecipientError(
      text: "\(name): \(error)", isPeerDown: error.isServerDown,
      isPermanent: error.kind == .notAsked)
  }

  private func failure(_ refusal: String, _ status: Int) -> ImageRecipientError {
    let isPermanent = [401, 403, 404, 405, 406, 501].contains(status)
    return ImageRecipientError(
      text: "\(name): \(refusal)", isPeerDown: status == 429 || status >= 502,
      isPermanent: isPermanent)
  }
}
