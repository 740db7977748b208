import Platform

/// One scheduled procedure step as `Tests/Scripts/worklist-files.py` wants it.
public struct WorklistStep: Sendable {
  /// JSON texts by keyword.
  private var members: [String: String] = [:]

  /// - Parameters:
  ///   - file: its name, without the extension.
  ///   - number: the accession number.
  ///   - days: when it begins, in days from today.
  public init(
    file: String, number: String, study: String, station: String = "TELECONSULT", days: Int = 0,
    characterSet: String = "ISO_IR 100", values: [String: String] = [:]
  ) {
    members = values.mapValues { "\"\($0)\"" }
    members["file"] = "\"\(file).wl\""
    members["AccessionNumber"] = "\"\(number)\""
    members["StudyInstanceUID"] = "\"\(study)\""
    members["ScheduledStationAETitle"] = "\"\(station)\""
    members["charset"] = "\"\(characterSet)\""
    members["days"] = "\(days)"
  }

  var line: String {
    "{" + members.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ", ") + "}\n"
  }

  /// Writes the files of some steps into a folder.
  public static func write(_ steps: [WorklistStep], to directory: String) throws {
    let result = try ChildProcess.run(
      Peers.python, ["\(Peers.packageRoot)/Tests/Scripts/worklist-files.py", directory],
      standardInput: Array(steps.map(\.line).joined().utf8))
    guard result.status == 0 else {
      throw ChildProcess.SpawnError(description: "worklist-files.py: \(result.output)")
    }
  }
}

/// DCMTK's worklist provider. Needs `.needs(.program("/usr/bin/wlmscpfs"), .python("pydicom"))`.
public final class WlmscpfsServer: Sendable {
  public let address: ApplicationEntityAddress
  public let process: ChildProcess
  /// Where its files lie.
  public let folder: String
  private let directory: TemporaryDirectory

  public init(
    aeTitle: String = "WLMSCPFS", steps: [WorklistStep], arguments: [String] = ["-csk"]
  ) throws {
    let directory = try TemporaryDirectory()
    let folder = try directory.makeDirectory(aeTitle)
    try directory.write("", to: "\(aeTitle)/lockfile")
    try WorklistStep.write(steps, to: folder)
    let started = try PeerServer.start(ports: 1) { ports in
      try ChildProcess(
        DCMTK.path("wlmscpfs"), arguments + ["-s", "-dfp", directory.path, "\(ports[0])"])
    }
    address = ApplicationEntityAddress(aeTitle, port: started.ports[0])
    process = started.process
    self.folder = folder
    self.directory = directory
  }

  deinit {
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }
}

/// A provider that misbehaves by the station it is asked for (`Tests/Scripts/worklist-provider.py`).
/// Needs `.needs(.python("pynetdicom"))`.
public final class WorklistProvider: Sendable {
  public let address: ApplicationEntityAddress
  public let process: ChildProcess
  private let directory: TemporaryDirectory

  public init() throws {
    let directory = try TemporaryDirectory()
    let process = try ChildProcess(
      Peers.python,
      [
        "\(Peers.packageRoot)/Tests/Scripts/worklist-provider.py", "--record",
        directory.file("queries"),
      ], keepInputOpen: true)
    guard process.waitForOutput("\n"),
      let port = UInt16(process.output.prefix { $0.isNumber })
    else { throw ChildProcess.SpawnError(description: "no port: \(process.output)") }
    address = ApplicationEntityAddress("WORKLIST", port: port)
    self.process = process
    self.directory = directory
  }

  deinit {
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  /// The date keys of the queries so far.
  public var days: [String] {
    let bytes = (try? directory.read("queries")) ?? []
    return String(decoding: bytes, as: UTF8.self).split(
      separator: "\n", omittingEmptySubsequences: false
    ).dropLast().map(String.init)
  }
}
