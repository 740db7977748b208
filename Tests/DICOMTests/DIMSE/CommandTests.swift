import Testing

@testable import DICOM

@Suite("Command sets of PS3.7 annex E")
struct CommandTests {
  static let echoRequest = bytes(
    """
    00 00 00 00 04 00 00 00 38 00 00 00
    00 00 02 00 12 00 00 00 '1.2.840.10008.1.1' 00
    00 00 00 01 02 00 00 00 30 00
    00 00 10 01 02 00 00 00 07 00
    00 00 00 08 02 00 00 00 01 01
    """)

  @Test("A C-ECHO-RQ is written and read byte for byte")
  func echo() throws {
    var command = Command(.echoRequest)
    command.affectedSOPClass = "1.2.840.10008.1.1"
    command.messageID = 7
    #expect(command.encoded() == Self.echoRequest)
    #expect(try Command(decoding: Self.echoRequest) == command)
  }

  @Test("Every element survives writing and reading")
  func everything() throws {
    var command = Command(CommandField(rawValue: 0x8021), hasDataSet: true)
    command.affectedSOPClass = "1.2.840.10008.5.1.4.1.2.2.2"
    command.requestedSOPClass = "1.2"
    command.messageID = 1
    command.messageIDRespondedTo = 65535
    command.moveDestination = "VGRSECTEMP"
    command.priority = .low
    command.status = .unableToPerformSuboperations
    command.offendingElements = [Tag(0x0010, 0x0020), Tag(0x0008, 0x0018)]
    command.errorComment = "odd"
    command.affectedSOPInstance = "1.2.3"
    command.requestedSOPInstance = "1.2.3.4"
    command.eventType = 1
    command.actionType = 2
    command.suboperations = .init(remaining: 1, completed: 2, failed: 3, warning: 4)
    command.moveOriginator = MoveOriginator(aeTitle: "SYNCD", messageID: 9)
    let encoded = command.encoded()
    #expect(encoded.count % 2 == 0)
    #expect(try Command(decoding: encoded) == command)
    for count in 1..<encoded.count {
      // Between elements a shorter set may be a set of its own.
      _ = try? Command(decoding: Array(encoded[..<count]))
    }
  }

  @Test("Text outside the default repertoire never leaves as such, nor more than fits")
  func errorComment() throws {
    var command = Command(.echoRequest)
    command.errorComment = "Å" + String(repeating: "x", count: 100)
    let read = try Command(decoding: command.encoded())
    #expect(read.errorComment?.utf8.count == 64)
    #expect(read.errorComment?.hasPrefix("??x") == true)
  }

  @Test(
    "Damaged command sets are refused with a reason",
    arguments: [
      ("00 00 00 01", "ends in an element"),
      ("08 00 00 01 02 00 00 00 30 00", "not of group 0000"),
      ("00 00 00 01 04 00 00 00 30 00", "longer than what is left"),
      ("00 00 00 01 FF FF FF FF 30 00", "longer than what is left"),
      ("00 00 00 01 01 00 00 00 30", "1 bytes instead of 2"),
      ("00 00 10 01 02 00 00 00 07 00", "no Command Field"),
      ("00 00 00 01 02 00 00 00 30 00", "no Data Set Type"),
    ])
  func damaged(wire: String, reason: String) {
    #expect {
      try Command(decoding: bytes(wire))
    } throws: { "\($0)".contains(reason) }
  }

  @Test("What Orthanc appends to a response is passed over; in a request it is refused")
  func appended() throws {
    let command = try Command(
      decoding: bytes(
        """
        00 00 00 01 02 00 00 00 10 80 00 00 00 08 02 00 00 00 01 01
        08 00 00 00 04 00 00 00 0C 00 00 00 08 00 58 00 04 00 00 00 '1.2' 00
        """))
    #expect(command.field == .getRequest.response && !command.hasDataSet)
    #expect(command == Command(.getRequest.response))
    #expect(throws: CommandError.self) {
      try Command(
        decoding: bytes(
          """
          00 00 00 01 02 00 00 00 10 00 00 00 00 08 02 00 00 00 01 01
          08 00 58 00 04 00 00 00 '1.2' 00
          """))
    }
  }

  @Test("Statuses fall in the categories of PS3.7 annex C")
  func statuses() {
    #expect(DIMSEStatus(0x0000).category == .success)
    #expect(DIMSEStatus(0xFF00).category == .pending)
    #expect(DIMSEStatus(0xFF01).category == .pending)
    #expect(DIMSEStatus(0xFE00).category == .cancel)
    for warning: UInt16 in [0x0001, 0x0107, 0x0116, 0xB000, 0xB006, 0xB007] {
      #expect(DIMSEStatus(warning).category == .warning)
    }
    for failure: UInt16 in [0x0110, 0x0111, 0x0122, 0x0124, 0xA700, 0xA801, 0xC000, 0xCFFF] {
      #expect(DIMSEStatus(failure).category == .failure)
    }
    #expect("\(DIMSEStatus(0xA700))" == "A700 out of resources")
    #expect("\(DIMSEStatus(0x0122))" == "0122 SOP class not supported")
  }

  @Test("A text that is cut at a space reads back as it was written")
  func cutText() throws {
    var command = Command(.moveRequest)
    command.moveDestination = "FIFTEEN LETTERS AND MORE"
    let again = try Command(decoding: command.encoded())
    #expect(again.moveDestination == "FIFTEEN LETTERS")
    #expect(again.encoded() == command.encoded())
  }
}
