/// What came of one attempt to deliver a message.
public enum MessageOutcome: Hashable, Sendable {
  /// The receiver answered for this very message.
  case acknowledged(MessageAcknowledgement)
  /// Nothing of it left: the receiver could not be reached.
  case notSent(String)
  /// It left, and nobody knows whether it arrived: no answer in time, a lost connection, an answer
  /// to another message or one that cannot be read.
  case unknown(String)
  /// The daemon stopped, or the message is not wanted any more, before it left.
  case stopped
}

/// An acknowledgement as far as it decides anything (HL7 2.5.1 section 2.9).
public struct MessageAcknowledgement: Hashable, Sendable {
  /// MSA-1: AA, AE, AR of the application; CA, CE, CR of the transport.
  public var code: String
  /// ERR-1.4 or ERR-3: the conditions of HL7 table 0357.
  public var errorCodes: [Int]
  public var text: String?

  public init(code: String, errorCodes: [Int] = [], text: String? = nil) {
    self.code = code
    self.errorCodes = errorCodes
    self.text = text
  }
}

/// Decides what an attempt's outcome means: done, to be tried again, or failed for good.
public struct AcknowledgementRule: Sendable {
  public enum Verdict: Hashable, Sendable {
    /// - Parameters:
    ///   - flag: what the receiver said, as `AA_ACK`.
    ///   - result: what it means.
    case success(flag: String, result: String)
    /// No later attempt would fare better.
    case permanent(flag: String, reason: String)
    /// The next attempt follows the ladder.
    /// - Parameter isUnknown: the message may have had its effect.
    case retry(flag: String?, reason: String, isUnknown: Bool)
  }

  /// An earlier attempt of the same message ended without anybody knowing its effect.
  public var wasUnknown: Bool
  /// The message withdraws something that was never acknowledged: that the receiver does not know
  /// of it is then what was wanted.
  public var withdrawsUnconfirmed: Bool

  public init(wasUnknown: Bool, withdrawsUnconfirmed: Bool = false) {
    self.wasUnknown = wasUnknown
    self.withdrawsUnconfirmed = withdrawsUnconfirmed
  }

  /// HL7 table 0357: the message itself is wrong (segment sequence, required field, data type,
  /// table value), or its type, event, processing id or version is not supported.
  static let permanentCodes: Set<Int> = [100, 101, 102, 103, 200, 201, 202, 203]

  public func verdict(_ outcome: MessageOutcome) -> Verdict {
    switch outcome {
    case .notSent(let reason): return .retry(flag: nil, reason: reason, isUnknown: false)
    case .unknown(let reason): return .retry(flag: nil, reason: reason, isUnknown: true)
    case .stopped: return .retry(flag: nil, reason: "interrupted", isUnknown: false)
    case .acknowledged(let acknowledgement): return verdict(acknowledgement)
    }
  }

  private func verdict(_ acknowledgement: MessageAcknowledgement) -> Verdict {
    let code = acknowledgement.code
    let flag = code + "_ACK"
    let errors = acknowledgement.errorCodes
    let said =
      code + (errors.isEmpty ? "" : " " + errors.map(String.init).joined(separator: ", "))
      + (errors.first.flatMap { Self.meanings[$0] }.map { " (\($0))" } ?? "")
    switch code {
    case "AA": return .success(flag: flag, result: "SUCCESS")
    // Sent on: whether the application took it nobody has said.
    case "CA":
      return .retry(
        flag: flag, reason: "only the transport has acknowledged it (CA)", isUnknown: true)
    case "CE", "CR": return .retry(flag: flag, reason: "answered \(said)", isUnknown: false)
    case "AE", "AR":
      if errors.contains(where: Self.permanentCodes.contains) {
        return .permanent(flag: flag, reason: "answered \(said)")
      }
      if errors.contains(205) {
        return wasUnknown
          ? .success(flag: flag, result: "SUCCESS (it had arrived before)")
          : .permanent(flag: flag, reason: "answered \(said), and we had not sent it before")
      }
      if errors.contains(204), withdrawsUnconfirmed {
        return .success(flag: flag, result: "SUCCESS (there was nothing to withdraw)")
      }
      return .retry(flag: flag, reason: "answered \(said)", isUnknown: false)
    default:
      return .retry(
        flag: nil, reason: "answered with a code that HL7 does not have", isUnknown: true)
    }
  }

  static let meanings: [Int: String] = [
    100: "segment sequence error", 101: "required field missing", 102: "data type error",
    103: "table value not found", 200: "unsupported message type",
    201: "unsupported event code", 202: "unsupported processing id",
    203: "unsupported version id", 204: "unknown key identifier",
    205: "duplicate key identifier", 206: "application record locked",
    207: "application internal error",
  ]
}
