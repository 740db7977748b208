import DICOM

/// How a key of a C-FIND identifier matches the value of an object (PS3.4 section C.2.2.2).
enum AttributeMatching: Equatable {
  /// An empty key: matches all, and asks for the value.
  case universal
  /// A list of UIDs, or one.
  case anyOf(Set<String>)
  /// The whole value, with regard to case.
  case exact(String)
  /// A person name: the whole value without regard to case or trailing empty components.
  case exactName(String)
  /// `*` and `?`, with regard to case unless it is a person name.
  case wildcard([Character], ignoresCase: Bool)
  /// Digits that compare as text, both ends included.
  case range(from: String?, to: String?, isTime: Bool)
  case number(Int)
  /// A key that no value can match, such as a date that is none.
  case never

  /// The longest value that the index keeps is 4096 bytes before it is decoded.
  private static let longestKey = 16 * 1024

  /// - Parameter key: the key's text, several values separated by backslashes.
  init(_ vr: VR, _ key: String) {
    let key = vr.isText ? Self.trimmed(key) : key
    guard !key.isEmpty else {
      self = .universal
      return
    }
    // Longer than any value, and comparing takes time in proportion: a key of megabytes would hold
    // the archive's reader for as long as it likes. Lists may be long.
    guard key.utf8.count <= Self.longestKey || vr == .UI || vr == .CS else {
      self = .never
      return
    }
    switch vr {
    case .UI:
      let list = key.split(separator: "\\").map { Self.trimmed($0) }.filter { !$0.isEmpty }
      self = list.isEmpty ? .universal : .anyOf(Set(list))
    case .DA: self = Self.dateRange(key)
    case .TM: self = Self.timeRange(key)
    case .IS, .US:
      self = Int(key).map { .number($0) } ?? (key.allSatisfy { $0 == "*" } ? .universal : .never)
    case .PN:
      if key.contains(where: { $0 == "*" || $0 == "?" }) {
        self = Self.wildcard(Self.plainName(key), ignoresCase: true)
      } else {
        self = .exactName(Self.plainName(key).lowercased())
      }
    default:
      if key.contains(where: { $0 == "*" || $0 == "?" }) {
        self = Self.wildcard(key, ignoresCase: false)
      } else if vr == .CS, key.contains("\\") {
        self = .anyOf(Set(key.split(separator: "\\").map { Self.trimmed($0) }))
      } else {
        self = .exact(key)
      }
    }
  }

  func matches(_ value: String) -> Bool {
    switch self {
    case .universal: return true
    case .anyOf(let list): return list.contains(value)
    case .exact(let key): return value == key
    case .exactName(let key): return Self.plainName(value).lowercased() == key
    case .wildcard(let pattern, let ignoresCase):
      return Self.matches(
        Array(ignoresCase ? Self.plainName(value).lowercased() : value), pattern)
    case .range(let from, let to, let isTime):
      let value = isTime ? Self.paddedTime(value, up: false) : Self.plainDate(value)
      guard let value else { return false }
      return (from.map { $0 <= value } ?? true) && (to.map { value <= $0 } ?? true)
    case .number(let key): return Int(Self.trimmed(value)) == key
    case .never: return false
    }
  }

  /// Whether any of several values matches (Modalities in Study, PS3.4 section C.6.2.1).
  func matchesAny(_ values: [String]) -> Bool {
    self == .universal || values.contains { matches($0) }
  }

  // MARK: Parts

  private static func wildcard(_ key: String, ignoresCase: Bool) -> AttributeMatching {
    // A lone asterisk also matches objects that lack the attribute.
    if key.allSatisfy({ $0 == "*" }) { return .universal }
    return .wildcard(Array(ignoresCase ? key.lowercased() : key), ignoresCase: ignoresCase)
  }

  /// Time in proportion to the product of the lengths, whatever the pattern.
  static func matches(_ value: [Character], _ pattern: [Character]) -> Bool {
    var at = 0
    var next = 0
    var star: Int?
    var retry = 0
    while at < value.count {
      if next < pattern.count, pattern[next] == "*" {
        star = next
        retry = at
        next += 1
      } else if next < pattern.count, pattern[next] == "?" || pattern[next] == value[at] {
        at += 1
        next += 1
      } else if let star {
        retry += 1
        at = retry
        next = star + 1
      } else {
        return false
      }
    }
    return pattern[next...].allSatisfy { $0 == "*" }
  }

  /// A name without trailing empty components and component groups (PS3.5 section 6.2.1).
  static func plainName(_ name: String) -> String {
    let groups = name.split(separator: "=", omittingEmptySubsequences: false).map { group in
      var components = group.split(separator: "^", omittingEmptySubsequences: false)
        .map { trimmed($0) }
      while let last = components.last, last.isEmpty { components.removeLast() }
      return components.joined(separator: "^")
    }
    let end = groups.lastIndex { !$0.isEmpty } ?? -1
    return groups[...end].joined(separator: "=")
  }

  static func trimmed(_ text: some StringProtocol) -> String {
    var bytes = Substring(text).utf8
    while let last = bytes.last, last == 0x20 || last == 0 { bytes.removeLast() }
    while let first = bytes.first, first == 0x20 { bytes.removeFirst() }
    return String(Substring(bytes))
  }

  /// Eight digits; also from the form with dots that ACR-NEMA had.
  private static func plainDate(_ text: some StringProtocol) -> String? {
    let digits = String(text).filter { $0 != "." }
    return digits.utf8.count == 8 && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 }
      ? digits : nil
  }

  private static func dateRange(_ key: String) -> AttributeMatching {
    range(key, isTime: false) { text, _ in plainDate(text) }
  }

  private static func timeRange(_ key: String) -> AttributeMatching {
    range(key, isTime: true) { text, up in paddedTime(text, up: up) }
  }

  private static func range(
    _ key: String, isTime: Bool, _ parse: (String, _ up: Bool) -> String?
  ) -> AttributeMatching {
    if key.allSatisfy({ $0 == "*" }) { return .universal }
    let ends = key.split(separator: "-", omittingEmptySubsequences: false).map { trimmed($0) }
    switch ends.count {
    case 1:
      // A time given to the minute is that minute.
      guard let from = parse(ends[0], false), let to = parse(ends[0], true) else { return .never }
      return .range(from: from, to: to, isTime: isTime)
    case 2:
      let from = ends[0].isEmpty ? nil : parse(ends[0], false)
      let to = ends[1].isEmpty ? nil : parse(ends[1], true)
      if (from == nil) != ends[0].isEmpty || (to == nil) != ends[1].isEmpty { return .never }
      return from == nil && to == nil ? .never : .range(from: from, to: to, isTime: isTime)
    default: return .never
    }
  }

  /// HHMMSSFFFFFF: what the text leaves out is the lowest or the highest there is.
  private static func paddedTime(_ text: some StringProtocol, up: Bool) -> String? {
    let digits = String(text).filter { $0 != ":" && $0 != "." && $0 != " " }
    let count = digits.utf8.count
    guard count >= 2, count <= 12, digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }),
      count > 6 || count % 2 == 0
    else { return nil }
    return digits + (up ? "235959999999" : "000000000000").dropFirst(count)
  }
}
