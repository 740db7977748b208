import FoundationEssentials
import TestSupport

/// What pydicom makes of its own test files: see dump-with-pydicom.py.
struct PydicomDump: Decodable {
  var meta: [String]?
  var syntax: String?
  var elements: [Element]?
  var error: String?

  struct Element: Decodable {
    var tag: UInt32
    var vr: String
    var value: Value

    init(from decoder: any Decoder) throws {
      var parts = try decoder.unkeyedContainer()
      tag = UInt32(try parts.decode(String.self), radix: 16)!
      vr = try parts.decode(String.self)
      value = try parts.decode(Value.self)
    }
  }

  struct Value: Decodable {
    var hex: String?
    var text: String?
    var items: [[Element]]?
    var fragments: [String]?
  }

  /// pydicom's data folder: the images and character set samples it ships.
  static func dataDirectory() throws -> String {
    let result = try ChildProcess.run(
      Peers.python, ["-c", "import pydicom.data as d; print(d.__path__[0])"])
    return String(result.standardOutput.filter { $0 != "\n" })
  }

  /// All of the shipped files that may be DICOM, sorted by path.
  static func files() throws -> [String] {
    let result = try ChildProcess.run(
      "/usr/bin/find",
      [
        "-L", try dataDirectory(), "-type", "f", "!", "-name", "*.txt", "!", "-name", "*.json",
        "!", "-name", "*.py", "!", "-name", "*.pyc", "!", "-name", "*.dump", "!", "-name", "*.gz",
        "!", "-name", "*.icc", "!", "-name", "README*",
      ])
    return result.standardOutput.split(separator: "\n").map(String.init).sorted()
  }

  static func load(_ files: [String]) throws -> [String: PydicomDump] {
    let directory = try TemporaryDirectory()
    let script = Peers.packageRoot + "/Tests/Scripts/dump-with-pydicom.py"
    let result = try ChildProcess.run(
      Peers.python, [script, directory.file("dump.json")] + files)
    struct DumpFailure: Error { let output: String }
    guard result.status == 0 else { throw DumpFailure(output: result.output) }
    return try JSONDecoder().decode(
      [String: PydicomDump].self, from: Data(try directory.read("dump.json")))
  }
}

func hex(_ bytes: [UInt8]) -> String {
  let digits = Array("0123456789abcdef".utf8)
  return String(
    decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
}
