import Glibc
import Platform

/// Where a secret lies: a file that nobody else may read, or a credential that systemd hands over
/// (`LoadCredential=`). Read anew whenever it is needed, so that it can be renewed.
public struct SecretPlace: Hashable, Sendable {
  /// An absolute path, or `credential:NAME`.
  public var text: String

  public init(_ text: String) { self.text = text }

  public struct Fault: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
  }

  /// The file's path.
  public func path(
    environment: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
  ) throws(Fault) -> String {
    guard text.hasPrefix("credential:") else { return text }
    let name = text.dropFirst("credential:".count)
    guard let directory = environment("CREDENTIALS_DIRECTORY") else {
      throw Fault(
        description:
          "\(text): systemd has handed over no credentials: add LoadCredential=\(name):... "
          + "to the unit")
    }
    return "\(directory)/\(name)"
  }

  /// The secret: the file's first word.
  public func read(
    environment: (String) -> String? = { name in getenv(name).map { String(cString: $0) } }
  ) throws(Fault) -> String {
    let path = try path(environment: environment)
    var status = stat()
    guard stat(path, &status) == 0 else {
      throw Fault(description: "\(path): cannot be read: \(SystemError.last("stat"))")
    }
    guard status.st_mode & 0o077 == 0 || text.hasPrefix("credential:") else {
      throw Fault(description: "\(path): others may read it: chmod 600")
    }
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try FileDescriptor.contents(of: path, atMost: 64 << 10)
    } catch {
      throw Fault(description: "\(path): cannot be read: \(error)")
    }
    guard
      let word = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace).first
    else { throw Fault(description: "\(path): is empty") }
    return String(word)
  }
}
