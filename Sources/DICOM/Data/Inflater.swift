/// Decompresses a raw deflate stream (RFC 1951) that arrives in pieces.
///
/// When the input ends inside a symbol, the symbol is taken back and tried again with the next
/// piece. So there is no state for every bit, only for every symbol.
struct Inflater {
  /// The output not yet dropped, after at most 32 KiB of what went before it.
  private(set) var output: [UInt8] = []
  /// Where the output that nobody has dropped begins.
  private(set) var unreadStart = 0
  private(set) var isFinished = false

  private let limit: Int
  private var produced = 0
  private var input: [UInt8] = []
  private var reader = BitReader()
  private var block = Block.header
  private var isLastBlock = false

  private enum Block {
    case header
    case stored(remaining: Int)
    case compressed(literals: HuffmanCode, distances: HuffmanCode)
  }

  /// - Parameter limit: The most bytes to produce, against data that inflates without end.
  init(limit: Int) { self.limit = limit }

  /// Marks the output as read, and frees what no later match can refer to.
  mutating func dropOutput() {
    unreadStart = output.count
    let history = 32768
    if output.count > 4 * history {
      output.removeFirst(output.count - history)
      unreadStart = history
    }
  }

  /// Takes a piece of input; what it yields is appended to the output.
  mutating func push(_ bytes: some Sequence<UInt8>) throws(DataSetError) {
    input.removeFirst(reader.position)
    reader.position = 0
    input.append(contentsOf: bytes)
    while !isFinished, try step() {}
  }

  /// Decodes one header, or as much of the block as there is input for. False when more input is
  /// needed.
  private mutating func step() throws(DataSetError) -> Bool {
    switch block {
    case .header:
      let checkpoint = reader
      if let next = try readHeader() {
        block = next
        return true
      }
      reader = checkpoint
      return false
    case .stored(let remaining):
      let count = min(remaining, input.count - reader.position)
      try reserve(count)
      output.append(contentsOf: input[reader.position..<reader.position + count])
      reader.position += count
      block = .stored(remaining: remaining - count)
      if remaining > count { return false }
      endBlock()
      return true
    case .compressed(let literals, let distances):
      guard try inflate(literals, distances) else { return false }
      endBlock()
      return true
    }
  }

  private mutating func endBlock() {
    block = .header
    isFinished = isLastBlock
  }

  private mutating func reserve(_ count: Int) throws(DataSetError) {
    produced += count
    if produced > limit { throw DataSetError(.inflatedTooLarge(limit: limit)) }
  }

  private mutating func readHeader() throws(DataSetError) -> Block? {
    guard let last = reader.take(1, input), let kind = reader.take(2, input) else { return nil }
    isLastBlock = last == 1
    switch kind {
    case 0:
      reader.dropToByte()
      guard let length = reader.take(16, input), let check = reader.take(16, input) else {
        return nil
      }
      guard length == ~check & 0xFFFF else {
        throw DataSetError(.invalidDeflate("length of a stored block"))
      }
      reader.returnWholeBytes()
      return .stored(remaining: Int(length))
    case 1: return .compressed(literals: .fixedLiterals, distances: .fixedDistances)
    case 2: return try readCodes()
    default: throw DataSetError(.invalidDeflate("kind of block"))
    }
  }

  private mutating func readCodes() throws(DataSetError) -> Block? {
    guard let literalCount = reader.take(5, input), let distanceCount = reader.take(5, input),
      let lengthCount = reader.take(4, input)
    else { return nil }
    let literals = Int(literalCount) + 257
    let distances = Int(distanceCount) + 1
    guard literals <= 286, distances <= 30 else {
      throw DataSetError(.invalidDeflate("number of codes"))
    }
    var lengths = [UInt8](repeating: 0, count: 19)
    for index in 0..<Int(lengthCount) + 4 {
      guard let length = reader.take(3, input) else { return nil }
      lengths[codeLengthOrder[index]] = UInt8(length)
    }
    guard let code = HuffmanCode(lengths, mayBeIncomplete: false) else {
      throw DataSetError(.invalidDeflate("code lengths"))
    }
    lengths = []
    while lengths.count < literals + distances {
      reader.refill(input)
      guard let symbol = try code.decode(&reader) else { return nil }
      let (repeated, bits, base): (UInt8, Int, Int)
      switch symbol {
      case 0...15: (repeated, bits, base) = (UInt8(symbol), 0, 1)
      case 16:
        guard let previous = lengths.last else {
          throw DataSetError(.invalidDeflate("repetition of no code length"))
        }
        (repeated, bits, base) = (previous, 2, 3)
      case 17: (repeated, bits, base) = (0, 3, 3)
      default: (repeated, bits, base) = (0, 7, 11)
      }
      guard let extra = reader.take(bits, input) else { return nil }
      lengths.append(contentsOf: repeatElement(repeated, count: base + Int(extra)))
    }
    guard lengths.count == literals + distances, lengths[256] != 0,
      let literalCode = HuffmanCode(lengths[..<literals], mayBeIncomplete: false),
      let distanceCode = HuffmanCode(lengths[literals...], mayBeIncomplete: true)
    else { throw DataSetError(.invalidDeflate("Huffman codes")) }
    return .compressed(literals: literalCode, distances: distanceCode)
  }

  /// True at the end of the block, false when more input is needed.
  private mutating func inflate(
    _ literals: HuffmanCode, _ distances: HuffmanCode
  ) throws(DataSetError) -> Bool {
    while true {
      // One refill holds the longest symbol: 15 + 5 + 15 + 13 bits.
      reader.refill(input)
      let checkpoint = reader
      guard let symbol = try literals.decode(&reader) else {
        reader = checkpoint
        return false
      }
      if symbol < 256 {
        try reserve(1)
        output.append(UInt8(symbol))
        continue
      }
      if symbol == 256 { return true }
      guard symbol <= 285 else { throw DataSetError(.invalidDeflate("length symbol")) }
      let (lengthBase, lengthBits) = lengthTable[symbol - 257]
      guard let lengthExtra = reader.take(lengthBits),
        let distanceSymbol = try distances.decode(&reader)
      else {
        reader = checkpoint
        return false
      }
      guard distanceSymbol < 30 else { throw DataSetError(.invalidDeflate("distance symbol")) }
      let (distanceBase, distanceBits) = distanceTable[distanceSymbol]
      guard let distanceExtra = reader.take(distanceBits) else {
        reader = checkpoint
        return false
      }
      let length = lengthBase + Int(lengthExtra)
      let distance = distanceBase + Int(distanceExtra)
      guard distance <= output.count else {
        throw DataSetError(.invalidDeflate("distance before the start"))
      }
      try reserve(length)
      for index in output.count - distance..<output.count - distance + length {
        output.append(output[index])
      }
    }
  }
}

/// Bits from the least significant on, out of an array that the caller holds.
private struct BitReader {
  /// The next byte that is not yet in the bits.
  var position = 0
  private var bits: UInt64 = 0
  private var count = 0

  mutating func refill(_ input: [UInt8]) {
    while count <= 56, position < input.count {
      bits |= UInt64(input[position]) << UInt64(count)
      position += 1
      count += 8
    }
  }

  mutating func take(_ wanted: Int, _ input: [UInt8]) -> UInt32? {
    if count < wanted { refill(input) }
    return take(wanted)
  }

  mutating func take(_ wanted: Int) -> UInt32? {
    guard count >= wanted else { return nil }
    let value = UInt32(truncatingIfNeeded: bits & (1 << UInt64(wanted) - 1))
    bits >>= UInt64(wanted)
    count -= wanted
    return value
  }

  /// The next 15 bits, zeros after the end, and how many of them are real.
  var peeked: (bits: Int, available: Int) { (Int(bits & 0x7FFF), min(count, 15)) }

  mutating func drop(_ dropped: Int) {
    bits >>= UInt64(dropped)
    count -= dropped
  }

  mutating func dropToByte() { drop(count & 7) }

  /// Puts whole bytes back into the input.
  mutating func returnWholeBytes() {
    position -= count / 8
    bits = 0
    count = 0
  }
}

/// A canonical Huffman code: a table for codes of up to 9 bits, arithmetic for longer ones.
private struct HuffmanCode {
  private static let tableBits = 9
  /// For each value of 9 bits the symbol times 16 plus its length; 0 if the code is longer.
  private var table: [UInt16]
  private var counts = [Int](repeating: 0, count: 16)
  private var symbols: [UInt16]

  init?(_ lengths: some Collection<UInt8>, mayBeIncomplete: Bool) {
    for length in lengths { counts[Int(length)] += 1 }
    counts[0] = 0
    var left = 1
    var used = 0
    for length in 1...15 {
      left = 2 * left - counts[length]
      used += counts[length]
      if left < 0 { return nil }
    }
    if left > 0, !(mayBeIncomplete && used <= 1) { return nil }

    var next = [Int](repeating: 0, count: 16)
    var codes = [Int](repeating: 0, count: 16)
    for length in 1..<15 {
      next[length + 1] = next[length] + counts[length]
      codes[length + 1] = (codes[length] + counts[length]) << 1
    }
    symbols = [UInt16](repeating: 0, count: used)
    table = [UInt16](repeating: 0, count: 1 << Self.tableBits)
    for (symbol, length) in lengths.enumerated() where length > 0 {
      let length = Int(length)
      symbols[next[length]] = UInt16(symbol)
      next[length] += 1
      let code = codes[length]
      codes[length] += 1
      guard length <= Self.tableBits else { continue }
      // The code comes with its first bit lowest.
      var index = 0
      for bit in 0..<length where code >> bit & 1 == 1 { index |= 1 << (length - 1 - bit) }
      while index < table.count {
        table[index] = UInt16(symbol << 4 | length)
        index += 1 << length
      }
    }
  }

  /// Nil when the bits do not suffice.
  func decode(_ reader: inout BitReader) throws(DataSetError) -> Int? {
    let (bits, available) = reader.peeked
    let entry = Int(table[bits & (table.count - 1)])
    if entry != 0 {
      guard entry & 15 <= available else { return nil }
      reader.drop(entry & 15)
      return entry >> 4
    }
    var code = 0
    var first = 0
    var index = 0
    for length in 1...15 {
      guard length <= available else { return nil }
      code |= bits >> (length - 1) & 1
      let count = counts[length]
      if code - first < count {
        reader.drop(length)
        return Int(symbols[index + code - first])
      }
      index += count
      first = (first + count) << 1
      code <<= 1
    }
    throw DataSetError(.invalidDeflate("code that stands for nothing"))
  }

  static let fixedLiterals = HuffmanCode(
    (0..<288).map { symbol -> UInt8 in
      switch symbol {
      case ..<144: 8
      case ..<256: 9
      case ..<280: 7
      default: 8
      }
    }, mayBeIncomplete: false)!
  static let fixedDistances = HuffmanCode(
    [UInt8](repeating: 5, count: 32), mayBeIncomplete: false)!
}

private let codeLengthOrder = [
  16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15,
]

/// The shortest length of each length symbol and the number of bits to add.
private let lengthTable: [(Int, Int)] = {
  var table: [(Int, Int)] = []
  var base = 3
  for symbol in 0..<28 {
    let bits = max(0, symbol / 4 - 1)
    table.append((base, bits))
    base += 1 << bits
  }
  return table + [(258, 0)]
}()

private let distanceTable: [(Int, Int)] = {
  var table: [(Int, Int)] = []
  var base = 1
  for symbol in 0..<30 {
    let bits = max(0, symbol / 2 - 1)
    table.append((base, bits))
    base += 1 << bits
  }
  return table
}()
