import Platform

/// Connections that have not been closed: what a server or a client has leaked. One for which
/// nobody holds a descriptor any more is not counted, whatever the kernel still does with it.
public enum OpenSockets {
  /// At a server: connections to its TCP port, without the listener.
  public static func accepted(port: UInt16) -> Int { count(port, field: 1) }

  /// At its clients in this process and others.
  public static func connected(port: UInt16) -> Int { count(port, field: 2) }

  /// Lines of `sl local_address rem_address st ... uid timeout inode`.
  private static func count(_ port: UInt16, field: Int) -> Int {
    // Its size is not known before it has been read.
    guard let bytes = try? FileDescriptor.contents(of: "/proc/net/tcp", atMost: 64 << 20) else {
      return 0
    }
    let digits = String(port, radix: 16, uppercase: true)
    let ending = ":" + String(repeating: "0", count: 4 - digits.count) + digits
    return String(decoding: bytes, as: UTF8.self).split(separator: "\n").dropFirst().count { line in
      let fields = line.split(separator: " ")
      guard fields.count > 9, fields[field].hasSuffix(ending) else { return false }
      let (isListener, hasOwner) = (fields[3] == "0A", fields[9] != "0")
      return !isListener && hasOwner
    }
  }
}
