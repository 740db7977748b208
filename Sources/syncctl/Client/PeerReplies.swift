import JSON

/// A peer as the interface of peers tells of it.
struct PeerReply {
  let name: String
  let kind: String
  let address: String
  let tls: Bool
  let reachable: Bool?
  let running: Int
  let queued: Int
  let budget: Int
  let nextAttempt: String?
  let reason: String?
  let lastContact: String?
  let lastFailure: String?
  let failure: String?
  let level: String?
  let levelLearnt: Bool
  let report: PeerReportReply?

  init(_ fields: Fields) throws(Failure) {
    name = try fields.string("name")
    kind = try fields.string("kind")
    address = try fields.string("address")
    tls = try fields.bool("tls")
    reachable = try fields.optionalBool("reachable")
    running = try fields.int("running")
    queued = try fields.int("queued")
    budget = try fields.int("budget")
    nextAttempt = try fields.optionalString("nextAttempt")
    reason = try fields.optionalString("reason")
    lastContact = try fields.optionalString("lastContact")
    lastFailure = try fields.optionalString("lastFailure")
    failure = try fields.optionalString("failure")
    level = try fields.optionalString("level")
    levelLearnt = try fields.optionalBool("levelLearnt") ?? false
    report = try fields.optionalObject("report").map { (it) throws(Failure) in
      try PeerReportReply(it)
    }
  }
}

/// What a probe has found.
struct PeerReportReply {
  struct Context {
    let sopClass: String
    let transferSyntax: String
    let accepted: Bool
  }

  let time: String
  let address: String
  let reachable: Bool
  let steps: [ProbeStepReply]
  let contexts: [Context]
  let findsSeries: Bool?
  let findsImages: Bool?
  let sendsImages: Bool?
  let tellsObjectCount: Bool?
  let connections: Int?
  let connectionsTried: Int?

  init(_ fields: Fields) throws(Failure) {
    time = try fields.string("time")
    address = try fields.string("address")
    reachable = try fields.bool("reachable")
    steps = try fields.objects("steps").map { (it) throws(Failure) in try ProbeStepReply(it) }
    contexts = try fields.objects("contexts").map { (it) throws(Failure) in
      Context(
        sopClass: try it.string("sopClassName"),
        transferSyntax: try it.string("transferSyntaxName"), accepted: try it.bool("accepted"))
    }
    findsSeries = try fields.optionalBool("findsSeries")
    findsImages = try fields.optionalBool("findsImages")
    sendsImages = try fields.optionalBool("sendsImages")
    tellsObjectCount = try fields.optionalBool("tellsObjectCount")
    connections = try fields.optionalInt("connections")
    connectionsTried = try fields.optionalInt("connectionsTried")
  }

  /// Refused, or failed: nothing could be asked. Partial: something that was asked failed.
  var exit: ExitCode {
    if !reachable { return .failed }
    return steps.contains { $0.outcome == "failed" } ? .partial : .ok
  }

  /// What is known of it in a few words.
  var summary: String {
    if !reachable { return "unreachable when probed" }
    var parts: [String] = []
    if findsSeries == true, findsImages == true { parts.append("finds to IMAGE") }
    if findsSeries == false || findsImages == false { parts.append("finds no SERIES or IMAGE") }
    if sendsImages == true { parts.append("sends by IMAGE") }
    if tellsObjectCount == true { parts.append("tells object counts") }
    if let connections, let connectionsTried {
      parts.append("\(connections)/\(connectionsTried) at once")
    }
    return parts.isEmpty ? "probed" : parts.joined(separator: ", ")
  }
}

struct ProbeStepReply {
  let name: String
  let outcome: String
  let text: String
  let seconds: Double?

  init(_ fields: Fields) throws(Failure) {
    name = try fields.string("name")
    outcome = try fields.string("outcome")
    text = try fields.string("text")
    seconds = fields.members["seconds"]?.doubleValue
  }
}
