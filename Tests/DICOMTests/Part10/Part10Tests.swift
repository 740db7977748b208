import TestSupport
import Testing

@testable import DICOM

@Suite("Part 10 files")
struct Part10Tests {
  private func meta() -> FileMetaInformation {
    FileMetaInformation(
      sopClass: SOPClass.ctImageStorage, sopInstance: "1.2.3",
      transferSyntax: .explicitVRLittleEndian, sourceAETitle: "PACS")
  }

  private func file(_ dataSet: DataSet) throws -> [UInt8] {
    try meta().encodedFileHeader() + dataSet.encoded(as: .explicitVRLittleEndian)
  }

  private func sample() throws -> DataSet {
    var dataSet = DataSet()
    try dataSet.set(.sopInstanceUID, "1.2.3")
    try dataSet.set(.patientID, "191212121212")
    return dataSet
  }

  @Test("the header is the preamble, DICM, and the group with its length")
  func encoding() throws {
    let bytes = try meta().encodedFileHeader()
    #expect(bytes[..<128].allSatisfy { $0 == 0 })
    #expect(Array(bytes[128..<132]) == Array("DICM".utf8))
    #expect(Array(bytes[132..<140]) == [2, 0, 0, 0, 0x55, 0x4C, 4, 0])
    let length = Int(bytes[140]) | Int(bytes[141]) << 8
    #expect(length == bytes.count - 144)
    #expect(Array(bytes[144..<158]) == [2, 0, 1, 0, 0x4F, 0x42, 0, 0, 2, 0, 0, 0, 0, 1])
  }

  @Test("a file gives its meta information, where the data set lies, and its elements")
  func reading() throws {
    let directory = try TemporaryDirectory()
    let dataSet = try sample()
    let bytes = try file(dataSet)
    let path = try directory.write(bytes, to: "a.dcm")
    let opened = try Part10File.open(path)
    #expect(opened.header.metaInformation == meta())
    #expect(opened.length == bytes.count)
    #expect(opened.dataSetLength == (try dataSet.encoded(as: .explicitVRLittleEndian).count))
    #expect(try opened.dataSet() == dataSet)
    let header = try opened.elements([.patientID], through: .patientID)
    #expect(header.string(.patientID) == "191212121212")
  }

  @Test("the first bytes suffice, and it says how many more are needed")
  func pieces() throws {
    let bytes = try file(sample())
    var count = 0
    while true {
      switch try FileHeader.decode(Array(bytes.prefix(count)), isWhole: count >= bytes.count) {
      case .needs(let needed):
        #expect(needed > count)
        count += 1
        continue
      case .header(let header):
        #expect(header.metaInformation == meta())
        #expect(header.dataSetOffset <= count)
        return
      }
    }
  }

  @Test(
    "without prefix, meta information or transfer syntax a file is refused, or guessed if asked")
  func missing() throws {
    let dataSet = try sample()
    for syntax in [
      TransferSyntax.implicitVRLittleEndian, .explicitVRLittleEndian, .explicitVRBigEndian,
    ] {
      let bytes = try dataSet.encoded(as: syntax)
      #expect(throws: DataSetError(.noDICMPrefix)) {
        try FileHeader.decode(bytes, isWhole: true)
      }
      let guessed = try FileHeader.decode(bytes, isWhole: true, missing: .guess)
      #expect(
        guessed
          == .header(FileHeader(metaInformation: nil, transferSyntax: syntax, dataSetOffset: 0)))
    }
    var incomplete = meta()
    incomplete.transferSyntax = nil
    let bytes = try incomplete.encodedFileHeader() + dataSet.encoded(as: .implicitVRLittleEndian)
    #expect {
      try FileHeader.decode(bytes, isWhole: true)
    } throws: {
      "\($0)".contains("Transfer Syntax UID (0002,0010) is missing")
    }
    guard
      case .header(let header) = try FileHeader.decode(bytes, isWhole: true, missing: .guess)
    else {
      Issue.record("a whole file needs more")
      return
    }
    #expect(header.transferSyntax == .implicitVRLittleEndian)
  }

  @Test("a wrong or missing group length does no harm")
  func groupLength() throws {
    var bytes = try file(sample())
    bytes[140] = 0xFF
    bytes[143] = 0x7F
    guard case .header(let header) = try FileHeader.decode(bytes, isWhole: true) else {
      Issue.record("a whole file needs more")
      return
    }
    #expect(header.metaInformation == meta())
    bytes.removeSubrange(132..<144)
    guard case .header(let shorter) = try FileHeader.decode(bytes, isWhole: true) else {
      Issue.record("a whole file needs more")
      return
    }
    #expect(shorter.dataSetOffset == header.dataSetOffset - 12)
  }

  @Test("truncated, empty and damaged files are errors; nothing is read beyond bounds")
  func damage() throws {
    let directory = try TemporaryDirectory()
    let empty = try directory.write([], to: "empty.dcm")
    #expect(throws: Part10Error.format(DataSetError(.noDICMPrefix))) { _ = try open(empty) }
    #expect(throws: Part10Error.self) { _ = try open(directory.file("absent.dcm")) }
    let bytes = try file(sample())
    for count in 0..<200 {
      #expect(throws: DataSetError.self) {
        try FileHeader.decode(Array(bytes.prefix(count)), isWhole: true)
      }
    }
    var claim = Array(bytes[..<144])
    claim += [2, 0, 2, 1, 0x4F, 0x42, 0, 0, 0xFE, 0xFF, 0xFF, 0xFF]
    #expect(throws: DataSetError.self) { try FileHeader.decode(claim, isWhole: false) }
  }

  private func open(_ path: String) throws -> Int { try Part10File.open(path).length }
}
