import Glibc

/// A point in civil time: what is stored and shown. Never used to measure or to wait.
public struct WallTime: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Milliseconds since 1970-01-01T00:00:00Z.
  public var milliseconds: Int64

  public init(milliseconds: Int64) {
    self.milliseconds = milliseconds
  }

  public static var now: WallTime {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return WallTime(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
  }

  public static func < (a: WallTime, b: WallTime) -> Bool { a.milliseconds < b.milliseconds }

  /// Saturates at the ends of time instead of trapping.
  public static func + (time: WallTime, duration: Duration) -> WallTime {
    let (sum, overflow) = time.milliseconds.addingReportingOverflow(
      duration.wholeNanoseconds / 1_000_000)
    return WallTime(milliseconds: overflow ? (duration < .zero ? .min : .max) : sum)
  }

  public static func - (a: WallTime, b: WallTime) -> Duration {
    .milliseconds(a.milliseconds) - .milliseconds(b.milliseconds)
  }

  /// RFC 3339 in UTC with milliseconds: `2026-11-23T07:30:00.000Z`.
  public var description: String {
    var (seconds, rest) = wholeSeconds
    var parts = tm()
    gmtime_r(&seconds, &parts)
    return Self.format(parts, rest) + "Z"
  }

  /// The machine's local time to the second, for people: `2026-11-23 08:30:00`.
  public var local: String {
    var (seconds, _) = wholeSeconds
    var parts = tm()
    localtime_r(&seconds, &parts)
    return String(Self.format(parts, 0).replacingT().dropLast(4))
  }

  /// Seconds, rounded down, and the milliseconds beyond them.
  private var wholeSeconds: (time_t, Int64) {
    let (quotient, rest) = milliseconds.quotientAndRemainder(dividingBy: 1000)
    return rest < 0 ? (time_t(quotient) - 1, rest + 1000) : (time_t(quotient), rest)
  }

  /// Parses RFC 3339 (`2026-11-23T07:30:00Z`, with fraction and offset as allowed there).
  public init?(rfc3339 text: some StringProtocol) {
    let bytes = Array(text.utf8)
    func number(_ range: Range<Int>) -> Int? {
      guard range.upperBound <= bytes.count else { return nil }
      var value = 0
      for byte in bytes[range] {
        guard byte >= 0x30, byte <= 0x39 else { return nil }
        value = value * 10 + Int(byte - 0x30)
      }
      return value
    }
    guard bytes.count >= 20,
      let year = number(0..<4), bytes[4] == 0x2D, let month = number(5..<7), bytes[7] == 0x2D,
      let day = number(8..<10), bytes[10] == 0x54 || bytes[10] == 0x74 || bytes[10] == 0x20,
      let hour = number(11..<13), bytes[13] == 0x3A, let minute = number(14..<16),
      bytes[16] == 0x3A, let second = number(17..<19),
      (1...12).contains(month), day >= 1, day <= Self.days(year, month), hour < 24, minute < 60,
      second <= 60
    else { return nil }
    var index = 19
    var fraction = 0
    if bytes[index] == 0x2E {
      index += 1
      var digits = 0
      while index < bytes.count, bytes[index] >= 0x30, bytes[index] <= 0x39 {
        if digits < 3 { fraction = fraction * 10 + Int(bytes[index] - 0x30) }
        digits += 1
        index += 1
      }
      guard digits > 0 else { return nil }
      while digits < 3 {
        fraction *= 10
        digits += 1
      }
    }
    guard index < bytes.count else { return nil }
    var offset = 0
    if bytes[index] == 0x5A || bytes[index] == 0x7A {
      guard index + 1 == bytes.count else { return nil }
    } else {
      guard bytes[index] == 0x2B || bytes[index] == 0x2D, index + 6 == bytes.count,
        bytes[index + 3] == 0x3A, let hours = number(index + 1..<index + 3),
        let minutes = number(index + 4..<index + 6), hours < 24, minutes < 60
      else { return nil }
      offset = (hours * 60 + minutes) * (bytes[index] == 0x2D ? -60 : 60)
    }
    var parts = tm()
    parts.tm_year = Int32(year - 1900)
    parts.tm_mon = Int32(month - 1)
    parts.tm_mday = Int32(day)
    parts.tm_hour = Int32(hour)
    parts.tm_min = Int32(minute)
    parts.tm_sec = Int32(second)
    let seconds = timegm(&parts)
    milliseconds = (Int64(seconds) - Int64(offset)) * 1000 + Int64(fraction)
  }

  private static func days(_ year: Int, _ month: Int) -> Int {
    switch month {
    case 2: (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28
    case 4, 6, 9, 11: 30
    default: 31
    }
  }

  private static func format(_ parts: tm, _ milliseconds: Int64) -> String {
    func pad(_ value: some BinaryInteger, _ width: Int) -> String {
      let digits = String(value)
      return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
    return
      "\(pad(Int(parts.tm_year) + 1900, 4))-\(pad(parts.tm_mon + 1, 2))-\(pad(parts.tm_mday, 2))T"
      + "\(pad(parts.tm_hour, 2)):\(pad(parts.tm_min, 2)):\(pad(parts.tm_sec, 2)).\(pad(milliseconds, 3))"
  }
}

extension String {
  fileprivate func replacingT() -> String { String(map { $0 == "T" ? " " : $0 }) }
}
