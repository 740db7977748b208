import SyncCore

extension Daemon {
  /// An error of the interface of sending, in words.
  static func failure(delivery short: String, _ fields: Fields) -> Failure {
    func text(_ name: String) -> String { ((try? fields.string(name)) ?? "?").shown }
    func make(_ exit: ExitCode, _ message: String, _ advice: [String] = []) -> Failure {
      Failure(exit, message, advice: advice, error: short)
    }
    func unknown(_ what: String, _ field: String, _ none: String, _ command: String) -> Failure {
      let name = (try? fields.string(field)) ?? "?"
      let known = (try? fields.strings("known")) ?? []
      let list = known.map(\.shown).joined(separator: ", ")
      return make(
        .notFound, "there is no \(what) \"\(name.shown)\"",
        Suggestion.advice(for: name, among: known)
          + [known.isEmpty ? none : "Known: \(list)", "`syncctl \(command)` shows them."])
    }
    switch short {
    case "NoSuchAssignment":
      return make(
        .notFound, "there is no assignment \(text("id"))",
        ["`syncctl sent --number NUMBER` shows those of an examination."])
    case "NoSuchRecipient":
      return unknown("recipient", "recipient", "No recipients are configured.", "recipients")
    case "NoSuchDestination":
      return unknown("destination", "name", "No destinations are configured.", "dest list")
    case "NothingSelected":
      return make(.notFound, "no assignment matches", ["`syncctl sent` shows what there is."])
    case "AccessLogFailed":
      return make(
        .failed, "the access log cannot be written, so nothing was done: \(text("reason"))",
        ["`journalctl -u syncd` says more; free space or mend the log, then do it again."])
    case "Busy":
      return make(.timeout, "syncd is busy: \(text("reason"))", ["Try again in a while."])
    case "Stopping":
      return make(
        .timeout, "syncd is stopping", ["`systemctl status syncd` says whether it starts again."])
    default:
      return make(.failed, "syncd refuses: \(short.shown)")
    }
  }
}
