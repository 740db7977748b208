import Glibc
import Platform

// What an application implements to serve DICOM: the library does the associations, the messages
// and the C-MOVE sub-operations. Every call comes on the association's own thread, so blocking in
// it stops that peer and no other.

/// The association a request came on.
public struct AssociationInfo: Hashable, Sendable {
  /// Unique within the process.
  public let id: UInt64
  public let callingAE: String
  public let calledAE: String
  /// The peer's numeric address, without the port.
  public let peerHost: String
  public let peerImplementationClass: UID?
  public let peerImplementationVersion: String?

  public init(
    id: UInt64, callingAE: String, calledAE: String, peerHost: String,
    peerImplementationClass: UID? = nil, peerImplementationVersion: String? = nil
  ) {
    self.id = id
    self.callingAE = callingAE
    self.calledAE = calledAE
    self.peerHost = peerHost
    self.peerImplementationClass = peerImplementationClass
    self.peerImplementationVersion = peerImplementationVersion
  }
}

/// A C-STORE request before its data set (PS3.7 section 9.1.1).
public struct StoreRequest: Sendable {
  public let association: AssociationInfo
  /// Affected SOP Class UID (0000,0002), as the peer claims it.
  public let sopClass: UID
  /// Affected SOP Instance UID (0000,1000), as the peer claims it. Syntactically valid.
  public let sopInstance: UID
  /// How the data set that follows is encoded.
  public let transferSyntax: TransferSyntax
  /// Who asked for the C-MOVE this store is part of, if any.
  public let moveOriginator: MoveOriginator?

  public init(
    association: AssociationInfo, sopClass: UID, sopInstance: UID, transferSyntax: TransferSyntax,
    moveOriginator: MoveOriginator? = nil
  ) {
    self.association = association
    self.sopClass = sopClass
    self.sopInstance = sopInstance
    self.transferSyntax = transferSyntax
    self.moveOriginator = moveOriginator
  }
}

/// Who asked for the C-MOVE that a C-STORE is a sub-operation of: (0000,1030) and (0000,1031).
public struct MoveOriginator: Hashable, Sendable {
  public let aeTitle: String
  public let messageID: UInt16

  public init(aeTitle: String, messageID: UInt16) {
    self.aeTitle = aeTitle
    self.messageID = messageID
  }
}

/// Takes objects (the Storage service class, PS3.4 annex B).
public protocol StorageProvider: Sendable {
  /// Called when the command has come, before the data set. Throwing refuses the object: its data
  /// set is read and thrown away, and the failure is the response.
  func beginStore(_ request: StoreRequest) throws(ServiceFailure) -> any StoreSink

  /// The association is over, whichever way. The default does nothing.
  func associationEnded(_ association: AssociationInfo)
}

extension StorageProvider {
  public func associationEnded(_ association: AssociationInfo) {}
}

/// Where one object's data set goes. Used by one thread. Exactly one of ``finish()`` and
/// ``abort()`` ends it.
public protocol StoreSink: AnyObject {
  /// The next bytes of the data set, straight from the receive buffer and valid only during the
  /// call. Throwing gives up: ``abort()`` follows, and the failure is the response.
  func write(_ fragments: DataFragments) throws(ServiceFailure)

  /// The file that the next bytes belong into, at its position, where they may get there without
  /// passing through this process; nil where they have to be written. The default is nil.
  var file: Int32? { get }

  /// Bytes have been moved into ``file``.
  /// - Parameter error: why not all of them got there. The default throws it as A700.
  func moved(_ count: Int, _ error: SystemError?) throws(ServiceFailure)

  /// The data set is whole. Returns when the object is stored; a success or a warning status.
  /// Throwing is a failure response; ``abort()`` does not follow.
  func finish() throws(ServiceFailure) -> DIMSEStatus

  /// The object will not be completed: the peer is gone, or ``write(_:)`` threw.
  func abort()
}

extension StoreSink {
  public var file: Int32? { nil }

  public func moved(_ count: Int, _ error: SystemError?) throws(ServiceFailure) {
    if let error { throw ServiceFailure(.outOfResources, "cannot write: \(error.name)") }
  }
}

/// Consecutive bytes of a data set that lie in several pieces of memory.
/// Valid only during the call that got them.
public struct DataFragments {
  /// The pieces, ready for writev(2). The receiver may change the vectors on its way through them.
  public let vectors: UnsafeMutableBufferPointer<iovec>
  /// The bytes of all pieces together.
  public let byteCount: Int
  /// The data set ends with them. It may also end without having said so.
  public let isLast: Bool

  public init(
    borrowing vectors: UnsafeMutableBufferPointer<iovec>, byteCount: Int, isLast: Bool = false
  ) {
    self.vectors = vectors
    self.byteCount = byteCount
    self.isLast = isLast
  }
}

/// The information models of Query/Retrieve (PS3.4 annex C) and of worklists (annex K).
public struct InformationModel: Hashable, Sendable {
  public let findClass: UID
  public let moveClass: UID?
  public let getClass: UID?
  public let name: String

  public init(findClass: UID, moveClass: UID?, getClass: UID? = nil, name: String) {
    self.findClass = findClass
    self.moveClass = moveClass
    self.getClass = getClass
    self.name = name
  }

  public static let patientRoot = InformationModel(
    findClass: "1.2.840.10008.5.1.4.1.2.1.1", moveClass: "1.2.840.10008.5.1.4.1.2.1.2",
    getClass: "1.2.840.10008.5.1.4.1.2.1.3", name: "Patient Root")
  public static let studyRoot = InformationModel(
    findClass: "1.2.840.10008.5.1.4.1.2.2.1", moveClass: "1.2.840.10008.5.1.4.1.2.2.2",
    getClass: "1.2.840.10008.5.1.4.1.2.2.3", name: "Study Root")
  /// Retired, and still what some workstations ask with. It ends at the STUDY level.
  public static let patientStudyOnly = InformationModel(
    findClass: "1.2.840.10008.5.1.4.1.2.3.1", moveClass: "1.2.840.10008.5.1.4.1.2.3.2",
    getClass: "1.2.840.10008.5.1.4.1.2.3.3", name: "Patient/Study Only")
  public static let modalityWorklist = InformationModel(
    findClass: "1.2.840.10008.5.1.4.31", moveClass: nil, name: "Modality Worklist")

  public static let known: [InformationModel] = [
    .patientRoot, .studyRoot, .patientStudyOnly, .modalityWorklist,
  ]

  /// The model that one of its three SOP classes belongs to.
  static func of(_ sopClass: UID) -> InformationModel? {
    known.first {
      $0.findClass == sopClass || $0.moveClass == sopClass || $0.getClass == sopClass
    }
  }
}

/// Query/Retrieve Level (0008,0052).
public enum QueryLevel: String, Sendable, CaseIterable {
  case patient = "PATIENT"
  case study = "STUDY"
  case series = "SERIES"
  case image = "IMAGE"
}

/// A C-FIND, C-MOVE or C-GET request with its identifier (PS3.4 section C.4).
public struct QueryRequest: Sendable {
  public let association: AssociationInfo
  public let model: InformationModel
  /// Nil for a worklist, which has no levels.
  public let level: QueryLevel?
  public let identifier: DataSet

  public init(
    association: AssociationInfo, model: InformationModel, level: QueryLevel?, identifier: DataSet
  ) {
    self.association = association
    self.model = model
    self.level = level
    self.identifier = identifier
  }
}

/// Answers C-FIND.
public protocol QueryProvider: Sendable {
  /// Calls `emit` with each match, in the provider's order. `emit` returns false when the peer
  /// cancelled or is gone: then return. Returning is the final success; throwing the final failure,
  /// also after some matches.
  func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure)
}

/// Tells what a C-MOVE or C-GET means. The library then sends the objects itself.
public protocol RetrieveProvider: Sendable {
  /// The objects the identifier names. An empty list is a success with no sub-operations.
  func plan(_ request: QueryRequest) throws(ServiceFailure) -> [StoredInstance]

  /// Called before each sub-operation, on the association's thread: a place to wait, so that the
  /// destination or the disk is not overrun. The default does nothing.
  func willSend(_ instance: StoredInstance)
}

extension RetrieveProvider {
  public func willSend(_ instance: StoredInstance) {}
}

/// An object in a file, with all it takes to send it without reading it.
public struct StoredInstance: Hashable, Sendable {
  public let sopClass: UID
  public let sopInstance: UID
  public let transferSyntax: TransferSyntax
  public let path: String
  /// Where in the file the data set starts, after the preamble and the File Meta Information.
  public let dataSetOffset: Int
  /// The bytes of the data set.
  public let dataSetLength: Int

  public init(
    sopClass: UID, sopInstance: UID, transferSyntax: TransferSyntax, path: String,
    dataSetOffset: Int, dataSetLength: Int
  ) {
    self.sopClass = sopClass
    self.sopInstance = sopInstance
    self.transferSyntax = transferSyntax
    self.path = path
    self.dataSetOffset = dataSetOffset
    self.dataSetLength = dataSetLength
  }
}
