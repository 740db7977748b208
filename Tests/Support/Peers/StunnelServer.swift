import Platform

/// stunnel in front of a port, for one test: what comes within TLS goes on in plain text.
/// Needs `.needs(.program("stunnel"))`.
public final class StunnelServer: Sendable {
  public let port: UInt16
  public let process: ChildProcess
  private let directory: TemporaryDirectory

  /// - Parameters:
  ///   - text: the configuration, with `@PORT@` where it listens and `@BACKEND@` where it leads.
  ///   - backend: the port on 127.0.0.1 behind it.
  public init(configuration text: String, backend: UInt16) throws {
    let directory = try TemporaryDirectory()
    let started = try PeerServer.start(ports: 1) { ports in
      let filled = text.split(separator: "@PORT@", omittingEmptySubsequences: false)
        .joined(separator: "\(ports[0])")
        .split(separator: "@BACKEND@", omittingEmptySubsequences: false)
        .joined(separator: "\(backend)")
      return try ChildProcess(
        "stunnel", [try directory.write("foreground = yes\npid =\n" + filled, to: "stunnel.conf")])
    }
    port = started.ports[0]
    process = started.process
    self.directory = directory
  }

  deinit {
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }
}
