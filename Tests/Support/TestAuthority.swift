/// A certificate authority of a test's own. Needs `.needs(.program("openssl"))`.
public final class TestAuthority {
  public let directory: TemporaryDirectory
  /// Its own certificate.
  public var file: String { directory.file("ca.pem") }

  public init() throws {
    directory = try TemporaryDirectory()
    try openssl(
      "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
      "-keyout", directory.file("ca.key"), "-out", file, "-days", "2", "-subj", "/CN=Test authority"
    )
  }

  /// A certificate for a name, and its key.
  public func issue(
    _ name: String, notAfter: String = "491231235959Z"
  ) throws -> (certificate: String, key: String) {
    let key = directory.file("\(name).key")
    let request = directory.file("\(name).csr")
    let certificate = directory.file("\(name).pem")
    try openssl(
      "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
      "-out", request, "-subj", "/CN=\(name)")
    try directory.write(
      """
      [ca]
      default_ca = own
      [own]
      new_certs_dir = \(directory.path)
      database = \(directory.file("index"))
      rand_serial = yes
      default_md = sha256
      policy = any
      x509_extensions = names
      [any]
      commonName = supplied
      [names]
      subjectAltName = \(name.first!.isNumber ? "IP" : "DNS"):\(name)

      """, to: "ca.conf")
    try directory.write("", to: "index")
    try openssl(
      "ca", "-batch", "-notext", "-config", directory.file("ca.conf"), "-cert", file, "-keyfile",
      directory.file("ca.key"), "-in", request, "-out", certificate, "-startdate", "200101000000Z",
      "-enddate", notAfter)
    return (certificate, key)
  }

  private func openssl(_ arguments: String...) throws {
    let result = try ChildProcess.run("openssl", arguments)
    guard result.status == 0 else { throw ChildProcess.SpawnError(description: result.output) }
  }
}
