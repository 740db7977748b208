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
