import DICOM
import Glibc
import HTTP
import Platform

/// A list that is a Modality Worklist (PS3.4 annex K): its members are the steps scheduled at a
/// station whose AE title stands for the list.
///
/// What proves an answer complete is the final status Success, and nothing else: the protocol has
/// no total and no digest.
public struct WorklistSource: CollaborationListSource {
  public let worklist: Configuration.Worklist
  public let address: PeerAddress
  public let timeouts: AssociationTimeouts
  private let turns: PeerTurns
  private let clock: any EngineClock
  private let user: DICOMUser?

  /// - Parameters:
  ///   - turns: shared by the lists of one peer.
  ///   - user: who we say we are, where the peer asks.
  public init(
    _ worklist: Configuration.Worklist, address: PeerAddress,
    timeouts: AssociationTimeouts = AssociationTimeouts(), turns: PeerTurns = PeerTurns(1),
    clock: any EngineClock = SystemClock(), user: DICOMUser? = nil
  ) {
    self.user = user
    self.worklist = worklist
    self.address = address
    self.timeouts = timeouts
    self.turns = turns
    self.clock = clock
  }

  /// Never answers ``ListReading/unchanged``, although equal content is seen by its digest: that
  /// means that the snapshot of before still lies there, which the engine does not count again. A
  /// worklist has no snapshots. Each query looks anew, and each complete answer without an
  /// examination is evidence of its own that it has left the list; told as unchanged, the first
  /// such answer would be the last, and no flag would ever be cleared.
  public func read(
    deadline: Deadline, previous: SnapshotIdentity?
  ) throws(ListReadError) -> ListReading {
    guard turns.take(until: deadline) else {
      throw failure(
        "the time for reading the list was over before the peer's other lists were read")
    }
    defer { turns.give() }
    // Of the beginning: what changes meanwhile may be in the answer or not.
    let asOf = clock.wall
    var table = WorklistTable(worklist, days: days(asOf))
    let result = try query(&table, deadline)
    guard result.status.isSuccess else {
      // Without the peer's comment: it may tell of patients.
      throw failure(
        "the peer did not finish the query: \(result.status) after \(table.answers) answers")
    }
    let rows = table.rows()
    let digest = Self.digest(rows)
    // Two reads in one millisecond, or one after the clock was set back, are two snapshots as well.
    let unique = String(UInt64.random(in: .min ... .max), radix: 16)
    return .snapshot(
      ListSnapshot(
        snapshotID: "\(asOf)/\(digest.prefix(16))/\(unique)", asOf: asOf, rows: ListRows(rows),
        refusedRows: table.refused, identity: SnapshotIdentity("\(worklist.station)|\(digest)"),
        proof: "\(table.answers) answers from \(worklist.peer), then \(result.status), "
          + "sha256 \(digest.prefix(16))…"))
  }

  private func query(
    _ table: inout WorklistTable, _ deadline: Deadline
  ) throws(ListReadError) -> OperationResult {
    let identifier: DataSet
    do throws(DataSetError) {
      identifier = try table.identifier()
    } catch {
      throw failure("the station cannot be asked for: \(error)")
    }
    let association = try open(deadline)
    // Time-outs start anew with each sign of life; this does not.
    let isDone = Gate()
    WorkThread.start("worklist-limit") {
      if !isDone.wait(until: deadline) { association.interrupt() }
    }
    defer { isDone.open() }
    var problem: WorklistTable.Failure?
    let result: OperationResult
    do throws(AssociationError) {
      result = try association.find(identifier, in: .modalityWorklist) { answer in
        do throws(WorklistTable.Failure) {
          try table.add(answer)
          return true
        } catch {
          problem = error
          return false
        }
      }
    } catch {
      throw problem.map(refusal) ?? failure(error, table.answers)
    }
    if let problem {
      association.abort()
      throw refusal(problem)
    }
    do throws(AssociationError) { try association.release() } catch { association.abort() }
    return result
  }

  private func open(_ deadline: Deadline) throws(ListReadError) -> Association {
    var timeouts = timeouts
    if let time = deadline.time {
      let left = max(time - .now, .milliseconds(1))
      timeouts.connect = min(timeouts.connect, left)
      timeouts.association = min(timeouts.association, left)
    }
    let identity: UserInformation.UserIdentity?
    do throws(SecretPlace.Fault) { identity = try user?.identity() } catch {
      throw failure("the passcode: \(error)")
    }
    do throws(AssociationError) {
      return try Association.request(
        to: address, contexts: [ProposedContext(InformationModel.modalityWorklist.findClass)],
        timeouts: timeouts, extensions: AssociationExtensions(userIdentity: identity))
    } catch {
      throw failure(error, 0)
    }
  }

  /// Steps begin on days of the machine's own time zone, as the peer's are of its own.
  private func days(_ now: WallTime) -> WorklistTable.Days {
    func day(_ offset: Int) -> String {
      var seconds = time_t(now.milliseconds / 1000)
      var parts = tm()
      localtime_r(&seconds, &parts)
      // Noon: a day of 23 or 25 hours does not make it another one.
      parts.tm_hour = 12
      parts.tm_mday += Int32(clamping: offset)
      parts.tm_isdst = -1
      seconds = mktime(&parts)
      return String(
        WallTime(milliseconds: Int64(seconds) * 1000).local.prefix(10).filter {
          $0 != "-"
        })
    }
    return WorklistTable.Days(
      first: worklist.daysBack.map { day(-$0) }, last: worklist.daysAhead.map { day($0) })
  }

  private static func digest(_ rows: [ListRow]) -> String {
    var hash = SHA256()
    for row in rows {
      for value in [
        row.examination, row.referral, row.studyUID, row.patientID, row.patientName, row.status,
        row.modality, row.description, row.careUnit, row.scheduled, row.priority,
      ] {
        // No text has these bytes: absent and empty, and where one value ends, stay apart.
        hash.update(value.map { Array($0.utf8) + [0xFE] } ?? [0xFF])
      }
    }
    return SHA256.hex(hash.finalize())
  }

  // MARK: - Errors

  private var place: String { "\(worklist.peer) (\(address))" }

  private func failure(_ message: String) -> ListReadError { ListReadError(place, message) }

  private func refusal(_ failure: WorklistTable.Failure) -> ListReadError {
    ListReadError("\(place), answer \(failure.answer)", failure.message)
  }

  private func failure(_ error: AssociationError, _ answers: Int) -> ListReadError {
    let after = answers == 0 ? "" : ", after \(answers) answers"
    switch error {
    case .interrupted: return failure("the time for reading the list was over\(after)")
    case .noAcceptedContext: return failure("the peer offers no Modality Worklist")
    default: return failure("\(error)\(after)")
    }
  }
}

/// How many lists may be read from one peer at once.
public final class PeerTurns: Sendable {
  private let free: Monitor<Int>

  public init(_ count: Int) { free = Monitor(count) }

  /// False if the deadline came first.
  func take(until deadline: Deadline) -> Bool {
    free.wait(until: deadline) { free -> Bool? in
      guard free > 0 else { return nil }
      free -= 1
      return true
    } ?? false
  }

  func give() { free.update { $0 += 1 } }
}
