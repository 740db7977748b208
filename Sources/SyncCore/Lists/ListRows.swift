/// The rows of a list, in little more than the bytes of their texts: a hundred thousand rows of
/// eleven strings each would be ten times that.
///
/// Rows are encoded one after the other into chunks of bytes, and decoded one at a time. A text that
/// stands in the chunk already - a status, a unit, a day - is a reference to where it does.
public struct ListRows: Sendable {
  private var chunks: [[UInt8]] = []
  /// Where each row begins: its chunk, and the place in it.
  private var starts: [UInt32] = []
  /// Where texts that may come again stand in the last chunk.
  private var recent = RecentTexts()

  private static let chunkBits: UInt32 = 18
  private static let chunkSize = 1 << Int(chunkBits)

  public init() {}

  public init(_ rows: some Sequence<ListRow>) {
    for row in rows { append(row) }
  }

  public mutating func append(_ row: ListRow) {
    let size = EncodedRow.size(of: row)
    if chunks.last.map({ $0.count + size > Self.chunkSize }) ?? true {
      chunks.append([])
      recent = RecentTexts()
      // The first grows with its rows: most lists need no whole one.
      if chunks.count > 1 { chunks[chunks.count - 1].reserveCapacity(Self.chunkSize) }
    }
    let last = chunks.count - 1
    if starts.count == starts.capacity {
      starts.reserveCapacity(starts.count + starts.count / 4 + 16)
    }
    starts.append(UInt32(last) << Self.chunkBits | UInt32(chunks[last].count))
    EncodedRow.append(row, to: &chunks[last], &recent)
  }

  /// Calls `body` with a row as it lies here, valid during the call only.
  func withRow<R>(_ index: Int, _ body: (EncodedRow) throws -> R) rethrows -> R {
    let chunk = Int(starts[index] >> Self.chunkBits)
    let start = Int(starts[index]) & (Self.chunkSize - 1)
    return try chunks[chunk].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) throws -> R in
      try body(EncodedRow(chunk: bytes, start: start))
    }
  }
}

extension ListRows: RandomAccessCollection {
  public var startIndex: Int { 0 }
  public var endIndex: Int { starts.count }
  public subscript(index: Int) -> ListRow { withRow(index) { $0.decoded } }
}

extension ListRows: ExpressibleByArrayLiteral, Equatable {
  public init(arrayLiteral rows: ListRow...) { self.init(rows) }

  public static func == (a: ListRows, b: ListRows) -> Bool { a.elementsEqual(b) }
}

/// The places of texts in a chunk, by a hash: one for each slot, the latest.
struct RecentTexts: Sendable {
  private static let slots = 1024
  /// One more than the place; 0 for none.
  private var places = [UInt32](repeating: 0, count: slots)
  /// Shorter ones are not worth a reference.
  static let shortest = 4

  static func slot(_ text: UnsafeBufferPointer<UInt8>) -> Int {
    var hash: UInt32 = 0x811C_9DC5
    for byte in text { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
    return Int((hash ^ hash >> 16) % UInt32(slots))
  }

  subscript(slot: Int) -> Int? {
    get { places[slot] == 0 ? nil : Int(places[slot] - 1) }
    set { places[slot] = newValue.map { UInt32($0 + 1) } ?? 0 }
  }
}

/// One row as it lies in ``ListRows``: eleven fields in the order of ``Field``, each a number and
/// perhaps bytes. The number is written in groups of seven bits, the lowest first: 0 for nil; odd
/// for a text that follows, with its length in the other bits; even for one that stands in the
/// chunk already, with one more than its place in the other bits.
struct EncodedRow {
  /// Valid for as long as the row is looked at.
  let chunk: UnsafeRawBufferPointer
  let start: Int

  enum Field: Int {
    case examination, referral, studyUID, patientID, patientName, status, modality, description
    case careUnit, scheduled, priority
  }

  private static let count = 11

  private static func field(_ place: Int, of row: ListRow) -> String? {
    switch Field(rawValue: place)! {
    case .examination: row.examination
    case .referral: row.referral
    case .studyUID: row.studyUID
    case .patientID: row.patientID
    case .patientName: row.patientName
    case .status: row.status
    case .modality: row.modality
    case .description: row.description
    case .careUnit: row.careUnit
    case .scheduled: row.scheduled
    case .priority: row.priority
    }
  }

  /// At least as many bytes as a row needs.
  static func size(of row: ListRow) -> Int {
    (0..<count).reduce(0) { $0 + (field($1, of: row).map { 5 + $0.utf8.count } ?? 1) }
  }

  static func append(_ row: ListRow, to chunk: inout [UInt8], _ recent: inout RecentTexts) {
    for place in 0..<count {
      guard var text = field(place, of: row) else {
        chunk.append(0)
        continue
      }
      text.withUTF8 { utf8 in
        if utf8.count >= RecentTexts.shortest {
          let slot = RecentTexts.slot(utf8)
          if let place = recent[slot], isText(utf8, at: place, in: chunk) {
            append((place + 1) << 1, to: &chunk)
            return
          }
          recent[slot] = chunk.count
        }
        append(utf8.count << 1 | 1, to: &chunk)
        chunk.append(contentsOf: utf8)
      }
    }
  }

  private static func append(_ number: Int, to chunk: inout [UInt8]) {
    var rest = number
    while rest >= 0x80 {
      chunk.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    chunk.append(UInt8(rest))
  }

  private static func isText(
    _ text: UnsafeBufferPointer<UInt8>, at place: Int, in chunk: [UInt8]
  ) -> Bool {
    chunk.withUnsafeBytes { bytes in
      var index = place
      let length = number(in: bytes, at: &index) >> 1
      return length == text.count
        && bytes[index..<(index + length)].elementsEqual(UnsafeRawBufferPointer(text))
    }
  }

  private static func number(in bytes: UnsafeRawBufferPointer, at index: inout Int) -> Int {
    var result = 0
    var shift = 0
    while true {
      let byte = bytes[index]
      index += 1
      result |= Int(byte & 0x7F) << shift
      if byte < 0x80 { return result }
      shift += 7
    }
  }

  /// Calls `body` with each field in order, nil for one that is not there, until it returns false.
  private func forEachField(_ body: (UnsafeRawBufferPointer?) -> Bool) {
    var index = start
    for _ in 0..<Self.count {
      let number = Self.number(in: chunk, at: &index)
      if number == 0 {
        guard body(nil) else { return }
        continue
      }
      let isHere = number & 1 == 1
      var place = isHere ? index : (number >> 1) - 1
      let length = isHere ? number >> 1 : Self.number(in: chunk, at: &place) >> 1
      if isHere { index += length }
      guard body(UnsafeRawBufferPointer(rebasing: chunk[place..<(place + length)])) else { return }
    }
  }

  /// The examination number as UTF-8.
  var number: UnsafeRawBufferPointer { bytes(.examination)! }

  func text(_ field: Field) -> String? {
    bytes(field).map { String(decoding: $0, as: UTF8.self) }
  }

  private func bytes(_ wanted: Field) -> UnsafeRawBufferPointer? {
    var place = 0
    var found: UnsafeRawBufferPointer?
    forEachField { field in
      found = field
      place += 1
      return place <= wanted.rawValue
    }
    return found
  }

  /// A number that changes when anything of the row but its examination number does. Of our own
  /// making (FNV-1a), since Swift's hashes differ from run to run, and this one is kept.
  func digest(seed: UInt64) -> Int64 {
    var hash = seed
    var isNumber = true
    forEachField { field in
      if isNumber {
        isNumber = false
        return true
      }
      if let field {
        for byte in field { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
      }
      hash = (hash ^ (field == nil ? 0x1FF : 0x1FE)) &* 0x100_0000_01b3
      return true
    }
    return Int64(bitPattern: hash)
  }

  var decoded: ListRow {
    var row = ListRow(examination: "")
    var place = 0
    forEachField { field in
      let text = field.map { String(decoding: $0, as: UTF8.self) }
      switch Field(rawValue: place)! {
      case .examination: row.examination = text ?? ""
      case .referral: row.referral = text
      case .studyUID: row.studyUID = text
      case .patientID: row.patientID = text
      case .patientName: row.patientName = text
      case .status: row.status = text
      case .modality: row.modality = text
      case .description: row.description = text
      case .careUnit: row.careUnit = text
      case .scheduled: row.scheduled = text
      case .priority: row.priority = text
      }
      place += 1
      return true
    }
    return row
  }
}
