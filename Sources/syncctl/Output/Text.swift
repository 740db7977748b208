import Glibc
import Platform

extension String {
  /// The text with every control character replaced, so that nothing a peer or a list wrote can
  /// move the cursor, recolour or retitle somebody's terminal.
  var shown: String {
    // Nearly everything is printable ASCII, and looking up categories is slow.
    if isPrintableASCII { return self }
    guard unicodeScalars.contains(where: Self.isControl) else { return self }
    var text = ""
    for scalar in unicodeScalars {
      text.unicodeScalars.append(Self.isControl(scalar) ? "\u{FFFD}" : scalar)
    }
    return text
  }

  /// A text of several lines, each of them as ``shown``, with a line end at the end.
  var shownLines: String {
    var lines = unicodeScalars.split(separator: "\n", omittingEmptySubsequences: false).map {
      var line = $0
      if line.last == "\r" { line.removeLast() }
      return String(line).shown
    }
    while lines.last?.isEmpty == true { lines.removeLast() }
    return lines.map { $0 + "\n" }.joined()
  }

  private var isPrintableASCII: Bool { utf8.allSatisfy { (0x20...0x7E).contains($0) } }

  /// How many places it takes in a line.
  var width: Int { isPrintableASCII ? utf8.count : count }

  private static func isControl(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.properties.generalCategory {
    // Format characters include the bidirectional overrides, which reorder what is read.
    case .control, .format, .lineSeparator, .paragraphSeparator: true
    default: false
    }
  }

  func padded(to width: Int) -> String {
    let missing = width - self.width
    return missing > 0 ? self + String(repeating: " ", count: missing) : self
  }

  func cut(to width: Int) -> String {
    count <= width ? self : String(prefix(max(0, width - 1))) + "…"
  }
}

/// Words for amounts and times, for people.
enum Words {
  static func count(_ number: Int, _ one: String, _ many: String? = nil) -> String {
    "\(number) \(number == 1 ? one : many ?? one + "s")"
  }

  /// Local time; the date is left out on the same day.
  static func time(_ text: String?, now: WallTime) -> String {
    guard let text else { return "-" }
    guard let time = WallTime(rfc3339: text) else { return text.shown }
    let local = time.local
    return local.prefix(10) == now.local.prefix(10) ? String(local.dropFirst(11)) : local
  }

  /// Local time with its date.
  static func fullTime(_ text: String?) -> String {
    guard let text else { return "-" }
    return WallTime(rfc3339: text)?.local ?? text.shown
  }

  /// `45 s`, `3 min`, `2 h 5 min`, `3 d 4 h`.
  static func span(_ duration: Duration) -> String {
    let seconds = max(0, duration.wholeNanoseconds / 1_000_000_000)
    switch seconds {
    case ..<120: return "\(seconds) s"
    case ..<7200: return "\(seconds / 60) min"
    case ..<172_800:
      let minutes = seconds % 3600 / 60
      return "\(seconds / 3600) h" + (minutes > 0 ? " \(minutes) min" : "")
    default:
      let hours = seconds % 86_400 / 3600
      return "\(seconds / 86_400) d" + (hours > 0 ? " \(hours) h" : "")
    }
  }

  static func bytes(_ count: Int) -> String {
    var value = Double(count)
    var unit = "B"
    for next in ["kB", "MB", "GB", "TB"] where value >= 1000 {
      value /= 1000
      unit = next
    }
    if unit == "B" { return "\(count) B" }
    let tenths = Int((value * 10).rounded())
    return tenths >= 100 ? "\(tenths / 10) \(unit)" : "\(tenths / 10).\(tenths % 10) \(unit)"
  }
}
