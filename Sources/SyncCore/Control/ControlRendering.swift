import JSON
import Platform

// The types of the control interface as JSON.

extension JSONValue {
  init(_ time: WallTime?) { self = time.map { .string($0.description) } ?? .null }
}

/// Leaves out what is null: absent and null mean the same in Varlink.
func compact(_ entries: [(String, JSONValue)]) -> JSONValue {
  JSONValue.object(
    JSONObject(entries.filter { !$0.1.isNull }.map { (key: $0.0, value: $0.1) }) ?? [:])
}

enum ControlRendering {
  static func cycle(_ cycle: CycleRecord) -> JSONValue {
    compact([
      ("number", .string(String(cycle.number))), ("trigger", .string(cycle.trigger.rawValue)),
      ("running", .bool(cycle.isRunning)), ("startedAt", JSONValue(cycle.startedAt)),
      ("finishedAt", JSONValue(cycle.finishedAt)), ("listsRead", JSONValue(cycle.listsRead)),
      ("listsFailed", JSONValue(cycle.listsFailed)), ("listsTotal", JSONValue(cycle.listsTotal)),
      ("flagsSet", JSONValue(cycle.flagsSet)), ("flagsCleared", JSONValue(cycle.flagsCleared)),
      ("flagsFailed", JSONValue(cycle.flagsFailed)),
      ("flagsPending", JSONValue(cycle.flagsPending)),
    ])
  }

  static func list(_ list: EngineSnapshot.List) -> JSONValue {
    compact([
      ("id", .string(list.id)), ("system", .string(list.system)), ("flag", .string(list.flag)),
      ("freshness", .string(list.freshness.rawValue)),
      ("missedCycles", JSONValue(list.missedCycles)), ("lastRead", JSONValue(list.lastRead)),
      ("snapshotAsOf", JSONValue(list.snapshotAsOf)), ("rows", JSONValue(list.rows)),
      ("refusedRows", JSONValue(list.refusedRows)), ("owned", JSONValue(list.owned)),
      ("absent", JSONValue(list.absent)), ("brakeHeld", JSONValue(list.held)),
      ("reason", JSONValue(list.reason)),
    ])
  }

  static func peer(_ peer: EngineSnapshot.Peer) -> JSONValue {
    compact([
      ("name", .string(peer.name)), ("reachable", peer.reachable.map { .bool($0) } ?? .null),
      ("running", JSONValue(peer.running)), ("queued", JSONValue(peer.queued)),
      ("budget", JSONValue(peer.budget)), ("nextAttempt", JSONValue(peer.nextAttempt)),
      ("reason", JSONValue(peer.reason)),
    ])
  }

  static func images(_ totals: EngineSnapshot.ImageTotals) -> JSONValue {
    compact([
      ("none", JSONValue(totals.none)), ("fetching", JSONValue(totals.fetching)),
      ("partial", JSONValue(totals.partial)), ("complete", JSONValue(totals.complete)),
      ("blocked", JSONValue(totals.blocked)), ("held", JSONValue(totals.held)),
    ])
  }

  static func alarm(_ alarm: EngineSnapshot.Alarm) -> JSONValue {
    compact([
      ("severity", .string(alarm.severity.rawValue)), ("code", .string(alarm.code)),
      ("subject", .string(alarm.subject)), ("message", .string(alarm.message)),
      ("since", JSONValue(alarm.since)),
    ])
  }

  static let emptyPlan: JSONObject = [
    "readings": .array([]), "changes": .array([]), "counts": counts(Preview()),
  ]

  /// The first reply of a plan, without its changes.
  static func preview(_ preview: Preview, _ sources: [String: String]) -> JSONObject {
    var reply = emptyPlan
    reply["readings"] = .array(
      preview.readings.map { reading in
        compact([
          ("list", .string(reading.id)), ("source", .string(sources[reading.id] ?? "")),
          ("failure", JSONValue(reading.failure)), ("seconds", .number(reading.elapsed.inSeconds)),
          ("snapshot", JSONValue(reading.snapshotID)), ("asOf", JSONValue(reading.asOf)),
          ("proof", JSONValue(reading.proof)), ("rows", JSONValue(reading.rows)),
          ("repeated", JSONValue(reading.repeated)),
          ("outOfScope", JSONValue(reading.outOfScope)),
          (
            "foreignUnits",
            .array(
              reading.foreignUnits.map {
                ["careUnit": .string($0.careUnit), "count": JSONValue($0.count)]
              })
          ),
          (
            "refused",
            .array(
              reading.refused.map {
                [
                  "reason": .string($0.reason), "count": JSONValue($0.count),
                  "line": JSONValue($0.line),
                ]
              })
          ),
          (
            "unknownStatuses",
            .array(
              reading.unknownStatuses.map {
                ["word": .string($0.word), "count": JSONValue($0.count)]
              })
          ), ("samples", .array(reading.samples.map(sample))),
        ])
      })
    if let failure = preview.portalFailure { reply["portalFailure"] = .string(failure) }
    reply["counts"] = counts(preview)
    return reply
  }

  private static func sample(_ sample: Preview.Reading.Sample) -> JSONValue {
    compact([
      ("number", .string(sample.number)), ("status", .string(sample.status.rawValue)),
      ("statusRaw", JSONValue(sample.statusRaw)), ("priority", .string(sample.priority.name)),
      ("careUnit", JSONValue(sample.careUnit)), ("modality", JSONValue(sample.modality)),
    ])
  }

  private static func counts(_ preview: Preview) -> JSONValue {
    var counts = JSONObject()
    for action in Preview.Change.Action.allCases {
      counts[action.name] = JSONValue(preview.count(action))
    }
    return .object(counts)
  }

  static func change(_ change: Preview.Change) -> JSONValue {
    compact([
      ("action", .string(change.action.name)), ("system", .string(change.key.system)),
      ("number", .string(change.key.number)), ("lists", JSONValue(change.lists)),
      ("from", JSONValue(change.from)), ("to", JSONValue(change.to)),
      ("priority", .string(change.priority.name)), ("reason", JSONValue(change.reason)),
    ])
  }

  static func drift(_ drift: FlagReconciler.Deviation) -> JSONValue {
    compact([
      ("system", .string(drift.key.system)), ("number", .string(drift.key.number)),
      ("kind", .string(drift.kind.rawValue)), ("portalFlag", JSONValue(drift.portalFlag)),
      ("wantedFlag", JSONValue(drift.wantedFlag)), ("lists", JSONValue(drift.lists)),
      ("attempts", JSONValue(drift.attempt?.attempts ?? 0)),
      ("since", JSONValue(drift.attempt?.first)),
      ("nextAttempt", JSONValue(drift.attempt?.next)), ("alarm", .bool(drift.isAlarm)),
      ("reason", .string(drift.reason)),
    ])
  }

  static func examination(
    _ entry: LedgerReader.Entry, running: (archived: Int, expected: Int)?,
    labels: [String: String]
  ) -> JSONValue {
    let record = entry.record
    let progress = entry.progress
    var state = progress.state
    var archived = progress.archived
    var expected = progress.expected
    var reason = progress.reason
    if let running {
      state = .fetching
      archived = running.archived
      expected = running.expected
      reason = nil
    }
    return compact([
      ("system", .string(record.key.system)), ("number", .string(record.key.number)),
      ("list", JSONValue(record.list)), ("flag", JSONValue(record.flag)),
      ("flagLabel", JSONValue(record.flag.flatMap { labels[$0] })),
      ("portalFlag", JSONValue(record.portalFlag)), ("status", .string(record.status.rawValue)),
      ("statusRaw", JSONValue(record.statusRaw)), ("priority", .string(record.priority.name)),
      ("careUnit", JSONValue(record.careUnit)), ("modality", JSONValue(record.modality)),
      ("description", JSONValue(record.description)), ("referral", JSONValue(record.referral)),
      ("scheduled", JSONValue(record.scheduled)), ("studyUid", JSONValue(record.studyUID)),
      ("resolvedStudyUid", JSONValue(progress.resolvedStudyUID)),
      ("images", .string(state.rawValue)), ("archived", JSONValue(archived)),
      ("expected", JSONValue(expected)), ("held", .bool(progress.held)),
      (
        "reason",
        reason.map {
          compact([
            ("code", .string($0.code.rawValue)), ("text", .string($0.text)),
            ("owner", .string($0.owner)),
          ])
        } ?? .null
      ),
      ("firstSeen", JSONValue(entry.firstSeen)), ("changed", JSONValue(entry.changed)),
      ("verified", JSONValue(progress.verified)), ("attempts", JSONValue(progress.attempts)),
      ("nextAttempt", JSONValue(progress.nextAttempt)), ("source", JSONValue(record.source)),
    ])
  }
}
