import JSON

/// JSON in the order in which people read it.
enum JSONText {
  static func object(_ members: [(String, String)]) -> String {
    "{" + members.map { "\(string($0.0)):\($0.1)" }.joined(separator: ",") + "}"
  }

  static func string(_ text: String) -> String { JSONValue.string(text).description }

  static func strings(_ texts: [String]) -> String {
    "[" + texts.map(string).joined(separator: ",") + "]"
  }

  /// What a program reads of a failure: `{"error":{"code":...,"exit":...,"message":...}}`.
  static func failure(_ failure: Failure) -> String {
    var members = [
      ("code", string(failure.exit.code)), ("exit", "\(failure.exit.rawValue)"),
      ("message", string(failure.message)), ("advice", strings(failure.advice)),
    ]
    if let error = failure.error { members.append(("interfaceError", string(error))) }
    return object([("error", object(members))])
  }
}
