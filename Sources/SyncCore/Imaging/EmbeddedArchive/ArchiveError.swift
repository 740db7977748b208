import Platform
import SQLite

/// Why the embedded archive cannot do something. Never holds patient data.
public enum ArchiveError: Error, CustomStringConvertible {
  /// Another process has the archive's directory open.
  case inUse(directory: String)
  /// A directory or file of the archive cannot be used.
  case system(SystemError)
  /// The index cannot be read or written. Objects on disk are safe; the next start, or a later
  /// attempt, brings the index up to date.
  case index(SQLiteError)
  /// The archive has been closed.
  case closed

  public var description: String {
    switch self {
    case .inUse(let directory):
      "the archive \(directory) is in use by another process: stop it, or choose another directory"
    case .system(let error): "archive: \(error)"
    case .index(let error): "archive index: \(error)"
    case .closed: "the archive has been closed"
    }
  }

  /// Names any error thrown by a query of the index.
  static func wrapping(_ error: any Error) -> ArchiveError {
    switch error {
    case let error as ArchiveError: error
    case let error as SQLiteError: .index(error)
    case let error as SystemError: .system(error)
    default: .index(SQLiteError(extendedCode: 1, message: String(describing: error)))
    }
  }
}
