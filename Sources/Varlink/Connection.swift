import Glibc
import JSON
import Platform
import Synchronization

/// One client's connection: reads a request, answers it, reads the next.
final class Connection: ReplyChannel {
  private let server: VarlinkServer
  private let socket: StreamSocket
  private let label: String
  private let peer: PeerCredentials
  /// A reply could not be written: nothing more is.
  private let broken = Atomic<Bool>(false)

  init(server: VarlinkServer, socket: StreamSocket, label: String, peer: PeerCredentials) {
    self.server = server
    self.socket = socket
    self.label = label
    self.peer = peer
  }

  /// Serves until the client goes, misbehaves or is idle for too long, or the server stops.
  func run() {
    var framer = MessageFramer(limit: server.options.maximumRequest)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 16 * 1024, alignment: 1)
    defer { buffer.deallocate() }
    var deadline = Deadline.after(server.options.idleTimeout)
    do throws(ProtocolViolation) {
      while true {
        let wasEmpty = framer.isEmpty
        guard let count = read(into: buffer, deadline, isInside: !wasEmpty), count > 0 else {
          return
        }
        framer.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
        // The time for a request counts from its first byte, not from its latest.
        if wasEmpty { deadline = .after(server.options.requestTimeout) }
        while let message = try framer.next() {
          answer(try VarlinkRequest(message: message))
          if broken.load(ordering: .relaxed) { return }
          deadline = .after(
            framer.isEmpty ? server.options.idleTimeout : server.options.requestTimeout)
        }
      }
    } catch {
      server.log(.protocolViolation(socket: label, peer, error))
      // The protocol has no error for what is not the protocol; this one tells the people who
      // have to find out.
      write(.failure(.invalidParameter("", reason: error.description)))
    }
  }

  /// Nil when the connection is to end.
  private func read(
    into buffer: UnsafeMutableRawBufferPointer, _ deadline: Deadline, isInside: Bool
  ) -> Int? {
    do throws(SystemError) {
      return try socket.read(into: buffer, deadline: deadline)
    } catch {
      if error.isTimeout, isInside {
        server.log(.requestTimedOut(socket: label, peer))
      }
      return nil
    }
  }

  private func answer(_ request: VarlinkRequest) {
    let call = VarlinkCall(request: request, peer: peer, socket: label, channel: self)
    let reply: VarlinkReply
    do throws(VarlinkError) {
      let parameters = try server.service.answer(call)
      check(parameters, request)
      reply = .success(parameters, continues: false)
    } catch {
      reply = .failure(error)
    }
    if !request.oneway { write(reply) }
  }

  func send(continuing parameters: JSONObject, method: String) -> Bool {
    check(parameters, VarlinkRequest(method: method))
    return write(.success(parameters, continues: true))
  }

  private func check(_ parameters: JSONObject, _ request: VarlinkRequest) {
    guard server.options.checksReplies,
      let mismatch = server.service.mismatch(inReply: parameters, to: request)
    else { return }
    server.log(.invalidReply(method: request.method, mismatch))
  }

  @discardableResult
  private func write(_ reply: VarlinkReply) -> Bool {
    guard !broken.load(ordering: .relaxed) else { return false }
    do throws(SystemError) {
      try socket.write(reply.bytes, deadline: .after(server.options.writeTimeout))
      return true
    } catch {
      broken.store(true, ordering: .relaxed)
      if error.isTimeout { server.log(.slowReader(socket: label, peer)) }
      return false
    }
  }

  /// A client that has only finished writing is still there: it reads.
  var isClientGone: Bool {
    if broken.load(ordering: .relaxed) { return true }
    // POLLHUP and POLLERR are reported unasked.
    var entry = pollfd(fd: socket.descriptor.raw, events: 0, revents: 0)
    return poll(&entry, 1, 0) > 0
  }

  var isStopping: Bool { server.isStopping }
}
