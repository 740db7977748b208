import DICOM
import Glibc
import Platform
import TLS

/// Connects as a peer's address says, and keeps what shows on the way: how long it took, what TLS
/// agreed upon, and the first bytes that came, which tell what it is that answers there.
struct ObservingConnector: PeerConnector {
  let inner: TLSConnector?
  let sight: ConnectionSight

  func connect(
    to peer: PeerAddress, deadline: Deadline
  ) throws(TransportError) -> any ByteTransport {
    let start = MonotonicTime.now
    guard let inner else {
      let transport = try SocketTransport.connect(
        to: .tcp(host: peer.host, port: peer.port), deadline: deadline)
      sight.update { $0.connecting = .now - start }
      return ObservedTransport(transport, sight)
    }
    let transport = try inner.open(host: peer.host, port: peer.port, deadline: deadline)
    sight.update {
      $0.connecting = transport.session.connecting
      $0.tls = transport.session
    }
    return ObservedTransport(transport, sight)
  }
}

/// What was seen of one connection.
final class ConnectionSight: Hashable, Sendable {
  struct State {
    var connecting: Duration?
    var tls: TLSSession?
    var firstBytes: [UInt8] = []
  }
  private let state = Monitor(State())

  func update(_ body: (inout State) -> Void) { state.update(body) }
  var seen: State { state.read { $0 } }

  static func == (one: ConnectionSight, other: ConnectionSight) -> Bool { one === other }
  func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
}

private final class ObservedTransport: ByteTransport {
  private let inner: any ByteTransport
  private let sight: ConnectionSight
  var peer: String { inner.peer }

  init(_ inner: any ByteTransport, _ sight: ConnectionSight) {
    self.inner = inner
    self.sight = sight
  }

  func read(
    into buffer: UnsafeMutableRawBufferPointer, deadline: Deadline
  ) throws(TransportError) -> Int {
    let count = try inner.read(into: buffer, deadline: deadline)
    let bytes = Array(buffer.prefix(min(count, 16)))
    sight.update { if $0.firstBytes.isEmpty { $0.firstBytes = bytes } }
    return count
  }

  func waitReadable(until deadline: Deadline) throws(TransportError) -> Bool {
    try inner.waitReadable(until: deadline)
  }

  func write(_ bytes: [UInt8], deadline: Deadline) throws(TransportError) {
    try inner.write(bytes, deadline: deadline)
  }

  func write(
    gathering vectors: UnsafeMutableBufferPointer<iovec>, deadline: Deadline
  ) throws(TransportError) {
    try inner.write(gathering: vectors, deadline: deadline)
  }

  func finishWriting() { inner.finishWriting() }
  func interrupt() { inner.interrupt() }
  func close() { inner.close() }
}
