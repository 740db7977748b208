/// Command Field (0000,0100) (PS3.7 table E.1-1). The responses have the highest bit set.
public struct CommandField: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
  public let rawValue: UInt16
  public init(rawValue: UInt16) { self.rawValue = rawValue }

  public static let storeRequest = Self(rawValue: 0x0001)
  public static let getRequest = Self(rawValue: 0x0010)
  public static let findRequest = Self(rawValue: 0x0020)
  public static let moveRequest = Self(rawValue: 0x0021)
  public static let echoRequest = Self(rawValue: 0x0030)
  public static let eventReportRequest = Self(rawValue: 0x0100)
  public static let actionRequest = Self(rawValue: 0x0130)
  public static let cancelRequest = Self(rawValue: 0x0FFF)

  public var isResponse: Bool { rawValue & 0x8000 != 0 }
  /// The response to this request.
  public var response: Self { Self(rawValue: rawValue | 0x8000) }

  public var description: String {
    let name =
      switch rawValue & 0x7FFF {
      case 0x0001: "C-STORE"
      case 0x0010: "C-GET"
      case 0x0020: "C-FIND"
      case 0x0021: "C-MOVE"
      case 0x0030: "C-ECHO"
      case 0x0100: "N-EVENT-REPORT"
      case 0x0110: "N-GET"
      case 0x0120: "N-SET"
      case 0x0130: "N-ACTION"
      case 0x0140: "N-CREATE"
      case 0x0150: "N-DELETE"
      case 0x0FFF: "C-CANCEL"
      default: "command \(rawValue)"
      }
    return "\(name)-\(isResponse ? "RSP" : "RQ")"
  }
}

/// A DIMSE command set (PS3.7 section 6.3 and annex E): group 0000, always Implicit VR Little
/// Endian. Elements that no message here uses are passed over when reading.
public struct Command: Hashable, Sendable {
  public var field: CommandField
  public var affectedSOPClass: UID?
  public var requestedSOPClass: UID?
  public var messageID: UInt16?
  public var messageIDRespondedTo: UInt16?
  public var moveDestination: String?
  public var priority: Priority?
  /// Whether a data set follows: Command Data Set Type (0000,0800) is not 0101.
  public var hasDataSet: Bool
  public var status: DIMSEStatus?
  /// Offending Element (0000,0901).
  public var offendingElements: [Tag]
  public var errorComment: String?
  public var affectedSOPInstance: UID?
  public var requestedSOPInstance: UID?
  public var eventType: UInt16?
  public var actionType: UInt16?
  public var suboperations: Suboperations
  public var moveOriginator: MoveOriginator?

  /// The counters of C-MOVE and C-GET responses; nil where the peer left one out.
  public struct Suboperations: Hashable, Sendable {
    public var remaining: UInt16?
    public var completed: UInt16?
    public var failed: UInt16?
    public var warning: UInt16?

    public init(
      remaining: UInt16? = nil, completed: UInt16? = nil, failed: UInt16? = nil,
      warning: UInt16? = nil
    ) {
      self.remaining = remaining
      self.completed = completed
      self.failed = failed
      self.warning = warning
    }

    public var isEmpty: Bool { self == Suboperations() }
  }

  /// Priority (0000,0700).
  public enum Priority: UInt16, Sendable {
    case medium = 0
    case high = 1
    case low = 2
  }

  /// No command set of the standard comes near this; more is refused before it is kept.
  static let longest = 64 * 1024

  public init(_ field: CommandField, hasDataSet: Bool = false) {
    self.field = field
    self.hasDataSet = hasDataSet
    offendingElements = []
    suboperations = Suboperations()
  }

  /// A response to this request, for the same SOP class and instance.
  public func response(
    _ status: DIMSEStatus, comment: String? = nil, hasDataSet: Bool = false
  ) -> Command {
    var response = Command(field.response, hasDataSet: hasDataSet)
    // The response to an N-ACTION calls affected what the request calls requested.
    response.affectedSOPClass = affectedSOPClass ?? requestedSOPClass
    response.affectedSOPInstance = affectedSOPInstance ?? requestedSOPInstance
    response.eventType = eventType
    response.actionType = actionType
    response.messageIDRespondedTo = messageID
    response.status = status
    response.errorComment = comment
    return response
  }
}

/// A command set that cannot be read.
public struct CommandError: Error, Hashable, Sendable, CustomStringConvertible {
  public let what: String
  public var description: String { "invalid command set: \(what)" }
}
