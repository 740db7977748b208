/// File Meta Information, group 0002 (PS3.10 section 7.1).
public struct FileMetaInformation: Equatable, Sendable {
  public var mediaStorageSOPClass: UID?
  public var mediaStorageSOPInstance: UID?
  public var transferSyntax: TransferSyntax?
  /// Of the software that wrote the file.
  public var implementationClass: UID?
  /// At most 16 characters.
  public var implementationVersionName: String?
  /// Of the application that the file's content came from; at most 16 characters.
  public var sourceAETitle: String?
  /// Elements of the group that have no property here.
  public var others: [DataElement] = []

  /// The meta information of an object that this software writes.
  public init(
    sopClass: UID, sopInstance: UID, transferSyntax: TransferSyntax, sourceAETitle: String? = nil,
    identity: ImplementationIdentity = .ours
  ) {
    mediaStorageSOPClass = sopClass
    mediaStorageSOPInstance = sopInstance
    self.transferSyntax = transferSyntax
    self.sourceAETitle = sourceAETitle
    implementationClass = identity.classUID
    implementationVersionName = identity.version
  }

  /// From the elements of group 0002; those that are missing stay nil.
  public init(_ group: DataSet) {
    mediaStorageSOPClass = group.uid(.mediaStorageSOPClassUID)
    mediaStorageSOPInstance = group.uid(.mediaStorageSOPInstanceUID)
    transferSyntax = group.uid(.transferSyntaxUID).map(TransferSyntax.init)
    implementationClass = group.uid(.implementationClassUID)
    implementationVersionName = group.string(.implementationVersionName)
    sourceAETitle = group.string(.sourceApplicationEntityTitle)
    let known: Set<Tag> = [
      .fileMetaInformationGroupLength, .fileMetaInformationVersion, .mediaStorageSOPClassUID,
      .mediaStorageSOPInstanceUID, .transferSyntaxUID, .implementationClassUID,
      .implementationVersionName, .sourceApplicationEntityTitle,
    ]
    others = group.elements.filter { !known.contains($0.tag) }
  }

  /// The elements of group 0002, group length and version 1 included.
  public func dataSet() throws(DataSetError) -> DataSet {
    var group = DataSet()
    group.set(.fileMetaInformationGroupLength, uint32: 0)
    group.setBytes(.fileMetaInformationVersion, .OB, [0, 1])
    if let uid = mediaStorageSOPClass { group.set(.mediaStorageSOPClassUID, uid) }
    if let uid = mediaStorageSOPInstance { group.set(.mediaStorageSOPInstanceUID, uid) }
    if let syntax = transferSyntax { group.set(.transferSyntaxUID, syntax.uid) }
    if let uid = implementationClass { group.set(.implementationClassUID, uid) }
    if let name = implementationVersionName { try group.set(.implementationVersionName, name) }
    if let title = sourceAETitle { try group.set(.sourceApplicationEntityTitle, title) }
    for element in others { group.set(element) }
    return group
  }

  /// What a file starts with: preamble of zeros, `DICM` and the meta information. The data set in
  /// the transfer syntax follows.
  public func encodedFileHeader() throws(DataSetError) -> [UInt8] {
    let group = try dataSet().encoded(as: .explicitVRLittleEndian)
    return [UInt8](repeating: 0, count: 128) + "DICM".utf8 + group
  }
}
