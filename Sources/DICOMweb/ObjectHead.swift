import DICOM

/// Reads what precedes the data set of a Part 10 object (PS3.10 section 7.1) from its first bytes,
/// in pieces of any size. No byte of the data set is changed or kept.
public struct ObjectHead {
  private var head: [UInt8] = []
  /// How many bytes it takes to say more.
  private var wanted = 1024

  public init() {}

  /// Takes what it needs of the input.
  /// - Returns: the header with those bytes of the data set that were taken with it; the others are
  ///   what is left of the input. Nil: more is needed.
  public mutating func take(
    _ input: inout UnsafeRawBufferPointer
  ) throws(DataSetError) -> (header: FileHeader, dataSet: ArraySlice<UInt8>)? {
    while !input.isEmpty {
      let count = min(input.count, wanted - head.count)
      head.append(contentsOf: UnsafeRawBufferPointer(rebasing: input[..<count]))
      input = UnsafeRawBufferPointer(rebasing: input[count...])
      if head.count < wanted { return nil }
      if let found = try decode(isWhole: false) { return found }
    }
    return nil
  }

  /// The object has ended: what there is must do.
  public mutating func finish() throws(DataSetError) -> (
    header: FileHeader, dataSet: ArraySlice<UInt8>
  )? {
    try decode(isWhole: true)
  }

  private mutating func decode(isWhole: Bool) throws(DataSetError) -> (
    header: FileHeader, dataSet: ArraySlice<UInt8>
  )? {
    switch try FileHeader.decode(head, isWhole: isWhole) {
    case .header(let header): return (header, head[header.dataSetOffset...])
    case .needs(let count):
      wanted = max(count, head.count + 1)
      return nil
    }
  }
}
