import Testing

@testable import DICOMweb

@Suite("Multipart bodies, in pieces of any size")
struct MultipartParserTests {
  private struct Part: Equatable {
    var type: String?
    var bytes: [UInt8] = []
    var isWhole = false
  }

  private struct Outcome: Equatable {
    var parts: [Part] = []
    var isClosed = false
    var error: MultipartError?
  }

  private func read(
    _ text: [UInt8], boundary: String = "b", cuts: (Int) -> Int
  ) -> Outcome {
    var outcome = Outcome()
    do throws(MultipartError) {
      var parser = try MultipartParser(boundary: boundary)
      var start = 0
      while start < text.count {
        let end = min(text.count, start + cuts(start))
        // Pieces of their own, so that reading past one's end would be found.
        let piece = Array(text[start..<end])
        try piece.borrowed { (bytes) throws(MultipartError) in
          var rest = bytes
          while let event = try parser.next(&rest) {
            switch event {
            case .partBegan(let headers):
              outcome.parts.append(Part(type: headers["content-type"]))
            case .bytes(let bytes): outcome.parts[outcome.parts.count - 1].bytes += bytes
            case .partEnded: outcome.parts[outcome.parts.count - 1].isWhole = true
            case .closed: outcome.isClosed = true
            }
          }
        }
        start = end
      }
      try parser.finish()
    } catch {
      outcome.error = error
    }
    return outcome
  }

  private func whole(_ text: String, boundary: String = "b") -> Outcome {
    read(Array(text.utf8), boundary: boundary) { _ in .max / 2 }
  }

  /// Bodies that look like the delimiter for a while, or are empty, or end with line breaks.
  private static let bodies: [[UInt8]] = [
    [], Array("x".utf8), Array("\r\n".utf8), Array("\r\n--".utf8), Array("\r\n--bounda".utf8),
    Array("\r\r\n\r\n--boundarx\r\n-".utf8), Array("--boundar".utf8), [0x0D], [0, 0x0D, 0x0A, 0],
    Array("\n--boundary\n".utf8), Array(repeating: 0x0D, count: 9),
  ]

  private static let text: [UInt8] = {
    var text = Array("preamble\r\n".utf8)
    for body in bodies {
      text += Array("--boundary  \r\nContent-Type: application/dicom\r\n\r\n".utf8) + body
      text += Array("\r\n".utf8)
    }
    return text + Array("--boundary--\r\nepilogue".utf8)
  }()

  private static let expected = Outcome(
    parts: bodies.map { Part(type: "application/dicom", bytes: $0, isWhole: true) },
    isClosed: true)

  @Test("every byte of every part is handed on, wherever the body is parted in two")
  func everySplit() {
    for split in 0...Self.text.count {
      let found = read(Self.text, boundary: "boundary") { $0 == 0 && split > 0 ? split : .max / 2 }
      #expect(found == Self.expected, "split at \(split)")
    }
  }

  @Test("and in pieces of every size")
  func everySize() {
    for size in 1...(Self.text.count + 1) {
      let found = read(Self.text, boundary: "boundary") { _ in size }
      #expect(found == Self.expected, "pieces of \(size)")
    }
  }

  @Test("a body cut anywhere is incomplete, and what was cut is not whole")
  func everyCut() {
    let close = Self.text.count - "\r\nepilogue".utf8.count
    for cut in 0..<close {
      let found = read(Array(Self.text[..<cut]), boundary: "boundary") { _ in 64 }
      #expect(found.error == .incomplete, "cut at \(cut)")
      #expect(!found.isClosed)
      for part in found.parts.dropLast() { #expect(part.isWhole) }
    }
    let found = read(Array(Self.text[..<close]), boundary: "boundary") { _ in 64 }
    #expect(found == Self.expected)
  }

  @Test("random bytes come through untouched, also in large pieces")
  func random() {
    var generator = SystemRandomNumberGenerator()
    let data = (0..<200_000).map { _ in UInt8.random(in: 0...255, using: &generator) }
    let text = Array("--b\r\n\r\n".utf8) + data + Array("\r\n--b--".utf8)
    for size in [4096, 65536, 1 << 20] {
      let found = read(text) { _ in size }
      #expect(found.parts.first?.bytes == data && found.error == nil)
    }
  }

  @Test("a part of another length than it announced is an error")
  func lengths() {
    func body(_ length: String) -> String {
      "--b\r\nContent-Length: \(length)\r\n\r\nabc\r\n--b--"
    }
    #expect(whole(body("3")).error == nil)
    #expect(whole(body("4")).error == .length(announced: 4, found: 3))
    #expect(whole(body("what")).error == nil)
  }

  @Test("headers are read in any case, folded, and with spaces around their values")
  func headers() {
    let found = whole("--b\r\ncontent-TYPE:  a/b; \r\n c=d\t\r\nX: y\r\n\r\nz\r\n--b--")
    #expect(found.parts == [Part(type: "a/b; c=d", bytes: Array("z".utf8), isWhole: true)])
    #expect(whole("--b\r\n\r\n\r\n--b--").parts == [Part(type: nil, bytes: [], isWhole: true)])
  }

  @Test(
    "what is no multipart body is told",
    arguments: [
      "--b\nX: y\n\n", "--bx\r\n\r\n", "--b-x", "--b\rx", "--b\r\n: y\r\n\r\n",
      "--b\r\n X: y\r\n\r\n", "--b\r\nX\r\n\r\n", "--b\r\nX: \u{1}\r\n\r\n",
      "--b\r\nX: 1\r\nx: 2\r\n\r\n", "--b\r\nContent-Transfer-Encoding: base64\r\n\r\n",
      "--b\r\nX: \(String(repeating: "y", count: 20_000))",
      "--b--\(String(repeating: "y", count: 70_000))", String(repeating: "y", count: 70_000),
      "--b\(String(repeating: " ", count: 70_000))",
    ])
  func malformed(text: String) {
    guard case .malformed? = whole(text).error else {
      Issue.record("\(whole(text))")
      return
    }
  }

  @Test("boundaries are 1 to 70 visible characters")
  func boundaries() {
    #expect(throws: MultipartError.self) { try MultipartParser(boundary: "") }
    #expect(throws: MultipartError.self) {
      try MultipartParser(boundary: String(repeating: "b", count: 71))
    }
    for wrong in ["a\r\n", "a ", "å"] {
      #expect(throws: MultipartError.self) { try MultipartParser(boundary: wrong) }
    }
    #expect(throws: Never.self) {
      try MultipartParser(boundary: String(repeating: "b", count: 70))
    }
  }

  @Test("media types are read with their parameters, quoted or not")
  func mediaTypes() {
    let type = MediaType(
      #"Multipart/Related; type="application/dicom";  Boundary="a\"b;c" ;start=x"#)
    #expect(type?.name == "multipart/related")
    #expect(type?["type"] == "application/dicom")
    #expect(type?["boundary"] == "a\"b;c")
    #expect(type?["start"] == "x")
    #expect(MediaType("multipart/related;boundary=----=_Part:1?")?["boundary"] == "----=_Part:1?")
    #expect(MediaType("application/dicom+json")?.name == "application/dicom+json")
    #expect(MediaType("text/html; charset=utf-8;")?["charset"] == "utf-8")
    for wrong in [
      "", "text", "text/", "/html", "a/b; c", "a/b; c=", "a/b; c=\"d", "a/b c", "a/b/c",
    ] {
      #expect(MediaType(wrong) == nil, "\(wrong)")
    }
    // Two boundaries: whoever reads the other one reads another body.
    #expect(MediaType("a/b; boundary=x; boundary=y") == nil)
  }
}
