import Glibc
import HTTP
import JSON
import Platform
import Synchronization

/// Takes the elements of a paged collection as they arrive.
protocol PageConsumer: AnyObject {
  /// A read begins, or begins anew: what has been taken so far is void.
  func begin()
  /// - Returns: why the element makes the whole read worthless; nil if it does not.
  func take(_ item: JSONValue, page: Int) -> String?
}

/// Reads a collection page by page (docs/portal-api.yaml, docs/list-api.yaml), streaming, with the
/// proof that it is whole: one snapshot on every page, as many elements as announced, a last page
/// without a next one, no page twice.
///
/// Within its deadline it does what a server may ask for: begins again when its cursor has expired
/// (410) or its snapshot has changed, waits where it is told how long, and repeats a page that got
/// lost. What it cannot prove is an error.
struct PagedReader {
  let service: HTTPService
  /// Below the server's base, with a query, without a cursor.
  let path: String
  let deadline: Deadline
  /// Uneven pauses, by chance; 0 to 1.
  var jitter: () -> Double = { Double.random(in: 0...1) }

  enum Outcome {
    /// The same as what the entity tag stands for. When the server says as of when that holds.
    case unchanged(asOf: WallTime?)
    case complete(Proof)
  }

  struct Proof {
    var snapshotID: String
    var asOf: WallTime
    var total: Int
    var pages: Int
    var etag: String?
  }

  struct Failure: Error, CustomStringConvertible {
    enum Kind {
      /// It may be better another time.
      case transient
      /// 401 and 403: nothing is right before a person has done something.
      case forbidden
      /// It is not what it should be.
      case unproven
    }
    var kind: Kind
    let description: String

    init(_ kind: Kind, _ description: String) {
      self.kind = kind
      self.description = description
    }
  }

  /// A change that voids the pages so far.
  private struct Restart: Error { var reason: String }
  private static let mostRestarts = 3
  private static let mostRepeats = 3
  /// Elements of any collection: more is no list but an attack or a mistake.
  private static let mostElements: Int64 = 5_000_000

  /// - Parameter etag: of what is held already; nil to read in any case.
  func read(etag: String?, _ consumer: some PageConsumer) throws(Failure) -> Outcome {
    var restarts = 0
    while true {
      consumer.begin()
      switch try readOnce(restarts == 0 ? etag : nil, consumer) {
      case .success(let outcome): return outcome
      case .failure(let restart):
        restarts += 1
        guard restarts <= Self.mostRestarts else {
          throw Failure(.unproven, "\(restart.reason), \(restarts) times in a row")
        }
      }
    }
  }

  private func readOnce(
    _ etag: String?, _ consumer: some PageConsumer
  ) throws(Failure) -> Result<Outcome, Restart> {
    var proof: Proof?
    var cursor: String?
    var taken = 0
    var pages = 0
    while true {
      let page: Page
      switch try self.page(cursor, pages, pages == 0 ? etag : nil, consumer) {
      case .unchanged(let asOf): return .success(.unchanged(asOf: asOf))
      case .expired: return .failure(Restart(reason: "the cursor expired in mid-reading"))
      case .page(let found): page = found
      }
      pages += 1
      taken += page.items
      if let first = proof {
        guard first.snapshotID == page.snapshotID else {
          return .failure(Restart(reason: "the snapshot changed in mid-reading"))
        }
        guard first.total == page.total else {
          return .failure(
            Restart(
              reason: "the total changed in mid-reading, from \(first.total) to \(page.total)"))
        }
      } else {
        proof = Proof(
          snapshotID: page.snapshotID, asOf: page.asOf, total: page.total, pages: 0,
          etag: page.etag)
      }
      guard taken <= page.total else {
        throw Failure(.unproven, "\(taken) rows, but \(page.total) were announced")
      }
      guard let next = page.next else {
        guard taken == page.total else {
          throw Failure(
            .unproven, "\(taken) rows, but \(page.total) were announced: some are missing")
        }
        proof!.pages = pages
        return .success(.complete(proof!))
      }
      guard page.items > 0, next != cursor else {
        throw Failure(.unproven, "page \(pages) leads to no other one: its pages do not end")
      }
      cursor = next
    }
  }

  // MARK: - A page

  private struct Page {
    var snapshotID: String
    var asOf: WallTime
    var total: Int
    var next: String?
    var etag: String?
    var items: Int
  }

  private enum PageOutcome {
    case unchanged(WallTime?)
    case expired
    case page(Page)
  }

  private func page(
    _ cursor: String?, _ number: Int, _ etag: String?, _ consumer: some PageConsumer
  ) throws(Failure) -> PageOutcome {
    let mark = path.contains("?") ? "&" : "?"
    let target = path + (cursor.map { "\(mark)cursor=\(HTTPURL.escaped($0))" } ?? "")
    // A cache on the way may hold an older answer; only the server knows.
    var headers = [(name: "Cache-Control", value: "no-cache")]
    if let etag { headers.append(("If-None-Match", etag)) }
    var repeats = 0
    while true {
      let taker = PageTaker(consumer, page: number)
      let failure: Failure
      let pause: Duration
      switch ask(target, headers, taker) {
      case .success(let response):
        switch response.status {
        case 200: return .page(try page(response, taker))
        case 304 where etag != nil:
          return .unchanged(response["as-of"].flatMap { WallTime(rfc3339: $0) })
        case 410 where cursor != nil: return .expired
        case 429, 503:
          failure = Failure(.transient, Self.refusal(response))
          pause = restOfServer ?? self.pause(repeats)
        case 500...:
          failure = Failure(.transient, Self.refusal(response))
          pause = self.pause(repeats)
        case 401, 403: throw Failure(.forbidden, Self.refusal(response))
        default: throw Failure(.unproven, Self.refusal(response))
        }
      case .failure(let error):
        if let fault = taker.fault { throw Failure(.unproven, fault) }
        failure = Failure(.transient, service.words(of: error))
        switch error.kind {
        case .untrusted, .unusable: throw failure
        case .notTried: throw failure
        case .leftAlone:
          // Wait for that to end, if it does in time; or for him who is trying now.
          pause = restOfServer ?? self.pause(repeats)
        default: pause = self.pause(repeats)
        }
      }
      // Rows of a page that was cut have been taken: it can only be repeated where none has.
      guard repeats < Self.mostRepeats, !taker.hasTaken, Self.rest(pause, deadline) else {
        throw failure
      }
      repeats += 1
    }
  }

  private func ask(
    _ target: String, _ headers: [(name: String, value: String)], _ taker: PageTaker
  ) -> Result<HTTPResponse, HTTPFailure> {
    defer { taker.close() }
    do throws(HTTPFailure) {
      return .success(
        try service.ask(
          "GET", target, headers: headers, deadline: deadline, onBody: { taker.feed($0) }))
    } catch {
      return .failure(error)
    }
  }

  /// For how long the server is to be left alone.
  private var restOfServer: Duration? {
    service.restsUntil.map { max(.zero, $0 - .now) + .milliseconds(10) }
  }

  private func pause(_ repeats: Int) -> Duration {
    .milliseconds(Int64(Double(200 << (2 * repeats)) * (0.5 + jitter() / 2)))
  }

  /// Waits; false where the time would not be enough to go on then.
  static func rest(_ pause: Duration, _ deadline: Deadline) -> Bool {
    let end = MonotonicTime.now + pause
    if let last = deadline.time, end + .milliseconds(100) > last { return false }
    while true {
      let left = (end - .now).wholeNanoseconds
      if left <= 0 { return true }
      usleep(UInt32(min(left / 1000 + 1, 200_000)))
    }
  }

  private func page(
    _ response: HTTPResponse, _ taker: PageTaker
  ) throws(Failure) -> Page {
    let members: JSONObject
    do throws(JSONError) {
      members = try taker.finish()
    } catch {
      throw Failure(.unproven, "the answer cannot be read: \(error)")
    }
    guard taker.hasItems else { throw Failure(.unproven, "the answer has no `items`") }
    guard let total = members["total"]?.intValue, (0...Self.mostElements).contains(total) else {
      throw Failure(.unproven, "the answer has no `total`: nothing proves that it is whole")
    }
    guard let snapshotID = members["snapshotId"]?.stringValue, !snapshotID.isEmpty else {
      throw Failure(.unproven, "the answer has no `snapshotId`: its pages may not belong together")
    }
    guard let asOf = members["asOf"]?.stringValue.flatMap({ WallTime(rfc3339: $0) }) else {
      throw Failure(.unproven, "the answer does not say as of when it holds (`asOf`)")
    }
    let next = members["next"]?.stringValue
    return Page(
      snapshotID: snapshotID, asOf: asOf, total: Int(total),
      next: next?.isEmpty == false ? next : nil, etag: response["etag"], items: taker.items)
  }

  /// What a status means, with the problem's title: of the kind, not of the case.
  static func refusal(_ response: HTTPResponse) -> String {
    let title = response.problem.map { $0.title.isEmpty ? "" : ": \(Scrubber.scrub($0.title))" }
    let words: String
    switch response.status {
    case 401: words = "it does not know who asks (401): check the token or the certificate"
    case 403: words = "it does not allow it (403): the right has to be given there"
    case 404: words = "it does not have it (404): check the address and the name"
    case 429: words = "it is asked too often (429)"
    case 503: words = "it cannot answer now (503)"
    case 304: words = "it says that nothing has changed (304), which was not asked"
    default: words = "it answered \(response.status)"
    }
    return words + (title ?? "")
  }
}

/// Hands the elements of one page on while its bytes arrive on the connection's thread. Once
/// closed, nothing reaches the consumer any more.
private final class PageTaker: @unchecked Sendable {
  // @unchecked: everything is used inside the lock.
  private let lock = Mutex(())
  private var reader = JSONItemReader(array: "items")
  private let consumer: any PageConsumer
  private let number: Int
  private var isClosed = false
  private var problem: String?
  private(set) var items = 0

  init(_ consumer: any PageConsumer, page: Int) {
    self.consumer = consumer
    number = page
  }

  func feed(_ bytes: UnsafeRawBufferPointer) -> Bool {
    lock.withLock { _ in
      if isClosed || problem != nil { return false }
      do throws(JSONError) {
        try reader.feed(bytes) { item in
          guard problem == nil else { return }
          items += 1
          problem = consumer.take(item, page: number)
        }
      } catch {
        problem = "the answer cannot be read: \(error)"
      }
      return problem == nil
    }
  }

  func close() { lock.withLock { _ in isClosed = true } }

  var fault: String? { lock.withLock { _ in problem } }
  var hasTaken: Bool { lock.withLock { _ in items > 0 } }
  var hasItems: Bool { lock.withLock { _ in reader.hasItems } }

  func finish() throws(JSONError) -> JSONObject {
    try reader.finish()
  }
}
