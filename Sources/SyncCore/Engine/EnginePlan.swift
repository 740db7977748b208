import Platform

extension Engine {
  /// The preview that is being made, and reads of earlier ones that never came back. Kept apart
  /// from everything that a cycle uses.
  struct Previews {
    var number: UInt64 = 0
    var pending: PendingPreview?
    /// Lists with a read under way; no second one is sent after a read that hangs.
    var reading: Set<String> = []
    var isReadingPortal = false
  }

  /// A preview on its way.
  struct PendingPreview {
    var number: UInt64
    /// Nil for all.
    var chosen: Set<String>?
    /// Lists whose read has not come back.
    var missing: Set<String>
    var lists: [String: PreviewedList] = [:]
    var portal: Result<ExaminationTable<PortalFlag>, PortalError>?
    var answer: Answer<PreviewAnswer>
    /// What has not come in by then counts as failed.
    var deadline: MonotonicTime
    /// All is in; another thread decides.
    var isDeciding = false
  }

  /// What a job has come to for a preview.
  public enum PreviewPart: Sendable {
    case list(String, PreviewedList)
    case portal(Result<FlagListing, PortalError>)
    case made(Preview)
  }

  /// The longest that a preview waits for the portal, which may be busy with a cycle's writes.
  static let previewPortalTimeout: Duration = .seconds(30)

  /// Reads lists and the portal once, decides, and answers. Nothing is recorded, nothing written,
  /// and what a cycle goes by stays as it was.
  func preview(_ wanted: [String], _ answer: Answer<PreviewAnswer>) {
    if isStopping { return answer.give(.stopping) }
    for name in wanted where lists[name] == nil {
      return answer.give(.noSuchList(name, known: settings.lists.map(\.id)))
    }
    if previews.pending != nil { return answer.give(.busy("another plan is being made")) }
    let chosen = wanted.isEmpty ? nil : Set(wanted)
    previews.number += 1
    let longest = max(settings.listTimeout, Self.previewPortalTimeout)
    let asked = settings.lists.filter { chosen?.contains($0.id) ?? true }
    previews.pending = PendingPreview(
      number: previews.number, chosen: chosen, missing: Set(asked.map(\.id)), answer: answer,
      deadline: clock.monotonic + longest + .seconds(1))
    for list in asked { readForPreview(list) }
    readPortalForPreview()
    finishPreview()
  }

  private func readForPreview(_ list: EngineSettings.List) {
    let id = list.id
    guard let source = surroundings.lists[id], previews.reading.insert(id).inserted else {
      let failure =
        surroundings.lists[id] == nil
        ? "the list has no source" : "the read for an earlier plan has not come back"
      previews.pending!.lists[id] = PreviewedList(failure: failure, id: id)
      previews.pending!.missing.remove(id)
      return
    }
    let number = previews.number
    let settings = settings
    let deadline = Deadline.after(settings.listTimeout)
    let post = self.post
    jobs.run("preview-\(id)", lane: nil) {
      let start = MonotonicTime.now
      let found: PreviewedList
      do throws(ListReadError) {
        switch try source.read(deadline: deadline, previous: nil) {
        case .snapshot(let snapshot):
          found = PreviewedList(snapshot, list, settings, elapsed: .now - start)
        case .unchanged, .confirmed:
          found = PreviewedList(
            failure: "answers that nothing has changed, which was not asked", id: id,
            elapsed: .now - start)
        }
      } catch {
        found = PreviewedList(failure: error.description, id: id, elapsed: .now - start)
      }
      post(.previewPart(number, .list(id, found)))
    }
  }

  private func readPortalForPreview() {
    guard !previews.isReadingPortal else {
      previews.pending!.portal = .failure(
        .unavailable("the read for an earlier plan has not come back"))
      return
    }
    previews.isReadingPortal = true
    let number = previews.number
    let portal = surroundings.portal
    let token = portalToken
    let deadline = Deadline.after(Self.previewPortalTimeout)
    let post = self.post
    jobs.run("portal", lane: "portal") {
      let result: Result<FlagListing, PortalError>
      do throws(PortalError) {
        result = .success(try portal.flags(since: token, deadline: deadline))
      } catch {
        result = .failure(error)
      }
      post(.previewPart(number, .portal(result)))
    }
  }

  func previewPart(_ number: UInt64, _ part: PreviewPart) {
    switch part {
    case .list(let id, _): previews.reading.remove(id)
    case .portal: previews.isReadingPortal = false
    case .made: break
    }
    // One that was given up, or was answered otherwise, needs it no more.
    guard previews.pending?.number == number else { return }
    switch part {
    case .list(let id, let found):
      guard previews.pending!.missing.remove(id) != nil else { return }
      previews.pending!.lists[id] = found
    case .portal(let result):
      guard previews.pending!.portal == nil else { return }
      previews.pending!.portal =
        switch result {
        case .success(.unchanged): .success(portalFlags)
        case .success(.flags(let flags, _)): .success(flags)
        case .failure(let error): .failure(error)
        }
    case .made(let preview):
      previews.pending!.answer.give(.preview(preview))
      previews.pending = nil
      return
    }
    finishPreview()
  }

  /// Gives up what has not come in by the deadline.
  func advancePreview(_ now: MonotonicTime) {
    guard let pending = previews.pending, !pending.isDeciding, now >= pending.deadline else {
      return
    }
    for id in pending.missing {
      previews.pending!.lists[id] = PreviewedList(
        failure: "no answer within \(Int(settings.listTimeout.inSeconds.rounded())) s", id: id,
        elapsed: settings.listTimeout)
    }
    previews.pending!.missing = []
    if pending.portal == nil {
      previews.pending!.portal = .failure(
        .unavailable(
          "no answer within \(Int(Self.previewPortalTimeout.inSeconds)) s"
            + (cycle?.isWriting == true ? "; a synchronisation is writing to it" : "")))
    }
    finishPreview()
  }

  /// When a preview is to be given up; nil when none waits.
  var previewDeadline: MonotonicTime? {
    previews.pending.flatMap { $0.isDeciding ? nil : $0.deadline }
  }

  /// Answers a preview that will not be made.
  func endPreview(_ answer: PreviewAnswer) {
    previews.pending?.answer.give(answer)
    previews.pending = nil
  }

  /// Has the plan made once everything is in: on a thread of its own, for it may be long.
  private func finishPreview() {
    guard let pending = previews.pending, pending.missing.isEmpty, !pending.isDeciding,
      let portal = pending.portal
    else { return }
    var preview = Preview()
    preview.readings = settings.lists.compactMap { pending.lists[$0.id]?.reading }
    let flags: ExaminationTable<PortalFlag>
    switch portal {
    case .success(let found): flags = found
    case .failure(let error):
      preview.portalFailure = error.description
      return endPreview(.preview(preview))
    }
    let input = PreviewInput(
      preview: preview, policy: settings.flags, views: settings.lists.map { view(of: $0, pending) },
      portal: flags, memory: memory, chosen: pending.chosen, now: clock.wall)
    previews.pending!.isDeciding = true
    // The job has what it needs of them.
    previews.pending!.lists = [:]
    previews.pending!.portal = nil
    let number = pending.number
    let post = self.post
    jobs.run("preview", lane: nil) { post(.previewPart(number, .made(input.made()))) }
  }

  /// A list as it would be for the next cycle: freshly read if it was asked for, else as it is
  /// known.
  private func view(
    of list: EngineSettings.List, _ pending: PendingPreview
  ) -> FlagReconciler.ListView {
    let state = lists[list.id]!
    guard let found = pending.lists[list.id] else { return known(list, state) }
    guard let snapshot = found.snapshot else {
      var frozen = known(list, state)
      frozen.state = .frozen
      return frozen
    }
    let evidence = state.evidence.seeing(
      found.members.count, in: snapshot, atMost: settings.flags.emptyListSnapshots)
    return FlagReconciler.ListView(
      id: list.id, flag: list.flag, state: .complete(snapshot: snapshot),
      members: wanted(found.members, list), unusableRows: found.unusable,
      lastSize: evidence.lastSize, emptySnapshots: evidence.emptySnapshots)
  }
}
