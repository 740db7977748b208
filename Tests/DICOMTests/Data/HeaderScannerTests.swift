import TestSupport
import Testing

@testable import DICOM

@Suite("Header scanner")
struct HeaderScannerTests {
  static let wanted: [DICOM.Tag] = [
    .sopClassUID, .sopInstanceUID, .studyDate, .accessionNumber, .modality, .patientName,
    .patientID, .studyInstanceUID, .seriesInstanceUID, .instanceNumber, .rows,
  ]

  private func scan(
    _ bytes: [UInt8], _ syntax: TransferSyntax, pieces: Int, through last: DICOM.Tag = .rows
  ) throws -> HeaderScanner {
    var scanner = HeaderScanner(syntax, wanted: Self.wanted, through: last)
    var rest = bytes[...]
    while !scanner.isDone, !rest.isEmpty {
      try scanner.push(Array(rest.prefix(pieces)))
      rest = rest.dropFirst(pieces)
    }
    if !scanner.isDone { try scanner.finish() }
    return scanner
  }

  private func sample() throws -> DataSet {
    var inner = DataSet()
    try inner.set(.referencedSOPInstanceUID, "1.2.9")
    try inner.set(.patientID, "not this one")
    var item = DataSet()
    item.set(.referencedSOPSequence, items: [inner, inner])
    var dataSet = DataSet()
    try dataSet.set(.specificCharacterSet, "ISO_IR 100")
    try dataSet.set(.sopInstanceUID, "1.2.3")
    try dataSet.set(.accessionNumber, "A1")
    dataSet.set(.referencedSeriesSequence, items: [item])
    try dataSet.set(.patientName, "Åkesson^Örjan")
    try dataSet.set(.patientID, "191212121212")
    dataSet.set(.rows, uint16: 512)
    dataSet.setBytes(.pixelData, .OW, [UInt8](repeating: 1, count: 4_000))
    return dataSet
  }

  @Test(
    "finds the wanted elements whatever the pieces and the encoding",
    arguments: [
      TransferSyntax.implicitVRLittleEndian, .explicitVRLittleEndian, .explicitVRBigEndian,
      .deflatedExplicitVRLittleEndian,
    ])
  func pieces(syntax: TransferSyntax) throws {
    let bytes = try sample().encoded(as: syntax)
    for piece in [1, 2, 3, 7, 8, 13, 100_000] {
      let header = try scan(bytes, syntax, pieces: piece).header
      #expect(
        header.elements.map(\.tag) == [
          .specificCharacterSet, .sopInstanceUID, .accessionNumber, .patientName, .patientID, .rows,
        ])
      #expect(header.string(.patientName) == "Åkesson^Örjan")
      #expect(header.string(.patientID) == "191212121212")
      #expect(header.integer(.rows) == 512)
    }
  }

  @Test("passes over nested undefined lengths, implicit ones inside UN too")
  func nested() throws {
    let bytes: [UInt8] =
      DataSetCodingTests.undefinedLengths.dropLast(10) + [
        0x09, 0x00, 0x01, 0x10, 0x55, 0x4E, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF,
        0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF,
        0x40, 0x00, 0x30, 0xA7, 0xFF, 0xFF, 0xFF, 0xFF,
        0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF,
        0x10, 0x00, 0x20, 0x00, 0x02, 0x00, 0x00, 0x00, 0x37, 0x20,
        0xFE, 0xFF, 0x0D, 0xE0, 0x00, 0x00, 0x00, 0x00,
        0xFE, 0xFF, 0xDD, 0xE0, 0x00, 0x00, 0x00, 0x00,
        0xFE, 0xFF, 0x0D, 0xE0, 0x00, 0x00, 0x00, 0x00,
        0xFE, 0xFF, 0xDD, 0xE0, 0x00, 0x00, 0x00, 0x00,
        0x10, 0x00, 0x20, 0x00, 0x4C, 0x4F, 0x02, 0x00, 0x41, 0x31,
      ]
    for piece in [1, 5, 1_000] {
      let header = try scan(bytes, .explicitVRLittleEndian, pieces: piece).header
      #expect(header.elements.map(\.tag) == [.patientID])
      #expect(header.string(.patientID) == "A1")
    }
    #expect(try DataSet(decoding: bytes, as: .explicitVRLittleEndian).string(.patientID) == "A1")
  }

  @Test("is done at the first element behind the last, and needs nothing after it")
  func stop() throws {
    var bytes = try sample().encoded(as: .explicitVRLittleEndian)
    bytes.removeLast(4_000)
    let scanner = try scan(bytes, .explicitVRLittleEndian, pieces: 64)
    #expect(scanner.isDone)
  }

  @Test("large values need not be read")
  func skipping() throws {
    var dataSet = DataSet()
    dataSet.setBytes(Tag(0x0009, 0x1001), .OB, [UInt8](repeating: 9, count: 1_000_000))
    try dataSet.set(.patientID, "A1")
    let bytes = try dataSet.encoded(as: .explicitVRLittleEndian)
    var scanner = HeaderScanner(.explicitVRLittleEndian, wanted: [.patientID], through: .patientID)
    try scanner.push(Array(bytes[..<100]))
    let skipped = scanner.skippable
    #expect(skipped == 1_000_000 + 12 - 100)
    scanner.skip(skipped)
    try scanner.push(Array(bytes[(100 + skipped)...]))
    try scanner.finish()
    #expect(scanner.header.string(.patientID) == "A1")
  }

  @Test("truncation, long values and deep nesting are errors")
  func errors() throws {
    let bytes = try sample().encoded(as: .explicitVRLittleEndian)
    #expect(throws: DataSetError.self) {
      try scan(Array(bytes[..<45]), .explicitVRLittleEndian, pieces: 10)
    }
    var long = DataSet()
    long.setBytes(.patientID, .UN, [UInt8](repeating: 0x41, count: 100_000))
    let encoded = try long.encoded(as: .explicitVRLittleEndian)
    #expect {
      try scan(encoded, .explicitVRLittleEndian, pieces: 4096)
    } throws: {
      ($0 as? DataSetError)?.reason == .valueTooLong(length: 100_000, limit: 65536)
    }
    var deep: [UInt8] = []
    for _ in 0..<100 {
      deep += [0x08, 0x00, 0x15, 0x11, 0xFF, 0xFF, 0xFF, 0xFF]
      deep += [0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]
    }
    #expect {
      try scan(deep, .implicitVRLittleEndian, pieces: 100)
    } throws: {
      ($0 as? DataSetError)?.reason == .nestedTooDeeply(limit: 32)
    }
  }

  @Test("agrees with the whole data set on every file of pydicom", .needs(.python("pydicom")))
  func realFiles() throws {
    var found = 0
    for path in try PydicomDump.files() {
      guard let file = try? Part10File.open(path, missing: .guess), let whole = try? file.dataSet()
      else { continue }
      let header = try file.elements(Self.wanted, through: .rows)
      for tag in Self.wanted {
        #expect(header[tag] == whole[tag], "\(path) \(tag)")
        if header[tag] != nil { found += 1 }
      }
    }
    #expect(found > 1_000)
  }

  @Test("damaged data is an error or other values, never a crash")
  func damage() throws {
    var random = SystemRandomNumberGenerator()
    for syntax in [TransferSyntax.implicitVRLittleEndian, .explicitVRLittleEndian] {
      let bytes = try sample().encoded(as: syntax)
      for _ in 0..<2_000 {
        var damaged = bytes
        for _ in 0..<3 {
          damaged[Int.random(in: 0..<400, using: &random)] = UInt8.random(in: 0...255)
        }
        _ = try? scan(damaged, syntax, pieces: 50)
        guard let dataSet = try? DataSet(decoding: damaged, as: syntax) else { continue }
        // What can be read can be asked and written.
        for element in dataSet.elements { _ = dataSet.strings(element.tag) }
        _ = try dataSet.encoded(as: syntax)
      }
    }
  }
}
