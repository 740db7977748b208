import DICOM
import Platform

/// A recipient's DICOM node.
public protocol ImageRecipient: Sendable {
  var name: String { get }

  /// Sends objects. `acknowledged` is called for each as its answer comes, never twice for one.
  /// Returns when every object has got an answer; what has none when it throws is to be sent again.
  func send(
    _ study: UID, _ objects: [ImageObject], priority: Priority, stop: Gate,
    acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError)
}

/// What a recipient has answered for one object.
public enum SendOutcome: Hashable, Sendable {
  case stored
  case storedWithWarning(UInt16)
  /// Acknowledged, while the proof that was asked for could not be had; with the reason.
  case storedUnproven(String)
  case refused(UInt16, String)
  case failed(UInt16, String)
}

public struct ImageRecipientError: Error, Hashable, Sendable {
  public var text: String
  public var isPeerDown: Bool
  public var isPermanent: Bool
  public var isStopped: Bool

  public init(
    text: String, isPeerDown: Bool = false, isPermanent: Bool = false, isStopped: Bool = false
  ) {
    self.text = text
    self.isPeerDown = isPeerDown
    self.isPermanent = isPermanent
    self.isStopped = isStopped
  }
}
