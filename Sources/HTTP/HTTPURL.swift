/// The address of an HTTP server and a path on it, as configured: no user, query or fragment.
public struct HTTPURL: Hashable, Sendable, CustomStringConvertible {
  public let scheme: String
  /// As written: a name, an IPv4 address, or an IPv6 address in brackets.
  public let host: String
  public let port: Int?
  /// Empty, or beginning with a slash and not ending with one.
  public let path: String

  /// Nil where the text is no such address.
  public init?(_ text: String) {
    guard let mark = text.utf8Range(of: "://") else { return nil }
    let scheme = text[..<mark.lowerBound].lowercased()
    guard scheme == "https" || scheme == "http" else { return nil }
    // What libcurl and this code might read differently must not be there at all.
    guard
      text.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && !Self.forbidden.contains($0) })
    else { return nil }
    let rest = text[mark.upperBound...]
    let slash = rest.firstIndex(of: "/") ?? rest.endIndex
    let authority = rest[..<slash]
    var path = String(rest[slash...])
    while path.hasSuffix("/") { path.removeLast() }
    var host = authority
    var digits: Substring?
    if authority.hasPrefix("[") {
      guard let end = authority.firstIndex(of: "]") else { return nil }
      host = authority[...end]
      let after = authority[authority.index(after: end)...]
      if !after.isEmpty {
        guard after.hasPrefix(":") else { return nil }
        digits = after.dropFirst()
      }
    } else if let colon = authority.firstIndex(of: ":") {
      host = authority[..<colon]
      digits = authority[authority.index(after: colon)...]
    }
    var port: Int?
    if let digits {
      guard digits.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let number = Int(digits),
        (1...65535).contains(number)
      else { return nil }
      port = number
    }
    guard !host.isEmpty, host != "[]" else { return nil }
    self.scheme = scheme
    self.host = String(host)
    self.port = port
    self.path = path
  }

  /// `"`, `#`, `<`, `>`, `?`, `@`, backslash, `^`, backtick and braces.
  private static let forbidden = Set("\"#<>?@\\^`{|}".utf8)

  public var isSecure: Bool { scheme == "https" }

  /// Whether it can only be this machine.
  public var isLoopback: Bool {
    if host == "localhost" || host == "[::1]" { return true }
    let parts = host.split(separator: ".", omittingEmptySubsequences: false)
    return parts.count == 4 && parts[0] == "127" && parts.allSatisfy { UInt8($0) != nil }
  }

  /// What differs is another server.
  public var origin: String { "\(scheme)://\(host)" + (port.map { ":\($0)" } ?? "") }

  public var description: String { origin + path }

  /// A part of a path or a value of a query: everything but what is unreserved (RFC 3986) is
  /// percent-encoded.
  public static func escaped(_ text: String) -> String {
    var result = ""
    result.reserveCapacity(text.utf8.count)
    for byte in text.utf8 {
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
        result.unicodeScalars.append(UnicodeScalar(byte))
      default:
        let digits = String(byte, radix: 16, uppercase: true)
        result += "%" + (digits.count == 1 ? "0" : "") + digits
      }
    }
    return result
  }
}

extension String {
  fileprivate func utf8Range(of needle: StaticString) -> Range<String.Index>? {
    var start = startIndex
    while start < endIndex {
      if let end = utf8.index(start, offsetBy: needle.utf8CodeUnitCount, limitedBy: endIndex),
        self[start..<end] == needle.description
      {
        return start..<end
      }
      start = utf8.index(after: start)
    }
    return nil
  }
}
