/// Takes what looks like a Swedish personal number (personnummer, samordningsnummer) out of text
/// that goes to the operational log.
///
/// Ten or twelve digits, with or without a hyphen or plus before the last four, whose month and day
/// are possible ones. Digits that belong to a longer run, or to a UID with its dots, are something
/// else and stay; so do examination numbers, unless they look just like one: better a number too
/// many taken out of a log than one too few.
public enum Scrubber {
  static let replacement = "[personnummer]"

  public static func scrub(_ text: String) -> String {
    var run = 0
    // Most texts have no ten digits: look before copying.
    for byte in text.utf8 {
      let isDigit = byte >= 0x30 && byte <= 0x39
      run = isDigit || ((byte == 0x2D || byte == 0x2B) && run > 0) ? run + 1 : 0
      if run >= 10 { return replace(text) }
    }
    return text
  }

  private static func replace(_ text: String) -> String {
    let bytes = Array(text.utf8)
    var result: [UInt8] = []
    var index = 0
    while index < bytes.count {
      guard isDigit(bytes, index) else {
        result.append(bytes[index])
        index += 1
        continue
      }
      if let end = number(bytes, at: index) {
        result += Array(replacement.utf8)
        index = end
      } else {
        let end = runEnd(bytes, index)
        result += bytes[index..<end]
        index = end
      }
    }
    return String(decoding: result, as: UTF8.self)
  }

  /// Where the personal number ends that begins at a run of digits; nil where none does.
  ///
  /// Only the run and the joint before its last four count: numbers that a hyphen merely follows
  /// or precedes, as in file names, are found as well.
  private static func number(_ bytes: [UInt8], at start: Int) -> Int? {
    let end = runEnd(bytes, start)
    let length = end - start
    if length == 10 || length == 12 {
      return isPersonal(bytes[start..<end]) && !isInUID(bytes, start..<end) ? end : nil
    }
    guard length == 6 || length == 8, end < bytes.count, bytes[end] == 0x2D || bytes[end] == 0x2B
    else { return nil }
    let last = runEnd(bytes, end + 1)
    guard last - end == 5, !isInUID(bytes, start..<end) else { return nil }
    return isPersonal(bytes[start..<end] + bytes[(end + 1)..<last]) ? last : nil
  }

  private static func isDigit(_ bytes: [UInt8], _ index: Int) -> Bool {
    index < bytes.count && bytes[index] >= 0x30 && bytes[index] <= 0x39
  }

  private static func runEnd(_ bytes: [UInt8], _ start: Int) -> Int {
    var end = start
    while isDigit(bytes, end) { end += 1 }
    return end
  }

  /// Whether a run of digits is part of a UID: at least three numbers with dots between them, the
  /// first of which is 0, 1 or 2 (ISO/IEC 9834-1). A file's name such as `191212121212.1.dcm` is none.
  private static func isInUID(_ bytes: [UInt8], _ run: Range<Int>) -> Bool {
    var start = run.lowerBound
    // No UID has more than 64 characters (PS3.5 section 9.1).
    while start > 0, run.lowerBound - start < 64,
      isDigit(bytes, start - 1) || (bytes[start - 1] == 0x2E && isDigit(bytes, start))
    { start -= 1 }
    var end = run.upperBound
    while end < bytes.count, end - run.upperBound < 64,
      isDigit(bytes, end) || (bytes[end] == 0x2E && isDigit(bytes, end + 1))
    { end += 1 }
    // Stopped within a number: where it begins is too far away for a UID.
    if run.lowerBound - start >= 64 { return false }
    let parts = bytes[start..<end].split(separator: 0x2E)
    return parts.count >= 3 && parts[0].count == 1 && parts[0].first! <= UInt8(ascii: "2")
  }

  /// Ten or twelve digits whose month and day there are.
  private static func isPersonal(_ digits: ArraySlice<UInt8>) -> Bool {
    let short = digits.suffix(10).map { Int($0) - 0x30 }
    let month = short[2] * 10 + short[3]
    let day = short[4] * 10 + short[5]
    return (1...12).contains(month) && ((1...31).contains(day) || (61...91).contains(day))
  }
}

/// A Swedish personal identity number.
public enum Personnummer {
  public enum Validity: Hashable, Sendable {
    case valid
    /// A co-ordination number: the day plus sixty.
    case coordination
    /// A reserve number: it has letters, or a form of the hospital's own.
    case reserve
    /// Looks like one, but the check digit is wrong. A warning: the patient is real all the same.
    case wrongChecksum
  }

  /// What a patient id is. Never a reason to drop a patient.
  public static func validity(_ text: String) -> Validity {
    let bytes = Array(text.utf8).filter { $0 != 0x2D && $0 != 0x2B }
    guard bytes.count == 12 || bytes.count == 10,
      bytes.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
    else { return .reserve }
    let digits = bytes.suffix(10).map { Int($0) - 0x30 }
    var sum = 0
    for (index, digit) in digits.enumerated() {
      let weighted = index % 2 == 0 ? digit * 2 : digit
      sum += weighted > 9 ? weighted - 9 : weighted
    }
    guard sum % 10 == 0 else { return .wrongChecksum }
    return digits[4] * 10 + digits[5] > 60 ? .coordination : .valid
  }
}
