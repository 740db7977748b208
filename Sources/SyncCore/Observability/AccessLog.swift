import Glibc
import Platform
import Synchronization

/// Why nothing, or nothing more, is recorded in the access log. Then nothing may be done either.
public enum AccessLogError: Error, Sendable, CustomStringConvertible {
  /// Another process writes the log.
  case inUse(directory: String)
  /// Nothing was recorded; a later try may succeed.
  case system(SystemError)
  /// Nobody knows whether it was recorded. Nothing more is, until the log is opened anew.
  case unknownOutcome(String)
  /// The files are not as they were written. Nothing is recorded until somebody has looked.
  case broken(AccessLog.Break)
  /// The clock shows a time that cannot be.
  case clock(WallTime)

  public var description: String {
    switch self {
    case .inUse(let directory): "the access log in \(directory) is in use by another process"
    case .system(let error): "access log: \(error)"
    case .unknownOutcome(let text): "the access log has failed and must be opened anew: \(text)"
    case .broken(let place):
      "the access log is broken at \(place); move its directory away, keep it, and find out why"
    case .clock(let time): "the access log does not take the time \(time): the clock is wrong"
    }
  }
}

/// The record of who had to do with whose data (PDL; HSLF-FS 2016:40): append-only and hash-chained,
/// durable before the effect. Where it cannot be written, nothing may be done.
///
/// A file a month, a JSON object a line, `access.head` to tell where the end was. A power cut can
/// leave an unfinished batch at the end: nobody was told that it counted. At the next start it is
/// moved to a file of its own, and the chain says so.
public final class AccessLog: Sendable {
  public static let defaultKeep: Duration = .seconds(1826 * 86400)

  private struct State: ~Copyable {
    var last: AccessLogLine.Link
    var lastTime: WallTime
    var month: String
    /// Nil before the first entry.
    var file: FileDescriptor?
    var length: Int64
    let head: FileDescriptor
    let lock: FileDescriptor
    var failure: String?
  }

  private let folder: AccessLogFolder
  private let state: Mutex<State>
  /// fdatasync(2), or what a test puts in its place; 0 or an error number.
  private let synchronize: @Sendable (Int32) -> Int32

  /// Opens the log, made where there is none, and repairs what a power cut has left.
  /// - Throws: where it is in use, cannot be written, or is not as it was written.
  public static func open(
    directory: String, now: WallTime
  ) throws(AccessLogError) -> AccessLog {
    try open(directory: directory, now: now) { fdatasync($0) == 0 ? 0 : errno }
  }

  static func open(
    directory: String, now: WallTime, synchronize: @escaping @Sendable (Int32) -> Int32
  ) throws(AccessLogError) -> AccessLog {
    let folder = AccessLogFolder(path: directory)
    let opening: AccessLogRecovery
    let state: State
    do throws(SystemError) { try folder.make() } catch { throw .system(error) }
    let lock = try folder.lock()
    opening = try AccessLogRecovery(folder, now: now)
    do throws(SystemError) {
      let head = try folder.openHead(opening.last)
      state = State(
        last: opening.last, lastTime: opening.lastTime, month: opening.month, file: nil, length: 0,
        head: head, lock: lock, failure: nil)
    } catch {
      throw .system(error)
    }
    let log = AccessLog(folder, state, synchronize)
    try log.append(opening.entries, now: now)
    do throws(SystemError) { try opening.finish() } catch { throw .system(error) }
    return log
  }

  private init(
    _ folder: AccessLogFolder, _ state: consuming sending State,
    _ synchronize: @escaping @Sendable (Int32) -> Int32
  ) {
    self.folder = folder
    self.state = Mutex(state)
    self.synchronize = synchronize
  }

  /// The number and the hash of the last entry: kept elsewhere they prove that the log has not been
  /// made anew. Nothing of a patient is in them.
  public var head: (sequence: Int64, hash: String) {
    state.withLock { ($0.last.sequence, SHA256.hex($0.last.hash)) }
  }

  /// Records entries, all of them or none, and returns when they are on the disk.
  /// - Throws: ``AccessLogError``; what they tell of must not be done then. After `unknownOutcome`
  ///   and `broken` every later call throws as well, until the log is opened anew.
  public func append(_ entries: [Entry], now: WallTime) throws(AccessLogError) {
    if entries.isEmpty { return }
    try state.withLock { (state) throws(AccessLogError) in
      try append(entries, now: now, &state)
    }
  }

  /// - Parameter pruned: with an entry that tells of pruning.
  private func append(
    _ entries: [Entry], now: WallTime, pruned: AccessLogLine.Link? = nil, _ state: inout State
  ) throws(AccessLogError) {
    if let failure = state.failure { throw .unknownOutcome(failure) }
    guard let month = AccessLogFolder.month(of: now) else { throw .clock(now) }
    try select(max(month, state.month), &state)
    var bytes: [UInt8] = []
    var last = state.last
    for (index, entry) in entries.enumerated() {
      let line = AccessLogLine.encode(
        entry, after: last, at: now, left: entries.count - 1 - index, pruned: pruned)
      bytes += line.bytes
      last = line.link
    }
    try write(bytes, &state)
    state.last = last
    state.lastTime = now
    state.length += Int64(bytes.count)
    // Not forced to the disk: an old mark is behind the log and thus right.
    do throws(SystemError) {
      try AccessLogFolder.write(last, to: state.head)
    } catch {
      // The entries are safe. Only the proof of where they end is late, until the next one.
    }
  }

  /// Opens the file of a month. The files' order is that of the chain: a clock that is set back does
  /// not lead back to an earlier one.
  private func select(_ month: String, _ state: inout State) throws(AccessLogError) {
    if state.file != nil, month == state.month { return }
    do throws(SystemError) {
      let file = try folder.openForAppending(AccessLogFolder.name(ofMonth: month))
      state.length = try AccessLogFolder.size(file)
      state.file = consume file
      state.month = month
    } catch {
      throw .system(error)
    }
  }

  private func write(_ bytes: [UInt8], _ state: inout State) throws(AccessLogError) {
    var failure: SystemError?
    var isUnknown: String?
    let expected = state.length
    switch state.file {
    case .some(let file):
      do throws(SystemError) {
        let size = try AccessLogFolder.size(file)
        if size != expected {
          isUnknown = "the file has \(size) bytes, but \(expected) were written"
        } else {
          var inner: SystemError?
          bytes.withUnsafeBytes { buffer in
            do throws(SystemError) { try file.writeAll(buffer) } catch { inner = error }
          }
          if let inner {
            // Nothing of it is left, or nobody knows.
            if ftruncate(file.raw, off_t(expected)) != 0 { isUnknown = "\(inner)" }
            throw inner
          }
          let code = synchronize(file.raw)
          if code != 0 {
            let error = SystemError(code: code, operation: "fdatasync")
            isUnknown = "\(error)"
          }
        }
      } catch {
        failure = error
      }
    case .none: isUnknown = "no file is open"
    }
    if let isUnknown {
      state.failure = isUnknown
      throw .unknownOutcome(isUnknown)
    }
    if let failure { throw .system(failure) }
  }

  /// Removes the months that are older than `keep` as a whole. The chain says where it begins then,
  /// before anything is removed.
  ///
  /// Age counts from the earlier of now and the last entry: a clock that jumps into the future does
  /// not remove anything before something has been recorded at that time.
  /// - Returns: the names of the files that are gone.
  @discardableResult
  public func prune(keep: Duration, now: WallTime) throws(AccessLogError) -> [String] {
    try state.withLock { (state) throws(AccessLogError) -> [String] in
      if let failure = state.failure { throw .unknownOutcome(failure) }
      let old: [String]
      let start: AccessLogLine.Link
      do throws(SystemError) {
        let limit = min(now, state.lastTime) + (.zero - keep)
        old = try folder.old(at: limit, current: state.month)
        if old.isEmpty { return [] }
        // The entry that tells of it is the first one where no other is left.
        start = try folder.start(without: old) ?? state.last
      } catch {
        throw .system(error)
      }
      var entry = Entry(.prune, result: "done")
      entry.detail =
        "older than \(DurationText.format(keep)): " + old.joined(separator: ", ")
      try append([entry], now: now, pruned: start, &state)
      do throws(SystemError) { try folder.remove(old) } catch { throw .system(error) }
      return old
    }
  }
}
