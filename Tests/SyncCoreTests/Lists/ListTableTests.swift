import TestSupport
import Testing

@testable import SyncCore

@Suite struct ListTableTests {
  private func read(
    _ content: String, rows: Int, _ change: (inout Configuration.CSVDrop) -> Void = { _ in }
  ) throws -> Result<ListSnapshot, ListReadError> {
    try DropFolder().read(content, rows: rows, change)
  }

  @Test(
    "A number that a spreadsheet has made is refused, with line and column",
    arguments: ["2,02E+08", "1.91E+11", "2e+15", "20260012.0", "20260012,0"])
  func spreadsheet(_ damaged: String) throws {
    let quoted = "\"\(damaged)\""
    for heading in ["US-nummer", "Personnummer", "Remissnummer"] {
      var fields = ["US-nummer": "A1", "Personnummer": "", "Remissnummer": ""]
      fields[heading] = quoted
      let names = ["US-nummer", "Personnummer", "Remissnummer"]
      let text =
        names.joined(separator: ";") + "\n" + names.map { fields[$0]! }.joined(separator: ";")
        + "\n"
      let error = try #require(try read(text, rows: 1).failure)
      #expect(error.place.hasSuffix("list.csv:2"))
      #expect(error.message.contains(heading))
      #expect(!error.message.contains(damaged))
    }
  }

  @Test(
    "What only resembles a spreadsheet's number is an identifier",
    arguments: ["2026E-12", "E+12", "2E+", "1.2.840.10008.0", "20260012-0", "12E34", "0.0A"])
  func notDamage(_ number: String) throws {
    #expect(try read("US-nummer\n\(number)\n", rows: 1).get().rows[0].examination == number)
  }

  @Test("A Study UID may end in .0")
  func studyUID() throws {
    let text = "US-nummer;Study UID\nA1;1.0\n"
    #expect(try read(text, rows: 1).get().rows[0].studyUID == "1.0")
  }

  @Test("Lost zeros are seen by the configured length, or by a twin that has them")
  func lostZeros() throws {
    let mixed = "US-nummer\n00123456\n1234567\n"
    #expect(try read(mixed, rows: 2).get().rows.count == 2)
    let error = try #require(try read(mixed, rows: 2) { $0.numberLength = 8 }.failure)
    #expect(error.place.hasSuffix(":3"))
    for twins in ["00123456\n123456\n", "123456\n00123456\n", "0123456\n00123456\n"] {
      let error = try #require(try read("US-nummer\n\(twins)", rows: 2).failure)
      #expect(error.message.contains("zeros"))
    }
    // Letters make it no number: nothing takes zeros away from those.
    #expect(try read("US-nummer\n00A1\n0A1\nA1\n", rows: 3).get().rows.count == 3)
  }

  @Test("The same row twice counts once; the same number with other content is refused")
  func duplicates() throws {
    let same = "US-nummer;Status\nA1;Utförd\nA1;Utförd\n"
    #expect(try read(same, rows: 2).get().rows.count == 1)
    let other = "US-nummer;Status\nA1;Utförd\nA2;Utförd\nA1;Signerad\n"
    let error = try #require(try read(other, rows: 3).failure)
    #expect(error.place.hasSuffix(":4"))
  }

  @Test("A row of another width is refused")
  func ragged() throws {
    for row in ["A1", "A1;b;c"] {
      let error = try #require(try read("US-nummer;Status\n\(row)\n", rows: 1).failure)
      #expect(error.place.hasSuffix(":2"))
    }
  }

  @Test("A row without a usable number is refused alone, with its reason")
  func refusedRows() throws {
    let text = "US-nummer;Status\nA1;x\n;x\n12345678901234567;x\n\"A\t2\";x\n"
    let snapshot = try read(text, rows: 4).get()
    #expect(snapshot.rows.map(\.examination) == ["A1"])
    #expect(snapshot.refusedRows.map(\.line) == [3, 4, 5])
    #expect(snapshot.refusedRows[1].reason.contains("longer than 16"))
    #expect(snapshot.refusedRows[2].reason.contains("control character"))
  }

  @Test("Headings are found in any case and order, and by the configured name")
  func headings() throws {
    let text = "status,US-NUMMER,extra\nUtförd,A1,x\n"
    let row = try read(text, rows: 1).get().rows[0]
    #expect(row.examination == "A1")
    #expect(row.status == "Utförd")
    let named = "accession\nA1\n"
    let snapshot = try read(named, rows: 1) { $0.columns["examination"] = "Accession" }.get()
    #expect(snapshot.rows.map(\.examination) == ["A1"])
  }
}
