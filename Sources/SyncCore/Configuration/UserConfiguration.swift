import DICOM
import HTTP

extension Configuration {
  /// Who the daemon says it is to a DICOM peer that asks for a user (PS3.7 section D.3.3.7).
  public struct User: Hashable, Sendable {
    public var name: String
    /// Where the passcode lies; nil: the name alone is told.
    public var passcode: String?

    public init(name: String, passcode: String? = nil) {
      self.name = name
      self.passcode = passcode
    }

    /// Reads `user` and `passcode` of a peer or a destination.
    static func read(_ table: TableReader) -> User? {
      let name = table.optionalString("user", check: Check.userName)
      let passcode = table.optionalString("passcode", check: Check.secretPlace)
      guard let name else {
        if table.table["passcode"] != nil, table.table["user"] == nil {
          table.fault("passcode", "needs the user that it is the passcode of")
        }
        return nil
      }
      return User(name: name, passcode: passcode)
    }

    func render(_ text: inout TOMLText) {
      text.line("user", .text(name))
      if let passcode { text.line("passcode", .text(passcode)) }
    }
  }
}

extension DICOMUser {
  init(_ user: Configuration.User) {
    self.init(name: user.name, passcode: user.passcode.map { SecretPlace($0) })
  }
}

extension Check {
  /// It goes out as UTF-8 of at most a 16 bit length; names of people and services are shorter.
  static func userName(_ text: String) -> String? {
    (1...256).contains(text.utf8.count)
      && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x7F }
      ? nil : "a user's name of at most 256 bytes, without control characters"
  }

  /// A UID, or the beginning of one with `.*` behind it, that is not the standard's own.
  static func sopClass(_ text: String) -> String? {
    let isPrefix = text.hasSuffix(".*")
    let uid = UID(isPrefix ? String(text.dropLast(2)) : text)
    let standard = "1.2.840.10008"
    let isStandard =
      uid.value == standard || uid.value.hasPrefix(standard + ".")
      || isPrefix && (standard + ".").hasPrefix(uid.value + ".")
    return uid.isValid && !isStandard
      ? nil
      : "a SOP Class UID such as \"1.2.752.24.3.1\", or the beginning of one such as \"1.2.752.24.*\","
        + " but none of the standard's: those are taken or not by themselves"
  }
}
