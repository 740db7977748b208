/// One fault in a configuration file.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
  public var file: String
  public var line: Int
  public var column: Int
  /// The dotted path of the key: `archive.port`, `list[2].flag`.
  public var key: String
  /// What was found and what is allowed.
  public var message: String

  public var description: String {
    key.isEmpty
      ? "\(file):\(line):\(column): \(message)" : "\(file):\(line):\(column): \(key): \(message)"
  }
}

/// Every fault of a configuration file, not only the first.
public struct ConfigurationErrors: Error, Hashable, Sendable, CustomStringConvertible {
  public var errors: [ConfigurationError]

  public var description: String { errors.map(\.description).joined(separator: "\n") }
}
