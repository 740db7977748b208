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
    let line = try written(.text) {
      $0.info("a\u{1B}[2J\nb\u{9B}2J", ["x": "c\r\u{7F}\u{85}\u{2028}\u{2029}d"])
    }
    #expect(line.split(whereSeparator: \.isNewline).count == 1)
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

  @Test("Long lines from several threads come whole, also through a pipe")
  func wholeLines() throws {
    var ends: [Int32] = [-1, -1]
    #expect(pipe(&ends) == 0)
    let out = FileDescriptor(owning: ends[0])
    let input = FileDescriptor(owning: ends[1])
    let log = Log(.json, level: .info, descriptor: input.raw)
    let long = String(repeating: "å", count: 100_000)
    let writers = (0..<3).map { number in
      WorkThread.start("writer") { for _ in 0..<4 { log.info("\(number)", ["long": long]) } }
    }
    var lines = 0
    var pending: [UInt8] = []
    var buffer = [UInt8](repeating: 0, count: 65536)
    while lines < 12 {
      var ready = pollfd(fd: out.raw, events: Int16(POLLIN), revents: 0)
      try #require(poll(&ready, 1, 20_000) == 1, "\(lines) lines came")
      let count = read(out.raw, &buffer, buffer.count)
      try #require(count > 0)
      for byte in buffer[..<count] {
        pending.append(byte)
        guard byte == 0x0A else { continue }
        let object = try #require(JSONValue.parse(Array(pending.dropLast())).objectValue)
        #expect(object["long"]?.stringValue == long)
        pending = []
        lines += 1
      }
    }
    for writer in writers { #expect(writer.join(until: .after(.seconds(20)))) }
    withExtendedLifetime(input) {}
  }

  @Test("Nothing of a patient on a damaged list reaches the log")
  func damagedLists() throws {
    let heading = "US-nummer;Personnummer;Namn;Status\n"
    let row = "SE1;19121212-1212;Tolvan Tolvansson;Utförd\n"
    let damaged = [
      row, heading + row + "SE2;191212121212;Tolvan\n", heading + "SE1;191212121212;Tolvan\"x;y\n",
      heading + "SE1;191212121212;\"Tolvan;y\n", heading + row + "SE1;191212121212;Tolvan;y\n",
      heading + "SE1;1,91212E+11;Tolvan;y\n", heading + "1,5E+09;191212121212;Tolvan;y\n",
      heading + row + "#Tolvan;191212121212\n", "#" + row, row + row,
      heading + "191212121212 Tolvan;1;2;3\n", heading + "SE1;191212121212;Tolvan\u{0};y\n",
    ]
    for content in damaged {
      let folder = try DropFolder()
      for whole in [Array(content.utf8), DropFolder.proved(Array(content.utf8), rows: 9)] {
        try folder.drop(whole)
        let failure = try #require(folder.read(folder.source()).failure)
        for format in [Log.Format.text, .json] {
          let text = try written(format) { $0.warning("list", ["reason": failure.description]) }
          #expect(!text.contains("Tolvan") && !text.contains("1212"), "\(text)")
        }
        #expect(!failure.description.contains("1212"), "only the scrubber hid it")
      }
    }
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
