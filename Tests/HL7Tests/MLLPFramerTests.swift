import Testing

@testable import HL7

@Suite("MLLP frames")
struct MLLPFramerTests {
  private let message = Array("MSH|^~\\&|A\rPID|1\r".utf8)

  private func drain(_ framer: inout MLLPFramer) -> [[UInt8]] {
    var messages: [[UInt8]] = []
    while let message = framer.next() { messages.append(message) }
    return messages
  }

  @Test("a message comes whole wherever the reads cut the stream")
  func split() throws {
    let stream = MLLPFramer.framed(message) + MLLPFramer.framed([]) + MLLPFramer.framed([0x41])
    for first in 0...stream.count {
      for second in first...stream.count {
        var framer = MLLPFramer()
        var messages: [[UInt8]] = []
        for piece in [stream[..<first], stream[first..<second], stream[second...]] {
          try framer.push(piece)
          messages += drain(&framer)
        }
        #expect(messages == [message, [], [0x41]])
        #expect(framer.isEmpty)
      }
    }
  }

  @Test("a message comes whole byte by byte, and not before its last")
  func byteByByte() throws {
    var framer = MLLPFramer()
    let frame = MLLPFramer.framed(message)
    for (index, byte) in frame.enumerated() {
      #expect(framer.isInFrame == (index > 0))
      #expect(framer.isEmpty == (index == 0))
      #expect(framer.next() == nil)
      try framer.push([byte])
    }
    #expect(!framer.isInFrame)
    #expect(!framer.isEmpty)
    #expect(framer.next() == message)
    #expect(framer.isEmpty)
  }

  @Test("coalesced messages come in their order, the last as soon as it is whole")
  func coalesced() throws {
    var framer = MLLPFramer()
    let many = (0..<200).map { Array("message \($0)".utf8) }
    try framer.push(many.flatMap(MLLPFramer.framed).dropLast())
    #expect(drain(&framer) == Array(many.dropLast()))
    try framer.push([0x0D])
    #expect(drain(&framer) == [many[199]])
  }

  @Test("line ends between messages are passed over")
  func lineEnds() throws {
    var framer = MLLPFramer()
    try framer.push([0x0D, 0x0A, 0x0D])
    #expect(framer.isEmpty)
    try framer.push(MLLPFramer.framed(message) + [0x0A, 0x0D, 0x0A] + MLLPFramer.framed(message))
    try framer.push([0x0A])
    #expect(drain(&framer) == [message, message])
    #expect(framer.isEmpty)
  }

  @Test("anything else between messages is an error; what was whole before stays")
  func garbage() throws {
    for byte in 0...255 as ClosedRange<UInt8> where ![0x0A, 0x0B, 0x0D].contains(byte) {
      var framer = MLLPFramer()
      #expect(throws: MLLPFramingError.garbage(byte)) {
        try framer.push(MLLPFramer.framed(message) + [byte])
      }
      #expect(framer.next() == message)
    }
    #expect(
      MLLPFramingError.garbage(0x4D).description
        == "byte 0x4d between messages, expected 0x0b")
  }

  @Test("a message that begins inside another, or ends in half, is an error")
  func outOfStep() {
    var inside = MLLPFramer()
    #expect(throws: MLLPFramingError.startInside) { try inside.push([0x0B, 0x41, 0x0B]) }
    for byte in [0x0A, 0x0B, 0x1C, 0x41] as [UInt8] {
      var framer = MLLPFramer()
      #expect(throws: MLLPFramingError.badEnd(byte)) { try framer.push([0x0B, 0x41, 0x1C, byte]) }
      #expect(framer.next() == nil)
    }
  }

  @Test("a message may have as many bytes as the limit, and not one more")
  func limit() throws {
    var framer = MLLPFramer(limit: 10)
    try framer.push(MLLPFramer.framed([UInt8](repeating: 0x41, count: 10)))
    #expect(framer.next()?.count == 10)
    try framer.push([0x0B] + [UInt8](repeating: 0x41, count: 10))
    #expect(throws: MLLPFramingError.tooLong(10)) { try framer.push([0x41]) }
    #expect(MLLPFramer().limit == 10 << 20)
  }

  @Test("nothing that the escapes write is taken for a frame's end")
  func escapesProtect() throws {
    var builder = HL7Builder(.utf8)
    try builder.segment("MSH", [3: .text("\u{0B}x\u{1C}\r")])
    var framer = MLLPFramer()
    try framer.push(MLLPFramer.framed(builder.bytes))
    #expect(framer.next() == builder.bytes)
  }
}
