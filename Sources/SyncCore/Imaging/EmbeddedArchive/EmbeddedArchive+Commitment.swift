import DICOM

extension EmbeddedArchive: CommitmentProvider {
  /// Commits to what has its row: its bytes and its place in the index are on the disk, and a query
  /// finds it (PS3.4 section J.4). What was acknowledged before the request is made durable first.
  public func commitment(
    to request: CommitmentRequest, for association: AssociationInfo
  ) -> CommitmentReport {
    var committed: [ObjectReference] = []
    var failed: [CommitmentReport.Failure] = []
    do throws(ArchiveError) {
      try flush()
      let classes = try storedClasses(request.references.map(\.sopInstance.value))
      for reference in request.references {
        switch classes[reference.sopInstance.value] {
        case nil: failed.append(.init(reference, .noSuchSOPInstance))
        case reference.sopClass.value?: committed.append(reference)
        case _?: failed.append(.init(reference, .classInstanceConflict))
        }
      }
    } catch {
      return CommitmentReport(
        transaction: request.transaction, committed: [],
        failed: request.references.map { .init($0, .processingFailure) })
    }
    return CommitmentReport(
      transaction: request.transaction, committed: committed, failed: failed)
  }

  /// The SOP classes of the objects that are stored, by SOP Instance UID.
  private func storedClasses(_ uids: [String]) throws(ArchiveError) -> [String: String] {
    var classes: [String: String] = [:]
    var rest = uids[...]
    while !rest.isEmpty {
      let page = rest.prefix(ArchiveReader.listLimit)
      rest = rest.dropFirst(page.count)
      for row in try reader.instances(Array(page)) { classes[row.uid] = row.sopClass }
    }
    return classes
  }
}
