import DICOM
import Platform
import Synchronization

/// Which transfer syntax of several a requestor of C-GET gets for a SOP class, when nobody knows yet
/// which objects it will ask for: the one that most of what was stored lately could be sent in.
/// Programs that propose a compressed syntax and the uncompressed ones in one context would
/// otherwise get a context that fits nothing.
final class RetrievalChoice: Sendable {
  typealias Counts = [UID: [TransferSyntax: Int]]

  private struct Known {
    var counts: Counts = [:]
    var until: MonotonicTime?
  }

  private let reader: ArchiveReader
  private let known = Mutex(Known())

  /// Of the objects that are looked at, the latest.
  private static let sample = 4096
  /// How long the counts are believed.
  private static let lifetime = Duration.seconds(10)

  init(_ reader: ArchiveReader) {
    self.reader = reader
  }

  func choose(_ sopClass: UID, _ proposed: [TransferSyntax]) -> TransferSyntax? {
    // With nothing to choose, and that is what most propose, nothing has to be known.
    if proposed.count < 2 || proposed.allSatisfy({ !$0.isEncapsulated }) {
      return ContextPolicy.chooseRetrieval(sopClass, proposed)
    }
    return Self.choose(counts()[sopClass] ?? [:], sopClass, proposed)
  }

  /// Uncompressed objects can be sent in every uncompressed syntax, compressed ones in their own.
  static func choose(
    _ counts: [TransferSyntax: Int], _ sopClass: UID, _ proposed: [TransferSyntax]
  ) -> TransferSyntax? {
    let native = proposed.filter { !$0.isEncapsulated }
    var best = ContextPolicy.chooseRetrieval(sopClass, native)
    var most =
      native.isEmpty ? -1 : counts.reduce(0) { $0 + ($1.key.isEncapsulated ? 0 : $1.value) }
    for syntax in proposed where syntax.isEncapsulated {
      // Where as much speaks for either, what the requestor names first.
      let count = counts[syntax] ?? 0
      if count > most || count == most && proposed.first == syntax {
        best = syntax
        most = count
      }
    }
    return best
  }

  private func counts() -> Counts {
    let now = MonotonicTime.now
    if let counts = known.withLock({ $0.until.map { now < $0 } == true ? $0.counts : nil }) {
      return counts
    }
    let rows =
      (try? reader.read { database in
        try database.rows(
          """
          SELECT (SELECT text FROM word WHERE id=sop_class),
            (SELECT text FROM word WHERE id=transfer_syntax), count(*)
          FROM (SELECT sop_class, transfer_syntax FROM instance ORDER BY id DESC LIMIT ?)
          GROUP BY sop_class, transfer_syntax
          """, Self.sample
        ) { (UID($0.text(0)), TransferSyntax(UID($0.text(1))), $0.int(2)) }
      }) ?? []
    var counts: Counts = [:]
    for (sopClass, syntax, count) in rows { counts[sopClass, default: [:]][syntax] = count }
    known.withLock { $0 = Known(counts: counts, until: now + Self.lifetime) }
    return counts
  }
}
