import JSON
import Platform
import SyncCore

extension Daemon {
  /// One call of the interface of peers.
  func peers(_ method: String, _ parameters: JSONObject) throws(Failure) -> Fields {
    try call(full: "\(PeerInterface.name).\(method)", parameters)
  }

  /// Its answers, one after the other.
  func followPeers(
    _ method: String, _ parameters: JSONObject, deadline: Deadline,
    _ body: (Fields) throws(Failure) -> Bool
  ) throws(Failure) {
    try follow(full: "\(PeerInterface.name).\(method)", parameters, deadline: deadline, body)
  }

  /// An error of the interface of peers, in words.
  static func failure(peers short: String, _ fields: Fields) -> Failure {
    func text(_ name: String) -> String { ((try? fields.string(name)) ?? "?").shown }
    switch short {
    case "NoSuchPeer":
      let known = (try? fields.strings("known")) ?? []
      return Failure(
        .notFound, "there is no peer \"\(text("name"))\"",
        advice: Suggestion.advice(for: (try? fields.string("name")) ?? "", among: known)
          + [
            known.isEmpty
              ? "No peers are configured."
              : "Known: \(known.map(\.shown).joined(separator: ", "))",
            "`syncctl peer list` shows them.",
          ], error: short)
    case "AccessLogFailed":
      return Failure(
        .failed, "the access log cannot be written, so nothing was asked: \(text("reason"))",
        advice: ["`journalctl -u syncd` says more; free space or mend the log, then do it again."],
        error: short)
    case "Busy":
      return Failure(
        .timeout, "syncd is busy: \(text("reason"))", advice: ["Try again in a while."],
        error: short)
    default: return Failure(.failed, "syncd refuses: \(short.shown)", error: short)
    }
  }
}
