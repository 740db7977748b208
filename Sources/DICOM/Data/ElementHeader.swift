/// How elements are laid out: the part of a transfer syntax that does not concern pixels.
struct ElementEncoding: Equatable, Sendable {
  let isExplicitVR: Bool
  let isBigEndian: Bool

  static let implicitLittleEndian = ElementEncoding(isExplicitVR: false, isBigEndian: false)

  init(isExplicitVR: Bool, isBigEndian: Bool) {
    self.isExplicitVR = isExplicitVR
    self.isBigEndian = isBigEndian
  }

  init(_ syntax: TransferSyntax) {
    self.init(isExplicitVR: syntax.isExplicitVR, isBigEndian: syntax.isBigEndian)
  }

  func uint16(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt16 {
    let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt16.self)
    return isBigEndian ? UInt16(bigEndian: value) : UInt16(littleEndian: value)
  }

  func uint32(_ bytes: UnsafeRawBufferPointer, _ offset: Int) -> UInt32 {
    let value = bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self)
    return isBigEndian ? UInt32(bigEndian: value) : UInt32(littleEndian: value)
  }
}

/// Tag, VR and length, as they precede a value (PS3.5 sections 7.1.2, 7.1.3 and 7.5).
struct ElementHeader {
  var tag: Tag
  /// Nil for items and delimiters, and in Implicit VR.
  var vr: VR?
  /// Nil if undefined.
  var length: Int?
  /// Bytes that the header itself takes: 8 or 12.
  var size: Int

  enum Parsed {
    case header(ElementHeader)
    case needs(Int)
    case invalidVR(Tag, UInt8, UInt8)
  }

  /// Reads the header at an offset, or says how many bytes it needs.
  static func parse(
    _ bytes: UnsafeRawBufferPointer, at offset: Int, _ encoding: ElementEncoding
  ) -> Parsed {
    let available = bytes.count - offset
    guard available >= 8 else { return .needs(8) }
    let tag = Tag(encoding.uint16(bytes, offset), encoding.uint16(bytes, offset + 2))
    if !encoding.isExplicitVR || tag.isItemOrDelimiter {
      let length = encoding.uint32(bytes, offset + 4)
      return .header(ElementHeader(tag: tag, vr: nil, length: defined(length), size: 8))
    }
    let first = bytes[offset + 4]
    let second = bytes[offset + 5]
    let vr: VR
    if let known = VR(first, second) {
      vr = known
    } else if (0x41...0x5A).contains(first), (0x41...0x5A).contains(second) {
      // A VR of a later edition has the long form (PS3.5 section 6.2.2 note 2).
      vr = .UN
    } else {
      return .invalidVR(tag, first, second)
    }
    guard vr.hasLongLength else {
      let length = Int(encoding.uint16(bytes, offset + 6))
      return .header(ElementHeader(tag: tag, vr: vr, length: length, size: 8))
    }
    guard available >= 12 else { return .needs(12) }
    let length = encoding.uint32(bytes, offset + 8)
    return .header(ElementHeader(tag: tag, vr: vr, length: defined(length), size: 12))
  }

  private static func defined(_ length: UInt32) -> Int? {
    length == 0xFFFF_FFFF ? nil : Int(length)
  }
}

extension Tag {
  var isItemOrDelimiter: Bool {
    packed == 0xFFFE_E000 || packed == 0xFFFE_E00D || packed == 0xFFFE_E0DD
  }
}

extension VR {
  /// The VR with a two byte code, without making a string.
  package init?(_ first: UInt8, _ second: UInt8) {
    switch (first, second) {
    case (0x41, 0x45): self = .AE
    case (0x41, 0x53): self = .AS
    case (0x41, 0x54): self = .AT
    case (0x43, 0x53): self = .CS
    case (0x44, 0x41): self = .DA
    case (0x44, 0x53): self = .DS
    case (0x44, 0x54): self = .DT
    case (0x46, 0x44): self = .FD
    case (0x46, 0x4C): self = .FL
    case (0x49, 0x53): self = .IS
    case (0x4C, 0x4F): self = .LO
    case (0x4C, 0x54): self = .LT
    case (0x4F, 0x42): self = .OB
    case (0x4F, 0x44): self = .OD
    case (0x4F, 0x46): self = .OF
    case (0x4F, 0x4C): self = .OL
    case (0x4F, 0x56): self = .OV
    case (0x4F, 0x57): self = .OW
    case (0x50, 0x4E): self = .PN
    case (0x53, 0x48): self = .SH
    case (0x53, 0x4C): self = .SL
    case (0x53, 0x51): self = .SQ
    case (0x53, 0x53): self = .SS
    case (0x53, 0x54): self = .ST
    case (0x53, 0x56): self = .SV
    case (0x54, 0x4D): self = .TM
    case (0x55, 0x43): self = .UC
    case (0x55, 0x49): self = .UI
    case (0x55, 0x4C): self = .UL
    case (0x55, 0x4E): self = .UN
    case (0x55, 0x52): self = .UR
    case (0x55, 0x53): self = .US
    case (0x55, 0x54): self = .UT
    case (0x55, 0x56): self = .UV
    default: return nil
    }
  }

  /// The size of the numbers whose bytes Big Endian reverses (PS3.5 section 7.3); 1 for none.
  var wordSize: Int {
    switch self {
    case .AT, .OW, .SS, .US: 2
    case .FL, .OF, .OL, .SL, .UL: 4
    case .FD, .OD, .OV, .SV, .UV: 8
    default: 1
    }
  }

  /// Reverses the bytes of each number; a rest that is no whole number stays.
  func swapBytes(_ bytes: inout [UInt8]) {
    let size = wordSize
    guard size > 1 else { return }
    var start = 0
    while start + size <= bytes.count {
      for index in 0..<size / 2 { bytes.swapAt(start + index, start + size - 1 - index) }
      start += size
    }
  }
}
