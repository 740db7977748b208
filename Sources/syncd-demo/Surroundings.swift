import DICOM
import Glibc
import JSON
import Platform
import Training

/// Why the demonstration did not go as it should.
struct DemoFailure: Error, CustomStringConvertible {
  var description: String
}

/// The simulated hospital around the real daemon: a PACS, two lists that are delivered anew every
/// moment, and the daemon as a child process.
final class Surroundings {
  let directory: String
  let pacs: SimulatedPACS
  private let server: DICOMServer
  let recipient = SimulatedRecipient(aeTitle: "AHEIPACS")
  private let recipientServer: DICOMServer
  /// The HL7 interfaces of the RIS that examinations come from, and of the reviewer.
  let ris: SimulatedInterface
  let reviewer: SimulatedInterface
  let inboundPort: UInt16
  private let programs: String
  private var daemon: Child?
  let archivePort: UInt16
  /// What the lists say; delivered with each ``deliver()``.
  var lists: [String: [CSVDropWriter.Row]] = ["tmc": [], "teleconsult": []]
  /// A list that is not delivered for now.
  var silent: Set<String> = []

  var socket: String { "\(directory)/control" }
  var configurationPath: String { "\(directory)/config.toml" }
  var logPath: String { "\(directory)/syncd.log" }

  init() throws {
    var template = Array("/tmp/syncd-demo.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp") }
    directory = String(
      decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    programs = try Self.ownFolder()
    for folder in ["objects", "lists", "lists/tmc", "lists/teleconsult"] {
      guard mkdir("\(directory)/\(folder)", 0o700) == 0 else { throw SystemError.last("mkdir") }
    }
    // A free port for the archive: bound for a moment, and given to the daemon.
    archivePort = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0)).port
    let port = archivePort
    pacs = SimulatedPACS(
      aeTitle: "SECTRAPACS", directory: "\(directory)/objects", delay: .milliseconds(15))
    server = try pacs.server(port: 0) { title in
      title == "VGRSECTEMP"
        ? PeerAddress(host: "127.0.0.1", port: port, calledAE: title, callingAE: "SECTRAPACS") : nil
    }
    server.start()
    recipientServer = try recipient.server()
    recipientServer.start()
    ris = try SimulatedInterface()
    reviewer = try SimulatedInterface()
    inboundPort = try ListeningSocket(on: .tcp(host: "127.0.0.1", port: 0)).port
    try writeConfiguration()
  }

  private static func ownFolder() throws -> String {
    var path = [CChar](repeating: 0, count: 4096)
    let count = readlink("/proc/self/exe", &path, path.count)
    guard count > 0 else { throw SystemError.last("readlink") }
    let own = String(decoding: path[..<count].map(UInt8.init(bitPattern:)), as: UTF8.self)
    let folder = own.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    for program in ["syncd", "syncctl"] where access("\(folder)/\(program)", X_OK) != 0 {
      throw DemoFailure(description: "\(folder)/\(program) is missing: run `make demo`")
    }
    return folder
  }

  private func writeConfiguration() throws {
    let text = """
      # Made by syncd-demo. The times are short, so that much happens in a minute;
      # the real ones are in config.toml.example.
      [daemon]
      state_directory = "\(directory)/state"
      [control]
      socket = "\(socket)"
      monitor_socket = "\(directory)/monitor"
      [cycle]
      interval = "1s"
      [prefetch]
      stability = "1s"
      retry = "500ms"
      recheck = "2s"
      [archive]
      port = \(archivePort)
      minimum_free = "50 MB"
      [[peer]]
      name = "sectra"
      ae_title = "SECTRAPACS"
      host = "127.0.0.1"
      port = \(server.port)
      [[list]]
      id = "tmc"
      flag = "sectra-samverkan-tmc"
      peer = "sectra"
      source = { kind = "csv", directory = "\(directory)/lists/tmc", max_age = "1m" }
      [[list]]
      id = "teleconsult"
      flag = "sectra-samverkan-teleconsult"
      peer = "sectra"
      source = { kind = "csv", directory = "\(directory)/lists/teleconsult", max_age = "1m" }
      [sending]
      transfer_retry = "2x1s"
      [inbound]
      enabled = true
      port = \(inboundPort)
      [[hl7]]
      name = "ris"
      host = "127.0.0.1"
      port = \(ris.port)
      retry = "9x1s"
      acknowledgement_timeout = "1s"
      [[hl7]]
      name = "ahei"
      host = "127.0.0.1"
      port = \(reviewer.port)
      retry = "9x1s"
      acknowledgement_timeout = "1s"
      [[destination]]
      name = "ahei"
      ae_title = "AHEIPACS"
      host = "127.0.0.1"
      port = \(recipientServer.port)
      hl7 = "ahei"
      [[origin]]
      system = "SECTRA"
      hl7 = "ris"
      [[recipient]]
      id = "tmc"
      label = "TMC"
      [[recipient]]
      id = "tmc-ct"
      label = "Datortomografi"
      parent = "tmc"
      destination = "ahei"

      """
    let file = try FileDescriptor.open(configurationPath, O_WRONLY | O_CREAT | O_TRUNC)
    let bytes = Array(text.utf8)
    _ = bytes.withUnsafeBytes { write(file.raw, $0.baseAddress, $0.count) }
  }

  // MARK: - The daemon

  func startDaemon() throws {
    let log = try FileDescriptor.open(logPath, O_WRONLY | O_CREAT | O_APPEND)
    daemon = try Child("\(programs)/syncd", ["--config", configurationPath], output: log.raw)
    try wait("the daemon to answer", 20) { (try? self.syncctl(["ping"])) != nil }
  }

  func killDaemon() {
    daemon?.end(SIGKILL)
    daemon = nil
  }

  func end() {
    daemon?.end()
    daemon = nil
    server.stop(grace: .seconds(1))
    recipientServer.stop(grace: .seconds(1))
    ris.end()
    reviewer.end()
    _ = try? Child.run("/bin/rm", ["-rf", directory])
  }

  var log: String {
    let bytes = (try? FileDescriptor.contents(of: logPath, atMost: 8 << 20)) ?? []
    return String(decoding: bytes, as: UTF8.self)
  }

  /// The end of the daemon's log, for when something has gone wrong.
  var logTail: String {
    log.split(separator: "\n").suffix(25)
      .joined(separator: "\n")
  }

  /// What syncctl prints with `--json`, a value a line.
  @discardableResult
  func syncctl(_ arguments: [String]) throws -> [JSONValue] {
    let (status, output) = try Child.run(
      "\(programs)/syncctl", ["--socket", socket, "--json"] + arguments)
    guard status == 0 else {
      throw DemoFailure(description: "syncctl \(arguments.joined(separator: " ")): \(output)")
    }
    return try output.split(separator: "\n").map { try JSONValue.parse(Array($0.utf8)) }
  }

  /// What a person sees who types it.
  func shown(_ arguments: [String]) throws -> String {
    try Child.run("\(programs)/syncctl", ["--socket", socket, "--color", "never"] + arguments)
      .output
  }

  // MARK: - The lists

  /// The robot's part: every list anew, as of now.
  func deliver() throws {
    for (name, rows) in lists where !silent.contains(name) {
      try CSVDropWriter(directory: "\(directory)/lists/\(name)").write(rows)
    }
  }

  func deliverCut(_ list: String) throws {
    silent.insert(list)
    try CSVDropWriter(directory: "\(directory)/lists/\(list)").write(
      lists[list] ?? [], keeping: 110)
  }

  /// Waits for a condition, delivering the lists meanwhile as the robot does.
  func wait(_ what: String, _ seconds: Int, _ condition: () throws -> Bool) throws {
    let deadline = Deadline.after(.seconds(seconds))
    // Into a file or a pipe as it happens, as on a terminal.
    fflush(nil)
    while true {
      try deliver()
      if try condition() { return }
      if deadline.isPast {
        throw DemoFailure(description: "waited \(seconds) s for \(what), in vain")
      }
      try Interruption.pause(milliseconds: 200)
    }
  }
}
