import Platform

/// A peer that can be asked what it is and what it can do, whatever it speaks.
public protocol ProbablePeer: Sendable {
  /// The peer's name in the configuration.
  var name: String { get }
  /// What it speaks: `dimse`, `dicomweb`.
  var kind: String { get }
  /// Where it is, for people.
  var address: String { get }

  /// Asks everything that can be asked without changing anything there. Blocks, hardly longer than
  /// the request's deadline; what could not be asked is missing in the report.
  /// - Parameter tell: is told of each step as it ends.
  func probe(_ request: ProbeRequest, tell: (ProbeStep) -> Void) -> PeerReport
}

/// What a probe may do.
public struct ProbeRequest: Sendable {
  /// An examination number (US-nummer) to ask for; without one nothing is asked that has an answer
  /// of patients.
  public var number: String?
  /// Whether the peer is asked to send an object that does not exist, which shows whether it knows
  /// the destination, and moves nothing.
  public var asksToSend: Bool
  /// Connections at the same time to try; the peer's budget, less what is in use.
  public var connections: Int
  public var deadline: Deadline
  /// Opened when nobody waits for the answer any more.
  public var stop: Gate

  public init(
    number: String? = nil, asksToSend: Bool = false, connections: Int = 1, deadline: Deadline,
    stop: Gate = Gate()
  ) {
    self.number = number
    self.asksToSend = asksToSend
    self.connections = connections
    self.deadline = deadline
    self.stop = stop
  }
}

/// One thing that was asked of a peer, and what came of it. No patient data.
public struct ProbeStep: Hashable, Sendable {
  public enum Outcome: String, CaseIterable, Sendable {
    case ok
    /// Works, and somebody should look.
    case warning
    case failed
    case skipped
  }

  /// `connect`, `tls`, `association`, ...
  public var name: String
  public var outcome: Outcome
  public var text: String
  /// How long it took, where that says something about the peer.
  public var elapsed: Duration?

  public init(_ name: String, _ outcome: Outcome, _ text: String, elapsed: Duration? = nil) {
    self.name = name
    self.outcome = outcome
    self.text = text
    self.elapsed = elapsed
  }
}

/// What a probe has found out about a peer.
public struct PeerReport: Hashable, Sendable {
  public var time: WallTime
  public var kind: String
  /// The peer that was asked: of another address nothing here is known.
  public var address: String
  public var steps: [ProbeStep] = []
  public var tls: Security?
  public var implementationClass: String?
  public var implementationVersion: String?
  /// The longest PDU that the peer takes, in bytes; 0 for any.
  public var maximumPDU: Int?
  public var contexts: [Context] = []
  /// Medians of several, where there were several.
  public var connectTime: Duration?
  public var echoTime: Duration?
  public var findTime: Duration?
  /// How many connections it took at the same time, of how many.
  public var connections: Int?
  public var connectionsTried: Int?
  /// Whether a STUDY answer has NumberOfStudyRelatedInstances (0020,1208); nil where none came.
  public var tellsObjectCount: Bool?
  public var findsStudies: Bool?
  public var findsSeries: Bool?
  public var findsImages: Bool?
  /// Whether it knows our archive's AE title as a destination.
  public var knowsDestination: Bool?
  /// Whether it takes a C-MOVE at IMAGE level.
  public var sendsImages: Bool?

  public struct Security: Hashable, Sendable {
    public var version: String?
    public var cipher: String?
    public var subject: String?
    public var issuer: String?
    public var notBefore: WallTime?
    public var notAfter: WallTime?

    public init(
      version: String? = nil, cipher: String? = nil, subject: String? = nil,
      issuer: String? = nil, notBefore: WallTime? = nil, notAfter: WallTime? = nil
    ) {
      self.version = version
      self.cipher = cipher
      self.subject = subject
      self.issuer = issuer
      self.notBefore = notBefore
      self.notAfter = notAfter
    }
  }

  /// A presentation context that was proposed.
  public struct Context: Hashable, Sendable {
    public var sopClass: String
    public var transferSyntax: String
    public var isAccepted: Bool

    public init(sopClass: String, transferSyntax: String, isAccepted: Bool) {
      self.sopClass = sopClass
      self.transferSyntax = transferSyntax
      self.isAccepted = isAccepted
    }
  }

  public init(time: WallTime, kind: String, address: String) {
    self.time = time
    self.kind = kind
    self.address = address
  }

  /// Whether the peer could be spoken with at all.
  public var isReachable: Bool {
    !steps.contains {
      $0.outcome == .failed && ["connect", "tls", "association"].contains($0.name)
    }
  }

  public var hasFailures: Bool { steps.contains { $0.outcome == .failed } }
}
