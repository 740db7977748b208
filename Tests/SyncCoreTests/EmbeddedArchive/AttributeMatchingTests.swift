import DICOM
import Testing

@testable import SyncCore

@Suite struct AttributeMatchingTests {
  @Test(
    "keys match as PS3.4 section C.2.2.2 says",
    arguments: [
      (.SH, "", "anything", true), (.SH, "A1", "A1", true), (.SH, "A1", "a1", false),
      (.SH, "A1 ", "A1", true), (.SH, "A*", "A1", true), (.SH, "*", "", true),
      (.SH, "A?", "A", false), (.SH, "A?", "A1", true), (.SH, "*A*B*", "xAyBz", true),
      (.SH, "*A*B", "xAyBz", false), (.SH, "00*", "0012", true), (.SH, "A\\B", "A", false),
      (.PN, "tolvansson^tolvan", "Tolvansson^Tolvan", true),
      (.PN, "TOLVANSSON^TOLVAN^^^", "Tolvansson^Tolvan", true),
      (.PN, "åsa*", "ÅSA^X", true), (.PN, "A*", "ÅSA", false), (.PN, "*=*", "A=B", true),
      (.UI, "1.2\\1.3", "1.3", true), (.UI, "1.2\\1.3", "1.4", false), (.UI, "1.*", "1.2", false),
      (.DA, "20261123", "20261123", true), (.DA, "20261101-20261130", "20261123", true),
      (.DA, "20261124-", "20261123", false), (.DA, "-20261123", "20261123", true),
      (.DA, "20261123", "2026.11.23", true), (.DA, "20261123", "", false),
      (.DA, "-", "20261123", false), (.DA, "rubbish", "20261123", false),
      (.TM, "0730", "073000", true), (.TM, "0730", "073059.5", true), (.TM, "0730", "0731", false),
      (.TM, "070000-080000", "073000.123456", true), (.TM, "-0729", "073000", false),
      (.TM, "07", "07:30:00", true),
      (.IS, "7", "07", true), (.IS, "7", "8", false), (.IS, "x", "8", false),
      (.CS, "CT\\MR", "MR", true), (.CS, "CT", "ct", false), (.CS, "C?", "CT", true),
    ] as [(VR, String, String, Bool)])
  func table(vr: VR, key: String, value: String, matches: Bool) {
    #expect(AttributeMatching(vr, key).matches(value) == matches)
  }

  @Test("a pattern of many asterisks takes no time to speak of")
  func manyAsterisks() {
    let pattern = String(repeating: "*a", count: 200) + "*b"
    let value = String(repeating: "a", count: 5000)
    #expect(!AttributeMatching(.LO, pattern).matches(value))
  }
}
