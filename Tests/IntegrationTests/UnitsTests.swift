import Foundation
import Platform
import TestSupport
import Testing

/// The systemd units and their company, judged by systemd's own tools.
@Suite("Units", .serialized)
struct UnitsTests {
  private static let units = "\(Peers.packageRoot)/units"
  private static let names = ["syncd.service", "syncd-control.socket", "syncd-monitor.socket"]

  /// A copy of the units whose programs exist here: `systemd-analyze verify` looks for them.
  private func copy(
    in directory: TemporaryDirectory, service change: (String) -> String = { $0 }
  ) throws -> [String] {
    try Self.names.map { name in
      var text = try String(contentsOfFile: "\(Self.units)/\(name)", encoding: .utf8)
      #expect(name != "syncd.service" || text.contains("ExecStart=/usr/sbin/syncd\n"))
      text = text.replacingOccurrences(of: "/usr/sbin/syncd", with: "/bin/true")
      if name == "syncd.service" { text = change(text) }
      return try directory.write(text, to: name)
    }
  }

  private func verify(_ paths: [String]) throws -> ChildProcess.Result {
    // --man=no: the pages are not installed where the tests run.
    try ChildProcess.run("systemd-analyze", ["verify", "--man=no"] + paths)
  }

  @Test("systemd has nothing to say about the units", .needs(.program("systemd-analyze")))
  func verifySilent() throws {
    let directory = try TemporaryDirectory()
    let result = try verify(copy(in: directory))
    #expect(result.status == 0)
    #expect(result.output == "")
  }

  @Test(
    "the check of the units sees a misspelt key, which systemd only warns of",
    .needs(.program("systemd-analyze")))
  func verifySees() throws {
    let directory = try TemporaryDirectory()
    let paths = try copy(in: directory) {
      $0.replacingOccurrences(of: "ProtectHome=", with: "ProtectHomes=")
    }
    #expect(try verify(paths).output.contains("ProtectHomes"))
  }

  @Test("the service's exposure is at most 1.3", .needs(.program("systemd-analyze")))
  func exposure() throws {
    let result = try ChildProcess.run(
      "systemd-analyze",
      [
        "security", "--no-pager", "--offline=true", "--threshold=13",
        "\(Self.units)/syncd.service",
      ])
    #expect(result.status == 0, "\(result.output)")
    let line = try #require(
      result.standardOutput.split(separator: "\n").last { $0.contains("Overall exposure") })
    let level = try #require(line.split(separator: " ").compactMap { Double($0) }.first)
    #expect(level > 0 && level <= 1.3)
  }

  @Test(
    "the user and the groups that the units name are made", .needs(.program("systemd-sysusers")))
  func users() throws {
    let root = try TemporaryDirectory()
    try root.makeDirectory("etc")
    let result = try ChildProcess.run(
      "systemd-sysusers", ["--root=\(root.path)", "\(Self.units)/sysusers.d/syncd.conf"])
    #expect(result.status == 0, "\(result.output)")
    let users = try String(contentsOfFile: root.file("etc/passwd"), encoding: .utf8)
    let groups = try String(contentsOfFile: root.file("etc/group"), encoding: .utf8)
    for (key, made) in [("User", users), ("Group", groups), ("SocketGroup", groups)] {
      let named = try Self.names.flatMap { name in
        try String(contentsOfFile: "\(Self.units)/\(name)", encoding: .utf8)
          .split(separator: "\n").filter { $0.hasPrefix("\(key)=") }
          .map { $0.dropFirst(key.count + 1) }
      }
      #expect(!named.isEmpty)
      for name in named {
        #expect(made.split(separator: "\n").contains { $0.hasPrefix("\(name):") }, "\(name)")
      }
    }
    let daemon = try #require(users.split(separator: "\n").first { $0.hasPrefix("syncd:") })
    #expect(daemon.hasSuffix("nologin"))
  }

  @Test("the sockets' directory is made", .needs(.program("systemd-tmpfiles")))
  func directory() throws {
    let root = try TemporaryDirectory()
    let result = try ChildProcess.run(
      "systemd-tmpfiles",
      ["--root=\(root.path)", "--create", "\(Self.units)/tmpfiles.d/syncd.conf"])
    #expect(result.status == 0, "\(result.output)")
    let attributes = try FileManager.default.attributesOfItem(atPath: root.file("run/syncd"))
    #expect(attributes[.posixPermissions] as? Int == 0o755)
  }

  @Test("each drop-in is accepted beside the service", .needs(.program("systemd-analyze")))
  func dropIns() throws {
    let names = try FileManager.default.contentsOfDirectory(atPath: "\(Self.units)/drop-ins")
    #expect(!names.isEmpty)
    for name in names {
      let directory = try TemporaryDirectory()
      var paths = try copy(in: directory)
      let text = try String(contentsOfFile: "\(Self.units)/drop-ins/\(name)", encoding: .utf8)
      try directory.makeDirectory("syncd.service.d")
      try directory.write(text, to: "syncd.service.d/\(name)")
      // A unit that the drop-in brings along stands in its comment, indented.
      let unit = text.split(separator: "\n").filter { $0.hasPrefix("#   ") }
        .map { $0.dropFirst(4) }.joined(separator: "\n")
      if unit.contains("[Socket]") {
        paths.append(try directory.write(unit + "\n", to: "syncd-dicom.socket"))
      }
      let result = try verify(paths)
      #expect(result.status == 0, "\(name)")
      #expect(result.output == "", "\(name)")
    }
  }
}
