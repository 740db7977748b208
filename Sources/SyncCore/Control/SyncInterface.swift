/// The daemon's Varlink interface: what syncctl and every other client speak.
///
/// Only optional fields may be added; anything else is a new interface name.
public enum SyncInterface {
  public static let name = "se.vgregion.samverkan.Sync"

  /// The interface description served by `org.varlink.service.GetInterfaceDescription`.
  public static let description = """
    # Keeps collaboration flags, prefetched images and the archive in step.
    # Times are RFC 3339 in UTC with milliseconds. Identifiers are opaque strings.
    interface se.vgregion.samverkan.Sync

    # fresh: read within the last cycles; warning and critical: missed cycles as configured;
    # never: not read since the daemon started.
    type Freshness (fresh, warning, critical, never)

    # What a list's latest read came to.
    # brake: clears that wait for Approve, out of the flags the list owns.
    type ListStatus (
      id: string,
      system: string,
      flag: string,
      freshness: Freshness,
      missedCycles: int,
      lastRead: ?string,
      snapshotAsOf: ?string,
      rows: ?int,
      refusedRows: int,
      owned: int,
      absent: int,
      brakeHeld: int,
      reason: ?string
    )

    # reachable: null until the peer has been tried.
    type PeerStatus (
      name: string,
      reachable: ?bool,
      running: int,
      queued: int,
      budget: int,
      nextAttempt: ?string,
      reason: ?string
    )

    type ImageTotals (
      none: int,
      fetching: int,
      partial: int,
      complete: int,
      blocked: int,
      held: int
    )

    type CycleStatus (
      number: string,
      trigger: (timer, manual),
      running: bool,
      startedAt: string,
      finishedAt: ?string,
      listsRead: int,
      listsFailed: int,
      listsTotal: int,
      flagsSet: int,
      flagsCleared: int,
      flagsFailed: int,
      flagsPending: int
    )

    type ArchiveStatus (
      aeTitle: string,
      port: int,
      objects: int,
      bytes: int,
      freeBytes: int,
      conflicts: int,
      associations: int,
      refusing: bool
    )

    # An alarm is something a person must look at. No patient data.
    type Alarm (
      severity: (warning, critical),
      code: string,
      subject: string,
      message: string,
      since: string
    )

    type Status (
      name: string,
      version: string,
      pid: int,
      startedAt: string,
      now: string,
      state: (starting, running, stopping),
      health: (ok, warning, critical),
      cycleInterval: float,
      nextCycle: ?string,
      cycle: ?CycleStatus,
      lists: []ListStatus,
      peers: []PeerStatus,
      images: ImageTotals,
      archive: ?ArchiveStatus,
      portal: (reachable: ?bool, kind: string, flags: int, conflicts: int, reason: ?string),
      drift: int,
      driftAlarms: int,
      configuration: (file: ?string, loadedAt: string, reloadError: ?string),
      alarms: []Alarm
    )

    # none: nothing in the archive. fetching: under way, or fetched and being verified.
    # partial: some images are missing and none is being fetched now. complete: every image is in
    # the archive, verified twice, and the status is sendable.
    type ImageState (none, fetching, partial, complete)

    # owner: who can mend it.
    type Reason (
      code: string,
      text: string,
      owner: string
    )

    type Examination (
      system: string,
      number: string,
      list: ?string,
      flag: ?string,
      flagLabel: ?string,
      portalFlag: ?string,
      status: string,
      statusRaw: ?string,
      priority: (routine, urgent, stat),
      careUnit: ?string,
      modality: ?string,
      description: ?string,
      referral: ?string,
      scheduled: ?string,
      studyUid: ?string,
      resolvedStudyUid: ?string,
      images: ImageState,
      archived: int,
      expected: ?int,
      held: bool,
      reason: ?Reason,
      firstSeen: string,
      changed: string,
      verified: ?string,
      attempts: int,
      nextAttempt: ?string,
      source: ?string
    )

    type HistoryEntry (
      time: string,
      event: string,
      detail: string
    )

    # Every condition given must hold. Lists of values: any of them.
    # text: part of the number, the referral or a study UID.
    type Filter (
      lists: ?[]string,
      systems: ?[]string,
      flags: ?[]string,
      statuses: ?[]string,
      images: ?[]ImageState,
      numbers: ?[]string,
      text: ?string,
      held: ?bool,
      flagged: ?bool,
      changedSince: ?string,
      changedUntil: ?string
    )

    # kind: clear, set: a write that does not stick; foreign: a flag of ours by name but set by
    # somebody else and on no list, left alone; conflict: claimed by several lists.
    type Drift (
      system: string,
      number: string,
      kind: (clear, set, foreign, conflict),
      portalFlag: ?string,
      wantedFlag: ?string,
      lists: []string,
      attempts: int,
      since: ?string,
      nextAttempt: ?string,
      alarm: bool,
      reason: string
    )

    # Answers at once, from the process itself.
    method Ping() -> (name: string, version: string, pid: int, startedAt: string)

    # A row of a list as it is understood. Names no patient.
    type SampleRow (
      number: string,
      status: string,
      statusRaw: ?string,
      priority: (routine, urgent, stat),
      careUnit: ?string,
      modality: ?string
    )

    # One list as it was read for a plan. failure: why it cannot be relied upon.
    # refused: rows that cannot be used. repeated: rows that were there again, to the letter.
    # outOfScope: rows of care units that are not ours; foreignUnits: of which ones.
    # unknownStatuses: words that no entry of [statuses] explains. samples: the first few rows.
    type Reading (
      list: string,
      source: string,
      failure: ?string,
      seconds: float,
      snapshot: ?string,
      asOf: ?string,
      proof: ?string,
      rows: int,
      repeated: int,
      outOfScope: int,
      foreignUnits: [](careUnit: string, count: int),
      refused: [](reason: string, count: int, line: int),
      unknownStatuses: [](word: string, count: int),
      samples: []SampleRow
    )

    type PlanCounts (
      set: int,
      replace: int,
      clear: int,
      held: int,
      absent: int,
      waiting: int,
      foreign: int,
      conflict: int
    )

    # action: set, replace, clear; waiting: for the next try of one of these; absent: to be cleared
    # when it has been absent often enough; or what would not be done: held (by the brake, or since
    # rows of the list cannot be used), conflict, foreign.
    type PlannedChange (
      action: string,
      system: string,
      number: string,
      lists: []string,
      from: ?string,
      to: ?string,
      priority: (routine, urgent, stat),
      reason: ?string
    )

    # A snapshot. With `more`: again at every change, until the client closes.
    method GetStatus() -> (status: Status)

    # Starts a synchronisation (Starta synkning): joins a cycle that has not read yet, or else one
    # fresh cycle follows the running one. No lists means all. With `more`: progress until the
    # cycle has ended; the last reply has cycle.running false.
    # A client that goes away ends the following, never the cycle.
    method StartSync(lists: ?[]string, onBehalfOf: ?string) -> (
      cycle: CycleStatus,
      joined: bool,
      lists: []ListStatus,
      images: ImageTotals,
      imagesArchived: int,
      imagesExpected: int
    )

    # At most `limit` (1 to 1000, default 200) examinations in order of system and number.
    # `next` continues; absent at the end.
    method ListExaminations(filter: ?Filter, limit: ?int, cursor: ?string) -> (
      examinations: []Examination,
      next: ?string,
      total: int
    )

    # One examination by its number (US-nummer); system where several have the same number.
    method GetExamination(number: string, system: ?string) -> (
      examination: Examination,
      history: []HistoryEntry
    )

    # Flags in the portal that differ from what the lists say.
    method ListDrift() -> (drift: []Drift)

    # What would be done, without doing it: reads the lists (none means all) and the portal afresh,
    # once, in the time that a synchronisation gives them. Nothing is written and no absence counted.
    # Needs `more`. The first reply has the readings and the counts of all changes; `limit` of these
    # are sent, at most 500 in a reply, in the order in which they would be done. One at a time:
    # Busy while another plan is being made.
    method Plan(lists: ?[]string, limit: ?int) -> (
      readings: []Reading,
      portalFailure: ?string,
      counts: PlanCounts,
      changes: []PlannedChange
    )

    # Lets the clears of a list that the brake or an empty list holds go ahead, once.
    # count: how many the caller has seen; refused when more are held by now.
    method Approve(list: string, count: ?int, onBehalfOf: ?string) -> (approved: int)

    # Makes waiting retries of examinations due at once.
    method Retry(number: string, system: ?string, onBehalfOf: ?string) -> (examination: Examination)

    # The configuration in force as TOML, secrets masked.
    method GetConfiguration() -> (toml: string, file: ?string, loadedAt: string)

    # Reads the configuration file again, as SIGHUP does. An invalid one leaves the old in force.
    method Reload() -> (applied: []string, needsRestart: []string)

    error NoSuchList (list: string, known: []string)
    error NoSuchExamination (number: string)
    error AmbiguousExamination (number: string, systems: []string)
    error NothingToApprove (list: string)
    error MoreThanSeen (list: string, held: int)
    error InvalidConfiguration (errors: []string)
    error Busy (reason: string)
    error Stopping ()
    """

  /// What the monitor socket serves: nothing that changes anything or names an examination.
  public static let monitorMethods: Set<String> = [
    "\(name).Ping", "\(name).GetStatus",
  ]
}
