import CLinux
import DICOM
import Glibc
import Platform

/// Where the archive keeps its files.
///
///     objects/<2 hex>/<name>.dcm      one Part 10 file an object
///     conflicts/<name>.<n>.dcm        other bytes that came under a UID already there
///     incoming/<number>.tmp           objects on their way; of no value after a crash
///     index.sqlite                    what the objects are; can be rebuilt from them
///     lock                            held while a process has the archive open
///
/// The name is the SOP Instance UID where it has the standard's form, which no path trick has (only
/// digits and single dots inside), and otherwise its bytes in hexadecimal; so different UIDs have
/// different files. The 256 directories exist from the start, so that storing makes none.
struct ArchiveDirectory: Sendable {
  let path: String

  static let extension_ = ".dcm"
  static let bucketCount = 256

  var index: String { path + "/index.sqlite" }
  var incoming: String { path + "/incoming" }
  var conflicts: String { path + "/conflicts" }

  /// Makes the directories that are missing, for their owner only.
  func create() throws(SystemError) {
    var partial = ""
    for component in path.split(separator: "/", omittingEmptySubsequences: false) {
      partial += component
      if !partial.isEmpty { try Self.makeDirectory(partial) }
      partial += "/"
    }
    try Self.makeDirectory(incoming)
    try Self.makeDirectory(conflicts)
    try Self.makeDirectory(path + "/objects")
    for bucket in 0..<Self.bucketCount { try Self.makeDirectory(directory(ofBucket: bucket)) }
  }

  private static func makeDirectory(_ path: String) throws(SystemError) {
    if mkdir(path, 0o700) != 0, errno != EEXIST { throw .last("mkdir", path) }
  }

  func directory(ofBucket bucket: Int) -> String {
    let digits = String(bucket, radix: 16)
    return path + "/objects/" + (digits.utf8.count < 2 ? "0" : "") + digits
  }

  /// The file of an object.
  func object(_ uid: UID) -> String {
    directory(ofBucket: Self.bucket(uid)) + "/" + Self.name(uid) + Self.extension_
  }

  /// The file of the n-th other object under a UID.
  func conflict(_ uid: UID, _ number: Int) -> String {
    "\(conflicts)/\(Self.name(uid)).\(number)\(Self.extension_)"
  }

  func temporary(_ number: UInt64) -> String { "\(incoming)/\(number).tmp" }

  /// A file name without its extension that stands for this UID and no other.
  static func name(_ uid: UID) -> String {
    if uid.isValid { return uid.value }
    let digits = Array("0123456789abcdef")
    return "x" + uid.value.utf8.map { "\(digits[Int($0 >> 4)])\(digits[Int($0 & 15)])" }.joined()
  }

  /// The inverse of ``name(_:)``: nil for a name the archive does not give.
  static func uid(ofName name: some StringProtocol) -> UID? {
    let plain = UID(String(name))
    if plain.isValid { return plain }
    guard name.utf8.first == UInt8(ascii: "x"), name.utf8.count % 2 == 1 else { return nil }
    var bytes: [UInt8] = []
    var high: UInt8?
    for character in name.utf8.dropFirst() {
      let digit: UInt8
      switch character {
      case 0x30...0x39: digit = character - 0x30
      case 0x61...0x66: digit = character - 0x61 + 10
      default: return nil
      }
      if let first = high {
        bytes.append(first << 4 | digit)
        high = nil
      } else {
        high = digit
      }
    }
    let uid = UID(String(decoding: bytes, as: UTF8.self))
    return uid.isValid || Self.name(uid) != name ? nil : uid
  }

  /// FNV-1a, folded: only spreads the files, so that no directory grows too large.
  static func bucket(_ uid: UID) -> Int {
    var hash: UInt32 = 2_166_136_261
    for byte in uid.value.utf8 { hash = (hash ^ UInt32(byte)) &* 16_777_619 }
    hash ^= hash >> 16
    return Int((hash ^ hash >> 8) & 0xFF)
  }

  /// Moves a file where no query finds it: not gone, but out of the way of the object when it comes
  /// again.
  func putAside(_ file: String) throws(SystemError) {
    let folder = path + "/damaged"
    try Self.makeDirectory(folder)
    let name = file.split(separator: "/").last ?? ""
    if rename(file, folder + "/" + name) != 0 { throw .last("rename", file) }
  }

  /// Holds the archive against other processes as long as the descriptor lives.
  func lock() throws(ArchiveError) -> FileDescriptor {
    do throws(SystemError) {
      let file = try FileDescriptor.open(path + "/lock", O_RDWR | O_CREAT)
      if flock(file.raw, LOCK_EX | LOCK_NB) != 0 {
        if errno == EWOULDBLOCK { throw SystemError(code: EWOULDBLOCK, operation: "flock") }
        throw .last("flock", path + "/lock")
      }
      return file
    } catch {
      if error.code == EWOULDBLOCK { throw .inUse(directory: path) }
      throw .system(error)
    }
  }

  /// Bytes an unprivileged process may still write, and the size of the file system.
  func space() throws(SystemError) -> (free: Int64, total: Int64) {
    var status = statvfs()
    while statvfs(path, &status) != 0 {
      if errno != EINTR { throw .last("statvfs", path) }
    }
    let block = Int64(clamping: status.f_frsize)
    return (
      Int64(clamping: status.f_bavail).saturatingTimes(block),
      Int64(clamping: status.f_blocks).saturatingTimes(block)
    )
  }

  /// The names in a directory, in no order, without `.` and `..`.
  static func names(in directory: String) throws(SystemError) -> [String] {
    guard let stream = opendir(directory) else { throw .last("opendir", directory) }
    defer { closedir(stream) }
    var names: [String] = []
    while true {
      errno = 0
      guard let entry = readdir(stream) else {
        if errno != 0 { throw .last("readdir", directory) }
        return names
      }
      let name = withUnsafePointer(to: &entry.pointee.d_name) {
        $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
      }
      if name != ".", name != ".." { names.append(name) }
    }
  }
}

extension Int64 {
  fileprivate func saturatingTimes(_ other: Int64) -> Int64 {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    return overflow ? .max : product
  }
}
