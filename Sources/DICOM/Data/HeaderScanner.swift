/// Takes a few elements out of a data set that arrives in pieces, and never needs the rest.
///
/// ```swift
/// var scanner = HeaderScanner(syntax, wanted: [.sopInstanceUID, .patientID], through: .patientID)
/// while !scanner.isDone, let piece = next() { try scanner.push(piece) }
/// if !scanner.isDone { try scanner.finish() }
/// scanner.header.string(.patientID)
/// ```
/// Only elements of the data set itself are taken, not those inside sequences, and no sequences.
/// What is not wanted is passed over without being stored: memory is bounded by the wanted values,
/// and for deflated data sets by a window.
public struct HeaderScanner: Sendable {
  /// The wanted elements found so far, and Specific Character Set for their texts.
  public private(set) var header = DataSet()
  /// Nothing more will be found: the pieces that follow need not be pushed.
  public private(set) var isDone = false

  private let encoding: ElementEncoding
  private let wanted: [Tag]
  private let last: Tag
  private let maximumValueLength: Int
  private let maximumNesting: Int

  /// Bytes of the data set that have been taken.
  private var offset = 0
  /// The beginning of a header or a value whose rest is still to come.
  private var pending: [UInt8] = []
  /// Bytes of a value to pass over.
  private var passing = 0
  private var collecting: (tag: Tag, vr: VR, length: Int)?
  /// Sequences and items of undefined length that are open, by turns: odd inside a sequence.
  private var depth = 0
  /// Inside a sequence of VR UN, from this depth on, all is Implicit VR Little Endian.
  private var implicitDepth: Int?
  private var inflater: Inflater?

  /// - Parameters:
  ///   - wanted: The elements to keep.
  ///   - last: Scanning ends at the first element behind this one.
  ///   - maximumValueLength: A wanted value longer than that many bytes is an error.
  public init(
    _ syntax: TransferSyntax, wanted: some Sequence<Tag>, through last: Tag,
    maximumValueLength: Int = 64 << 10, limits: DecodingLimits = .default
  ) {
    encoding = ElementEncoding(syntax)
    self.wanted = (Array(wanted) + [.specificCharacterSet]).sorted()
    self.last = last
    self.maximumValueLength = maximumValueLength
    maximumNesting = 2 * limits.maximumNesting
    if syntax.isDeflated { inflater = Inflater(limit: limits.maximumInflatedBytes) }
  }

  /// How many of the next bytes need not be pushed but can be given to ``skip(_:)``, so that
  /// nobody has to read them.
  public var skippable: Int { inflater == nil ? passing : 0 }

  /// Passes over bytes that were not read.
  /// - Parameter count: At most ``skippable``.
  public mutating func skip(_ count: Int) {
    precondition(count >= 0 && count <= skippable)
    passing -= count
    offset += count
  }

  /// Takes the next piece of the data set. Pieces after the end of scanning are ignored.
  public mutating func push(_ bytes: UnsafeRawBufferPointer) throws(DataSetError) {
    guard var inflater else { return try scan(bytes) }
    self.inflater = nil
    defer { self.inflater = inflater }
    // Little at a time, as a few bytes can inflate to a thousand times as many.
    var start = 0
    while start < bytes.count, !isDone {
      let end = min(start + 1024, bytes.count)
      try inflater.push(bytes[start..<end])
      start = end
      try scan(inflater.output, from: inflater.unreadStart)
      inflater.dropOutput()
    }
  }

  public mutating func push(_ bytes: [UInt8]) throws(DataSetError) {
    if inflater == nil {
      try scan(bytes, from: 0)
    } else {
      var failure: DataSetError?
      bytes.withUnsafeBytes { buffer in
        do throws(DataSetError) { try push(buffer) } catch { failure = error }
      }
      if let failure { throw failure }
    }
  }

  /// The data set has ended.
  /// - Throws: If it ended inside an element.
  public mutating func finish() throws(DataSetError) {
    guard !isDone else { return }
    if let inflater, !inflater.isFinished {
      throw DataSetError(.invalidDeflate("it ends early"), offset: offset)
    }
    if let collecting {
      throw DataSetError(
        .truncated(needed: collecting.length, available: pending.count), offset: offset,
        tag: collecting.tag)
    }
    if passing > 0 {
      throw DataSetError(.truncated(needed: passing, available: 0), offset: offset)
    }
    // Fewer than eight zeros at the very end are padding that someone added.
    if depth > 0 || pending.count >= 8 || !pending.allSatisfy({ $0 == 0 }) {
      throw DataSetError(.truncated(needed: 8, available: pending.count), offset: offset)
    }
    isDone = true
  }

  private mutating func scan(_ bytes: [UInt8], from start: Int) throws(DataSetError) {
    var failure: DataSetError?
    bytes.withUnsafeBytes { buffer in
      do throws(DataSetError) {
        try scan(UnsafeRawBufferPointer(rebasing: buffer[start...]))
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
  }

  private mutating func scan(_ bytes: UnsafeRawBufferPointer) throws(DataSetError) {
    var position = 0
    while !isDone {
      if passing > 0 {
        let count = min(passing, bytes.count - position)
        position += count
        passing -= count
        offset += count
        if passing > 0 { return }
      }
      if let element = collecting {
        let missing = element.length - pending.count
        let count = min(missing, bytes.count - position)
        pending.append(contentsOf: bytes[position..<position + count])
        position += count
        if count < missing { return }
        offset += element.length
        collecting = nil
        keep(element.tag, element.vr)
        continue
      }
      guard position < bytes.count else { return }
      guard let header = try nextHeader(bytes, &position) else { return }
      try take(header)
    }
  }

  /// The next header, from the pending bytes and these; nil if they do not suffice, and are then
  /// all pending.
  private mutating func nextHeader(
    _ bytes: UnsafeRawBufferPointer, _ position: inout Int
  ) throws(DataSetError) -> ElementHeader? {
    // In a sequence come only items, which have no VR.
    let here =
      if implicitDepth != nil {
        ElementEncoding.implicitLittleEndian
      } else if depth & 1 == 1 {
        ElementEncoding(isExplicitVR: false, isBigEndian: encoding.isBigEndian)
      } else {
        encoding
      }
    let parsed: ElementHeader.Parsed
    if pending.isEmpty {
      parsed = ElementHeader.parse(bytes, at: position, here)
      if case .needs = parsed {
        pending.append(contentsOf: bytes[position...])
        position = bytes.count
        return nil
      }
      if case .header(let header) = parsed { position += header.size }
    } else {
      var result = pending.withUnsafeBytes { ElementHeader.parse($0, at: 0, here) }
      while case .needs(let needed) = result {
        let count = min(needed - pending.count, bytes.count - position)
        pending.append(contentsOf: bytes[position..<position + count])
        position += count
        if pending.count < needed { return nil }
        result = pending.withUnsafeBytes { ElementHeader.parse($0, at: 0, here) }
      }
      pending.removeAll(keepingCapacity: true)
      parsed = result
    }
    switch parsed {
    case .header(let header):
      offset += header.size
      return header
    case .invalidVR(let tag, let first, let second):
      throw DataSetError(.invalidVR(first, second), offset: offset, tag: tag)
    case .needs: return nil
    }
  }

  private mutating func take(_ header: ElementHeader) throws(DataSetError) {
    let start = offset - header.size
    if depth & 1 == 1 {
      switch header.tag {
      case .sequenceDelimitationItem: close()
      case .item:
        if let length = header.length { passing = length } else { try open(start, header.tag) }
      default:
        throw DataSetError(.itemExpected(found: header.tag), offset: start)
      }
      return
    }
    if header.tag.isItemOrDelimiter {
      guard depth > 0, header.tag == .itemDelimitationItem else {
        throw DataSetError(.unexpectedDelimiter, offset: start, tag: header.tag)
      }
      return close()
    }
    if depth == 0, header.tag > last {
      isDone = true
      return
    }
    guard let length = header.length else {
      switch header.vr {
      case nil, .SQ, .OB, .OW: break
      case .UN: if implicitDepth == nil { implicitDepth = depth + 1 }
      case let vr?: throw DataSetError(.undefinedLength(vr), offset: start, tag: header.tag)
      }
      return try open(start, header.tag)
    }
    guard depth == 0, isWanted(header.tag) else {
      passing = length
      return
    }
    let vr = header.vr ?? DataSetDecoder.implicitVR(header.tag, isSigned: false)
    guard vr != .SQ else {
      passing = length
      return
    }
    guard length <= maximumValueLength else {
      throw DataSetError(
        .valueTooLong(length: length, limit: maximumValueLength), offset: start, tag: header.tag)
    }
    collecting = (header.tag, vr, length)
  }

  private mutating func keep(_ tag: Tag, _ vr: VR) {
    var value = pending
    pending.removeAll(keepingCapacity: true)
    if encoding.isBigEndian { vr.swapBytes(&value) }
    header.set(DataElement(tag, vr, .bytes(value)))
  }

  private mutating func open(_ start: Int, _ tag: Tag) throws(DataSetError) {
    guard depth < maximumNesting else {
      throw DataSetError(.nestedTooDeeply(limit: maximumNesting / 2), offset: start, tag: tag)
    }
    depth += 1
  }

  private mutating func close() {
    if let from = implicitDepth, depth == from { implicitDepth = nil }
    depth -= 1
  }

  private func isWanted(_ tag: Tag) -> Bool {
    var low = 0
    var high = wanted.count
    while low < high {
      let middle = (low + high) / 2
      if wanted[middle] < tag { low = middle + 1 } else { high = middle }
    }
    return low < wanted.count && wanted[low] == tag
  }
}
