@testable import DICOM
@testable import DICOMweb
@testable import HL7
@testable import JSON
@testable import SyncCore
@testable import TLS
@testable import TOML
@testable import Varlink

/// Every parser that reads what others have written.
nonisolated(unsafe) let targets: [String: FuzzTarget] = [
  "toml": { input in
    _ = try? TOML.parse(Array(input))
  },

  "json": { input in
    guard let value = try? JSONValue.parse(Array(input)) else { return }
    let written = value.serialized()
    guard let again = try? JSONValue.parse(written) else {
      fatalError("what was written does not read back")
    }
    promise(again.serialized() == written, "what was read back is not what was written")
  },

  // A page in pieces: the first byte says of which size. What is JSON as a whole reads the same.
  "json-items": { input in
    guard let first = input.first else { return }
    let text = Array(input.dropFirst())
    let size = Int(first) + 1
    var reader = JSONItemReader(array: "items", longest: 4096)
    var items: [JSONValue] = []
    let whole = try? JSONValue.parse(text)
    var index = 0
    var isRight = true
    while index < text.count, isRight {
      let end = min(index + size, text.count)
      text[index..<end].withUnsafeBytes { piece in
        do throws(JSONError) {
          try reader.feed(piece) { items.append($0) }
        } catch {
          isRight = false
        }
      }
      index = end
    }
    isRight = isRight && (try? reader.finish()) != nil
    guard let expected = whole?.objectValue, text.count < 4096, expected.count < 1000 else {
      promise(!isRight || text.count >= 4096 || whole != nil, "what is no JSON was read")
      return
    }
    promise(isRight, "what is JSON was not read")
    if let array = expected["items"]?.arrayValue {
      promise(
        array.map { $0.serialized() } == items.map { $0.serialized() }, "other items were read")
    }
  },

  // A text that is an array itself: elements are those of the whole text's.
  "json-array": { input in
    guard let first = input.first else { return }
    let text = Array(input.dropFirst())
    var reader = JSONItemReader(array: nil, longest: 4096)
    var items: [JSONValue] = []
    var isRight = true
    var index = 0
    while index < text.count, isRight {
      let end = min(index + Int(first) + 1, text.count)
      text[index..<end].withUnsafeBytes { piece in
        do throws(JSONError) {
          try reader.feed(piece) { items.append($0) }
        } catch {
          isRight = false
        }
      }
      index = end
    }
    isRight = isRight && (try? reader.finish()) != nil
    guard text.count < 4096 else { return }
    let whole = (try? JSONValue.parse(text))?.arrayValue
    promise(isRight == (whole != nil), "what is an array was not read, or the other way round")
    guard isRight else { return }
    promise(
      whole?.map { $0.serialized() } == items.map { $0.serialized() }, "other items were read")
    for item in items {
      guard let match = DICOMJSON(item) else { continue }
      _ = match.uid(.sopInstanceUID)
      _ = match.string(.accessionNumber)
      _ = match.integer(.failureReason)
      _ = match.personName(.patientName)
      _ = match.items(.failedSOPSequence).map { $0.uid(.referencedSOPInstanceUID) }
    }
  },

  // A body in pieces, the first byte says of which size, comes to the same as the whole of it.
  "multipart": { input in
    guard let first = input.first else { return }
    let text = Array(input.dropFirst())
    func read(_ size: Int) -> (parts: [[UInt8]], whole: Int, error: MultipartError?) {
      var parts: [[UInt8]] = []
      var whole = 0
      do throws(MultipartError) {
        var parser = try MultipartParser(boundary: "b")
        var index = 0
        while index < text.count {
          let end = min(index + size, text.count)
          let piece = Array(text[index..<end])
          try piece.borrowed { (bytes) throws(MultipartError) in
            var rest = bytes
            while let event = try parser.next(&rest) {
              switch event {
              case .partBegan(let headers):
                _ = headers.contentType
                parts.append([])
              case .bytes(let bytes): parts[parts.count - 1] += bytes
              case .partEnded: whole += 1
              case .closed: break
              }
            }
          }
          index = end
        }
        try parser.finish()
        return (parts, whole, nil)
      } catch {
        return (parts, whole, error)
      }
    }
    let once = read(text.count + 1)
    let often = read(Int(first) + 1)
    promise(once.parts == often.parts, "other bytes in pieces")
    promise(once.whole == often.whole && once.error == often.error, "another end in pieces")
    promise(once.error != nil || once.whole == once.parts.count, "an end in the middle of a part")
    promise(once.parts.reduce(0) { $0 + $1.count } <= text.count, "more bytes than there were")
    _ = MediaType(String(decoding: text.prefix(200), as: UTF8.self))
  },

  // An object's head in pieces: what is left of it is its data set.
  "object-head": { input in
    guard let first = input.first else { return }
    let text = Array(input.dropFirst())
    var head = ObjectHead()
    var found: (header: FileHeader, dataSet: ArraySlice<UInt8>)?
    var index = 0
    do {
      while index < text.count, found == nil {
        let end = min(index + Int(first) * 8 + 1, text.count)
        let piece = Array(text[index..<end])
        var left = 0
        found = try piece.borrowed { (bytes) throws(DataSetError) in
          var rest = bytes
          defer { left = rest.count }
          return try head.take(&rest)
        }
        promise(found != nil || left == 0, "input was left without a header")
        index = end - left
      }
      if found == nil { found = try head.finish() }
    } catch { return }
    guard let found else { return }
    promise(
      found.header.dataSetOffset + found.dataSet.count == index, "bytes of the data set are lost")
    promise(
      found.dataSet.elementsEqual(text[found.header.dataSetOffset..<index]), "other bytes")
  },

  // The stream in pieces, as a socket gives it: the first byte says of which size.
  "varlink": { input in
    guard let first = input.first else { return }
    let size = Int(first) + 1
    var framer = MessageFramer(limit: 4096)
    var rest = input.dropFirst()
    while !rest.isEmpty {
      framer.append(rest.prefix(size))
      rest = rest.dropFirst(size)
      do {
        while let message = try framer.next() {
          promise(message.count <= 4096 && !message.contains(0), "not a message")
          if let request = try? VarlinkRequest(message: message) {
            let again = try? VarlinkRequest(message: request.bytes.dropLast())
            promise(again == request, "the request does not read back")
          }
          _ = try? VarlinkReply(message: message)
        }
      } catch {
        return
      }
    }
  },

  "varlink-description": { input in
    _ = try? InterfaceDescription(String(decoding: input, as: UTF8.self))
  },

  // A stream of PDUs, cut where the first byte says.
  "pdu": { input in
    guard let first = input.first else { return }
    let stream = Array(input.dropFirst())
    var parser = PDVParser(maximumLength: 16_384)
    var position = 0
    var available = min(Int(first), stream.count)
    stream.withUnsafeBytes { bytes in
      do {
        while true {
          let before = position
          let step = try parser.step(
            UnsafeRawBufferPointer(rebasing: bytes[..<available]), &position)
          promise(position >= before && position <= available, "outside the buffer")
          switch step {
          case .needsMore:
            guard available < bytes.count else { return }
            available = min(available + Int(first) + 1, bytes.count)
          case .dataPDU: break
          case .fragment(let fragment):
            promise(
              fragment.range.lowerBound >= before && fragment.range.upperBound <= position,
              "a fragment outside what was read")
          case .header(let type, let length):
            try PDU.checkLength(length, of: type)
            guard length <= bytes.count - position else { return }
            let body = Array(bytes[position..<position + Int(length)])
            position += Int(length)
            available = max(available, position)
            let pdu = try PDU(type, body: body)
            _ = try? pdu.encoded()
          }
        }
      } catch {}
    }
  },

  "dimse": { input in
    guard let command = try? Command(decoding: Array(input)) else { return }
    guard let again = try? Command(decoding: command.encoded()) else {
      fatalError("the command does not read back")
    }
    promise(again.encoded() == command.encoded(), "the command changes when read back")
  },

  // What a storage commitment request or report says.
  "commitment": { input in
    guard
      let content = try? DataSet(decoding: Array(input), as: .implicitVRLittleEndian)
    else { return }
    if let request = try? CommitmentRequest(content) {
      promise((try? CommitmentRequest(request.information)) == request, "the request changes")
    }
    if let report = try? CommitmentReport(content) {
      promise((try? CommitmentReport(report.information)) == report, "the report changes")
    }
  },

  // The first byte chooses how the rest is encoded.
  "dataset": { input in
    guard let first = input.first else { return }
    let syntaxes: [TransferSyntax] = [
      .implicitVRLittleEndian, .explicitVRLittleEndian, .explicitVRBigEndian,
      .deflatedExplicitVRLittleEndian, TransferSyntax("1.2.840.10008.1.2.4.70"),
    ]
    let syntax = syntaxes[Int(first) % syntaxes.count]
    let limits = DecodingLimits(maximumNesting: 16, maximumInflatedBytes: 1 << 20)
    let bytes = Array(input.dropFirst())
    guard let dataSet = try? DataSet(decoding: bytes, as: syntax, limits: limits),
      let written = try? dataSet.encoded(as: syntax)
    else { return }
    // What is malformed may be mended as it is written; from then on nothing changes.
    guard let again = try? DataSet(decoding: written, as: syntax),
      let settled = try? again.encoded(as: syntax),
      let last = try? DataSet(decoding: settled, as: syntax)
    else {
      fatalError("the data set does not read back")
    }
    promise((try? last.encoded(as: syntax)) == settled, "the data set changes when read back")
  },

  // The first byte chooses among the character sets, alone and as an extension.
  "text": { input in
    guard let first = input.first else { return }
    let terms = [
      "", "ISO_IR 100", "ISO_IR 192", "ISO_IR 13", "GB18030", "ISO 2022 IR 87", "ISO 2022 IR 149",
      "ISO 2022 IR 100",
    ]
    let one = terms[Int(first & 7)]
    let other = terms[Int(first >> 3 & 7)]
    for set in [CharacterSet([one]), CharacterSet([one, other])] {
      _ = set.decode(Array(input.dropFirst()), isName: first & 0x80 != 0)
    }
  },

  "config": { input in
    _ = try? Configuration.parse(Array(input), file: "config.toml")
  },

  // A query's key and a stored value, a zero byte between them.
  "matching": { input in
    let halves = input.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false)
    guard halves.count == 2 else { return }
    let value = String(decoding: halves[1], as: UTF8.self)
    for vr in [VR.LO, .PN, .DA, .TM, .UI] {
      _ = AttributeMatching(vr, String(decoding: halves[0], as: UTF8.self)).matches(value)
    }
  },

  "archive-file": { input in
    _ = ArchiveFileHeader.decode(Array(input)[...])
  },

  // The first byte chooses the separator and the encoding of a list file.
  "list": { input in
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let separator = Array(";,\t".utf8)[Int(first) % 3]
    // In pieces of odd sizes, as a file system may give them.
    var position = 0
    var reader = CSVReader(separator: separator, isWindows1252: first & 0x80 != 0) { buffer in
      let count = min(buffer.count, bytes.count - position, 1 + position % 37)
      buffer.copyBytes(from: bytes[position..<position + count])
      position += count
      return count
    }
    do {
      guard let heading = try reader.next() else { return }
      var table = try ListTable(heading: heading, drop: Configuration.CSVDrop(directory: "/"))
      var line = 1
      while let fields = try reader.next() {
        line += 1
        try table.add(fields, line: line)
      }
      try table.check()
    } catch {}
  },

  "list-proof": { input in
    let bytes = Array(input)
    if let found = try? CSVProof.trailer(of: bytes) {
      promise(found.start >= 0 && found.start < bytes.count, "a trailer outside the file")
    }
    _ = try? CSVProof.sidecar(bytes)
  },

  // A message and what is made of it: its texts, what it acknowledges, the answer to it.
  "hl7": { input in
    let bytes = Array(input)
    guard let message = try? HL7Message(parsing: bytes) else { return }
    promise(message.encoded() == bytes, "the message is not given back as it came")
    for segment in message.segments.prefix(8) {
      for field in 0...min(segment.fieldCount + 1, 24) {
        _ = message.text(segment, field)
        for component in 0...3 { _ = message.text(segment, field, component) }
      }
    }
    _ = Acknowledgement(message)
    let escaped = HL7Escape.encode(bytes, message.delimiters)
    let plain = HL7Escape.decode(escaped[...], message.delimiters)
    promise(
      HL7Escape.decode(HL7Escape.encode(plain, message.delimiters)[...], message.delimiters)
        == plain, "an escaped text changes")
    let answer = Acknowledgement.answer(
      message, .AE, error: (207, "a | b"), controlID: "1", time: "20260301")
    guard let read = try? HL7Message(parsing: answer),
      let acknowledgement = Acknowledgement(read)
    else { fatalError("the answer is no acknowledgement") }
    promise(read.delimiters == message.delimiters, "the answer has other delimiters")
    promise(acknowledgement.errorCodes == [207], "the answer has another error")
    promise(read.segments.count == 3, "the answer has other segments")
  },

  // The stream in pieces, as a socket gives it: the first byte says of which size.
  "mllp": { input in
    guard let first = input.first else { return }
    var framer = MLLPFramer(limit: 4096)
    var rest = input.dropFirst()
    while !rest.isEmpty {
      let isBroken: Bool
      do throws(MLLPFramingError) {
        try framer.push(Array(rest.prefix(Int(first) + 1)))
        isBroken = false
      } catch { isBroken = true }
      rest = rest.dropFirst(Int(first) + 1)
      while let message = framer.next() {
        promise(message.count <= 4096, "longer than the limit")
        promise(!message.contains(0x0B) && !message.contains(0x1C), "a frame in a message")
        var again = MLLPFramer()
        try? again.push(MLLPFramer.framed(message))
        promise(again.next() == message && again.isEmpty, "the frame does not read back")
      }
      if isBroken { return }
    }
  },

  // What is remembered of a peer: as much of it as is understood reads back as the same.
  "peer-report": { input in
    guard let value = try? JSONValue.parse(Array(input)), let report = PeerReport(value) else {
      return
    }
    guard let again = PeerReport(report.json) else { fatalError("a report does not read back") }
    promise(again == report, "another report is read back")
  },

  // A certificate as a peer shows it.
  "certificate": { input in
    guard let dates = CertificateDates(pem: input) else { return }
    promise(CertificateDates(pem: Array(input)) == dates, "two readings differ")
  },
]
