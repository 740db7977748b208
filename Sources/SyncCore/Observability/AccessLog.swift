import Glibc
import JSON
import Platform
import Synchronization

/// Why nothing can be written into the access log, or why it cannot be believed.
public struct AccessLogError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String
  init(_ description: String) { self.description = description }
}

/// Who has done what with whose examinations (åtkomstlogg; PDL, HSLF-FS 2016:40): append-only, of
/// mode 0600, and chained, so that a line that is changed, moved or taken out is found.
///
/// An entry is on the disk before what it tells of is done. When it cannot be written nothing may
/// be done: it fails closed.
///
/// A file a month, `access-2026-11.log`, one JSON object a line. Each line's `hash` is SHA-256 over
/// the hash of the line before, a line feed, and the line's own text up to its hash.
public final class AccessLog: Sendable {
  public enum Action: String, CaseIterable, Sendable {
    case order, cancel, resend, supplement, hold, release, pause, resume
    case sync, approve, retry, reload
    /// Images or messages begin to leave for a recipient.
    case disclose
    /// An answer has come in.
    case receive
    /// The log itself: opened, repaired, pruned.
    case log

    public init(_ action: AssignmentAction) {
      switch action {
      case .resend: self = .resend
      case .supplement: self = .supplement
      case .cancel: self = .cancel
      case .hold: self = .hold
      case .release: self = .release
      }
    }
  }

  public struct Entry: Sendable, Hashable {
    public var action: Action
    /// `uid:1000 tolvan`, or `service:syncd`.
    public var actor: String
    public var onBehalfOf: String?
    public var careUnit: String?
    public var patientID: String?
    public var system: String?
    public var number: String?
    public var assignment: String?
    public var recipient: String?
    public var result: String
    public var detail: String?

    public init(
      action: Action, actor: String, onBehalfOf: String? = nil, order: SendOrder? = nil,
      assignment: String? = nil, result: String, detail: String? = nil
    ) {
      self.action = action
      self.actor = actor
      self.onBehalfOf = onBehalfOf
      careUnit = order?.examination.careUnit
      patientID = order?.examination.patientID
      system = order?.examination.key.system
      number = order?.examination.key.number
      recipient = order?.recipient
      self.assignment = assignment
      self.result = result
      self.detail = detail
    }
  }

  /// @unchecked: used inside the mutex only.
  private struct State: ~Copyable, @unchecked Sendable {
    var file: FileDescriptor
    var month: String
    var sequence: Int64
    var hash: String
    var failure: AccessLogError?
  }

  public let directory: String
  private let keep: Duration
  private let lock: FileDescriptor
  private let state: Mutex<State>

  /// Of the very first line there is nothing before.
  static let origin = String(repeating: "0", count: 64)

  /// Opens the log, and makes it where there is none. A last line that a crash has cut is moved
  /// into a file of its own, and that is recorded.
  /// - Parameter keep: whole months older than this are removed.
  public init(
    directory: String, keep: Duration = .seconds(1826 * 86400), now: WallTime
  ) throws(AccessLogError) {
    self.directory = directory
    self.keep = keep
    if mkdir(directory, 0o700) != 0, errno != EEXIST {
      throw AccessLogError("\(SystemError.last("mkdir", directory))")
    }
    lock = try Self.system {
      () throws(SystemError) in
      try FileDescriptor.open("\(directory)/lock", O_RDWR | O_CREAT)
    }
    guard flock(lock.raw, LOCK_EX | LOCK_NB) == 0 else {
      throw AccessLogError("\(directory) is in use by another process")
    }
    let torn = try Self.repair(directory, now)
    let last = try Self.last(directory)
    let month = Self.month(now)
    let file = try Self.open(directory, month)
    state = Mutex(
      State(file: file, month: month, sequence: last.sequence, hash: last.hash, failure: nil))
    var opening = Entry(action: .log, actor: "service:syncd", result: "opened")
    if let torn { opening.detail = "a torn last line was moved to \(torn)" }
    try append([opening], now: now)
  }

  /// Writes entries. Returns when all of them are on the disk.
  public func append(_ entries: [Entry], now: WallTime) throws(AccessLogError) {
    if entries.isEmpty { return }
    let directory = self.directory
    let failure = state.withLock { state -> AccessLogError? in
      if let failure = state.failure { return failure }
      do throws(AccessLogError) {
        if Self.month(now) != state.month {
          let month = Self.month(now)
          state.file = try Self.open(directory, month)
          state.month = month
        }
        var bytes: [UInt8] = []
        var hash = state.hash
        var sequence = state.sequence
        for entry in entries {
          sequence += 1
          let text = Self.text(entry, sequence, now)
          hash = Self.chained(hash, text)
          bytes += text + Array("\"hash\":\"\(hash)\"}\n".utf8)
        }
        var status = stat()
        guard fstat(state.file.raw, &status) == 0 else {
          throw AccessLogError("\(SystemError.last("fstat", directory))")
        }
        do throws(AccessLogError) {
          try Self.write(bytes, state.file, directory)
        } catch {
          // A full disk leaves a part of it: without that part all is as before. Where not even
          // that can be had, nobody knows what is there, and the next start looks.
          if ftruncate(state.file.raw, status.st_size) != 0 || fdatasync(state.file.raw) != 0 {
            state.failure = error
          }
          return error
        }
        state.hash = hash
        state.sequence = sequence
        return nil
      } catch {
        return error
      }
    }
    if let failure { throw failure }
  }

  /// A line up to its hash.
  private static func text(_ entry: Entry, _ sequence: Int64, _ now: WallTime) -> [UInt8] {
    var fields: [(String, JSONValue)] = [
      ("sequence", .integer(sequence)), ("time", .string(now.description)),
      ("action", .string(entry.action.rawValue)), ("actor", .string(entry.actor)),
      ("onBehalfOf", JSONValue(entry.onBehalfOf)), ("careUnit", JSONValue(entry.careUnit)),
      ("patientId", JSONValue(entry.patientID)), ("system", JSONValue(entry.system)),
      ("number", JSONValue(entry.number)), ("assignment", JSONValue(entry.assignment)),
      ("recipient", JSONValue(entry.recipient)), ("result", .string(entry.result)),
      ("detail", JSONValue(entry.detail)),
    ]
    fields.removeAll { $0.1.isNull }
    var bytes = compact(fields).serialized()
    bytes.removeLast()
    bytes.append(0x2C)
    return bytes
  }

  private static func chained(_ before: String, _ text: [UInt8]) -> String {
    var hash = SHA256()
    hash.update(Array(before.utf8) + [0x0A])
    hash.update(text)
    return SHA256.hex(hash.finalize())
  }

  private static func write(
    _ bytes: [UInt8], _ file: borrowing FileDescriptor, _ directory: String
  ) throws(AccessLogError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes { buffer in
        Glibc.write(file.raw, buffer.baseAddress! + done, bytes.count - done)
      }
      if count < 0, errno == EINTR { continue }
      guard count > 0 else { throw AccessLogError("\(SystemError.last("write", directory))") }
      done += count
    }
    guard fdatasync(file.raw) == 0 else {
      throw AccessLogError("\(SystemError.last("fdatasync", directory))")
    }
  }

  private static func open(
    _ directory: String, _ month: String
  ) throws(AccessLogError) -> FileDescriptor {
    let path = "\(directory)/access-\(month).log"
    let file = try system {
      () throws(SystemError) in
      try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_APPEND)
    }
    _ = fchmod(file.raw, 0o600)
    // The name itself must outlive a power cut.
    let folder = try system {
      () throws(SystemError) in
      try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
    }
    guard fsync(folder.raw) == 0 else {
      throw AccessLogError("\(SystemError.last("fsync", directory))")
    }
    return file
  }

  private static func system<T: ~Copyable>(
    _ body: () throws(SystemError) -> T
  ) throws(AccessLogError) -> T {
    do throws(SystemError) { return try body() } catch { throw AccessLogError("\(error)") }
  }

  private static func month(_ time: WallTime) -> String { String(time.description.prefix(7)) }

  // MARK: - Reading

  /// The files, oldest first.
  static func files(_ directory: String) throws(AccessLogError) -> [String] {
    guard let folder = opendir(directory) else {
      throw AccessLogError("\(SystemError.last("open", directory))")
    }
    defer { closedir(folder) }
    var names: [String] = []
    while let entry = readdir(folder) {
      let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
        pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name.hasPrefix("access-"), name.hasSuffix(".log") { names.append(name) }
    }
    return names.sorted()
  }

  private static func contents(_ path: String) throws(AccessLogError) -> [UInt8] {
    try system { () throws(SystemError) in
      try FileDescriptor.contents(of: path, atMost: 4 << 30)
    }
  }

  /// Cuts off a last line without its end. Returns where it has gone.
  private static func repair(
    _ directory: String, _ now: WallTime
  ) throws(AccessLogError) -> String? {
    guard let name = try files(directory).last else { return nil }
    let path = "\(directory)/\(name)"
    let bytes = try contents(path)
    guard let last = bytes.last, last != 0x0A else { return nil }
    let start = (bytes.lastIndex(of: 0x0A) ?? -1) + 1
    let aside = "torn-\(now.milliseconds).txt"
    let file = try system { () throws(SystemError) in
      try FileDescriptor.open("\(directory)/\(aside)", O_WRONLY | O_CREAT | O_EXCL)
    }
    _ = fchmod(file.raw, 0o600)
    try write(Array(bytes[start...]), file, directory)
    guard truncate(path, off_t(start)) == 0 else {
      throw AccessLogError("\(SystemError.last("truncate", path))")
    }
    return aside
  }

  private struct Last {
    var sequence: Int64 = 0
    var hash = AccessLog.origin
  }

  private static func last(_ directory: String) throws(AccessLogError) -> Last {
    for name in try files(directory).reversed() {
      let bytes = try contents("\(directory)/\(name)")
      guard let line = bytes.split(separator: 0x0A).last else { continue }
      guard let value = try? JSONValue.parse(Array(line)),
        let sequence = value["sequence"]?.intValue, let hash = value["hash"]?.stringValue
      else { throw AccessLogError("\(directory)/\(name): the last line is no entry") }
      return Last(sequence: sequence, hash: hash)
    }
    return Last()
  }

  /// Walks the chain.
  /// - Returns: the number of entries.
  /// - Throws: the first place where it is broken.
  public static func verify(directory: String) throws(AccessLogError) -> Int {
    var before: String?
    var sequence: Int64?
    var count = 0
    for name in try files(directory) {
      let bytes = try contents("\(directory)/\(name)")
      var number = 0
      for line in bytes.split(separator: 0x0A, omittingEmptySubsequences: false) {
        number += 1
        if line.isEmpty { continue }
        let place = "\(name), line \(number)"
        guard let value = try? JSONValue.parse(Array(line)),
          let found = value["sequence"]?.intValue, let hash = value["hash"]?.stringValue,
          let cut = Self.cut(line, hash)
        else { throw AccessLogError("\(place): is no entry") }
        if let sequence, found != sequence + 1 {
          throw AccessLogError(
            "\(place): entry \(found) follows entry \(sequence): lines are missing or moved")
        }
        // Months that were removed in time leave a first line whose predecessor is gone.
        if let before, chained(before, Array(cut)) != hash {
          throw AccessLogError("\(place): entry \(found) has been changed, or one before it")
        }
        if before == nil, found == 1, chained(origin, Array(cut)) != hash {
          throw AccessLogError("\(place): entry 1 has been changed")
        }
        before = hash
        sequence = found
        count += 1
      }
    }
    return count
  }

  /// The line up to its hash.
  private static func cut(_ line: ArraySlice<UInt8>, _ hash: String) -> ArraySlice<UInt8>? {
    let tail = Array("\"hash\":\"\(hash)\"}".utf8)
    guard line.count > tail.count, line.suffix(tail.count).elementsEqual(tail) else { return nil }
    return line.dropLast(tail.count)
  }

  /// Removes the months that nobody needs to keep any more, but never the latest.
  public func prune(now: WallTime) throws(AccessLogError) {
    let oldest = "access-\(Self.month(now - keep)).log"
    let names = try Self.files(directory)
    for name in names.dropLast() where name < oldest {
      unlink("\(directory)/\(name)")
      try append(
        [Entry(action: .log, actor: "service:syncd", result: "removed", detail: name)], now: now)
    }
  }
}

/// The dispatcher's own entries: what leaves, and what comes in.
extension AccessLog: DisclosureLog {
  public func disclose(_ assignments: [AssignmentRecord], now: WallTime) throws {
    try append(
      assignments.map {
        Entry(
          action: .disclose, actor: "service:syncd", order: $0.order, assignment: $0.name,
          result: "begins")
      }, now: now)
  }

  public func received(_ assignment: AssignmentRecord, what: String, now: WallTime) throws {
    try append(
      [
        Entry(
          action: .receive, actor: "service:syncd", order: assignment.order,
          assignment: assignment.name, result: "received", detail: what)
      ], now: now)
  }
}
