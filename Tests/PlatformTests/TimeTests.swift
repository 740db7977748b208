import Platform
import Testing

@Suite("Wall time and deadlines")
struct TimeTests {
  @Test(
    "RFC 3339 in every form stands for one moment",
    arguments: [
      "2026-11-23T07:30:00Z", "2026-11-23t07:30:00z", "2026-11-23 07:30:00Z",
      "2026-11-23T08:30:00+01:00", "2026-11-23T07:30:00.000Z", "2026-11-23T07:30:00.0009999Z",
      "2026-11-22T23:30:00-08:00", "2026-11-23T07:30:00-00:00",
    ])
  func forms(text: String) {
    #expect(WallTime(rfc3339: text)?.description == "2026-11-23T07:30:00.000Z")
  }

  @Test(
    "What is written is read back the same",
    arguments: [
      0, 1, 999, -1, -999, -1000, 951_782_400_000, 1_790_000_000_123, -62_167_219_200_000,
      253_402_300_799_999, 1_709_164_800_000,
    ] as [Int64])
  func roundTrip(milliseconds: Int64) {
    let time = WallTime(milliseconds: milliseconds)
    #expect(WallTime(rfc3339: time.description) == time, "\(time)")
  }

  @Test("Fractions are cut to milliseconds, whatever their length")
  func fractions() {
    #expect(WallTime(rfc3339: "1970-01-01T00:00:00.5Z")?.milliseconds == 500)
    #expect(WallTime(rfc3339: "1970-01-01T00:00:00.05Z")?.milliseconds == 50)
    #expect(WallTime(rfc3339: "1970-01-01T00:00:00.123456789Z")?.milliseconds == 123)
  }

  @Test("A leap second is the next minute")
  func leapSecond() {
    #expect(
      WallTime(rfc3339: "2016-12-31T23:59:60Z") == WallTime(rfc3339: "2017-01-01T00:00:00Z"))
  }

  @Test(
    "What is no moment is refused",
    arguments: [
      "", "2026-11-23", "2026-11-23T07:30:00", "2026-11-23T07:30Z", "2026-13-23T07:30:00Z",
      "2026-00-23T07:30:00Z", "2026-11-31T07:30:00Z", "2026-02-29T07:30:00Z",
      "1900-02-29T07:30:00Z", "2026-11-00T07:30:00Z", "2026-11-23T24:00:00Z",
      "2026-11-23T07:60:00Z", "2026-11-23T07:30:61Z", "2026-11-23T07:30:00.Z",
      "2026-11-23T07:30:00+1:00", "2026-11-23T07:30:00+0100", "2026-11-23T07:30:00+24:00",
      "2026-11-23T07:30:00+01:60", "2026-11-23T07:30:00Zx", "2026-11-23T07:30:00.1",
      "20261123T073000Z    ", "2026-11-23X07:30:00Z", "+026-11-23T07:30:00Z",
      "2026-11-23T07:30:0٣Z",
      "2026-11-23T07:30:00 Z",
    ])
  func refused(text: String) {
    #expect(WallTime(rfc3339: text) == nil)
  }

  @Test("The ends of time are shown and reckoned with, without a trap")
  func endsOfTime() {
    for end in [Int64.min, .max] {
      let time = WallTime(milliseconds: end)
      #expect(!time.description.isEmpty)
      #expect(!time.local.isEmpty)
    }
    let last = WallTime(milliseconds: .max)
    let first = WallTime(milliseconds: .min)
    #expect(last + .seconds(1) == last)
    #expect(first + .seconds(-1) == first)
    #expect(last - first > .seconds(1 << 40))
    #expect(first - last < .seconds(-(1 << 40)))
  }

  @Test("Deadlines saturate at the ends of time")
  func deadlines() {
    let never = Deadline.after(.seconds(Int64.max))
    #expect(never.time?.nanoseconds == .max)
    #expect(!never.isPast)
    #expect(never.pollMilliseconds == .max)
    let longAgo = Deadline.after(.seconds(Int64.min))
    #expect(longAgo.isPast)
    #expect(longAgo.pollMilliseconds == 0)
    let beginning = Deadline.at(MonotonicTime(nanoseconds: .min))
    #expect(beginning.isPast)
    #expect(beginning.pollMilliseconds == 0)
    #expect(Deadline.never.pollMilliseconds == -1)
    #expect(
      MonotonicTime(nanoseconds: .max) - MonotonicTime(nanoseconds: .min)
        == .nanoseconds(Int64.max))
    #expect(Gate().wait(until: beginning) == false)
  }

  @Test("The sooner of two deadlines, and never is after all")
  func sooner() {
    let early = Deadline.at(MonotonicTime(nanoseconds: 5))
    let late = Deadline.at(MonotonicTime(nanoseconds: 6))
    #expect(early.sooner(late) == early)
    #expect(late.sooner(early) == early)
    #expect(early.sooner(.never) == early)
    #expect(Deadline.never.sooner(early) == early)
    #expect(Deadline.never.sooner(.never) == .never)
  }

  @Test("A poll never ends before its deadline: milliseconds are rounded up")
  func roundedUp() {
    #expect(Deadline.after(.nanoseconds(1) + .seconds(1)).pollMilliseconds <= 1001)
    let deadline = Deadline.after(.seconds(60))
    let left = deadline.pollMilliseconds
    #expect((59_000...60_000).contains(left))
  }

  @Test("Durations saturate in nanoseconds")
  func durations() {
    #expect(Duration.seconds(Int64.max).wholeNanoseconds == .max)
    #expect(Duration.seconds(Int64.min).wholeNanoseconds == .min)
    #expect(Duration.milliseconds(-1500).wholeNanoseconds == -1_500_000_000)
  }
}
