/// The User Information item and its sub-items (PS3.8 section 9.3.2.3, annex D; PS3.7 annex D.3.3).
public struct UserInformation: Hashable, Sendable {
  /// The largest P-DATA-TF the sender of the item takes, in bytes after the PDU's header.
  /// 0 is no limit (PS3.8 annex D.1).
  public var maximumLength: UInt32
  public var implementationClass: UID?
  /// At most 16 characters.
  public var implementationVersion: String?
  public var asynchronousOperations: AsynchronousOperations?
  public var roleSelections: [RoleSelection]
  /// Kept as received: the contents belong to the service class.
  public var extendedNegotiations: [ExtendedNegotiation]
  public var userIdentity: UserIdentity?
  /// Sub-items that none of the above covers, kept as received.
  public var others: [Other]

  /// How many operations may be outstanding; 0 is no limit (PS3.7 section D.3.3.3).
  public struct AsynchronousOperations: Hashable, Sendable {
    public var invoked: UInt16
    public var performed: UInt16

    public init(invoked: UInt16, performed: UInt16) {
      self.invoked = invoked
      self.performed = performed
    }
  }

  /// Which roles the requestor offers for a SOP class (PS3.7 section D.3.3.4).
  public struct RoleSelection: Hashable, Sendable {
    public var sopClass: UID
    public var user: Bool
    public var provider: Bool

    public init(sopClass: UID, user: Bool, provider: Bool) {
      self.sopClass = sopClass
      self.user = user
      self.provider = provider
    }
  }

  /// SOP Class Extended Negotiation (PS3.7 section D.3.3.5).
  public struct ExtendedNegotiation: Hashable, Sendable {
    public var sopClass: UID
    public var information: [UInt8]

    public init(sopClass: UID, information: [UInt8]) {
      self.sopClass = sopClass
      self.information = information
    }
  }

  /// User Identity Negotiation (PS3.7 section D.3.3.7). Holds secrets: never for a log.
  public struct UserIdentity: Hashable, Sendable, CustomStringConvertible {
    /// 1 name, 2 name and passcode, 3 Kerberos, 4 SAML, 5 JWT.
    public var type: UInt8
    public var responseRequested: Bool
    public var primary: [UInt8]
    public var secondary: [UInt8]

    public init(type: UInt8, responseRequested: Bool, primary: [UInt8], secondary: [UInt8] = []) {
      self.type = type
      self.responseRequested = responseRequested
      self.primary = primary
      self.secondary = secondary
    }

    public var description: String { "user identity of type \(type)" }
  }

  public struct Other: Hashable, Sendable {
    public var type: UInt8
    public var contents: [UInt8]

    public init(type: UInt8, contents: [UInt8]) {
      self.type = type
      self.contents = contents
    }
  }

  public init(
    maximumLength: UInt32, implementationClass: UID? = nil, implementationVersion: String? = nil,
    asynchronousOperations: AsynchronousOperations? = nil, roleSelections: [RoleSelection] = [],
    extendedNegotiations: [ExtendedNegotiation] = [], userIdentity: UserIdentity? = nil,
    others: [Other] = []
  ) {
    self.maximumLength = maximumLength
    self.implementationClass = implementationClass
    self.implementationVersion = implementationVersion
    self.asynchronousOperations = asynchronousOperations
    self.roleSelections = roleSelections
    self.extendedNegotiations = extendedNegotiations
    self.userIdentity = userIdentity
    self.others = others
  }

  init(_ reader: inout WireReader) throws(PDUError) {
    // Without the sub-item there is no limit (PS3.8 annex D.1.1 makes it mandatory; some forget).
    self.init(maximumLength: 0)
    try reader.items { (type, item) throws(PDUError) in
      switch type {
      case 0x51: maximumLength = try item.uint32("maximum length")
      case 0x52: implementationClass = try item.uid(item.remaining, "implementation class")
      case 0x53:
        asynchronousOperations = AsynchronousOperations(
          invoked: try item.uint16("operations invoked"),
          performed: try item.uint16("operations performed"))
      case 0x54:
        let length = Int(try item.uint16("SOP class length"))
        roleSelections.append(
          RoleSelection(
            sopClass: try item.uid(length, "SOP class"), user: try item.byte("user role") != 0,
            provider: try item.byte("provider role") != 0))
      case 0x55: implementationVersion = try item.text(item.remaining, "implementation version")
      case 0x56:
        let length = Int(try item.uint16("SOP class length"))
        extendedNegotiations.append(
          ExtendedNegotiation(
            sopClass: try item.uid(length, "SOP class"),
            information: try item.take(item.remaining, "extended negotiation")))
      case 0x58:
        let identity = try item.byte("user identity type")
        let wanted = try item.byte("response requested") != 0
        let first = Int(try item.uint16("primary field length"))
        let primary = try item.take(first, "primary field")
        let second = Int(try item.uint16("secondary field length"))
        userIdentity = UserIdentity(
          type: identity, responseRequested: wanted, primary: primary,
          secondary: try item.take(second, "secondary field"))
      default:
        others.append(
          Other(type: type, contents: try item.take(item.remaining, "user information")))
      }
    }
  }

  func encode(into writer: inout WireWriter) throws(PDUError) {
    try writer.item(0x50, "user information") { (inner) throws(PDUError) in
      try inner.item(0x51, "maximum length") { $0.uint32(maximumLength) }
      if let implementationClass { try inner.item(0x52, uid: implementationClass) }
      if let window = asynchronousOperations {
        try inner.item(0x53, "asynchronous operations window") {
          $0.uint16(window.invoked)
          $0.uint16(window.performed)
        }
      }
      for role in roleSelections {
        try inner.item(0x54, "role selection") { (item) throws(PDUError) in
          try item.counted(Array(role.sopClass.value.utf8), "SOP class")
          item.byte(role.user ? 1 : 0)
          item.byte(role.provider ? 1 : 0)
        }
      }
      if let implementationVersion {
        try inner.item(0x55, "implementation version") {
          $0.append(implementationVersion.utf8.prefix(16))
        }
      }
      for extended in extendedNegotiations {
        try inner.item(0x56, "extended negotiation") { (item) throws(PDUError) in
          try item.counted(Array(extended.sopClass.value.utf8), "SOP class")
          item.append(extended.information)
        }
      }
      if let identity = userIdentity {
        try inner.item(0x58, "user identity") { (item) throws(PDUError) in
          item.byte(identity.type)
          item.byte(identity.responseRequested ? 1 : 0)
          try item.counted(identity.primary, "primary field")
          try item.counted(identity.secondary, "secondary field")
        }
      }
      for other in others {
        try inner.item(other.type, "user information") { $0.append(other.contents) }
      }
    }
  }
}

extension WireWriter {
  fileprivate mutating func counted(_ field: [UInt8], _ what: String) throws(PDUError) {
    guard let length = UInt16(exactly: field.count) else { throw .tooLong(what) }
    uint16(length)
    append(field)
  }
}
