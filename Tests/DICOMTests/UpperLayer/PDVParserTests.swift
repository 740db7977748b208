import Testing

@testable import DICOM

@Suite("Presentation data values in P-DATA-TF")
struct PDVParserTests {
  struct Value: Equatable {
    var contextID: UInt8
    var isCommand: Bool
    var isLast: Bool
    var contents: [UInt8]
  }

  /// Feeds `wire` in chunks and puts values back together.
  private func parse(
    _ wire: [UInt8], chunk: Int, maximum: UInt32 = 1000
  ) throws -> (values: [Value], headers: [PDUType]) {
    var parser = PDVParser(maximumLength: maximum)
    var values: [Value] = []
    var headers: [PDUType] = []
    var pending: [UInt8] = []
    var buffer: [UInt8] = []
    var fed = 0
    while fed < wire.count {
      buffer += wire[fed..<min(fed + chunk, wire.count)]
      fed = min(fed + chunk, wire.count)
      var position = 0
      parsing: while true {
        let step = try buffer.withUnsafeBytes { bytes in try parser.step(bytes, &position) }
        switch step {
        case .needsMore: break parsing
        case .dataPDU: continue
        case .header(let type, let length):
          headers.append(type)
          // Bodies of other PDUs are all here in these tests.
          position += Int(length)
        case .fragment(let fragment):
          pending += buffer[fragment.range]
          if fragment.isLast {
            values.append(
              Value(
                contextID: fragment.contextID, isCommand: fragment.isCommand, isLast: true,
                contents: pending))
            pending = []
          }
        }
      }
      buffer.removeFirst(position)
    }
    return (values, headers)
  }

  @Test("Values come out the same however the bytes are cut", arguments: [1, 2, 3, 5, 7, 13, 1000])
  func anyCut(chunk: Int) throws {
    // Two values in one PDU, a value over two PDUs, one that is empty.
    let wire = bytes(
      """
      04 00 00 00 00 10  00 00 00 04 01 03 AA BB  00 00 00 04 01 00 01 02
      04 00 00 00 00 07  00 00 00 03 01 02 03
      04 00 00 00 00 06  00 00 00 02 03 02
      """)
    let (values, _) = try parse(wire, chunk: chunk)
    #expect(
      values == [
        Value(contextID: 1, isCommand: true, isLast: true, contents: [0xAA, 0xBB]),
        Value(contextID: 1, isCommand: false, isLast: true, contents: [1, 2, 3]),
        Value(contextID: 3, isCommand: false, isLast: true, contents: []),
      ])
  }

  @Test("Other PDUs between are told of where they stand")
  func otherPDU() throws {
    let wire = bytes(
      "04 00 00 00 00 07 00 00 00 03 01 02 03 05 00 00 00 00 04 00 00 00 00")
    let (values, headers) = try parse(wire, chunk: 1000)
    #expect(values.count == 1)
    #expect(headers == [.releaseRequest])
  }

  @Test(
    "Lengths that contradict each other are refused",
    arguments: [
      "04 00 00 00 03 E9", "04 00 00 00 00 05", "04 00 00 00 00 00",
      "04 00 FF FF FF FF", "04 00 00 00 00 08 00 00 00 05 01 02",
      "04 00 00 00 00 08 00 00 00 01 01 02", "04 00 00 00 00 08 FF FF FF FF 01 02",
      "04 00 00 00 00 0A 00 00 00 03 01 02 00 00 00 00 00 00 00", "09 00 00 00 00 04",
    ])
  func contradictions(wire: String) {
    #expect(throws: PDUError.self) { _ = try parse(bytes(wire), chunk: 1000) }
  }

  @Test("Garbage ends in an error or waits for more, and never traps")
  func garbage() {
    var random = SeededGenerator(seed: 11)
    for _ in 0..<5000 {
      let wire = (0..<60).map { index in
        index == 0 ? 4 : UInt8.random(in: 0...(index < 12 ? 12 : 255), using: &random)
      }
      // Bodies of other PDUs are not skipped past the end here.
      var parser = PDVParser(maximumLength: 1000)
      wire.withUnsafeBytes { buffer in
        var position = 0
        for _ in 0..<100 {
          guard let step = try? parser.step(buffer, &position), step != .needsMore else { break }
          #expect(position <= buffer.count)
        }
      }
    }
  }
}
