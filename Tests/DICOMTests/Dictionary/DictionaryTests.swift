import FoundationEssentials
import TestSupport
import Testing

@testable import DICOM

@Suite("Data dictionary")
struct DictionaryTests {
  @Test("finds elements at both ends, in repeating groups and by keyword")
  func lookup() {
    #expect(DataDictionary.entry(.accessionNumber)?.keyword == "AccessionNumber")
    #expect(DataDictionary.tags.allSatisfy { DataDictionary.entry($0) != nil })
    #expect(DataDictionary.tags.count > 5_000)
    #expect(DataDictionary.entry(Tag(0x6002, 0x3000))?.vrs == [.OB, .OW])
    #expect(DataDictionary.entry(Tag(0x0020, 0x3142))?.keyword == "SourceImageIDs")
    #expect(DataDictionary.entry(Tag(0x0009, 0x1001)) == nil)
    #expect(DataDictionary.entry(Tag(0x0008, 0x9FFF)) == nil)
    #expect(DataDictionary.vr(Tag(0x0009, 0x0010)) == .LO)
    #expect(DataDictionary.vr(Tag(0x0008, 0x0000)) == .UL)
    #expect(Tag(keyword: "PatientName") == .patientName)
    #expect(Tag(keyword: "Name") == nil)
  }

  private struct Known: Decodable {
    let vr: String
    let vm: String
    let isRetired: Bool
    let keyword: String

    init(from decoder: any Decoder) throws {
      var parts = try decoder.unkeyedContainer()
      vr = try parts.decode(String.self)
      vm = try parts.decode(String.self)
      _ = try parts.decode(String.self)
      isRetired = try parts.decode(String.self) == "Retired"
      keyword = try parts.decode(String.self)
    }
  }

  private func known(_ expression: String) throws -> Data {
    let script = """
      import json
      from pydicom._dicom_dict import DicomDictionary as elements, RepeatersDictionary as repeaters
      from pydicom._uid_dict import UID_dictionary as uids
      print(json.dumps(\(expression)))
      """
    let result = try ChildProcess.run(Peers.python, ["-c", script])
    return Data(result.standardOutput.utf8)
  }

  /// Where the editions of the standard differ, ours being the newer.
  private static let differences: [String: String] = [
    "00102160": "EthnicGroup is retired since",
    "003A0320": "pydicom's keyword lacks Sequence",
    "003A0325": "pydicom's keyword lacks Sequence",
    "30040012": "DoseValue is no longer retired",
  ]

  @Test(
    "agrees with pydicom's, which is made from the standard's own text", .needs(.python("pydicom")))
  func comparison() throws {
    let known = try JSONDecoder().decode(
      [String: Known].self, from: known("{f'{t:08X}': e for t, e in elements.items()}"))
    #expect(known.count > 5_000)
    var differing: Set<String> = []
    for (number, entry) in known {
      // Reserved or without a keyword, or items, which have no VR.
      if entry.keyword.isEmpty || entry.vr == "NONE" { continue }
      let tag = Tag(packed: UInt32(number, radix: 16)!)
      guard let ours = DataDictionary.entry(tag) else {
        Issue.record("\(tag) \(entry.keyword) is missing")
        continue
      }
      if ours.vrs.map(\.rawValue).joined(separator: " or ") != entry.vr || ours.vm != entry.vm
        || ours.isRetired != entry.isRetired || ours.keyword != entry.keyword
      {
        differing.insert(number)
        if Self.differences[number] == nil { Issue.record("\(tag): \(ours), pydicom \(entry)") }
      }
    }
    #expect(differing.isSubset(of: Self.differences.keys))
  }

  @Test("repeating groups agree with pydicom's", .needs(.python("pydicom")))
  func repeating() throws {
    let known = try JSONDecoder().decode([String: Known].self, from: known("repeaters"))
    #expect(known.count > 70)
    for (mask, entry) in known {
      // Even digits keep the groups even.
      let number = mask.replacing("x", with: "2")
      let tag = Tag(packed: UInt32(number, radix: 16)!)
      let ours = try #require(DataDictionary.entry(tag), "\(mask)")
      #expect(ours.vrs.map(\.rawValue).joined(separator: " or ") == entry.vr, "\(mask)")
      #expect(ours.vm == entry.vm, "\(mask)")
      #expect(ours.keyword == entry.keyword, "\(mask)")
      #expect(ours.isRetired == entry.isRetired, "\(mask)")
    }
  }

  @Test("the UID registry has every UID of pydicom's by name", .needs(.python("pydicom")))
  func uids() throws {
    let known = try JSONDecoder().decode(
      [String: String].self, from: known("{u: e[0] for u, e in uids.items()}"))
    for (uid, name) in known where !name.isEmpty {
      let ours = try #require(UID(uid).name, "\(uid)")
      #expect(name.hasPrefix(ours), "\(uid)")
    }
    #expect(UIDRegistry.entries.count > 450)
  }

  @Test("storage classes are those of pynetdicom, and retired ones", .needs(.python("pynetdicom")))
  func storage() throws {
    let script = """
      import json
      from pynetdicom.sop_class import _STORAGE_CLASSES as s
      print(json.dumps(list(s.values())))
      """
    let result = try ChildProcess.run(Peers.python, ["-c", script])
    let known = try JSONDecoder().decode([String].self, from: Data(result.standardOutput.utf8))
    #expect(known.count > 150)
    #expect(Set(known.map { UID($0) }).isSubset(of: SOPClass.storage()))
    #expect(SOPClass.isStorage(SOPClass.ctImageStorage))
    #expect(!SOPClass.isStorage(SOPClass.studyRootFind))
    #expect(!SOPClass.isStorage(SOPClass.storageCommitmentPushModel))
    #expect(SOPClass.storage(includingRetired: false).count < SOPClass.storage().count)
    #expect(TransferSyntax.all().contains(.explicitVRBigEndian))
    #expect(!TransferSyntax.all(includingRetired: false).contains(.explicitVRBigEndian))
  }
}
