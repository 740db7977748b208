import Glibc
import Platform
import TestSupport
import Testing

@testable import DICOM

/// Files that are cut off, changed in a few bytes, or made to cost as much as they can.
@Suite("Damaged and costly files")
struct DamagedFilesTests {
  /// The bytes of all values: what reading holds of a file, beside the elements themselves.
  private func held(_ dataSet: DataSet) -> (bytes: Int, elements: Int) {
    dataSet.elements.reduce(into: (0, 0)) { sum, element in
      sum.1 += 1
      switch element.value {
      case .bytes(let bytes): sum.0 += bytes.count
      case .fragments(let fragments):
        sum.0 += fragments.reduce(0) { $0 + $1.count }
        sum.1 += fragments.count
      case .items(let items):
        for item in items {
          let inner = held(item)
          sum.0 += inner.bytes
          sum.1 += inner.elements + 1
        }
      }
    }
  }

  @Test(
    "All of pydicom's files are looked at, and none holds more than its size when read",
    .needs(.python("pydicom")))
  func heldMemory() throws {
    let files = try PydicomDump.files()
    // Those that pip installs; the larger ones pydicom would fetch when asked for.
    #expect(files.count >= 190, "\(files.count) files")
    #expect(files.count { $0.contains("/charset_files/") } >= 15)
    for path in files {
      guard let file = try? Part10File.open(path, missing: .guess),
        let dataSet = try? file.dataSet(), !file.transferSyntax.isDeflated
      else { continue }
      let (bytes, elements) = held(dataSet)
      #expect(bytes <= file.dataSetLength, "\(path)")
      // An element has a header of eight bytes at least.
      #expect(elements * 8 + bytes <= file.dataSetLength, "\(path)")
    }
  }

  @Test(
    "Cut off or changed anywhere, a real file is read or refused with a reason, and never traps",
    .needs(.python("pydicom")))
  func damaged() throws {
    var random = SeededGenerator(seed: 20)
    var (read, refused) = (0, 0)
    for path in try PydicomDump.files() {
      let whole = try FileDescriptor.contents(of: path, atMost: 1 << 22)
      guard (16..<20_000).contains(whole.count) else { continue }
      for round in 0..<4 {
        var bytes = whole
        if round % 4 == 3 {
          bytes.removeLast(Int.random(in: 1..<bytes.count, using: &random))
        } else {
          // Near the front, where the structure is.
          let reach = round % 2 == 0 ? min(bytes.count, 1500) : bytes.count
          for _ in 0...round {
            bytes[Int.random(in: 0..<reach, using: &random)] = [
              0, 0xFF, 0xFE, .random(in: 0...255, using: &random),
            ].randomElement(using: &random)!
          }
        }
        let limits = DecodingLimits(maximumInflatedBytes: 1 << 22)
        do throws(DataSetError) {
          guard
            case .header(let header) = try FileHeader.decode(bytes, isWhole: true, missing: .guess)
          else {
            Issue.record("\(path): more is asked for than there is")
            continue
          }
          let dataSet = try DataSet(
            decoding: bytes[header.dataSetOffset...], as: header.transferSyntax, limits: limits)
          if !header.transferSyntax.isDeflated { #expect(held(dataSet).bytes <= bytes.count) }
          read += 1
        } catch {
          // The reason says what and where.
          #expect(error.description.count > 10, "\(path): \(error)")
          refused += 1
        }
      }
    }
    #expect(read > 100 && refused > 100, "\(read) read, \(refused) refused")
  }

  @Test("Lengths and depths that promise much cost nothing before it has come")
  func promises() throws {
    func expect(_ wire: String, _ syntax: TransferSyntax = .explicitVRLittleEndian) {
      let before = MonotonicTime.now
      #expect(throws: DataSetError.self) { try DataSet(decoding: bytes(wire), as: syntax) }
      #expect(MonotonicTime.now - before < .seconds(1))
    }
    expect("E0 7F 10 00 4F 57 00 00 FE FF FF FF 00 00")
    expect("E0 7F 10 00 4F 42 00 00 FF FF FF FF FE FF 00 E0 FE FF FF FF")
    expect("08 00 40 11 53 51 00 00 FE FF FF FF FE FF 00 E0 FE FF FF FF")
    expect("08 00 18 00 FE FF FF 7F 31", .implicitVRLittleEndian)

    // A sequence in a sequence in a sequence, without end.
    let level = bytes("08 00 40 11 53 51 00 00 FF FF FF FF FE FF 00 E0 FF FF FF FF")
    let deep = Array(repeatElement(level, count: 100_000).joined())
    #expect {
      try DataSet(decoding: deep, as: .explicitVRLittleEndian)
    } throws: {
      if case .nestedTooDeeply? = ($0 as? DataSetError)?.reason { true } else { false }
    }
    var scanner = HeaderScanner(.explicitVRLittleEndian, wanted: [], through: .pixelData)
    #expect(throws: DataSetError.self) { try scanner.push(deep) }
  }

  @Test("Reading takes a few times the size of what is read, at the worst")
  func worstCase() throws {
    // Elements of the least size: eight bytes of header and two of value, each an array of its own.
    let count = 1_500_000
    var data: [UInt8] = []
    data.reserveCapacity(count * 10)
    for index in 0..<count {
      let group = UInt16(0x0009 + 2 * (index >> 16))
      data += [
        UInt8(truncatingIfNeeded: group), UInt8(group >> 8), UInt8(truncatingIfNeeded: index),
        UInt8(truncatingIfNeeded: index >> 8), 0x55, 0x53, 2, 0, 1, 0,
      ]
    }
    // Other tests run beside: the bound is wide enough for them.
    try #require(Memory.resetPeak())
    let before = Memory.resident()
    let dataSet = try DataSet(decoding: data, as: .explicitVRLittleEndian)
    let used = Memory.peak() - before
    #expect(dataSet.elements.count == count)
    #expect(used < 16 * data.count, "\(used >> 20) MiB for \(data.count >> 20) MiB")
  }
}

/// The memory of this process, as the kernel counts it.
private enum Memory {
  /// Has the peak counted from now on.
  static func resetPeak() -> Bool {
    guard let file = try? FileDescriptor.open("/proc/self/clear_refs", O_WRONLY) else {
      return false
    }
    return write(file.raw, "5", 1) == 1
  }

  static func resident() -> Int { field("VmRSS:") }
  static func peak() -> Int { field("VmHWM:") }

  private static func field(_ name: String) -> Int {
    guard let bytes = try? FileDescriptor.contents(of: "/proc/self/status", atMost: 1 << 20) else {
      return 0
    }
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n")
    where line.hasPrefix(name) {
      return (line.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
    }
    return 0
  }
}
