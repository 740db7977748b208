import CCurl
import Glibc
import Platform
import TLS

/// A small HTTP client on libcurl: one request at a time, on the caller's thread, bounded in time
/// and size. No redirects; https only, but for this machine itself.
public struct HTTPClient: Sendable {
  public struct Response: Sendable, Hashable {
    public var status: Int
    public var body: [UInt8]
  }

  public var tls: TLSOptions
  /// Sent as `Authorization: Bearer`; read anew for each request, so that it can be renewed.
  public var token: @Sendable () -> String?
  public var connectTimeout: Duration = .seconds(5)
  /// The longest body that is taken, in bytes.
  public var limit = 16 << 20

  public init(tls: TLSOptions = TLSOptions(), token: @escaping @Sendable () -> String? = { nil }) {
    self.tls = tls
    self.token = token
  }

  private static let isReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

  /// Takes the body as it comes.
  private final class Sink {
    var bytes: [UInt8] = []
    let limit: Int
    var isTooLong = false
    init(_ limit: Int) { self.limit = limit }
  }

  /// - Throws: ``HTTPFailure``: no response, or one that is too long.
  public func request(
    _ method: String, _ url: String, body: [UInt8]? = nil, deadline: Deadline
  ) throws(HTTPFailure) -> Response {
    guard Self.isReady, let handle = curl_easy_init() else {
      throw HTTPFailure(isTimeout: false, "libcurl does not start")
    }
    defer { curl_easy_cleanup(handle) }
    guard url.hasPrefix("https://") || Self.isLocal(url) else {
      throw HTTPFailure(isTimeout: false, "\(url): only https leaves this machine")
    }
    let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
    message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    defer { message.deallocate() }
    _ = ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, message)
    var headers: UnsafeMutablePointer<curl_slist>?
    defer { curl_slist_free_all(headers) }
    func header(_ line: String) { headers = curl_slist_append(headers, line) }
    header("Accept: application/json")
    header("Expect:")
    if body != nil { header("Content-Type: application/json") }
    if let token = token() { header("Authorization: Bearer \(token)") }
    set(handle, method, url, message)
    _ = ccurl_set_pointer(handle, CURLOPT_HTTPHEADER, headers)
    _ = ccurl_set_long(handle, CURLOPT_TIMEOUT_MS, max(1, Int(deadline.pollMilliseconds)))
    let sink = Sink(limit)
    ccurl_set_body_sink(
      handle,
      { bytes, size, count, context in
        let sink = Unmanaged<Sink>.fromOpaque(context!).takeUnretainedValue()
        guard sink.bytes.count + size * count <= sink.limit else {
          sink.isTooLong = true
          return 0
        }
        sink.bytes.append(
          contentsOf: UnsafeRawBufferPointer(start: bytes, count: size * count))
        return size * count
      }, Unmanaged.passUnretained(sink).toOpaque())
    let code = withExtendedLifetime(sink) { () -> CURLcode in
      guard let body else { return curl_easy_perform(handle) }
      return body.withUnsafeBytes { bytes in
        _ = ccurl_set_long(handle, CURLOPT_POSTFIELDSIZE, bytes.count)
        _ = ccurl_set_pointer(
          handle, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
        // Copying makes a POST of it.
        _ = ccurl_set_string(handle, CURLOPT_CUSTOMREQUEST, method)
        return curl_easy_perform(handle)
      }
    }
    if sink.isTooLong {
      throw HTTPFailure(isTimeout: false, "\(url): the answer is longer than \(limit) bytes")
    }
    guard code == CURLE_OK else {
      let words = String(cString: message)
      throw HTTPFailure(
        isTimeout: code == CURLE_OPERATION_TIMEDOUT,
        "\(url): \(words.isEmpty ? String(cString: curl_easy_strerror(code)) : words)")
    }
    return Response(status: Int(ccurl_response_status(handle)), body: sink.bytes)
  }

  private func set(
    _ handle: UnsafeMutableRawPointer, _ method: String, _ url: String,
    _ message: UnsafeMutablePointer<CChar>
  ) {
    _ = ccurl_set_string(handle, CURLOPT_URL, url)
    _ = ccurl_set_string(handle, CURLOPT_CUSTOMREQUEST, method)
    _ = ccurl_set_string(handle, CURLOPT_PROTOCOLS_STR, "http,https")
    _ = ccurl_set_string(handle, CURLOPT_USERAGENT, "syncd")
    _ = ccurl_set_long(handle, CURLOPT_FOLLOWLOCATION, 0)
    _ = ccurl_set_long(handle, CURLOPT_NOSIGNAL, 1)
    _ = ccurl_set_long(handle, CURLOPT_SSL_VERIFYPEER, 1)
    _ = ccurl_set_long(handle, CURLOPT_SSL_VERIFYHOST, 2)
    _ = ccurl_set_long(handle, CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    _ = ccurl_set_long(
      handle, CURLOPT_CONNECTTIMEOUT_MS, Int(connectTimeout.wholeNanoseconds / 1_000_000))
    if let file = tls.trustedCertificates { _ = ccurl_set_string(handle, CURLOPT_CAINFO, file) }
    if let file = tls.certificate {
      _ = ccurl_set_string(handle, CURLOPT_SSLCERT, file)
      _ = ccurl_set_string(handle, CURLOPT_SSLKEY, tls.key ?? file)
    }
  }

  private static func isLocal(_ url: String) -> Bool {
    ["http://127.0.0.1", "http://localhost", "http://[::1]"].contains { host in
      guard url.hasPrefix(host) else { return false }
      let next = url.dropFirst(host.count).first
      return next == nil || next == ":" || next == "/"
    }
  }
}

/// There is no answer.
public struct HTTPFailure: Error, Sendable, Hashable, CustomStringConvertible {
  public let isTimeout: Bool
  public let description: String

  init(isTimeout: Bool, _ description: String) {
    self.isTimeout = isTimeout
    self.description = description
  }
}
