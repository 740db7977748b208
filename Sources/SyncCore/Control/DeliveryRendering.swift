import JSON
import Platform

// The types of the delivery interface as JSON.
enum DeliveryRendering {
  /// What the colours say: orange in progress, green only if all of it is done, red if anything
  /// has failed.
  static func light(done: Int, total: Int, failed: Bool) -> String {
    if failed { return "red" }
    if total == 0 { return "none" }
    return done == total ? "green" : "orange"
  }

  struct Context {
    /// The path of a recipient's labels.
    var label: (String) -> String?
    /// What stored times of next attempts are ahead of the clock.
    var clockOffset: Duration
    var archiveTitle: String
    /// The AE title of a destination.
    var aeTitle: (String) -> String?
    var activity: (AssignmentRecord, JobRecord) -> String?
    var unit: (AssignmentRecord, JobRecord) -> String
  }

  static func assignment(_ record: AssignmentRecord, _ context: Context) -> JSONValue {
    let order = record.order
    let facts = order.examination
    let machine = record.machine
    let transfers = record.jobs.filter { $0.step.isTransfer && $0.state != .stopped }
    let messages = record.jobs.filter { !$0.step.isTransfer && $0.state != .stopped }
    let objects = transfers.reduce(into: (0, 0)) { sums, job in
      sums.0 += job.done
      sums.1 += job.total
    }
    let transferFailed = transfers.contains { $0.state == .failed }
    let allTransferred = transfers.allSatisfy { $0.state == .done }
    let messagesDone = messages.count { $0.state == .done }
    let worst =
      record.jobs.first { $0.state == .failed }
      ?? record.jobs.first { $0.reason != nil && $0.state != .done && $0.state != .stopped }
    let next = record.jobs.filter { $0.state == .waiting }.compactMap(\.nextAttempt).min()
    // As long as a transfer has not been compared, its number of objects is not known.
    let dicom =
      transferFailed
      ? "red"
      : transfers.isEmpty ? "none" : allTransferred && objects.0 >= objects.1 ? "green" : "orange"
    return compact([
      ("id", .string(record.name)), ("kind", .string(order.kind.rawValue)),
      ("system", .string(facts.key.system)), ("number", .string(facts.key.number)),
      ("referral", JSONValue(facts.referral)), ("studyUid", JSONValue(facts.studyUID)),
      ("list", JSONValue(facts.list)), ("flag", JSONValue(record.flag)),
      ("careUnit", JSONValue(facts.careUnit)), ("modality", JSONValue(facts.modality)),
      ("description", JSONValue(facts.description)), ("recipient", .string(order.recipient)),
      ("recipientLabel", .string(context.label(order.recipient) ?? order.recipient)),
      ("destination", .string(order.destination)), ("review", .string(order.review.rawValue)),
      ("priority", .string(order.priority.name)), ("phase", .string(machine.phase.rawValue)),
      ("answer", .string(machine.answer.rawValue)), ("held", .bool(machine.isHeld)),
      ("dicom", .string(dicom)), ("dicomDone", JSONValue(objects.0)),
      ("dicomTotal", JSONValue(objects.1)),
      (
        "hl7",
        .string(
          light(
            done: messagesDone, total: messages.count,
            failed: messages.contains { $0.state == .failed }))
      ), ("hl7Done", JSONValue(messagesDone)), ("hl7Total", JSONValue(messages.count)),
      ("tick", .bool(machine.phase == .answered || machine.phase == .cancelled)),
      ("ended", .bool(machine.hasEnded)), ("failed", .bool(machine.hasFailed)),
      ("reason", worst.map(reason) ?? .null), ("previouslySent", .bool(order.previouslySent)),
      ("forced", JSONValue(order.forced)), ("supplementable", JSONValue(record.supplementable)),
      ("orderedAt", JSONValue(record.orderedAt)), ("orderedBy", .string(order.orderedBy)),
      ("changed", JSONValue(record.changed)), ("endedAt", JSONValue(record.endedAt)),
      ("nextAttempt", JSONValue(next.map { $0 - context.clockOffset })),
    ])
  }

  private static func reason(_ job: JobRecord) -> JSONValue {
    compact([
      ("code", .string(job.step.messageKind ?? "transfer")),
      ("text", .string(job.reason ?? "failed")), ("owner", .string(job.owner ?? Owner.us)),
    ])
  }

  static func state(_ state: JobState) -> String {
    switch state {
    case .ready, .waiting, .held: "waiting"
    case .running, .done, .failed, .stopped: state.rawValue
    }
  }

  static func transfer(
    _ job: JobRecord, _ record: AssignmentRecord, _ context: Context
  ) -> JSONValue {
    compact([
      ("id", .string(String(job.id))), ("number", .string(job.number)),
      ("prior", .bool(job.step != .transfer)), ("studyUid", JSONValue(job.studyUID)),
      ("from", .string(context.archiveTitle)),
      ("to", .string(context.aeTitle(record.order.destination) ?? record.order.destination)),
      ("state", .string(state(job.state))), ("total", JSONValue(job.total)),
      ("done", JSONValue(job.done)), ("refused", JSONValue(job.refused)),
      ("attempts", JSONValue(job.attempts)), ("created", JSONValue(job.created)),
      ("changed", JSONValue(job.changed)),
      ("nextAttempt", JSONValue(next(job, context))), ("reason", JSONValue(job.reason)),
    ])
  }

  static func message(
    _ job: JobRecord, _ record: AssignmentRecord, _ context: Context
  ) -> JSONValue {
    compact([
      ("id", .string(String(job.id))), ("kind", .string(job.step.messageKind ?? "")),
      ("direction", .string(job.step.goesToOrigin ? "ORIGIN" : "DESTINATION")),
      ("state", .string(state(job.state))), ("flag", JSONValue(job.flag)),
      ("result", JSONValue(job.result)), ("unit", .string(context.unit(record, job))),
      ("interface", .string(job.endpoint.name)),
      ("priority", .string(record.order.priority.name)),
      ("activityType", JSONValue(context.activity(record, job))),
      ("controlId", JSONValue(job.controlID)), ("number", .string(job.number)),
      ("attempts", JSONValue(job.attempts)), ("created", JSONValue(job.created)),
      ("changed", JSONValue(job.changed)), ("nextAttempt", JSONValue(next(job, context))),
      ("reason", JSONValue(job.reason)),
    ])
  }

  private static func next(_ job: JobRecord, _ context: Context) -> WallTime? {
    job.state == .waiting ? job.nextAttempt.map { $0 - context.clockOffset } : nil
  }

  static func difference(_ object: ObjectRecord, number: String) -> JSONValue {
    compact([
      ("number", .string(number)), ("sopInstanceUid", .string(object.uid)),
      ("source", .bool(object.places.contains(.source))),
      ("archive", .bool(object.places.contains(.archive))),
      ("sent", .bool(object.places.contains(.sent))),
      ("explanation", .string(object.explanation ?? "")),
    ])
  }

  static func destination(_ shown: DispatchSnapshot.Destination) -> JSONValue {
    compact([
      ("name", .string(shown.outlet.name)), ("kind", .string(shown.outlet.kind.rawValue)),
      ("address", .string(shown.address)),
      ("reachable", shown.isReachable.map { .bool($0) } ?? .null),
      ("paused", .bool(shown.pause != nil)), ("pausedBy", JSONValue(shown.pause?.by)),
      ("pausedAt", JSONValue(shown.pause?.at)), ("window", JSONValue(shown.window?.description)),
      ("windowOpen", .bool(shown.isWindowOpen)), ("budget", JSONValue(shown.budget)),
      ("running", JSONValue(shown.running)), ("ready", JSONValue(shown.ready)),
      ("waiting", JSONValue(shown.waiting)), ("failed", JSONValue(shown.failed)),
      ("retry", .string(shown.retry.description)), ("nextAttempt", JSONValue(shown.nextAttempt)),
      ("reason", JSONValue(shown.reason)),
    ])
  }

  static func totals(_ shown: DispatchSnapshot) -> JSONValue {
    compact([
      ("active", JSONValue(shown.active)), ("failed", JSONValue(shown.failed)),
      ("sent", JSONValue(shown.phases[.sent] ?? 0)),
      ("answered", JSONValue(shown.phases[.answered] ?? 0)),
      ("cancelled", JSONValue(shown.phases[.cancelled] ?? 0)), ("held", JSONValue(shown.held)),
      ("waitingTransfers", JSONValue(shown.waitingTransfers)),
      ("waitingMessages", JSONValue(shown.waitingMessages)), ("aside", JSONValue(shown.aside)),
    ])
  }

  /// A trouble report (felanmälan), to be pasted as it is: who can mend it, what was tried, when.
  static func report(
    _ record: AssignmentRecord, _ history: [DeliveryReader.HistoryEntry], _ context: Context
  ) -> String {
    let order = record.order
    var lines = [
      "Felanmälan / trouble report, \(record.name), syncd \(Version.text)",
      "Examination (US-nummer): \(order.examination.key.number), \(order.examination.key.system)",
      "Recipient: \(context.label(order.recipient) ?? order.recipient)",
      "Ordered: \(record.orderedAt.local) by \(order.orderedBy), priority \(order.priority.name)",
      "State: \(record.machine.phase.rawValue)",
    ]
    for job in record.jobs where job.state == .failed || job.reason != nil {
      let what = job.step.messageKind ?? "DICOM transfer"
      lines.append("")
      lines.append(
        "\(job.state == .failed ? "FAILED" : "Not done"): \(what) #\(job.id) to "
          + "\(job.endpoint.name)")
      lines.append("  Why: \(Scrubber.scrub(job.reason ?? "-"))")
      lines.append("  Who can mend it: \(job.owner ?? Owner.us)")
      lines.append(
        "  Attempts: \(job.attempts), the latest \(job.changed.local)"
          + (job.controlID.map { ", message control id \($0)" } ?? ""))
      if let uid = job.studyUID, job.step.isTransfer {
        lines.append(
          "  Study UID: \(uid), \(job.done) of \(job.total) objects, "
            + "\(job.refused) refused")
      }
    }
    lines.append("")
    lines.append("Steps:")
    for entry in history.suffix(40) {
      lines.append("  \(entry.time.local)  \(entry.event): \(Scrubber.scrub(entry.detail))")
    }
    return lines.joined(separator: "\n") + "\n"
  }
}
