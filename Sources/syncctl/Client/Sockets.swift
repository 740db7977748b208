/// Where syncd listens, and who may talk to it there.
enum Sockets {
  static let defaultControl = "/run/syncd/control"
  static let defaultMonitor = "/run/syncd/monitor"

  /// The read-only socket beside a control socket; nil for a path of another name.
  static func monitor(beside path: String) -> String? { sibling(of: path, "control", "monitor") }

  static func control(beside path: String) -> String? { sibling(of: path, "monitor", "control") }

  /// The group that may use a socket, as the packaged units make it.
  static func usualGroup(of path: String) -> String {
    path.hasSuffix("/monitor") ? "syncd-monitor" : "syncd-admin"
  }

  private static func sibling(of path: String, _ from: String, _ to: String) -> String? {
    if path == from { return to }
    guard path.hasSuffix("/" + from) else { return nil }
    return path.dropLast(from.count) + to
  }
}
