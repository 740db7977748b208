/// One step of a schema's history. Steps are only ever appended: the number of a step in its list,
/// from 1, is the version it leads to.
public struct Migration: Sendable {
  /// What it does, for the error message.
  public let name: String
  let apply: @Sendable (Database) throws -> Void

  public init(_ name: String, _ sql: String) {
    self.name = name
    apply = { try $0.executeScript(sql) }
  }

  public init(_ name: String, _ apply: @escaping @Sendable (Database) throws -> Void) {
    self.name = name
    self.apply = apply
  }
}

extension Database {
  /// Brings the schema to the newest version, one transaction a step.
  /// - Throws: ``SQLiteError`` with `isNewerSchema` where the file is of a newer program.
  public func migrate(_ migrations: [Migration]) throws {
    let found = try userVersion()
    guard found <= migrations.count else {
      throw SQLiteError(
        extendedCode: SQLiteError.newerSchema,
        message: "schema version \(found) is newer than this program's \(migrations.count): "
          + "install the newer program, or move \(path) aside",
        sql: "migrate \(path)")
    }
    for (index, migration) in migrations.enumerated().dropFirst(found) {
      try transaction {
        // Another process may have been faster.
        guard try userVersion() == index else { return }
        try migration.apply(self)
        try execute("PRAGMA user_version=\(index + 1)")
      }
    }
  }
}
