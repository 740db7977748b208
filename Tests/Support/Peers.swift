import Glibc
import Testing

/// The independent programs that tests talk to, and where they are.
public enum Peers {
  /// The repository's root.
  public static let packageRoot: String = {
    #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3)
      .joined(separator: "/")
  }()

  /// Where `make peers` puts what is not a Debian package: SYNCD_PEERS, or `.peers`.
  public static let directory: String = variable("SYNCD_PEERS") ?? packageRoot + "/.peers"

  /// The interpreter of the peers' virtual environment.
  public static var python: String { directory + "/venv/bin/python" }

  /// A program by path, or by name from the peers' environment, PATH and the system directories.
  public static func executable(_ name: String) -> String? {
    if name.contains("/") { return access(name, X_OK) == 0 ? name : nil }
    var places = (variable("PATH") ?? "").split(separator: ":").map(String.init)
    places += ["/usr/bin", "/usr/sbin", "/bin", "/sbin", "/usr/local/bin", "/usr/lib/dcmtk"]
    return places.lazy.map { "\($0)/\(name)" }.first { access($0, X_OK) == 0 }
  }

  /// A program of this package, built beside the tests.
  public static func product(_ name: String) -> String {
    var buffer = [CChar](repeating: 0, count: 4096)
    let length = readlink("/proc/self/exe", &buffer, buffer.count)
    let own = String(
      decoding: buffer.prefix(max(length, 0)).map(UInt8.init(bitPattern:)), as: UTF8.self)
    return own.split(separator: "/", omittingEmptySubsequences: false).dropLast()
      .joined(separator: "/") + "/" + name
  }

  /// Whether the peers' Python has a module.
  public static func hasPythonModule(_ module: String) -> Bool {
    guard access(python, X_OK) == 0 else { return false }
    let result = try? ChildProcess.run(
      python,
      [
        "-c",
        "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)",
        module,
      ])
    return result?.status == 0
  }

  /// In CI a missing peer is a failure: a green run means that everything ran.
  static var isContinuousIntegration: Bool {
    ["true", "1"].contains(variable("CI") ?? "")
  }

  static func variable(_ name: String) -> String? {
    guard let value = getenv(name) else { return nil }
    let text = String(cString: value)
    return text.isEmpty ? nil : text
  }
}

/// Something a test cannot do without.
public enum Requirement: Sendable, CustomStringConvertible {
  /// A program, by path or name.
  case program(String)
  /// A module of the peers' Python.
  case python(String)

  public var description: String {
    switch self {
    case .program(let name): "the program \(name)"
    case .python(let module): "the Python module \(module) in \(Peers.directory)/venv"
    }
  }

  var isMet: Bool {
    switch self {
    case .program(let name): Peers.executable(name) != nil
    case .python(let module): Peers.hasPythonModule(module)
    }
  }
}

/// Why a test that needs a peer failed in CI.
struct MissingPeer: Error, CustomStringConvertible {
  let description: String
}

extension Trait where Self == ConditionTrait {
  /// Runs the test only where its peers are; skips loudly elsewhere, and fails in CI.
  public static func needs(_ requirements: Requirement...) -> Self {
    let names = requirements.map(\.description).joined(separator: ", ")
    return .enabled("needs \(names)") {
      let missing = requirements.filter { !$0.isMet }.map(\.description).joined(separator: ", ")
      if missing.isEmpty { return true }
      let text = "\(missing): not found. Run `make peers`, or set SYNCD_PEERS."
      if Peers.isContinuousIntegration { throw MissingPeer(description: text) }
      let line = Array("*** SKIPPED: \(text)\n".utf8)
      _ = write(2, line, line.count)
      return false
    }
  }
}
