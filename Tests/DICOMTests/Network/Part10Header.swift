import Glibc
import Platform

@testable import DICOM

struct NoPart10File: Error { let path: String }

extension StoredInstance {
  /// Reads just enough of a Part 10 file to send it: an own, independent look at the group 0002.
  init(part10 path: String) throws {
    let contents = try fileContents(path)
    guard contents.count > 132, Array(contents[128..<132]) == Array("DICM".utf8) else {
      throw NoPart10File(path: path)
    }
    var position = 132
    var values: [UInt16: String] = [:]
    while position + 8 <= contents.count,
      contents[position] == 2, contents[position + 1] == 0
    {
      let element = UInt16(contents[position + 2]) | UInt16(contents[position + 3]) << 8
      let vr = String(decoding: contents[position + 4..<position + 6], as: UTF8.self)
      var length = Int(contents[position + 6]) | Int(contents[position + 7]) << 8
      position += 8
      if vr == "OB" {
        length = (0..<4).reduce(0) { $0 | Int(contents[position + $1]) << (8 * $1) }
        position += 4
      }
      let value = contents[position..<position + length].filter { $0 != 0 && $0 != 0x20 }
      values[element] = String(decoding: value, as: UTF8.self)
      position += length
    }
    self.init(
      sopClass: UID(values[0x0002] ?? ""), sopInstance: UID(values[0x0003] ?? ""),
      transferSyntax: TransferSyntax(UID(values[0x0010] ?? "")), path: path,
      dataSetOffset: position, dataSetLength: contents.count - position)
  }

  var dataSetBytes: [UInt8] {
    get throws {
      Array(try fileContents(path)[dataSetOffset..<dataSetOffset + dataSetLength])
    }
  }

  var context: ProposedContext { ProposedContext(sopClass, [transferSyntax]) }
}

/// The bytes of a file anywhere.
func fileContents(_ path: String) throws -> [UInt8] {
  try FileDescriptor.contents(of: path, atMost: 256 << 20)
}
