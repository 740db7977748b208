import Platform

// What sending records in the access log.

extension AccessLog.Entry {
  /// - Parameter order: whose data it is about.
  init(
    _ action: Action, actor: String = AccessLog.service, onBehalfOf: String? = nil,
    order: SendOrder?, assignment: String? = nil, result: String = "asked", detail: String? = nil
  ) {
    self.init(action, actor: actor, result: result)
    self.onBehalfOf = onBehalfOf
    self.assignment = assignment
    self.detail = detail
    guard let order else { return }
    careUnit = order.examination.careUnit
    patientID = order.examination.patientID
    examination = order.examination.key
    recipient = order.recipient
  }
}

extension AccessLog.Entry.Action {
  init(_ action: AssignmentAction) {
    switch action {
    case .resend: self = .resend
    case .supplement: self = .supplement
    case .cancel: self = .cancel
    case .hold: self = .hold
    case .release: self = .release
    }
  }
}

/// The dispatcher's own entries: what leaves, and what comes in.
extension AccessLog: DisclosureLog {
  public func disclose(_ assignments: [AssignmentRecord], now: WallTime) throws {
    let entries = assignments.map {
      Entry(.disclose, order: $0.order, assignment: $0.name, result: "begins")
    }
    try append(entries, now: now)
  }

  public func received(_ assignment: AssignmentRecord, what: String, now: WallTime) throws {
    let entry = Entry(
      .receive, order: assignment.order, assignment: assignment.name, result: "received",
      detail: what)
    try append([entry], now: now)
  }
}
