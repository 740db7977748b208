/// A value for each of many examinations: a dictionary that holds a hundred thousand in little more
/// than the bytes of their keys and values.
///
/// Keys and values lie close together, in the order in which they came but for those that have
/// taken the place of a removed one; beside them lies a table of places, found by hash. Swift's own
/// dictionary keeps a quarter to five eighths of its entries empty, each of full size.
public struct ExaminationTable<Value> {
  /// In the order of iteration.
  public private(set) var keys: [ExaminationKey] = []
  /// In the order of ``keys``.
  public private(set) var values: [Value] = []
  /// By hash: a place among the keys, counted from 1; 0 where there is none. A power of two, of
  /// which at most four fifths are taken, or empty.
  private var slots: [UInt32] = []

  public init() {}

  public init(minimumCapacity: Int) { reserveCapacity(minimumCapacity) }

  public var count: Int { keys.count }
  public var isEmpty: Bool { keys.isEmpty }

  public subscript(key: ExaminationKey) -> Value? {
    get { place(of: key).map { values[$0] } }
    set {
      guard let newValue else {
        removeValue(forKey: key)
        return
      }
      updateValue(newValue, forKey: key)
    }
  }

  public subscript(key: ExaminationKey, default missing: @autoclosure () -> Value) -> Value {
    get { self[key] ?? missing() }
    set { updateValue(newValue, forKey: key) }
  }

  public func contains(_ key: ExaminationKey) -> Bool { place(of: key) != nil }

  /// Returns the value that was there.
  @discardableResult
  public mutating func updateValue(_ value: Value, forKey key: ExaminationKey) -> Value? {
    if let place = place(of: key) {
      let old = values[place]
      values[place] = value
      return old
    }
    makeRoom(for: count + 1)
    if count == keys.capacity { keys.reserveCapacity(count + count / 4 + 4) }
    if count == values.capacity { values.reserveCapacity(count + count / 4 + 4) }
    keys.append(key)
    values.append(value)
    insertPlace(count - 1)
    return nil
  }

  /// Returns the value that was there.
  @discardableResult
  public mutating func removeValue(forKey key: ExaminationKey) -> Value? {
    guard let place = place(of: key) else { return nil }
    close(slot(holding: place))
    let last = count - 1
    if place != last {
      slots[slot(holding: last)] = UInt32(place + 1)
      keys.swapAt(place, last)
      values.swapAt(place, last)
    }
    keys.removeLast()
    let old = values.removeLast()
    if count < keys.capacity / 4, keys.capacity > 1024 { shrink() }
    return old
  }

  /// Calls `body` with every value, to change it in place.
  public mutating func updateEach(
    _ body: (ExaminationKey, inout Value) throws -> Void
  ) rethrows {
    for place in keys.indices { try body(keys[place], &values[place]) }
  }

  public mutating func removeAll() { self = ExaminationTable() }

  public mutating func reserveCapacity(_ wanted: Int) {
    guard wanted > count else { return }
    keys.reserveCapacity(wanted)
    values.reserveCapacity(wanted)
    makeRoom(for: wanted)
  }

  /// Those entries of which a condition is true.
  public func filter(
    _ isIncluded: ((key: ExaminationKey, value: Value)) throws -> Bool
  ) rethrows -> ExaminationTable {
    var kept = ExaminationTable()
    for entry in self where try isIncluded(entry) { kept[entry.key] = entry.value }
    return kept
  }

  // MARK: - Slots

  private func place(of key: ExaminationKey) -> Int? {
    if slots.isEmpty { return nil }
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: key.spread) & mask
    while slots[slot] != 0 {
      let place = Int(slots[slot] &- 1)
      if keys[place] == key { return place }
      slot = (slot + 1) & mask
    }
    return nil
  }

  private func slot(holding place: Int) -> Int {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: keys[place].spread) & mask
    while slots[slot] != UInt32(place + 1) { slot = (slot + 1) & mask }
    return slot
  }

  private mutating func insertPlace(_ place: Int) {
    let mask = slots.count - 1
    var slot = Int(truncatingIfNeeded: keys[place].spread) & mask
    while slots[slot] != 0 { slot = (slot + 1) & mask }
    slots[slot] = UInt32(place + 1)
  }

  /// Empties a slot, and moves up those behind it that would not be found across the gap.
  private mutating func close(_ slot: Int) {
    let mask = slots.count - 1
    var gap = slot
    var next = (gap + 1) & mask
    while slots[next] != 0 {
      let home = Int(truncatingIfNeeded: keys[Int(slots[next]) - 1].spread) & mask
      if (next - home) & mask >= (next - gap) & mask {
        slots[gap] = slots[next]
        gap = next
      }
      next = (next + 1) & mask
    }
    slots[gap] = 0
  }

  private mutating func makeRoom(for wanted: Int) {
    var size = Swift.max(slots.count, 8)
    while wanted > size / 5 * 4 { size *= 2 }
    if size == slots.count { return }
    // The old ones go first: both at once are not needed.
    slots = []
    slots = [UInt32](repeating: 0, count: size)
    for place in keys.indices { insertPlace(place) }
  }

  private mutating func shrink() {
    keys = keys.withUnsafeBufferPointer { Array($0) }
    values = values.withUnsafeBufferPointer { Array($0) }
    slots = []
    makeRoom(for: count)
  }
}

extension ExaminationTable: Sendable where Value: Sendable {}

extension ExaminationTable: Sequence {
  public struct Iterator: IteratorProtocol {
    private let keys: [ExaminationKey]
    private let values: [Value]
    private var place = 0

    init(_ table: ExaminationTable) {
      keys = table.keys
      values = table.values
    }

    public mutating func next() -> (key: ExaminationKey, value: Value)? {
      guard place < keys.count else { return nil }
      defer { place += 1 }
      return (keys[place], values[place])
    }
  }

  public func makeIterator() -> Iterator { Iterator(self) }
  public var underestimatedCount: Int { count }
}

extension ExaminationTable: ExpressibleByDictionaryLiteral {
  public init(dictionaryLiteral elements: (ExaminationKey, Value)...) {
    self.init(uniqueKeysWithValues: elements)
  }

  /// Of a key that comes twice, the last value stays.
  public init(uniqueKeysWithValues entries: some Sequence<(ExaminationKey, Value)>) {
    self.init(minimumCapacity: entries.underestimatedCount)
    for (key, value) in entries { updateValue(value, forKey: key) }
  }
}

extension ExaminationTable: Equatable where Value: Equatable {
  /// Whatever the order.
  public static func == (a: ExaminationTable, b: ExaminationTable) -> Bool {
    a.count == b.count && a.allSatisfy { b[$0.key] == $0.value }
  }
}
