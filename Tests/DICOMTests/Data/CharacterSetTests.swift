import Testing

@testable import DICOM

@Suite("Specific Character Set")
struct CharacterSetTests {
  private func name(_ terms: String, _ text: String) throws -> DataSet {
    var dataSet = DataSet()
    try dataSet.set(.specificCharacterSet, texts: terms.split(separator: "\\").map(String.init))
    if terms.hasPrefix("\\") { dataSet.setBytes(.specificCharacterSet, .CS, Array(terms.utf8)) }
    try dataSet.set(.patientName, text)
    return dataSet
  }

  @Test(
    "text goes out and comes back in every set it can be written in",
    arguments: [
      ("ISO_IR 100", "Åkesson^Örjan"), ("ISO_IR 192", "Åkesson^小东"),
      ("ISO_IR 101", "Wałęsa^Łucja"), ("ISO_IR 109", "Ġorġ^Ħ"), ("ISO_IR 110", "Ķēniņš^Ž"),
      ("ISO_IR 144", "Люкceмбypг"), ("ISO_IR 127", "قباني^لنزار"), ("ISO_IR 126", "Διονυσιος"),
      ("ISO_IR 138", "שרון^דבורה"), ("ISO_IR 148", "Çavuşoğlu^İ"), ("ISO_IR 203", "Œuvre^Š"),
      ("ISO_IR 166", "นามสกุล"), ("GB18030", "王^小东"), ("GBK", "王^小东"),
      ("\\ISO 2022 IR 100", "Åkesson^Örjan"), ("\\ISO 2022 IR 100\\ISO 2022 IR 144", "Å^Люк=Ö"),
    ])
  func roundTrip(terms: String, text: String) throws {
    let dataSet = try name(terms, text)
    #expect(dataSet.string(.patientName) == text)
    #expect(dataSet.characterSet.unknownTerms.isEmpty)
  }

  @Test("Latin 1 is written as the standard says, with and without code extensions")
  func latin1() throws {
    #expect(try name("ISO_IR 100", "Ö^Å").bytes(.patientName) == [0xD6, 0x5E, 0xC5, 0x20])
    #expect(
      try name("\\ISO 2022 IR 100", "ÖÖ^Å").bytes(.patientName)
        == [0x1B, 0x2D, 0x41, 0xD6, 0xD6, 0x5E, 0x1B, 0x2D, 0x41, 0xC5])
  }

  @Test(
    "a character that has no code is an error",
    arguments: [("ISO_IR 100", "Ł"), ("ISO_IR 6", "Ö"), ("\\ISO 2022 IR 100", "Ł"), ("X", "Ö")])
  func unencodable(terms: String, text: String) {
    #expect {
      try name(terms, text)
    } throws: {
      guard let error = $0 as? DataSetError, case .unencodableText = error.reason else {
        return false
      }
      // Errors are logged: the name is not in it.
      return error.tag == .patientName && !"\(error)".contains(text)
    }
  }

  @Test("what cannot be decoded is replaced, and the rest is kept")
  func replacement() throws {
    var dataSet = DataSet()
    dataSet.setBytes(.patientName, .PN, [0x41, 0xD6, 0x42])
    #expect(dataSet.string(.patientName) == "A\u{FFFD}B")
    try dataSet.set(.specificCharacterSet, "ISO_IR 999")
    #expect(dataSet.string(.patientName) == "A\u{FFFD}B")
    #expect(dataSet.characterSet.unknownTerms == ["ISO_IR 999"])
    try dataSet.set(.specificCharacterSet, "ISO_IR 192")
    #expect(dataSet.string(.patientName) == "A\u{FFFD}B")
  }

  @Test("an item has the character set of the data set around it, or its own")
  func inheritance() throws {
    var item = DataSet()
    item.setBytes(.codeMeaning, .LO, [0xD6, 0x20])
    var own = item
    try own.set(.specificCharacterSet, "ISO_IR 144")
    var dataSet = DataSet()
    try dataSet.set(.specificCharacterSet, "ISO_IR 100")
    dataSet.set(.procedureCodeSequence, items: [item, own])
    let texts = dataSet.items(.procedureCodeSequence).map { $0.string(.codeMeaning) }
    #expect(texts == ["Ö", "ж"])
  }

  @Test("values are split, padding goes, and identifiers are left as they are")
  func values() throws {
    var dataSet = DataSet()
    dataSet.setBytes(.imageType, .CS, Array("ORIGINAL\\PRIMARY\\\\AXIAL ".utf8))
    #expect(dataSet.strings(.imageType) == ["ORIGINAL", "PRIMARY", "", "AXIAL"])
    try dataSet.set(.patientID, "001_0")
    #expect(dataSet.bytes(.patientID)?.count == 6)
    #expect(dataSet.string(.patientID) == "001_0")
    try dataSet.set(.studyInstanceUID, "1.2.3")
    #expect(dataSet.bytes(.studyInstanceUID)?.last == 0)
    #expect(dataSet.uid(.studyInstanceUID) == "1.2.3")
    dataSet.setEmpty(.accessionNumber)
    #expect(dataSet.string(.accessionNumber) == nil)
    #expect(dataSet.strings(.accessionNumber) == [])
    try dataSet.set(.patientComments, "a\\b")
    #expect(dataSet.strings(.patientComments) == ["a\\b"])
    try dataSet.set(.sliceThickness, "0.5")
    #expect(dataSet.number(.sliceThickness) == 0.5)
  }
}
