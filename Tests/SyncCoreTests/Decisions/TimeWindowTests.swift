import Foundation
import Platform
import Testing

@testable import SyncCore

@Suite("The time window")
struct TimeWindowTests {
  @Test(
    "is open from its start, and closed from its end",
    arguments: [
      (359, false), (360, true), (720, true), (1319, true), (1320, false), (0, false),
    ])
  func day(_ minute: Int, _ isOpen: Bool) throws {
    let window = try #require(TimeWindow("06:00-22:00"))
    #expect(window.contains(minute: minute) == isOpen)
  }

  @Test(
    "goes over midnight where its end is before its start",
    arguments: [
      (1199, false), (1200, true), (1439, true), (0, true), (359, true), (360, false),
    ])
  func night(_ minute: Int, _ isOpen: Bool) throws {
    let window = try #require(TimeWindow("20:00-06:00"))
    #expect(window.contains(minute: minute) == isOpen)
  }

  @Test("24:00 is the end of the day, and the whole day is a window")
  func midnight() throws {
    let evening = try #require(TimeWindow("18:00-24:00"))
    #expect(evening.contains(minute: 1439))
    #expect(!evening.contains(minute: 0))
    #expect(!evening.contains(minute: 1079))
    let day = try #require(TimeWindow("00:00-24:00"))
    #expect((0..<1440).allSatisfy { day.contains(minute: $0) })
    #expect(TimeWindow("24:00-06:00") == TimeWindow("00:00-06:00"))
    #expect(TimeWindow("18:00-00:00") == evening)
  }

  @Test(
    "what it writes it reads back",
    arguments: ["06:00-22:00", "20:05-06:09", "18:00-24:00", "00:00-24:00", "24:00-06:00"])
  func roundTrip(_ text: String) throws {
    let window = try #require(TimeWindow(text))
    #expect(TimeWindow(window.description) == window)
  }

  @Test(
    "what is no window is refused",
    arguments: [
      "", "-", "06:00", "06:00-", "-22:00", "6:00-22:00", "06:00-22", "06:60-22:00", "25:00-06:00",
      "06:00-24:01", "06:00-06:00", "00:00-00:00", "24:00-24:00", "06:00 - 22:00",
      "06:00-22:00-23:00", "06.00-22.00",
      "0600-2200", "+6:00-22:00", "٠٦:٠٠-22:00", "06:00–22:00", "ab:cd-ef:gh",
    ])
  func nonsense(_ text: String) {
    #expect(TimeWindow(text) == nil)
  }

  @Test("a moment is taken by the local clock")
  func localTime() throws {
    let time = WallTime.now
    let date = Date(timeIntervalSince1970: Double(time.milliseconds) / 1000)
    let parts = Calendar.current.dateComponents([.hour, .minute], from: date)
    let minute = try #require(parts.hour) * 60 + #require(parts.minute)
    #expect(TimeWindow.localMinute(time) == minute)
    let next = (minute + 1) % 1440
    func text(_ minute: Int) -> String {
      String(format: "%02d:%02d", minute / 60, minute % 60)
    }
    #expect(TimeWindow("\(text(minute))-\(text(next))")?.contains(time) == true)
    #expect(TimeWindow("\(text(next))-\(text(minute))")?.contains(time) == false)
  }
}
