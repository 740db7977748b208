import Glibc
import Platform

/// A directory of the test's own, removed with everything in it when the object goes away.
///
/// Its path is short: a Unix socket's path has at most 107 bytes.
public final class TemporaryDirectory: Sendable {
  public let path: String

  public init() throws {
    var template = Array("/tmp/syncd.XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw SystemError.last("mkdtemp", "/tmp") }
    path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
  }

  deinit { Self.remove(path) }

  /// The path of a file in it.
  public func file(_ name: String) -> String { "\(path)/\(name)" }

  /// Writes a file and returns its path.
  @discardableResult
  public func write(_ bytes: some Sequence<UInt8>, to name: String) throws -> String {
    let path = file(name)
    let descriptor = try FileDescriptor.open(path, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
    var failure: SystemError?
    Array(bytes).withUnsafeBytes { buffer in
      do throws(SystemError) { try descriptor.writeAll(buffer) } catch { failure = error }
    }
    if let failure { throw failure }
    return path
  }

  /// Writes a file and returns its path.
  @discardableResult
  public func write(_ text: String, to name: String) throws -> String {
    try write(text.utf8, to: name)
  }

  /// The contents of a file in it.
  public func read(_ name: String) throws -> [UInt8] {
    let descriptor = try FileDescriptor.open(file(name), O_RDONLY)
    var contents: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 64 * 1024)
    while true {
      let result = buffer.withUnsafeMutableBytes { bytes -> Swift.Result<Int, SystemError> in
        do throws(SystemError) {
          return .success(try descriptor.read(into: bytes))
        } catch {
          return .failure(error)
        }
      }
      let count = try result.get()
      if count == 0 { return contents }
      contents += buffer[..<count]
    }
  }

  /// Makes a directory in it and returns its path.
  @discardableResult
  public func makeDirectory(_ name: String) throws -> String {
    guard mkdir(file(name), 0o755) == 0 else { throw SystemError.last("mkdir", file(name)) }
    return file(name)
  }

  private static func remove(_ path: String) {
    var status = stat()
    guard lstat(path, &status) == 0 else { return }
    guard status.st_mode & S_IFMT == S_IFDIR else {
      unlink(path)
      return
    }
    // A test may have taken away its own permission.
    chmod(path, 0o700)
    if let directory = opendir(path) {
      while let entry = readdir(directory) {
        let name = withUnsafeBytes(of: &entry.pointee.d_name) {
          String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
        }
        if name != ".", name != ".." { remove("\(path)/\(name)") }
      }
      closedir(directory)
    }
    rmdir(path)
  }
}
