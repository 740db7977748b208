import Platform

extension Engine {
  /// The passes over one peer's examinations: as many at once as its budget, none while it is down.
  struct Lane {
    var budget: Int
    var queue = DueQueue()
    var running = 0
    /// Set once the peer has answered or failed.
    var isReachable: Bool?
    var failures = 0
    /// While the peer is down: when one pass may try it again.
    var closedUntil: MonotonicTime?
    var reason: String?

    var wakeTime: MonotonicTime? {
      // A pass that ends is an event of its own: nothing to wake up for while one is out.
      if let closedUntil { return running > 0 ? nil : closedUntil }
      return queue.nextTime
    }
  }

  /// The lane of examinations that have no peer to compare with.
  static let localLane = ""

  func makeLanes() {
    var wanted = settings.budgets
    wanted[Self.localLane] = 1
    for (name, budget) in wanted {
      lanes[name, default: Lane(budget: budget)].budget = max(1, budget)
    }
    for (name, lane) in lanes where wanted[name] == nil && lane.running == 0 { lanes[name] = nil }
  }

  /// Puts an examination in its peer's queue, in place of where it stands there now.
  /// - Parameter time: nil for at once. Kept as a span from now: a clock that is set does not
  ///   bunch or delay what is planned already, and no span is longer than the longest pause.
  func schedule(_ key: ExaminationKey, at time: WallTime?) {
    guard var known = examinations[key], known.list != nil else { return }
    if known.isRunning {
      known.isStale = true
      examinations[key] = known
      return
    }
    // Only told from other ones in the queue: it may begin anew.
    ticket = ticket == .max ? 1 : ticket + 1
    known.ticket = ticket
    examinations[key] = known
    let longest = max(settings.images.retryMaximum, settings.images.recheck)
    let wait = min(max(.zero, (time ?? clock.wall) - clock.wall), longest)
    let lane = known.source.flatMap { lanes[$0.text] == nil ? nil : $0.text } ?? Self.localLane
    lanes[lane]?.queue.add(
      DueQueue.Item(
        time: clock.monotonic + wait, priority: known.priority, ticket: ticket, key: key))
  }

  func advanceLanes(_ now: MonotonicTime) {
    // Looked up in place: a copy of the table, held while a pass changes it, would be a whole one.
    func isCurrent(_ item: DueQueue.Item) -> Bool {
      self.examinations[item.key]?.ticket == item.ticket
    }
    for name in lanes.keys.sorted() {
      lanes[name]!.queue.advance(to: now, isCurrent: isCurrent)
      if let until = lanes[name]!.closedUntil {
        if until > now { continue }
        // One pass may try whether the peer is back.
        if lanes[name]!.running > 0 { continue }
        if let item = lanes[name]!.queue.next(isCurrent: isCurrent) { startPass(item.key, name) }
        continue
      }
      while lanes[name]!.running < lanes[name]!.budget,
        let item = lanes[name]!.queue.next(isCurrent: isCurrent)
      {
        startPass(item.key, name)
      }
    }
  }

  private func startPass(_ key: ExaminationKey, _ lane: String) {
    guard var known = examinations[key], let list = known.list else { return }
    let identity: (studyUID: String?, status: ExaminationStatus)?
    do {
      identity = try ledger.identity(known.id)
    } catch {
      ledgerProblem = "\(error)"
      schedule(key, at: clock.wall + settings.images.retryMinimum)
      return
    }
    let listSettings = lists[list.text]?.settings
    let source = lane == Self.localLane ? nil : surroundings.sources[lane]
    let pass = ImagePass(
      source: source, archive: surroundings.archive,
      prefetches: listSettings?.prefetches ?? false)
    known.ticket = 0
    known.isRunning = true
    known.isStale = false
    examinations[key] = known
    lanes[lane]!.running += 1
    let post = self.post
    let stop = stopGate
    // Local passes are short and many: one thread does them all.
    jobs.run("images-\(lane)", lane: lane == Self.localLane ? "archive" : nil) {
      let result = pass.run(
        number: key.number, listStudyUID: identity?.studyUID, stop: stop
      ) { archived, expected in
        post(.imageProgress(key, archived: archived, expected: expected))
      }
      post(.imagePassed(key, lane: lane, result))
    }
  }

  /// Takes the results of passes, all of them in one transaction.
  func finishPasses(_ passed: inout [(ExaminationKey, String, ImagePass.Result)]) {
    if passed.isEmpty { return }
    let results = passed
    passed = []
    let now = clock.wall
    let completeness = Completeness(policy: settings.images)
    var updates: [(ExaminationKey, ImageProgress, ImageProgress)] = []
    let recorded = attempt("record image progress") {
      updates = []
      for (key, _, result) in results {
        guard let known = examinations[key], !stopGate.isOpen else { continue }
        guard let old = try ledger.progress(known.id) else { continue }
        let new = completeness.after(result.observation, old, status: known.status, now: now)
        // That it was looked at once more and is as before is not worth a write: after a restart it
        // is looked at again anyway.
        if new.isNews(after: old) { try ledger.recordProgress(known.id, new, now: now) }
        if old.state != new.state || old.reason?.code != new.reason?.code
          || old.archived != new.archived || old.expected != new.expected
        {
          try ledger.addHistory(known.id, "images", Self.describe(new), now: now)
        }
        updates.append((key, old, new))
      }
    }
    for (key, laneName, result) in results {
      leave(laneName, result.peerFailure)
      running[key] = nil
      guard var known = examinations[key] else { continue }
      known.isRunning = false
      examinations[key] = known
      if !recorded { schedule(key, at: now + settings.images.retryMinimum) }
    }
    guard recorded else { return }
    for (key, old, new) in updates {
      guard var known = examinations[key] else { continue }
      count(known, -1)
      known.images = new.state
      known.archived = new.archived
      known.expected = new.expected ?? 0
      known.held = new.held
      known.isBlocked = new.isBlocked
      count(known, +1)
      let isStale = known.isStale
      known.isStale = false
      examinations[key] = known
      if old.state != new.state || old.reason?.code != new.reason?.code
        || old.archived != new.archived || old.expected != new.expected
      {
        unpublished[key] = ()
        if old.archived != new.archived || old.expected != new.expected { imagesChanged(key) }
        log.info(
          "images \(new.state.rawValue)",
          [
            "examination": key.description, "archived": "\(new.archived)",
            "expected": new.expected.map(String.init) ?? "?",
            "reason": new.reason?.text ?? "",
          ])
      }
      if isListed(key) || known.list != nil {
        schedule(key, at: isStale ? now : new.nextAttempt)
      }
      dropIfGone(key)
    }
  }

  /// A pass has left its lane; a failure of the peer closes the lane for a while.
  private func leave(_ name: String, _ failure: String?) {
    guard var lane = lanes[name] else { return }
    lane.running -= 1
    if let failure {
      if lane.isReachable != false {
        log.error("the peer does not answer", ["peer": name, "reason": failure])
      }
      lane.isReachable = false
      lane.reason = failure
      lane.failures += 1
      let pause = Completeness(policy: settings.images).pause(after: lane.failures)
      lane.closedUntil = clock.monotonic + pause
    } else if name != Self.localLane {
      if lane.isReachable == false { log.notice("the peer answers again", ["peer": name]) }
      lane.isReachable = true
      lane.reason = nil
      lane.failures = 0
      lane.closedUntil = nil
    }
    lanes[name] = lane
  }

  func retry(_ key: ExaminationKey) -> Bool {
    guard let known = examinations[key], known.list != nil else { return false }
    let lane = known.source?.text ?? Self.localLane
    lanes[lane]?.closedUntil = nil
    schedule(key, at: clock.wall)
    return true
  }

  /// Tells the portal what has changed, one message at a time: while one is on its way the next
  /// gathers.
  func publishAvailability() {
    if isPublishing || unpublished.isEmpty || portalReachable == false { return }
    let keys = Array(unpublished.keys.prefix(publishedAtOnce))
    let entries: [ImageAvailability]
    do {
      entries = try keys.compactMap { key in
        guard var entry = try ledger.availability(of: key) else { return nil }
        // What was being fetched when the daemon ended is not now.
        if let known = examinations[key] { entry.state = known.images }
        return entry
      }
    } catch {
      ledgerProblem = "\(error)"
      return
    }
    for key in keys { unpublished[key] = nil }
    if entries.isEmpty { return }
    isPublishing = true
    let portal = surroundings.portal
    let post = self.post
    jobs.run("portal", lane: "portal") {
      do throws(PortalError) {
        try portal.publish(entries, deadline: .after(.seconds(30)))
        post(.availabilityPublished(entries, nil))
      } catch {
        post(.availabilityPublished(entries, error))
      }
    }
  }

  func availabilityPublished(_ entries: [ImageAvailability], _ error: PortalError?) {
    isPublishing = false
    guard let error else { return }
    // Told again once the portal answers; what has been seen since then stands.
    portalReason = error.description
    if case .unavailable = error {
      portalReachable = false
      for entry in entries { unpublished[entry.key] = () }
    }
  }

  /// Keeps the totals: once with -1 before a change of what is counted, once with +1 after it.
  func count(_ known: Known, _ sign: Int) {
    switch known.images {
    case .none: totals.none += sign
    case .fetching: totals.fetching += sign
    case .partial: totals.partial += sign
    case .complete: totals.complete += sign
    }
    if known.isBlocked { totals.blocked += sign }
    if known.held { totals.held += sign }
    totals.archived += sign * known.archived
    totals.expected += sign * known.expected
  }

  private static func describe(_ progress: ImageProgress) -> String {
    let count = "\(progress.archived)/\(progress.expected.map(String.init) ?? "?")"
    guard let reason = progress.reason else { return "\(progress.state.rawValue) \(count)" }
    return "\(progress.state.rawValue) \(count): \(reason.text)"
  }
}
