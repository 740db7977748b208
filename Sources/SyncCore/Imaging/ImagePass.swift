import DICOM
import Platform

/// One pass over an examination's images: resolve, compare, retrieve what is missing, compare
/// again. Reads everything anew, so that it can be started at any time from any state.
public struct ImagePass: Sendable {
  public let source: (any ImageSource)?
  public let archive: any ImageArchive
  /// Whether the images are ours to fetch; else they are only compared (AGFA stores by itself).
  public let prefetches: Bool

  public init(source: (any ImageSource)?, archive: any ImageArchive, prefetches: Bool) {
    self.source = source
    self.archive = archive
    self.prefetches = prefetches
  }

  /// What the pass came to, and whether the peer is to be left alone for a while.
  public struct Result: Sendable {
    public var observation: ImageObservation
    public var peerFailure: String?
    /// Objects that were asked for.
    public var asked = 0
  }

  /// Runs the pass.
  /// - Parameters:
  ///   - listStudyUID: what the list says; it must be what the source says.
  ///   - stop: opened when the daemon stops; the pass ends soon, with whatever it has seen.
  ///   - progress: objects in the archive and objects at the source, while it retrieves.
  public func run(
    number: String, listStudyUID: String?, stop: Gate, progress: (Int, Int) -> Void
  ) -> Result {
    guard let source else { return archiveOnly(number, listStudyUID) }
    do throws(ImageSourceError) {
      let studies = try source.studies(number: number, stop: stop)
      guard let study = studies.first else { return Result(observation: .notFound) }
      guard studies.count == 1 else {
        return Result(observation: .ambiguous(studies: studies.count))
      }
      if let listStudyUID, listStudyUID != study.value {
        return Result(observation: .mismatch(list: listStudyUID, source: study.value))
      }
      return try compare(source, study, stop, progress)
    } catch {
      return Result(
        observation: .failed(error.code, error.text),
        peerFailure: error.isPeerDown ? error.text : nil)
    }
  }

  private func compare(
    _ source: any ImageSource, _ study: UID, _ stop: Gate, _ progress: (Int, Int) -> Void
  ) throws(ImageSourceError) -> Result {
    var there = try enumerate(source, study, stop)
    var difference = Difference(source: there, archive: try stored(study))
    var failure: ImageReason?
    var peerFailure: String?
    var asked = 0
    if prefetches, !difference.missing.isEmpty {
      if let refusal = archive.refusal {
        failure = ImageReason(.archiveRefused, refusal)
      } else {
        asked = difference.missing.count
        let all = difference.wanted.count
        let before = all - asked
        progress(before, all)
        do throws(ImageSourceError) {
          failure = try source.retrieve(
            study: study, missing: difference.missing, isWholeStudy: before == 0, stop: stop
          ) { sent in progress(min(before + sent, all), all) }
          // More may have come to the source meanwhile, and what it says it sent proves nothing.
          there = try enumerate(source, study, stop)
        } catch {
          // Much may have arrived before it broke off, or all: the archive knows.
          if stop.isOpen { throw error }
          failure = ImageReason(error.code, error.text)
          if error.isPeerDown { peerFailure = error.text }
        }
        difference = Difference(source: there, archive: try stored(study))
      }
    }
    let comparison = ImageObservation.Comparison(
      studyUID: study.value, source: difference.wanted.count,
      sourceDigest: Self.digest(difference.wanted),
      missing: difference.missing.count, extra: difference.extra,
      retrieveFailure: difference.missing.isEmpty ? nil : failure, didRetrieve: asked > 0)
    return Result(
      observation: .compared(comparison), peerFailure: peerFailure, asked: asked)
  }

  private func enumerate(
    _ source: any ImageSource, _ study: UID, _ stop: Gate
  ) throws(ImageSourceError) -> [ImageObject] {
    var seen = Set<UID>()
    let objects = try source.objects(of: study, stop: stop)
    return objects.filter { seen.insert($0.sopInstance).inserted }
  }

  private func stored(_ study: UID) throws(ImageSourceError) -> [ImageObject] {
    do {
      return try archive.storedObjects(of: study)
    } catch {
      throw ImageSourceError(.archiveRefused, "the archive's index: \(error)", isPeerDown: false)
    }
  }

  private func archiveOnly(_ number: String, _ listStudyUID: String?) -> Result {
    do {
      let studies = try archive.storedStudies(number: number)
      if studies.count > 1 { return Result(observation: .ambiguous(studies: studies.count)) }
      guard let study = studies.first else {
        return Result(observation: .archiveOnly(studyUID: nil, archived: 0))
      }
      if let listStudyUID, listStudyUID != study.value {
        return Result(observation: .mismatch(list: listStudyUID, source: study.value))
      }
      let objects = try archive.storedObjects(of: study).filter { !$0.isRejectionNote }
      return Result(
        observation: .archiveOnly(studyUID: study.value, archived: objects.count))
    } catch {
      return Result(observation: .failed(.archiveRefused, "the archive's index: \(error)"))
    }
  }

  /// A digest of a set of objects: equal sets have equal digests, in whatever order they came.
  static func digest(_ objects: [ImageObject]) -> String {
    var hash = SHA256()
    for uid in objects.map(\.sopInstance.value).sorted() {
      hash.update(Array(uid.utf8))
      hash.update([0])
    }
    return hash.finalize().prefix(16).map { byte in
      let digits = String(byte, radix: 16)
      return digits.count == 1 ? "0" + digits : digits
    }.joined()
  }
}

/// The two sets against each other, without the rejection notes of either side: a source seldom
/// tells a note's title in a query, so a note that the archive knows is one at the source as well.
struct Difference {
  /// The source's objects that count.
  var wanted: [ImageObject]
  var missing: [ImageObject]
  var extra: Int

  init(source: [ImageObject], archive: [ImageObject]) {
    let notes = Set((source + archive).filter(\.isRejectionNote).map(\.sopInstance))
    let there = Set(source.map(\.sopInstance))
    let here = Set(archive.map(\.sopInstance))
    wanted = source.filter { !notes.contains($0.sopInstance) }
    missing = wanted.filter { !here.contains($0.sopInstance) }
    extra = here.subtracting(there).subtracting(notes).count
  }
}
