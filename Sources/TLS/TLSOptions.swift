/// How a TLS connection proves who is at its ends. TLS 1.2 and later; the peer's certificate and
/// host name are always verified.
public struct TLSOptions: Hashable, Sendable {
  /// A PEM file with the certificate authorities that are trusted. Nil: those of the system.
  public var trustedCertificates: String?
  /// A PEM file with our own certificate and those between it and its root, for peers that demand
  /// one.
  public var certificate: String?
  /// A PEM file with its private key. Nil: in the same file as the certificate.
  public var key: String?
  /// Of an encrypted private key.
  public var keyPassword: String?

  public init(
    trustedCertificates: String? = nil, certificate: String? = nil, key: String? = nil,
    keyPassword: String? = nil
  ) {
    self.trustedCertificates = trustedCertificates
    self.certificate = certificate
    self.key = key
    self.keyPassword = keyPassword
  }
}
