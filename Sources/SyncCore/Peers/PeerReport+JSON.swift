import DICOM
import JSON
import Platform

// One form of a report, for the control interface and for the file that it is kept in.

extension PeerReport {
  private static func seconds(_ time: Duration?) -> JSONValue {
    time.map { .number($0.inSeconds) } ?? .null
  }

  private static func duration(_ value: JSONValue?) -> Duration? {
    guard let seconds = value?.doubleValue, (0...86_400).contains(seconds) else { return nil }
    return .nanoseconds(Int64((seconds * 1e9).rounded()))
  }

  private static func flag(_ value: Bool?) -> JSONValue { value.map { .bool($0) } ?? .null }

  var json: JSONValue {
    compact([
      ("time", JSONValue(time)), ("kind", .string(kind)), ("address", .string(address)),
      ("reachable", .bool(isReachable)), ("steps", .array(steps.map(\.json))),
      ("tls", tls.map(\.json) ?? .null), ("implementationClass", JSONValue(implementationClass)),
      ("implementationVersion", JSONValue(implementationVersion)),
      ("maximumPdu", JSONValue(maximumPDU)), ("contexts", .array(contexts.map(\.json))),
      ("connectSeconds", Self.seconds(connectTime)), ("echoSeconds", Self.seconds(echoTime)),
      ("findSeconds", Self.seconds(findTime)), ("connections", JSONValue(connections)),
      ("connectionsTried", JSONValue(connectionsTried)),
      ("tellsObjectCount", Self.flag(tellsObjectCount)),
      ("findsStudies", Self.flag(findsStudies)), ("findsSeries", Self.flag(findsSeries)),
      ("findsImages", Self.flag(findsImages)),
      ("knowsDestination", Self.flag(knowsDestination)),
      ("sendsImages", Self.flag(sendsImages)),
    ])
  }

  /// What ``json`` gives; nil where it is anything else.
  init?(_ value: JSONValue) {
    guard let time = value["time"]?.stringValue.flatMap({ WallTime(rfc3339: $0) }),
      let kind = value["kind"]?.stringValue, let address = value["address"]?.stringValue
    else { return nil }
    self.init(time: time, kind: kind, address: address)
    steps = (value["steps"]?.arrayValue ?? []).compactMap { step in
      guard let name = step["name"]?.stringValue, let text = step["text"]?.stringValue,
        let outcome = step["outcome"]?.stringValue.flatMap({ ProbeStep.Outcome(rawValue: $0) })
      else { return nil }
      return ProbeStep(name, outcome, text, elapsed: Self.duration(step["seconds"]))
    }
    if let found = value["tls"], !found.isNull {
      tls = Security(
        version: found["version"]?.stringValue, cipher: found["cipher"]?.stringValue,
        subject: found["subject"]?.stringValue, issuer: found["issuer"]?.stringValue,
        notBefore: found["notBefore"]?.stringValue.flatMap { WallTime(rfc3339: $0) },
        notAfter: found["notAfter"]?.stringValue.flatMap { WallTime(rfc3339: $0) })
    }
    implementationClass = value["implementationClass"]?.stringValue
    implementationVersion = value["implementationVersion"]?.stringValue
    maximumPDU = value["maximumPdu"]?.intValue.flatMap { Int(exactly: $0) }
    contexts = (value["contexts"]?.arrayValue ?? []).compactMap { context in
      guard let sopClass = context["sopClass"]?.stringValue,
        let syntax = context["transferSyntax"]?.stringValue,
        let isAccepted = context["accepted"]?.boolValue
      else { return nil }
      return Context(sopClass: sopClass, transferSyntax: syntax, isAccepted: isAccepted)
    }
    connectTime = Self.duration(value["connectSeconds"])
    echoTime = Self.duration(value["echoSeconds"])
    findTime = Self.duration(value["findSeconds"])
    connections = value["connections"]?.intValue.flatMap { Int(exactly: $0) }
    connectionsTried = value["connectionsTried"]?.intValue.flatMap { Int(exactly: $0) }
    tellsObjectCount = value["tellsObjectCount"]?.boolValue
    findsStudies = value["findsStudies"]?.boolValue
    findsSeries = value["findsSeries"]?.boolValue
    findsImages = value["findsImages"]?.boolValue
    knowsDestination = value["knowsDestination"]?.boolValue
    sendsImages = value["sendsImages"]?.boolValue
  }
}

extension ProbeStep {
  var json: JSONValue {
    compact([
      ("name", .string(name)), ("outcome", .string(outcome.rawValue)), ("text", .string(text)),
      ("seconds", elapsed.map { .number($0.inSeconds) } ?? .null),
    ])
  }
}

extension PeerReport.Security {
  fileprivate var json: JSONValue {
    compact([
      ("version", JSONValue(version)), ("cipher", JSONValue(cipher)),
      ("subject", JSONValue(subject)), ("issuer", JSONValue(issuer)),
      ("notBefore", JSONValue(notBefore)), ("notAfter", JSONValue(notAfter)),
    ])
  }
}

extension PeerReport.Context {
  fileprivate var json: JSONValue {
    compact([
      ("sopClass", .string(sopClass)),
      ("sopClassName", .string(ProbedContexts.short(UID(sopClass)))),
      ("transferSyntax", .string(transferSyntax)),
      ("transferSyntaxName", .string(ProbedContexts.short(UID(transferSyntax)))),
      ("accepted", .bool(isAccepted)),
    ])
  }
}
