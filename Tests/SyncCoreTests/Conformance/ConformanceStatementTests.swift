import Foundation
import Testing

@testable import DICOM
@testable import SyncCore

/// `docs/dicom-conformance.md` is true as far as code can tell. With `SYNCD_UPDATE_STATEMENT=1` in
/// the environment its tables are written anew.
@Suite("The conformance statement")
struct ConformanceStatementTests {
  private static func tables() throws -> [(String, String)] {
    let fixture = try ArchiveFixture()
    return try StatementTables(fixture.archive).all() + StatementQueryTables(fixture).all()
      + StatementSourceTables().all(storage: fixture.archive)
  }

  @Test("has in its tables what the code says")
  func tables() throws {
    var document = try StatementDocument()
    let rendered = try Self.tables()
    #expect(Set(rendered.map(\.0)).count == rendered.count)
    let places = document.tables
    #expect(places.map(\.name).sorted() == rendered.map(\.0).sorted())
    let mayUpdate = ProcessInfo.processInfo.environment["SYNCD_UPDATE_STATEMENT"] == "1"
    for (name, content) in rendered {
      guard let place = places.first(where: { $0.name == name }), place.content != content
      else { continue }
      if mayUpdate {
        document.setTable(name, content)
      } else {
        Issue.record(
          """
          \(StatementDocument.file.path): the table \(name) is out of date; run this test with \
          SYNCD_UPDATE_STATEMENT=1, or put between its markers:
          \(content)
          """)
      }
    }
    if mayUpdate, document.tables.map(\.content) != places.map(\.content) { try document.save() }
  }

  @Test("a table that differs is found and replaced, and nothing beside it")
  func replacing() {
    var document = StatementDocument(
      text:
        "a\n<!-- table: one -->\nold\n<!-- end -->\nb\n<!-- table: two -->\nkept\n<!-- end -->\n")
    document.setTable("one", "new $1 \\2\n")
    #expect(document.tables.map(\.name) == ["one", "two"])
    #expect(document.tables.map(\.content) == ["new $1 \\2\n", "kept\n"])
    #expect(document.prose == "a\n\nb\n\n")
  }

  /// The statuses that the code gives by name, in what answers the network.
  private static func statusesInSources() throws -> [String: Set<String>] {
    let folders = ["DICOM/Network", "SyncCore/Imaging/EmbeddedArchive"]
    let extra = ["SyncCore/Imaging/CommitmentDesk.swift"]
    let sources = ConfigurationExampleTests.root.appending(path: "Sources")
    var files = extra.map { sources.appending(path: $0) }
    for folder in folders {
      files += try FileManager.default.contentsOfDirectory(
        at: sources.appending(path: folder), includingPropertiesForKeys: nil
      ).filter { $0.pathExtension == "swift" }
    }
    let uses: [Regex<(Substring, Substring)>] = [
      #/ServiceFailure\(\s*\.([A-Za-z]+)/#, #/command\.response\(\.([A-Za-z]+)/#,
      #/init\((?:reference|\$0), \.([A-Za-z]+)\)/#,
      #/return \.([A-Za-z]+(?:Warning|SOPClass))\n/#,
      // Of a conditional expression.
      #/^ +\.(cancel|[a-z][A-Za-z]+Suboperations|[a-z][A-Za-z]+SuboperationsFailed)$/#
        .anchorsMatchLineEndings(),
    ]
    var found: [String: Set<String>] = [:]
    for file in files {
      let text = try String(contentsOf: file, encoding: .utf8)
      for use in uses {
        for match in text.matches(of: use) {
          found[String(match.output.1), default: []].insert(file.lastPathComponent)
        }
      }
    }
    return found
  }

  private static let codes: [String: DIMSEStatus] = [
    "success": .success, "cancel": .cancel, "pending": .pending,
    "processingFailure": .processingFailure, "noSuchSOPInstance": .noSuchSOPInstance,
    "noSuchEventType": .noSuchEventType, "invalidArgumentValue": .invalidArgumentValue,
    "invalidSOPInstance": .invalidSOPInstance, "classInstanceConflict": .classInstanceConflict,
    "sopClassNotSupported": .sopClassNotSupported, "noSuchAction": .noSuchAction,
    "notAuthorized": .notAuthorized, "unrecognizedOperation": .unrecognizedOperation,
    "mistypedArgument": .mistypedArgument, "outOfResources": .outOfResources,
    "unableToCalculateMatches": .unableToCalculateMatches,
    "unableToPerformSuboperations": .unableToPerformSuboperations,
    "moveDestinationUnknown": .moveDestinationUnknown,
    "dataSetDoesNotMatchSOPClass": .dataSetDoesNotMatchSOPClass,
    "coercionOrSuboperationsFailed": .coercionOrSuboperationsFailed,
    "dataSetDoesNotMatchSOPClassWarning": .dataSetDoesNotMatchSOPClassWarning,
    "cannotUnderstand": .cannotUnderstand,
  ]

  @Test("names every status that the code answers with, and no other in its tables of answers")
  func statuses() throws {
    let found = try Self.statusesInSources()
    let unknown = found.keys.filter { Self.codes[$0] == nil }
    #expect(unknown.isEmpty, "a status of the code that this test does not know: \(unknown)")
    let used = Set(found.keys.compactMap { Self.codes[$0]?.code })
    // The tables of what we answer have the status in their first column, in code marks.
    let told = Set(
      try StatementDocument().prose.matches(of: #/\n\| `([0-9A-F]{4})` \|/#).map {
        String($0.output.1)
      })
    #expect(used.subtracting(told) == [], "not in docs/dicom-conformance.md")
    #expect(told.subtracting(used) == [], "in docs/dicom-conformance.md, and never answered")
  }

  @Test("names every key of the configuration that changes what goes over DICOM")
  func keys() throws {
    let elsewhere: Set<String> = ["archive.directory", "destination.hl7", "destination.window"]
    let prose = try String(contentsOf: StatementDocument.file, encoding: .utf8)
    var section = ""
    var missing: [String] = []
    for line in ConfigurationExampleTests.text.split(separator: "\n") {
      if let match = line.wholeMatch(of: #/(?:## )?\[+([a-z_]+)\]+/#) {
        section = String(match.output.1)
      }
      guard ["archive", "peer", "destination"].contains(section),
        let match = line.wholeMatch(of: #/##? ([a-z_]+) = .+/#)
      else { continue }
      let key = "\(section).\(match.output.1)"
      if elsewhere.contains(key) { continue }
      if !prose.contains("`\(match.output.1)`"), !prose.contains("`\(key)`"),
        !prose.contains("`\(match.output.1) = ")
      {
        missing.append(key)
      }
    }
    #expect(missing == [], "not in docs/dicom-conformance.md")
  }
}
