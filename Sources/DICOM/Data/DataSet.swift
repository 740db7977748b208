/// A data set (PS3.5 section 7): elements in ascending order of their tags.
///
/// Values are kept as the bytes of the little endian encoding, so that what is not touched is
/// written back unchanged; text is decoded on access by Specific Character Set (0008,0005).
public struct DataSet: Equatable, Sendable {
  public private(set) var elements: [DataElement]

  /// Specific Character Set of the data set around an item, which holds for the item unless it
  /// has one of its own (PS3.5 section 6.1.2.3). Not part of what the data set is.
  var inheritedCharacterSet: [String]?

  public init() { elements = [] }

  /// Elements in the order they came, which may be any; of equal tags the last one holds.
  init(inAnyOrder elements: [DataElement]) {
    var isAscending = true
    for index in elements.indices.dropFirst()
    where elements[index - 1].tag >= elements[index].tag {
      isAscending = false
      break
    }
    if isAscending {
      self.elements = elements
      return
    }
    // One sort rather than insertions, which hostile data could make quadratic.
    let sorted = elements.enumerated().sorted {
      ($0.element.tag, $0.offset) < ($1.element.tag, $1.offset)
    }
    self.elements = []
    self.elements.reserveCapacity(sorted.count)
    for (_, element) in sorted {
      if self.elements.last?.tag == element.tag { self.elements.removeLast() }
      self.elements.append(element)
    }
  }

  /// The element with a tag.
  public subscript(tag: Tag) -> DataElement? {
    let index = position(of: tag)
    return index < elements.count && elements[index].tag == tag ? elements[index] : nil
  }

  /// Puts an element in its place, replacing one with the same tag.
  public mutating func set(_ element: DataElement) {
    // Elements nearly always come in order.
    guard let last = elements.last, last.tag >= element.tag else {
      elements.append(element)
      return
    }
    let index = position(of: element.tag)
    if index < elements.count, elements[index].tag == element.tag {
      elements[index] = element
    } else {
      elements.insert(element, at: index)
    }
  }

  public mutating func remove(_ tag: Tag) {
    let index = position(of: tag)
    if index < elements.count, elements[index].tag == tag { elements.remove(at: index) }
  }

  private func position(of tag: Tag) -> Int {
    var low = 0
    var high = elements.count
    while low < high {
      let middle = (low + high) / 2
      if elements[middle].tag < tag { low = middle + 1 } else { high = middle }
    }
    return low
  }

  public static func == (a: DataSet, b: DataSet) -> Bool { a.elements == b.elements }
}

/// A data element (PS3.5 section 7.1).
public struct DataElement: Equatable, Sendable {
  public var tag: Tag
  public var vr: VR
  public var value: Value

  public enum Value: Equatable, Sendable {
    /// The value field as little endian bytes, padding included.
    case bytes([UInt8])
    /// The items of a sequence (PS3.5 section 7.5).
    case items([DataSet])
    /// The fragments of encapsulated pixel data, the Basic Offset Table first (PS3.5 annex A.4).
    case fragments([[UInt8]])
  }

  public init(_ tag: Tag, _ vr: VR, _ value: Value) {
    self.tag = tag
    self.vr = vr
    self.value = value
  }
}
