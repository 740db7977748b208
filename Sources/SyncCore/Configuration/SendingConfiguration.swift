import Platform

// The part of the configuration that sending needs: HL7 interfaces, destinations, recipients.

extension Configuration {
  /// What holds for every send.
  public struct Sending: Hashable, Sendable {
    /// Tries of a DICOM transfer after the first one: it is to err within minutes.
    public var transferRetry = RetryLadder("1x10s,1x30s,1x1m,1x2m")!
    /// Whatever is under way and has not moved for so long has failed: nothing stays orange.
    public var watchdog: Duration = .seconds(4 * 3600)
    /// How long messages and texts are kept after an assignment has ended.
    public var keepMessages: Duration = .seconds(30 * 86400)
    /// How long a send waits for the fresh read of the lists that it depends on.
    public var refreshTimeout: Duration = .seconds(45)
    /// The statuses that allow a primary review (Primär).
    public var primaryStatuses: [ExaminationStatus] = [.completed, .preliminary]
    /// The statuses that allow a second reading (Dubbelgranskning).
    public var secondReadingStatuses: [ExaminationStatus] = [
      .completed, .preliminary, .signed, .definitivelySigned,
    ]
    /// The statuses that allow a referral move: the referral is received (remiss mottagen).
    public var referralMoveStatuses: [ExaminationStatus] = [.requested, .scheduled]
    /// Systems where a recalled examination gets no flag again until it has been seen absent.
    public var unflagOnRecall: [String] = ["SECTRA"]

    public init() {}
  }

  /// The portal's orders over HTTP.
  public struct Orders: Hashable, Sendable {
    /// The name of a ``Server``; nil: orders come from `syncctl send` alone.
    public var server: String?
    public var interval: Duration = .seconds(15)

    public init() {}
  }

  /// Where answers and statuses come in: an MLLP listener.
  public struct Inbound: Hashable, Sendable {
    public var isEnabled = false
    public var listen = "127.0.0.1"
    public var port = 2575
    public var allowFrom: [String] = []
    public var maxConnections = 32
    public var idleTimeout: Duration = .seconds(600)

    public init() {}
  }

  /// An HL7 interface that messages are sent to over MLLP, and how messages look there.
  public struct HL7Interface: Hashable, Sendable {
    public enum Profile: String, CaseIterable, Sendable {
      /// HL7 2.3.1 ORM^O01 with ZDS.
      case orm = "orm-2.3.1"
      /// HL7 2.5.1 OMI^O23 with IPC and TQ1.
      case omi = "omi-2.5.1"
    }
    /// MSH-18.
    public enum Encoding: String, CaseIterable, Sendable {
      case latin1 = "8859/1"
      case utf8 = "UNICODE UTF-8"
    }

    public var name: String
    public var host: String
    public var port = 2575
    public var tls: TLS?
    /// Connections at a time; one message is in flight on each.
    public var budget = 2
    public var profile = Profile.orm
    public var encoding = Encoding.latin1
    /// MSH-3 to MSH-6.
    public var sendingApplication = "SYNCD"
    public var sendingFacility = ""
    public var receivingApplication = ""
    public var receivingFacility = ""
    /// Tries after the first one, then the message has failed.
    public var retry = RetryLadder("1x5m,1x30m,1x3h")!
    public var connectTimeout: Duration = .seconds(10)
    /// How long to wait for the acknowledgement.
    public var acknowledgementTimeout: Duration = .seconds(30)
    /// How long to wait for the application's acknowledgement after a commit accept (CA).
    public var applicationTimeout: Duration = .seconds(60)
    /// ORC-5 of the message that releases an examination at its origin.
    public var releaseStatus = "CM"
    /// Where the activity type (Uppdragstyp) goes: a segment and a field, such as `OBR-20`.
    public var activityField = "OBR-20"
    /// What stands there for a primary review and for a second reading.
    public var primaryActivity = "C-Primary"
    public var secondReadingActivity = "C-Second"

    public init(name: String, host: String) {
      self.name = name
      self.host = host
    }
  }

  /// TLS towards a peer.
  public struct TLS: Hashable, Sendable {
    /// PEM file of the authorities to trust; nil for the system's.
    public var authorities: String?
    /// PEM files of our certificate and its key, where the peer asks for one.
    public var certificate: String?
    public var key: String?

    public init() {}
  }

  /// Where a recipient's images and messages go.
  public struct Destination: Hashable, Sendable {
    public enum Transfer: String, CaseIterable, Sendable {
      /// Our sender, from the embedded archive.
      case store
      /// The peer that holds the originals is asked to send (C-MOVE).
      case move
    }

    public var name: String
    /// The name of a ``Peer`` over DICOMweb that objects are sent to by STOW-RS; then titles, host,
    /// port and transfer say nothing.
    public var peer: String?
    public var aeTitle: String
    public var host: String
    public var port = 104
    public var callingAETitle: String?
    /// Nil where it is reached in plain text.
    public var tls: CertificateFiles?
    public var transfer = Transfer.store
    /// With `move`: the peer that sends.
    public var mover: String?
    /// Associations at a time.
    public var budget = 1
    /// Objects under way at once on one association, where the destination agrees.
    public var operations = 1
    public var connectTimeout: Duration = .seconds(10)
    public var associationTimeout: Duration = .seconds(30)
    public var responseTimeout: Duration = .seconds(60)
    /// Whether the recipient is asked by C-FIND what it holds before a transfer is green.
    public var verifyByQuery = false
    /// Whether the recipient is asked to commit to what it was sent, and for how long.
    public var storageCommitment = false
    public var commitmentTimeout: Duration = .seconds(60)
    /// User identity negotiation; nil: nobody in particular.
    public var user: User?
    /// The name of the ``HL7Interface`` for its messages; nil where it takes images only.
    public var hl7: String?
    /// When something may be sent, in local time; nil for always.
    public var window: TimeWindow?

    public init(name: String, aeTitle: String, host: String) {
      self.name = name
      self.aeTitle = aeTitle
      self.host = host
    }
  }

  /// The system that an examination comes from: it is locked there, and answers go back to it.
  public struct Origin: Hashable, Sendable {
    public var system: String
    public var hl7: String

    public init(system: String, hl7: String) {
      self.system = system
      self.hl7 = hl7
    }
  }

  /// An organisation, care unit or subunit that reviews. A tree by `parent`.
  public struct Recipient: Hashable, Sendable {
    public var id: String
    public var label: String
    public var parent: String?
    /// The name of a ``Destination``; inherited from the parent. None in the whole line: only a
    /// branch of the tree.
    public var destination: String?
    /// What it takes; inherited from the parent, and everything at the top.
    public var kinds: [AssignmentKind]?
    /// The systems whose examinations it takes; inherited, and any at the top.
    public var systems: [String]?
    /// HSA-id; the receiving unit of its messages.
    public var hsaID: String?

    public init(id: String, label: String) {
      self.id = id
      self.label = label
    }
  }
}
