import DICOM
import Platform

/// One attempt to bring an examination's images to a recipient: compare source and archive, send
/// what is not yet acknowledged, and tell whether all of it is there.
///
/// Compares everything anew, so that it can be started at any time: what the recipient has
/// acknowledged is not sent again, and what came meanwhile is.
public struct TransferPass: Sendable {
  public struct Request: Sendable {
    public var number: String
    /// As resolved before; nil: by the number, in the archive.
    public var studyUID: String?
    /// A comparison examination, which nobody has prefetched for its list.
    public var isPrior: Bool
    /// Sent although the images are not complete: what there is suffices.
    public var isForced: Bool
    public var priority: Priority
    /// What the recipient has acknowledged.
    public var sent: Set<String>

    public init(
      number: String, studyUID: String?, isPrior: Bool = false, isForced: Bool = false,
      priority: Priority = .routine, sent: Set<String> = []
    ) {
      self.number = number
      self.studyUID = studyUID
      self.isPrior = isPrior
      self.isForced = isForced
      self.priority = priority
      self.sent = sent
    }
  }

  public enum Event: Sendable {
    case compared(UID, [ObjectRecord])
    case acknowledged([(UID, SendOutcome)])
  }

  public enum Result: Sendable, Hashable {
    /// The recipient has every object; with what there is to say about it.
    case done(String?)
    /// No later attempt would fare better.
    case failed(reason: String, owner: String)
    case retry(reason: String, owner: String, isPeerDown: Bool)
    case stopped
  }

  public let source: (any ImageSource)?
  public let archive: any ImageArchive
  public let recipient: any ImageRecipient
  /// Whether a comparison examination is fetched into the archive first.
  public let prefetches: Bool

  public init(
    source: (any ImageSource)?, archive: any ImageArchive, recipient: any ImageRecipient,
    prefetches: Bool
  ) {
    self.source = source
    self.archive = archive
    self.recipient = recipient
    self.prefetches = prefetches
  }

  /// Outcomes are reported in groups: a row each at once would be a commit each.
  private static let groupSize = 100

  public func run(_ request: Request, stop: Gate, report: (Event) -> Void) -> Result {
    do throws(Ending) {
      let study = try resolve(request, stop)
      let compared = try compare(study, stop)
      report(.compared(study, compared.records))
      let missing = compared.records.count {
        $0.isWanted && !$0.places.contains(.archive)
      }
      let toSend = compared.toSend.filter { !request.sent.contains($0.sopInstance.value) }
      let tally = try send(study, toSend, request.priority, stop, report)
      return conclude(request, wanted: compared.toSend.count, missing: missing, tally)
    } catch {
      return error.result
    }
  }

  /// How a pass ends early.
  private struct Ending: Error {
    let result: Result
  }

  private func resolve(_ request: Request, _ stop: Gate) throws(Ending) -> UID {
    if request.isPrior, prefetches, source != nil {
      let pass = ImagePass(source: source, archive: archive, prefetches: true)
      let result = pass.run(
        number: request.number, listStudyUID: request.studyUID, stop: stop, progress: { _, _ in })
      if let failure = result.peerFailure {
        throw Ending(
          result: .retry(reason: failure, owner: Owner.source, isPeerDown: false))
      }
    }
    if let uid = request.studyUID { return UID(uid) }
    let studies: [UID]
    do {
      studies = try archive.storedStudies(number: request.number)
    } catch {
      throw Ending(
        result: .retry(reason: "the archive's index: \(error)", owner: Owner.us, isPeerDown: false))
    }
    guard let study = studies.first else {
      throw Ending(
        result: .failed(
          reason: "no images of it are in the archive",
          owner: "the examining department: the images have not reached the PACS"))
    }
    guard studies.count == 1 else {
      throw Ending(
        result: .failed(
          reason: "\(studies.count) studies in the archive carry its number", owner: Owner.source))
    }
    return study
  }

  private struct Compared {
    var records: [ObjectRecord]
    /// In the archive, and for the recipient.
    var toSend: [ImageObject]
  }

  private func compare(_ study: UID, _ stop: Gate) throws(Ending) -> Compared {
    let stored: [ImageObject]
    do {
      stored = try archive.storedObjects(of: study)
    } catch {
      throw Ending(
        result: .retry(reason: "the archive's index: \(error)", owner: Owner.us, isPeerDown: false))
    }
    var there: [ImageObject]?
    if let source {
      do throws(ImageSourceError) {
        there = try source.objects(of: study, stop: stop)
      } catch {
        if stop.isOpen { throw Ending(result: .stopped) }
        throw Ending(
          result: .retry(
            reason: "what the source has cannot be compared: \(error.text)", owner: Owner.source,
            isPeerDown: false))
      }
    }
    let notes = Set(((there ?? []) + stored).filter(\.isRejectionNote).map(\.sopInstance))
    let inSource = there.map { Set($0.map(\.sopInstance)) }
    let inArchive = Set(stored.map(\.sopInstance))
    var records: [ObjectRecord] = []
    for uid in inArchive.union(inSource ?? []).sorted() {
      var places: ObjectRecord.Places = []
      if inArchive.contains(uid) { places.insert(.archive) }
      if let inSource {
        if inSource.contains(uid) { places.insert(.source) }
      } else {
        places.insert(.sourceUnknown)
      }
      if notes.contains(uid) { places.insert(.rejectionNote) }
      records.append(ObjectRecord(uid: uid.value, places: places))
    }
    var seen = Set<UID>()
    let toSend = stored.filter { object in
      !notes.contains(object.sopInstance)
        && (inSource?.contains(object.sopInstance) ?? true)
        && seen.insert(object.sopInstance).inserted
    }
    return Compared(records: records, toSend: toSend)
  }

  private struct Tally {
    var refused = 0
    var failed = 0
    var words: String?
    /// Stored as the recipient says, without the proof that was asked for; and why.
    var unproven = 0
    var doubt: String?
  }

  private func send(
    _ study: UID, _ objects: [ImageObject], _ priority: Priority, _ stop: Gate,
    _ report: (Event) -> Void
  ) throws(Ending) -> Tally {
    var tally = Tally()
    if objects.isEmpty { return tally }
    var group: [(UID, SendOutcome)] = []
    var reportedAt = MonotonicTime.now
    do throws(ImageRecipientError) {
      try recipient.send(study, objects, priority: priority, stop: stop) { uid, outcome in
        switch outcome {
        case .stored, .storedWithWarning: break
        case .storedUnproven(let text):
          tally.unproven += 1
          tally.doubt = text
        case .refused(_, let text):
          tally.refused += 1
          tally.words = text
        case .failed(_, let text):
          tally.failed += 1
          if tally.refused == 0 { tally.words = text }
        }
        group.append((uid, outcome))
        if group.count >= Self.groupSize || MonotonicTime.now - reportedAt > .milliseconds(500) {
          report(.acknowledged(group))
          group = []
          reportedAt = .now
        }
      }
      if !group.isEmpty { report(.acknowledged(group)) }
    } catch {
      if !group.isEmpty { report(.acknowledged(group)) }
      if stop.isOpen || error.isStopped { throw Ending(result: .stopped) }
      if error.isPermanent {
        throw Ending(result: .failed(reason: error.text, owner: Owner.recipient))
      }
      throw Ending(
        result: .retry(
          reason: error.text, owner: Owner.recipient, isPeerDown: error.isPeerDown))
    }
    return tally
  }

  private func conclude(
    _ request: Request, wanted: Int, missing: Int, _ tally: Tally
  ) -> Result {
    let name = recipient.name
    let words = tally.words.map { ": \($0)" } ?? ""
    if tally.failed > 0 {
      return .retry(
        reason: "\(name) has not stored \(tally.failed + tally.refused) of \(wanted) objects"
          + words, owner: Owner.recipient, isPeerDown: false)
    }
    if tally.refused > 0 {
      return .failed(
        reason: "\(name) refuses \(tally.refused) of \(wanted) objects\(words)",
        owner: Owner.recipient)
    }
    if missing > 0, !request.isForced {
      return .retry(
        reason: "\(missing) objects of the source are not in the archive yet",
        owner: Owner.nobody, isPeerDown: false)
    }
    if wanted == 0 {
      return .failed(
        reason: "there is nothing to send: no image of it is in the archive",
        owner: "the examining department: the images have not reached the PACS")
    }
    var remarks: [String] = []
    if missing > 0 { remarks.append("forced: \(missing) objects of the source were left out") }
    if let doubt = tally.doubt {
      remarks.append("\(tally.unproven) objects without proof: \(doubt)")
    }
    return .done(remarks.isEmpty ? nil : remarks.joined(separator: "; "))
  }
}
