import Foundation
import TOML
import Testing

@testable import SyncCore

/// `config.toml.example`: "# key = value" is a default, "## key = value" an example.
@Suite("The example configuration")
struct ConfigurationExampleTests {
  static let root: URL = {
    var root = URL(filePath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    return root
  }()
  static let text: String = {
    try! String(contentsOf: root.appending(path: "config.toml.example"), encoding: .utf8)
  }()

  private static var line: Regex<(Substring, Substring, Substring?)> {
    #/(\[\[?[a-z_.]+\]\]?|("[^"]+"|[a-z_]+) = .+)/#
  }

  /// The example with its defaults, and perhaps its examples, made effective.
  static func uncommented(examples: Bool) -> [UInt8] {
    let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { line in
      if line.hasPrefix("# "), line.dropFirst(2).wholeMatch(of: Self.line) != nil {
        return line.dropFirst(2)
      }
      if examples, line.hasPrefix("## ") { return line.dropFirst(3) }
      return line
    }
    return Array(lines.joined(separator: "\n").utf8)
  }

  @Test("as it stands means what an empty file means")
  func asItStands() throws {
    #expect(try Configuration.parse(Array(Self.text.utf8), file: "example") == Configuration())
  }

  @Test("with every default uncommented means what an empty file means")
  func defaults() throws {
    let bytes = Self.uncommented(examples: false)
    #expect(try Configuration.parse(bytes, file: "example") == Configuration())
    // Something has been uncommented: more than a key for each default of the sections.
    let table = try TOML.parse(bytes)
    guard case .table(let cycle)? = table["cycle"]?.value else {
      Issue.record("no [cycle]")
      return
    }
    #expect(cycle.keys.count == 11)
  }

  @Test("with every example uncommented has one of each, with their defaults")
  func examples() throws {
    let bytes = Self.uncommented(examples: true)
    var expected = Configuration()
    expected.archive.directory = expected.archiveDirectory
    var peer = Configuration.Peer(
      name: "sectra", aeTitle: "SECTRAPACS", host: "pacs.example.org", port: 2762)
    peer.callingAETitle = expected.archive.aeTitle
    peer.tls = exampleFiles
    expected.peers = [peer, Configuration.Peer(name: "web", server: "pacs")]

    var drop = Configuration.CSVDrop(directory: "/var/lib/syncd/lists/teleconsult")
    drop.maxAge = expected.cycle.interval * 2
    let list = Configuration.List(
      id: "teleconsult", system: "SECTRA", flag: "sectra-samverkan-teleconsult", peer: "sectra",
      source: .csv(drop))
    var worklist = Configuration.Worklist(peer: "sectra", station: "TMC")
    worklist.daysBack = 30
    worklist.daysAhead = 1
    let second = Configuration.List(
      id: "tmc", system: "SECTRA", flag: "sectra-samverkan-tmc", peer: "sectra",
      source: .worklist(worklist))
    var http = Configuration.HTTPList(server: "ris", list: "extern")
    http.maxAge = expected.cycle.interval * 2
    let third = Configuration.List(
      id: "extern", system: "AGFA", flag: "samverkan", peer: nil, source: .http(http))
    expected.lists = [list, second, third]
    expected.accessLog.directory = expected.accessLogDirectory
    expected.orders.server = "portal"
    expected.portal.server = "portal"
    expectServers(&expected)
    expectSending(&expected)
    #expect(try Configuration.parse(bytes, file: "example") == expected)
  }

  private var exampleFiles: Configuration.CertificateFiles {
    var files = Configuration.CertificateFiles()
    files.authorities = "/etc/syncd/pacs-ca.pem"
    files.certificate = "/etc/syncd/syncd.pem"
    files.key = "/etc/syncd/syncd.key"
    files.keyPassword = "credential:syncd-key"
    return files
  }

  private func expectServers(_ expected: inout Configuration) {
    var portal = Configuration.Server(name: "portal", url: "https://portal.example.org/api")
    portal.files.authorities = "/etc/syncd/portal-ca.pem"
    portal.files.certificate = "/etc/syncd/syncd.pem"
    portal.files.key = "/etc/syncd/syncd.key"
    portal.files.keyPassword = "credential:portal-key"
    portal.proxy = "http://proxy.example.org:3128"
    portal.oauth = Configuration.OAuth(
      tokenURL: "https://login.example.org/oauth/token", clientID: "syncd")
    portal.oauth?.secret = "credential:portal-secret"
    portal.oauth?.scope = "collaboration"
    var ris = Configuration.Server(name: "ris", url: "https://ris.example.org/api")
    ris.token = "credential:ris-token"
    let pacs = Configuration.Server(
      name: "pacs", url: "https://pacs.example.org/dicom-web")
    expected.servers = [portal, ris, pacs]
  }

  private func expectSending(_ expected: inout Configuration) {
    var hl7 = Configuration.HL7Interface(name: "reviewer", host: "hl7.reviewer.example.org")
    hl7.sendingFacility = "SE2321000131-E000000000001"
    hl7.receivingApplication = "RIS"
    hl7.receivingFacility = "SE2321000131-E000000000002"
    hl7.tls = Configuration.TLS()
    hl7.tls?.authorities = "/etc/syncd/reviewer-ca.pem"
    hl7.tls?.certificate = "/etc/syncd/syncd.pem"
    hl7.tls?.key = "/etc/syncd/syncd.key"
    expected.hl7Interfaces = [hl7]
    var destination = Configuration.Destination(
      name: "reviewer", aeTitle: "REVIEWER", host: "pacs.reviewer.example.org")
    destination.callingAETitle = expected.archive.aeTitle
    destination.tls = exampleFiles
    destination.port = 2762
    destination.transfer = .move
    destination.mover = "sectra"
    destination.hl7 = "reviewer"
    destination.window = TimeWindow("06:00-22:00")
    var web = Configuration.Destination(name: "reviewer-web", aeTitle: "", host: "")
    web.peer = "web"
    expected.destinations = [destination, web]
    expected.origins = [Configuration.Origin(system: "SECTRA", hl7: "reviewer")]
    var organisation = Configuration.Recipient(id: "reviewer", label: "Reviewer AB")
    organisation.destination = "reviewer"
    organisation.kinds = [.review]
    organisation.systems = ["SECTRA"]
    organisation.hsaID = "SE5560000000-E000000000001"
    var unit = Configuration.Recipient(id: "reviewer-neuro", label: "Neuroradiology")
    unit.parent = "reviewer"
    expected.recipients = [organisation, unit]
  }

  @Test("has every key of the schema, and nothing else")
  func everyKey() throws {
    let bytes = Self.uncommented(examples: true)
    let faults = FaultCollector(file: "example")
    _ = Configuration.read(bytes, faults)
    let found = Self.keys(try TOML.parse(bytes), "").filter { !$0.hasPrefix("statuses.") }
    #expect(found.sorted() == faults.keys.sorted())
    #expect(found.count > 130)
  }

  @Test("the manual page has every section and every key of the schema")
  func manualPage() throws {
    let path = Self.root.appending(path: "docs/man/syncd.toml.5")
    let page = try String(contentsOf: path, encoding: .utf8)
    let faults = FaultCollector(file: "example")
    _ = Configuration.read(Self.uncommented(examples: true), faults)
    let sections = page.split(separator: "\n.Ss ").dropFirst().map { part in
      (part.prefix { $0 != "\n" }.filter { $0 != "[" && $0 != "]" }, part)
    }
    for key in faults.keys.sorted() where !key.hasPrefix("statuses") {
      let parts = key.split(separator: ".")
      // The headings of columns have a paragraph, not a section.
      let section =
        key.hasPrefix("list.source.columns.")
        ? "list.source"
        : String(
          parts.dropLast().joined(separator: "."))
      let word = String(parts[parts.count - 1])
      if section.isEmpty || ["list.source"].contains(key) { continue }
      let text = sections.first { $0.0 == section }?.1
      #expect(
        text?.split(whereSeparator: { " \n".contains($0) }).contains { $0 == word } == true,
        "\(key)")
    }
  }

  @Test("shows every built-in status word")
  func statusWords() throws {
    guard
      case .table(let words)? = try TOML.parse(Self.uncommented(examples: false))["statuses"]?.value
    else {
      Issue.record("no [statuses]")
      return
    }
    #expect(Set(words.keys) == Set(StatusWords.defaults.keys))
  }

  /// The dotted paths of all keys, those in arrays of tables once.
  static func keys(_ table: TOMLTable, _ path: String) -> Set<String> {
    var result: Set<String> = []
    for entry in table.entries {
      let name = path + entry.key
      result.insert(name)
      switch entry.item.value {
      case .table(let inner): result.formUnion(keys(inner, name + "."))
      case .array(let items):
        for case .table(let inner) in items.map(\.value) {
          result.formUnion(keys(inner, name + "."))
        }
      default: break
      }
    }
    return result
  }
}
