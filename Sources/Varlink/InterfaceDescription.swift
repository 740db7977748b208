/// A varlink interface: its name, types, methods and errors, read from its description in the
/// interface definition language.
public struct InterfaceDescription: Sendable {
  public struct Method: Equatable, Sendable {
    public let name: String
    public let input: [VarlinkField]
    public let output: [VarlinkField]
  }

  public let name: String
  /// The description as it was written, with its comments.
  public let text: String
  /// Types with a name: structures and enumerations.
  public internal(set) var types: [String: VarlinkType] = [:]
  public internal(set) var methods: [String: Method] = [:]
  public internal(set) var errors: [String: [VarlinkField]] = [:]

  /// Reads a description.
  public init(_ text: String) throws(DescriptionError) {
    var parser = DescriptionParser(text)
    name = try parser.interfaceName()
    self.text = text
    try parser.members(of: &self)
  }

  init(name: String, text: String) {
    self.name = name
    self.text = text
  }
}

public struct VarlinkField: Equatable, Sendable {
  public let name: String
  public let type: VarlinkType
}

public indirect enum VarlinkType: Equatable, Sendable {
  case bool
  case int
  case float
  case string
  /// Any JSON object.
  case object
  /// A type of the interface, by name.
  case named(String)
  case array(VarlinkType)
  /// `[string]T`; with an empty structure as T it is a set of strings.
  case map(VarlinkType)
  case optional(VarlinkType)
  case structure([VarlinkField])
  case enumeration([String])
}

/// What is wrong with a description, and on which line.
public struct DescriptionError: Error, Equatable, Sendable, CustomStringConvertible {
  public let line: Int
  public let reason: String

  public var description: String { "line \(line): \(reason)" }
}
