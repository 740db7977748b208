import DICOM
import Platform

/// The storage commitments that have been asked for and not answered yet. A peer may report on an
/// association of its own, minutes later: such reports come here from our server, and whoever
/// waits for one finds it by its transaction.
public final class CommitmentDesk: CommitmentReportReceiver {
  private struct Entry {
    /// The AE title of the peer that was asked: nobody else can answer for it.
    let aeTitle: String
    var report: CommitmentReport?
    /// The one who asked waits no longer.
    var isOver = false
  }

  private struct State {
    var entries: [UID: Entry] = [:]
    /// Those that are over, the oldest first.
    var over: [UID] = []
  }

  /// How many transactions that are over are remembered, so that a late report is taken for what it
  /// is and its sender does not repeat it.
  static let remembered = 1000

  private let state = Monitor(State())

  public init() {}

  /// Notes a transaction before it is sent.
  public func expect(_ transaction: UID, from aeTitle: String) {
    state.update { $0.entries[transaction] = Entry(aeTitle: aeTitle) }
  }

  /// The report on a transaction; nil if it has not come by the deadline.
  public func report(on transaction: UID, until deadline: Deadline) -> CommitmentReport? {
    state.wait(until: deadline) { $0.entries[transaction]?.report }
  }

  /// Nobody waits for a transaction any more.
  public func finish(_ transaction: UID) {
    state.update { state in
      guard state.entries[transaction] != nil else { return }
      state.entries[transaction]?.isOver = true
      state.entries[transaction]?.report = nil
      state.over.append(transaction)
      if state.over.count > Self.remembered {
        state.entries[state.over.removeFirst()] = nil
      }
    }
  }

  public func received(
    _ report: CommitmentReport, from association: AssociationInfo
  ) throws(ServiceFailure) {
    try state.update { (state) throws(ServiceFailure) in
      guard let entry = state.entries[report.transaction] else {
        throw ServiceFailure(.processingFailure, "no such transaction here")
      }
      guard entry.aeTitle == association.callingAE else {
        throw ServiceFailure(.notAuthorized, "the transaction is another application's")
      }
      if !entry.isOver, entry.report == nil {
        state.entries[report.transaction]?.report = report
      }
    }
  }
}
