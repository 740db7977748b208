import Platform

/// `Tests/Scripts/services-provider.py`: a PACS of pynetdicom's that gives by C-GET, is asked for
/// storage commitment, and tells which user associates. Needs `.needs(.python("pynetdicom"))`.
public final class ServicesProvider: Sendable {
  public let port: UInt16
  public let process: ChildProcess

  /// - Parameters:
  ///   - files: what it holds.
  ///   - reportTo: the port where it brings storage commitment reports.
  public init(
    files: [String] = [], reportTo: UInt16? = nil, arguments: [String] = []
  ) throws {
    process = try ChildProcess(
      Peers.python,
      ["-u", "\(Peers.packageRoot)/Tests/Scripts/services-provider.py"] + arguments
        + (reportTo.map { ["--report-to", "\($0)"] } ?? []) + files, keepInputOpen: true)
    guard process.waitForOutput("\n"),
      let line = process.standardOutput.split(separator: "\n").first, let port = UInt16(line)
    else { throw ChildProcess.SpawnError(description: "services-provider.py: \(process.output)") }
    self.port = port
  }

  deinit {
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  /// Under an AE title that says what it does.
  public func address(_ aeTitle: String = "SAME") -> ApplicationEntityAddress {
    ApplicationEntityAddress(aeTitle, port: port)
  }

  /// What it has said, without the port.
  public var lines: [String] {
    process.standardOutput.split(separator: "\n").dropFirst().map(String.init)
  }

  /// Runs `services-user.py`, pynetdicom as the user of a server.
  public static func use(port: UInt16, _ arguments: [String]) throws -> [String] {
    let result = try ChildProcess.run(
      Peers.python,
      ["-u", "\(Peers.packageRoot)/Tests/Scripts/services-user.py", "\(port)"] + arguments,
      deadline: .after(.seconds(90)))
    guard result.status == 0 else {
      throw ChildProcess.SpawnError(description: "services-user.py: \(result.output)")
    }
    return result.standardOutput.split(separator: "\n").map(String.init)
  }
}
