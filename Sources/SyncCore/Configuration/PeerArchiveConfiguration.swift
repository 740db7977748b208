import DICOM
import Platform

// The archive as a peer of its own: `[archive] kind = "peer"`.

extension Configuration {
  /// What goes with the archive's kind, once everybody who fetches and sends is known.
  func checkArchive(_ root: TableReader) {
    let table = root.table("archive")
    guard archive.kind == .peer else { return }
    guard let name = archive.peer else {
      return table.fault("peer", "missing: with kind = \"peer\" the [[peer]] that is the archive")
    }
    guard peers.contains(where: { $0.name == name }) else {
      let known = peers.map(\.name).joined(separator: ", ")
      return table.fault(
        "peer",
        "found \(TOMLText.quoted(name.prefix(60))), expected the name of a [[peer]]"
          + (known.isEmpty ? "; there is none" : ": \(known)"))
    }
    for (list, reader) in zip(lists, root.tables("list")) {
      guard let source = peers.first(where: { $0.name == list.peer }) else { continue }
      if source.name == name {
        reader.fault("peer", "is the archive itself: an examination cannot be fetched from there")
      } else if source.kind == .dicomweb, list.prefetch {
        reader.fault(
          "peer",
          "is of kind \"dicomweb\": only a DIMSE peer can send to an archive that is a peer (C-MOVE); "
            + "or set prefetch = false")
      } else if source.retrieve == .get, list.prefetch {
        reader.fault(
          "peer",
          "is fetched from by C-GET, which brings the images here: with an archive that is a peer say "
            + "retrieve = \"move\" there, or set prefetch = false")
      }
    }
    for (destination, reader) in zip(destinations, root.tables("destination"))
    where destination.transfer != .move {
      reader.fault(
        "name",
        "is sent to from here, but the archive is the peer \(name): let that one send, by transfer = "
          + "\"move\" and mover")
    }
  }

  /// Whether the archive is reached in the same way, so that nothing has to be started anew.
  public func hasSameArchive(as other: Configuration) -> Bool {
    guard archive == other.archive else { return false }
    guard archive.kind == .peer else { return true }
    let one = peers.first { $0.name == archive.peer }
    let two = other.peers.first { $0.name == archive.peer }
    return one == two
      && servers.first { $0.name == one?.server } == other.servers.first { $0.name == two?.server }
  }

  /// The AE title that sources are to send to: that of the peer which is the archive, or ours.
  public var archiveTitle: String {
    guard archive.kind == .peer, let peer = peers.first(where: { $0.name == archive.peer }),
      peer.kind == .dimse
    else { return archive.aeTitle }
    return peer.aeTitle
  }
}

extension PeerArchive {
  /// The peer that is the archive; nil where the archive is one of our own.
  /// - Parameter stop: ends what is being asked.
  public convenience init?(_ configuration: Configuration, _ services: HTTPServices, stop: Gate) {
    guard configuration.archive.kind == .peer,
      let peer = configuration.peers.first(where: { $0.name == configuration.archive.peer })
    else { return nil }
    if let web = DICOMwebSource(peer, configuration, services, storage: nil) {
      self.init(web, stop: stop)
    } else {
      self.init(
        DIMSEPeer(DIMSEPeer.Options(peer, configuration, destination: peer.aeTitle)), stop: stop)
    }
  }
}
