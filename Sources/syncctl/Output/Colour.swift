/// What a text means, for those who see it in colour. The words say it as well.
enum Colour: Equatable {
  case plain
  /// In progress.
  case orange
  /// Complete, well.
  case green
  /// Blocked, failed: somebody must act.
  case red
  case dim
  case bold

  var start: String {
    switch self {
    case .plain: ""
    // Not every terminal has 256 colours; plain yellow is drawn as orange or brown on most.
    case .orange: "\u{1B}[33m"
    case .green: "\u{1B}[32m"
    case .red: "\u{1B}[31m"
    case .dim: "\u{1B}[2m"
    case .bold: "\u{1B}[1m"
    }
  }

  func paint(_ text: String, if coloured: Bool) -> String {
    coloured && self != .plain && !text.isEmpty ? start + text + "\u{1B}[0m" : text
  }
}

/// A piece of text and what it means.
struct Cell: Equatable {
  var text: String
  var colour: Colour

  init(_ text: String, _ colour: Colour = .plain) {
    self.text = text.shown
    self.colour = colour
  }
}
