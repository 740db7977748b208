import Glibc
import HTTP
import JSON
import Platform

/// A DICOMweb server that does what the first part of a path tells it to, right or wrong
/// (`Tests/Scripts/dicomweb-server.py`).
public final class DICOMwebServer: Sendable {
  public let port: UInt16
  public let process: ChildProcess
  private let session = HTTPSession(name: "control")

  /// - Parameter files: the objects of every study.
  public init(_ files: [String]) throws {
    let process = try ChildProcess(
      Peers.python, ["-u", Peers.script("dicomweb-server.py")] + files)
    _ = process.waitForOutput("READY ")
    _ = waitUntil(.after(.seconds(5))) { process.standardOutput.contains("\n") }
    let words = process.standardOutput.split(whereSeparator: \.isWhitespace)
    guard words.first == "READY", words.count == 2, let port = UInt16(words[1]) else {
      process.kill(SIGKILL)
      throw ChildProcess.SpawnError(description: "did not become ready: \(process.output)")
    }
    self.process = process
    self.port = port
  }

  deinit {
    process.kill(SIGKILL)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  /// The address below which it behaves in some way.
  public func url(_ mode: String) -> String { "http://127.0.0.1:\(port)/\(mode)" }

  private func get(_ path: String) throws -> JSONValue {
    let response = try session.perform(
      HTTPRequest("GET", url(path)), deadline: .after(.seconds(10)))
    return try JSONValue.parse(response.body)
  }

  /// How often something has been asked, such as `GET ok`.
  public func requests(_ call: String) throws -> Int {
    Int(try get("counts")[call]?.intValue ?? 0)
  }

  /// The bytes of the great object that have gone out.
  public var sent: Int { get throws { Int(try get("sent")["bytes"]?.intValue ?? 0) } }

  /// Waits until it cannot send any more of the great object, since everything on the way is full.
  /// - Returns: the bytes that have gone out; nil where it never stops.
  public func waitUntilStalled(_ deadline: Deadline = .after(.seconds(30))) throws -> Int? {
    var last = -1
    var since = MonotonicTime.now
    let isStalled = try waitUntil(deadline) {
      let now = try sent
      if now != last {
        last = now
        since = .now
      }
      return last > 0 && MonotonicTime.now - since > .seconds(1)
    }
    return isStalled ? last : nil
  }

  /// The sizes of the objects that it has got, by SOP Instance UID.
  public var stored: [String: Int] {
    get throws {
      var result: [String: Int] = [:]
      for (uid, size) in try get("stored").objectValue ?? JSONObject() {
        result[uid] = Int(size.intValue ?? 0)
      }
      return result
    }
  }
}
