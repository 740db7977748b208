/// A Specific Character Set (PS3.3 section C.12.1.1.2, PS3.5 section 6.1): how the bytes of text
/// elements stand for characters.
///
/// Never fails to decode: what has no meaning becomes the replacement character U+FFFD. Encoding
/// fails rather than lose a character.
public struct CharacterSet: Equatable, Sendable {
  /// The defined terms of (0008,0005); an empty first one is the default repertoire.
  public let terms: [String]

  public init(_ terms: [String]) { self.terms = terms }

  /// ISO 646, which is ASCII.
  public static let `default` = CharacterSet([])
  public static let latin1 = CharacterSet(["ISO_IR 100"])
  public static let utf8 = CharacterSet(["ISO_IR 192"])

  /// The terms that are not understood; text outside ASCII is then unreadable.
  public var unknownTerms: [String] {
    terms.enumerated().compactMap { index, term in
      term.isEmpty && index == 0 || Repertoire(term) != nil ? nil : term
    }
  }

  /// - Parameter isName: In a person name, code extensions end at the delimiters `^` and `=` as
  ///   well (PS3.5 section 6.1.2.5.3).
  public func decode(_ bytes: [UInt8], isName: Bool = false) -> String {
    if bytes.allSatisfy({ $0 < 0x80 && $0 != escape }) {
      return String(decoding: bytes, as: UTF8.self)
    }
    let first = repertoire(0)
    if terms.count <= 1, !bytes.contains(escape) {
      return first.decode(bytes[...])
    }
    switch first {
    case .utf8, .gb18030, .gbk: return first.decode(bytes[...])
    default: return decodeExtensions(bytes, first, isName)
    }
  }

  /// The bytes of a text, not padded.
  /// - Throws: ``DataSetError/Reason/unencodableText(characterSet:)``.
  public func encode(_ text: String, isName: Bool = false) throws(DataSetError) -> [UInt8] {
    let scalars = text.unicodeScalars
    if scalars.allSatisfy(\.isASCII) { return Array(text.utf8) }
    let first = repertoire(0)
    if let bytes = first.encode(text) { return bytes }
    if terms.count > 1, let bytes = encodeExtensions(text, first, isName) { return bytes }
    let name = terms.isEmpty ? "ISO_IR 6 (the default)" : terms.joined(separator: "\\")
    throw DataSetError(.unencodableText(characterSet: name))
  }

  private func repertoire(_ index: Int) -> Repertoire {
    guard index < terms.count else { return .ascii }
    // Unknown means ASCII, with all else replaced.
    return Repertoire(terms[index]) ?? .ascii
  }

  /// Code extensions by ISO 2022 (PS3.5 section 6.1.2.5): escape sequences designate sets to the
  /// lower (G0) and the upper (G1) half of the code table.
  private func decodeExtensions(
    _ bytes: [UInt8], _ first: Repertoire, _ isName: Bool
  ) -> String {
    var result = ""
    var lower = Repertoire.ascii
    var upper = first
    var start = 0
    var index = 0
    func flush(to end: Int) {
      guard start < end else { return }
      result += Self.decode(bytes[start..<end], lower: lower, upper: upper)
    }
    while index < bytes.count {
      let byte = bytes[index]
      if byte == escape {
        flush(to: index)
        if let designation = Designation(bytes[(index + 1)...]) {
          if designation.isUpper {
            upper = designation.repertoire
          } else {
            lower = designation.repertoire
          }
          index += 1 + designation.length
        } else {
          result.unicodeScalars.append("\u{FFFD}")
          index += 1
        }
        start = index
        continue
      }
      // In a set of two byte codes in the lower half these bytes are halves of characters.
      let isControl = byte == 0x0A || byte == 0x0C || byte == 0x0D || byte == 0x09
      let isDelimiter = byte == 0x5C || isName && (byte == 0x5E || byte == 0x3D)
      if isControl || isDelimiter && !lower.isMultibyte {
        flush(to: index)
        start = index
        lower = .ascii
        upper = first
      }
      index += 1
    }
    flush(to: bytes.count)
    return result
  }

  /// Bytes between two escape sequences, which may mix both halves.
  private static func decode(
    _ bytes: ArraySlice<UInt8>, lower: Repertoire, upper: Repertoire
  ) -> String {
    var result = ""
    var rest = bytes
    while let byte = rest.first {
      let isUpper = byte >= 0x80
      let run = rest.prefix { ($0 >= 0x80) == isUpper }
      rest = rest[run.endIndex...]
      result += (isUpper ? upper : lower).decode(run)
    }
    return result
  }

  private func encodeExtensions(
    _ text: String, _ first: Repertoire, _ isName: Bool
  ) -> [UInt8]? {
    var result: [UInt8] = []
    var upper: Repertoire? = first
    for scalar in text.unicodeScalars {
      if scalar.isASCII {
        let byte = UInt8(scalar.value)
        result.append(byte)
        if [0x5C, 0x0A, 0x0C, 0x0D, 0x09].contains(byte) || isName && [0x5E, 0x3D].contains(byte) {
          upper = first
        }
        continue
      }
      if let bytes = upper?.encode(String(scalar)) {
        result += bytes
        continue
      }
      var found = false
      for index in terms.indices.dropFirst() {
        let candidate = repertoire(index)
        guard case .table(let table) = candidate, let sequence = table.upperEscape,
          let bytes = candidate.encode(String(scalar))
        else { continue }
        result += [escape] + sequence + bytes
        upper = candidate
        found = true
        break
      }
      if !found { return nil }
    }
    return result
  }
}

private let escape: UInt8 = 0x1B

/// What an escape sequence designates (PS3.3 tables C.12-3 and C.12-4).
private struct Designation {
  let repertoire: Repertoire
  let isUpper: Bool
  /// Without the escape character.
  let length: Int

  init?(_ bytes: ArraySlice<UInt8>) {
    for (sequence, repertoire, isUpper) in Self.known where bytes.starts(with: sequence) {
      self.repertoire = repertoire
      self.isUpper = isUpper
      length = sequence.count
      return
    }
    return nil
  }

  private static let known: [([UInt8], Repertoire, Bool)] =
    SingleByteTable.all.compactMap { table in
      table.upperEscape.map { ($0, .table(table), true) }
    } + [
      ([0x28, 0x42], .ascii, false),
      ([0x28, 0x4A], .ascii, false),  // JIS X 0201 Romaji: ASCII but for two signs
      ([0x29, 0x49], .katakana, true),
      ([0x24, 0x42], .jisX0208, false),
      ([0x24, 0x28, 0x44], .jisX0212, false),
      ([0x24, 0x29, 0x43], .ksX1001, true),
      ([0x24, 0x29, 0x41], .gb2312, true),
    ]
}
