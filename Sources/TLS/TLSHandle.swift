import CCurl
import Glibc
import Platform

/// libcurl's handle of one connection, with its buffer for messages; used by one thread at a time.
struct TLSHandle: ~Copyable, @unchecked Sendable {
  // @unchecked: the pointers are this value's alone.
  private(set) var raw: UnsafeMutableRawPointer?
  private let message: UnsafeMutablePointer<CChar>
  /// The line in which libcurl tells what was agreed upon; it has no other way to ask.
  private let agreement: UnsafeMutablePointer<CChar>

  private static let agreementSize = 256

  private static let isReady: Bool = {
    // libcurl's TLS library writes to sockets without MSG_NOSIGNAL.
    signal(SIGPIPE, SIG_IGN)
    return curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK
  }()

  init?() {
    guard Self.isReady, let raw = curl_easy_init() else { return nil }
    self.raw = raw
    message = .allocate(capacity: Int(CURL_ERROR_SIZE))
    message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    agreement = .allocate(capacity: Self.agreementSize)
    agreement.initialize(repeating: 0, count: Self.agreementSize)
  }

  deinit {
    if let raw { curl_easy_cleanup(raw) }
    message.deallocate()
    agreement.deallocate()
  }

  /// Says goodbye within TLS and closes the connection.
  mutating func close() {
    if let raw { curl_easy_cleanup(raw) }
    raw = nil
  }

  private func set(_ option: CURLoption, _ value: String) {
    _ = ccurl_set_string(raw, option, value)
  }
  private func set(_ option: CURLoption, _ value: Int) { _ = ccurl_set_long(raw, option, value) }

  func configure(url: String, _ options: TLSOptions, _ deadline: Deadline) {
    _ = ccurl_set_pointer(raw, CURLOPT_ERRORBUFFER, message)
    set(CURLOPT_URL, url)
    set(CURLOPT_CONNECT_ONLY, 1)
    set(CURLOPT_NOSIGNAL, 1)
    // A proxy for web pages, set in the environment, is none for this.
    set(CURLOPT_PROXY, "")
    // Ours is no HTTP, and says so.
    set(CURLOPT_SSL_ENABLE_ALPN, 0)
    set(CURLOPT_TCP_NODELAY, 1)
    set(CURLOPT_TCP_KEEPALIVE, 1)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    set(CURLOPT_CERTINFO, 1)
    if let suites = options.suites.list { set(CURLOPT_SSL_CIPHER_LIST, suites) }
    if deadline.time != nil {
      set(CURLOPT_TIMEOUT_MS, max(1, Int(deadline.pollMilliseconds)))
      set(CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(deadline.pollMilliseconds)))
    }
    if let file = options.trustedCertificates { set(CURLOPT_CAINFO, file) }
    if let file = options.certificate {
      set(CURLOPT_SSLCERT, file)
      set(CURLOPT_SSLKEY, options.key ?? file)
    }
    if let password = options.keyPassword { set(CURLOPT_KEYPASSWD, password) }
  }

  /// Nil when there is a connection, and the peer is who it should be.
  func connect() -> TLSFailure? {
    ccurl_set_debug_sink(
      raw,
      { _, kind, bytes, count, context in
        guard kind == CURLINFO_TEXT, let bytes, let context else { return 0 }
        let line = UnsafeRawBufferPointer(start: bytes, count: count)
        guard line.starts(with: TLSSession.agreementPrefix.utf8) else { return 0 }
        let kept = min(count, TLSHandle.agreementSize - 1)
        memcpy(context, bytes, kept)
        context.storeBytes(of: 0, toByteOffset: kept, as: UInt8.self)
        return 0
      }, agreement)
    let code = curl_easy_perform(raw)
    // Nothing of what is sent and received goes through it.
    set(CURLOPT_VERBOSE, 0)
    return code == CURLE_OK ? nil : failure(code)
  }

  /// What libcurl says of a failure, in its own words.
  private func failure(_ code: CURLcode) -> TLSFailure {
    let words = String(cString: message)
    return TLSFailure(
      code: code, verification: ccurl_verify_result(raw),
      words: words.isEmpty ? String(cString: curl_easy_strerror(code)) : words)
  }

  private static let closed = TLSFailure(
    code: CURLE_RECV_ERROR, verification: 0, words: "the connection was closed here")

  func receive(_ buffer: UnsafeMutableRawBufferPointer, _ count: inout Int) -> TLSFailure? {
    guard let raw else { return Self.closed }
    let code = curl_easy_recv(raw, buffer.baseAddress, buffer.count, &count)
    return code == CURLE_OK ? nil : failure(code)
  }

  func send(_ bytes: UnsafeRawBufferPointer, _ count: inout Int) -> TLSFailure? {
    guard let raw else { return Self.closed }
    let code = curl_easy_send(raw, bytes.baseAddress, bytes.count, &count)
    return code == CURLE_OK ? nil : failure(code)
  }

  /// Of the connection just made.
  var session: TLSSession {
    func line(_ name: String) -> String? {
      ccurl_certificate_line(raw, name).map { String(cString: $0) }
    }
    return TLSSession(
      agreement: String(cString: agreement), subject: line("Subject:"), issuer: line("Issuer:"),
      certificate: line("Cert:"),
      connecting: .microseconds(ccurl_microseconds(raw, CURLINFO_CONNECT_TIME_T)),
      handshake: .microseconds(
        max(
          0,
          ccurl_microseconds(raw, CURLINFO_APPCONNECT_TIME_T)
            - ccurl_microseconds(raw, CURLINFO_CONNECT_TIME_T))))
  }
}
