// Elements of group 0000 by number (PS3.7 table E.1-1).
private enum Element {
  static let groupLength: UInt16 = 0x0000
  static let affectedSOPClass: UInt16 = 0x0002
  static let requestedSOPClass: UInt16 = 0x0003
  static let commandField: UInt16 = 0x0100
  static let messageID: UInt16 = 0x0110
  static let messageIDRespondedTo: UInt16 = 0x0120
  static let moveDestination: UInt16 = 0x0600
  static let priority: UInt16 = 0x0700
  static let dataSetType: UInt16 = 0x0800
  static let status: UInt16 = 0x0900
  static let offendingElement: UInt16 = 0x0901
  static let errorComment: UInt16 = 0x0902
  static let affectedSOPInstance: UInt16 = 0x1000
  static let requestedSOPInstance: UInt16 = 0x1001
  static let eventType: UInt16 = 0x1002
  static let actionType: UInt16 = 0x1008
  static let remaining: UInt16 = 0x1020
  static let completed: UInt16 = 0x1021
  static let failed: UInt16 = 0x1022
  static let warning: UInt16 = 0x1023
  static let originatorAE: UInt16 = 0x1030
  static let originatorMessageID: UInt16 = 0x1031
}

private let noDataSet: UInt16 = 0x0101

extension Command {
  /// Reads a whole command set.
  public init(decoding bytes: [UInt8]) throws(CommandError) {
    var field: UInt16?
    var dataSetType: UInt16?
    var originatorAE: String?
    var originatorMessageID: UInt16?
    self.init(CommandField(rawValue: 0))

    var position = 0
    while position < bytes.count {
      guard bytes.count - position >= 8 else { throw CommandError(what: "it ends in an element") }
      let group = bytes.littleEndian16(at: position)
      let element = bytes.littleEndian16(at: position + 2)
      let length = bytes.littleEndian32(at: position + 4)
      position += 8
      guard length <= bytes.count - position else {
        throw CommandError(what: "\(Tag(group, element)) is longer than what is left")
      }
      let value = bytes[position..<position + Int(length)]
      position += Int(length)
      // Orthanc 1.10.1 puts the failed UIDs of a C-GET here, behind its response, which they are no
      // part of (PS3.7 section 6.3.1). Group 0000 comes first, so that what follows is not ours.
      guard group == 0 else {
        guard let field, CommandField(rawValue: field).isResponse else {
          throw CommandError(what: "\(Tag(group, element)) is not of group 0000")
        }
        continue
      }
      switch element {
      case Element.affectedSOPClass: affectedSOPClass = UID(value.text)
      case Element.requestedSOPClass: requestedSOPClass = UID(value.text)
      case Element.commandField: field = try value.number(element)
      case Element.messageID: messageID = try value.number(element)
      case Element.messageIDRespondedTo: messageIDRespondedTo = try value.number(element)
      case Element.moveDestination: moveDestination = value.text
      case Element.priority: priority = Priority(rawValue: try value.number(element)) ?? .medium
      case Element.dataSetType: dataSetType = try value.number(element)
      case Element.status: status = DIMSEStatus(try value.number(element))
      case Element.offendingElement:
        for start in stride(from: value.startIndex, to: value.endIndex - 3, by: 4) {
          offendingElements.append(
            Tag(bytes.littleEndian16(at: start), bytes.littleEndian16(at: start + 2)))
        }
      case Element.errorComment: errorComment = value.text
      case Element.affectedSOPInstance: affectedSOPInstance = UID(value.text)
      case Element.requestedSOPInstance: requestedSOPInstance = UID(value.text)
      case Element.eventType: eventType = try value.number(element)
      case Element.actionType: actionType = try value.number(element)
      case Element.remaining: suboperations.remaining = try value.number(element)
      case Element.completed: suboperations.completed = try value.number(element)
      case Element.failed: suboperations.failed = try value.number(element)
      case Element.warning: suboperations.warning = try value.number(element)
      case Element.originatorAE: originatorAE = value.text
      case Element.originatorMessageID: originatorMessageID = try value.number(element)
      default: break
      }
    }
    guard let field else { throw CommandError(what: "no Command Field (0000,0100)") }
    guard let dataSetType else { throw CommandError(what: "no Data Set Type (0000,0800)") }
    self.field = CommandField(rawValue: field)
    hasDataSet = dataSetType != noDataSet
    if let originatorAE, !originatorAE.isEmpty {
      moveOriginator = MoveOriginator(aeTitle: originatorAE, messageID: originatorMessageID ?? 0)
    }
  }

  /// The command set with its group length.
  public func encoded() -> [UInt8] {
    var writer = CommandWriter()
    writer.uid(Element.affectedSOPClass, affectedSOPClass)
    writer.uid(Element.requestedSOPClass, requestedSOPClass)
    writer.number(Element.commandField, field.rawValue)
    writer.number(Element.messageID, messageID)
    writer.number(Element.messageIDRespondedTo, messageIDRespondedTo)
    writer.text(Element.moveDestination, moveDestination, limit: 16)
    writer.number(Element.priority, priority?.rawValue)
    writer.number(Element.dataSetType, hasDataSet ? 0x0000 : noDataSet)
    writer.number(Element.status, status?.rawValue)
    if !offendingElements.isEmpty {
      writer.header(Element.offendingElement, offendingElements.count * 4)
      for tag in offendingElements {
        writer.uint16(tag.group)
        writer.uint16(tag.element)
      }
    }
    writer.text(Element.errorComment, errorComment, limit: 64)
    writer.uid(Element.affectedSOPInstance, affectedSOPInstance)
    writer.uid(Element.requestedSOPInstance, requestedSOPInstance)
    writer.number(Element.eventType, eventType)
    writer.number(Element.actionType, actionType)
    writer.number(Element.remaining, suboperations.remaining)
    writer.number(Element.completed, suboperations.completed)
    writer.number(Element.failed, suboperations.failed)
    writer.number(Element.warning, suboperations.warning)
    if let moveOriginator {
      writer.text(Element.originatorAE, moveOriginator.aeTitle, limit: 16)
      writer.number(Element.originatorMessageID, moveOriginator.messageID)
    }
    return writer.finished()
  }
}

/// Writes Implicit VR Little Endian elements of group 0000, in the order of the calls.
private struct CommandWriter {
  /// Starts with the group length, filled in at the end.
  private var bytes: [UInt8] = [0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]

  mutating func uint16(_ value: UInt16) {
    bytes.append(UInt8(truncatingIfNeeded: value))
    bytes.append(UInt8(truncatingIfNeeded: value >> 8))
  }

  mutating func header(_ element: UInt16, _ length: Int) {
    uint16(0)
    uint16(element)
    uint16(UInt16(truncatingIfNeeded: length))
    uint16(UInt16(truncatingIfNeeded: length >> 16))
  }

  mutating func number(_ element: UInt16, _ value: UInt16?) {
    guard let value else { return }
    header(element, 2)
    uint16(value)
  }

  mutating func uid(_ element: UInt16, _ value: UID?) {
    guard let value else { return }
    field(element, Array(value.value.utf8.prefix(0xFFFF)), padding: 0)
  }

  mutating func text(_ element: UInt16, _ value: String?, limit: Int) {
    guard let value else { return }
    // The default repertoire is all a command set has (PS3.7 section 6.3.1).
    var plain = value.utf8.prefix(limit).map { $0 < 0x80 && $0 >= 0x20 ? $0 : 0x3F }
    // Where it is cut there may be a space, which no reader would take for a part of it.
    while plain.last == 0x20 { plain.removeLast() }
    field(element, plain, padding: 0x20)
  }

  private mutating func field(_ element: UInt16, _ value: [UInt8], padding: UInt8) {
    header(element, value.count + value.count & 1)
    bytes += value
    if value.count & 1 == 1 { bytes.append(padding) }
  }

  mutating func finished() -> [UInt8] {
    let length = UInt32(truncatingIfNeeded: bytes.count - 12)
    for index in 0..<4 {
      bytes[8 + index] = UInt8(truncatingIfNeeded: length >> (8 * UInt32(index)))
    }
    return bytes
  }
}

extension [UInt8] {
  fileprivate func littleEndian16(at index: Int) -> UInt16 {
    UInt16(self[index]) | UInt16(self[index + 1]) << 8
  }

  fileprivate func littleEndian32(at index: Int) -> UInt32 {
    UInt32(littleEndian16(at: index)) | UInt32(littleEndian16(at: index + 2)) << 16
  }
}

extension ArraySlice<UInt8> {
  fileprivate func number(_ element: UInt16) throws(CommandError) -> UInt16 {
    guard count == 2 else {
      throw CommandError(what: "\(Tag(0, element)) has \(count) bytes instead of 2")
    }
    return UInt16(self[startIndex]) | UInt16(self[startIndex + 1]) << 8
  }

  /// Without the padding: spaces and NUL on either side.
  fileprivate var text: String {
    let isPadding = { (byte: UInt8) in byte == 0x20 || byte == 0 }
    guard let first = firstIndex(where: { !isPadding($0) }),
      let last = lastIndex(where: { !isPadding($0) })
    else { return "" }
    return String(decoding: self[first...last], as: UTF8.self)
  }
}
