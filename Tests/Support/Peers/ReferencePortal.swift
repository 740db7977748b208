import Glibc
import HTTP
import JSON
import Platform

/// The region's portal and list server for one test: a Python program of the published interfaces
/// (`Tests/Scripts/reference-portal.py`), which judges every request by the OpenAPI documents and
/// fails on demand. Needs `.needs(.python("openapi_core"))` when it judges.
public final class ReferencePortal: Sendable {
  public let port: UInt16
  public let process: ChildProcess
  private let controlPort: UInt16
  private let session = HTTPSession(name: "control")
  private let scheme: String

  public struct Refused: Error { public let text: String }

  /// - Parameters:
  ///   - judges: validates every request and answer; slow for long lists.
  ///   - tls: what it shows; with an authority for clients it demands certificates.
  public init(
    judges: Bool = true,
    tls: (certificate: String, key: String, clientAuthority: String?)? = nil,
    options: [String] = []
  ) throws {
    var arguments = ["-u", Peers.script("reference-portal.py"), "--port", "0"]
    arguments += ["--control-port", "0"]
    if judges { arguments += ["--validate", "\(Peers.packageRoot)/docs"] }
    if let tls {
      arguments += ["--tls", tls.certificate, tls.key]
      if let authority = tls.clientAuthority { arguments += ["--client-ca", authority] }
    }
    let process = try ChildProcess(Peers.python, arguments + options)
    _ = process.waitForOutput("READY ")
    _ = waitUntil(.after(.seconds(5))) { process.standardOutput.contains("\n") }
    let words = process.standardOutput.split(whereSeparator: \.isWhitespace)
    guard words.first == "READY", words.count >= 3, let port = UInt16(words[1]),
      let controlPort = UInt16(words[2])
    else {
      process.kill(SIGKILL)
      throw ChildProcess.SpawnError(description: "did not become ready: \(process.output)")
    }
    self.process = process
    self.port = port
    self.controlPort = controlPort
    scheme = tls == nil ? "http" : "https"
  }

  deinit {
    process.kill(SIGKILL)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  public var url: String { "\(scheme)://\(tlsHost):\(port)" }
  private var tlsHost: String { scheme == "https" ? "localhost" : "127.0.0.1" }

  // MARK: - Control

  @discardableResult
  public func control(_ method: String, _ path: String, _ body: JSONValue? = nil) throws
    -> JSONValue
  {
    let response = try session.perform(
      HTTPRequest(
        method, "http://127.0.0.1:\(controlPort)/_control/\(path)", body: body?.serialized()),
      deadline: .after(.seconds(60)))
    guard response.isSuccess else {
      throw Refused(text: "\(response.status) \(String(decoding: response.body, as: UTF8.self))")
    }
    return response.body.isEmpty ? .null : try JSONValue.parse(response.body)
  }

  /// Makes a list's rows, each a number or all of a row.
  public func setList(_ id: String, _ rows: [JSONValue]) throws {
    try control("PUT", "lists/\(id)", ["rows": .array(rows)])
  }

  public func setList(_ id: String, numbers: [String]) throws {
    try setList(
      id, numbers.map { ["number": .string($0), "status": "Utförd", "patientId": "191212121212"] })
  }

  public func fault(_ faults: JSONValue...) throws {
    try control("PUT", "faults", .array(faults))
  }

  public func mend() throws { try control("DELETE", "faults") }

  /// `SYSTEM:NUMBER` and flag.
  public var flags: [String: String] {
    get throws {
      var result: [String: String] = [:]
      for (key, value) in try control("GET", "flags").objectValue ?? JSONObject() {
        result[key] = value["flag"]?.stringValue
      }
      return result
    }
  }

  /// What has been asked, and how often it was answered with what.
  public var counts: JSONValue { get throws { try control("GET", "counts") } }

  public func forgetCounts() throws { try control("DELETE", "counts") }

  /// All requests of a kind, such as `GET /v1/examinations`.
  public func requests(_ call: String) throws -> Int {
    Int((try counts[call]?.objectValue ?? JSONObject()).reduce(0) { $0 + ($1.value.intValue ?? 0) })
  }

  /// Every change of a flag, in order.
  public var effects: [String] {
    get throws { try counts["effects"]?.arrayValue?.compactMap(\.stringValue) ?? [] }
  }

  /// Where a request or an answer differs from the documents.
  public var violations: [String] {
    get throws {
      (try control("GET", "violations").arrayValue ?? []).map {
        "\($0["side"]?.stringValue ?? "") \($0["call"]?.stringValue ?? ""): "
          + "\($0["error"]?.stringValue ?? "")"
      }
    }
  }
}
