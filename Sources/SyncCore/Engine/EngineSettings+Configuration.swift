import DICOM
import Platform

extension EngineSettings {
  /// What the engine is to know of a configuration.
  public init(_ configuration: Configuration) {
    self.init()
    let cycle = configuration.cycle
    name = configuration.daemon.name
    lists = configuration.lists.map { list in
      List(
        id: list.id, system: list.system, flag: list.flag, peer: list.peer,
        prefetches: list.prefetch, priority: list.priority, statuses: configuration.statuses)
    }
    budgets = Dictionary(uniqueKeysWithValues: configuration.peers.map { ($0.name, $0.budget) })
    interval = cycle.interval
    listTimeout = cycle.listTimeout
    grace = min(.seconds(2), cycle.listTimeout)
    warnMissed = cycle.warnMissedCycles
    criticalMissed = cycle.criticalMissedCycles
    flags = FlagReconciler.Policy(
      source: configuration.daemon.name, adoptedSources: Set(configuration.portal.adoptedSources),
      absenceSnapshots: cycle.absenceSnapshots, emptyListSnapshots: cycle.emptyListSnapshots,
      brakeMinimum: cycle.brakeMinimum, brakePercent: cycle.brakePercent,
      retryMinimum: cycle.writeRetry, retryMaximum: cycle.writeRetryMaximum,
      alarmAfter: cycle.writeAlarmAfter)
    images = Completeness.Policy(
      stability: configuration.prefetch.stability, retryMinimum: configuration.prefetch.retry,
      retryMaximum: configuration.prefetch.retryMaximum, recheck: configuration.prefetch.recheck,
      sendable: Set(configuration.prefetch.sendableStatuses))
    careUnits = Set(configuration.scope.careUnits)
    acceptsUnknownCareUnit = configuration.scope.acceptUnknownCareUnit
    unflagOnRecall = Set(configuration.sending.unflagOnRecall)
    retention = configuration.daemon.retention
  }
}

extension EngineSurroundings {
  /// The lists and peers of a configuration, around a portal and an archive.
  /// - Parameter storage: the archive as the place for what is fetched by C-GET.
  public init(
    _ configuration: Configuration, portal: any Portal, archive: any ImageArchive,
    storage: (any StorageProvider)? = nil, services: HTTPServices = HTTPServices(),
    peers: PeerRegister = PeerRegister(directory: nil)
  ) {
    // What is fetched over DICOMweb goes into the archive from here; over DIMSE the peer sends it.
    let storage = storage ?? (archive as? any StorageProvider)
    var lists: [String: any CollaborationListSource] = [:]
    var turns: [String: PeerTurns] = [:]
    for peer in configuration.peers { turns[peer.name] = PeerTurns(peer.budget) }
    for list in configuration.lists {
      lists[list.id] =
        switch list.source {
        case .csv(let drop):
          CSVDropSource(drop, maxAge: drop.maxAge ?? configuration.cycle.interval * 2)
        case .http(let http):
          services[http.server].map { service in
            HTTPListSource(
              service: service, list: http.list, pageSize: http.pageSize,
              maxAge: http.maxAge ?? configuration.cycle.interval * 2)
          }
        case .worklist(let worklist): Self.source(worklist, configuration, turns)
        }
    }
    var sources: [String: any ImageSource] = [:]
    for peer in configuration.peers {
      sources[peer.name] =
        DICOMwebSource(peer, configuration, services, storage: storage)
        ?? DIMSEPeer(
          DIMSEPeer.Options(peer, configuration, destination: configuration.archiveTitle),
          storage: storage, register: peers)
    }
    self.init(portal: portal, archive: archive, lists: lists, sources: sources)
    self.services = services.all
    certificates = { PeerCertificates.shared.ends(configuration) }
  }

  private static func source(
    _ worklist: Configuration.Worklist, _ configuration: Configuration,
    _ turns: [String: PeerTurns]
  ) -> (any CollaborationListSource)? {
    guard let peer = configuration.peers.first(where: { $0.name == worklist.peer }) else {
      return nil
    }
    let options = DIMSEPeer.Options(
      peer, configuration, destination: configuration.archive.aeTitle)
    return WorklistSource(
      worklist, address: options.address, timeouts: options.timeouts,
      turns: turns[peer.name] ?? PeerTurns(1), user: options.user)
  }
}

extension DIMSEPeer.Options {
  /// A configured peer, to be asked to send to an AE title.
  init(_ peer: Configuration.Peer, _ configuration: Configuration, destination: String) {
    self.init(
      name: peer.name,
      address: peer.address(from: configuration),
      timeouts: AssociationTimeouts(
        connect: peer.connectTimeout, association: peer.associationTimeout,
        response: peer.responseTimeout, move: peer.moveIdleTimeout),
      destination: destination,
      finestLevel: QueryLevel(rawValue: peer.retrieveLevel.rawValue.uppercased()) ?? .image,
      retrieve: peer.retrieve, user: peer.user.map(DICOMUser.init))
  }
}
