import Testing

@testable import SyncCore

/// Every state that any order of events leads to, for every shape of an assignment.
@Suite struct AssignmentMachineTests {
  typealias Machine = AssignmentMachine

  static let shapes: [Machine.Shape] = {
    var shapes: [Machine.Shape] = []
    for kind in AssignmentKind.allCases {
      for hasOrigin in [true, false] {
        for hasOrders in [true, false] {
          // A comparison examination is the same everywhere: one shape has one.
          let isWhole = kind == .review && hasOrigin && hasOrders
          for priors in isWhole ? [[], [true]] : [[]] {
            shapes.append(
              Machine.Shape(
                kind: kind, hasOrigin: hasOrigin, hasOrders: hasOrders, priors: priors))
          }
        }
      }
    }
    return shapes
  }()

  /// The events that can happen in a state. Answers are bounded, or there would be no end.
  private func events(_ machine: Machine) -> [Machine.Event] {
    var events: [Machine.Event] = [.cancel, .hold, .unhold, .resend, .supplement]
    for step in machine.steps {
      switch (step.state, step.step) {
      case (.pending, .lock), (.pending, .forward):
        events += [
          .attempted(step.step), .refusedAttempt(step.step), .succeeded(step.step),
          .failed(step.step),
        ]
      // Elsewhere nothing depends on whether an attempt may have arrived.
      case (.pending, _): events += [.succeeded(step.step), .failed(step.step)]
      case (.stopped, .lock), (.stopped, .forward): events.append(.succeeded(step.step))
      default: break
      }
    }
    if machine.answers < (machine.shape.priors.isEmpty ? 2 : 1) {
      events += [.status(.accepted), .result(isFinal: false), .result(isFinal: true)]
    }
    return events
  }

  private func explore(
    _ shape: Machine.Shape,
    _ visit: (Machine, Machine.Event, Machine, [Machine.Effect]) -> Void
  ) -> Set<Machine> {
    var machine = Machine(shape)
    _ = machine.begin()
    var seen: Set<Machine> = [machine]
    var open = [machine]
    while let state = open.popLast() {
      for event in events(state) {
        var next = state
        let effects = next.handle(event)
        visit(state, event, next, effects)
        if seen.insert(next).inserted { open.append(next) }
      }
    }
    return seen
  }

  /// What can be reached, worked out once for all tests.
  private static let states: [(Machine.Shape, Set<Machine>)] = shapes.map { shape in
    (shape, AssignmentMachineTests().explore(shape) { _, _, _, _ in })
  }

  @Test("Whatever happens, the order of delivery is kept and no step is begun twice")
  func order() throws {
    for shape in Self.shapes {
      let states = explore(shape) { before, event, after, effects in
        for case .start(let step) in effects {
          #expect(before[step] == nil, "\(step) begun twice by \(event)")
          switch step {
          case .lock: #expect(shape.kind == .referralMove || after[.transfer]?.state == .done)
          case .forward: #expect(!shape.hasOrigin || after[.lock]?.state == .done)
          case .priorTransfer, .priorReport:
            #expect(after.wasDelivered)
            #expect(!shape.hasOrders || after[.forward]?.state == .done)
          case .answer: #expect(after[.forward]?.state == .done)
          case .release:
            #expect(after.isCancelled || after.answer == .final)
            #expect(after[.lock]?.mayHaveArrived == true || after[.lock]?.state == .done)
          case .cancel: #expect(after.isCancelled)
          case .transfer: Issue.record("the first step is begun at the beginning")
          }
        }
      }
      #expect(states.count > 3)
      for state in states { #expect(Set(state.steps.map(\.step)).count == state.steps.count) }
    }
  }

  @Test("From every state, when all that is under way succeeds, the assignment comes to an end")
  func liveness() throws {
    for (_, states) in Self.states {
      for state in states {
        var machine = state
        _ = machine.handle(.unhold)
        _ = machine.handle(.resend)
        for _ in 0..<40 {
          guard let step = machine.steps.first(where: { $0.state == .pending }) else { break }
          _ = machine.handle(.attempted(step.step))
          _ = machine.handle(.succeeded(step.step))
        }
        let ended: Set<AssignmentPhase> = [.sent, .answered, .cancelled]
        // What was stopped by a recall never fails an assignment.
        try #require(ended.contains(machine.phase), "\(state) ended in \(machine.phase)")
        try #require(!machine.hasPending)
      }
    }
  }

  @Test("A recall from every state undoes what may have arrived, and nothing else goes on")
  func recall() throws {
    for (shape, states) in Self.states {
      for state in states where state.canCancel {
        var machine = state
        let effects = machine.handle(.cancel)
        try #require(machine.isCancelled)
        for step in machine.steps where !step.step.isCompensation {
          try #require(step.state != .pending, "\(step.step) goes on after a recall of \(state)")
        }
        if shape.hasOrigin, state[.lock]?.mayHaveArrived == true {
          try #require(machine[.release] != nil)
        }
        if shape.hasOrders, state[.forward]?.mayHaveArrived == true {
          try #require(machine[.cancel] != nil)
        }
        if state[.lock]?.mayHaveArrived != true {
          try #require(machine[.release] == nil, "\(state)")
        }
        try #require(effects.contains(.recalled) == !state.isCancelled)
        // What is heard afterwards belongs to a person.
        try #require(machine.handle(.result(isFinal: true)) == [.unexpected])
      }
    }
  }

  @Test("An ended state has nothing pending, and an answered one nothing to recall")
  func ended() throws {
    for (_, states) in Self.states {
      for state in states {
        if state.hasEnded { try #require(!state.hasPending) }
        if state.phase == .answered {
          var machine = state
          try #require(machine.handle(.cancel) == [.unexpected])
          try #require(machine == state)
        }
      }
    }
  }

  @Test("A state recorded and read again is the same, and starts nothing of itself")
  func replay() throws {
    for (shape, states) in Self.states {
      for state in states {
        let read = Machine(
          shape, steps: state.steps, answer: state.answer, answers: state.answers,
          isCancelled: state.isCancelled, isHeld: state.isHeld, wasDelivered: state.wasDelivered)
        try #require(read == state)
      }
    }
  }

  @Test("An answer proves that the order arrived, whatever became of its acknowledgement")
  func proof() {
    var machine = Machine(Machine.Shape(kind: .review, hasOrigin: true, hasOrders: true))
    _ = machine.begin()
    for step in [AssignmentStep.transfer, .lock] {
      _ = machine.handle(.attempted(step))
      _ = machine.handle(.succeeded(step))
    }
    _ = machine.handle(.attempted(.forward))
    let effects = machine.handle(.result(isFinal: true))
    #expect(effects == [.proved(.forward), .start(.answer(0))])
    #expect(machine.phase == .answering)
  }

  @Test("Images that come late are sent without ordering anew")
  func supplement() {
    var machine = Machine(Machine.Shape(kind: .review, hasOrigin: true, hasOrders: true))
    _ = machine.begin()
    for step in [AssignmentStep.transfer, .lock, .forward] {
      _ = machine.handle(.attempted(step))
      _ = machine.handle(.succeeded(step))
    }
    #expect(machine.phase == .sent)
    #expect(machine.handle(.supplement) == [.restart(.transfer)])
    #expect(machine.phase == .sent)
    #expect(machine.handle(.failed(.transfer)).isEmpty)
    #expect(machine.phase == .sent && machine.hasFailed)
    #expect(machine.handle(.resend) == [.restart(.transfer)])
  }

  @Test("A comparison examination that fails stops nothing else")
  func badPrior() {
    let shape = Machine.Shape(
      kind: .review, hasOrigin: true, hasOrders: true, priors: [true, true])
    var machine = Machine(shape)
    _ = machine.begin()
    for step in [AssignmentStep.transfer, .lock, .forward] {
      _ = machine.handle(.attempted(step))
      _ = machine.handle(.succeeded(step))
    }
    _ = machine.handle(.failed(.priorTransfer(0)))
    for step in [AssignmentStep.priorReport(0), .priorTransfer(1), .priorReport(1)] {
      #expect(machine[step]?.state == .pending)
      _ = machine.handle(.succeeded(step))
    }
    #expect(machine.phase == .sent && machine.hasFailed)
    _ = machine.handle(.result(isFinal: true))
    _ = machine.handle(.succeeded(.answer(0)))
    _ = machine.handle(.succeeded(.release))
    #expect(machine.phase == .answered)
  }
}
