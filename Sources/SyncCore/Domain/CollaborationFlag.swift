/// A collaboration flag (samverkansflagga) as the portal holds it: at most one an examination.
public struct PortalFlag: Hashable, Sendable {
  /// The portal's version of the record (an entity tag), sent back with a change.
  public var version: String
  var flagWord: Word
  var sourceWord: Word
  var listWord: Word?

  /// The flag's id, as configured: `sectra-samverkan-tmc`.
  public var flag: String {
    get { flagWord.text }
    set { flagWord = Word(newValue) }
  }

  /// Who set it: the name of a daemon, or of another system or person. It decides ownership, and
  /// lies in the portal rather than with us so that a lost database loses no duty to clear.
  public var source: String {
    get { sourceWord.text }
    set { sourceWord = Word(newValue) }
  }

  /// The list that it was set for, when a daemon set it.
  public var list: String? {
    get { listWord?.text }
    set { listWord = newValue.map { Word($0) } }
  }

  public init(flag: String, source: String, list: String?, version: String) {
    self.init(
      flag: Word(flag), source: Word(source), list: list.map { Word($0) }, version: version)
  }

  init(flag: Word, source: Word, list: Word?, version: String) {
    flagWord = flag
    sourceWord = source
    listWord = list
    self.version = version
  }
}

/// A change of one flag in the portal.
public struct FlagWrite: Hashable, Sendable {
  public enum Action: Hashable, Sendable {
    /// Put this flag, in place of another one where there is one.
    case set(flag: String)
    case clear
  }

  public var key: ExaminationKey
  public var action: Action
  /// The list the change is made for.
  public var list: String
  /// What the portal held when the change was decided; the write is refused if that has changed.
  public var expected: PortalFlag?
  public var priority: Priority

  public init(
    key: ExaminationKey, action: Action, list: String, expected: PortalFlag?, priority: Priority
  ) {
    self.key = key
    self.action = action
    self.list = list
    self.expected = expected
    self.priority = priority
  }
}
