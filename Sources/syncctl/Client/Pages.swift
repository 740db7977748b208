import JSON

/// A list that the daemon gives page by page.
struct Pages {
  /// What one call asks for at most.
  static let size = 500

  /// The array of rows in the reply.
  let rows: String
  let filter: JSONObject
  /// How many rows are wanted in all.
  let limit: Int

  /// Hands over every page until the list ends or enough has been seen.
  /// - Returns: how many rows were handed over, and how many there are.
  func each(
    call: (JSONObject) throws(Failure) -> Fields,
    body: (ArraySlice<Fields>) throws(Failure) -> Void
  ) throws(Failure) -> (shown: Int, total: Int) {
    var left = limit
    var cursor: String?
    var shown = 0
    var total = 0
    repeat {
      var parameters: JSONObject = ["limit": JSONValue(min(left, Self.size))]
      if !filter.isEmpty { parameters["filter"] = .object(filter) }
      if let cursor { parameters["cursor"] = .string(cursor) }
      let reply = try call(parameters)
      let page = try reply.objects(rows).prefix(left)
      total = try reply.int("total")
      let next = try reply.optionalString("next")
      guard next == nil || next != cursor else {
        throw Failure(.versionMismatch, "syncd's pages do not end: the same cursor came twice")
      }
      cursor = next
      try body(page)
      shown += page.count
      left -= page.count
    } while cursor != nil && left > 0
    return (shown, total)
  }
}
