import DICOM

/// Text of a data set as Unicode, by Specific Character Set (0008,0005) (PS3.5 section 6.1).
enum AttributeText {
  /// The first value without padding.
  static func decode(_ bytes: [UInt8], _ vr: VR, characterSet: [UInt8]) -> String {
    if bytes.allSatisfy({ $0 < 0x80 && $0 != 0x1B }) {
      var plain = bytes[...]
      while let last = plain.last, last == 0x20 || last == 0 { plain.removeLast() }
      plain = plain.drop { $0 == 0x20 }
      return String(decoding: plain, as: UTF8.self)
    }
    if !vr.usesSpecificCharacterSet {
      return AttributeMatching.trimmed(
        String(decoding: bytes.map { $0 < 0x80 ? $0 : 0x3F }, as: UTF8.self))
    }
    return AttributeMatching.trimmed(decodeSpecial(bytes, vr, characterSet))
  }

  private static func decodeSpecial(
    _ bytes: [UInt8], _ vr: VR, _ characterSet: [UInt8]
  ) -> String {
    let sets = String(decoding: characterSet, as: UTF8.self).split(
      separator: "\\", omittingEmptySubsequences: false
    ).map { AttributeMatching.trimmed($0) }
    // Without a character set only ASCII is allowed; those who send more mean one of these two. So do
    // those who name one that nobody knows.
    let named = CharacterSet(sets == [""] ? [] : sets)
    guard named.terms.isEmpty || !named.unknownTerms.isEmpty else {
      return named.decode(bytes, isName: vr == .PN)
    }
    if let text = String(validating: bytes, as: UTF8.self) { return text }
    var scalars = String.UnicodeScalarView()
    for byte in bytes { scalars.append(Unicode.Scalar(byte)) }
    return String(scalars)
  }

  /// A value field as UTF-8, padded to an even length.
  static func encode(_ text: String, _ vr: VR) -> [UInt8] {
    var bytes = Array(text.utf8)
    if bytes.count & 1 == 1 { bytes.append(vr.padding) }
    return bytes
  }
}
