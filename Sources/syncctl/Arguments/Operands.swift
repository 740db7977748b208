/// The ids on a command line.
enum Operands {
  /// `-` stands for those on standard input, one a line.
  static func read(_ invocation: Invocation, input: () -> String?) -> [String] {
    var ids: [String] = []
    for operand in invocation.operands {
      if operand != "-" {
        ids.append(operand)
        continue
      }
      while let line = input() {
        let text = line.trimmed
        if !text.isEmpty { ids.append(text) }
      }
    }
    return ids
  }
}

extension String {
  /// Without blanks and line ends around it.
  var trimmed: String {
    let blank: (Character) -> Bool = { $0.isWhitespace || $0.isNewline }
    var text = Substring(self).drop(while: blank)
    while let last = text.last, blank(last) { text.removeLast() }
    return String(text)
  }
}

extension Array where Element: Hashable {
  /// Every element once, where it came first.
  var distinct: [Element] {
    var seen: Set<Element> = []
    return filter { seen.insert($0).inserted }
  }
}
