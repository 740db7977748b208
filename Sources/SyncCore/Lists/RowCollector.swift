/// Gathers the rows of one list, wherever they come from: leaves out those that no examination can
/// have, and refuses what makes the list as a whole doubtful.
public struct RowCollector {
  public private(set) var rows = ListRows()
  public private(set) var refused: [RefusedRow] = []
  /// Rows that were taken before.
  public private(set) var repeated = 0
  /// The characters of every examination number; 0 when lists have several lengths.
  private let numberLength: Int
  /// The row of each number.
  private var seen = ExaminationTable<UInt32>()
  /// Numbers of digits alone that begin with a zero, and their lines.
  private var zeroed: [(number: ExaminationKey, line: Int)] = []
  private static let noSystem = Word("")

  /// Something that makes the list doubtful, on a line (or the row counted from 1).
  public struct Fault: Error, Hashable, Sendable {
    public var line: Int
    /// Never patient data.
    public var message: String
  }

  public init(numberLength: Int = 0) {
    self.numberLength = numberLength
  }

  /// Takes a row, or leaves it out and says why in ``refused``. A row that has been taken before is
  /// taken once; one with the same number and other content is a fault.
  public mutating func add(_ row: ListRow, line: Int) throws(Fault) {
    if let reason = Self.unusable(row.examination) {
      refused.append(RefusedRow(line: line, reason: reason))
      return
    }
    let length = row.examination.unicodeScalars.count
    if numberLength > 0, length != numberLength {
      throw Fault(
        line: line,
        message: "an examination number of \(length) characters, not \(numberLength): "
          + "have zeros been lost?")
    }
    let key = Self.key(row.examination)
    if let first = seen[key] {
      guard rows[Int(first)] == row else {
        throw Fault(
          line: line, message: "an examination that stands on another line with other content")
      }
      repeated += 1
      return
    }
    seen[key] = UInt32(rows.count)
    rows.append(row)
    let digits = row.examination.utf8
    if digits.first == 0x30, digits.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }) {
      zeroed.append((key, line))
    }
  }

  /// Looks at the rows together, once all are there.
  ///
  /// That zeros have been lost shows in one number only by its configured length: lists of mixed
  /// lengths are real. But two numbers that differ in nothing else are one examination, twice.
  /// - Parameter name: what the source calls the examination number.
  public func check(name: String) throws(Fault) {
    for (key, line) in zeroed {
      var rest = key.number[...]
      while rest.utf8.first == 0x30 {
        rest = rest.dropFirst()
        guard !rest.isEmpty, seen.contains(Self.key(String(rest))) else { continue }
        throw Fault(
          line: line,
          message: "the \(name) of another line is this one "
            + "without its leading zeros: export it as text")
      }
    }
  }

  /// Why a number can be no examination's.
  private static func unusable(_ number: String) -> String? {
    if number.isEmpty { return "no examination number" }
    var length = 0
    for scalar in number.unicodeScalars {
      length += 1
      if scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value) {
        return "a control character in the examination number"
      }
    }
    // An Accession Number (SH) holds no more: such a row can match nothing.
    return length > 16 ? "the examination number is longer than 16" : nil
  }

  private static func key(_ number: String) -> ExaminationKey {
    var number = number
    return number.withUTF8 {
      ExaminationKey(system: noSystem, number: UnsafeRawBufferPointer($0))
    }
  }
}
