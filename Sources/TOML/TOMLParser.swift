/// The grammar of TOML 1.0, by recursive descent over the bytes.
struct TOMLParser {
  let bytes: [UInt8]
  var index = 0
  private var line = 1
  private var lineStart = 0
  /// A place on the current line whose column is known, so that a long line with many values is not
  /// counted from its start for each of them.
  private var mark = (index: 0, column: 1)
  private let root: TableBuilder
  private var current: TableBuilder

  typealias Key = [(String, TOMLPosition)]

  init(_ bytes: [UInt8]) {
    self.bytes = bytes
    root = TableBuilder(.header, at: TOMLPosition(line: 1, column: 1))
    current = root
  }

  mutating func parse() throws(TOMLError) -> TOMLTable {
    try checkEncoding()
    if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
    lineStart = index
    mark = (index, 1)
    while true {
      skipBlanks()
      guard let byte = peek else { break }
      switch byte {
      case UInt8(ascii: "#"), 0x0A, 0x0D: break
      case UInt8(ascii: "["): try parseHeader()
      default: try parseKeyValue(into: current, depth: 0)
      }
      try endLine()
    }
    return root.build()
  }

  // MARK: - Characters

  var peek: UInt8? { index < bytes.count ? bytes[index] : nil }

  func peek(_ offset: Int) -> UInt8? {
    index + offset < bytes.count ? bytes[index + offset] : nil
  }

  var position: TOMLPosition {
    mutating get {
      let result = position(at: index)
      mark = (index, result.column)
      return result
    }
  }

  func position(at place: Int) -> TOMLPosition {
    var (start, column) = place >= mark.index ? mark : (lineStart, 1)
    while start < min(place, bytes.count) {
      if bytes[start] & 0xC0 != 0x80 { column += 1 }
      start += 1
    }
    return TOMLPosition(line: line, column: column)
  }

  func fail(_ message: String, at place: Int? = nil) -> TOMLError {
    TOMLError(position: position(at: place ?? index), message: message)
  }

  /// The character at the cursor in words.
  var found: String {
    guard let byte = peek else { return "the end of the file" }
    if byte == 0x0A || byte == 0x0D { return "the end of the line" }
    if byte < 0x20 || byte == 0x7F {
      return
        "control character U+00\(byte < 16 ? "0" : "")\(String(byte, radix: 16, uppercase: true))"
    }
    let text = String(decoding: bytes[index..<min(index + 4, bytes.count)], as: UTF8.self)
    return "'\(text.first.map(String.init) ?? "?")'"
  }

  private mutating func checkEncoding() throws(TOMLError) {
    var place = 0
    while place < bytes.count {
      let byte = bytes[place]
      if byte < 0x80 {
        if byte == 0x0A {
          line += 1
          lineStart = place + 1
          mark = (lineStart, 1)
        }
        place += 1
        continue
      }
      let length = byte >= 0xF0 ? 4 : byte >= 0xE0 ? 3 : 2
      let end = min(place + length, bytes.count)
      guard String(validating: bytes[place..<end], as: UTF8.self)?.unicodeScalars.count == 1,
        end - place == length
      else { throw fail("not UTF-8: save the file as UTF-8", at: place) }
      place = end
    }
    line = 1
    lineStart = 0
    mark = (0, 1)
  }

  mutating func skipBlanks() {
    while let byte = peek, byte == 0x20 || byte == 0x09 { index += 1 }
  }

  /// Takes a line end, if there is one.
  mutating func takeNewline() -> Bool {
    if peek == 0x0A {
      index += 1
    } else if peek == 0x0D, peek(1) == 0x0A {
      index += 2
    } else {
      return false
    }
    line += 1
    lineStart = index
    mark = (index, 1)
    return true
  }

  mutating func takeComment() throws(TOMLError) {
    guard peek == UInt8(ascii: "#") else { return }
    while let byte = peek {
      if byte == 0x0A || (byte == 0x0D && peek(1) == 0x0A) { return }
      if (byte < 0x20 && byte != 0x09) || byte == 0x7F {
        throw fail("\(found) is not allowed in a comment")
      }
      index += 1
    }
  }

  private mutating func endLine() throws(TOMLError) {
    skipBlanks()
    try takeComment()
    if peek == nil || takeNewline() { return }
    throw fail("found \(found), expected the end of the line")
  }

  /// Blanks, comments and line ends: what may stand between the values of an array.
  mutating func skipLines() throws(TOMLError) {
    repeat {
      skipBlanks()
      try takeComment()
    } while takeNewline()
  }

  // MARK: - Keys

  private static func isBare(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
      UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
      true
    default: false
    }
  }

  private mutating func parseKey() throws(TOMLError) -> Key {
    var parts: Key = []
    while true {
      skipBlanks()
      let place = position
      switch peek {
      case UInt8(ascii: "\""):
        if peek(1) == UInt8(ascii: "\""), peek(2) == UInt8(ascii: "\"") {
          throw fail("a key cannot be a multi-line string")
        }
        parts.append((try parseBasicString(), place))
      case UInt8(ascii: "'"):
        if peek(1) == UInt8(ascii: "'"), peek(2) == UInt8(ascii: "'") {
          throw fail("a key cannot be a multi-line string")
        }
        parts.append((try parseLiteralString(), place))
      default:
        let start = index
        while let byte = peek, Self.isBare(byte) { index += 1 }
        guard index > start else {
          throw fail("found \(found), expected a key (quote it if it has other characters)")
        }
        parts.append((String(decoding: bytes[start..<index], as: UTF8.self), place))
      }
      if parts.count > TOML.deepest {
        throw fail("more than \(TOML.deepest) parts in a key")
      }
      skipBlanks()
      guard peek == UInt8(ascii: ".") else { return parts }
      index += 1
    }
  }

  mutating func parseKeyValue(into table: TableBuilder, depth: Int) throws(TOMLError) {
    let key = try parseKey()
    guard peek == UInt8(ascii: "=") else {
      throw fail("found \(found), expected '=' after the key \(Self.name(key))")
    }
    index += 1
    skipBlanks()
    // A dotted key nests as deep as it has parts.
    let item = try parseValue(depth: depth + key.count)
    var target = table
    for (part, place) in key.dropLast() {
      switch target.nodes[part] {
      case nil:
        let made = TableBuilder(.dotted, at: place)
        target.add(part, .table(made), at: place)
        target = made
      case .table(let next) where next.origin == .dotted: target = next
      case .table:
        throw TOMLError(
          position: place,
          message: "the table \(part) is defined elsewhere; dotted keys cannot add to it")
      default:
        throw TOMLError(position: place, message: "\(part) is not a table: it has a value already")
      }
    }
    let (last, place) = key[key.count - 1]
    guard target.nodes[last] == nil else {
      throw TOMLError(position: place, message: "the key \(Self.name(key)) is given twice")
    }
    target.add(last, .value(item), at: place)
  }

  private static func name(_ key: Key) -> String { key.map(\.0).joined(separator: ".") }

  // MARK: - Headers

  private mutating func parseHeader() throws(TOMLError) {
    let start = position
    index += 1
    let isArray = peek == UInt8(ascii: "[")
    if isArray { index += 1 }
    let key = try parseKey()
    guard peek == UInt8(ascii: "]") else {
      throw fail("found \(found), expected ']' after the table's name")
    }
    index += 1
    if isArray {
      guard peek == UInt8(ascii: "]") else { throw fail("found \(found), expected ']]'") }
      index += 1
    }
    var parent = root
    for (part, place) in key.dropLast() {
      switch parent.nodes[part] {
      case nil:
        let made = TableBuilder(.implicit, at: place)
        parent.add(part, .table(made), at: place)
        parent = made
      case .table(let next) where next.origin != .inline: parent = next
      case .tables(let tables): parent = tables[tables.count - 1]
      default:
        throw TOMLError(position: place, message: "\(part) is not a table that can be added to")
      }
    }
    let (last, place) = key[key.count - 1]
    let name = Self.name(key)
    let made = TableBuilder(.header, at: start)
    switch (parent.nodes[last], isArray) {
    case (nil, false): parent.add(last, .table(made), at: place)
    case (nil, true): parent.add(last, .tables([made]), at: place)
    case (.tables, true): parent.append(made, to: last)
    case (.table(let table), false) where table.origin == .implicit:
      table.origin = .header
      current = table
      return
    case (.tables, false):
      throw TOMLError(position: place, message: "\(name) is an array of tables: write [[\(name)]]")
    case (.table, true):
      throw TOMLError(position: place, message: "\(name) is a table already: write [\(name)] once")
    case (.table, false):
      throw TOMLError(position: place, message: "the table \(name) is defined twice")
    case (.value, _):
      throw TOMLError(position: place, message: "\(name) has a value already")
    }
    current = made
  }

  // MARK: - Values

  mutating func parseValue(depth: Int) throws(TOMLError) -> TOMLItem {
    let place = position
    guard depth <= TOML.deepest else { throw fail("nested deeper than \(TOML.deepest) levels") }
    let value: TOMLValue
    switch peek {
    case UInt8(ascii: "\""):
      let isMultiline = peek(1) == UInt8(ascii: "\"") && peek(2) == UInt8(ascii: "\"")
      value = .string(isMultiline ? try parseMultilineBasic() : try parseBasicString())
    case UInt8(ascii: "'"):
      let isMultiline = peek(1) == UInt8(ascii: "'") && peek(2) == UInt8(ascii: "'")
      value = .string(isMultiline ? try parseMultilineLiteral() : try parseLiteralString())
    case UInt8(ascii: "["): value = .array(try parseArray(depth: depth))
    case UInt8(ascii: "{"): value = .table(try parseInlineTable(depth: depth))
    case nil, 0x0A, 0x0D, UInt8(ascii: "#"), UInt8(ascii: ","):
      throw fail("found \(found), expected a value")
    default: value = try parseScalar()
    }
    return TOMLItem(value, at: place)
  }

  private mutating func parseArray(depth: Int) throws(TOMLError) -> [TOMLItem] {
    index += 1
    var items: [TOMLItem] = []
    while true {
      try skipLines()
      if peek == UInt8(ascii: "]") { break }
      items.append(try parseValue(depth: depth + 1))
      try skipLines()
      if peek == UInt8(ascii: ",") {
        index += 1
      } else if peek != UInt8(ascii: "]") {
        throw fail("found \(found), expected ',' or ']' in the array")
      }
    }
    index += 1
    return items
  }

  private mutating func parseInlineTable(depth: Int) throws(TOMLError) -> TOMLTable {
    let table = TableBuilder(.inline, at: position)
    index += 1
    skipBlanks()
    if peek == UInt8(ascii: "}") {
      index += 1
      return table.build()
    }
    while true {
      try parseKeyValue(into: table, depth: depth)
      skipBlanks()
      if peek == UInt8(ascii: "}") { break }
      guard peek == UInt8(ascii: ",") else {
        throw fail("found \(found), expected ',' or '}' in the inline table")
      }
      index += 1
      skipBlanks()
    }
    index += 1
    return table.build()
  }
}
