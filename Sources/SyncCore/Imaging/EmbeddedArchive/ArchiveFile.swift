import DICOM
import Glibc
import Platform

/// The start of an object's file: preamble, prefix and File Meta Information (PS3.10 section 7.1).
/// The data set follows, byte for byte as it was received.
///
/// The meta information ends with the length of the data set, in Private Information (0002,0102):
/// after a power cut it tells a whole file from one whose end never reached the disk.
struct ArchiveFileHeader: Equatable {
  var sopClass: UID
  var sopInstance: UID
  var transferSyntax: TransferSyntax
  var source: String
  /// The bytes of the data set; nil where the file does not tell.
  var dataSetLength: Int?
  /// Where the data set starts. Set by reading.
  var dataSetOffset = 0

  /// Who defines the content of (0002,0102). Made from a random UUID (PS3.5 annex B.2).
  static let lengthCreator: UID = "2.25.162456618859061526267838795141518334044"

  /// The bytes of the header. The last eight are the length of the data set, to be written once it
  /// is known.
  func encoded(identity: ImplementationIdentity) -> [UInt8] {
    var meta: [UInt8] = []
    meta.reserveCapacity(384)
    func number(_ value: some FixedWidthInteger) {
      var value = value.littleEndian
      withUnsafeBytes(of: &value) { meta.append(contentsOf: $0) }
    }
    func element(_ element: UInt16, _ vr: VR, _ value: some Collection<UInt8>) {
      number(UInt16(2))
      number(element)
      meta.append(contentsOf: vr.rawValue.utf8)
      let odd = value.count & 1 == 1
      let length = value.count + (odd ? 1 : 0)
      if vr.hasLongLength {
        number(UInt16(0))
        number(UInt32(truncatingIfNeeded: length))
      } else {
        number(UInt16(truncatingIfNeeded: length))
      }
      meta.append(contentsOf: value)
      if odd { meta.append(vr.padding) }
    }
    element(0x0001, .OB, [0, 1])
    element(0x0002, .UI, sopClass.value.utf8)
    element(0x0003, .UI, sopInstance.value.utf8)
    element(0x0010, .UI, transferSyntax.uid.value.utf8)
    element(0x0012, .UI, identity.classUID.value.utf8)
    element(0x0013, .SH, identity.version.utf8.prefix(16))
    if !source.isEmpty { element(0x0016, .AE, source.utf8.prefix(16)) }
    element(0x0100, .UI, Self.lengthCreator.value.utf8)
    element(0x0102, .OB, Self.encodedLength(dataSetLength ?? 0))
    var bytes = [UInt8](repeating: 0, count: 128)
    bytes.reserveCapacity(144 + meta.count)
    bytes.append(contentsOf: "DICM".utf8)
    let rest = meta
    meta = []
    var groupLength = UInt32(truncatingIfNeeded: rest.count).littleEndian
    bytes.append(contentsOf: [2, 0, 0, 0, 0x55, 0x4C, 4, 0])
    withUnsafeBytes(of: &groupLength) { bytes.append(contentsOf: $0) }
    bytes.append(contentsOf: rest)
    return bytes
  }

  static func encodedLength(_ length: Int) -> [UInt8] {
    (0..<8).map { UInt8(truncatingIfNeeded: UInt64(length) >> (8 * $0)) }
  }

  /// Reads the header of a file the archive wrote. Nil where it is damaged or cut short.
  static func read(_ file: borrowing FileDescriptor) throws(SystemError) -> ArchiveFileHeader? {
    decode(try file.bytes(2048, at: 0)[...])
  }

  static func decode(_ bytes: ArraySlice<UInt8>) -> ArchiveFileHeader? {
    func number(_ at: Int, _ size: Int) -> Int? {
      guard at >= 0, at + size <= bytes.count else { return nil }
      return (0..<size).reduce(0) { $0 | Int(bytes[bytes.startIndex + at + $1]) << (8 * $1) }
    }
    guard bytes.count > 144, Array(bytes.dropFirst(128).prefix(4)) == Array("DICM".utf8),
      number(132, 4) == 2, number(138, 2) == 4, let length = number(140, 4), length <= 1 << 16,
      144 + length <= bytes.count
    else { return nil }
    var header = ArchiveFileHeader(
      sopClass: "", sopInstance: "", transferSyntax: TransferSyntax(""), source: "")
    var privateCreator = ""
    var at = 144
    let end = 144 + length
    while at < end {
      guard number(at, 2) == 2, let element = number(at + 2, 2), at + 8 <= end else { return nil }
      let name = String(decoding: bytes.dropFirst(at + 4).prefix(2), as: UTF8.self)
      let isLong = VR(rawValue: name)?.hasLongLength ?? false
      guard let size = isLong ? number(at + 8, 4) : number(at + 6, 2) else { return nil }
      let start = at + (isLong ? 12 : 8)
      guard size <= end - start else { return nil }
      let value = bytes.dropFirst(start).prefix(size)
      let text = String(
        decoding: value.prefix { $0 != 0 }.reversed().drop { $0 == 0x20 }.reversed(), as: UTF8.self)
      switch element {
      case 0x0002: header.sopClass = UID(text)
      case 0x0003: header.sopInstance = UID(text)
      case 0x0010: header.transferSyntax = TransferSyntax(UID(text))
      case 0x0016: header.source = text
      case 0x0100: privateCreator = text
      case 0x0102 where privateCreator == lengthCreator.value && size == 8:
        guard let length = number(start, 7) else { return nil }
        header.dataSetLength = length
      default: break
      }
      at = start + size
    }
    header.dataSetOffset = end
    return header.sopInstance.value.isEmpty || header.transferSyntax.uid.value.isEmpty
      ? nil : header
  }
}

extension FileDescriptor {
  /// Reads at a place in the file until the buffer is full or the file ends.
  borrowing func read(
    into buffer: UnsafeMutableRawBufferPointer, at offset: Int
  ) throws(SystemError) -> Int {
    var done = 0
    while done < buffer.count {
      let count = pread(raw, buffer.baseAddress! + done, buffer.count - done, offset + done)
      if count == 0 { break }
      if count > 0 {
        done += count
      } else if errno != EINTR {
        throw .last("read")
      }
    }
    return done
  }

  /// At most `count` bytes from a place in the file; fewer at its end.
  borrowing func bytes(_ count: Int, at offset: Int) throws(SystemError) -> [UInt8] {
    var failure: SystemError?
    let bytes = [UInt8](unsafeUninitializedCapacity: count) { buffer, initialized in
      do throws(SystemError) {
        let whole = UnsafeMutableRawBufferPointer(buffer)
        initialized = try read(
          into: UnsafeMutableRawBufferPointer(rebasing: whole[..<count]), at: offset)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    return bytes
  }

  borrowing func write(_ bytes: [UInt8], at offset: Int) throws(SystemError) {
    var done = 0
    while done < bytes.count {
      let count = bytes.withUnsafeBytes {
        pwrite(raw, $0.baseAddress! + done, $0.count - done, off_t(offset + done))
      }
      if count >= 0 {
        done += count
      } else if errno != EINTR {
        throw .last("write")
      }
    }
  }

  /// Writes all of the vectors, advancing them on the way.
  borrowing func writeAll(_ vectors: UnsafeMutableBufferPointer<iovec>) throws(SystemError) {
    var first = 0
    while first < vectors.count {
      if vectors[first].iov_len == 0 {
        first += 1
        continue
      }
      let count = min(vectors.count - first, 1024)
      var written = writev(raw, vectors.baseAddress! + first, Int32(count))
      if written < 0 {
        if errno == EINTR { continue }
        throw .last("write")
      }
      while written > 0 {
        let step = min(written, vectors[first].iov_len)
        vectors[first].iov_base += step
        vectors[first].iov_len -= step
        written -= step
        if vectors[first].iov_len == 0 { first += 1 }
      }
    }
  }

  borrowing func size() throws(SystemError) -> Int {
    var status = stat()
    guard fstat(raw, &status) == 0 else { throw .last("fstat") }
    return Int(status.st_size)
  }

  /// Whether the rest of two files is the same, each from its own offset.
  static func haveSameBytes(
    _ a: borrowing FileDescriptor, from aOffset: Int, _ b: borrowing FileDescriptor,
    from bOffset: Int
  ) throws(SystemError) -> Bool {
    let aSize = try a.size()
    let bSize = try b.size()
    guard aSize - aOffset == bSize - bOffset else { return false }
    let chunk = 64 * 1024
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2 * chunk, alignment: 16)
    defer { buffer.deallocate() }
    let left = UnsafeMutableRawBufferPointer(rebasing: buffer[..<chunk])
    let right = UnsafeMutableRawBufferPointer(rebasing: buffer[chunk...])
    var done = 0
    while true {
      let count = try a.read(into: left, at: aOffset + done)
      guard try b.read(into: right, at: bOffset + done) == count else { return false }
      if count == 0 { return true }
      guard memcmp(left.baseAddress!, right.baseAddress!, count) == 0 else { return false }
      done += count
    }
  }
}
