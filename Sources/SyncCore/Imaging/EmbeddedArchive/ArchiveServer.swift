import DICOM
import Platform

extension EmbeddedArchive {
  /// A server for this archive: it takes every storage SOP class, and answers queries and moves.
  /// The caller starts it, and stops it before ``close()``.
  /// - Parameters:
  ///   - endpoint: where it listens.
  ///   - destination: where the AE title of a C-MOVE destination is found; nil when unknown.
  ///   - configure: changes what else the configuration has.
  public func server(
    on endpoint: Endpoint,
    destination: @escaping @Sendable (_ aeTitle: String) -> PeerAddress? = { _ in nil },
    configure: (inout ServerConfiguration) -> Void = { _ in },
    observe: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) throws(SystemError) -> DICOMServer {
    server(
      on: try ListeningSocket(on: endpoint), destination: destination, configure: configure,
      observe: observe)
  }

  /// ``server(on:destination:configure:observe:)`` on a socket that listens already.
  public func server(
    on listener: ListeningSocket,
    destination: @escaping @Sendable (_ aeTitle: String) -> PeerAddress? = { _ in nil },
    configure: (inout ServerConfiguration) -> Void = { _ in },
    observe: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) -> DICOMServer {
    var server = ServerConfiguration(
      aeTitle: configuration.aeTitle, contextPolicy: Self.contextPolicy, destination: destination,
      identity: configuration.identity)
    configure(&server)
    return DICOMServer(
      on: listener, configuration: server,
      services: DICOMServices(storage: self, query: self, retrieve: self), observe: observe)
  }

  /// Every storage class, and of the transfer syntaxes the one the sender names first: that is how
  /// it has the object, which then is not converted on the way. Not deflated ones, whose header
  /// cannot be read without inflating them; a sender has to offer another one beside (PS3.5
  /// section 10.1).
  static let contextPolicy = ContextPolicy(storage: { _, proposed in
    proposed.first { !$0.isDeflated }
  })
}
