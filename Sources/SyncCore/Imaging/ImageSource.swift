import DICOM
import Platform

/// A peer that holds the originals: the SECTRA or AGFA PACS.
///
/// Calls block, and may come from several worker threads at once.
public protocol ImageSource: Sendable {
  /// The peer's name in the configuration.
  var name: String { get }

  /// The studies under an examination number (Accession Number). More than one is for the caller to
  /// refuse.
  func studies(number: String, stop: Gate) throws(ImageSourceError) -> [UID]

  /// Every object of a study, by SERIES and IMAGE level queries: a count attribute proves nothing.
  func objects(of study: UID, stop: Gate) throws(ImageSourceError) -> [ImageObject]

  /// Has the source send objects of a study to the archive.
  /// - Parameters:
  ///   - missing: the objects wanted, all of one study.
  ///   - isWholeStudy: the archive has nothing of the study yet.
  ///   - progress: called with the number of objects sent so far.
  /// - Returns: what the source said that went wrong; nil when it said that all went well. Either
  ///   way only an enumeration of the archive tells what has arrived.
  func retrieve(
    study: UID, missing: [ImageObject], isWholeStudy: Bool, stop: Gate,
    progress: (Int) -> Void
  ) throws(ImageSourceError) -> ImageReason?
}

/// One object as a query tells of it.
public struct ImageObject: Hashable, Sendable {
  public var sopInstance: UID
  public var series: UID
  /// A key object selection that withdraws others (a rejection note): it is not part of what a
  /// recipient shall get, so it does not count.
  public var isRejectionNote: Bool
  /// Where the query asked for it and was answered.
  public var sopClass: UID?

  public init(
    sopInstance: UID, series: UID, isRejectionNote: Bool = false, sopClass: UID? = nil
  ) {
    self.sopInstance = sopInstance
    self.series = series
    self.isRejectionNote = isRejectionNote
    self.sopClass = sopClass
  }
}

/// Why a source gave no answer that can be relied upon.
public struct ImageSourceError: Error, Hashable, Sendable {
  public var code: ImageReason.Code
  public var text: String
  /// The peer as a whole does not work: no use in asking it for the next examination at once.
  public var isPeerDown: Bool

  public init(_ code: ImageReason.Code, _ text: String, isPeerDown: Bool) {
    self.code = code
    self.text = text
    self.isPeerDown = isPeerDown
  }
}

/// The archive (VGRSECTEMP), as the comparison needs it.
public protocol ImageArchive: Sendable {
  /// The objects of a study that are safely stored: their bytes and their index are on the disk.
  func storedObjects(of study: UID) throws -> [ImageObject]

  /// The studies it holds under an examination number.
  func storedStudies(number: String) throws -> [UID]

  /// What the images of a study say of the patient; nil where there are none.
  func patient(of study: UID) throws -> ArchivedPatient?

  /// Why it takes no objects at the moment (a full disk); nil when it does.
  var refusal: String? { get }

  /// Whether its answers come over the network, and are to be waited for elsewhere than on a thread
  /// that others wait for.
  var isRemote: Bool { get }
}

extension ImageArchive {
  public func patient(of study: UID) throws -> ArchivedPatient? { nil }
  public var isRemote: Bool { false }
}

/// A patient as images tell of one.
public struct ArchivedPatient: Hashable, Sendable {
  public var id: String?
  /// In DICOM's form, components parted by `^`.
  public var name: String?
  public var birthDate: String?
  public var sex: String?

  public init(id: String?, name: String?, birthDate: String?, sex: String?) {
    self.id = id
    self.name = name
    self.birthDate = birthDate
    self.sex = sex
  }
}
