import DICOM
import DICOMweb
import Platform
import Synchronization

/// A PACS asked over DICOMweb (PS3.18): QIDO-RS to enumerate, WADO-RS to fetch. Where a DIMSE peer
/// sends to the archive, here the objects come in the answers, and go into it as they arrive.
public final class DICOMwebSource: ImageSource {
  public struct Options: Sendable, Hashable {
    public var name: String
    /// The finest level it is asked at; it falls back by itself where the peer refuses.
    public var finestLevel: QueryLevel
    /// Whom the archive's files name as theirs (0002,0016), and the archive's own title.
    public var archiveTitle: String

    public init(name: String, finestLevel: QueryLevel = .image, archiveTitle: String) {
      self.name = name
      self.finestLevel = finestLevel
      self.archiveTitle = archiveTitle
    }
  }

  public let options: Options
  public var name: String { options.name }
  let client: DICOMwebClient
  /// Nil for a peer that is only asked what it holds.
  private let storage: (any StorageProvider)?
  /// The finest level that the peer has not refused.
  private let level: Mutex<QueryLevel>
  /// How many objects the series of studies had when they were last enumerated.
  private let sizes = Mutex<[UID: [UID: Int]]>([:])
  private let retrievals = Atomic<UInt64>(0)

  /// Studies whose sizes are kept: each is used soon after, or not at all.
  private static let mostStudies = 256

  public init(_ options: Options, client: DICOMwebClient, storage: (any StorageProvider)?) {
    self.options = options
    self.client = client
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
    let found: [DICOMwebClient.Study]
    do throws(DICOMwebError) {
      found = try client.studies(accessionNumber: number, stop: stop)
    } catch {
      throw failure(error, stop)
    }
    // Peers differ in what they match; an examination number is equal or it is not.
    return found.filter { $0.accessionNumber ?? number == number }.map(\.uid)
  }

  public func objects(of study: UID, stop: Gate) throws(ImageSourceError) -> [ImageObject] {
    do throws(DICOMwebError) {
      let found = try client.instances(of: study, stop: stop)
      var objects: [ImageObject] = []
      objects.reserveCapacity(found.count)
      var counts: [UID: Int] = [:]
      for instance in found {
        counts[instance.series, default: 0] += 1
        objects.append(
          ImageObject(
            sopInstance: instance.uid, series: instance.series,
            isRejectionNote: try isRejectionNote(instance, study, stop)))
      }
      sizes.withLock { known in
        if known.count >= Self.mostStudies { known.removeAll(keepingCapacity: true) }
        known[study] = counts
      }
      return objects
    } catch {
      throw failure(error, stop)
    }
  }

  /// Key objects are few and small: those that there are tell their titles.
  private func isRejectionNote(
    _ instance: DICOMwebClient.Instance, _ study: UID, _ stop: Gate
  ) throws(DICOMwebError) -> Bool {
    guard instance.sopClass == RejectionNote.sopClass else { return false }
    do throws(DICOMwebError) {
      let content = try client.metadata(of: instance, in: study, stop: stop)
      let title = content.items(.conceptNameCodeSequence).first?.string(.codeValue)
      return title.map(RejectionNote.titles.contains) ?? false
    } catch {
      // A server without this service leaves it to the archive to tell, as one over DIMSE does.
      if case .refused(let status) = error.kind, !error.isServerDown, status != 404 { return false }
      throw error
    }
  }

  // MARK: - Retrieve

  public func retrieve(
    study: UID, missing: [ImageObject], isWholeStudy: Bool, stop: Gate,
    progress: (Int) -> Void
  ) throws(ImageSourceError) -> ImageReason? {
    guard let storage else {
      return ImageReason(.retrieveFailed, "\(name) is only asked what it holds")
    }
    let association = AssociationInfo(
      id: retrievals.wrappingAdd(1, ordering: .relaxed).newValue,
      callingAE: String(name.prefix(16)), calledAE: options.archiveTitle,
      peerHost: client.service.base.host)
    return try withoutActuallyEscaping(progress) { (progress) throws(ImageSourceError) in
      var work = WebRetrieve(
        source: self, storage: storage, association: association, study: study, stop: stop,
        progress: progress)
      do throws(DICOMwebError) {
        try work.run(missing, isWholeStudy: isWholeStudy)
      } catch {
        if error.kind == .notAccepted {
          return ImageReason(.archiveRefused, error.description)
        }
        throw failure(error, stop)
      }
      return work.reason(of: missing.count)
    }
  }

  fileprivate func size(of series: UID, in study: UID) -> Int? {
    sizes.withLock { $0[study]?[series] }
  }

  fileprivate var finestLevel: QueryLevel { level.withLock { $0 } }

  fileprivate func refused(_ refusedLevel: QueryLevel) {
    level.withLock { known in
      if known == refusedLevel { known = refusedLevel == .image ? .series : .study }
    }
  }

  func failure(_ error: DICOMwebError, _ stop: Gate) -> ImageSourceError {
    if stop.isOpen { return .stopping }
    return ImageSourceError(
      .peerUnavailable, "\(name): \(error)", isPeerDown: error.isServerDown)
  }
}

/// The requests of one retrieve: those that move least, and coarser ones where the peer has no
/// finer.
private struct WebRetrieve {
  let source: DICOMwebSource
  let storage: any StorageProvider
  let association: AssociationInfo
  let study: UID
  let stop: Gate
  let progress: (Int) -> Void
  var stored = 0
  var failed = 0
  /// What first went wrong with an object.
  var firstReason: String?
  var isPartial = false

  mutating func run(_ missing: [ImageObject], isWholeStudy: Bool) throws(DICOMwebError) {
    if isWholeStudy {
      // More may have come to the source since it was enumerated: that is wanted as well.
      return try fetch(.study(study)) { _ in true }
    }
    let series = Dictionary(grouping: missing, by: \.series).sorted { $0.key < $1.key }
    for (series, objects) in series {
      if try fetchSeries(series, objects.map(\.sopInstance).sorted()) { continue }
      // The peer gives whole studies only: that brings everything that it can bring.
      let wanted = Set(missing.map(\.sopInstance))
      return try fetch(.study(study), wanted.contains)
    }
  }

  /// False where the peer gives neither objects nor series.
  private mutating func fetchSeries(
    _ series: UID, _ instances: [UID]
  ) throws(DICOMwebError) -> Bool {
    let isWholeSeries = source.size(of: series, in: study) == instances.count
    if source.finestLevel == .image, !isWholeSeries || instances.count == 1 {
      if try fetchEach(instances, series) { return true }
    }
    if source.finestLevel != .study {
      let wanted = Set(instances)
      do throws(DICOMwebError) {
        try fetch(.series(series, study: study), wanted.contains)
        return true
      } catch {
        guard isRefusal(error) else { throw error }
        source.refused(.series)
      }
    }
    return false
  }

  /// One request an object. False where the peer has no such service.
  private mutating func fetchEach(
    _ instances: [UID], _ series: UID
  ) throws(DICOMwebError) -> Bool {
    for (index, instance) in instances.enumerated() {
      do throws(DICOMwebError) {
        try fetch(.instance(instance, series: series, study: study)) { $0 == instance }
      } catch {
        guard isRefusal(error) else { throw error }
        // After one that worked it is about this object.
        if index == 0 {
          source.refused(.image)
          return false
        }
        failed += 1
        if firstReason == nil { firstReason = error.description }
      }
    }
    return true
  }

  private mutating func fetch(
    _ resource: DICOMwebClient.Resource, _ wants: @escaping (UID) -> Bool
  ) throws(DICOMwebError) {
    let before = stored
    let progress = self.progress
    let result = try source.client.retrieve(
      resource, into: storage, association: association, stop: stop, wants: wants
    ) { progress(before + $0.stored) }
    stored += result.stored
    failed += result.failed
    isPartial = isPartial || result.isPartial
    if firstReason == nil { firstReason = result.reason }
  }

  /// Whether another level is worth trying: the resource is not there, or not given in this form.
  private func isRefusal(_ error: DICOMwebError) -> Bool {
    guard case .refused(let status) = error.kind else { return false }
    return [400, 404, 405, 406, 501].contains(status)
  }

  func reason(of count: Int) -> ImageReason? {
    if failed > 0 {
      return ImageReason(
        .retrieveFailed,
        "\(source.name) sent \(stored) of \(count) objects, \(failed) failed: \(firstReason ?? "")")
    }
    if stored == 0 {
      return ImageReason(
        .nothingArrived, "\(source.name) answered with success and sent no object")
    }
    return isPartial
      ? ImageReason(.retrieveFailed, "\(source.name) says that it sent only some (206)") : nil
  }
}
