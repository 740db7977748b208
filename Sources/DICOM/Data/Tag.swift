/// A data element tag (PS3.5 section 7.1): group and element number.
public struct Tag: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// Group in the upper, element in the lower 16 bits.
  public let packed: UInt32

  public init(packed: UInt32) { self.packed = packed }

  public init(_ group: UInt16, _ element: UInt16) {
    packed = UInt32(group) << 16 | UInt32(element)
  }

  public var group: UInt16 { UInt16(truncatingIfNeeded: packed >> 16) }
  public var element: UInt16 { UInt16(truncatingIfNeeded: packed) }

  /// Odd groups belong to manufacturers (PS3.5 section 7.8).
  public var isPrivate: Bool { group & 1 == 1 }
  public var isGroupLength: Bool { element == 0 }

  public static func < (a: Tag, b: Tag) -> Bool { a.packed < b.packed }

  /// As the standard writes it: `(0020,000D)`.
  public var description: String {
    func hex(_ value: UInt16) -> String {
      let digits = String(value, radix: 16, uppercase: true)
      return String(repeating: "0", count: 4 - digits.count) + digits
    }
    return "(\(hex(group)),\(hex(element)))"
  }
}
