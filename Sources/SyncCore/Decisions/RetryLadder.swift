import Platform

/// When a failed attempt is made again: `1x5m,1x30m,1x3h` is one more attempt after five minutes,
/// one after another half hour, one after another three hours, and then it has failed.
///
/// Pure. What is kept of it is the number of attempts made and the time of the next, so that a
/// restart neither begins anew nor sends everything at once.
public struct RetryLadder: Hashable, Sendable, CustomStringConvertible {
  /// Attempts with the same pause before each.
  public struct Rung: Hashable, Sendable {
    public var count: Int
    public var pause: Duration

    public init(count: Int, pause: Duration) {
      self.count = count
      self.pause = pause
    }
  }

  public let rungs: [Rung]

  /// At most this many attempts after the first.
  public static let mostAttempts = 1000
  public static let longestPause: Duration = .seconds(7 * 86400)

  public init(rungs: [Rung]) { self.rungs = rungs }

  /// Reads the form of the configuration. Empty: no further attempt. Nil where it is not understood:
  /// what is right is a list such as `3x10s,1x5m`, with pauses from 10ms to 7d and at most 1000
  /// attempts in all.
  public init?(_ text: String) {
    var rungs: [Rung] = []
    var total = 0
    if !text.isEmpty {
      for part in text.split(separator: ",", omittingEmptySubsequences: false) {
        let words = part.split(separator: "x", maxSplits: 1, omittingEmptySubsequences: false)
        guard words.count == 2, let count = Self.count(words[0]), count > 0,
          let pause = DurationText.parse(Self.trimmed(words[1])),
          pause >= .milliseconds(10), pause <= Self.longestPause
        else { return nil }
        total += min(count, Self.mostAttempts + 1)
        guard total <= Self.mostAttempts else { return nil }
        rungs.append(Rung(count: count, pause: pause))
      }
    }
    self.rungs = rungs
  }

  /// The pause after so many attempts (1 for the first); nil when there is none left.
  public func pause(after attempts: Int) -> Duration? {
    var left = attempts
    for rung in rungs {
      if left <= rung.count { return left > 0 ? rung.pause : nil }
      left -= rung.count
    }
    return nil
  }

  /// Attempts in all, the first included.
  public var attempts: Int { 1 + rungs.reduce(0) { $0 + $1.count } }

  /// From the first attempt to the last.
  public var total: Duration { rungs.reduce(.zero) { $0 + $1.pause * $1.count } }

  public var longest: Duration { rungs.map(\.pause).max() ?? .zero }

  public var description: String {
    rungs.map { "\($0.count)x\(DurationText.format($0.pause))" }.joined(separator: ",")
  }

  /// Digits only: `Int` itself would take a sign.
  private static func count(_ text: Substring) -> Int? {
    let digits = trimmed(text)
    return digits.utf8.allSatisfy { (0x30...0x39).contains($0) } ? Int(digits) : nil
  }

  private static func trimmed(_ text: Substring) -> String {
    var text = text
    while text.first == " " { text.removeFirst() }
    while text.last == " " { text.removeLast() }
    return String(text)
  }
}
