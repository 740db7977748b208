import DICOM

/// What a probe proposes: each transfer syntax in a presentation context of its own, since a peer
/// names only one that it takes of several (PS3.8 section 9.3.3.2).
enum ProbedContexts {
  static let serviceClasses: [UID] = [
    SOPClass.verification, SOPClass.studyRootFind, SOPClass.studyRootMove, SOPClass.studyRootGet,
    SOPClass.modalityWorklistFind, SOPClass.storageCommitmentPushModel,
  ]

  static let services: [ProposedContext] = serviceClasses.flatMap { uid in
    [TransferSyntax.explicitVRLittleEndian, .implicitVRLittleEndian].map {
      ProposedContext(uid, [$0])
    }
  }

  /// CT, enhanced CT, MR, enhanced MR, CR, DX, mammography, US, multi-frame US, secondary capture,
  /// XA, PET, basic text SR, key objects: with the nine transfer syntaxes they fill an association.
  static let storageClasses: [UID] = [
    "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.2.1", "1.2.840.10008.5.1.4.1.1.4",
    "1.2.840.10008.5.1.4.1.1.4.1", "1.2.840.10008.5.1.4.1.1.1", "1.2.840.10008.5.1.4.1.1.1.1",
    "1.2.840.10008.5.1.4.1.1.1.2", "1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.3.1",
    "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.12.1", "1.2.840.10008.5.1.4.1.1.128",
    "1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.59",
  ]

  /// Implicit, explicit, JPEG baseline, extended and lossless, JPEG-LS, JPEG 2000 lossless and not,
  /// RLE.
  static let syntaxes: [TransferSyntax] = [
    .implicitVRLittleEndian, .explicitVRLittleEndian, TransferSyntax("1.2.840.10008.1.2.4.50"),
    TransferSyntax("1.2.840.10008.1.2.4.51"), TransferSyntax("1.2.840.10008.1.2.4.70"),
    TransferSyntax("1.2.840.10008.1.2.4.80"), TransferSyntax("1.2.840.10008.1.2.4.90"),
    TransferSyntax("1.2.840.10008.1.2.4.91"), TransferSyntax("1.2.840.10008.1.2.5"),
  ]

  static let storage: [ProposedContext] = storageClasses.flatMap { uid in
    syntaxes.map { ProposedContext(uid, [$0]) }
  }

  /// A name that fits a line.
  static func short(_ uid: UID) -> String {
    switch uid {
    case SOPClass.verification: "C-ECHO"
    case SOPClass.studyRootFind: "C-FIND"
    case SOPClass.studyRootMove: "C-MOVE"
    case SOPClass.studyRootGet: "C-GET"
    case SOPClass.modalityWorklistFind: "worklists"
    case SOPClass.storageCommitmentPushModel: "storage commitment"
    case "1.2.840.10008.1.2": "implicit"
    case "1.2.840.10008.1.2.1": "explicit"
    case "1.2.840.10008.1.2.4.50": "JPEG baseline"
    case "1.2.840.10008.1.2.4.51": "JPEG extended"
    case "1.2.840.10008.1.2.4.70": "JPEG lossless"
    case "1.2.840.10008.1.2.4.80": "JPEG-LS"
    case "1.2.840.10008.1.2.4.90": "JPEG 2000 lossless"
    case "1.2.840.10008.1.2.4.91": "JPEG 2000"
    case "1.2.840.10008.1.2.5": "RLE"
    default: uid.name ?? uid.value
    }
  }
}
