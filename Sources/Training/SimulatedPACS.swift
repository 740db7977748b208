import DICOM
import Glibc
import Platform

/// A PACS full of phantoms: C-ECHO, C-FIND and C-MOVE, Study Root. Everything about what it has can
/// be changed while it serves.
public final class SimulatedPACS: Sendable {
  /// One object and the attributes that queries are answered from.
  struct Holding: Sendable {
    var study: UID
    var series: UID
    var header: DataSet
    var instance: StoredInstance
  }

  private struct State {
    var holdings: [Holding] = []
    var hidden: Set<UID> = []
    var destinations: [String: PeerAddress] = [:]
    var pause: Duration = .zero
    var sent = 0
  }

  public let aeTitle: String
  /// Where its objects lie.
  public let directory: String
  private let state: Monitor<State>
  private let stopping = Gate()
  private let server: DICOMServer

  /// Binds and serves.
  /// - Parameters:
  ///   - directory: an existing folder for the objects' files; the caller removes it.
  ///   - port: 0 lets the kernel choose; see ``port``.
  public init(
    aeTitle: String = "SECTRAPACS", directory: String, host: String = "127.0.0.1", port: UInt16 = 0
  ) throws(TrainingError) {
    self.aeTitle = aeTitle
    self.directory = directory
    let state = Monitor(State())
    self.state = state
    let services = Services(state: state, stopping: stopping, aeTitle: aeTitle)
    do throws(SystemError) {
      server = try DICOMServer(
        on: .tcp(host: host, port: port),
        configuration: ServerConfiguration(
          aeTitle: aeTitle,
          destination: { title in state.read { $0.destinations[title] } }),
        services: DICOMServices(query: services, retrieve: services))
    } catch {
      throw TrainingError("\(error)")
    }
    server.start()
  }

  public var port: UInt16 { server.port }

  /// Objects that it has begun to send so far.
  public var sent: Int { state.read { $0.sent } }

  public func stop() {
    stopping.open()
    server.stop(grace: .seconds(1))
  }

  /// Makes the AE title of a C-MOVE destination known.
  public func setDestination(_ title: String, host: String = "127.0.0.1", port: UInt16) {
    let address = PeerAddress(host: host, port: port, calledAE: title, callingAE: aeTitle)
    state.update { $0.destinations[title] = address }
  }

  /// Waits so long before each object it sends.
  public func setPause(_ pause: Duration) { state.update { $0.pause = pause } }

  /// Takes a study in, or one of its series that came later than the others.
  /// - Parameter series: which of them; nil for all.
  public func add(_ study: PhantomStudy, series chosen: [Int]? = nil) throws(TrainingError) {
    var holdings: [Holding] = []
    for index in chosen ?? Array(study.series.indices) {
      for image in 0..<study.series[index].images {
        let name = study.sopInstanceUID(series: index, image: image)
        var object: DataSet
        do throws(DataSetError) { object = try study.object(series: index, image: image) } catch {
          throw TrainingError("\(name): \(error)")
        }
        let instance = try Part10File.write(object, to: "\(directory)/\(name).dcm")
        object.remove(.pixelData)
        holdings.append(
          Holding(
            study: study.studyInstanceUID, series: study.seriesInstanceUID(index),
            header: object, instance: instance))
      }
    }
    // All at once: a query sees a series whole or not at all.
    state.update { $0.holdings += holdings }
  }

  /// Answers as if the study were not there, or as if it were again.
  public func setHidden(_ hidden: Bool, study: UID) {
    state.update {
      if hidden { $0.hidden.insert(study) } else { $0.hidden.remove(study) }
    }
  }

  // MARK: - Services

  private struct Services: QueryProvider, RetrieveProvider {
    let state: Monitor<State>
    let stopping: Gate
    let aeTitle: String

    private var visible: [Holding] {
      state.read { state in state.holdings.filter { !state.hidden.contains($0.study) } }
    }

    func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {
      let level = try level(of: request)
      for entity in PACSQuery.entities(visible, level)
      where
        PACSQuery.matches(entity, request.identifier)
      {
        if !emit(PACSQuery.answer(entity, request.identifier, level, aeTitle)) { return }
      }
    }

    func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance] {
      let level = try level(of: request)
      let key: Tag =
        switch level {
        case .study, .patient: .studyInstanceUID
        case .series: .seriesInstanceUID
        case .image: .sopInstanceUID
        }
      guard !request.identifier.uids(key).isEmpty else {
        throw ServiceFailure(.dataSetDoesNotMatchSOPClass, "no \(key) to retrieve")
      }
      return visible.filter { PACSQuery.matches($0.header, request.identifier) }.map(\.instance)
    }

    func willSend(_ instance: StoredInstance) {
      let pause = state.update { state in
        state.sent += 1
        return state.pause
      }
      if pause > .zero { stopping.wait(until: .after(pause)) }
    }

    private func level(of request: QueryRequest) throws(ServiceFailure) -> QueryLevel {
      guard request.model == .studyRoot, let level = request.level, level != .patient else {
        throw ServiceFailure(.dataSetDoesNotMatchSOPClass, "Study Root: STUDY, SERIES or IMAGE")
      }
      return level
    }
  }
}

/// The matching of PS3.4 section C.2.2.2 as far as a PACS for practice needs it: single values,
/// lists of UIDs, wildcards, universal.
enum PACSQuery {
  private static let studyUIDs = Tag(0x0020, 0x1208)
  private static let studySeries = Tag(0x0020, 0x1206)
  private static let seriesInstances = Tag(0x0020, 0x1209)
  private static let modalities = Tag(0x0008, 0x0061)
  private static let retrieveAE = Tag(0x0008, 0x0054)

  /// A data set for each study, series or object, with the counts of what is below it.
  static func entities(_ holdings: [SimulatedPACS.Holding], _ level: QueryLevel) -> [DataSet] {
    if level == .image { return holdings.map(\.header) }
    var order: [UID] = []
    var members: [UID: [SimulatedPACS.Holding]] = [:]
    for holding in holdings {
      let key = level == .series ? holding.series : holding.study
      if members[key] == nil { order.append(key) }
      members[key, default: []].append(holding)
    }
    return order.compactMap { key in
      guard let group = members[key], var entity = group.first?.header else { return nil }
      if level == .series {
        entity.set(seriesInstances, integer: group.count)
      } else {
        entity.set(studyUIDs, integer: group.count)
        entity.set(studySeries, integer: Set(group.map(\.series)).count)
        entity.setBytes(modalities, .CS, Array("CT".utf8))
      }
      return entity
    }
  }

  static func matches(_ entity: DataSet, _ identifier: DataSet) -> Bool {
    for element in identifier.elements where !isControl(element.tag) {
      guard element.vr != .SQ else { continue }
      let wanted = identifier.strings(element.tag).filter { !$0.isEmpty }
      guard !wanted.isEmpty else { continue }
      let values = entity.strings(element.tag)
      let isUID = element.vr == .UI
      let isMatch = wanted.contains { pattern in
        values.contains { value in
          isUID ? value == pattern : fnmatch(escaped(pattern), value, 0) == 0
        }
      }
      if !isMatch { return false }
    }
    return true
  }

  /// What was asked for, empty where the entity has nothing.
  static func answer(
    _ entity: DataSet, _ identifier: DataSet, _ level: QueryLevel, _ aeTitle: String
  ) -> DataSet {
    var answer = DataSet()
    if let repertoire = entity[.specificCharacterSet] { answer.set(repertoire) }
    for element in identifier.elements where !isControl(element.tag) {
      answer.set(entity[element.tag] ?? DataElement(element.tag, element.vr, .bytes([])))
    }
    answer.setBytes(.queryRetrieveLevel, .CS, Array(level.rawValue.utf8))
    answer.setBytes(retrieveAE, .AE, Array(aeTitle.utf8))
    return answer
  }

  private static func isControl(_ tag: Tag) -> Bool {
    tag == .queryRetrieveLevel || tag == .specificCharacterSet || tag == retrieveAE
      || tag.isGroupLength
  }

  /// DICOM's wildcards are fnmatch's, but for brackets and the backslash, which mean themselves.
  private static func escaped(_ pattern: String) -> String {
    pattern.replacing("\\", with: "\\\\").replacing("[", with: "\\[")
  }
}
