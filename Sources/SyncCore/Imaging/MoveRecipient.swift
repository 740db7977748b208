import DICOM
import Platform

/// A recipient that another peer sends to: it is asked by C-MOVE (PS3.4 annex C). For where the
/// images are not in the embedded archive, or must not pass through us.
///
/// No status of a C-MOVE proves which objects have arrived: what the peer counts as completed is
/// believed only when it is all of them. Where it is less nobody knows which, and all are asked for
/// again. With ``VerifiedRecipient`` around it the recipient itself is asked, and that is proof.
public struct MoveRecipient: ImageRecipient {
  public let name: String
  private let mover: any ImageSource

  /// - Parameter mover: the peer that sends, with the recipient's AE title as its destination.
  public init(name: String, mover: any ImageSource) {
    self.name = name
    self.mover = mover
  }

  public func send(
    _ study: UID, _ objects: [ImageObject], priority: Priority, stop: Gate,
    acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    let problem: ImageReason?
    do throws(ImageSourceError) {
      problem = try mover.retrieve(
        study: study, missing: objects, isWholeStudy: false, stop: stop, progress: { _ in })
    } catch {
      throw ImageRecipientError(
        text: error.text, isPeerDown: error.isPeerDown, isStopped: stop.isOpen)
    }
    for object in objects {
      acknowledged(object.sopInstance, problem.map { .failed(0xB000, $0.text) } ?? .stored)
    }
  }
}

/// A recipient that is asked afterwards, by C-FIND, what it holds: an object is sent when it is
/// found there, whatever was acknowledged.
public struct VerifiedRecipient: ImageRecipient {
  public let inner: any ImageRecipient
  /// The recipient as a source of queries.
  private let query: any ImageSource
  public var name: String { inner.name }

  public init(_ inner: any ImageRecipient, query: any ImageSource) {
    self.inner = inner
    self.query = query
  }

  public func send(
    _ study: UID, _ objects: [ImageObject], priority: Priority, stop: Gate,
    acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    var outcomes: [UID: SendOutcome] = [:]
    try inner.send(study, objects, priority: priority, stop: stop) { uid, outcome in
      if case .refused = outcome {
        acknowledged(uid, outcome)
      } else {
        outcomes[uid] = outcome
      }
    }
    let present: Set<UID>
    do throws(ImageSourceError) {
      present = Set(try query.objects(of: study, stop: stop).map(\.sopInstance))
    } catch {
      throw ImageRecipientError(
        text: "\(name) cannot be asked what it holds: \(error.text)",
        isPeerDown: error.isPeerDown, isStopped: stop.isOpen)
    }
    for object in objects {
      let uid = object.sopInstance
      guard let outcome = outcomes[uid] else { continue }
      if present.contains(uid) {
        // A warning that the recipient gave stays said.
        if case .storedWithWarning = outcome {
          acknowledged(uid, outcome)
        } else {
          acknowledged(uid, .stored)
        }
      } else if case .failed = outcome {
        acknowledged(uid, outcome)
      } else {
        acknowledged(uid, .failed(0x0112, "acknowledged by \(name), and not found there"))
      }
    }
  }
}
