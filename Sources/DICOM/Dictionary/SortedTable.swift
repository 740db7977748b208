/// Lines of text sorted by their first word, searched where they lie in the program: nothing is
/// built at start and no memory is taken but the pages touched.
struct SortedTable: Sendable {
  private let text: StaticString

  init(_ text: StaticString) { self.text = text }

  private var bytes: UnsafeBufferPointer<UInt8> {
    UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount)
  }

  /// The words after the key of the line that starts with it.
  func line(_ key: some Collection<UInt8>) -> Substring? {
    bytes(key).map { Substring(decoding: $0, as: UTF8.self) }
  }

  /// The same as bytes, for those who need no string.
  func bytes(_ key: some Collection<UInt8>) -> Slice<UnsafeBufferPointer<UInt8>>? {
    let bytes = bytes
    var low = 0
    var high = bytes.count
    while low < high {
      // The start of the line that the middle lies in.
      var start = (low + high) / 2
      while start > low, bytes[start - 1] != newline { start -= 1 }
      var end = start
      while bytes[end] != newline { end += 1 }
      switch Self.compare(key, bytes[start..<end]) {
      case 0:
        return bytes[(start + key.count + 1)..<end]
      case ..<0: high = start
      default: low = end + 1
      }
    }
    return nil
  }

  /// Every line, in order.
  func forEach(_ body: (Substring) -> Void) {
    var rest = bytes[...]
    while let end = rest.firstIndex(of: newline) {
      body(Substring(decoding: rest[..<end], as: UTF8.self))
      rest = rest[(end + 1)...]
    }
  }

  /// Negative if the key comes before the line's first word, 0 if it is that word.
  private static func compare(
    _ key: some Collection<UInt8>, _ line: Slice<UnsafeBufferPointer<UInt8>>
  ) -> Int {
    var index = line.startIndex
    for byte in key {
      let other = index < line.endIndex && line[index] != space ? line[index] : 0
      if byte != other { return Int(byte) - Int(other) }
      index += 1
    }
    return index < line.endIndex && line[index] != space ? -1 : 0
  }
}

private let newline = UInt8(ascii: "\n")
private let space = UInt8(ascii: " ")
