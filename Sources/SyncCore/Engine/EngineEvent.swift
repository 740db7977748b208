import HTTP
import Platform

/// What happens to the engine. Everything goes through its one mailbox, in order.
public enum EngineEvent: Sendable {
  /// Nothing but the passing of time.
  case tick
  case listRead(list: String, cycle: Int, Result<ListReading, ListReadError>)
  case portalRead(cycle: Int, isVerification: Bool, Result<FlagListing, PortalError>)
  /// So many more writes of a batch have come to an end.
  case flagsProgress(cycle: Int, written: Int)
  case flagsWritten(cycle: Int, [(FlagWrite, FlagWriteOutcome)])
  case availabilityPublished([ImageAvailability], PortalError?)
  case imageProgress(ExaminationKey, archived: Int, expected: Int)
  case imagePassed(ExaminationKey, lane: String, ImagePass.Result)
  /// Starta synkning.
  case sync(lists: [String], Answer<SyncAnswer>)
  case approve(list: String, seen: Int?, Answer<ApproveAnswer>)
  case retry(ExaminationKey, Answer<Bool>)
  /// What would be done, without doing it.
  case preview(lists: [String], Answer<PreviewAnswer>)
  case previewPart(UInt64, Engine.PreviewPart)
  /// Its assignment has been recalled: no flag again before it has left its list.
  case recalled(ExaminationKey)
  case reconfigure(EngineSettings, EngineSurroundings, Answer<Bool>)
  case reloadFailed(String?)
}

/// A reply that a control thread waits for.
public final class Answer<Value: Sendable>: Sendable {
  private let value = Monitor<Value?>(nil)

  public init() {}

  public func give(_ given: Value) { value.update { $0 = given } }

  /// Nil when the deadline comes first.
  public func wait(until deadline: Deadline) -> Value? { value.wait(until: deadline) { $0 } }
}

public enum SyncAnswer: Sendable, Equatable {
  /// The cycle to follow, and whether somebody had asked for it already.
  case started(cycle: Int, joined: Bool)
  case noSuchList(String, known: [String])
  case stopping
}

public enum ApproveAnswer: Sendable, Equatable {
  case approved(Int)
  case nothingHeld
  case noSuchList(known: [String])
  /// More is held than the caller has seen.
  case moreThanSeen(Int)
}

/// What a cycle has come to.
public struct CycleRecord: Sendable, Hashable {
  public enum Trigger: String, Sendable { case timer, manual }
  public var number: Int
  public var trigger: Trigger
  public var startedAt: WallTime
  public var finishedAt: WallTime?
  public var listsTotal = 0
  public var listsRead = 0
  public var listsFailed = 0
  public var flagsSet = 0
  public var flagsCleared = 0
  public var flagsFailed = 0
  /// To be written, as far as is known now.
  public var flagsPending = 0
  /// CPU and elapsed time of the engine's own part are for the log.
  public var elapsed: Duration = .zero

  public var isRunning: Bool { finishedAt == nil }
}

/// The world around the engine, replaced in tests.
public struct EngineSurroundings: Sendable {
  public var portal: any Portal
  public var archive: any ImageArchive
  public var lists: [String: any CollaborationListSource]
  public var sources: [String: any ImageSource]
  /// The HTTP servers behind them.
  public var services: [HTTPService] = []
  /// When the certificates end by which DICOM nodes and we know each other.
  public var certificates: @Sendable () -> [CertificateEnds] = { [] }

  public init(
    portal: any Portal, archive: any ImageArchive,
    lists: [String: any CollaborationListSource], sources: [String: any ImageSource]
  ) {
    self.portal = portal
    self.archive = archive
    self.lists = lists
    self.sources = sources
  }
}

/// The engine's clocks.
public protocol EngineClock: Sendable {
  var monotonic: MonotonicTime { get }
  var wall: WallTime { get }
}

public struct SystemClock: EngineClock {
  public init() {}
  public var monotonic: MonotonicTime { .now }
  public var wall: WallTime { .now }
}

/// Runs blocking work somewhere else than on the engine's thread.
public protocol JobRunner: Sendable {
  /// - Parameter lane: jobs of one serial lane run one after the other; nil for a thread of its own.
  func run(_ name: String, lane: String?, _ job: @escaping @Sendable () -> Void)
}
