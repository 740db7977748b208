import JSON
import Platform
import Synchronization
import TestSupport
import Testing
import Varlink

/// A server with a method for everything a test wants to see, on a Unix socket of its own.
final class TestService: Sendable {
  let directory: TemporaryDirectory
  let server: VarlinkServer
  let log: Monitor<[VarlinkServer.Event]>
  /// What oneway calls left behind, and what happened to `Wait`.
  let notes = Monitor<[String]>([])
  /// `Wait` returns when it opens.
  let gate = Gate()

  var endpoint: Endpoint { .unix(path: directory.file("control")) }

  init(_ configure: (inout VarlinkServer.Options) -> Void = { _ in }) throws {
    directory = try TemporaryDirectory()
    var options = VarlinkServer.Options()
    configure(&options)
    let log = Monitor<[VarlinkServer.Event]>([])
    self.log = log
    let notes = notes
    let gate = gate
    let interface = try VarlinkInterface(
      Self.description,
      methods: [
        "Echo": .init { call throws(VarlinkError) in ["text": call.parameters["text"] ?? nil] },
        "Find": .init { _ throws(VarlinkError) in ["count": 0] },
        "Refuse": .init { _ throws(VarlinkError) in
          throw VarlinkError("org.example.test.Refused", ["reason": "so"])
        },
        "Who": .init { call throws(VarlinkError) in
          [
            "uid": .integer(Int64(call.peer.uid)), "pid": .integer(Int64(call.peer.pid)),
            "socket": .string(call.socket),
          ]
        },
        "Count": .init(requiresMore: true) { call throws(VarlinkError) in
          let last = call.parameters["to"]?.intValue ?? 0
          var number: Int64 = 1
          while number < last, call.replyContinues(["number": .integer(number)]) { number += 1 }
          notes.update { $0.append("counted to \(number)") }
          return ["number": .integer(number)]
        },
        "Wait": .init { call throws(VarlinkError) in
          notes.update { $0.append("waiting") }
          while !gate.wait(until: .after(.milliseconds(10))), !call.isCancelled {}
          notes.update { $0.append(call.isClientGone ? "abandoned" : "waited") }
          return [:]
        },
        "Big": .init { call throws(VarlinkError) in
          let size = Int(call.parameters["size"]?.intValue ?? 0)
          return ["text": .string(String(repeating: "x", count: size))]
        },
        "Note": .init { call throws(VarlinkError) in
          notes.update { $0.append(call.parameters["text"]?.stringValue ?? "") }
          return [:]
        },
        "Wrong": .init { _ throws(VarlinkError) in ["number": "one"] },
        "Forbidden": .init { _ throws(VarlinkError) in [:] },
      ])
    let service = VarlinkService(
      vendor: "Vendor", product: "Product", version: "1.2", url: "https://example.org",
      interfaces: [interface],
      authorize: { _, socket, method in
        method == "org.example.test.Forbidden" && socket == "control"
          ? .permissionDenied(reason: "join the group") : nil
      })
    server = VarlinkServer(service: service, options: options) { event in
      log.update { $0.append(event) }
    }
    server.listen(on: try ListeningSocket(on: endpoint), label: "control")
  }

  deinit {
    gate.open()
    server.stop(deadline: .after(.seconds(2)))
  }

  func client() throws -> VarlinkClient {
    try VarlinkClient.connect(to: endpoint, deadline: .after(.seconds(5)))
  }

  func raw() throws -> RawConnection {
    RawConnection(try StreamSocket.connect(to: endpoint, deadline: .after(.seconds(5))))
  }

  /// Waits until a note or an event says so.
  func waitForNote(_ text: String) -> Bool {
    notes.wait(until: .after(.seconds(10))) { $0.contains(text) ? true : nil } ?? false
  }

  func waitForEvent(_ text: String) -> Bool {
    log.wait(until: .after(.seconds(10))) {
      $0.contains { $0.description.contains(text) } ? true : nil
    } ?? false
  }

  static let description = """
    interface org.example.test
    type Filter (lists: []string, limit: ?int)
    method Echo(text: string) -> (text: string)
    method Find(filter: ?Filter) -> (count: int)
    method Refuse() -> ()
    method Who() -> (uid: int, pid: int, socket: string)
    method Count(to: int) -> (number: int)
    method Wait() -> ()
    method Big(size: int) -> (text: string)
    method Note(text: string) -> ()
    method Wrong() -> (number: int)
    method Missing() -> ()
    method Forbidden() -> ()
    error Refused (reason: string)

    """
}

/// A client that sends whatever it is told.
final class RawConnection {
  let socket: StreamSocket
  private var framer = MessageFramer(limit: 64 << 20)

  init(_ socket: StreamSocket) { self.socket = socket }

  func send(_ text: String) throws { try send(Array(text.utf8)) }

  func send(_ bytes: [UInt8]) throws {
    try socket.write(bytes, deadline: .after(.seconds(5)))
  }

  /// The next message; nil when the server closed the connection.
  func receive(deadline: Deadline = .after(.seconds(10))) throws -> String? {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 65536, alignment: 1)
    defer { buffer.deallocate() }
    while true {
      if let message = try framer.next() { return String(decoding: message, as: UTF8.self) }
      let count = try read(into: buffer, deadline)
      if count == 0 { return nil }
      framer.append(UnsafeRawBufferPointer(rebasing: buffer[..<count]))
    }
  }

  private func read(
    into buffer: UnsafeMutableRawBufferPointer, _ deadline: Deadline
  ) throws(SystemError) -> Int {
    do throws(SystemError) {
      return try socket.read(into: buffer, deadline: deadline)
    } catch {
      // A server that closes without having read everything resets.
      guard error.name == "ECONNRESET" else { throw error }
      return 0
    }
  }
}
