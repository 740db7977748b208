import Platform
public struct Log: Sendable {
  static let silent = Log()
  enum Level { case debug, info, notice, warning, error }
  func write(_ l: Level, _ m: String, _ f: [String: String]) {}
  func error(_ m: String, _ f: [String: String]) {}
  func warning(_ m: String, _ f: [String: String]) {}
  func notice(_ m: String, _ f: [String: String]) {}
  func info(_ m: String, _ f: [String: String]) {}
}
public enum ListReading: Sendable { case unchanged, snapshot(ListSnapshot) }
public struct SnapshotIdentity: Sendable, Hashable {}
public struct ListRow: Sendable { var examination: String; var referral, studyUID, patientID, patientName, status, modality, description, careUnit, scheduled, priority: String? }
public struct ListSnapshot: Sendable { var snapshotID: String; var asOf: WallTime; var rows: [ListRow]; var refusedRows: [Int]; var identity: SnapshotIdentity }
public struct ListReadError: Error, CustomStringConvertible { public var description: String { "" } }
public protocol CollaborationListSource: Sendable { func read(deadline: Deadline, previous: SnapshotIdentity?) throws(ListReadError) -> ListReading }
struct SHA256 { mutating func update(_ b: [UInt8]) {}; mutating func finalize() -> [UInt8] { [] } }
