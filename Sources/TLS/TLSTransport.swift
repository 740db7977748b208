import CCurl
import Glibc
import Platform
import Synchronization

/// A stream of bytes within TLS, made by libcurl and whichever TLS library it stands on
/// (CURLOPT_CONNECT_ONLY): it brings trust stores, host names and client certificates with it.
///
/// libcurl's calls do not wait, so that a reader and a writer, each on its own thread, hold its
/// handle for as long as it takes to encrypt what is there, and wait outside.
public final class TLSTransport: ByteTransport {
  public let peer: String
  /// What was agreed upon with the peer, and who it is.
  public let session: TLSSession
  private let handle: Mutex<TLSHandle>
  /// The connection, under a descriptor of our own: it is still this connection's when libcurl has
  /// closed its own and the number is somebody else's.
  private let descriptor: FileDescriptor
  private let hasCertificate: Bool
  private let hasRead = Atomic<Bool>(false)

  // What came while somebody only wanted to know whether something had; for the reader alone.
  nonisolated(unsafe) private var ahead: [UInt8] = []
  nonisolated(unsafe) private var aheadStart = 0
  nonisolated(unsafe) private var sawEnd = false
  /// Small pieces of a gathered write, until they fill records; for the writer alone.
  nonisolated(unsafe) private let staging = UnsafeMutableRawBufferPointer.allocate(
    byteCount: TLSTransport.stagingSize, alignment: 64)

  /// Of a record at most (RFC 8446 section 5.1): shorter ones cost a system call and a tag each.
  private static let recordSize = 16 << 10
  private static let stagingSize = 4 * recordSize

  private init(
    _ handle: consuming sending TLSHandle, descriptor: consuming FileDescriptor, peer: String,
    session: TLSSession, hasCertificate: Bool
  ) {
    self.handle = Mutex(handle)
    self.descriptor = descriptor
    self.peer = peer
    self.session = session
    self.hasCertificate = hasCertificate
  }

  deinit { staging.deallocate() }

  /// Connects, shakes hands and verifies the peer. Cannot be interrupted before the deadline.
  /// - Parameter host: the name that the peer's certificate must have.
  public static func connect(
    host: String, port: UInt16, options: TLSOptions = TLSOptions(), deadline: Deadline
  ) throws(TransportError) -> TLSTransport {
    let peer = Endpoint.tcp(host: host, port: port).description
    guard let handle = TLSHandle() else {
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
    handle.configure(url: "https://\(peer)/", options, deadline)
    if let failure = handle.connect() { throw failure.error(connectingTo: peer, options) }
    let socket = ccurl_active_socket(handle.raw)
    let own = socket < 0 ? -1 : fcntl(socket, F_DUPFD_CLOEXEC, 0)
    guard own >= 0 else { throw TransportError("\(peer): the connection is gone") }
    let session = handle.session
    return TLSTransport(
      handle, descriptor: FileDescriptor(owning: own), peer: peer, session: session,
      hasCertificate: options.certificate != nil)
  }

  // MARK: - Reading

  public func read(
    into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline
  ) throws(TransportError) -> Int {
    let kept = ahead.count - aheadStart
    if kept > 0 {
      let count = min(kept, buffer.count)
      ahead.withUnsafeBytes {
        buffer.copyMemory(
          from: UnsafeRawBufferPointer(rebasing: $0[aheadStart..<aheadStart + count]))
      }
      aheadStart += count
      return count
    }
    if sawEnd { return 0 }
    return try receive(buffer, deadline)
  }

  /// Whether the descriptor is readable says little: a record may be incomplete, hold nothing for
  /// us (a session ticket, a key update), or have been taken off it already.
  public func waitReadable(until deadline: Deadline) throws(TransportError) -> Bool {
    if ahead.count > aheadStart || sawEnd { return true }
    var failure: TransportError?
    ahead = [UInt8](unsafeUninitializedCapacity: Self.recordSize) { bytes, count in
      do throws(TransportError) {
        count = try receive(UnsafeMutableRawBufferPointer(bytes), deadline)
      } catch {
        failure = error
        count = 0
      }
    }
    aheadStart = 0
    if let failure {
      if failure.isTimeout { return false }
      throw failure
    }
    sawEnd = ahead.isEmpty
    return true
  }

  private func receive(
    _ buffer: UnsafeMutableRawBufferPointer, _ deadline: Deadline
  ) throws(TransportError) -> Int {
    while true {
      var count = 0
      let failure = handle.withLock { handle -> TLSFailure? in handle.receive(buffer, &count) }
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
      // Now and then without a sign of the peer: the TLS library may have something to write first
      // (a renegotiation), which libcurl does not tell.
      _ = try wait(POLLIN, deadline, "read", atMost: .seconds(1))
    }
  }

  // MARK: - Writing

  public func write(_ bytes: [UInt8], deadline: Deadline) throws(TransportError) {
    var failure: TransportError?
    bytes.withUnsafeBytes { bytes in
      do throws(TransportError) { try send(bytes, deadline) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Headers and short values are gathered into full records; what fills records by itself goes
  /// from where it lies.
  public func write(
    gathering vectors: UnsafeMutableBufferPointer<iovec>, deadline: Deadline
  ) throws(TransportError) {
    var staged = 0
    for vector in vectors {
      var rest = UnsafeRawBufferPointer(start: vector.iov_base, count: vector.iov_len)
      while !rest.isEmpty {
        if staged == 0, rest.count >= Self.stagingSize {
          let count = rest.count / Self.recordSize * Self.recordSize
          try send(UnsafeRawBufferPointer(rebasing: rest[..<count]), deadline)
          rest = UnsafeRawBufferPointer(rebasing: rest[count...])
          continue
        }
        // To the end of a record and no further, where the rest can then go by itself.
        let room =
          rest.count >= Self.stagingSize
          ? Self.recordSize - staged % Self.recordSize : Self.stagingSize - staged
        let count = min(rest.count, room)
        UnsafeMutableRawBufferPointer(rebasing: staging[staged...]).copyMemory(
          from: UnsafeRawBufferPointer(rebasing: rest[..<count]))
        staged += count
        rest = UnsafeRawBufferPointer(rebasing: rest[count...])
        if staged == Self.stagingSize || !rest.isEmpty {
          try send(UnsafeRawBufferPointer(rebasing: staging[..<staged]), deadline)
          staged = 0
        }
      }
    }
    if staged > 0 { try send(UnsafeRawBufferPointer(rebasing: staging[..<staged]), deadline) }
  }

  private func send(_ bytes: UnsafeRawBufferPointer, _ deadline: Deadline) throws(TransportError) {
    var written = 0
    // After a refusal the same bytes have to be offered again (SSL_write(3)): nothing is cut
    // differently in between.
    while written < bytes.count {
      var count = 0
      let rest = UnsafeRawBufferPointer(rebasing: bytes[written...])
      let failure = handle.withLock { handle -> TLSFailure? in handle.send(rest, &count) }
      written += count
      guard let failure else { continue }
      guard failure.code == CURLE_AGAIN else { throw writeError(failure) }
      if try wait(POLLOUT, deadline, "write", atMost: .zero) {
        // There is room, and yet nothing goes: it is something to read that is missing (a
        // renegotiation). Or there was none a moment ago; so not for long.
        _ = try wait(POLLIN, deadline, "write", atMost: .milliseconds(20))
      } else {
        _ = try wait(POLLOUT, deadline, "write", atMost: .seconds(1))
      }
    }
  }

  /// A peer that refuses our certificate, or the lack of one, may have closed before we could read
  /// why: TLS 1.3 tells after the handshake, while we write already.
  private func writeError(_ failure: TLSFailure) -> TransportError {
    if failure.isExplained || hasRead.load(ordering: .relaxed) {
      return failure.error(during: "write", peer)
    }
    let told = withUnsafeTemporaryAllocation(byteCount: 16, alignment: 1) { buffer in
      var count = 0
      return handle.withLock { handle -> TLSFailure? in handle.receive(buffer, &count) }
    }
    if let told, told.isExplained { return told.error(during: "read", peer) }
    return TLSFailure.closedUnheard(peer, hasCertificate: hasCertificate)
  }

  // MARK: - Ending

  public func interrupt() { _ = shutdown(descriptor.raw, Int32(SHUT_RDWR)) }

  /// Tells the peer that this is the end (close_notify, RFC 8446 section 6.1).
  public func close() {
    handle.withLock { $0.close() }
    interrupt()
  }

  /// False when nothing happened for the pause; throws when the deadline has passed.
  private func wait(
    _ events: Int32, _ deadline: Deadline, _ operation: String, atMost pause: Duration
  ) throws(TransportError) -> Bool {
    var entry = pollfd(fd: descriptor.raw, events: Int16(events), revents: 0)
    let until = deadline.sooner(.after(pause))
    while true {
      let ready = poll(&entry, 1, until.pollMilliseconds)
      if ready > 0 { return true }
      if ready == 0, deadline.isPast {
        throw TransportError(SystemError.timedOut(operation, peer))
      }
      if ready == 0, until.isPast { return false }
      if ready < 0, errno != EINTR { throw TransportError(SystemError.last("poll", peer)) }
    }
  }
}
