/// The Varlink interface of sending: assignments, their transfers and messages, destinations.
///
/// Only optional fields may be added; anything else is a new interface name.
public enum DeliveryInterface {
  public static let name = "se.vgregion.samverkan.Delivery"

  public static let description = """
    # Sends examinations to reviewers: images and messages as one assignment (Uppdrag).
    # Times are RFC 3339 in UTC with milliseconds. Identifiers are opaque strings.
    interface se.vgregion.samverkan.Delivery

    # transferring: the images are on their way. locking: the examination is being put on hold at
    # its origin. forwarding: the order goes to the recipient. sent: all has been delivered and the
    # answer is awaited. answering: the answer goes back to the origin. releasing: the origin is
    # being told that it is done. answered: done. cancelling: a recall is being carried out.
    type Phase (
      transferring, locking, forwarding, sent, answering, releasing, answered, cancelling,
      cancelled, failed
    )

    # orange: in progress. green: all of it done. red: something has failed. none: nothing to do.
    type Light (orange, green, red, none)

    type Answer (none, accepted, pending, declined, preliminary, final)

    # owner: who can mend it.
    type Reason (code: string, text: string, owner: string)

    type Assignment (
      id: string,
      kind: (review, referral_move),
      system: string,
      number: string,
      referral: ?string,
      studyUid: ?string,
      list: ?string,
      flag: ?string,
      careUnit: ?string,
      modality: ?string,
      description: ?string,
      recipient: string,
      recipientLabel: string,
      destination: string,
      review: (primary, second_reading),
      priority: (routine, urgent, stat),
      phase: Phase,
      answer: Answer,
      held: bool,
      dicom: Light,
      dicomDone: int,
      dicomTotal: int,
      hl7: Light,
      hl7Done: int,
      hl7Total: int,
      tick: bool,
      ended: bool,
      failed: bool,
      reason: ?Reason,
      previouslySent: bool,
      forced: ?string,
      supplementable: int,
      orderedAt: string,
      orderedBy: string,
      changed: string,
      endedAt: ?string,
      nextAttempt: ?string
    )

    # waiting: for its turn, for its next attempt, or for its destination to open.
    # stopped: not needed any more, after a recall.
    type JobState (waiting, running, done, failed, stopped)

    # from and to: AE titles. One for the examination and one for each comparison examination.
    type Transfer (
      id: string,
      number: string,
      prior: bool,
      studyUid: ?string,
      from: string,
      to: string,
      state: JobState,
      total: int,
      done: int,
      refused: int,
      attempts: int,
      created: string,
      changed: string,
      nextAttempt: ?string,
      reason: ?string
    )

    # flag: the acknowledgement, as AA_ACK. result: what it means, as SUCCESS.
    type Message (
      id: string,
      kind: (ormlock, ormforward, oruprior, oruforward, ormrelease, cancel),
      direction: (ORIGIN, DESTINATION),
      state: JobState,
      flag: ?string,
      result: ?string,
      unit: string,
      interface: string,
      priority: (routine, urgent, stat),
      activityType: ?string,
      controlId: ?string,
      number: string,
      attempts: int,
      created: string,
      changed: string,
      nextAttempt: ?string,
      reason: ?string
    )

    # An object that is not in all three places, and why.
    type Difference (
      number: string,
      sopInstanceUid: string,
      source: bool,
      archive: bool,
      sent: bool,
      explanation: string
    )

    type HistoryEntry (time: string, event: string, detail: string)

    # Every condition given must hold. Lists of values: any of them.
    # text: part of a number, a referral or a study UID. state: active (not ended), failed, ended,
    # or all.
    type Filter (
      state: ?(active, failed, ended, all),
      recipients: ?[]string,
      systems: ?[]string,
      numbers: ?[]string,
      phases: ?[]Phase,
      flags: ?[]string,
      priorities: ?[]string,
      text: ?string,
      held: ?bool,
      orderedSince: ?string,
      orderedUntil: ?string
    )

    # Assignments by id; or, with all, those that the filter names.
    type Selection (ids: ?[]string, all: ?bool, filter: ?Filter)

    # canForce: whether a reason given in `force` lets it through.
    type Refusal (rule: string, text: string, remedy: string, canForce: bool)

    # accepted: whether it was sent, or would be in a dry run.
    type SendResult (
      number: string,
      system: ?string,
      accepted: bool,
      id: ?string,
      refusals: []Refusal,
      warnings: []string
    )

    # done: whether it was done, or would be in a dry run. text: what, or why not.
    type ActionResult (id: string, number: string, done: bool, text: string)

    # reachable: null until it has been tried. kind: what goes there.
    type Destination (
      name: string,
      kind: (dicom, hl7),
      address: string,
      reachable: ?bool,
      paused: bool,
      pausedBy: ?string,
      pausedAt: ?string,
      window: ?string,
      windowOpen: bool,
      budget: int,
      running: int,
      ready: int,
      waiting: int,
      failed: int,
      retry: string,
      nextAttempt: ?string,
      reason: ?string
    )

    type Recipient (
      id: string,
      label: string,
      parent: ?string,
      destination: ?string,
      kinds: []string,
      systems: []string
    )

    # A message that came in and belongs to no assignment.
    type AsideMessage (
      id: string,
      received: string,
      from: string,
      controlId: string,
      type: string,
      reason: string
    )

    type Totals (
      active: int,
      failed: int,
      sent: int,
      answered: int,
      cancelled: int,
      held: int,
      waitingTransfers: int,
      waitingMessages: int,
      aside: int
    )

    # Numbers only; also on the monitor socket. Alarms of sending are among those of GetStatus.
    method GetTotals() -> (totals: Totals)

    # Orders examinations to be sent. The lists they are on are read anew first; each is then
    # accepted or refused with every rule that it breaks. message: clinical text, not kept in logs.
    # priors: comparison examinations that go along, with the text of their report where there is
    # one. force: why it is sent although its images are not complete. recipientNotified: the
    # recipient knows that what was recalled comes again.
    method Send(
      examinations: [](number: string, system: ?string),
      recipient: string,
      kind: ?string,
      review: ?string,
      priority: ?string,
      message: ?string,
      priors: ?[](number: string, system: ?string, report: ?string),
      force: ?string,
      recipientNotified: ?bool,
      dryRun: ?bool,
      onBehalfOf: ?string
    ) -> (results: []SendResult)

    # The send list (Skickatlistan), newest first. At most `limit` (1 to 1000, default 200).
    method ListAssignments(filter: ?Filter, limit: ?int, cursor: ?string) -> (
      assignments: []Assignment,
      next: ?string,
      total: int
    )

    # All there is to know of one assignment. At most 200 differences and 200 of the history.
    method GetAssignment(id: string) -> (
      assignment: Assignment,
      transfers: []Transfer,
      messages: []Message,
      differences: []Difference,
      differencesTotal: int,
      history: []HistoryEntry
    )

    # Sends again what has failed (Sänd om); what was delivered is left alone.
    method Resend(selection: Selection, dryRun: ?bool, onBehalfOf: ?string) -> (
      results: []ActionResult
    )

    # Sends images that came after the transfer (Komplettera), and nothing else.
    method Supplement(selection: Selection, dryRun: ?bool, onBehalfOf: ?string) -> (
      results: []ActionResult
    )

    # Recalls (Återta): stops what is under way, releases at the origin, cancels at the recipient.
    method Cancel(selection: Selection, dryRun: ?bool, onBehalfOf: ?string) -> (
      results: []ActionResult
    )

    # Nothing more of it starts, until it is released.
    method Hold(selection: Selection, dryRun: ?bool, onBehalfOf: ?string) -> (
      results: []ActionResult
    )
    method Release(selection: Selection, dryRun: ?bool, onBehalfOf: ?string) -> (
      results: []ActionResult
    )

    method ListDestinations() -> (destinations: []Destination)
    method PauseDestination(name: string, onBehalfOf: ?string) -> (destination: Destination)
    method ResumeDestination(name: string, onBehalfOf: ?string) -> (destination: Destination)

    # What happens when an attempt at a destination fails, attempt by attempt. after: the pause
    # before it. at: since the first attempt, in seconds.
    method ExplainRetry(name: string) -> (
      ladder: string,
      attempts: [](number: int, after: string, at: float),
      watchdog: string,
      text: []string
    )

    method ListRecipients() -> (recipients: []Recipient)

    # A trouble report (felanmälan) on one assignment: owner, steps tried, times; no patient data.
    method GetReport(id: string) -> (text: string)

    # Messages that came in and belong to no assignment, newest first.
    method ListAside(limit: ?int) -> (messages: []AsideMessage, total: int)

    error NoSuchAssignment (id: string)
    error NoSuchRecipient (recipient: string, known: []string)
    error NoSuchDestination (name: string, known: []string)
    error NothingSelected ()
    error AccessLogFailed (reason: string)
    error Busy (reason: string)
    error Stopping ()
    """

  /// What the monitor socket serves.
  public static let monitorMethods: Set<String> = ["\(name).GetTotals"]
}
