import Platform

/// What two ends of a TLS connection agreed upon, and who the other end is.
public struct TLSSession: Hashable, Sendable {
  /// Such as `TLSv1.3`; nil where libcurl does not tell.
  public var version: String?
  /// The cipher suite as the TLS library calls it.
  public var cipher: String?
  /// Of the peer's certificate, as a list of attributes: `CN = pacs.example.org`.
  public var subject: String?
  public var issuer: String?
  public var validity: CertificateDates?
  /// How long the TCP connection took, and the handshake after it.
  public var connecting: Duration
  public var handshake: Duration

  static let agreementPrefix = "SSL connection using "

  /// - Parameters:
  ///   - agreement: `SSL connection using VERSION / CIPHER`, perhaps with more after another `/`.
  ///   - certificate: the peer's own, in PEM form.
  init(
    agreement: String, subject: String?, issuer: String?, certificate: String?,
    connecting: Duration, handshake: Duration
  ) {
    let text = agreement.dropFirst(Self.agreementPrefix.count)
    let parts = text.split(whereSeparator: { $0 == " " || $0 == "/" || $0 == "\n" })
    version = parts.first.map(String.init)
    cipher = parts.dropFirst().first.map(String.init)
    self.subject = subject
    self.issuer = issuer
    validity = certificate.flatMap { CertificateDates(pem: $0.utf8) }
    self.connecting = connecting
    self.handshake = handshake
  }
}
