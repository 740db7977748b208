/// One piece of an assignment: a transfer of images, or a message.
public enum AssignmentStep: Hashable, Sendable {
  /// The examination's images to the recipient.
  case transfer
  /// ORM^O01 HD to the origin: on hold while it is away (ormlock).
  case lock
  /// ORM^O01 NW to the recipient: the order (ormforward).
  case forward
  /// The images of a comparison examination, by its place among the order's.
  case priorTransfer(Int)
  /// ORU^R01 to the recipient: the report of a comparison examination (oruprior).
  case priorReport(Int)
  /// ORU^R01 to the origin: an answer goes back (oruforward), by its place among the answers.
  case answer(Int)
  /// ORM^O01 RL to the origin: no longer on hold (ormrelease).
  case release
  /// ORM^O01 CA to the recipient: the order is withdrawn.
  case cancel

  public var isTransfer: Bool {
    switch self {
    case .transfer, .priorTransfer: true
    default: false
    }
  }

  /// Whether it goes to the system that the examination comes from.
  public var goesToOrigin: Bool {
    switch self {
    case .lock, .answer, .release: true
    default: false
    }
  }

  /// Whether it undoes something, and so is wanted when an assignment is recalled.
  public var isCompensation: Bool { self == .release || self == .cancel }
}

/// Where an assignment has come.
public enum AssignmentPhase: String, CaseIterable, Sendable {
  case transferring, locking, forwarding, sent, answering, releasing, answered, cancelling
  case cancelled, failed
}

/// What the recipient has said.
public enum AnswerState: String, CaseIterable, Sendable {
  case none, accepted, pending, declined, preliminary, final
}

/// The life of an assignment (Uppdrag), as a pure function: (state, event) -> (state, effects).
///
/// The order is transfer, lock, forward, then the comparison examinations, each by itself; with an
/// answer, its forwarding to the origin and then the release there. A recall stops what is on its
/// way and undoes what may have been done. An event only notes what has happened; what there is to
/// do then follows from the state as a whole, so that no order of events leads astray.
///
/// It knows neither time nor tries: a step is pending until it has succeeded or failed for good.
public struct AssignmentMachine: Hashable, Sendable {
  public enum StepState: String, Hashable, Sendable {
    case pending, done, failed
    /// Not wanted any more. An attempt may still be on its way.
    case stopped
  }

  public struct Step: Hashable, Sendable {
    public var step: AssignmentStep
    public var state: StepState
    /// Something of it may have reached the other side.
    public var mayHaveArrived: Bool

    public init(_ step: AssignmentStep, _ state: StepState = .pending, mayHaveArrived: Bool = false)
    {
      self.step = step
      self.state = state
      self.mayHaveArrived = mayHaveArrived
    }
  }

  /// What an assignment consists of; does not change.
  public struct Shape: Hashable, Sendable {
    public var kind: AssignmentKind
    /// Whether there is somebody to lock and release at.
    public var hasOrigin: Bool
    /// Whether the recipient takes messages.
    public var hasOrders: Bool
    /// The comparison examinations: whether each has a report.
    public var priors: [Bool]

    public init(kind: AssignmentKind, hasOrigin: Bool, hasOrders: Bool, priors: [Bool] = []) {
      self.kind = kind
      self.hasOrigin = hasOrigin
      self.hasOrders = hasOrders
      self.priors = priors
    }
  }

  public enum Event: Hashable, Sendable {
    /// An attempt is about to be made: from now on nobody knows what has arrived.
    case attempted(AssignmentStep)
    /// No attempt of it has had any effect: each was refused, or never left.
    case refusedAttempt(AssignmentStep)
    case succeeded(AssignmentStep)
    /// For good: permanently refused, or the last attempt of the ladder.
    case failed(AssignmentStep)
    /// A status from the recipient, without a result.
    case status(AnswerState)
    /// A result from the recipient; it is to go back to the origin.
    case result(isFinal: Bool)
    case cancel
    case hold
    case unhold
    case resend
    case supplement
  }

  public enum Effect: Hashable, Sendable {
    case start(AssignmentStep)
    /// A step that has been done or has failed is to be done once more.
    case restart(AssignmentStep)
    /// No further attempt.
    case stop(AssignmentStep)
    /// It has succeeded by the testimony of something else.
    case proved(AssignmentStep)
    /// Recalled: the examination is not to be flagged again of itself.
    case recalled
    /// The event does not fit: what came in belongs to a person.
    case unexpected
  }

  public var shape: Shape
  public var steps: [Step] = []
  public private(set) var phase = AssignmentPhase.transferring
  public var answer = AnswerState.none
  public var answers = 0
  public var isCancelled = false
  public var isHeld = false
  /// Everything of the order has been delivered once.
  public var wasDelivered = false

  public init(_ shape: Shape) { self.shape = shape }

  /// As recorded.
  public init(
    _ shape: Shape, steps: [Step], answer: AnswerState, answers: Int, isCancelled: Bool,
    isHeld: Bool, wasDelivered: Bool
  ) {
    self.shape = shape
    self.steps = steps
    self.answer = answer
    self.answers = answers
    self.isCancelled = isCancelled
    self.isHeld = isHeld
    self.wasDelivered = wasDelivered
    var ignored: [Effect] = []
    isReplaying = true
    settle(&ignored)
    isReplaying = false
  }

  /// While the phase of a recorded state is worked out nothing is started.
  private var isReplaying = false

  /// Begins: nothing has been done yet.
  public mutating func begin() -> [Effect] {
    var effects: [Effect] = []
    settle(&effects)
    return effects
  }

  public mutating func handle(_ event: Event) -> [Effect] {
    var effects: [Effect] = []
    switch event {
    case .attempted(let step): change(step) { $0.mayHaveArrived = true }
    case .refusedAttempt(let step):
      change(step) { if $0.state != .done { $0.mayHaveArrived = false } }
    case .succeeded(let step):
      change(step) {
        $0.mayHaveArrived = true
        if $0.state == .pending { $0.state = .done }
      }
    case .failed(let step): change(step) { $0.state = $0.state == .pending ? .failed : $0.state }
    case .status(let status):
      guard hear(&effects) else { return [.unexpected] }
      // What was heard of an earlier moment does not take back a result.
      if answer != .final, answer != .preliminary { answer = status }
    case .result(let isFinal):
      guard hear(&effects) else { return [.unexpected] }
      answer = isFinal || answer == .final ? .final : .preliminary
      if shape.hasOrigin { start(.answer(answers), &effects) }
      answers += 1
    case .cancel:
      guard canCancel else { return [.unexpected] }
      if !isCancelled { effects.append(.recalled) }
      isCancelled = true
      isHeld = false
    case .hold: isHeld = true
    case .unhold: isHeld = false
    case .resend:
      for index in steps.indices where steps[index].state == .failed {
        if isCancelled, !steps[index].step.isCompensation { continue }
        steps[index].state = .pending
        effects.append(.restart(steps[index].step))
      }
    case .supplement:
      guard canSupplement else { return [.unexpected] }
      for index in steps.indices
      where steps[index].step.isTransfer && steps[index].state != .pending {
        steps[index].state = .pending
        effects.append(.restart(steps[index].step))
      }
    }
    settle(&effects)
    return effects
  }

  // MARK: - Questions

  public subscript(_ step: AssignmentStep) -> Step? { steps.first { $0.step == step } }

  public var hasFailed: Bool { steps.contains { $0.state == .failed } }

  public var hasPending: Bool { steps.contains { $0.state == .pending } }

  /// Nothing more is to come of itself, and the examination may be sent to the recipient anew.
  public var hasEnded: Bool {
    if hasPending { return false }
    switch phase {
    case .answered, .cancelled: return true
    // Without messages there will be no answer to wait for.
    case .sent: return !shape.hasOrders
    default: return false
    }
  }

  public var canCancel: Bool { isCancelled || !(phase == .answered) }

  public var canSupplement: Bool {
    shape.kind == .review && !isCancelled && wasDelivered && self[.transfer]?.state != .pending
  }

  public var canResend: Bool {
    steps.contains { $0.state == .failed && (!isCancelled || $0.step.isCompensation) }
  }

  // MARK: - What follows

  /// The recipient speaks of our order: so it has it, whatever became of the acknowledgement.
  /// False when it cannot be about this assignment.
  private mutating func hear(_ effects: inout [Effect]) -> Bool {
    guard shape.hasOrders, !isCancelled, let forward = self[.forward],
      forward.state == .done || forward.mayHaveArrived
    else { return false }
    if forward.state == .pending || forward.state == .failed {
      change(.forward) { $0.state = .done }
      effects.append(.proved(.forward))
    }
    return true
  }

  private mutating func change(_ step: AssignmentStep, _ body: (inout Step) -> Void) {
    guard let index = steps.firstIndex(where: { $0.step == step }) else { return }
    body(&steps[index])
  }

  private mutating func start(_ step: AssignmentStep, _ effects: inout [Effect]) {
    guard self[step] == nil, !isReplaying else { return }
    steps.append(Step(step))
    effects.append(.start(step))
  }

  /// Starts what is due, stops what is not wanted, and names the phase.
  private mutating func settle(_ effects: inout [Effect]) {
    if isCancelled {
      undo(&effects)
      return
    }
    guard deliver(&effects) else { return }
    wasDelivered = true
    if !isHeld {
      for (index, hasReport) in shape.priors.enumerated() {
        start(.priorTransfer(index), &effects)
        if hasReport, shape.hasOrders { start(.priorReport(index), &effects) }
      }
    }
    conclude(&effects)
  }

  /// The order of delivery. True when all of it has been done.
  private mutating func deliver(_ effects: inout [Effect]) -> Bool {
    // What was delivered once stays so: a supplement is only more images.
    if wasDelivered { return true }
    var chain: [(AssignmentStep, AssignmentPhase)] = []
    if shape.kind == .review { chain.append((.transfer, .transferring)) }
    if shape.hasOrigin { chain.append((.lock, .locking)) }
    if shape.hasOrders { chain.append((.forward, .forwarding)) }
    for (step, name) in chain {
      if self[step] == nil, !isHeld { start(step, &effects) }
      switch self[step]?.state {
      case .done: continue
      case .failed, .stopped: phase = .failed
      case .pending, nil: phase = name
      }
      return false
    }
    return true
  }

  private mutating func conclude(_ effects: inout [Effect]) {
    let forwarded = steps.filter { if case .answer = $0.step { true } else { false } }
    if forwarded.contains(where: { $0.state == .failed }) {
      phase = .failed
    } else if forwarded.contains(where: { $0.state == .pending }) {
      phase = .answering
    } else if answer != .final {
      phase = .sent
    } else if !shape.hasOrigin {
      phase = .answered
    } else {
      if !isHeld { start(.release, &effects) }
      switch self[.release]?.state {
      case .done: phase = .answered
      case .failed, .stopped: phase = .failed
      case .pending, nil: phase = .releasing
      }
    }
  }

  /// Stops everything that is not done and undoes what may have been.
  private mutating func undo(_ effects: inout [Effect]) {
    for index in steps.indices
    where steps[index].state == .pending && !steps[index].step.isCompensation {
      steps[index].state = .stopped
      effects.append(.stop(steps[index].step))
    }
    if shape.hasOrigin, self[.lock]?.mayHaveArrived == true { start(.release, &effects) }
    if shape.hasOrders, self[.forward]?.mayHaveArrived == true { start(.cancel, &effects) }
    let undoing = steps.filter(\.step.isCompensation)
    if undoing.contains(where: { $0.state == .failed }) {
      phase = .failed
    } else {
      phase = undoing.allSatisfy { $0.state == .done } ? .cancelled : .cancelling
    }
  }
}
