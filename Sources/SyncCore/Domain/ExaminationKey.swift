import Synchronization

/// What identifies an examination: the source system and its number there (US-nummer, DICOM
/// Accession Number). Both are opaque: leading zeros, underscores and prefixes are kept.
///
/// Sixteen bytes without a heap object, since there are several tables of a hundred thousand of
/// them: up to sixteen ASCII characters of the number - all that an Accession Number may have - lie
/// here with seven bits each, beside sixteen bits for the system. Any other key is looked up in a
/// table of the process, which only grows.
public struct ExaminationKey: Hashable, Comparable, Sendable, CustomStringConvertible {
  /// The upper half of the system's number, and the number's first eight characters.
  let head: UInt64
  /// The lower half, and the last eight.
  let tail: UInt64

  private static let others = Mutex(OtherKeys())
  /// Stands for a key in the table, whose place is in `tail`.
  private static let other = 0xFFFF
  private static let characters: UInt64 = 0x00FF_FFFF_FFFF_FFFF

  public init(system: String, number: String) {
    var number = number
    let word = Word(system)
    self = number.withUTF8 { ExaminationKey(system: word, number: UnsafeRawBufferPointer($0)) }
  }

  /// The number as UTF-8; what is not, becomes replacement characters.
  init(system: Word, number: UnsafeRawBufferPointer) {
    if system.number < Self.other, number.count <= 16 {
      var first: UInt64 = 0
      var second: UInt64 = 0
      for (index, byte) in number.enumerated() {
        if index < 8 {
          first |= UInt64(byte) << (56 - 8 * UInt64(index))
        } else {
          second |= UInt64(byte) << (56 - 8 * UInt64(index - 8))
        }
      }
      // A NUL at the end would be taken for none.
      if (first | second) & 0x8080_8080_8080_8080 == 0,
        Self.length(first) + Self.length(second) == number.count
      {
        head = Self.packed(first) | UInt64(system.number >> 8) << 56
        tail = Self.packed(second) | UInt64(system.number & 0xFF) << 56
        return
      }
    }
    let text = String(decoding: number, as: UTF8.self)
    let place = Self.others.withLock { $0.place(of: system, text) }
    head = UInt64(Self.other >> 8) << 56
    tail = UInt64(Self.other & 0xFF) << 56 | UInt64(place)
  }

  /// The system that gave the number: `SECTRA`, `AGFA`.
  public var system: String {
    isOther ? Self.others.withLock { $0[tail] }.system.text : Word(number: systemNumber).text
  }

  /// The examination number (US-nummer).
  public var number: String {
    if isOther { return Self.others.withLock { $0[tail] }.number }
    let (first, second) = (Self.unpacked(head), Self.unpacked(tail))
    let count = Self.length(first) + Self.length(second)
    return String(unsafeUninitializedCapacity: count) { buffer in
      for index in 0..<count {
        let bytes = index < 8 ? first : second
        buffer[index] = UInt8(truncatingIfNeeded: bytes >> (56 - 8 * UInt64(index & 7)))
      }
      return count
    }
  }

  public static func < (a: ExaminationKey, b: ExaminationKey) -> Bool {
    if !a.isOther, !b.isOther, a.systemNumber == b.systemNumber {
      // Of one system: the packed characters stand in the order of their texts.
      return (a.head, a.tail) < (b.head, b.tail)
    }
    let (aSystem, bSystem) = (a.system, b.system)
    if !aSystem.utf8.elementsEqual(bSystem.utf8) {
      return aSystem.utf8.lexicographicallyPrecedes(bSystem.utf8)
    }
    return a.number.utf8.lexicographicallyPrecedes(b.number.utf8)
  }

  public var description: String { "\(system)/\(number)" }

  /// Well spread over all its bits, and another one in every run: who chooses the numbers cannot
  /// choose where they collide.
  var spread: UInt64 {
    let product = (head ^ Self.seeds.0).multipliedFullWidth(by: tail ^ Self.seeds.1)
    return product.high ^ product.low
  }

  private static let seeds = (
    UInt64.random(in: .min ... .max) | 1, UInt64.random(in: .min ... .max) | 1
  )

  private var systemNumber: UInt32 { UInt32(head >> 56) << 8 | UInt32(tail >> 56) }
  private var isOther: Bool { systemNumber == Self.other }

  /// How many characters stand before the first NUL.
  private static func length(_ bytes: UInt64) -> Int { 8 - bytes.trailingZeroBitCount / 8 }

  /// Eight bytes of seven bits as 56 bits, the first character highest.
  private static func packed(_ bytes: UInt64) -> UInt64 {
    var bits = bytes
    bits = (bits & 0x007F_007F_007F_007F) | (bits & 0x7F00_7F00_7F00_7F00) >> 1
    bits = (bits & 0x0000_3FFF_0000_3FFF) | (bits & 0x3FFF_0000_3FFF_0000) >> 2
    return (bits & 0x0000_0000_0FFF_FFFF) | (bits & 0x0FFF_FFFF_0000_0000) >> 4
  }

  private static func unpacked(_ field: UInt64) -> UInt64 {
    var bits = field & characters
    bits = (bits & 0x0000_0000_0FFF_FFFF) | (bits & 0x00FF_FFFF_F000_0000) << 4
    bits = (bits & 0x0000_3FFF_0000_3FFF) | (bits & 0x0FFF_C000_0FFF_C000) << 2
    return (bits & 0x007F_007F_007F_007F) | (bits & 0x3F80_3F80_3F80_3F80) << 1
  }
}

/// The keys that do not fit into sixteen bytes.
private struct OtherKeys {
  private var keys: [(system: Word, number: String)] = []
  private var places: [Pair: UInt32] = [:]
  private var numbers = TextTable()

  private struct Pair: Hashable {
    var system: Word
    var number: UInt32
  }

  subscript(tail: UInt64) -> (system: Word, number: String) {
    keys[Int(UInt32(truncatingIfNeeded: tail))]
  }

  mutating func place(of system: Word, _ number: String) -> UInt32 {
    let pair = Pair(system: system, number: numbers.number(of: number))
    if let known = places[pair] { return known }
    let place = UInt32(keys.count)
    keys.append((system, number))
    places[pair] = place
    return place
  }
}
