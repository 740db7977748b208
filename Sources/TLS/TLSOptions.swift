import Glibc
import Platform

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
  /// What may be agreed upon in TLS 1.2. Everything that TLS 1.3 has is fit.
  public var suites: Suites

  public enum Suites: Hashable, Sendable {
    /// What the TLS library and the system's policy for it allow.
    case library
    /// Those that RFC 9325 section 4.2 recommends (BCP 195), which DICOM's profile PS3.15 B.12 asks
    /// for: keys that are forgotten (ECDHE), encryption that cannot be tampered with (AEAD).
    case bcp195

    /// As OpenSSL reads it.
    var list: String? {
      switch self {
      case .library: nil
      case .bcp195:
        "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:"
          + "ECDHE-RSA-CHACHA20-POLY1305:ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"
      }
    }
  }

  public init(
    trustedCertificates: String? = nil, certificate: String? = nil, key: String? = nil,
    keyPassword: String? = nil, suites: Suites = .library
  ) {
    self.suites = suites
    self.trustedCertificates = trustedCertificates
    self.certificate = certificate
    self.key = key
    self.keyPassword = keyPassword
  }
}

extension TLSOptions {
  private var files: [(path: String?, what: String)] {
    [
      (trustedCertificates, "trusted certificates"), (certificate, "certificate"),
      (key, "private key"),
    ]
  }

  /// Which file cannot be read, and why; nil where all can. The words of TLS libraries for that do
  /// not name the file.
  package var unreadableFile: String? {
    for case (let path?, let what) in files where access(path, R_OK) != 0 {
      return "the file with the \(what) cannot be read: \(SystemError.last("open", path))"
    }
    return nil
  }

  /// Changes when one of the files does.
  package var fingerprint: String {
    var result = ""
    for case (let path?, _) in files {
      var status = stat()
      guard stat(path, &status) == 0 else { continue }
      result +=
        "\(status.st_dev):\(status.st_ino):\(status.st_size):"
        + "\(status.st_mtim.tv_sec).\(status.st_mtim.tv_nsec);"
    }
    return result
  }
}
