import Platform

/// From when to when a certificate is valid (RFC 5280 section 4.1.2.5), read from its PEM form.
/// Nothing else of it is read; whether it is right is for the TLS library.
public struct CertificateDates: Hashable, Sendable {
  public var notBefore: WallTime
  public var notAfter: WallTime

  /// Of the first certificate in a PEM text; nil where there is none that can be read.
  public init?(pem: some Collection<UInt8>) {
    guard let der = Self.firstCertificate(Array(pem)) else { return nil }
    var outer = DER(der[...])
    // Certificate ::= SEQUENCE { tbsCertificate SEQUENCE { [0] version, serialNumber, signature,
    // issuer, validity SEQUENCE { notBefore, notAfter } ...
    guard let certificate = outer.next(0x30) else { return nil }
    var inner = DER(certificate)
    guard let body = inner.next(0x30) else { return nil }
    var fields = DER(body)
    _ = fields.next(0xA0)
    guard fields.next(0x02) != nil, fields.next(0x30) != nil, fields.next(0x30) != nil,
      let validity = fields.next(0x30)
    else { return nil }
    var times = DER(validity)
    guard let from = times.nextTime(), let until = times.nextTime() else { return nil }
    notBefore = from
    notAfter = until
  }

  /// Of a file; nil where it cannot be read or holds none.
  public static func ofFile(_ path: String) -> CertificateDates? {
    guard let bytes = try? FileDescriptor.contents(of: path, atMost: 1 << 20) else { return nil }
    return CertificateDates(pem: bytes)
  }

  private static func firstCertificate(_ text: [UInt8]) -> [UInt8]? {
    let lines = text.split(whereSeparator: { $0 == 0x0A || $0 == 0x0D })
    guard let start = lines.firstIndex(where: { $0.starts(with: beginning) }) else { return nil }
    var result: [UInt8] = []
    var bits: UInt32 = 0
    var count = 0
    for line in lines[(start + 1)...] {
      if line.starts(with: "-----END".utf8) { return result }
      for byte in line {
        let value: UInt8
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): value = byte - 65
        case UInt8(ascii: "a")...UInt8(ascii: "z"): value = byte - 71
        case UInt8(ascii: "0")...UInt8(ascii: "9"): value = byte + 4
        case UInt8(ascii: "+"): value = 62
        case UInt8(ascii: "/"): value = 63
        case UInt8(ascii: "="), 0x20, 0x09: continue
        default: return nil
        }
        bits = bits << 6 | UInt32(value)
        count += 6
        if count >= 8 {
          count -= 8
          result.append(UInt8(truncatingIfNeeded: bits >> UInt32(count)))
        }
      }
    }
    return nil
  }

  private static let beginning = Array("-----BEGIN CERTIFICATE-----".utf8)
}

/// Walks over values in DER (X.690).
private struct DER {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { rest = bytes }

  /// The contents of the next value, if it has this tag.
  mutating func next(_ tag: UInt8) -> ArraySlice<UInt8>? {
    guard rest.first == tag else { return nil }
    return take()
  }

  private mutating func take() -> ArraySlice<UInt8>? {
    guard rest.count >= 2 else { return nil }
    var position = rest.startIndex + 1
    var length = Int(rest[position])
    position += 1
    if length >= 0x80 {
      let octets = length & 0x7F
      guard (1...4).contains(octets), rest.endIndex - position >= octets else { return nil }
      length = rest[position..<(position + octets)].reduce(0) { $0 << 8 | Int($1) }
      position += octets
    }
    guard length <= rest.endIndex - position else { return nil }
    let contents = rest[position..<(position + length)]
    rest = rest[(position + length)...]
    return contents
  }

  /// UTCTime (YYMMDDHHMMSSZ) or GeneralizedTime (YYYYMMDDHHMMSSZ).
  mutating func nextTime() -> WallTime? {
    guard let tag = rest.first, tag == 0x17 || tag == 0x18, let contents = take() else {
      return nil
    }
    var text = String(decoding: contents, as: UTF8.self)
    if tag == 0x17 { text = (text.prefix(2) >= "50" ? "19" : "20") + text }
    let digits = Array(text.utf8)
    guard digits.count == 15, digits[14] == UInt8(ascii: "Z"),
      digits.prefix(14).allSatisfy({ $0 >= 0x30 && $0 <= 0x39 })
    else { return nil }
    func part(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
    return WallTime(
      rfc3339: "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(8..<10)):\(part(10..<12)):"
        + "\(part(12..<14))Z")
  }
}
