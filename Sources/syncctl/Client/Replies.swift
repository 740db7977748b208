/// The replies of the interface, as far as people are shown them. JSON output is the reply
/// itself, so what is not read here is not lost there.
struct StatusReply {
  struct List {
    let id: String
    let system: String
    let flag: String
    let freshness: String
    let missedCycles: Int
    let lastRead: String?
    let rows: Int?
    let refusedRows: Int
    let owned: Int
    let absent: Int
    let brakeHeld: Int
    let reason: String?

    init(_ fields: Fields) throws(Failure) {
      id = try fields.string("id")
      system = try fields.string("system")
      flag = try fields.string("flag")
      freshness = try fields.string("freshness")
      missedCycles = try fields.int("missedCycles")
      lastRead = try fields.optionalString("lastRead")
      rows = try fields.optionalInt("rows")
      refusedRows = try fields.int("refusedRows")
      owned = try fields.int("owned")
      absent = try fields.int("absent")
      brakeHeld = try fields.int("brakeHeld")
      reason = try fields.optionalString("reason")
    }
  }

  struct Peer {
    let name: String
    let reachable: Bool?
    let running: Int
    let queued: Int
    let budget: Int
    let nextAttempt: String?
    let reason: String?

    init(_ fields: Fields) throws(Failure) {
      name = try fields.string("name")
      reachable = try fields.optionalBool("reachable")
      running = try fields.int("running")
      queued = try fields.int("queued")
      budget = try fields.int("budget")
      nextAttempt = try fields.optionalString("nextAttempt")
      reason = try fields.optionalString("reason")
    }
  }

  struct Archive {
    let aeTitle: String
    let port: Int
    let objects: Int
    let bytes: Int
    let freeBytes: Int
    let conflicts: Int
    let refusing: Bool

    init(_ fields: Fields) throws(Failure) {
      aeTitle = try fields.string("aeTitle")
      port = try fields.int("port")
      objects = try fields.int("objects")
      bytes = try fields.int("bytes")
      freeBytes = try fields.int("freeBytes")
      conflicts = try fields.int("conflicts")
      refusing = try fields.bool("refusing")
    }
  }

  struct Portal {
    let reachable: Bool?
    let kind: String
    let flags: Int
    let conflicts: Int
    let reason: String?

    init(_ fields: Fields) throws(Failure) {
      reachable = try fields.optionalBool("reachable")
      kind = try fields.string("kind")
      flags = try fields.int("flags")
      conflicts = try fields.int("conflicts")
      reason = try fields.optionalString("reason")
    }
  }

  struct Alarm {
    let severity: String
    let code: String
    let subject: String
    let message: String
    let since: String

    init(_ fields: Fields) throws(Failure) {
      severity = try fields.string("severity")
      code = try fields.string("code")
      subject = try fields.string("subject")
      message = try fields.string("message")
      since = try fields.string("since")
    }
  }

  let name: String
  let version: String
  let pid: Int
  let startedAt: String
  let now: String
  let state: String
  let health: String
  let nextCycle: String?
  let cycle: CycleReply?
  let lists: [List]
  let peers: [Peer]
  let images: ImageTotals
  let archive: Archive?
  let portal: Portal
  let drift: Int
  let driftAlarms: Int
  let configurationFile: String?
  let reloadError: String?
  let alarms: [Alarm]

  init(_ reply: Fields) throws(Failure) {
    let fields = try reply.object("status")
    name = try fields.string("name")
    version = try fields.string("version")
    pid = try fields.int("pid")
    startedAt = try fields.string("startedAt")
    now = try fields.string("now")
    state = try fields.string("state")
    health = try fields.string("health")
    nextCycle = try fields.optionalString("nextCycle")
    cycle = try fields.optionalObject("cycle").map { (it) throws(Failure) in try CycleReply(it) }
    lists = try fields.objects("lists").map { (it) throws(Failure) in try List(it) }
    peers = try fields.objects("peers").map { (it) throws(Failure) in try Peer(it) }
    images = try ImageTotals(fields.object("images"))
    archive = try fields.optionalObject("archive").map { (it) throws(Failure) in try Archive(it) }
    portal = try Portal(fields.object("portal"))
    drift = try fields.int("drift")
    driftAlarms = try fields.int("driftAlarms")
    let configuration = try fields.object("configuration")
    configurationFile = try configuration.optionalString("file")
    reloadError = try configuration.optionalString("reloadError")
    alarms = try fields.objects("alarms").map { (it) throws(Failure) in try Alarm(it) }
  }

  /// Nothing is being fetched, and nothing that could be is waiting for its turn. A peer that is
  /// down keeps its queue until it is back; that is blocked, not under way.
  var imagesHaveSettled: Bool {
    images.fetching == 0
      && peers.allSatisfy { $0.running == 0 && ($0.queued == 0 || $0.reachable == false) }
  }
}

struct ImageTotals: Equatable {
  let none: Int
  let fetching: Int
  let partial: Int
  let complete: Int
  let blocked: Int
  let held: Int

  init(_ fields: Fields) throws(Failure) {
    none = try fields.int("none")
    fetching = try fields.int("fetching")
    partial = try fields.int("partial")
    complete = try fields.int("complete")
    blocked = try fields.int("blocked")
    held = try fields.int("held")
  }

  /// Every examination has all of its images, and none is held back.
  var isComplete: Bool { none == 0 && fetching == 0 && partial == 0 && blocked == 0 && held == 0 }
}

struct CycleReply: Equatable {
  let number: String
  let running: Bool
  let startedAt: String
  let finishedAt: String?
  let listsRead: Int
  let listsFailed: Int
  let listsTotal: Int
  let flagsSet: Int
  let flagsCleared: Int
  let flagsFailed: Int
  let flagsPending: Int

  init(_ fields: Fields) throws(Failure) {
    number = try fields.string("number")
    running = try fields.bool("running")
    startedAt = try fields.string("startedAt")
    finishedAt = try fields.optionalString("finishedAt")
    listsRead = try fields.int("listsRead")
    listsFailed = try fields.int("listsFailed")
    listsTotal = try fields.int("listsTotal")
    flagsSet = try fields.int("flagsSet")
    flagsCleared = try fields.int("flagsCleared")
    flagsFailed = try fields.int("flagsFailed")
    flagsPending = try fields.int("flagsPending")
  }
}

struct SyncReply {
  let cycle: CycleReply
  let joined: Bool
  let lists: [StatusReply.List]
  let images: ImageTotals
  let imagesArchived: Int
  let imagesExpected: Int

  init(_ fields: Fields) throws(Failure) {
    cycle = try CycleReply(fields.object("cycle"))
    joined = try fields.bool("joined")
    lists = try fields.objects("lists").map { (it) throws(Failure) in try StatusReply.List(it) }
    images = try ImageTotals(fields.object("images"))
    imagesArchived = try fields.int("imagesArchived")
    imagesExpected = try fields.int("imagesExpected")
  }
}

struct ExaminationReply {
  struct Reason {
    let code: String
    let text: String
    let owner: String

    init(_ fields: Fields) throws(Failure) {
      code = try fields.string("code")
      text = try fields.string("text")
      owner = try fields.string("owner")
    }
  }

  let system: String
  let number: String
  let list: String?
  let flag: String?
  let flagLabel: String?
  let portalFlag: String?
  let status: String
  let statusRaw: String?
  let priority: String
  let careUnit: String?
  let modality: String?
  let description: String?
  let referral: String?
  let scheduled: String?
  let studyUid: String?
  let resolvedStudyUid: String?
  let images: String
  let archived: Int
  let expected: Int?
  let held: Bool
  let reason: Reason?
  let firstSeen: String
  let changed: String
  let verified: String?
  let attempts: Int
  let nextAttempt: String?
  let source: String?

  init(_ fields: Fields) throws(Failure) {
    system = try fields.string("system")
    number = try fields.string("number")
    list = try fields.optionalString("list")
    flag = try fields.optionalString("flag")
    flagLabel = try fields.optionalString("flagLabel")
    portalFlag = try fields.optionalString("portalFlag")
    status = try fields.string("status")
    statusRaw = try fields.optionalString("statusRaw")
    priority = try fields.string("priority")
    careUnit = try fields.optionalString("careUnit")
    modality = try fields.optionalString("modality")
    description = try fields.optionalString("description")
    referral = try fields.optionalString("referral")
    scheduled = try fields.optionalString("scheduled")
    studyUid = try fields.optionalString("studyUid")
    resolvedStudyUid = try fields.optionalString("resolvedStudyUid")
    images = try fields.string("images")
    archived = try fields.int("archived")
    expected = try fields.optionalInt("expected")
    held = try fields.bool("held")
    reason = try fields.optionalObject("reason").map { (it) throws(Failure) in try Reason(it) }
    firstSeen = try fields.string("firstSeen")
    changed = try fields.string("changed")
    verified = try fields.optionalString("verified")
    attempts = try fields.int("attempts")
    nextAttempt = try fields.optionalString("nextAttempt")
    source = try fields.optionalString("source")
  }

  /// The key as `show` and `retry` take it.
  var key: String { "\(system)/\(number)" }
}

struct DriftReply {
  let system: String
  let number: String
  let kind: String
  let portalFlag: String?
  let wantedFlag: String?
  let lists: [String]
  let attempts: Int
  let since: String?
  let nextAttempt: String?
  let alarm: Bool
  let reason: String

  init(_ fields: Fields) throws(Failure) {
    system = try fields.string("system")
    number = try fields.string("number")
    kind = try fields.string("kind")
    portalFlag = try fields.optionalString("portalFlag")
    wantedFlag = try fields.optionalString("wantedFlag")
    lists = try fields.strings("lists")
    attempts = try fields.int("attempts")
    since = try fields.optionalString("since")
    nextAttempt = try fields.optionalString("nextAttempt")
    alarm = try fields.bool("alarm")
    reason = try fields.string("reason")
  }
}
