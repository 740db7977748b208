import Foundation

/// `docs/dicom-conformance.md`: text by people, and between markers tables that the code tells.
///
/// ```
/// <!-- table: storage-classes -->
/// ...
/// <!-- end -->
/// ```
struct StatementDocument {
  static let file: URL = ConfigurationExampleTests.root.appending(path: "docs/dicom-conformance.md")

  private(set) var text: String

  init() throws {
    text = try String(contentsOf: Self.file, encoding: .utf8)
  }

  init(text: String) { self.text = text }

  private static var marker: Regex<(Substring, Substring, Substring)> {
    #/<!-- table: ([a-z-]+) -->\n(.*?)<!-- end -->/#.dotMatchesNewlines()
  }

  /// The tables by the names in their markers, in the document's order.
  var tables: [(name: String, content: String)] {
    text.matches(of: Self.marker).map { (String($0.output.1), String($0.output.2)) }
  }

  /// The text outside of the tables.
  var prose: String { text.replacing(Self.marker, with: "") }

  mutating func setTable(_ name: String, _ content: String) {
    text = text.replacing(Self.marker) { match in
      match.output.1 == name
        ? "<!-- table: \(name) -->\n\(content)<!-- end -->" : String(match.output.0)
    }
  }

  func save() throws { try text.write(to: Self.file, atomically: true, encoding: .utf8) }
}

/// A table of Markdown.
struct StatementTable {
  private var lines: [String]

  init(_ headings: String...) {
    lines = [Self.line(headings), "|" + headings.map { _ in "---|" }.joined()]
  }

  mutating func add(_ cells: String...) { lines.append(Self.line(cells)) }

  private static func line(_ cells: [String]) -> String {
    "| " + cells.joined(separator: " | ") + " |"
  }

  var text: String { lines.joined(separator: "\n") + "\n" }
}

/// Items one after the other in lines of a readable length.
func flowing(_ items: [String], separator: String = " ·") -> String {
  var lines = [""]
  for (index, item) in items.enumerated() {
    let word = item + (index == items.count - 1 ? "" : separator)
    if lines[lines.count - 1].isEmpty {
      lines[lines.count - 1] = word
    } else if lines[lines.count - 1].count + 1 + word.count <= 118 {
      lines[lines.count - 1] += " " + word
    } else {
      lines.append(word)
    }
  }
  return lines.joined(separator: "\n") + "\n"
}
