import Glibc
import Platform

@testable import DICOM
@testable import SyncCore

/// What reads what DICOM peers and files say, beyond single PDUs and data sets.
nonisolated(unsafe) let dicomTargets: [String: FuzzTarget] = [
  // Everything a peer sends to our server on one connection, from its first byte to its end.
  "association-provider": { input in
    FuzzedProvider.shared.serve(input)
  },

  // Everything a server sends to us: the first byte chooses what we ask of it.
  "association-user": { input in
    guard let first = input.first else { return }
    FuzzedUser.shared.ask(first, UnsafeRawBufferPointer(rebasing: input.dropFirst()))
  },

  // A data set in pieces: what is found does not depend on how it was cut, and is what the decoder
  // finds. The first byte chooses the encoding, the second the size of the pieces.
  "header-scanner": { input in
    guard input.count > 2 else { return }
    let syntax = transferSyntaxes[Int(input[0]) % transferSyntaxes.count]
    let size = Int(input[1]) + 1
    let bytes = Array(input[2...])
    let limits = DecodingLimits(maximumNesting: 8, maximumInflatedBytes: 1 << 18)
    func scan(by size: Int) -> DataSet? {
      var scanner = HeaderScanner(
        syntax, wanted: wantedTags, through: Tag(0x0028, 0x0100), maximumValueLength: 1024,
        limits: limits)
      var position = 0
      do {
        while position < bytes.count, !scanner.isDone {
          let skipped = min(scanner.skippable, bytes.count - position)
          scanner.skip(skipped)
          position += skipped
          let end = min(position + size, bytes.count)
          if position < end { try scanner.push(Array(bytes[position..<end])) }
          position = end
        }
        if !scanner.isDone { try scanner.finish() }
        return scanner.header
      } catch {
        return nil
      }
    }
    let whole = scan(by: bytes.count)
    // What is deflated may be damaged behind the last element that is wanted: in small pieces that
    // is not seen.
    promise(
      scan(by: size) == whole || syntax.isDeflated && whole == nil,
      "the pieces change what is found")
    // Only what stands in order is bound to be found by both.
    guard !syntax.isDeflated, let whole,
      let decoded = try? DataSet(decoding: bytes, as: syntax, limits: limits)
    else { return }
    for element in whole.elements where decoded[element.tag] == nil {
      fatalError("\(element.tag) was found where there is none")
    }
  },

  // The same stream at once and in pieces.
  "inflate": { input in
    guard let first = input.first else { return }
    let bytes = Array(input.dropFirst())
    let limit = 1 << 18
    func inflate(by size: Int) -> ([UInt8], Bool)? {
      var inflater = Inflater(limit: limit)
      var position = 0
      do {
        while position < bytes.count, !inflater.isFinished {
          let end = min(position + size, bytes.count)
          try inflater.push(bytes[position..<end])
          position = end
        }
        promise(inflater.output.count <= limit, "more than the limit")
        return (inflater.output, inflater.isFinished)
      } catch {
        return nil
      }
    }
    let whole = inflate(by: max(bytes.count, 1))
    let cut = inflate(by: Int(first) + 1)
    promise(whole?.0 == cut?.0 && whole?.1 == cut?.1, "the pieces change what comes out")
  },

  // The beginning of a file, as much of it as is asked for.
  "part10": { input in
    let bytes = Array(input)
    for missing in [FileHeader.Missing.refuse, .guess] {
      let whole = try? FileHeader.decode(bytes, isWhole: true, missing: missing)
      var count = 16
      reading: while true {
        let part = Array(bytes.prefix(count))
        switch try? FileHeader.decode(part, isWhole: part.count == bytes.count, missing: missing) {
        case .needs(let needed)?:
          promise(needed > part.count && part.count < bytes.count, "nothing more is needed")
          count = needed
        case .header(let header)?:
          promise(.header(header) == whole, "another header than of the whole")
          promise(header.dataSetOffset <= bytes.count, "the data set begins behind the end")
          guard let meta = header.metaInformation else { break reading }
          // As it is written it reads back.
          guard let written = try? meta.encodedFileHeader() else { break reading }
          guard case .header(let again)? = try? FileHeader.decode(written, isWhole: true),
            again.transferSyntax == header.transferSyntax
          else {
            promise(
              meta.transferSyntax?.uid.isValid != true, "what was written does not read back")
            break reading
          }
          break reading
        case nil: break reading
        }
      }
    }
  },

  // The archive's own reading of an object: what it indexes is what the decoder sees.
  "object-header": { input in
    guard let first = input.first else { return }
    let syntax = transferSyntaxes[Int(first) % transferSyntaxes.count]
    let bytes = Array(input.dropFirst())
    ScratchFile.shared.write(bytes)
    let whole = try? ObjectHeader.scan(
      ScratchFile.shared.file, from: 0, length: bytes.count, syntax)
    // As much of it as may be known before the file is read.
    for count in [bytes.count, bytes.count / 2, min(bytes.count, 9)] {
      let known = try? ObjectHeader.scan(
        ScratchFile.shared.file, from: 0, length: bytes.count, syntax,
        beginning: Array(bytes.prefix(count)))
      promise(known == whole, "another header where its beginning is known")
    }
    guard let header = whole else { return }
    promise(!header.sopInstance.value.isEmpty && !header.study.value.isEmpty, "no identity")
    guard let decoded = try? DataSet(decoding: bytes, as: syntax) else { return }
    promise(decoded[.sopInstanceUID] != nil, "a SOP Instance UID where there is none")
  },

  // An identifier, as a query to the archive: the first byte chooses the level and the root.
  "archive-query": { input in
    guard let first = input.first,
      let identifier = try? DataSet(
        decoding: Array(input.dropFirst()), as: .explicitVRLittleEndian,
        limits: DecodingLimits(maximumNesting: 8))
    else { return }
    let level = QueryLevel.allCases[Int(first) % QueryLevel.allCases.count]
    let request = QueryRequest(
      association: FuzzedProvider.association,
      model: first & 0x80 != 0 ? .patientRoot : .studyRoot, level: level, identifier: identifier)
    var count = 0
    _ = try? FuzzedArchive.shared.archive.find(request) { answer in
      count += 1
      guard (try? answer.encoded(as: .explicitVRLittleEndian)) != nil else {
        fatalError("an answer that cannot be sent")
      }
      return count < 10
    }
    _ = try? FuzzedArchive.shared.archive.plan(request)
  },

  // What a text was decoded to encodes again, to the same text. Two bytes choose the terms.
  "charset": { input in
    guard input.count > 2 else { return }
    let one = characterSetTerms[Int(input[0]) % characterSetTerms.count]
    let other = characterSetTerms[Int(input[1]) % characterSetTerms.count]
    let isName = input[0] & 0x80 != 0
    for set in [CharacterSet([one]), CharacterSet([one, other]), CharacterSet(["", one, other])] {
      let text = set.decode(Array(input[2...]), isName: isName)
      guard !text.unicodeScalars.contains("\u{FFFD}"),
        let encoded = try? set.encode(text, isName: isName)
      else { continue }
      let again = set.decode(encoded, isName: isName)
      promise(
        again == text || text.unicodeScalars.contains { $0.value < 0x20 },
        "\(set.terms): \(Array(text.unicodeScalars)) became \(Array(again.unicodeScalars))")
    }
  },
]

private let transferSyntaxes: [TransferSyntax] = [
  .implicitVRLittleEndian, .explicitVRLittleEndian, .explicitVRBigEndian,
  .deflatedExplicitVRLittleEndian, TransferSyntax("1.2.840.10008.1.2.4.70"),
]

private let wantedTags: [Tag] = [
  .sopClassUID, .sopInstanceUID, .accessionNumber, .patientID, .studyInstanceUID,
  .seriesInstanceUID,
]

private let characterSetTerms = [
  "", "ISO_IR 100", "ISO_IR 101", "ISO_IR 109", "ISO_IR 110", "ISO_IR 126", "ISO_IR 127",
  "ISO_IR 138", "ISO_IR 144", "ISO_IR 148", "ISO_IR 166", "ISO_IR 13", "ISO_IR 192", "GB18030",
  "GBK", "ISO 2022 IR 6", "ISO 2022 IR 13", "ISO 2022 IR 87", "ISO 2022 IR 159",
  "ISO 2022 IR 149", "ISO 2022 IR 58", "ISO 2022 IR 100", "ISO 2022 IR 127", "ISO 2022 IR 144",
]
