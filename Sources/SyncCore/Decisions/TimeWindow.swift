import Glibc
import Platform

/// The hours of the day, in local time, in which a destination takes something: `06:00-22:00`, or
/// over midnight `20:00-06:00`.
public struct TimeWindow: Hashable, Sendable, CustomStringConvertible {
  /// Minutes since midnight, the end from 1 to 1440. The end does not belong to it.
  public let start: Int
  public let end: Int

  /// Nil where the text is not two different times of the day, `HH:MM-HH:MM`.
  public init?(_ text: String) {
    let parts = text.split(separator: "-", omittingEmptySubsequences: false)
    guard parts.count == 2, let start = Self.minutes(parts[0]), let end = Self.minutes(parts[1]),
      start != end
    else { return nil }
    self.start = start % 1440
    self.end = end == 0 ? 1440 : end
  }

  /// - Parameter minute: of the local day, 0 to 1439.
  public func contains(minute: Int) -> Bool {
    start < end ? minute >= start && minute < end : minute >= start || minute < end
  }

  /// Whether it is open at a moment. On days when the clocks change, the local clock decides.
  public func contains(_ time: WallTime) -> Bool { contains(minute: Self.localMinute(time)) }

  static func localMinute(_ time: WallTime) -> Int {
    var seconds = time_t(time.milliseconds / 1000)
    var parts = tm()
    localtime_r(&seconds, &parts)
    return Int(parts.tm_hour) * 60 + Int(parts.tm_min)
  }

  public var description: String { "\(Self.text(start))-\(Self.text(end))" }

  private static func text(_ minutes: Int) -> String {
    func two(_ number: Int) -> String { number < 10 ? "0\(number)" : String(number) }
    return "\(two(minutes / 60)):\(two(minutes % 60))"
  }

  private static func minutes(_ text: Substring) -> Int? {
    let bytes = Array(text.utf8)
    guard bytes.count == 5, bytes[2] == 0x3A else { return nil }
    var numbers: [Int] = []
    for index in [0, 1, 3, 4] {
      guard (0x30...0x39).contains(bytes[index]) else { return nil }
      numbers.append(Int(bytes[index]) - 0x30)
    }
    let hours = numbers[0] * 10 + numbers[1]
    let minutes = numbers[2] * 10 + numbers[3]
    guard minutes < 60, hours < 24 || (hours == 24 && minutes == 0) else { return nil }
    return hours * 60 + minutes
  }
}
