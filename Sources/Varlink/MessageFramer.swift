import JSON

/// Cuts a stream of bytes into messages: one JSON object and one NUL byte each.
///
/// Pure: whoever has the connection appends what was read and asks for messages. A byte is looked
/// at once, however small the pieces it comes in.
public struct MessageFramer: Sendable {
  /// The longest message, in bytes without its NUL.
  public let limit: Int
  private var buffer: [UInt8] = []
  /// Where the message under way starts.
  private var start = 0
  /// No NUL lies between `start` and here.
  private var scanned = 0

  public init(limit: Int = 1 << 20) {
    self.limit = limit
  }

  /// Whether no byte of an unfinished message is waiting.
  public var isEmpty: Bool { start == buffer.count }

  public mutating func append(_ bytes: some Collection<UInt8>) {
    buffer.append(contentsOf: bytes)
  }

  /// The next whole message, without its NUL; nil when more bytes are needed.
  public mutating func next() throws(ProtocolViolation) -> [UInt8]? {
    guard let end = buffer[scanned...].firstIndex(of: 0) else {
      scanned = buffer.count
      if buffer.count - start > limit { throw .messageTooLong(limit: limit) }
      return nil
    }
    if end - start > limit { throw .messageTooLong(limit: limit) }
    let message = Array(buffer[start..<end])
    start = end + 1
    scanned = start
    if start == buffer.count {
      // Memory of a long message is not held for the next, short ones.
      if buffer.capacity > 64 * 1024 {
        buffer = []
      } else {
        buffer.removeAll(keepingCapacity: true)
      }
      start = 0
      scanned = 0
    } else if start > buffer.count / 2 {
      buffer.removeFirst(start)
      start = 0
      scanned = 0
    }
    return message
  }
}

/// Bytes that are no varlink message. Nothing sensible can follow them on the same connection.
public enum ProtocolViolation: Error, Hashable, Sendable, CustomStringConvertible {
  case messageTooLong(limit: Int)
  case notJSON(JSONError)
  case notAnObject
  /// A member that has not the type the protocol gives it.
  case invalidMember(String)
  /// The stream ended inside a message.
  case truncated

  public var description: String {
    switch self {
    case .messageTooLong(let limit): "the message is longer than \(limit) bytes"
    case .notJSON(let error): "the message is not JSON: \(error)"
    case .notAnObject: "the message is not a JSON object"
    case .invalidMember(let name): "the message's \"\(name)\" is missing or not valid"
    case .truncated: "the connection ended inside a message"
    }
  }
}
