/// Finds the presentation data values in a stream of P-DATA-TF PDUs (PS3.8 section 9.3.5) where
/// they lie, and stops at any other PDU. It holds no bytes: the caller owns the buffer.
struct PDVParser {
  /// The largest P-DATA-TF announced to the peer.
  let maximumLength: UInt32
  /// What is left of the P-DATA-TF after the current value.
  private var pduLeft = 0
  /// What is left of the current value; nil between values.
  private var pdvLeft: Int?
  private(set) var contextID: UInt8 = 0
  private var control: UInt8 = 0

  init(maximumLength: UInt32) { self.maximumLength = maximumLength }

  /// What is still to come of the current value; 0 between values.
  var valueLeft: Int { pdvLeft ?? 0 }
  /// Whether that is a part of a data set, rather than of a command.
  var isDataSet: Bool { control & 1 == 0 }

  /// Passes over bytes of the current value that did not go through the buffer.
  /// - Parameter count: At most ``valueLeft``.
  /// - Returns: whether the data set ends with them.
  mutating func pass(_ count: Int) -> Bool {
    precondition(count <= valueLeft)
    guard count == valueLeft else {
      pdvLeft = valueLeft - count
      return false
    }
    pdvLeft = nil
    return control & 2 != 0
  }

  /// A value, or as much of it as has come.
  struct Fragment: Equatable {
    /// Where in the buffer.
    var range: Range<Int>
    var contextID: UInt8
    var isCommand: Bool
    /// The message's command or data set ends with this fragment.
    var isLast: Bool
  }

  enum Step: Equatable {
    case needsMore
    /// A P-DATA-TF begins; asked for again to go on.
    case dataPDU
    case fragment(Fragment)
    /// The header of another PDU; its body follows in the buffer.
    case header(PDUType, length: UInt32)
  }

  /// Whether the next byte is the first of a PDU.
  var isBetweenPDUs: Bool { pduLeft == 0 && pdvLeft == nil }

  /// Takes the next step from the bytes at `position`, moving it past what was used.
  mutating func step(
    _ buffer: UnsafeRawBufferPointer, _ position: inout Int
  ) throws(PDUError) -> Step {
    if let left = pdvLeft {
      let available = buffer.count - position
      guard available > 0 || left == 0 else { return .needsMore }
      let count = min(left, available)
      let range = position..<position + count
      position += count
      let isWhole = count == left
      pdvLeft = isWhole ? nil : left - count
      return .fragment(
        Fragment(
          range: range, contextID: contextID, isCommand: control & 1 != 0,
          isLast: isWhole && control & 2 != 0))
    }
    // At once: what is too short for a value does not get longer by waiting.
    guard pduLeft == 0 || pduLeft >= 6 else {
      throw .invalid("a P-DATA-TF with \(pduLeft) bytes left, too few for a value")
    }
    guard buffer.count - position >= 6 else { return .needsMore }
    if pduLeft == 0 {
      let length = buffer.bigEndian32(at: position + 2)
      guard let type = PDUType(rawValue: buffer[position]) else {
        throw .invalid("unrecognized PDU type \(buffer[position])")
      }
      position += PDU.headerLength
      guard type == .data else { return .header(type, length: length) }
      guard length <= maximumLength else {
        throw .invalid("P-DATA-TF of \(length) bytes where \(maximumLength) were announced")
      }
      guard length >= 6 else { throw .invalid("P-DATA-TF of \(length) bytes holds no value") }
      pduLeft = Int(length)
      return .dataPDU
    }
    let length = buffer.bigEndian32(at: position)
    guard length >= 2, length <= UInt32(pduLeft - 4) else {
      throw .invalid("presentation data value of \(length) bytes in a PDU with \(pduLeft) left")
    }
    contextID = buffer[position + 4]
    control = buffer[position + 5]
    position += 6
    pduLeft -= 4 + Int(length)
    pdvLeft = Int(length) - 2
    // The header alone tells nothing yet, unless the value is empty.
    return try step(buffer, &position)
  }
}

extension UnsafeRawBufferPointer {
  func bigEndian32(at index: Int) -> UInt32 {
    UInt32(self[index]) << 24 | UInt32(self[index + 1]) << 16 | UInt32(self[index + 2]) << 8
      | UInt32(self[index + 3])
  }
}
