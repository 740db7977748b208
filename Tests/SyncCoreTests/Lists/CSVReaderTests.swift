import Testing

@testable import SyncCore

@Suite struct CSVReaderTests {
  private func records(
    _ bytes: [UInt8], isWindows1252: Bool = false, pieces: Int = .max
  ) throws(CSVReader.Failure) -> [[String]] {
    var rest = bytes[...]
    var reader = CSVReader(separator: UInt8(ascii: ";"), isWindows1252: isWindows1252) { buffer in
      let count = min(pieces, buffer.count, rest.count)
      buffer.copyBytes(from: rest.prefix(count))
      rest = rest.dropFirst(count)
      return count
    }
    var records: [[String]] = []
    while let record = try reader.next() { records.append(record) }
    return records
  }

  @Test("Quotes hold separators, line ends and doubled quotes; lines end either way")
  func quoting() throws {
    let text = "a;\"b;\"\"c\"\"\r\nd\"\r\n;\"\"\n\n x ;y"
    #expect(
      try records(Array(text.utf8)) == [["a", "b;\"c\"\r\nd"], ["", ""], [" x ", "y"]])
  }

  @Test("A separator at the end of the file stands before an empty field")
  func lastField() throws {
    #expect(try records(Array("a;".utf8)) == [["a", ""]])
  }

  @Test(
    "Damage is refused where it begins",
    arguments: [
      ("a\nb;\"c\nd", 2, "not closed"), ("a\nb\"c\n", 2, "middle"),
      ("\"a\nb\"x\n", 1, "closing quote"), ("a\rb\n", 1, "carriage return"),
      ("a\nb\0\n", 2, "NUL"), ("\"a\0\"\n", 1, "NUL"),
    ])
  func damage(_ text: String, _ line: Int, _ what: String) throws {
    let error = try #require(throws: CSVReader.Failure.self) { try records(Array(text.utf8)) }
    #expect(error.line == line)
    #expect(error.message.contains(what))
  }

  @Test("A field beyond every bound is refused, quoted or not")
  func longFields() throws {
    let long = [UInt8](repeating: UInt8(ascii: "a"), count: CSVReader.longestField + 1)
    for bytes in [long, [0x22] + long + [0x22]] {
      #expect(throws: CSVReader.Failure.self) { try records(bytes) }
    }
  }

  @Test("Where the bytes are parted into pieces makes no difference")
  func pieces() throws {
    let text =
      "a;\"b;\"\"c\"\"\r\nd\"\r\n\n;\"\"\r\nåäö;\(String(repeating: "x", count: 70)); y\n1;2;"
    let whole = try records(Array(text.utf8))
    #expect(whole.count == 4)
    for size in 1..<40 { #expect(try records(Array(text.utf8), pieces: size) == whole) }
    // Longer than the buffer, many times over.
    let long = (0..<40).map { "\($0);" + String(repeating: "\($0 % 10)", count: 20_000) }
    let read = try records(Array(long.joined(separator: "\n").utf8))
    #expect(read.map { $0.joined(separator: ";") } == long)
  }

  @Test("windows-1252 is decoded, also above Latin-1; bytes it does not have are refused")
  func windows1252() throws {
    let bytes: [UInt8] = [0xC5, 0x6B, 0x65, 0x73, 0x73, 0x6F, 0x6E, 0x20, 0x80, 0x96]
    #expect(try records(bytes, isWindows1252: true) == [["Åkesson €–"]])
    #expect(throws: CSVReader.Failure.self) { try records(bytes) }
    for byte in [0x81, 0x8D, 0x8F, 0x90, 0x9D] as [UInt8] {
      #expect(throws: CSVReader.Failure.self) { try records([0x41, byte], isWindows1252: true) }
    }
  }

  @Test("The encoding of a file is seen: a mark, UTF-8 or windows-1252; UTF-16 is refused")
  func detection() throws {
    let folder = try DropFolder()
    let text = "US-nummer;Undersökning\nA1;Hjärna\n"
    let latin = text.unicodeScalars.map { UInt8($0.value) }
    for content in [Array(text.utf8), [0xEF, 0xBB, 0xBF] + Array(text.utf8), latin] {
      try folder.drop(DropFolder.proved(content, rows: 1))
      #expect(try folder.read(folder.source()).get().rows[0].description == "Hjärna")
    }
    #expect(folder.read(folder.source { $0.encoding = .utf8 }).failure != nil)
    let units = text.utf16.flatMap { unit -> [UInt8] in [UInt8(unit & 255), UInt8(unit >> 8)] }
    let wide: [UInt8] = [0xFF, 0xFE] + units
    try folder.drop(DropFolder.proved(wide, rows: 1))
    #expect(folder.read(folder.source()).failure?.message.contains("UTF-16") == true)
  }

  @Test("The separator is the one that parts the headings", arguments: [";", ",", "\t"])
  func separators(_ separator: String) throws {
    let text = ["US-nummer", "Status"].joined(separator: separator) + "\nA1\(separator)x\n"
    #expect(try DropFolder().read(text, rows: 1).get().rows[0].status == "x")
  }
}
