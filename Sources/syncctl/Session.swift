import JSON
import Platform

/// One run of a command: what was asked, where the answer goes, and the daemon.
struct Session {
  let invocation: Invocation
  let console: Console
  let daemon: Daemon

  /// The parameter that says for whom an administrator acts.
  var onBehalfOf: JSONObject {
    invocation.value("on-behalf-of").map { ["onBehalfOf": .string($0)] } ?? [:]
  }
}
