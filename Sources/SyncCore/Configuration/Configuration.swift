import DICOM
import Platform

/// The daemon's configuration. An empty file is a valid one: everything embedded, no lists.
/// `config.toml.example` describes every key.
public struct Configuration: Hashable, Sendable {
  public var daemon = Daemon()
  public var cycle = Cycle()
  public var control = Control()
  public var log = Log()
  public var accessLog = AccessLog()
  public var portal = Portal()
  public var archive = Archive()
  public var prefetch = Prefetch()
  public var scope = Scope()
  public var flags: [Flag] = Flag.defaults
  public var servers: [Server] = []
  public var peers: [Peer] = []
  public var lists: [List] = []
  public var sending = Sending()
  public var inbound = Inbound()
  public var orders = Orders()
  public var hl7Interfaces: [HL7Interface] = []
  public var destinations: [Destination] = []
  public var origins: [Origin] = []
  public var recipients: [Recipient] = []
  /// The RIS's words for an examination's status, in lower case.
  public var statuses: [String: ExaminationStatus] = StatusWords.defaults

  public init() {}

  public struct Daemon: Hashable, Sendable {
    public var name = "syncd"
    public var stateDirectory = "/var/lib/syncd"
    public var retention: Duration = .seconds(90 * 86400)
  }

  public struct Cycle: Hashable, Sendable {
    public var interval: Duration = .seconds(120)
    public var listTimeout: Duration = .seconds(30)
    public var absenceSnapshots = 2
    public var emptyListSnapshots = 5
    public var brakeMinimum = 10
    public var brakePercent = 30
    public var warnMissedCycles = 2
    public var criticalMissedCycles = 5
    public var writeAlarmAfter = 3
    public var writeRetry: Duration = .seconds(120)
    public var writeRetryMaximum: Duration = .seconds(3600)
  }

  public struct Control: Hashable, Sendable {
    public var socket = "/run/syncd/control"
    public var monitorSocket = "/run/syncd/monitor"
    public var adminGroup = "syncd-admin"
    public var monitorGroup = "syncd-monitor"
    public var connectionsPerUser = 16
    public var idleTimeout: Duration = .seconds(300)
  }

  public struct Log: Hashable, Sendable {
    public enum Level: String, CaseIterable, Sendable { case debug, info, notice, warning, error }
    public enum Format: String, CaseIterable, Sendable { case auto, text, json, journal }
    public var level = Level.info
    public var format = Format.auto
  }

  /// The record of who had to do with whose data.
  public struct AccessLog: Hashable, Sendable {
    /// Nil: `access` in the state directory.
    public var directory: String?
    /// Five years.
    public var keep: Duration = .seconds(1826 * 86400)
  }

  public struct Portal: Hashable, Sendable {
    /// The name of the ``Server`` where it is; nil: a portal of the daemon's own.
    public var server: String?
    /// Examinations of one page of a server's.
    public var pageSize = 1000
    /// Names under which others have set flags that are ours to clear.
    public var adoptedSources: [String] = []
  }

  public struct Archive: Hashable, Sendable {
    /// One of our own, or a peer that is asked what it holds.
    public enum Kind: String, CaseIterable, Sendable { case embedded, peer }
    public var kind = Kind.embedded
    /// With `peer`: the name of the ``Peer``.
    public var peer: String?
    public var aeTitle = "VGRSECTEMP"
    public var listen = "127.0.0.1"
    public var port = 11112
    /// Nil: `archive` in the state directory.
    public var directory: String?
    public var minimumFree: Int64 = 2 << 30
    public var maxAssociations = 32
    public var maxPDU: Int64 = 256 << 10
    public var allowCalling: [String] = []
    public var allowFrom: [String] = []
    /// SOP classes beside the standard's, by UID or by its beginning with `.*` behind it.
    public var acceptSOPClasses: [String] = []
  }

  public struct Prefetch: Hashable, Sendable {
    public var stability: Duration = .seconds(60)
    public var retry: Duration = .seconds(30)
    public var retryMaximum: Duration = .seconds(1800)
    public var recheck: Duration = .seconds(600)
    public var sendableStatuses: [ExaminationStatus] = [.completed, .signed, .definitivelySigned]
  }

  public struct Scope: Hashable, Sendable {
    public var careUnits: [String] = []
    public var acceptUnknownCareUnit = false
  }

  public struct Flag: Hashable, Sendable {
    public var id: String
    /// As users know it.
    public var label: String

    public init(id: String, label: String) {
      self.id = id
      self.label = label
    }

    public static let defaults = [
      Flag(id: "samverkan", label: "Samverkan"),
      Flag(id: "sectra-samverkan-tmc", label: "Sectra Samverkan TMC"),
      Flag(id: "sectra-samverkan-teleconsult", label: "Sectra Samverkan Teleconsult"),
    ]
  }

  public struct Peer: Hashable, Sendable {
    public enum Level: String, CaseIterable, Sendable { case image, series, study }
    /// How it is reached: C-FIND and C-MOVE, or QIDO-RS, WADO-RS and STOW-RS.
    public enum Kind: String, CaseIterable, Sendable { case dimse, dicomweb }
    public var name: String
    public var kind = Kind.dimse
    /// With `dicomweb`: the name of the ``Server`` whose url is where its paths begin. What follows of
    /// titles, hosts and ports is for `dimse`.
    public var server: String?
    public var aeTitle: String
    public var host: String
    public var port: Int
    public var callingAETitle: String?
    /// Nil where it is reached in plain text.
    public var tls: CertificateFiles?
    public var budget = 2
    public var retrieveLevel = Level.image
    public var connectTimeout: Duration = .seconds(10)
    public var associationTimeout: Duration = .seconds(30)
    public var responseTimeout: Duration = .seconds(60)
    public var moveIdleTimeout: Duration = .seconds(600)
    public var retrieve = DIMSEPeer.Retrieval.move
    /// User identity negotiation; nil: nobody in particular.
    public var user: User?

    public init(name: String, aeTitle: String, host: String, port: Int) {
      self.name = name
      self.aeTitle = aeTitle
      self.host = host
      self.port = port
    }

    /// One that is reached over DICOMweb.
    public init(name: String, server: String) {
      self.init(name: name, aeTitle: "", host: "", port: 0)
      kind = .dicomweb
      self.server = server
    }
  }

  public struct List: Hashable, Sendable {
    public var id: String
    public var system: String
    public var flag: String
    public var peer: String?
    public var prefetch: Bool
    public var priority = Priority.routine
    public var source: ListSource

    public init(id: String, system: String, flag: String, peer: String?, source: ListSource) {
      self.id = id
      self.system = system
      self.flag = flag
      self.peer = peer
      prefetch = system != "AGFA" && peer != nil
      self.source = source
    }

    /// A list whose files are renamed into a folder.
    public init(id: String, system: String, flag: String, peer: String?, directory: String) {
      self.init(
        id: id, system: system, flag: flag, peer: peer,
        source: .csv(CSVDrop(directory: directory)))
    }
  }

  /// Where a list's membership is read.
  public enum ListSource: Hashable, Sendable {
    case csv(CSVDrop)
    case worklist(Worklist)
    case http(HTTPList)

    /// Where it is, for an admin.
    public var description: String {
      switch self {
      case .csv(let drop): "\(drop.directory)/\(drop.pattern)"
      case .worklist(let worklist): "worklist of \(worklist.peer), station \(worklist.station)"
      case .http(let http): "list \(http.list) of the server \(http.server)"
      }
    }
  }

  /// A Modality Worklist (PS3.4 annex K) in which a station's name stands for the list.
  public struct Worklist: Hashable, Sendable {
    /// Where the care unit stands, if anywhere: the standard has no element for its HSA-id.
    public enum CareUnit: String, CaseIterable, Sendable {
      case none
      /// Requesting Service (0032,1033).
      case requestingService = "requesting_service"
      /// Institution Name (0008,0080).
      case institutionName = "institution_name"
    }
    /// The name of a peer.
    public var peer: String
    /// Scheduled Station AE Title (0040,0001).
    public var station: String
    /// Days before and after today in which a step must begin; nil: no bound on that side.
    public var daysBack: Int?
    public var daysAhead: Int?
    public var careUnit = CareUnit.none

    public init(peer: String, station: String) {
      self.peer = peer
      self.station = station
    }
  }

  /// A list that an HTTP server answers, page by page.
  public struct HTTPList: Hashable, Sendable {
    /// The name of a ``Server``.
    public var server: String
    /// The list's name there.
    public var list: String
    /// Rows of one page.
    public var pageSize = 500
    /// Nil: two cycles.
    public var maxAge: Duration?

    public init(server: String, list: String) {
      self.server = server
      self.list = list
    }
  }

  /// A folder into which complete CSV files are renamed.
  public struct CSVDrop: Hashable, Sendable {
    public enum Separator: String, CaseIterable, Sendable { case auto, semicolon, comma, tab }
    public enum Encoding: String, CaseIterable, Sendable {
      case auto
      case utf8 = "utf-8"
      case windows1252 = "windows-1252"
    }
    public var directory: String
    public var pattern = "*.csv"
    public var separator = Separator.auto
    public var encoding = Encoding.auto
    /// Nil: two cycles.
    public var maxAge: Duration?
    /// Zero: identifiers may be of any length.
    public var numberLength = 0
    public var columns: [String: String] = CSVColumns.defaults

    public init(directory: String) { self.directory = directory }
  }

  public enum CSVColumns {
    /// Our names for what a row tells, and the headings they have by default.
    public static let defaults = [
      "examination": "US-nummer", "referral": "Remissnummer", "study_uid": "Study UID",
      "patient_id": "Personnummer", "patient_name": "Namn", "status": "Status",
      "modality": "Modalitet", "description": "Undersökning", "care_unit": "Vårdenhet",
      "scheduled": "Datum", "priority": "Prioritet",
    ]
  }

  /// Where the archive's objects lie.
  public var archiveDirectory: String { archive.directory ?? daemon.stateDirectory + "/archive" }

  /// Where the access log lies.
  public var accessLogDirectory: String {
    accessLog.directory ?? daemon.stateDirectory + "/access"
  }
}

/// The words SECTRA's and AGFA's lists use for a status.
public enum StatusWords {
  public static let defaults: [String: ExaminationStatus] = [
    "beställd": .requested, "remiss mottagen": .requested, "bokad": .scheduled,
    "planerad": .scheduled, "ankommen": .arrived, "pågående": .started, "avslutad": .ended,
    "klar": .completed, "utförd": .completed, "preliminärsvar": .preliminary,
    "preliminärt svar": .preliminary, "signerad": .signed,
    "definitivt signerad":
      .definitivelySigned, "vilande": .onHold, "on hold": .onHold, "avbokad": .cancelled,
    "makulerad": .cancelled, "completed": .completed, "scheduled": .scheduled,
    "signed": .signed, "cancelled": .cancelled,
    // Scheduled Procedure Step Status (0040,0020).
    "arrived": .arrived, "ready": .arrived, "started": .started, "departed": .ended,
  ]
}
