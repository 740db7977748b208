import Glibc
import JSON
import Testing
import Varlink

@Suite("Varlink messages")
struct MessageFramerTests {
  private func messages(_ pieces: [[UInt8]], limit: Int = 100) throws -> [String] {
    var framer = MessageFramer(limit: limit)
    var found: [String] = []
    for piece in pieces {
      framer.append(piece)
      while let message = try framer.next() {
        found.append(String(decoding: message, as: UTF8.self))
      }
    }
    #expect(framer.isEmpty == (pieces.joined().last ?? 0 == 0))
    return found
  }

  @Test("However a stream is cut, the messages are the same")
  func split() throws {
    let stream = Array("{\"a\":1}\0{}\0\0{\"method\":\"x\"}\0".utf8)
    let whole = ["{\"a\":1}", "{}", "", "{\"method\":\"x\"}"]
    #expect(try messages([stream]) == whole)
    #expect(try messages(stream.map { [$0] }) == whole)
    for first in 0...stream.count {
      for second in first...stream.count {
        let pieces = [stream[..<first], stream[first..<second], stream[second...]].map(Array.init)
        #expect(try messages(pieces) == whole)
      }
    }
  }

  @Test("A message of the limit passes; one byte more is refused, before its end has come")
  func limit() throws {
    let longest = [UInt8](repeating: 0x20, count: 10)
    #expect(try messages([longest, [0], longest + [0]], limit: 10).count == 2)
    for stream in [longest + [0x20], longest + [0x20, 0], [0x20, 0] + longest + [0x20]] {
      #expect(throws: ProtocolViolation.messageTooLong(limit: 10)) {
        _ = try messages([stream], limit: 10)
      }
    }
  }

  @Test("A megabyte byte by byte is looked at once")
  func linear() throws {
    // Time of the processor: a busy machine must not make this fail.
    func threadTime() -> Duration {
      var time = timespec()
      clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
      return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
    func time(_ count: Int) throws -> Duration {
      var framer = MessageFramer()
      let start = threadTime()
      for _ in 0..<count {
        framer.append(CollectionOfOne(0x20))
        _ = try framer.next()
      }
      framer.append(CollectionOfOne(0))
      #expect(try framer.next()?.count == count)
      return threadTime() - start
    }
    let small = try time(5_000)
    let large = try time(50_000)
    #expect(large < small * 50)
  }

  @Test("A request is read tolerantly and written strictly")
  func request() throws {
    func read(_ text: String) throws -> VarlinkRequest {
      try VarlinkRequest(message: Array(text.utf8))
    }
    for text in [
      #"{"method":"a.B"}"#, #"{"method":"a.B","parameters":null,"more":false,"oneway":null}"#,
      #" {"x":[1],"parameters":{},"method":"a.B"} "#,
    ] {
      #expect(try read(text) == VarlinkRequest(method: "a.B"))
    }
    let request = VarlinkRequest(method: "a.B", parameters: ["c": 1], more: true)
    #expect(
      String(decoding: request.bytes, as: UTF8.self)
        == "{\"method\":\"a.B\",\"parameters\":{\"c\":1},\"more\":true}\0")
    #expect(try VarlinkRequest(message: request.bytes.dropLast()) == request)
    #expect(
      String(decoding: VarlinkRequest(method: "a.B", oneway: true).bytes, as: UTF8.self)
        == "{\"method\":\"a.B\",\"oneway\":true}\0")
  }

  @Test(
    "What is no request says why",
    arguments: [
      (#"[]"#, .notAnObject), (#"{}"#, .invalidMember("method")),
      (#"{"method":1}"#, .invalidMember("method")),
      (#"{"method":"a.B","parameters":[]}"#, .invalidMember("parameters")),
      (#"{"method":"a.B","more":1}"#, .invalidMember("more")),
      (#"{"method":"a.B","more":true,"oneway":true}"#, .invalidMember("oneway")),
      ("", .notJSON(JSONError(offset: 0, reason: .unexpectedEnd))),
      ("{\"method\":\"a.B\",", .notJSON(JSONError(offset: 16, reason: .unexpectedEnd))),
    ] as [(String, ProtocolViolation)])
  func notARequest(text: String, violation: ProtocolViolation) {
    #expect(throws: violation) { try VarlinkRequest(message: Array(text.utf8)) }
  }

  @Test("Bytes that are not UTF-8 are no request")
  func invalidUTF8() {
    let bytes = Array("{\"method\":\"".utf8) + [0xFF] + Array("\"}".utf8)
    #expect(throws: ProtocolViolation.notJSON(JSONError(offset: 11, reason: .invalidUTF8))) {
      try VarlinkRequest(message: bytes)
    }
  }

  @Test("A megabyte of brackets is refused before it is a hundred megabytes of values")
  func values() {
    let text =
      "{\"method\":\"a.B\",\"parameters\":{\"x\":["
      + String(repeating: "[],", count: 300_000) + "0]}}"
    #expect(throws: ProtocolViolation.self) { try VarlinkRequest(message: Array(text.utf8)) }
  }

  @Test("Replies are read and written")
  func replies() throws {
    let replies: [(VarlinkReply, String)] = [
      (.success(["a": 1], continues: true), #"{"parameters":{"a":1},"continues":true}"#),
      (.success([:], continues: false), #"{"parameters":{}}"#),
      (
        .failure(.invalidParameter("p", reason: "r")),
        #"{"error":"org.varlink.service.InvalidParameter","#
          + #""parameters":{"parameter":"p","reason":"r"}}"#
      ),
      (.failure(.expectedMore), #"{"error":"org.varlink.service.ExpectedMore","parameters":{}}"#),
    ]
    for (reply, text) in replies {
      #expect(String(decoding: reply.bytes, as: UTF8.self) == text + "\0")
      #expect(try VarlinkReply(message: Array(text.utf8)) == reply)
    }
    #expect(try VarlinkReply(message: Array("{}".utf8)) == .success([:], continues: false))
    #expect(throws: ProtocolViolation.invalidMember("error")) {
      try VarlinkReply(message: Array("{\"error\":1}".utf8))
    }
  }
}
