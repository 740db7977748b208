/// Reads one JSON object of any length whose bulk is an array of small values, as pages of HTTP
/// interfaces are, while its bytes arrive: the elements one at a time, then the other members. Or a
/// text that is such an array itself, as answers of DICOMweb are.
///
/// ```swift
/// var reader = JSONItemReader(array: "items")
/// for chunk in body { try reader.feed(chunk) { item in rows.append(try Row(item)) } }
/// let page = try reader.finish()
/// let total = page["total"]?.intValue
/// ```
///
/// Memory is that of one element and of the members beside the array, whatever the text's length.
/// As strict as ``JSONValue/parse(_:limits:)``, which reads each value.
public struct JSONItemReader {
  private enum Place {
    /// Before the object's opening brace.
    case start
    case keyOrEnd, key, inKey, colon
    case value, inValue
    case afterMember
    case itemOrEnd, item, inItem, afterItem
    case end
  }

  /// Nil: the text is the array.
  private let name: String?
  private let limits: JSONLimits
  /// The longest element, and the longest member beside the array, in bytes.
  private let longest: Int
  private var place = Place.start
  private var key = ""
  private var members = JSONObject()
  private var hasArray = false
  /// The value that is being collected; kept, so that its room is allotted once.
  private var value: [UInt8] = []
  private var depth = 0
  private var isText = false
  private var isEscaped = false
  /// A number or word, which ends before the byte that does not belong to it.
  private var isBare = false
  private var offset = 0
  public private(set) var items = 0

  /// - Parameters:
  ///   - array: the member whose elements are handed out; nil where the text itself is the array.
  ///   - longest: of an element, and of all members beside the array, in bytes.
  public init(array: String?, longest: Int = 256 << 10, limits: JSONLimits = JSONLimits()) {
    name = array
    self.longest = longest
    self.limits = limits
  }

  /// Takes the next bytes.
  /// - Parameter item: gets each element that they complete.
  /// - Throws: ``JSONError`` with the offset in the whole text.
  public mutating func feed(
    _ bytes: UnsafeRawBufferPointer, _ item: (JSONValue) -> Void
  ) throws(JSONError) {
    var index = 0
    while index < bytes.count {
      let byte = bytes[index]
      switch place {
      case .inKey, .inValue, .inItem:
        // The run up to a byte that means something is copied as a whole.
        let taken = try collect(bytes, from: index)
        index = taken.next
        if taken.isComplete { try complete(item) }
        continue
      default: break
      }
      index += 1
      offset += 1
      if byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { continue }
      try step(byte, &index)
    }
  }

  /// The members beside the array, once the text has ended.
  public func finish() throws(JSONError) -> JSONObject {
    guard place == .end else { throw JSONError(offset: offset, reason: .unexpectedEnd) }
    return members
  }

  /// Whether the array was there at all.
  public var hasItems: Bool { hasArray }

  // MARK: - Structure

  /// A byte between values.
  private mutating func step(_ byte: UInt8, _ index: inout Int) throws(JSONError) {
    switch (place, byte) {
    case (.start, UInt8(ascii: "{")) where name != nil: place = .keyOrEnd
    case (.start, UInt8(ascii: "[")) where name == nil:
      hasArray = true
      place = .itemOrEnd
    case (.keyOrEnd, UInt8(ascii: "}")), (.afterMember, UInt8(ascii: "}")): place = .end
    case (.keyOrEnd, UInt8(ascii: "\"")), (.key, UInt8(ascii: "\"")): begin(byte, .inKey)
    case (.colon, UInt8(ascii: ":")): place = .value
    case (.value, UInt8(ascii: "[")) where key == name:
      guard !hasArray, members[key] == nil else { throw fault(.duplicateKey) }
      hasArray = true
      place = .itemOrEnd
    case (.afterMember, UInt8(ascii: ",")): place = .key
    case (.itemOrEnd, UInt8(ascii: "]")), (.afterItem, UInt8(ascii: "]")):
      place = name == nil ? .end : .afterMember
    case (.afterItem, UInt8(ascii: ",")): place = .item
    case (.value, _), (.item, _), (.itemOrEnd, _):
      guard Self.canBegin(byte) else { throw fault(byte, "a value") }
      begin(byte, place == .value ? .inValue : .inItem)
    case (.start, _): throw fault(byte, name == nil ? "an array" : "an object")
    case (.keyOrEnd, _): throw fault(byte, "a key in quotes or '}'")
    case (.key, _): throw fault(byte, "a key in quotes")
    case (.colon, _): throw fault(byte, "':'")
    case (.afterMember, _): throw fault(byte, "',' or '}'")
    case (.afterItem, _): throw fault(byte, "',' or ']'")
    default: throw fault(.trailingBytes)
    }
  }

  private static func canBegin(_ byte: UInt8) -> Bool {
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "{"), UInt8(ascii: "["), UInt8(ascii: "t"),
      UInt8(ascii: "f"), UInt8(ascii: "n"), UInt8(ascii: "-"),
      UInt8(ascii: "0")...UInt8(ascii: "9"):
      true
    default: false
    }
  }

  private mutating func begin(_ byte: UInt8, _ place: Place) {
    self.place = place
    value.removeAll(keepingCapacity: true)
    value.append(byte)
    depth = byte == UInt8(ascii: "{") || byte == UInt8(ascii: "[") ? 1 : 0
    isText = byte == UInt8(ascii: "\"")
    isBare = depth == 0 && !isText
    isEscaped = false
  }

  /// Adds what belongs to the value. Only where it ends is found out; whether it is right is for
  /// the parser that gets it.
  private mutating func collect(
    _ bytes: UnsafeRawBufferPointer, from start: Int
  ) throws(JSONError) -> (next: Int, isComplete: Bool) {
    var index = start
    var isComplete = false
    scanning: while index < bytes.count {
      let byte = bytes[index]
      if isText {
        index += 1
        if isEscaped {
          isEscaped = false
        } else if byte == UInt8(ascii: "\\") {
          isEscaped = true
        } else if byte == UInt8(ascii: "\"") {
          isText = false
          if depth == 0 {
            isComplete = true
            break scanning
          }
        }
        continue
      }
      if isBare {
        switch byte {
        case UInt8(ascii: ","), UInt8(ascii: "]"), UInt8(ascii: "}"), 0x20, 0x0A, 0x0D, 0x09:
          isComplete = true
          break scanning
        default: index += 1
        }
        continue
      }
      index += 1
      switch byte {
      case UInt8(ascii: "\""): isText = true
      case UInt8(ascii: "{"), UInt8(ascii: "["): depth += 1
      case UInt8(ascii: "}"), UInt8(ascii: "]"):
        depth -= 1
        if depth == 0 {
          isComplete = true
          break scanning
        }
      default: break
      }
    }
    guard value.count + index - start <= longest else { throw fault(.tooLong(limit: longest)) }
    value.append(contentsOf: bytes[start..<index])
    offset += index - start
    return (index, isComplete)
  }

  private mutating func complete(_ item: (JSONValue) -> Void) throws(JSONError) {
    let found: JSONValue
    do throws(JSONError) {
      found = try JSONValue.parse(value, limits: limits)
    } catch {
      throw JSONError(offset: offset - value.count + error.offset, reason: error.reason)
    }
    switch place {
    case .inKey:
      key = found.stringValue ?? ""
      place = .colon
    case .inItem:
      items += 1
      place = .afterItem
      item(found)
    default:
      guard key != name || !hasArray, members.insert(key, found) else {
        throw fault(.duplicateKey)
      }
      guard members.count <= 1000 else { throw fault(.tooManyValues(limit: 1000)) }
      place = .afterMember
    }
  }

  private func fault(_ reason: JSONError.Reason) -> JSONError {
    JSONError(offset: max(0, offset - 1), reason: reason)
  }

  private func fault(_ byte: UInt8, _ expected: String) -> JSONError {
    fault(.unexpectedByte(byte, expected: expected))
  }
}
