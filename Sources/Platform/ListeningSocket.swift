import CLinux
import Glibc

/// A listening stream socket whose ``accept()`` can be stopped from another thread.
public final class ListeningSocket: Sendable {
  public let descriptor: FileDescriptor
  public let endpoint: Endpoint
  /// An eventfd: readable once ``stop()`` has been called.
  private let wake: FileDescriptor
  /// The file to remove at the end, when we made it. Not for sockets given by systemd.
  private let ownedPath: String?

  /// Binds and listens.
  /// - Parameter mode: for a Unix socket, the mode of its file. A stale file that nobody answers
  ///   on is replaced; one with a live listener is `EADDRINUSE`.
  public init(
    on endpoint: Endpoint, mode: mode_t = 0o600, backlog: Int32 = 128
  ) throws(SystemError) {
    if case .unix(let path) = endpoint { try Self.removeStale(path, endpoint) }
    let raw = try endpoint.withAddresses(passive: true) {
      (family, address, length) throws(SystemError) -> Int32 in
      let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue)
      let made = Glibc.socket(family, type, 0)
      guard made >= 0 else { throw .last("socket", endpoint.description) }
      let descriptor = FileDescriptor(owning: made)
      var on: Int32 = 1
      if family != AF_UNIX {
        setsockopt(made, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
      } else {
        // bind(2) makes the file with the descriptor's mode: never wider than asked, not even
        // for a moment.
        _ = fchmod(made, mode)
      }
      guard Glibc.bind(made, address, length) == 0 else {
        throw .last("bind", endpoint.description)
      }
      if case .unix(let path) = endpoint {
        guard chmod(path, mode) == 0 else { throw .last("chmod", path) }
      }
      guard Glibc.listen(made, backlog) == 0 else { throw .last("listen", endpoint.description) }
      return descriptor.release()
    }
    descriptor = FileDescriptor(owning: raw)
    wake = FileDescriptor(owning: clinux_event())
    switch endpoint {
    case .unix(let path):
      self.endpoint = endpoint
      ownedPath = path
    case .tcp(let host, _):
      self.endpoint = .tcp(host: host, port: Self.boundPort(raw))
      ownedPath = nil
    }
  }

  /// Takes over a listener made by somebody else: systemd's socket activation.
  public init(adopting raw: Int32) {
    _ = clinux_set_close_on_exec(raw)
    _ = clinux_set_nonblocking(raw, 1)
    descriptor = FileDescriptor(owning: raw)
    wake = FileDescriptor(owning: clinux_event())
    ownedPath = nil
    endpoint = Self.localEndpoint(raw)
  }

  deinit {
    if let ownedPath { unlink(ownedPath) }
  }

  /// The next connection; nil once ``stop()`` has been called.
  public func accept() throws(SystemError) -> StreamSocket? {
    while true {
      var entries = (
        pollfd(fd: descriptor.raw, events: Int16(POLLIN), revents: 0),
        pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0)
      )
      let ready = withUnsafeMutableBytes(of: &entries) {
        poll($0.assumingMemoryBound(to: pollfd.self).baseAddress, 2, -1)
      }
      if ready < 0 {
        if errno == EINTR { continue }
        throw .last("poll", endpoint.description)
      }
      if entries.1.revents != 0 { return nil }
      let accepted = clinux_accept(descriptor.raw)
      if accepted < 0 {
        switch errno {
        case EINTR, EAGAIN, ECONNABORTED, EPROTO: continue
        case EMFILE, ENFILE, ENOBUFS, ENOMEM:
          // Out of descriptors: the connection waits in the backlog. Spinning would not help it.
          var pause = pollfd(fd: wake.raw, events: Int16(POLLIN), revents: 0)
          poll(&pause, 1, 100)
          continue
        default: throw .last("accept", endpoint.description)
        }
      }
      if case .tcp = endpoint { StreamSocket.disableNagle(accepted) }
      return StreamSocket(
        owning: FileDescriptor(owning: accepted), peer: Self.remoteName(accepted))
    }
  }

  /// Makes ``accept()`` return nil, now and from then on.
  public func stop() {
    clinux_event_raise(wake.raw)
  }

  /// The port that was bound, for TCP.
  public var port: UInt16 {
    if case .tcp(_, let port) = endpoint { return port }
    return 0
  }

  private static func removeStale(_ path: String, _ endpoint: Endpoint) throws(SystemError) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFSOCK else {
      throw SystemError(code: EEXIST, operation: "listen (not a socket)", subject: path)
    }
    do throws(SystemError) {
      _ = try StreamSocket.connect(to: endpoint, deadline: .after(.seconds(1)))
    } catch {
      if error.code == ECONNREFUSED {
        unlink(path)
        return
      }
      if error.code != EAGAIN { throw error }
    }
    throw SystemError(code: EADDRINUSE, operation: "listen", subject: path)
  }

  private static func boundPort(_ raw: Int32) -> UInt16 {
    if case .tcp(_, let port) = localEndpoint(raw) { return port }
    return 0
  }

  private static func localEndpoint(_ raw: Int32) -> Endpoint {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = withUnsafeMutableBytes(of: &storage) {
      getsockname(raw, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
    }
    guard status == 0 else { return .unix(path: "?") }
    return name(&storage, length)
  }

  private static func remoteName(_ raw: Int32) -> String {
    var storage = sockaddr_storage()
    var length = socklen_t(MemoryLayout<sockaddr_storage>.size)
    let status = withUnsafeMutableBytes(of: &storage) {
      getpeername(raw, $0.assumingMemoryBound(to: sockaddr.self).baseAddress, &length)
    }
    guard status == 0 else { return "?" }
    return name(&storage, length).description
  }

  private static func name(_ storage: inout sockaddr_storage, _ length: socklen_t) -> Endpoint {
    if storage.ss_family == sa_family_t(AF_UNIX) {
      let path = withUnsafeBytes(of: &storage) { bytes -> String in
        let end = min(Int(length), bytes.count)
        let start = MemoryLayout<sa_family_t>.size
        guard end > start else { return "unix" }
        return String(decoding: bytes[start..<end].prefix { $0 != 0 }, as: UTF8.self)
      }
      return .unix(path: path)
    }
    var host = [CChar](repeating: 0, count: 64)
    var service = [CChar](repeating: 0, count: 16)
    _ = withUnsafeMutableBytes(of: &storage) {
      getnameinfo(
        $0.assumingMemoryBound(to: sockaddr.self).baseAddress, length, &host,
        socklen_t(host.count), &service, socklen_t(service.count), NI_NUMERICHOST | NI_NUMERICSERV)
    }
    func text(_ characters: [CChar]) -> String {
      String(decoding: characters.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    return .tcp(host: text(host), port: UInt16(text(service)) ?? 0)
  }
}
