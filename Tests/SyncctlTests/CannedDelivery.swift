import JSON
import SyncCore

/// Replies of sending as the daemon gives them. Names and numbers are made up.
extension Canned {
  static func assignment(
    _ id: String, number: String = "S0001", phase: String = "transferring",
    dicom: (String, Int, Int) = ("orange", 3, 10), hl7: (String, Int, Int) = ("orange", 0, 4),
    tick: Bool = false, failed: Bool = false, held: Bool = false, reason: String? = nil,
    priority: String = "routine", late: Int = 0, extra: String = ""
  ) -> String {
    """
    {"id":"\(id)","kind":"review","system":"SECTRA","number":"\(number)","referral":"R77",
    "studyUid":"1.2.752.1","list":"tmc","flag":"TMC","careUnit":"SE0000000000-E000000000001",
    "modality":"CT","description":"CT thorax","recipient":"evidia-ct",
    "recipientLabel":"Evidia > CT","destination":"evidia","review":"primary",
    "priority":"\(priority)","phase":"\(phase)","answer":"none","held":\(held),
    "dicom":"\(dicom.0)","dicomDone":\(dicom.1),"dicomTotal":\(dicom.2),
    "hl7":"\(hl7.0)","hl7Done":\(hl7.1),"hl7Total":\(hl7.2),"tick":\(tick),"ended":\(tick),
    "failed":\(failed),
    \(reason.map {
      "\"reason\":{\"code\":\"\($0)\",\"text\":\"no answer\",\"owner\":\"the recipient\"},"
    } ?? "")
    "previouslySent":false,"supplementable":\(late),\(extra)
    "orderedAt":"2026-11-23T07:00:00.000Z","orderedBy":"anna",
    "changed":"2026-11-23T07:10:00.000Z"}
    """
  }

  static let transfer = """
    {"id":"7","number":"S0001","prior":false,"studyUid":"1.2.752.1","from":"VGRSURT0",
    "to":"AHEIPACS","state":"running","total":10,"done":3,"refused":0,"attempts":1,
    "created":"2026-11-23T07:00:00.000Z","changed":"2026-11-23T07:10:00.000Z"}
    """

  static let prior = """
    {"id":"8","number":"S0000","prior":true,"from":"VGRSURT0","to":"AHEIPACS","state":"failed",
    "total":2,"done":1,"refused":1,"attempts":5,"created":"2026-11-23T07:00:00.000Z",
    "changed":"2026-11-23T07:05:00.000Z","reason":"A900 \\u001b[31mdata set"}
    """

  static let message = """
    {"id":"21","kind":"ormlock","direction":"ORIGIN","state":"done","flag":"AA_ACK",
    "result":"SUCCESS","unit":"SE01","interface":"sectra","priority":"urgent",
    "activityType":"C-Primary","controlId":"20261123000001","number":"S0001","attempts":1,
    "created":"2026-11-23T07:00:00.000Z","changed":"2026-11-23T07:10:00.000Z"}
    """

  static let forward = """
    {"id":"22","kind":"ormforward","direction":"DESTINATION","state":"waiting","unit":"SE02",
    "interface":"evidia","priority":"urgent","number":"S0001","attempts":2,
    "created":"2026-11-23T07:00:00.000Z","changed":"2026-11-23T07:10:00.000Z",
    "nextAttempt":"2026-11-23T07:40:00.000Z","reason":"connection refused"}
    """

  static func details(_ assignment: String) -> String {
    """
    {"assignment":\(assignment),"transfers":[\(transfer),\(prior)],
    "messages":[\(message),\(forward)],"differences":[{"number":"S0001",
    "sopInstanceUid":"1.2.752.1.5","source":true,"archive":true,"sent":false,
    "explanation":"came after the transfer"}],"differencesTotal":3,
    "history":[{"time":"2026-11-23T07:00:00.000Z","event":"ordered","detail":"by anna"}]}
    """
  }

  static func result(_ id: String, done: Bool = true, text: String = "2 messages") -> String {
    "{\"id\":\"\(id)\",\"number\":\"S\(id)\",\"done\":\(done),\"text\":\"\(text)\"}"
  }

  static func results(_ results: [String]) -> String {
    "{\"results\":[\(results.joined(separator: ","))]}"
  }

  static let accepted = """
    {"number":"S1","system":"SECTRA","accepted":true,"id":"A1042","refusals":[],
    "warnings":["the priority is not that of the referral"]}
    """

  static let refused = """
    {"number":"S2","accepted":false,"refusals":[{"rule":"images_incomplete",
    "text":"3 of 10 images are in the archive","remedy":"Wait until they are fetched.",
    "canForce":true},{"rule":"status","text":"the status is requested",
    "remedy":"Complete the examination.","canForce":false}],"warnings":[]}
    """

  static func destination(
    _ name: String, reachable: String = "true", paused: Bool = false, open: Bool = true,
    failed: Int = 0
  ) -> String {
    """
    {"name":"\(name)","kind":"dicom","address":"EVIDIA@127.0.0.1:104","reachable":\(reachable),
    "paused":\(paused)\(
      paused ? ",\"pausedBy\":\"anna\",\"pausedAt\":\"2026-11-23T07:00:00.000Z\"" : ""),
    "windowOpen":\(open)\(open ? "" : ",\"window\":\"22:00-06:00\""),"budget":2,"running":1,
    "ready":3,"waiting":4,"failed":\(failed),"retry":"1x10s,1x1m"}
    """
  }

  static func recipient(_ id: String, _ label: String, parent: String? = nil) -> String {
    """
    {"id":"\(id)","label":"\(label)",\(parent.map { "\"parent\":\"\($0)\"," } ?? "")
    \(parent == nil ? "" : "\"destination\":\"evidia\",")"kinds":["review"],
    "systems":\(parent == nil ? "[]" : "[\"SECTRA\"]")}
    """
  }

  static let totals = """
    {"totals":{"active":5,"failed":2,"sent":3,"answered":40,"cancelled":1,"held":1,
    "waitingTransfers":1,"waitingMessages":2,"aside":1}}
    """

  static let aside = """
    {"messages":[{"id":"m1","received":"2026-11-23T07:00:00.000Z","from":"EVIDIA",
    "controlId":"X1","type":"ORU^R01","reason":"no assignment of order 77"}],"total":1}
    """

  static let ladder = """
    {"ladder":"1x5m,1x30m","attempts":[{"number":1,"after":"0s","at":0.0},
    {"number":2,"after":"5m","at":300.0},{"number":3,"after":"30m","at":2100.0}],
    "watchdog":"4h","text":["After the third it has failed."]}
    """
}

extension Answer {
  static func refusal(_ name: String, _ parameters: String = "{}") -> Answer {
    .error("\(DeliveryInterface.name).\(name)", parameters)
  }
}

extension Program {
  /// What a daemon answers that sends.
  @Sendable static func delivering(_ call: Call) -> [Answer] {
    let id = call.parameters["id"]?.stringValue ?? ""
    if id == "A404" { return [.refusal("NoSuchAssignment", "{\"id\":\"A404\"}")] }
    switch call.method.dropFirst(DeliveryInterface.name.count + 1) {
    case "GetTotals": return [.reply(Canned.totals)]
    case "Send": return [.reply(Canned.results([Canned.accepted, Canned.refused]))]
    case "ListAssignments": return [.reply(sentPage(call))]
    case "GetAssignment": return [.reply(Canned.details(Canned.assignment(id)))]
    case "Resend", "Supplement", "Cancel", "Hold", "Release": return [act(call)]
    case "ListDestinations":
      return [
        .reply(
          "{\"destinations\":[\(Canned.destination("evidia")),"
            + "\(Canned.destination("tmc", paused: true, failed: 2))]}")
      ]
    case "PauseDestination", "ResumeDestination":
      let name = call.parameters["name"]?.stringValue ?? ""
      if name == "tmk" {
        return [.refusal("NoSuchDestination", "{\"name\":\"tmk\",\"known\":[\"tmc\"]}")]
      }
      return [.reply("{\"destination\":\(Canned.destination(name))}")]
    case "ExplainRetry": return [.reply(Canned.ladder)]
    case "ListRecipients":
      let all = [
        Canned.recipient("evidia-ct", "CT", parent: "evidia"),
        Canned.recipient("evidia", "Evidia"), Canned.recipient("tmc", "TMC"),
      ]
      return [.reply("{\"recipients\":[\(all.joined(separator: ","))]}")]
    case "GetReport":
      return [.reply("{\"text\":\"Assignment \(id)\\n\\nOwner:\\tthe recipient\\n\\u001b[2J\"}")]
    case "ListAside": return [.reply(Canned.aside)]
    default: return [.error("org.varlink.service.MethodNotFound", "{}")]
    }
  }

  /// A404 is not there, A9 cannot be acted on; `all` is A1, A2 and A9.
  private static func act(_ call: Call) -> Answer {
    let selection = call.parameters["selection"]
    let ids =
      selection?["all"]?.boolValue == true
      ? ["A1", "A2", "A9"] : (selection?["ids"]?.arrayValue ?? []).compactMap(\.stringValue)
    if ids.contains("A404") { return .refusal("NoSuchAssignment", "{\"id\":\"A404\"}") }
    return .reply(
      Canned.results(
        ids.map {
          $0 == "A9"
            ? Canned.result($0, done: false, text: "it has ended") : Canned.result($0)
        }))
  }

  /// Four assignments in pages of two.
  private static func sentPage(_ call: Call) -> String {
    let all = [
      Canned.assignment("A4", number: "S0004"),
      Canned.assignment(
        "A3", number: "S0003", phase: "failed", dicom: ("red", 1, 10), hl7: ("none", 0, 0),
        failed: true, reason: "stuck", priority: "stat"),
      Canned.assignment(
        "A2", number: "S0002", phase: "answered", dicom: ("green", 10, 10), hl7: ("green", 4, 4),
        tick: true),
      Canned.assignment("A1", number: "S0001", held: true),
    ]
    let state = call.parameters["filter"]?["state"]?.stringValue
    let found = state == "failed" ? [all[1]] : all
    let start = call.parameters["cursor"]?.stringValue.flatMap { Int($0) } ?? 0
    let end = min(found.count, start + 2)
    let next = end < found.count ? "\"next\":\"\(end)\"," : ""
    let rows = found[start..<end].joined(separator: ",")
    return "{\"assignments\":[\(rows)],\(next)\"total\":\(found.count)}"
  }
}
