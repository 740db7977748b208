/// Time stamps (TS; HL7 2.5.1 section 2.A.77): `YYYY[MM[DD[HH[MM[SS[.S[S[S[S]]]]]]]]][+/-ZZZZ]`.
public enum HL7Time {
  /// Seconds precision, with the offset from UTC.
  /// - Parameters:
  ///   - milliseconds: since 1970, UTC.
  ///   - offset: of local time from UTC, in minutes.
  public static func format(milliseconds: Int64, offset: Int = 0) -> String {
    let seconds = milliseconds.flooring(1000) + Int64(offset) * 60
    let days = seconds.flooring(86400)
    let rest = Int(seconds - days * 86400)
    let (year, month, day) = civil(days)
    let sign = offset < 0 ? "-" : "+"
    let minutes = abs(offset)
    return pad(year, 4) + pad(month, 2) + pad(day, 2) + pad(rest / 3600, 2)
      + pad(rest / 60 % 60, 2) + pad(rest % 60, 2) + sign + pad(minutes / 60, 2)
      + pad(minutes % 60, 2)
  }

  private static func pad(_ number: Int, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.count)) + text
  }

  /// Days since 1970 as a date of the Gregorian calendar.
  private static func civil(_ days: Int64) -> (Int, Int, Int) {
    // The year begins in March: leap days are at its end.
    let shifted = days + 719_468
    let era = shifted.flooring(146_097)
    let dayOfEra = Int(shifted - era * 146_097)
    let year = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * year + year / 4 - year / 100)
    let part = (5 * dayOfYear + 2) / 153
    let month = part < 10 ? part + 3 : part - 9
    return (
      year + Int(era) * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * part + 2) / 5 + 1
    )
  }
}

extension Int64 {
  /// Division that rounds down.
  func flooring(_ divisor: Int64) -> Int64 {
    self / divisor - (self % divisor < 0 ? 1 : 0)
  }
}
