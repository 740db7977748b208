/// The members of a JSON object, in the order in which they were read or put in.
///
/// Keys are compared code unit by code unit (RFC 8259 section 8.3), not by Swift's canonical
/// equivalence: `é` and `e` with an accent are two keys. A key occurs once.
public struct JSONObject: Sendable {
  public typealias Element = (key: String, value: JSONValue)

  private var entries: [Element] = []
  /// Where each key is, once there are too many to look through.
  private var index: [CodeUnits: Int]?

  private static let indexedFrom = 16

  public init() {}

  /// Nil when a key occurs twice.
  public init?(_ entries: some Sequence<Element>) {
    for entry in entries {
      guard insert(entry.key, entry.value) else { return nil }
    }
  }

  /// Reading or writing a member; nil removes it. A new one comes last.
  public subscript(key: String) -> JSONValue? {
    get { position(of: key).map { entries[$0].value } }
    set {
      switch (position(of: key), newValue) {
      case (let position?, let value?): entries[position].value = value
      case (nil, let value?): append(key, value)
      case (let position?, nil):
        entries.remove(at: position)
        if index != nil { makeIndex() }
      case (nil, nil): break
      }
    }
  }

  /// Adds a member. False, and nothing changes, when the key is there already.
  @discardableResult
  public mutating func insert(_ key: String, _ value: JSONValue) -> Bool {
    guard position(of: key) == nil else { return false }
    append(key, value)
    return true
  }

  private mutating func append(_ key: String, _ value: JSONValue) {
    entries.append((key, value))
    if index != nil {
      index![CodeUnits(text: key)] = entries.count - 1
    } else if entries.count > Self.indexedFrom {
      makeIndex()
    }
  }

  private mutating func makeIndex() {
    index = nil
    guard entries.count > Self.indexedFrom else { return }
    var made: [CodeUnits: Int] = [:]
    made.reserveCapacity(entries.count)
    for (position, entry) in entries.enumerated() { made[CodeUnits(text: entry.key)] = position }
    index = made
  }

  private func position(of key: String) -> Int? {
    if let index { return index[CodeUnits(text: key)] }
    return entries.firstIndex { $0.key.hasSameCodeUnits(as: key) }
  }
}

extension JSONObject: RandomAccessCollection {
  public var startIndex: Int { 0 }
  public var endIndex: Int { entries.count }
  public subscript(position: Int) -> Element { entries[position] }

  public var keys: [String] { entries.map(\.key) }
  public var values: [JSONValue] { entries.map(\.value) }
}

extension JSONObject: Equatable {
  /// The order of the members does not count.
  public static func == (a: JSONObject, b: JSONObject) -> Bool {
    a.count == b.count && a.allSatisfy { b[$0.key] == $0.value }
  }
}

extension JSONObject: ExpressibleByDictionaryLiteral {
  /// Of repeated keys the last value stands, in the first one's place.
  public init(dictionaryLiteral elements: (String, JSONValue)...) {
    for (key, value) in elements { self[key] = value }
  }
}

extension JSONObject: CustomStringConvertible {
  public var description: String { JSONValue.object(self).description }
}

/// A string whose identity is its code units.
private struct CodeUnits: Hashable {
  let text: String

  static func == (a: CodeUnits, b: CodeUnits) -> Bool { a.text.hasSameCodeUnits(as: b.text) }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}

extension String {
  /// Whether the strings have the same bytes in UTF-8.
  func hasSameCodeUnits(as other: String) -> Bool {
    // Lengths differ more often than not, and cost nothing to compare.
    utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
  }
}
