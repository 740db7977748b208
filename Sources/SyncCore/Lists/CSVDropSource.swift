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
    let delivered = try newest()
    let (path, identity) = (delivered.path, delivered.identity)
    if let previous, previous.text.hasPrefix(identity + "|") {
      // The same bytes: only their age can have changed what they are worth.
      let made = WallTime(rfc3339: previous.text.dropFirst(identity.count + 1))
      if let made {
        try checkAge(made, delivered)
        return .unchanged
      }
    }
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try FileDescriptor.contents(of: path, atMost: Self.largestFile)
    } catch {
      throw ListReadError(path, "cannot be read: \(error)")
    }
    var snapshot = try parse(bytes, delivered)
    snapshot.identity = SnapshotIdentity("\(identity)|\(snapshot.asOf)")
    return .snapshot(snapshot)
  }

  /// A file, what tells it and its sidecar from others, and when the later of them was written.
  private struct Delivery {
    var path: String
    var identity: String
    var written: WallTime
  }

  private static let sidecarSuffixes = [".json", ".meta"]

  /// The newest file that matches, by when it was last written.
  private func newest() throws(ListReadError) -> Delivery {
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
    let path = "\(drop.directory)/\(best.name)"
    var delivery = Delivery(
      path: path, identity: "\(best.name):\(Self.identity(best.status))",
      written: Self.written(best.status))
    for suffix in Self.sidecarSuffixes {
      var status = stat()
      guard stat(path + suffix, &status) == 0 else { continue }
      delivery.identity += ":\(Self.identity(status))"
      delivery.written = max(delivery.written, Self.written(status))
    }
    return delivery
  }

  private static func identity(_ status: stat) -> String {
    "\(status.st_dev):\(status.st_ino):\(status.st_size):\(status.st_mtim.tv_sec)"
      + ".\(status.st_mtim.tv_nsec)"
  }

  private static func written(_ status: stat) -> WallTime {
    WallTime(milliseconds: 0) + .seconds(status.st_mtim.tv_sec)
  }

  private func checkAge(_ made: WallTime, _ delivery: Delivery) throws(ListReadError) {
    let path = delivery.path
    let age = clock.wall - made
    if age > maxAge {
      throw ListReadError(
        path,
        "made at \(made), longer ago than \(DurationText.format(maxAge)): has the robot stopped?")
    }
    if .zero - age > Self.clockTolerance {
      throw ListReadError(path, "made at \(made), which is in the future: check the clocks")
    }
    // No digest covers the time, but the file system's clock knows better than a damaged digit.
    if made - delivery.written > Self.clockTolerance {
      throw ListReadError(
        path,
        "made at \(made) according to its proof, yet written at \(delivery.written): the proof is "
          + "damaged, or the clocks differ")
    }
  }

  // MARK: - Content

  private func parse(
    _ bytes: [UInt8], _ delivery: Delivery
  ) throws(ListReadError) -> ListSnapshot {
    let path = delivery.path
    // Before the proof, which cannot be read in UTF-16 either.
    if bytes.starts(with: [0xFF, 0xFE]) || bytes.starts(with: [0xFE, 0xFF]) {
      throw ListReadError("\(path):1", "is UTF-16: save it as UTF-8 or windows-1252")
    }
    let (proof, content) = try prove(bytes, path)
    try checkAge(proof.generatedAt, delivery)
    var body = bytes[..<content]
    let hasMark = body.starts(with: [0xEF, 0xBB, 0xBF])
    if hasMark { body = body.dropFirst(3) }
    let isWindows =
      switch drop.encoding {
      case .windows1252: !hasMark
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
    for suffix in Self.sidecarSuffixes {
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
      var isQuoted = false
      var counts: [UInt8: Int] = [:]
      for byte in body {
        if byte == 0x22 { isQuoted.toggle() }
        if byte == 0x0A { break }
        if !isQuoted { counts[byte, default: 0] += 1 }
      }
      return [UInt8(ascii: ";"), UInt8(ascii: ","), 0x09].max {
        counts[$0, default: 0] < counts[$1, default: 0]
      }!
    }
  }
}
