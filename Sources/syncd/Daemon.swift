import DICOM
import Glibc
import HL7
import HTTP
import Platform
import SyncCore
import Synchronization
import TLS
import Varlink

/// The parts of the daemon put together: portal, archive, ledger, engine and sockets.
final class Daemon: Sendable {
  private struct Current: Sendable {
    var configuration: Configuration
    var loadedAt: WallTime
  }

  private let file: String?
  private let current: Mutex<Current>
  private let reloading = Mutex(())
  private let log: Log
  private let notifier = SystemdNotifier()
  private let loop: EngineLoop
  /// Sends what is ordered, apart from the engine: neither waits for the other.
  private let dispatch = EventLoop<Dispatcher>()
  private let accessLog: AccessLog
  private let desk: Mutex<OrderDesk?>
  private let inbound: InboundListener?
  /// Why the dispatcher ended, if not because the daemon does.
  private let dispatchFailure = Mutex<(any Error)?>(nil)
  private let portal: any Portal
  /// The region's HTTP servers; a reload keeps those whose settings stay.
  private let services: Mutex<HTTPServices>
  private let archive: any ImageArchive & StoredObjects
  /// The archive where it is one of our own; nil where a peer is the archive, and nobody sends here.
  private let embedded: (archive: EmbeddedArchive, server: DICOMServer)?
  /// The peers in force, for whoever asks the archive to send somewhere.
  private let destinations: Monitor<Configuration>
  /// What is known of the peers, whatever the configuration in force.
  private let peers: PeerRegister
  private let control: Monitor<VarlinkServer?>
  private let archiveFacts: Monitor<ArchiveFacts?>
  private let startedAt = WallTime.now
  /// What can only be changed by a restart, as it was at the start.
  private let fixed: Configuration
  private let sockets: Mutex<[(name: String, socket: ListeningSocket)]>

  private var ledgerPath: String { fixed.daemon.stateDirectory + "/ledger.sqlite" }
  private var deliveryPath: String { fixed.daemon.stateDirectory + "/deliveries.sqlite" }

  init(_ configuration: Configuration, file: String?) throws {
    self.file = file
    fixed = configuration
    current = Mutex(Current(configuration: configuration, loadedAt: startedAt))
    destinations = Monitor(configuration)
    let log = Log(Self.format(configuration.log.format), level: Self.level(configuration.log.level))
    self.log = log
    log.notice(
      "starting", ["version": Version.text, "configuration": file ?? "defaults, no file"])
    try Self.makeDirectory(configuration.daemon.stateDirectory)
    let notifier = self.notifier
    let heartbeat = notifier.watchdogInterval ?? .seconds(15)
    loop = EngineLoop(heartbeat: heartbeat) { notifier.alive() }
    let services = HTTPServices(configuration)
    self.services = Mutex(services)
    portal = try Self.portal(configuration, services, startedAt, log)
    peers = PeerRegister(directory: configuration.daemon.stateDirectory) { problem in
      log.warning("what is known of peers", ["reason": problem])
    }
    accessLog = try AccessLog.open(directory: configuration.accessLogDirectory, now: .now)
    desk = Mutex(nil)
    control = Monitor(nil)
    archiveFacts = Monitor(nil)
    let given = SocketActivation.take()
    sockets = Mutex(given)
    inbound = try Self.listener(configuration.inbound, given, dispatch, log)
    if let peer = PeerArchive(configuration, services, stop: loop.stopGate) {
      archive = peer
      embedded = nil
    } else {
      let own = try Self.archive(configuration, log)
      archive = own
      embedded = (own, try Self.server(configuration, destinations, own, given, log))
    }
  }

  private static func archive(
    _ configuration: Configuration, _ log: Log
  ) throws -> EmbeddedArchive {
    try EmbeddedArchive.open(
      EmbeddedArchive.Configuration(
        directory: configuration.archiveDirectory, aeTitle: configuration.archive.aeTitle,
        minimumFree: configuration.archive.minimumFree)
    ) { event in Self.report(event, log) }
  }

  private static func portal(
    _ configuration: Configuration, _ services: HTTPServices, _ startedAt: WallTime, _ log: Log
  ) throws -> any Portal {
    let directory = configuration.daemon.stateDirectory
    guard let name = configuration.portal.server, let service = services[name]
    else { return try EmbeddedPortal(path: directory + "/portal.sqlite") }
    return HTTPPortal(
      service: service, source: configuration.daemon.name,
      instance: try PortalInstance.load(directory: directory, startedAt: startedAt),
      interval: configuration.cycle.interval, pageSize: configuration.portal.pageSize, log: log)
  }

  // MARK: - Running

  /// Runs until ``stop()``.
  func run() throws {
    let configuration = fixed
    let loop = self.loop
    let ledger = try Ledger(path: ledgerPath)
    let engine = try Engine(
      settings: EngineSettings(configuration),
      surroundings: engineSurroundings(configuration),
      ledger: ledger, clock: SystemClock(), jobs: ThreadJobs(), log: log, stop: loop.stopGate,
      imagesChanged: { [dispatch] in dispatch.post(.imagesChanged($0)) }
    ) { loop.post($0) }
    try startDispatching(configuration)
    refreshArchiveFacts()
    embedded?.server.start()
    inbound?.start()
    try openSockets()
    log.notice(
      "ready",
      [
        "lists": "\(configuration.lists.count)", "peers": "\(configuration.peers.count)",
        "archive": embedded.map { "\(configuration.archive.aeTitle) port \($0.server.port)" }
          ?? "the peer \(configuration.archive.peer ?? "")",
        "inbound": inbound.map { "port \($0.port)" } ?? "off",
      ])
    notifier.ready(status: statusText())
    startRefreshing()
    startTakingOrders(configuration.orders)
    defer { shutDown() }
    try loop.run(engine)
    if let error = dispatchFailure.withLock({ $0 }) { throw error }
  }

  /// Takes the portal's orders where there is a portal to ask.
  private func startTakingOrders(_ settings: Configuration.Orders) {
    guard let name = settings.server, let service = services.withLock({ $0[name] }) else { return }
    OrderPoller(
      source: HTTPOrderSource(service: service),
      desk: { [self] in desk.withLock { $0 } }, access: accessLog, deliveryPath: deliveryPath,
      interval: settings.interval, log: log, stop: dispatch.stopGate
    ).start()
  }

  /// The dispatcher on its own thread. When its ledger can no longer be relied upon the daemon
  /// ends, as it does for the engine's.
  private func startDispatching(_ configuration: Configuration) throws {
    let surroundings = surroundings(configuration)
    let dispatch = self.dispatch
    let loop = self.loop
    let log = self.log
    let deliveryPath = self.deliveryPath
    let started = Monitor<Result<Void, any Error>?>(nil)
    WorkThread.start("dispatcher") { [self] in
      let dispatcher: Dispatcher
      do {
        dispatcher = try Dispatcher(
          settings: DispatchSettings(configuration), surroundings: surroundings,
          ledger: try DeliveryLedger(path: deliveryPath), clock: SystemClock(),
          jobs: ThreadJobs(), log: log, stop: dispatch.stopGate,
          recalled: { loop.post(.recalled($0)) }, post: { dispatch.post($0) })
      } catch {
        started.update { $0 = .failure(error) }
        return
      }
      started.update { $0 = .success(()) }
      do {
        try dispatch.run(dispatcher)
      } catch {
        dispatchFailure.withLock { $0 = error }
        loop.stop()
      }
    }
    try started.wait { $0 }?.get()
    desk.withLock {
      $0 = OrderDesk(
        engine: loop, dispatcher: dispatch, archive: archive,
        policy: OrderDesk.Policy(configuration), ledgerPath: ledgerPath,
        deliveryPath: deliveryPath)
    }
  }

  private func engineSurroundings(_ configuration: Configuration) -> EngineSurroundings {
    EngineSurroundings(
      configuration, portal: portal, archive: archive, services: services.withLock { $0 },
      peers: peers)
  }

  private func surroundings(_ configuration: Configuration) -> DispatchSurroundings {
    DispatchSurroundings(
      configuration, archive: archive,
      sources: engineSurroundings(configuration).sources, services: services.withLock { $0 },
      disclosures: accessLog)
  }

  private static func listener(
    _ settings: Configuration.Inbound, _ given: [(name: String, socket: ListeningSocket)],
    _ dispatch: EventLoop<Dispatcher>, _ log: Log
  ) throws -> InboundListener? {
    let socket: ListeningSocket
    if let handed = given.first(where: { $0.name == "hl7" })?.socket {
      socket = handed
    } else if settings.isEnabled {
      socket = try ListeningSocket(on: .tcp(host: settings.listen, port: UInt16(settings.port)))
    } else {
      return nil
    }
    let networks = settings.allowFrom.compactMap { NetworkRange($0) }
    var options = MLLPServer.Options()
    options.connections = settings.maxConnections
    options.idleTimeout = settings.idleTimeout
    if !networks.isEmpty {
      options.admitsHost = { host in networks.contains { $0.contains(host) } }
    }
    return InboundListener(
      on: socket, options: options,
      observe: { log.warning("HL7 listener", ["event": $0.description]) }
    ) { message in
      let answer = Answer<InboundAnswer>()
      dispatch.post(.inbound(message, answer))
      return answer.wait(until: .after(.seconds(10)))
    }
  }

  /// Asks for the end; ``run()`` returns when what is under way has ended or had its time.
  func stop() {
    log.notice("stopping")
    notifier.stopping()
    dispatch.stop()
    loop.stop()
  }

  private func shutDown() {
    _ = control.read { $0 }?.stop(deadline: .after(.seconds(2)))
    dispatch.stop()
    inbound?.stop(deadline: .after(.seconds(2)))
    dispatch.waitUntilFinished(.after(.seconds(5)))
    embedded?.server.stop(grace: .seconds(5))
    embedded?.archive.close()
    log.notice("stopped")
  }

  /// Keeps what is shown of the archive fresh, apart from everybody who asks.
  private func startRefreshing() {
    WorkThread.start("facts") { [self] in
      var nextPrune = MonotonicTime.now
      while !loop.stopGate.wait(until: .after(.seconds(2))) {
        refreshArchiveFacts()
        notifier.status(statusText())
        if .now >= nextPrune {
          nextPrune = .now + .seconds(6 * 3600)
          pruneAccessLog()
        }
      }
    }
  }

  private func pruneAccessLog() {
    // Kept elsewhere, in the journal, it proves that the log has not been made anew.
    let head = accessLog.head
    log.notice("access log", ["entries": "\(head.sequence)", "hash": head.hash])
    let keep = current.withLock { $0.configuration.accessLog.keep }
    do throws(AccessLogError) {
      let removed = try accessLog.prune(keep: keep, now: .now)
      if !removed.isEmpty {
        log.notice("access log", ["removed": removed.joined(separator: " ")])
      }
    } catch {
      log.error("access log", ["reason": error.description])
    }
  }

  private func refreshArchiveFacts() {
    guard let (archive, dicom) = embedded, let statistics = try? archive.statistics() else {
      return
    }
    let refusal = archive.refusal
    let facts = ArchiveFacts(
      aeTitle: fixed.archive.aeTitle, port: Int(dicom.port), objects: statistics.objects,
      bytes: statistics.bytes, freeBytes: statistics.freeBytes, conflicts: statistics.conflicts,
      associations: dicom.associationCount, isRefusing: refusal != nil)
    archiveFacts.update { $0 = facts }
  }

  private func statusText() -> String {
    let shown = loop.snapshot
    let images = shown.images
    return
      "\(shown.lists.count) lists, \(shown.flags) flags, images complete for \(images.complete) of "
      + "\(images.none + images.fetching + images.partial + images.complete), "
      + "\(shown.alarms.count) alarms"
  }

  // MARK: - Sockets

  private func openSockets() throws {
    let settings = fixed.control
    let loop = self.loop
    let archiveFacts = self.archiveFacts
    let facts = DaemonFacts(
      name: fixed.daemon.name, startedAt: startedAt, ledgerPath: ledgerPath,
      adminGroup: settings.adminGroup, monitorGroup: settings.monitorGroup,
      archive: { archiveFacts.read { $0 } }, portalKind: portal.kind,
      configuration: { [self] in configurationFacts() }, reload: { [self] in reload() })
    var options = VarlinkServer.Options()
    options.connectionsPerUser = settings.connectionsPerUser
    options.idleTimeout = settings.idleTimeout
    let log = self.log
    let deliveries = desk.withLock { $0 }.map { desk in
      DeliveryService(
        dispatcher: dispatch, desk: desk, access: accessLog,
        facts: DeliveryFacts(
          deliveryPath: deliveryPath, archiveTitle: fixed.archive.aeTitle,
          configuration: { [self] in current.withLock { $0.configuration } }))
    }
    let server = VarlinkServer(
      service: try ControlService(
        engine: loop, facts: facts, delivery: deliveries,
        peers: PeerService(
          engine: loop, register: peers, access: accessLog, log: log,
          services: { [self] in services.withLock { $0 } },
          configuration: { [self] in current.withLock { $0.configuration } }),
        access: accessLog, log: log
      ).service(),
      options: options
    ) { event in log.debug("control", ["event": "\(event)"]) }
    let given = sockets.withLock { $0 }
    for (label, path, group) in [
      (ControlService.controlSocket, settings.socket, settings.adminGroup),
      (ControlService.monitorSocket, settings.monitorSocket, settings.monitorGroup),
    ] {
      if let socket = given.first(where: { $0.name == label })?.socket {
        server.listen(on: socket, label: label)
      } else {
        server.listen(on: try Self.bind(path, group), label: label)
      }
    }
    control.update { $0 = server }
  }

  private static func bind(_ path: String, _ group: String) throws -> ListeningSocket {
    let folder = path.split(separator: "/").dropLast().map { "/" + $0 }.joined()
    if !folder.isEmpty, access(folder, F_OK) != 0 {
      try makeDirectory(folder, mode: 0o755)
    }
    let socket = try ListeningSocket(on: .unix(path: path), mode: 0o660)
    if let gid = UserDatabase.group(named: group) { _ = chown(path, uid_t.max, gid) }
    return socket
  }

  private static func makeDirectory(_ path: String, mode: mode_t = 0o700) throws {
    var made = ""
    for part in path.split(separator: "/") {
      made += "/" + part
      guard mkdir(made, mode) != 0, errno != EEXIST else {
        if errno != EEXIST { _ = chmod(made, mode) }
        continue
      }
      if access(made, F_OK) != 0 { throw SystemError.last("mkdir", made) }
    }
  }

  private static func server(
    _ configuration: Configuration, _ destinations: Monitor<Configuration>,
    _ archive: EmbeddedArchive, _ given: [(name: String, socket: ListeningSocket)], _ log: Log
  ) throws -> DICOMServer {
    let settings = configuration.archive
    let networks = settings.allowFrom.compactMap { NetworkRange($0) }
    func configure(_ server: inout ServerConfiguration) {
      server.mostAssociations = settings.maxAssociations
      server.maximumPDULength = UInt32(clamping: settings.maxPDU)
      server.contextPolicy = EmbeddedArchive.contextPolicy(accepting: settings.acceptSOPClasses)
      if !settings.allowCalling.isEmpty { server.allowedCallingAEs = Set(settings.allowCalling) }
      if !networks.isEmpty {
        server.admitsHost = { host in networks.contains { $0.contains(host) } }
      }
    }
    let destination: @Sendable (String) -> PeerAddress? = { title in
      destinations.read { configuration in
        configuration.peers.first { $0.kind == .dimse && $0.aeTitle == title }.map {
          var address = $0.address(from: configuration)
          address.callingAE = settings.aeTitle
          return address
        }
      }
    }
    let observe: @Sendable (ServerEvent) -> Void = { Self.report($0, log) }
    if let socket = given.first(where: { $0.name == "dicom" })?.socket {
      return archive.server(
        on: socket, destination: destination, configure: configure, observe: observe)
    }
    return try archive.server(
      on: .tcp(host: settings.listen, port: UInt16(settings.port)), destination: destination,
      configure: configure, observe: observe)
  }

  // MARK: - Configuration

  private func configurationFacts() -> ConfigurationFacts {
    let now = current.withLock { $0 }
    return ConfigurationFacts(
      file: file, loadedAt: now.loadedAt, toml: now.configuration.rendered(),
      flagLabels: Dictionary(
        now.configuration.flags.map { ($0.id, $0.label) }, uniquingKeysWith: { first, _ in first }),
      listSources: Dictionary(
        now.configuration.lists.map { ($0.id, $0.source.description) },
        uniquingKeysWith: { first, _ in first }))
  }

  /// Reads the configuration again and takes over what can be without a restart. A file that is
  /// wrong changes nothing.
  @discardableResult
  func reload() -> ReloadOutcome {
    reloading.withLock { _ in
      notifier.reloading()
      defer { notifier.ready(status: statusText()) }
      let new: Configuration
      do throws(ConfigurationErrors) {
        new =
          try file.map { (path) throws(ConfigurationErrors) in
            try Configuration.load(path: path)
          } ?? Configuration()
      } catch {
        let errors = error.errors.map(\.description)
        log.error(
          "the new configuration is wrong; the old one stays",
          ["errors": errors.joined(separator: "; ")])
        loop.post(.reloadFailed("not taken over: \(errors[0])"))
        return .invalid(errors)
      }
      let (applied, needsRestart) = differences(new)
      services.withLock { $0 = HTTPServices(new, keeping: $0) }
      let answer = Answer<Bool>()
      loop.post(
        .reconfigure(
          EngineSettings(new), engineSurroundings(new), answer))
      _ = answer.wait(until: .after(.seconds(10)))
      let taken = Answer<Bool>()
      dispatch.post(.reconfigure(DispatchSettings(new), surroundings(new), taken))
      _ = taken.wait(until: .after(.seconds(10)))
      desk.withLock { $0?.setPolicy(OrderDesk.Policy(new)) }
      log.setLevel(Self.level(new.log.level))
      current.withLock { $0 = Current(configuration: new, loadedAt: .now) }
      destinations.update { $0 = new }
      log.notice(
        "configuration taken over",
        [
          "changed": applied.joined(separator: " "),
          "needs_restart": needsRestart.joined(separator: " "),
        ])
      return .applied(applied, needsRestart: needsRestart)
    }
  }

  private func differences(_ new: Configuration) -> (applied: [String], needsRestart: [String]) {
    let old = current.withLock { $0.configuration }
    var applied: [String] = []
    if old.cycle != new.cycle { applied.append("cycle") }
    if old.prefetch != new.prefetch { applied.append("prefetch") }
    if old.scope != new.scope { applied.append("scope") }
    if old.portal.adoptedSources != new.portal.adoptedSources { applied.append("portal") }
    if old.servers != new.servers { applied.append("server") }
    if old.flags != new.flags { applied.append("flag") }
    if old.peers != new.peers { applied.append("peer") }
    if old.lists != new.lists { applied.append("list") }
    if old.statuses != new.statuses { applied.append("statuses") }
    if old.sending != new.sending { applied.append("sending") }
    if old.hl7Interfaces != new.hl7Interfaces { applied.append("hl7") }
    if old.destinations != new.destinations { applied.append("destination") }
    if old.origins != new.origins { applied.append("origin") }
    if old.recipients != new.recipients { applied.append("recipient") }
    if old.log.level != new.log.level { applied.append("log.level") }
    var needsRestart: [String] = []
    if fixed.daemon != new.daemon { needsRestart.append("daemon") }
    if !fixed.hasSameArchive(as: new) { needsRestart.append("archive") }
    if fixed.control != new.control { needsRestart.append("control") }
    if fixed.inbound != new.inbound { needsRestart.append("inbound") }
    // The portal and its orders keep the server that they began with.
    let portalServers = [fixed.portal.server, fixed.orders.server].compactMap { $0 }
    let isPortalFixed =
      fixed.portal.server == new.portal.server
      && fixed.portal.pageSize == new.portal.pageSize
      && portalServers.allSatisfy { name in
        fixed.servers.first { $0.name == name } == new.servers.first { $0.name == name }
      }
    if !isPortalFixed { needsRestart.append("portal") }
    if fixed.orders != new.orders { needsRestart.append("orders") }
    if fixed.log.format != new.log.format { needsRestart.append("log.format") }
    return (applied, needsRestart)
  }

  // MARK: - Log

  private static func format(_ format: Configuration.Log.Format) -> Log.Format {
    switch format {
    case .auto: Log.automaticFormat()
    case .text: .text
    case .json: .json
    case .journal: .journal
    }
  }

  private static func level(_ level: Configuration.Log.Level) -> Log.Level {
    switch level {
    case .debug: .debug
    case .info: .info
    case .notice: .notice
    case .warning: .warning
    case .error: .error
    }
  }

  private static func report(_ event: ArchiveEvent, _ log: Log) {
    switch event {
    case .diskRecovered, .indexRecovered: log.notice("archive", ["event": event.description])
    case .recovered, .conflict, .refused: log.warning("archive", ["event": event.description])
    default: log.error("archive", ["event": event.description])
    }
  }

  private static func report(_ event: ServerEvent, _ log: Log) {
    switch event {
    case .accepted(let peer):
      log.debug("association accepted", ["ae_title": peer.callingAE, "host": peer.peerHost])
    case .ended(let peer, nil):
      log.debug("association released", ["ae_title": peer.callingAE, "host": peer.peerHost])
    case .ended(let peer, let error?):
      log.warning(
        "association ended",
        ["ae_title": peer.callingAE, "host": peer.peerHost, "reason": error.description])
    case .rejected(let calling, let called, let host, let rejection):
      log.warning(
        "association rejected",
        [
          "calling": calling, "called": called, "host": host,
          "reason": rejection.description,
        ])
    case .commitmentUndelivered(let title, let reason):
      log.warning(
        "a storage commitment report was not delivered", ["ae_title": title, "reason": reason])
    case .refusedHost(let host): log.warning("connection refused", ["host": host])
    case .overloaded(let host): log.warning("too many connections", ["host": host])
    case .failed(let host, let error):
      log.info("no association", ["host": host, "reason": error.description])
    case .listenerFailed(let error):
      log.error("the DICOM listener failed", ["reason": error.description])
    }
  }
}
