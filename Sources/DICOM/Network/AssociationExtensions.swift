/// What an association is asked for beyond its presentation contexts (PS3.7 annex D.3.3). What
/// the peer answered is in ``Association/peerInformation``.
public struct AssociationExtensions: Hashable, Sendable {
  /// The roles we offer for SOP classes; without one we are the user (PS3.7 section D.3.3.4).
  public var roles: [UserInformation.RoleSelection]
  /// Who we say we are (PS3.7 section D.3.3.7). Travels in the clear unless the connection is
  /// encrypted.
  public var userIdentity: UserInformation.UserIdentity?
  /// SOP Class Extended Negotiation (PS3.7 section D.3.3.5).
  public var extendedNegotiations: [UserInformation.ExtendedNegotiation]
  /// How many operations we would have under way at once (PS3.7 section D.3.3.3). 1 asks for nothing:
  /// there are peers that drop an association which asks for more.
  public var operations: Int

  /// More would gain nothing: the network between is full long before.
  public static let mostOperations = 64

  public static let none = AssociationExtensions()

  public init(
    roles: [UserInformation.RoleSelection] = [],
    userIdentity: UserInformation.UserIdentity? = nil,
    extendedNegotiations: [UserInformation.ExtendedNegotiation] = [], operations: Int = 1
  ) {
    self.operations = min(max(operations, 1), Self.mostOperations)
    self.roles = roles
    self.userIdentity = userIdentity
    self.extendedNegotiations = extendedNegotiations
  }
}

extension UserInformation.UserIdentity {
  /// A user by name, with a passcode where there is one (PS3.7 table D.3-14, types 1 and 2).
  public static func user(
    _ name: String, passcode: String? = nil, responseRequested: Bool = false
  ) -> Self {
    Self(
      type: passcode == nil ? 1 : 2, responseRequested: responseRequested,
      primary: Array(name.utf8), secondary: passcode.map { Array($0.utf8) } ?? [])
  }
}

extension UserInformation {
  /// Type of the sub-item with the acceptor's answer to a user identity (PS3.7 table D.3-15).
  static let userIdentityResponse: UInt8 = 0x59

  /// Whether the acceptor has said that it took our user identity.
  public var isUserIdentityAcknowledged: Bool {
    others.contains { $0.type == Self.userIdentityResponse }
  }
}
