import DICOM
import DICOMweb
import Platform

/// An archive that is a peer: a clustered PACS behind DIMSE or DICOMweb, known by what it answers to
/// queries alone. Sources send to it by themselves (C-MOVE), and it sends to recipients.
///
/// Calls block, as those to a source do: never on the engine's or the dispatcher's own thread.
public final class PeerArchive: ImageArchive, StoredObjects {
  private let peer: any ArchivingPeer
  private let stop: Gate

  public init(_ peer: any ArchivingPeer, stop: Gate = Gate()) {
    self.peer = peer
    self.stop = stop
  }

  public func storedObjects(of study: UID) throws -> [ImageObject] {
    try asking { () throws(ImageSourceError) in try peer.objects(of: study, stop: stop) }
  }

  public func storedStudies(number: String) throws -> [UID] {
    try asking { () throws(ImageSourceError) in try peer.studies(number: number, stop: stop) }
  }

  public func patient(of study: UID) throws -> ArchivedPatient? {
    try asking { () throws(ImageSourceError) in try peer.patient(of: study, stop: stop) }
  }

  /// Whether it takes objects is for it to tell those who send.
  public var refusal: String? { nil }

  public var isRemote: Bool { true }

  /// The bytes are not here: the configuration has nobody send them from here.
  public func storedInstances(of study: UID, _ objects: [UID]) throws -> [StoredInstance] {
    throw PeerArchiveError(text: "its objects are in the peer \(peer.name), which has to send them")
  }

  /// Typed here and untyped there: the compiler wants the two apart.
  private func asking<T>(_ body: () throws(ImageSourceError) -> T) throws -> T {
    let result: Result<T, PeerArchiveError>
    do throws(ImageSourceError) { result = .success(try body()) } catch {
      result = .failure(PeerArchiveError(text: error.text))
    }
    return try result.get()
  }
}

/// Why an archive that is a peer gave no answer.
public struct PeerArchiveError: Error, Hashable, Sendable, CustomStringConvertible {
  public let text: String
  public var description: String { text }
}

/// A peer that can be the archive.
public protocol ArchivingPeer: ImageSource {
  /// What the images of a study say of the patient; nil where there are none.
  func patient(of study: UID, stop: Gate) throws(ImageSourceError) -> ArchivedPatient?
}

extension DICOMwebSource: ArchivingPeer {
  public func patient(of study: UID, stop: Gate) throws(ImageSourceError) -> ArchivedPatient? {
    do throws(DICOMwebError) {
      guard let found = try client.patient(of: study, stop: stop) else { return nil }
      return ArchivedPatient(
        id: found.string(.patientID), name: found.personName(.patientName),
        birthDate: found.string(.patientBirthDate), sex: found.string(.patientSex))
    } catch {
      throw failure(error, stop)
    }
  }
}
