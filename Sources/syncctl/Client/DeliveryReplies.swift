/// The replies of the interface of sending, as far as people are shown them.
struct AssignmentReply {
  let id: String
  let kind: String
  let system: String
  let number: String
  let referral: String?
  let studyUid: String?
  let list: String?
  let flag: String?
  let careUnit: String?
  let modality: String?
  let description: String?
  let recipient: String
  let recipientLabel: String
  let destination: String
  let review: String
  let priority: String
  let phase: String
  let answer: String
  let held: Bool
  let dicom: String
  let dicomDone: Int
  let dicomTotal: Int
  let hl7: String
  let hl7Done: Int
  let hl7Total: Int
  let tick: Bool
  let ended: Bool
  let failed: Bool
  let reason: ExaminationReply.Reason?
  let previouslySent: Bool
  let forced: String?
  let supplementable: Int
  let orderedAt: String
  let orderedBy: String
  let changed: String
  let endedAt: String?
  let nextAttempt: String?

  init(_ fields: Fields) throws(Failure) {
    id = try fields.string("id")
    kind = try fields.string("kind")
    system = try fields.string("system")
    number = try fields.string("number")
    referral = try fields.optionalString("referral")
    studyUid = try fields.optionalString("studyUid")
    list = try fields.optionalString("list")
    flag = try fields.optionalString("flag")
    careUnit = try fields.optionalString("careUnit")
    modality = try fields.optionalString("modality")
    description = try fields.optionalString("description")
    recipient = try fields.string("recipient")
    recipientLabel = try fields.string("recipientLabel")
    destination = try fields.string("destination")
    review = try fields.string("review")
    priority = try fields.string("priority")
    phase = try fields.string("phase")
    answer = try fields.string("answer")
    held = try fields.bool("held")
    dicom = try fields.string("dicom")
    dicomDone = try fields.int("dicomDone")
    dicomTotal = try fields.int("dicomTotal")
    hl7 = try fields.string("hl7")
    hl7Done = try fields.int("hl7Done")
    hl7Total = try fields.int("hl7Total")
    tick = try fields.bool("tick")
    ended = try fields.bool("ended")
    failed = try fields.bool("failed")
    reason = try fields.optionalObject("reason").map { (it) throws(Failure) in
      try ExaminationReply.Reason(it)
    }
    previouslySent = try fields.bool("previouslySent")
    forced = try fields.optionalString("forced")
    supplementable = try fields.int("supplementable")
    orderedAt = try fields.string("orderedAt")
    orderedBy = try fields.string("orderedBy")
    changed = try fields.string("changed")
    endedAt = try fields.optionalString("endedAt")
    nextAttempt = try fields.optionalString("nextAttempt")
  }

  /// The examination as `show` and `send` take it.
  var key: String { "\(system)/\(number)" }
}

struct TransferReply {
  let id: String
  let number: String
  let prior: Bool
  let studyUid: String?
  let from: String
  let to: String
  let state: String
  let total: Int
  let done: Int
  let refused: Int
  let attempts: Int
  let created: String
  let changed: String
  let nextAttempt: String?
  let reason: String?

  init(_ fields: Fields) throws(Failure) {
    id = try fields.string("id")
    number = try fields.string("number")
    prior = try fields.bool("prior")
    studyUid = try fields.optionalString("studyUid")
    from = try fields.string("from")
    to = try fields.string("to")
    state = try fields.string("state")
    total = try fields.int("total")
    done = try fields.int("done")
    refused = try fields.int("refused")
    attempts = try fields.int("attempts")
    created = try fields.string("created")
    changed = try fields.string("changed")
    nextAttempt = try fields.optionalString("nextAttempt")
    reason = try fields.optionalString("reason")
  }
}

struct MessageReply {
  let id: String
  let kind: String
  let direction: String
  let state: String
  let flag: String?
  let result: String?
  let unit: String
  let priority: String
  let activityType: String?
  let attempts: Int
  let nextAttempt: String?
  let reason: String?

  init(_ fields: Fields) throws(Failure) {
    id = try fields.string("id")
    kind = try fields.string("kind")
    direction = try fields.string("direction")
    state = try fields.string("state")
    flag = try fields.optionalString("flag")
    result = try fields.optionalString("result")
    unit = try fields.string("unit")
    priority = try fields.string("priority")
    activityType = try fields.optionalString("activityType")
    attempts = try fields.int("attempts")
    nextAttempt = try fields.optionalString("nextAttempt")
    reason = try fields.optionalString("reason")
  }
}

struct DifferenceReply {
  let number: String
  let sopInstanceUid: String
  let source: Bool
  let archive: Bool
  let sent: Bool
  let explanation: String

  init(_ fields: Fields) throws(Failure) {
    number = try fields.string("number")
    sopInstanceUid = try fields.string("sopInstanceUid")
    source = try fields.bool("source")
    archive = try fields.bool("archive")
    sent = try fields.bool("sent")
    explanation = try fields.string("explanation")
  }
}

/// All there is to know of one assignment.
struct AssignmentDetails {
  struct Entry {
    let time: String
    let event: String
    let detail: String

    init(_ fields: Fields) throws(Failure) {
      time = try fields.string("time")
      event = try fields.string("event")
      detail = try fields.string("detail")
    }
  }

  let assignment: AssignmentReply
  let transfers: [TransferReply]
  let messages: [MessageReply]
  let differences: [DifferenceReply]
  let differencesTotal: Int
  let history: [Entry]

  init(_ fields: Fields) throws(Failure) {
    assignment = try AssignmentReply(fields.object("assignment"))
    transfers = try fields.objects("transfers").map { (it) throws(Failure) in
      try TransferReply(it)
    }
    messages = try fields.objects("messages").map { (it) throws(Failure) in try MessageReply(it) }
    differences = try fields.objects("differences").map { (it) throws(Failure) in
      try DifferenceReply(it)
    }
    differencesTotal = try fields.int("differencesTotal")
    history = try fields.objects("history").map { (it) throws(Failure) in try Entry(it) }
  }
}

struct SendReply {
  struct Refusal {
    let rule: String
    let text: String
    let remedy: String
    let canForce: Bool

    init(_ fields: Fields) throws(Failure) {
      rule = try fields.string("rule")
      text = try fields.string("text")
      remedy = try fields.string("remedy")
      canForce = try fields.bool("canForce")
    }
  }

  let number: String
  let system: String?
  let accepted: Bool
  let id: String?
  let refusals: [Refusal]
  let warnings: [String]

  init(_ fields: Fields) throws(Failure) {
    number = try fields.string("number")
    system = try fields.optionalString("system")
    accepted = try fields.bool("accepted")
    id = try fields.optionalString("id")
    refusals = try fields.objects("refusals").map { (it) throws(Failure) in try Refusal(it) }
    warnings = try fields.strings("warnings")
  }

  var key: String { system.map { "\($0)/\(number)" } ?? number }
}

struct ActionReply {
  let id: String
  let number: String
  let done: Bool
  let text: String

  init(_ fields: Fields) throws(Failure) {
    id = try fields.string("id")
    number = try fields.string("number")
    done = try fields.bool("done")
    text = try fields.string("text")
  }
}

struct DestinationReply {
  let name: String
  let kind: String
  let address: String
  let reachable: Bool?
  let paused: Bool
  let pausedBy: String?
  let pausedAt: String?
  let window: String?
  let windowOpen: Bool
  let budget: Int
  let running: Int
  let ready: Int
  let waiting: Int
  let failed: Int
  let retry: String
  let nextAttempt: String?
  let reason: String?

  init(_ fields: Fields) throws(Failure) {
    name = try fields.string("name")
    kind = try fields.string("kind")
    address = try fields.string("address")
    reachable = try fields.optionalBool("reachable")
    paused = try fields.bool("paused")
    pausedBy = try fields.optionalString("pausedBy")
    pausedAt = try fields.optionalString("pausedAt")
    window = try fields.optionalString("window")
    windowOpen = try fields.bool("windowOpen")
    budget = try fields.int("budget")
    running = try fields.int("running")
    ready = try fields.int("ready")
    waiting = try fields.int("waiting")
    failed = try fields.int("failed")
    retry = try fields.string("retry")
    nextAttempt = try fields.optionalString("nextAttempt")
    reason = try fields.optionalString("reason")
  }
}

struct RecipientReply {
  let id: String
  let label: String
  let parent: String?
  let destination: String?
  let kinds: [String]
  let systems: [String]

  init(_ fields: Fields) throws(Failure) {
    id = try fields.string("id")
    label = try fields.string("label")
    parent = try fields.optionalString("parent")
    destination = try fields.optionalString("destination")
    kinds = try fields.strings("kinds")
    systems = try fields.strings("systems")
  }
}

struct AsideReply {
  let id: String
  let received: String
  let from: String
  let controlId: String
  let type: String
  let reason: String

  init(_ fields: Fields) throws(Failure) {
    id = try fields.string("id")
    received = try fields.string("received")
    from = try fields.string("from")
    controlId = try fields.string("controlId")
    type = try fields.string("type")
    reason = try fields.string("reason")
  }
}

struct TotalsReply {
  let active: Int
  let failed: Int
  let sent: Int
  let answered: Int
  let cancelled: Int
  let held: Int
  let waitingTransfers: Int
  let waitingMessages: Int
  let aside: Int

  init(_ reply: Fields) throws(Failure) {
    let fields = try reply.object("totals")
    active = try fields.int("active")
    failed = try fields.int("failed")
    sent = try fields.int("sent")
    answered = try fields.int("answered")
    cancelled = try fields.int("cancelled")
    held = try fields.int("held")
    waitingTransfers = try fields.int("waitingTransfers")
    waitingMessages = try fields.int("waitingMessages")
    aside = try fields.int("aside")
  }
}
