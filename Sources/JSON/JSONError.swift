/// Why a text is not JSON, and where. Never quotes the text: it may hold what logs must not.
public struct JSONError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Reason: Hashable, Sendable {
    case unexpectedEnd
    /// A byte that cannot stand here, and what could.
    case unexpectedByte(UInt8, expected: String)
    case byteOrderMark
    case invalidUTF8
    case invalidEscape
    /// Half of a UTF-16 surrogate pair in `\u` escapes.
    case loneSurrogate
    /// A control character that had to be escaped.
    case controlCharacter(UInt8)
    case invalidNumber
    /// A number that neither Int64 nor Double can hold.
    case numberOutOfRange
    case duplicateKey
    case tooDeep(limit: Int)
    case tooManyValues(limit: Int)
    /// A single value of more bytes than are held.
    case tooLong(limit: Int)
    case trailingBytes
  }

  /// Bytes before the place.
  public let offset: Int
  public let reason: Reason

  public init(offset: Int, reason: Reason) {
    self.offset = offset
    self.reason = reason
  }

  public var description: String { "byte \(offset): \(reason)" }
}

extension JSONError.Reason: CustomStringConvertible {
  public var description: String {
    switch self {
    case .unexpectedEnd: "the text ends too early"
    case .unexpectedByte(let byte, let expected):
      "expected \(expected), found \(Self.name(byte))"
    case .byteOrderMark: "a byte order mark is not allowed in JSON"
    case .invalidUTF8: "not valid UTF-8"
    case .invalidEscape: "not a valid escape sequence in a string"
    case .loneSurrogate: "half of a surrogate pair in a string"
    case .controlCharacter(let byte): "\(Self.name(byte)) must be escaped in a string"
    case .invalidNumber: "not a valid number"
    case .numberOutOfRange: "the number is too large"
    case .duplicateKey: "the object has this key already"
    case .tooDeep(let limit): "nested deeper than \(limit) levels"
    case .tooManyValues(let limit): "more than \(limit) values"
    case .tooLong(let limit): "a value of more than \(limit) bytes"
    case .trailingBytes: "expected the end of the text"
    }
  }

  private static func name(_ byte: UInt8) -> String {
    (0x21...0x7E).contains(byte)
      ? "'\(Unicode.Scalar(byte))'"
      : "byte 0x\(byte < 16 ? "0" : "")\(String(byte, radix: 16, uppercase: true))"
  }
}

/// What a text may cost.
public struct JSONLimits: Hashable, Sendable {
  /// Arrays and objects within each other; more than 128 is taken for 128, because each level
  /// costs stack.
  public var depth: Int
  /// Values of any kind: memory is up to about 100 bytes a value, whatever the text's length.
  public var values: Int
  /// An integer beyond Int64 becomes a (rounded) number instead of an error.
  public var roundsLargeIntegers: Bool

  public init(depth: Int = 64, values: Int = .max, roundsLargeIntegers: Bool = false) {
    self.depth = min(max(depth, 0), 128)
    self.values = values
    self.roundsLargeIntegers = roundsLargeIntegers
  }
}
