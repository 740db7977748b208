import Glibc

/// An address, or the network it is the beginning of: `10.1.2.3`, `10.1.2.0/24`, `fd00::/8`.
public struct NetworkRange: Hashable, Sendable {
  private let bytes: [UInt8]
  private let prefix: Int

  /// Nil where the text is neither.
  public init?(_ text: String) {
    let parts = text.split(separator: "/", omittingEmptySubsequences: false)
    guard parts.count <= 2, let bytes = Self.address(String(parts[0])) else { return nil }
    self.bytes = bytes
    if parts.count == 2 {
      guard parts[1].utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), var length = Int(parts[1])
      else { return nil }
      // A mapped address counts as IPv4: its network's length is told from the IPv6 one's start.
      if bytes.count == 4, parts[0].utf8.contains(UInt8(ascii: ":")) { length -= 96 }
      guard (0...bytes.count * 8).contains(length) else { return nil }
      prefix = length
    } else {
      prefix = bytes.count * 8
    }
  }

  /// Whether a numeric address lies in it. An IPv4 address mapped into IPv6 counts as IPv4.
  /// An interface's name after the address (`fe80::1%eth0`) counts for nothing.
  public func contains(_ address: String) -> Bool {
    let numeric = String(address.prefix { $0 != "%" })
    guard let other = Self.address(numeric), other.count == bytes.count else { return false }
    let whole = prefix / 8
    guard other.prefix(whole) == bytes.prefix(whole) else { return false }
    let bits = prefix % 8
    guard bits > 0 else { return true }
    let mask = UInt8(truncatingIfNeeded: 0xFF00 >> bits)
    return other[whole] & mask == bytes[whole] & mask
  }

  private static func address(_ text: String) -> [UInt8]? {
    var four = in_addr()
    if inet_pton(AF_INET, text, &four) == 1 { return withUnsafeBytes(of: &four) { Array($0) } }
    var six = in6_addr()
    guard inet_pton(AF_INET6, text, &six) == 1 else { return nil }
    let bytes = withUnsafeBytes(of: &six) { Array($0) }
    let isMapped = bytes.prefix(10).allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
    return isMapped ? Array(bytes.suffix(4)) : bytes
  }
}
