import DICOM
import Glibc
import Platform

/// A PACS with phantom studies: answers C-ECHO, C-FIND (Study Root) and C-MOVE. What it holds can be
/// changed while it runs.
public final class SimulatedPACS: QueryProvider, RetrieveProvider {
  private struct Holding: Sendable {
    var study: PhantomStudy
    var series: [UID: [StoredInstance]] = [:]
    var isHidden = false
  }

  private let holdings = Monitor<[Holding]>([])
  private let directory: String
  /// Before each object that is sent: lets a watcher see them come one by one.
  private let delay: Duration
  public let aeTitle: String

  /// - Parameter directory: where the objects are written.
  public init(aeTitle: String, directory: String, delay: Duration = .zero) {
    self.aeTitle = aeTitle
    self.directory = directory
    self.delay = delay
  }

  /// A server for it, not yet started.
  public func server(
    port: UInt16, destination: @escaping @Sendable (String) -> PeerAddress?
  ) throws -> DICOMServer {
    try DICOMServer(
      on: .tcp(host: "127.0.0.1", port: port),
      configuration: ServerConfiguration(aeTitle: aeTitle, destination: destination),
      services: DICOMServices(query: self, retrieve: self))
  }

  /// Takes a study in, or further series of one that it has.
  public func add(_ study: PhantomStudy, series: [PhantomStudy.Series]) throws {
    var written: [UID: [StoredInstance]] = [:]
    for one in series {
      written[study.seriesUID(one.number)] = try study.write(one, into: directory)
    }
    holdings.update { all in
      if let index = all.firstIndex(where: { $0.study.studyUID == study.studyUID }) {
        all[index].series.merge(written) { $1 }
      } else {
        all.append(Holding(study: study, series: written))
      }
    }
  }

  /// Answers as if it did not have a study, or as if it had it again.
  public func setHidden(_ isHidden: Bool, accession: String) {
    holdings.update { all in
      for index in all.indices where all[index].study.accession == accession {
        all[index].isHidden = isHidden
      }
    }
  }

  /// The objects of a study, as a recipient must have them.
  public func instances(accession: String) -> Set<UID> {
    holdings.read { all in
      Set(
        all.filter { $0.study.accession == accession }
          .flatMap { $0.series.values.flatMap { $0.map(\.sopInstance) } })
    }
  }

  // MARK: - Services

  public func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {
    let keys = request.identifier
    let wantedAccession = keys.string(.accessionNumber)
    let wantedStudy = keys.uid(.studyInstanceUID)
    let wantedSeries = keys.uid(.seriesInstanceUID)
    for holding in holdings.read({ $0 }) where !holding.isHidden {
      let study = holding.study
      if let wantedAccession, wantedAccession != study.accession { continue }
      if let wantedStudy, !wantedStudy.value.isEmpty, wantedStudy != study.studyUID { continue }
      var answer = DataSet()
      answer.setBytes(
        .queryRetrieveLevel, .CS, Array((request.level ?? .study).rawValue.utf8))
      answer.setBytes(.accessionNumber, .SH, Array(study.accession.utf8))
      answer.set(.studyInstanceUID, study.studyUID)
      if request.level == .study {
        if !emit(answer) { return }
        continue
      }
      for (series, instances) in holding.series.sorted(by: { $0.key < $1.key }) {
        if let wantedSeries, !wantedSeries.value.isEmpty, wantedSeries != series { continue }
        answer.set(.seriesInstanceUID, series)
        answer.setBytes(.modality, .CS, Array("CT".utf8))
        if request.level == .series {
          if !emit(answer) { return }
          continue
        }
        for instance in instances {
          answer.set(.sopClassUID, instance.sopClass)
          answer.set(.sopInstanceUID, instance.sopInstance)
          if !emit(answer) { return }
        }
      }
    }
  }

  public func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance] {
    let keys = request.identifier
    let studies = Set(keys.uids(.studyInstanceUID))
    let series = Set(keys.uids(.seriesInstanceUID))
    let wanted = Set(keys.uids(.sopInstanceUID))
    let found = holdings.read { all in
      all.filter { studies.contains($0.study.studyUID) && !$0.isHidden }.flatMap { holding in
        holding.series.sorted { $0.key < $1.key }
          .filter { series.isEmpty || series.contains($0.key) }.flatMap(\.value)
          .filter { wanted.isEmpty || wanted.contains($0.sopInstance) }
      }
    }
    return found
  }

  public func willSend(_ instance: StoredInstance) {
    if delay > .zero { Gate().wait(until: .after(delay)) }
  }
}
