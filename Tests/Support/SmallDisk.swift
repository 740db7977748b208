import Glibc
import Platform
import Testing

/// A file system of a few megabytes in a folder, in memory: one that can be filled. Mounting takes
/// root; see ``Testing/Trait/needsSmallDisk``.
public final class SmallDisk: Sendable {
  public let path: String

  public init(path: String, megabytes: Int) throws {
    guard mount("none", path, "tmpfs", 0, "size=\(megabytes)m,mode=700") == 0 else {
      throw SystemError.last("mount", path)
    }
    self.path = path
  }

  /// Unmounted even where something is still open in it: it goes when that is closed.
  deinit { umount2(path, Int32(MNT_DETACH)) }

  /// Takes up room with a file of its own; takes its place again when called anew.
  public func setBallast(kilobytes: Int) throws {
    let ballast = path + "/ballast"
    unlink(ballast)
    if kilobytes == 0 { return }
    let file = try FileDescriptor.open(ballast, O_WRONLY | O_CREAT)
    let status = posix_fallocate(file.raw, 0, off_t(kilobytes) * 1024)
    guard status == 0 else {
      throw SystemError(code: status, operation: "posix_fallocate", subject: ballast)
    }
  }

  /// Whether a small disk can be made here.
  static let isPossible: Bool = {
    guard let directory = try? TemporaryDirectory() else { return false }
    return (try? SmallDisk(path: directory.path, megabytes: 1)) != nil
  }()
}

extension Trait where Self == ConditionTrait {
  /// Runs the test only where a file system can be mounted; skips loudly elsewhere.
  public static var needsSmallDisk: Self {
    .enabled("needs to mount a tmpfs") {
      if SmallDisk.isPossible { return true }
      let line = Array("*** SKIPPED: a tmpfs cannot be mounted here: run the tests as root.\n".utf8)
      _ = write(2, line, line.count)
      return false
    }
  }
}
