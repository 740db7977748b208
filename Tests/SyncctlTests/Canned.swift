import Glibc

/// Replies as the daemon gives them, for the server in the tests and for the golden texts.
/// Names and numbers are made up.
enum Canned {
  /// Times in texts for people are local: the tests have one zone.
  static let zone: Void = {
    setenv("TZ", "Europe/Stockholm", 1)
    tzset()
  }()

  static func list(
    _ id: String, freshness: String = "fresh", missed: Int = 0, held: Int = 0,
    reason: String? = nil
  ) -> String {
    """
    {"id":"\(id)","system":"SECTRA","flag":"\(id.uppercased())","freshness":"\(freshness)",
    "missedCycles":\(missed),"lastRead":"2026-11-23T07:30:01.250Z","rows":14,"refusedRows":0,
    "owned":14,"absent":1,"brakeHeld":\(held)\(reason.map { ",\"reason\":\"\($0)\"" } ?? "")}
    """
  }

  static func cycle(
    running: Bool, read: Int = 2, failed: Int = 0, set: Int = 3, flagsFailed: Int = 0
  ) -> String {
    """
    {"number":"42","trigger":"manual","running":\(running),"startedAt":"2026-11-23T07:30:00.000Z",
    \(running ? "" : "\"finishedAt\":\"2026-11-23T07:30:04.000Z\",")
    "listsRead":\(read),"listsFailed":\(failed),"listsTotal":2,"flagsSet":\(set),"flagsCleared":1,
    "flagsFailed":\(flagsFailed),"flagsPending":0}
    """
  }

  static func images(
    none: Int = 1, fetching: Int = 0, partial: Int = 0, blocked: Int = 0
  ) -> String {
    """
    {"none":\(none),"fetching":\(fetching),"partial":\(partial),"complete":10,"blocked":\(blocked),
    "held":0}
    """
  }

  static func status(
    state: String = "running", health: String = "ok", lists: [String]? = nil,
    images: String = images(), alarms: [String] = [], running: Int = 0, drift: Int = 0
  ) -> String {
    let lists = lists ?? [list("teleconsult"), list("tmc")]
    return """
      {"status":{"name":"demo","version":"0.1.0","pid":4711,
      "startedAt":"2026-11-23T06:00:00.000Z","now":"2026-11-23T07:31:00.000Z","state":"\(state)",
      "health":"\(health)","cycleInterval":120.0,"nextCycle":"2026-11-23T07:32:00.000Z",
      "cycle":\(cycle(running: false)),"lists":[\(lists.joined(separator: ","))],
      "peers":[{"name":"sectra","reachable":true,"running":\(running),"queued":0,"budget":4}],
      "images":\(images),
      "archive":{"aeTitle":"VGRSECTEMP","port":11112,"objects":5231,"bytes":2750000000,
      "freeBytes":120000000000,"conflicts":0,"associations":1,"refusing":false},
      "portal":{"kind":"embedded","reachable":true,"flags":28,"conflicts":0},
      "drift":\(drift),"driftAlarms":0,
      "configuration":{"file":"/etc/syncd/config.toml","loadedAt":"2026-11-23T06:00:00.000Z"},
      "alarms":[\(alarms.joined(separator: ","))]}}
      """
  }

  static let alarm = """
    {"severity":"critical","code":"list_stale","subject":"list tmc",
    "message":"not read for 5 cycles | see the file","since":"2026-11-23T07:20:00.000Z"}
    """

  static func examination(
    _ number: String, system: String = "SECTRA", images: String = "complete", archived: Int = 50,
    expected: Int? = 50, held: Bool = false, reason: String? = nil, owner: String = "nobody",
    description: String = "CT thorax"
  ) -> String {
    """
    {"system":"\(system)","number":"\(number)","list":"tmc","flag":"TMC",
    "flagLabel":"Sectra Samverkan TMC","portalFlag":"TMC","status":"completed",
    "statusRaw":"Utförd","priority":"routine","modality":"CT","description":"\(description)",
    "studyUid":"1.2.752.1","resolvedStudyUid":"1.2.752.1","images":"\(images)",
    "archived":\(archived),\(expected.map { "\"expected\":\($0)," } ?? "")"held":\(held),
    \(reason.map { "\"reason\":{\"code\":\"\($0)\",\"text\":\"why\",\"owner\":\"\(owner)\"}," } ?? "")
    "firstSeen":"2026-11-23T06:10:00.000Z","changed":"2026-11-23T07:10:00.000Z","attempts":0,
    "source":"sectra"}
    """
  }

  static func sync(running: Bool, cycle: String, lists: [String] = [list("tmc")]) -> String {
    """
    {"cycle":\(cycle),"joined":false,"lists":[\(lists.joined(separator: ","))],
    "images":\(images(fetching: running ? 1 : 0)),"imagesArchived":\(running ? 10 : 50),
    "imagesExpected":50}
    """
  }

  static let plan: [Answer] = {
    let counts =
      "{\"set\":1,\"replace\":1,\"clear\":0,\"held\":1,\"absent\":0,\"waiting\":0,\"foreign\":0,"
      + "\"conflict\":0}"
    let tmc =
      "{\"list\":\"tmc\",\"source\":\"/lists/tmc/*.csv\",\"seconds\":0.012,\"proof\":\"3 rows of 3\","
      + "\"asOf\":\"2026-11-23T06:00:00.000Z\",\"rows\":3,\"repeated\":2,\"outOfScope\":3,"
      + "\"foreignUnits\":[{\"careUnit\":\"SE1-A\",\"count\":2},{\"careUnit\":\"\",\"count\":1}],"
      + "\"refused\":[{\"reason\":"
      + "\"no examination number\",\"count\":1,\"line\":7}],\"unknownStatuses\":[{\"word\":\"Konstig\","
      + "\"count\":2}],\"samples\":[{\"number\":\"S1\",\"status\":\"completed\",\"statusRaw\":"
      + "\"Utförd\",\"priority\":\"stat\",\"careUnit\":\"SE1-B\"},{\"number\":\"S2\",\"status\":"
      + "\"unknown\",\"priority\":\"routine\"}]}"
    let dda =
      "{\"list\":\"dda\",\"source\":\"\",\"failure\":\"no trailer\",\"seconds\":0.1,\"rows\":0,"
      + "\"repeated\":0,\"outOfScope\":0,\"foreignUnits\":[],\"refused\":[],\"unknownStatuses\":[],"
      + "\"samples\":[]}"
    func change(_ action: String, _ number: String, _ rest: String) -> String {
      "{\"action\":\"\(action)\",\"system\":\"SECTRA\",\"number\":\"\(number)\",\"lists\":[\"tmc\"],"
        + "\"priority\":\"routine\",\(rest)}"
    }
    let first = change("set", "S1", "\"to\":\"TMC\"")
    let rest =
      change("replace", "S2", "\"from\":\"DDA\",\"to\":\"TMC\"") + ","
      + change("held", "S3", "\"from\":\"TMC\",\"reason\":\"too many\"")
    return [
      .more("{\"readings\":[\(tmc),\(dda)],\"counts\":\(counts),\"changes\":[\(first)]}"),
      .reply("{\"readings\":[],\"counts\":\(counts),\"changes\":[\(rest)]}"),
    ]
  }()

  static let drift = """
    {"system":"SECTRA","number":"S0009","kind":"clear","portalFlag":"TMC","lists":["tmc"],"attempts":4,
    "since":"2026-11-22T07:10:00.000Z","nextAttempt":"2026-11-23T08:10:00.000Z","alarm":true,
    "reason":"the portal keeps the flag"}
    """
}
