import Glibc
import Platform
import Synchronization

@testable import DICOM

/// An archive for tests: keeps what it is sent, finds what it is told to find.
final class MemoryArchive: StorageProvider, QueryProvider, RetrieveProvider {
  struct Stored: Equatable {
    var sopClass: UID
    var sopInstance: UID
    var transferSyntax: TransferSyntax
    var moveOriginator: MoveOriginator?
    var bytes: [UInt8]
  }

  struct State {
    var stored: [Stored] = []
    var aborted = 0
    /// Begun, and neither stored nor aborted.
    var open = 0
    var ended = 0
    /// Refused at the begin, by SOP instance.
    var refusals: [UID: ServiceFailure] = [:]
    /// Refused after so many bytes.
    var full: Int?
    var matches: [DataSet] = []
    var findFailure: ServiceFailure?
    var emitted = 0
    var isEndless = false
    var queries: [QueryRequest] = []
    var plan: [StoredInstance] = []
  }

  let state: Monitor<State>

  init(_ configure: (inout State) -> Void = { _ in }) {
    var initial = State()
    configure(&initial)
    state = Monitor(initial)
  }

  func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink {
    if let refusal = state.read({ $0.refusals[request.sopInstance] }) { throw refusal }
    state.update { $0.open += 1 }
    return Sink(self, request)
  }

  func associationEnded(_ association: AssociationInfo) {
    state.update { $0.ended += 1 }
  }

  final class Sink: StoreSink {
    private let archive: MemoryArchive
    private let request: StoreRequest
    private var bytes: [UInt8] = []
    private let full: Int?

    init(_ archive: MemoryArchive, _ request: StoreRequest) {
      self.archive = archive
      self.request = request
      full = archive.state.read { $0.full }
    }

    func write(_ fragments: DataFragments) throws(ServiceFailure) {
      for vector in fragments.vectors {
        bytes += UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
      }
      if let full, bytes.count > full { throw ServiceFailure(.outOfResources, "disk full") }
    }

    func finish() throws(ServiceFailure) -> DIMSEStatus {
      let stored = Stored(
        sopClass: request.sopClass, sopInstance: request.sopInstance,
        transferSyntax: request.transferSyntax, moveOriginator: request.moveOriginator,
        bytes: bytes)
      archive.state.update {
        $0.stored.append(stored)
        $0.open -= 1
      }
      return .success
    }

    func abort() {
      archive.state.update {
        $0.aborted += 1
        $0.open -= 1
      }
    }
  }

  func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {
    let (matches, failure, isEndless) = state.update { state in
      state.queries.append(request)
      return (state.matches, state.findFailure, state.isEndless)
    }
    repeat {
      for match in matches {
        state.update { $0.emitted += 1 }
        guard emit(match) else { return }
      }
    } while isEndless
    if let failure { throw failure }
  }

  func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance] {
    state.update { state in
      state.queries.append(request)
      return state.plan
    }
  }
}

extension DataSet {
  /// Text elements, padded as their VR wants.
  init(_ elements: [(DICOM.Tag, VR, String)]) {
    self.init()
    for (tag, vr, text) in elements {
      var value = Array(text.utf8)
      if value.count % 2 == 1 { value.append(vr.padding) }
      set(DataElement(tag, vr, .bytes(value)))
    }
  }

  func plainText(_ tag: Tag) -> String? {
    guard case .bytes(let bytes) = self[tag]?.value else { return nil }
    return String(decoding: bytes.filter { $0 != 0 }, as: UTF8.self)
      .trimmingSuffix(while: { $0 == " " })
  }
}

extension String {
  fileprivate func trimmingSuffix(while predicate: (Character) -> Bool) -> String {
    var text = self
    while let last = text.last, predicate(last) { text.removeLast() }
    return text
  }
}

/// A server on a free port with a memory archive behind it, stopped with this object.
final class TestServer {
  let archive: MemoryArchive
  let server: DICOMServer
  let events = Monitor<[ServerEvent]>([])

  init(
    _ archive: MemoryArchive = MemoryArchive(), aeTitle: String = "TEST",
    services: DICOMServices? = nil, configure: (inout ServerConfiguration) -> Void = { _ in }
  ) throws {
    self.archive = archive
    var configuration = ServerConfiguration(aeTitle: aeTitle)
    configure(&configuration)
    let events = events
    server = try DICOMServer(
      on: .tcp(host: "127.0.0.1", port: 0), configuration: configuration,
      services: services ?? DICOMServices(storage: archive, query: archive, retrieve: archive),
      observe: { event in events.update { $0.append(event) } })
    server.start()
  }

  deinit { server.stop(grace: .seconds(1)) }

  var port: UInt16 { server.port }

  var address: PeerAddress {
    PeerAddress(
      host: "127.0.0.1", port: port, calledAE: server.configuration.aeTitle, callingAE: "CLIENT")
  }

  func associate(
    _ contexts: [ProposedContext], timeouts: AssociationTimeouts = .short,
    maximumPDULength: UInt32 = 256 * 1024
  ) throws -> Association {
    try Association.request(
      to: address, contexts: contexts, timeouts: timeouts, maximumPDULength: maximumPDULength)
  }
}

extension AssociationTimeouts {
  static let short = AssociationTimeouts(
    connect: .seconds(5), association: .seconds(5), response: .seconds(10), move: .seconds(30),
    request: .seconds(20))
}

let ctImageStorage: UID = "1.2.840.10008.5.1.4.1.1.2"
let secondaryCapture: UID = "1.2.840.10008.5.1.4.1.1.7"
