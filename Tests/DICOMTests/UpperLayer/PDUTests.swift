import Testing

@testable import DICOM

/// Bytes from text: `"01 00"` and `'TEXT'`.
func bytes(_ text: String) -> [UInt8] {
  var out: [UInt8] = []
  for (index, part) in text.split(separator: "'", omittingEmptySubsequences: false).enumerated() {
    if index % 2 == 1 {
      out += Array(part.utf8)
    } else {
      out += part.split(whereSeparator: \.isWhitespace).map { UInt8($0, radix: 16)! }
    }
  }
  return out
}

@Suite("PDUs of PS3.8 section 9.3")
struct PDUTests {
  /// PS3.8 tables 9-11 to 9-16, annex D.1; PS3.7 annex D.3.3.
  static let request = bytes(
    """
    01 00 00 00 01 04
    00 01 00 00 'ARCHIVE         ' 'MODALITY        '
    00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
    10 00 00 15 '1.2.840.10008.3.1.1.1'
    20 00 00 2E 01 00 00 00 30 00 00 11 '1.2.840.10008.1.1' 40 00 00 11 '1.2.840.10008.1.2'
    50 00 00 71
    51 00 00 04 00 00 40 00
    52 00 00 05 '1.2.3'
    53 00 00 04 00 01 00 02
    54 00 00 0B 00 07 '1.2.840' 01 00
    55 00 00 07 'VERSION'
    56 00 00 0C 00 07 '1.2.840' 01 02 03
    58 00 00 0E 02 01 00 04 'user' 00 04 'word'
    57 00 00 18 00 07 '1.2.840' 00 05 '1.2.4' 00 06 '2.25.1'
    """)

  static let requestValue = AssociateRequest(
    calledAE: "ARCHIVE", callingAE: "MODALITY",
    contexts: [
      AssociateRequest.Context(
        id: 1, abstractSyntax: "1.2.840.10008.1.1", transferSyntaxes: [.implicitVRLittleEndian])
    ],
    user: UserInformation(
      maximumLength: 16384, implementationClass: "1.2.3", implementationVersion: "VERSION",
      asynchronousOperations: .init(invoked: 1, performed: 2),
      roleSelections: [.init(sopClass: "1.2.840", user: true, provider: false)],
      extendedNegotiations: [.init(sopClass: "1.2.840", information: [1, 2, 3])],
      userIdentity: .init(
        type: 2, responseRequested: true, primary: Array("user".utf8),
        secondary: Array("word".utf8)),
      others: [.init(type: 0x57, contents: bytes("00 07 '1.2.840' 00 05 '1.2.4' 00 06 '2.25.1'"))]
    ))

  private func decode(_ pdu: [UInt8]) throws(PDUError) -> PDU {
    try PDU(PDUType(rawValue: pdu[0])!, body: Array(pdu[6...]))
  }

  @Test("An association request is read with every sub-item, and written the same")
  func associateRequest() throws {
    #expect(try decode(Self.request) == .associateRequest(Self.requestValue))
    #expect(try PDU.associateRequest(Self.requestValue).encoded() == Self.request)
  }

  @Test("An acceptance tells each context's result")
  func associateAccept() throws {
    let accept = bytes(
      """
      02 00 00 00 00 A7
      00 01 00 00 'ARCHIVE         ' 'MODALITY        '
      00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00
      10 00 00 15 '1.2.840.10008.3.1.1.1'
      21 00 00 19 01 00 00 00 40 00 00 11 '1.2.840.10008.1.2'
      21 00 00 19 03 00 04 00 40 00 00 11 '1.2.840.10008.1.2'
      50 00 00 0C 51 00 00 04 00 00 00 00 55 00 00 00
      """)
    let expected = AssociateAccept(
      calledAE: "ARCHIVE", callingAE: "MODALITY",
      contexts: [
        .init(id: 1, result: .acceptance, transferSyntax: .implicitVRLittleEndian),
        .init(
          id: 3, result: .transferSyntaxesNotSupported, transferSyntax: .implicitVRLittleEndian),
      ], user: UserInformation(maximumLength: 0, implementationVersion: ""))
    #expect(try decode(accept) == .associateAccept(expected))
    #expect(try PDU.associateAccept(expected).encoded() == accept)
  }

  @Test("The short PDUs are ten bytes with their reasons")
  func shortPDUs() throws {
    let pairs: [(PDU, String)] = [
      (.associateReject(.calledAENotRecognized), "03 00 00 00 00 04 00 01 01 07"),
      (.associateReject(.localLimitExceeded), "03 00 00 00 00 04 00 02 03 02"),
      (.releaseRequest, "05 00 00 00 00 04 00 00 00 00"),
      (.releaseResponse, "06 00 00 00 00 04 00 00 00 00"),
      (.abort(AssociationAbort(source: 2, reason: 6)), "07 00 00 00 00 04 00 00 02 06"),
    ]
    for (pdu, wire) in pairs {
      #expect(try pdu.encoded() == bytes(wire))
      #expect(try decode(bytes(wire)) == pdu)
    }
    #expect(AssociationRejection.localLimitExceeded.isTransient)
    #expect(!AssociationRejection.calledAENotRecognized.isTransient)
    #expect("\(AssociationRejection.calledAENotRecognized)".contains("called AE title"))
  }

  @Test("No PDU cut short is taken for a whole one, and none traps")
  func truncation() throws {
    let whole = try PDU.associateRequest(Self.requestValue).encoded()
    for count in 6..<whole.count {
      let cut = Array(whole[..<count])
      // Cut between items of the user information, its length no longer fits either.
      #expect(throws: PDUError.self) { try decode(cut) }
    }
  }

  @Test("Random damage gives a value or an error, never a trap")
  func damage() throws {
    let whole = try PDU.associateRequest(Self.requestValue).encoded()
    var random = SeededGenerator(seed: 7)
    for _ in 0..<3000 {
      var damaged = whole
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        damaged[Int.random(in: 6..<whole.count, using: &random)] = .random(
          in: 0...255, using: &random)
      }
      if let pdu = try? decode(damaged) { _ = try? pdu.encoded() }
      damaged[0] = 2
      _ = try? decode(damaged)
    }
  }

  @Test("Even context ids, and one id twice, are refused")
  func contextIDs() throws {
    var request = Self.requestValue
    request.contexts[0].id = 2
    var wire = try PDU.associateRequest(request).encoded()
    #expect(throws: PDUError.self) { try decode(wire) }
    request.contexts[0].id = 1
    request.contexts.append(request.contexts[0])
    wire = try PDU.associateRequest(request).encoded()
    #expect(throws: PDUError.self) { try decode(wire) }
  }

  @Test("Lengths are judged before anything is read for them")
  func lengths() {
    #expect(throws: PDUError.self) { try PDU.checkLength(.max, of: .associateRequest) }
    #expect(throws: PDUError.self) { try PDU.checkLength(5, of: .releaseRequest) }
    #expect(throws: PDUError.self) { try PDU.checkLength(0, of: .abort) }
    #expect(throws: Never.self) { try PDU.checkLength(4, of: .abort) }
  }
}

/// Random numbers that are the same in every run (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64
  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var mixed = state
    mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
    mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
    return mixed ^ (mixed >> 31)
  }
}
