import Glibc
import JSON
import Platform
import SyncCore
import TestSupport
import Testing
import Varlink

@testable import syncctl

/// What the other end of a socket does with one call.
enum Answer: Sendable {
  /// The last, or only, reply.
  case reply(String)
  /// A reply that others follow.
  case more(String)
  case error(String, String)
  /// Nothing, with the connection kept open.
  case silence
  /// The end of the connection.
  case close
  /// These bytes as they are.
  case bytes([UInt8])

  static func failure(_ name: String, _ parameters: String = "{}") -> Answer {
    .error("\(SyncInterface.name).\(name)", parameters)
  }
}

/// One call as it came in.
struct Call: Sendable {
  let method: String
  let parameters: JSONObject
  let more: Bool
}

/// A stand-in for the daemon at a socket of its own: canned answers, and whatever a daemon should
/// never do.
final class FakeDaemon: Sendable {
  let path: String
  private let listener: ListeningSocket
  private let calls = Monitor<[Call]>([])
  private let connections = Monitor<[StreamSocket]>([])

  init(
    at path: String, mode: mode_t = 0o600, answer: @escaping @Sendable (Call) -> [Answer]
  ) throws {
    self.path = path
    listener = try ListeningSocket(on: .unix(path: path), mode: mode)
    WorkThread.start("fake-daemon") { [listener, calls, connections] in
      while let accepted = try? listener.accept() {
        connections.update { $0.append(accepted) }
        WorkThread.start("fake-client") { Self.serve(accepted, calls, answer) }
      }
    }
  }

  deinit {
    listener.stop()
    for each in connections.read({ $0 }) { each.interrupt() }
  }

  /// The calls of a method so far.
  func received(_ method: String) -> [JSONObject] {
    calls.read { all in all.filter { $0.method.hasSuffix(".\(method)") }.map(\.parameters) }
  }

  private static func serve(
    _ socket: StreamSocket, _ calls: Monitor<[Call]>, _ answer: (Call) -> [Answer]
  ) {
    var buffer: [UInt8] = []
    while let message = receive(socket, &buffer) {
      let call = Call(
        method: message["method"]?.stringValue ?? "",
        parameters: message["parameters"]?.objectValue ?? [:],
        more: message["more"]?.boolValue ?? false)
      calls.update { $0.append(call) }
      for each in answer(call) {
        guard send(each, to: socket) else { return }
      }
    }
  }

  private static func send(_ answer: Answer, to socket: StreamSocket) -> Bool {
    var bytes: [UInt8]
    switch answer {
    case .reply(let text): bytes = Array("{\"parameters\":\(text)}".utf8) + [0]
    case .more(let text): bytes = Array("{\"continues\":true,\"parameters\":\(text)}".utf8) + [0]
    case .error(let name, let parameters):
      bytes = Array("{\"error\":\"\(name)\",\"parameters\":\(parameters)}".utf8) + [0]
    case .bytes(let raw): bytes = raw
    case .silence: return true
    case .close:
      socket.interrupt()
      return false
    }
    return (try? socket.write(bytes, deadline: .after(.seconds(10)))) != nil
  }

  private static func receive(_ socket: StreamSocket, _ buffer: inout [UInt8]) -> JSONObject? {
    while true {
      if let end = buffer.firstIndex(of: 0) {
        let message = Array(buffer[..<end])
        buffer.removeSubrange(...end)
        return try? JSONValue.parse(message).objectValue
      }
      var chunk = [UInt8](repeating: 0, count: 4096)
      let count = chunk.withUnsafeMutableBytes {
        (try? socket.read(into: $0, deadline: .after(.seconds(60)))) ?? 0
      }
      if count == 0 { return nil }
      buffer += chunk[..<count]
    }
  }
}

/// The interfaces on our own server, with canned answers, which must fit them.
final class CannedDaemon: Sendable {
  private let server: VarlinkServer
  private let calls: Monitor<[Call]>

  /// - Parameter delivery: nil for a daemon that does not know the interface of sending.
  init(
    at path: String, mode: mode_t = 0o600, answer: @escaping @Sendable (Call) -> [Answer],
    delivery: (@Sendable (Call) -> [Answer])?
  ) throws {
    let calls = Monitor<[Call]>([])
    self.calls = calls
    func interface(
      _ description: String, _ answer: @escaping @Sendable (Call) -> [Answer]
    ) throws -> VarlinkInterface {
      var methods: [String: VarlinkInterface.Method] = [:]
      for name in try InterfaceDescription(description).methods.keys {
        methods[name] = VarlinkInterface.Method { (call) throws(VarlinkError) in
          let seen = Call(method: call.method, parameters: call.parameters, more: call.wantsMore)
          calls.update { $0.append(seen) }
          return try Self.send(answer(seen), call)
        }
      }
      return try VarlinkInterface(description, methods: methods)
    }
    var interfaces = [try interface(SyncInterface.description, answer)]
    if let delivery {
      interfaces.append(try interface(DeliveryInterface.description, delivery))
    }
    interfaces.append(try interface(PeerInterface.description, Program.probing))
    let service = VarlinkService(
      vendor: "test", product: "syncd", version: Version.text, url: "", interfaces: interfaces)
    server = VarlinkServer(service: service) { event in
      if case .invalidReply = event { Issue.record("\(event)") }
    }
    server.listen(on: try ListeningSocket(on: .unix(path: path), mode: mode), label: "control")
  }

  deinit { server.stop(deadline: .after(.seconds(5))) }

  private static func send(
    _ answers: [Answer], _ call: VarlinkCall
  ) throws(VarlinkError) -> JSONObject {
    for answer in answers {
      switch answer {
      case .more(let text):
        // The client has seen enough and reads no more of this.
        guard call.replyContinues(object(text)) else { throw VarlinkError("gone.Client") }
      case .reply(let text): return object(text)
      case .error(let name, let parameters): throw VarlinkError(name, object(parameters))
      case .silence, .close, .bytes: Issue.record("only a FakeDaemon misbehaves")
      }
    }
    throw VarlinkError("gone.Client")
  }

  private static func object(_ text: String) -> JSONObject {
    guard let object = try? JSONValue.parse(text).objectValue else {
      Issue.record("not an object: \(text)")
      return [:]
    }
    return object
  }

  /// The calls of a method so far.
  func received(_ method: String) -> [JSONObject] {
    calls.read { all in all.filter { $0.method.hasSuffix(".\(method)") }.map(\.parameters) }
  }
}

/// The built syncctl at a daemon's socket.
struct Program {
  let directory: TemporaryDirectory
  var environment: [String: String?] = ["TZ": "Europe/Stockholm", "SYNCCTL_SOCKET": nil]

  init() throws {
    directory = try TemporaryDirectory()
  }

  var socket: String { directory.file("control") }

  func daemon(
    _ name: String = "control", mode: mode_t = 0o600,
    answer: @escaping @Sendable (Call) -> [Answer] = Program.healthy,
    delivery: (@Sendable (Call) -> [Answer])? = Program.delivering
  ) throws -> CannedDaemon {
    try CannedDaemon(at: directory.file(name), mode: mode, answer: answer, delivery: delivery)
  }

  /// A daemon that may do what it should never do.
  func fake(
    _ name: String = "control", mode: mode_t = 0o600,
    answer: @escaping @Sendable (Call) -> [Answer] = Program.healthy
  ) throws -> FakeDaemon {
    try FakeDaemon(at: directory.file(name), mode: mode, answer: answer)
  }

  func callAsFunction(
    _ arguments: String..., input: String? = nil
  ) throws -> ChildProcess.Result {
    try ChildProcess.run(
      Peers.product("syncctl"), ["--socket", socket] + arguments, environment: environment,
      standardInput: input.map { Array($0.utf8) }, deadline: .after(.seconds(20)))
  }

  func start(_ arguments: String...) throws -> ChildProcess {
    try ChildProcess(
      Peers.product("syncctl"), ["--socket", socket] + arguments, environment: environment)
  }

  /// In a terminal of its own; what is typed is given.
  func inTerminal(_ line: String, typed: String = "") throws -> ChildProcess.Result {
    var environment = environment
    environment["TERM"] = "xterm"
    environment["NO_COLOR"] = .some(nil)
    return try ChildProcess.run(
      "script",
      ["-qec", "'\(Peers.product("syncctl"))' --socket '\(socket)' \(line)", "/dev/null"],
      environment: environment, standardInput: Array(typed.utf8), deadline: .after(.seconds(20)))
  }

  /// What a daemon in good health answers.
  @Sendable static func healthy(_ call: Call) -> [Answer] {
    guard call.method.hasPrefix(SyncInterface.name + ".") else {
      guard call.method == "org.varlink.service.GetInterfaceDescription" else {
        return [.error("org.varlink.service.InterfaceNotFound", "{}")]
      }
      let description = JSONValue.string(SyncInterface.description)
      return [.reply("{\"description\":\(description)}")]
    }
    switch call.method.dropFirst(SyncInterface.name.count + 1) {
    case "Ping":
      return [
        .reply(
          "{\"name\":\"demo\",\"version\":\"\(Version.text)\",\"pid\":4711,"
            + "\"startedAt\":\"2026-11-23T06:00:00.000Z\"}")
      ]
    case "GetStatus": return [.reply(Canned.status())]
    case "StartSync":
      let end = Canned.sync(running: false, cycle: Canned.cycle(running: false))
      let first = Canned.sync(running: true, cycle: Canned.cycle(running: true, read: 0, set: 0))
      return call.more ? [.more(first), .reply(end)] : [.reply(first)]
    case "ListExaminations": return [.reply(page(call))]
    case "GetExamination":
      let number = call.parameters["number"]?.stringValue ?? ""
      if number == "missing" {
        return [.failure("NoSuchExamination", "{\"number\":\"missing\"}")]
      }
      return [
        .reply(
          "{\"examination\":\(Canned.examination(number)),\"history\":["
            + "{\"time\":\"2026-11-23T06:10:00.000Z\",\"event\":\"flagged\",\"detail\":\"tmc\"}]}")
      ]
    case "Retry":
      let number = call.parameters["number"]?.stringValue ?? ""
      if number == "missing" {
        return [.failure("NoSuchExamination", "{\"number\":\"missing\"}")]
      }
      return [.reply("{\"examination\":\(Canned.examination(number))}")]
    case "ListDrift": return [.reply("{\"drift\":[\(Canned.drift)]}")]
    case "Plan": return Canned.plan
    case "Approve": return [.reply("{\"approved\":12}")]
    case "GetConfiguration":
      return [
        .reply(
          "{\"toml\":\"[syncd]\\nname = \\\"demo\\\"\\n\",\"file\":\"/etc/syncd/config.toml\","
            + "\"loadedAt\":\"2026-11-23T06:00:00.000Z\"}")
      ]
    case "Reload": return [.reply("{\"applied\":[\"lists\"],\"needsRestart\":[\"archive.port\"]}")]
    default: return [.error("org.varlink.service.MethodNotFound", "{}")]
    }
  }

  /// Seven examinations in pages of at most three, whatever was asked for.
  private static func page(_ call: Call) -> String {
    let start = call.parameters["cursor"]?.stringValue.flatMap { Int($0) } ?? 0
    let limit = Int(call.parameters["limit"]?.intValue ?? 200)
    let end = min(7, start + min(3, limit))
    let rows = (start..<end).map {
      Canned.examination(
        "S000\($0)", images: $0 == 1 ? "fetching" : "complete", archived: $0 == 1 ? 7 : 50)
    }
    let next = end < 7 ? "\"next\":\"\(end)\"," : ""
    return "{\"examinations\":[\(rows.joined(separator: ","))],\(next)\"total\":7}"
  }
}
