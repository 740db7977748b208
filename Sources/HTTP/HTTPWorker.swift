import CCurl
import Glibc
import Platform
import TLS

/// The thread of a session: everything of libcurl's happens here.
final class HTTPWorker {
  private let settings: HTTPSession.Settings
  private let mailbox: Mailbox
  private var multi: UnsafeMutableRawPointer?
  private var running: [UnsafeMutableRawPointer: HTTPTransfer] = [:]
  private var waiting: [HTTPTransfer] = []
  /// Handles that have done their work, with the room they have allotted.
  private var idle: [UnsafeMutableRawPointer] = []
  /// What the files of the certificates were when the connections were made.
  private var fingerprint = ""

  private static let isReady: Bool = {
    // libcurl's TLS library writes to sockets without MSG_NOSIGNAL.
    signal(SIGPIPE, SIG_IGN)
    return curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK
  }()

  init(_ settings: HTTPSession.Settings, _ mailbox: Mailbox) {
    self.settings = settings
    self.mailbox = mailbox
  }

  func run() {
    defer { close() }
    while true {
      guard let new = mailbox.take() else { return }
      waiting += new
      let before = multi
      let isOpen = Self.isReady && open()
      // Whoever put something in while there was nothing to wake could not do so.
      if multi != before { waiting += mailbox.take() ?? [] }
      guard isOpen else {
        for transfer in waiting {
          transfer.end(
            .failure(HTTPFailure(.notTried, "\(transfer.origin): libcurl does not start")))
        }
        waiting = []
        // Without it nothing can wake this thread: it looks again by itself.
        usleep(200_000)
        continue
      }
      startWaiting()
      for transfer in mailbox.takeNudged() { goOn(with: transfer) }
      var count: Int32 = 0
      curl_multi_perform(multi, &count)
      finishEnded()
      if !waiting.isEmpty, running.count < settings.parallel { continue }
      curl_multi_poll(multi, nil, 0, pause, nil)
    }
  }

  /// Until the next transfer's turn has to be given up; a while where nothing waits.
  private var pause: Int32 {
    var pause: Int32 = running.isEmpty ? 60_000 : 1000
    for transfer in waiting where transfer.deadline.time != nil {
      pause = min(pause, max(1, transfer.deadline.pollMilliseconds))
    }
    return pause
  }

  // MARK: - Connections

  /// libcurl reads a certificate when it makes a connection, and keeps authorities for a day: new
  /// files get new connections, as soon as the old ones are quiet.
  private func open() -> Bool {
    if waiting.isEmpty, multi != nil { return true }
    let now = settings.tls.fingerprint
    if multi != nil, now == fingerprint || !running.isEmpty { return true }
    close()
    guard let made = curl_multi_init() else { return false }
    multi = made
    fingerprint = now
    _ = ccurl_multi_set_long(made, CURLMOPT_PIPELINING, Int(CURLPIPE_MULTIPLEX))
    _ = ccurl_multi_set_long(made, CURLMOPT_MAXCONNECTS, settings.parallel)
    _ = ccurl_multi_set_long(made, CURLMOPT_MAX_TOTAL_CONNECTIONS, settings.parallel)
    nonisolated(unsafe) let shared: UnsafeMutableRawPointer? = made
    mailbox.wake(shared)
    return true
  }

  private func close() {
    mailbox.wake(nil)
    for (handle, transfer) in running {
      curl_multi_remove_handle(multi, handle)
      curl_easy_cleanup(handle)
      transfer.handle = nil
      transfer.end(.failure(HTTPFailure(.broken, "\(transfer.origin): the session has ended")))
    }
    running = [:]
    for handle in idle { curl_easy_cleanup(handle) }
    idle = []
    if let multi { curl_multi_cleanup(multi) }
    multi = nil
  }

  // MARK: - Transfers

  private func startWaiting() {
    var left: [HTTPTransfer] = []
    for transfer in waiting {
      if transfer.deadline.isPast {
        transfer.end(
          .failure(HTTPFailure(.notTried, "\(transfer.origin): no time was left to ask it")))
      } else if running.count < settings.parallel {
        start(transfer)
      } else {
        left.append(transfer)
      }
    }
    waiting = left
  }

  /// A stream for which there is room again, or something to send; or that has been given up.
  private func goOn(with transfer: HTTPTransfer) {
    guard transfer.pipe?.isCancelled == true else {
      if let handle = transfer.handle { curl_easy_pause(handle, CURLPAUSE_CONT) }
      return
    }
    if let handle = transfer.handle {
      curl_multi_remove_handle(multi, handle)
      running[handle] = nil
      transfer.handle = nil
      curl_easy_cleanup(handle)
    }
    waiting.removeAll { $0 === transfer }
    transfer.end(.failure(HTTPFailure(.broken, "\(transfer.origin): given up")))
  }

  private func start(_ transfer: HTTPTransfer) {
    if transfer.pipe?.isCancelled == true {
      transfer.end(.failure(HTTPFailure(.notTried, "\(transfer.origin): given up")))
      return
    }
    guard let handle = idle.popLast() ?? curl_easy_init() else {
      transfer.end(
        .failure(HTTPFailure(.notTried, "\(transfer.origin): libcurl has no room for a request")))
      return
    }
    curl_easy_reset(handle)
    configure(handle, transfer)
    running[handle] = transfer
    transfer.handle = handle
    transfer.pipe?.noteProgress()
    let code = curl_multi_add_handle(multi, handle)
    if code != CURLM_OK {
      running[handle] = nil
      transfer.handle = nil
      curl_easy_cleanup(handle)
      transfer.end(
        .failure(
          HTTPFailure(
            .notTried, "\(transfer.origin): \(String(cString: curl_multi_strerror(code)))")))
    }
  }

  private func configure(_ handle: UnsafeMutableRawPointer, _ transfer: HTTPTransfer) {
    func set(_ option: CURLoption, _ value: String) { _ = ccurl_set_string(handle, option, value) }
    func set(_ option: CURLoption, _ value: Int) { _ = ccurl_set_long(handle, option, value) }
    let request = transfer.request
    _ = ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, transfer.message)
    set(CURLOPT_URL, request.url)
    set(CURLOPT_PROTOCOLS_STR, "http,https")
    set(CURLOPT_USERAGENT, "syncd")
    set(CURLOPT_FOLLOWLOCATION, 0)
    set(CURLOPT_NOSIGNAL, 1)
    set(CURLOPT_NETRC, Int(CURL_NETRC_IGNORED.rawValue))
    set(CURLOPT_PROXY, settings.proxy ?? "")
    // What is paused in the middle of unpacking would be unpacked into memory.
    if transfer.pipe == nil { set(CURLOPT_ACCEPT_ENCODING, "") }
    set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
    set(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS)
    // Rather a stream of a connection that is being made than another connection.
    set(CURLOPT_PIPEWAIT, 1)
    set(CURLOPT_TCP_KEEPALIVE, 1)
    set(CURLOPT_BUFFERSIZE, transfer.pipe == nil ? 32 << 10 : 256 << 10)
    set(CURLOPT_SSL_VERIFYPEER, 1)
    set(CURLOPT_SSL_VERIFYHOST, 2)
    set(CURLOPT_SSLVERSION, Int(CURL_SSLVERSION_TLSv1_2))
    set(CURLOPT_CERTINFO, 1)
    set(
      CURLOPT_CONNECTTIMEOUT_MS, max(1, Int(settings.connectTimeout.wholeNanoseconds / 1_000_000)))
    if transfer.deadline.time != nil, transfer.pipe == nil {
      set(CURLOPT_TIMEOUT_MS, max(1, Int(transfer.deadline.pollMilliseconds)))
    }
    let tls = settings.tls
    if let file = tls.trustedCertificates { set(CURLOPT_CAINFO, file) }
    if let file = tls.certificate {
      set(CURLOPT_SSLCERT, file)
      set(CURLOPT_SSLKEY, tls.key ?? file)
    }
    if let password = tls.keyPassword { set(CURLOPT_KEYPASSWD, password) }
    setHeaders(handle, transfer)
    setBody(handle, transfer)
    setSinks(handle, transfer)
  }

  private func setHeaders(_ handle: UnsafeMutableRawPointer, _ transfer: HTTPTransfer) {
    var list: UnsafeMutablePointer<curl_slist>?
    func add(_ name: String, _ value: String) {
      // Nothing that came from elsewhere may begin a header of its own.
      let clean = value.utf8.filter { $0 >= 0x20 && $0 != 0x7F }
      list = curl_slist_append(list, "\(name): \(String(decoding: clean, as: UTF8.self))")
    }
    let request = transfer.request
    if !request.headers.contains(where: { $0.name.lowercased() == "accept" }) {
      add("Accept", "application/json, application/problem+json")
    }
    // Bodies are small: not worth a round trip of asking first.
    list = curl_slist_append(list, "Expect:")
    if request.body != nil || transfer.uploadLength != nil {
      add("Content-Type", request.contentType)
    }
    for header in request.headers { add(header.name, header.value) }
    transfer.headerList = list
    _ = ccurl_set_pointer(handle, CURLOPT_HTTPHEADER, list)
  }

  private func setBody(_ handle: UnsafeMutableRawPointer, _ transfer: HTTPTransfer) {
    if let length = transfer.uploadLength {
      _ = ccurl_set_long(handle, CURLOPT_POST, 1)
      ccurl_set_upload(
        handle, curl_off_t(length),
        { bytes, size, count, context in
          let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context!).takeUnretainedValue()
          return transfer.give(
            into: UnsafeMutableRawBufferPointer(start: bytes, count: size * count))
        }, Unmanaged.passUnretained(transfer).toOpaque())
      _ = ccurl_set_long(handle, CURLOPT_UPLOAD_BUFFERSIZE, 256 << 10)
    } else if let body = transfer.request.body {
      body.withUnsafeBytes { bytes in
        _ = ccurl_set_long(handle, CURLOPT_POSTFIELDSIZE, bytes.count)
        _ = ccurl_set_pointer(
          handle, CURLOPT_COPYPOSTFIELDS, UnsafeMutableRawPointer(mutating: bytes.baseAddress))
      }
    }
    // Copying fields makes a POST of it.
    _ = ccurl_set_string(handle, CURLOPT_CUSTOMREQUEST, transfer.request.method)
  }

  private func setSinks(_ handle: UnsafeMutableRawPointer, _ transfer: HTTPTransfer) {
    // Kept alive by `running`.
    transfer.settings = settings
    let context = Unmanaged.passUnretained(transfer).toOpaque()
    ccurl_set_body_sink(
      handle,
      { bytes, size, count, context in
        let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context!).takeUnretainedValue()
        let piece = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return transfer.take(piece)
      }, context)
    ccurl_set_header_sink(
      handle,
      { bytes, size, count, context in
        let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context!).takeUnretainedValue()
        let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
        return transfer.takeHeader(line) ? size * count : 0
      }, context)
  }

  private func finishEnded() {
    var code = CURLE_OK
    while let handle = ccurl_multi_next_ended(multi, &code) {
      curl_multi_remove_handle(multi, handle)
      guard let transfer = running.removeValue(forKey: handle) else { continue }
      transfer.handle = nil
      let result = result(of: transfer, handle, code)
      if idle.count < settings.parallel { idle.append(handle) } else { curl_easy_cleanup(handle) }
      transfer.end(result)
    }
  }

  private func result(
    of transfer: HTTPTransfer, _ handle: UnsafeMutableRawPointer, _ code: CURLcode
  ) -> Result<HTTPResponse, HTTPFailure> {
    if let refusal = transfer.refusal {
      return .failure(HTTPFailure(.unusable, "\(transfer.origin): \(refusal)"))
    }
    guard code == CURLE_OK else {
      let words = String(cString: transfer.message)
      let failure = TLSFailure(
        code: code, verification: ccurl_verify_result(handle),
        words: words.isEmpty ? String(cString: curl_easy_strerror(code)) : words)
      let isNew = ccurl_long_info(handle, CURLINFO_NUM_CONNECTS) > 0
      return .failure(Self.failure(failure, transfer, settings, isNew: isNew))
    }
    var response = HTTPResponse(
      status: Int(ccurl_response_status(handle)), headers: transfer.headers, body: transfer.body)
    switch ccurl_long_info(handle, CURLINFO_HTTP_VERSION) {
    case Int(CURL_HTTP_VERSION_1_0): response.version = 10
    case Int(CURL_HTTP_VERSION_1_1): response.version = 11
    case Int(CURL_HTTP_VERSION_2_0): response.version = 20
    case Int(CURL_HTTP_VERSION_3): response.version = 30
    default: break
    }
    response.peerCertificate = ccurl_peer_certificate(handle).map { String(cString: $0) }
    return .success(response)
  }

  /// What a failure of libcurl's means for the request: above all, whether it can have been heard.
  private static func failure(
    _ failure: TLSFailure, _ transfer: HTTPTransfer, _ settings: HTTPSession.Settings,
    isNew: Bool
  ) -> HTTPFailure {
    let origin = transfer.origin
    switch failure.code {
    case CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_PROXY,
      CURLE_PROXY:
      return HTTPFailure(.unreachable, failure.advice(about: origin, settings.tls))
    case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE, CURLE_SSL_CERTPROBLEM,
      CURLE_SSL_CONNECT_ERROR, CURLE_SSL_CIPHER, CURLE_SSL_ISSUER_ERROR,
      CURLE_SSL_INVALIDCERTSTATUS:
      return HTTPFailure(.untrusted, failure.advice(about: origin, settings.tls))
    case CURLE_OPERATION_TIMEDOUT:
      // libcurl says so where the connection itself was not made in time.
      let isConnecting =
        failure.words.hasPrefix("Connection timed out")
        || failure.words.hasPrefix("Failed to connect") || failure.words.hasPrefix("Resolving")
      return HTTPFailure(
        isConnecting ? .unreachable : .timeout,
        isConnecting
          ? "\(origin): no connection in time: check that it listens there, and the firewalls "
            + "between (\(failure.words))"
          : "\(origin): no whole answer in time (\(failure.words))")
    case CURLE_RECV_ERROR where failure.isExplained, CURLE_SEND_ERROR where failure.isExplained:
      return HTTPFailure(.untrusted, failure.advice(about: origin, settings.tls))
    case CURLE_UNSUPPORTED_PROTOCOL, CURLE_URL_MALFORMAT:
      return HTTPFailure(.notTried, "\(origin): \(failure.words)")
    case CURLE_PARTIAL_FILE:
      return HTTPFailure(
        .broken, "\(origin): its answer was cut: it announced more (\(failure.words))")
    case CURLE_BAD_CONTENT_ENCODING:
      return HTTPFailure(.unusable, "\(origin): its answer cannot be unpacked (\(failure.words))")
    default:
      var advice = "the connection broke"
      if isNew, transfer.headers.isEmpty, origin.hasPrefix("https") {
        advice = TLSFailure.closedUnheard(hasCertificate: settings.tls.certificate != nil)
      }
      return HTTPFailure(.broken, "\(origin): \(advice) (\(failure.words))")
    }
  }
}
