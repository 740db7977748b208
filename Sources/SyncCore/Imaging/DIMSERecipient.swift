import DICOM
import HTTP
import Platform
import Synchronization

/// Where the bytes of stored objects are.
public protocol StoredObjects: Sendable {
  /// The files of objects of a study; what is not there any more is left out.
  func storedInstances(of study: UID, _ objects: [UID]) throws -> [StoredInstance]
}

extension StoredObjects {
  /// Looks up objects of a study a thousand at a time, so that one of any size takes no more memory.
  /// - Parameter missing: called with each that is not there any more.
  func forEachGroup(
    of study: UID, _ objects: [ImageObject], missing: (UID) -> Void,
    _ body: ([StoredInstance]) throws(ImageRecipientError) -> Void
  ) throws(ImageRecipientError) {
    var rest = objects[...]
    while !rest.isEmpty {
      let group = rest.prefix(1000).map(\.sopInstance)
      rest = rest.dropFirst(group.count)
      let instances: [StoredInstance]
      do {
        instances = try storedInstances(of: study, group)
      } catch {
        throw ImageRecipientError(text: "the archive's index: \(error)")
      }
      let found = Set(instances.map(\.sopInstance))
      group.filter { !found.contains($0) }.forEach(missing)
      try body(instances)
    }
  }
}

/// A recipient reached over DIMSE: C-STORE (PS3.4 annex B) of objects as they are stored, never
/// converted: a presentation context for each SOP class in each transfer syntax they have.
public final class DIMSERecipient: ImageRecipient {
  public struct Options: Sendable, Hashable {
    public var name: String
    public var address: PeerAddress
    public var timeouts: AssociationTimeouts
    public var maximumPDULength: UInt32
    /// Who we say we are, where the recipient asks.
    public var user: DICOMUser?
    /// Objects under way at once on one association, where the recipient agrees.
    public var operations: Int

    public init(
      name: String, address: PeerAddress, timeouts: AssociationTimeouts = AssociationTimeouts(),
      maximumPDULength: UInt32 = 256 * 1024, user: DICOMUser? = nil, operations: Int = 1
    ) {
      self.operations = operations
      self.name = name
      self.address = address
      self.timeouts = timeouts
      self.maximumPDULength = maximumPDULength
      self.user = user
    }
  }

  public let options: Options
  private let archive: any StoredObjects
  public var name: String { options.name }

  public init(_ options: Options, archive: any StoredObjects) {
    self.options = options
    self.archive = archive
  }

  public func send(
    _ study: UID, _ objects: [ImageObject], priority: Priority, stop: Gate,
    acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    try archive.forEachGroup(
      of: study, objects,
      missing: { acknowledged($0, .failed(0x0112, "it is not in the archive any more")) }
    ) { (instances) throws(ImageRecipientError) in
      for batch in Self.batches(instances) {
        try send(batch, priority, stop, acknowledged)
      }
    }
  }

  private struct Kind: Hashable {
    var sopClass: UID
    var transferSyntax: TransferSyntax
  }

  /// As many kinds of objects as an association has contexts for, in the order they are stored.
  private static func batches(_ instances: [StoredInstance]) -> [[StoredInstance]] {
    var batches: [[StoredInstance]] = []
    var kinds: Set<Kind> = []
    for instance in instances {
      let kind = Kind(sopClass: instance.sopClass, transferSyntax: instance.transferSyntax)
      if batches.isEmpty
        || (!kinds.contains(kind) && kinds.count == Association.mostContexts)
      {
        batches.append([])
        kinds = []
      }
      kinds.insert(kind)
      batches[batches.count - 1].append(instance)
    }
    return batches
  }

  private func send(
    _ instances: [StoredInstance], _ priority: Priority, _ stop: Gate,
    _ acknowledged: (UID, SendOutcome) -> Void
  ) throws(ImageRecipientError) {
    if stop.isOpen { throw Self.stopped }
    var contexts: [ProposedContext] = []
    for instance in instances {
      let context = ProposedContext(instance.sopClass, [instance.transferSyntax])
      if !contexts.contains(context) { contexts.append(context) }
    }
    let extensions = try Self.extensions(options)
    let association: Association
    do throws(AssociationError) {
      association = try Association.request(
        to: options.address, contexts: contexts, timeouts: options.timeouts,
        maximumPDULength: options.maximumPDULength, extensions: extensions)
    } catch {
      throw Self.failure(error, options, stop)
    }
    // A stop must not wait for a peer that has gone to sleep over an object.
    let watch = Watch(association, stop)
    defer { watch.end() }
    let urgency: Command.Priority = priority == .stat ? .high : .medium
    do throws(AssociationError) {
      try association.store(instances, priority: urgency, while: { !stop.isOpen }) {
        instance, answer in
        acknowledged(instance.sopInstance, outcome(answer, for: instance))
      }
    } catch {
      throw Self.failure(error, options, stop)
    }
    if stop.isOpen {
      association.abort()
      throw Self.stopped
    }
    do throws(AssociationError) { try association.release() } catch { association.abort() }
  }

  private func outcome(
    _ answer: Result<OperationResult, AssociationError>, for instance: StoredInstance
  ) -> SendOutcome {
    switch answer {
    case .success(let result): Self.outcome(result, for: instance.sopInstance)
    case .failure(.noAcceptedContext):
      .refused(
        0x0122, "\(name) does not take \(instance.sopClass) in \(instance.transferSyntax)")
    case .failure(.unreadable(let cause)): .failed(0x0110, "the archive's file: \(cause.name)")
    case .failure(let error): .refused(0x0110, "\(error)")
    }
  }

  /// A Success for another object than the one that was sent is none. With a warning the recipient
  /// says that it has changed the object, and that may be its UID.
  static func outcome(_ result: OperationResult, for instance: UID) -> SendOutcome {
    let outcome = outcome(result.status)
    if case .stored = outcome, let named = result.sopInstance, named != instance {
      return .failed(
        result.status.rawValue, "the answer (\(result.status)) names another object, \(named)")
    }
    return outcome
  }

  /// PS3.4 table B.2-1: A7xx passes, A9xx and Cxxx stay; what is there already is there.
  static func outcome(_ status: DIMSEStatus) -> SendOutcome {
    let value = status.rawValue
    switch value {
    case 0, 0x0111: return .stored
    case 0xB000, 0xB006, 0xB007: return .storedWithWarning(value)
    case 0xA700...0xA7FF, 0x0110, 0x0213: return .failed(value, "\(status)")
    default:
      return status.isWarning ? .storedWithWarning(value) : .refused(value, "\(status)")
    }
  }

  private static let stopped = ImageRecipientError(text: "interrupted", isStopped: true)

  static func extensions(
    _ options: Options
  ) throws(ImageRecipientError) -> AssociationExtensions {
    do throws(SecretPlace.Fault) {
      return AssociationExtensions(
        userIdentity: try options.user?.identity(), operations: options.operations)
    } catch {
      throw ImageRecipientError(text: "\(options.name): the passcode: \(error)")
    }
  }

  static func failure(
    _ error: AssociationError, _ options: Options, _ stop: Gate
  ) -> ImageRecipientError {
    if stop.isOpen { return stopped }
    let text = "\(options.name) (\(options.address)): \(error)"
    switch error {
    case .cannotConnect, .timedOut: return ImageRecipientError(text: text, isPeerDown: true)
    case .rejected(let rejection):
      return ImageRecipientError(
        text: text, isPeerDown: rejection.isTransient, isPermanent: !rejection.isTransient)
    case .notEncodable: return ImageRecipientError(text: text, isPermanent: true)
    default: return ImageRecipientError(text: text)
    }
  }
}

/// Interrupts an association when a gate opens.
private final class Watch: Sendable {
  private let isOver = Gate()

  init(_ association: Association, _ stop: Gate) {
    let isOver = self.isOver
    WorkThread.start("send-watch") {
      while !isOver.wait(until: .after(.milliseconds(200))) {
        guard stop.isOpen else { continue }
        // What is between two objects ends by itself.
        if !isOver.wait(until: .after(.milliseconds(300))) { association.interrupt() }
        return
      }
    }
  }

  func end() { isOver.open() }
}
