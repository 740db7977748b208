import Testing

@testable import DICOM

/// Bytes of a data set, written down by hand from PS3.5.
@Suite("Data set coding")
struct DataSetCodingTests {
  static let implicit: [UInt8] = [
    0x08, 0x00, 0x50, 0x00, 0x04, 0x00, 0x00, 0x00, 0x41, 0x42, 0x43, 0x20,
    0x20, 0x00, 0x13, 0x00, 0x02, 0x00, 0x00, 0x00, 0x37, 0x20,
    0x28, 0x00, 0x10, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00, 0x02,
  ]
  static let explicit: [UInt8] = [
    0x08, 0x00, 0x50, 0x00, 0x53, 0x48, 0x04, 0x00, 0x41, 0x42, 0x43, 0x20,
    0x20, 0x00, 0x13, 0x00, 0x49, 0x53, 0x02, 0x00, 0x37, 0x20,
    0x28, 0x00, 0x10, 0x00, 0x55, 0x53, 0x02, 0x00, 0x00, 0x02,
  ]
  static let bigEndian: [UInt8] = [
    0x00, 0x08, 0x00, 0x50, 0x53, 0x48, 0x00, 0x04, 0x41, 0x42, 0x43, 0x20,
    0x00, 0x20, 0x00, 0x13, 0x49, 0x53, 0x00, 0x02, 0x37, 0x20,
    0x00, 0x28, 0x00, 0x10, 0x55, 0x53, 0x00, 0x02, 0x02, 0x00,
  ]

  @Test(
    "reads and writes the three plain encodings",
    arguments: [
      (TransferSyntax.implicitVRLittleEndian, implicit),
      (.explicitVRLittleEndian, explicit),
      (.explicitVRBigEndian, bigEndian),
    ])
  func plain(syntax: TransferSyntax, bytes: [UInt8]) throws {
    let dataSet = try DataSet(decoding: bytes, as: syntax)
    #expect(dataSet.elements.map(\.vr) == [.SH, .IS, .US])
    #expect(dataSet.string(.accessionNumber) == "ABC")
    #expect(dataSet.integer(.instanceNumber) == 7)
    #expect(dataSet.integer(.rows) == 512)
    #expect(try dataSet.encoded(as: syntax) == bytes)
  }

  @Test("building gives the same bytes as the standard's rules")
  func building() throws {
    var dataSet = DataSet()
    dataSet.set(.rows, uint16: 512)
    try dataSet.set(.instanceNumber, "7")
    try dataSet.set(.accessionNumber, "ABC")
    #expect(try dataSet.encoded(as: .implicitVRLittleEndian) == Self.implicit)
    #expect(try dataSet.encoded(as: .explicitVRLittleEndian) == Self.explicit)
    #expect(try dataSet.encoded(as: .explicitVRBigEndian) == Self.bigEndian)
    let deflated = try dataSet.encoded(as: .deflatedExplicitVRLittleEndian)
    #expect(try DataSet(decoding: deflated, as: .deflatedExplicitVRLittleEndian) == dataSet)
  }

  static let undefinedLengths: [UInt8] = [
    0x08, 0x00, 0x15, 0x11, 0x53, 0x51, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF,
    0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF,
    0x20, 0x00, 0x0E, 0x00, 0x55, 0x49, 0x04, 0x00, 0x31, 0x2E, 0x32, 0x00,
    0xFE, 0xFF, 0x0D, 0xE0, 0x00, 0x00, 0x00, 0x00,
    0xFE, 0xFF, 0x00, 0xE0, 0x00, 0x00, 0x00, 0x00,
    0xFE, 0xFF, 0xDD, 0xE0, 0x00, 0x00, 0x00, 0x00,
    0x20, 0x00, 0x13, 0x00, 0x49, 0x53, 0x02, 0x00, 0x37, 0x20,
  ]

  @Test("sequences of undefined length end with their delimiters")
  func undefined() throws {
    let dataSet = try DataSet(decoding: Self.undefinedLengths, as: .explicitVRLittleEndian)
    let items = dataSet.items(.referencedSeriesSequence)
    #expect(items.map { $0.uid(.seriesInstanceUID) } == ["1.2", nil])
    #expect(dataSet.integer(.instanceNumber) == 7)
    // Written with defined lengths, it means the same.
    let written = try dataSet.encoded(as: .explicitVRLittleEndian)
    #expect(written.count == Self.undefinedLengths.count - 16)
    #expect(try DataSet(decoding: written, as: .explicitVRLittleEndian) == dataSet)
    let implicit = try dataSet.encoded(as: .implicitVRLittleEndian)
    #expect(try DataSet(decoding: implicit, as: .implicitVRLittleEndian) == dataSet)
  }

  @Test("every truncation of a nested data set is an error that tells where")
  func truncation() {
    let whole = Self.undefinedLengths
    for count in 1..<whole.count where count != whole.count - 10 {
      do {
        _ = try DataSet(decoding: Array(whole[..<count]), as: .explicitVRLittleEndian)
        Issue.record("the first \(count) bytes were taken for whole")
      } catch {
        guard case .truncated = error.reason, let offset = error.offset else {
          Issue.record("\(error)")
          continue
        }
        #expect(offset <= count)
      }
    }
  }

  @Test("UN of undefined length is implicit little endian inside and stays so")
  func unknownSequence() throws {
    let bytes: [UInt8] = [
      0x09, 0x00, 0x01, 0x10, 0x55, 0x4E, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF,
      0xFE, 0xFF, 0x00, 0xE0, 0x0A, 0x00, 0x00, 0x00,
      0x20, 0x00, 0x13, 0x00, 0x02, 0x00, 0x00, 0x00, 0x37, 0x20,
      0xFE, 0xFF, 0xDD, 0xE0, 0x00, 0x00, 0x00, 0x00,
    ]
    let dataSet = try DataSet(decoding: bytes, as: .explicitVRLittleEndian)
    #expect(dataSet.items(Tag(0x0009, 0x1001)).first?.integer(.instanceNumber) == 7)
    #expect(try dataSet.encoded(as: .explicitVRLittleEndian) == bytes)
  }

  @Test("fragments are kept apart and written as they were")
  func fragments() throws {
    let bytes: [UInt8] = [
      0xE0, 0x7F, 0x10, 0x00, 0x4F, 0x42, 0x00, 0x00, 0xFF, 0xFF, 0xFF, 0xFF,
      0xFE, 0xFF, 0x00, 0xE0, 0x00, 0x00, 0x00, 0x00,
      0xFE, 0xFF, 0x00, 0xE0, 0x02, 0x00, 0x00, 0x00, 0xFF, 0xD8,
      0xFE, 0xFF, 0xDD, 0xE0, 0x00, 0x00, 0x00, 0x00,
    ]
    let syntax = TransferSyntax("1.2.840.10008.1.2.4.50")
    let dataSet = try DataSet(decoding: bytes, as: syntax)
    #expect(dataSet[.pixelData]?.value == .fragments([[], [0xFF, 0xD8]]))
    #expect(try dataSet.encoded(as: syntax) == bytes)
  }

  @Test("nesting beyond the limit is an error, not a crash")
  func nesting() throws {
    var bytes: [UInt8] = []
    for _ in 0..<100_000 {
      bytes += [0x40, 0x00, 0x30, 0xA7, 0xFF, 0xFF, 0xFF, 0xFF]
      bytes += [0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]
    }
    #expect {
      try DataSet(decoding: bytes, as: .implicitVRLittleEndian)
    } throws: {
      ($0 as? DataSetError)?.reason == .nestedTooDeeply(limit: 32)
    }
  }

  @Test("elements in reverse order are sorted in reasonable time")
  func reversed() throws {
    var bytes: [UInt8] = []
    for group in stride(from: UInt16(0xFFFC), to: 8, by: -2) {
      for element in stride(from: UInt16(3), to: 0, by: -1) {
        bytes += [UInt8(group & 0xFF), UInt8(group >> 8), UInt8(element), 0, 0, 0, 0, 0]
      }
    }
    let dataSet = try DataSet(decoding: bytes, as: .implicitVRLittleEndian)
    #expect(dataSet.elements.count == bytes.count / 8)
    #expect(zip(dataSet.elements, dataSet.elements.dropFirst()).allSatisfy { $0.tag < $1.tag })
  }

  @Test("group lengths that are present are corrected")
  func groupLength() throws {
    var command = DataSet()
    command.set(.commandGroupLength, uint32: 0)
    command.set(.affectedSOPClassUID, SOPClass.verification)
    command.set(.commandField, uint16: 0x30)
    let bytes = try command.encoded(as: .implicitVRLittleEndian)
    let read = try DataSet(decoding: bytes, as: .implicitVRLittleEndian)
    #expect(read.integer(.commandGroupLength) == bytes.count - 12)
  }

  @Test("a value too long for a short length is written as UN")
  func longValue() throws {
    var dataSet = DataSet()
    dataSet.setBytes(.imageComments, .LT, [UInt8](repeating: 0x41, count: 70_000))
    let bytes = try dataSet.encoded(as: .explicitVRLittleEndian)
    let read = try DataSet(decoding: bytes, as: .explicitVRLittleEndian)
    #expect(read[.imageComments]?.vr == .UN)
    #expect(read.string(.imageComments)?.utf8.count == 70_000)
  }

  @Test("an error names the element, the place and the trouble")
  func errorText() {
    #expect {
      try DataSet(
        decoding: [0x08, 0, 0x50, 0, 0x53, 0x48, 9, 0, 0x41], as: .explicitVRLittleEndian)
    } throws: {
      "\($0)"
        == "(0008,0050) AccessionNumber at byte 8: needs 9 bytes but only 1 remain; "
        + "the data is truncated or damaged"
    }
    #expect {
      try DataSet(decoding: Self.implicit, as: .explicitVRLittleEndian)
    } throws: {
      ($0 as? DataSetError)?.reason == .invalidVR(0x04, 0)
    }
  }
}
