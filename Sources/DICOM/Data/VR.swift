/// Value Representation (PS3.5 section 6.2).
public enum VR: String, CaseIterable, Sendable {
  case AE, AS, AT, CS, DA, DS, DT, FD, FL, IS, LO, LT, OB, OD, OF, OL, OV, OW, PN, SH, SL, SQ, SS
  case ST, SV, TM, UC, UI, UL, UN, UR, US, UT, UV

  /// Whether Explicit VR writes two reserved bytes and a 32 bit length (PS3.5 section 7.1.2).
  public var hasLongLength: Bool {
    switch self {
    case .OB, .OD, .OF, .OL, .OV, .OW, .SQ, .SV, .UC, .UN, .UR, .UT, .UV: true
    default: false
    }
  }

  /// Text whose characters (0008,0005) decides (PS3.5 section 6.1.2.3).
  public var usesSpecificCharacterSet: Bool {
    switch self {
    case .LO, .LT, .PN, .SH, .ST, .UC, .UT: true
    default: false
    }
  }

  /// Character strings, as opposed to binary numbers and bytes.
  public var isText: Bool {
    switch self {
    case .AE, .AS, .CS, .DA, .DS, .DT, .IS, .LO, .LT, .PN, .SH, .ST, .TM, .UC, .UI, .UR, .UT: true
    default: false
    }
  }

  /// Whether a backslash separates values. LT, ST, UT and UR hold exactly one.
  public var allowsSeveralValues: Bool {
    switch self {
    case .LT, .ST, .UT, .UR: false
    default: isText
    }
  }

  /// The byte that pads a value to an even length (PS3.5 section 6.2): NUL for UI and binary,
  /// space for other text.
  public var padding: UInt8 { isText && self != .UI ? 0x20 : 0x00 }
}
