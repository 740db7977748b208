import CLinux
import Glibc
import Platform

/// Finds the end of the chain when the log is opened, and moves aside what a power cut has left
/// behind it.
///
/// Only the last month is read. That everything before it is unchanged is for
/// ``AccessLog/verify(directory:)`` to say.
struct AccessLogRecovery {
  private(set) var last = AccessLogLine.Link.origin
  private(set) var lastTime = WallTime(milliseconds: 0)
  /// The month of the newest file; empty where there is none.
  private(set) var month = ""
  /// What the chain must be told of.
  private(set) var entries: [AccessLog.Entry] = []

  private let folder: AccessLogFolder
  /// Torn ends, until the chain tells of them.
  private var aside: [String] = []

  /// The end of one file.
  private struct End {
    let name: String
    /// The last entry of the last whole batch.
    var last: (link: AccessLogLine.Link, time: WallTime)?
    /// Where that batch ends, and how many lines there are up to there.
    var offset: Int64 = 0
    var lines = 0
    /// Where the entry ends that the mark tells of, if it is here.
    var confirmed: Int64 = 0
    var size: Int64 = 0
    /// What is wrong with the first line that does not belong to the chain.
    var fault: String?
    /// It has the number of the mark's entry, and is another one.
    var isReplaced = false

    func broken(_ text: String) -> AccessLog.Break {
      AccessLog.Break(file: name, line: lines + 1, text: text)
    }
  }

  init(_ folder: AccessLogFolder, now: WallTime) throws(AccessLogError) {
    self.folder = folder
    if AccessLogFolder.month(of: now) == nil { throw .clock(now) }
    let broken: AccessLog.Break?
    do throws(SystemError) { broken = try recover(now) } catch { throw .system(error) }
    if let broken { throw .broken(broken) }
  }

  /// - Returns: where the log is not as it was written. Nothing has been changed then.
  private mutating func recover(_ now: WallTime) throws(SystemError) -> AccessLog.Break? {
    let head = try folder.head()
    let logs = try folder.logs()
    month = logs.last.flatMap(AccessLogFolder.month(ofFile:)) ?? ""
    var found: End?
    var torn: End?
    for name in logs.reversed() {
      let end = try readEnd(name, head)
      if end.isReplaced {
        return end.broken("is not the entry that \(AccessLogFolder.headName) tells of")
      }
      if end.offset < end.size {
        // Only behind the very last batch can there be an unfinished one.
        if torn != nil { return end.broken(end.fault ?? "is not whole") }
        torn = end
      }
      if end.last != nil {
        found = end
        break
      }
    }
    last = found?.last?.link ?? .origin
    lastTime = found?.last?.time ?? lastTime
    if let head, head.sequence > last.sequence {
      if let torn, let fault = torn.fault { return torn.broken(fault) }
      let text = "the log ends with entry \(last.sequence), but \(head.sequence) were written"
      return found?.broken(text)
        ?? AccessLog.Break(file: AccessLogFolder.headName, line: 1, text: text)
    }
    if head == nil, last.sequence > 0 { entries.append(AccessLog.Entry(.headLost, result: "done")) }
    if let found { try confirm(found) }
    try takeUnrecorded()
    if let torn { try moveAside(torn, now) }
    return nil
  }

  private func readEnd(
    _ name: String, _ head: AccessLogLine.Link?
  ) throws(SystemError) -> End {
    var end = End(name: name)
    var reader = try AccessLogReader(folder.file(name))
    var previous: AccessLogLine.Link?
    var left = 0
    var lines = 0
    while let line = try reader.next() {
      end.size = line.end
      if end.fault != nil { continue }
      lines += 1
      let entry: AccessLogLine
      do throws(AccessLogLine.Fault) {
        if !line.isComplete { throw AccessLogLine.Fault("is not a whole line") }
        entry = try AccessLogLine.decode(line.bytes)
        if let previous,
          entry.previous != previous.hash || entry.link.sequence != previous.sequence + 1
        {
          throw AccessLogLine.Fault("does not follow the entry before it")
        }
        if left > 0, entry.left != left - 1 {
          throw AccessLogLine.Fault("does not continue the batch before it")
        }
      } catch {
        end.fault = error.text
        continue
      }
      previous = entry.link
      left = entry.left
      if entry.link.sequence == head?.sequence {
        end.confirmed = line.end
        if entry.link.hash != head?.hash {
          end.isReplaced = true
          end.lines = lines - 1
          return end
        }
      }
      if left == 0 {
        end.last = (entry.link, entry.time)
        end.offset = line.end
        end.lines = lines
      }
    }
    return end
  }

  /// Writes anew, with the same bytes, what the mark does not tell of. After a failed fdatasync(2)
  /// such entries may be in memory only, where the kernel believes them to be on the disk.
  private func confirm(_ end: End) throws(SystemError) {
    let file = try FileDescriptor.open(folder.file(end.name), O_RDWR | O_NOFOLLOW)
    var offset = end.confirmed
    while offset < end.offset {
      let bytes = try Self.read(file, at: offset, atMost: end.offset - offset)
      if bytes.isEmpty { break }
      try AccessLogFolder.write(bytes, to: file, at: offset)
      offset += Int64(bytes.count)
    }
    try file.synchronize()
  }

  private static func read(
    _ file: borrowing FileDescriptor, at offset: Int64, atMost limit: Int64
  ) throws(SystemError) -> [UInt8] {
    let size = Int(min(limit, 64 << 10))
    while true {
      var result = 0
      let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
        result = pread(file.raw, buffer.baseAddress, size, off_t(offset))
        count = max(0, result)
      }
      if result >= 0 { return bytes }
      if errno != EINTR { throw .last("pread") }
    }
  }

  // MARK: - Torn ends

  /// Torn ends that were moved aside just before another power cut.
  private mutating func takeUnrecorded() throws(SystemError) {
    let names = try ArchiveDirectory.names(in: folder.path).filter {
      $0.hasPrefix(AccessLogFolder.tornPrefix) && $0.hasSuffix(AccessLogFolder.unrecorded)
    }
    for name in names.sorted() { tell(of: name, "an unfinished end") }
  }

  private mutating func tell(of name: String, _ what: String) {
    aside.append(name)
    var entry = AccessLog.Entry(.torn, result: "done")
    entry.detail = "\(what) is kept in \(name.dropLast(AccessLogFolder.unrecorded.count))"
    entries.append(entry)
  }

  private mutating func moveAside(_ end: End, _ now: WallTime) throws(SystemError) {
    let file = try FileDescriptor.open(folder.file(end.name), O_RDWR | O_NOFOLLOW)
    var name = AccessLogFolder.tornPrefix + now.description
    var number = 1
    while access(folder.file(name), F_OK) == 0
      || access(folder.file(name + AccessLogFolder.unrecorded), F_OK) == 0
    {
      number += 1
      name = AccessLogFolder.tornPrefix + now.description + "-\(number)"
    }
    name += AccessLogFolder.unrecorded
    let target = try FileDescriptor.open(
      folder.file(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW)
    var digest = SHA256()
    var offset = end.offset
    while true {
      let bytes = try Self.read(file, at: offset, atMost: 64 << 10)
      if bytes.isEmpty { break }
      digest.update(bytes)
      try AccessLogFolder.write(bytes, to: target, at: offset - end.offset)
      offset += Int64(bytes.count)
    }
    try target.synchronize()
    try folder.synchronize()
    if ftruncate(file.raw, off_t(end.offset)) != 0 { throw .last("ftruncate", end.name) }
    try file.synchronize()
    tell(
      of: name,
      "an unfinished end of \(end.name), \(offset - end.offset) bytes with the SHA-256 "
        + "\(SHA256.hex(digest.finalize())),")
  }

  /// The chain tells of the torn ends now: they get their final names.
  func finish() throws(SystemError) {
    for name in aside {
      let final = String(name.dropLast(AccessLogFolder.unrecorded.count))
      if rename(folder.file(name), folder.file(final)) != 0 { throw .last("rename", name) }
    }
    if !aside.isEmpty { try folder.synchronize() }
  }
}
