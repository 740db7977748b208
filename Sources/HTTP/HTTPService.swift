import JSON
import Platform
import Synchronization
import TLS

/// One server that is asked again and again: its connections, its authentication, and the rules of
/// conduct towards it.
///
/// - A token is renewed once when the server refuses it (401).
/// - What the server says of how long it wants to be left alone (429, 503 with Retry-After) holds
///   for everybody here.
/// - One that fails again and again is left alone for a while (``CircuitBreaker``).
/// - A redirect is an error that says where it points.
public final class HTTPService: Sendable {
  public let name: String
  public let base: HTTPURL
  private let session: HTTPSession
  private let tokens: TokenKeeper
  private let jitter: @Sendable () -> Double

  private struct State {
    var breaker: CircuitBreaker
    /// Why it is being left alone.
    var reason = ""
    var version = 0
    var requests = 0
    var peerUntil: WallTime?
  }
  private let state: Mutex<State>

  public init(
    name: String, base: HTTPURL, settings: HTTPSession.Settings = HTTPSession.Settings(),
    authentication: HTTPAuthentication = .none,
    breaker: CircuitBreaker.Policy = CircuitBreaker.Policy(),
    jitter: @escaping @Sendable () -> Double = { Double.random(in: 0...1) }
  ) {
    self.name = name
    self.base = base
    self.jitter = jitter
    session = HTTPSession(settings, name: name)
    tokens = TokenKeeper(authentication, session)
    state = Mutex(State(breaker: CircuitBreaker(policy: breaker)))
  }

  /// Requests that may be under way at the same time.
  public var parallel: Int { session.settings.parallel }
  /// Until when it is left alone; nil where it is not, or where that is over and somebody is
  /// trying on behalf of all.
  public var restsUntil: MonotonicTime? {
    state.withLock { $0.breaker.closedUntil.flatMap { $0 > .now ? $0 : nil } }
  }

  /// What is known of the server, for show.
  public struct Facts: Sendable, Hashable {
    /// As ``HTTPResponse/version``.
    public var version: Int
    public var requests: Int
    public var closedUntil: MonotonicTime?
    public var reason: String
    /// When the server's certificate ends.
    public var peerCertificateUntil: WallTime?
    /// When our own does.
    public var ownCertificateUntil: WallTime?
  }

  public var facts: Facts {
    let own = session.settings.tls.certificate.flatMap { CertificateDates.ofFile($0)?.notAfter }
    return state.withLock {
      Facts(
        version: $0.version, requests: $0.requests, closedUntil: $0.breaker.closedUntil,
        reason: $0.reason, peerCertificateUntil: $0.peerUntil, ownCertificateUntil: own)
    }
  }

  /// Asks, and returns the answer whatever its status; but for redirects, which are failures.
  /// - Parameters:
  ///   - path: below the base, beginning with a slash, its parts escaped.
  ///   - headers: beside those for authentication.
  public func ask(
    _ method: String, _ path: String, headers: [(name: String, value: String)] = [],
    body: [UInt8]? = nil, deadline: Deadline,
    onBody: (@Sendable (UnsafeRawBufferPointer) -> Bool)? = nil
  ) throws(HTTPFailure) -> HTTPResponse {
    try admit()
    do throws(HTTPFailure) {
      var token = try tokens.token(deadline: deadline)
      var request = HTTPRequest(method, base.description + path, body: body, onBody: onBody)
      request.headers = headers + Self.authorization(token)
      request.expectedType = "json"
      var response = try session.perform(request, deadline: deadline)
      if response.status == 401, let refused = token, tokens.refused(refused) {
        token = try tokens.token(deadline: deadline)
        request.headers = headers + Self.authorization(token)
        response = try session.perform(request, deadline: deadline)
      }
      note(response)
      try refuseRedirect(response)
      return response
    } catch {
      noteFailure(error)
      throw error
    }
  }

  /// Asks with streams for bodies (see ``HTTPExchange``), and waits for the answer's head, which may
  /// have any status but that of a redirect. What is left of the answer is for the caller to read.
  /// - Parameters:
  ///   - contentType: of the request's body.
  ///   - uploadLength: of the request's body, where it has one.
  ///   - idle: how long nothing may move.
  ///   - write: hands over the request's body; called anew where the server refuses the token, and
  ///     to return early where ``HTTPExchange/write(_:)`` says that no more is wanted.
  public func exchange(
    _ method: String, _ path: String, headers: [(name: String, value: String)] = [],
    contentType: String = "", uploadLength: Int? = nil, idle: Duration, stop: Gate? = nil,
    write: ((HTTPExchange) throws(HTTPFailure) -> Void)? = nil
  ) throws(HTTPFailure) -> (head: HTTPResponse, exchange: HTTPExchange) {
    try admit()
    do throws(HTTPFailure) {
      var request = HTTPRequest(method, base.description + path)
      request.contentType = contentType
      func begin(_ token: String?) throws(HTTPFailure) -> (HTTPResponse, HTTPExchange) {
        request.headers = headers + Self.authorization(token)
        let exchange = try session.exchange(
          request, uploadLength: uploadLength, idle: idle, stop: stop)
        if let write {
          try write(exchange)
          try exchange.finishWriting()
        }
        return (try exchange.head(), exchange)
      }
      var token = try tokens.token(deadline: .after(idle))
      var (head, exchange) = try begin(token)
      if head.status == 401, let refused = token, tokens.refused(refused) {
        exchange.cancel()
        token = try tokens.token(deadline: .after(idle))
        (head, exchange) = try begin(token)
      }
      note(head)
      try refuseRedirect(head)
      // What the connection was is known at its end, and that a body was cut as well.
      exchange.observeEnd { [weak self] result in
        switch result {
        case .success(let response): self?.noteConnection(response)
        case .failure(let failure): self?.noteFailure(failure)
        }
      }
      return (head, exchange)
    } catch {
      noteFailure(error)
      throw error
    }
  }

  private static func authorization(_ token: String?) -> [(name: String, value: String)] {
    token.map { [("Authorization", "Bearer \($0)")] } ?? []
  }

  private func refuseRedirect(_ response: HTTPResponse) throws(HTTPFailure) {
    guard (300..<400).contains(response.status), response.status != 304 else { return }
    let target = response["location"].flatMap { HTTPURL($0)?.origin } ?? "elsewhere"
    throw HTTPFailure(
      .unusable,
      "\(base.origin): it points to \(target) (\(response.status)); redirects are not "
        + "followed: configure the address it means")
  }

  private func admit() throws(HTTPFailure) {
    let now = MonotonicTime.now
    let refusal = state.withLock { state -> String? in
      if state.breaker.admits(now: now) {
        state.requests += 1
        return nil
      }
      let left = (state.breaker.closedUntil.map { $0 - now } ?? .zero).inSeconds
      return "not asked for another \(max(1, Int(left.rounded(.up)))) s: \(state.reason)"
    }
    if let refusal { throw HTTPFailure(.leftAlone, "\(base.origin): \(refusal)") }
  }

  private func noteConnection(_ response: HTTPResponse) {
    state.withLock { state in
      if response.version > 0 { state.version = response.version }
      if let pem = response.peerCertificate, let dates = CertificateDates(pem: pem.utf8) {
        state.peerUntil = dates.notAfter
      }
    }
  }

  private func note(_ response: HTTPResponse) {
    noteConnection(response)
    let chance = jitter()
    state.withLock { state in
      let now = MonotonicTime.now
      switch response.status {
      case 429, 503:
        state.reason = "it answered \(response.status)"
        if let wait = response.retryAfter(now: .now) {
          state.breaker.rest(until: now + wait)
        } else {
          state.breaker.failed(now: now, jitter: chance)
        }
      case 500...:
        state.reason = "it answered \(response.status)"
        state.breaker.failed(now: now, jitter: chance)
      default:
        state.breaker.succeeded(now: now)
      }
    }
  }

  /// A failure without the server's address, for where that is said already.
  public func words(of failure: HTTPFailure) -> String {
    let prefix = "\(base.origin): "
    return failure.description.hasPrefix(prefix)
      ? String(failure.description.dropFirst(prefix.count)) : failure.description
  }

  private func noteFailure(_ failure: HTTPFailure) {
    let chance = jitter()
    state.withLock { state in
      switch failure.kind {
      case .notTried, .unusable:
        // It has answered, or was never asked.
        state.breaker.abandoned()
      case .leftAlone: break
      case .unreachable, .untrusted, .timeout, .broken:
        state.reason = words(of: failure)
        state.breaker.failed(now: .now, jitter: chance)
      }
    }
  }
}

extension HTTPResponse {
  /// A problem's kind (RFC 9457): the last part of its type, and its title. Its detail is about the
  /// case, and may hold what logs must not.
  public var problem: (type: String, title: String)? {
    guard let type = self["content-type"], type.lowercased().hasPrefix("application/problem+json"),
      let value = try? JSONValue.parse(body)
    else { return nil }
    let kind = value["type"]?.stringValue ?? "about:blank"
    let name = kind.split(separator: "/").last.map(String.init) ?? kind
    return (String(name.prefix(80)), String((value["title"]?.stringValue ?? "").prefix(200)))
  }
}
