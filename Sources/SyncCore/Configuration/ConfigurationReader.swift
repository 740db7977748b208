import Platform
import TOML

/// Collects the faults of one file.
final class FaultCollector {
  let file: String
  private(set) var errors: [ConfigurationError] = []
  /// Every key that was looked for, as `peer.port`: the schema, for the tests of its description.
  private(set) var keys: Set<String> = []

  init(file: String) { self.file = file }

  func add(_ position: TOMLPosition, _ key: String, _ message: String) {
    errors.append(
      ConfigurationError(
        file: file, line: position.line, column: position.column, key: key, message: message))
  }

  /// - Parameter key: with the numbers of arrays of tables in it: `peer[2].port`.
  func noteKey(_ key: String) {
    var plain = ""
    var isNumber = false
    for character in key {
      if character == "[" { isNumber = true }
      if !isNumber { plain.append(character) }
      if character == "]" { isNumber = false }
    }
    keys.insert(plain)
  }
}

/// Reads the keys of one table by name and type, and notes every fault with its place. What is
/// missing has its default; a fault has it too, so that reading goes on and finds the others.
final class TableReader {
  let table: TOMLTable
  let path: String
  let position: TOMLPosition
  let faults: FaultCollector
  private var known: Set<String> = []

  init(_ table: TOMLTable, path: String, at position: TOMLPosition, _ faults: FaultCollector) {
    self.table = table
    self.path = path
    self.position = position
    self.faults = faults
  }

  func name(_ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }

  func fault(_ key: String, _ message: String) {
    faults.add(table[key]?.position ?? position, name(key), message)
  }

  /// Notes the keys that nobody asked for.
  func finish() {
    for entry in table.entries where !known.contains(entry.key) {
      var message = "unknown key"
      if let near = nearest(entry.key, in: known) { message += "; did you mean `\(near)`?" }
      faults.add(entry.keyPosition, name(entry.key), message)
    }
  }

  /// Whether the file has the key, whatever its value.
  func has(_ key: String) -> Bool { table[key] != nil }

  /// A key that has no place here, though it has one elsewhere.
  func refuse(_ key: String, _ message: String) {
    known.insert(key)
    fault(key, message)
  }

  private func take(_ key: String) -> TOMLItem? {
    known.insert(key)
    faults.noteKey(name(key))
    return table[key]
  }

  private func wrongType(_ key: String, _ item: TOMLItem, _ expected: String) {
    faults.add(
      item.position, name(key), "found \(Self.shown(item.value)), expected \(expected)")
  }

  static func shown(_ value: TOMLValue) -> String {
    switch value {
    case .string(let text): TOMLText.quoted(text.prefix(60))
    case .integer(let number): String(number)
    case .float(let number): String(number)
    case .boolean(let flag): String(flag)
    default: value.typeName
    }
  }

  // MARK: - Types

  /// - Parameter check: returns what is expected instead, or nil if the text is right.
  func string(
    _ key: String, _ fallback: String, check: (String) -> String? = { _ in nil }
  ) -> String {
    optionalString(key, check: check) ?? fallback
  }

  func optionalString(_ key: String, check: (String) -> String? = { _ in nil }) -> String? {
    guard let item = take(key) else { return nil }
    guard case .string(let text) = item.value else {
      wrongType(key, item, "text in quotes")
      return nil
    }
    if let expected = check(text) {
      wrongType(key, item, expected)
      return nil
    }
    return text
  }

  func requiredString(
    _ key: String, _ meaning: String, check: (String) -> String? = { _ in nil }
  ) -> String {
    if table[key] == nil {
      _ = take(key)
      faults.add(position, name(key), "missing: \(meaning)")
      return ""
    }
    return optionalString(key, check: check) ?? ""
  }

  func boolean(_ key: String, _ fallback: Bool) -> Bool {
    guard let item = take(key) else { return fallback }
    if case .boolean(let flag) = item.value { return flag }
    wrongType(key, item, "true or false")
    return fallback
  }

  func integer(_ key: String, _ fallback: Int, _ range: ClosedRange<Int>) -> Int {
    guard let item = take(key) else { return fallback }
    if case .integer(let number) = item.value, let value = Int(exactly: number),
      range.contains(value)
    {
      return value
    }
    wrongType(key, item, "a whole number from \(range.lowerBound) to \(range.upperBound)")
    return fallback
  }

  func optionalInteger(_ key: String, _ range: ClosedRange<Int>) -> Int? {
    guard has(key) else {
      _ = take(key)
      return nil
    }
    return integer(key, range.lowerBound, range)
  }

  func duration(_ key: String, _ fallback: Duration, _ range: ClosedRange<Duration>) -> Duration {
    guard let item = take(key) else { return fallback }
    let expected =
      "a time such as \"90s\", \"10m\", \"1h30m\" or \"2d\", from "
      + "\(DurationText.format(range.lowerBound)) to \(DurationText.format(range.upperBound))"
    guard case .string(let text) = item.value, let value = DurationText.parse(text),
      range.contains(value)
    else {
      wrongType(key, item, expected)
      return fallback
    }
    return value
  }

  func optionalDuration(_ key: String, _ range: ClosedRange<Duration>) -> Duration? {
    guard table[key] != nil else {
      _ = take(key)
      return nil
    }
    return duration(key, range.lowerBound, range)
  }

  /// Bytes: `"2 GiB"`, `"256 KiB"`, `"500 MB"`.
  func size(_ key: String, _ fallback: Int64, _ range: ClosedRange<Int64>) -> Int64 {
    guard let item = take(key) else { return fallback }
    guard case .string(let text) = item.value, let value = SizeText.parse(text),
      range.contains(value)
    else {
      wrongType(
        key, item,
        "a size such as \"256 KiB\", \"500 MB\" or \"2 GiB\", from "
          + "\(SizeText.format(range.lowerBound)) to \(SizeText.format(range.upperBound))")
      return fallback
    }
    return value
  }

  func choice<E: RawRepresentable & CaseIterable>(
    _ key: String, _ fallback: E
  ) -> E where E.RawValue == String {
    guard let item = take(key) else { return fallback }
    let allowed = E.allCases.map(\.rawValue)
    if case .string(let text) = item.value {
      if let value = E(rawValue: text) { return value }
      let near = nearest(text, in: Set(allowed)).map { "; did you mean \"\($0)\"?" } ?? ""
      faults.add(
        item.position, name(key),
        "found \"\(text)\", expected one of "
          + allowed.map { "\"\($0)\"" }.joined(separator: ", ") + near)
      return fallback
    }
    wrongType(key, item, "one of " + allowed.map { "\"\($0)\"" }.joined(separator: ", "))
    return fallback
  }

  func strings(
    _ key: String, _ fallback: [String], check: (String) -> String? = { _ in nil }
  ) -> [String] {
    guard let item = take(key) else { return fallback }
    guard case .array(let items) = item.value else {
      wrongType(key, item, "an array of texts")
      return fallback
    }
    var result: [String] = []
    for (index, element) in items.enumerated() {
      guard case .string(let text) = element.value else {
        wrongType("\(key)[\(index + 1)]", element, "text in quotes")
        continue
      }
      if let expected = check(text) {
        wrongType("\(key)[\(index + 1)]", element, expected)
        continue
      }
      result.append(text)
    }
    return result
  }

  /// A table below this one; an empty one where there is none.
  func table(_ key: String) -> TableReader {
    guard let item = take(key) else {
      return TableReader(TOMLTable(), path: name(key), at: position, faults)
    }
    guard case .table(let table) = item.value else {
      wrongType(key, item, "a table: [\(name(key))]")
      return TableReader(TOMLTable(), path: name(key), at: position, faults)
    }
    return TableReader(table, path: name(key), at: item.position, faults)
  }

  /// The tables of an array of tables.
  func tables(_ key: String) -> [TableReader] {
    guard let item = take(key) else { return [] }
    guard case .array(let items) = item.value else {
      wrongType(key, item, "an array of tables: [[\(name(key))]]")
      return []
    }
    return items.enumerated().compactMap { index, element in
      guard case .table(let table) = element.value else {
        wrongType("\(key)[\(index + 1)]", element, "a table: [[\(name(key))]]")
        return nil
      }
      return TableReader(table, path: "\(name(key))[\(index + 1)]", at: element.position, faults)
    }
  }

  /// A key that is true, or a table of its own; nil where it is missing or false. `true` stands for
  /// an empty table.
  func switchedTable(_ key: String) -> TableReader? {
    guard let item = take(key) else { return nil }
    switch item.value {
    case .boolean(false): return nil
    case .boolean(true):
      return TableReader(TOMLTable(), path: name(key), at: item.position, faults)
    case .table(let table):
      return TableReader(table, path: name(key), at: item.position, faults)
    default:
      wrongType(key, item, "true, false or a table")
      return nil
    }
  }

  /// A text with a form of its own.
  /// - Parameter expected: what is right, for the fault where it cannot be read.
  func parsed<Value>(
    _ key: String, _ expected: String, _ parse: (String) -> Value?
  ) -> Value? {
    guard let item = take(key) else { return nil }
    guard case .string(let text) = item.value, let value = parse(text) else {
      wrongType(key, item, expected)
      return nil
    }
    return value
  }

  /// Every key of a table whose keys are free, with text values.
  func freeStrings() -> [(key: String, value: String, position: TOMLPosition)] {
    table.entries.compactMap { entry in
      known.insert(entry.key)
      guard case .string(let text) = entry.item.value else {
        wrongType(entry.key, entry.item, "text in quotes")
        return nil
      }
      return (entry.key, text, entry.item.position)
    }
  }
}

/// The likeliest of the known words for a mistyped one: at most a third of its letters differ.
func nearest(_ word: String, in known: Set<String>) -> String? {
  let scored = known.map { ($0, editDistance(Array(word.utf8), Array($0.utf8))) }
  guard let best = scored.min(by: { ($0.1, $0.0) < ($1.1, $1.0) }),
    best.1 <= max(1, word.utf8.count / 3)
  else { return nil }
  return best.0
}

/// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
private func editDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
  guard a.count < 200, b.count < 200 else { return .max }
  var beforeLast: [Int] = []
  var last = Array(0...b.count)
  for i in a.indices {
    var row = [i + 1]
    for j in b.indices {
      var cost = min(last[j] + (a[i] == b[j] ? 0 : 1), last[j + 1] + 1, row[j] + 1)
      if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
        cost = min(cost, beforeLast[j - 1] + 1)
      }
      row.append(cost)
    }
    (beforeLast, last) = (last, row)
  }
  return last[b.count]
}

/// Times as people write them: `90s`, `10m`, `1h30m`, `2d`, `250ms`.
public enum DurationText {
  private static let units: [(String, Int64)] = [
    ("ms", 1), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000),
  ]

  public static func parse(_ text: String) -> Duration? {
    var rest = text[...]
    var total: Int64 = 0
    var last = Int64.max
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard !digits.isEmpty, let number = Int64(digits) else { return nil }
      rest = rest.dropFirst(digits.count)
      guard let (unit, milliseconds) = units.first(where: { rest.hasPrefix($0.0) }),
        milliseconds < last
      else { return nil }
      rest = rest.dropFirst(unit.count)
      last = milliseconds
      let (product, overflow) = number.multipliedReportingOverflow(by: milliseconds)
      let (sum, overflow2) = total.addingReportingOverflow(product)
      guard !overflow, !overflow2, sum < 1 << 52 else { return nil }
      total = sum
    }
    return text.isEmpty ? nil : .milliseconds(total)
  }

  public static func format(_ duration: Duration) -> String {
    var rest = duration.wholeNanoseconds / 1_000_000
    if rest == 0 { return "0s" }
    var result = ""
    for (unit, milliseconds) in units.sorted(by: { $0.1 > $1.1 }) where rest >= milliseconds {
      result += "\(rest / milliseconds)\(unit)"
      rest %= milliseconds
    }
    return result
  }
}

/// Sizes as people write them.
public enum SizeText {
  private static let units: [(String, Int64)] = [
    ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1000), ("B", 1),
  ]

  public static func parse(_ text: String) -> Int64? {
    guard let (unit, factor) = units.first(where: { text.hasSuffix($0.0) }) else { return nil }
    let digits = text.dropLast(unit.count).reversed().drop { $0 == " " }.reversed()
    guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }),
      let number = Int64(String(digits))
    else { return nil }
    let (product, overflow) = number.multipliedReportingOverflow(by: factor)
    return overflow ? nil : product
  }

  public static func format(_ bytes: Int64) -> String {
    for (unit, factor) in units where factor > 1 && bytes >= factor && bytes % factor == 0 {
      return "\(bytes / factor) \(unit)"
    }
    return "\(bytes) B"
  }
}
