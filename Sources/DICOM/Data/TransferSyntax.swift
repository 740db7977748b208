/// How a data set is encoded (PS3.5 section 10 and annex A).
public struct TransferSyntax: Hashable, Sendable, CustomStringConvertible {
  public let uid: UID

  public init(_ uid: UID) { self.uid = uid }

  public static let implicitVRLittleEndian = TransferSyntax("1.2.840.10008.1.2")
  public static let explicitVRLittleEndian = TransferSyntax("1.2.840.10008.1.2.1")
  public static let deflatedExplicitVRLittleEndian = TransferSyntax("1.2.840.10008.1.2.1.99")
  public static let explicitVRBigEndian = TransferSyntax("1.2.840.10008.1.2.2")

  /// Whether elements name their VR. Of the standard's transfer syntaxes all do but one; the two
  /// others are Papyrus 3 (retired) and a manufacturer's that swaps only the pixels.
  public var isExplicitVR: Bool {
    switch uid.value {
    case "1.2.840.10008.1.2", "1.2.840.10008.1.20", "1.2.840.113619.5.2": false
    default: true
    }
  }

  public var isBigEndian: Bool { self == .explicitVRBigEndian }

  /// The whole data set is a raw deflate stream (PS3.5 annex A.5; JPIP with deflate likewise).
  public var isDeflated: Bool {
    switch uid.value {
    case "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205": true
    default: false
    }
  }

  /// Pixel data is a sequence of fragments (PS3.5 annex A.4).
  public var isEncapsulated: Bool {
    switch uid.value {
    case "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99",
      "1.2.840.10008.1.2.2", "1.2.840.10008.1.20", "1.2.840.113619.5.2",
      // JPIP: the pixels are elsewhere.
      "1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.204",
      "1.2.840.10008.1.2.4.205":
      false
    default: true
    }
  }

  public var description: String { uid.value }
}
