import Platform

extension Endpoint {
  /// Reads a varlink address: `unix:/run/service` or `tcp:127.0.0.1:12345`, with parameters after
  /// a semicolon passed over. Nil for what it cannot be, abstract sockets among them.
  public init?(varlinkAddress text: String) {
    let address = text.prefix { $0 != ";" }
    if address.hasPrefix("unix:") {
      let path = address.dropFirst(5)
      guard let first = path.first, first != "@" else { return nil }
      self = .unix(path: String(path))
    } else if address.hasPrefix("tcp:") {
      let rest = address.dropFirst(4)
      guard let colon = rest.lastIndex(of: ":"),
        let port = UInt16(rest[rest.index(after: colon)...])
      else { return nil }
      var host = rest[..<colon]
      if host.hasPrefix("["), host.hasSuffix("]") { host = host.dropFirst().dropLast() }
      self = .tcp(host: String(host), port: port)
    } else {
      return nil
    }
  }
}
