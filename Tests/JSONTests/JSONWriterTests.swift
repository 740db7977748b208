import JSON
import Testing

@Suite("JSON writer and values")
struct JSONWriterTests {
  @Test("The compact form has no white space and keeps the order of members")
  func compact() {
    let value: JSONValue = ["b": [1, 2.5, true, nil, [], [:]], "a": "x/å", "c": -7]
    #expect(value.description == #"{"b":[1,2.5,true,null,[],{}],"a":"x/å","c":-7}"#)
  }

  @Test("The pretty form has a member or element a line")
  func pretty() {
    let value: JSONValue = ["a": [1, ["b": "c"]], "d": [], "e": [:]]
    #expect(
      String(decoding: value.serialized(.pretty), as: UTF8.self) == """
        {
          "a": [
            1,
            {
              "b": "c"
            }
          ],
          "d": [],
          "e": {}
        }
        """)
  }

  @Test("Only what must be escaped is, and DEL")
  func escapes() {
    let value: JSONValue = "\"\\/\u{8}\t\n\u{C}\r\0\u{1f}\u{7f}\u{80}\u{2028}å😀"
    #expect(
      value.description
        == "\"\\\"\\\\/\\b\\t\\n\\f\\r\\u0000\\u001f\\u007f\u{80}\u{2028}å😀\"")
  }

  @Test(
    "Numbers read back bit for bit",
    arguments: [
      0.1, -0.0, 1, 1e21, 1e-7, .leastNonzeroMagnitude, .greatestFiniteMagnitude, .pi, 0x1p53,
      0x1p-1022,
    ])
  func doubles(number: Double) throws {
    let parsed = try JSONValue.parse(JSONValue.number(number).serialized())
    guard case .number(let back) = parsed else {
      Issue.record("\(number) became \(parsed)")
      return
    }
    #expect(back.bitPattern == number.bitPattern)
  }

  @Test("Infinities and NaN become null, which is JSON")
  func notFinite() {
    let value: JSONValue = [.number(.infinity), .number(.nan)]
    #expect(value.description == "[null,null]")
  }

  @Test("write(into:) appends")
  func appending() {
    var bytes: [UInt8] = [0x41]
    JSONValue.integer(.min).write(into: &bytes)
    #expect(String(decoding: bytes, as: UTF8.self) == "A-9223372036854775808")
  }

  @Test("Accessors give a value of their kind or nil")
  func accessors() {
    let value: JSONValue = ["s": "x", "i": 3, "n": 2.0, "f": 2.5, "b": true, "a": [1], "z": nil]
    #expect(value["s"]?.stringValue == "x")
    #expect(value["i"]?.intValue == 3)
    #expect(value["i"]?.doubleValue == 3)
    #expect(value["n"]?.intValue == 2)
    #expect(value["f"]?.intValue == nil)
    #expect(JSONValue.number(1e300).intValue == nil)
    #expect(value["b"]?.boolValue == true)
    #expect(value["a"]?[0]?.intValue == 1)
    #expect(value["a"]?[1] == nil)
    #expect(value["z"]?.isNull == true)
    #expect(value["absent"] == nil)
    #expect(value["s"]?["x"] == nil)
  }

  @Test("Members are set in place, added last and removed, also when there are many")
  func mutation() {
    var object = JSONObject()
    for number in 0..<40 { object["k\(number)"] = .integer(Int64(number)) }
    object["k3"] = "three"
    object["k5"] = nil
    #expect(object.count == 39)
    #expect(object["k3"] == "three")
    #expect(object["k5"] == nil)
    #expect(object["k39"] == 39)
    #expect(object.keys[3] == "k3")
    #expect(object.insert("k3", 0) == false)
    #expect(JSONObject([("a", 1), ("a", 2)] as [JSONObject.Element]) == nil)
    var value: JSONValue = nil
    value["x"] = 1
    #expect(value == ["x": 1])
    #expect(["a": 1, "b": 2] as JSONValue == ["b": 2, "a": 1])
    #expect(["a": 1] as JSONValue != ["a": 1, "b": 2])
    #expect(JSONValue.integer(1) != .number(1))
  }
}
