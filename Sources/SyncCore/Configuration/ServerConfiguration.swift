import HTTP
import Platform
import TLS

extension Configuration {
  /// An HTTP server of the region's: the portal's, or one that answers lists. Whoever uses it
  /// refers to it by name, so that its connections, its tokens and its budget are shared.
  public struct Server: Hashable, Sendable {
    public var name: String
    public var url: String
    /// The authorities to trust, and our function certificate (funktionscertifikat).
    public var files = CertificateFiles()
    /// Where a bearer token lies that somebody else renews.
    public var token: String?
    public var oauth: OAuth?
    /// `http://host:port`.
    public var proxy: String?
    /// Requests at the same time.
    public var parallel = 8
    public var connectTimeout: Duration = .seconds(5)

    public init(name: String, url: String) {
      self.name = name
      self.url = url
    }
  }

  /// OAuth 2.0 client credentials.
  public struct OAuth: Hashable, Sendable {
    public var tokenURL: String
    public var clientID: String
    /// Where the client's secret lies; nil where the certificate proves the client (RFC 8705).
    public var secret: String?
    public var scope: String?

    public init(tokenURL: String, clientID: String) {
      self.tokenURL = tokenURL
      self.clientID = clientID
    }
  }

  mutating func readServers(_ root: TableReader) {
    for table in root.tables("server") {
      let name = table.requiredString(
        "name", "the server's name, as others refer to it", check: Check.name)
      var server = Server(
        name: name,
        url: table.requiredString("url", "the address, such as https://host/api", check: Check.url))
      server.files = CertificateFiles(table)
      server.token = table.optionalString("token", check: Check.secretPlace)
      server.proxy = table.optionalString("proxy", check: Check.proxy)
      server.parallel = table.integer("parallel", server.parallel, 1...64)
      server.connectTimeout = table.duration(
        "connect_timeout", server.connectTimeout, .milliseconds(100)...(.seconds(60)))
      if let oauth = table.switchedTable("oauth") {
        server.oauth = readOAuth(oauth, server)
        if server.token != nil {
          table.fault("token", "stands beside oauth: a server is shown one of them")
        }
      }
      if servers.contains(where: { $0.name == name }), !name.isEmpty {
        table.fault("name", "the server \(name) is defined twice")
      }
      table.finish()
      servers.append(server)
    }
  }

  private func readOAuth(_ table: TableReader, _ server: Server) -> OAuth {
    var oauth = OAuth(
      tokenURL: table.requiredString(
        "token_url", "where tokens are given, such as https://host/oauth/token", check: Check.url),
      clientID: table.requiredString("client_id", "the name of this client there"))
    oauth.secret = table.optionalString("secret", check: Check.secretPlace)
    oauth.scope = table.optionalString("scope")
    if oauth.secret == nil, server.files.certificate == nil {
      table.fault(
        "secret", "missing: without the server's `certificate`, a secret must prove the client")
    }
    table.finish()
    return oauth
  }

  /// The name of a server that somebody refers to.
  func checkServer(_ table: TableReader, _ key: String, _ name: String?) {
    guard let name, !name.isEmpty, !servers.contains(where: { $0.name == name }) else { return }
    let known = servers.map(\.name).joined(separator: ", ")
    table.fault(
      key,
      "found \(TOMLText.quoted(name)), expected the name of a [[server]]"
        + (known.isEmpty ? "" : ": \(known)"))
  }

  func renderServers(_ text: inout TOMLText) {
    for server in servers {
      text.header("server", isArray: true)
      text.line("name", .text(server.name))
      text.line("url", .text(server.url))
      server.files.render(&text)
      if let place = server.token { text.line("token", .text(place)) }
      if let proxy = server.proxy { text.line("proxy", .text(proxy)) }
      text.line("parallel", .number(server.parallel))
      text.line("connect_timeout", .time(server.connectTimeout))
      guard let oauth = server.oauth else { continue }
      text.header("server.oauth")
      text.line("token_url", .text(oauth.tokenURL))
      text.line("client_id", .text(oauth.clientID))
      if let place = oauth.secret { text.line("secret", .text(place)) }
      if let scope = oauth.scope { text.line("scope", .text(scope)) }
    }
  }
}

extension Check {
  static func url(_ text: String) -> String? {
    guard let url = HTTPURL(text), url.isSecure || url.isLoopback else {
      return "an address beginning with https:// (http:// for this machine only), without user, ? "
        + "or #"
    }
    return nil
  }

  static func proxy(_ text: String) -> String? {
    guard let url = HTTPURL(text), url.path.isEmpty else {
      return "a proxy's address such as http://proxy:3128"
    }
    return nil
  }

  /// A file or a credential of systemd's. Never the secret itself: the configuration is shown.
  static func secretPlace(_ text: String) -> String? {
    if text.hasPrefix("credential:") {
      let name = text.dropFirst("credential:".count)
      return Check.name(String(name)) == nil
        ? nil : "credential:NAME, the name of a LoadCredential= of the unit"
    }
    return path(text) == nil
      ? nil : "where the secret lies: a file's absolute path, or credential:NAME; never the secret"
  }
}

/// The servers of a configuration, as they are asked.
public struct HTTPServices: Sendable {
  private var services: [String: (settings: Configuration.Server, service: HTTPService)] = [:]

  public init() {}

  /// - Parameter old: those from before; one whose settings stay keeps its connections and tokens.
  public init(_ configuration: Configuration, keeping old: HTTPServices = HTTPServices()) {
    for server in configuration.servers {
      if let kept = old.services[server.name], kept.settings == server {
        services[server.name] = kept
      } else {
        services[server.name] = (server, HTTPService(server))
      }
    }
  }

  public subscript(name: String) -> HTTPService? { services[name]?.service }

  public var all: [HTTPService] { services.keys.sorted().compactMap { services[$0]?.service } }
}

extension HTTPService {
  public convenience init(_ server: Configuration.Server) {
    var tls = TLSOptions(
      trustedCertificates: server.files.authorities, certificate: server.files.certificate,
      key: server.files.key)
    tls.keyPassword = server.files.keyPassword.flatMap { try? SecretPlace($0).read() }
    var settings = HTTPSession.Settings(tls: tls)
    settings.proxy = server.proxy
    settings.parallel = server.parallel
    settings.connectTimeout = server.connectTimeout
    var authentication = HTTPAuthentication.none
    if let place = server.token { authentication = .token(SecretPlace(place)) }
    if let oauth = server.oauth {
      authentication = .clientCredentials(
        HTTPAuthentication.ClientCredentials(
          tokenURL: oauth.tokenURL, clientID: oauth.clientID,
          secret: oauth.secret.map { SecretPlace($0) }, scope: oauth.scope))
    }
    self.init(
      name: server.name, base: HTTPURL(server.url)!, settings: settings,
      authentication: authentication)
  }
}
