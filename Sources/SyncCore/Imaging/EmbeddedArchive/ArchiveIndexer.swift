import CLinux
import DICOM
import Platform
import SQLite
import Synchronization

/// The thread that makes objects durable and writes the index, in groups: one synchronisation of
/// the file system, then one commit. An object is promised once its group is committed.
///
/// A group is whatever came during 50 ms, or 256 objects, or less when somebody waits in
/// ``flush()``. When the disk or the index fails, the group is kept and tried again every second,
/// and ``failure`` tells the storage provider to refuse new objects meanwhile.
final class ArchiveIndexer: Sendable {
  static let groupLimit = 256
  static let groupTime = Duration.milliseconds(50)
  static let retryTime = Duration.seconds(1)
  /// Objects that may wait for the disk before storing waits too.
  static let queueLimit = 4096

  private struct Queue {
    var entries: [ArchiveIndex.Entry] = []
    var accepted: UInt64 = 0
  }

  private struct Signals {
    var hasWork = false
    var isUrgent = false
    var isStopping = false
    var committed: UInt64 = 0
    var failures: UInt64 = 0
    var failure: ArchiveError?
  }

  private let queue = Mutex(Queue())
  private let signals = Monitor(Signals())
  private let thread = Mutex<WorkThread?>(nil)
  private let report: @Sendable (ArchiveEvent) -> Void

  init(report: @escaping @Sendable (ArchiveEvent) -> Void) {
    self.report = report
  }

  /// - Parameter descriptor: of the archive's directory, for syncfs(2). Opened before anything is
  ///   written, since it reports the errors since it was opened.
  func start(_ index: sending ArchiveIndex, path: String, descriptor: consuming FileDescriptor) {
    let worker = Worker(index: index, path: path, descriptor: descriptor.release())
    thread.withLock {
      $0 = WorkThread.start("archive index") { [self] in
        run(worker)
        close(worker)
      }
    }
  }

  /// What only the thread touches.
  private final class Worker: @unchecked Sendable {
    var index: ArchiveIndex?
    let path: String
    let descriptor: FileDescriptor

    init(index: ArchiveIndex, path: String, descriptor: Int32) {
      self.index = index
      self.path = path
      self.descriptor = FileDescriptor(owning: descriptor)
    }
  }

  /// Why the last attempt to commit failed, until one succeeds.
  var failure: ArchiveError? { signals.read { $0.failure } }

  /// Hands over an object that is in its place. Waits while too many are not yet durable.
  func add(_ entry: ArchiveIndex.Entry) {
    let count = queue.withLock { queue in
      queue.entries.append(entry)
      queue.accepted += 1
      return queue.entries.count
    }
    // The thread is not woken for every object: only to start a group, and to end a full one.
    if count == 1 || count == Self.groupLimit {
      signals.update {
        $0.hasWork = true
        if count >= Self.groupLimit { $0.isUrgent = true }
      }
    }
    if count >= Self.queueLimit {
      _ = signals.wait(until: .after(.seconds(30))) { signals -> Bool? in
        signals.failure != nil || queue.withLock({ $0.entries.count }) < Self.queueLimit
          ? true : nil
      }
    }
  }

  /// Returns when every object handed over before the call is durable and has its row.
  func flush() throws(ArchiveError) {
    let target = queue.withLock { $0.accepted }
    if signals.read({ $0.committed >= target }) { return }
    let failuresBefore = signals.update { signals -> UInt64 in
      signals.isUrgent = true
      signals.hasWork = true
      return signals.failures
    }
    let failure = signals.wait { signals -> ArchiveError?? in
      if signals.committed >= target { return .some(nil) }
      if signals.failures > failuresBefore { return .some(signals.failure ?? .closed) }
      return nil
    }
    if let failure, let failure { throw failure }
  }

  /// Makes everything durable and ends the thread.
  func stop() {
    signals.update { $0.isStopping = true }
    thread.withLock({ $0 })?.join()
  }

  // MARK: The thread

  private func run(_ worker: Worker) {
    while true {
      let isStopping = signals.wait { $0.hasWork || $0.isStopping ? $0.isStopping : nil } ?? true
      if !isStopping {
        _ = signals.wait(until: .after(Self.groupTime)) { signals -> Bool? in
          signals.isUrgent || signals.isStopping ? true : nil
        }
      }
      // Before taking the entries: whoever adds one after that raises it again.
      signals.update {
        $0.hasWork = false
        $0.isUrgent = false
      }
      let entries = queue.withLock { queue in
        let taken = queue.entries
        queue.entries = []
        return taken
      }
      if entries.isEmpty {
        if isStopping { return }
        continue
      }
      guard commitUntilDone(entries, worker) else { return }
    }
  }

  /// False when it was stopped without success.
  private func commitUntilDone(_ entries: [ArchiveIndex.Entry], _ worker: Worker) -> Bool {
    while true {
      do {
        try commit(entries, worker)
        let wasFailing = signals.update { signals -> Bool in
          signals.committed += UInt64(entries.count)
          defer { signals.failure = nil }
          return signals.failure != nil
        }
        if wasFailing { report(.indexRecovered) }
        return true
      } catch {
        let failure = ArchiveError.wrapping(error)
        let isNew = signals.update { signals -> Bool in
          defer { signals.failure = failure }
          signals.failures += 1
          signals.isUrgent = false
          return signals.failure == nil
        }
        if isNew { report(.indexFailed(failure)) }
        let isStopping =
          signals.wait(until: .after(Self.retryTime)) { signals -> Bool? in
            signals.isStopping ? true : signals.isUrgent ? false : nil
          } ?? false
        if isStopping { return false }
        signals.update { $0.isUrgent = false }
      }
    }
  }

  private func commit(_ entries: [ArchiveIndex.Entry], _ worker: Worker) throws {
    guard clinux_syncfs(worker.descriptor.raw) == 0 else {
      throw SystemError.last("syncfs", worker.path)
    }
    let index = try worker.index ?? ArchiveIndex(path: worker.path)
    worker.index = index
    do {
      try index.write(entries)
    } catch {
      // Whatever state the connection is in: the next attempt starts from a new one.
      worker.index = nil
      throw error
    }
  }

  private func close(_ worker: Worker) {
    let isComplete = queue.withLock { $0.entries.isEmpty } && failure == nil
    if isComplete, let index = worker.index {
      // Failing to note it only makes the next start look at every file.
      try? index.setState(isClean: true, boot: "")
      try? index.database.checkpoint()
    }
    worker.index = nil
    signals.update {
      $0.failures += 1
      if $0.failure == nil { $0.failure = .closed }
    }
  }
}
