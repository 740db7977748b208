/// Where in the text something stands: both from 1; columns count Unicode scalars.
public struct TOMLPosition: Hashable, Sendable {
  public var line: Int
  public var column: Int

  public init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }
}

/// A value with its place.
public struct TOMLItem: Sendable {
  public var value: TOMLValue
  public var position: TOMLPosition

  public init(_ value: TOMLValue, at position: TOMLPosition) {
    self.value = value
    self.position = position
  }
}

/// The types of TOML 1.0. Dates and times are kept as written, after their form and ranges have
/// been checked.
public enum TOMLValue: Sendable {
  case string(String)
  case integer(Int64)
  case float(Double)
  case boolean(Bool)
  case offsetDateTime(String)
  case localDateTime(String)
  case localDate(String)
  case localTime(String)
  case array([TOMLItem])
  case table(TOMLTable)

  /// The type in words, for messages.
  public var typeName: String {
    switch self {
    case .string: "a string"
    case .integer: "a whole number"
    case .float: "a number with a fraction"
    case .boolean: "true or false"
    case .offsetDateTime: "a date-time with offset"
    case .localDateTime: "a local date-time"
    case .localDate: "a date"
    case .localTime: "a time of day"
    case .array: "an array"
    case .table: "a table"
    }
  }
}

/// A table: keys in the order of the text.
public struct TOMLTable: Sendable {
  public struct Entry: Sendable {
    public var key: String
    public var keyPosition: TOMLPosition
    public var item: TOMLItem
  }

  public private(set) var entries: [Entry]
  private var indexes: [String: Int]

  init(_ entries: [Entry]) {
    self.entries = entries
    indexes = Dictionary(uniqueKeysWithValues: entries.enumerated().map { ($1.key, $0) })
  }

  public init() { self.init([]) }

  public var isEmpty: Bool { entries.isEmpty }
  public var keys: [String] { entries.map(\.key) }

  public subscript(key: String) -> TOMLItem? { indexes[key].map { entries[$0].item } }

  public func position(of key: String) -> TOMLPosition? {
    indexes[key].map { entries[$0].keyPosition }
  }
}

/// Why a text is not TOML.
public struct TOMLError: Error, Hashable, Sendable, CustomStringConvertible {
  public var position: TOMLPosition
  public var message: String

  public var description: String { "\(position.line):\(position.column): \(message)" }
}

/// Reads TOML 1.0.
public enum TOML {
  /// How deep tables and arrays may nest.
  public static let deepest = 100

  /// - Throws: ``TOMLError`` with the place of the first fault.
  public static func parse(_ bytes: [UInt8]) throws(TOMLError) -> TOMLTable {
    var parser = TOMLParser(bytes)
    return try parser.parse()
  }

  public static func parse(_ text: String) throws(TOMLError) -> TOMLTable {
    try parse(Array(text.utf8))
  }
}
