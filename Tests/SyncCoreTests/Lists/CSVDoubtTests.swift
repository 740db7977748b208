import Glibc
import Platform
import TestSupport
import Testing

@testable import SyncCore

@Suite("A doubtful CSV drop is no snapshot")
struct CSVDoubtTests {
  static let two = "US-nummer;Status\n00012;Utförd\n00013;Signerad\n"

  private func sidecar(_ content: String, rows: String, made: String = "2026-11-23T07:30:00Z")
    -> String
  {
    let digest = SHA256.hex(SHA256.hash(Array(content.utf8)))
    return #"{"rows":\#(rows),"sha256":"\#(digest)","generatedAt":"\#(made)"}"#
  }

  @Test("A file with Windows line ends, cut at any byte, is refused")
  func cutWindows() throws {
    let folder = try DropFolder()
    let content = Array(Self.two.replacing("\n", with: "\r\n").utf8)
    let whole = DropFolder.proved(content, rows: 2).dropLast() + Array("\r\n".utf8)
    try folder.drop(whole)
    #expect(try folder.read(folder.source()).get().rows.map(\.status) == ["Utförd", "Signerad"])
    for length in 0..<whole.count {
      try folder.drop(whole[..<length])
      #expect(folder.read(folder.source()).failure != nil, "cut after \(length) bytes")
    }
  }

  @Test("A file proved by a sidecar, cut at any byte of either, is refused")
  func cutWithSidecar() throws {
    let folder = try DropFolder()
    let whole = Array(Self.two.utf8)
    let proof = Array(sidecar(Self.two, rows: "2").utf8)
    try folder.drop(proof, as: "list.csv.json")
    for length in 0..<whole.count {
      try folder.drop(whole[..<length])
      #expect(folder.read(folder.source()).failure != nil, "list cut after \(length) bytes")
    }
    try folder.drop(whole)
    for length in 0..<proof.count {
      try folder.drop(proof[..<length], as: "list.csv.json")
      #expect(folder.read(folder.source()).failure != nil, "proof cut after \(length) bytes")
    }
    try folder.drop(proof, as: "list.csv.json")
    #expect(try folder.read(folder.source()).get().rows.count == 2)
  }

  @Test("A flipped bit in a trailer gives no snapshot, unless one of the same rows and no newer")
  func flippedTrailer() throws {
    let folder = try DropFolder()
    // Ten hours old by the time it is read, and written when it was made.
    folder.clock.set(DropFolder.made + .seconds(10 * 3600))
    let whole = DropFolder.proved(Array(Self.two.utf8), rows: 2)
    for bit in 0..<whole.count * 8 {
      var bytes = whole
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      try folder.drop(bytes)
      // An old list must not become a new one.
      #expect(folder.read(folder.source()).failure != nil, "bit \(bit % 8) of byte \(bit / 8)")
    }
  }

  @Test(
    "A trailer that is not one is refused without being shown",
    arguments: [
      "#Tolvan Tolvansson", "#rows=2", "#rows=2;rows=2", "#rows=-2;sha256=DIGEST;generatedAt=TIME",
      "#rows=2;sha256=DIGES;generatedAt=TIME", "#rows=2;sha256=DIGEST;generatedAt=today",
      "#rows=two;sha256=DIGEST;generatedAt=TIME", "#rows=2;sha256=DIGEST;generatedAt=TIME;Tolvan",
      "#sha256=DIGEST;generatedAt=TIME",
      "#rows=99999999999999999999;sha256=DIGEST;generatedAt=TIME",
      "#", "#;", "#=;=",
    ])
  func malformedTrailer(_ text: String) throws {
    let folder = try DropFolder()
    let digest = SHA256.hex(SHA256.hash(Array(Self.two.utf8)))
    let line = text.replacing("DIGEST", with: digest)
      .replacing("DIGES", with: String(digest.dropLast()))
      .replacing("TIME", with: "2026-11-23T07:30:00Z")
    try folder.drop((Self.two + line + "\n").utf8)
    let failure = try #require(folder.read(folder.source()).failure)
    #expect(failure.message.contains("its proof is not one"))
    #expect(!failure.description.contains("Tolvan"))
  }

  @Test("A digest may be of large letters, as PowerShell writes it, but not of both")
  func digestCase() throws {
    let folder = try DropFolder()
    let digest = SHA256.hex(SHA256.hash(Array(Self.two.utf8)))
    func drop(_ digest: String) throws {
      let trailer = "#rows=2;sha256=\(digest);generatedAt=2026-11-23T07:30:00Z\n"
      try folder.drop((Self.two + trailer).utf8)
    }
    try drop(digest.uppercased())
    #expect(try folder.read(folder.source()).get().rows.count == 2)
    let letter = try #require(digest.firstIndex { $0.isLetter })
    var mixed = digest
    mixed.replaceSubrange(letter...letter, with: digest[letter].uppercased())
    try drop(mixed)
    #expect(folder.read(folder.source()).failure != nil)
  }

  @Test(
    "A sidecar that is not one is refused",
    arguments: [
      "", "[]", "{}", "{\"rows\":2", #"{"rows":2,"rows":2}"#, #"{"rows":2.5}"#, #"{"rows":"x"}"#,
      #"{"rows":2,"sha256":"00","generatedAt":"2026-11-23T07:30:00Z"}"#,
    ])
  func malformedSidecar(_ text: String) throws {
    let folder = try DropFolder()
    try folder.drop(Self.two.utf8)
    try folder.drop(text.utf8, as: "list.csv.json")
    #expect(
      folder.read(folder.source()).failure?.message.contains("its proof is not one") == true)
  }

  @Test("A sidecar is held to the rows, the digest and the time as a trailer is")
  func sidecarIsHeldTo() throws {
    let folder = try DropFolder()
    try folder.drop(Self.two.utf8)
    func read(_ proof: String) throws -> String? {
      try folder.drop(proof.utf8, as: "list.csv.json")
      return folder.read(folder.source()).failure?.message
    }
    #expect(try read(sidecar(Self.two, rows: "2")) == nil)
    #expect(try read(sidecar(Self.two, rows: "\"2\"")) == nil)
    #expect(try read(sidecar(Self.two, rows: "1"))?.contains("2 rows") == true)
    #expect(try read(sidecar(Self.two + "x", rows: "2"))?.contains("digest") == true)
    #expect(
      try read(sidecar(Self.two, rows: "2", made: "2026-11-23T07:20:00Z"))?.contains("stopped")
        == true)
    #expect(
      try read(sidecar(Self.two, rows: "2", made: "2026-11-23T07:40:00Z"))?.contains("future")
        == true)
  }

  @Test("A time later than the file was written is a damaged one")
  func laterThanWritten() throws {
    let folder = try DropFolder()
    try folder.drop(DropFolder.proved(Array(Self.two.utf8), rows: 2))
    folder.setWritten("list.csv", DropFolder.made + .seconds(-300))
    #expect(try folder.read(folder.source()).get().rows.count == 2)
    folder.setWritten("list.csv", DropFolder.made + .seconds(-301))
    #expect(folder.read(folder.source()).failure?.message.contains("damaged") == true)
    // What proves it may be written later than it.
    try folder.drop(Self.two.utf8)
    folder.setWritten("list.csv", DropFolder.made + .seconds(-3600))
    try folder.drop(sidecar(Self.two, rows: "2").utf8, as: "list.csv.json")
    #expect(try folder.read(folder.source()).get().rows.count == 2)
  }

  @Test("A sidecar that is renewed, or gone, makes the same file another one")
  func renewedSidecar() throws {
    let folder = try DropFolder()
    try folder.drop(Self.two.utf8)
    try folder.drop(sidecar(Self.two, rows: "2").utf8, as: "list.csv.json")
    let first = try folder.read(folder.source()).get()
    #expect(folder.read(folder.source(), previous: first.identity).failure?.message == "unchanged")
    folder.clock.set(DropFolder.made + .seconds(300))
    let renewed = sidecar(Self.two, rows: "2", made: "2026-11-23T07:34:00Z")
    try folder.drop(renewed.utf8, as: "list.csv.json")
    folder.setWritten("list.csv.json", DropFolder.made + .seconds(240))
    let second = try folder.read(folder.source(), previous: first.identity).get()
    #expect(second.asOf == DropFolder.made + .seconds(240))
    #expect(second.snapshotID != first.snapshotID)
    unlink(folder.directory.file("list.csv.json"))
    #expect(
      folder.read(folder.source(), previous: second.identity).failure?.message
        .contains("nothing proves") == true)
  }

  @Test("An unchanged file is known by a name with letters beyond ASCII")
  func unchangedName() throws {
    let folder = try DropFolder()
    try folder.drop(DropFolder.proved(Array(Self.two.utf8), rows: 2), as: "lista åäö.csv")
    let identity = try folder.read(folder.source()).get().identity
    #expect(folder.read(folder.source(), previous: identity).failure?.message == "unchanged")
  }

  @Test("A list of nothing, proved, is a snapshot of no rows; without headings it is not")
  func empty() throws {
    let folder = try DropFolder()
    let snapshot = try folder.read("US-nummer;Status\n", rows: 0).get()
    #expect(snapshot.rows.isEmpty)
    #expect(snapshot.refusedRows.isEmpty)
    #expect(try folder.read("", rows: 0).failure != nil)
    #expect(try folder.read("\n\n", rows: 0).failure != nil)
  }

  @Test("Two snapshots of the same content at different times are two pieces of evidence")
  func snapshotIDs() throws {
    let folder = try DropFolder()
    let content = Array(Self.two.utf8)
    let first = try folder.read(Self.two, rows: 2).get()
    try folder.drop(DropFolder.proved(content, rows: 2))
    let again = try folder.read(folder.source()).get()
    #expect(again.snapshotID == first.snapshotID)
    try folder.drop(DropFolder.proved(content, rows: 2, made: "2026-11-23T07:30:01Z"))
    #expect(try folder.read(folder.source()).get().snapshotID != first.snapshotID)
  }

  @Test("A byte order mark is believed, whatever encoding is configured")
  func mark() throws {
    let folder = try DropFolder()
    let text = "\u{FEFF}Undersökning;US-nummer\nHjärna €;A1\n"
    for encoding in Configuration.CSVDrop.Encoding.allCases {
      let row = try folder.read(text, rows: 1) { $0.encoding = encoding }.get().rows[0]
      #expect(row.description == "Hjärna €", "\(encoding)")
    }
  }

  @Test("A file longer than what is read at a time is one file: its encoding, proof and last row")
  func longFile() throws {
    let folder = try DropFolder()
    let lines = (0..<20_000).map { "A\($0);DT thorax, \($0)\n" }.joined()
    let body = "US-nummer;Undersökning\n".unicodeScalars.map { UInt8($0.value) } + Array(lines.utf8)
    // What tells the encoding stands in the first line, or only in the last.
    for content in [body, Array("US-nummer;Undersokning\n\(lines)".utf8)] {
      let last = content + [0x41, 0x3B, 0x48, 0x6A, 0xE4, 0x72, 0x6E, 0x61, 0x0A]
      try folder.drop(DropFolder.proved(last, rows: 20_001))
      let source = folder.source { $0.columns["description"] = "Undersokning" }
      let snapshot = try folder.read(content == body ? folder.source() : source).get()
      #expect(snapshot.rows.count == 20_001)
      #expect(snapshot.rows[12_345].examination == "A12345")
      #expect(snapshot.rows.last?.description == "Hjärna")
      // One bit, anywhere in it, whether or not the file can be parsed thereafter.
      for place in [5, last.count / 2, last.count - 3] {
        for bit in [UInt8(1), 0x80] {
          var damaged = DropFolder.proved(last, rows: 20_001)
          damaged[place] ^= bit
          try folder.drop(damaged)
          #expect(folder.read(source).failure?.message.contains("digest") == true)
        }
      }
    }
  }

  @Test("Damage is told before age, and age before content")
  func order() throws {
    let folder = try DropFolder()
    let content = Array("US-nummer\n\"A1\n".utf8)
    let old = DropFolder.proved(content, rows: 1, made: "2026-11-23T07:00:00Z")
    try folder.drop(old)
    #expect(folder.read(folder.source()).failure?.message.contains("longer ago") == true)
    try folder.drop([old[0] ^ 1] + old.dropFirst())
    #expect(folder.read(folder.source()).failure?.message.contains("digest") == true)
    try folder.drop(DropFolder.proved(content, rows: 1))
    #expect(folder.read(folder.source()).failure?.message.contains("not closed") == true)
  }

  @Test("UTF-16 without a mark is refused with words as well")
  func utf16() throws {
    let folder = try DropFolder()
    let bytes = "US-nummer;Status\nA1;x\n".utf16.flatMap { [UInt8($0 & 0xFF), UInt8($0 >> 8)] }
    try folder.drop(DropFolder.proved(bytes + [0x0A], rows: 1))
    #expect(folder.read(folder.source()).failure?.message.contains("UTF-16") == true)
    try folder.drop([0xFF, 0xFE] + bytes)
    #expect(folder.read(folder.source()).failure?.message.contains("UTF-16") == true)
  }

  @Test("A separator inside quoted headings does not count")
  func quotedHeading() throws {
    let folder = try DropFolder()
    let text = "\"US-nummer\";\"Namn, för, efter\"\nA1;\"Tolvansson, Tolvan, x\"\n"
    #expect(try folder.read(text, rows: 1).get().rows[0].examination == "A1")
  }

  @Test("A carriage return alone ends no row, quoted or not", arguments: ["A1", "\"A1\""])
  func carriageReturn(_ number: String) throws {
    let folder = try DropFolder()
    let failure = try folder.read("US-nummer\n\(number)\rA2\n", rows: 2).failure
    #expect(failure?.message.contains("carriage return") == true)
  }

  @Test(
    "A number with decimals of noughts comes from a spreadsheet",
    arguments: ["20260012,00", "20260012.000"])
  func decimals(_ number: String) throws {
    let folder = try DropFolder()
    let failure = try folder.read("US-nummer\n\"\(number)\"\n", rows: 1).failure
    #expect(failure?.message.contains("spreadsheet") == true)
  }

  @Test("A hundred thousand rows are read")
  func large() throws {
    let folder = try DropFolder()
    var bytes = Array("US-nummer;Status\n".utf8)
    for number in 100_000..<200_000 { bytes += Array("\(number);Utförd\r\n".utf8) }
    try folder.drop(DropFolder.proved(bytes, rows: 100_000))
    let rows = try folder.read(folder.source()).get().rows
    #expect(rows.count == 100_000)
    #expect(rows.first?.examination == "100000")
    #expect(rows.last?.examination == "199999")
  }
}
