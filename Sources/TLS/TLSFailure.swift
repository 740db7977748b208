import CCurl
import Platform

/// A failure of libcurl's, and what it means to whoever keeps the connection's settings.
package struct TLSFailure: Error {
  package let code: CURLcode
  /// OpenSSL's X509_V_ERR_* about the certificate's chain.
  package let verification: Int
  /// In libcurl's own words.
  package let words: String

  package init(code: CURLcode, verification: Int, words: String) {
    self.code = code
    self.verification = verification
    self.words = words
  }

  func error(connectingTo peer: String, _ options: TLSOptions) -> TransportError {
    if code == CURLE_OPERATION_TIMEDOUT {
      return TransportError(
        isTimeout: true,
        "connect \(peer): no TLS connection in time: check that it speaks TLS on that port (\(words))"
      )
    }
    return TransportError(advice(about: "connect \(peer)", options))
  }

  /// What went wrong and what to do about it, as one line.
  package func advice(about subject: String, _ options: TLSOptions) -> String {
    let advice: String
    switch code {
    case CURLE_COULDNT_RESOLVE_HOST:
      advice = "the host's name is not known: check it, and the name service"
    case CURLE_COULDNT_CONNECT:
      advice = "no connection: check that it listens there, and the firewalls between"
    case CURLE_PEER_FAILED_VERIFICATION: advice = verificationAdvice(options)
    case CURLE_SSL_CACERT_BADFILE:
      advice =
        "\(options.trustedCertificates ?? "the system's trust store") holds no certificates "
        + "that can be read: it has to be PEM"
    case CURLE_SSL_CERTPROBLEM:
      advice =
        "our own certificate or its key cannot be used: both have to be PEM and belong together, "
        + "and an encrypted key needs its password"
    case CURLE_SSL_CONNECT_ERROR, CURLE_RECV_ERROR, CURLE_SEND_ERROR:
      advice = handshakeAdvice ?? "the TLS handshake failed: check that it speaks TLS on that port"
    default: advice = "no TLS connection"
    }
    return "\(subject): \(advice) (\(words))"
  }

  func error(during operation: String, _ peer: String) -> TransportError {
    let advice = handshakeAdvice ?? "the TLS connection broke"
    return TransportError("\(operation) \(peer): \(advice) (\(words))")
  }

  /// The end of the stream before its first byte.
  static func closedUnheard(_ peer: String, hasCertificate: Bool) -> TransportError {
    TransportError("read \(peer): " + closedUnheard(hasCertificate: hasCertificate))
  }

  /// What it may mean that the peer has closed a new connection before it said anything: TLS 1.3
  /// tells of a refused certificate only after the handshake, if at all.
  package static func closedUnheard(hasCertificate: Bool) -> String {
    "it closed the connection without a word. "
      + (hasCertificate
        ? "If it did so at once, it may not accept our certificate: "
          + "it has to trust the authority that issued it"
        : "If it did so at once, it may demand a certificate of ours, "
          + "which is to be configured with its key")
  }

  private func verificationAdvice(_ options: TLSOptions) -> String {
    let trust = options.trustedCertificates ?? "the system's trust store"
    // The name is looked at first, and has no code of its own.
    if words.contains("subject name") {
      return "its certificate is for another name: use the name in the certificate, "
        + "or have it issued for this one"
    }
    switch verification {
    case 9: return "its certificate is not valid yet: check both machines' clocks"
    case 10: return "its certificate has expired: it has to be renewed there"
    case 18, 19, 20, 21:
      return "its certificate is of an authority that is not trusted: "
        + "put that authority's certificate into \(trust)"
    case 23: return "its certificate has been revoked"
    default: return "its certificate is not accepted"
    }
  }

  /// Whether the peer has said why.
  package var isExplained: Bool { handshakeAdvice != nil }

  /// What the peer's alerts mean. With TLS 1.3 those about our certificate come after the
  /// handshake, upon the first read or write.
  private var handshakeAdvice: String? {
    let text = words.lowercased()
    if text.contains("certificate required") {
      return "it refused the handshake: it may demand a certificate of ours, which is to be "
        + "configured with its key"
    }
    if text.contains("handshake failure") || text.contains("insufficient security") {
      return "it refused the handshake: it has no cipher suite in common with us (TLS 1.3, or "
        + "TLS 1.2 with ECDHE and AES-GCM or ChaCha20, are to be allowed there), or it may demand "
        + "a certificate of ours, which is to be configured with its key"
    }
    if text.contains("unknown ca") || text.contains("bad certificate")
      || text.contains("certificate unknown") || text.contains("certificate expired")
    {
      return "it does not accept our certificate: it has to trust the authority that issued it"
    }
    if text.contains("wrong version number") || text.contains("packet length too long") {
      return "it does not speak TLS on that port"
    }
    if text.contains("protocol version") { return "it speaks no TLS 1.2 or later" }
    return nil
  }
}
