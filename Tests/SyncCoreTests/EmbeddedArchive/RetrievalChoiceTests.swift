import DICOM
import Testing

@testable import SyncCore

@Suite("The transfer syntax for a C-GET, of several")
struct RetrievalChoiceTests {
  private static let jpeg = TransferSyntax("1.2.840.10008.1.2.4.50")
  private static let rle = TransferSyntax("1.2.840.10008.1.2.5")

  private func choice(
    _ counts: [TransferSyntax: Int], _ proposed: TransferSyntax...
  ) -> TransferSyntax? {
    RetrievalChoice.choose(counts, "1.2.840.10008.5.1.4.1.1.2", proposed)
  }

  @Test("is the one in which most of what is stored can be sent")
  func most() {
    let (jpeg, rle) = (Self.jpeg, Self.rle)
    let plain: [TransferSyntax: Int] = [.explicitVRLittleEndian: 3, .implicitVRLittleEndian: 3]
    #expect(choice(plain, jpeg, .implicitVRLittleEndian) == .implicitVRLittleEndian)
    // Uncompressed ones count together, as they can be written anew.
    let mixed = plain.merging([jpeg: 5]) { $1 }
    #expect(
      choice(mixed, jpeg, .implicitVRLittleEndian, .explicitVRLittleEndian)
        == .explicitVRLittleEndian)
    #expect(
      choice([jpeg: 7, .explicitVRLittleEndian: 6], rle, .explicitVRLittleEndian, jpeg) == jpeg)
    #expect(choice([jpeg: 7], rle, jpeg) == jpeg)
  }

  @Test("is the requestor's first where nothing speaks for another")
  func nothing() {
    let (jpeg, rle) = (Self.jpeg, Self.rle)
    #expect(choice([:], rle, jpeg) == rle)
    #expect(choice([:], jpeg, .implicitVRLittleEndian) == jpeg)
    #expect(choice([:], .implicitVRLittleEndian, jpeg) == .implicitVRLittleEndian)
    #expect(choice([:]) == nil)
  }
}
