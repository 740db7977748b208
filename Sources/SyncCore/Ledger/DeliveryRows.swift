import Platform
import SQLite

/// Reads the rows of the delivery ledger, for its writer and its readers.
enum DeliveryRows {
  private static let assignmentColumns = """
    id, kind, system, number, referral, study_uid, patient_id, patient_name, birth_date, sex,
    care_unit, modality, description, scheduled, list, flag, source, recipient, destination,
    origin, orders, review, priority, message, priors, forced, previously_sent, ordered_by,
    ordered_at, answer, answers, cancelled, held, delivered, disclosed, supplementable, changed,
    ended_at, portal_id
    """

  private static let jobColumns = """
    id, assignment, step, place, endpoint, state, arrived, unknown, attempts, tries, next_attempt,
    control_id, flag, result, reason, owner, study_uid, number, total, done, refused, created,
    changed
    """

  static func assignment(_ database: Database, _ id: Int64) throws -> AssignmentRecord? {
    let jobs = try jobs(database, "assignment = ?", [.integer(id)])
    return try database.first(
      "SELECT \(assignmentColumns) FROM assignment WHERE id = ?", id
    ) { row in assignment(row, jobs) }
  }

  /// Assignments by a condition, with their jobs, newest first.
  static func assignments(
    _ database: Database, where condition: String, _ values: [SQLiteValue], limit: Int
  ) throws -> [AssignmentRecord] {
    var found: [AssignmentRecord] = []
    try database.query(
      "SELECT \(assignmentColumns) FROM assignment WHERE \(condition) ORDER BY id DESC "
        + "LIMIT \(limit)", values: values
    ) { row in found.append(assignment(row, [])) }
    for index in found.indices {
      let jobs = try jobs(database, "assignment = ?", [.integer(found[index].id)])
      found[index].jobs = jobs
      found[index].machine = machine(of: found[index], jobs)
    }
    return found
  }

  static func jobs(
    _ database: Database, _ condition: String, _ values: [SQLiteValue]
  ) throws -> [JobRecord] {
    var jobs: [JobRecord] = []
    try database.query(
      "SELECT \(jobColumns) FROM job WHERE \(condition) ORDER BY id", values: values
    ) { row in if let job = job(row) { jobs.append(job) } }
    return jobs
  }

  private static func job(_ row: borrowing Row) -> JobRecord? {
    guard let step = AssignmentStep(word: row.text(2), place: row.int(3)),
      let endpoint = Outlet(row.text(4)), let state = JobState(rawValue: row.text(5))
    else { return nil }
    return JobRecord(
      id: row.integer(0), assignment: row.integer(1), step: step, endpoint: endpoint,
      state: state, mayHaveArrived: row.bool(6), isUnknown: row.bool(7), attempts: row.int(8),
      tries: row.int(9), nextAttempt: row.optionalInteger(10).map(WallTime.init(milliseconds:)),
      controlID: row.optionalText(11), flag: row.optionalText(12), result: row.optionalText(13),
      reason: row.optionalText(14), owner: row.optionalText(15), studyUID: row.optionalText(16),
      number: row.text(17), total: row.int(18), done: row.int(19), refused: row.int(20),
      created: WallTime(milliseconds: row.integer(21)),
      changed: WallTime(milliseconds: row.integer(22)))
  }

  private static func assignment(
    _ row: borrowing Row, _ jobs: [JobRecord]
  ) -> AssignmentRecord {
    var facts = ExaminationFacts(key: ExaminationKey(system: row.text(2), number: row.text(3)))
    facts.referral = row.optionalText(4)
    facts.studyUID = row.optionalText(5)
    facts.patientID = row.optionalText(6)
    facts.patientName = row.optionalText(7)
    facts.birthDate = row.optionalText(8)
    facts.sex = row.optionalText(9)
    facts.careUnit = row.optionalText(10)
    facts.modality = row.optionalText(11)
    facts.description = row.optionalText(12)
    facts.scheduled = row.optionalText(13)
    facts.list = row.optionalText(14)
    facts.source = row.optionalText(16)
    var order = SendOrder(
      examination: facts, recipient: row.text(17), destination: row.text(18),
      orderedBy: row.text(27))
    order.kind = AssignmentKind(rawValue: row.text(1)) ?? .review
    order.review = ReviewType(rawValue: row.text(21)) ?? .primary
    order.priority = Priority(rawValue: row.int(22)) ?? .routine
    order.message = row.optionalText(23)
    order.priors = DeliveryLedger.decodePriors(row.optionalText(24))
    order.forced = row.optionalText(25)
    order.previouslySent = row.bool(26)
    order.portalID = row.optionalText(38)
    let origin = row.optionalText(19)
    let orders = row.optionalText(20)
    let shape = AssignmentMachine.Shape(
      kind: order.kind, hasOrigin: origin != nil, hasOrders: orders != nil,
      priors: order.priors.map { $0.report != nil })
    let machine = AssignmentMachine(
      shape, steps: steps(jobs), answer: AnswerState(rawValue: row.text(29)) ?? .none,
      answers: row.int(30), isCancelled: row.bool(31), isHeld: row.bool(32),
      wasDelivered: row.bool(33))
    return AssignmentRecord(
      id: row.integer(0), order: order, origin: origin, orders: orders,
      flag: row.optionalText(15), machine: machine, disclosed: row.bool(34),
      supplementable: row.int(35), orderedAt: WallTime(milliseconds: row.integer(28)),
      changed: WallTime(milliseconds: row.integer(36)),
      endedAt: row.optionalInteger(37).map(WallTime.init(milliseconds:)), jobs: jobs)
  }

  private static func machine(
    of record: AssignmentRecord, _ jobs: [JobRecord]
  ) -> AssignmentMachine {
    let machine = record.machine
    return AssignmentMachine(
      machine.shape, steps: steps(jobs), answer: machine.answer, answers: machine.answers,
      isCancelled: machine.isCancelled, isHeld: machine.isHeld,
      wasDelivered: machine.wasDelivered)
  }

  static func steps(_ jobs: [JobRecord]) -> [AssignmentMachine.Step] {
    jobs.map { job in
      let state: AssignmentMachine.StepState =
        switch job.state {
        case .ready, .waiting, .running, .held: .pending
        case .done: .done
        case .failed: .failed
        case .stopped: .stopped
        }
      return AssignmentMachine.Step(job.step, state, mayHaveArrived: job.mayHaveArrived)
    }
  }
}
