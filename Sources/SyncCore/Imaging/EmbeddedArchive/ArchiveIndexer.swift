import DICOM
import Platform
import SQLite
import Synchronization

/// The thread that makes objects durable and writes the index, in groups: one synchronisation of
/// the file system, then one commit. An object is promised once its group is committed.
///
/// A group is whatever came during 200 ms, or 1024 objects, or less when somebody waits in
/// ``flush()``. On a slow or busy disk, where a synchronisation takes longer than that, the time
/// between two grows with it, up to a second: the disk is not to do nothing else. When the index
/// fails, the group is kept and tried again every second, and ``failure`` tells the storage
/// provider to refuse new objects meanwhile.
///
/// When the synchronisation fails, nothing written until then can be trusted: the kernel reports a
/// lost page once and forgets it, so that a second try would succeed without the data. Those
/// objects were not promised: they are put aside and get no rows, and come again.
final class ArchiveIndexer: Sendable {
  static let groupLimit = 1024
  static let groupTime = Duration.milliseconds(500)
  static let longestGroupTime = Duration.seconds(1)
  static let retryTime = Duration.seconds(1)
  /// Objects that may wait for the disk before storing waits too.
  static let queueLimit = 4096

  private struct Queue {
    var entries: [ArchiveIndex.Entry] = []
    var accepted: UInt64 = 0
    /// Counts the times the disk has failed.
    var epoch: UInt64 = 0
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
  /// Puts the file of an entry where no query finds it.
  private let putAside: @Sendable (ArchiveIndex.Entry) -> Void
  /// syncfs(2), or what a test puts in its place. Returns 0 or an error number.
  private let synchronize: @Sendable (_ descriptor: Int32) -> Int32

  init(
    report: @escaping @Sendable (ArchiveEvent) -> Void,
    putAside: @escaping @Sendable (ArchiveIndex.Entry) -> Void,
    synchronize: @escaping @Sendable (_ descriptor: Int32) -> Int32
  ) {
    self.report = report
    self.putAside = putAside
    self.synchronize = synchronize
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

  /// To be asked before an object's first byte is written.
  var epoch: UInt64 { queue.withLock { $0.epoch } }

  /// Hands over an object that is in its place. Waits while too many are not yet durable.
  /// - Parameter epoch: from before the object was written. False when the disk has failed since:
  ///   then the object is not taken.
  func add(_ entry: ArchiveIndex.Entry, epoch: UInt64) -> Bool {
    let count = queue.withLock { queue -> Int in
      guard queue.epoch == epoch else { return 0 }
      queue.entries.append(entry)
      queue.accepted += 1
      return queue.entries.count
    }
    guard count > 0 else { return false }
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
    return true
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
      if signals.failures > failuresBefore { return .some(signals.failure ?? .closed) }
      return signals.committed >= target ? .some(nil) : nil
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
    var groupTime = Self.groupTime
    while true {
      let isStopping = signals.wait { $0.hasWork || $0.isStopping ? $0.isStopping : nil } ?? true
      if !isStopping {
        _ = signals.wait(until: .after(groupTime)) { signals -> Bool? in
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
      let start = MonotonicTime.now
      guard commitUntilDone(entries, worker) else { return }
      groupTime = min(max(Self.groupTime, (MonotonicTime.now - start) * 2), Self.longestGroupTime)
    }
  }

  /// False when it was stopped without success.
  private func commitUntilDone(_ taken: [ArchiveIndex.Entry], _ worker: Worker) -> Bool {
    var entries = taken
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
        if error is SynchronizationFailure {
          entries += queue.withLock { queue in
            queue.epoch += 1
            defer { queue.entries = [] }
            return queue.entries
          }
          entries.forEach(putAside)
          if !entries.isEmpty { report(.unsynchronized(objects: entries.count)) }
        }
        let failure = ArchiveError.wrapping((error as? SynchronizationFailure)?.cause ?? error)
        let isNew = signals.update { signals -> Bool in
          if error is SynchronizationFailure {
            signals.committed += UInt64(entries.count)
            entries = []
          }
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

  private struct SynchronizationFailure: Error {
    let cause: SystemError
  }

  private func commit(_ entries: [ArchiveIndex.Entry], _ worker: Worker) throws {
    let code = synchronize(worker.descriptor.raw)
    guard code == 0 else {
      throw SynchronizationFailure(
        cause: SystemError(code: code, operation: "syncfs", subject: worker.path))
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
