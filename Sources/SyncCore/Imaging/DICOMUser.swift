import DICOM
import HTTP

/// Who the daemon says it is to a peer that asks for a user (user identity negotiation, PS3.7
/// section D.3.3.7). Without TLS the passcode is on the network as it is.
public struct DICOMUser: Hashable, Sendable {
  public var name: String
  /// Where the passcode lies; nil: the name alone is told.
  public var passcode: SecretPlace?

  public init(name: String, passcode: SecretPlace? = nil) {
    self.name = name
    self.passcode = passcode
  }

  /// What is said in an association request. The secret is read anew each time, so that it can be
  /// renewed.
  func identity() throws(SecretPlace.Fault) -> UserInformation.UserIdentity {
    guard let passcode else { return .user(name) }
    return .user(name, passcode: try passcode.read())
  }
}
