import CLinux
import DICOM
import Glibc
import Platform

/// Takes one object into a temporary file, and puts it into its place when it is whole.
final class ObjectSink: StoreSink {
  private let request: StoreRequest
  private let archive: EmbeddedArchive
  private let descriptor: FileDescriptor
  private let path: String
  private let epoch: UInt64
  /// Waits for the first bytes of the data set, to be written with them.
  private var header: [UInt8]
  private let headerSize: Int
  /// Whether the header in the file already has the length of the data set.
  private var isLengthWritten = false
  /// The beginning of the data set, for the index: nothing has to be read again.
  private var beginning: [UInt8] = []
  private var received = 0
  private var nextSpaceCheck = ObjectSink.spaceCheckInterval

  /// How often the disk is looked at within one large object.
  private static let spaceCheckInterval = 64 << 20
  /// Other contents kept under one UID; a peer that sends more is broken.
  static let conflictLimit = 16

  init(_ request: StoreRequest, _ archive: EmbeddedArchive) throws(ServiceFailure) {
    self.request = request
    self.archive = archive
    path = archive.nextTemporary()
    epoch = archive.indexer.epoch
    header = ArchiveFileHeader(
      sopClass: request.sopClass, sopInstance: request.sopInstance,
      transferSyntax: request.transferSyntax, source: request.association.callingAE
    ).encoded(identity: archive.configuration.identity)
    headerSize = header.count
    do throws(SystemError) {
      descriptor = try FileDescriptor.open(path, O_RDWR | O_CREAT | O_TRUNC)
    } catch {
      throw Self.failure(error, archive)
    }
  }

  func write(_ fragments: DataFragments) throws(ServiceFailure) {
    if beginning.count < HeaderReader.windowSize { keepBeginning(fragments.vectors) }
    received += fragments.byteCount
    do throws(SystemError) {
      if header.isEmpty {
        try descriptor.writeAll(fragments.vectors)
      } else {
        if fragments.isLast { completeHeader() }
        try writeHeader(with: fragments.vectors)
      }
    } catch {
      throw Self.failure(error, archive)
    }
    try watchSpace()
  }

  /// Once the header is there; nothing of what follows is looked at.
  var file: Int32? { header.isEmpty ? descriptor.raw : nil }

  func moved(_ count: Int, _ error: SystemError?) throws(ServiceFailure) {
    if let error { throw Self.failure(error, archive) }
    received += count
    try watchSpace()
  }

  private func watchSpace() throws(ServiceFailure) {
    if received >= nextSpaceCheck {
      nextSpaceCheck = received + Self.spaceCheckInterval
      try archive.checkSpace()
    }
  }

  private func keepBeginning(_ vectors: UnsafeMutableBufferPointer<iovec>) {
    for vector in vectors {
      let missing = HeaderReader.windowSize - beginning.count
      guard missing > 0 else { return }
      beginning.append(
        contentsOf: UnsafeRawBufferPointer(
          start: vector.iov_base, count: min(missing, vector.iov_len)))
    }
  }

  /// The whole data set is known before anything of it is written.
  private func completeHeader() {
    header.replaceSubrange(
      (headerSize - 8)..., with: ArchiveFileHeader.encodedLength(received))
    isLengthWritten = true
  }

  private func writeHeader(
    with vectors: UnsafeMutableBufferPointer<iovec>
  ) throws(SystemError) {
    let all = UnsafeMutableBufferPointer<iovec>.allocate(capacity: vectors.count + 1)
    defer { all.deallocate() }
    let failure = header.withUnsafeMutableBytes { bytes -> SystemError? in
      all.initializeElement(
        at: 0, to: iovec(iov_base: bytes.baseAddress, iov_len: bytes.count))
      for (index, vector) in vectors.enumerated() {
        all.initializeElement(at: index + 1, to: vector)
      }
      do throws(SystemError) {
        try descriptor.writeAll(all)
        return nil
      } catch {
        return error
      }
    }
    header = []
    if let failure { throw failure }
  }

  func abort() { unlink(path) }

  func finish() throws(ServiceFailure) -> DIMSEStatus {
    var isPlaced = false
    defer { if !isPlaced { unlink(path) } }
    do throws(SystemError) {
      if !header.isEmpty { try writeHeader(with: UnsafeMutableBufferPointer(start: nil, count: 0)) }
      if !isLengthWritten {
        try descriptor.write(ArchiveFileHeader.encodedLength(received), at: headerSize - 8)
      }
    } catch {
      throw Self.failure(error, archive)
    }
    let object = ArchivedObject(
      header: try scannedHeader(), transferSyntax: request.transferSyntax,
      dataSetOffset: headerSize, dataSetLength: received, source: request.association.callingAE,
      received: WallTime.now.milliseconds)
    let place = archive.directory.object(request.sopInstance)
    if clinux_rename_noreplace(path, place) == 0 {
      isPlaced = true
      try handOver(.object(object), place)
      return .success
    }
    guard errno == EEXIST else {
      throw Self.failure(.last("rename", place), archive)
    }
    if try isSame(as: place) { return .success }
    isPlaced = try keepAside(object)
    archive.report(
      .conflict(
        sopInstance: request.sopInstance, study: object.header.study,
        source: request.association.callingAE))
    // The sender must see that its object is not the one queries find; it is stored nevertheless,
    // and of the warnings of PS3.4 table B.2-1 this one says so best.
    return .dataSetDoesNotMatchSOPClassWarning
  }

  private func scannedHeader() throws(ServiceFailure) -> ObjectHeader {
    let header: ObjectHeader
    do throws(ObjectHeaderError) {
      header = try ObjectHeader.scan(
        descriptor, from: headerSize, length: received, request.transferSyntax, beginning: beginning
      )
      guard header.sopInstance == request.sopInstance else {
        throw .differentInstance
      }
      guard header.sopClass == request.sopClass else { throw .differentClass }
    } catch {
      archive.report(
        .refused(
          sopInstance: request.sopInstance, source: request.association.callingAE,
          reason: error.description))
      throw ServiceFailure(error.status, error.description)
    }
    return header
  }

  /// Whether the file in the object's place holds the same data set, byte for byte.
  private func isSame(as place: String) throws(ServiceFailure) -> Bool {
    do throws(SystemError) {
      let other = try FileDescriptor.open(place, O_RDONLY)
      guard let header = try ArchiveFileHeader.read(other) else { return false }
      return header.transferSyntax == request.transferSyntax
        ? try FileDescriptor.haveSameBytes(
          descriptor, from: headerSize, other, from: header.dataSetOffset) : false
    } catch {
      throw Self.failure(error, archive)
    }
  }

  private func handOver(_ entry: ArchiveIndex.Entry, _ place: String) throws(ServiceFailure) {
    guard !archive.indexer.add(entry, epoch: epoch) else { return }
    unlink(place)
    throw ServiceFailure(.outOfResources, "the archive's disk has failed")
  }

  /// Keeps the object beside the one in its place; once, however often it comes. True when the
  /// temporary file has moved.
  private func keepAside(_ object: ArchivedObject) throws(ServiceFailure) -> Bool {
    for number in 1...Self.conflictLimit {
      let aside = archive.directory.conflict(request.sopInstance, number)
      if clinux_rename_noreplace(path, aside) == 0 {
        try handOver(.conflict(object, number: number), aside)
        return true
      }
      guard errno == EEXIST else { throw Self.failure(.last("rename", aside), archive) }
      if try isSame(as: aside) { return false }
    }
    throw ServiceFailure(
      .dataSetDoesNotMatchSOPClass, "too many different objects with this UID")
  }

  private static func failure(_ error: SystemError, _ archive: EmbeddedArchive) -> ServiceFailure {
    switch error.code {
    case ENOSPC, EDQUOT:
      archive.noteDiskLow()
      return ServiceFailure(.outOfResources, "the archive's disk is full")
    case EMFILE, ENFILE, ENOMEM:
      return ServiceFailure(.outOfResources, "the archive is short of \(error.name)")
    default:
      return ServiceFailure(.outOfResources, "the archive cannot write: \(error.name)")
    }
  }
}

/// Why an object's data set is not accepted.
enum ObjectHeaderError: Error, CustomStringConvertible, Equatable {
  case differentInstance
  case differentClass
  case missing(String)
  case unreadable(String)

  var description: String {
    switch self {
    case .differentInstance: "SOP Instance UID differs from the command's"
    case .differentClass: "SOP Class UID differs from the command's"
    case .missing(let name): "the data set has no \(name)"
    case .unreadable(let reason): "the data set cannot be read: \(reason)"
    }
  }

  var status: DIMSEStatus {
    if case .unreadable = self { return .cannotUnderstand }
    return .dataSetDoesNotMatchSOPClass
  }
}
