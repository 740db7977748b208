/// One option as the command table describes it: parsing, help and completion all read this.
struct Option: Equatable, Sendable {
  /// What an option's value may be.
  enum Value: Equatable, Sendable {
    /// Any text; the placeholder says what.
    case text(String)
    /// One of these words.
    case choice(String, [String])
    /// Several of these words, separated by commas.
    case choices(String, [String])
    /// Several texts, separated by commas.
    case texts(String)
    case integer(String, ClosedRange<Int>)
    /// `30`, `30s`, `5m`, `1h30m`.
    case duration(String)
    /// A time, a date, or a duration ago.
    case time(String)
    case file(String)

    var placeholder: String {
      switch self {
      case .text(let name), .texts(let name), .choice(let name, _), .choices(let name, _),
        .integer(let name, _), .duration(let name), .time(let name), .file(let name):
        name
      }
    }

    var words: [String] {
      switch self {
      case .choice(_, let words), .choices(_, let words): words
      default: []
      }
    }
  }

  let long: String
  let short: Character?
  /// Nil for a switch.
  let value: Value?
  let help: String

  init(_ long: String, short: Character? = nil, _ value: Value? = nil, _ help: String) {
    self.long = long
    self.short = short
    self.value = value
    self.help = help
  }

  /// `--timeout DURATION`.
  var signature: String {
    let name = "--\(long)"
    return value.map { "\(name) \($0.placeholder)" } ?? name
  }
}

/// One command as the table describes it.
struct Command: Equatable, Sendable {
  /// How many operands a command takes, and what they are called.
  struct Operand: Equatable, Sendable {
    enum Count: Sendable {
      case optional
      case one
      case any
      case some
    }

    /// What completion offers for it.
    enum Kind: Equatable, Sendable {
      case text
      case file
      case command
      case words([String])
    }

    let name: String
    let count: Count
    let kind: Kind

    init(_ name: String, _ count: Count, _ kind: Kind = .text) {
      self.name = name
      self.count = count
      self.kind = kind
    }

    var signature: String {
      switch count {
      case .optional: "[\(name)]"
      case .one: name
      case .any: "[\(name)...]"
      case .some: "\(name)..."
      }
    }
  }

  /// One word, or two: `config check`.
  let name: String
  let summary: String
  let operand: Operand?
  let options: [Option]
  /// Paragraphs of the help.
  let details: [String]
  let examples: [String]

  init(
    _ name: String, _ summary: String, operand: Operand? = nil, options: [Option] = [],
    details: [String] = [], examples: [String] = []
  ) {
    self.name = name
    self.summary = summary
    self.operand = operand
    self.options = options
    self.details = details
    self.examples = examples
  }

  var words: [String] { name.split(separator: " ").map(String.init) }
}
