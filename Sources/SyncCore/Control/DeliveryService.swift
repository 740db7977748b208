import JSON
import Platform
import Synchronization
import Varlink

/// What the delivery interface needs of the daemon around the dispatcher.
public struct DeliveryFacts: Sendable {
  public var deliveryPath: String
  public var configuration: @Sendable () -> Configuration
  public var archiveTitle: String

  public init(
    deliveryPath: String, archiveTitle: String,
    configuration: @escaping @Sendable () -> Configuration
  ) {
    self.deliveryPath = deliveryPath
    self.archiveTitle = archiveTitle
    self.configuration = configuration
  }
}

/// Serves `se.vgregion.samverkan.Delivery`: answers from the dispatcher's snapshot or from a
/// reading connection to the delivery ledger; asks the dispatcher only to change something, with a
/// deadline, and writes it into the access log first.
public final class DeliveryService: Sendable {
  private let dispatcher: EventLoop<Dispatcher>
  private let desk: OrderDesk
  private let access: AccessLog
  private let facts: DeliveryFacts
  /// @unchecked: used inside the mutex only.
  private struct Readers: ~Copyable, @unchecked Sendable {
    var idle: [DeliveryReader] = []
  }
  private let readers = Mutex(Readers())
  private static let deadline: Duration = .seconds(10)
  private static let most = 100_000

  public init(
    dispatcher: EventLoop<Dispatcher>, desk: OrderDesk, access: AccessLog, facts: DeliveryFacts
  ) {
    self.dispatcher = dispatcher
    self.desk = desk
    self.access = access
    self.facts = facts
  }

  /// What a person must look at.
  var alarms: [EngineSnapshot.Alarm] { dispatcher.snapshot.alarms }

  public func interface() throws -> VarlinkInterface {
    typealias Method = VarlinkInterface.Method
    func action(_ action: AssignmentAction) -> Method {
      Method { call throws(VarlinkError) in try self.act(action, call) }
    }
    return try VarlinkInterface(
      DeliveryInterface.description,
      methods: [
        "GetTotals": Method { _ in
          ["totals": DeliveryRendering.totals(self.dispatcher.snapshot)]
        },
        "Send": Method { call throws(VarlinkError) in try self.send(call) },
        "ListAssignments": Method { call throws(VarlinkError) in try self.list(call) },
        "GetAssignment": Method { call throws(VarlinkError) in try self.show(call) },
        "Resend": action(.resend), "Supplement": action(.supplement), "Cancel": action(.cancel),
        "Hold": action(.hold), "Release": action(.release),
        "ListDestinations": Method { _ in
          [
            "destinations": .array(
              self.dispatcher.snapshot.destinations.map(DeliveryRendering.destination))
          ]
        },
        "PauseDestination": Method { call throws(VarlinkError) in try self.pause(call, true) },
        "ResumeDestination": Method { call throws(VarlinkError) in try self.pause(call, false) },
        "ExplainRetry": Method { call throws(VarlinkError) in try self.explain(call) },
        "ListRecipients": Method { _ in self.recipients() },
        "GetReport": Method { call throws(VarlinkError) in try self.report(call) },
        "ListAside": Method { call throws(VarlinkError) in try self.aside(call) },
      ])
  }

  // MARK: - Reading

  private func context() -> DeliveryRendering.Context {
    let configuration = facts.configuration()
    return DeliveryRendering.Context(
      label: { configuration.resolvedRecipient($0)?.label },
      clockOffset: dispatcher.snapshot.clockOffset, archiveTitle: facts.archiveTitle,
      aeTitle: { name in
        configuration.destinations.first { $0.name == name && $0.peer == nil }?.aeTitle
      },
      activity: { record, job in
        guard
          let interface = configuration.hl7Interfaces.first(where: {
            $0.name == job.endpoint.name
          }), record.order.kind == .review
        else { return nil }
        return record.order.review == .primary
          ? interface.primaryActivity : interface.secondReadingActivity
      },
      unit: { record, job in
        if job.step.goesToOrigin { return record.order.examination.key.system }
        return configuration.resolvedRecipient(record.order.recipient)?.hsaID
          ?? record.order.recipient
      })
  }

  private func list(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let limit = Int(call.parameters["limit"]?.intValue ?? 200)
    guard (1...1000).contains(limit) else {
      throw .invalidParameter("limit", reason: "expected 1 to 1000")
    }
    let filter = try Self.filter(call.parameters["filter"]?.objectValue)
    var before: Int64?
    if let cursor = call.parameters["cursor"]?.stringValue {
      guard let id = Int64(cursor) else {
        throw .invalidParameter("cursor", reason: "not one of ours; begin again without it")
      }
      before = id
    }
    let (found, total) = try read { try $0.list(filter, limit: limit, before: before) }
    let context = self.context()
    var answer: JSONObject = [
      "assignments": .array(found.map { DeliveryRendering.assignment($0, context) }),
      "total": JSONValue(total),
    ]
    if found.count == limit, let last = found.last { answer["next"] = .string(String(last.id)) }
    return answer
  }

  private static func filter(
    _ parameters: JSONObject?
  ) throws(VarlinkError) -> DeliveryReader.Filter {
    var filter = DeliveryReader.Filter()
    guard let parameters else { return filter }
    func strings(_ key: String) -> [String] {
      parameters[key]?.arrayValue?.compactMap(\.stringValue) ?? []
    }
    if let state = parameters["state"]?.stringValue {
      filter.state = DeliveryReader.Filter.State(rawValue: state) ?? .all
    }
    filter.recipients = strings("recipients")
    filter.systems = strings("systems")
    filter.numbers = strings("numbers")
    filter.phases = strings("phases")
    filter.flags = strings("flags")
    for word in strings("priorities") {
      guard let priority = Priority.allCases.first(where: { $0.name == word }) else {
        throw .invalidParameter(
          "filter.priorities", reason: "'\(word)' is none of routine, urgent, stat")
      }
      filter.priorities.append(priority.rawValue)
    }
    filter.text = parameters["text"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    filter.held = parameters["held"]?.boolValue
    for (key, path) in [
      ("orderedSince", \DeliveryReader.Filter.orderedSince),
      ("orderedUntil", \DeliveryReader.Filter.orderedUntil),
    ] {
      guard let text = parameters[key]?.stringValue else { continue }
      guard let time = WallTime(rfc3339: text) else {
        throw .invalidParameter("filter.\(key)", reason: "expected RFC 3339")
      }
      filter[keyPath: path] = time
    }
    return filter
  }

  private func find(_ call: VarlinkCall) throws(VarlinkError) -> AssignmentRecord {
    let name = call.parameters["id"]?.stringValue ?? ""
    guard let id = AssignmentRecord.id(name), let found = try read({ try $0.assignment(id) })
    else { throw Self.error("NoSuchAssignment", ["id": .string(name)]) }
    return found
  }

  private func show(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let record = try find(call)
    let context = self.context()
    var differences: [JSONValue] = []
    var total = 0
    for job in record.jobs where job.step.isTransfer {
      let found = try read { try $0.differences(ofJob: job.id, limit: 200) }
      differences += found.objects.map {
        DeliveryRendering.difference($0, number: job.number)
      }
      total += found.total
    }
    let history = try read { try $0.history(of: record.id, limit: 200) }
    return [
      "assignment": DeliveryRendering.assignment(record, context),
      "transfers": .array(
        record.jobs.filter(\.step.isTransfer).map {
          DeliveryRendering.transfer($0, record, context)
        }),
      "messages": .array(
        record.jobs.filter { !$0.step.isTransfer }.map {
          DeliveryRendering.message($0, record, context)
        }),
      "differences": .array(Array(differences.prefix(200))),
      "differencesTotal": JSONValue(total),
      "history": .array(
        history.map {
          compact([
            ("time", JSONValue($0.time)), ("event", .string($0.event)),
            ("detail", .string($0.detail)),
          ])
        }),
    ]
  }

  private func report(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let record = try find(call)
    let history = try read { try $0.history(of: record.id, limit: 200) }
    return ["text": .string(DeliveryRendering.report(record, history, context()))]
  }

  private func aside(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let limit = Int(call.parameters["limit"]?.intValue ?? 200)
    guard (1...1000).contains(limit) else {
      throw .invalidParameter("limit", reason: "expected 1 to 1000")
    }
    let (messages, total) = try read { try $0.aside(limit: limit) }
    return [
      "messages": .array(
        messages.map {
          compact([
            ("id", .string(String($0.id))), ("received", JSONValue($0.received)),
            ("from", .string($0.sender)), ("controlId", .string($0.controlID)),
            ("type", .string($0.type)), ("reason", .string($0.reason)),
          ])
        }), "total": JSONValue(total),
    ]
  }

  private func recipients() -> JSONObject {
    let configuration = facts.configuration()
    return [
      "recipients": .array(
        configuration.recipients.map { recipient in
          let resolved = configuration.resolvedRecipient(recipient.id)
          return compact([
            ("id", .string(recipient.id)), ("label", .string(recipient.label)),
            ("parent", JSONValue(recipient.parent)),
            ("destination", JSONValue(resolved?.destination)),
            (
              "kinds",
              JSONValue((resolved?.kinds ?? AssignmentKind.allCases).map(\.rawValue))
            ), ("systems", JSONValue(resolved?.systems ?? [])),
          ])
        })
    ]
  }

  private func destination(
    _ name: String
  ) throws(VarlinkError) -> DispatchSnapshot.Destination {
    let all = dispatcher.snapshot.destinations
    // By name; where a DICOM node and an HL7 interface share one, by `dicom:NAME`.
    let found = all.filter { $0.outlet.name == name || $0.outlet.description == name }
    guard found.count == 1, let one = found.first else {
      let known = all.map {
        found.count > 1 || all.count(where: { $0.outlet.name == $0.outlet.name }) > 1
          ? $0.outlet.description : $0.outlet.name
      }
      throw Self.error(
        "NoSuchDestination", ["name": .string(name), "known": JSONValue(known)])
    }
    return one
  }

  private func explain(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let shown = try destination(call.parameters["name"]?.stringValue ?? "")
    let ladder = shown.retry
    var attempts: [JSONValue] = [
      compact([("number", JSONValue(1)), ("after", .string("0s")), ("at", .number(0))])
    ]
    var at = Duration.zero
    var number = 1
    while let pause = ladder.pause(after: number), number < 100 {
      at += pause
      number += 1
      attempts.append(
        compact([
          ("number", JSONValue(number)), ("after", .string(DurationText.format(pause))),
          ("at", .number(at.inSeconds)),
        ]))
    }
    let watchdog = DurationText.format(dispatcher.snapshot.watchdog)
    let isMessage = shown.outlet.kind == .hl7
    var text = [
      "\(ladder.attempts) attempts over \(DurationText.format(ladder.total)), then it has failed "
        + "and is on `syncctl failed`.",
      "What has not moved for \(watchdog) has failed as well (the watchdog).",
      "While the destination does not answer, one job tries it now and then; each try that it "
        + "misses counts for all that wait.",
      "A pause (`syncctl dest pause`) or a hold uses up nothing.",
    ]
    if isMessage {
      text.append(
        "Answered AE or AR with a permanent error (100-103, 200-203), it fails at once. Without an "
          + "answer the very same message is repeated, with the same control id.")
    } else {
      text.append(
        "An object that the recipient refuses for good fails the transfer at once; what was "
          + "acknowledged is not sent again.")
    }
    return [
      "ladder": .string(ladder.description), "attempts": .array(attempts),
      "watchdog": .string(watchdog), "text": JSONValue(text),
    ]
  }

  // MARK: - Changing

  private func by(_ call: VarlinkCall) -> (actor: String, other: String?) {
    (
      "uid:\(call.peer.uid) \(call.peer.userName)",
      call.parameters["onBehalfOf"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    )
  }

  private func send(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let parameters = call.parameters
    func references(_ key: String) -> [JSONValue] { parameters[key]?.arrayValue ?? [] }
    let examinations = references("examinations").map {
      (number: $0["number"]?.stringValue ?? "", system: $0["system"]?.stringValue)
    }
    guard !examinations.isEmpty else { throw Self.error("NothingSelected", [:]) }
    guard examinations.count <= 1000 else {
      throw .invalidParameter("examinations", reason: "at most 1000 at a time")
    }
    let (actor, other) = by(call)
    let recipient = parameters["recipient"]?.stringValue ?? ""
    var wish = OrderDesk.Wish(
      examinations: examinations, recipient: recipient,
      by: call.peer.userName + (other.map { " for \($0)" } ?? ""))
    wish.kind = try Self.word(parameters, "kind", .review)
    wish.review = try Self.word(parameters, "review", .primary)
    if let word = parameters["priority"]?.stringValue {
      guard let priority = Priority.allCases.first(where: { $0.name == word }) else {
        throw .invalidParameter("priority", reason: "expected routine, urgent or stat")
      }
      wish.priority = priority
    }
    wish.message = parameters["message"]?.stringValue.flatMap { $0.isEmpty ? nil : $0 }
    wish.priors = references("priors").map {
      (
        number: $0["number"]?.stringValue ?? "", system: $0["system"]?.stringValue,
        report: $0["report"]?.stringValue
      )
    }
    wish.force = parameters["force"]?.stringValue
    if wish.force?.isEmpty == true {
      throw .invalidParameter("force", reason: "a reason is needed: it is recorded")
    }
    wish.recipientNotified = parameters["recipientNotified"]?.boolValue ?? false
    wish.isDryRun = parameters["dryRun"]?.boolValue ?? false
    let results: [OrderDesk.Result]
    do throws(OrderDesk.Failure) {
      results = try desk.take(wish) { (orders) throws(OrderDesk.Failure) in
        try self.record(
          orders.map { order in
            AccessLog.Entry(
              .order, actor: actor, onBehalfOf: other, order: order, result: "asked",
              detail: order.forced.map { "forced: \($0)" })
          })
      }
    } catch {
      switch error {
      case .noSuchRecipient:
        throw Self.error(
          "NoSuchRecipient",
          [
            "recipient": .string(recipient),
            "known": JSONValue(facts.configuration().recipients.map(\.id)),
          ])
      case .busy(let reason) where reason.hasPrefix(Self.accessPrefix):
        throw Self.error("AccessLogFailed", ["reason": .string(reason)])
      case .busy(let reason): throw Self.error("Busy", ["reason": .string(reason)])
      }
    }
    return [
      "results": .array(
        results.map { result in
          compact([
            ("number", .string(result.number)), ("system", JSONValue(result.system)),
            ("accepted", .bool(result.isAccepted)),
            ("id", JSONValue(result.id.map(AssignmentRecord.name))),
            (
              "refusals",
              .array(
                result.refusals.map {
                  compact([
                    ("rule", .string($0.rule.rawValue)), ("text", .string($0.text)),
                    ("remedy", .string($0.remedy)), ("canForce", .bool($0.canForce)),
                  ])
                })
            ), ("warnings", JSONValue(result.warnings)),
          ])
        })
    ]
  }

  private static let accessPrefix = "the access log"

  private func record(_ entries: [AccessLog.Entry]) throws(OrderDesk.Failure) {
    do throws(AccessLogError) {
      try access.append(entries, now: .now)
    } catch {
      throw .busy("\(Self.accessPrefix) cannot be written: \(error)")
    }
  }

  private static func word<T: RawRepresentable & CaseIterable>(
    _ parameters: JSONObject, _ key: String, _ fallback: T
  ) throws(VarlinkError) -> T where T.RawValue == String {
    guard let word = parameters[key]?.stringValue else { return fallback }
    guard let value = T(rawValue: word) else {
      throw .invalidParameter(
        key, reason: "expected one of \(T.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    return value
  }

  /// The assignments that a selection names.
  private func select(
    _ call: VarlinkCall, _ action: AssignmentAction
  ) throws(VarlinkError) -> [Int64] {
    let selection = call.parameters["selection"]?.objectValue
    if selection?["all"]?.boolValue == true {
      let filter = try Self.filter(selection?["filter"]?.objectValue)
      return try read { try $0.ids(filter, limit: Self.most) }
    }
    var ids: [Int64] = []
    let names = selection?["ids"]?.arrayValue?.compactMap(\.stringValue) ?? []
    guard !names.isEmpty else { throw Self.error("NothingSelected", [:]) }
    for name in names {
      guard let id = AssignmentRecord.id(name), try read({ try $0.assignment(id) }) != nil else {
        throw Self.error("NoSuchAssignment", ["id": .string(name)])
      }
      if !ids.contains(id) { ids.append(id) }
    }
    return ids
  }

  private func act(
    _ action: AssignmentAction, _ call: VarlinkCall
  ) throws(VarlinkError) -> JSONObject {
    let ids = try select(call, action)
    let isDryRun = call.parameters["dryRun"]?.boolValue ?? false
    let (actor, other) = by(call)
    var results: [ActionResult] = []
    // In parts: none keeps the dispatcher from everything else for long.
    var rest = ids[...]
    while !rest.isEmpty {
      let part = Array(rest.prefix(200))
      rest = rest.dropFirst(part.count)
      if !isDryRun {
        let records = try read { reader in try part.compactMap { try reader.assignment($0) } }
        do throws(AccessLogError) {
          try access.append(
            records.map {
              AccessLog.Entry(
                AccessLog.Entry.Action(action), actor: actor, onBehalfOf: other,
                order: $0.order, assignment: $0.name, result: "asked")
            }, now: .now)
        } catch {
          throw Self.error("AccessLogFailed", ["reason": .string(error.description)])
        }
      }
      let answer = Answer<[ActionResult]>()
      dispatcher.post(
        .act(
          action, part, by: call.peer.userName + (other.map { " for \($0)" } ?? ""),
          isDryRun: isDryRun, answer))
      results += try wait(answer)
    }
    return [
      "results": .array(
        results.map {
          compact([
            ("id", .string(AssignmentRecord.name($0.id))), ("number", .string($0.number)),
            ("done", .bool($0.isDone)), ("text", .string($0.text)),
          ])
        })
    ]
  }

  private func pause(_ call: VarlinkCall, _ isPaused: Bool) throws(VarlinkError) -> JSONObject {
    let shown = try destination(call.parameters["name"]?.stringValue ?? "")
    let (actor, other) = by(call)
    do throws(AccessLogError) {
      try access.append(
        [
          AccessLog.Entry(
            isPaused ? .pause : .resume, actor: actor, onBehalfOf: other, order: nil,
            result: "asked", detail: shown.outlet.description)
        ], now: .now)
    } catch {
      throw Self.error("AccessLogFailed", ["reason": .string(error.description)])
    }
    let before = dispatcher.snapshot.version
    let answer = Answer<PauseAnswer>()
    dispatcher.post(
      .pause(
        shown.outlet,
        by: isPaused ? call.peer.userName + (other.map { " for \($0)" } ?? "") : nil, answer))
    switch try wait(answer) {
    case .done: break
    case .noSuchOutlet:
      throw Self.error(
        "NoSuchDestination",
        ["name": .string(shown.outlet.name), "known": JSONValue([String]())])
    case .failed(let reason): throw Self.error("Busy", ["reason": .string(reason)])
    }
    // What is answered is what the dispatcher shows from now on.
    _ = dispatcher.snapshot(after: before, until: .after(.seconds(2)))
    return [
      "destination": DeliveryRendering.destination(try destination(shown.outlet.description))
    ]
  }

  // MARK: - Helpers

  private static func error(_ name: String, _ parameters: JSONObject) -> VarlinkError {
    VarlinkError("\(DeliveryInterface.name).\(name)", parameters)
  }

  private func wait<T: Sendable>(_ answer: Answer<T>) throws(VarlinkError) -> T {
    guard let given = answer.wait(until: .after(Self.deadline)) else {
      throw Self.error(
        "Busy",
        ["reason": "the dispatcher has not answered within \(Int(Self.deadline.inSeconds)) s"])
    }
    return given
  }

  private func read<T>(_ body: (DeliveryReader) throws -> T) throws(VarlinkError) -> T {
    do {
      let reader =
        try readers.withLock { $0.idle.popLast() } ?? DeliveryReader(path: facts.deliveryPath)
      defer { readers.withLock { if $0.idle.count < 4 { $0.idle.append(reader) } } }
      return try body(reader)
    } catch {
      throw Self.error("Busy", ["reason": .string("the delivery ledger cannot be read: \(error)")])
    }
  }
}
