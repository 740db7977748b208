import DICOM
import HTTP

/// Why a DICOMweb service gave no answer that can be relied upon.
public struct DICOMwebError: Error, Hashable, Sendable, CustomStringConvertible {
  public enum Kind: Hashable, Sendable {
    /// There is no answer, or it was cut.
    case failed(HTTPFailure.Kind)
    /// An answer with another status than one of success.
    case refused(Int)
    /// The answer is not what the standard says.
    case malformed
    /// The answer may be right, and nothing proves that it is everything.
    case unproven
    /// Our own side cannot take objects: the archive's disk is full.
    case notAccepted
    /// Never asked: what was to be asked for is no UID or number.
    case notAsked
  }

  public let kind: Kind
  /// What went wrong and what to do. Never patient data.
  public let description: String

  public init(_ kind: Kind, _ description: String) {
    self.kind = kind
    self.description = description
  }

  init(_ failure: HTTPFailure) { self.init(.failed(failure.kind), failure.description) }

  /// The server as a whole does not work: no use in asking it for something else at once.
  public var isServerDown: Bool {
    switch kind {
    case .failed(let kind):
      switch kind {
      case .unreachable, .untrusted, .timeout, .broken, .leftAlone, .notTried: true
      case .unusable: false
      }
    // 500 may be about what was asked: one examination must not hold up the others.
    case .refused(let status): [401, 403, 429, 502, 503, 504].contains(status)
    case .malformed, .unproven, .notAccepted, .notAsked: false
    }
  }

  /// What a status means, and what to do.
  static func words(_ status: Int) -> String {
    switch status {
    case 400: "it does not understand the question (400)"
    case 401: "it does not know who asks (401): check the token or the certificate"
    case 403: "it does not allow it (403): the right has to be given there"
    case 404:
      "it does not have it (404): check the server's url, which must end where its "
        + "DICOMweb paths begin"
    case 405, 501: "it does not have this service (\(status))"
    case 406: "it cannot give the objects as they are stored (406)"
    case 409: "it refused the objects (409)"
    case 413: "it takes no request of this size (413)"
    case 415: "it does not take this kind of content (415)"
    case 429: "it is asked too often (429)"
    case 503: "it cannot answer now (503)"
    default: "it answered \(status)"
    }
  }
}

extension DICOMwebError {
  /// A UID in a path: digits and dots, or nothing is asked.
  static func part(_ uid: UID) throws(DICOMwebError) -> String {
    guard uid.isValid else {
      throw DICOMwebError(
        .notAsked, "'\(uid.value.prefix(64).filter { $0.isASCII })' is not a UID, and not asked for"
      )
    }
    return uid.value
  }
}
