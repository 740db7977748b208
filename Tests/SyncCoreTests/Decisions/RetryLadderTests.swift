import Testing

@testable import SyncCore

@Suite("The retry ladder")
struct RetryLadderTests {
  @Test("each attempt has the pause of its rung, and after the last there is none")
  func pauses() throws {
    let ladder = try #require(RetryLadder("2x10s,1x5m"))
    #expect(ladder.pause(after: 1) == .seconds(10))
    #expect(ladder.pause(after: 2) == .seconds(10))
    #expect(ladder.pause(after: 3) == .seconds(300))
    #expect(ladder.pause(after: 4) == nil)
    #expect(ladder.pause(after: .max) == nil)
    #expect(ladder.pause(after: 0) == nil)
    #expect(ladder.pause(after: -1) == nil)
    #expect(ladder.pause(after: .min) == nil)
  }

  @Test("its attempts, whole time and longest pause are those of all rungs")
  func totals() throws {
    let ladder = try #require(RetryLadder("1x5m,1x30m,1x3h"))
    #expect(ladder.attempts == 4)
    #expect(ladder.total == .seconds(5 * 60 + 30 * 60 + 3 * 3600))
    #expect(ladder.longest == .seconds(3 * 3600))
    let falling = try #require(RetryLadder("1x3h,10x1s"))
    #expect(falling.attempts == 12)
    #expect(falling.longest == .seconds(3 * 3600))
  }

  @Test("an empty text is a single attempt")
  func empty() throws {
    let ladder = try #require(RetryLadder(""))
    #expect(ladder.attempts == 1)
    #expect(ladder.pause(after: 1) == nil)
    #expect(ladder.total == .zero)
    #expect(ladder.longest == .zero)
    #expect(ladder.description == "")
  }

  @Test(
    "what it writes it reads back",
    arguments: ["", "1x10ms", "1x5m,1x30m,1x3h", "1000x7d", " 2 x 90s , 1x1h30m "])
  func roundTrip(_ text: String) throws {
    let ladder = try #require(RetryLadder(text))
    #expect(RetryLadder(ladder.description) == ladder)
  }

  @Test("is written with the largest units and without spaces")
  func description() {
    #expect(RetryLadder(" 2 x 90s, 1x60m")?.description == "2x1m30s,1x1h")
  }

  @Test("the longest of all is within bounds")
  func longest() throws {
    let ladder = try #require(RetryLadder("1000x7d"))
    #expect(ladder.total == .seconds(1000 * 7 * 86400))
    #expect(ladder.attempts == 1001)
  }

  @Test(
    "what is no ladder is refused",
    arguments: [
      " ", ",", "x", "1", "5m", "1x", "x5m", "1x5m,", ",1x5m", "1x5m,,1x1h", "0x5m", "-1x5m",
      "+1x5m", "1.5x5m", "1x5", "1x-5m", "1x0s", "1x9ms", "1x8d", "1x5m;1x1h", "1*5m", "1X5m",
      "1xx5m", "1x5mx", "1x5m 1x1h", "٣x5m", "one x 5m", "1 0x5m", "\t1x5m",
    ])
  func nonsense(_ text: String) {
    #expect(RetryLadder(text) == nil)
  }

  @Test(
    "more attempts than a thousand, or numbers beyond all bounds, are refused without a trap",
    arguments: [
      "1001x1s", "1000x1s,1x1s", "500x1s,501x1s", "9223372036854775807x1s",
      "9223372036854775807x1s,9223372036854775807x1s", "99999999999999999999x1s",
      "1x9223372036854775807d", "1x99999999999999999999s",
    ])
  func huge(_ text: String) {
    #expect(RetryLadder(text) == nil)
  }
}
