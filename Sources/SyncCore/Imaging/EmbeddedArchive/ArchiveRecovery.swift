import DICOM
import Glibc
import Platform
import SQLite

/// Brings directory and index together when the archive is opened.
///
/// Closed in order, there is nothing to do but to open the index. Otherwise every file is looked
/// up: those without a row were stored but not promised and get theirs now, and rows without a file
/// go. Within the same boot of the machine whatever was written is whole, for the kernel had it;
/// after another one the length in a file's header tells whether its end reached the disk.
struct ArchiveRecovery {
  let directory: ArchiveDirectory
  let report: @Sendable (ArchiveEvent) -> Void

  func open() throws -> ArchiveIndex {
    for name in try ArchiveDirectory.names(in: directory.incoming) {
      unlink(directory.incoming + "/" + name)
    }
    var oldIndex: String?
    let index: ArchiveIndex
    do {
      index = try openIndex()
    } catch let error as SQLiteError where error.isCorrupt {
      oldIndex = try moveIndexAside()
      index = try openIndex()
    }
    let state = try index.lastState()
    let boot = Self.bootIdentifier()
    try index.setState(isClean: false, boot: boot)
    if !state.isClean { try reconcile(index, sameBoot: state.boot == boot, oldIndex) }
    return index
  }

  private func openIndex() throws -> ArchiveIndex {
    let index = try ArchiveIndex(path: directory.index)
    _ = try index.lastState()
    return index
  }

  /// A new boot has a new one. Empty where the kernel does not tell: then nothing is trusted.
  static func bootIdentifier() -> String {
    guard let file = try? FileDescriptor.open("/proc/sys/kernel/random/boot_id", O_RDONLY) else {
      return ""
    }
    let bytes = (try? file.bytes(64, at: 0)) ?? []
    return String(decoding: bytes.prefix { $0 > 0x20 }, as: UTF8.self)
  }

  private func moveIndexAside() throws -> String {
    let aside = "\(directory.index).unreadable-\(WallTime.now.milliseconds)"
    for suffix in ["", "-wal", "-shm"] where access(directory.index + suffix, F_OK) == 0 {
      guard rename(directory.index + suffix, aside + suffix) == 0 else {
        throw SystemError.last("rename", directory.index + suffix)
      }
    }
    return aside
  }

  private func reconcile(_ index: ArchiveIndex, sameBoot: Bool, _ oldIndex: String?) throws {
    var group: [ArchiveIndex.Entry] = []
    var indexed = 0
    var damaged = 0
    func add(_ entry: ArchiveIndex.Entry) throws {
      group.append(entry)
      indexed += 1
      if group.count >= ArchiveIndexer.groupLimit {
        try index.write(group)
        group.removeAll(keepingCapacity: true)
      }
    }
    for bucket in 0..<ArchiveDirectory.bucketCount {
      let folder = directory.directory(ofBucket: bucket)
      for name in try ArchiveDirectory.names(in: folder) {
        guard name.hasSuffix(ArchiveDirectory.extension_) else { continue }
        let stem = name.dropLast(ArchiveDirectory.extension_.count)
        guard let uid = ArchiveDirectory.uid(ofName: stem), try !index.contains(uid) else {
          continue
        }
        let path = folder + "/" + name
        if let object = try read(path, uid, sameBoot: sameBoot) {
          try add(.object(object))
        } else {
          try directory.putAside(path)
          damaged += 1
        }
      }
    }
    for name in try ArchiveDirectory.names(in: directory.conflicts) {
      guard let (uid, number) = Self.conflict(name), try !index.containsConflict(uid, number) else {
        continue
      }
      let path = directory.conflicts + "/" + name
      if let object = try read(path, uid, sameBoot: sameBoot) {
        try add(.conflict(object, number: number))
      } else {
        try directory.putAside(path)
        damaged += 1
      }
    }
    try index.write(group)
    let dropped = try index.drop { access(directory.object($0), F_OK) == 0 }
    if let oldIndex {
      report(.indexRebuilt(objects: indexed, oldIndex: oldIndex))
    } else if indexed + dropped + damaged > 0 {
      report(.recovered(indexed: indexed, dropped: dropped, damaged: damaged))
    }
  }

  /// `1.2.3.4.dcm` is the fourth other object under 1.2.3.
  static func conflict(_ name: String) -> (UID, Int)? {
    guard name.hasSuffix(ArchiveDirectory.extension_) else { return nil }
    let stem = name.dropLast(ArchiveDirectory.extension_.count)
    guard let dot = stem.lastIndex(of: "."), let number = Int(stem[stem.index(after: dot)...]),
      let uid = ArchiveDirectory.uid(ofName: stem[..<dot])
    else { return nil }
    return (uid, number)
  }

  /// The object in a file; nil where the file is cut short or not what its name says.
  private func read(_ path: String, _ uid: UID, sameBoot: Bool) throws -> ArchivedObject? {
    let file = try FileDescriptor.open(path, O_RDONLY | O_NOFOLLOW)
    var status = stat()
    guard fstat(file.raw, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
      let header = try ArchiveFileHeader.read(file), header.sopInstance == uid
    else { return nil }
    let length = Int(status.st_size) - header.dataSetOffset
    guard length > 0, sameBoot || header.dataSetLength == length else { return nil }
    let scanned: ObjectHeader
    do throws(ObjectHeaderError) {
      scanned = try ObjectHeader.scan(
        file, from: header.dataSetOffset, length: length, header.transferSyntax)
    } catch {
      return nil
    }
    guard scanned.sopInstance == uid else { return nil }
    return ArchivedObject(
      header: scanned, transferSyntax: header.transferSyntax, dataSetOffset: header.dataSetOffset,
      dataSetLength: length, source: header.source,
      received: Int64(status.st_mtim.tv_sec) * 1000 + Int64(status.st_mtim.tv_nsec) / 1_000_000)
  }
}
