import Glibc
import Platform
import Synchronization
import TestSupport

@testable import SyncCore

/// An access log in a directory of its own, and what can happen to its files.
final class AccessLogFixture {
  let temporary: TemporaryDirectory
  let directory: String
  var now = WallTime(rfc3339: "2026-11-23T07:30:00Z")!

  init() throws {
    temporary = try TemporaryDirectory()
    directory = temporary.file("access")
  }

  static let november = "access-2026-11.log"

  func open() throws -> AccessLog { try AccessLog.open(directory: directory, now: now) }

  static func entry(_ number: Int = 1) -> AccessLog.Entry {
    var entry = AccessLog.Entry(.order, actor: "uid:1000 lotta")
    entry.careUnit = "SE2321000131-E000000000001"
    entry.onBehalfOf = "Dr Å \"citat\"\n"
    entry.patientID = "191212121212"
    entry.examination = ExaminationKey(system: "SECTRA", number: "US\(number)")
    entry.assignment = "A\(number)"
    entry.recipient = "reviewer"
    entry.detail = "review"
    return entry
  }

  /// Opens the log, writes so many entries one by one, and closes it.
  func write(_ count: Int) throws {
    let log = try open()
    for number in 0..<count { try log.append([Self.entry(number)], now: now) }
  }

  func verify() throws -> AccessLog.Verification { try AccessLog.verify(directory: directory) }

  func path(_ name: String) -> String { directory + "/" + name }

  func bytes(_ name: String = november) throws -> [UInt8] {
    try FileDescriptor.contents(of: path(name), atMost: 64 << 20)
  }

  func lines(_ name: String = november) throws -> [[UInt8]] {
    try bytes(name).split(separator: 0x0A).map(Array.init)
  }

  func replace(_ bytes: [UInt8], in name: String = november) throws {
    try temporary.write(bytes, to: "access/" + name)
  }

  func replace(lines: [[UInt8]]) throws {
    try replace(lines.flatMap { $0 + [0x0A] })
  }

  func names() throws -> [String] { try ArchiveDirectory.names(in: directory).sorted() }

  func mode(_ name: String) -> mode_t {
    var status = stat()
    return stat(path(name), &status) == 0 ? status.st_mode & 0o7777 : 0
  }
}
