import Foundation
import TOML
import Testing

@testable import SyncCore

/// `config.toml.example`: "# key = value" is a default, "## key = value" an example.
@Suite("The example configuration")
struct ConfigurationExampleTests {
  static let text: String = {
    var root = URL(filePath: #filePath)
    for _ in 0..<4 { root.deleteLastPathComponent() }
    return try! String(contentsOf: root.appending(path: "config.toml.example"), encoding: .utf8)
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

  @Test("with every example uncommented has one peer and one list, with their defaults")
  func examples() throws {
    let bytes = Self.uncommented(examples: true)
    var expected = Configuration()
    expected.archive.directory = expected.archiveDirectory
    var peer = Configuration.Peer(
      name: "sectra", aeTitle: "SECTRAPACS", host: "pacs.example.org", port: 104)
    peer.callingAETitle = expected.archive.aeTitle
    expected.peers = [peer]
    var list = Configuration.List(
      id: "teleconsult", system: "SECTRA", flag: "sectra-samverkan-teleconsult", peer: "sectra",
      directory: "/var/lib/syncd/lists/teleconsult")
    list.source.maxAge = expected.cycle.interval * 2
    expected.lists = [list]
    #expect(try Configuration.parse(bytes, file: "example") == expected)
  }

  @Test("has every key of the schema, and nothing else")
  func everyKey() throws {
    let bytes = Self.uncommented(examples: true)
    let faults = FaultCollector(file: "example")
    _ = Configuration.read(bytes, faults)
    let found = Self.keys(try TOML.parse(bytes), "").filter { !$0.hasPrefix("statuses.") }
    #expect(found.sorted() == faults.keys.sorted())
    #expect(found.count > 60)
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
