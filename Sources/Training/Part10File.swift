import DICOM
import Glibc
import Platform

/// Why the simulated surroundings cannot do something.
public struct TrainingError: Error, Hashable, Sendable, CustomStringConvertible {
  public let description: String

  public init(_ description: String) { self.description = description }
}

/// A file of its own for one object (PS3.10 section 7).
public enum Part10File {
  /// Writes an object in Explicit VR Little Endian.
  /// - Returns: what it takes to send it.
  @discardableResult
  public static func write(_ object: DataSet, to path: String) throws(TrainingError)
    -> StoredInstance
  {
    guard let sopClass = object.uid(.sopClassUID), let sopInstance = object.uid(.sopInstanceUID)
    else { throw TrainingError("\(path): an object without SOP Class or SOP Instance UID") }
    let syntax = TransferSyntax.explicitVRLittleEndian
    let bytes: [UInt8]
    let data: [UInt8]
    do throws(DataSetError) {
      bytes = try preamble(sopClass, sopInstance, syntax)
      data = try object.encoded(as: syntax)
    } catch {
      throw TrainingError("\(path): \(error)")
    }
    try FileWriting.replace(path, with: bytes + data)
    return StoredInstance(
      sopClass: sopClass, sopInstance: sopInstance, transferSyntax: syntax, path: path,
      dataSetOffset: bytes.count, dataSetLength: data.count)
  }

  /// The preamble, the prefix and the File Meta Information.
  private static func preamble(
    _ sopClass: UID, _ sopInstance: UID, _ syntax: TransferSyntax
  ) throws(DataSetError) -> [UInt8] {
    var meta = DataSet()
    meta.setBytes(Tag(0x0002, 0x0001), .OB, [0, 1])
    meta.set(Tag(0x0002, 0x0002), sopClass)
    meta.set(Tag(0x0002, 0x0003), sopInstance)
    meta.set(Tag(0x0002, 0x0010), syntax.uid)
    meta.set(Tag(0x0002, 0x0012), ImplementationIdentity.ours.classUID)
    meta.set(Tag(0x0002, 0x0000), uint32: 0)
    return [UInt8](repeating: 0, count: 128) + Array("DICM".utf8)
      + (try meta.encoded(as: .explicitVRLittleEndian))
  }
}

enum FileWriting {
  /// Under a name nobody looks for, then renamed: a reader sees the old file or the new one.
  static func replace(_ path: String, with bytes: [UInt8]) throws(TrainingError) {
    var parts = path.split(separator: "/", omittingEmptySubsequences: false)
    parts[parts.count - 1] = ".\(parts[parts.count - 1]).tmp"
    let temporary = parts.joined(separator: "/")
    do throws(SystemError) {
      let file = try FileDescriptor.open(temporary, O_WRONLY | O_CREAT | O_TRUNC, mode: 0o644)
      var failure: SystemError?
      bytes.withUnsafeBytes { buffer in
        do throws(SystemError) { try file.writeAll(buffer) } catch { failure = error }
      }
      if let failure { throw failure }
      guard rename(temporary, path) == 0 else { throw .last("rename", path) }
    } catch {
      throw TrainingError("\(error)")
    }
  }
}
