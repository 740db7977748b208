import DICOM
import DICOMweb
import HTTP
import Platform

// Peers and destinations that are reached over DICOMweb instead of DIMSE.

extension Configuration {
  /// What stands in a [[peer]] of kind "dimse" only.
  private static let associationKeys = [
    "ae_title", "host", "port", "calling_ae_title", "connect_timeout", "association_timeout",
    "tls", "authorities", "certificate", "key", "key_password", "user", "passcode",
  ]

  /// A [[peer]] of kind "dicomweb": a [[server]], whose url is where its DICOMweb paths begin.
  func readWebPeer(_ table: TableReader, _ name: String) -> Peer {
    var peer = Peer(
      name: name,
      server: table.requiredString(
        "server", "the name of the [[server]] whose url is where its DICOMweb paths begin"))
    checkServer(table, "server", peer.server)
    peer.budget = table.integer("budget", peer.budget, 1...64)
    peer.retrieveLevel = table.choice("retrieve_level", peer.retrieveLevel)
    let hour = Duration.seconds(3600)
    peer.responseTimeout = table.duration(
      "response_timeout", peer.responseTimeout, .milliseconds(100)...hour)
    peer.moveIdleTimeout = table.duration(
      "move_idle_timeout", peer.moveIdleTimeout, .milliseconds(100)...(hour * 24))
    for key in Self.associationKeys + ["retrieve"] where table.has(key) {
      table.refuse(key, "is for kind = \"dimse\" only: with \"dicomweb\" the [[server]] has it")
    }
    return peer
  }

  /// A [[destination]] that names a [[peer]] to send to by STOW-RS.
  func readWebDestination(_ table: TableReader, _ name: String) -> Destination {
    var destination = Destination(name: name, aeTitle: "", host: "")
    let peer = table.optionalString("peer") ?? ""
    destination.peer = peer
    checkPeer(table, "peer", peer, is: .dicomweb, "give its ae_title, host and port here")
    let others =
      Self.associationKeys + [
        "transfer", "mover", "response_timeout", "operations", "storage_commitment",
        "commitment_timeout",
      ]
    for key in others where table.has(key) {
      table.refuse(key, "stands beside peer: the [[peer]] tells how it is reached")
    }
    return destination
  }

  /// The name of a peer that somebody refers to, of the kind that can do it.
  /// - Parameter advice: what to do where it is of the other kind.
  func checkPeer(
    _ table: TableReader, _ key: String, _ name: String, is kind: Peer.Kind, _ advice: String
  ) {
    guard !name.isEmpty else { return }
    guard let peer = peers.first(where: { $0.name == name }) else {
      let known = peers.filter { $0.kind == kind }.map(\.name).joined(separator: ", ")
      return table.fault(
        key,
        "found \(TOMLText.quoted(name.prefix(60))), expected the name of a [[peer]]"
          + (known.isEmpty ? "; there is none of kind \"\(kind.rawValue)\"" : ": \(known)"))
    }
    guard peer.kind != kind else { return }
    table.fault(key, "the peer \(name) is of kind \"\(peer.kind.rawValue)\": \(advice)")
  }

  func renderWeb(_ peer: Peer, _ text: inout TOMLText) {
    text.header("peer", isArray: true)
    text.line("name", .text(peer.name))
    text.line("kind", .text(peer.kind.rawValue))
    text.line("server", .text(peer.server ?? ""))
    text.line("budget", .number(peer.budget))
    text.line("retrieve_level", .text(peer.retrieveLevel.rawValue))
    text.line("response_timeout", .time(peer.responseTimeout))
    text.line("move_idle_timeout", .time(peer.moveIdleTimeout))
  }
}

extension DICOMwebClient {
  /// Nil where the peer is none of DICOMweb's, or its server is not there.
  init?(_ peer: Configuration.Peer, _ services: HTTPServices) {
    guard peer.kind == .dicomweb, let service = peer.server.flatMap({ services[$0] }) else {
      return nil
    }
    var options = Options()
    options.responseTimeout = peer.responseTimeout
    options.idleTimeout = peer.moveIdleTimeout
    self.init(service, options)
  }
}

extension DICOMwebSource {
  /// - Parameter storage: where fetched objects go; nil where it is only asked.
  convenience init?(
    _ peer: Configuration.Peer, _ configuration: Configuration, _ services: HTTPServices,
    storage: (any StorageProvider)?
  ) {
    guard let client = DICOMwebClient(peer, services) else { return nil }
    self.init(
      Options(
        name: peer.name,
        finestLevel: QueryLevel(rawValue: peer.retrieveLevel.rawValue.uppercased()) ?? .image,
        archiveTitle: configuration.archive.aeTitle),
      client: client, storage: storage)
  }
}

extension Configuration {
  /// The recipient that a destination stands for, where it is one over DICOMweb.
  func webRecipient(
    _ destination: Destination, _ archive: any StoredObjects, _ services: HTTPServices
  ) -> (any ImageRecipient)? {
    guard let peer = peers.first(where: { $0.name == destination.peer }),
      let client = DICOMwebClient(peer, services)
    else { return nil }
    let recipient = DICOMwebRecipient(name: destination.name, client: client, archive: archive)
    guard destination.verifyByQuery,
      let query = DICOMwebSource(peer, self, services, storage: nil)
    else { return recipient }
    return VerifiedRecipient(recipient, query: query)
  }

  /// Where a destination is, for an admin.
  func address(of destination: Destination) -> String {
    if let peer = peers.first(where: { $0.name == destination.peer }) {
      return servers.first { $0.name == peer.server }?.url ?? ""
    }
    return "\(destination.aeTitle)@\(destination.host):\(destination.port)"
  }
}
