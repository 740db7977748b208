import Glibc
import Platform

/// Reads durations and times as people write them.
enum TimeText {
  /// `30` (seconds), `30s`, `500ms`, `5m`, `1h30m`, `7d`. Nil for anything else, and for zero.
  static func duration(_ text: some StringProtocol) -> Duration? {
    var total: Int64 = 0
    var rest = Substring(text)
    guard !rest.isEmpty else { return nil }
    if rest.allSatisfy({ $0.isASCII && $0.isNumber }) { rest += "s" }
    while !rest.isEmpty {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      guard let value = Int64(digits) else { return nil }
      rest = rest.dropFirst(digits.count)
      let unit = rest.prefix { $0.isASCII && $0.isLetter }
      rest = rest.dropFirst(unit.count)
      let milliseconds: Int64
      switch unit {
      case "ms": milliseconds = 1
      case "s": milliseconds = 1000
      case "m", "min": milliseconds = 60_000
      case "h": milliseconds = 3_600_000
      case "d": milliseconds = 86_400_000
      default: return nil
      }
      let (product, tooBig) = value.multipliedReportingOverflow(by: milliseconds)
      let (sum, overflow) = total.addingReportingOverflow(product)
      // A hundred years is a typing error, and keeps every later sum in range.
      guard !tooBig, !overflow, sum <= 3_155_760_000_000 else { return nil }
      total = sum
    }
    return total > 0 ? .milliseconds(total) : nil
  }

  /// A time in the machine's zone, a date, `today`, `yesterday`, how long ago, or RFC 3339.
  static func time(_ text: String, now: WallTime) -> WallTime? {
    if let time = WallTime(rfc3339: text) { return time }
    if let ago = duration(text), text.contains(where: \.isLetter) {
      return WallTime(milliseconds: now.milliseconds - ago.wholeNanoseconds / 1_000_000)
    }
    var parts = localParts(now)
    parts.tm_hour = 0
    parts.tm_min = 0
    parts.tm_sec = 0
    if text == "today" { return make(parts) }
    if text == "yesterday" {
      parts.tm_mday -= 1
      return make(parts)
    }
    let halves = text.split(
      maxSplits: 1, omittingEmptySubsequences: false, whereSeparator: { $0 == " " || $0 == "T" })
    if halves.count == 1, let clock = clock(halves[0]) {
      return make(parts, clock)
    }
    guard let date = numbers(halves[0], separator: "-", widths: [4, 2, 2]),
      (1...12).contains(date[1]), (1...31).contains(date[2])
    else { return nil }
    parts.tm_year = Int32(date[0] - 1900)
    parts.tm_mon = Int32(date[1] - 1)
    parts.tm_mday = Int32(date[2])
    if halves.count == 1 { return make(parts, day: date[2]) }
    guard let clock = clock(halves[1]) else { return nil }
    return make(parts, clock, day: date[2])
  }

  private static func localParts(_ time: WallTime) -> tm {
    var seconds = time_t(time.milliseconds / 1000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return parts
  }

  private static func clock(_ text: Substring) -> [Int]? {
    let found =
      numbers(text, separator: ":", widths: [2, 2]).map { $0 + [0] }
      ?? numbers(text, separator: ":", widths: [2, 2, 2])
    guard let found, found[0] < 24, found[1] < 60, found[2] < 60 else { return nil }
    return found
  }

  private static func numbers(_ text: Substring, separator: Character, widths: [Int]) -> [Int]? {
    let parts = text.split(separator: separator, omittingEmptySubsequences: false)
    guard parts.count == widths.count else { return nil }
    var values: [Int] = []
    for (part, width) in zip(parts, widths) {
      guard part.count == width, part.allSatisfy({ $0.isASCII && $0.isNumber }),
        let value = Int(part)
      else { return nil }
      values.append(value)
    }
    return values
  }

  /// Nil when the day does not exist: mktime would roll 31 April over into May.
  private static func make(_ parts: tm, _ clock: [Int] = [0, 0, 0], day: Int? = nil) -> WallTime? {
    var parts = parts
    parts.tm_hour = Int32(clock[0])
    parts.tm_min = Int32(clock[1])
    parts.tm_sec = Int32(clock[2])
    parts.tm_isdst = -1
    let seconds = mktime(&parts)
    guard day == nil || Int(parts.tm_mday) == day else { return nil }
    return WallTime(milliseconds: Int64(seconds) * 1000)
  }
}
