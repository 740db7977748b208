import DICOM
import Glibc
import Platform
import TLS

/// Sends within TLS where the environment says so: DICOM_LOAD_CA, and DICOM_LOAD_CERT and
/// DICOM_LOAD_KEY where the peer asks for a certificate.
struct SecureLoad: PeerConnector {
  var options: TLSOptions

  /// Nil for plain text.
  static var fromEnvironment: SecureLoad? {
    func variable(_ name: String) -> String? { getenv(name).map { String(cString: $0) } }
    guard let authorities = variable("DICOM_LOAD_CA") else { return nil }
    return SecureLoad(
      options: TLSOptions(
        trustedCertificates: authorities, certificate: variable("DICOM_LOAD_CERT"),
        key: variable("DICOM_LOAD_KEY"), suites: .bcp195))
  }

  func connect(
    to peer: PeerAddress, deadline: Deadline
  ) throws(TransportError) -> any ByteTransport {
    try TLSTransport.connect(
      host: peer.host, port: peer.port, options: options, deadline: deadline)
  }
}
