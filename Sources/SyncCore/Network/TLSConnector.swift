import DICOM
import HTTP
import Platform
import TLS

/// DICOM over TLS (PS3.15 annex B.12): TLS 1.2 or later, never anything less and never plain text;
/// the peer's certificate and its name are verified, and ours is shown where there is one.
public struct TLSConnector: PeerConnector {
  public var files: Configuration.CertificateFiles

  public init(_ files: Configuration.CertificateFiles) { self.files = files }

  public func connect(
    to peer: PeerAddress, deadline: Deadline
  ) throws(TransportError) -> any ByteTransport {
    try open(host: peer.host, port: peer.port, deadline: deadline)
  }

  func open(
    host: String, port: UInt16, deadline: Deadline
  ) throws(TransportError) -> TLSTransport {
    let options: TLSOptions
    do throws(SecretPlace.Fault) {
      // Read anew each time: certificates are renewed while the daemon runs.
      options = try files.options(suites: .bcp195)
    } catch {
      throw TransportError("the password of our certificate's key: \(error)")
    }
    let transport = try TLSTransport.connect(
      host: host, port: port, options: options, deadline: deadline)
    PeerCertificates.shared.note(
      "\(host):\(port)", until: transport.session.validity?.notAfter)
    return transport
  }
}

/// When the certificates of a TLS connection end: our own, and the other side's as it was seen last.
public struct CertificateEnds: Hashable, Sendable {
  public var name: String
  public var own: WallTime?
  public var peers: WallTime?
}

/// When the certificates end that DICOM nodes have shown, for a warning in time.
final class PeerCertificates: Sendable {
  static let shared = PeerCertificates()
  private let ends = Monitor<[String: WallTime]>([:])

  func note(_ place: String, until: WallTime?) {
    ends.update { $0[place] = until }
  }

  /// Of the configuration's peers and destinations.
  func ends(_ configuration: Configuration) -> [CertificateEnds] {
    let nodes =
      configuration.peers.map { ($0.name, $0.host, $0.port, $0.tls) }
      + configuration.destinations.map { ($0.name, $0.host, $0.port, $0.tls) }
    let seen = ends.read { $0 }
    return nodes.compactMap { name, host, port, files in
      files.map {
        CertificateEnds(
          name: name, own: $0.certificate.flatMap { CertificateDates.ofFile($0)?.notAfter },
          peers: seen["\(host):\(port)"])
      }
    }
  }
}
