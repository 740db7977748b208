import Testing

@testable import SyncCore

@Suite struct ScrubberTests {
  @Test(
    "A personal number is taken out, however it is written",
    arguments: [
      "191212121212", "1212121212", "19121212-1212", "121212-1212", "19121212+1212", "121212+1212",
      // A co-ordination number: the day plus sixty.
      "191212721212", "121272-1212",
    ])
  func shapes(_ number: String) {
    for (before, after) in [
      ("", ""), ("patient ", " unknown"), ("PID|1||", "^^^"), ("'", "'."), ("id=", ".dcm"),
      ("SE", "X"), ("no. ", ", sorry"), ("Ärla", "é"),
    ] {
      #expect(Scrubber.scrub(before + number + after) == "\(before)[personnummer]\(after)")
    }
  }

  @Test(
    "Hyphens between numbers do not hide one",
    arguments: [
      "CT-20261123-191212121212.dcm", "191212121212-1", "1-191212121212", "191212121212-1912121212",
      "4711-19121212-1212", "191212-1212-4711", "12-121212+1212",
    ])
  func joined(_ text: String) {
    let scrubbed = Scrubber.scrub(text)
    #expect(scrubbed.contains("[personnummer]"))
    #expect(!scrubbed.contains("1212"))
  }

  @Test(
    "Dots alone make no UID",
    arguments: [
      "191212121212.1.dcm", "exam 12.191212121212", "191212121212.1.2", "9.191212-1212",
      "121212-1212.5", "1.191212121212", "see 3.4.121212-1212",
    ])
  func dotted(_ text: String) {
    let scrubbed = Scrubber.scrub(text)
    #expect(scrubbed.contains("[personnummer]"))
    #expect(!scrubbed.contains("1212"))
  }

  @Test("A text of numbers and dots without end is looked through in a moment")
  func long() {
    let text = String(repeating: "1212121212.", count: 20_000)
    #expect(!Scrubber.scrub(text).contains("1212"))
  }

  @Test(
    "UIDs, accession numbers, times and other numbers stay",
    arguments: [
      "1.2.826.0.1.3680043.191212121212.5", "1.2.752.24.7.191212121212", "1.2.1212121212",
      // Sixteen digits, as SECTRA's accession numbers have.
      "1912121212121234", "SE2321000131-E000000000001", "2026-11-23T07:30:00.000Z",
      // No such month, or no such day.
      "191213121212", "191212321212", "191212001212", "191212601212", "191212921212",
      "12345678901", "127.0.0.1:11112", "status A801", "",
    ])
  func others(_ text: String) {
    #expect(Scrubber.scrub(text) == text)
  }

  @Test("Every number of a text is taken out, and nothing else")
  func several() {
    #expect(
      Scrubber.scrub("a 191212121212 b 121212-1212, c 1.2.3")
        == "a [personnummer] b [personnummer], c 1.2.3")
  }

  @Test("A personal number is judged, never refused")
  func validity() {
    #expect(Personnummer.validity("191212121212") == .valid)
    #expect(Personnummer.validity("121212-1212") == .valid)
    #expect(Personnummer.validity("191212121213") == .wrongChecksum)
    #expect(Personnummer.validity("191212721219") == .coordination)
    #expect(Personnummer.validity("19121212K121") == .reserve)
    #expect(Personnummer.validity("") == .reserve)
  }
}
