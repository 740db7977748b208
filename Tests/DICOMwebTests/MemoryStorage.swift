import DICOM
import Glibc
import Platform

/// A storage that keeps what it gets, or only counts it, and can be slow or full.
final class MemoryStorage: StorageProvider, @unchecked Sendable {
  // @unchecked: everything lies in the monitor.
  struct State {
    var objects: [UID: [UInt8]] = [:]
    var syntaxes: [UID: TransferSyntax] = [:]
    var bytes = 0
    var aborted = 0
    var begun = 0
  }

  let state = Monitor(State())
  let keeps: Bool
  /// Nothing is written until it is open.
  let gate: Gate?
  /// Objects that are taken; the next one finds the disk full.
  let room: Int
  /// What is refused, one by one.
  let refused: Set<UID>

  init(keeps: Bool = true, gate: Gate? = nil, room: Int = .max, refused: Set<UID> = []) {
    self.keeps = keeps
    self.gate = gate
    self.room = room
    self.refused = refused
  }

  func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink {
    if state.update({
      $0.begun += 1
      return $0.begun
    }) > room {
      throw ServiceFailure(.outOfResources, "the archive's disk is full")
    }
    if refused.contains(request.sopInstance) {
      throw ServiceFailure(.dataSetDoesNotMatchSOPClass, "not this one")
    }
    return Sink(request, self)
  }

  final class Sink: StoreSink {
    let request: StoreRequest
    let storage: MemoryStorage
    var bytes: [UInt8] = []

    init(_ request: StoreRequest, _ storage: MemoryStorage) {
      self.request = request
      self.storage = storage
    }

    func write(_ fragments: DataFragments) throws(ServiceFailure) {
      storage.gate?.wait(until: .after(.seconds(60)))
      storage.state.update { $0.bytes += fragments.byteCount }
      guard storage.keeps else { return }
      for vector in fragments.vectors {
        bytes += UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
      }
    }

    func finish() throws(ServiceFailure) -> DIMSEStatus {
      storage.state.update {
        $0.objects[request.sopInstance] = bytes
        $0.syntaxes[request.sopInstance] = request.transferSyntax
      }
      return .success
    }

    func abort() { storage.state.update { $0.aborted += 1 } }
  }
}
