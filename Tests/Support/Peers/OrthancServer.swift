import Platform

/// An Orthanc of one test: an independent PACS with C-STORE, C-FIND, C-MOVE and a REST interface.
/// Needs `.needs(.program("Orthanc"))`. Ends no later than this object.
public final class OrthancServer: Sendable {
  public let aeTitle: String
  public let dicomPort: UInt16
  public let httpPort: UInt16
  public let process: ChildProcess
  private let directory: TemporaryDirectory

  /// Plugins of the Debian packages, by the file that holds them.
  public enum Plugin: String, Sendable {
    case dicomWeb = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"
    case worklists = "/usr/share/orthanc/plugins/libModalityWorklists.so"
  }

  /// - Parameters:
  ///   - modalities: whom it may send to (C-MOVE destinations), by AE title.
  ///   - options: more members of the configuration, as JSON text by name; they win.
  public init(
    aeTitle: String = "ORTHANC", modalities: [ApplicationEntityAddress] = [],
    plugins: [Plugin] = [], options: [String: String] = [:]
  ) throws {
    let directory = try TemporaryDirectory()
    let started = try PeerServer.start(ports: 2) { ports in
      var members = [
        "Name": "\"\(aeTitle)\"",
        "StorageDirectory": "\"\(directory.file("storage"))\"",
        "IndexDirectory": "\"\(directory.file("storage"))\"",
        "DicomAet": "\"\(aeTitle)\"",
        "DicomPort": "\(ports[0])",
        "HttpPort": "\(ports[1])",
        "RemoteAccessAllowed": "false",
        "AuthenticationEnabled": "false",
        "DicomCheckCalledAet": "false",
        "DicomAlwaysAllowEcho": "true",
        "DicomAlwaysAllowStore": "true",
        "DicomAlwaysAllowFind": "true",
        "DicomAlwaysAllowFindWorklist": "true",
        "DicomAlwaysAllowGet": "true",
        "DicomAlwaysAllowMove": "true",
        "DicomModalities": Self.modalities(modalities),
        "Plugins": "[\(plugins.map { "\"\($0.rawValue)\"" }.joined(separator: ","))]",
        "StableAge": "1",
        "HttpsCACertificates": "\"\"",
      ]
      for (name, value) in options { members[name] = value }
      let text = members.map { "\"\($0.key)\": \($0.value)" }.joined(separator: ",\n  ")
      let path = try directory.write("{\n  \(text)\n}\n", to: "orthanc.json")
      return try ChildProcess("Orthanc", [path])
    }
    self.aeTitle = aeTitle
    dicomPort = started.ports[0]
    httpPort = started.ports[1]
    process = started.process
    self.directory = directory
  }

  deinit {
    // It has nothing to save that anybody will read.
    process.kill(9)
    _ = process.wait(deadline: .after(.seconds(5)))
  }

  public var address: ApplicationEntityAddress {
    ApplicationEntityAddress(aeTitle, port: dicomPort)
  }

  /// Of the REST interface, without a slash at the end.
  public var url: String { "http://127.0.0.1:\(httpPort)" }

  /// Sends files to it with DCMTK's storescu.
  public func load(_ paths: [String]) throws {
    try DCMTK.store(paths, to: address)
  }

  /// Adds or changes a modality while it runs. Orthanc keeps it until it ends.
  public func setModality(_ modality: ApplicationEntityAddress) throws {
    let body = "[\"\(modality.aeTitle)\",\"\(modality.host)\",\(modality.port)]"
    let result = try ChildProcess.run(
      "curl",
      ["-sf", "-X", "PUT", "-d", body, "\(url)/modalities/\(modality.aeTitle)"])
    guard result.status == 0 else {
      throw ChildProcess.SpawnError(description: "modality \(modality): \(result.output)")
    }
  }

  private static func modalities(_ modalities: [ApplicationEntityAddress]) -> String {
    let members = modalities.map { peer in
      "\"\(peer.aeTitle)\": [\"\(peer.aeTitle)\", \"\(peer.host)\", \(peer.port)]"
    }
    return "{\(members.joined(separator: ", "))}"
  }
}
