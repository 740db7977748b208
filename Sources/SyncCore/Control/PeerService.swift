import DICOM
import DICOMweb
import JSON
import Platform
import Synchronization
import Varlink

/// Serves `se.vgregion.samverkan.Peers`: lists from the engine's snapshot and what is remembered;
/// probes on the caller's connection, one of a peer at a time.
public final class PeerService: Sendable {
  private let engine: EngineLoop
  private let register: PeerRegister
  private let access: AccessLog
  private let configuration: @Sendable () -> Configuration
  private let services: @Sendable () -> HTTPServices
  private let log: Log
  private let probing = Mutex<Set<String>>([])

  /// Of a whole probe.
  static let longest: Duration = .seconds(120)
  /// More connections than this prove nothing more.
  static let mostConnections = 8

  public init(
    engine: EngineLoop, register: PeerRegister, access: AccessLog, log: Log,
    services: @escaping @Sendable () -> HTTPServices = { HTTPServices() },
    configuration: @escaping @Sendable () -> Configuration
  ) {
    self.services = services
    self.engine = engine
    self.register = register
    self.access = access
    self.log = log
    self.configuration = configuration
  }

  public func interface() throws -> VarlinkInterface {
    typealias Method = VarlinkInterface.Method
    return try VarlinkInterface(
      PeerInterface.description,
      methods: [
        "ListPeers": Method { _ in self.list() },
        "Probe": Method(requiresMore: true) { call throws(VarlinkError) in try self.probe(call) },
      ])
  }

  private func list() -> JSONObject {
    let configuration = configuration()
    let shown = engine.snapshot
    return [
      "peers": .array(configuration.peers.map { render($0, configuration, shown) })
    ]
  }

  private func render(
    _ peer: Configuration.Peer, _ configuration: Configuration, _ shown: EngineSnapshot
  ) -> JSONValue {
    let lane = shown.peers.first { $0.name == peer.name }
    let known = register.known(peer.name)
    let probed = ProbedPeers.make(peer, configuration, services())
    let wanted = QueryLevel(rawValue: peer.retrieveLevel.rawValue.uppercased()) ?? .image
    let level = register.level(of: peer.name, at: probed.address, finest: wanted)
    return compact([
      ("name", .string(peer.name)), ("kind", .string(probed.kind)),
      ("address", .string(probed.address)),
      ("tls", .bool(peer.tls != nil || probed.address.hasPrefix("https:"))),
      ("reachable", lane?.reachable.map { .bool($0) } ?? .null),
      ("running", JSONValue(lane?.running ?? 0)), ("queued", JSONValue(lane?.queued ?? 0)),
      ("budget", JSONValue(peer.budget)), ("nextAttempt", JSONValue(lane?.nextAttempt)),
      ("reason", JSONValue(lane?.reason)), ("lastContact", JSONValue(known.lastContact)),
      ("lastFailure", JSONValue(known.lastFailure)), ("failure", JSONValue(known.failure)),
      ("level", .string(level.rawValue.lowercased())), ("levelLearnt", .bool(level != wanted)),
      (
        "report",
        known.report.flatMap { $0.address == probed.address ? $0.json : nil } ?? .null
      ),
    ])
  }

  private func probe(_ call: VarlinkCall) throws(VarlinkError) -> JSONObject {
    let name = call.parameters["name"]?.stringValue ?? ""
    let configuration = configuration()
    guard let peer = configuration.peers.first(where: { $0.name == name }) else {
      throw Self.error(
        "NoSuchPeer",
        ["name": .string(name), "known": JSONValue(configuration.peers.map(\.name))])
    }
    let number = call.parameters["number"]?.stringValue
    if let number, number.isEmpty || number.contains(where: { "*?\\".contains($0) }) {
      throw .invalidParameter("number", reason: "an examination number without * ? and \\")
    }
    guard probing.withLock({ $0.insert(name).inserted }) else {
      throw Self.error("Busy", ["reason": .string("\(name) is being probed by somebody else")])
    }
    defer { _ = probing.withLock { $0.remove(name) } }
    try note(call, name, number)
    let shown = engine.snapshot
    guard call.replyContinues(["peer": render(peer, configuration, shown)]) else { return [:] }

    // What passes use of the budget is theirs.
    let free = peer.budget - (shown.peers.first { $0.name == name }?.running ?? 0)
    let request = ProbeRequest(
      number: number, asksToSend: call.parameters["asksToSend"]?.boolValue ?? false,
      connections: min(max(free, 0), Self.mostConnections), deadline: .after(Self.longest),
      stop: Gate())
    let isDone = Gate()
    WorkThread.start("probe-client") {
      while !isDone.wait(until: .after(.milliseconds(500))) {
        if call.isCancelled { return request.stop.open() }
      }
    }
    defer { isDone.open() }
    let report = ProbedPeers.make(peer, configuration, services()).probe(request) { step in
      _ = call.replyContinues(["step": step.json])
    }
    // Half a probe, since nobody waited for the rest, is no news of the peer.
    if !request.stop.isOpen {
      register.keep(report, of: name)
      log.notice(
        "probed a peer",
        [
          "peer": name, "reachable": "\(report.isReachable)",
          "failed": report.steps.filter { $0.outcome == .failed }.map(\.name)
            .joined(separator: " "),
          "user": call.peer.userName,
        ])
    }
    return ["report": report.json]
  }

  private func note(
    _ call: VarlinkCall, _ name: String, _ number: String?
  ) throws(VarlinkError) {
    let entry = AccessLog.Entry(
      .probe, actor: "uid:\(call.peer.uid) \(call.peer.userName)",
      onBehalfOf: call.parameters["onBehalfOf"]?.stringValue, order: nil,
      detail: number.map { "\(name), \($0)" } ?? name)
    do throws(AccessLogError) {
      try access.append([entry], now: .now)
    } catch {
      throw Self.error("AccessLogFailed", ["reason": .string("\(error)")])
    }
  }

  private static func error(_ name: String, _ parameters: JSONObject) -> VarlinkError {
    VarlinkError("\(PeerInterface.name).\(name)", parameters)
  }
}

/// A configured peer as it is probed: the one place that knows the kinds there are.
enum ProbedPeers {
  static func make(
    _ peer: Configuration.Peer, _ configuration: Configuration, _ services: HTTPServices
  ) -> any ProbablePeer {
    if let client = DICOMwebClient(peer, services) {
      return DICOMwebProbe(name: peer.name, client: client)
    }
    let options = DIMSEPeer.Options(
      peer, configuration, destination: configuration.archiveTitle)
    return DIMSEProbe(
      name: peer.name, peer: options.address, timeouts: options.timeouts,
      destination: options.destination, user: options.user)
  }
}
