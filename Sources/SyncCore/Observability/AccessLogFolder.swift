import Glibc
import JSON
import Platform

/// The files of an access log: a file a month, the mark of the log's end, and what was moved aside.
struct AccessLogFolder {
  let path: String

  func file(_ name: String) -> String { path + "/" + name }

  static let headName = "access.head"
  static let tornPrefix = "access.torn-"
  /// A torn end whose entry is not known to be in the log yet.
  static let unrecorded = ".new"

  // MARK: - Months

  /// `2026-11` of `access-2026-11.log`.
  static func month(ofFile name: String) -> String? {
    guard name.utf8.count == 18, name.hasPrefix("access-"), name.hasSuffix(".log") else {
      return nil
    }
    let month = String(name.dropFirst(7).dropLast(4))
    return end(ofMonth: month) == nil ? nil : month
  }

  static func name(ofMonth month: String) -> String { "access-\(month).log" }

  /// Nil for a time whose year has not four digits: the clock is wrong.
  static func month(of time: WallTime) -> String? {
    guard time.milliseconds >= 0, time.milliseconds < 253_402_300_800_000 else { return nil }
    return String(time.description.prefix(7))
  }

  /// The first moment after a month.
  static func end(ofMonth text: String) -> WallTime? {
    guard text.utf8.count == 7, WallTime(rfc3339: "\(text)-01T00:00:00Z") != nil,
      let year = Int(text.prefix(4)), let month = Int(text.suffix(2))
    else { return nil }
    let (nextYear, nextMonth) = month == 12 ? (year + 1, 1) : (year, month + 1)
    func digits(_ number: Int, _ width: Int) -> String {
      let text = String(number)
      return String(repeating: "0", count: max(0, width - text.count)) + text
    }
    return WallTime(rfc3339: "\(digits(nextYear, 4))-\(digits(nextMonth, 2))-01T00:00:00Z")
  }

  // MARK: - The directory

  /// The names of the months' files, oldest first.
  func logs() throws(SystemError) -> [String] {
    try ArchiveDirectory.names(in: path).filter { Self.month(ofFile: $0) != nil }.sorted()
  }

  func make() throws(SystemError) {
    if mkdir(path, 0o700) == 0 {
      let parent = path.split(separator: "/").dropLast().joined(separator: "/")
      try Self.synchronize(directory: "/" + parent)
    } else if errno != EEXIST {
      throw .last("mkdir", path)
    }
  }

  /// Makes new and removed names durable.
  func synchronize() throws(SystemError) { try Self.synchronize(directory: path) }

  private static func synchronize(directory: String) throws(SystemError) {
    let descriptor = try FileDescriptor.open(directory, O_RDONLY | O_DIRECTORY)
    if fsync(descriptor.raw) != 0 { throw .last("fsync", directory) }
  }

  /// Holds the log against other writers as long as the descriptor lives.
  func lock() throws(AccessLogError) -> FileDescriptor {
    do throws(SystemError) {
      let lock = try FileDescriptor.open(file("lock"), O_RDWR | O_CREAT | O_NOFOLLOW)
      if flock(lock.raw, LOCK_EX | LOCK_NB) == 0 { return lock }
      throw .last("flock", file("lock"))
    } catch {
      throw error.code == EWOULDBLOCK ? .inUse(directory: path) : .system(error)
    }
  }

  static func size(_ descriptor: borrowing FileDescriptor) throws(SystemError) -> Int64 {
    var status = stat()
    if fstat(descriptor.raw, &status) != 0 { throw .last("fstat") }
    return Int64(status.st_size)
  }

  /// Opens a month's file to add to it. Nobody else may read it, whoever made it.
  func openForAppending(_ name: String) throws(SystemError) -> FileDescriptor {
    let path = file(name)
    let flags = O_WRONLY | O_APPEND | O_NOFOLLOW
    let isNew = access(path, F_OK) != 0
    let descriptor = try FileDescriptor.open(path, isNew ? flags | O_CREAT : flags)
    if fchmod(descriptor.raw, 0o600) != 0 { throw .last("fchmod", path) }
    if isNew { try synchronize() }
    return descriptor
  }

  // MARK: - Old months

  /// The files all of whose entries are older than a time; never the one that is written.
  func old(at limit: WallTime, current: String) throws(SystemError) -> [String] {
    func isOld(_ month: String) -> Bool {
      month < current && Self.end(ofMonth: month).map { $0 <= limit } == true
    }
    let aside = try ArchiveDirectory.names(in: path).filter {
      $0.hasPrefix(Self.tornPrefix) && isOld(String($0.dropFirst(Self.tornPrefix.count).prefix(7)))
    }
    return try logs().filter { Self.month(ofFile: $0).map(isOld) == true } + aside.sorted()
  }

  /// The place in the chain before the first entry that is left; nil where none is.
  func start(without removed: [String]) throws(SystemError) -> AccessLogLine.Link? {
    for name in try logs() where !removed.contains(name) {
      var reader = try AccessLogReader(file(name))
      guard let line = try reader.next() else { continue }
      guard line.isComplete, let entry = try? AccessLogLine.decode(line.bytes) else {
        throw SystemError(code: EBADMSG, operation: "read", subject: file(name))
      }
      return AccessLogLine.Link(sequence: entry.link.sequence - 1, hash: entry.previous)
    }
    return nil
  }

  func remove(_ names: [String]) throws(SystemError) {
    for name in names where unlink(file(name)) != 0 && errno != ENOENT {
      throw .last("unlink", file(name))
    }
    try synchronize()
  }

  // MARK: - The mark of the end

  /// The mark has one size, so that it is written in place and in one piece.
  private static let headSize = 128

  /// The last entry that was acknowledged, or one before it; nil where the mark is missing or cannot
  /// be read.
  func head() throws(SystemError) -> AccessLogLine.Link? {
    var bytes: [UInt8]?
    do throws(SystemError) {
      var reader = try AccessLogReader(file(Self.headName))
      bytes = try reader.next()?.bytes
    } catch {
      if error.code == ENOENT { return nil }
      throw error
    }
    guard let bytes, let value = try? JSONValue.parse(bytes),
      let sequence = value["sequence"]?.intValue,
      sequence >= 0, let hash = value["hash"]?.stringValue.flatMap(AccessLogLine.hash)
    else { return nil }
    return AccessLogLine.Link(sequence: sequence, hash: hash)
  }

  /// Opens the mark, made where it is missing, and writes it durably.
  func openHead(_ link: AccessLogLine.Link) throws(SystemError) -> FileDescriptor {
    let path = file(Self.headName)
    let descriptor = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_NOFOLLOW)
    if fchmod(descriptor.raw, 0o600) != 0 { throw .last("fchmod", path) }
    if ftruncate(descriptor.raw, off_t(Self.headSize)) != 0 { throw .last("ftruncate", path) }
    try Self.write(link, to: descriptor)
    try descriptor.synchronize()
    try synchronize()
    return descriptor
  }

  static func write(
    _ link: AccessLogLine.Link, to head: borrowing FileDescriptor
  ) throws(SystemError) {
    let object: JSONValue = [
      "sequence": .integer(link.sequence), "hash": .string(SHA256.hex(link.hash)),
    ]
    var bytes = object.serialized()
    while bytes.count < headSize - 1 { bytes.append(0x20) }
    bytes.append(0x0A)
    try write(bytes, to: head, at: 0)
  }

  static func write(
    _ bytes: [UInt8], to file: borrowing FileDescriptor, at offset: Int64
  ) throws(SystemError) {
    var written = 0
    while written < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(
          file.raw, $0.baseAddress! + written, $0.count - written, off_t(offset) + off_t(written))
      }
      if count >= 0 {
        written += count
      } else if errno != EINTR {
        throw .last("pwrite")
      }
    }
  }
}

/// Reads a file line by line, without holding more of it than a line.
struct AccessLogReader: ~Copyable {
  struct Line {
    /// Without the line's end.
    var bytes: [UInt8]
    /// False at the end of a file that does not end with a line's end, and for a line without bounds.
    var isComplete: Bool
    /// Where the next line begins.
    var end: Int64
  }

  private let file: FileDescriptor
  private var buffer: [UInt8] = []
  private var start = 0
  private var searched = 0
  private var offset: Int64 = 0
  private var isAtEnd = false

  init(_ path: String) throws(SystemError) {
    file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
  }

  mutating func next() throws(SystemError) -> Line? {
    while true {
      if let newline = lineEnd() {
        let bytes = Array(buffer[start..<newline])
        offset += Int64(bytes.count + 1)
        start = newline + 1
        searched = start
        return Line(bytes: bytes, isComplete: true, end: offset)
      }
      searched = buffer.count
      if isAtEnd || buffer.count - start > AccessLogLine.longestLine {
        isAtEnd = true
        if start == buffer.count { return nil }
        let bytes = Array(buffer[start...])
        offset += Int64(bytes.count)
        start = buffer.count
        return Line(bytes: bytes, isComplete: false, end: offset)
      }
      try fill()
    }
  }

  private func lineEnd() -> Int? {
    buffer.withUnsafeBytes { bytes in
      guard searched < bytes.count, let start = bytes.baseAddress,
        let found = memchr(start + searched, 0x0A, bytes.count - searched)
      else { return nil }
      return start.distance(to: UnsafeRawPointer(found))
    }
  }

  private mutating func fill() throws(SystemError) {
    buffer.removeFirst(start)
    searched -= start
    start = 0
    var failure: SystemError?
    let chunk = [UInt8](unsafeUninitializedCapacity: 64 << 10) { bytes, count in
      do throws(SystemError) {
        count = try file.read(into: UnsafeMutableRawBufferPointer(bytes))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    isAtEnd = chunk.isEmpty
    buffer += chunk
  }
}
