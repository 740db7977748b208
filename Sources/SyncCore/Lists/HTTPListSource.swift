import HTTP
import JSON
import Platform

/// A list over HTTP (docs/list-api.yaml): page by page as one snapshot, as many rows as announced;
/// a list that has not changed costs one request.
public struct HTTPListSource: CollaborationListSource {
  private let service: HTTPService
  private let list: String
  private let pageSize: Int
  /// What the server has made longer ago is not believed.
  private let maxAge: Duration
  private let clock: any EngineClock

  /// The clocks of two machines may differ by this much.
  private static let clockTolerance: Duration = .seconds(300)

  /// - Parameter list: its name at the server.
  public init(
    service: HTTPService, list: String, pageSize: Int = 500, maxAge: Duration,
    clock: any EngineClock = SystemClock()
  ) {
    self.service = service
    self.list = list
    self.pageSize = pageSize
    self.maxAge = maxAge
    self.clock = clock
  }

  private var place: String { "\(service.base) list \(list)" }

  public func read(
    deadline: Deadline, previous: SnapshotIdentity?
  ) throws(ListReadError) -> ListReading {
    let known = previous.flatMap { Known($0) }
    let reader = PagedReader(
      service: service,
      path: "/v1/lists/\(HTTPURL.escaped(list))/examinations?limit=\(pageSize)",
      deadline: deadline)
    let rows = Rows()
    let outcome: PagedReader.Outcome
    do throws(PagedReader.Failure) {
      outcome = try reader.read(etag: known?.etag, rows)
    } catch {
      throw ListReadError(place, error.description)
    }
    switch outcome {
    case .unchanged(let asOf):
      // Without a word about the time, the answer itself is the server's word: it holds now.
      let asOf = asOf ?? clock.wall
      try checkAge(asOf)
      return .confirmed(snapshotID: "\(known!.snapshotID)@\(clock.wall)", asOf: asOf)
    case .complete(let proof):
      try checkAge(proof.asOf)
      return .snapshot(
        ListSnapshot(
          snapshotID: "\(proof.snapshotID)@\(proof.asOf)", asOf: proof.asOf, rows: rows.rows,
          refusedRows: rows.refused,
          identity: Known(etag: proof.etag, snapshotID: proof.snapshotID).identity,
          proof: "\(proof.total) rows of \(proof.total) announced on \(proof.pages) "
            + "\(proof.pages == 1 ? "page" : "pages"), snapshot "
            + "\(proof.snapshotID.prefix(40)), made \(proof.asOf)"))
    }
  }

  private func checkAge(_ made: WallTime) throws(ListReadError) {
    let age = clock.wall - made
    if age > maxAge {
      throw ListReadError(
        place,
        "made at \(made), longer ago than \(DurationText.format(maxAge)): does the server still "
          + "get its data?")
    }
    if .zero - age > Self.clockTolerance {
      throw ListReadError(place, "made at \(made), which is in the future: check the clocks")
    }
  }

  /// What an identity keeps of a snapshot.
  private struct Known {
    var etag: String?
    var snapshotID: String

    init(etag: String?, snapshotID: String) {
      self.etag = etag
      self.snapshotID = snapshotID
    }

    init?(_ identity: SnapshotIdentity) {
      // An entity tag holds no line end.
      let parts = identity.text.split(
        separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else { return nil }
      etag = String(parts[0])
      snapshotID = String(parts[1])
    }

    var identity: SnapshotIdentity { SnapshotIdentity("\(etag ?? "")\n\(snapshotID)") }
  }

  /// Collects the rows.
  private final class Rows: PageConsumer {
    private var collector = RowCollector()
    private var count = 0

    var rows: ListRows { collector.rows }
    var refused: [RefusedRow] { collector.refused }

    func begin() {
      collector = RowCollector()
      count = 0
    }

    func take(_ item: JSONValue, page: Int) -> String? {
      count += 1
      guard case .object = item else { return "row \(count) is no object" }
      var wrong: String?
      func text(_ name: String) -> String? {
        switch item[name] {
        case nil, .null: return nil
        case .string(let value): return value.isEmpty ? nil : value
        default:
          // Numbers lose what makes an identifier: leading zeros.
          wrong = "row \(count): `\(name)` is not a text: identifiers have to be in quotes"
          return nil
        }
      }
      let row = ListRow(
        examination: text("number") ?? "", referral: text("referral"),
        studyUID: text("studyUid"), patientID: text("patientId"), status: text("status"),
        modality: text("modality"), description: text("description"),
        careUnit: text("careUnit"), scheduled: text("scheduled"), priority: text("priority"),
        patientName: text("patientName"))
      if let wrong { return wrong }
      let before = (collector.rows.count, collector.refused.count)
      do throws(RowCollector.Fault) {
        try collector.add(row, line: count)
      } catch {
        return "row \(error.line): \(error.message)"
      }
      // With the right number of rows, one that stands there twice hides another one.
      if before == (collector.rows.count, collector.refused.count) {
        return
          "row \(count): an examination that stands there twice: the rows do not belong together"
      }
      return nil
    }
  }
}
