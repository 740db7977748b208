import CCurl
import Glibc
import Platform
import Synchronization
import TLS

/// Connections to one server, on libcurl's multi interface: kept and used again, several requests
/// at once (over one connection where the server speaks HTTP/2), each bounded in time and size.
///
/// Never follows a redirect, and leaves this machine only by https. Certificates that have been
/// renewed on disk are used from the next quiet moment on.
///
/// A thread of its own moves the bytes; ``perform(_:deadline:)`` blocks its caller. The thread ends
/// with the object.
public final class HTTPSession: Sendable {
  public struct Settings: Hashable, Sendable {
    public var tls = TLSOptions()
    /// `http://host:port`; nil for none. What the environment says of proxies does not count.
    public var proxy: String?
    public var connectTimeout: Duration = .seconds(5)
    /// Requests under way at the same time; others wait for their turn.
    public var parallel = 8
    /// The longest body that comes with an answer, unpacked, in bytes.
    public var limit = 16 << 20
    /// The longest body that is handed out piece by piece, unpacked.
    public var streamLimit = 1 << 30

    public init(tls: TLSOptions = TLSOptions()) { self.tls = tls }
  }

  public let settings: Settings
  private let mailbox: Mailbox

  public init(_ settings: Settings = Settings(), name: String = "http") {
    self.settings = settings
    mailbox = Mailbox()
    let mailbox = self.mailbox
    WorkThread.start(String("http \(name)".prefix(15))) {
      HTTPWorker(settings, mailbox).run()
    }
  }

  deinit { mailbox.stop() }

  /// Sends a request and waits for the whole answer.
  /// - Throws: ``HTTPFailure``, which says whether the server may have acted upon it.
  public func perform(
    _ request: HTTPRequest, deadline: Deadline
  ) throws(HTTPFailure) -> HTTPResponse {
    let transfer = HTTPTransfer(request, origin: try check(request), deadline: deadline)
    try add(transfer)
    // The session's thread ends every transfer at its deadline; the rest is for a lost thread.
    let longest = deadline.time.map { Deadline.at($0 + .seconds(5)) } ?? .never
    guard let result = transfer.outcome.wait(until: longest, { $0 }) else {
      throw HTTPFailure(.timeout, "\(transfer.origin): no answer in time")
    }
    return try result.get()
  }

  /// Begins a request whose bodies are streams.
  /// - Parameters:
  ///   - uploadLength: the bytes of the body that follows, by ``HTTPExchange/write(_:)``; nil where
  ///     the request has none.
  ///   - idle: how long nothing may move.
  ///   - stop: once it is open, whoever waits for the exchange gives up.
  public func exchange(
    _ request: HTTPRequest, uploadLength: Int? = nil, idle: Duration, stop: Gate? = nil
  ) throws(HTTPFailure) -> HTTPExchange {
    let pipe = HTTPPipe()
    // Its turn has to come within that time as well.
    let transfer = HTTPTransfer(request, origin: try check(request), deadline: .after(idle))
    transfer.pipe = pipe
    transfer.uploadLength = uploadLength
    try add(transfer)
    return HTTPExchange(transfer, pipe, self, idle: idle, stop: stop)
  }

  /// Has the session's thread look at a transfer again: it goes on, or has been given up.
  func nudge(_ transfer: HTTPTransfer) { mailbox.nudge(transfer) }

  private func add(_ transfer: HTTPTransfer) throws(HTTPFailure) {
    guard mailbox.add(transfer) else {
      throw HTTPFailure(.notTried, "\(transfer.origin): libcurl does not start")
    }
  }

  /// Whether a request may be sent at all.
  /// - Returns: the server's origin, for messages.
  private func check(_ request: HTTPRequest) throws(HTTPFailure) -> String {
    guard let url = HTTPURL(Self.withoutQuery(request.url)) else {
      throw HTTPFailure(
        .notTried, "not an address that can be asked: it has to be https://host/...")
    }
    guard url.isSecure || url.isLoopback else {
      throw HTTPFailure(.notTried, "\(url.origin): only https leaves this machine")
    }
    if let missing = settings.tls.unreadableFile {
      throw HTTPFailure(.notTried, "\(url.origin): \(missing)")
    }
    return url.origin
  }

  private static func withoutQuery(_ url: String) -> String {
    url.firstIndex(of: "?").map { String(url[..<$0]) } ?? url
  }
}

/// What callers have put in for the session's thread.
final class Mailbox: Sendable {
  private struct State {
    var waiting: [HTTPTransfer] = []
    /// Streams to look at again.
    var nudged: [HTTPTransfer] = []
    var isStopped = false
    /// libcurl's; its wake-up is the one call that any thread may make.
    var multi: UnsafeMutableRawPointer?
  }

  // @unchecked within: the pointer is only used inside the mutex.
  private struct Guarded: ~Copyable, @unchecked Sendable { var state = State() }
  private let guarded = Mutex(Guarded())

  func add(_ transfer: HTTPTransfer) -> Bool {
    guarded.withLock { guarded in
      if guarded.state.isStopped { return false }
      guarded.state.waiting.append(transfer)
      if let multi = guarded.state.multi { curl_multi_wakeup(multi) }
      return true
    }
  }

  func nudge(_ transfer: HTTPTransfer) {
    guarded.withLock { guarded in
      guarded.state.nudged.append(transfer)
      if let multi = guarded.state.multi { curl_multi_wakeup(multi) }
    }
  }

  func takeNudged() -> [HTTPTransfer] {
    guarded.withLock { guarded in
      let taken = guarded.state.nudged
      guarded.state.nudged = []
      return taken
    }
  }

  func stop() {
    guarded.withLock { guarded in
      guarded.state.isStopped = true
      if let multi = guarded.state.multi { curl_multi_wakeup(multi) }
    }
  }

  /// What has come since; nil when the session has ended.
  func take() -> [HTTPTransfer]? {
    guarded.withLock { guarded in
      let taken = guarded.state.waiting
      guarded.state.waiting = []
      return guarded.state.isStopped && taken.isEmpty ? nil : taken
    }
  }

  func wake(_ multi: sending UnsafeMutableRawPointer?) {
    guarded.withLock { $0.state.multi = multi }
  }
}

/// A request under way, and what has come of its answer.
final class HTTPTransfer: @unchecked Sendable {
  // @unchecked: made by the caller, then touched by the session's thread alone; `outcome` is shared.
  let request: HTTPRequest
  let origin: String
  let deadline: Deadline
  let outcome = Monitor<Result<HTTPResponse, HTTPFailure>?>(nil)

  var settings = HTTPSession.Settings()
  var status = 0
  /// As the status line tells it.
  private var version = 0
  private static let versions = ["HTTP/1.0": 10, "HTTP/1.1": 11, "HTTP/2": 20, "HTTP/3": 30]
  var headers: [(name: String, value: String)] = []
  private var headerBytes = 0
  var body: [UInt8] = []
  var received = 0
  /// Of an ``HTTPExchange``: where its bodies go and come from. Set before it is handed over.
  var pipe: HTTPPipe?
  var uploadLength: Int?
  /// libcurl's, while it is under way.
  var handle: UnsafeMutableRawPointer?
  private var isHeadWhole = false
  /// Why it was ended from our side.
  var refusal: String?
  var headerList: UnsafeMutablePointer<curl_slist>?
  let message: UnsafeMutablePointer<CChar>

  init(_ request: HTTPRequest, origin: String, deadline: Deadline) {
    self.request = request
    self.origin = origin
    self.deadline = deadline
    message = .allocate(capacity: Int(CURL_ERROR_SIZE))
    message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
  }

  deinit {
    curl_slist_free_all(headerList)
    message.deallocate()
  }

  /// One line of the answer's head. False ends the transfer.
  func takeHeader(_ bytes: UnsafeRawBufferPointer) -> Bool {
    // What follows the body says nothing that is used.
    if isHeadWhole { return true }
    if let pipe, status >= 200, bytes.count <= 2 {
      isHeadWhole = true
      var head = HTTPResponse(status: status, headers: headers)
      head.version = version
      pipe.takeHead(head)
      return true
    }
    if bytes.starts(with: "HTTP/".utf8) {
      // A new head: that of the proxy, or of an interim answer, came before.
      headers = []
      headerBytes = 0
      let parts = String(decoding: bytes, as: UTF8.self).split(separator: " ")
      status = parts.count > 1 ? Int(parts[1].prefix(3)) ?? 0 : 0
      version = Self.versions[String(parts.first ?? "")] ?? 0
      return true
    }
    headerBytes += bytes.count
    guard headerBytes <= 64 << 10, headers.count < 200 else {
      refusal = "its answer has a head without an end"
      return false
    }
    guard let colon = bytes.firstIndex(of: UInt8(ascii: ":")) else { return true }
    let name = String(decoding: bytes[..<colon], as: UTF8.self).lowercased()
    var value = bytes[(colon + 1)...]
    while let first = value.first, first <= 0x20 { value = value.dropFirst() }
    while let last = value.last, last <= 0x20 { value = value.dropLast() }
    headers.append((name, String(decoding: value, as: UTF8.self)))
    return true
  }

  /// A piece of the body. False ends the transfer.
  func takeBody(_ bytes: UnsafeRawBufferPointer) -> Bool {
    received += bytes.count
    if let onBody = request.onBody, (200..<300).contains(status) {
      guard received <= settings.streamLimit else {
        refusal = "its answer is longer than \(settings.streamLimit) bytes"
        return false
      }
      if let wanted = request.expectedType, received == bytes.count {
        let type = headers.first { $0.name == "content-type" }?.value.lowercased() ?? ""
        guard type.contains(wanted) else {
          refusal =
            "its answer is \(type.isEmpty ? "of no type" : String(type.prefix(60))), not \(wanted): "
            + "is it a log-in page, or the wrong address?"
          return false
        }
      }
      if onBody(bytes) { return true }
      refusal = "its answer is not what was asked for"
      return false
    }
    guard received <= settings.limit else {
      refusal = "its answer is longer than \(settings.limit) bytes"
      return false
    }
    body.append(contentsOf: bytes)
    return true
  }

  /// A piece of the body: how many bytes of it were taken, as libcurl wants to be told.
  func take(_ bytes: UnsafeRawBufferPointer) -> Int {
    guard let pipe else { return takeBody(bytes) ? bytes.count : 0 }
    switch pipe.take(bytes) {
    case .taken: return bytes.count
    case .full: return Int(CURL_WRITEFUNC_PAUSE)
    case .cancelled: return 0
    }
  }

  /// The next piece of the request's body, as libcurl wants it.
  func give(into buffer: UnsafeMutableRawBufferPointer) -> Int {
    switch pipe?.give(into: buffer) {
    case .bytes(let count)?: return count
    case .nothingYet?: return Int(CURL_READFUNC_PAUSE)
    case .cancelled?, nil: return Int(CURL_READFUNC_ABORT)
    }
  }

  func end(_ result: Result<HTTPResponse, HTTPFailure>) {
    pipe?.end(result)
    outcome.update { if $0 == nil { $0 = result } }
  }
}
