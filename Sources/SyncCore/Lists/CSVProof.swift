import JSON
import Platform

/// What proves a CSV drop whole: how many rows it has, the digest of its bytes and when it was made.
///
/// Either the last line of the file itself, `#rows=12;sha256=<64 hex digits>;generatedAt=<time>`,
/// the digest being that of every byte before that line; or a file beside it, named like it with
/// `.json` or `.meta` appended, with a JSON object of the same three members, the digest being that
/// of the whole file.
///
/// No digest covers the time. A damaged one is either no time, or too old, or later than the file
/// was written (``CSVDropSource`` looks): it never makes an old list new.
struct CSVProof: Hashable {
  var rows: Int
  var sha256: String
  var generatedAt: WallTime

  enum Fault: Error, Hashable {
    case missing
    case malformed(String)
  }

  /// The trailer at the end of a file, and where it begins among its last bytes, which are given.
  static func trailer(of bytes: [UInt8]) throws(Fault) -> (CSVProof, start: Int)? {
    var end = bytes.count
    while end > 0, bytes[end - 1] == 0x0A || bytes[end - 1] == 0x0D { end -= 1 }
    var start = end
    while start > 0, bytes[start - 1] != 0x0A, end - start < 512 { start -= 1 }
    let line = bytes[start..<end]
    guard line.first == UInt8(ascii: "#"), start == 0 || bytes[start - 1] == 0x0A else {
      return nil
    }
    // A last line of which the end is missing must not look like one that says less.
    guard bytes.last == 0x0A else { throw .malformed("the last line has no line end") }
    var members: [String: String] = [:]
    for part in String(decoding: line.dropFirst(), as: UTF8.self).split(separator: ";") {
      let pair = part.split(separator: "=", maxSplits: 1).map(String.init)
      guard pair.count == 2, members[pair[0]] == nil else {
        // Not shown: it may be anything, also somebody's name.
        throw .malformed("the last line is not key=value;key=value, each key once")
      }
      members[pair[0]] = pair[1]
    }
    return (try make { members[$0] }, start)
  }

  static func sidecar(_ bytes: [UInt8]) throws(Fault) -> CSVProof {
    guard let value = try? JSONValue.parse(bytes), let object = value.objectValue else {
      throw .malformed("not a JSON object")
    }
    return try make { key in object[key].flatMap { $0.stringValue ?? $0.intValue.map(String.init) }
    }
  }

  private static func make(_ member: (String) -> String?) throws(Fault) -> CSVProof {
    guard let rows = member("rows").flatMap({ Int($0) }), rows >= 0 else {
      throw .malformed("rows is missing or not a number")
    }
    // All small or all large letters: a mixture is a damaged digit.
    guard let text = member("sha256"), case let digest = text.lowercased(),
      text == digest || text == text.uppercased(), digest.utf8.count == 64,
      digest.utf8.allSatisfy({ ($0 >= 0x30 && $0 <= 0x39) || ($0 >= 0x61 && $0 <= 0x66) })
    else { throw .malformed("sha256 is missing or not 64 hexadecimal digits") }
    guard let time = member("generatedAt").flatMap({ WallTime(rfc3339: $0) }) else {
      throw .malformed("generatedAt is missing or not a time such as 2026-11-23T07:30:00Z")
    }
    return CSVProof(rows: rows, sha256: digest, generatedAt: time)
  }
}
