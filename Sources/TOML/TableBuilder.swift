/// A table while the text is being read: who made it decides who may add to it.
final class TableBuilder {
  enum Origin {
    /// Passed through by a header for a table below it: may still get its own header.
    case implicit
    /// Has its header; or is the root.
    case header
    /// Made by dotted keys: only dotted keys of the same section add to it.
    case dotted
    /// Complete as it stands.
    case inline
  }

  enum Node {
    case value(TOMLItem)
    case table(TableBuilder)
    case tables([TableBuilder])
  }

  var origin: Origin
  let position: TOMLPosition
  private(set) var keys: [(String, TOMLPosition)] = []
  private(set) var nodes: [String: Node] = [:]

  init(_ origin: Origin, at position: TOMLPosition) {
    self.origin = origin
    self.position = position
  }

  func add(_ key: String, _ node: Node, at position: TOMLPosition) {
    keys.append((key, position))
    nodes[key] = node
  }

  func append(_ table: TableBuilder, to key: String) {
    if case .tables(var tables)? = nodes[key] {
      // Taken out first, so that appending copies nothing.
      nodes[key] = .tables([])
      tables.append(table)
      nodes[key] = .tables(tables)
    }
  }

  func build() -> TOMLTable {
    TOMLTable(
      keys.map { key, position in
        let item: TOMLItem
        switch nodes[key]! {
        case .value(let value): item = value
        case .table(let table): item = TOMLItem(.table(table.build()), at: table.position)
        case .tables(let tables):
          item = TOMLItem(
            .array(tables.map { TOMLItem(.table($0.build()), at: $0.position) }), at: position)
        }
        return TOMLTable.Entry(key: key, keyPosition: position, item: item)
      })
  }
}
