/// How a data set is encoded (PS3.5 section 10 and annex A).
public struct TransferSyntax: Hashable, Sendable, CustomStringConvertible {
  public let uid: UID

  public init(_ uid: UID) { self.uid = uid }

  public static let implicitVRLittleEndian = TransferSyntax("1.2.840.10008.1.2")
  public static let explicitVRLittleEndian = TransferSyntax("1.2.840.10008.1.2.1")
  public static let deflatedExplicitVRLittleEndian = TransferSyntax("1.2.840.10008.1.2.1.99")
  public static let explicitVRBigEndian = TransferSyntax("1.2.840.10008.1.2.2")

  /// Implicit VR is the one exception; every other transfer syntax names each VR.
  public var isExplicitVR: Bool { self != .implicitVRLittleEndian }
  public var isBigEndian: Bool { self == .explicitVRBigEndian }
  /// The whole data set is a raw deflate stream (PS3.5 annex A.5).
  public var isDeflated: Bool {
    self == .deflatedExplicitVRLittleEndian || uid == "1.2.840.10008.1.2.8.1"
  }
  /// Pixel data is a sequence of fragments (PS3.5 annex A.4).
  public var isEncapsulated: Bool {
    switch self {
    case .implicitVRLittleEndian, .explicitVRLittleEndian, .deflatedExplicitVRLittleEndian,
      .explicitVRBigEndian:
      false
    default: true
    }
  }

  public var description: String { uid.value }
}
