import Testing

@testable import HL7

@Suite("HL7 escape sequences")
struct HL7EscapeTests {
  private func encode(_ text: String) -> String {
    String(decoding: HL7Escape.encode(Array(text.utf8)), as: UTF8.self)
  }

  private func decode(_ text: String) -> String {
    String(decoding: HL7Escape.decode(Array(text.utf8)[...]), as: UTF8.self)
  }

  @Test(
    "delimiters, line ends and control characters are escaped",
    arguments: [
      ("|", "\\F\\"), ("^", "\\S\\"), ("&", "\\T\\"), ("~", "\\R\\"), ("\\", "\\E\\"),
      ("\\F\\", "\\E\\F\\E\\"), ("a|b^c&d~e\\f", "a\\F\\b\\S\\c\\T\\d\\R\\e\\E\\f"),
      ("\r", "\\.br\\"), ("\n", "\\.br\\"), ("\r\n", "\\.br\\"), ("\n\r", "\\.br\\\\.br\\"),
      ("\u{0B}x\u{1C}", "\\X0B\\x\\X1C\\"), ("\u{7F}\t\u{0}", "\\X7F\\\\X09\\\\X00\\"),
      ("Åsa", "Åsa"), ("", ""),
    ])
  func encoding(_ plain: String, _ escaped: String) {
    #expect(encode(plain) == escaped)
  }

  @Test(
    "escape sequences are undone in one pass",
    arguments: [
      ("\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\"), ("\\E\\F\\E\\", "\\F\\"),
      ("\\E\\X41\\E\\", "\\X41\\"),
      ("a\\.br\\b\\.BR\\c", "a\nb\nc"), ("\\X0D0A\\", "\r\n"), ("\\X41\\\\X5c\\F\\X5C\\", "A\\F\\"),
      ("\\XC3A5\\", "å"), ("\\H\\bold\\N\\ not", "bold not"), ("", ""),
    ])
  func decoding(_ escaped: String, _ plain: String) {
    #expect(decode(escaped) == plain)
  }

  @Test(
    "what is no escape sequence is left as it is",
    arguments: [
      "\\", "\\\\", "C:\\temp", "C:\\temp\\x", "\\Q\\", "\\X\\", "\\X4\\", "\\X414\\", "\\XGG\\",
      "\\.sp3\\", "\\f\\", "\\ F\\", "\\C2842\\", "\\Zx\\", "50 \\ 60", "\\F",
    ])
  func tolerance(_ text: String) {
    #expect(decode(text) == text)
  }

  @Test("a sequence of a kind that is not undone here stays whole")
  func keptWhole() {
    #expect(decode("\\Z1\\F\\X41\\") == "\\Z1\\FA")
    #expect(decode("\\C2842\\F\\F\\") == "\\C2842\\F|")
  }

  @Test("an escape sequence after a stray escape character is still understood")
  func afterStray() {
    #expect(decode("a\\b\\F\\c") == "a\\b|c")
    #expect(decode("\\\\F\\") == "\\|")
  }

  @Test("other delimiters have the same letters")
  func otherDelimiters() throws {
    let message = try Samples.message("MSH#*+!%#\r")
    let escaped = HL7Escape.encode(Array("#*+!%|^".utf8), message.delimiters)
    #expect(String(decoding: escaped, as: UTF8.self) == "!F!!S!!R!!E!!T!|^")
    #expect(HL7Escape.decode(escaped[...], message.delimiters) == Array("#*+!%|^".utf8))
  }

  @Test("a slice is decoded by itself")
  func slices() {
    let bytes = Array("\\F\\ab\\S\\".utf8)
    #expect(HL7Escape.decode(bytes[3...]) == Array("ab^".utf8))
    #expect(HL7Escape.decode(bytes[..<4]) == Array("|a".utf8))
    #expect(HL7Escape.decode(bytes[1..<4]) == Array("F\\a".utf8))
  }
}
