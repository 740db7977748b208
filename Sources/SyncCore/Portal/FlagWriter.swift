import HTTP
import JSON
import Platform
import Synchronization

/// Does single writes of flags at a portal over HTTP, and finds out what became of each.
final class FlagWriter: Sendable {
  private let service: HTTPService
  private let source: String
  private let now: WallTime
  private let deadline: Deadline
  /// Why none of the writes that are left has a chance.
  private let stopped = Mutex<PortalError?>(nil)

  /// How often a write is decided anew when the record has changed (412).
  private static let mostDecisions = 3
  /// How often one is repeated whose outcome nobody knew.
  private static let mostRepeats = 2
  /// How often a write comes back after the server wanted to be left alone.
  private static let mostRefusals = 5
  /// Longer rests that a server asks for are for the next cycle.
  private static let longestRest: Duration = .seconds(30)

  init(service: HTTPService, source: String, now: WallTime, deadline: Deadline) {
    self.service = service
    self.source = source
    self.now = now
    self.deadline = deadline
  }

  static func id(_ key: ExaminationKey) -> String {
    HTTPURL.escaped("\(key.system):\(key.number)")
  }

  func write(_ write: FlagWrite) -> FlagWriteOutcome {
    var expected = write.expected?.version
    var decisions = 0
    var repeats = 0
    var refusals = 0
    /// An earlier try may have been heard.
    var mayBeDone = false
    while true {
      if let error = stopped.withLock({ $0 }) { return .failed(error) }
      let response: HTTPResponse
      do throws(HTTPFailure) {
        response = try send(write, expected)
      } catch {
        guard error.isOutcomeUnknown else {
          return .failed(.unavailable("the portal: \(error)"))
        }
        switch settle(write, &expected, &repeats, &mayBeDone, "\(error)") {
        case .some(let outcome): return outcome
        case .none: continue
        }
      }
      switch response.status {
      case 200, 201: return .done
      case 204: return write.action == .clear || mayBeDone ? .done : .alreadySo
      case 404, 410:
        if case .clear = write.action { return mayBeDone ? .done : .alreadySo }
        return .failed(HTTPPortal.failure("a flag", response))
      case 412:
        decisions += 1
        switch decide(write, &expected, mayBeDone) {
        case .some(let outcome): return outcome
        case .none:
          guard decisions < Self.mostDecisions else { return .changedMeanwhile }
        }
      case 401, 403:
        // Nobody's write will fare better before a person has done something.
        let error = HTTPPortal.failure("a flag", response)
        stopped.withLock { $0 = error }
        return .failed(error)
      case 429, 503:
        refusals += 1
        // Where it does not say how long, or that is over already: a moment.
        let until = service.restsUntil ?? MonotonicTime.now + .milliseconds(100 << refusals)
        if refusals <= Self.mostRefusals, rest(until) { continue }
        return .failed(HTTPPortal.failure("a flag", response))
      case 500...:
        switch settle(write, &expected, &repeats, &mayBeDone, PagedReader.refusal(response)) {
        case .some(let outcome): return outcome
        case .none: continue
        }
      default: return .failed(HTTPPortal.failure("a flag", response))
      }
    }
  }

  private func send(
    _ write: FlagWrite, _ expected: String?
  ) throws(HTTPFailure) -> HTTPResponse {
    let path = "/v1/examinations/\(Self.id(write.key))/collaboration-flag"
    switch write.action {
    case .set(let flag):
      let condition =
        expected.map { ("If-Match", Self.quoted($0)) } ?? ("If-None-Match", "*")
      let body = compact([
        ("flag", .string(flag)), ("source", .string(source)), ("listId", .string(write.list)),
        ("observedAt", .string(now.description)),
      ])
      return try ask("PUT", path, headers: [condition], body: body.serialized())
    case .clear:
      let condition = expected.map { [(name: "If-Match", value: Self.quoted($0))] } ?? []
      return try ask("DELETE", path, headers: condition)
    }
  }

  /// Asks, once the server is not left alone any more.
  private func ask(
    _ method: String, _ path: String, headers: [(name: String, value: String)],
    body: [UInt8]? = nil
  ) throws(HTTPFailure) -> HTTPResponse {
    let patience = MonotonicTime.now + Self.longestRest
    while true {
      do throws(HTTPFailure) {
        return try service.ask(method, path, headers: headers, body: body, deadline: deadline)
      } catch {
        // That may be over since, or somebody is just trying on behalf of all.
        let until = service.restsUntil ?? MonotonicTime.now + .milliseconds(50)
        guard error.kind == .leftAlone, until < patience, rest(until) else { throw error }
      }
    }
  }

  /// An entity tag as the header has it (RFC 9110 section 8.8.3).
  private static func quoted(_ tag: String) -> String {
    tag.hasPrefix("\"") || tag.hasPrefix("W/\"") ? tag : "\"\(tag)\""
  }

  // MARK: - What became of it

  private enum Held {
    case nothing
    case flag(PortalFlag)
    case unknown(String)
  }

  private func look(_ key: ExaminationKey) -> Held {
    let response: HTTPResponse
    do throws(HTTPFailure) {
      response = try ask(
        "GET", "/v1/examinations/\(Self.id(key))/collaboration-flag",
        headers: [("Cache-Control", "no-cache")])
    } catch {
      return .unknown("\(error)")
    }
    switch response.status {
    case 404, 410: return .nothing
    case 200:
      guard let body = try? JSONValue.parse(response.body), let flag = body["flag"]?.stringValue,
        let source = body["source"]?.stringValue,
        let etag = body["etag"]?.stringValue ?? response["etag"]
      else { return .unknown("its flag cannot be read") }
      return .flag(
        PortalFlag(flag: flag, source: source, list: body["listId"]?.stringValue, version: etag))
    default: return .unknown(PagedReader.refusal(response))
    }
  }

  private func isThere(_ write: FlagWrite, _ held: PortalFlag) -> Bool {
    guard case .set(let flag) = write.action else { return false }
    return held.flag == flag && held.source == source && held.list == write.list
  }

  /// After an outcome that nobody knows: looks, and repeats what has not happened. Nil to repeat.
  private func settle(
    _ write: FlagWrite, _ expected: inout String?, _ repeats: inout Int, _ mayBeDone: inout Bool,
    _ reason: String
  ) -> FlagWriteOutcome? {
    mayBeDone = true
    switch look(write.key) {
    case .unknown(let why): return .unknown("\(reason); then \(why)")
    case .nothing:
      if write.action == .clear { return .done }
      guard write.expected == nil else { return .changedMeanwhile }
    case .flag(let held):
      if isThere(write, held) { return .done }
      guard let old = write.expected, Self.isSame(held, old) else { return .changedMeanwhile }
      expected = held.version
    }
    repeats += 1
    guard repeats <= Self.mostRepeats,
      PagedReader.rest(.milliseconds(Int64.random(in: 50...(200 << repeats))), deadline)
    else { return .unknown(reason) }
    return nil
  }

  /// The record is not what was expected (412): the decision stands only where nothing but the
  /// record's version has changed. Nil to write again.
  private func decide(
    _ write: FlagWrite, _ expected: inout String?, _ mayBeDone: Bool
  ) -> FlagWriteOutcome? {
    switch look(write.key) {
    case .unknown(let why): return .unknown(why)
    case .nothing:
      if write.action == .clear { return mayBeDone ? .done : .alreadySo }
      guard write.expected == nil else { return .changedMeanwhile }
      expected = nil
    case .flag(let held):
      if isThere(write, held) { return mayBeDone ? .done : .alreadySo }
      guard let old = write.expected, Self.isSame(held, old) else { return .changedMeanwhile }
      expected = held.version
    }
    return nil
  }

  private static func isSame(_ a: PortalFlag, _ b: PortalFlag) -> Bool {
    a.flag == b.flag && a.source == b.source && a.list == b.list
  }

  /// Waits as long as the server wants to be left alone; false where that is too long.
  private func rest(_ time: MonotonicTime?) -> Bool {
    guard let time else { return false }
    let pause = time - .now
    if pause > Self.longestRest { return false }
    return PagedReader.rest(max(.milliseconds(10), pause), deadline)
  }
}
