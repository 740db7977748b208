import Glibc
import HTTP
import JSON
import Platform
import TLS
import TestSupport
import Testing

/// Connections, trust and tokens, against servers of others' making.
@Suite("HTTP service", .serialized)
struct HTTPServiceTests {
  private static func service(
    _ url: String, tls: TLSOptions = TLSOptions(), authentication: HTTPAuthentication = .none,
    parallel: Int = 8, proxy: String? = nil
  ) throws -> HTTPService {
    var settings = HTTPSession.Settings(tls: tls)
    settings.parallel = parallel
    settings.proxy = proxy
    return HTTPService(
      name: "test", base: try #require(HTTPURL(url)), settings: settings,
      authentication: authentication)
  }

  private static let list = "/v1/lists/a/examinations?limit=10"
  private static var soon: Deadline { .after(.seconds(10)) }

  private static func failure(_ service: HTTPService) -> HTTPFailure? {
    do throws(HTTPFailure) {
      _ = try service.ask("GET", list, deadline: soon)
      return nil
    } catch {
      return error
    }
  }

  @Test("a connection is used again, and so is each of several", .needs(.python("openapi_core")))
  func reuse() throws {
    let server = try ReferencePortal(judges: false)
    try server.setList("a", numbers: ["SE1"])
    let service = try Self.service(server.url)
    for _ in 0..<20 {
      #expect(try service.ask("GET", Self.list, deadline: Self.soon).status == 200)
    }
    let connections = try #require(try server.counts["connections"]?.intValue)
    // The control's own is one.
    #expect(connections <= 2)
    let left = Monitor(40)
    for _ in 0..<40 {
      WorkThread.start("asks") {
        _ = try? service.ask("GET", Self.list, deadline: Self.soon)
        left.update { $0 -= 1 }
      }
    }
    #expect(left.wait(until: Self.soon) { $0 == 0 ? true : nil } == true)
    #expect(try server.requests("GET /v1/lists/a/examinations") == 60)
    #expect(try #require(try server.counts["connections"]?.intValue) <= 10)
  }

  @Test("a packed body is unpacked, and bounded when unpacked", .needs(.python("openapi_core")))
  func packed() throws {
    let server = try ReferencePortal(judges: false)
    try server.control("PUT", "lists/a", ["generate": 5000])
    let service = try Self.service(server.url)
    let response = try service.ask(
      "GET", "/v1/lists/a/examinations?limit=5000", deadline: Self.soon)
    #expect(response["content-encoding"] == "gzip")
    #expect(try JSONValue.parse(response.body)["total"]?.intValue == 5000)
    let session = HTTPSession(
      {
        var settings = HTTPSession.Settings()
        settings.limit = response.body.count - 1
        return settings
      }())
    let error = #expect(throws: HTTPFailure.self) {
      try session.perform(
        HTTPRequest("GET", server.url + "/v1/lists/a/examinations?limit=5000"), deadline: Self.soon)
    }
    #expect(error?.kind == .unusable)
  }

  @Test(
    "http leaves this machine never; what is no address is told",
    arguments: [
      "http://192.0.2.1/", "http://portal.example.org",
    ])
  func onlyHTTPS(url: String) throws {
    let error = Self.failure(try Self.service(url))
    #expect(error?.kind == .notTried)
    #expect(error?.description.contains("only https") == true)
  }

  @Test(
    "who is not who they must be is refused, with what to do",
    .needs(.python("openapi_core"), .program("openssl")))
  func trust() throws {
    let authority = try TestAuthority()
    let right = try authority.issue("localhost")
    let trusting = TLSOptions(trustedCertificates: authority.file)
    let good = try ReferencePortal(judges: false, tls: (right.certificate, right.key, nil))
    try good.setList("a", numbers: ["SE1"])
    let service = try Self.service(good.url, tls: trusting)
    #expect(try service.ask("GET", Self.list, deadline: Self.soon).status == 200)
    #expect(service.facts.peerCertificateUntil?.description.hasPrefix("2049-12-31") == true)

    let untrusted = Self.failure(try Self.service(good.url))
    #expect(untrusted?.kind == .untrusted)
    #expect(untrusted?.description.contains("authority that is not trusted") == true)
    let wrongName = Self.failure(
      try Self.service(good.url.replacing("localhost", with: "127.0.0.1"), tls: trusting))
    #expect(wrongName?.kind == .untrusted)
    #expect(wrongName?.description.contains("for another name") == true, "\(wrongName!)")

    let old = try authority.issue("localhost", notAfter: "200201000000Z")
    let expired = try ReferencePortal(judges: false, tls: (old.certificate, old.key, nil))
    let late = Self.failure(try Self.service(expired.url, tls: trusting))
    #expect(late?.description.contains("has expired") == true)

    let weak = try ReferencePortal(
      judges: false, tls: (right.certificate, right.key, nil), options: ["--tls-version", "1.1"])
    let downgrade = Self.failure(try Self.service(weak.url, tls: trusting))
    #expect(downgrade?.kind == .untrusted, "\(String(describing: downgrade))")

    let plain = try ReferencePortal(judges: false)
    let noTLS = Self.failure(
      try Self.service("https://localhost:\(plain.port)", tls: trusting))
    #expect(noTLS?.description.contains("does not speak TLS") == true, "\(noTLS!)")
  }

  @Test(
    "a certificate is shown where one is demanded; a renewed one without a restart",
    .needs(.python("openapi_core"), .program("openssl")))
  func clientCertificates() throws {
    let authority = try TestAuthority()
    let server = try authority.issue("localhost")
    let portal = try ReferencePortal(
      judges: false, tls: (server.certificate, server.key, authority.file))
    try portal.setList("a", numbers: ["SE1"])
    let without = Self.failure(
      try Self.service(portal.url, tls: TLSOptions(trustedCertificates: authority.file)))
    #expect(without?.description.contains("certificate of ours") == true, "\(without!)")

    let other = try TestAuthority()
    let foreign = try other.issue("syncd")
    let mine = try authority.issue("syncd")
    let directory = try TemporaryDirectory()
    let certificate = directory.file("certificate"), key = directory.file("key")
    func install(_ pair: (certificate: String, key: String)) throws {
      _ = try directory.write(try readAll(pair.certificate), to: "certificate")
      _ = try directory.write(try readAll(pair.key), to: "key")
    }
    try install(foreign)
    let service = try Self.service(
      portal.url,
      tls: TLSOptions(
        trustedCertificates: authority.file, certificate: certificate, key: key))
    let unknown = Self.failure(service)
    #expect(
      unknown?.description.contains("accept our certificate") == true,
      "\(String(describing: unknown))")
    try install(mine)
    #expect(Self.failure(service) == nil)
    #expect(service.facts.ownCertificateUntil?.description.hasPrefix("2049") == true)
    unlink(key)
    let missing = Self.failure(service)
    #expect(missing?.kind == .notTried)
    #expect(missing?.description.contains("private key cannot be read") == true)
  }

  private func readAll(_ path: String) throws -> [UInt8] {
    try FileDescriptor.contents(of: path, atMost: 1 << 20)
  }

  @Test(
    "a token is asked for once, renewed when it is refused, and never shown",
    .needs(.python("openapi_core")))
  func tokens() throws {
    let server = try ReferencePortal(judges: false, options: ["--oauth", "syncd", "ge heim/1"])
    try server.setList("a", numbers: ["SE1"])
    let directory = try TemporaryDirectory()
    let secret = try directory.write("ge%20heim/1", to: "secret")
    chmod(secret, 0o600)
    var credentials = HTTPAuthentication.ClientCredentials(
      tokenURL: server.url + "/oauth/token", clientID: "syncd", secret: SecretPlace(secret))
    let wrong = try Self.service(server.url, authentication: .clientCredentials(credentials))
    #expect(Self.failure(wrong)?.description.contains("gave no token (401") == true)

    let right = try ReferencePortal(judges: false, options: ["--oauth", "syncd", "geheim/1+å"])
    try right.setList("a", numbers: ["SE1"])
    _ = try directory.write("geheim/1+å\n", to: "secret")
    chmod(secret, 0o600)
    credentials.tokenURL = right.url + "/oauth/token"
    let service = try Self.service(right.url, authentication: .clientCredentials(credentials))
    for _ in 0..<5 { #expect(Self.failure(service) == nil) }
    #expect(try right.requests("POST /oauth/token") == 1)
    try right.control("POST", "tokens/revoke")
    #expect(try service.ask("GET", Self.list, deadline: Self.soon).status == 200)
    #expect(try right.requests("POST /oauth/token") == 2)
  }

  @Test(
    "without a secret the certificate proves the client, and the token is bound to it (RFC 8705)",
    .needs(.python("openapi_core"), .program("openssl")))
  func boundTokens() throws {
    let authority = try TestAuthority()
    let server = try authority.issue("localhost")
    let mine = try authority.issue("syncd")
    let portal = try ReferencePortal(
      judges: false, tls: (server.certificate, server.key, authority.file),
      options: ["--oauth", "syncd", "unused"])
    try portal.setList("a", numbers: ["SE1"])
    let service = try Self.service(
      portal.url,
      tls: TLSOptions(
        trustedCertificates: authority.file, certificate: mine.certificate, key: mine.key),
      authentication: .clientCredentials(
        HTTPAuthentication.ClientCredentials(
          tokenURL: portal.url + "/oauth/token", clientID: "syncd")))
    #expect(Self.failure(service) == nil)
  }

  @Test(
    "whatever the server does, an answer or an error comes in time", .needs(.python("openapi_core"))
  )
  func inTime() throws {
    let server = try ReferencePortal(judges: false)
    try server.setList("a", numbers: ["SE1"])
    for (fault, unknown) in [
      (#"{"kind":"hang"}"#, true), (#"{"kind":"close"}"#, true), (#"{"kind":"truncate"}"#, true),
      (#"{"kind":"slowBody","ms":100}"#, true),
    ] {
      try server.fault(try JSONValue.parse(fault))
      let service = try Self.service(server.url)
      let start = MonotonicTime.now
      let error = #expect(throws: HTTPFailure.self, "\(fault)") {
        try service.ask("GET", Self.list, deadline: .after(.seconds(1)))
      }
      #expect(error?.isOutcomeUnknown == unknown, "\(fault)")
      #expect((MonotonicTime.now - start).inSeconds < 5)
      try server.mend()
    }
    let nobody = Self.failure(try Self.service("http://127.0.0.1:1"))
    #expect(nobody?.kind == .unreachable && nobody?.isOutcomeUnknown == false)
  }
}
