import Platform

/// One request whose body, whose answer's body, or both are streams: of any length, in a bounded
/// amount of memory. Whichever side is slower holds up the other, and no other request of the
/// session.
///
/// ```swift
/// let exchange = try session.exchange(HTTPRequest("GET", url), idle: .seconds(60), stop: stop)
/// let head = try exchange.head()
/// var piece: [UInt8] = []
/// while try exchange.read(into: &piece) { take(piece) }
/// ```
///
/// Used by one thread, which blocks; but for ``cancel()``, which any may call. There is no limit to
/// the whole, since nobody knows how long a study takes: what ends it is that nothing moves for
/// `idle`, or that `stop` opens. One that is let go of before its end is cancelled.
public final class HTTPExchange: @unchecked Sendable {
  // @unchecked: by the rule above; what is shared lies in the pipe.
  private let transfer: HTTPTransfer
  private let pipe: HTTPPipe
  /// Lives as long as its exchanges.
  private let session: HTTPSession
  private let idle: Duration
  private let stop: Gate?
  /// Told once, how it ended, where somebody waits for the end at all.
  private var onEnd: ((Result<HTTPResponse, HTTPFailure>) -> Void)?

  init(
    _ transfer: HTTPTransfer, _ pipe: HTTPPipe, _ session: HTTPSession, idle: Duration,
    stop: Gate?
  ) {
    self.transfer = transfer
    self.pipe = pipe
    self.session = session
    self.idle = idle
    self.stop = stop
  }

  deinit { cancel() }

  func observeEnd(_ body: @escaping (Result<HTTPResponse, HTTPFailure>) -> Void) { onEnd = body }

  /// How often a waiting thread looks whether it is to stop.
  private static let look = Duration.milliseconds(200)

  /// Gives up: the connection is closed, unless it has other streams.
  public func cancel() {
    let isOver = pipe.state.update { state in
      state.isCancelled = true
      return state.end != nil
    }
    if !isOver { session.nudge(transfer) }
  }

  // MARK: - The request's body

  /// Hands over the next bytes of the request's body, and waits until there is room for them.
  /// - Returns: false where no more is wanted: the answer has come before the body's end.
  public func write(_ bytes: UnsafeRawBufferPointer) throws(HTTPFailure) -> Bool {
    var rest = bytes
    while !rest.isEmpty {
      let step = try wait { state -> Step<Int>? in
        if let step: Step<Int> = Self.over(state) { return step }
        let room = HTTPPipe.capacity - state.outgoingCount
        guard room > 0 else { return nil }
        if state.outgoingStart > HTTPPipe.capacity {
          state.outgoing.removeFirst(state.outgoingStart)
          state.outgoingStart = 0
        }
        let count = min(room, rest.count)
        state.outgoing.append(contentsOf: UnsafeRawBufferPointer(rebasing: rest[..<count]))
        let isPaused = state.isSendingPaused
        state.isSendingPaused = false
        return .go(count, nudges: isPaused)
      }
      guard let count = step else { return false }
      rest = UnsafeRawBufferPointer(rebasing: rest[count...])
    }
    return true
  }

  /// The request's body is whole.
  public func finishWriting() throws(HTTPFailure) {
    _ = try wait { state -> Step<Int>? in
      if let step: Step<Int> = Self.over(state) { return step }
      state.isOutgoingWhole = true
      let isPaused = state.isSendingPaused
      state.isSendingPaused = false
      return .go(0, nudges: isPaused)
    }
  }

  /// Writing is over where the answer has come, or the exchange has ended.
  private static func over<T>(_ state: HTTPPipe.State) -> Step<T>? {
    if case .failure(let failure)? = state.end { return .failed(failure) }
    return state.head != nil || state.end != nil ? .over : nil
  }

  // MARK: - The answer

  /// Waits for the answer's head: its status and headers, without the body.
  public func head() throws(HTTPFailure) -> HTTPResponse {
    let head = try wait { state -> Step<HTTPResponse>? in
      if let head = state.head { return .go(head, nudges: false) }
      switch state.end {
      case .failure(let failure)?: return .failed(failure)
      case .success(let response)?: return .go(response, nudges: false)
      case nil: return nil
      }
    }
    guard let head else {
      throw HTTPFailure(.broken, "\(transfer.origin): it ended without an answer")
    }
    return head
  }

  /// Waits for the next bytes of the answer's body.
  /// - Parameter piece: gets them; its room is used again.
  /// - Returns: false at the end, which has been proven by the length that was announced, or by the
  ///   framing. A body that was cut is a failure.
  public func read(into piece: inout [UInt8]) throws(HTTPFailure) -> Bool {
    piece.removeAll(keepingCapacity: true)
    var taken = piece
    piece = []
    let step = try wait { state -> Step<Bool>? in
      if !state.incoming.isEmpty {
        swap(&state.incoming, &taken)
        let isPaused = state.isReceivingPaused
        state.isReceivingPaused = false
        // The time in which nothing moved was ours.
        state.progress = .now
        return .go(true, nudges: isPaused)
      }
      switch state.end {
      case .failure(let failure)?: return .failed(failure)
      case .success?: return .over
      case nil: return nil
      }
    }
    piece = taken
    return step == true
  }

  /// The whole of what is left of the body, which must not be longer than a limit.
  public func body(limit: Int) throws(HTTPFailure) -> [UInt8] {
    var body: [UInt8] = []
    var piece: [UInt8] = []
    while try read(into: &piece) {
      guard body.count + piece.count <= limit else {
        cancel()
        throw HTTPFailure(
          .unusable, "\(transfer.origin): its answer is longer than \(limit) bytes")
      }
      body += piece
    }
    return body
  }

  /// Lets go of what is left of a short answer, so that its connection can be used again; one that is
  /// not over soon is cancelled.
  public func discard() {
    var left = 64 << 10
    let isOver = pipe.state.wait(until: .after(.seconds(1))) { state -> Bool? in
      left -= state.incoming.count
      state.incoming.removeAll(keepingCapacity: true)
      return left < 0 ? false : state.end.map { _ in true }
    }
    if isOver == true { tellEnd(.success(HTTPResponse(status: 0))) } else { cancel() }
  }

  // MARK: - Waiting

  private enum Step<T> {
    case go(T, nudges: Bool)
    case over
    case failed(HTTPFailure)
  }

  /// Tries something upon the pipe until it can be done; nil where it is over.
  private func wait<T>(
    _ attempt: (inout HTTPPipe.State) -> Step<T>?
  ) throws(HTTPFailure) -> T? {
    while true {
      if stop?.isOpen == true {
        cancel()
        throw HTTPFailure(.broken, "\(transfer.origin): given up, since the daemon stops")
      }
      let deadline = Deadline.at(pipe.state.read { $0.progress } + idle)
      let step = pipe.state.wait(until: deadline.sooner(.after(Self.look)), attempt)
      switch step {
      case .go(let value, let nudges)?:
        if nudges { session.nudge(transfer) }
        return value
      case .over?:
        tellEnd(.success(HTTPResponse(status: 0)))
        return nil
      case .failed(let failure)?:
        tellEnd(.failure(failure))
        throw failure
      case nil:
        guard deadline.isPast, Deadline.at(pipe.state.read { $0.progress } + idle).isPast else {
          continue
        }
        cancel()
        let failure = HTTPFailure(
          .timeout,
          "\(transfer.origin): nothing has moved for \(Int(idle.inSeconds.rounded())) s")
        tellEnd(.failure(failure))
        throw failure
      }
    }
  }

  private func tellEnd(_ result: Result<HTTPResponse, HTTPFailure>) {
    guard let onEnd else { return }
    let known = pipe.state.read { $0.end }
    self.onEnd = nil
    onEnd(known ?? result)
  }
}
