import Platform

/// What passes between the session's thread, which never waits, and the thread that uses a
/// ``HTTPExchange``, which does: the answer's head, its body and the request's, each in a bounded
/// amount of memory.
final class HTTPPipe: Sendable {
  /// The most that lies between the two threads in one direction, in bytes; but for the last piece.
  static let capacity = 512 << 10

  struct State {
    var head: HTTPResponse?
    /// The body's bytes that nobody has taken yet.
    var incoming: [UInt8] = []
    /// libcurl has been told to stop receiving until there is room.
    var isReceivingPaused = false
    /// The request's bytes that libcurl has not taken yet, from `outgoingStart` on.
    var outgoing: [UInt8] = []
    var outgoingStart = 0
    var isOutgoingWhole = false
    /// libcurl has been told to stop sending until there is something.
    var isSendingPaused = false
    var isCancelled = false
    /// When something last moved, in either direction.
    var progress = MonotonicTime.now
    /// How it ended; nil while it goes on.
    var end: Result<HTTPResponse, HTTPFailure>?

    var outgoingCount: Int { outgoing.count - outgoingStart }
  }

  let state = Monitor(State())

  // MARK: - The session's thread

  /// The answer's head is whole.
  func takeHead(_ head: HTTPResponse) {
    state.update { state in
      guard state.head == nil else { return }
      state.head = head
      state.progress = .now
    }
  }

  func noteProgress() { state.update { $0.progress = .now } }

  enum Taken { case taken, full, cancelled }

  /// A piece of the answer's body.
  func take(_ bytes: UnsafeRawBufferPointer) -> Taken {
    state.update { state in
      if state.isCancelled { return .cancelled }
      state.progress = .now
      if !state.incoming.isEmpty, state.incoming.count + bytes.count > Self.capacity {
        state.isReceivingPaused = true
        return .full
      }
      state.incoming.append(contentsOf: bytes)
      return .taken
    }
  }

  enum Given {
    /// So many bytes; 0 at the end of the body.
    case bytes(Int)
    case nothingYet, cancelled
  }

  /// The next bytes of the request's body.
  func give(into buffer: UnsafeMutableRawBufferPointer) -> Given {
    state.update { state in
      if state.isCancelled { return .cancelled }
      state.progress = .now
      let count = min(buffer.count, state.outgoingCount)
      guard count > 0 else {
        if state.isOutgoingWhole { return .bytes(0) }
        state.isSendingPaused = true
        return .nothingYet
      }
      state.outgoing.withUnsafeBytes { bytes in
        let start = state.outgoingStart
        buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[start..<start + count]))
      }
      state.outgoingStart += count
      if state.outgoingCount == 0 {
        state.outgoing.removeAll(keepingCapacity: true)
        state.outgoingStart = 0
      }
      return .bytes(count)
    }
  }

  func end(_ result: Result<HTTPResponse, HTTPFailure>) {
    state.update { state in
      if state.end == nil { state.end = result }
    }
  }

  var isCancelled: Bool { state.read { $0.isCancelled } }
}
