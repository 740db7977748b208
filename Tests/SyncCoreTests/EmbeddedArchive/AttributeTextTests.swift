import DICOM
import Testing

@testable import SyncCore

@Suite("Texts of the archive's index")
struct AttributeTextTests {
  private func text(_ bytes: [UInt8], _ characterSet: String, _ vr: VR = .LO) -> String {
    AttributeText.decode(bytes, vr, characterSet: Array(characterSet.utf8))
  }

  @Test("a named character set is the one that is read, code extensions included")
  func named() {
    #expect(text([0xC5, 0x6B, 0x65], "ISO_IR 100") == "Åke")
    #expect(text(Array("Åke ".utf8), "ISO_IR 192") == "Åke")
    // Cyrillic: what Latin 1 would make of it is a different word.
    #expect(text([0xBB, 0xEE, 0xDA], "ISO_IR 144") == "Люк")
    let greek: [UInt8] = [0x1B, 0x2D, 0x46, 0xC4]
    #expect(text(greek, "\\ISO 2022 IR 126", .PN) == "Δ")
  }

  @Test("without one, or with one that nobody knows, it is UTF-8 where it can be, else Latin 1")
  func unnamed() {
    for characterSet in ["", "ISO_IR 9999"] {
      #expect(text(Array("Åke".utf8), characterSet) == "Åke")
      #expect(text([0xC5, 0x6B, 0x65], characterSet) == "Åke")
    }
  }

  @Test("padding goes, and what has no character set has no letters outside ASCII")
  func plain() {
    #expect(text([0x20, 0x41, 0x42, 0x20, 0x00], "ISO_IR 100") == "AB")
    #expect(text([0x31, 0xC5, 0x00], "ISO_IR 100", .UI) == "1?")
  }
}
