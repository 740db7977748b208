import DICOM
import HTTP
import Platform

/// Probes a peer that speaks DIMSE: what it accepts, how fast it answers, what its queries tell.
///
/// Nothing is changed there. Without an examination number every query is for a study that does not
/// exist: whether it is answered is what tells, and no patient's data comes.
public struct DIMSEProbe: ProbablePeer {
  public let name: String
  public let kind = "dimse"
  public var address: String { peer.description }
  let peer: PeerAddress
  let timeouts: AssociationTimeouts
  /// The AE title that the peer would be asked to send to.
  let destination: String
  /// Who we say we are, as the passes do.
  let user: DICOMUser?

  public init(
    name: String, peer: PeerAddress, timeouts: AssociationTimeouts, destination: String,
    user: DICOMUser? = nil
  ) {
    self.user = user
    self.name = name
    self.peer = peer
    self.timeouts = timeouts
    self.destination = destination
  }

  public func probe(_ request: ProbeRequest, tell: (ProbeStep) -> Void) -> PeerReport {
    withoutActuallyEscaping(tell) { tell in
      let run = DIMSEProbeRun(self, request, tell)
      // What hangs is ended when time is over, or when nobody waits for it any more.
      let isDone = Gate()
      let watch = WorkThread.start("probe-watch") { [current = run.current] in
        while !isDone.wait(until: .after(.milliseconds(200))) {
          guard request.stop.isOpen || request.deadline.isPast else { continue }
          current.read { $0 }?.interrupt()
        }
      }
      run.run()
      isDone.open()
      _ = watch.join(until: .after(.seconds(2)))
      return run.report
    }
  }
}

/// One probe under way; by one thread.
final class DIMSEProbeRun {
  let probe: DIMSEProbe
  let request: ProbeRequest
  let tell: (ProbeStep) -> Void
  var report: PeerReport
  /// The association that is waited for now.
  let current = Monitor<Association?>(nil)

  /// No study has it: made by us, of a random number (PS3.5 section B.2).
  static let nowhere = UID("2.25.303030303030303030303030303030303030303")
  static let repetitions = 5

  init(_ probe: DIMSEProbe, _ request: ProbeRequest, _ tell: @escaping (ProbeStep) -> Void) {
    self.probe = probe
    self.request = request
    self.tell = tell
    report = PeerReport(time: .now, kind: probe.kind, address: probe.address)
  }

  var isOver: Bool { request.stop.isOpen || request.deadline.isPast }

  func note(
    _ name: String, _ outcome: ProbeStep.Outcome, _ text: String, _ elapsed: Duration? = nil
  ) {
    let step = ProbeStep(name, outcome, text, elapsed: elapsed)
    report.steps.append(step)
    tell(step)
  }

  func run() {
    // One association after the other: there are peers that take no second one.
    guard let association = first() else { return }
    echo(association)
    if association.isOpen { queries(association) }
    if association.isOpen, request.asksToSend { sending(association) }
    close(association)
    storage()
    connections()
    if isOver { note("end", .failed, "the time for the probe was over before its end") }
  }

  // MARK: - Associations

  /// The time-outs of the peer, within the time that is left.
  private var timeouts: AssociationTimeouts {
    var bounded = probe.timeouts
    if let end = request.deadline.time {
      let left = max(end - .now, .milliseconds(1))
      bounded.connect = min(bounded.connect, left)
      bounded.association = min(bounded.association, left)
      bounded.response = min(bounded.response, left)
      bounded.move = min(bounded.move, left)
    }
    return bounded
  }

  func open(
    _ contexts: [ProposedContext], _ sight: ConnectionSight = ConnectionSight()
  ) throws(AssociationError) -> Association {
    var address = probe.peer
    address.connector = ObservingConnector(
      inner: probe.peer.connector as? TLSConnector, sight: sight)
    let identity: UserInformation.UserIdentity?
    do throws(SecretPlace.Fault) { identity = try probe.user?.identity() } catch {
      throw .notEncodable("the user's passcode: \(error)")
    }
    let association = try Association.request(
      to: address, contexts: contexts, timeouts: timeouts,
      extensions: AssociationExtensions(userIdentity: identity))
    current.update { $0 = association }
    return association
  }

  func close(_ association: Association) {
    if association.isOpen {
      do throws(AssociationError) { try association.release() } catch { association.abort() }
    }
    current.update { $0 = nil }
  }

  private var isTLS: Bool { probe.peer.connector != nil }

  /// The first one, which tells most: proposes the services, each in a context of its own.
  private func first() -> Association? {
    let sight = ConnectionSight()
    let start = MonotonicTime.now
    let association: Association
    do throws(AssociationError) {
      association = try open(ProbedContexts.services, sight)
    } catch {
      let seen = sight.seen
      if seen.connecting != nil { connected(seen) }
      let failure = ProbeAdvice.failure(error, probe.peer, isTLS: isTLS, seen)
      note(failure.step, .failed, failure.text)
      return nil
    }
    connected(sight.seen)
    let information = association.peerInformation
    report.implementationClass = information.implementationClass?.value
    report.implementationVersion = information.implementationVersion
    report.maximumPDU = Int(information.maximumLength)
    let version = information.implementationVersion.map { " \($0)" } ?? ""
    let length =
      information.maximumLength == 0
      ? "of any length" : "of up to \(information.maximumLength) bytes"
    note(
      "association", .ok,
      "\(information.implementationClass?.value ?? "unnamed")\(version), takes PDUs \(length)",
      .now - start)
    keep(association)
    services(association)
    return association
  }

  private func connected(_ seen: ConnectionSight.State) {
    report.connectTime = seen.connecting
    note("connect", .ok, "\(probe.peer.host):\(probe.peer.port)", seen.connecting)
    guard let session = seen.tls else { return }
    report.tls = PeerReport.Security(
      version: session.version, cipher: session.cipher, subject: session.subject,
      issuer: session.issuer, notBefore: session.validity?.notBefore,
      notAfter: session.validity?.notAfter)
    var text = [session.version ?? "TLS", session.cipher ?? ""].filter { !$0.isEmpty }
      .joined(separator: " ")
    if let subject = session.subject { text += "; \(subject)" }
    if let issuer = session.issuer { text += ", issued by \(issuer)" }
    var outcome = ProbeStep.Outcome.ok
    if let end = session.validity?.notAfter {
      let days = Int((end - .now).inSeconds / 86_400)
      text += ", ends in \(days) days (\(end))"
      if days < 30 {
        outcome = .warning
        text += ": it has to be renewed there"
      }
    }
    note("tls", outcome, text, session.handshake)
  }

  private func keep(_ association: Association) {
    report.contexts += association.contexts.map {
      PeerReport.Context(
        sopClass: $0.abstractSyntax.value, transferSyntax: $0.transferSyntax.uid.value,
        isAccepted: true)
    }
    for refused in association.refusedContexts {
      for syntax in refused.transferSyntaxes {
        report.contexts.append(
          PeerReport.Context(
            sopClass: refused.abstractSyntax.value, transferSyntax: syntax.uid.value,
            isAccepted: false))
      }
    }
  }

  private func services(_ association: Association) {
    let accepted = Set(association.contexts.map(\.abstractSyntax))
    func names(_ uids: [UID]) -> String {
      uids.map { ProbedContexts.short($0) }.joined(separator: ", ")
    }
    let there = ProbedContexts.serviceClasses.filter { accepted.contains($0) }
    let lacking = ProbedContexts.serviceClasses.filter { !accepted.contains($0) }
    var text = there.isEmpty ? "offers nothing of what we need" : "offers \(names(there))"
    if !lacking.isEmpty { text += "; not \(names(lacking))" }
    let needed: Set<UID> = [SOPClass.studyRootFind, SOPClass.studyRootMove]
    note("services", needed.isSubset(of: accepted) ? .ok : .warning, text)
  }

  /// Which objects it takes, in which transfer syntaxes. A peer that takes none may still send.
  private func storage() {
    guard !isOver else { return }
    let association: Association
    do throws(AssociationError) {
      association = try open(ProbedContexts.storage)
    } catch {
      return note("storage", .warning, "no association for it: \(error)")
    }
    keep(association)
    let classes = Set(association.contexts.map(\.abstractSyntax))
    let syntaxes = Set(association.contexts.map(\.transferSyntax))
    close(association)
    guard !classes.isEmpty else {
      return note("storage", .ok, "takes no objects by C-STORE")
    }
    let names = ProbedContexts.syntaxes.filter { syntaxes.contains($0) }
      .map { ProbedContexts.short($0.uid) }.joined(separator: ", ")
    note(
      "storage", .ok,
      "takes \(classes.count) of \(ProbedContexts.storageClasses.count) kinds of objects; \(names)")
  }

  // MARK: - Services

  private func echo(_ association: Association) {
    guard association.contexts.contains(where: { $0.abstractSyntax == SOPClass.verification })
    else { return note("echo", .skipped, "it does not offer C-ECHO") }
    var times: [Duration] = []
    do throws(AssociationError) {
      for _ in 0..<Self.repetitions {
        let start = MonotonicTime.now
        let answer = try association.echo()
        times.append(.now - start)
        guard answer.status.isSuccess else {
          return note("echo", .failed, "it answered \(answer.status)")
        }
      }
    } catch {
      return note("echo", .failed, "\(error)")
    }
    report.echoTime = Self.median(times)
    note("echo", .ok, "C-ECHO, median of \(times.count)", report.echoTime)
  }

  static func median(_ times: [Duration]) -> Duration? {
    times.isEmpty ? nil : times.sorted()[times.count / 2]
  }

  /// How many associations it takes at once.
  private func connections() {
    guard !isOver, request.connections > 0 else { return }
    var open: [Association] = []
    var refusal: String?
    for _ in 0..<request.connections where refusal == nil && !isOver {
      do throws(AssociationError) {
        open.append(try self.open([.verification]))
      } catch {
        refusal = "\(error)"
      }
    }
    let count = open.count
    for association in open { close(association) }
    report.connections = count
    report.connectionsTried = request.connections
    if let refusal {
      note(
        "associations", .warning,
        "\(count) at once, the next: \(refusal); the budget should be no more than \(max(1, count))"
      )
    } else {
      note("associations", .ok, "\(count) at once, as many as were tried")
    }
  }
}
