import Platform

/// A request, complete before it is sent.
public struct HTTPRequest: Sendable {
  public var method: String
  public var url: String
  public var headers: [(name: String, value: String)]
  public var body: [UInt8]?
  /// Sent as the body's type where there is a body.
  public var contentType = "application/json"
  /// What a successful answer's type must contain where it is taken piece by piece: `json`.
  public var expectedType: String?
  /// Gets the body of a successful answer (2xx) piece by piece, on the session's thread; false ends
  /// the transfer. Nil: the body comes with the answer, up to the session's limit.
  public var onBody: (@Sendable (UnsafeRawBufferPointer) -> Bool)?

  public init(
    _ method: String, _ url: String, headers: [(name: String, value: String)] = [],
    body: [UInt8]? = nil, onBody: (@Sendable (UnsafeRawBufferPointer) -> Bool)? = nil
  ) {
    self.method = method
    self.url = url
    self.headers = headers
    self.body = body
    self.onBody = onBody
  }
}

/// An answer, whatever its status.
public struct HTTPResponse: Sendable {
  public var status: Int
  /// Names in lower case, in the order in which they came.
  public var headers: [(name: String, value: String)]
  /// Empty where the request took it piece by piece.
  public var body: [UInt8]
  /// 10, 11, 20 or 30; 0 where it is not known.
  public var version = 0
  /// The server's own certificate in PEM form, where this request made the connection.
  public var peerCertificate: String?

  public init(status: Int, headers: [(name: String, value: String)] = [], body: [UInt8] = []) {
    self.status = status
    self.headers = headers
    self.body = body
  }

  /// The first header of a name, in lower case.
  public subscript(header: String) -> String? {
    headers.first { $0.name == header }?.value
  }

  public var isSuccess: Bool { (200..<300).contains(status) }

  /// How long the server wants not to be asked (RFC 9110 section 10.2.3), in either form; never
  /// more than a day.
  public func retryAfter(now: WallTime) -> Duration? {
    guard let text = self["retry-after"] else { return nil }
    let wait: Duration
    if text.utf8.allSatisfy({ $0 >= 0x30 && $0 <= 0x39 }), let seconds = Int64(text.prefix(9)) {
      wait = .seconds(seconds)
    } else if let time = HTTPDate.parse(text) {
      wait = time - now
    } else {
      return nil
    }
    return max(.zero, min(wait, .seconds(86400)))
  }
}

/// There is no answer, or none that can be used.
public struct HTTPFailure: Error, Sendable, Hashable, CustomStringConvertible {
  public enum Kind: Sendable, Hashable {
    /// No connection: nothing was asked.
    case unreachable
    /// The peer is not who it must be, or does not take us for who we are: nothing was asked.
    case untrusted
    /// No answer in time. Whether it did what it was asked, nobody knows.
    case timeout
    /// The connection broke. Whether it did what it was asked, nobody knows.
    case broken
    /// The answer came, and is of no use.
    case unusable
    /// Not even tried: forbidden by ourselves, or impossible.
    case notTried
    /// Not tried because the server is being left alone (``CircuitBreaker``): later it may be.
    case leftAlone
  }

  public let kind: Kind
  /// What went wrong and what to do.
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  public var isTimeout: Bool { kind == .timeout }

  /// Whether the server may have done what it was asked.
  public var isOutcomeUnknown: Bool {
    switch kind {
    case .unreachable, .untrusted, .notTried, .leftAlone: false
    case .timeout, .broken, .unusable: true
    }
  }
}

/// Dates as HTTP writes them (RFC 9110 section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`. The two
/// forms that have been obsolete since 1997 are not read.
public enum HTTPDate {
  private static let months = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
  ]

  public static func parse(_ text: String) -> WallTime? {
    let parts = text.split(separator: " ")
    guard parts.count == 6, parts[0].hasSuffix(","), parts[5] == "GMT",
      let month = months.firstIndex(of: String(parts[2])), parts[1].utf8.count == 2,
      parts[3].utf8.count == 4, parts[4].utf8.count == 8
    else { return nil }
    let number = month + 1
    return WallTime(
      rfc3339: "\(parts[3])-\(number < 10 ? "0" : "")\(number)-\(parts[1])T\(parts[4])Z")
  }
}
