import CLinux
import DICOM
import Glibc
import Platform
import SQLite
import Synchronization

/// An image archive of our own (AE VGRSECTEMP): one Part 10 file an object, and an SQLite index.
///
/// Storing acknowledges an object when its file has its place; it is *promised* - it survives a
/// power cut and queries find it - once its group is committed, at most some tenths of a second
/// later. ``flush()`` waits for that, and every query of this API and of the network does so first:
/// a reader sees what was acknowledged before it asked.
public final class EmbeddedArchive: Sendable {
  public struct Configuration: Sendable {
    /// The archive's own directory; made if missing.
    public var directory: String
    /// Answered as Retrieve AE Title (0008,0054).
    public var aeTitle: String
    /// Objects are refused (A700) while less than this is free, in bytes.
    public var minimumFree: Int64
    /// Written into the File Meta Information: who made the file.
    public var identity: ImplementationIdentity

    public init(
      directory: String, aeTitle: String = "VGRSECTEMP", minimumFree: Int64 = 1 << 30,
      identity: ImplementationIdentity = .ours
    ) {
      self.directory = directory
      self.aeTitle = aeTitle
      self.minimumFree = minimumFree
      self.identity = identity
    }
  }

  public let configuration: Configuration
  let directory: ArchiveDirectory
  let indexer: ArchiveIndexer
  let reader: ArchiveReader
  let report: @Sendable (ArchiveEvent) -> Void
  /// The storage commitments that we have asked others for: their reports may come to our server.
  public let commitments = CommitmentDesk()
  private let lock: FileDescriptor
  private let temporaryNumber = Atomic<UInt64>(0)
  private let isDiskLow = Atomic<Bool>(false)
  private let isClosed = Atomic<Bool>(false)

  /// Opens an archive, recovering from a crash where there was one.
  /// - Parameter report: told what an operator should know, from any thread.
  /// - Throws: ``ArchiveError``: in use by another process, or not readable or writable.
  public static func open(
    _ configuration: Configuration, report: @escaping @Sendable (ArchiveEvent) -> Void = { _ in }
  ) throws(ArchiveError) -> EmbeddedArchive {
    try open(configuration, synchronize: { clinux_syncfs($0) == 0 ? 0 : errno }, report: report)
  }

  /// ``open(_:report:)`` with another way to synchronise the file system, for tests.
  static func open(
    _ configuration: Configuration, synchronize: @escaping @Sendable (Int32) -> Int32,
    report: @escaping @Sendable (ArchiveEvent) -> Void
  ) throws(ArchiveError) -> EmbeddedArchive {
    do {
      return try EmbeddedArchive(configuration, synchronize, report)
    } catch {
      throw .wrapping(error)
    }
  }

  private init(
    _ configuration: Configuration, _ synchronize: @escaping @Sendable (Int32) -> Int32,
    _ report: @escaping @Sendable (ArchiveEvent) -> Void
  ) throws {
    self.configuration = configuration
    self.report = report
    directory = ArchiveDirectory(path: configuration.directory)
    try directory.create()
    lock = try directory.lock()
    // Before anything is written: syncfs(2) reports the errors since its descriptor was opened.
    let descriptor = try FileDescriptor.open(directory.path, O_RDONLY | O_DIRECTORY)
    let index = try ArchiveRecovery(directory: directory, report: report).open()
    reader = try ArchiveReader(path: directory.index)
    indexer = ArchiveIndexer(
      report: report,
      putAside: { [directory] entry in
        // If even this fails, the next start finds the file without a row and looks at it.
        switch entry {
        case .object(let object):
          try? directory.putAside(directory.object(object.header.sopInstance))
        case .conflict(let object, let number):
          try? directory.putAside(directory.conflict(object.header.sopInstance, number))
        }
      }, synchronize: synchronize)
    indexer.start(index, path: directory.index, descriptor: descriptor)
  }

  deinit { close() }

  /// Makes everything durable and closes the archive. Storing and querying fail afterwards. Stop
  /// the server first: objects still on their way then are lost, as if the peer had been cut off.
  public func close() {
    if isClosed.exchange(true, ordering: .acquiringAndReleasing) { return }
    indexer.stop()
  }

  /// Returns when every object acknowledged before the call is on the disk and has its row.
  public func flush() throws(ArchiveError) { try indexer.flush() }

  // MARK: Storing

  /// Whether an object may come now.
  func checkAccepting() throws(ServiceFailure) {
    if isClosed.load(ordering: .acquiring) {
      throw ServiceFailure(.outOfResources, "the archive is closing")
    }
    if indexer.failure != nil {
      throw ServiceFailure(.outOfResources, "the archive's index is not writable")
    }
    try checkSpace()
  }

  /// Throws A700 when the disk is low. A statvfs(2) costs a microsecond, so it is asked each time.
  func checkSpace() throws(ServiceFailure) {
    let free: Int64
    do throws(SystemError) {
      free = try directory.space().free
    } catch {
      throw ServiceFailure(.outOfResources, "the archive's disk cannot be read")
    }
    if free < configuration.minimumFree {
      noteDiskLow(free)
      throw ServiceFailure(.outOfResources, "the archive's disk is low")
    }
    if isDiskLow.exchange(false, ordering: .relaxed) { report(.diskRecovered(free: free)) }
  }

  func noteDiskLow(_ free: Int64? = nil) {
    if isDiskLow.exchange(true, ordering: .relaxed) { return }
    report(
      .diskLow(
        free: free ?? (try? directory.space().free) ?? 0, minimum: configuration.minimumFree))
  }

  func nextTemporary() -> String {
    directory.temporary(
      temporaryNumber.wrappingAdd(1, ordering: .relaxed).newValue)
  }
}

extension EmbeddedArchive: StorageProvider {
  public func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink {
    try checkAccepting()
    return try ObjectSink(request, self)
  }
}
