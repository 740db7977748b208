/// A media type as a Content-Type header tells it (RFC 9110 section 8.3.1):
/// `multipart/related; type="application/dicom"; boundary=x`.
public struct MediaType: Hashable, Sendable {
  /// Type and subtype in lower case: `multipart/related`.
  public let name: String
  /// By name in lower case; values as they are, without their quotes.
  public let parameters: [String: String]

  /// Nil where the text is no media type, or names a parameter twice.
  public init?(_ text: String) {
    var rest = Array(text.utf8)[...]
    let name = Self.token(&rest, more: [UInt8(ascii: "/")]).lowercased()
    guard name.split(separator: "/", omittingEmptySubsequences: false).count == 2,
      !name.hasPrefix("/"), !name.hasSuffix("/")
    else { return nil }
    var parameters: [String: String] = [:]
    while true {
      Self.skipSpaces(&rest)
      guard let separator = rest.popFirst() else { break }
      guard separator == UInt8(ascii: ";") else { return nil }
      Self.skipSpaces(&rest)
      // A semicolon at the end, or two in a row.
      if rest.isEmpty || rest.first == UInt8(ascii: ";") { continue }
      let key = Self.token(&rest).lowercased()
      guard !key.isEmpty, rest.popFirst() == UInt8(ascii: "="), let value = Self.value(&rest),
        parameters.updateValue(value, forKey: key) == nil
      else { return nil }
    }
    self.name = name
    self.parameters = parameters
  }

  public subscript(parameter: String) -> String? { parameters[parameter] }

  private static func skipSpaces(_ text: inout ArraySlice<UInt8>) {
    while let first = text.first, first == 0x20 || first == 0x09 { text.removeFirst() }
  }

  private static func token(_ text: inout ArraySlice<UInt8>, more: [UInt8] = []) -> String {
    let end = text.firstIndex { !isToken($0) && !more.contains($0) } ?? text.endIndex
    defer { text = text[end...] }
    return String(decoding: text[..<end], as: UTF8.self)
  }

  private static func isToken(_ byte: UInt8) -> Bool {
    switch byte {
    case 0x30...0x39, 0x41...0x5A, 0x61...0x7A: true
    default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
    }
  }

  /// A token, or a quoted string. Unquoted, what ends a parameter ends it: senders leave out quotes
  /// around boundaries that need them.
  private static func value(_ text: inout ArraySlice<UInt8>) -> String? {
    var value: [UInt8] = []
    guard text.first == UInt8(ascii: "\"") else {
      while let byte = text.first, byte != UInt8(ascii: ";"), byte > 0x20, byte < 0x7F {
        value.append(text.removeFirst())
      }
      return value.isEmpty ? nil : String(decoding: value, as: UTF8.self)
    }
    text.removeFirst()
    while let byte = text.popFirst() {
      switch byte {
      case UInt8(ascii: "\""): return String(decoding: value, as: UTF8.self)
      case UInt8(ascii: "\\"):
        guard let escaped = text.popFirst() else { return nil }
        value.append(escaped)
      default: value.append(byte)
      }
    }
    return nil
  }
}
