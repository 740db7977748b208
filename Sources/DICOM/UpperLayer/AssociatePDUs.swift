/// The DICOM application context name (PS3.7 annex A.2.1).
let dicomApplicationContext: UID = "1.2.840.10008.3.1.1.1"

/// A-ASSOCIATE-RQ (PS3.8 section 9.3.2).
public struct AssociateRequest: Hashable, Sendable {
  /// Bit 0 is version 1, the only one there is.
  public var protocolVersion: UInt16
  public var calledAE: String
  public var callingAE: String
  public var applicationContext: UID
  public var contexts: [Context]
  public var user: UserInformation

  /// A proposed presentation context (PS3.8 section 9.3.2.2).
  public struct Context: Hashable, Sendable {
    /// Odd.
    public var id: UInt8
    public var abstractSyntax: UID
    public var transferSyntaxes: [TransferSyntax]

    public init(id: UInt8, abstractSyntax: UID, transferSyntaxes: [TransferSyntax]) {
      self.id = id
      self.abstractSyntax = abstractSyntax
      self.transferSyntaxes = transferSyntaxes
    }
  }

  public init(
    protocolVersion: UInt16 = 1, calledAE: String, callingAE: String,
    applicationContext: UID = "1.2.840.10008.3.1.1.1", contexts: [Context], user: UserInformation
  ) {
    self.protocolVersion = protocolVersion
    self.calledAE = calledAE
    self.callingAE = callingAE
    self.applicationContext = applicationContext
    self.contexts = contexts
    self.user = user
  }

  init(_ reader: inout WireReader) throws(PDUError) {
    let head = try AssociateHead(&reader)
    var context: UID?
    var contexts: [Context] = []
    var user: UserInformation?
    try reader.items { (type, item) throws(PDUError) in
      switch type {
      case 0x10: context = try item.uid(item.remaining, "application context")
      case 0x20: contexts.append(try Self.context(&item))
      case 0x50: user = try UserInformation(&item)
      default: break
      }
    }
    guard let context else { throw .invalid("no application context") }
    guard let user else { throw .invalid("no user information") }
    guard !contexts.isEmpty else { throw .invalid("no presentation context") }
    guard Set(contexts.map(\.id)).count == contexts.count else {
      throw .invalid("two presentation contexts with the same id")
    }
    self.init(
      protocolVersion: head.version, calledAE: head.calledAE, callingAE: head.callingAE,
      applicationContext: context, contexts: contexts, user: user)
  }

  private static func context(_ item: inout WireReader) throws(PDUError) -> Context {
    let id = try item.byte("presentation context id")
    try item.skip(3, "presentation context")
    guard id & 1 == 1 else { throw .invalid("presentation context id \(id) is even") }
    var abstractSyntax: UID?
    var transferSyntaxes: [TransferSyntax] = []
    try item.items { (type, inner) throws(PDUError) in
      switch type {
      case 0x30: abstractSyntax = try inner.uid(inner.remaining, "abstract syntax")
      case 0x40:
        transferSyntaxes.append(
          TransferSyntax(try inner.uid(inner.remaining, "transfer syntax")))
      default: break
      }
    }
    guard let abstractSyntax else {
      throw .invalid("presentation context \(id) has no abstract syntax")
    }
    return Context(id: id, abstractSyntax: abstractSyntax, transferSyntaxes: transferSyntaxes)
  }

  func encode(into writer: inout WireWriter) throws(PDUError) {
    AssociateHead(version: protocolVersion, calledAE: calledAE, callingAE: callingAE)
      .encode(into: &writer)
    try writer.item(0x10, uid: applicationContext)
    for context in contexts {
      try writer.item(0x20, "presentation context") { (item) throws(PDUError) in
        item.append([context.id, 0, 0, 0])
        try item.item(0x30, uid: context.abstractSyntax)
        for syntax in context.transferSyntaxes { try item.item(0x40, uid: syntax.uid) }
      }
    }
    try user.encode(into: &writer)
  }
}

/// A-ASSOCIATE-AC (PS3.8 section 9.3.3).
public struct AssociateAccept: Hashable, Sendable {
  public var protocolVersion: UInt16
  /// Echoes of the request; never to be tested (PS3.8 table 9-17).
  public var calledAE: String
  public var callingAE: String
  public var applicationContext: UID
  public var contexts: [Context]
  public var user: UserInformation

  /// The answer to one presentation context (PS3.8 section 9.3.3.2).
  public struct Context: Hashable, Sendable {
    public var id: UInt8
    public var result: ContextResult
    /// Without meaning unless accepted.
    public var transferSyntax: TransferSyntax

    public init(id: UInt8, result: ContextResult, transferSyntax: TransferSyntax) {
      self.id = id
      self.result = result
      self.transferSyntax = transferSyntax
    }
  }

  /// Result/Reason of a presentation context (PS3.8 table 9-18).
  public struct ContextResult: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }
    public static let acceptance = Self(rawValue: 0)
    public static let userRejection = Self(rawValue: 1)
    public static let noReason = Self(rawValue: 2)
    public static let abstractSyntaxNotSupported = Self(rawValue: 3)
    public static let transferSyntaxesNotSupported = Self(rawValue: 4)
  }

  public init(
    protocolVersion: UInt16 = 1, calledAE: String, callingAE: String,
    applicationContext: UID = "1.2.840.10008.3.1.1.1", contexts: [Context], user: UserInformation
  ) {
    self.protocolVersion = protocolVersion
    self.calledAE = calledAE
    self.callingAE = callingAE
    self.applicationContext = applicationContext
    self.contexts = contexts
    self.user = user
  }

  init(_ reader: inout WireReader) throws(PDUError) {
    let head = try AssociateHead(&reader)
    var context = dicomApplicationContext
    var contexts: [Context] = []
    var user: UserInformation?
    try reader.items { (type, item) throws(PDUError) in
      switch type {
      case 0x10: context = try item.uid(item.remaining, "application context")
      case 0x21: contexts.append(try Self.context(&item))
      case 0x50: user = try UserInformation(&item)
      default: break
      }
    }
    guard let user else { throw .invalid("no user information") }
    self.init(
      protocolVersion: head.version, calledAE: head.calledAE, callingAE: head.callingAE,
      applicationContext: context, contexts: contexts, user: user)
  }

  private static func context(_ item: inout WireReader) throws(PDUError) -> Context {
    let id = try item.byte("presentation context id")
    try item.skip(1, "presentation context")
    let result = ContextResult(rawValue: try item.byte("presentation context result"))
    try item.skip(1, "presentation context")
    var transferSyntax: UID?
    try item.items { (type, inner) throws(PDUError) in
      if type == 0x40 { transferSyntax = try inner.uid(inner.remaining, "transfer syntax") }
    }
    guard result != .acceptance || transferSyntax != nil else {
      throw .invalid("presentation context \(id) accepted without a transfer syntax")
    }
    return Context(id: id, result: result, transferSyntax: TransferSyntax(transferSyntax ?? ""))
  }

  func encode(into writer: inout WireWriter) throws(PDUError) {
    AssociateHead(version: protocolVersion, calledAE: calledAE, callingAE: callingAE)
      .encode(into: &writer)
    try writer.item(0x10, uid: applicationContext)
    for context in contexts {
      try writer.item(0x21, "presentation context") { (item) throws(PDUError) in
        item.append([context.id, 0, context.result.rawValue, 0])
        try item.item(0x40, uid: context.transferSyntax.uid)
      }
    }
    try user.encode(into: &writer)
  }
}

/// The fixed fields both A-ASSOCIATE-RQ and -AC begin with.
private struct AssociateHead {
  var version: UInt16
  var calledAE: String
  var callingAE: String

  init(version: UInt16, calledAE: String, callingAE: String) {
    self.version = version
    self.calledAE = calledAE
    self.callingAE = callingAE
  }

  init(_ reader: inout WireReader) throws(PDUError) {
    version = try reader.uint16("protocol version")
    try reader.skip(2, "reserved bytes")
    calledAE = try reader.text(16, "called AE title")
    callingAE = try reader.text(16, "calling AE title")
    try reader.skip(32, "reserved bytes")
  }

  func encode(into writer: inout WireWriter) {
    writer.uint16(version)
    writer.uint16(0)
    writer.aeTitle(calledAE)
    writer.aeTitle(callingAE)
    writer.append(repeatElement(0, count: 32))
  }
}

extension WireReader {
  /// Calls `body` with each item in turn: type, reserved byte, 16 bit length, contents.
  mutating func items(
    _ body: (UInt8, inout WireReader) throws(PDUError) -> Void
  ) throws(PDUError) {
    while !isAtEnd {
      let type = try byte("item type")
      try skip(1, "item")
      let length = Int(try uint16("item length"))
      var item = try part(length, "item \(type)")
      try body(type, &item)
    }
  }
}
