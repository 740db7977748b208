import Glibc
import HTTP
import Platform
import TestSupport
import TLS
import Testing

@Suite("HTTP addresses, dates and answers")
struct HTTPPartsTests {
  @Test("An address is read into its parts")
  func address() throws {
    let url = try #require(HTTPURL("https://portal.example.org:8443/api/v2//"))
    #expect(url.scheme == "https")
    #expect(url.host == "portal.example.org")
    #expect(url.port == 8443)
    #expect(url.path == "/api/v2")
    #expect(url.origin == "https://portal.example.org:8443")
    #expect(HTTPURL("HTTPS://x")?.description == "https://x")
  }

  @Test(
    "What might be read in two ways is no address",
    arguments: [
      "", "portal.example.org", "ftp://host/", "https://", "https:///path",
      "http://localhost:80@evil.example/", "http://localhost\\@evil.example", "https://host/?q=1",
      "https://host/#part", "https://host/a b", "https://host:0/", "https://host:99999/",
      "https://host:x/", "https://[::1", "https://höst/", "https://ho\nst/", "https://{host}/",
    ])
  func noAddress(text: String) {
    #expect(HTTPURL(text) == nil)
  }

  @Test("Only what can be nothing but this machine counts as this machine")
  func loopback() {
    for text in ["http://127.0.0.1/", "http://127.8.9.1:80", "http://localhost", "http://[::1]:1/"]
    {
      #expect(HTTPURL(text)?.isLoopback == true)
    }
    for text in [
      "http://127.0.0.1.evil.example/", "http://127.0.0/", "http://localhost.evil.example",
      "http://128.0.0.1", "http://127.0.0.x",
    ] {
      #expect(HTTPURL(text)?.isLoopback == false)
    }
  }

  @Test("Everything but unreserved characters is escaped")
  func escaped() {
    #expect(HTTPURL.escaped("SECTRA:SE 0/å?~-._") == "SECTRA%3ASE%200%2F%C3%A5%3F~-._")
  }

  @Test("Retry-After is read in both forms, and bounded")
  func retryAfter() throws {
    let now = try #require(WallTime(rfc3339: "1994-11-06T08:49:30Z"))
    func wait(_ text: String) -> Duration? {
      HTTPResponse(status: 503, headers: [("retry-after", text)]).retryAfter(now: now)
    }
    #expect(wait("7") == .seconds(7))
    #expect(wait("Sun, 06 Nov 1994 08:49:37 GMT") == .seconds(7))
    #expect(wait("Sun, 06 Nov 1994 08:49:00 GMT") == .zero)
    #expect(wait("999999999999999999") == .seconds(86400))
    #expect(wait("soon") == nil)
    #expect(wait("Sun, 6 Nov 1994 08:49:37 GMT") == nil)
    #expect(HTTPResponse(status: 503).retryAfter(now: now) == nil)
  }
}

@Suite("Circuit breaker")
struct CircuitBreakerTests {
  private func admits(_ breaker: inout CircuitBreaker, _ time: MonotonicTime) -> Bool {
    breaker.admits(now: time)
  }

  private let start = MonotonicTime(nanoseconds: 1_000_000_000)

  @Test("It opens after failures in a row, and one request tries for all")
  func opens() {
    var breaker = CircuitBreaker()
    for _ in 0..<4 {
      #expect(admits(&breaker, start))
      breaker.failed(now: start, jitter: 1)
    }
    breaker.succeeded(now: start)
    for _ in 0..<5 {
      #expect(admits(&breaker, start))
      breaker.failed(now: start, jitter: 1)
    }
    #expect(!admits(&breaker, start + .milliseconds(4999)))
    #expect(admits(&breaker, start + .seconds(5)))
    #expect(!admits(&breaker, start + .seconds(5)))
    breaker.succeeded(now: start + .seconds(5))
    #expect(admits(&breaker, start + .seconds(5)))
    #expect(admits(&breaker, start + .seconds(5)))
  }

  @Test("Every failed trial doubles the pause, up to the longest; chance takes at most half")
  func doubles() {
    var breaker = CircuitBreaker()
    var now = start
    for _ in 0..<5 { breaker.failed(now: now, jitter: 0) }
    var pauses: [Double] = []
    for _ in 0..<9 {
      pauses.append((breaker.closedUntil! - now).inSeconds)
      now = breaker.closedUntil!
      #expect(admits(&breaker, now))
      breaker.failed(now: now, jitter: 0)
    }
    #expect(pauses == [2.5, 5, 10, 20, 30, 30, 30, 30, 30])
  }

  @Test("Those that were on their way when it opened do not make the pause longer")
  func onTheWay() {
    var breaker = CircuitBreaker()
    for _ in 0..<50 { breaker.failed(now: start, jitter: 1) }
    #expect(breaker.closedUntil == start + .seconds(5))
    #expect(admits(&breaker, start + .seconds(5)))
    for _ in 0..<50 { breaker.failed(now: start + .seconds(6), jitter: 1) }
    #expect(breaker.closedUntil == start + .seconds(16))
  }

  @Test("A server's own word holds, also for those that are on their way")
  func rests() {
    var breaker = CircuitBreaker()
    #expect(admits(&breaker, start))
    breaker.rest(until: start + .seconds(30))
    breaker.failed(now: start, jitter: 0)
    breaker.succeeded(now: start + .seconds(1))
    #expect(!admits(&breaker, start + .seconds(29)))
    #expect(admits(&breaker, start + .seconds(30)))
    breaker.abandoned()
    #expect(admits(&breaker, start + .seconds(30)))
    breaker.succeeded(now: start + .seconds(31))
    #expect(breaker.closedUntil == nil)
  }
}

@Suite("Secrets and certificates on disk")
struct SecretTests {
  @Test("A secret that others may read is none; one of systemd's is found by its name")
  func places() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("geheim\n", to: "token")
    chmod(path, 0o644)
    #expect(throws: SecretPlace.Fault.self) { try SecretPlace(path).read() }
    chmod(path, 0o600)
    #expect(try SecretPlace(path).read() == "geheim")
    let credentials: (String) -> String? = {
      $0 == "CREDENTIALS_DIRECTORY" ? directory.file("") : nil
    }
    #expect(try SecretPlace("credential:token").read(environment: credentials) == "geheim")
    let missing = #expect(throws: SecretPlace.Fault.self) {
      try SecretPlace("credential:token").read(environment: { _ in nil })
    }
    #expect(missing?.description.contains("LoadCredential=token") == true)
    let empty = try directory.write(" \n", to: "empty")
    chmod(empty, 0o600)
    #expect(throws: SecretPlace.Fault.self) { try SecretPlace(empty).read() }
  }

  @Test("A certificate's end is read from its file", .needs(.program("openssl")))
  func dates() throws {
    let directory = try TemporaryDirectory()
    for (kind, days) in [("rsa:2048", 30), ("ec", 40000)] {
      let made = try ChildProcess.run(
        "/usr/bin/openssl",
        ["req", "-x509", "-newkey", kind, "-nodes", "-subj", "/CN=test", "-days", "\(days)"]
          + (kind == "ec" ? ["-pkeyopt", "ec_paramgen_curve:prime256v1"] : [])
          + ["-keyout", directory.file("key"), "-out", directory.file("certificate")])
      #expect(made.status == 0, "\(made.output)")
      let dates = try #require(CertificateDates.ofFile(directory.file("certificate")))
      let left = (dates.notAfter - WallTime.now).inSeconds / 86400
      #expect(abs(left - Double(days)) < 0.1)
    }
    #expect(CertificateDates.ofFile(directory.file("key")) == nil)
    #expect(CertificateDates(pem: Array("-----BEGIN CERTIFICATE-----\nMIIB\n-----END".utf8)) == nil)
  }
}
