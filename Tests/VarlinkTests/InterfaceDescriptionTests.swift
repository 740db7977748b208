import JSON
import Testing
import Varlink

@Suite("Varlink interface descriptions")
struct InterfaceDescriptionTests {
  private static let text = """
    # A comment
    interface org.example.test-it

    type Item (name: string, size: ?int, tags: [string](), state: (open, done), next: ?Item)
    type Level (low, high)
    method Put(items: []Item, limits: ?[string]float, raw: object) -> (ok: bool) # after
    method End()->()
    error Refused (reason: string)
    error Full
    """

  @Test("Names, types, methods and errors are read")
  func members() throws {
    let interface = try InterfaceDescription(Self.text)
    #expect(interface.name == "org.example.test-it")
    #expect(interface.text == Self.text)
    #expect(interface.types["Level"] == .enumeration(["low", "high"]))
    let put = try #require(interface.methods["Put"])
    #expect(put.input.map(\.name) == ["items", "limits", "raw"])
    #expect(put.input[0].type == .array(.named("Item")))
    #expect(put.input[1].type == .optional(.map(.float)))
    #expect(put.input[2].type == .object)
    #expect(put.output.map(\.type) == [.bool])
    #expect(interface.methods["End"]?.input.isEmpty == true)
    #expect(interface.errors["Refused"]?.map(\.name) == ["reason"])
    #expect(interface.errors["Full"]?.isEmpty == true)
  }

  @Test(
    "An error names the line",
    arguments: [
      ("", 1, "expected 'interface'"), ("interface x", 1, "interface name"),
      ("interface a.b-", 1, "interface name"), ("interface a..b", 1, "interface name"),
      ("interface a.b\n\nmethod lower() -> ()", 3, "capital letter"),
      ("interface a.b\nmethod M() -> (x: Nope)", 2, "no type Nope"),
      ("interface a.b\nmethod M() -> (x: any)", 2, "no type 'any'"),
      ("interface a.b\nmethod M() (x: int)", 2, "expected '->'"),
      ("interface a.b\nmethod M(a: int a: int) -> ()", 2, "expected ','"),
      ("interface a.b\nmethod M(a: int, a: int) -> ()", 2, "the field a is there already"),
      ("interface a.b\nmethod M(a: int, b) -> ()", 2, "either all names have a type or none"),
      ("interface a.b\nmethod M(a, b) -> ()", 2, "expected fields"),
      ("interface a.b\nmethod M(a: ??int) -> ()", 2, "optional of an optional"),
      ("interface a.b\nmethod M(a_: int) -> ()", 2, "field's name"),
      ("interface a.b\nmethod M(a: [int]string) -> ()", 2, "expected 'string'"),
      ("interface a.b\nmethod M(a: ", 2, "expected a type, found the end"),
      ("interface a.b\ntype T int", 2, "expected '('"),
      ("interface a.b\ntype T ()\nerror T ()", 3, "T is there already"),
      ("interface a.b\n  %", 2, "no meaning here"),
      ("interface a.b\nfunction F() -> ()", 2, "expected 'type', 'method' or 'error'"),
    ])
  func errors(text: String, line: Int, reason: String) {
    let error = #expect(throws: DescriptionError.self) { try InterfaceDescription(text) }
    #expect(error?.line == line)
    #expect(error?.reason.contains(reason) == true, "\(error?.reason ?? "")")
  }

  @Test("Deep nesting is an error, not a stack overflow")
  func deep() {
    let text =
      "interface a.b\nmethod M(a: " + String(repeating: "[]", count: 100_000) + "int) -> ()"
    #expect(throws: DescriptionError.self) { try InterfaceDescription(text) }
  }

  @Test("A damaged description never crashes the reader")
  func damaged() {
    let bytes = Array(Self.text.utf8)
    for length in bytes.indices {
      _ = try? InterfaceDescription(String(decoding: bytes[..<length], as: UTF8.self))
    }
    for index in bytes.indices {
      for bit in 0..<8 {
        var changed = bytes
        changed[index] ^= 1 << bit
        _ = try? InterfaceDescription(String(decoding: changed, as: UTF8.self))
      }
    }
  }

  private static let item: JSONObject = ["name": "x", "tags": [:], "state": "open"]

  @Test("Values of the right types pass; unknown fields and absent optionals do as well")
  func fitting() throws {
    let interface = try InterfaceDescription(Self.text)
    let put = try #require(interface.methods["Put"])
    var nested = Self.item
    nested["next"] = .object(Self.item)
    nested["size"] = 2.0
    nested["unknown"] = [1]
    for parameters in [
      ["items": [], "raw": [:]], ["items": [.object(nested)], "limits": nil, "raw": ["a": 1]],
      ["items": [], "limits": ["a": 1, "b": 2.5], "raw": [:]],
    ] as [JSONObject] {
      try interface.check(parameters, against: put.input)
    }
  }

  @Test(
    "A value of a wrong type is named by its place, and not repeated",
    arguments: [
      ([:], "items", "missing; expected an array"),
      (["items": 1], "items", "expected an array, found an integer"),
      (["items": nil], "items", "expected an array, found null"),
      (["items": [nil]], "items[0]", "expected an object, found null"),
      (["items": [["name": 1]]], "items[0].name", "expected a string, found an integer"),
      (
        ["items": [["name": "x", "size": 1.5]]], "items[0].size",
        "expected an integer, found a number"
      ),
      (
        ["items": [["name": "x", "tags": ["a": 1]]]], "items[0].tags[]",
        "expected an object, found an integer"
      ),
      (
        ["items": [["name": "x", "tags": [:], "state": "half"]]], "items[0].state",
        "expected one of open, done"
      ),
      (
        ["items": [], "limits": ["a": "secret"]], "limits[]", "expected a number, found a string"
      ),
      (["items": [], "raw": []], "raw", "expected an object, found an array"),
    ] as [(JSONObject, String, String)])
  func mismatch(parameters: JSONObject, path: String, reason: String) throws {
    let interface = try InterfaceDescription(Self.text)
    let put = try #require(interface.methods["Put"])
    #expect(throws: TypeMismatch.self) { try interface.check(parameters, against: put.input) }
    do throws(TypeMismatch) {
      try interface.check(parameters, against: put.input)
    } catch {
      #expect(error.path == path)
      #expect(error.reason == reason)
    }
  }

  @Test("A handler for a method that the description lacks is refused")
  func unknownHandler() {
    #expect(throws: DescriptionError.self) {
      try VarlinkInterface(
        Self.text, methods: ["Nope": .init { _ throws(VarlinkError) in [:] }])
    }
  }
}
