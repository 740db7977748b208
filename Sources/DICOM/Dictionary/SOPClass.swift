/// The registry of unique identifiers (PS3.6 annex A).
public enum UIDRegistry {
  public enum Kind: Sendable {
    case storageSOPClass, otherSOPClass, metaSOPClass, transferSyntax, other
  }

  public struct Entry: Equatable, Sendable {
    public let uid: UID
    public let kind: Kind
    public let keyword: String?
    public let name: String
    public let isRetired: Bool

    fileprivate init?(uid: UID, _ words: some StringProtocol) {
      let words = words.split(separator: " ", maxSplits: 2)
      guard words.count == 3 else { return nil }
      self.uid = uid
      kind =
        switch words[0].first {
        case "S": .storageSOPClass
        case "C": .otherSOPClass
        case "M": .metaSOPClass
        case "T": .transferSyntax
        default: .other
        }
      isRetired = words[0].hasSuffix("!")
      keyword = words[1] == "-" ? nil : String(words[1])
      name = String(words[2])
    }
  }

  public static func entry(_ uid: UID) -> Entry? {
    table.line(uid.value.utf8).flatMap { Entry(uid: uid, $0) }
  }

  /// Every entry, ordered by UID as text.
  public static var entries: [Entry] {
    var all: [Entry] = []
    table.forEach { line in
      guard let space = line.firstIndex(of: " ") else { return }
      let uid = UID(String(line[..<space]))
      if let entry = Entry(uid: uid, line[line.index(after: space)...]) { all.append(entry) }
    }
    return all
  }

  private static let table = SortedTable(uidTable)
}

/// SOP classes by name (PS3.4 annex B and others).
public enum SOPClass {
  public static let verification: UID = "1.2.840.10008.1.1"
  public static let storageCommitmentPushModel: UID = "1.2.840.10008.1.20.1"
  /// The one instance of the class, to which every N-ACTION is addressed.
  public static let storageCommitmentPushModelInstance: UID = "1.2.840.10008.1.20.1.1"
  public static let patientRootFind: UID = "1.2.840.10008.5.1.4.1.2.1.1"
  public static let patientRootMove: UID = "1.2.840.10008.5.1.4.1.2.1.2"
  public static let patientRootGet: UID = "1.2.840.10008.5.1.4.1.2.1.3"
  public static let studyRootFind: UID = "1.2.840.10008.5.1.4.1.2.2.1"
  public static let studyRootMove: UID = "1.2.840.10008.5.1.4.1.2.2.2"
  public static let studyRootGet: UID = "1.2.840.10008.5.1.4.1.2.2.3"
  public static let modalityWorklistFind: UID = "1.2.840.10008.5.1.4.31"
  public static let ctImageStorage: UID = "1.2.840.10008.5.1.4.1.1.2"
  public static let mrImageStorage: UID = "1.2.840.10008.5.1.4.1.1.4"
  public static let secondaryCaptureImageStorage: UID = "1.2.840.10008.5.1.4.1.1.7"
  public static let keyObjectSelectionDocumentStorage: UID = "1.2.840.10008.5.1.4.1.1.88.59"

  /// The storage SOP classes of the current standard and, if asked, the retired ones that
  /// archives still hold.
  public static func storage(includingRetired: Bool = true) -> [UID] {
    UIDRegistry.entries.filter { entry in
      entry.kind == .storageSOPClass && (includingRetired || !entry.isRetired)
    }.map(\.uid)
  }

  /// Whether objects of this class are stored with C-STORE, as far as the registry knows it.
  public static func isStorage(_ uid: UID) -> Bool {
    UIDRegistry.entry(uid)?.kind == .storageSOPClass
  }
}

extension UID {
  /// The registered name, such as `CT Image Storage`; nil if not of the standard.
  public var name: String? { UIDRegistry.entry(self)?.name }
}

extension TransferSyntax {
  /// The transfer syntaxes of the standard, for negotiation as an acceptor of everything.
  public static func all(includingRetired: Bool = true) -> [TransferSyntax] {
    UIDRegistry.entries.filter { entry in
      entry.kind == .transferSyntax && (includingRetired || !entry.isRetired)
    }.map { TransferSyntax($0.uid) }
  }
}
