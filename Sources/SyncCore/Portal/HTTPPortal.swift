import HTTP
import JSON
import Platform
import Synchronization

/// Samverkansportalen over HTTP (docs/portal-api.yaml).
///
/// Every write is conditional upon what the decision was made on, and idempotent. What a failure
/// means for it is told apart: whether it was heard at all, whether it may have been done, whether
/// it will ever be. What may have been done is looked up before it is done again.
public final class HTTPPortal: Portal {
  public let kind = "http"
  private let service: HTTPService
  /// The name under which flags are set.
  private let source: String
  private let instance: PortalInstance
  private let interval: Duration
  private let pageSize: Int
  private let log: Log
  private let state = Mutex(State())

  private struct State {
    /// What the portal was last told, or showed, of examinations' images: as digests.
    var told = ExaminationTable<UInt32>()
    /// How many flags there were: the room that the next listing takes at once.
    var flagged = 0
    var hasHeartbeats = true
  }

  /// - Parameters:
  ///   - interval: from beat to beat; three without one, and another daemon may take over.
  public init(
    service: HTTPService, source: String, instance: PortalInstance, interval: Duration,
    pageSize: Int = 1000, log: Log
  ) {
    self.service = service
    self.source = source
    self.instance = instance
    self.interval = interval
    self.pageSize = pageSize
    self.log = log
  }

  // MARK: - Flags read

  public func flags(
    since token: String?, deadline: Deadline
  ) throws(PortalError) -> FlagListing {
    try beat(deadline)
    let reader = PagedReader(
      service: service, path: "/v1/examinations?flag=any&limit=\(pageSize)", deadline: deadline)
    let listing = Listing(room: state.withLock { $0.flagged }) { [self] key, digest in
      state.withLock { state in
        if state.told[key] != digest { state.told[key] = digest }
      }
    }
    let outcome: PagedReader.Outcome
    do throws(PagedReader.Failure) {
      outcome = try reader.read(etag: token, listing)
    } catch {
      let text = "the portal's flags (\(service.base.origin)): \(error)"
      throw error.kind == .forbidden ? .refused(text) : .unavailable(text)
    }
    switch outcome {
    case .unchanged: return .unchanged
    case .complete(let proof):
      let flags = listing.flags
      state.withLock { $0.flagged = flags.count }
      return .flags(flags, token: proof.etag ?? "")
    }
  }

  /// Collects a listing of flags.
  private final class Listing: PageConsumer {
    private(set) var flags = ExaminationTable<PortalFlag>()
    private let room: Int
    /// What the portal knows of images is true whatever becomes of the listing.
    private let showsImages: (ExaminationKey, UInt32) -> Void

    init(room: Int, showsImages: @escaping (ExaminationKey, UInt32) -> Void) {
      self.room = room
      self.showsImages = showsImages
    }

    func begin() {
      flags = ExaminationTable(minimumCapacity: room)
    }

    func take(_ item: JSONValue, page: Int) -> String? {
      guard let system = item["system"]?.stringValue, let number = item["number"]?.stringValue,
        !system.isEmpty, !number.isEmpty
      else { return "an examination without system and number: both have to be texts" }
      let key = ExaminationKey(system: system, number: number)
      if let images = item["images"], !images.isNull {
        showsImages(key, HTTPPortal.digest(images))
      }
      guard let flag = item["flag"], !flag.isNull else { return nil }
      guard let id = flag["flag"]?.stringValue, let source = flag["source"]?.stringValue,
        let etag = flag["etag"]?.stringValue, !etag.isEmpty
      else { return "a flag without flag, source and etag" }
      let held = PortalFlag(
        flag: id, source: source, list: flag["listId"]?.stringValue, version: etag)
      guard flags[key] == nil else {
        return "an examination that stands there twice: its pages do not belong together"
      }
      flags[key] = held
      return nil
    }
  }

  // MARK: - Heartbeat

  /// Tells the portal that this daemon drives its flags, and finds out whether another one does.
  private func beat(_ deadline: Deadline) throws(PortalError) {
    guard state.withLock({ $0.hasHeartbeats }) else { return }
    let path = "/v1/sources/\(HTTPURL.escaped(source))/heartbeat"
    let seen = try ask("GET", path, deadline)
    switch seen.status {
    case 200: try checkForeign(seen)
    case 404 where seen.problem?.type != "unknown-path": break
    case 404, 405, 501: return noHeartbeats()
    default: throw Self.failure("its heartbeats", seen)
    }
    let body = compact([
      ("instance", .string(instance.id)), ("version", .string(Version.text)),
      ("startedAt", .string(instance.startedAt.description)),
      ("interval", JSONValue(Int(interval.inSeconds.rounded(.up)))),
    ])
    let told = try ask("PUT", path, deadline, body.serialized())
    switch told.status {
    case 200..<300: break
    case 409:
      let other = (try? JSONValue.parse(told.body))?["instance"]?.stringValue
      throw foreign(other)
    case 404, 405, 501: noHeartbeats()
    default: throw Self.failure("its heartbeats", told)
    }
  }

  private func noHeartbeats() {
    state.withLock { $0.hasHeartbeats = false }
    log.warning(
      "the portal keeps no heartbeats: two daemons that run by mistake would not be noticed")
  }

  private func checkForeign(_ response: HTTPResponse) throws(PortalError) {
    guard let beat = try? JSONValue.parse(response.body), let id = beat["instance"]?.stringValue
    else { return }
    let started = beat["startedAt"]?.stringValue.flatMap { WallTime(rfc3339: $0) }
    if id == instance.id {
      // A copy of this installation, started after it. Whoever restarts last goes on.
      guard let started, started > instance.startedAt else { return }
      throw foreign(id)
    }
    guard let received = beat["receivedAt"]?.stringValue.flatMap({ WallTime(rfc3339: $0) }) else {
      return
    }
    let seconds = min(max(beat["interval"]?.doubleValue ?? interval.inSeconds, 1), 86400)
    // By the portal's own clock, which wrote the time.
    let now = response["date"].flatMap { HTTPDate.parse($0) } ?? .now
    if now - received <= .seconds(3 * seconds) { throw foreign(id) }
  }

  private func foreign(_ id: String?) -> PortalError {
    .foreign(
      "another syncd (instance \((id ?? "unknown").prefix(8))) sets flags as \(source) in the same "
        + "portal; this one (\(instance.id.prefix(8))) changes none: stop one of them, or give it "
        + "a name of its own (daemon.name)")
  }

  private func ask(
    _ method: String, _ path: String, _ deadline: Deadline, _ body: [UInt8]? = nil
  ) throws(PortalError) -> HTTPResponse {
    do throws(HTTPFailure) {
      return try service.ask(method, path, body: body, deadline: deadline)
    } catch {
      throw .unavailable("the portal: \(error)")
    }
  }

  static func failure(_ what: String, _ response: HTTPResponse) -> PortalError {
    let text = "the portal, \(what): \(PagedReader.refusal(response))"
    switch response.status {
    case 401, 403, 409, 422, 404: return .refused(text)
    default: return .unavailable(text)
    }
  }

  // MARK: - Flags written

  public func apply(
    _ writes: [FlagWrite], source: String, now: WallTime, deadline: Deadline,
    outcome: (Int, FlagWriteOutcome) -> Void
  ) {
    let writer = FlagWriter(service: service, source: source, now: now, deadline: deadline)
    inParallel(
      writes.count, { writer.write(writes[$0]) }, { index, result in outcome(index, result) })
  }

  /// Runs jobs on as many threads as the server is given requests at once, in the order of their
  /// indexes; hands each result over on the caller's thread.
  private func inParallel<R: Sendable>(
    _ count: Int, _ job: @escaping @Sendable (Int) -> R, _ done: (Int, R) -> Void
  ) {
    let workers = min(service.parallel, count)
    if workers <= 1 {
      for index in 0..<count { done(index, job(index)) }
      return
    }
    let next = Atomic<Int>(0)
    let results = Monitor<[(Int, R)]>([])
    let shared = Shared(next: next)
    for worker in 0..<workers {
      WorkThread.start("portal \(worker)") {
        while true {
          let index = shared.take()
          guard index < count else { return }
          let result = job(index)
          results.update { $0.append((index, result)) }
        }
      }
    }
    var left = count
    while left > 0 {
      let ready = results.wait { ready -> [(Int, R)]? in
        if ready.isEmpty { return nil }
        defer { ready = [] }
        return ready
      }
      for (index, result) in ready ?? [] { done(index, result) }
      left -= ready?.count ?? 0
    }
  }

  private final class Shared: Sendable {
    private let next: Atomic<Int>
    init(next: consuming Atomic<Int>) { self.next = next }
    func take() -> Int { next.wrappingAdd(1, ordering: .relaxed).oldValue }
  }

  // MARK: - Images

  public func publish(
    _ availability: [ImageAvailability], deadline: Deadline
  ) throws(PortalError) {
    let new = state.withLock { state in
      availability.filter { state.told[$0.key] != Self.digest($0) }
    }
    let problem = Mutex<PortalError?>(nil)
    let keeper = Keeper()
    inParallel(
      new.count, { [self] in publish(new[$0], deadline, keeper) },
      { index, error in
        if let error {
          problem.withLock { if $0 == nil { $0 = error } }
        } else {
          state.withLock { $0.told[new[index].key] = Self.digest(new[index]) }
        }
      })
    if let error = problem.withLock({ $0 }) { throw error }
  }

  /// Ends the rest of a batch once the portal does not answer.
  private final class Keeper: Sendable {
    let failure = Mutex<PortalError?>(nil)
  }

  private func publish(
    _ entry: ImageAvailability, _ deadline: Deadline, _ keeper: Keeper
  ) -> PortalError? {
    if let earlier = keeper.failure.withLock({ $0 }) { return earlier }
    let body = compact([
      ("state", .string(entry.state.rawValue)), ("archived", JSONValue(entry.archived)),
      ("expected", entry.expected.map { JSONValue($0) } ?? .null),
      ("reason", entry.reason.map { .string($0.code.rawValue) } ?? .null),
    ])
    do throws(PortalError) {
      let response = try ask(
        "PUT", "/v1/examinations/\(FlagWriter.id(entry.key))/image-availability", deadline,
        body.serialized())
      switch response.status {
      // What it does not know, or does not want to know, is no news tomorrow either.
      case 200..<300, 404, 409, 410, 422: return nil
      default: throw Self.failure("image availability", response)
      }
    } catch {
      keeper.failure.withLock { $0 = error }
      return error
    }
  }

  private static func digest(_ entry: ImageAvailability) -> UInt32 {
    digest(
      entry.state.rawValue, Int64(entry.archived), entry.expected.map(Int64.init),
      entry.reason?.code.rawValue)
  }

  private static func digest(_ images: JSONValue) -> UInt32 {
    digest(
      images["state"]?.stringValue ?? "", images["archived"]?.intValue ?? 0,
      images["expected"]?.intValue, images["reason"]?.stringValue)
  }

  private static func digest(
    _ state: String, _ archived: Int64, _ expected: Int64?, _ reason: String?
  ) -> UInt32 {
    // FNV-1a.
    var hash: UInt32 = 0x811C_9DC5
    for byte in "\(state);\(archived);\(expected ?? -1);\(reason ?? "")".utf8 {
      hash = (hash ^ UInt32(byte)) &* 0x0100_0193
    }
    return hash
  }
}
