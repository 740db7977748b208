import Platform

/// nghttpx before an HTTP/1.1 server: HTTP/2 over TLS, as `localhost`. Needs
/// `.needs(.program("nghttpx"), .program("openssl"))`.
public final class HTTP2Proxy: Sendable {
  public let port: UInt16
  public let process: ChildProcess
  /// PEM file of the authority that its certificate is from.
  public let authorityFile: String
  private let directory: TemporaryDirectory

  /// - Parameter port: of the server behind it, on this machine.
  public init(before port: UInt16) throws {
    let authority = try TestAuthority()
    let shown = try authority.issue("localhost")
    let started = try PeerServer.start(ports: 1) { ports in
      try ChildProcess(
        Peers.executable("nghttpx") ?? "nghttpx",
        [
          "--conf=/dev/null", "--frontend=127.0.0.1,\(ports[0])", "--backend=127.0.0.1,\(port)",
          "--workers=1", "--errorlog-file=/dev/stderr", shown.key, shown.certificate,
        ])
    }
    directory = authority.directory
    authorityFile = authority.file
    self.port = started.ports[0]
    process = started.process
  }

  deinit {
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  public var url: String { "https://localhost:\(port)" }
}
