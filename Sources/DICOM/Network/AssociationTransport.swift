import Glibc
import Platform

/// How the transport connection to a peer is made where it is not TCP as it is: within TLS
/// (PS3.15 annex B), by a part that DICOM knows nothing of.
public protocol PeerConnector: Hashable, Sendable {
  /// Connects to the peer's host and port, and makes sure that it is the peer.
  func connect(
    to peer: PeerAddress, deadline: Deadline
  ) throws(TransportError) -> any ByteTransport
}

/// What an association runs over: a socket, called directly since it is the hot path, or any other
/// stream of bytes.
enum AssociationTransport: Sendable {
  case socket(StreamSocket)
  case stream(any ByteTransport)

  /// Connects to a peer the way its address says, and no other way.
  static func connect(
    to peer: PeerAddress, deadline: Deadline
  ) throws(TransportError) -> AssociationTransport {
    if let connector = peer.connector {
      return .stream(try connector.connect(to: peer, deadline: deadline))
    }
    do throws(SystemError) {
      return .socket(
        try StreamSocket.connect(to: .tcp(host: peer.host, port: peer.port), deadline: deadline))
    } catch {
      throw TransportError(error)
    }
  }

  /// At least one byte; 0 when the peer has closed.
  func read(
    into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline
  ) throws(TransportError) -> Int {
    switch self {
    case .socket(let socket):
      do throws(SystemError) {
        return try socket.read(into: buffer, deadline: deadline, acknowledging: true)
      } catch {
        throw TransportError(error)
      }
    case .stream(let stream): return try stream.read(into: buffer, deadline: deadline)
    }
  }

  func write(_ bytes: [UInt8], deadline: Deadline) throws(TransportError) {
    switch self {
    case .socket(let socket):
      do throws(SystemError) {
        try socket.write(bytes, deadline: deadline)
      } catch {
        throw TransportError(error)
      }
    case .stream(let stream): try stream.write(bytes, deadline: deadline)
    }
  }

  /// Writes several pieces of memory. The vectors are changed.
  func write(
    gathering vectors: UnsafeMutableBufferPointer<iovec>, deadline: Deadline
  ) throws(TransportError) {
    switch self {
    case .socket(let socket):
      do throws(SystemError) {
        try socket.write(gathering: vectors, deadline: deadline)
      } catch {
        throw TransportError(error)
      }
    case .stream(let stream): try stream.write(gathering: vectors, deadline: deadline)
    }
  }

  /// Waits until there is something to read, or the peer has closed. False at the deadline.
  func waitReadable(until deadline: Deadline) throws(TransportError) -> Bool {
    switch self {
    case .socket(let socket):
      do throws(SystemError) {
        return try socket.waitReadable(until: deadline)
      } catch {
        throw TransportError(error)
      }
    case .stream(let stream): return try stream.waitReadable(until: deadline)
    }
  }

  /// Whether a file can go out without a copy of it in this process: not within TLS.
  var sendsFiles: Bool { plainSocket != nil }

  /// The socket, where nothing is between it and the protocol.
  var plainSocket: StreamSocket? { if case .socket(let socket) = self { socket } else { nil } }

  /// Writes some bytes and a part of a file behind them.
  /// - Returns: how many bytes of the file went: fewer than asked for when it ends early.
  func write(
    _ head: UnsafeMutableRawBufferPointer, _ part: FilePart, deadline: Deadline
  ) throws(TransportError) -> Int {
    guard case .socket(let socket) = self else { return 0 }
    do throws(SystemError) {
      var vector = iovec(iov_base: head.baseAddress, iov_len: head.count)
      try withUnsafeMutablePointer(to: &vector) { (vector) throws(SystemError) in
        try socket.write(
          gathering: UnsafeMutableBufferPointer(start: vector, count: 1), more: true,
          deadline: deadline)
      }
      return try socket.send(
        file: part.descriptor, from: part.offset, count: part.length, deadline: deadline)
    } catch {
      throw TransportError(error)
    }
  }

  /// Tells the peer that nothing more will be written.
  func finishWriting() {
    switch self {
    case .socket(let socket): socket.finishWriting()
    case .stream(let stream): stream.finishWriting()
    }
  }

  /// Ends the connection from any thread; whoever waits on it returns.
  func interrupt() {
    switch self {
    case .socket(let socket): socket.interrupt()
    case .stream(let stream): stream.interrupt()
    }
  }

  /// Ends the connection in order. By the thread that reads and writes.
  func close() {
    switch self {
    case .socket(let socket): socket.interrupt()
    case .stream(let stream): stream.close()
    }
  }
}
