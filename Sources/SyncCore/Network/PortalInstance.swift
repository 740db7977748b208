import Glibc
import Platform

/// Who this daemon is to a portal, so that two that run by mistake do not undo each other's work:
/// an identity that a restart keeps, because it lies in the state directory, and when it started.
public struct PortalInstance: Hashable, Sendable {
  public var id: String
  public var startedAt: WallTime

  public init(id: String, startedAt: WallTime) {
    self.id = id
    self.startedAt = startedAt
  }

  /// Reads the identity of an installation, or makes one.
  public static func load(
    directory: String, startedAt: WallTime
  ) throws(SystemError) -> PortalInstance {
    let path = "\(directory)/instance"
    if let bytes = try? FileDescriptor.contents(of: path, atMost: 256) {
      let text = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
      if let word = text.first, word.utf8.count == 32, word.utf8.allSatisfy(isHexadecimal) {
        return PortalInstance(id: String(word), startedAt: startedAt)
      }
    }
    var id = ""
    for _ in 0..<16 {
      let byte = UInt8.random(in: 0...255)
      id += (byte < 16 ? "0" : "") + String(byte, radix: 16)
    }
    // Under another name first: a name that is there has its content.
    let temporary = path + ".new"
    let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o600)
    let line = Array("\(id)\n".utf8)
    guard write(file.raw, line, line.count) == line.count, fsync(file.raw) == 0,
      rename(temporary, path) == 0
    else { throw SystemError.last("write", path) }
    return PortalInstance(id: id, startedAt: startedAt)
  }

  private static func isHexadecimal(_ byte: UInt8) -> Bool {
    (0x30...0x39).contains(byte) || (0x61...0x66).contains(byte)
  }
}
