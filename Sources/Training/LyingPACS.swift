import DICOM
import Platform

/// A PACS that holds one phantom study and answers queries and retrieves as badly as it is told:
/// what real ones have been seen to do, and worse. Written over ``WirePeer``, since no well-made
/// provider can be made to say most of it.
public final class LyingPACS: Sendable {
  public struct Behaviour: Sendable {
    public var association = AssociationAnswer.accept
    public var query = QueryAnswer.honest
    /// The level of the queries that ``query`` is about; nil for all.
    public var queryLevel: QueryLevel?
    public var objects = Objects.asked
    public var counters = Counters.honest
    /// Of the final response to a C-MOVE; nil for what would be right.
    public var moveStatus: DIMSEStatus?
    public var ending = Ending.answer

    public init(_ change: (inout Behaviour) -> Void = { _ in }) { change(&self) }
  }

  public enum AssociationAnswer: Sendable {
    case accept
    /// A-ASSOCIATE-RJ, transient, local limit exceeded.
    case tooMany
    /// Contexts that nobody has proposed, and none that somebody has.
    case otherContexts
  }

  public enum QueryAnswer: Sendable {
    case honest
    /// Every match three times.
    case duplicates
    /// Matches without the UID of their level.
    case nameless
    /// Matches of another study among the right ones, as of a peer that ignores the key.
    case otherStudies
    /// Matches of another examination number.
    case otherNumber
    /// A second study with the number.
    case twoStudies
    /// New matches without end.
    case endless
    /// The same match again and again, a few a second.
    case dripping
    /// After one match, this final status.
    case final(DIMSEStatus)
    case silent
    /// The response belongs to another request.
    case wrongMessage
    /// A match, and then A-ABORT.
    case aborts
  }

  /// What is really sent to the archive upon a C-MOVE.
  public enum Objects: Sendable {
    case asked
    case none
    /// Only the first so many of the study, however often it is asked.
    case first(Int)
    /// All that is asked for, and objects of another study as well.
    case uninvited
    /// Objects of another study in place of those asked for.
    case otherStudy
    /// Each object, and then another one under its UID.
    case otherBytes
    /// Half an object; then nothing more is said, there or here.
    case stalls
  }

  public enum Counters: Sendable {
    case honest
    case absent
    /// All completed, whatever happened.
    case allCompleted
    /// All with warnings.
    case allWarnings
    /// The rest failed, and is listed.
    case restFailed
  }

  public enum Ending: Sendable {
    case answer
    case abort
    case silent
    /// Pending responses that always say the same.
    case pendingForEver
    case wrongMessage
  }

  public let study: PhantomStudy
  public let aeTitle = "LIAR"
  private let instances: [UID: [StoredInstance]]
  private let strangers: [StoredInstance]
  private let behaviour: Monitor<Behaviour>
  private let moved = Monitor<[[UID]]>([])
  private let destination: UInt16
  private let server = Monitor<WireServer?>(nil)

  /// - Parameters:
  ///   - directory: where the objects are written.
  ///   - destination: the port that C-MOVE sends to, whatever AE title it names.
  public init(
    _ study: PhantomStudy, directory: String, destination: UInt16,
    behaviour: Behaviour = Behaviour()
  ) throws {
    self.study = study
    self.destination = destination
    self.behaviour = Monitor(behaviour)
    var instances: [UID: [StoredInstance]] = [:]
    for series in study.series {
      instances[study.seriesUID(series.number)] = try study.write(series, into: directory)
    }
    self.instances = instances
    var other = study
    other.accession = "SE99999999999999"
    strangers = try other.write(
      PhantomStudy.Series(number: 1, description: "of somebody else", images: 2), into: directory)
    let made = try WireServer { [weak self] peer, _ in try self?.serve(peer) }
    server.update { $0 = made }
  }

  public var port: UInt16 { server.read { $0?.port ?? 0 } }
  public var connections: Int { server.read { $0?.connections ?? 0 } }
  public func isQuiet() -> Bool { server.read { $0 }?.isQuiet() ?? true }

  public func behave(_ new: Behaviour) { behaviour.update { $0 = new } }

  /// The UIDs of the study's objects.
  public var objects: Set<UID> {
    Set(instances.values.flatMap { $0.map(\.sopInstance) })
  }

  /// The objects that each C-MOVE so far has asked for.
  public var moves: [[UID]] { moved.read { $0 } }

  // MARK: - The association

  private func serve(_ peer: WirePeer) throws {
    guard let request = peer.receiveRequest() else { return }
    let now = behaviour.read { $0 }
    switch now.association {
    case .tooMany: return try peer.send(WirePeer.pdu(3, [0, 2, 3, 2]))
    case .otherContexts:
      var other = request
      other.contexts = [
        AssociateRequest.Context(
          id: 201, abstractSyntax: "1.2.3", transferSyntaxes: [.explicitVRLittleEndian])
      ]
      try peer.accept(other)
    case .accept: try peer.accept(request)
    }
    while true {
      switch peer.receiveMessage() {
      case .message(let message):
        // It has ended by then, or does not listen to that either.
        if message.command.field == .cancelRequest { continue }
        guard let context = request.contexts.first(where: { $0.id == message.contextID }) else {
          return
        }
        let asked = try DataSet(decoding: message.dataSet, as: context.transferSyntaxes[0])
        let isOver =
          message.command.field == .findRequest
          ? try find(peer, message, asked, context.transferSyntaxes[0])
          : try move(peer, message, asked)
        if isOver { return }
      case .other(.releaseRequest): return try peer.send(WirePeer.releaseResponse)
      case .other, .end: return
      }
    }
  }

  // MARK: - Queries

  /// True when nothing more is said.
  private func find(
    _ peer: WirePeer, _ message: WirePeer.Message, _ asked: DataSet, _ syntax: TransferSyntax
  ) throws -> Bool {
    let now = behaviour.read { $0 }
    let level = asked.string(.queryRetrieveLevel).flatMap(QueryLevel.init) ?? .study
    let isHonest = now.queryLevel.map { $0 != level } ?? false
    func emit(_ match: DataSet, _ change: (inout Command) -> Void = { _ in }) throws {
      var response = message.command.response(.pending)
      change(&response)
      try peer.send(
        WirePeer.message(response, message.contextID, dataSet: try match.encoded(as: syntax)))
    }
    func end(_ status: DIMSEStatus) throws {
      try peer.send(WirePeer.message(message.command.response(status), message.contextID))
    }
    var matches = matches(level, asked)
    switch isHonest ? .honest : now.query {
    case .honest: break
    case .duplicates: matches = matches.flatMap { [$0, $0, $0] }
    case .nameless:
      if let last = matches.indices.last { matches[last].remove(Self.unique(level)) }
    case .otherStudies:
      matches += matches.enumerated().map { index, match in
        var other = match
        other.set(.studyInstanceUID, UID("1.2.752.99.4711"))
        if level != .study { other.set(Self.unique(level), UID("1.2.752.99.4711.\(index)")) }
        if level == .study { other.setBytes(.accessionNumber, .SH, Array("SE4711".utf8)) }
        return other
      }
    case .otherNumber:
      for index in matches.indices {
        matches[index].setBytes(.accessionNumber, .SH, Array("SE4711".utf8))
      }
    case .twoStudies:
      var other = matches.first ?? DataSet()
      other.set(.studyInstanceUID, UID("1.2.752.99.4711"))
      matches.append(other)
    case .endless:
      var number = 0
      while true {
        number += 1
        var match = matches.first ?? DataSet()
        match.set(Self.unique(level), UID("1.2.752.99.1.\(number)"))
        try emit(match)
      }
    case .dripping:
      while true {
        try emit(matches.first ?? DataSet())
        Gate().wait(until: .after(.milliseconds(20)))
      }
    case .final(let status):
      if let match = matches.first { try emit(match) }
      try end(status)
      return false
    case .silent:
      _ = peer.drain()
      return true
    case .wrongMessage:
      try emit(matches.first ?? DataSet()) { $0.messageIDRespondedTo = 4711 }
      _ = peer.drain()
      return true
    case .aborts:
      if let match = matches.first { try emit(match) }
      try peer.send(WirePeer.abort)
      return true
    }
    for match in matches { try emit(match) }
    try end(.success)
    return false
  }

  private static func unique(_ level: QueryLevel) -> Tag {
    switch level {
    case .patient, .study: .studyInstanceUID
    case .series: .seriesInstanceUID
    case .image: .sopInstanceUID
    }
  }

  private func matches(_ level: QueryLevel, _ asked: DataSet) -> [DataSet] {
    var match = DataSet()
    match.setBytes(.queryRetrieveLevel, .CS, Array(level.rawValue.utf8))
    match.setBytes(.accessionNumber, .SH, Array(study.accession.utf8))
    match.set(.studyInstanceUID, study.studyUID)
    if level == .study {
      let wanted = asked.string(.accessionNumber) ?? ""
      return wanted.isEmpty || wanted == study.accession ? [match] : []
    }
    var matches: [DataSet] = []
    let wanted = asked.uid(.seriesInstanceUID)?.value ?? ""
    for (series, objects) in instances.sorted(by: { $0.key < $1.key }) {
      if !wanted.isEmpty, wanted != series.value { continue }
      match.set(.seriesInstanceUID, series)
      if level == .series {
        matches.append(match)
        continue
      }
      for object in objects {
        match.set(.sopInstanceUID, object.sopInstance)
        matches.append(match)
      }
    }
    return matches
  }

  // MARK: - Retrieve

  private func move(
    _ peer: WirePeer, _ message: WirePeer.Message, _ asked: DataSet
  ) throws -> Bool {
    let now = behaviour.read { $0 }
    let series = Set(asked.uids(.seriesInstanceUID))
    let wanted = Set(asked.uids(.sopInstanceUID))
    let all = instances.sorted { $0.key < $1.key }
      .filter { series.isEmpty || series.contains($0.key) }.flatMap(\.value)
      .filter { wanted.isEmpty || wanted.contains($0.sopInstance) }
    moved.update { $0.append(all.map(\.sopInstance)) }
    let sent: [StoredInstance]
    switch now.objects {
    case .asked: sent = try send(all)
    case .none: sent = []
    case .first(let count):
      let willing = instances.sorted { $0.key < $1.key }.flatMap(\.value).prefix(count)
      sent = try send(all.filter { willing.contains($0) })
    case .uninvited:
      _ = try send(strangers)
      sent = try send(all)
    case .otherStudy:
      _ = try send(strangers)
      sent = []
    case .otherBytes:
      sent = try send(all)
      _ = try send(all, changed: true)
    case .stalls:
      guard let first = all.first else { return true }
      let half = try WirePeer(port: destination)
      try stall(first, over: half)
      _ = peer.drain()
      return true
    }
    var response = message.command.response(now.moveStatus ?? .success)
    let rest = all.filter { object in !sent.contains(object) }.map(\.sopInstance)
    response.suboperations = counters(now.counters, all.count, sent.count)
    switch now.ending {
    case .answer: break
    case .abort:
      try peer.send(WirePeer.abort)
      return true
    case .silent:
      _ = peer.drain()
      return true
    case .pendingForEver:
      response.status = .pending
      while true {
        try peer.send(WirePeer.message(response, message.contextID))
        Gate().wait(until: .after(.milliseconds(20)))
      }
    case .wrongMessage: response.messageIDRespondedTo = 4711
    }
    var list: [UInt8]?
    if case .restFailed = now.counters {
      var failed = DataSet()
      failed.set(.failedSOPInstanceUIDList, uids: rest)
      list = try failed.encoded(as: .explicitVRLittleEndian)
    }
    try peer.send(WirePeer.message(response, message.contextID, dataSet: list))
    return false
  }

  private func counters(_ kind: Counters, _ all: Int, _ sent: Int) -> Command.Suboperations {
    switch kind {
    case .absent: Command.Suboperations()
    case .honest: .init(completed: UInt16(sent), failed: UInt16(all - sent), warning: 0)
    case .allCompleted: .init(completed: UInt16(all), failed: 0, warning: 0)
    case .allWarnings: .init(completed: 0, failed: 0, warning: UInt16(all))
    case .restFailed: .init(completed: UInt16(sent), failed: UInt16(all - sent), warning: 0)
    }
  }

  /// What the archive took.
  private func send(_ objects: [StoredInstance], changed: Bool = false) throws -> [StoredInstance] {
    if objects.isEmpty { return [] }
    let association = try Association.request(
      to: PeerAddress(
        host: "127.0.0.1", port: destination, calledAE: "VGRSECTEMP", callingAE: aeTitle),
      contexts: [ProposedContext(PhantomStudy.ctImageStorage, [.explicitVRLittleEndian])])
    var taken: [StoredInstance] = []
    for object in objects {
      var bytes = try dataSet(of: object)
      // The last byte of the pixels.
      if changed { bytes[bytes.count - 1] ^= 0x55 }
      let result = try association.store(
        sopClass: object.sopClass, sopInstance: object.sopInstance,
        transferSyntax: object.transferSyntax, from: MemoryDataSet(bytes))
      if !result.status.isFailure { taken.append(object) }
    }
    try association.release()
    return taken
  }

  private func dataSet(of object: StoredInstance) throws -> [UInt8] {
    let whole = try FileDescriptor.contents(of: object.path, atMost: 64 << 20)
    return Array(whole[object.dataSetOffset...])
  }

  private func stall(_ object: StoredInstance, over peer: WirePeer) throws {
    try peer.associate(
      calledAE: "VGRSECTEMP", callingAE: aeTitle,
      [
        .init(
          id: 1, abstractSyntax: object.sopClass, transferSyntaxes: [.explicitVRLittleEndian])
      ])
    var command = Command(.storeRequest, hasDataSet: true)
    command.affectedSOPClass = object.sopClass
    command.affectedSOPInstance = object.sopInstance
    command.messageID = 1
    command.priority = .medium
    let bytes = try dataSet(of: object)
    try peer.send(
      WirePeer.data(1, 3, command.encoded())
        + WirePeer.data(1, 0, Array(bytes.prefix(bytes.count / 2))))
    _ = peer.drain()
  }
}
