import TestSupport
import Testing

@testable import DICOM

/// pydicom's test files, which come from many makers and hold many oddities, read by both.
@Suite("pydicom's test files", .needs(.python("pydicom")))
struct PydicomFilesTests {
  /// The files that are refused, and why.
  static let refused: [String: String] = [
    // Cut off inside the last value. pydicom gives what is left.
    "MR_truncated.dcm": "needs 8192 bytes but only 8130 remain",
    "rtplan_truncated.dcm": "truncated",
    "DICOMDIR-nooffset": "needs 248 bytes but only 224 remain",
    // A preamble and nothing else.
    "no_meta.dcm": "absent, and what follows is no data set",
    // Implicit VR in a file that claims Explicit VR.
    "SC_rgb_jpeg.dcm": "bytes 18 00 are no VR",
  ]

  @Test("every file is read as pydicom reads it, or refused for a known reason")
  func comparison() throws {
    let files = try PydicomDump.files()
    let dumps = try PydicomDump.load(files)
    #expect(files.count > 150)
    var compared = 0
    for path in files {
      let name = String(path.split(separator: "/").last!)
      let dump = try #require(dumps[path])
      do throws(Part10Error) {
        let file = try Part10File.open(path, missing: .guess)
        let dataSet = try file.dataSet()
        if let reason = Self.refused[name] {
          Issue.record("\(name) is read, though it was to be refused: \(reason)")
        }
        if let syntax = dump.syntax {
          #expect(file.transferSyntax.description == syntax, "\(name)")
        }
        guard let elements = dump.elements else {
          Issue.record("\(name): pydicom refuses it: \(dump.error ?? "")")
          continue
        }
        compared += compare(dataSet, elements, file.transferSyntax, name)
      } catch {
        if Self.refused[name].map({ "\(error)".contains($0) }) != true {
          Issue.record("\(name): \(error)")
        }
      }
    }
    #expect(compared > 10_000)
  }

  @Test("written back, a data set in little endian is what it was, byte for byte or by meaning")
  func writing() throws {
    var (identical, rewritten) = (0, 0)
    for path in try PydicomDump.files() {
      guard let file = try? Part10File.open(path, missing: .guess),
        let dataSet = try? file.dataSet()
      else { continue }
      let syntax = file.transferSyntax
      let written = try dataSet.encoded(as: syntax)
      let whole = try fileContents(path)
      if !syntax.isDeflated, written == Array(whole[file.dataSetOffset...]) { identical += 1 }
      let again = try paddedToEven(DataSet(decoding: written, as: syntax))
      let padded = try paddedToEven(dataSet)
      if again != padded {
        let different = again.elements.filter { padded[$0.tag] != $0 }
        Issue.record("\(path): \(different.map { "\($0)".prefix(200) })")
      }
      rewritten += 1
    }
    // The others have undefined or odd lengths, deflate, or wrong group lengths.
    #expect(rewritten > 150)
    #expect(identical > rewritten / 2, "\(identical) of \(rewritten)")
  }

  @Test("pydicom reads what is written back as what it read before")
  func readBack() throws {
    let directory = try TemporaryDirectory()
    var written: [String: String] = [:]
    for path in try PydicomDump.files() {
      guard let file = try? Part10File.open(path), let dataSet = try? file.dataSet(),
        var meta = file.header.metaInformation, !file.transferSyntax.isDeflated
      else { continue }
      meta.others = []
      let bytes = try meta.encodedFileHeader() + dataSet.encoded(as: file.transferSyntax)
      written[path] = try directory.write(bytes, to: "\(written.count).dcm")
    }
    #expect(written.count > 150)
    let before = try PydicomDump.load(Array(written.keys))
    let after = try PydicomDump.load(Array(written.values))
    for (path, copy) in written {
      let (old, new) = try (#require(before[path]), #require(after[copy]))
      #expect(new.error == nil)
      #expect(old.syntax == new.syntax)
      let (oldLines, newLines) = (comparable(old.elements), comparable(new.elements))
      if oldLines != newLines {
        let difference = Set(oldLines).symmetricDifference(newLines).map { $0.prefix(100) }
        Issue.record("\(path): \(difference)")
      }
    }
  }

  /// Without what writing is to correct: padding and group lengths. Pixel Representation pydicom
  /// gives at times as a value, at times as bytes.
  private func comparable(_ elements: [PydicomDump.Element]?) -> [String] {
    (elements ?? []).filter { $0.tag & 0xFFFF != 0 && $0.tag != 0x0028_0103 }.flatMap {
      element -> [String] in
      var hex = element.value.hex ?? ""
      if hex.count % 4 != 0 { hex += VR(rawValue: element.vr)?.padding == 0x20 ? "20" : "00" }
      let head = "\(element.tag) \(element.vr) \(element.value.text ?? "") \(hex)"
      let fragments = (element.value.fragments ?? []).map {
        $0.count % 4 == 0 ? $0 : $0 + "00"
      }
      return [head] + fragments
        + (element.value.items ?? []).flatMap { ["item"] + comparable($0) }
    }
  }

  /// As writing does it: odd values are padded. Without group lengths, which writing corrects.
  private func paddedToEven(_ dataSet: DataSet) throws -> DataSet {
    var result = DataSet()
    for var element in dataSet.elements where !element.tag.isGroupLength {
      switch element.value {
      case .bytes(let bytes) where bytes.count & 1 == 1:
        element.value = .bytes(bytes + [element.vr.padding])
      case .items(let items): element.value = .items(try items.map(paddedToEven))
      case .fragments(let fragments):
        element.value = .fragments(fragments.map { $0.count & 1 == 1 ? $0 + [0] : $0 })
      default: break
      }
      result.set(element)
    }
    return result
  }

  /// Returns the number of elements compared.
  private func compare(
    _ dataSet: DataSet, _ expected: [PydicomDump.Element], _ syntax: TransferSyntax, _ path: String
  ) -> Int {
    let tags = dataSet.elements.map(\.tag.packed)
    guard tags == expected.map(\.tag) else {
      let difference = Set(tags).symmetricDifference(expected.map(\.tag))
      Issue.record("\(path): elements differ: \(difference.map { Tag(packed: $0) })")
      return 0
    }
    var count = tags.count
    for (element, other) in zip(dataSet.elements, expected) {
      // An expectation for each of so many elements would take longer than reading them.
      func check(_ isSame: Bool, _ ours: @autoclosure () -> String) {
        if !isSame { Issue.record("\(path) \(element.tag): \(ours()), pydicom \(other)") }
      }
      // pydicom knows some makers' elements.
      let isUnknown = element.vr == .UN && element.tag.isPrivate
      check(isUnknown || other.vr.contains(element.vr.rawValue), element.vr.rawValue)
      switch element.value {
      case .items(let items):
        check(items.count == other.value.items?.count, "\(items.count) items")
        for (index, item) in dataSet.items(element.tag).enumerated() {
          guard let others = other.value.items, index < others.count else { break }
          count += compare(item, others[index], syntax, "\(path) \(element.tag)[\(index)]")
        }
      case .fragments(let fragments):
        check(fragments.map(hex) == other.value.fragments, "\(fragments.count) fragments")
      case .bytes(let bytes):
        if let expected = other.value.hex { check(hex(bytes) == expected, hex(bytes)) }
        if let text = other.value.text {
          var ours = dataSet.strings(element.tag).joined(separator: "\\")
          // pydicom leaves out empty component groups at the end of a name.
          while element.vr == .PN, ours.last == "=" { ours.removeLast() }
          check(ours == text, ours)
        }
      }
    }
    return count
  }
}
