import DICOM

extension Configuration.Peer {
  /// Where it is and how it is reached. The one way to it: what is to go within TLS goes nowhere else.
  public func address(from configuration: Configuration) -> PeerAddress {
    PeerAddress(
      host: host, port: UInt16(port), calledAE: aeTitle,
      callingAE: callingAETitle ?? configuration.archive.aeTitle,
      connector: tls.map { TLSConnector($0) })
  }
}

extension Configuration.Destination {
  public func address(from configuration: Configuration) -> PeerAddress {
    PeerAddress(
      host: host, port: UInt16(port), calledAE: aeTitle,
      callingAE: callingAETitle ?? configuration.archive.aeTitle,
      connector: tls.map { TLSConnector($0) })
  }
}
