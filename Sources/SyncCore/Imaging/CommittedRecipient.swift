import DICOM
import Platform

/// A recipient that is asked to commit to what it was sent (storage commitment, PS3.4 annex J): an
/// object counts as sent when the recipient answers for its safe keeping, and not because its
/// C-STORE was acknowledged.
///
/// The report comes on the association of the request or on one of the recipient's own, which our
/// server takes. Where none comes in time, or the recipient does not know the service, it is asked
/// by C-FIND what it holds; where it cannot be asked either, its acknowledgement is believed, and
/// that is said.
public struct CommittedRecipient: ImageRecipient {
  public let inner: any ImageRecipient
  private let options: DIMSERecipient.Options
  private let timeout: Duration
  private let desk: CommitmentDesk
  private let archive: any StoredObjects
  /// The recipient as a source of queries.
  private let query: any ImageSource
  public var name: String { inner.name }

  /// Objects in one transaction.
  static let objectsAtOnce = 1000
  /// How long the association of the request is held for the report: some report only when it has
  /// been released.
  private static let longestHold = Duration.seconds(10)

  public init(
    _ inner: any ImageRecipient, options: DIMSERecipient.Options, timeout: Duration,
    desk: CommitmentDesk, archive: any StoredObjects, query: any ImageSource
  ) {
    self.inner = inner
    self.options = options
    self.timeout = timeout
    self.desk = desk
    self.archive = archive
    self.query = query
  }

  public func send(
    _ study: UID, _ objects: [ImageObject], priority: Priority, stop: Gate,
    acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    var stored: [UID: SendOutcome] = [:]
    var failure: ImageRecipientError?
    do throws(ImageRecipientError) {
      try inner.send(study, objects, priority: priority, stop: stop) { uid, outcome in
        switch outcome {
        case .stored, .storedWithWarning, .storedUnproven: stored[uid] = outcome
        case .refused, .failed: acknowledged(uid, outcome)
        }
      }
    } catch {
      if error.isStopped { throw error }
      // What had been stored before is not sent again if it can be proven.
      failure = error
    }
    var rest = objects.map(\.sopInstance).filter { stored[$0] != nil }[...]
    while !rest.isEmpty {
      let group = Array(rest.prefix(Self.objectsAtOnce))
      rest = rest.dropFirst(group.count)
      do throws(ImageRecipientError) {
        try prove(study, group, stop) { uid, outcome in
          // A warning that the recipient gave stays said.
          if case .stored = outcome, case .storedWithWarning? = stored[uid] {
            acknowledged(uid, stored[uid]!)
          } else {
            acknowledged(uid, outcome)
          }
        }
      } catch {
        throw failure ?? error
      }
    }
    if let failure { throw failure }
  }

  private func prove(
    _ study: UID, _ objects: [UID], _ stop: Gate, _ tell: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    let references: [ObjectReference]
    do {
      references = try archive.storedInstances(of: study, objects).map(ObjectReference.init)
    } catch {
      throw ImageRecipientError(text: "the archive's index: \(error)")
    }
    switch try ask(references, stop) {
    case .report(let report):
      let committed = Set(report.committed.map(\.sopInstance))
      let reasons = Dictionary(
        report.failed.map { ($0.reference.sopInstance, $0.reason) }, uniquingKeysWith: { $1 })
      for uid in objects {
        if let reason = reasons[uid] {
          tell(uid, Self.outcome(reason, "\(name) does not commit to it: \(reason)"))
        } else if committed.contains(uid) {
          tell(uid, .stored)
        } else {
          tell(uid, .failed(0x0110, "\(name) leaves it out of its storage commitment"))
        }
      }
    case .none(let why): try enumerate(study, objects, why, stop, tell)
    }
  }

  /// PS3.3 section C.14: what another attempt does not change is refused.
  private static func outcome(_ reason: DIMSEStatus, _ text: String) -> SendOutcome {
    switch reason {
    case .sopClassNotSupported, .classInstanceConflict: .refused(reason.rawValue, text)
    default: .failed(reason.rawValue, text)
    }
  }

  /// Without a report: what the recipient holds, if it tells.
  private func enumerate(
    _ study: UID, _ objects: [UID], _ why: String, _ stop: Gate,
    _ tell: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    let present: Set<UID>
    do throws(ImageSourceError) {
      present = Set(try query.objects(of: study, stop: stop).map(\.sopInstance))
    } catch {
      if stop.isOpen { throw Self.stopped }
      let text = "\(why), and it cannot be asked what it holds: its acknowledgement is all there is"
      for uid in objects { tell(uid, .storedUnproven(text)) }
      return
    }
    for uid in objects {
      tell(
        uid,
        present.contains(uid)
          ? .stored : .failed(0x0112, "\(why), and it is not found there"))
    }
  }

  private static let stopped = ImageRecipientError(text: "interrupted", isStopped: true)

  // MARK: The transaction

  private enum Answer {
    case report(CommitmentReport)
    case none(String)
  }

  private func ask(
    _ references: [ObjectReference], _ stop: Gate
  ) throws(ImageRecipientError) -> Answer {
    guard !references.isEmpty else { return .none("nothing of it is in the archive any more") }
    if stop.isOpen { throw Self.stopped }
    let association = try open(stop)
    guard !association.contexts.isEmpty else {
      try? association.release()
      return .none("\(name) does not know storage commitment")
    }
    let request = CommitmentRequest(transaction: .random(), references: references)
    desk.expect(request.transaction, from: options.address.calledAE)
    defer { desk.finish(request.transaction) }
    // From before the request on: its answer may take as long as the report.
    let deadline = Deadline.after(timeout)
    do throws(AssociationError) {
      let result = try association.requestCommitment(request)
      guard result.status.isSuccess || result.status.isWarning else {
        try? association.release()
        return .none("\(name) refuses storage commitment: \(result.status)")
      }
    } catch {
      throw DIMSERecipient.failure(error, options, stop)
    }
    return try wait(request.transaction, association, deadline, stop)
  }

  private func open(_ stop: Gate) throws(ImageRecipientError) -> Association {
    let extensions = try DIMSERecipient.extensions(options)
    do throws(AssociationError) {
      return try Association.request(
        to: options.address, contexts: [.storageCommitment], timeouts: options.timeouts,
        maximumPDULength: options.maximumPDULength, extensions: extensions)
    } catch {
      throw DIMSERecipient.failure(error, options, stop)
    }
  }

  /// Looks for the report in both places, by turns.
  private func wait(
    _ transaction: UID, _ association: Association, _ deadline: Deadline, _ stop: Gate
  ) throws(ImageRecipientError) -> Answer {
    let hold = Deadline.after(min(timeout / 2, Self.longestHold))
    let turn = Duration.milliseconds(100)
    defer { if association.isOpen { try? association.release() } }
    while !deadline.isPast {
      if stop.isOpen { throw Self.stopped }
      if association.isOpen, !hold.isPast {
        // However it ends: the report may still come on an association of the recipient's.
        if let report = try? association.commitmentReport(until: .after(turn)),
          report.transaction == transaction
        {
          return .report(report)
        }
        if let report = desk.report(on: transaction, until: .after(.zero)) {
          return .report(report)
        }
        continue
      }
      if association.isOpen { try? association.release() }
      if let report = desk.report(on: transaction, until: .after(turn)) { return .report(report) }
    }
    return .none(
      "\(name) has not answered for it within \(DurationText.format(timeout))")
  }
}
