import Glibc
import JSON
import Platform
import TestSupport
import Testing

@testable import SyncCore

@Suite struct LogTests {
  /// What a log in this format writes to a file standing in for standard error.
  private func written(
    _ format: Log.Format, level: Log.Level = .debug, _ body: (Log) -> Void
  ) throws -> String {
    let directory = try TemporaryDirectory()
    let file = try FileDescriptor.open(directory.file("log"), O_WRONLY | O_CREAT | O_APPEND)
    body(Log(format, level: level, descriptor: file.raw))
    return String(decoding: try directory.read("log"), as: UTF8.self)
  }

  @Test("A line of text holds the level, the message and the fields")
  func text() throws {
    let line = try written(.text) { $0.warning("late", ["list": "TMC", "why": "no file"]) }
    #expect(line.hasSuffix(" warning late list=TMC why=\"no file\"\n"))
  }

  @Test("What is less important than the level is left out, also after it changes")
  func levels() throws {
    let text = try written(.text, level: .warning) { log in
      log.info("one")
      log.warning("two")
      log.setLevel(.debug)
      log.debug("three")
    }
    #expect(text.split(separator: "\n").count == 2)
    #expect(text.contains("two") && text.contains("three"))
  }

  @Test("A line of JSON is one object, whatever is in it")
  func json() throws {
    let line = try written(.json) {
      $0.error("a\n\"b\"", ["message": "other", "peer": "Ärla\u{1B}"])
    }
    #expect(line.split(separator: "\n").count == 1)
    let object = try #require(JSONValue.parse(Array(line.dropLast().utf8)).objectValue)
    #expect(object["level"]?.stringValue == "error")
    #expect(object["message"]?.stringValue == "a\n\"b\"")
    #expect(object["peer"]?.stringValue == "Ärla\u{1B}")
  }

  @Test("Personal numbers are taken out of messages and fields in every format")
  func scrubbed() throws {
    for format in [Log.Format.text, .json] {
      let line = try written(format) { $0.info("of 191212121212", ["why": "not 121212-1212"]) }
      #expect(!line.contains("1212"))
      #expect(line.contains("[personnummer]"))
    }
    let directory = try TemporaryDirectory()
    let receiver = try DatagramReceiver(directory.file("journal"))
    let sink = LogSink(.journal, descriptor: 2, journalPath: directory.file("journal"))
    sink.write(.info, "of 191212121212", [("why", "not 121212-1212")])
    let entry = try #require(receiver.receiveText())
    #expect(!entry.contains("1212"))
  }

  @Test("Control characters from a peer reach no terminal")
  func controls() throws {
    let line = try written(.text) { $0.info("a\u{1B}[2J\nb\u{9B}2J", ["x": "c\r\u{7F}\u{85}d"]) }
    #expect(line.split(separator: "\n").count == 1)
    #expect(!line.dropLast().unicodeScalars.contains { $0.properties.generalCategory == .control })
  }

  @Test("The journal gets its own protocol, byte for byte")
  func journal() throws {
    let directory = try TemporaryDirectory()
    let receiver = try DatagramReceiver(directory.file("journal"))
    let sink = LogSink(.journal, descriptor: 2, journalPath: directory.file("journal"))
    sink.write(.error, "failed", [("ae-title", "SECTRA"), ("why", "a\nbc")])
    var expected = Array("PRIORITY=3\nSYSLOG_IDENTIFIER=syncd\nMESSAGE\n".utf8)
    let message = Array("failed ae-title=SECTRA why=a\nbc".utf8)
    expected += [UInt8(message.count), 0, 0, 0, 0, 0, 0, 0] + message + [0x0A]
    expected += Array("SYNCD_AE_TITLE=SECTRA\nSYNCD_WHY\n".utf8)
    expected += [4, 0, 0, 0, 0, 0, 0, 0] + Array("a\nbc\n".utf8)
    #expect(receiver.receive() == expected)
  }

  @Test("Without the journal's socket, lines carry their priority for the stream to it")
  func noJournal() throws {
    let directory = try TemporaryDirectory()
    let file = try FileDescriptor.open(directory.file("log"), O_WRONLY | O_CREAT | O_APPEND)
    let sink = LogSink(
      .journal, descriptor: file.raw, journalPath: directory.file("nowhere"))
    sink.write(.warning, "late", [])
    let line = String(decoding: try directory.read("log"), as: UTF8.self)
    #expect(line.hasPrefix("<4>") && line.hasSuffix(" warning late\n"))
  }
}
