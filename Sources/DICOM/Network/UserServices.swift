import Platform

/// The final answer of an operation.
public struct OperationResult: Hashable, Sendable {
  public var status: DIMSEStatus
  /// Error Comment (0000,0902): for people, may be anything, also patient data.
  public var comment: String?
  public var offendingElements: [Tag]
  /// Affected SOP Instance UID (0000,1000): which object the peer says that it has answered for.
  /// Nil where it left that out, which is allowed.
  public var sopInstance: UID?

  public init(
    status: DIMSEStatus, comment: String? = nil, offendingElements: [Tag] = [],
    sopInstance: UID? = nil
  ) {
    self.status = status
    self.comment = comment
    self.offendingElements = offendingElements
    self.sopInstance = sopInstance
  }

  init(_ status: DIMSEStatus, _ response: Command) {
    self.init(
      status: status, comment: response.errorComment,
      offendingElements: response.offendingElements,
      sopInstance: response.affectedSOPInstance.flatMap { $0.value.isEmpty ? nil : $0 })
  }
}

extension Association {
  /// C-ECHO (PS3.7 section 9.1.5): is the application alive?
  @discardableResult
  public func echo() throws(AssociationError) -> OperationResult {
    let context = try context(for: ProposedContext.verification.abstractSyntax)
    var request = Command(.echoRequest)
    request.affectedSOPClass = context.abstractSyntax
    request.messageID = newMessageID()
    try connection.send(request, in: context)
    let (response, status, answered) = try response(to: request)
    if response.hasDataSet {
      try connection.skipDataSet(
        in: answered, waitingFor: .response, connection.timeouts.response)
    }
    return OperationResult(status, response)
  }

  /// C-STORE (PS3.7 section 9.1.1): sends one object, its bytes untouched. Needs a context
  /// accepted for exactly the SOP class and the transfer syntax.
  /// - Parameter source: the data set, without preamble and File Meta Information.
  public func store(
    sopClass: UID, sopInstance: UID, transferSyntax: TransferSyntax,
    from source: some DataSetSource, priority: Command.Priority = .medium,
    moveOriginator: MoveOriginator? = nil
  ) throws(AssociationError) -> OperationResult {
    let request = try sendStore(
      sopClass, sopInstance, transferSyntax, from: source, priority, moveOriginator)
    let (response, status, answered) = try response(to: request)
    if response.hasDataSet {
      try connection.skipDataSet(
        in: answered, waitingFor: .response, connection.timeouts.response)
    }
    return OperationResult(status, response)
  }

  /// C-STORE of an object in a file.
  public func store(
    _ instance: StoredInstance, priority: Command.Priority = .medium,
    moveOriginator: MoveOriginator? = nil
  ) throws(AssociationError) -> OperationResult {
    try store(
      sopClass: instance.sopClass, sopInstance: instance.sopInstance,
      transferSyntax: instance.transferSyntax, from: try open(instance), priority: priority,
      moveOriginator: moveOriginator)
  }

  /// The data set of an object that the peer takes.
  func open(_ instance: StoredInstance) throws(AssociationError) -> FileDataSet {
    // Looked up first: no need to touch the disk for what cannot go.
    _ = try context(for: instance.sopClass, instance.transferSyntax)
    do throws(SystemError) { return try FileDataSet(instance) } catch {
      throw .unreadable(error)
    }
  }

  /// Sends a C-STORE request and its data set; the response is still to come.
  func sendStore(
    _ sopClass: UID, _ sopInstance: UID, _ transferSyntax: TransferSyntax,
    from source: some DataSetSource, _ priority: Command.Priority,
    _ moveOriginator: MoveOriginator? = nil
  ) throws(AssociationError) -> Command {
    let context = try context(for: sopClass, transferSyntax)
    guard sopInstance.isValid else { throw .notEncodable("'\(sopInstance)' is not a UID") }
    var request = Command(.storeRequest)
    request.affectedSOPClass = sopClass
    request.affectedSOPInstance = sopInstance
    request.messageID = newMessageID()
    request.priority = priority
    request.moveOriginator = moveOriginator
    var source = source
    try connection.send(request, in: context, streaming: &source)
    return request
  }

  /// C-FIND (PS3.7 section 9.1.2, PS3.4 section C.4.1): calls `match` with each match as it comes.
  /// When it returns false the query is cancelled; matches already under way are dropped.
  /// - Returns: the final status: ``DIMSEStatus/success``, ``DIMSEStatus/cancel`` or a failure.
  ///   Nothing but success proves that every match came.
  public func find(
    _ identifier: DataSet, in model: InformationModel, priority: Command.Priority = .medium,
    match: (DataSet) -> Bool
  ) throws(AssociationError) -> OperationResult {
    let context = try context(for: model.findClass)
    var request = Command(.findRequest)
    request.affectedSOPClass = model.findClass
    request.messageID = newMessageID()
    request.priority = priority
    try connection.send(request, in: context, dataSet: identifier)
    var isCancelled = false
    var end = Deadline.never
    while true {
      let (response, status, answered) = try response(to: request)
      // A match that tells nothing would be one that is lost (PS3.7 section 9.1.2.1).
      guard response.hasDataSet || !status.isPending else {
        throw connection.upperLayer.violation("a match without an identifier")
      }
      if response.hasDataSet {
        let timeout = connection.timeouts.response
        if status.isPending, !isCancelled {
          let found = try connection.dataSet(in: answered, waitingFor: .response, timeout)
          if !match(found) {
            isCancelled = true
            end = .after(timeout)
            try cancel(request, in: context)
          }
        } else {
          try connection.skipDataSet(in: answered, waitingFor: .response, timeout)
        }
      }
      if !status.isPending { return OperationResult(status, response) }
      // A wish only, but one that goes on and on has not heard it.
      if end.isPast { throw overdue(.response) }
    }
  }

  /// C-MOVE (PS3.7 section 9.1.4, PS3.4 section C.4.2): has the peer send objects to another
  /// application. `progress` is called with each pending response; when it returns false the
  /// operation is cancelled.
  ///
  /// No status proves that the objects arrived, or that none did: peers answer success without
  /// having sent anything, and failure after having sent much. Enumerate at the destination.
  public func move(
    _ identifier: DataSet, in model: InformationModel, to destination: String,
    priority: Command.Priority = .medium,
    progress report: (Command.Suboperations) -> Bool = { _ in true }
  ) throws(AssociationError) -> MoveOutcome {
    guard let moveClass = model.moveClass else {
      throw .notEncodable("\(model.name) has no C-MOVE")
    }
    guard isValidAETitle(destination) else {
      throw .notEncodable("'\(destination)' is no AE title")
    }
    let context = try context(for: moveClass)
    var request = Command(.moveRequest)
    request.affectedSOPClass = moveClass
    request.messageID = newMessageID()
    request.priority = priority
    request.moveDestination = destination
    try connection.send(request, in: context, dataSet: identifier)
    var lastPending: Command.Suboperations?
    var isCancelled = false
    var progress = MoveProgress(connection.timeouts.move)
    while true {
      let (response, status, answered) = try response(
        to: request, waitingFor: .move, timeout: connection.timeouts.move)
      var failed: [UID] = []
      if response.hasDataSet {
        if status.isPending {
          try connection.skipDataSet(in: answered, waitingFor: .move, connection.timeouts.response)
        } else {
          let list = try connection.dataSet(
            in: answered, waitingFor: .move, connection.timeouts.response)
          failed = list.uids(.failedSOPInstanceUIDList)
        }
      }
      guard status.isPending else {
        return MoveOutcome(
          result: OperationResult(status, response), suboperations: response.suboperations,
          lastPending: lastPending, failedInstances: failed)
      }
      if !response.suboperations.isEmpty { lastPending = response.suboperations }
      if !isCancelled, !report(response.suboperations) {
        isCancelled = true
        progress.end()
        try cancel(request, in: context)
      }
      progress.note(response.suboperations)
      if progress.deadline.isPast { throw overdue(.move) }
    }
  }

  /// C-CANCEL (PS3.7 section 9.3.2.3): a wish; the final response still comes.
  func cancel(
    _ request: Command, in context: PresentationContext
  ) throws(AssociationError) {
    var cancel = Command(.cancelRequest)
    cancel.messageIDRespondedTo = request.messageID
    try connection.send(cancel, in: context)
  }

  func overdue(_ wait: AssociationError.Wait) -> AssociationError {
    abort()
    return .timedOut(wait)
  }
}

/// Tells a C-MOVE that gets somewhere from one that only says that it is pending. Peers are silent
/// or repeat themselves while a tape is read, but not for ever.
struct MoveProgress {
  private let timeout: Duration
  private var done = 0
  private var remaining = Int.max
  private var isEnding = false
  private(set) var deadline: Deadline

  /// How many time-outs between two responses a peer may go on without a sub-operation.
  private static let patience = 6

  init(_ timeout: Duration) {
    self.timeout = timeout
    deadline = .after(timeout * Self.patience)
  }

  mutating func note(_ counters: Command.Suboperations) {
    let sum =
      Int(counters.completed ?? 0) + Int(counters.failed ?? 0) + Int(counters.warning ?? 0)
    let left = counters.remaining.map(Int.init) ?? remaining
    guard !isEnding, sum > done || left < remaining else { return }
    done = max(done, sum)
    remaining = min(remaining, left)
    deadline = .after(timeout * Self.patience)
  }

  /// An object has come that had not come before.
  mutating func noteObject() {
    if !isEnding { deadline = .after(timeout * Self.patience) }
  }

  /// The final response is due: the operation has been cancelled.
  mutating func end() {
    isEnding = true
    deadline = .after(timeout)
  }
}

/// The end of a C-MOVE or a C-GET as the peer tells it.
public struct MoveOutcome: Hashable, Sendable {
  public var result: OperationResult
  /// The counters of the final response, as far as it has them.
  public var suboperations: Command.Suboperations
  /// Those of the last pending response that had any; nil when none came, which is allowed.
  public var lastPending: Command.Suboperations?
  /// Failed SOP Instance UID List (0008,0058). Peers may leave it out.
  public var failedInstances: [UID]
  /// The objects of a C-GET that were stored here; nil after a C-MOVE, which goes elsewhere.
  public var stored: Int?

  public init(
    result: OperationResult, suboperations: Command.Suboperations,
    lastPending: Command.Suboperations? = nil, failedInstances: [UID] = [], stored: Int? = nil
  ) {
    self.stored = stored
    self.result = result
    self.suboperations = suboperations
    self.lastPending = lastPending
    self.failedInstances = failedInstances
  }

  /// Success without a single completed sub-operation: the study is absent, or the peer lies.
  public var isSuspectSuccess: Bool {
    if let stored { return result.status.isSuccess && stored == 0 }
    return result.status.isSuccess && (suboperations.completed ?? 0) == 0
      && (suboperations.warning ?? 0) == 0
  }

  /// B000 with no failed sub-operation: every object arrived, some changed on the way.
  public var isOnlyWarnings: Bool {
    result.status.isWarning && suboperations.failed == 0 && failedInstances.isEmpty
  }
}
