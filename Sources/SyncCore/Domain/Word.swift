import Synchronization

/// A text of which there are few different ones and many copies - a flag's id, a source, a list, a
/// peer - as a number of four bytes. Equal texts, byte by byte, are one word.
///
/// The table of words only grows: what a stranger may vary without end does not belong here.
public struct Word: Hashable, Sendable, CustomStringConvertible {
  private static let table = Mutex(TextTable())

  let number: UInt32

  init(number: UInt32) {
    self.number = number
  }

  public init(_ text: String) {
    number = Self.table.withLock { $0.number(of: text) }
  }

  public var text: String { Self.table.withLock { $0[number] } }
  public var description: String { text }
}

extension Word: ExpressibleByStringLiteral {
  public init(stringLiteral text: String) { self.init(text) }
}

/// Texts, each once, by number.
struct TextTable {
  /// Compares bytes, as databases do: canonically equivalent spellings are two texts.
  private struct Exact: Hashable {
    var text: String

    static func == (a: Exact, b: Exact) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

    func hash(into hasher: inout Hasher) {
      var text = text
      text.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }

  private var texts: [String] = []
  private var numbers: [Exact: UInt32] = [:]

  subscript(number: UInt32) -> String { texts[Int(number)] }

  mutating func number(of text: String) -> UInt32 {
    if let known = numbers[Exact(text: text)] { return known }
    let number = UInt32(texts.count)
    texts.append(text)
    numbers[Exact(text: text)] = number
    return number
  }
}

/// Makes words of bytes, such as a database's column, without a text for each: most rows have the
/// word of the row before.
struct WordReader {
  private var recent: [(bytes: [UInt8], word: Word)] = []

  mutating func word(_ bytes: UnsafeRawBufferPointer) -> Word {
    for entry in recent where entry.bytes.elementsEqual(bytes) { return entry.word }
    let word = Word(String(decoding: bytes, as: UTF8.self))
    if recent.count == 8 { recent.removeFirst() }
    recent.append((Array(bytes), word))
    return word
  }
}
