import DICOMweb

@testable import DICOM
@testable import SyncCore
@testable import TLS

/// The tables of what can be configured, and of what is asked and known.
extension StatementTables {
  func defaults() -> String {
    var table = StatementTable("Parameter", "Key", "Default")
    let archive = Configuration.Archive()
    let peer = Configuration.Peer(name: "", aeTitle: "", host: "", port: 104)
    let destination = Configuration.Destination(name: "", aeTitle: "", host: "")
    let acceptor = server.configuration
    func time(_ duration: Duration) -> String { DurationText.format(duration) }
    table.add("AE title", "`archive.ae_title`", archive.aeTitle)
    table.add(
      "address and port", "`archive.listen`, `archive.port`", "\(archive.listen), \(archive.port)")
    table.add(
      "associations accepted at a time", "`archive.max_associations`",
      "\(archive.maxAssociations)")
    table.add("maximum length accepted, bytes", "`archive.max_pdu`", "\(archive.maxPDU)")
    table.add(
      "maximum length in our requests, bytes", "-",
      "\(DIMSEPeer.Options(name: "", address: Self.nowhere, destination: "").maximumPDULength)")
    table.add("least free disk to store, bytes", "`archive.minimum_free`", "\(archive.minimumFree)")
    table.add("calling AE titles taken", "`archive.allow_calling`", "any")
    table.add("addresses taken", "`archive.allow_from`", "any")
    table.add("private SOP classes taken", "`archive.accept_sop_classes`", "none")
    table.add(
      "acceptor: A-ASSOCIATE-RQ and release (ARTIM)", "-", time(acceptor.timeouts.association))
    table.add("acceptor: the rest of a message", "-", time(acceptor.timeouts.response))
    table.add("acceptor: the next request", "-", time(acceptor.timeouts.request))
    table.add("peer: connection", "`connect_timeout`", time(peer.connectTimeout))
    table.add(
      "peer: A-ASSOCIATE-AC and release", "`association_timeout`", time(peer.associationTimeout))
    table.add("peer: a response", "`response_timeout`", time(peer.responseTimeout))
    table.add(
      "peer: the next sign of life of a retrieve", "`move_idle_timeout`", time(peer.moveIdleTimeout)
    )
    table.add("peer: associations at a time", "`budget`", "\(peer.budget)")
    table.add("peer: how objects are fetched", "`retrieve`", peer.retrieve.rawValue)
    table.add("peer: finest level of a retrieve", "`retrieve_level`", peer.retrieveLevel.rawValue)
    table.add("destination: associations at a time", "`budget`", "\(destination.budget)")
    table.add("destination: objects under way at once", "`operations`", "\(destination.operations)")
    table.add(
      "destination: connection, association, response",
      "`connect_timeout`, `association_timeout`, `response_timeout`",
      [destination.connectTimeout, destination.associationTimeout, destination.responseTimeout]
        .map(time).joined(separator: ", "))
    table.add(
      "destination: asked what it holds", "`verify_by_query`", "\(destination.verifyByQuery)")
    table.add(
      "destination: asked to commit; waited for its report",
      "`storage_commitment`, `commitment_timeout`",
      "\(destination.storageCommitment); \(time(destination.commitmentTimeout))")
    return table.text
  }

  private static let nowhere = PeerAddress(host: "", port: 0, calledAE: "A", callingAE: "B")

  func worklistKeys() throws -> String {
    var table = StatementTable("Tag", "Attribute", "VR", "Key")
    let worklist = Configuration.Worklist(peer: "sectra", station: "STATION")
    let days = WorklistTable.Days(first: "20261101", last: "20261130")
    func add(_ content: DataSet, _ prefix: String) {
      for element in content.elements {
        let name = prefix + (DataDictionary.entry(element.tag)?.keyword ?? "")
        if case .items(let items) = element.value {
          table.add("\(element.tag)", name, "SQ", "one item")
          items.forEach { add($0, prefix + "> ") }
          continue
        }
        let key =
          switch content.string(element.tag) {
          case nil: "universal"
          case "STATION": "single value: `station`"
          default: "range, by `days_back` and `days_ahead`; universal without them"
          }
        table.add("\(element.tag)", name, element.vr.rawValue, key)
      }
    }
    add(try WorklistTable(worklist, days: days).identifier(), "")
    return table.text
  }

  func characterSets() -> String {
    let terms =
      ["ISO_IR 6"]
      + ([100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203, 13].map { "ISO_IR \($0)" })
      + ["ISO_IR 192", "GB18030", "GBK"]
      + [6, 100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203, 13, 58, 87, 149, 159].map {
        "ISO 2022 IR \($0)"
      }
    return flowing(terms.filter { CharacterSet([$0]).unknownTerms.isEmpty }.map { "`\($0)`" })
  }

  func cipherSuites() -> String {
    flowing(
      (TLSOptions.Suites.bcp195.list ?? "").split(separator: ":").map { "`\($0)`" })
  }

  func dicomwebLimits() -> String {
    var table = StatementTable("Limit", "Value")
    let options = DICOMwebClient.Options()
    table.add("matches asked for at a time (`limit`)", "\(options.pageSize)")
    table.add("objects of one STOW-RS request, at most", "\(options.mostInstances)")
    table.add(
      "bytes of one STOW-RS request with more than one object, at most", "\(options.mostBytes)")
    return table.text
  }
}
