import JSON
import Platform

extension AccessLog {
  /// Who did what, with whose data.
  public struct Entry: Hashable, Sendable {
    public enum Action: String, CaseIterable, Sendable {
      case order, cancel, resend, supplement, hold, release, pause, resume, sync, approve, retry
      case reload, probe
      /// Somebody has looked at examinations or an assignment.
      case show
      /// Images or messages begin to leave for a recipient.
      case disclose
      /// An answer came in.
      case receive
      /// The log's own: an unfinished end was moved aside, the mark of its end was lost, old months
      /// were removed.
      case torn, headLost = "head_lost", prune
    }

    public var action: Action
    /// HSA-id of the unit whose data it is about.
    public var careUnit: String?
    /// `service:syncd`, or `uid:1000 name`.
    public var actor: String
    public var onBehalfOf: String?
    public var patientID: String?
    public var examination: ExaminationKey?
    public var assignment: String?
    public var recipient: String?
    /// `asked`, `done`, or `refused: ...`.
    public var result: String
    public var detail: String?

    public init(_ action: Action, actor: String = AccessLog.service, result: String = "asked") {
      self.action = action
      self.actor = actor
      self.result = result
    }
  }

  /// The actor of what the daemon does by itself.
  public static let service = "service:syncd"
}

/// One line of the log: a JSON object whose last member is the SHA-256 of the previous line's hash
/// and this line without that member.
struct AccessLogLine {
  /// A place in the chain: the number of an entry, and its hash.
  struct Link: Hashable {
    var sequence: Int64
    /// 32 bytes.
    var hash: [UInt8]

    /// Before the first entry.
    static let origin = Link(sequence: 0, hash: Array(repeating: 0, count: 32))
  }

  var link: Link
  var previous: [UInt8]
  /// How many lines of the same batch follow. A batch counts whole or not at all.
  var left: Int
  var action: String
  /// With `prune`: the last entry before the one that the log begins with now.
  var pruned: Link?
  var time: WallTime

  /// No text in a line is longer, in bytes.
  static let longestText = 4096
  /// No line is longer: all texts, each byte of them escaped.
  static let longestLine = 512 << 10

  private static let opening = Array(",\"hash\":\"".utf8)
  private static let closing = Array("\"}".utf8)

  /// The bytes of a line, its end included, and its place in the chain.
  static func encode(
    _ entry: AccessLog.Entry, after last: Link, at time: WallTime, left: Int, pruned: Link? = nil
  ) -> (bytes: [UInt8], link: Link) {
    var object = JSONObject()
    func put(_ key: String, _ text: String?) {
      if let text { object[key] = .string(Self.bounded(text)) }
    }
    // Saturates: nobody writes 2^63 entries, but nothing that is read is trusted.
    let sequence = last.sequence &+ 1
    object["sequence"] = .integer(sequence)
    object["time"] = .string(time.description)
    put("action", entry.action.rawValue)
    put("result", entry.result)
    put("actor", entry.actor)
    put("on_behalf_of", entry.onBehalfOf)
    put("care_unit", entry.careUnit)
    put("patient_id", entry.patientID)
    put("system", entry.examination?.system)
    put("number", entry.examination?.number)
    put("assignment", entry.assignment)
    put("recipient", entry.recipient)
    put("detail", entry.detail)
    if let pruned {
      object["pruned"] = [
        "sequence": .integer(pruned.sequence), "hash": .string(SHA256.hex(pruned.hash)),
      ]
    }
    if left > 0 { object["left"] = JSONValue(left) }
    object["previous"] = .string(SHA256.hex(last.hash))
    var bytes = JSONValue.object(object).serialized()
    let hash = SHA256.hash(last.hash + bytes)
    bytes.removeLast()
    bytes += opening
    bytes += SHA256.hex(hash).utf8
    bytes += closing
    bytes.append(0x0A)
    return (bytes, Link(sequence: sequence, hash: hash))
  }

  struct Fault: Error {
    var text: String
    init(_ text: String) { self.text = text }
  }

  /// Reads a line without its end, and checks its hash.
  static func decode(_ bytes: [UInt8]) throws(Fault) -> AccessLogLine {
    let tail = opening.count + 64 + closing.count
    guard bytes.count > tail, bytes.suffix(2).elementsEqual(closing),
      bytes[(bytes.count - tail)...].starts(with: opening)
    else { throw Fault("is not an entry") }
    let canonical = bytes[..<(bytes.count - tail)] + [UInt8(ascii: "}")]
    let value: JSONValue
    do throws(JSONError) {
      value = try JSONValue.parse(Array(canonical))
    } catch {
      throw Fault("is not an entry: \(error)")
    }
    guard let sequence = value["sequence"]?.intValue, sequence > 0,
      let previous = value["previous"]?.stringValue.flatMap(Self.hash),
      let action = value["action"]?.stringValue,
      let time = value["time"]?.stringValue.flatMap({ WallTime(rfc3339: $0) })
    else { throw Fault("is not an entry") }
    let left = value["left"].map { $0.intValue ?? -1 } ?? 0
    guard (0...Int64(Int32.max)).contains(left) else { throw Fault("is not an entry") }
    let hash = SHA256.hash(previous + canonical)
    let stated = bytes[(bytes.count - closing.count - 64)..<(bytes.count - closing.count)]
    guard stated.elementsEqual(SHA256.hex(hash).utf8) else {
      throw Fault("has been changed: its hash does not fit")
    }
    var pruned: Link?
    if let start = value["pruned"] {
      guard let number = start["sequence"]?.intValue, number >= 0,
        let hash = start["hash"]?.stringValue.flatMap(Self.hash)
      else { throw Fault("is not an entry") }
      pruned = Link(sequence: number, hash: hash)
    }
    return AccessLogLine(
      link: Link(sequence: sequence, hash: hash), previous: previous, left: Int(left),
      action: action, pruned: pruned, time: time)
  }

  /// 64 hexadecimal digits, lower case as they are written.
  static func hash(_ text: String) -> [UInt8]? {
    let digits = Array(text.utf8)
    guard digits.count == 64 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: 64, by: 2) {
      guard let high = value(digits[index]), let low = value(digits[index + 1]) else { return nil }
      bytes.append(high << 4 | low)
    }
    return bytes
  }

  private static func value(_ digit: UInt8) -> UInt8? {
    switch digit {
    case 0x30...0x39: digit - 0x30
    case 0x61...0x66: digit - 0x61 + 10
    default: nil
    }
  }

  private static func bounded(_ text: String) -> String {
    if text.utf8.count <= longestText { return text }
    var end = text.unicodeScalars.startIndex
    var count = 0
    while end < text.unicodeScalars.endIndex {
      count += UTF8.width(text.unicodeScalars[end])
      if count > longestText - 3 { break }
      end = text.unicodeScalars.index(after: end)
    }
    return String(text.unicodeScalars[..<end]) + "…"
  }
}
