/// The Status (0000,0900) of a DIMSE response (PS3.7 annex C, PS3.4 per service).
public struct DIMSEStatus: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt16

  public init(rawValue: UInt16) { self.rawValue = rawValue }
  public init(_ rawValue: UInt16) { self.rawValue = rawValue }

  /// What a status means for the operation (PS3.7 section C.1).
  public enum Category: Sendable, Hashable {
    case success
    /// More responses follow.
    case pending
    /// The operation ended because of a C-CANCEL.
    case cancel
    /// Done, but something was not as asked.
    case warning
    case failure
  }

  public var category: Category {
    switch rawValue {
    case 0x0000: .success
    case 0xFF00, 0xFF01: .pending
    case 0xFE00: .cancel
    case 0x0001, 0x0107, 0x0116, 0xB000...0xBFFF: .warning
    default: .failure
    }
  }

  public var isSuccess: Bool { category == .success }
  public var isPending: Bool { category == .pending }
  public var isWarning: Bool { category == .warning }
  public var isFailure: Bool { category == .failure }

  public static let success = DIMSEStatus(0x0000)
  public static let cancel = DIMSEStatus(0xFE00)
  public static let pending = DIMSEStatus(0xFF00)
  /// Pending, and one or more optional keys were not supported for matching (PS3.4 table C.4-1).
  public static let pendingWithUnsupportedKeys = DIMSEStatus(0xFF01)

  public static let attributeListError = DIMSEStatus(0x0107)
  public static let processingFailure = DIMSEStatus(0x0110)
  public static let duplicateSOPInstance = DIMSEStatus(0x0111)
  public static let noSuchSOPInstance = DIMSEStatus(0x0112)
  public static let noSuchEventType = DIMSEStatus(0x0113)
  public static let invalidArgumentValue = DIMSEStatus(0x0115)
  public static let invalidSOPInstance = DIMSEStatus(0x0117)
  public static let classInstanceConflict = DIMSEStatus(0x0119)
  public static let sopClassNotSupported = DIMSEStatus(0x0122)
  public static let noSuchAction = DIMSEStatus(0x0123)
  public static let notAuthorized = DIMSEStatus(0x0124)
  public static let duplicateInvocation = DIMSEStatus(0x0210)
  public static let unrecognizedOperation = DIMSEStatus(0x0211)
  public static let mistypedArgument = DIMSEStatus(0x0212)
  public static let resourceLimitation = DIMSEStatus(0x0213)

  /// Out of resources; for C-MOVE and C-STORE, for instance a full disk.
  public static let outOfResources = DIMSEStatus(0xA700)
  /// C-MOVE: unable to calculate the number of matches.
  public static let unableToCalculateMatches = DIMSEStatus(0xA701)
  /// C-MOVE: unable to perform sub-operations.
  public static let unableToPerformSuboperations = DIMSEStatus(0xA702)
  public static let moveDestinationUnknown = DIMSEStatus(0xA801)
  /// The data set does not match the SOP class (C-STORE), the identifier does not (C-FIND, C-MOVE).
  public static let dataSetDoesNotMatchSOPClass = DIMSEStatus(0xA900)
  /// C-STORE: coercion of data elements. C-MOVE: one or more sub-operations failed or warned.
  public static let coercionOrSuboperationsFailed = DIMSEStatus(0xB000)
  public static let elementsDiscarded = DIMSEStatus(0xB006)
  public static let dataSetDoesNotMatchSOPClassWarning = DIMSEStatus(0xB007)
  /// Cannot understand (C-STORE), unable to process (C-FIND, C-MOVE).
  public static let cannotUnderstand = DIMSEStatus(0xC000)

  /// The standard's name, in lower case.
  public var name: String {
    switch rawValue {
    case 0x0000: "success"
    case 0x0105: "no such attribute"
    case 0x0106: "invalid attribute value"
    case 0x0107: "attribute list error"
    case 0x0110: "processing failure"
    case 0x0111: "duplicate SOP instance"
    case 0x0112: "no such SOP instance"
    case 0x0113: "no such event type"
    case 0x0114: "no such argument"
    case 0x0115: "invalid argument value"
    case 0x0116: "attribute value out of range"
    case 0x0117: "invalid SOP instance"
    case 0x0118: "no such SOP class"
    case 0x0119: "class-instance conflict"
    case 0x0120: "missing attribute"
    case 0x0121: "missing attribute value"
    case 0x0122: "SOP class not supported"
    case 0x0123: "no such action"
    case 0x0124: "not authorized"
    case 0x0131: "duplicate transaction UID"
    case 0x0210: "duplicate invocation"
    case 0x0211: "unrecognized operation"
    case 0x0212: "mistyped argument"
    case 0x0213: "resource limitation"
    case 0xA701: "out of resources: unable to calculate number of matches"
    case 0xA702: "out of resources: unable to perform sub-operations"
    case 0xA700...0xA7FF: "out of resources"
    case 0xA801: "move destination unknown"
    case 0xA900...0xA9FF: "data set or identifier does not match SOP class"
    case 0xB000: "coercion of data elements, or some sub-operations failed"
    case 0xB006: "elements discarded"
    case 0xB007: "data set does not match SOP class"
    case 0xC000...0xCFFF: "cannot understand or unable to process"
    case 0xFE00: "cancelled"
    case 0xFF00: "pending"
    case 0xFF01: "pending, optional keys not supported"
    default: category == .warning ? "warning" : "failure"
    }
  }

  /// Four hexadecimal digits, as the standard writes them: `A700`.
  public var code: String {
    let digits = String(rawValue, radix: 16, uppercase: true)
    return String(repeating: "0", count: 4 - digits.count) + digits
  }

  /// For people: `A700 out of resources`.
  public var description: String { "\(code) \(name)" }
}

/// Why a service provider cannot do what was asked; becomes the status and the Error Comment
/// (0000,0902) of the response.
public struct ServiceFailure: Error, Hashable, Sendable, CustomStringConvertible {
  public let status: DIMSEStatus
  /// At most 64 characters reach the peer. Never patient data.
  public let comment: String?

  public init(_ status: DIMSEStatus, _ comment: String? = nil) {
    self.status = status
    self.comment = comment
  }

  public var description: String {
    if let comment { "\(status): \(comment)" } else { status.description }
  }
}
