import JSON
import Platform
import Synchronization
import Varlink

/// The service that varlink implementations are tested against: each call must bring exactly what
/// the reply before it gave, in order.
final class CertificationService: Sendable {
  private struct State {
    /// What each client has to call next.
    var nextMethod: [String: String] = [:]
    var clients = 0
  }
  private let state = Mutex(State())

  func makeInterface() throws(DescriptionError) -> VarlinkInterface {
    typealias Method = VarlinkInterface.Method
    return try VarlinkInterface(
      Self.description,
      methods: [
        "Start": Method { call throws(VarlinkError) in self.start() },
        "Test01": step("Test01", [:], ["bool": true], next: "Test02"),
        "Test02": step("Test02", ["bool": true], ["int": 1], next: "Test03"),
        "Test03": step("Test03", ["int": 1], ["float": 1.0], next: "Test04"),
        "Test04": step("Test04", ["float": 1.0], ["string": "ping"], next: "Test05"),
        "Test05": step("Test05", ["string": "ping"], Self.scalars, next: "Test06"),
        "Test06": step(
          "Test06", Self.scalars, ["struct": .object(Self.scalars)], next: "Test07"),
        "Test07": step(
          "Test07", ["struct": .object(Self.scalars)], ["map": Self.map], next: "Test08"),
        "Test08": step("Test08", ["map": Self.map], ["set": Self.set], next: "Test09"),
        "Test09": step("Test09", ["set": Self.set], ["mytype": Self.myType], next: "Test10"),
        "Test10": Method(requiresMore: true) { call throws(VarlinkError) in
          try self.check(call, "Test10", ["mytype": Self.myType], next: "Test11")
          for number in 1...9 {
            guard call.replyContinues(["string": "Reply number \(number)"]) else { break }
          }
          return ["string": "Reply number 10"]
        },
        "Test11": Method { call throws(VarlinkError) in
          let replies = (1...10).map { "Reply number \($0)" }
          try self.check(call, "Test11", ["last_more_replies": JSONValue(replies)], next: "End")
          return [:]
        },
        "End": step("End", [:], ["all_ok": true], next: "Start"),
      ])
  }

  private func step(
    _ name: String, _ wanted: JSONObject, _ reply: JSONObject, next: String
  ) -> VarlinkInterface.Method {
    VarlinkInterface.Method { call throws(VarlinkError) in
      try self.check(call, name, wanted, next: next)
      return reply
    }
  }

  private func start() -> JSONObject {
    state.withLock { state in
      state.clients += 1
      let id = "client-\(state.clients)"
      state.nextMethod[id] = "Test01"
      return ["client_id": .string(id)]
    }
  }

  private func check(
    _ call: VarlinkCall, _ name: String, _ wanted: JSONObject, next: String
  ) throws(VarlinkError) {
    let id = call.parameters["client_id"]?.stringValue ?? ""
    let expected = state.withLock { $0.nextMethod[id] }
    guard let expected else { throw VarlinkError(Self.name + ".ClientIdError") }
    var wants = wanted
    wants["client_id"] = .string(id)
    // Null and absent are one in varlink.
    let isRight =
      expected == name
      && Self.withoutNulls(.object(call.parameters))
        == Self.withoutNulls(.object(wants))
      && call.isOneway == (name == "Test11")
    state.withLock { $0.nextMethod[id] = isRight ? next : nil }
    if isRight { return }
    throw VarlinkError(
      Self.name + ".CertificationError",
      [
        "wants": ["method": .string("\(Self.name).\(expected)"), "parameters": .object(wants)],
        "got": ["method": .string(call.method), "parameters": .object(call.parameters)],
      ])
  }

  private static func withoutNulls(_ value: JSONValue) -> JSONValue {
    switch value {
    case .array(let elements): return .array(elements.map(withoutNulls))
    case .object(let members):
      var kept = JSONObject()
      for (key, value) in members where !value.isNull { kept[key] = withoutNulls(value) }
      return .object(kept)
    // An integer and the number of its value are one in JSON, and some writers mix them.
    case .integer(let value): return .number(Double(value))
    default: return value
    }
  }

  private static let name = "org.varlink.certification"
  private static let scalars: JSONObject = [
    "bool": false, "int": 2, "float": .number(.pi), "string": "a lot of string",
  ]
  private static let map: JSONValue = ["foo": "Foo", "bar": "Bar"]
  private static let set: JSONValue = ["one": [:], "two": [:], "three": [:]]
  private static let myType: JSONValue = [
    "object": ["method": "org.varlink.certification.Test09", "parameters": ["map": map]],
    "enum": "two",
    "struct": ["first": 1, "second": "2"],
    "array": ["one", "two", "three"],
    "dictionary": map,
    "stringset": set,
    "nullable": nil,
    "nullable_array_struct": nil,
    "interface": [
      "foo": [nil, ["foo": "foo", "bar": "bar"], nil, ["one": "foo", "two": "bar"]],
      "anon": ["foo": true, "bar": false],
    ],
  ]

  private static let description = """
    # Every type and every kind of call that varlink has, to try implementations with.
    interface org.varlink.certification

    type Interface (
      foo: ?[]?[string](foo, bar, baz),
      anon: (foo: bool, bar: bool)
    )

    type MyType (
      object: object,
      enum: (one, two, three),
      struct: (first: int, second: string),
      array: []string,
      dictionary: [string]string,
      stringset: [string](),
      nullable: ?string,
      nullable_array_struct: ?[](first: int, second: string),
      interface: Interface
    )

    method Start() -> (client_id: string)
    method Test01(client_id: string) -> (bool: bool)
    method Test02(client_id: string, bool: bool) -> (int: int)
    method Test03(client_id: string, int: int) -> (float: float)
    method Test04(client_id: string, float: float) -> (string: string)
    method Test05(client_id: string, string: string) -> (
      bool: bool, int: int, float: float, string: string
    )
    method Test06(client_id: string, bool: bool, int: int, float: float, string: string) -> (
      struct: (bool: bool, int: int, float: float, string: string)
    )
    method Test07(
      client_id: string,
      struct: (bool: bool, int: int, float: float, string: string)
    ) -> (map: [string]string)
    method Test08(client_id: string, map: [string]string) -> (set: [string]())
    method Test09(client_id: string, set: [string]()) -> (mytype: MyType)

    # Answers ten times; must be called with "more".
    method Test10(client_id: string, mytype: MyType) -> (string: string)

    # Must be called with "oneway".
    method Test11(client_id: string, last_more_replies: []string) -> ()
    method End(client_id: string) -> (all_ok: bool)

    error ClientIdError ()
    error CertificationError (wants: object, got: object)

    """
}
