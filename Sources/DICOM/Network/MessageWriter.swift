import Glibc
import Platform

/// Writes DIMSE messages as P-DATA-TF PDUs (PS3.7 section 6.3.1, PS3.8 annex E): a message's
/// command and its data set go in PDUs of their own, each as long as the peer takes.
final class MessageWriter {
  /// How many bytes of a command or data set go in one PDU.
  let fragmentLength: Int

  /// Of one write: small enough to stay in the processor's cache between the read and the write.
  private static let batchLength = 256 * 1024
  private static let longestBatch = 512
  /// Below this a copy is cheaper than another system call.
  private static let leastForFile = 64 * 1024
  /// PDU header, value length, context and control.
  private static let overhead = 12

  private let payload: UnsafeMutableRawBufferPointer
  private let fragmentsPerBatch: Int

  /// - Parameter peerMaximumLength: 0 is no limit.
  init(peerMaximumLength: UInt32) {
    let limit = 1024 * 1024
    let maximum = peerMaximumLength == 0 ? limit : min(Int(peerMaximumLength), limit)
    // Even, so that values of two bytes and more are never cut within the first fragments.
    fragmentLength = min(max(maximum - 6, 2), Self.batchLength) & ~1
    fragmentsPerBatch = max(1, min(Self.longestBatch, Self.batchLength / fragmentLength))
    payload = .allocate(byteCount: fragmentsPerBatch * fragmentLength + 2, alignment: 4096)
  }

  deinit { payload.deallocate() }

  /// Adds the PDUs of a command or a data set in memory.
  func append(
    _ bytes: [UInt8], isCommand: Bool, contextID: UInt8, to out: inout [UInt8]
  ) {
    var position = 0
    out.reserveCapacity(out.count + bytes.count + Self.overhead)
    repeat {
      let count = min(fragmentLength, bytes.count - position)
      let isLast = position + count == bytes.count
      withUnsafeTemporaryAllocation(byteCount: Self.overhead, alignment: 1) { header in
        Self.writeHeader(header, count, contextID, isCommand: isCommand, isLast: isLast)
        out.append(contentsOf: header)
      }
      out += bytes[position..<position + count]
      position += count
    } while position < bytes.count
  }

  /// Sends a command and the data set a source gives, holding at most one batch of it.
  func send(
    _ command: [UInt8], contextID: UInt8, dataSet source: inout some DataSetSource,
    over connection: UpperLayerConnection
  ) throws(AssociationError) {
    var first: [UInt8] = []
    append(command, isCommand: true, contextID: contextID, to: &first)
    if connection.sendsFiles, fragmentLength >= Self.leastForFile, let part = source.file,
      part.length >= Self.leastForFile
    {
      return try send(first, part, contextID, over: connection)
    }
    // The command's PDUs, then the headers of the data set's.
    let headers = UnsafeMutableRawBufferPointer.allocate(
      byteCount: first.count + (fragmentsPerBatch + 1) * Self.overhead, alignment: 8)
    headers.copyBytes(from: first)
    let vectors = UnsafeMutableBufferPointer<iovec>.allocate(
      capacity: 2 * (fragmentsPerBatch + 1) + 1)
    defer {
      headers.deallocate()
      vectors.deallocate()
    }

    var filled = 0
    var isAtEnd = false
    var isFirst = true
    while !isAtEnd {
      while filled < payload.count, !isAtEnd {
        let count: Int
        do throws(SystemError) {
          count = try source.read(into: UnsafeMutableRawBufferPointer(rebasing: payload[filled...]))
        } catch {
          // Nothing has been sent: the association can go on.
          if !isFirst { connection.abort() }
          throw .unreadable(error)
        }
        filled += count
        isAtEnd = count == 0
      }
      // Only the last fragment is marked, so something is held back until the end is known.
      let sent = isAtEnd ? filled : fragmentsPerBatch * fragmentLength
      var used = 0
      if isFirst {
        vectors[0] = iovec(iov_base: headers.baseAddress, iov_len: first.count)
        used = 1
      }
      var position = 0
      var header = headers.baseAddress! + first.count
      repeat {
        let count = min(fragmentLength, sent - position)
        let isLast = isAtEnd && position + count == sent
        Self.writeHeader(
          UnsafeMutableRawBufferPointer(start: header, count: Self.overhead), count, contextID,
          isCommand: false, isLast: isLast)
        vectors[used] = iovec(iov_base: header, iov_len: Self.overhead)
        vectors[used + 1] = iovec(iov_base: payload.baseAddress! + position, iov_len: count)
        used += 2
        header += Self.overhead
        position += count
      } while position < sent
      try connection.writeData(UnsafeMutableBufferPointer(rebasing: vectors[..<used]))
      isFirst = false
      filled -= sent
      if filled > 0 { memmove(payload.baseAddress!, payload.baseAddress! + sent, filled) }
    }
  }

  /// A file's part goes from the kernel's cache to the network; only headers come from here.
  private func send(
    _ first: [UInt8], _ part: FilePart, _ contextID: UInt8, over connection: UpperLayerConnection
  ) throws(AssociationError) {
    let head = UnsafeMutableRawBufferPointer.allocate(
      byteCount: first.count + Self.overhead, alignment: 8)
    defer { head.deallocate() }
    head.copyBytes(from: first)
    // The first PDU's header goes with the command, the others by themselves.
    var start = 0
    var position = 0
    while position < part.length {
      let count = min(fragmentLength, part.length - position)
      Self.writeHeader(
        UnsafeMutableRawBufferPointer(rebasing: head[first.count...]), count, contextID,
        isCommand: false, isLast: position + count == part.length)
      try connection.writeData(
        UnsafeMutableRawBufferPointer(rebasing: head[start...]),
        FilePart(
          descriptor: part.descriptor, offset: part.offset + position, length: count,
          path: part.path))
      position += count
      start = first.count
    }
  }

  private static func writeHeader(
    _ header: UnsafeMutableRawBufferPointer, _ count: Int, _ contextID: UInt8, isCommand: Bool,
    isLast: Bool
  ) {
    header[0] = PDUType.data.rawValue
    header[1] = 0
    header.storeBytes(of: UInt32(count + 6).bigEndian, toByteOffset: 2, as: UInt32.self)
    header.storeBytes(of: UInt32(count + 2).bigEndian, toByteOffset: 6, as: UInt32.self)
    header[10] = contextID
    header[11] = (isCommand ? 1 : 0) | (isLast ? 2 : 0)
  }
}
