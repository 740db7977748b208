import Glibc
import Platform

/// A folder into which a robot or a report engine renames complete CSV files; the newest counts.
public struct CSVDropSource: CollaborationListSource {
  public let drop: Configuration.CSVDrop
  /// Older files are not believed.
  public let maxAge: Duration
  private let clock: any EngineClock

  /// Larger files are refused: no list is that long.
  static let largestFile = 64 << 20
  /// The clocks of two machines may differ by this much.
  static let clockTolerance: Duration = .seconds(300)

  public init(
    _ drop: Configuration.CSVDrop, maxAge: Duration, clock: any EngineClock = SystemClock()
  ) {
    self.drop = drop
    self.maxAge = maxAge
    self.clock = clock
  }

  public func read(
    deadline: Deadline, previous: SnapshotIdentity?
  ) throws(ListReadError) -> ListReading {
    let path = try newest()
    let file: FileDescriptor
    do throws(SystemError) {
      // Not to wait for a writer, should a pipe have come in its place.
      file = try FileDescriptor.open(path, O_RDONLY | O_NONBLOCK)
    } catch {
      throw ListReadError(path, "cannot be opened: \(error)")
    }
    // Of what is open, not of the name: another file may be renamed over it meanwhile.
    let status = try Self.status(file, path)
    let proved = Self.proved(path)
    let identity = Self.identity(path, status) + proved.identity
    let written = max(Self.written(status), proved.written)
    if let previous, previous.text.hasPrefix(identity + "|") {
      // The same bytes: only their age can have changed what they are worth.
      let made = WallTime(rfc3339: previous.text.dropFirst(identity.count + 1))
      if let made {
        try checkAge(made, written, path)
        return .unchanged
      }
    }
    var snapshot = try parse(file, Int(status.st_size), path, identity, written, deadline)
    snapshot.identity = SnapshotIdentity("\(identity)|\(snapshot.asOf)")
    return .snapshot(snapshot)
  }

  private static func status(
    _ file: borrowing FileDescriptor, _ path: String
  ) throws(ListReadError) -> stat {
    var status = stat()
    guard fstat(file.raw, &status) == 0 else {
      throw ListReadError(path, "cannot be examined: \(SystemError.last("fstat"))")
    }
    guard status.st_mode & S_IFMT == S_IFREG else { throw ListReadError(path, "is not a file") }
    guard status.st_size <= largestFile else {
      throw ListReadError(path, "is larger than \(largestFile >> 20) MiB: no list is that long")
    }
    return status
  }

  /// What tells a file from every other one, and from itself after a change.
  private static func identity(_ path: String, _ status: stat) -> String {
    let changed = status.st_mtim
    return "\(path):\(status.st_dev):\(status.st_ino):\(status.st_size)"
      + ":\(changed.tv_sec).\(changed.tv_nsec)"
  }

  private static func written(_ status: stat) -> WallTime {
    WallTime(milliseconds: 0) + .seconds(status.st_mtim.tv_sec)
  }

  /// What tells the sidecars beside a file from others, and when the latest was written.
  private static func proved(_ path: String) -> (identity: String, written: WallTime) {
    var identity = ""
    var latest = WallTime(milliseconds: .min)
    for suffix in sidecarSuffixes {
      var status = stat()
      guard stat(path + suffix, &status) == 0 else { continue }
      identity += "+" + self.identity(suffix, status)
      latest = max(latest, written(status))
    }
    return (identity, latest)
  }

  /// Some bytes of an open file: fewer than asked for only where it ends.
  private static func bytes(
    _ file: borrowing FileDescriptor, from start: Int, count: Int, _ path: String
  ) throws(ListReadError) -> [UInt8] {
    let pieces = FilePieces(file, from: start, to: start + count)
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
      while filled < count {
        let rest = UnsafeMutableRawBufferPointer(
          rebasing: UnsafeMutableRawBufferPointer(buffer)[filled...])
        let read = pieces.read(into: rest)
        if read == 0 { break }
        filled += read
      }
    }
    if let problem = pieces.problem { throw ListReadError(path, "cannot be read: \(problem)") }
    return bytes
  }

  /// The newest file that matches, by when it was last written.
  private func newest() throws(ListReadError) -> String {
    guard let folder = opendir(drop.directory) else {
      throw ListReadError(
        drop.directory, "cannot be read: \(SystemError.last("opendir"))")
    }
    defer { closedir(folder) }
    var best: (name: String, status: stat)?
    while let entry = readdir(folder) {
      let name = withUnsafeBytes(of: entry.pointee.d_name) {
        String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
      }
      guard !name.hasPrefix("."), fnmatch(drop.pattern, name, 0) == 0,
        !Self.sidecarSuffixes.contains(where: { name.hasSuffix($0) })
      else { continue }
      var status = stat()
      guard stat("\(drop.directory)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG
      else { continue }
      let isNewer =
        best.map { old in
          (status.st_mtim.tv_sec, status.st_mtim.tv_nsec, name)
            > (old.status.st_mtim.tv_sec, old.status.st_mtim.tv_nsec, old.name)
        } ?? true
      if isNewer { best = (name, status) }
    }
    guard let best else {
      throw ListReadError(
        drop.directory, "no file matches \(drop.pattern): has the robot delivered?")
    }
    return "\(drop.directory)/\(best.name)"
  }

  private func checkAge(
    _ made: WallTime, _ written: WallTime, _ path: String
  ) throws(ListReadError) {
    let age = clock.wall - made
    if age > maxAge {
      throw ListReadError(
        path,
        "made at \(made), longer ago than \(DurationText.format(maxAge)): has the robot stopped?")
    }
    if .zero - age > Self.clockTolerance {
      throw ListReadError(path, "made at \(made), which is in the future: check the clocks")
    }
    // No digest covers the time: a damaged digit must not make an old list new.
    if made - written > Self.clockTolerance {
      throw ListReadError(
        path,
        "made at \(made) according to its proof, but written at \(written): the proof is damaged, "
          + "or the clocks differ")
    }
  }

  // MARK: - Content

  /// Reads an open file in pieces, each byte hashed as it is parsed: what comes out is believed
  /// only if the digest of it all is the proof's.
  private func parse(
    _ file: borrowing FileDescriptor, _ size: Int, _ path: String, _ identity: String,
    _ written: WallTime, _ deadline: Deadline
  ) throws(ListReadError) -> ListSnapshot {
    let head = try Self.bytes(file, from: 0, count: min(size, 64 << 10), path)
    if head.starts(with: [0xFF, 0xFE]) || head.starts(with: [0xFE, 0xFF]) {
      throw ListReadError("\(path):1", "is UTF-16: save it as UTF-8 or windows-1252")
    }
    let (proof, content) = try proof(of: file, size, path)
    do throws(ListReadError) {
      try checkAge(proof.generatedAt, written, path)
    } catch {
      // Whether it is whole comes first, also of what is too old to be read.
      try verify(FilePieces(file, from: 0, to: content), file, path, identity, proof)
      throw error
    }
    let mark = head.starts(with: [0xEF, 0xBB, 0xBF]) ? 3 : 0
    let separator = separator(head.prefix(content).dropFirst(mark))
    for isWindows in encodings(hasMark: mark > 0) {
      let pieces = FilePieces(file, from: 0, to: content)
      pieces.skip(mark)
      var reader = CSVReader(
        separator: separator, isWindows1252: isWindows, source: pieces.read(into:))
      let table: ListTable
      do throws(CSVReader.Failure) {
        table = try self.table(&reader, proof, deadline)
      } catch {
        if reader.isNotUTF8, drop.encoding == .auto, mark == 0 { continue }
        try verify(pieces, file, path, identity, proof)
        throw ListReadError("\(path):\(error.line)", error.message)
      }
      try verify(pieces, file, path, identity, proof)
      return ListSnapshot(
        snapshotID: "\(proof.generatedAt)/\(proof.sha256.prefix(16))", asOf: proof.generatedAt,
        rows: table.rows, refusedRows: table.refused, identity: SnapshotIdentity(""),
        proof: "\(proof.rows) rows, sha256 \(proof.sha256.prefix(16))…, made \(proof.generatedAt)",
        repeatedRows: table.repeated)
    }
    throw ListReadError(path, "is neither UTF-8 nor windows-1252")
  }

  /// Whether to read as windows-1252: one answer after the other is tried.
  private func encodings(hasMark: Bool) -> [Bool] {
    // The mark leaves no doubt, whatever is configured.
    if hasMark { return [false] }
    return switch drop.encoding {
    case .windows1252: [true]
    case .utf8: [false]
    case .auto: [false, true]
    }
  }

  private func table(
    _ reader: inout CSVReader, _ proof: CSVProof, _ deadline: Deadline
  ) throws(CSVReader.Failure) -> ListTable {
    guard let heading = try reader.next() else {
      throw CSVReader.Failure(line: 1, message: "has no line with the names of the columns")
    }
    var table = try ListTable(heading: heading, drop: drop)
    var count = 0
    while true {
      let line = reader.line
      guard let fields = try reader.next() else { break }
      count += 1
      if count % 1024 == 1, deadline.isPast {
        throw CSVReader.Failure(line: line, message: "the time for reading the list was over")
      }
      try table.add(fields, line: line)
    }
    guard count == proof.rows else {
      throw CSVReader.Failure(
        line: reader.line, message: "\(count) rows, but the proof says \(proof.rows)")
    }
    try table.check()
    return table
  }

  /// Reads what is left, and looks whether it was one file from its beginning to its end.
  private func verify(
    _ pieces: FilePieces, _ file: borrowing FileDescriptor, _ path: String, _ identity: String,
    _ proof: CSVProof
  ) throws(ListReadError) {
    let digest = pieces.digest()
    if let problem = pieces.problem { throw ListReadError(path, "cannot be read: \(problem)") }
    let status = try Self.status(file, path)
    guard identity == Self.identity(path, status) + Self.proved(path).identity else {
      throw ListReadError(path, "changed while it was read: rename complete files into the folder")
    }
    guard digest == proof.sha256 else {
      throw ListReadError(
        path, "its bytes do not have the digest that its proof says: it was cut or changed")
    }
  }

  /// The proof of a file's completeness, and where its content ends.
  private func proof(
    of file: borrowing FileDescriptor, _ size: Int, _ path: String
  ) throws(ListReadError) -> (CSVProof, content: Int) {
    let start = max(0, size - 8192)
    let tail = try Self.bytes(file, from: start, count: size - start, path)
    do throws(CSVProof.Fault) {
      if let (found, place) = try CSVProof.trailer(of: tail) { return (found, start + place) }
      if let beside = try sidecar(path) { return (try CSVProof.sidecar(beside), size) }
      throw .missing
    } catch {
      switch error {
      case .missing:
        throw ListReadError(
          path,
          "nothing proves that it is whole: it has no last line #rows=…;sha256=…;generatedAt=… and "
            + "no file \(path.split(separator: "/").last ?? "").json beside it")
      case .malformed(let what): throw ListReadError(path, "its proof is not one: \(what)")
      }
    }
  }

  private static let sidecarSuffixes = [".json", ".meta"]

  private func sidecar(_ path: String) throws(CSVProof.Fault) -> [UInt8]? {
    for suffix in Self.sidecarSuffixes {
      do throws(SystemError) {
        return try FileDescriptor.contents(of: path + suffix, atMost: 65536)
      } catch {
        guard error.code == ENOENT else {
          throw .malformed("the file beside it cannot be read: \(error)")
        }
      }
    }
    return nil
  }

  private func separator(_ body: ArraySlice<UInt8>) -> UInt8 {
    switch drop.separator {
    case .semicolon: return UInt8(ascii: ";")
    case .comma: return UInt8(ascii: ",")
    case .tab: return 0x09
    case .auto:
      // The one that parts the headings most often.
      var counts: [UInt8: Int] = [:]
      var isQuoted = false
      for byte in body.prefix(while: { $0 != 0x0A }) {
        if byte == 0x22 { isQuoted.toggle() }
        if !isQuoted { counts[byte, default: 0] += 1 }
      }
      return [UInt8(ascii: ";"), UInt8(ascii: ","), 0x09].max {
        counts[$0, default: 0] < counts[$1, default: 0]
      }!
    }
  }
}
