import JSON
import Platform
import Synchronization

/// How a server is told who asks, beside the TLS certificate.
public enum HTTPAuthentication: Hashable, Sendable {
  case none
  /// A token that somebody else renews.
  case token(SecretPlace)
  case clientCredentials(ClientCredentials)

  /// OAuth 2.0 client credentials (RFC 6749 section 4.4). Without a secret, the certificate of the
  /// TLS connection proves the client (RFC 8705 section 2).
  public struct ClientCredentials: Hashable, Sendable {
    public var tokenURL: String
    public var clientID: String
    public var secret: SecretPlace?
    public var scope: String?

    public init(
      tokenURL: String, clientID: String, secret: SecretPlace? = nil, scope: String? = nil
    ) {
      self.tokenURL = tokenURL
      self.clientID = clientID
      self.secret = secret
      self.scope = scope
    }
  }
}

/// Gets tokens, keeps them in memory for as long as they are good, and gets each only once however
/// many ask.
final class TokenKeeper: Sendable {
  private struct Kept {
    var token: String
    var goodUntil: MonotonicTime
  }

  private let authentication: HTTPAuthentication
  private let session: HTTPSession
  private let kept = Mutex<Kept?>(nil)
  /// One at a time asks for a token.
  private let asking = Mutex(())

  init(_ authentication: HTTPAuthentication, _ session: HTTPSession) {
    self.authentication = authentication
    self.session = session
  }

  /// Forgets a token that the server has refused, unless it has been replaced since. False where
  /// a new one cannot be had.
  func refused(_ token: String) -> Bool {
    guard case .clientCredentials = authentication else { return false }
    kept.withLock { if $0?.token == token { $0 = nil } }
    return true
  }

  /// What to put after `Bearer`; nil where none is needed.
  func token(deadline: Deadline) throws(HTTPFailure) -> String? {
    switch authentication {
    case .none: return nil
    case .token(let place):
      do throws(SecretPlace.Fault) {
        return try place.read()
      } catch {
        throw HTTPFailure(.notTried, "the token cannot be used: \(error)")
      }
    case .clientCredentials(let credentials):
      return try token(credentials, deadline)
    }
  }

  private func token(
    _ credentials: HTTPAuthentication.ClientCredentials, _ deadline: Deadline
  ) throws(HTTPFailure) -> String {
    if let token = current { return token }
    // Whoever waited for this finds the token that the first one has got.
    return try locked { () throws(HTTPFailure) -> String in
      if let token = current { return token }
      let new = try ask(credentials, deadline)
      kept.withLock { $0 = new }
      return new.token
    }
  }

  private func locked(
    _ body: () throws(HTTPFailure) -> String
  ) throws(HTTPFailure) -> String {
    try asking.withLock { _ throws(HTTPFailure) in try body() }
  }

  private var current: String? {
    kept.withLock { kept in kept.flatMap { $0.goodUntil > .now ? $0.token : nil } }
  }

  private func ask(
    _ credentials: HTTPAuthentication.ClientCredentials, _ deadline: Deadline
  ) throws(HTTPFailure) -> Kept {
    var form = "grant_type=client_credentials"
    if let scope = credentials.scope { form += "&scope=\(HTTPURL.escaped(scope))" }
    var request = HTTPRequest("POST", credentials.tokenURL)
    if let place = credentials.secret {
      let secret: String
      do throws(SecretPlace.Fault) {
        secret = try place.read()
      } catch {
        throw HTTPFailure(.notTried, "the client's secret cannot be used: \(error)")
      }
      // RFC 6749 section 2.3.1: both form-encoded, then Basic.
      let pair = "\(HTTPURL.escaped(credentials.clientID)):\(HTTPURL.escaped(secret))"
      request.headers.append(("Authorization", "Basic \(Base64.encode(Array(pair.utf8)))"))
    } else {
      form += "&client_id=\(HTTPURL.escaped(credentials.clientID))"
    }
    request.body = Array(form.utf8)
    request.contentType = "application/x-www-form-urlencoded"
    let asked = MonotonicTime.now
    let response = try session.perform(request, deadline: deadline)
    guard response.status == 200, let answer = try? JSONValue.parse(response.body),
      let token = answer["access_token"]?.stringValue, !token.isEmpty
    else {
      let error =
        (try? JSONValue.parse(response.body))?["error"]?.stringValue.map { ": \($0.prefix(64))" }
        ?? ""
      throw HTTPFailure(
        .unusable, "the authorisation server gave no token (\(response.status)\(error))")
    }
    if let type = answer["token_type"]?.stringValue, type.lowercased() != "bearer" {
      throw HTTPFailure(.unusable, "the authorisation server gave a token that is no bearer token")
    }
    // Given up early: a request must not arrive with a token that has just ended.
    let life = min(max(answer["expires_in"]?.doubleValue ?? 300, 0), 86400)
    let margin = min(30, life / 10)
    return Kept(token: token, goodUntil: asked + .seconds(life - margin))
  }
}

enum Base64 {
  private static let letters = Array(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  static func encode(_ bytes: [UInt8]) -> String {
    var result: [UInt8] = []
    result.reserveCapacity((bytes.count + 2) / 3 * 4)
    var index = 0
    while index < bytes.count {
      let left = bytes.count - index
      let group =
        UInt32(bytes[index]) << 16 | (left > 1 ? UInt32(bytes[index + 1]) << 8 : 0)
        | (left > 2 ? UInt32(bytes[index + 2]) : 0)
      for place in 0..<4 {
        let isPadding = place > left
        result.append(
          isPadding ? UInt8(ascii: "=") : letters[Int(group >> UInt32(18 - 6 * place)) & 63])
      }
      index += 3
    }
    return String(decoding: result, as: UTF8.self)
  }
}
