/// A recipient with what it has from those above it.
public struct ResolvedRecipient: Hashable, Sendable {
  public var id: String
  /// The labels from the top of the tree down to its own.
  public var path: [String]
  /// The name of a ``Configuration/Destination``; nil for what is only a branch of the tree.
  public var destination: String?
  public var kinds: [AssignmentKind]
  /// The systems whose examinations it takes; nil for any.
  public var systems: [String]?
  /// The receiving unit of its messages.
  public var hsaID: String?
}

extension ResolvedRecipient {
  /// The path of labels: `Evidia > CT`.
  public var label: String { path.joined(separator: " > ") }
}

extension SendGate.Recipient {
  public init(_ recipient: ResolvedRecipient) {
    self.init(
      id: recipient.id, label: recipient.label, destination: recipient.destination,
      kinds: recipient.kinds, systems: recipient.systems)
  }
}

extension Configuration {
  /// A recipient with what it inherits: of each property the nearest one upwards in the tree. A
  /// property is taken whole: what a recipient says of itself replaces what its parents say.
  /// Nil where no recipient has this id.
  public func resolvedRecipient(_ id: String) -> ResolvedRecipient? {
    guard let recipient = recipients.first(where: { $0.id == id }) else { return nil }
    let line = line(of: recipient)
    return ResolvedRecipient(
      id: id, path: line.reversed().map(\.label),
      destination: line.lazy.compactMap(\.destination).first,
      kinds: line.lazy.compactMap(\.kinds).first ?? AssignmentKind.allCases,
      systems: line.lazy.compactMap(\.systems).first,
      hsaID: line.lazy.compactMap(\.hsaID).first)
  }

  /// A recipient and those above it, upwards. Ends also where the parents form a circle.
  func line(of recipient: Recipient) -> [Recipient] {
    var result = [recipient]
    while let parent = result[result.count - 1].parent,
      let next = recipients.first(where: { $0.id == parent }),
      !result.contains(where: { $0.id == next.id })
    {
      result.append(next)
    }
    return result
  }
}
