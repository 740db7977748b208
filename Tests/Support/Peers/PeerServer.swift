import Glibc
import Platform

/// Another application entity, as the peers' configurations want it.
public struct ApplicationEntityAddress: Hashable, Sendable {
  public var aeTitle: String
  public var host: String
  public var port: UInt16

  public init(_ aeTitle: String, host: String = "127.0.0.1", port: UInt16) {
    self.aeTitle = aeTitle
    self.host = host
    self.port = port
  }
}

/// A server program that tests talk to, on ports of its own in a directory of its own.
enum PeerServer {
  /// Starts a program and waits until it takes connections on every port.
  ///
  /// A port that was free may be taken before the program binds it: then it ends, or somebody else
  /// answers for it, and it is tried again with others.
  static func start(
    ports count: Int, _ launch: ([UInt16]) throws -> ChildProcess
  ) throws -> (process: ChildProcess, ports: [UInt16]) {
    var complaints = ""
    for _ in 0..<4 {
      var ports: Set<UInt16> = []
      while ports.count < count { ports.insert(try freePort()) }
      let chosen = Array(ports)
      let process = try launch(chosen)
      let isReady = waitUntil(.after(.seconds(30))) {
        guard process.isRunning else { return true }
        return chosen.allSatisfy { port in
          (try? StreamSocket.connect(
            to: .tcp(host: "127.0.0.1", port: port), deadline: .after(.seconds(1)))) != nil
        }
      }
      if isReady, process.isRunning { return (process, chosen) }
      process.stop()
      complaints = "\(process.command)\n\(process.output.suffix(2000))"
    }
    throw ChildProcess.SpawnError(description: "did not become ready: \(complaints)")
  }
}

/// The names of the regular files in a directory, in order.
public func files(in directory: String) -> [String] {
  guard let stream = opendir(directory) else { return [] }
  defer { closedir(stream) }
  var names: [String] = []
  while let entry = readdir(stream) {
    let name = withUnsafeBytes(of: entry.pointee.d_name) { bytes in
      String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
    var status = stat()
    if stat("\(directory)/\(name)", &status) == 0, status.st_mode & S_IFMT == S_IFREG {
      names.append(name)
    }
  }
  return names.sorted()
}
