import HTTP
import Platform
import TLS

extension Configuration {
  /// The PEM files by which the two ends of a TLS connection prove who they are: for HTTP servers
  /// and for DICOM nodes alike.
  public struct CertificateFiles: Hashable, Sendable {
    /// The authorities to trust; nil for the system's.
    public var authorities: String?
    /// Our own certificate and its key, where the other side asks for one.
    public var certificate: String?
    public var key: String?
    /// Where the key's password lies.
    public var keyPassword: String?

    public init() {}

    init(_ table: TableReader) {
      authorities = table.optionalString("authorities", check: Check.path)
      certificate = table.optionalString("certificate", check: Check.path)
      key = table.optionalString("key", check: Check.path)
      keyPassword = table.optionalString("key_password", check: Check.secretPlace)
      if key != nil, certificate == nil {
        table.fault("key", "needs its certificate as well")
      }
      if keyPassword != nil, certificate == nil {
        table.fault("key_password", "needs a certificate and its key")
      }
    }

    /// Of a table where `tls` says whether there is TLS at all; nil where there is none.
    static func switched(_ table: TableReader) -> CertificateFiles? {
      let isOn = table.boolean("tls", false)
      let files = CertificateFiles(table)
      if isOn { return files }
      for key in ["authorities", "certificate", "key", "key_password"] where table.has(key) {
        // Silence would be a connection in plain text that somebody takes for a safe one.
        table.fault(key, "is for TLS only: say tls = true as well")
      }
      return nil
    }

    func render(_ text: inout TOMLText) {
      if let authorities { text.line("authorities", .text(authorities)) }
      if let certificate { text.line("certificate", .text(certificate)) }
      if let key { text.line("key", .text(key)) }
      if let keyPassword { text.line("key_password", .text(keyPassword)) }
    }

    /// - Throws: the key's password cannot be read.
    func options(suites: TLSOptions.Suites) throws(SecretPlace.Fault) -> TLSOptions {
      TLSOptions(
        trustedCertificates: authorities, certificate: certificate, key: key,
        keyPassword: try keyPassword.map { (place) throws(SecretPlace.Fault) in
          try SecretPlace(place).read()
        }, suites: suites)
    }
  }

  /// Where DICOM is spoken: 104, and within TLS 2762 (PS3.8 section 9.1.1, PS3.15 annex B).
  static func standardPort(_ files: CertificateFiles?) -> Int { files == nil ? 104 : 2762 }
}
