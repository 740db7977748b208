import CCurl
import Glibc
import Platform
import Synchronization

/// A stream of bytes within TLS, made by libcurl and whichever TLS library it stands on
/// (CURLOPT_CONNECT_ONLY): it brings trust stores, host names and client certificates with it.
public final class TLSTransport: ByteTransport {
  public let peer: String
  private let handle: Mutex<Handle>
  /// Owned by the handle; valid for as long as this object lives.
  private let socket: Int32
  private let hasCertificate: Bool
  private let hasRead = Atomic<Bool>(false)

  /// libcurl's handle and its buffer for messages; used by one thread at a time.
  private struct Handle: ~Copyable, @unchecked Sendable {
    let raw: UnsafeMutableRawPointer
    let message: UnsafeMutablePointer<CChar>

    init?() {
      guard let raw = curl_easy_init() else { return nil }
      self.raw = raw
      message = .allocate(capacity: Int(CURL_ERROR_SIZE))
      message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
    }

    deinit {
      curl_easy_cleanup(raw)
      message.deallocate()
    }

    func set(_ option: CURLoption, _ value: String) { _ = ccurl_set_string(raw, option, value) }
    func set(_ option: CURLoption, _ value: Int) { _ = ccurl_set_long(raw, option, value) }

    /// What libcurl says of a failure, in its own words.
    func failure(_ code: CURLcode) -> TLSFailure {
      let words = String(cString: message)
      return TLSFailure(
        code: code, verification: ccurl_verify_result(raw),
        words: words.isEmpty ? String(cString: curl_easy_strerror(code)) : words)
    }
  }

  private static let isReady: Bool = {
    // libcurl's TLS library writes to sockets without MSG_NOSIGNAL.
    signal(SIGPIPE, SIG_IGN)
    return curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK
  }()

  private init(
    _ handle: consuming sending Handle, socket: Int32, peer: String, hasCertificate: Bool
  ) {
    self.handle = Mutex(handle)
    self.socket = socket
    self.peer = peer
    self.hasCertificate = hasCertificate
  }

  /// Connects, shakes hands and verifies the peer. Cannot be interrupted before the deadline.
  /// - Parameter host: the name that the peer's certificate must have.
  public static func connect(
    host: String, port: UInt16, options: TLSOptions = TLSOptions(), deadline: Deadline
  ) throws(TransportError) -> TLSTransport {
    let peer = Endpoint.tcp(host: host, port: port).description
    guard isReady, let handle = Handle() else {
      throw TransportError("\(peer): libcurl does not start")
    }
    let isName = host.utf8.allSatisfy { byte in
      switch byte {
      case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x3A, 0x5F: true
      default: false
      }
    }
    guard isName, !host.isEmpty else {
      throw TransportError("\(peer): not a host name: give the name alone, without scheme or port")
    }
    if let missing = options.unreadableFile { throw TransportError("\(peer): \(missing)") }
    if deadline.isPast { throw TransportError(isTimeout: true, "connect \(peer): no time left") }
    configure(handle, url: "https://\(peer)/", options, deadline)
    let code = curl_easy_perform(handle.raw)
    guard code == CURLE_OK else { throw handle.failure(code).error(connectingTo: peer, options) }
    let socket = ccurl_active_socket(handle.raw)
    guard socket >= 0 else { throw TransportError("\(peer): the connection is gone") }
    return TLSTransport(
      handle, socket: socket, peer: peer, hasCertificate: options.certificate != nil)
  }

  private static func configure(
    _ handle: borrowing Handle, url: String, _ options: TLSOptions, _ deadline: Deadline
  ) {
    _ = ccurl_set_pointer(handle.raw, CURLOPT_ERRORBUFFER, handle.message)
    handle.set(CURLOPT_URL, url)
    handle.set(CURLOPT_CONNECT_ONLY, 1)
    handle.set(CURLOPT_NOSIGNAL, 1)
    // A proxy for web pages, set in the environment, is none for this.
    handle.set(CURLOPT_PROXY, "")
    // Ours is no HTTP, and says so.
    handle.set(CURLOPT_SSL_ENABLE_ALPN, 0)
    handle.set(CURLOPT_TCP_NODELAY, 1)
    handle.set(CURLOPT_TCP_KEEPALIVE, 1)
    handle.set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    handle.set(CURLOPT_SSL_VERIFYPEER, 1)
    handle.set(CURLOPT_SSL_VERIFYHOST, 2)
    if deadline.time != nil {
      handle.set(CURLOPT_TIMEOUT_MS, max(1, Int(deadline.pollMilliseconds)))
      handle.set(CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(deadline.pollMilliseconds)))
    }
    if let file = options.trustedCertificates { handle.set(CURLOPT_CAINFO, file) }
    if let file = options.certificate {
      handle.set(CURLOPT_SSLCERT, file)
      handle.set(CURLOPT_SSLKEY, options.key ?? file)
    }
    if let password = options.keyPassword { handle.set(CURLOPT_KEYPASSWD, password) }
  }

  // MARK: - Bytes

  public func read(
    into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline
  ) throws(TransportError) -> Int {
    while true {
      var count = 0
      let failure = handle.withLock { handle -> TLSFailure? in
        let code = curl_easy_recv(handle.raw, buffer.baseAddress, buffer.count, &count)
        return code == CURLE_OK ? nil : handle.failure(code)
      }
      if count > 0 { hasRead.store(true, ordering: .relaxed) }
      if failure?.code != CURLE_AGAIN, count == 0, !hasRead.load(ordering: .relaxed),
        failure?.isExplained != true
      {
        // TLS 1.3 refuses our certificate, or the lack of one, only after the handshake, and not
        // every peer says so.
        throw TLSFailure.closedUnheard(peer, hasCertificate: hasCertificate)
      }
      guard let failure else { return count }
      guard failure.code == CURLE_AGAIN else { throw failure.error(during: "read", peer) }
      try wait(POLLIN, deadline, "read")
    }
  }

  public func write(_ bytes: [UInt8], deadline: Deadline) throws(TransportError) {
    var written = 0
    while written < bytes.count {
      var count = 0
      let failure = bytes.withUnsafeBytes { bytes in
        handle.withLock { handle -> TLSFailure? in
          let code = curl_easy_send(
            handle.raw, bytes.baseAddress! + written, bytes.count - written, &count)
          return code == CURLE_OK ? nil : handle.failure(code)
        }
      }
      written += count
      guard let failure else { continue }
      guard failure.code == CURLE_AGAIN else { throw failure.error(during: "write", peer) }
      try wait(POLLOUT, deadline, "write")
    }
  }

  public func interrupt() { _ = shutdown(socket, Int32(SHUT_RDWR)) }

  private func wait(
    _ events: Int32, _ deadline: Deadline, _ operation: String
  ) throws(TransportError) {
    var entry = pollfd(fd: socket, events: Int16(events), revents: 0)
    while true {
      let ready = poll(&entry, 1, deadline.pollMilliseconds)
      if ready > 0 { return }
      if ready == 0, deadline.isPast {
        throw TransportError(SystemError.timedOut(operation, peer))
      }
      if ready < 0, errno != EINTR { throw TransportError(SystemError.last("poll", peer)) }
    }
  }
}
