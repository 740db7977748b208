import Glibc
import Platform
import Synchronization
import TestSupport

@testable import SyncCore

/// A folder of CSV drops, and a clock that stands at the moment they were made.
final class DropFolder: Sendable {
  final class Clock: EngineClock {
    private let now = Mutex(DropFolder.made)
    var monotonic: MonotonicTime { .now }
    var wall: WallTime { now.withLock { $0 } }
    func set(_ time: WallTime) { now.withLock { $0 = time } }
  }

  static let made = WallTime(rfc3339: "2026-11-23T07:30:00Z")!
  let directory: TemporaryDirectory
  let clock = Clock()

  init() throws { directory = try TemporaryDirectory() }

  func source(_ change: (inout Configuration.CSVDrop) -> Void = { _ in }) -> CSVDropSource {
    var drop = Configuration.CSVDrop(directory: directory.path)
    change(&drop)
    return CSVDropSource(drop, maxAge: .seconds(240), clock: clock)
  }

  /// A whole file: its content, and the trailer that proves it.
  static func proved(
    _ content: [UInt8], rows: Int, made: String = "2026-11-23T07:30:00Z"
  ) -> [UInt8] {
    let digest = SHA256.hex(SHA256.hash(content))
    return content + Array("#rows=\(rows);sha256=\(digest);generatedAt=\(made)\n".utf8)
  }

  static func proved(_ content: String, rows: Int) -> [UInt8] {
    proved(Array(content.utf8), rows: rows)
  }

  /// Drops a proved file and reads it: the snapshot, or why there is none.
  func read(
    _ content: String, rows: Int, _ change: (inout Configuration.CSVDrop) -> Void = { _ in }
  ) throws -> Result<ListSnapshot, ListReadError> {
    try drop(Self.proved(content, rows: rows))
    return read(source(change))
  }

  /// Writes a file anew. Not over the old one: ext4 flushes a file that was cut and written again.
  func drop(_ bytes: some Sequence<UInt8>, as name: String = "list.csv") throws {
    unlink(directory.file(name))
    try directory.write(bytes, to: name)
    setWritten(name, Self.made)
  }

  /// Sets when a file was last written, to the second.
  func setWritten(_ name: String, _ time: WallTime) {
    var times = Array(
      repeating: timeval(tv_sec: Int(time.milliseconds / 1000), tv_usec: 0), count: 2)
    utimes(directory.file(name), &times)
  }

  func read(
    _ source: CSVDropSource, previous: SnapshotIdentity? = nil
  ) -> Result<ListSnapshot, ListReadError> {
    do throws(ListReadError) {
      switch try source.read(deadline: .after(.seconds(60)), previous: previous) {
      case .snapshot(let snapshot): return .success(snapshot)
      case .unchanged, .confirmed: return .failure(ListReadError("", "unchanged"))
      }
    } catch {
      return .failure(error)
    }
  }
}

extension Result {
  var failure: Failure? { if case .failure(let failure) = self { failure } else { nil } }
}
