import DICOM
import Platform

/// What happens to the dispatcher. Everything goes through its one mailbox, in order.
public enum DispatchEvent: Sendable {
  case tick
  /// Has passed the send gate.
  case order(SendOrder, flag: String?, Answer<OrderAnswer>)
  case act(AssignmentAction, [Int64], by: String, isDryRun: Bool, Answer<[ActionResult]>)
  case transferCompared(job: Int64, study: UID, [ObjectRecord])
  case transferProgress(job: Int64, [(UID, SendOutcome)])
  case transferEnded(job: Int64, TransferPass.Result)
  case messageEnded(job: Int64, MessageOutcome)
  case inbound(InboundMessage, Answer<InboundAnswer>)
  case pause(Outlet, by: String?, Answer<PauseAnswer>)
  /// The archive has other images of an examination than before.
  case imagesChanged(ExaminationKey)
  case reconfigure(DispatchSettings, DispatchSurroundings, Answer<Bool>)
}

public enum OrderAnswer: Sendable, Equatable {
  case accepted(Int64)
  /// There is an active assignment of the examination to the recipient.
  case alreadyActive
  case failed(String)
  case stopping
}

/// What somebody may do with an assignment.
public enum AssignmentAction: String, Sendable {
  case resend, supplement, cancel, hold, release
}

public struct ActionResult: Sendable, Hashable {
  public var id: Int64
  public var number: String
  public var isDone: Bool
  public var text: String
}

public enum PauseAnswer: Sendable, Equatable {
  case done
  case noSuchOutlet
  case failed(String)
}

/// A message that came in, as far as it matters here.
public struct InboundMessage: Sendable, Hashable {
  /// Sending application and facility (MSH-3, MSH-4), `RIS|SE2321000131-E000000000001`.
  public var sender: String
  public var facility: String
  /// MSH-10.
  public var controlID: String
  /// MSH-9, `ORU^R01`.
  public var type: String
  /// ORC-1 and ORC-5.
  public var orderControl: String?
  public var orderStatus: String?
  /// The examination number (US-nummer): OBR-18, else ORC-3.
  public var number: String?
  /// ZDS-1 or IPC-3.
  public var studyUID: String?
  /// PID-3.
  public var patientID: String?
  /// OBR-25 of a result.
  public var resultStatus: String?
  public var payload: [UInt8]

  public init(sender: String, facility: String, controlID: String, type: String, payload: [UInt8]) {
    self.sender = sender
    self.facility = facility
    self.controlID = controlID
    self.type = type
    self.payload = payload
  }
}

/// What to acknowledge. Nothing is acknowledged before it is durable.
public enum InboundAnswer: Sendable, Equatable {
  /// Taken; by an assignment, or kept aside for a person.
  case taken(assignment: Int64?)
  case duplicate
  /// Not recorded: the sender must come again.
  case failed(String)
}

/// Delivers messages to one HL7 interface. Calls block, and come from several threads at once.
public protocol MessagePeer: Sendable {
  /// One attempt: sends the message, and waits for its acknowledgement.
  func deliver(_ message: [UInt8], controlID: String, stop: Gate) -> MessageOutcome
}

/// Makes the messages of an assignment.
public protocol MessageComposer: Sendable {
  /// - Parameters:
  ///   - interface: the name of the HL7 interface that it is for.
  ///   - received: with ``AssignmentStep/answer(_:)``: what came in and is to go on.
  /// - Throws: what in the assignment cannot be said in the interface's character set, or is
  ///   missing: no attempt would change that.
  func message(
    _ step: AssignmentStep, of assignment: AssignmentRecord, interface: String,
    controlID: String, received: [UInt8]?, now: WallTime
  ) throws(MessageComposingError) -> [UInt8]
}

public struct MessageComposingError: Error, Hashable, Sendable, CustomStringConvertible {
  public var description: String
  public init(_ description: String) { self.description = description }
}

/// Where it is recorded that patient data leave, before they do.
public protocol DisclosureLog: Sendable {
  /// Returns when it is on the disk. When it throws, nothing may leave.
  func disclose(_ assignments: [AssignmentRecord], now: WallTime) throws
  func received(_ assignment: AssignmentRecord, what: String, now: WallTime) throws
}

/// The world around the dispatcher, replaced in tests.
public struct DispatchSurroundings: Sendable {
  public var archive: any ImageArchive
  /// The peers that hold the originals, by name.
  public var sources: [String: any ImageSource]
  /// By the name of the destination.
  public var recipients: [String: any ImageRecipient]
  /// By the name of the HL7 interface.
  public var interfaces: [String: any MessagePeer]
  public var composer: any MessageComposer
  public var disclosures: any DisclosureLog

  public init(
    archive: any ImageArchive, sources: [String: any ImageSource] = [:],
    recipients: [String: any ImageRecipient] = [:],
    interfaces: [String: any MessagePeer] = [:], composer: any MessageComposer,
    disclosures: any DisclosureLog
  ) {
    self.archive = archive
    self.sources = sources
    self.recipients = recipients
    self.interfaces = interfaces
    self.composer = composer
    self.disclosures = disclosures
  }
}

/// What the dispatcher needs of the configuration.
public struct DispatchSettings: Sendable {
  public struct OutletSettings: Hashable, Sendable {
    public var budget: Int
    public var retry: RetryLadder
    public var window: TimeWindow?
    /// For show: `AHEIPACS@10.1.2.3:104`.
    public var address: String

    public init(budget: Int, retry: RetryLadder, window: TimeWindow? = nil, address: String = "") {
      self.budget = budget
      self.retry = retry
      self.window = window
      self.address = address
    }
  }

  public var outlets: [Outlet: OutletSettings] = [:]
  /// The HL7 interface of a destination, and that of a system's origin.
  public var orders: [String: String] = [:]
  public var origins: [String: String] = [:]
  /// Peers whose images are ours to fetch, for comparison examinations.
  public var prefetching: Set<String> = []
  /// The MSH-4 of those who answer for a destination; empty for anybody.
  public var facilities: [String: String] = [:]
  /// The same by recipient, for those with an HSA-id: it comes first.
  public var units: [String: String] = [:]
  public var watchdog: Duration = .seconds(4 * 3600)
  public var keepMessages: Duration = .seconds(30 * 86400)
  public var retention: Duration = .seconds(90 * 86400)
  /// The pause of an outlet that does not answer: this first, then twice as long up to a minute.
  public var outletPause: Duration = .seconds(5)
  public var longestOutletPause: Duration = .seconds(60)

  public init() {}
}
