import DICOM
import JSON

/// The attributes of one data set in the DICOM JSON model (PS3.18 annex F), as far as they are
/// asked for: `{"0020000D": {"vr": "UI", "Value": ["1.2.3"]}}`.
public struct DICOMJSON: Sendable {
  private let members: JSONObject

  /// Nil where it is no object.
  public init?(_ value: JSONValue) {
    guard let members = value.objectValue else { return nil }
    self.members = members
  }

  private static func name(_ tag: Tag) -> String {
    let digits = String(UInt32(tag.group) << 16 | UInt32(tag.element), radix: 16, uppercase: true)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }

  /// The tag as a query names it: `0020000D`.
  public static func key(_ tag: Tag) -> String { name(tag) }

  public func has(_ tag: Tag) -> Bool { members[Self.name(tag)] != nil }

  private func values(_ tag: Tag) -> [JSONValue] {
    // Names are upper case by the standard; one server or the other has them in lower case.
    let name = Self.name(tag)
    let element = members[name] ?? members[name.lowercased()]
    return element?["Value"]?.arrayValue ?? []
  }

  /// The first value as a text; nil where it is absent or empty.
  public func string(_ tag: Tag) -> String? {
    guard var text = values(tag).first?.stringValue else { return nil }
    while let last = text.unicodeScalars.last, last == " " || last.value == 0 {
      text.unicodeScalars.removeLast()
    }
    while text.first == " " { text.removeFirst() }
    return text.isEmpty ? nil : text
  }

  /// A valid UID; nil for anything else.
  public func uid(_ tag: Tag) -> UID? {
    guard let text = string(tag) else { return nil }
    let uid = UID(text)
    return uid.isValid ? uid : nil
  }

  /// The first value as a number, which servers also write as a text.
  public func integer(_ tag: Tag) -> Int64? {
    guard let value = values(tag).first else { return nil }
    return value.intValue ?? value.stringValue.flatMap { Int64($0) }
  }

  public func items(_ tag: Tag) -> [DICOMJSON] { values(tag).compactMap { DICOMJSON($0) } }

  /// The person's name in its alphabetic form, with its components parted by `^`.
  public func personName(_ tag: Tag) -> String? {
    values(tag).first?["Alphabetic"]?.stringValue ?? string(tag)
  }
}
