// Recipients are a tree: organisation, care unit, subunit. What one does not say, it has from above.
extension Configuration {
  /// A recipient with what it inherits; nil where there is none of that id.
  public func resolvedRecipient(_ id: String) -> SendGate.Recipient? {
    let line = recipientLine(id)
    guard !line.isEmpty else { return nil }
    return SendGate.Recipient(
      id: id, label: line.reversed().map(\.label).joined(separator: " > "),
      destination: line.lazy.compactMap(\.destination).first,
      kinds: line.lazy.compactMap(\.kinds).first,
      systems: line.lazy.compactMap(\.systems).first)
  }

  /// The HSA-id of a recipient's unit, its own or the nearest above.
  public func hsaID(ofRecipient id: String) -> String? {
    recipientLine(id).lazy.compactMap(\.hsaID).first
  }

  /// A recipient and those above it. Ends where a circle would begin.
  private func recipientLine(_ id: String) -> [Recipient] {
    var line: [Recipient] = []
    var next: String? = id
    while let id = next, let found = recipients.first(where: { $0.id == id }),
      !line.contains(where: { $0.id == id })
    {
      line.append(found)
      next = found.parent
    }
    return line
  }
}
