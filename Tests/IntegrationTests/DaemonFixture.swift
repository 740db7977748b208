import Foundation
import JSON
import Platform
import TestSupport
import Training

/// The real daemon with short times in a temporary folder, and the real syncctl to drive it.
final class DaemonFixture: Sendable {
  let directory: TemporaryDirectory
  let archivePort: UInt16
  private let process = Monitor<ChildProcess?>(nil)

  var socket: String { directory.file("control") }
  var lists: String { directory.file("lists") }

  /// - Parameters:
  ///   - peer: the PACS that the list's images come from.
  ///   - archivePort: where the PACS has been told that the archive is.
  ///   - peerKeys: more keys of the peer.
  init(peer: ApplicationEntityAddress, archivePort: UInt16, peerKeys: String = "") throws {
    directory = try TemporaryDirectory()
    self.archivePort = archivePort
    _ = try directory.makeDirectory("lists")
    try configure(peer: peer, peerKeys: peerKeys)
  }

  func configure(
    peer: ApplicationEntityAddress, extra: String = "", peerKeys: String = ""
  ) throws {
    try configure(
      peer: """
        ae_title = "\(peer.aeTitle)"
        host = "127.0.0.1"
        port = \(peer.port)
        \(peerKeys)
        """, extra: extra)
  }

  /// - Parameter peer: the lines of the peer's table that tell how it is reached.
  func configure(peer: String, extra: String = "") throws {
    _ = try directory.write(
      """
      [daemon]
      state_directory = "\(directory.file("state"))"
      [control]
      socket = "\(socket)"
      monitor_socket = "\(directory.file("monitor"))"
      [cycle]
      interval = "1s"
      [prefetch]
      stability = "1s"
      retry = "500ms"
      retry_maximum = "2s"
      recheck = "2s"
      [archive]
      port = \(archivePort)
      minimum_free = "1 MB"
      \(extra)
      [[peer]]
      name = "sectra"
      \(peer)
      [[list]]
      id = "tmc"
      flag = "sectra-samverkan-tmc"
      peer = "sectra"
      source = { kind = "csv", directory = "\(lists)", max_age = "10m" }

      """, to: "config.toml")
  }

  deinit {
    process.update {
      $0?.kill(9)
      _ = $0?.wait(deadline: .after(.seconds(5)))
    }
  }

  struct NotReady: Error { let log: String }

  func start(environment: [String: String?] = [:]) throws {
    let child = try ChildProcess(
      Peers.product("syncd"), ["--config", directory.file("config.toml")],
      environment: environment)
    process.update { $0 = child }
    guard waitUntil(.after(.seconds(30)), { !child.isRunning || (try? syncctl(["ping"])) != nil }),
      child.isRunning
    else { throw NotReady(log: child.output) }
  }

  /// Ends it the hard way, in the middle of whatever it does.
  func killHard() {
    process.update {
      $0?.kill(9)
      _ = $0?.wait(deadline: .after(.seconds(5)))
    }
  }

  func signal(_ number: Int32) { process.read { $0?.kill(number) } }
  func exit(_ deadline: Deadline) -> ChildProcess.Exit? {
    process.read { $0 }?.wait(deadline: deadline)
  }
  var log: String { process.read { $0?.output ?? "" } }

  func drop(_ numbers: [String], cut: Int? = nil) throws {
    try CSVDropWriter(directory: lists).write(
      numbers.map { CSVDropWriter.Row(examination: $0) }, keeping: cut)
  }

  struct CommandFailure: Error { let text: String }

  @discardableResult
  func syncctl(_ arguments: [String]) throws -> [JSONValue] {
    let result = try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", socket, "--json"] + arguments)
    guard result.status == 0 else { throw CommandFailure(text: result.output) }
    return try result.standardOutput.split(separator: "\n").map {
      try JSONValue.parse(Array($0.utf8))
    }
  }

  /// Flag, image state and reason of each examination.
  func worklist() throws -> [String: (flag: String?, images: String, reason: String?)] {
    var result: [String: (flag: String?, images: String, reason: String?)] = [:]
    for entry in try syncctl(["list"]) {
      result[entry["number"]?.stringValue ?? ""] = (
        entry["portalFlag"]?.stringValue, entry["images"]?.stringValue ?? "",
        entry["reason"]?["code"]?.stringValue
      )
    }
    return result
  }

  /// The object files of the archive.
  func archived() -> [String] {
    let root = directory.file("state/archive/objects")
    let all = FileManager.default.enumerator(atPath: root)?.compactMap { $0 as? String } ?? []
    return all.filter { $0.hasSuffix(".dcm") }.map { "\(root)/\($0)" }
  }
}
