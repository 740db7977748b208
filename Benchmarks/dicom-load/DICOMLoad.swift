import DICOM
import Glibc
import Platform
import Synchronization

/// Our DICOM user side, for benchmarks: what `storescu` and `findscu` are to DCMTK.
///
///     dicom-load send PORT CALLED ASSOCIATIONS DIRECTORY [OPERATIONS]
///     dicom-load find PORT CALLED TIMES ACCESSION-NUMBER
///     dicom-load instances PORT CALLED TIMES STUDY SERIES
///
/// `send` ends when everything is acknowledged; `find` and `instances` print the median time of a
/// query on one association, in milliseconds, and how many matches it had. With DICOM_LOAD_CA in the
/// environment it goes within TLS (see ``SecureLoad``).
@main
struct DICOMLoad {
  struct Failure: Error, CustomStringConvertible {
    let description: String
  }

  static func main() {
    let words = CommandLine.arguments
    do {
      guard words.count >= 6, let port = UInt16(words[2]), let number = Int(words[4]), number > 0
      else {
        throw Failure(description: "usage: dicom-load send|find|instances PORT CALLED NUMBER ...")
      }
      let peer = PeerAddress(
        host: "127.0.0.1", port: port, calledAE: words[3], callingAE: "DICOMLOAD",
        connector: SecureLoad.fromEnvironment)
      switch words[1] {
      case "send":
        let operations = words.count > 6 ? Int(words[6]) ?? 1 : 1
        try send(files(words[5]), to: peer, associations: number, operations: operations)
      case "find":
        try query(peer, times: number, Self.studies(accession: words[5]))
      case "instances" where words.count == 7:
        try query(peer, times: number, Self.instances(study: words[5], series: words[6]))
      default: throw Failure(description: "unknown: \(words[1])")
      }
    } catch {
      let text = Array("dicom-load: \(error)\n".utf8)
      _ = write(2, text, text.count)
      exit(1)
    }
  }

  // MARK: Sending

  private static func files(_ directory: String) throws -> [StoredInstance] {
    guard let open = opendir(directory) else { throw SystemError.last("opendir", directory) }
    defer { closedir(open) }
    var names: [String] = []
    while let entry = readdir(open) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if !name.hasPrefix(".") { names.append(directory + "/" + name) }
    }
    return try names.sorted().map { path in
      let file = try Part10File.open(path)
      guard let meta = file.header.metaInformation, let sopClass = meta.mediaStorageSOPClass,
        let sopInstance = meta.mediaStorageSOPInstance
      else { throw Failure(description: "\(path): no File Meta Information") }
      return StoredInstance(
        sopClass: sopClass, sopInstance: sopInstance, transferSyntax: file.transferSyntax,
        path: path, dataSetOffset: file.dataSetOffset, dataSetLength: file.dataSetLength)
    }
  }

  private static func send(
    _ instances: [StoredInstance], to peer: PeerAddress, associations: Int, operations: Int
  ) throws {
    let problem = Mutex<String?>(nil)
    let threads = (0..<associations).map { number in
      WorkThread.start("send") {
        do {
          let share = instances.indices.filter { $0 % associations == number }.map { instances[$0] }
          try send(share, to: peer, operations)
        } catch {
          problem.withLock { $0 = "\(error)" }
        }
      }
    }
    for thread in threads { thread.join() }
    if let problem = problem.withLock({ $0 }) { throw Failure(description: problem) }
  }

  private static func send(
    _ instances: [StoredInstance], to peer: PeerAddress, _ operations: Int
  ) throws {
    let kinds = Set(instances.map { ProposedContext($0.sopClass, [$0.transferSyntax]) })
    let association = try Association.request(
      to: peer, contexts: Array(kinds), maximumPDULength: 256 * 1024,
      extensions: AssociationExtensions(operations: operations))
    var failure: Failure?
    try association.store(instances, while: { failure == nil }) { instance, answer in
      if case .success(let result) = answer, result.status.isSuccess { return }
      failure = Failure(description: "\(instance.sopInstance): \(answer)")
    }
    if let failure { throw failure }
    try association.release()
  }

  // MARK: Queries

  private static func studies(accession: String) throws -> DataSet {
    var identifier = DataSet()
    try identifier.set(.queryRetrieveLevel, "STUDY")
    try identifier.set(.accessionNumber, accession)
    try identifier.set(.studyInstanceUID, "")
    return identifier
  }

  private static func instances(study: String, series: String) throws -> DataSet {
    var identifier = DataSet()
    try identifier.set(.queryRetrieveLevel, "IMAGE")
    try identifier.set(.studyInstanceUID, study)
    try identifier.set(.seriesInstanceUID, series)
    try identifier.set(.sopInstanceUID, "")
    return identifier
  }

  private static func query(
    _ peer: PeerAddress, times: Int, _ identifier: @autoclosure () throws -> DataSet
  ) throws {
    let identifier = try identifier()
    let association = try Association.request(
      to: peer, contexts: [ProposedContext(InformationModel.studyRoot.findClass)],
      maximumPDULength: 256 * 1024)
    var taken: [Double] = []
    var matches = 0
    for _ in 0..<times {
      matches = 0
      let start = MonotonicTime.now
      let result = try association.find(identifier, in: .studyRoot) { _ in
        matches += 1
        return true
      }
      taken.append((MonotonicTime.now - start).inSeconds * 1000)
      guard result.status.isSuccess else { throw Failure(description: "\(result.status)") }
    }
    try association.release()
    print("\(taken.sorted()[times / 2]) \(matches)")
  }
}
