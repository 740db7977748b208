import Glibc

/// Where a stream socket connects to or listens.
public enum Endpoint: Hashable, Sendable, CustomStringConvertible {
  /// A host name or a numeric address, and a port. Port 0 when listening lets the kernel choose.
  case tcp(host: String, port: UInt16)
  /// A path in the file system.
  case unix(path: String)

  public var description: String {
    switch self {
    case .tcp(let host, let port):
      host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
    case .unix(let path): path
    }
  }

  /// Calls `body` with each socket address the endpoint stands for until one returns a value.
  func withAddresses<R>(
    passive: Bool, _ body: (Int32, UnsafePointer<sockaddr>, socklen_t) throws(SystemError) -> R
  ) throws(SystemError) -> R {
    switch self {
    case .unix(let path):
      var address = sockaddr_un()
      address.sun_family = sa_family_t(AF_UNIX)
      let capacity = MemoryLayout.size(ofValue: address.sun_path)
      let bytes = Array(path.utf8)
      guard !bytes.isEmpty, bytes.count < capacity else {
        throw SystemError(code: ENAMETOOLONG, operation: "socket path", subject: path)
      }
      withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
      let length = socklen_t(MemoryLayout<sockaddr_un>.size)
      return try withRebound(&address) { (pointer) throws(SystemError) -> R in
        try body(AF_UNIX, pointer, length)
      }
    case .tcp(let host, let port):
      var hints = addrinfo()
      hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
      hints.ai_flags = AI_NUMERICSERV | (passive ? AI_PASSIVE : 0)
      var list: UnsafeMutablePointer<addrinfo>?
      let status = getaddrinfo(host.isEmpty ? nil : host, String(port), &hints, &list)
      guard status == 0, let list else {
        let code = status == EAI_SYSTEM ? errno : EADDRNOTAVAIL
        throw SystemError(
          code: code, operation: "resolve (\(String(cString: gai_strerror(status))))",
          subject: description)
      }
      defer { freeaddrinfo(list) }
      var failure = SystemError(code: EADDRNOTAVAIL, operation: "resolve", subject: description)
      var next: UnsafeMutablePointer<addrinfo>? = list
      while let entry = next {
        do throws(SystemError) {
          return try body(entry.pointee.ai_family, entry.pointee.ai_addr, entry.pointee.ai_addrlen)
        } catch {
          failure = error
        }
        next = entry.pointee.ai_next
      }
      throw failure
    }
  }
}

private func withRebound<T, R>(
  _ value: inout T, _ body: (UnsafePointer<sockaddr>) throws(SystemError) -> R
) throws(SystemError) -> R {
  var result: Result<R, SystemError>?
  withUnsafePointer(to: &value) { pointer in
    pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
      do throws(SystemError) {
        result = .success(try body(address))
      } catch {
        result = .failure(error)
      }
    }
  }
  return try result!.get()
}
