import Glibc

/// A point on the clock that no administrator, NTP step or daylight saving moves
/// (CLOCK_BOOTTIME: it also counts while the machine sleeps).
public struct MonotonicTime: Hashable, Comparable, Sendable {
  /// Nanoseconds since the machine started.
  public var nanoseconds: Int64

  public init(nanoseconds: Int64) {
    self.nanoseconds = nanoseconds
  }

  public static var now: MonotonicTime {
    var time = timespec()
    clock_gettime(CLOCK_BOOTTIME, &time)
    return MonotonicTime(nanoseconds: Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec))
  }

  public static func < (a: MonotonicTime, b: MonotonicTime) -> Bool {
    a.nanoseconds < b.nanoseconds
  }

  /// Saturates at the ends of time instead of trapping: `.seconds(Int64.max)` is a fair "never".
  public static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
    let (sum, overflow) = time.nanoseconds.addingReportingOverflow(duration.wholeNanoseconds)
    return MonotonicTime(nanoseconds: overflow ? (duration < .zero ? .min : .max) : sum)
  }

  public static func - (a: MonotonicTime, b: MonotonicTime) -> Duration {
    let (difference, overflow) = a.nanoseconds.subtractingReportingOverflow(b.nanoseconds)
    return .nanoseconds(overflow ? (a < b ? Int64.min : .max) : difference)
  }
}

extension Duration {
  /// Nanoseconds, saturating.
  public var wholeNanoseconds: Int64 {
    let (seconds, attoseconds) = components
    let (product, overflow) = seconds.multipliedReportingOverflow(by: 1_000_000_000)
    if overflow { return seconds < 0 ? .min : .max }
    let (sum, overflow2) = product.addingReportingOverflow(attoseconds / 1_000_000_000)
    return overflow2 ? (seconds < 0 ? .min : .max) : sum
  }

  /// Seconds with a fraction, for display and metrics.
  public var inSeconds: Double { Double(wholeNanoseconds) / 1e9 }
}

/// The moment by which something must be done, or never.
public struct Deadline: Sendable, Hashable {
  public let time: MonotonicTime?

  public static let never = Deadline(time: nil)
  public static func at(_ time: MonotonicTime) -> Deadline { Deadline(time: time) }
  public static func after(_ duration: Duration) -> Deadline { Deadline(time: .now + duration) }

  public var isPast: Bool {
    guard let time else { return false }
    return time <= .now
  }

  /// The argument poll(2) wants: milliseconds rounded up, -1 for never.
  public var pollMilliseconds: Int32 {
    guard let time else { return -1 }
    let left = (time - .now).wholeNanoseconds
    if left <= 0 { return 0 }
    return Int32(clamping: (left - 1) / 1_000_000 + 1)
  }

  /// The earlier of two deadlines.
  public func sooner(_ other: Deadline) -> Deadline {
    guard let time else { return other }
    guard let otherTime = other.time else { return self }
    return Deadline(time: min(time, otherTime))
  }
}
