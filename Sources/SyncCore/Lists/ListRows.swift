/// The rows of a list, in little more than the bytes of their texts: a hundred thousand rows of
/// eleven strings each would be ten times that.
///
/// Rows are encoded one after the other into chunks of bytes, and decoded one at a time.
public struct ListRows: Sendable {
  private var chunks: [[UInt8]] = []
  /// Where each row begins: its chunk, and the place in it.
  private var starts: [UInt32] = []

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
      // The first grows with its rows: most lists need no whole one.
      if chunks.count > 1 { chunks[chunks.count - 1].reserveCapacity(Self.chunkSize) }
    }
    let last = chunks.count - 1
    if starts.count == starts.capacity {
      starts.reserveCapacity(starts.count + starts.count / 4 + 16)
    }
    starts.append(UInt32(last) << Self.chunkBits | UInt32(chunks[last].count))
    EncodedRow.append(row, to: &chunks[last])
  }

  /// Calls `body` with a row as it lies here, valid during the call only.
  func withRow<R>(_ index: Int, _ body: (EncodedRow) throws -> R) rethrows -> R {
    let chunk = Int(starts[index] >> Self.chunkBits)
    let start = Int(starts[index]) & (Self.chunkSize - 1)
    return try chunks[chunk].withUnsafeBytes { (bytes: UnsafeRawBufferPointer) throws -> R in
      try body(EncodedRow(bytes: UnsafeRawBufferPointer(rebasing: bytes[start...])))
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

/// One row as it lies in ``ListRows``: eleven fields in the order of ``Field``, each a length and
/// its bytes. A length is written in groups of seven bits, the lowest first; it is one more than
/// the number of bytes, and 0 for nil.
struct EncodedRow {
  /// Begins with the row, and may go on behind it.
  let bytes: UnsafeRawBufferPointer

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

  static func append(_ row: ListRow, to chunk: inout [UInt8]) {
    for place in 0..<count {
      guard var text = field(place, of: row) else {
        chunk.append(0)
        continue
      }
      text.withUTF8 { utf8 in
        var length = utf8.count + 1
        while length >= 0x80 {
          chunk.append(UInt8(truncatingIfNeeded: length) | 0x80)
          length >>= 7
        }
        chunk.append(UInt8(length))
        chunk.append(contentsOf: utf8)
      }
    }
  }

  /// Calls `body` with each field in order, nil for one that is not there, until it returns false.
  private func forEachField(_ body: (UnsafeRawBufferPointer?) -> Bool) {
    var index = 0
    for _ in 0..<Self.count {
      var length = 0
      var shift = 0
      while true {
        let byte = bytes[index]
        index += 1
        length |= Int(byte & 0x7F) << shift
        if byte < 0x80 { break }
        shift += 7
      }
      let end = index + max(0, length - 1)
      let field = length == 0 ? nil : UnsafeRawBufferPointer(rebasing: bytes[index..<end])
      guard body(field) else { return }
      index = end
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
