import DICOM
import Glibc
import JSON
import Platform

/// What is known of the peers beyond the configuration: what a probe has found, at which level each
/// was seen to send, when it was last heard.
///
/// The first two outlive a restart, in `peers.json` of the state directory. It may be lost: nothing
/// is done differently then but that a level is tried once that the peer does not take.
public final class PeerRegister: Sendable {
  /// Of one peer, for show.
  public struct Known: Hashable, Sendable {
    public var report: PeerReport?
    /// The finest level at which it has been seen to send.
    public var level: QueryLevel?
    public var levelSeen: WallTime?
    public var lastContact: WallTime?
    public var lastFailure: WallTime?
    public var failure: String?
    /// Where the level was seen: another address is another peer.
    var levelAddress: String?

    public init() {}
  }

  /// Nil: what is known is forgotten at the end.
  private let path: String?
  private let state: Monitor<[String: Known]>
  /// Told when the file cannot be read or written.
  private let problem: @Sendable (String) -> Void

  static let version = 1
  /// A finer level is tried again after this: peers are upgraded.
  static let levelHolds = Duration.seconds(7 * 86_400)

  /// - Parameter directory: the state directory; nil for none.
  public init(directory: String?, problem: @escaping @Sendable (String) -> Void = { _ in }) {
    path = directory.map { "\($0)/peers.json" }
    self.problem = problem
    var known: [String: Known] = [:]
    if let path, access(path, F_OK) == 0 {
      do throws(ReadFault) {
        known = try Self.read(path)
      } catch {
        problem("\(path) is not used and will be written anew: \(error.text)")
      }
    }
    state = Monitor(known)
  }

  public func known(_ name: String) -> Known { state.read { $0[name] ?? Known() } }

  // MARK: - What passes learn

  /// The peer has accepted an association, or answered otherwise.
  public func answered(_ name: String, now: WallTime = .now) {
    state.update { $0[name, default: Known()].lastContact = now }
  }

  public func failed(_ name: String, _ reason: String, now: WallTime = .now) {
    state.update {
      $0[name, default: Known()].lastFailure = now
      $0[name, default: Known()].failure = reason
    }
  }

  /// The finest level that is worth asking a peer to send at.
  public func level(
    of name: String, at address: String, finest: QueryLevel, now: WallTime = .now
  ) -> QueryLevel {
    let known = known(name)
    guard known.levelAddress == address, let level = known.level, let seen = known.levelSeen,
      now - seen < Self.levelHolds
    else { return finest }
    return level.isCoarser(than: finest) ? level : finest
  }

  /// The peer has sent objects when asked at a level, and no finer one was taken.
  public func sends(
    _ name: String, at address: String, level: QueryLevel, now: WallTime = .now
  ) {
    let isNews = state.update { all -> Bool in
      var known = all[name] ?? Known()
      let isSame = known.level == level && known.levelAddress == address
      // Written once a day at most where nothing has changed.
      if isSame, let seen = known.levelSeen, now - seen < .seconds(86_400) { return false }
      known.level = level
      known.levelAddress = address
      known.levelSeen = now
      all[name] = known
      return true
    }
    if isNews { save() }
  }

  /// Keeps what a probe has found.
  public func keep(_ report: PeerReport, of name: String) {
    state.update { all in
      var known = all[name] ?? Known()
      known.report = report
      if report.isReachable {
        known.lastContact = report.time
      } else {
        known.lastFailure = report.time
        known.failure = report.steps.last { $0.outcome == .failed }?.text
      }
      // It was asked at the finest one, and has taken it: what passes had learnt is over.
      if report.sendsImages == true, known.level != .image { known.level = nil }
      all[name] = known
    }
    save()
  }

  // MARK: - The file

  private struct ReadFault: Error { var text: String }

  private static func read(_ path: String) throws(ReadFault) -> [String: Known] {
    let value: JSONValue
    do {
      value = try JSONValue.parse(try FileDescriptor.contents(of: path, atMost: 8 << 20))
    } catch {
      throw ReadFault(text: "\(error)")
    }
    guard value["version"]?.intValue == Int64(version), let peers = value["peers"]?.objectValue
    else { throw ReadFault(text: "it is of another version") }
    var all: [String: Known] = [:]
    for (name, entry) in peers {
      var known = Known()
      known.report = entry["report"].flatMap { PeerReport($0) }
      known.level = entry["level"]?.stringValue.flatMap { QueryLevel(rawValue: $0) }
      known.levelAddress = entry["levelAddress"]?.stringValue
      known.levelSeen = time(entry["levelSeen"])
      known.lastContact = time(entry["lastContact"])
      known.lastFailure = time(entry["lastFailure"])
      known.failure = entry["failure"]?.stringValue
      all[name] = known
    }
    return all
  }

  private static func time(_ value: JSONValue?) -> WallTime? {
    value?.stringValue.flatMap { WallTime(rfc3339: $0) }
  }

  private func save() {
    guard let path else { return }
    // Within the lock: of two at the same time the later state must be the one that stays.
    state.update { all in
      var peers = JSONObject()
      for (name, known) in all.sorted(by: { $0.key < $1.key }) {
        peers[name] = compact([
          ("report", known.report?.json ?? .null), ("level", JSONValue(known.level?.rawValue)),
          ("levelAddress", JSONValue(known.levelAddress)),
          ("levelSeen", JSONValue(known.levelSeen)),
          ("lastContact", JSONValue(known.lastContact)),
          ("lastFailure", JSONValue(known.lastFailure)), ("failure", JSONValue(known.failure)),
        ])
      }
      let text = JSONValue.object(["version": JSONValue(Self.version), "peers": .object(peers)])
      do throws(SystemError) {
        try Self.write(text.serialized() + [0x0A], to: path)
      } catch {
        problem("\(path) cannot be written: \(error)")
      }
    }
  }

  /// Under another name first: a file that is there is whole.
  private static func write(_ bytes: [UInt8], to path: String) throws(SystemError) {
    let temporary = path + ".new"
    let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
    var failure: SystemError?
    bytes.withUnsafeBytes { buffer in
      do throws(SystemError) { try file.writeAll(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
    try file.synchronize()
    guard rename(temporary, path) == 0 else { throw .last("rename", path) }
  }
}

extension QueryLevel {
  private var rank: Int {
    switch self {
    case .image: 0
    case .series: 1
    case .study: 2
    case .patient: 3
    }
  }

  func isCoarser(than other: QueryLevel) -> Bool { rank > other.rank }
}
