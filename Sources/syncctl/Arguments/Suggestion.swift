/// "Did you mean": the candidate nearest to a mistyped word.
enum Suggestion {
  static func nearest(to word: String, among candidates: [String]) -> String? {
    // A long argument is no mistyped word, and the distance is quadratic.
    guard !word.isEmpty, word.utf8.count <= 64 else { return nil }
    let lowered = word.lowercased()
    var best: (String, Int)?
    for candidate in candidates {
      let other = candidate.lowercased()
      let found = distance(Array(lowered), Array(other))
      let allowed = max(1, min(lowered.count, other.count) / 3)
      let isStart = lowered.count >= 2 && other.hasPrefix(lowered)
      guard found <= allowed || isStart else { continue }
      let rank = isStart ? 0 : found
      if best == nil || rank < best!.1 { best = (candidate, rank) }
    }
    return best?.0
  }

  /// `Did you mean "status"?`, or nothing.
  static func advice(for word: String, among candidates: [String], prefix: String = "") -> [String]
  {
    nearest(to: word, among: candidates).map { ["Did you mean \"\(prefix)\($0)\"?"] } ?? []
  }

  /// Insertions, deletions, replacements and swaps of neighbours that turn one into the other.
  static func distance(_ a: [Character], _ b: [Character]) -> Int {
    var rows = [Array(0...b.count)]
    for i in 0..<a.count {
      var row = [i + 1]
      for j in 0..<b.count {
        var cost = min(rows[i][j] + (a[i] == b[j] ? 0 : 1), rows[i][j + 1] + 1, row[j] + 1)
        if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
          cost = min(cost, rows[i - 1][j - 1] + 1)
        }
        row.append(cost)
      }
      rows.append(row)
    }
    return rows[a.count][b.count]
  }
}
