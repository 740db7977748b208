extension DataSet {
  /// Sets the values of a text element, in the VR that the dictionary names.
  ///
  /// Text is encoded by Specific Character Set (0008,0005) as it is at this moment, so set that
  /// first. No value at all makes the element empty, as in the return keys of a query.
  /// - Throws: If the dictionary does not know the element, if it does not hold text, or if a
  ///   character cannot be encoded.
  public mutating func set(_ tag: Tag, _ texts: String...) throws(DataSetError) {
    try set(tag, texts: texts)
  }

  /// The same in a VR given by the caller, for private elements.
  public mutating func set(_ tag: Tag, _ vr: VR, _ texts: String...) throws(DataSetError) {
    try set(tag, vr, texts: texts)
  }

  public mutating func set(_ tag: Tag, texts: [String]) throws(DataSetError) {
    guard let vr = DataDictionary.vr(tag) else { throw DataSetError(.noVRKnown, tag: tag) }
    try set(tag, vr, texts: texts)
  }

  public mutating func set(_ tag: Tag, _ vr: VR, texts: [String]) throws(DataSetError) {
    guard vr.isText || texts.isEmpty else { throw DataSetError(.notText(vr), tag: tag) }
    let text = texts.joined(separator: "\\")
    let set = vr.usesSpecificCharacterSet ? characterSet : .default
    do throws(DataSetError) {
      setBytes(tag, vr, try set.encode(text, isName: vr == .PN))
    } catch {
      throw DataSetError(error.reason, tag: tag)
    }
  }

  public mutating func set(_ tag: Tag, _ uids: UID...) {
    setBytes(tag, .UI, Array(uids.map(\.value).joined(separator: "\\").utf8))
  }

  public mutating func set(_ tag: Tag, uids: [UID]) {
    setBytes(tag, .UI, Array(uids.map(\.value).joined(separator: "\\").utf8))
  }

  /// Sets one unsigned 16 bit value, VR US.
  public mutating func set(_ tag: Tag, uint16 value: UInt16) {
    setBytes(tag, .US, [UInt8(value & 0xFF), UInt8(value >> 8)])
  }

  /// Sets one unsigned 32 bit value, VR UL.
  public mutating func set(_ tag: Tag, uint32 value: UInt32) {
    setBytes(tag, .UL, (0..<4).map { UInt8(truncatingIfNeeded: value >> UInt32(8 * $0)) })
  }

  /// Sets an integer string, VR IS.
  public mutating func set(_ tag: Tag, integer value: Int) {
    setBytes(tag, .IS, Array(String(value).utf8))
  }

  /// Sets the items of a sequence.
  public mutating func set(_ tag: Tag, items: [DataSet]) {
    set(DataElement(tag, .SQ, .items(items)))
  }

  /// Makes an element empty, as the return keys of a query are (PS3.4 section C.2.2.1.2).
  public mutating func setEmpty(_ tag: Tag) {
    let vr = DataDictionary.vr(tag) ?? .UN
    set(DataElement(tag, vr, vr == .SQ ? .items([]) : .bytes([])))
  }

  /// Sets little endian bytes, padded to an even length.
  public mutating func setBytes(_ tag: Tag, _ vr: VR, _ bytes: [UInt8]) {
    let padded = bytes.count & 1 == 1 ? bytes + [vr.padding] : bytes
    set(DataElement(tag, vr, .bytes(padded)))
  }
}
