import Glibc
import JSON
import Platform
import Synchronization
import Varlink

/// What the control interface needs of the daemon around the engine.
public struct DaemonFacts: Sendable {
  public var name: String
  public var startedAt: WallTime
  public var ledgerPath: String
  public var adminGroup: String
  public var monitorGroup: String
  /// The archive's state, for show. Must not wait.
  public var archive: @Sendable () -> ArchiveFacts?
  public var portalKind: String
  public var configuration: @Sendable () -> ConfigurationFacts
  /// Reads the configuration file again and takes it over.
  public var reload: @Sendable () -> ReloadOutcome

  public init(
    name: String, startedAt: WallTime, ledgerPath: String, adminGroup: String,
    monitorGroup: String, archive: @escaping @Sendable () -> ArchiveFacts?, portalKind: String,
    configuration: @escaping @Sendable () -> ConfigurationFacts,
    reload: @escaping @Sendable () -> ReloadOutcome
  ) {
    self.name = name
    self.startedAt = startedAt
    self.ledgerPath = ledgerPath
    self.adminGroup = adminGroup
    self.monitorGroup = monitorGroup
    self.archive = archive
    self.portalKind = portalKind
    self.configuration = configuration
    self.reload = reload
  }
}

public struct ArchiveFacts: Sendable {
  public var aeTitle: String
  public var port: Int
  public var objects: Int
  public var bytes: Int64
  public var freeBytes: Int64
  public var conflicts: Int
  public var associations: Int
  public var isRefusing: Bool

  public init(
    aeTitle: String, port: Int, objects: Int, bytes: Int64, freeBytes: Int64, conflicts: Int,
    associations: Int, isRefusing: Bool
  ) {
    self.aeTitle = aeTitle
    self.port = port
    self.objects = objects
    self.bytes = bytes
    self.freeBytes = freeBytes
    self.conflicts = conflicts
    self.associations = associations
    self.isRefusing = isRefusing
  }
}

public struct ConfigurationFacts: Sendable {
  /// Nil when the daemon runs on its defaults.
  public var file: String?
  public var loadedAt: WallTime
  public var toml: String
  public var flagLabels: [String: String]
  /// Where each list is read, for an admin.
  public var listSources: [String: String]

  public init(
    file: String?, loadedAt: WallTime, toml: String, flagLabels: [String: String],
    listSources: [String: String] = [:]
  ) {
    self.file = file
    self.loadedAt = loadedAt
    self.toml = toml
    self.flagLabels = flagLabels
    self.listSources = listSources
  }
}

public enum ReloadOutcome: Sendable {
  case applied([String], needsRestart: [String])
  case invalid([String])
}

/// Serves `se.vgregion.samverkan.Sync`: answers from the engine's snapshot or from a reading
/// connection to the ledger, never from the engine itself; asks the engine only to change
/// something, and then with a deadline.
public final class ControlService: Sendable {
  public static let controlSocket = "control"
  public static let monitorSocket = "monitor"

  private let engine: EngineLoop
  private let facts: DaemonFacts
  private let delivery: DeliveryService?
  private let peers: PeerService?
  private let access: AccessLog?
  private let log: Log
  /// @unchecked: used inside the mutex only.
  private struct Readers: ~Copyable, @unchecked Sendable {
    var idle: [LedgerReader] = []
  }
  private let readers = Mutex(Readers())

  /// How long a request to the engine may wait for it.
  static let engineDeadline: Duration = .seconds(10)
  /// The most changes of a plan in one reply, which clients may bound to a mebibyte.
  static let changesAtOnce = 500

  public init(
    engine: EngineLoop, facts: DaemonFacts, delivery: DeliveryService? = nil,
    peers: PeerService? = nil,
    access: AccessLog? = nil, log: Log
  ) {
    self.engine = engine
    self.delivery = delivery
    self.peers = peers
    self.access = access
    self.facts = facts
    self.log = log
  }

  /// The service, for a Varlink server.
  public func service() throws -> VarlinkService {
    typealias Method = VarlinkInterface.Method
    let interface = try VarlinkInterface(
      SyncInterface.description,
      methods: [
        "Ping": Method { _ in self.ping() },
        "GetStatus": Method { call throws(VarlinkError) in self.status(call) },
        "StartSync": Method { call throws(VarlinkError) in try self.sync(call) },
        "ListExaminations": Method { call throws(VarlinkError) in try self.list(call) },
        "GetExamination": Method { call throws(VarlinkError) in try self.show(call) },
        "ListDrift": Method { _ in self.drift() },
        "Plan": Method(requiresMore: true) { call throws(VarlinkError) in try self.plan(call) },
        "Approve": Method { call throws(VarlinkError) in try self.approve(call) },
        "Retry": Method { call throws(VarlinkError) in try self.retry(call) },
        "GetConfiguration": Method { _ in self.configuration() },
        "Reload": Method { call throws(VarlinkError) in try self.reload(call) },
      ])
    let others =
      try (delivery.map { [try $0.interface()] } ?? [])
      + (peers.map { [try $0.interface()] } ?? [])
    let groups = self.facts
    return VarlinkService(
      vendor: "Västra Götalandsregionen", product: "syncd", version: Version.text,
      url: "https://www.vgregion.se/", interfaces: [interface] + others
    ) { peer, socket, method in
      Self.authorize(peer, socket, method, groups)
    }
  }

  /// The socket's own mode lets only its group connect; this is the second door, and the one that
  /// keeps the monitor socket to reading.
  private static func authorize(
    _ peer: PeerCredentials, _ socket: String, _ method: String, _ facts: DaemonFacts
  ) -> VarlinkError? {
    if socket == monitorSocket, !SyncInterface.monitorMethods.contains(method),
      !DeliveryInterface.monitorMethods.contains(method)
    {
      return .permissionDenied(
        reason:
          "the monitor socket only answers Ping, GetStatus and GetTotals; use the control socket")
    }
    if peer.uid == 0 || peer.uid == getuid() { return nil }
    let name = socket == monitorSocket ? facts.monitorGroup : facts.adminGroup
    if let group = UserDatabase.group(named: name) {
      if UserDatabase.isMember(uid: peer.uid, gid: peer.gid, of: group) { return nil }
    }
    return .permissionDenied(reason: "user \(peer.userName) is not in the group \(name)")
  }

  // MARK: - Reading

  private func ping() -> JSONObject {
    [
      "name": .string(facts.name), "version": .string(Version.text),
      "pid": JSONValue(Int(getpid())),
      "startedAt": JSONValue(facts.startedAt),
    ]
  }

  private func status(_ call: VarlinkCall) -> JSONObject {
    var snapshot = engine.snapshot
    while call.wantsMore {
      guard call.replyContinues(["status": render(snapshot)]) else { break }
      // Woken now and then to see whether the client is still there.
      var next: EngineSnapshot?
      while next == nil, !call.isCancelled {
        next = engine.snapshot(after: snapshot.version, until: .after(.seconds(1)))
      }
      guard let next else { break }
      snapshot = next
    }
    return ["status": render(engine.snapshot)]
  }

  private func render(_ shown: EngineSnapshot) -> JSONValue {
    let alarms = shown.alarms + (delivery?.alarms ?? [])
    let critical = alarms.contains { $0.severity == .critical }
    let configuration = facts.configuration()
    let archive = facts.archive()
    let drift = shown.drift.filter { $0.kind == .set || $0.kind == .clear }
    return compact([
      ("name", .string(facts.name)), ("version", .string(Version.text)),
      ("pid", JSONValue(Int(getpid()))), ("startedAt", JSONValue(facts.startedAt)),
      ("now", JSONValue(WallTime.now)),
      (
        "state",
        .string(shown.isStopping ? "stopping" : shown.version == 0 ? "starting" : "running")
      ),
      ("health", .string(critical ? "critical" : alarms.isEmpty ? "ok" : "warning")),
      ("cycleInterval", .number(shown.interval.inSeconds)),
      ("nextCycle", JSONValue(shown.nextCycle)),
      ("cycle", shown.cycle.map(ControlRendering.cycle) ?? .null),
      ("lists", .array(shown.lists.map(ControlRendering.list))),
      ("peers", .array(shown.peers.map(ControlRendering.peer))),
      ("images", ControlRendering.images(shown.images)),
      (
        "archive",
        archive.map {
          compact([
            ("aeTitle", .string($0.aeTitle)), ("port", JSONValue($0.port)),
            ("objects", JSONValue($0.objects)), ("bytes", JSONValue($0.bytes)),
            ("freeBytes", JSONValue($0.freeBytes)), ("conflicts", JSONValue($0.conflicts)),
            ("associations", JSONValue($0.associations)), ("refusing", .bool($0.isRefusing)),
          ])
        } ?? .null
      ),
      (
        "portal",
        compact([
          ("reachable", shown.portalReachable.map { .bool($0) } ?? .null),
          ("kind", .string(facts.portalKind)), ("flags", JSONValue(shown.flags)),
          ("conflicts", JSONValue(shown.conflicts)), ("reason", JSONValue(shown.portalReason)),
        ])
      ),
      ("drift", JSONValue(drift.count)), ("driftAlarms", JSONValue(drift.count { $0.isAlarm })),
      (
        "configuration",
        compact([
          ("file", JSONValue(configuration.file)), ("loadedAt", JSONValue(configuration.loadedAt)),
          ("reloadError", JSONValue(shown.reloadError)),
        ])
      ),
      ("alarms", .array(alarms.map(ControlRendering.alarm))),
    ])
  }

  private func drift() -> JSONObject {
    ["drift": .array(engine.snapshot.drift.map(ControlRendering.drift))]
  }

  private func plan(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let wanted = call.parameters["lists"]?.arrayValue?.compactMap(\.stringValue) ?? []
    let limit = call.parameters["limit"]?.intValue.map { Int($0) } ?? .max
    guard limit >= 0 else { throw .invalidParameter("limit", reason: "expected 0 or more") }
    let answer = Answer<PreviewAnswer>()
    engine.post(.preview(lists: wanted, answer))
    switch try waitPatiently(answer, call) {
    case .preview(let preview):
      let sources = facts.configuration().listSources
      var changes = preview.changes.prefix(limit)
      var reply = ControlRendering.preview(preview, sources)
      while true {
        let piece = changes.prefix(Self.changesAtOnce)
        changes = changes.dropFirst(Self.changesAtOnce)
        reply["changes"] = .array(piece.map(ControlRendering.change))
        if changes.isEmpty { return reply }
        guard call.replyContinues(reply) else { throw Self.error("Stopping", [:]) }
        reply = ControlRendering.emptyPlan
      }
    case .noSuchList(let name, let known):
      throw Self.error("NoSuchList", ["list": .string(name), "known": JSONValue(known)])
    case .stopping: throw Self.error("Stopping", [:])
    case .busy(let reason): throw Self.error("Busy", ["reason": .string(reason)])
    }
  }

  /// Waits for what the engine itself bounds, as long as there is somebody who waits for it.
  private func waitPatiently<T: Sendable>(
    _ answer: Answer<T>, _ call: VarlinkCall
  ) throws(VarlinkError) -> T {
    // For an engine that is gone.
    let end = Deadline.after(.seconds(86_400 + 600))
    while !end.isPast {
      if let given = answer.wait(until: .after(.seconds(1))) { return given }
      // Whatever is answered, nobody hears it.
      if call.isCancelled { throw Self.error("Stopping", [:]) }
    }
    throw Self.error("Busy", ["reason": "the engine does not answer"])
  }

  private func configuration() -> JSONObject {
    let facts = facts.configuration()
    var answer: JSONObject = [
      "toml": .string(facts.toml), "loadedAt": JSONValue(facts.loadedAt),
    ]
    if let file = facts.file { answer["file"] = .string(file) }
    return answer
  }

  private func list(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let limit = call.parameters["limit"]?.intValue ?? 200
    guard (1...1000).contains(limit) else {
      throw .invalidParameter("limit", reason: "expected 1 to 1000")
    }
    let filter = try Self.filter(call.parameters["filter"]?.objectValue)
    var after: ExaminationKey?
    if let cursor = call.parameters["cursor"]?.stringValue {
      // What we gave: system and number, parted by a character that neither has.
      let parts = cursor.split(separator: "\t", maxSplits: 1).map(String.init)
      guard parts.count == 2 else {
        throw .invalidParameter("cursor", reason: "not one of ours; begin again without it")
      }
      after = ExaminationKey(system: parts[0], number: parts[1])
    }
    let (entries, total) = try read { try $0.list(filter, limit: Int(limit), after: after) }
    let running = engine.snapshot.running
    let labels = facts.configuration().flagLabels
    var answer: JSONObject = [
      "examinations": .array(
        entries.map {
          ControlRendering.examination($0, running: running[$0.record.key], labels: labels)
        }), "total": JSONValue(total),
    ]
    if entries.count == Int(limit), let last = entries.last?.record.key {
      answer["next"] = .string("\(last.system)\t\(last.number)")
    }
    return answer
  }

  private static func filter(
    _ parameters: JSONObject?
  ) throws(VarlinkError) -> LedgerReader.Filter {
    var filter = LedgerReader.Filter()
    guard let parameters else { return filter }
    func strings(_ key: String) -> [String] {
      parameters[key]?.arrayValue?.compactMap(\.stringValue) ?? []
    }
    filter.lists = strings("lists")
    filter.systems = strings("systems")
    filter.flags = strings("flags")
    filter.statuses = strings("statuses")
    filter.images = strings("images")
    filter.numbers = strings("numbers")
    filter.text = parameters["text"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    filter.held = parameters["held"]?.boolValue
    filter.flagged = parameters["flagged"]?.boolValue
    for status in filter.statuses where ExaminationStatus(rawValue: status) == nil {
      throw .invalidParameter(
        "filter.statuses",
        reason: "'\(status)' is none of "
          + ExaminationStatus.allCases.map(\.rawValue).joined(separator: ", "))
    }
    for (key, path) in [
      ("changedSince", \LedgerReader.Filter.changedSince),
      ("changedUntil", \LedgerReader.Filter.changedUntil),
    ] {
      guard let text = parameters[key]?.stringValue else { continue }
      guard let time = WallTime(rfc3339: text) else {
        throw .invalidParameter("filter.\(key)", reason: "expected RFC 3339")
      }
      filter[keyPath: path] = time
    }
    return filter
  }

  private func find(_ call: VarlinkCall) throws(VarlinkError) -> LedgerReader.Entry {
    let number = call.parameters["number"]?.stringValue ?? ""
    let system = call.parameters["system"]?.stringValue
    let found = try read { try $0.examinations(number: number, system: system) }
    guard let entry = found.first else {
      throw Self.error("NoSuchExamination", ["number": .string(number)])
    }
    guard found.count == 1 else {
      throw Self.error(
        "AmbiguousExamination",
        ["number": .string(number), "systems": JSONValue(found.map(\.record.key.system))])
    }
    return entry
  }

  private func render(_ entry: LedgerReader.Entry) -> JSONValue {
    ControlRendering.examination(
      entry, running: engine.snapshot.running[entry.record.key],
      labels: facts.configuration().flagLabels)
  }

  private func show(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let entry = try find(call)
    let history = try read { try $0.history(of: entry.id) }
    return [
      "examination": render(entry),
      "history": .array(
        history.map {
          compact([
            ("time", JSONValue($0.time)), ("event", .string($0.event)),
            ("detail", .string($0.detail)),
          ])
        }),
    ]
  }

  // MARK: - Changing

  private func sync(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let lists = call.parameters["lists"]?.arrayValue?.compactMap(\.stringValue) ?? []
    try note(.sync, call, detail: lists.isEmpty ? "all" : lists.joined(separator: ","))
    let answer = Answer<SyncAnswer>()
    engine.post(.sync(lists: lists, answer))
    switch try wait(answer) {
    case .noSuchList(let list, let known):
      throw Self.error("NoSuchList", ["list": .string(list), "known": JSONValue(known)])
    case .stopping: throw Self.error("Stopping", [:])
    case .started(let number, let joined):
      audit("sync", call, ["lists": lists.isEmpty ? "all" : lists.joined(separator: ",")])
      var shown = engine.snapshot
      while call.wantsMore, (shown.finishedCycle?.number ?? 0) < number, !shown.isStopping {
        guard call.replyContinues(progress(shown, number, joined, isDone: false)) else { break }
        let seen = shown.version
        while shown.version == seen, !call.isCancelled {
          shown = engine.snapshot(after: seen, until: .after(.seconds(1))) ?? shown
        }
        if call.isCancelled { break }
      }
      return progress(engine.snapshot, number, joined, isDone: true)
    }
  }

  private func progress(
    _ shown: EngineSnapshot, _ number: Int, _ joined: Bool, isDone: Bool
  ) -> JSONObject {
    var record = CycleRecord(number: number, trigger: .manual, startedAt: .now)
    if let current = shown.cycle, current.number == number { record = current }
    // A later cycle may have ended as well by the time anybody looks.
    if let finished = shown.finishedCycle, finished.number >= number {
      record = finished
    }
    return [
      "cycle": ControlRendering.cycle(record), "joined": .bool(joined),
      "lists": .array(shown.lists.map(ControlRendering.list)),
      "images": ControlRendering.images(shown.images),
      "imagesArchived": JSONValue(
        shown.images.archived), "imagesExpected": JSONValue(shown.images.expected),
    ]
  }

  private func approve(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let list = call.parameters["list"]?.stringValue ?? ""
    let seen = call.parameters["count"]?.intValue.map(Int.init)
    try note(.approve, call, detail: list)
    let answer = Answer<ApproveAnswer>()
    engine.post(.approve(list: list, seen: seen, answer))
    switch try wait(answer) {
    case .approved(let count):
      audit("approve", call, ["list": list, "count": String(count)])
      return ["approved": JSONValue(count)]
    case .nothingHeld: throw Self.error("NothingToApprove", ["list": .string(list)])
    case .noSuchList(let known):
      throw Self.error("NoSuchList", ["list": .string(list), "known": JSONValue(known)])
    case .moreThanSeen(let held):
      throw Self.error("MoreThanSeen", ["list": .string(list), "held": JSONValue(held)])
    }
  }

  private func retry(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let entry = try find(call)
    try note(.retry, call, examination: entry.record.key)
    let answer = Answer<Bool>()
    engine.post(.retry(entry.record.key, answer))
    guard try wait(answer) else {
      throw Self.error("NoSuchExamination", ["number": .string(entry.record.key.number)])
    }
    audit("retry", call, ["examination": entry.record.key.description])
    return ["examination": render(entry)]
  }

  private func reload(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    try note(.reload, call)
    audit("reload", call, [:])
    switch facts.reload() {
    case .applied(let applied, let needsRestart):
      return ["applied": JSONValue(applied), "needsRestart": JSONValue(needsRestart)]
    case .invalid(let errors):
      throw Self.error("InvalidConfiguration", ["errors": JSONValue(errors)])
    }
  }

  // MARK: - Helpers

  private static func error(_ name: String, _ parameters: JSONObject) -> VarlinkError {
    VarlinkError("\(SyncInterface.name).\(name)", parameters)
  }

  private func wait<T: Sendable>(_ answer: Answer<T>) throws(VarlinkError) -> T {
    guard let given = answer.wait(until: .after(Self.engineDeadline)) else {
      throw Self.error(
        "Busy",
        ["reason": "the engine has not answered within \(Int(Self.engineDeadline.inSeconds)) s"])
    }
    return given
  }

  private func read<T>(_ body: (LedgerReader) throws -> T) throws(VarlinkError) -> T {
    do {
      let reader =
        try readers.withLock { $0.idle.popLast() } ?? LedgerReader(path: facts.ledgerPath)
      defer { readers.withLock { if $0.idle.count < 4 { $0.idle.append(reader) } } }
      return try body(reader)
    } catch {
      throw Self.error("Busy", ["reason": .string("the ledger cannot be read: \(error)")])
    }
  }

  /// Into the access log, before it is done.
  private func note(
    _ action: AccessLog.Entry.Action, _ call: VarlinkCall, examination: ExaminationKey? = nil,
    detail: String? = nil
  ) throws(VarlinkError) {
    guard let access else { return }
    var entry = AccessLog.Entry(
      action, actor: "uid:\(call.peer.uid) \(call.peer.userName)",
      onBehalfOf: call.parameters["onBehalfOf"]?.stringValue, order: nil, detail: detail)
    entry.examination = examination
    do throws(AccessLogError) {
      try access.append([entry], now: .now)
    } catch {
      throw Self.error(
        "Busy", ["reason": .string("the access log cannot be written: \(error)")])
    }
  }

  /// Who has changed what, for the operational log.
  private func audit(_ action: String, _ call: VarlinkCall, _ fields: [String: String]) {
    var fields = fields
    fields["action"] = action
    fields["user"] = call.peer.userName
    fields["uid"] = String(call.peer.uid)
    if let other = call.parameters["onBehalfOf"]?.stringValue { fields["on_behalf_of"] = other }
    log.notice("asked by an operator", fields)
  }
}
