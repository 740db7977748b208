import Platform

/// DCMTK's command line programs. Full paths: the peers' virtual environment has others of the
/// same names.
public enum DCMTK {
  public static func path(_ program: String) -> String { "/usr/bin/\(program)" }

  /// Sends files, each in its own transfer syntax as far as storescu can, and fails if any was not
  /// taken.
  public static func store(
    _ paths: [String], to peer: ApplicationEntityAddress, options: [String] = ["-R"]
  ) throws {
    let result = try ChildProcess.run(
      path("storescu"),
      options + ["-aec", peer.aeTitle, peer.host, "\(peer.port)"] + paths)
    guard result.status == 0, !result.output.contains("E:") else {
      throw ChildProcess.SpawnError(description: "storescu to \(peer): \(result.output)")
    }
  }
}

/// DCMTK's small PACS, dcmqrscp, for one test. Needs `.needs(.program("/usr/bin/dcmqrscp"))`.
public final class DcmqrscpServer: Sendable {
  public let aeTitle: String
  public let port: UInt16
  public let process: ChildProcess
  private let directory: TemporaryDirectory

  /// - Parameters:
  ///   - destinations: whom it may send to (C-MOVE destinations).
  ///   - arguments: such as `+xa` to take all transfer syntaxes, `+xv` for JPEG 2000.
  ///   - clients: who may come; anybody else is refused: `(TITLE, host, port)`.
  public init(
    aeTitle: String = "DCMQRSCP", destinations: [ApplicationEntityAddress] = [],
    arguments: [String] = [], clients: String = "ANY"
  ) throws {
    let directory = try TemporaryDirectory()
    let storage = try directory.makeDirectory("storage")
    let hosts = destinations.enumerated().map { index, peer in
      "host\(index) = (\(peer.aeTitle), \(peer.host), \(peer.port))"
    }
    let started = try PeerServer.start(ports: 1) { ports in
      let configuration = """
        NetworkTCPPort = \(ports[0])
        MaxPDUSize = 131072
        MaxAssociations = 16
        HostTable BEGIN
        \(hosts.joined(separator: "\n"))
        HostTable END
        VendorTable BEGIN
        VendorTable END
        AETable BEGIN
        \(aeTitle) \(storage) RW (1000, 10240mb) \(clients)
        AETable END

        """
      let path = try directory.write(configuration, to: "dcmqrscp.cfg")
      return try ChildProcess(DCMTK.path("dcmqrscp"), arguments + ["-c", path])
    }
    self.aeTitle = aeTitle
    port = started.ports[0]
    process = started.process
    self.directory = directory
  }

  deinit {
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  public var address: ApplicationEntityAddress { ApplicationEntityAddress(aeTitle, port: port) }

  public func load(_ paths: [String]) throws {
    try DCMTK.store(paths, to: address)
  }
}

/// DCMTK's storescp for one test: takes objects into a directory, or misbehaves as told.
/// Needs `.needs(.program("/usr/bin/storescp"))`.
public final class StorescpServer: Sendable {
  public let aeTitle: String
  public let port: UInt16
  public let process: ChildProcess
  private let directory: TemporaryDirectory
  private let storage: String

  /// - Parameter arguments: such as `--refuse`, `--abort-during`, `--sleep-after 5`, `+xa` (takes
  ///   all transfer syntaxes) or `+B` (writes what it received, byte for byte).
  public init(aeTitle: String = "STORESCP", arguments: [String] = ["+xa", "+B"]) throws {
    let directory = try TemporaryDirectory()
    let storage = try directory.makeDirectory("received")
    let started = try PeerServer.start(ports: 1) { ports in
      try ChildProcess(
        DCMTK.path("storescp"),
        arguments + ["-aet", aeTitle, "-od", storage, "\(ports[0])"])
    }
    self.aeTitle = aeTitle
    port = started.ports[0]
    process = started.process
    self.directory = directory
    self.storage = storage
  }

  deinit {
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  public var address: ApplicationEntityAddress { ApplicationEntityAddress(aeTitle, port: port) }

  /// The paths of what it has received.
  public var received: [String] { files(in: storage).map { "\(storage)/\($0)" } }
}
