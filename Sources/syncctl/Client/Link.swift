import JSON
import Platform
import Varlink

/// One connection to the daemon, with the client's errors as ``Trouble``.
struct Link {
  private let client: VarlinkClient

  init(path: String, deadline: Deadline) throws(Trouble) {
    do throws(VarlinkClientError) {
      client = try VarlinkClient.connect(to: .unix(path: path), deadline: deadline)
    } catch {
      throw Trouble(error)
    }
  }

  func call(
    _ method: String, _ parameters: JSONObject, deadline: Deadline
  ) throws(Trouble) -> Fields {
    do throws(VarlinkClientError) {
      return Fields(try client.call(method, parameters, deadline: deadline))
    } catch {
      throw Trouble(error)
    }
  }

  /// Calls `body` with each answer until it returns false or the last has come.
  /// - Parameters:
  ///   - first: by when the first answer must be there.
  ///   - deadline: the end of it all; changes may be hours apart.
  func follow(
    _ method: String, _ parameters: JSONObject, first: Deadline, deadline: Deadline,
    _ body: (Fields) -> Bool
  ) throws(Trouble) {
    do throws(VarlinkClientError) {
      try client.callMore(
        method, parameters, first: first, idle: .seconds(Int64.max), deadline: deadline
      ) { reply, _ in body(Fields(reply)) }
    } catch {
      throw Trouble(error)
    }
  }
}

extension Trouble {
  init(_ error: VarlinkClientError) {
    switch error {
    case .notRunning(let error): self = .notRunning(error.name)
    case .permissionDenied(let error): self = .noPermission(error.name)
    case .timedOut: self = .timedOut
    case .reply(let error): self = .errorReply(name: error.name, parameters: error.parameters)
    case .disconnected: self = .closed
    case .protocolViolation(let what): self = .notUnderstood(what)
    case .system(let error): self = .connection(error.description)
    }
  }
}
