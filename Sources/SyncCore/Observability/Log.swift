import Glibc
import JSON
import Platform
import Synchronization

/// The operational log: what an operator needs, and never patient data. Values pass a scrubber all
/// the same, since peers put anything into their error texts.
public struct Log: Sendable {
  public enum Level: Int, Comparable, Sendable {
    case debug = 7
    case info = 6
    case notice = 5
    case warning = 4
    case error = 3

    public static func < (a: Level, b: Level) -> Bool { a.rawValue > b.rawValue }

    var name: String {
      switch self {
      case .debug: "debug"
      case .info: "info"
      case .notice: "notice"
      case .warning: "warning"
      case .error: "error"
      }
    }
  }

  /// Where lines go, and how they look.
  public enum Format: Sendable {
    /// For a terminal.
    case text
    /// One JSON object a line.
    case json
    /// The journal's own protocol, with every field apart.
    case journal
    case none
  }

  private let sink: LogSink
  private let box: LevelBox

  final class LevelBox: Sendable {
    let level: Atomic<Int>
    init(_ level: Level) { self.level = Atomic(level.rawValue) }
  }

  public init(_ format: Format, level: Level, descriptor: Int32 = 2) {
    sink = LogSink(format, descriptor: descriptor)
    box = LevelBox(level)
  }

  public static let silent = Log(.none, level: .error)

  /// Shows from now on what is at least this important.
  public func setLevel(_ level: Level) { box.level.store(level.rawValue, ordering: .relaxed) }

  public func debug(_ message: String, _ fields: [String: String] = [:]) {
    write(.debug, message, fields)
  }
  public func info(_ message: String, _ fields: [String: String] = [:]) {
    write(.info, message, fields)
  }
  public func notice(_ message: String, _ fields: [String: String] = [:]) {
    write(.notice, message, fields)
  }
  public func warning(_ message: String, _ fields: [String: String] = [:]) {
    write(.warning, message, fields)
  }
  public func error(_ message: String, _ fields: [String: String] = [:]) {
    write(.error, message, fields)
  }

  public func write(_ level: Level, _ message: String, _ fields: [String: String]) {
    if level.rawValue > box.level.load(ordering: .relaxed) { return }
    sink.write(level, message, fields.sorted { $0.key < $1.key })
  }

  /// The format for a process started this way: the journal where standard error leads there.
  public static func automaticFormat() -> Format {
    if let stream = getenv("JOURNAL_STREAM").map({ String(cString: $0) }) {
      var status = stat()
      if fstat(2, &status) == 0, stream == "\(status.st_dev):\(status.st_ino)" { return .journal }
    }
    return .text
  }
}

/// Writes lines, whole ones only, whichever threads they come from.
final class LogSink: Sendable {
  private let format: Log.Format
  private let descriptor: Int32
  private let journal: Mutex<Int32>
  private let isColoured: Bool
  /// Whether lines carry their priority, for standard error that leads to the journal.
  private let isPrefixed: Bool
  static let journalSocket = "/run/systemd/journal/socket"

  init(_ format: Log.Format, descriptor: Int32, journalPath: String = LogSink.journalSocket) {
    var format = format
    var socketDescriptor: Int32 = -1
    var isPrefixed = false
    if case .journal = format {
      socketDescriptor = Self.connect(journalPath)
      if socketDescriptor < 0 {
        format = .text
        isPrefixed = true
      }
    }
    self.format = format
    self.isPrefixed = isPrefixed
    self.descriptor = descriptor
    journal = Mutex(socketDescriptor)
    isColoured = isatty(descriptor) == 1 && getenv("NO_COLOR") == nil
  }

  deinit { journal.withLock { if $0 >= 0 { _ = close($0) } } }

  func write(_ level: Log.Level, _ message: String, _ fields: [(key: String, value: String)]) {
    let message = Scrubber.scrub(message)
    let fields = fields.map { (key: $0.key, value: Scrubber.scrub($0.value)) }
    switch format {
    case .none: return
    case .text:
      emit((isPrefixed ? "<\(level.rawValue)>" : "") + text(level, message, fields))
    case .json: emit(json(level, message, fields))
    case .journal:
      let entry = Self.journalEntry(level, message, fields)
      let sent = journal.withLock { descriptor in
        entry.withUnsafeBytes {
          send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
      }
      // Standard error leads to the journal as well; better there than nowhere.
      if sent < 0 { emit("<\(level.rawValue)>\(text(level, message, fields))") }
    }
  }

  private func emit(_ line: String) {
    let bytes = Array((line + "\n").utf8)
    // One line at a time, also where a pipe takes a long one in pieces.
    journal.withLock { _ in
      bytes.withUnsafeBytes { bytes in
        var written = 0
        while written < bytes.count {
          let count = Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
          if count < 0, errno == EINTR { continue }
          // Nobody to tell, and nothing to wait for.
          if count <= 0 { return }
          written += count
        }
      }
    }
  }

  private func text(
    _ level: Log.Level, _ message: String, _ fields: [(key: String, value: String)]
  ) -> String {
    var line = "\(WallTime.now.local) "
    let colour = level <= .info ? "" : level == .error ? "\u{1B}[31m" : "\u{1B}[33m"
    line += isColoured && !colour.isEmpty ? "\(colour)\(level.name)\u{1B}[0m " : "\(level.name) "
    line += Self.oneLine(message)
    for field in fields where !field.value.isEmpty {
      let value = Self.oneLine(field.value)
      line += value.contains(" ") ? " \(field.key)=\"\(value)\"" : " \(field.key)=\(value)"
    }
    return line
  }

  private static func oneLine(_ text: String) -> String {
    // U+0080 to U+009F too: a terminal takes U+009B for an escape sequence's beginning.
    func isControl(_ scalar: Unicode.Scalar) -> Bool {
      scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value)
        || scalar.value == 0x2028 || scalar.value == 0x2029
    }
    guard text.unicodeScalars.contains(where: isControl) else { return text }
    return String(
      String.UnicodeScalarView(text.unicodeScalars.map { isControl($0) ? " " : $0 }))
  }

  private func json(
    _ level: Log.Level, _ message: String, _ fields: [(key: String, value: String)]
  ) -> String {
    var object: JSONObject = [
      "time": .string(WallTime.now.description), "level": .string(level.name),
      "message": .string(message),
    ]
    for field in fields where object[field.key] == nil { object[field.key] = .string(field.value) }
    return JSONValue.object(object).description
  }

  /// The journal's native protocol: NAME=value lines, or NAME, a 64 bit length and the bytes where
  /// the value has line ends.
  static func journalEntry(
    _ level: Log.Level, _ message: String, _ fields: [(key: String, value: String)]
  ) -> [UInt8] {
    var entry: [UInt8] = []
    func add(_ name: String, _ value: String) {
      entry += Array(name.utf8)
      if value.utf8.contains(0x0A) {
        entry.append(0x0A)
        withUnsafeBytes(of: UInt64(value.utf8.count).littleEndian) { entry += $0 }
      } else {
        entry.append(UInt8(ascii: "="))
      }
      entry += Array(value.utf8)
      entry.append(0x0A)
    }
    add("PRIORITY", String(level.rawValue))
    add("SYSLOG_IDENTIFIER", "syncd")
    var shown = message
    for field in fields where !field.value.isEmpty { shown += " \(field.key)=\(field.value)" }
    add("MESSAGE", shown)
    for field in fields {
      let name = field.key.uppercased().utf8.map { byte in
        (byte >= 0x30 && byte <= 0x39) || (byte >= 0x41 && byte <= 0x5A) ? byte : 0x5F
      }
      add("SYNCD_" + String(decoding: name, as: UTF8.self), field.value)
    }
    return entry
  }

  private static func connect(_ path: String) -> Int32 {
    let made = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
    guard made >= 0 else { return -1 }
    guard UnixDatagram.connect(made, path) else {
      close(made)
      return -1
    }
    return made
  }
}
