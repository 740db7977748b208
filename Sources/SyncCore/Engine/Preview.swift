import Platform

/// What the lists would have changed, without changing anything: lists read afresh, and the same
/// pure decision that a cycle makes.
public struct Preview: Sendable {
  /// One list as it was read for this.
  public struct Reading: Sendable {
    /// A row, to see that the columns are read as they are meant. Names no patient.
    public struct Sample: Sendable, Hashable {
      public var number: String
      /// The RIS's word, and what it is taken for.
      public var statusRaw: String?
      public var status: ExaminationStatus
      public var priority: Priority
      public var careUnit: String?
      public var modality: String?
    }

    public var id: String
    /// Why it cannot be relied upon; its flags would stay.
    public var failure: String?
    public var elapsed: Duration
    public var snapshotID: String?
    public var asOf: WallTime?
    public var proof: String?
    /// Rows of the source that can be used.
    public var rows = 0
    /// Rows that were there again, to the letter: they count once.
    public var repeated = 0
    /// Of the usable rows, the ones that are not ours to handle (scope).
    public var outOfScope = 0
    /// The care units of those, and how many rows each has; the most frequent ones.
    public var foreignUnits: [(careUnit: String, count: Int)] = []
    /// Rows that cannot be used, by reason: how many, and the first one's line.
    public var refused: [(reason: String, count: Int, line: Int)] = []
    /// Words for a status that are not in the table, and how often each occurs.
    public var unknownStatuses: [(word: String, count: Int)] = []
    /// The first few rows.
    public var samples: [Sample] = []

    init(id: String, elapsed: Duration, failure: String? = nil) {
      self.id = id
      self.elapsed = elapsed
      self.failure = failure
    }
  }

  /// There may be a hundred thousand: no more than their bytes.
  public struct Change: Sendable, Hashable {
    public enum Action: UInt8, Sendable, CaseIterable {
      /// In the order in which they are shown; the first three in that in which they are done.
      case clear, replace, set
      /// A write that has been tried, and waits for its next try.
      case waiting
      /// Absent, but not often enough yet.
      case absent
      /// Due, and waiting for `syncctl approve` or a better list.
      case held
      case conflict, foreign

      public var name: String {
        switch self {
        case .clear: "clear"
        case .replace: "replace"
        case .set: "set"
        case .waiting: "waiting"
        case .absent: "absent"
        case .held: "held"
        case .conflict: "conflict"
        case .foreign: "foreign"
        }
      }
    }

    public var key: ExaminationKey
    public var action: Action
    public var priority: Priority
    var list: Word?
    var fromWord: Word?
    var toWord: Word?
    /// Where several lists claim it: all but ``list``.
    var otherLists: [Word] = []
    public var reason: String?

    public var lists: [String] { (list.map { [$0] } ?? []).map(\.text) + otherLists.map(\.text) }
    public var from: String? { fromWord?.text }
    public var to: String? { toWord?.text }
  }

  public var readings: [Reading] = []
  /// Why the portal could not be read; then it is not known what would be changed.
  public var portalFailure: String?
  /// In the order in which they would be done, then what would not be done.
  public var changes: [Change] = []

  public func count(_ action: Change.Action) -> Int { changes.count { $0.action == action } }
}

public enum PreviewAnswer: Sendable {
  case preview(Preview)
  case noSuchList(String, known: [String])
  /// Another one is under way, or the configuration was loaded anew in the middle of this one.
  case busy(String)
  case stopping
}

/// A list as one read shows it, and what there is to say of it.
public struct PreviewedList: Sendable {
  static let mostSamples = 5
  static let mostWords = 50

  public var reading: Preview.Reading
  var members: ExaminationTable<Priority> = [:]
  var unusable = 0
  /// Nil when it cannot be relied upon.
  var snapshot: String?

  init(failure: String, id: String, elapsed: Duration = .zero) {
    reading = Preview.Reading(id: id, elapsed: elapsed, failure: failure)
  }

  /// What a snapshot means under the settings. Pure: it may well be done on another thread.
  init(
    _ found: ListSnapshot, _ list: EngineSettings.List, _ settings: EngineSettings,
    elapsed: Duration
  ) {
    reading = Preview.Reading(id: list.id, elapsed: elapsed)
    reading.snapshotID = found.snapshotID
    reading.asOf = found.asOf
    reading.proof = found.proof
    reading.rows = found.rows.count
    reading.repeated = found.repeatedRows
    snapshot = found.snapshotID
    unusable = found.refusedRows.count
    members = ExaminationTable(minimumCapacity: found.rows.count)
    let system = Word(list.system)
    var unknown: [String: Int] = [:]
    var units: [String: Int] = [:]
    for index in found.rows.indices {
      found.rows.withRow(index) { row in
        let unit = row.text(.careUnit)
        guard settings.isInScope(unit) else {
          reading.outOfScope += 1
          Self.tally(unit ?? "", &units)
          return
        }
        let key = ExaminationKey(system: system, number: row.number)
        let priority = list.priority(of: row.text(.priority))
        members[key] = priority
        let word = row.text(.status)
        let status = list.status(of: word)
        if status == nil { Self.tally(word ?? "", &unknown) }
        if reading.samples.count < Self.mostSamples {
          reading.samples.append(
            Preview.Reading.Sample(
              number: key.number, statusRaw: word, status: status ?? .unknown, priority: priority,
              careUnit: unit, modality: row.text(.modality)))
        }
      }
    }
    reading.unknownStatuses = Self.ranked(unknown).map { ($0, $1) }
    reading.foreignUnits = Self.ranked(units).map { ($0, $1) }
    var reasons: [String: (count: Int, line: Int)] = [:]
    for row in found.refusedRows {
      if reasons[row.reason] == nil, reasons.count >= Self.mostWords { continue }
      reasons[row.reason, default: (0, row.line)].count += 1
    }
    reading.refused = reasons.sorted { $0.value.line < $1.value.line }
      .map { ($0.key, $0.value.count, $0.value.line) }
  }

  /// A column that is not what it was taken for has as many words as rows.
  private static func tally(_ word: String, _ words: inout [String: Int]) {
    if words[word] != nil || words.count < mostWords { words[word, default: 0] += 1 }
  }

  private static func ranked(_ words: [String: Int]) -> [(String, Int)] {
    words.sorted { ($1.value, $0.key) < ($0.value, $1.key) }.map { ($0.key, $0.value) }
  }
}

/// All that a preview is made of, taken from the engine at one moment.
struct PreviewInput: Sendable {
  var preview: Preview
  var policy: FlagReconciler.Policy
  var views: [FlagReconciler.ListView]
  var portal: ExaminationTable<PortalFlag>
  var memory: ExaminationTable<FlagMemory>
  /// The lists that it is about; nil for all.
  var chosen: Set<String>?
  var now: WallTime

  /// Decides as a cycle would. Pure: it may well be done on another thread.
  consuming func made() -> Preview {
    let portal = portal
    let chosen = chosen.map { Set($0.map { Word($0) }) }
    let words = Dictionary(uniqueKeysWithValues: views.map { ($0.id, Word($0.id)) })
    func word(_ list: String) -> Word { words[list] ?? Word(list) }
    func concerns(_ list: Word?) -> Bool { chosen.map { list.map($0.contains) ?? false } ?? true }
    // There are few different ones, each of up to a hundred thousand changes.
    var reasons: Set<String> = []
    func shared(_ reason: String) -> String {
      if let known = reasons.firstIndex(of: reason) { return reasons[known] }
      if reasons.count < 1000 { reasons.insert(reason) }
      return reason
    }
    var changes: [Preview.Change] = []
    let plan = FlagReconciler(policy: policy).plan(
      lists: views, portal: portal, memory: memory, now: now
    ) { finding in
      switch finding {
      case .write(let write):
        let list = word(write.list)
        guard concerns(list) else { return }
        var change = Preview.Change(
          key: write.key, action: .clear, priority: write.priority, list: list,
          fromWord: write.expected?.flagWord)
        if case .set(let flag) = write.action {
          change.action = write.expected == nil ? .set : .replace
          change.toWord = Word(flag)
          if let expected = write.expected, expected.flagWord == change.toWord {
            change.reason = shared("comes from list \(expected.list ?? "-")")
          }
        }
        changes.append(change)
      case .absent(let key, let name, let reason, let isHeld):
        let list = word(name)
        guard concerns(list) else { return }
        changes.append(
          Preview.Change(
            key: key, action: isHeld ? .held : .absent, priority: .routine, list: list,
            fromWord: portal[key]?.flagWord, reason: shared(reason)))
      }
    }
    var tried: [ExaminationKey: FlagReconciler.Deviation] = [:]
    for deviation in plan.deviations where deviation.attempt != nil {
      tried[deviation.key] = deviation
    }
    if !tried.isEmpty {
      for index in changes.indices where changes[index].action.rawValue <= 2 {
        if let again = tried.removeValue(forKey: changes[index].key) {
          changes[index].reason = again.reason
        }
      }
    }
    for deviation in plan.deviations {
      // One that is to be written again is there already.
      if deviation.attempt != nil, tried[deviation.key] == nil { continue }
      let lists = deviation.lists.map { word($0) }
      guard lists.isEmpty ? chosen == nil : lists.contains(where: concerns) else { continue }
      var change = Preview.Change(
        key: deviation.key, action: .held, priority: .routine, list: lists.first,
        fromWord: portal[deviation.key]?.flagWord, toWord: deviation.wantedFlag.map { Word($0) },
        otherLists: Array(lists.dropFirst()), reason: shared(deviation.reason))
      switch deviation.kind {
      case .foreign: change.action = .foreign
      case .conflict: change.action = .conflict
      case .set, .clear:
        if let attempt = deviation.attempt {
          change.action = .waiting
          change.reason = "\(deviation.reason); the next follows at \(attempt.next)"
        }
      }
      changes.append(change)
    }
    changes.sort { a, b in
      if a.action != b.action { return a.action.rawValue < b.action.rawValue }
      if a.priority != b.priority { return a.priority > b.priority }
      return a.key < b.key
    }
    preview.changes = changes
    return preview
  }
}
