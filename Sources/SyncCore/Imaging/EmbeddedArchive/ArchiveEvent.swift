import DICOM

/// What the archive has to tell an operator. No patient data: UIDs and AE titles only.
public enum ArchiveEvent: Sendable, CustomStringConvertible {
  /// Other bytes came under the UID of an object already there. Both are kept.
  case conflict(sopInstance: UID, study: UID, source: String)
  /// Objects are refused for want of disk space.
  case diskLow(free: Int64, minimum: Int64)
  /// There is space again.
  case diskRecovered(free: Int64)
  /// Objects cannot be made durable; new ones are refused until it works again.
  case indexFailed(ArchiveError)
  case indexRecovered
  /// The disk failed before these were promised. They were put aside and must come again.
  case unsynchronized(objects: Int)
  /// The index could not be read and was made anew from the objects; the old one was kept aside.
  case indexRebuilt(objects: Int, oldIndex: String)
  /// After a crash: files that got rows, rows without files that were dropped, and files cut short
  /// by a power failure that were put aside.
  case recovered(indexed: Int, dropped: Int, damaged: Int)
  /// An object was refused for what it holds.
  case refused(sopInstance: UID, source: String, reason: String)

  public var description: String {
    switch self {
    case .conflict(let instance, let study, let source):
      "object \(instance) of study \(study) came from \(source) with other content than before; "
        + "both are kept, the first one is used"
    case .diskLow(let free, let minimum):
      "objects are refused: \(free >> 20) MiB of disk free, \(minimum >> 20) MiB required"
    case .diskRecovered(let free): "objects are accepted again: \(free >> 20) MiB of disk free"
    case .indexFailed(let error): "objects are refused: \(error)"
    case .indexRecovered: "objects are accepted again: the index works"
    case .unsynchronized(let objects):
      "the disk failed: \(objects) objects just received are not archived and must come again"
    case .indexRebuilt(let objects, let old):
      "the index was unreadable and was rebuilt from \(objects) objects; the old one is \(old)"
    case .recovered(let indexed, let dropped, let damaged):
      "after an unclean end: \(indexed) objects indexed, \(dropped) rows without a file dropped, "
        + "\(damaged) incomplete files put aside"
    case .refused(let instance, let source, let reason):
      "object \(instance) from \(source) was refused: \(reason)"
    }
  }
}
