import Glibc
import Platform
import TestSupport
import Testing

@testable import SyncCore

@Suite struct CSVDropSourceTests {
  static let two = "US-nummer;Personnummer;Namn\n0012_A;191212121212;Tolvan\n0013_B;;Ärla\n"

  @Test("Identifiers keep their zeros, underscores and prefixes")
  func identifiersAreOpaque() throws {
    let folder = try DropFolder()
    let snapshot = try folder.read(Self.two, rows: 2).get()
    #expect(snapshot.rows.map(\.examination) == ["0012_A", "0013_B"])
    #expect(snapshot.rows.map(\.patientID) == ["191212121212", nil])
    #expect(snapshot.asOf == DropFolder.made)
  }

  @Test("A file cut at any byte never gives a snapshot with fewer rows")
  func cutAnywhere() throws {
    let folder = try DropFolder()
    let whole = DropFolder.proved(Self.two, rows: 2)
    for length in 0..<whole.count {
      try folder.drop(whole[..<length])
      let result = folder.read(folder.source())
      #expect(result.failure != nil, "cut after \(length) bytes")
    }
    try folder.drop(whole)
    #expect(try folder.read(folder.source()).get().rows.count == 2)
  }

  @Test("A flipped bit never changes what is on the list")
  func flippedBits() throws {
    let folder = try DropFolder()
    let whole = DropFolder.proved(Self.two, rows: 2)
    let right = try folder.read(Self.two, rows: 2).get().rows
    let trailer = whole.count - Array(whole.reversed()).dropFirst().firstIndex(of: 0x0A)!
    for bit in 0..<whole.count * 8 {
      var bytes = whole
      bytes[bit / 8] ^= 1 << UInt8(bit % 8)
      try folder.drop(bytes)
      let result = folder.read(folder.source())
      if bit / 8 < trailer {
        #expect(result.failure != nil, "bit \(bit % 8) of byte \(bit / 8)")
      } else if case .success(let snapshot) = result {
        // The trailer is not under the digest: its time may differ, its rows may not.
        #expect(snapshot.rows == right)
      }
    }
  }

  @Test("A sidecar of either name proves a file without a trailer", arguments: [".json", ".meta"])
  func sidecar(_ suffix: String) throws {
    let folder = try DropFolder()
    try folder.drop(Self.two.utf8)
    #expect(folder.read(folder.source()).failure?.message.contains("nothing proves") == true)
    let digest = SHA256.hex(SHA256.hash(Array(Self.two.utf8)))
    try folder.drop(
      #"{"rows":2,"sha256":"\#(digest)","generatedAt":"2026-11-23T07:30:00Z"}"#.utf8,
      as: "list.csv\(suffix)")
    #expect(try folder.read(folder.source()).get().rows.count == 2)
    // A pattern that takes in the sidecar does not take the sidecar for a list.
    #expect(try folder.read(folder.source { $0.pattern = "list*" }).get().rows.count == 2)
    try folder.drop(Self.two.dropLast(12).utf8)
    #expect(folder.read(folder.source()).failure?.message.contains("digest") == true)
  }

  @Test("Rows other than announced, and times out of bounds, are refused")
  func proofIsHeldTo() throws {
    let folder = try DropFolder()
    #expect(
      try folder.read(Self.two, rows: 3).failure?.message.contains("the proof says 3") == true)
    _ = try folder.read(Self.two, rows: 2).get()
    folder.clock.set(DropFolder.made + .seconds(240))
    _ = try folder.read(folder.source()).get()
    folder.clock.set(DropFolder.made + .seconds(241))
    #expect(folder.read(folder.source()).failure?.message.contains("has the robot stopped") == true)
    folder.clock.set(DropFolder.made + .seconds(-300))
    _ = try folder.read(folder.source()).get()
    folder.clock.set(DropFolder.made + .seconds(-301))
    #expect(folder.read(folder.source()).failure?.message.contains("future") == true)
  }

  @Test("An unchanged file is not read again, but its age still counts")
  func unchanged() throws {
    let folder = try DropFolder()
    let identity = try folder.read(Self.two, rows: 2).get().identity
    let source = folder.source()
    // What cannot be opened has not been opened.
    guard case .unchanged = try source.read(deadline: .never, previous: identity) else {
      Issue.record("read again")
      return
    }
    folder.clock.set(DropFolder.made + .seconds(241))
    #expect(folder.read(source, previous: identity).failure?.message.contains("stopped") == true)
    folder.clock.set(DropFolder.made)
    // The same size and name, renamed into place: another file.
    let other = Self.two.replacing("0012_A", with: "0099_A")
    try folder.drop(DropFolder.proved(other, rows: 2), as: "list.tmp")
    #expect(rename(folder.directory.file("list.tmp"), folder.directory.file("list.csv")) == 0)
    let read = try folder.read(source, previous: identity).get()
    #expect(read.rows[0].examination == "0099_A")
    #expect(read.identity != identity)
  }

  @Test("The newest file counts, even where it is not whole")
  func newest() throws {
    let folder = try DropFolder()
    try folder.drop(DropFolder.proved(Self.two, rows: 2), as: "a.csv")
    folder.setWritten("a.csv", DropFolder.made + .seconds(-10))
    try folder.drop("US-nummer\n".utf8, as: "b.csv")
    #expect(folder.read(folder.source()).failure?.place.hasSuffix("b.csv") == true)
    unlink(folder.directory.file("b.csv"))
    #expect(try folder.read(folder.source()).get().rows.count == 2)
    unlink(folder.directory.file("a.csv"))
    #expect(folder.read(folder.source()).failure?.message.contains("no file matches") == true)
  }

  @Test("Something else than a file is passed over, and does not hang the read")
  func pipes() throws {
    let folder = try DropFolder()
    #expect(mkfifo(folder.directory.file("list.csv"), 0o600) == 0)
    #expect(folder.read(folder.source()).failure?.message.contains("no file matches") == true)
  }

  @Test("A read past its deadline ends")
  func deadline() throws {
    let folder = try DropFolder()
    try folder.drop(DropFolder.proved(Self.two, rows: 2))
    let source = folder.source()
    #expect(throws: ListReadError.self) {
      try source.read(deadline: .at(MonotonicTime(nanoseconds: 1)), previous: nil)
    }
  }

  @Test("A file without headings does not put its patients into the error")
  func noPatientsInErrors() throws {
    let folder = try DropFolder()
    let bare = "0012;191212121212;Tolvan Tolvansson;\n0013;191212121212;Tolvan Tolvansson;\n"
    let first = try #require(try folder.read(bare, rows: 1).failure)
    #expect(first.message.contains("US-nummer"))
    for secret in ["Tolvan", "191212121212", "0012"] {
      #expect(!first.description.contains(secret))
    }
    let twice = "Tolvan Tolvansson;Tolvan Tolvansson;0012\n"
    let second = try #require(try folder.read(twice, rows: 0).failure)
    #expect(!second.description.contains("Tolvan"))
  }

  @Test("20 000 rows are read, and an unchanged cycle costs next to nothing")
  func large() throws {
    let folder = try DropFolder()
    var text = "US-nummer;Personnummer;Namn;Undersökning\n"
    for number in 0..<20_000 {
      text += "SEVGR\(1_000_000 + number);191212121212;Tolvan Tolvansson;\"DT; thorax\"\n"
    }
    let snapshot = try folder.read(text, rows: 20_000).get()
    #expect(snapshot.rows.count == 20_000)
    #expect(snapshot.rows.last?.description == "DT; thorax")
    let start = MonotonicTime.now
    let source = folder.source()
    for _ in 0..<100 { _ = try source.read(deadline: .never, previous: snapshot.identity) }
    // Reading in full takes far longer than this once, unoptimised or not.
    #expect(MonotonicTime.now - start < .seconds(1))
  }
}
