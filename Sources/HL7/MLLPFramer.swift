/// Cuts a stream of bytes into messages (Minimal Lower Layer Protocol): 0B, the message, 1C 0D.
///
/// Each byte is looked at once, however the reads cut the stream. CR and LF between frames are
/// passed over, as some senders write them; anything else there means that the two sides are out of
/// step, and is an error.
public struct MLLPFramer: Sendable {
  public static let start: UInt8 = 0x0B
  public static let end: UInt8 = 0x1C
  public static let carriageReturn: UInt8 = 0x0D

  public let limit: Int
  private var frame: [UInt8] = []
  private var isInside = false
  /// The last byte was the end block's first.
  private var isEnding = false
  private var ready: [[UInt8]] = []

  public init(limit: Int = HL7Message.longestMessage) { self.limit = limit }

  /// A message is begun and not yet whole.
  public var isInFrame: Bool { isInside }
  /// Nothing is left of what was pushed: no message to be taken, whole or begun.
  public var isEmpty: Bool { ready.isEmpty && !isInside }

  public mutating func push(_ bytes: some Sequence<UInt8>) throws(MLLPFramingError) {
    for byte in bytes {
      guard isInside else {
        switch byte {
        case Self.start:
          isInside = true
          isEnding = false
          frame = []
        case 0x0D, 0x0A: continue
        default: throw .garbage(byte)
        }
        continue
      }
      if isEnding {
        guard byte == Self.carriageReturn else { throw .badEnd(byte) }
        ready.append(frame)
        frame = []
        isInside = false
        isEnding = false
      } else if byte == Self.end {
        isEnding = true
      } else if byte == Self.start {
        throw .startInside
      } else {
        guard frame.count < limit else { throw .tooLong(limit) }
        frame.append(byte)
      }
    }
  }

  /// The next whole message.
  public mutating func next() -> [UInt8]? { ready.isEmpty ? nil : ready.removeFirst() }

  public static func framed(_ message: [UInt8]) -> [UInt8] {
    [start] + message + [end, carriageReturn]
  }
}

public enum MLLPFramingError: Error, Hashable, Sendable, CustomStringConvertible {
  case garbage(UInt8)
  case startInside
  case badEnd(UInt8)
  case tooLong(Int)

  public var description: String {
    switch self {
    case .garbage(let byte): "byte 0x\(String(byte, radix: 16)) between messages, expected 0x0b"
    case .startInside: "a new message (0x0b) begins before the last one has ended"
    case .badEnd(let byte): "byte 0x\(String(byte, radix: 16)) after 0x1c, expected 0x0d"
    case .tooLong(let limit): "the message is longer than \(limit) bytes"
    }
  }
}
