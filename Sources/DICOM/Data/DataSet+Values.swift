extension DataSet {
  /// The first value of an element as text, without trailing padding; nil if the element is
  /// absent, empty or of a kind that has no text. Characters are decoded by Specific Character
  /// Set (0008,0005), the replacement character standing for what cannot be. Integers and tags
  /// are given in their usual written form.
  public func string(_ tag: Tag) -> String? { strings(tag).first.flatMap { $0.isEmpty ? nil : $0 } }

  /// All values of an element, as ``string(_:)`` gives the first; values in the middle may be
  /// empty. No values if absent or empty.
  public func strings(_ tag: Tag) -> [String] {
    guard let element = self[tag], case .bytes(let value) = element.value, !value.isEmpty else {
      return []
    }
    let vr = interpretedVR(element)
    guard vr.isText else { return numbers(value, vr) }
    let set = vr.usesSpecificCharacterSet ? characterSet : .default
    let text = set.decode(value, isName: vr == .PN)
    let parts = vr.allowsSeveralValues ? values(text) : [trimmed(text.unicodeScalars[...])]
    return parts == [""] ? [] : parts
  }

  /// The first value as a UID; nil if absent or empty.
  public func uid(_ tag: Tag) -> UID? {
    string(tag).map { UID($0) }
  }

  /// All values as UIDs, empty ones left out.
  public func uids(_ tag: Tag) -> [UID] {
    strings(tag).filter { !$0.isEmpty }.map { UID($0) }
  }

  /// The first value as an integer: IS or a binary integer. Nil if it is none.
  public func integer(_ tag: Tag) -> Int? { integers(tag).first }

  /// All values that are integers.
  public func integers(_ tag: Tag) -> [Int] {
    strings(tag).compactMap { Int(withoutLeadingSpaces($0)) }
  }

  /// The first value as a number: DS, IS or a binary number.
  public func number(_ tag: Tag) -> Double? {
    string(tag).flatMap { Double(withoutLeadingSpaces($0)) }
  }

  /// The items of a sequence; none if absent, empty or no sequence. An item knows the character
  /// set of the data set it is taken from. A sequence that came as VR UN with a defined length is
  /// read, if it can be (PS3.5 section 6.2.2 note 2).
  public func items(_ tag: Tag) -> [DataSet] {
    guard let element = self[tag] else { return [] }
    var items: [DataSet]
    switch element.value {
    case .items(let found): items = found
    case .bytes(let value) where element.vr == .UN && DataDictionary.vr(tag) == .SQ:
      var wrapper = DataSetEncoder()
      wrapper.bytes = Self.implicitSequenceHeader(tag, value.count) + value
      guard
        let read = try? DataSet(decoding: wrapper.bytes, as: .implicitVRLittleEndian),
        case .items(let found)? = read[tag]?.value
      else { return [] }
      items = found
    default: return []
    }
    let terms = characterSetTerms
    for index in items.indices { items[index].inheritedCharacterSet = terms }
    return items
  }

  /// The value field as little endian bytes, padding included; nil if absent, a sequence or
  /// fragments.
  public func bytes(_ tag: Tag) -> [UInt8]? {
    guard case .bytes(let value)? = self[tag]?.value else { return nil }
    return value
  }

  /// Specific Character Set (0008,0005) as it holds for this data set.
  public var characterSet: CharacterSet { CharacterSet(characterSetTerms) }

  var characterSetTerms: [String] {
    guard case .bytes(let value)? = self[.specificCharacterSet]?.value else {
      return inheritedCharacterSet ?? []
    }
    return values(String(decoding: value, as: UTF8.self)).map(withoutLeadingSpaces)
  }

  /// UN of a known element is what the dictionary says it is.
  private func interpretedVR(_ element: DataElement) -> VR {
    guard element.vr == .UN, let vr = DataDictionary.vr(element.tag) else { return element.vr }
    return vr
  }

  private static func implicitSequenceHeader(_ tag: Tag, _ length: Int) -> [UInt8] {
    let length = UInt32(truncatingIfNeeded: length)
    return [
      UInt8(tag.group & 0xFF), UInt8(tag.group >> 8),
      UInt8(tag.element & 0xFF), UInt8(tag.element >> 8),
      UInt8(length & 0xFF), UInt8(length >> 8 & 0xFF), UInt8(length >> 16 & 0xFF),
      UInt8(length >> 24),
    ]
  }

  private func numbers(_ value: [UInt8], _ vr: VR) -> [String] {
    let size = vr == .AT ? 4 : vr.wordSize
    switch vr {
    case .AT, .FD, .FL, .SL, .SS, .SV, .UL, .US, .UV: break
    default: return []
    }
    return stride(from: 0, to: value.count - value.count % size, by: size).map { start in
      var word: UInt64 = 0
      for index in 0..<size { word |= UInt64(value[start + index]) << UInt64(8 * index) }
      return switch vr {
      case .SS: String(Int16(truncatingIfNeeded: word))
      case .SL: String(Int32(truncatingIfNeeded: word))
      case .SV: String(Int64(bitPattern: word))
      case .FL: String(Float(bitPattern: UInt32(truncatingIfNeeded: word)))
      case .FD: String(Double(bitPattern: word))
      case .AT:
        Tag(UInt16(truncatingIfNeeded: word), UInt16(truncatingIfNeeded: word >> 16)).description
      default: String(word)
      }
    }
  }
}

/// The values between backslashes. By scalars, since a backslash and a combining mark after it
/// make one Character.
private func values(_ text: String) -> [String] {
  text.unicodeScalars.split(separator: "\\", omittingEmptySubsequences: false).map(trimmed)
}

/// Without the spaces and NULs at the end that are padding (PS3.5 section 6.2).
private func trimmed(_ text: Substring.UnicodeScalarView) -> String {
  var text = text
  while let last = text.last, last == " " || last == "\0" { text.removeLast() }
  return String(text)
}

private func withoutLeadingSpaces(_ text: String) -> String {
  String(text.unicodeScalars.drop { $0 == " " })
}
