// Numbers, booleans, dates and times.

extension TOMLParser {
  /// A value without quotes: everything up to what ends one.
  mutating func parseScalar() throws(TOMLError) -> TOMLValue {
    let start = index
    func isEnd(_ byte: UInt8) -> Bool {
      switch byte {
      case 0x20, 0x09, 0x0A, 0x0D, UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"),
        UInt8(ascii: "#"):
        true
      default: false
      }
    }
    while let byte = peek, !isEnd(byte) { index += 1 }
    // A space may stand in place of the T between date and time.
    if index - start == 10, bytes[start + 4] == UInt8(ascii: "-"), peek == 0x20,
      let next = peek(1), Self.isDigit(next)
    {
      index += 1
      while let byte = peek, !isEnd(byte) { index += 1 }
    }
    let token = Array(bytes[start..<index])
    switch token {
    case Array("true".utf8): return .boolean(true)
    case Array("false".utf8): return .boolean(false)
    case Array("inf".utf8), Array("+inf".utf8): return .float(.infinity)
    case Array("-inf".utf8): return .float(-.infinity)
    case Array("nan".utf8), Array("+nan".utf8): return .float(.nan)
    case Array("-nan".utf8): return .float(-.nan)
    default: break
    }
    if token.count >= 5, token[0..<4].allSatisfy(Self.isDigit), token[4] == UInt8(ascii: "-") {
      return try dateTime(token, start)
    }
    if token.count >= 3, token[0..<2].allSatisfy(Self.isDigit), token[2] == UInt8(ascii: ":") {
      guard let end = Self.time(token, 0), end == token.count else {
        throw fail("not a time of day: expected HH:MM:SS", at: start)
      }
      return .localTime(text(token))
    }
    guard let first = token.first,
      Self.isDigit(first) || first == UInt8(ascii: "+") || first == UInt8(ascii: "-")
    else {
      let shown = String(decoding: token.prefix(40), as: UTF8.self)
      throw fail("found \(shown), expected a value (text must be in quotes)", at: start)
    }
    return try number(token, start)
  }

  static func isDigit(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x39 }

  private func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

  // MARK: - Numbers

  private func number(_ token: [UInt8], _ start: Int) throws(TOMLError) -> TOMLValue {
    if token.count > 2, token[0] == UInt8(ascii: "0") {
      let radix =
        switch token[1] {
        case UInt8(ascii: "x"): 16
        case UInt8(ascii: "o"): 8
        case UInt8(ascii: "b"): 2
        default: 0
        }
      if radix > 0 {
        guard let digits = Self.digits(token[2...], radix) else {
          throw fail("not a number: \(text(token))", at: start)
        }
        guard let value = Int64(digits, radix: radix) else {
          throw fail("\(text(token)) does not fit 64 bits", at: start)
        }
        return .integer(value)
      }
    }
    var place = 0
    if token[0] == UInt8(ascii: "+") || token[0] == UInt8(ascii: "-") { place = 1 }
    let sign = token[0] == UInt8(ascii: "-") ? "-" : ""
    let wholeEnd =
      token[place...].firstIndex { !Self.isDigit($0) && $0 != UInt8(ascii: "_") }
      ?? token.count
    guard let whole = Self.digits(token[place..<wholeEnd], 10) else {
      throw fail("not a number: \(text(token))", at: start)
    }
    guard whole.count == 1 || whole.first != "0" else {
      throw fail("a number cannot begin with a zero (put identifiers in quotes)", at: start)
    }
    if wholeEnd == token.count {
      guard let value = Int64(sign + whole) else {
        throw fail("\(text(token)) does not fit 64 bits", at: start)
      }
      return .integer(value)
    }
    var literal = sign + whole
    place = wholeEnd
    if token[place] == UInt8(ascii: ".") {
      let end =
        token[(place + 1)...].firstIndex { !Self.isDigit($0) && $0 != UInt8(ascii: "_") }
        ?? token.count
      guard let fraction = Self.digits(token[(place + 1)..<end], 10) else {
        throw fail("a decimal point needs digits on both sides", at: start)
      }
      literal += "." + fraction
      place = end
    }
    if place < token.count, token[place] | 0x20 == UInt8(ascii: "e") {
      place += 1
      var exponentSign = ""
      if place < token.count, token[place] == UInt8(ascii: "+") || token[place] == UInt8(ascii: "-")
      {
        exponentSign = token[place] == UInt8(ascii: "-") ? "-" : ""
        place += 1
      }
      guard let exponent = Self.digits(token[place...], 10) else {
        throw fail("not a number: \(text(token))", at: start)
      }
      literal += "e" + exponentSign + exponent
      place = token.count
    }
    guard place == token.count, let value = Double(literal) else {
      throw fail("not a number: \(text(token))", at: start)
    }
    return .float(value)
  }

  /// Digits without their underscores; nil where they do not follow the rules.
  private static func digits(_ token: ArraySlice<UInt8>, _ radix: Int) -> String? {
    var result: [UInt8] = []
    var previous = UInt8(ascii: "_")
    for byte in token {
      if byte == UInt8(ascii: "_") {
        if previous == UInt8(ascii: "_") { return nil }
      } else {
        guard let digit = hexDigit(byte), digit < radix else { return nil }
        result.append(byte)
      }
      previous = byte
    }
    return result.isEmpty || previous == UInt8(ascii: "_")
      ? nil : String(decoding: result, as: UTF8.self)
  }

  // MARK: - Dates and times (RFC 3339)

  private func dateTime(_ token: [UInt8], _ start: Int) throws(TOMLError) -> TOMLValue {
    guard token.count >= 10, let year = Self.two(token, 0), let year2 = Self.two(token, 2),
      let month = Self.two(token, 5), token[7] == UInt8(ascii: "-"), let day = Self.two(token, 8)
    else { throw fail("not a date: expected YYYY-MM-DD", at: start) }
    let full = year * 100 + year2
    let isLeap = (full % 4 == 0 && full % 100 != 0) || full % 400 == 0
    let days = [31, isLeap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    guard (1...12).contains(month), day >= 1, day <= days[month - 1] else {
      throw fail("there is no such date: \(text(Array(token[0..<10])))", at: start)
    }
    if token.count == 10 { return .localDate(text(token)) }
    guard token[10] | 0x20 == UInt8(ascii: "t") || token[10] == 0x20,
      let end = Self.time(token, 11)
    else { throw fail("not a date-time: expected HH:MM:SS after the date", at: start) }
    if end == token.count { return .localDateTime(text(token)) }
    if token[end] | 0x20 == UInt8(ascii: "z"), end + 1 == token.count {
      return .offsetDateTime(text(token))
    }
    guard token[end] == UInt8(ascii: "+") || token[end] == UInt8(ascii: "-"),
      end + 6 == token.count, let hours = Self.two(token, end + 1),
      token[end + 3] == UInt8(ascii: ":"), let minutes = Self.two(token, end + 4), hours < 24,
      minutes < 60
    else { throw fail("not an offset: expected Z or +HH:MM", at: start) }
    return .offsetDateTime(text(token))
  }

  /// Checks HH:MM:SS with an optional fraction. Returns where it ends.
  private static func time(_ token: [UInt8], _ start: Int) -> Int? {
    guard let hour = two(token, start), token.count >= start + 8,
      token[start + 2] == UInt8(ascii: ":"), let minute = two(token, start + 3),
      token[start + 5] == UInt8(ascii: ":"), let second = two(token, start + 6), hour < 24,
      minute < 60, second <= 60
    else { return nil }
    var end = start + 8
    guard end < token.count, token[end] == UInt8(ascii: ".") else { return end }
    end += 1
    let first = end
    while end < token.count, isDigit(token[end]) { end += 1 }
    return end > first ? end : nil
  }

  private static func two(_ token: [UInt8], _ start: Int) -> Int? {
    guard start + 2 <= token.count, isDigit(token[start]), isDigit(token[start + 1]) else {
      return nil
    }
    return Int(token[start] - 0x30) * 10 + Int(token[start + 1] - 0x30)
  }
}
