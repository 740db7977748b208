import CLinux
import DICOM
import Foundation
import Glibc
import Synchronization
import Testing

@testable import SyncCore

/// An object to store, written element by element in explicit VR little endian.
struct SampleObject {
  var sopClass: UID = "1.2.840.10008.5.1.4.1.1.2"
  var instance: UID
  var study: UID
  var series: UID
  var accession = "SEEXAMPLE0000001"
  var patientID = "191212121212"
  var patientName = "Tolvansson^Tolvan"
  var studyDate = "20261123"
  var studyTime = "073000"
  var modality = "CT"
  var number = 1
  var characterSet = "ISO_IR 192"
  var pixels = [UInt8](repeating: 7, count: 64)
  var omitted: Set<UInt32> = []

  init(_ number: Int, series: Int = 1, study: Int = 1) {
    self.number = number
    self.study = UID("1.2.752.99.\(study)")
    self.series = UID("1.2.752.99.\(study).\(series)")
    instance = UID("1.2.752.99.\(study).\(series).\(number)")
  }

  var dataSet: [UInt8] {
    var bytes: [UInt8] = []
    func put(_ tag: UInt32, _ vr: String, _ value: [UInt8]) {
      if omitted.contains(tag) { return }
      var value = value
      if value.count % 2 == 1 { value.append(vr == "UI" ? 0 : 0x20) }
      for part in [UInt16(tag >> 16), UInt16(truncatingIfNeeded: tag)] {
        bytes += [UInt8(truncatingIfNeeded: part), UInt8(part >> 8)]
      }
      bytes += Array(vr.utf8)
      if ["OW", "SQ", "UN", "OB"].contains(vr) {
        bytes += [0, 0] + (0..<4).map { UInt8(truncatingIfNeeded: value.count >> (8 * $0)) }
      } else {
        bytes += [UInt8(truncatingIfNeeded: value.count), UInt8(value.count >> 8)]
      }
      bytes += value
    }
    func text(_ tag: UInt32, _ vr: String, _ value: String) {
      put(
        tag, vr,
        characterSet == "ISO_IR 100"
          ? value.unicodeScalars.map { UInt8($0.value) } : Array(value.utf8))
    }
    text(0x0008_0005, "CS", characterSet)
    text(0x0008_0016, "UI", sopClass.value)
    text(0x0008_0018, "UI", instance.value)
    text(0x0008_0020, "DA", studyDate)
    text(0x0008_0030, "TM", studyTime)
    text(0x0008_0050, "SH", accession)
    text(0x0008_0060, "CS", modality)
    // A sequence of undefined length with an item of undefined length inside.
    bytes += [0x08, 0, 0x40, 0x11, 0x53, 0x51, 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]
    bytes += [0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]
    text(0x0008_1150, "UI", "1.2.3")
    bytes += [0xFE, 0xFF, 0x0D, 0xE0, 0, 0, 0, 0, 0xFE, 0xFF, 0xDD, 0xE0, 0, 0, 0, 0]
    // A large private value before what the index needs.
    put(0x0009_0010, "LO", Array("SYNCD TEST".utf8))
    put(0x0009_1001, "UN", [UInt8](repeating: 0xAA, count: 100_000))
    text(0x0010_0010, "PN", patientName)
    text(0x0010_0020, "LO", patientID)
    text(0x0020_000D, "UI", study.value)
    text(0x0020_000E, "UI", series.value)
    text(0x0020_0013, "IS", String(number))
    put(0x0028_0010, "US", [0, 2])
    put(0x0028_0011, "US", [0, 2])
    put(0x7FE0_0010, "OW", pixels)
    return bytes
  }
}

/// An archive in a directory of its own, and what it reported.
final class ArchiveFixture {
  let path: String
  private(set) var archive: EmbeddedArchive!
  private let recorder = Recorder()

  final class Recorder: Sendable {
    let events = Mutex<[ArchiveEvent]>([])
    let diskError = Mutex<Int32>(0)
  }

  var events: [ArchiveEvent] { recorder.events.withLock { $0 } }

  /// Makes the disk fail with an error number, or work again with 0.
  func setDiskError(_ code: Int32) { recorder.diskError.withLock { $0 = code } }

  var configuration: EmbeddedArchive.Configuration

  init(minimumFree: Int64 = 0, path: String? = nil) throws {
    if let path {
      self.path = path
    } else {
      var template = Array("/tmp/syncd-archive-XXXXXX".utf8CString)
      try #require(mkdtemp(&template) != nil)
      self.path = String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
    }
    configuration = .init(directory: self.path, minimumFree: minimumFree)
    try open()
  }

  deinit {
    archive?.close()
    archive = nil
    try? FileManager.default.removeItem(atPath: path)
  }

  func open() throws {
    recorder.events.withLock { $0 = [] }
    archive = try EmbeddedArchive.open(
      configuration,
      synchronize: { [recorder] descriptor in
        let injected = recorder.diskError.withLock { $0 }
        return injected != 0 ? injected : clinux_syncfs(descriptor) == 0 ? 0 : errno
      },
      report: { [recorder] event in recorder.events.withLock { $0.append(event) } })
  }

  func close() {
    archive?.close()
    archive = nil
  }

  static let association = AssociationInfo(
    id: 1, callingAE: "SECTRA", calledAE: "VGRSECTEMP", peerHost: "127.0.0.1")

  func request(
    _ object: SampleObject, _ syntax: TransferSyntax = .explicitVRLittleEndian
  ) -> StoreRequest {
    StoreRequest(
      association: Self.association, sopClass: object.sopClass, sopInstance: object.instance,
      transferSyntax: syntax)
  }

  @discardableResult
  func store(_ object: SampleObject) throws -> DIMSEStatus {
    try store(object.dataSet, request(object))
  }

  @discardableResult
  func store(_ bytes: [UInt8], _ request: StoreRequest) throws -> DIMSEStatus {
    let sink = try archive.beginStore(request)
    do {
      try Self.send(bytes, to: sink)
    } catch {
      sink.abort()
      throw error
    }
    return try sink.finish()
  }

  /// In pieces of uneven size, several a call, as they come from a network.
  static func send(_ bytes: [UInt8], to sink: any StoreSink) throws {
    var bytes = bytes
    try bytes.withUnsafeMutableBytes { buffer in
      var at = 0
      var size = 1
      while at < buffer.count {
        var vectors: [iovec] = []
        var count = 0
        for _ in 0..<3 where at < buffer.count {
          let length = min(size, buffer.count - at)
          vectors.append(iovec(iov_base: buffer.baseAddress! + at, iov_len: length))
          at += length
          count += length
          size = size * 3 + 1
        }
        try vectors.withUnsafeMutableBufferPointer {
          try sink.write(DataFragments(borrowing: $0, byteCount: count))
        }
      }
    }
  }

  func query(
    _ level: QueryLevel, _ keys: [(UInt32, VR, String)], model: InformationModel = .studyRoot
  ) -> QueryRequest {
    var identifier = DataSet()
    for (tag, vr, value) in keys {
      var bytes = Array(value.utf8)
      if bytes.count % 2 == 1 { bytes.append(vr.padding) }
      identifier.set(DataElement(Tag(packed: tag), vr, .bytes(bytes)))
    }
    return QueryRequest(
      association: Self.association, model: model, level: level, identifier: identifier)
  }

  func find(
    _ level: QueryLevel, _ keys: [(UInt32, VR, String)], model: InformationModel = .studyRoot
  ) throws -> [DataSet] {
    var answers: [DataSet] = []
    try archive.find(query(level, keys, model: model)) {
      answers.append($0)
      return true
    }
    return answers
  }

  /// The data set of a stored object's file.
  func storedDataSet(_ object: SampleObject) throws -> [UInt8] {
    try Self.dataSet(inFile: archive.path(of: object.instance))
  }

  static func dataSet(inFile path: String) throws -> [UInt8] {
    let bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
    let header = try #require(ArchiveFileHeader.decode(bytes[...]))
    #expect(header.dataSetLength == bytes.count - header.dataSetOffset)
    return Array(bytes[header.dataSetOffset...])
  }

  func files(_ folder: String) -> [String] {
    (FileManager.default.enumerator(atPath: path + "/" + folder)?.allObjects as? [String] ?? [])
      .filter { $0.hasSuffix(".dcm") || $0.hasSuffix(".tmp") }.sorted()
  }
}

extension DataSet {
  func text(_ tag: UInt32) -> String? {
    guard case .bytes(let bytes)? = self[Tag(packed: tag)]?.value else { return nil }
    return AttributeMatching.trimmed(String(decoding: bytes, as: UTF8.self))
  }
}
