import Glibc
import Platform

/// A folder into which a robot or a report engine renames complete CSV files; the newest counts.
public struct CSVDropSource: CollaborationListSource {
  public let drop: Configuration.CSVDrop
  /// Older files are not believed.
  public let maxAge: Duration
  private let clock: any EngineClock

  /// Larger files are refused: no list is that long.
  static let largestFile = 256 << 20
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
    let (path, identity) = try newest()
    if let previous, previous.text.hasPrefix(identity + "|") {
      // The same bytes: only their age can have changed what they are worth.
      let made = WallTime(rfc3339: previous.text.dropFirst(identity.utf8.count + 1))
      if let made {
        try checkAge(made, path)
        return .unchanged
      }
    }
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try FileDescriptor.contents(of: path, atMost: Self.largestFile)
    } catch {
      throw ListReadError(path, "cannot be read: \(error)")
    }
    var snapshot = try parse(bytes, path)
    snapshot.identity = SnapshotIdentity("\(identity)|\(snapshot.asOf)")
    return .snapshot(snapshot)
  }

  /// The newest file that matches, by when it was last written, and what tells it from others.
  private func newest() throws(ListReadError) -> (path: String, identity: String) {
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
      guard !name.hasPrefix("."), fnmatch(drop.pattern, name, 0) == 0 else { continue }
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
    let status = best.status
    return (
      "\(drop.directory)/\(best.name)",
      "\(best.name):\(status.st_dev):\(status.st_ino):\(status.st_size):\(status.st_mtim.tv_sec)"
        + ".\(status.st_mtim.tv_nsec)"
    )
  }

  private func checkAge(_ made: WallTime, _ path: String) throws(ListReadError) {
    let age = clock.wall - made
    if age > maxAge {
      throw ListReadError(
        path,
        "made at \(made), longer ago than \(DurationText.format(maxAge)): has the robot stopped?")
    }
    if .zero - age > Self.clockTolerance {
      throw ListReadError(path, "made at \(made), which is in the future: check the clocks")
    }
  }

  // MARK: - Content

  private func parse(_ bytes: [UInt8], _ path: String) throws(ListReadError) -> ListSnapshot {
    let (proof, content) = try prove(bytes, path)
    try checkAge(proof.generatedAt, path)
    var body = bytes[..<content]
    let hasMark = body.starts(with: [0xEF, 0xBB, 0xBF])
    if hasMark { body = body.dropFirst(3) }
    if body.starts(with: [0xFF, 0xFE]) || body.starts(with: [0xFE, 0xFF]) {
      throw ListReadError("\(path):1", "is UTF-16: save it as UTF-8 or windows-1252")
    }
    let isWindows =
      switch drop.encoding {
      case .windows1252: true
      case .utf8: false
      case .auto: !hasMark && String(validating: body, as: UTF8.self) == nil
      }
    var reader = CSVReader(body, separator: separator(body), isWindows1252: isWindows)
    do throws(CSVReader.Failure) {
      guard let heading = try reader.next() else {
        throw CSVReader.Failure(line: 1, message: "has no line with the names of the columns")
      }
      var table = try ListTable(heading: heading, drop: drop)
      var count = 0
      while true {
        let line = reader.line
        guard let fields = try reader.next() else { break }
        count += 1
        try table.add(fields, line: line)
      }
      guard count == proof.rows else {
        throw CSVReader.Failure(
          line: reader.line, message: "\(count) rows, but the proof says \(proof.rows)")
      }
      return ListSnapshot(
        snapshotID: "\(proof.generatedAt)/\(proof.sha256.prefix(16))", asOf: proof.generatedAt,
        rows: table.rows, refusedRows: table.refused, identity: SnapshotIdentity(""),
        proof: "\(proof.rows) rows, sha256 \(proof.sha256.prefix(16))…, made \(proof.generatedAt)")
    } catch {
      throw ListReadError("\(path):\(error.line)", error.message)
    }
  }

  /// The proof of a file's completeness, checked against its bytes; and where its content ends.
  private func prove(
    _ bytes: [UInt8], _ path: String
  ) throws(ListReadError) -> (CSVProof, content: Int) {
    let proof: CSVProof
    var content = bytes.count
    do throws(CSVProof.Fault) {
      if let (found, start) = try CSVProof.trailer(of: bytes) {
        proof = found
        content = start
      } else if let beside = sidecar(path) {
        proof = try CSVProof.sidecar(beside)
      } else {
        throw .missing
      }
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
    var hash = SHA256()
    bytes.withUnsafeBytes { hash.update(UnsafeRawBufferPointer(rebasing: $0[..<content])) }
    guard SHA256.hex(hash.finalize()) == proof.sha256 else {
      throw ListReadError(
        path, "its bytes do not have the digest that its proof says: it was cut or changed")
    }
    return (proof, content)
  }

  private func sidecar(_ path: String) -> [UInt8]? {
    for suffix in [".json", ".meta"] {
      if let bytes = try? FileDescriptor.contents(of: path + suffix, atMost: 65536) { return bytes }
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
      let heading = body.prefix { $0 != 0x0A }
      return [UInt8(ascii: ";"), UInt8(ascii: ","), 0x09].max { a, b in
        heading.count { $0 == a } < heading.count { $0 == b }
      }!
    }
  }
}
