/// Aligned columns. Widths come from the rows at hand; later pages go on with them and only
/// grow, so that a long worklist is shown as it arrives.
struct Table {
  let headers: [String]
  /// Columns whose values are numbers, aligned to the right.
  var rightAligned: Set<Int> = []
  /// The last column is cut to this width of the whole line; nil on anything but a terminal.
  var lineWidth: Int?
  var coloured = false
  private(set) var widths: [Int]
  private var headersShown = false

  init(
    _ headers: [String], rightAligned: Set<Int> = [], lineWidth: Int? = nil, coloured: Bool = false
  ) {
    self.headers = headers
    self.rightAligned = rightAligned
    self.lineWidth = lineWidth
    self.coloured = coloured
    widths = headers.map(\.count)
  }

  /// The text of some rows, with the headers before the first.
  mutating func render(_ rows: [[Cell]]) -> String {
    for row in rows {
      for (index, cell) in row.enumerated() where cell.text.width > widths[index] {
        widths[index] = cell.text.width
      }
    }
    var text = ""
    if !headersShown {
      headersShown = true
      text += line(headers.map { Cell($0, .bold) })
    }
    for row in rows { text += line(row) }
    return text
  }

  private func line(_ cells: [Cell]) -> String {
    var text = ""
    var used = 0
    for (index, cell) in cells.enumerated() {
      let isLast = index == cells.count - 1
      var shown = cell.text
      if isLast, let lineWidth, lineWidth - used >= 12 { shown = shown.cut(to: lineWidth - used) }
      let gap = String(repeating: " ", count: max(0, widths[index] - shown.width))
      let painted = cell.colour.paint(shown, if: coloured)
      if rightAligned.contains(index) {
        text += gap + painted
      } else {
        text += isLast ? painted : painted + gap
      }
      if !isLast { text += "  " }
      used += widths[index] + 2
    }
    while text.last == " " { text.removeLast() }
    return text + "\n"
  }
}
