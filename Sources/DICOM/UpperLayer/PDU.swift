/// The types of protocol data units (PS3.8 section 9.3.1).
public enum PDUType: UInt8, Sendable, CaseIterable, CustomStringConvertible {
  case associateRequest = 0x01
  case associateAccept = 0x02
  case associateReject = 0x03
  case data = 0x04
  case releaseRequest = 0x05
  case releaseResponse = 0x06
  case abort = 0x07

  public var description: String {
    switch self {
    case .associateRequest: "A-ASSOCIATE-RQ"
    case .associateAccept: "A-ASSOCIATE-AC"
    case .associateReject: "A-ASSOCIATE-RJ"
    case .data: "P-DATA-TF"
    case .releaseRequest: "A-RELEASE-RQ"
    case .releaseResponse: "A-RELEASE-RP"
    case .abort: "A-ABORT"
    }
  }
}

/// Every PDU but P-DATA-TF, which is never held as a whole: its values stream (``PDVParser``).
public enum PDU: Hashable, Sendable {
  case associateRequest(AssociateRequest)
  case associateAccept(AssociateAccept)
  case associateReject(AssociationRejection)
  case releaseRequest
  case releaseResponse
  case abort(AssociationAbort)

  /// The bytes of the type, the reserved byte and the length in front of every PDU.
  public static let headerLength = 6
  /// More than 128 contexts of 64 transfer syntaxes each.
  static let longestAssociate = 1 << 20

  public var type: PDUType {
    switch self {
    case .associateRequest: .associateRequest
    case .associateAccept: .associateAccept
    case .associateReject: .associateReject
    case .releaseRequest: .releaseRequest
    case .releaseResponse: .releaseResponse
    case .abort: .abort
    }
  }

  /// Checks a length before anything is read or reserved for it.
  static func checkLength(_ length: UInt32, of type: PDUType) throws(PDUError) {
    switch type {
    case .associateRequest, .associateAccept:
      guard length <= longestAssociate else {
        throw .invalid("\(type) of \(length) bytes; at most \(longestAssociate) are taken")
      }
    case .associateReject, .releaseRequest, .releaseResponse, .abort:
      guard length == 4 else { throw .invalid("\(type) of \(length) bytes instead of 4") }
    case .data: break
    }
  }

  /// Reads what follows the header.
  public init(_ type: PDUType, body: [UInt8]) throws(PDUError) {
    var reader = WireReader(body)
    switch type {
    case .associateRequest: self = .associateRequest(try AssociateRequest(&reader))
    case .associateAccept: self = .associateAccept(try AssociateAccept(&reader))
    case .associateReject:
      try reader.skip(1, "reserved byte")
      self = .associateReject(
        AssociationRejection(
          result: try reader.byte("result"), source: try reader.byte("source"),
          reason: try reader.byte("reason")))
    case .releaseRequest: self = .releaseRequest
    case .releaseResponse: self = .releaseResponse
    case .abort:
      try reader.skip(2, "reserved bytes")
      self = .abort(
        AssociationAbort(source: try reader.byte("source"), reason: try reader.byte("reason")))
    case .data: throw .invalid("a P-DATA-TF is not read as a whole")
    }
  }

  /// The PDU as it goes on the wire.
  public func encoded() throws(PDUError) -> [UInt8] {
    try WireWriter.pdu(type) { (writer) throws(PDUError) in
      switch self {
      case .associateRequest(let request): try request.encode(into: &writer)
      case .associateAccept(let accept): try accept.encode(into: &writer)
      case .associateReject(let rejection):
        writer.append([0, rejection.result, rejection.source, rejection.reason])
      case .releaseRequest, .releaseResponse: writer.append([0, 0, 0, 0])
      case .abort(let abort): writer.append([0, 0, abort.source, abort.reason])
      }
    }
  }
}

/// Why an association was refused (A-ASSOCIATE-RJ, PS3.8 section 9.3.4).
public struct AssociationRejection: Hashable, Sendable, CustomStringConvertible {
  /// 1 permanent, 2 transient.
  public let result: UInt8
  /// 1 the application, 2 the association's protocol machine, 3 the presentation's.
  public let source: UInt8
  public let reason: UInt8

  public init(result: UInt8, source: UInt8, reason: UInt8) {
    self.result = result
    self.source = source
    self.reason = reason
  }

  public static let applicationContextNotSupported = Self(result: 1, source: 1, reason: 2)
  public static let callingAENotRecognized = Self(result: 1, source: 1, reason: 3)
  public static let calledAENotRecognized = Self(result: 1, source: 1, reason: 7)
  public static let protocolVersionNotSupported = Self(result: 1, source: 2, reason: 2)
  public static let temporaryCongestion = Self(result: 2, source: 3, reason: 1)
  public static let localLimitExceeded = Self(result: 2, source: 3, reason: 2)

  /// Whether the same request may be taken later.
  public var isTransient: Bool { result == 2 }

  /// The reason in words.
  public var reasonText: String {
    switch (source, reason) {
    case (1, 2): "application context name not supported"
    case (1, 3): "calling AE title not recognized"
    case (1, 7): "called AE title not recognized"
    case (2, 2): "protocol version not supported"
    case (3, 1): "temporary congestion"
    case (3, 2): "local limit exceeded"
    case (_, 1), (_, 0): "no reason given"
    default: "unknown reason \(reason) of source \(source)"
    }
  }

  public var description: String { "\(isTransient ? "transient" : "permanent"): \(reasonText)" }
}

/// Why an association was aborted (A-ABORT, PS3.8 section 9.3.8).
public struct AssociationAbort: Hashable, Sendable, CustomStringConvertible {
  /// 0 the application, 2 the protocol machine.
  public let source: UInt8
  /// Has a meaning only when the protocol machine aborts.
  public let reason: UInt8

  public init(source: UInt8, reason: UInt8) {
    self.source = source
    self.reason = reason
  }

  public static let byUser = Self(source: 0, reason: 0)
  static func byProvider(_ reason: ProviderReason) -> Self {
    Self(source: 2, reason: reason.rawValue)
  }

  enum ProviderReason: UInt8 {
    case notSpecified = 0
    case unrecognizedPDU = 1
    case unexpectedPDU = 2
    case unrecognizedParameter = 4
    case unexpectedParameter = 5
    case invalidParameterValue = 6
  }

  public var description: String {
    guard source == 2 else { return source == 0 ? "by the application" : "by source \(source)" }
    let text =
      switch ProviderReason(rawValue: reason) {
      case .notSpecified: "reason not specified"
      case .unrecognizedPDU: "unrecognized PDU"
      case .unexpectedPDU: "unexpected PDU"
      case .unrecognizedParameter: "unrecognized PDU parameter"
      case .unexpectedParameter: "unexpected PDU parameter"
      case .invalidParameterValue: "invalid PDU parameter value"
      case nil: "unknown reason \(reason)"
      }
    return "by the protocol machine, \(text)"
  }
}
