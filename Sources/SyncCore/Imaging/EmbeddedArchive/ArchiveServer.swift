import DICOM
import Platform

extension EmbeddedArchive {
  /// A server for this archive: it takes every storage SOP class, answers queries, sends
  /// what is asked for by C-MOVE and C-GET, and commits to what it has stored.
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
    let choice = RetrievalChoice(reader)
    server.contextPolicy.retrieval = { choice.choose($0, $1) }
    return DICOMServer(
      on: listener, configuration: server,
      services: DICOMServices(
        storage: self, query: self, retrieve: self, commitment: self,
        commitmentReports: commitments, isRelational: true,
        queryModels: Self.models), observe: observe)
  }

  /// Every storage class, and of the transfer syntaxes the one the sender names first: that is how
  /// it has the object, which then is not converted on the way. Deflated and big endian objects
  /// are kept as they come.
  static let contextPolicy = contextPolicy(accepting: [])

  /// The same with SOP classes that the standard does not know.
  /// - Parameter sopClasses: UIDs, or the beginnings of UIDs, which then end in `.*`.
  public static func contextPolicy(accepting sopClasses: [String]) -> ContextPolicy {
    let uids = Set(sopClasses.filter { !$0.hasSuffix(".*") }.map { UID($0) })
    let prefixes = sopClasses.filter { $0.hasSuffix(".*") }.map { String($0.dropLast()) }
    return ContextPolicy(
      isStorage: { uid in
        ContextPolicy.isStandardStorage(uid) || uids.contains(uid)
          || prefixes.contains { uid.value.hasPrefix($0) }
      },
      storage: { _, proposed in proposed.first })
  }
}
