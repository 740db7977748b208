import DICOM
import Platform

/// A reviewer's DICOM node (AHEIPACS): takes images and keeps their UIDs, but for those that it has
/// been told to refuse.
public final class SimulatedRecipient: StorageProvider {
  private struct State: Sendable {
    var received: [UID: Int] = [:]
    var refuses: (@Sendable (UID) -> Bool) = { _ in false }
  }

  private let state = Monitor(State())
  public let aeTitle: String

  public init(aeTitle: String) { self.aeTitle = aeTitle }

  /// A server for it, not yet started.
  public func server() throws -> DICOMServer {
    try DICOMServer(
      on: .tcp(host: "127.0.0.1", port: 0),
      configuration: ServerConfiguration(aeTitle: aeTitle, destination: { _ in nil }),
      services: DICOMServices(storage: self))
  }

  public func refuse(_ isRefused: @escaping @Sendable (UID) -> Bool) {
    state.update { $0.refuses = isRefused }
  }

  /// How often each object has come.
  public var received: [UID: Int] { state.read { $0.received } }

  public func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink {
    let uid = request.sopInstance
    if state.read({ $0.refuses(uid) }) {
      throw ServiceFailure(.dataSetDoesNotMatchSOPClass, "not wanted")
    }
    return Sink { [state] in state.update { $0.received[uid, default: 0] += 1 } }
  }

  private final class Sink: StoreSink {
    private let keep: () -> Void
    init(_ keep: @escaping () -> Void) { self.keep = keep }
    func write(_ fragments: DataFragments) {}
    func finish() -> DIMSEStatus {
      keep()
      return .success
    }
    func abort() {}
  }
}
