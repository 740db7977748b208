import Platform
import Synchronization

/// A DICOM application entity that others connect to: a thread that accepts, and one for each
/// association.
public final class DICOMServer: Sendable {
  public let configuration: ServerConfiguration
  let services: DICOMServices
  /// Nil once stopped: closed, so that whoever still connects is refused and does not wait.
  private let listener: Mutex<ListeningSocket?>
  private let observe: @Sendable (ServerEvent) -> Void
  private let connections = Monitor(Connections())

  private struct Connections {
    var isStopping = false
    var nextID: UInt64 = 1
    var open: [UInt64: Entry] = [:]
    var associations = 0
  }

  private struct Entry {
    var interrupter: UpperLayerConnection.Interrupter
    /// Waiting for a request: may be ended without loss.
    var isIdle: Bool
    /// Whether it has asked for an association, or been told to go.
    var isAssociated = false
  }

  /// Binds. Nobody is answered before ``start()``.
  public init(
    on endpoint: Endpoint, configuration: ServerConfiguration, services: DICOMServices,
    observe: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) throws(SystemError) {
    let listener = try ListeningSocket(on: endpoint)
    self.listener = Mutex(listener)
    port = listener.port
    self.configuration = configuration
    self.services = services
    self.observe = observe
  }

  /// Uses a listener made by somebody else.
  public init(
    on listener: ListeningSocket, configuration: ServerConfiguration, services: DICOMServices,
    observe: @escaping @Sendable (ServerEvent) -> Void = { _ in }
  ) {
    self.listener = Mutex(listener)
    port = listener.port
    self.configuration = configuration
    self.services = services
    self.observe = observe
  }

  /// The port that was bound.
  public let port: UInt16

  /// How many associations there are now.
  public var associationCount: Int { connections.read { $0.associations } }

  /// How many connections are served, also those that are no associations yet, or no more.
  var connectionCount: Int { connections.read { $0.open.count } }

  public func start() {
    guard let listener = listener.withLock({ $0 }) else { return }
    WorkThread.start("dicom-accept") { self.acceptLoop(listener) }
  }

  /// Takes no more associations, ends the idle ones, lets the others finish the operation they are
  /// in, and ends what is left when the time is over. Returns when all have ended.
  public func stop(grace: Duration = .seconds(5)) {
    let closing = listener.withLock { listener in
      defer { listener = nil }
      return listener
    }
    closing?.stop()
    let idle = connections.update { state in
      state.isStopping = true
      return state.open.values.filter(\.isIdle).map(\.interrupter)
    }
    idle.forEach { $0.interrupt() }
    func allEnded(by deadline: Deadline) -> Bool {
      connections.wait(until: deadline) { $0.open.isEmpty ? true : nil } ?? false
    }
    if allEnded(by: .after(grace)) { return }
    connections.read { $0.open.values.map(\.interrupter) }.forEach { $0.interrupt() }
    // A provider that hangs in its own work cannot be ended from here.
    _ = allEnded(by: .after(.seconds(5)))
  }

  private func acceptLoop(_ listener: ListeningSocket) {
    do throws(SystemError) {
      while let socket = try listener.accept() { take(socket) }
    } catch {
      observe(.listenerFailed(error))
    }
  }

  private func take(_ socket: StreamSocket) {
    let host = Self.host(of: socket.peer)
    guard configuration.admitsHost(host) else {
      observe(.refusedHost(host))
      return
    }
    let upperLayer = connection(over: socket)
    guard let id = takePlace(upperLayer.interrupter) else {
      observe(.overloaded(host: host))
      return
    }
    // The connection is this thread's until it is handed over, and the new thread's from then on.
    nonisolated(unsafe) let handed = upperLayer
    WorkThread.start("dicom-\(id)") {
      self.serve(handed, id, host)
      self.connections.update { $0.open[id] = nil }
    }
  }

  private func connection(over socket: StreamSocket) -> UpperLayerConnection {
    UpperLayerConnection(
      .socket(socket), isRequestor: false, maximumLength: configuration.maximumPDULength,
      timeouts: configuration.timeouts, bufferSize: configuration.receiveBufferSize)
  }

  /// Serves a connection on the caller's thread, outside of the limits: for who feeds it bytes.
  func serve(_ socket: StreamSocket) {
    serve(connection(over: socket), 0, Self.host(of: socket.peer))
  }

  /// A number for a new connection; nil when there are too many even to be answered.
  private func takePlace(_ interrupter: UpperLayerConnection.Interrupter) -> UInt64? {
    // Some threads more than associations, so that there is somebody to say no.
    let most = configuration.mostAssociations + 16
    let (id, evicted) = connections.update {
      state -> (UInt64?, UpperLayerConnection.Interrupter?) in
      guard !state.isStopping, state.open.count < 2 * most else { return (nil, nil) }
      var evicted: UpperLayerConnection.Interrupter?
      // Who has connected and not asked for anything makes room for who comes: connections that say
      // nothing do not keep out those that do.
      if state.open.count >= most,
        let oldest = state.open.filter({ !$0.value.isAssociated }).min(by: { $0.key < $1.key })
      {
        evicted = oldest.value.interrupter
        // Not chosen again while it is on its way out.
        state.open[oldest.key]?.isAssociated = true
      }
      defer { state.nextID += 1 }
      state.open[state.nextID] = Entry(interrupter: interrupter, isIdle: true)
      return (state.nextID, evicted)
    }
    evicted?.interrupt()
    return id
  }

  private func serve(_ upperLayer: UpperLayerConnection, _ id: UInt64, _ host: String) {
    let negotiated: Negotiation.Outcome
    do throws(AssociationError) {
      guard
        case .request(let request) = try upperLayer.next(
          by: .after(configuration.timeouts.association), waitingFor: .association)
      else { return }
      connections.update { $0.open[id]?.isAssociated = true }
      negotiated = Negotiation.answer(
        request, configuration, services, hasRoom: reserveAssociation)
      switch negotiated {
      case .reject(let rejection):
        observe(
          .rejected(
            callingAE: request.callingAE, calledAE: request.calledAE, host: host,
            rejection: rejection))
        upperLayer.reject(rejection)
        return
      case .accept(let accept, let contexts):
        defer { connections.update { $0.associations -= 1 } }
        try upperLayer.accept(accept)
        let info = AssociationInfo(
          id: id, callingAE: request.callingAE, calledAE: request.calledAE, peerHost: host,
          peerImplementationClass: request.user.implementationClass,
          peerImplementationVersion: request.user.implementationVersion)
        let connection = DIMSEConnection(
          upperLayer, contexts: contexts, peerMaximumLength: request.user.maximumLength,
          timeouts: configuration.timeouts)
        observe(.accepted(info))
        let association = ProviderAssociation(connection, info, self)
        let error = association.run()
        observe(.ended(info, error))
      }
    } catch {
      // Closed already, but where the answer itself cannot be sent.
      upperLayer.abort()
      observe(.failed(host: host, error))
      return
    }
    // The place is free again; the peer may take its time to close.
    upperLayer.linger()
  }

  private func reserveAssociation() -> Bool {
    connections.update { state in
      guard state.associations < configuration.mostAssociations, !state.isStopping else {
        return false
      }
      state.associations += 1
      return true
    }
  }

  /// Tells whether the association may wait for another request.
  func setIdle(_ id: UInt64, _ isIdle: Bool) -> Bool {
    connections.update { state in
      state.open[id]?.isIdle = isIdle
      return !state.isStopping
    }
  }

  /// "127.0.0.1:4711" and "[::1]:4711" without the port.
  static func host(of peer: String) -> String {
    guard let colon = peer.lastIndex(of: ":") else { return peer }
    var host = peer[..<colon]
    if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
    return String(host)
  }
}
