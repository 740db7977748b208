import Platform

/// The examinations of one peer that wait for a pass: those not yet due by time, those due by
/// urgency and then by how long they have waited.
///
/// Entries are never searched for or removed: an examination that is scheduled anew gets a new
/// ticket, and what lies here with an old one is dropped when it comes up.
struct DueQueue {
  struct Item {
    var key: ExaminationKey
    var time: MonotonicTime
    var ticket: UInt32
    var priority: Priority

    init(time: MonotonicTime, priority: Priority, ticket: UInt32, key: ExaminationKey) {
      self.key = key
      self.time = time
      self.ticket = ticket
      self.priority = priority
    }
  }

  private var waiting: [Item] = []
  private var ready: [Item] = []

  var readyCount: Int { ready.count }
  var nextTime: MonotonicTime? { waiting.first?.time }

  mutating func add(_ item: Item) { Self.push(item, &waiting, by: Self.sooner) }

  /// Moves what has become due. `isCurrent` tells by its ticket whether an item still counts.
  mutating func advance(to now: MonotonicTime, isCurrent: (Item) -> Bool) {
    while let first = waiting.first, first.time <= now {
      let item = Self.pop(&waiting, by: Self.sooner)
      if isCurrent(item) { Self.push(item, &ready, by: Self.moreUrgent) }
    }
  }

  /// The most urgent item that is due.
  mutating func next(isCurrent: (Item) -> Bool) -> Item? {
    while !ready.isEmpty {
      let item = Self.pop(&ready, by: Self.moreUrgent)
      if isCurrent(item) { return item }
    }
    return nil
  }

  private static func sooner(_ a: Item, _ b: Item) -> Bool { a.time < b.time }

  private static func moreUrgent(_ a: Item, _ b: Item) -> Bool {
    a.priority != b.priority ? a.priority > b.priority : a.time < b.time
  }

  private static func push(_ item: Item, _ heap: inout [Item], by before: (Item, Item) -> Bool) {
    if heap.count == heap.capacity { heap.reserveCapacity(heap.count + heap.count / 4 + 16) }
    heap.append(item)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard before(heap[child], heap[parent]) else { return }
      heap.swapAt(child, parent)
      child = parent
    }
  }

  private static func pop(_ heap: inout [Item], by before: (Item, Item) -> Bool) -> Item {
    heap.swapAt(0, heap.count - 1)
    let item = heap.removeLast()
    if heap.count < heap.capacity / 4, heap.capacity > 1024 {
      heap = heap.withUnsafeBufferPointer { Array($0) }
    }
    var parent = 0
    while true {
      var first = parent
      for child in [2 * parent + 1, 2 * parent + 2]
      where child < heap.count && before(heap[child], heap[first]) { first = child }
      if first == parent { return item }
      heap.swapAt(parent, first)
      parent = first
    }
  }
}
