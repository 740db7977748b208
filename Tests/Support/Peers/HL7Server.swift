import FoundationEssentials
import Glibc
import Platform

/// An HL7 receiver for one test, made of the Python packages hl7 or hl7apy, which answers or
/// misbehaves as told (`Tests/Scripts/mllp-server.py`). Needs `.needs(.python("hl7"),
/// .python("hl7apy"))`.
public final class HL7Server: Sendable {
  public enum Peer: String, Sendable, CaseIterable {
    /// Keeps a connection for many messages.
    case hl7
    /// Closes each connection after one message, and reads UTF-8 only.
    case hl7apy
  }

  /// A message it has received.
  public struct Received: Sendable, Hashable, Codable {
    /// Seconds since 1970.
    public let time: Double
    /// MSH-10.
    public let controlID: String
    /// MSH-9, with all its components.
    public let type: String
    public let text: String
    /// The rule's answer that it got.
    public let answer: String

    enum CodingKeys: String, CodingKey {
      case time, type, text, answer
      case controlID = "control_id"
    }
  }

  public let port: UInt16
  public let process: ChildProcess
  private let directory: TemporaryDirectory

  /// - Parameters:
  ///   - rules: `MATCH=ANSWERS`, as `ORM^O01/HD=AE:204` or `*=silent+AA`; the script says more.
  ///   - seed: answers at random, the same for the same seed, where no rule fits.
  ///   - port: 0 for any.
  ///   - tls: what the server shows (of the package hl7 only); with an authority for clients it
  ///     demands certificates.
  public init(
    _ peer: Peer = .hl7, rules: [String] = [], seed: Int? = nil, port: UInt16 = 0,
    tls: (certificate: String, key: String, clientAuthority: String?)? = nil
  ) throws {
    let directory = try TemporaryDirectory()
    var arguments = [
      "-u", Peers.script("mllp-server.py"), "--peer", peer.rawValue, "--port", "\(port)",
      "--record", directory.file("received"),
    ]
    for rule in rules { arguments += ["--rule", rule] }
    if let tls {
      arguments += ["--tls-certificate", tls.certificate, "--tls-key", tls.key]
      if let authority = tls.clientAuthority { arguments += ["--tls-client-ca", authority] }
    }
    if let seed { arguments += ["--random", "\(seed)"] }
    let process = try ChildProcess(Peers.python, arguments)
    let isReady = process.waitForOutput("\n")
    guard isReady, let line = process.standardOutput.split(separator: "\n").first,
      let port = UInt16(line)
    else {
      process.kill(SIGKILL)
      throw ChildProcess.SpawnError(description: "did not become ready: \(process.output)")
    }
    self.directory = directory
    self.process = process
    self.port = port
  }

  deinit {
    process.kill(SIGKILL)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  /// What it has received so far, in order.
  public var received: [Received] {
    get throws {
      let lines = try directory.read("received").split(separator: 0x0A)
      return try lines.map { try JSONDecoder().decode(Received.self, from: Data($0)) }
    }
  }
}

/// What hl7apy's strict validator says of a message. Needs `.needs(.python("hl7apy"))`.
public struct HL7Verdict: Sendable, Hashable, Codable {
  public let valid: Bool
  public let errors: [String]

  public static func of(_ message: [UInt8]) throws -> HL7Verdict {
    let directory = try TemporaryDirectory()
    let path = try directory.write(message, to: "message.hl7")
    let result = try ChildProcess.run(Peers.python, [Peers.script("validate-hl7.py"), path])
    guard result.status == 0 else { throw ChildProcess.SpawnError(description: result.output) }
    return try JSONDecoder().decode(HL7Verdict.self, from: Data(result.standardOutput.utf8))
  }
}

extension Peers {
  /// A script of `Tests/Scripts`.
  static func script(_ name: String) -> String { "\(packageRoot)/Tests/Scripts/\(name)" }

  /// Sends messages on one connection with the package hl7's client; its output is the answers, a
  /// line for each segment. Needs `.needs(.python("hl7"))`.
  public static func sendHL7(
    _ messages: [[UInt8]], port: UInt16
  ) throws -> ChildProcess.Result {
    let directory = try TemporaryDirectory()
    let paths = try messages.enumerated().map { index, message in
      try directory.write(message, to: "\(index).hl7")
    }
    return try ChildProcess.run(
      python, [script("mllp-send.py"), "127.0.0.1", "\(port)"] + paths)
  }
}
