import Foundation
import TOML
import TestSupport
import Testing

/// The public toml-test suite, in process and through the `toml-decoder` program.
@Suite("The public toml-test suite")
struct TOMLSuiteTests {
  static let folder = URL(filePath: #filePath).deletingLastPathComponent().appending(
    path: "toml-test")

  static let cases: [String] = {
    let list = try! String(contentsOf: folder.appending(path: "files-toml-1.0.0"), encoding: .utf8)
    return list.split(separator: "\n").map(String.init).filter { $0.hasSuffix(".toml") }
  }()

  static let validCases = cases.filter { $0.hasPrefix("valid/") }
  static let invalidCases = cases.filter { $0.hasPrefix("invalid/") }

  private func bytes(_ name: String) throws -> [UInt8] {
    Array(try Data(contentsOf: Self.folder.appending(path: name)))
  }

  @Test("has all the cases that it names")
  func complete() {
    #expect(Self.validCases.count >= 200)
    #expect(Self.invalidCases.count >= 450)
  }

  @Test("a valid document is read as the suite says", arguments: validCases)
  func valid(_ name: String) throws {
    let table = try TOML.parse(bytes(name))
    let json = Self.folder.appending(path: name.dropLast(5) + ".json")
    let expected = try JSONSerialization.jsonObject(with: Data(contentsOf: json))
    if let difference = Self.difference(.table(table), expected, at: "") {
      Issue.record("\(name): \(difference)")
    }
  }

  @Test("an invalid document is refused with a place and a reason", arguments: invalidCases)
  func invalid(_ name: String) throws {
    let bytes = try bytes(name)
    #expect(throws: TOMLError.self) { try TOML.parse(bytes) }
  }

  @Test("a document cut anywhere, or with any bit flipped, is read or refused, never more")
  func damaged() throws {
    for name in ["valid/spec-example-1.toml", "valid/example.toml", "valid/string/escapes.toml"] {
      let whole = try bytes(name)
      for end in whole.indices { _ = try? TOML.parse(Array(whole[..<end])) }
      for index in whole.indices {
        for bit in 0..<8 {
          var flipped = whole
          flipped[index] ^= 1 << bit
          _ = try? TOML.parse(flipped)
        }
      }
    }
  }

  @Test(
    "nesting without end is refused instead of overflowing the stack",
    arguments: ["[", "{a=", "[[a.", "a.", "[{a=["])
  func nesting(_ piece: String) {
    for prefix in ["a = ", ""] {
      let text = prefix + String(repeating: piece, count: 100_000)
      #expect(throws: TOMLError.self) { try TOML.parse(text) }
    }
  }

  @Test("the levels of dotted keys in nested tables count together")
  func dottedNesting() throws {
    func nested(_ levels: Int) -> String {
      String(repeating: "{ a.b.c.d.e = ", count: levels) + "1"
        + String(repeating: " }", count: levels)
    }
    _ = try TOML.parse("x = " + nested(15))
    #expect(throws: TOMLError.self) { try TOML.parse("x = " + nested(25)) }
  }

  @Test("the time for one long line grows no faster than the line", .timeLimit(.minutes(1)))
  func longLine() throws {
    let table = try TOML.parse("x = [" + String(repeating: "1,", count: 300_000) + "]")
    guard case .array(let items)? = table["x"]?.value else {
      Issue.record("no array")
      return
    }
    #expect(items.count == 300_000)
    #expect(items.last?.position == TOMLPosition(line: 1, column: 6 + 2 * 299_999))
  }

  @Test(
    "the toml-decoder program tells valid from invalid by its exit status",
    arguments: [
      ("valid/spec-example-1.toml", 0), ("valid/comment/everywhere.toml", 0),
      ("valid/spec-1.0.0/offset-date-time-0.toml", 0), ("invalid/table/duplicate-key-01.toml", 1),
      ("invalid/encoding/bad-utf8-in-array.toml", 1),
    ])
  func program(_ name: String, _ status: Int32) throws {
    let result = try ChildProcess.run(
      Peers.product("toml-decoder"), standardInput: try bytes(name))
    #expect(result.status == status)
    if status == 0 {
      let json = Self.folder.appending(path: name.dropLast(5) + ".json")
      let wanted = try JSONSerialization.jsonObject(with: Data(contentsOf: json))
      let found = try JSONSerialization.jsonObject(with: Data(result.standardOutput.utf8))
      #expect(found as? NSDictionary == wanted as? NSDictionary)
    } else {
      #expect(result.standardOutput.isEmpty)
      #expect(result.standardError.contains(#/^\d+:\d+: /#))
    }
  }

  @Test(
    "an error says where it is and what to do",
    arguments: [
      ("a = 1\nb = \n", "2:5: found the end of the line, expected a value"),
      ("name = SECTRA\n", "1:8: found SECTRA, expected a value (text must be in quotes)"),
      ("a = 1\na = 2\n", "2:1: the key a is given twice"),
      ("[a]\n[a]\n", "2:2: the table a is defined twice"),
      ("nr = 0191212\n", "1:6: a number cannot begin with a zero (put identifiers in quotes)"),
      ("å = 1\n", "1:1: found 'å', expected a key (quote it if it has other characters)"),
      ("x = \"åäö\" y", "1:11: found 'y', expected the end of the line"),
    ])
  func wording(_ text: String, _ message: String) {
    do throws(TOMLError) {
      _ = try TOML.parse(text)
      Issue.record("was accepted")
    } catch {
      #expect(error.description == message)
    }
  }

  // MARK: - Comparison with the suite's tagged JSON

  private static func difference(_ value: TOMLValue, _ expected: Any, at path: String) -> String? {
    if let tagged = expected as? [String: Any], tagged.count == 2,
      let type = tagged["type"] as? String, let text = tagged["value"] as? String
    {
      let (ourType, ourText) = tag(value)
      let same = ourType == type && normal(type, ourText) == normal(type, text)
      return same ? nil : "\(path): \(ourType) \(ourText) for \(type) \(text)"
    }
    switch (value, expected) {
    case (.table(let table), let object as [String: Any]):
      guard Set(table.keys) == Set(object.keys) else { return "\(path): keys \(table.keys)" }
      for entry in table.entries {
        if let found = difference(
          entry.item.value, object[entry.key]!, at: "\(path).\(entry.key)")
        {
          return found
        }
      }
      return nil
    case (.array(let items), let array as [Any]):
      guard items.count == array.count else { return "\(path): \(items.count) items" }
      for (index, item) in items.enumerated() {
        if let found = difference(item.value, array[index], at: "\(path)[\(index)]") {
          return found
        }
      }
      return nil
    default: return "\(path): \(value.typeName)"
    }
  }

  private static func tag(_ value: TOMLValue) -> (String, String) {
    switch value {
    case .string(let text): ("string", text)
    case .integer(let number): ("integer", "\(number)")
    case .float(let number): ("float", "\(number)")
    case .boolean(let flag): ("bool", "\(flag)")
    case .offsetDateTime(let text): ("datetime", text)
    case .localDateTime(let text): ("datetime-local", text)
    case .localDate(let text): ("date-local", text)
    case .localTime(let text): ("time-local", text)
    case .array: ("array", "")
    case .table: ("table", "")
    }
  }

  private static func normal(_ type: String, _ text: String) -> String {
    switch type {
    case "float":
      let number = Double(text.replacingOccurrences(of: "_", with: "")) ?? .nan
      return number.isNaN ? "nan" : "\(number)"
    case "datetime", "datetime-local", "date-local", "time-local":
      var text = text.uppercased().replacingOccurrences(of: " ", with: "T")
      text = text.replacingOccurrences(of: "+00:00", with: "Z")
      guard let dot = text.firstIndex(of: ".") else { return text }
      let end = text[text.index(after: dot)...].firstIndex { !$0.isNumber } ?? text.endIndex
      var fraction = text[text.index(after: dot)..<end].prefix(3)
      while fraction.last == "0" { fraction.removeLast() }
      return text[..<dot] + (fraction.isEmpty ? "" : "." + fraction) + text[end...]
    default: return text
    }
  }
}
