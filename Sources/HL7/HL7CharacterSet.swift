/// The character sets of MSH-18 (HL7 table 0211) that this region's messages use.
public enum HL7CharacterSet: String, Sendable, Hashable, CaseIterable {
  case ascii = "ASCII"
  case latin1 = "8859/1"
  case latin9 = "8859/15"
  case utf8 = "UNICODE UTF-8"

  /// What a message says of itself. One that says nothing and has other than ASCII is UTF-8 where
  /// its bytes are valid as such, which no text of ISO 8859 is by chance, and else 8859/1; so is
  /// one that names a set which is not known here.
  init(declared: String, bytes: [UInt8], _ delimiters: HL7Message.Delimiters) {
    // Only the first of several holds for what comes before a change of set, and there is none.
    let first = declared.split(separator: Character(UnicodeScalar(delimiters.repetition))).first
    switch first.map({ $0.uppercased() }) {
    case "8859/1": self = .latin1
    case "8859/15": self = .latin9
    case "UNICODE UTF-8", "UTF-8", "UNICODE": self = .utf8
    default:
      if bytes.allSatisfy({ $0 < 0x80 }) {
        self = .ascii
      } else {
        self = String(validating: bytes, as: UTF8.self) == nil ? .latin1 : .utf8
      }
    }
  }

  /// The differences of 8859-15 to 8859-1.
  private static let latin9Scalars: [UInt8: UInt32] = [
    0xA4: 0x20AC, 0xA6: 0x160, 0xA8: 0x161, 0xB4: 0x17D, 0xB8: 0x17E, 0xBC: 0x152, 0xBD: 0x153,
    0xBE: 0x178,
  ]

  public func decode(_ bytes: [UInt8]) -> String {
    switch self {
    case .utf8: return String(decoding: bytes, as: UTF8.self)
    case .ascii, .latin1, .latin9:
      var text = String.UnicodeScalarView()
      for byte in bytes {
        let special = self == .latin9 ? Self.latin9Scalars[byte] : nil
        text.append(special.flatMap(UnicodeScalar.init) ?? UnicodeScalar(byte))
      }
      return String(text)
    }
  }

  /// Nil where the set has not every character; see ``firstMissing(in:)``. There is no stand-in: a
  /// name with a question mark in it is another name.
  public func encode(_ text: String) -> [UInt8]? {
    if self == .utf8 { return Array(text.utf8) }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(text.utf8.count)
    for scalar in text.unicodeScalars {
      guard let byte = byte(scalar) else { return nil }
      bytes.append(byte)
    }
    return bytes
  }

  public func firstMissing(in text: String) -> UnicodeScalar? {
    self == .utf8 ? nil : text.unicodeScalars.first { byte($0) == nil }
  }

  private func byte(_ scalar: UnicodeScalar) -> UInt8? {
    if self == .latin9 {
      if let found = Self.latin9Scalars.first(where: { $0.value == scalar.value }) {
        return found.key
      }
      if scalar.value < 0x100, Self.latin9Scalars[UInt8(scalar.value)] != nil { return nil }
    }
    return scalar.value < (self == .ascii ? 0x80 : 0x100) ? UInt8(scalar.value) : nil
  }
}
