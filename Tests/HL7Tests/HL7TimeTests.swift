import Testing

@testable import HL7

@Suite("HL7 time stamps")
struct HL7TimeTests {
  @Test(
    "known moments",
    arguments: [
      (0, 0, "19700101000000+0000"), (-1, 0, "19691231235959+0000"),
      (999, 0, "19700101000000+0000"),
      (-1000, 0, "19691231235959+0000"), (951_782_400_000, 0, "20000229000000+0000"),
      (951_868_799_999, 0, "20000229235959+0000"), (951_868_800_000, 0, "20000301000000+0000"),
      (1_709_164_800_000, 60, "20240229010000+0100"), (1_740_700_800_000, 0, "20250228000000+0000"),
      (1_774_746_000_000, 120, "20260329030000+0200"),
      (1_767_222_000_000, 60, "20260101000000+0100"),
      (1_767_225_600_000, -210, "20251231203000-0330"), (0, -30, "19691231233000-0030"),
      (1_767_225_600_000, 345, "20260101054500+0545"),
      (4_107_542_400_000, 0, "21000301000000+0000"),
      (-2_203_891_200_000, 0, "19000301000000+0000"),
      (-62_135_596_800_000, 0, "00010101000000+0000"),
      (253_402_300_799_999, 0, "99991231235959+0000"),
    ] as [(Int64, Int, String)])
  func known(_ milliseconds: Int64, _ offset: Int, _ text: String) {
    #expect(HL7Time.format(milliseconds: milliseconds, offset: offset) == text)
  }

  @Test("each day of four centuries follows the one before")
  func everyDay() {
    let lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
    var (year, month, day) = (1970, 1, 1)
    for number in 0..<146_097 as Range<Int64> {
      let isLeap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
      // The first and the last days of each month are where it could go wrong.
      let length = lengths[month - 1] + (month == 2 && isLeap ? 1 : 0)
      if day == 1 || day >= 28 {
        let text = HL7Time.format(milliseconds: number * 86_400_000)
        let digits = (year * 10_000 + month * 100 + day) * 1_000_000
        if text != "\(digits)+0000" { Issue.record("\(text) is not \(digits)") }
      }
      day += 1
      if day > length { (month, day) = (month + 1, 1) }
      if month > 12 { (year, month) = (year + 1, 1) }
    }
    #expect((year, month, day) == (2370, 1, 1))
  }
}
