import JSON
import Testing

@Suite("JSON items, as their bytes arrive")
struct JSONItemReaderTests {
  private struct Outcome: Equatable {
    var items: [JSONValue] = []
    var members: [String: JSONValue] = [:]
    var error: JSONError?
    var hasItems = false
  }

  private func read(_ text: String, pieces: Int, longest: Int = 1000) -> Outcome {
    var reader = JSONItemReader(array: "items", longest: longest)
    var outcome = Outcome()
    let bytes = Array(text.utf8)
    do throws(JSONError) {
      var start = 0
      while start < bytes.count {
        let end = min(start + pieces, bytes.count)
        var problem: JSONError?
        bytes[start..<end].withUnsafeBytes { piece in
          do throws(JSONError) {
            try reader.feed(piece) { outcome.items.append($0) }
          } catch {
            problem = error
          }
        }
        if let problem { throw problem }
        start = end
      }
      outcome.hasItems = reader.hasItems
      for (key, value) in try reader.finish() { outcome.members[key] = value }
    } catch {
      outcome.error = error
    }
    return outcome
  }

  @Test("Elements and the other members are the same, wherever the bytes are parted")
  func parted() {
    let text =
      #" { "total" : 12, "items": [ {"a":"}]\"\\","b":[1,{"c":null}]} , 7,"x,]",true ,-1.5e3,[]],"#
      + #""next":null , "å\"": {"items":[1]}, "last":false}"# + "\n"
    for pieces in [1, 2, 3, 5, 7, 1000] {
      let outcome = read(text, pieces: pieces)
      #expect(outcome.error == nil)
      #expect(outcome.hasItems)
      #expect(
        outcome.items == [
          ["a": "}]\"\\", "b": [1, ["c": nil]]], 7, "x,]", true, .number(-1500), [],
        ])
      #expect(
        outcome.members == [
          "total": 12, "next": nil, "å\"": ["items": [1]], "last": false,
        ])
    }
  }

  @Test("An object without the array, or with an empty one, is told apart")
  func without() {
    #expect(!read(#"{"total":0}"#, pieces: 4).hasItems)
    #expect(read(#"{"items":[]}"#, pieces: 1).hasItems)
    let null = read(#"{"items":null}"#, pieces: 1)
    #expect(null.error == nil && !null.hasItems && null.members == ["items": nil])
  }

  @Test(
    "What is wrong is an error with its place",
    arguments: [
      ("", 0, JSONError.Reason.unexpectedEnd),
      ("[]", 0, .unexpectedByte(0x5B, expected: "an object")),
      (#"{"items":[1"#, 11, .unexpectedEnd),
      (#"{"items":[1}"#, 11, .unexpectedByte(0x7D, expected: "',' or ']'")),
      (#"{"items":[1,]}"#, 12, .unexpectedByte(0x5D, expected: "a value")),
      (#"{"items":[1 2]}"#, 12, .unexpectedByte(0x32, expected: "',' or ']'")),
      (#"{"items":[1]}x"#, 13, .trailingBytes), (#"{"items":[tru]}"#, 13, .unexpectedEnd),
      (#"{"items":[1],"items":[2]}"#, 21, .duplicateKey),
      (#"{"a":1,"a":2}"#, 11, .duplicateKey),
      (#"{"a" 1}"#, 5, .unexpectedByte(0x31, expected: "':'")),
      (#"{"a":1,}"#, 7, .unexpectedByte(0x7D, expected: "a key in quotes")),
      (#"{"items":[{"a":01}]}"#, 15, .invalidNumber),
    ])
  func wrong(text: String, offset: Int, reason: JSONError.Reason) {
    for pieces in [1, 3, 100] {
      #expect(read(text, pieces: pieces).error == JSONError(offset: offset, reason: reason))
    }
  }

  @Test("An element that is too long is an error before it is held")
  func long() {
    let text = #"{"items":["# + "\"" + String(repeating: "x", count: 5000)
    #expect(read(text, pieces: 100).error?.reason == .tooLong(limit: 1000))
  }
}
