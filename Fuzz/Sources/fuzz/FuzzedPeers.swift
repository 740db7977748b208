import Glibc
import Platform

@testable import DICOM
@testable import SyncCore

extension AssociationTimeouts {
  /// Nothing is waited for: everything a fuzzed peer will ever send is there before we look.
  fileprivate static let fuzzing = AssociationTimeouts(
    connect: .seconds(2), association: .milliseconds(500), response: .milliseconds(500),
    move: .milliseconds(500), request: .milliseconds(500))
}

/// Our server, fed the bytes of one connection at a time on this thread.
final class FuzzedProvider: StorageProvider, QueryProvider, RetrieveProvider {
  static let shared = FuzzedProvider()
  static let association = AssociationInfo(
    id: 1, callingAE: "FUZZ", calledAE: "FUZZ", peerHost: "127.0.0.1")

  nonisolated(unsafe) private var server: DICOMServer!
  private let match: DataSet
  /// Sinks that have been begun and not ended.
  private let open = Monitor(0)

  private init() {
    var match = DataSet()
    match.setBytes(.queryRetrieveLevel, .CS, Array("STUDY ".utf8))
    match.set(.studyInstanceUID, UID("1.2.3"))
    self.match = match
    // Port 1 is closed: a C-MOVE fails at once.
    let nobody = PeerAddress(host: "127.0.0.1", port: 1, calledAE: "DEST", callingAE: "FUZZ")
    guard
      let made = try? DICOMServer(
        on: .tcp(host: "127.0.0.1", port: 0),
        configuration: ServerConfiguration(
          aeTitle: "FUZZ", acceptsAnyCalledAE: true, timeouts: .fuzzing,
          receiveBufferSize: 64 * 1024, destination: { $0 == "DEST" ? nobody : nil }),
        services: DICOMServices(storage: self, query: self, retrieve: self))
    else { fatalError("no listener") }
    server = made
  }

  func serve(_ input: UnsafeRawBufferPointer) {
    guard let (ours, theirs) = try? StreamSocket.pair() else { fatalError("no socket pair") }
    _ = try? theirs.write(input, deadline: .after(.milliseconds(500)))
    theirs.finishWriting()
    server.serve(ours)
    promise(server.associationCount == 0, "an association is left")
    promise(open.read { $0 } == 0, "an object is neither stored nor given up")
  }

  private final class Sink: StoreSink {
    let provider: FuzzedProvider
    private var received = 0

    init(_ provider: FuzzedProvider) {
      self.provider = provider
      provider.open.update { $0 += 1 }
    }

    func write(_ fragments: DataFragments) throws(ServiceFailure) {
      var count = 0
      for vector in fragments.vectors {
        count += vector.iov_len
        // Every byte can be read.
        let bytes = UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
        promise(bytes.reduce(0) { $0 &+ Int($1) } >= 0, "bytes")
      }
      promise(count == fragments.byteCount && count > 0, "the pieces are not what they say")
      received += count
      if received > 4000 { throw ServiceFailure(.outOfResources, "full") }
    }

    func finish() throws(ServiceFailure) -> DIMSEStatus {
      provider.open.update { $0 -= 1 }
      return .success
    }

    func abort() { provider.open.update { $0 -= 1 } }
  }

  func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink {
    promise(request.sopInstance.isValid, "an object without a UID")
    if request.sopInstance == "1.2.9" { throw ServiceFailure(.notAuthorized) }
    return Sink(self)
  }

  func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {
    for _ in 0..<3 { guard emit(match) else { return } }
  }

  func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance] {
    [
      StoredInstance(
        sopClass: "1.2.840.10008.5.1.4.1.1.2", sopInstance: "1.2.3",
        transferSyntax: .explicitVRLittleEndian, path: "/nonexistent", dataSetOffset: 0,
        dataSetLength: 1)
    ]
  }
}

/// A server that says what it is told, whatever it is asked.
final class FuzzedUser: Sendable {
  static let shared = FuzzedUser()

  private struct State {
    var answer: [UInt8] = []
    var served = 0
  }

  private let listener: ListeningSocket
  private let state = Monitor(State())

  private init() {
    guard let made = try? ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0)) else {
      fatalError("no listener")
    }
    listener = made
    WorkThread.start("liar") { [self] in
      var buffer = [UInt8](repeating: 0, count: 64 * 1024)
      while let socket = try? listener.accept() {
        let answer = state.read { $0.answer }
        _ = try? socket.write(answer, deadline: .after(.seconds(1)))
        socket.finishWriting()
        while true {
          let count = buffer.withUnsafeMutableBytes {
            (try? socket.read(into: $0, deadline: .after(.seconds(1)))) ?? 0
          }
          if count == 0 { break }
        }
        state.update { $0.served += 1 }
      }
    }
  }

  func ask(_ choice: UInt8, _ answer: UnsafeRawBufferPointer) {
    let before = state.update { state in
      state.answer = Array(answer)
      return state.served
    }
    let contexts = [
      .verification, ProposedContext(InformationModel.studyRoot.findClass),
      ProposedContext(InformationModel.studyRoot.moveClass!),
      ProposedContext("1.2.840.10008.5.1.4.1.1.2", [.explicitVRLittleEndian]),
    ]
    do {
      let association = try Association.request(
        to: PeerAddress(
          host: "127.0.0.1", port: listener.port, calledAE: "LIAR", callingAE: "FUZZ"),
        contexts: contexts, timeouts: .fuzzing)
      let identifier = DataSet()
      switch choice % 5 {
      case 0: _ = try association.echo()
      case 1: _ = try association.find(identifier, in: .studyRoot) { _ in true }
      case 2: _ = try association.find(identifier, in: .studyRoot) { _ in false }
      case 3: _ = try association.move(identifier, in: .studyRoot, to: "FUZZ")
      default:
        _ = try association.store(
          sopClass: "1.2.840.10008.5.1.4.1.1.2", sopInstance: "1.2.3",
          transferSyntax: .explicitVRLittleEndian, from: MemoryDataSet([1, 2, 3, 4]))
      }
      if choice & 0x80 != 0 { try association.release() } else { association.abort() }
      promise(!association.isOpen, "still open")
    } catch {}
    let isServed = state.wait(until: .after(.seconds(5))) { $0.served > before ? true : nil }
    promise(isServed == true, "the connection was not closed")
  }
}

/// A small archive, of objects that have all that queries ask for.
final class FuzzedArchive: Sendable {
  static let shared = FuzzedArchive()
  let archive: EmbeddedArchive

  private init() {
    var template = Array("/tmp/syncd-fuzz-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { fatalError("no directory") }
    let path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    guard
      let made = try? EmbeddedArchive.open(
        EmbeddedArchive.Configuration(directory: path, minimumFree: 0))
    else { fatalError("no archive") }
    archive = made
    for number in 1...3 { store(number) }
    _ = try? archive.flush()
  }

  private func store(_ number: Int) {
    var object = DataSet()
    let instance = UID("1.2.752.99.1.1.\(number)")
    object.setBytes(.specificCharacterSet, .CS, Array("ISO_IR 192".utf8))
    object.set(.sopClassUID, UID("1.2.840.10008.5.1.4.1.1.2"))
    object.set(.sopInstanceUID, instance)
    object.setBytes(.accessionNumber, .SH, Array("SE00000000000001".utf8))
    object.setBytes(.modality, .CS, Array("CT".utf8))
    object.setBytes(.patientID, .LO, Array("191212121212".utf8))
    object.set(.studyInstanceUID, UID("1.2.752.99.1"))
    object.set(.seriesInstanceUID, UID("1.2.752.99.1.1"))
    guard var bytes = try? object.encoded(as: .explicitVRLittleEndian),
      let sink = try? archive.beginStore(
        StoreRequest(
          association: FuzzedProvider.association, sopClass: "1.2.840.10008.5.1.4.1.1.2",
          sopInstance: instance, transferSyntax: .explicitVRLittleEndian))
    else { fatalError("not stored") }
    bytes.withUnsafeMutableBytes { buffer in
      var vector = iovec(iov_base: buffer.baseAddress, iov_len: buffer.count)
      withUnsafeMutablePointer(to: &vector) { pointer in
        _ = try? sink.write(
          DataFragments(
            borrowing: UnsafeMutableBufferPointer(start: pointer, count: 1),
            byteCount: buffer.count))
      }
    }
    _ = try? sink.finish()
  }
}

/// A file that is written anew for each input.
final class ScratchFile: Sendable {
  static let shared = ScratchFile()
  let file: FileDescriptor

  private init() {
    let path = "/tmp/syncd-fuzz-\(getpid()).tmp"
    guard let made = try? FileDescriptor.open(path, O_RDWR | O_CREAT | O_TRUNC) else {
      fatalError("no file")
    }
    unlink(path)
    file = made
  }

  func write(_ bytes: [UInt8]) {
    ftruncate(file.raw, 0)
    bytes.withUnsafeBytes { _ = pwrite(file.raw, $0.baseAddress, $0.count, 0) }
  }
}
