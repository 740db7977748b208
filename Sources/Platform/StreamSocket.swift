import CLinux
import Glibc

/// A connected stream socket. Every wait has a deadline, kept on the descriptor itself by poll(2).
///
/// One thread reads and one writes at a time; ``interrupt()`` may be called from any thread and
/// makes both return.
public final class StreamSocket: Sendable {
  public let descriptor: FileDescriptor
  /// The other end, for messages.
  public let peer: String

  /// Takes over a connected descriptor.
  public init(owning descriptor: consuming FileDescriptor, peer: String) {
    // Deadlines need a descriptor that never blocks in read or write itself.
    _ = clinux_set_nonblocking(descriptor.raw, 1)
    self.descriptor = descriptor
    self.peer = peer
  }

  /// Connects, trying each address of the host in turn until the deadline.
  public static func connect(
    to endpoint: Endpoint, deadline: Deadline
  ) throws(SystemError) -> StreamSocket {
    let raw = try endpoint.withAddresses(passive: false) {
      (family, address, length) throws(SystemError) -> Int32 in
      let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      let made = Glibc.socket(family, type, 0)
      guard made >= 0 else { throw .last("socket", endpoint.description) }
      let descriptor = FileDescriptor(owning: made)
      if Glibc.connect(descriptor.raw, address, length) != 0 {
        // A Unix socket whose backlog is full says EAGAIN: the server is there but not accepting.
        guard errno == EINPROGRESS else { throw .last("connect", endpoint.description) }
        try Self.wait(descriptor.raw, POLLOUT, deadline, "connect", endpoint.description)
        var code: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        getsockopt(descriptor.raw, SOL_SOCKET, SO_ERROR, &code, &size)
        guard code == 0 else {
          throw SystemError(code: code, operation: "connect", subject: endpoint.description)
        }
      }
      if family != AF_UNIX { Self.disableNagle(descriptor.raw) }
      return descriptor.release()
    }
    return StreamSocket(owning: FileDescriptor(owning: raw), peer: endpoint.description)
  }

  /// Two connected sockets in this process.
  public static func pair() throws(SystemError) -> (StreamSocket, StreamSocket) {
    var ends: (Int32, Int32) = (-1, -1)
    let status = withUnsafeMutableBytes(of: &ends) {
      socketpair(
        AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0,
        $0.assumingMemoryBound(to: Int32.self).baseAddress)
    }
    guard status == 0 else { throw .last("socketpair") }
    return (
      StreamSocket(owning: FileDescriptor(owning: ends.0), peer: "pair"),
      StreamSocket(owning: FileDescriptor(owning: ends.1), peer: "pair")
    )
  }

  /// Reads what is there, waiting for at least one byte. 0 means the peer closed its side.
  /// - Parameter acknowledging: before it waits, what has come is acknowledged at once: a peer that
  ///   leaves Nagle's algorithm on holds back the end of its message until the beginning is, which
  ///   otherwise takes 40 ms. While bytes flow it costs nothing. For TCP only.
  public func read(
    into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline, acknowledging: Bool = false
  ) throws(SystemError) -> Int {
    while true {
      let count = Glibc.recv(descriptor.raw, buffer.baseAddress, buffer.count, 0)
      if count >= 0 { return count }
      switch errno {
      case EINTR: continue
      case EAGAIN:
        if acknowledging { acknowledgeNow() }
        try Self.wait(descriptor.raw, POLLIN, deadline, "read", peer)
      default: throw .last("read", peer)
      }
    }
  }

  /// Writes all of the bytes.
  public func write(_ buffer: UnsafeRawBufferPointer, deadline: Deadline) throws(SystemError) {
    var vector = iovec(
      iov_base: UnsafeMutableRawPointer(mutating: buffer.baseAddress), iov_len: buffer.count)
    try withUnsafeMutablePointer(to: &vector) { (pointer) throws(SystemError) in
      try write(gathering: UnsafeMutableBufferPointer(start: pointer, count: 1), deadline: deadline)
    }
  }

  /// Writes all of the bytes.
  public func write(_ bytes: [UInt8], deadline: Deadline) throws(SystemError) {
    var failure: SystemError?
    bytes.withUnsafeBytes { buffer in
      do throws(SystemError) { try write(buffer, deadline: deadline) } catch { failure = error }
    }
    if let failure { throw failure }
  }

  /// Writes all of several pieces of memory with as few system calls as the kernel allows.
  /// The vectors are changed on the way.
  /// - Parameter more: more follows at once, so that a packet need not go out half full.
  public func write(
    gathering vectors: UnsafeMutableBufferPointer<iovec>, more: Bool = false, deadline: Deadline
  ) throws(SystemError) {
    let flags = Int32(MSG_NOSIGNAL) | (more ? Int32(MSG_MORE) : 0)
    var first = 0
    while first < vectors.count {
      if vectors[first].iov_len == 0 {
        first += 1
        continue
      }
      var message = msghdr()
      message.msg_iov = vectors.baseAddress! + first
      message.msg_iovlen = min(vectors.count - first, 1024)
      let sent = sendmsg(descriptor.raw, &message, flags)
      if sent < 0 {
        switch errno {
        case EINTR: continue
        case EAGAIN: try Self.wait(descriptor.raw, POLLOUT, deadline, "write", peer)
        default: throw .last("write", peer)
        }
        continue
      }
      var left = sent
      while left > 0 {
        let length = vectors[first].iov_len
        if left >= length {
          left -= length
          first += 1
        } else {
          vectors[first].iov_base += left
          vectors[first].iov_len -= left
          left = 0
        }
      }
    }
  }

  /// Sends a part of a file, from the kernel's cache of it to the network without a copy in between
  /// (sendfile(2)). The peer may get the bytes as they are when they leave, so the file must not
  /// change meanwhile.
  /// - Returns: how many bytes went: fewer than asked for when the file ends early.
  public func send(
    file: Int32, from offset: Int, count: Int, deadline: Deadline
  ) throws(SystemError) -> Int {
    _ = Self.survivesClosedPeers
    var position = off_t(offset)
    let end = position + off_t(count)
    while position < end {
      let sent = Glibc.sendfile(descriptor.raw, file, &position, Int(end - position))
      if sent > 0 { continue }
      if sent == 0 { break }
      switch errno {
      case EINTR: continue
      case EAGAIN: try Self.wait(descriptor.raw, POLLOUT, deadline, "write", peer)
      default: throw .last("write", peer)
      }
    }
    return Int(position) - offset
  }

  /// sendfile(2) has no MSG_NOSIGNAL: a peer that has closed is to be an error, not a signal.
  private static let survivesClosedPeers: Void = {
    var action = sigaction()
    // Whoever has a handler of his own keeps it.
    if sigaction(SIGPIPE, nil, &action) == 0, action.__sigaction_handler.sa_handler == nil {
      signal(SIGPIPE, SIG_IGN)
    }
  }()

  /// Waits until there is something to read (or the peer closed). False at the deadline.
  public func waitReadable(until deadline: Deadline) throws(SystemError) -> Bool {
    do throws(SystemError) {
      try Self.wait(descriptor.raw, POLLIN, deadline, "read", peer)
      return true
    } catch {
      if error.isTimeout { return false }
      throw error
    }
  }

  /// Tells the peer that nothing more will be written.
  public func finishWriting() { _ = Glibc.shutdown(descriptor.raw, Int32(SHUT_WR)) }

  /// Ends the connection for both sides at once; a thread waiting on it returns.
  public func interrupt() { _ = Glibc.shutdown(descriptor.raw, Int32(SHUT_RDWR)) }

  /// The process at the other end of a Unix socket.
  public func peerCredentials() throws(SystemError) -> PeerCredentials {
    var uid: uid_t = 0
    var gid: gid_t = 0
    var pid: pid_t = 0
    guard clinux_peer_credentials(descriptor.raw, &uid, &gid, &pid) == 0 else {
      throw .last("SO_PEERCRED", peer)
    }
    return PeerCredentials(uid: uid, gid: gid, pid: pid)
  }

  /// Asks the kernel for larger buffers; it gives at most its own limit.
  public func setBuffers(receive: Int32? = nil, send: Int32? = nil) {
    if var size = receive {
      setsockopt(descriptor.raw, SOL_SOCKET, SO_RCVBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
    if var size = send {
      setsockopt(descriptor.raw, SOL_SOCKET, SO_SNDBUF, &size, socklen_t(MemoryLayout<Int32>.size))
    }
  }

  /// Acknowledges what has been received at once, where the peer waits for it (Nagle's algorithm).
  public func acknowledgeNow() {
    var on: Int32 = 1
    setsockopt(
      descriptor.raw, Int32(IPPROTO_TCP), TCP_QUICKACK, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  static func disableNagle(_ raw: Int32) {
    var on: Int32 = 1
    setsockopt(raw, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
    setsockopt(raw, SOL_SOCKET, SO_KEEPALIVE, &on, socklen_t(MemoryLayout<Int32>.size))
  }

  static func wait(
    _ raw: Int32, _ events: Int32, _ deadline: Deadline, _ operation: String, _ subject: String
  ) throws(SystemError) {
    var entry = pollfd(fd: raw, events: Int16(events), revents: 0)
    while true {
      let ready = poll(&entry, 1, deadline.pollMilliseconds)
      if ready > 0 { return }
      if ready == 0 {
        if deadline.isPast { throw .timedOut(operation, subject) }
        continue
      }
      if errno != EINTR { throw .last("poll", subject) }
    }
  }
}

/// Who is at the other end of a Unix socket, as the kernel vouches for it (SO_PEERCRED).
public struct PeerCredentials: Hashable, Sendable {
  public let uid: uid_t
  public let gid: gid_t
  public let pid: pid_t

  public init(uid: uid_t, gid: gid_t, pid: pid_t) {
    self.uid = uid
    self.gid = gid
    self.pid = pid
  }

  /// The user's name, or the number where the system knows no name.
  public var userName: String {
    UserDatabase.userName(uid) ?? String(uid)
  }
}
