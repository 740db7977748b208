/// A unique identifier (PS3.5 section 9). An opaque string: kept exactly as received, without
/// its padding. ``isValid`` tells whether it follows the standard's form.
public struct UID: Hashable, Comparable, Sendable, CustomStringConvertible,
  ExpressibleByStringLiteral
{
  public let value: String

  public init(_ value: String) { self.value = value }
  public init(stringLiteral value: String) { self.value = value }

  /// Digits and dots, at most 64 characters, no empty component. Leading zeros in a component are
  /// against the standard but common, and harmless: accepted.
  public var isValid: Bool {
    let bytes = value.utf8
    guard !bytes.isEmpty, bytes.count <= 64 else { return false }
    var previousWasDot = true
    for byte in bytes {
      if byte == 0x2E {
        if previousWasDot { return false }
        previousWasDot = true
      } else {
        guard byte >= 0x30, byte <= 0x39 else { return false }
        previousWasDot = false
      }
    }
    return !previousWasDot
  }

  public static func < (a: UID, b: UID) -> Bool { a.value < b.value }
  public var description: String { value }
}
