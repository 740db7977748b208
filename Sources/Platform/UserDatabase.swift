import CLinux
import Glibc

/// Names and memberships of users and groups.
public enum UserDatabase {
  public static func userName(_ uid: uid_t) -> String? {
    withBuffer { buffer, size in
      var entry = passwd()
      var found: UnsafeMutablePointer<passwd>?
      guard getpwuid_r(uid, &entry, buffer, size, &found) == 0, found != nil else { return nil }
      return String(cString: entry.pw_name)
    }
  }

  public static func group(named name: String) -> gid_t? {
    withBuffer { buffer, size in
      var entry = Glibc.group()
      var found: UnsafeMutablePointer<Glibc.group>?
      guard getgrnam_r(name, &entry, buffer, size, &found) == 0, found != nil else { return nil }
      return entry.gr_gid
    }
  }

  /// Whether a user is in a group, by its primary group or the group database.
  public static func isMember(uid: uid_t, gid: gid_t, of group: gid_t) -> Bool {
    if gid == group { return true }
    guard let name = userName(uid) else { return false }
    var groups = [gid_t](repeating: 0, count: 1024)
    let count = clinux_groups_of_user(name, gid, &groups, Int32(groups.count))
    return count > 0 && groups[..<Int(count)].contains(group)
  }

  private static func withBuffer<R>(_ body: (UnsafeMutablePointer<CChar>, Int) -> R?) -> R? {
    let size = 64 * 1024
    return withUnsafeTemporaryAllocation(of: CChar.self, capacity: size) {
      body($0.baseAddress!, size)
    }
  }
}
