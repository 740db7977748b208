import DICOM
import HL7
import Platform
import TLS

extension DispatchSettings {
  /// What the dispatcher is to know of a configuration.
  public init(_ configuration: Configuration) {
    self.init()
    for destination in configuration.destinations {
      outlets[Outlet(.dicom, destination.name)] = OutletSettings(
        budget: destination.budget, retry: configuration.sending.transferRetry,
        window: destination.window,
        address: configuration.address(of: destination))
      if let hl7 = destination.hl7 {
        orders[destination.name] = hl7
        facilities[destination.name] =
          configuration.hl7Interfaces.first { $0.name == hl7 }?.receivingFacility ?? ""
      }
    }
    for interface in configuration.hl7Interfaces {
      outlets[Outlet(.hl7, interface.name)] = OutletSettings(
        budget: interface.budget, retry: interface.retry,
        address: "\(interface.host):\(interface.port)")
    }
    for recipient in configuration.recipients {
      if let unit = configuration.resolvedRecipient(recipient.id)?.hsaID {
        units[recipient.id] = unit
      }
    }
    for origin in configuration.origins { origins[origin.system] = origin.hl7 }
    prefetching = Set(configuration.lists.filter(\.prefetch).compactMap(\.peer))
    watchdog = configuration.sending.watchdog
    keepMessages = configuration.sending.keepMessages
    retention = configuration.daemon.retention
  }
}

extension DispatchSurroundings {
  /// The destinations and interfaces of a configuration.
  public init(
    _ configuration: Configuration, archive: any ImageArchive & StoredObjects,
    sources: [String: any ImageSource], services: HTTPServices = HTTPServices(),
    disclosures: any DisclosureLog
  ) {
    var recipients: [String: any ImageRecipient] = [:]
    for destination in configuration.destinations {
      recipients[destination.name] =
        configuration.webRecipient(destination, archive, services)
        ?? Self.recipient(destination, configuration, archive)
    }
    var interfaces: [String: any MessagePeer] = [:]
    for interface in configuration.hl7Interfaces {
      interfaces[interface.name] = MLLPPeer(
        MLLPPeer.Options(
          host: interface.host, port: UInt16(interface.port),
          connectTimeout: interface.connectTimeout,
          acknowledgementTimeout: interface.acknowledgementTimeout,
          applicationTimeout: interface.applicationTimeout,
          tls: interface.tls.map {
            TLSOptions(
              trustedCertificates: $0.authorities, certificate: $0.certificate, key: $0.key)
          }))
    }
    self.init(
      archive: archive, sources: sources, recipients: recipients, interfaces: interfaces,
      composer: HL7Composer(interfaces: configuration.hl7Interfaces) { id in
        configuration.resolvedRecipient(id)?.hsaID
      }, disclosures: disclosures)
  }
}

extension DispatchSurroundings {
  private static func recipient(
    _ destination: Configuration.Destination, _ configuration: Configuration,
    _ archive: any StoredObjects
  ) -> any ImageRecipient {
    let address = destination.address(from: configuration)
    let timeouts = AssociationTimeouts(
      connect: destination.connectTimeout, association: destination.associationTimeout,
      response: destination.responseTimeout)
    let user = destination.user.map(DICOMUser.init)
    let options = DIMSERecipient.Options(
      name: destination.name, address: address, timeouts: timeouts, user: user,
      operations: destination.operations)
    var recipient: any ImageRecipient = DIMSERecipient(options, archive: archive)
    if destination.transfer == .move,
      let peer = configuration.peers.first(where: { $0.name == destination.mover })
    {
      // However we fetch from it: only by C-MOVE does it send to somebody else.
      var asked = DIMSEPeer.Options(peer, configuration, destination: destination.aeTitle)
      asked.retrieve = .move
      recipient = MoveRecipient(name: destination.name, mover: DIMSEPeer(asked))
    }
    let query = DIMSEPeer(
      DIMSEPeer.Options(
        name: destination.name, address: address, timeouts: timeouts,
        destination: configuration.archive.aeTitle, user: user))
    if destination.storageCommitment {
      recipient = CommittedRecipient(
        recipient, options: options, timeout: destination.commitmentTimeout,
        // Without an archive of our own nothing listens: reports come on the association that asks.
        desk: (archive as? EmbeddedArchive)?.commitments ?? CommitmentDesk(), archive: archive,
        query: query)
    }
    return destination.verifyByQuery ? VerifiedRecipient(recipient, query: query) : recipient
  }
}

extension OrderDesk.Policy {
  public init(_ configuration: Configuration) {
    let sending = configuration.sending
    self.init(
      gate: SendGate(
        primaryStatuses: sending.primaryStatuses,
        secondReadingStatuses: sending.secondReadingStatuses,
        referralMoveStatuses: sending.referralMoveStatuses),
      refreshTimeout: sending.refreshTimeout,
      recipient: { configuration.resolvedRecipient($0).map(SendGate.Recipient.init) },
      encodingFault: { recipient, text in
        guard let name = configuration.resolvedRecipient(recipient)?.destination,
          let hl7 = configuration.destinations.first(where: { $0.name == name })?.hl7,
          let interface = configuration.hl7Interfaces.first(where: { $0.name == hl7 })
        else { return nil }
        let set = HL7CharacterSet(interface.encoding)
        guard let missing = set.firstMissing(in: text) else { return nil }
        let code = String(missing.value, radix: 16, uppercase: true)
        return "the character U+\(code) in the text is not in \(set.rawValue), which \(hl7) takes"
      })
  }
}
