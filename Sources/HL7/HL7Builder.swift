/// Writes a message, segment by segment.
///
/// ```swift
/// var builder = HL7Builder(.latin1)
/// try builder.segment("PID", [3: .components(["191212121212"]), 5: .raw("Tolvansson^Tolvan")])
/// builder.bytes
/// ```
public struct HL7Builder: Sendable {
  /// What stands in a field.
  public enum Field: Sendable, Hashable {
    /// A text, escaped.
    case text(String)
    /// Components, each escaped; empty ones at the end are left out.
    case components([String])
    case repetitions([Field])
    /// As it stands, delimiters and all.
    case raw(String)
    /// Bytes in the message's own character set, as another message has them.
    case bytes([UInt8])
  }

  public let characterSet: HL7CharacterSet
  public private(set) var bytes: [UInt8] = []
  public let delimiters: HL7Message.Delimiters

  public init(_ characterSet: HL7CharacterSet, delimiters: HL7Message.Delimiters = .standard) {
    self.characterSet = characterSet
    self.delimiters = delimiters
  }

  /// Adds a segment; fields not named are empty, and those at the end are left out. MSH-1 and
  /// MSH-2 are written by themselves.
  public mutating func segment(_ name: String, _ fields: [Int: Field]) throws(HL7BuildError) {
    var parts: [[UInt8]] = []
    let first = name == "MSH" ? 3 : 1
    let last = fields.keys.max() ?? 0
    if last >= first {
      for number in first...last {
        guard let field = fields[number] else {
          parts.append([])
          continue
        }
        do throws(MissingCharacter) {
          parts.append(try encode(field))
        } catch {
          throw HL7BuildError(
            field: "\(name)-\(number)", character: error.scalar, characterSet: characterSet)
        }
      }
    }
    while parts.last?.isEmpty == true { parts.removeLast() }
    bytes += Array(name.utf8)
    if name == "MSH" { bytes += delimiters.header }
    for part in parts { bytes += [delimiters.field] + part }
    bytes.append(0x0D)
  }

  /// Adds a segment as another message has it, which must have the same delimiters and character
  /// set.
  public mutating func segment(_ segment: HL7Segment) { bytes += segment.bytes + [0x0D] }

  private struct MissingCharacter: Error {
    let scalar: UnicodeScalar
  }

  private func encode(_ field: Field) throws(MissingCharacter) -> [UInt8] {
    switch field {
    case .text(let text): return HL7Escape.encode(try plain(text), delimiters)
    case .raw(let text): return try plain(text)
    case .bytes(let bytes): return bytes
    case .components(let texts):
      var parts: [[UInt8]] = []
      for text in texts { parts.append(HL7Escape.encode(try plain(text), delimiters)) }
      while parts.last?.isEmpty == true { parts.removeLast() }
      return Array(parts.joined(separator: [delimiters.component]))
    case .repetitions(let fields):
      var parts: [[UInt8]] = []
      for field in fields { parts.append(try encode(field)) }
      return Array(parts.joined(separator: [delimiters.repetition]))
    }
  }

  private func plain(_ text: String) throws(MissingCharacter) -> [UInt8] {
    if let bytes = characterSet.encode(text) { return bytes }
    throw MissingCharacter(scalar: characterSet.firstMissing(in: text) ?? "\u{FFFD}")
  }
}

/// A text cannot be said in the message's character set.
public struct HL7BuildError: Error, Hashable, Sendable, CustomStringConvertible {
  /// `NTE-3`.
  public let field: String
  public let character: UnicodeScalar
  public let characterSet: HL7CharacterSet

  /// Names the character by its code point: the text itself is somebody's.
  public var description: String {
    let code = String(character.value, radix: 16, uppercase: true)
    let padded = String(repeating: "0", count: max(0, 4 - code.count)) + code
    return "\(field): the character U+\(padded) is not in \(characterSet.rawValue)"
  }
}
