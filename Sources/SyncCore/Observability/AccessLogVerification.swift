import Glibc
import Platform

extension AccessLog {
  /// A place where the log is not as it was written.
  public struct Break: Hashable, Sendable, CustomStringConvertible {
    public var file: String
    /// From 1.
    public var line: Int
    public var text: String

    public var description: String { "\(file):\(line): \(text)" }
  }

  /// What a walk along the whole chain has found.
  public struct Verification: Hashable, Sendable {
    public var files = 0
    public var entries = 0
    /// The numbers of the first and the last entry, and the last one's hash.
    public var first: Int64?
    public var last: Int64?
    public var hash: String?
    /// What is in order but worth knowing: what the log tells of its own misfortunes.
    public var notes: [String] = []
    /// The first place where the chain is broken; nil where it holds.
    public var broken: Break?
  }

  /// Walks the whole chain. May be done while the log is being written.
  ///
  /// What is found: any change, removal, insertion and reordering of lines and files, and an end
  /// that was cut off. What cannot be: that somebody who may write the files has made all of them
  /// anew, the mark of the end included. Against that a hash that is kept elsewhere helps.
  /// - Throws: where the files cannot be read.
  public static func verify(directory: String) throws(AccessLogError) -> Verification {
    let folder = AccessLogFolder(path: directory)
    do throws(SystemError) {
      // Before the files: the log may grow meanwhile.
      let head = try folder.head()
      let logs = try folder.logs()
      if head == nil, access(folder.file(AccessLogFolder.headName), F_OK) != 0, logs.isEmpty {
        return Verification()
      }
      var walk = ChainWalk(head: head)
      for name in logs {
        if try !walk.read(name, in: folder, isLast: name == logs.last) { return walk.result }
      }
      walk.finish()
      return walk.result
    } catch {
      throw .system(error)
    }
  }
}

/// The state of a walk along the chain.
private struct ChainWalk {
  let head: AccessLogLine.Link?
  var result = AccessLog.Verification()
  private var last: AccessLogLine.Link?
  /// What stands before the first line of each file.
  private var starts: [(file: String, before: AccessLogLine.Link)] = []
  private var pruned: AccessLogLine.Link?
  private var lines = 0
  private var left = 0

  init(head: AccessLogLine.Link?) { self.head = head }

  /// False where the chain is broken.
  mutating func read(
    _ name: String, in folder: AccessLogFolder, isLast: Bool
  ) throws(SystemError) -> Bool {
    var reader = try AccessLogReader(folder.file(name))
    result.files += 1
    lines = 0
    while let line = try reader.next() {
      lines += 1
      if !line.isComplete, isLast {
        result.notes.append(
          "\(name):\(lines): an unfinished entry at the end, perhaps being written")
        break
      }
      if let fault = line.isComplete ? take(line.bytes, name) : "is not a whole line" {
        result.broken = AccessLog.Break(file: name, line: lines, text: fault)
        return false
      }
    }
    if isLast {
      if left > 0 {
        result.notes.append(
          "\(name):\(lines): an unfinished batch at the end, perhaps being written")
      }
    } else if left > 0 {
      result.broken = AccessLog.Break(
        file: name, line: lines + 1, text: "\(left) lines of a batch are missing")
      return false
    }
    return true
  }

  /// What is wrong with a line; nil if nothing is.
  private mutating func take(_ bytes: [UInt8], _ name: String) -> String? {
    let line: AccessLogLine
    do throws(AccessLogLine.Fault) {
      line = try AccessLogLine.decode(bytes)
    } catch {
      return error.text
    }
    let before = AccessLogLine.Link(sequence: line.link.sequence - 1, hash: line.previous)
    if lines == 1 { starts.append((name, before)) }
    if let last {
      if line.link.sequence != last.sequence + 1 {
        return "is entry \(line.link.sequence), expected \(last.sequence + 1): "
          + "lines were removed, added or moved"
      }
      if line.previous != last.hash { return "does not follow the entry before it" }
    } else {
      result.first = line.link.sequence
    }
    if left > 0, line.left != left - 1 { return "does not continue the batch before it" }
    left = line.left
    if line.link.sequence == head?.sequence, line.link.hash != head?.hash {
      return "is not the entry that \(AccessLogFolder.headName) tells of"
    }
    last = line.link
    result.entries += 1
    switch AccessLog.Entry.Action(rawValue: line.action) {
    case .prune:
      pruned = line.pruned
      result.notes.append("\(name):\(lines): old months were removed")
    case .torn: result.notes.append("\(name):\(lines): an unfinished end was moved aside")
    case .headLost: result.notes.append("\(name):\(lines): the mark of the end had been lost")
    default: break
    }
    return nil
  }

  /// Checks the ends of the chain.
  mutating func finish() {
    result.last = last?.sequence
    result.hash = last.map { SHA256.hex($0.hash) }
    let end = AccessLog.Break(
      file: starts.last?.file ?? AccessLogFolder.headName, line: lines + 1, text: "")
    if let fault = start() {
      result.broken = AccessLog.Break(
        file: starts.first?.file ?? AccessLogFolder.headName, line: 1, text: fault)
    } else if head == nil {
      result.broken = AccessLog.Break(
        file: AccessLogFolder.headName, line: 1,
        text: "is missing or cannot be read: whether the end was cut off cannot be said")
    } else if let head, head.sequence > last?.sequence ?? 0 {
      result.broken = end
      result.broken?.text =
        "the log ends with entry \(last?.sequence ?? 0), but \(head.sequence) were written: "
        + "its end was cut off"
    }
  }

  /// The log begins with its first entry, or where an entry of its own says that it was pruned to.
  private func start() -> String? {
    guard let first = starts.first?.before, first != .origin else { return nil }
    let missing = "the log begins with entry \(first.sequence + 1): the ones before it were removed"
    guard let pruned, pruned.sequence >= first.sequence else { return missing }
    // Where a removal was interrupted some of the older months are still there.
    return starts.contains { $0.before == pruned } ? nil : missing
  }
}
