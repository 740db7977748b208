import Platform

/// What the engine needs of the configuration. It knows neither files nor peers by address.
public struct EngineSettings: Sendable {
  /// One collaboration list.
  public struct List: Sendable, Hashable {
    public var id: String
    /// The source system of its examinations.
    public var system: String
    /// The flag its examinations shall have.
    public var flag: String
    /// The peer that holds the images; nil where there is none to compare with.
    public var peer: String?
    /// Whether the images are ours to fetch.
    public var prefetches: Bool
    public var priority: Priority
    /// The RIS's words for the status, in lower case.
    public var statuses: [String: ExaminationStatus]

    public init(
      id: String, system: String, flag: String, peer: String?, prefetches: Bool,
      priority: Priority = .routine, statuses: [String: ExaminationStatus] = [:]
    ) {
      self.id = id
      self.system = system
      self.flag = flag
      self.peer = peer
      self.prefetches = prefetches
      self.priority = priority
      self.statuses = statuses
    }

    /// Changes with anything that decides what a row means; the same in every run.
    var digest: UInt64 {
      var hash: UInt64 = 0xcbf2_9ce4_8422_2325
      let words = statuses.sorted { $0.key < $1.key }.flatMap { [$0.key, $0.value.rawValue] }
      for text in [id, system, flag, peer ?? "\u{1}", priority.name] + words {
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        hash = (hash ^ 0x1FE) &* 0x100_0000_01b3
      }
      return hash
    }
  }

  public var name = "syncd"
  public var lists: [List] = []
  /// Associations at once, by peer.
  public var budgets: [String: Int] = [:]
  public var interval: Duration = .seconds(120)
  /// A list that has not answered by then counts as failed in this cycle.
  public var listTimeout: Duration = .seconds(30)
  /// The other lists wait no longer than this for a slow one.
  public var grace: Duration = .seconds(2)
  public var warnMissed = 2
  public var criticalMissed = 5
  public var flags = FlagReconciler.Policy(source: "syncd")
  public var images = Completeness.Policy()
  /// Care units whose examinations we may handle; empty for all.
  public var careUnits: Set<String> = []
  /// Whether an examination without a care unit is handled when there is such a scope.
  public var acceptsUnknownCareUnit = false
  /// Systems whose recalled examinations get no flag before they have left their list.
  public var unflagOnRecall: Set<String> = []
  /// How long history is kept.
  public var retention: Duration = .seconds(90 * 86400)

  public init() {}
}

extension EngineSettings {
  /// Whether examinations of a care unit are ours to handle.
  func isInScope(_ careUnit: String?) -> Bool {
    if careUnits.isEmpty { return true }
    guard let careUnit, !careUnit.isEmpty else { return acceptsUnknownCareUnit }
    return careUnits.contains(careUnit)
  }
}

extension EngineSettings.List {
  /// What the RIS's word for a status means; nil when nobody has said.
  func status(of word: String?) -> ExaminationStatus? {
    word.flatMap { statuses[$0.lowercased()] }
  }

  func priority(of word: String?) -> Priority {
    word.flatMap { $0.isEmpty ? nil : Priority($0) } ?? priority
  }
}
