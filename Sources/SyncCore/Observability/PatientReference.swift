import Glibc
import Platform

/// Stands for a patient in the operational log: eight hexadecimal digits, the same for the same
/// patient id at one installation, and of no use anywhere else.
public struct PatientReference: Hashable, Sendable, CustomStringConvertible {
  public let description: String
}

/// Makes ``PatientReference``s with the installation's key (HMAC-SHA-256, RFC 2104).
///
/// Personal numbers are few enough to try them all: without a secret key, a hash would hide none.
public struct PatientReferences: Sendable {
  private let key: [UInt8]

  static let keyLength = 32

  public init(key: [UInt8]) { self.key = key }

  /// Reads the key, or makes one where there is no such file yet.
  /// - Throws: also where others than the owner may read the file: `EACCES`; or where it does not
  ///   hold 32 bytes: `EINVAL`. A new key would not be told from the old one in the log, so none is
  ///   made in its place.
  public init(keyFile path: String) throws(SystemError) {
    do throws(SystemError) {
      key = try Self.read(path)
    } catch {
      guard error.code == ENOENT else { throw error }
      try Self.make(path)
      key = try Self.read(path)
    }
  }

  /// The reference of a patient id; hyphens, spaces and the letters' case make no difference.
  public func reference(_ patientID: String) -> PatientReference {
    let id = patientID.uppercased().utf8.filter { ![0x20, 0x2B, 0x2D].contains($0) }
    let code = SHA256.authenticate(Array(id), key: key)
    return PatientReference(description: SHA256.hex(code.prefix(4)))
  }

  private static func read(_ path: String) throws(SystemError) -> [UInt8] {
    var status = stat()
    guard stat(path, &status) == 0 else { throw .last("stat", path) }
    guard status.st_mode & 0o077 == 0 else {
      throw SystemError(code: EACCES, operation: "trust (others may read it)", subject: path)
    }
    let key = try FileDescriptor.contents(of: path, atMost: 4096)
    guard key.count == keyLength else {
      throw SystemError(code: EINVAL, operation: "read (not \(keyLength) bytes)", subject: path)
    }
    return key
  }

  private static func randomKey() throws(SystemError) -> [UInt8] {
    let source = try FileDescriptor.open("/dev/urandom", O_RDONLY)
    var key = [UInt8](repeating: 0, count: keyLength)
    // Up to 256 bytes come at once.
    let count = Glibc.read(source.raw, &key, key.count)
    guard count == key.count else { throw .last("read", "/dev/urandom") }
    return key
  }

  /// Writes a new key beside and links it into place: two that start at once agree on one.
  private static func make(_ path: String) throws(SystemError) {
    let key = try randomKey()
    let temporary = "\(path).\(getpid()).\(SHA256.hex(SHA256.hash(key).prefix(4)))"
    defer { unlink(temporary) }
    let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
    var problem: SystemError?
    key.withUnsafeBytes { bytes in
      do throws(SystemError) { try file.writeAll(bytes) } catch { problem = error }
    }
    if let problem { throw problem }
    try file.synchronize()
    guard link(temporary, path) == 0 || errno == EEXIST else { throw .last("link", path) }
  }
}
