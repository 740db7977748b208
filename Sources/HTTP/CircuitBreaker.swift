import Platform

/// Leaves a server alone that fails again and again, or that has asked for it: a thousand waiting
/// requests become one that tries.
///
/// Pure: the caller brings time and chance.
public struct CircuitBreaker: Hashable, Sendable {
  public struct Policy: Hashable, Sendable {
    /// Failures in a row before it opens.
    public var failures = 5
    /// The first pause; doubles with every failed trial.
    public var minimum: Duration = .seconds(5)
    /// Shorter than the time from cycle to cycle, so that each of them tries.
    public var maximum: Duration = .seconds(60)
    public init() {}
  }

  public let policy: Policy
  /// Failures since the latest success.
  public private(set) var failures = 0
  /// Nobody asks before this time.
  public private(set) var closedUntil: MonotonicTime?
  /// Somebody is trying, on behalf of all.
  private var isTrying = false
  /// The pause is what the server itself has asked for.
  private var isAsked = false
  private var openings = 0

  public init(policy: Policy = Policy()) { self.policy = policy }

  /// Whether a request may be sent now. A true answer must be followed by ``succeeded(now:)``,
  /// ``failed(now:jitter:)``, ``rest(until:)`` or ``abandoned()``.
  public mutating func admits(now: MonotonicTime) -> Bool {
    guard let until = closedUntil else { return true }
    guard now >= until, !isTrying else { return false }
    isTrying = true
    return true
  }

  /// The server has answered, and not with an error of its own.
  public mutating func succeeded(now: MonotonicTime) {
    // One that was on its way when the server asked for a pause: that wish still stands.
    if isAsked, let until = closedUntil, now < until { return }
    failures = 0
    isAsked = false
    openings = 0
    closedUntil = nil
    isTrying = false
  }

  /// The request ended without telling anything about the server.
  public mutating func abandoned() { isTrying = false }

  /// - Parameter jitter: from 0 to 1, by chance: so that many do not come back at the same moment.
  public mutating func failed(now: MonotonicTime, jitter: Double) {
    failures += 1
    let wasTrial = isTrying
    isTrying = false
    // Those that were on their way when it opened say nothing new.
    if let until = closedUntil, now < until { return }
    guard wasTrial || failures >= policy.failures else { return }
    let doubled = policy.minimum.wholeNanoseconds << Int64(min(openings, 20))
    let longest = policy.maximum.wholeNanoseconds
    let pause = doubled <= 0 ? longest : min(doubled, longest)
    openings += 1
    isAsked = false
    // Half fixed, half by chance.
    let varied = Double(pause) * (0.5 + 0.5 * min(max(jitter, 0), 1))
    close(until: now + .nanoseconds(Int64(varied)))
  }

  /// The server has said how long it wants to be left alone.
  public mutating func rest(until time: MonotonicTime) {
    isTrying = false
    isAsked = true
    close(until: time)
  }

  private mutating func close(until time: MonotonicTime) {
    closedUntil = closedUntil.map { max($0, time) } ?? time
  }
}
