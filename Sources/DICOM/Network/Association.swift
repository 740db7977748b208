import Platform

/// A DICOM application somewhere else.
public struct PeerAddress: Hashable, Sendable, CustomStringConvertible {
  public var host: String
  public var port: UInt16
  /// The peer's AE title, at most 16 characters.
  public var calledAE: String
  /// Ours.
  public var callingAE: String
  /// How the peer is reached; nil for TCP as it is. Part of the address, so that whoever calls a
  /// peer that is to be reached within TLS cannot forget it.
  public var connector: (any PeerConnector)?

  public init(
    host: String, port: UInt16, calledAE: String, callingAE: String,
    connector: (any PeerConnector)? = nil
  ) {
    self.host = host
    self.port = port
    self.calledAE = calledAE
    self.callingAE = callingAE
    self.connector = connector
  }

  public static func == (one: PeerAddress, other: PeerAddress) -> Bool {
    one.host == other.host && one.port == other.port && one.calledAE == other.calledAE
      && one.callingAE == other.callingAE && isEqual(one.connector, other.connector)
  }

  private static func isEqual(
    _ one: (any PeerConnector)?, _ other: (any PeerConnector)?
  ) -> Bool {
    func compare<Connector: PeerConnector>(_ one: Connector) -> Bool { other as? Connector == one }
    guard let one else { return other == nil }
    return compare(one)
  }

  public func hash(into hasher: inout Hasher) {
    hasher.combine(host)
    hasher.combine(port)
    hasher.combine(calledAE)
    hasher.combine(callingAE)
  }

  public var description: String { "\(calledAE)@\(host):\(port)" }
}

/// What to propose for one presentation context. To learn which of several transfer syntaxes a
/// peer takes, propose each in a context of its own.
public struct ProposedContext: Hashable, Sendable {
  public var abstractSyntax: UID
  public var transferSyntaxes: [TransferSyntax]

  public init(
    _ abstractSyntax: UID,
    _ transferSyntaxes: [TransferSyntax] = [.explicitVRLittleEndian, .implicitVRLittleEndian]
  ) {
    self.abstractSyntax = abstractSyntax
    self.transferSyntaxes = transferSyntaxes
  }

  /// Verification: C-ECHO (PS3.4 annex A).
  public static let verification = ProposedContext("1.2.840.10008.1.1")
}

extension ImplementationIdentity {
  /// What this library calls itself.
  public static let ours = ImplementationIdentity(
    classUID: "2.25.207136492851735060914282930164822017951", version: "SYNCD_1")
}

/// Implementation Class UID and Version Name (PS3.7 annex D.3.3.2).
public struct ImplementationIdentity: Hashable, Sendable {
  public var classUID: UID
  public var version: String

  public init(classUID: UID, version: String) {
    self.classUID = classUID
    self.version = version
  }
}

/// An association we asked for: the user's side of C-ECHO, C-FIND, C-MOVE, C-GET and C-STORE, and
/// of storage commitment.
///
/// ```swift
/// let association = try Association.request(
///   to: PeerAddress(host: "pacs", port: 104, calledAE: "PACS", callingAE: "SYNCD"),
///   contexts: [.verification, ProposedContext(InformationModel.studyRoot.findClass)])
/// try association.echo()
/// try association.release()
/// ```
/// Used by one thread at a time; ``interrupt()`` alone may be called from any. Every call blocks,
/// never longer than its timeout. After an error that closes the association (see
/// ``AssociationError``) every further call throws ``AssociationError/closed``. One that is let go
/// of without ``release()`` is aborted.
public final class Association: @unchecked Sendable {
  // @unchecked: by the rule above; the interrupter is Sendable by itself.
  let connection: DIMSEConnection
  public let peer: PeerAddress
  /// What the peer accepted.
  public var contexts: [PresentationContext] { connection.contexts }
  /// The contexts proposed that the peer did not accept.
  public let refusedContexts: [ProposedContext]
  /// What the peer told of itself, with its longest P-DATA-TF.
  public let peerInformation: UserInformation
  /// How many operations at once we asked for.
  let proposedOperations: Int
  private var lastMessageID: UInt16 = 0
  /// Storage commitment reports that came while something else was waited for.
  var earlyReports: [CommitmentReport] = []

  private init(
    _ connection: DIMSEConnection, _ peer: PeerAddress, refused: [ProposedContext],
    _ information: UserInformation, operations: Int
  ) {
    proposedOperations = operations
    self.connection = connection
    self.peer = peer
    refusedContexts = refused
    peerInformation = information
  }

  deinit {
    if isOpen { connection.upperLayer.abort() }
  }

  /// Presentation context ids are the odd numbers of a byte (PS3.8 section 9.3.2.2).
  public static let mostContexts = 128

  /// Connects and negotiates.
  /// - Parameters:
  ///   - maximumPDULength: what we are ready to receive in one P-DATA-TF, in bytes.
  ///   - extensions: what else is negotiated: roles, who we are, options of SOP classes.
  public static func request(
    to peer: PeerAddress, contexts: [ProposedContext],
    timeouts: AssociationTimeouts = AssociationTimeouts(), maximumPDULength: UInt32 = 256 * 1024,
    identity: ImplementationIdentity = .ours, extensions: AssociationExtensions = .none
  ) throws(AssociationError) -> Association {
    try check(peer, contexts)
    let proposed = contexts.enumerated().map { index, context in
      AssociateRequest.Context(
        id: UInt8(2 * index + 1), abstractSyntax: context.abstractSyntax,
        transferSyntaxes: context.transferSyntaxes)
    }
    let request = AssociateRequest(
      calledAE: peer.calledAE, callingAE: peer.callingAE, contexts: proposed,
      user: UserInformation(
        maximumLength: maximumPDULength, implementationClass: identity.classUID,
        implementationVersion: identity.version,
        asynchronousOperations: extensions.operations == 1
          ? nil : .init(invoked: UInt16(extensions.operations), performed: 1),
        roleSelections: extensions.roles,
        extendedNegotiations: extensions.extendedNegotiations,
        userIdentity: extensions.userIdentity))

    let transport: AssociationTransport
    do throws(TransportError) {
      transport = try AssociationTransport.connect(
        to: peer, deadline: .after(timeouts.connect))
    } catch {
      throw error.isTimeout ? .timedOut(.connect) : .cannotConnect(error)
    }
    let upperLayer = UpperLayerConnection(
      transport, isRequestor: true, maximumLength: maximumPDULength, timeouts: timeouts)
    try upperLayer.send(.associateRequest(request))
    let answer = try upperLayer.next(by: .after(timeouts.association), waitingFor: .association)
    guard case .accept(let accept) = answer else {
      throw upperLayer.violation("no answer to the association request")
    }
    guard accept.user.maximumLength == 0 || accept.user.maximumLength >= 16 else {
      throw upperLayer.violation("a maximum length of \(accept.user.maximumLength) bytes")
    }

    var accepted: [PresentationContext] = []
    var refused: [ProposedContext] = []
    for (context, proposal) in zip(contexts, proposed) {
      guard let result = accept.contexts.first(where: { $0.id == proposal.id }),
        result.result == .acceptance
      else {
        refused.append(context)
        continue
      }
      guard context.transferSyntaxes.contains(result.transferSyntax) else {
        throw upperLayer.violation(
          "it accepted transfer syntax \(result.transferSyntax), which was not proposed")
      }
      accepted.append(
        PresentationContext(
          id: proposal.id, abstractSyntax: context.abstractSyntax,
          transferSyntax: result.transferSyntax))
    }
    let connection = DIMSEConnection(
      upperLayer, contexts: accepted, peerMaximumLength: accept.user.maximumLength,
      timeouts: timeouts)
    return Association(
      connection, peer, refused: refused, accept.user, operations: extensions.operations)
  }

  private static func check(
    _ peer: PeerAddress, _ contexts: [ProposedContext]
  ) throws(AssociationError) {
    for title in [peer.calledAE, peer.callingAE] where !isValidAETitle(title) {
      throw .notEncodable(
        "'\(title)' is no AE title: 1 to 16 ASCII characters, no backslash, not only spaces")
    }
    guard (1...mostContexts).contains(contexts.count) else {
      throw .notEncodable("\(contexts.count) presentation contexts; 1 to 128 fit an association")
    }
    for context in contexts {
      guard !context.transferSyntaxes.isEmpty else {
        throw .notEncodable("no transfer syntax proposed for \(context.abstractSyntax)")
      }
      for uid in [context.abstractSyntax] + context.transferSyntaxes.map(\.uid)
      where !uid.isValid {
        throw .notEncodable("'\(uid)' is not a UID")
      }
    }
  }

  /// Whether calls can still succeed.
  public var isOpen: Bool { connection.upperLayer.isEstablished }

  /// Releases the association and closes the connection (PS3.8 section 7.2).
  public func release() throws(AssociationError) {
    try connection.upperLayer.release()
  }

  /// Ends the association at once (PS3.8 section 7.3). Does nothing when it has ended.
  public func abort() {
    connection.upperLayer.abort()
  }

  /// Ends the connection from any thread: a call waiting on another throws
  /// ``AssociationError/interrupted``.
  public func interrupt() {
    connection.upperLayer.interrupter.interrupt()
  }

  // MARK: For the services

  /// The accepted context for a SOP class; for sending an object, in its transfer syntax.
  func context(
    for sopClass: UID, _ transferSyntax: TransferSyntax? = nil
  ) throws(AssociationError) -> PresentationContext {
    guard isOpen else {
      throw connection.upperLayer.interrupter.isInterrupted ? .interrupted : .closed
    }
    for context in contexts
    where context.abstractSyntax == sopClass
      && (transferSyntax == nil || context.transferSyntax == transferSyntax)
    {
      return context
    }
    throw .noAcceptedContext(sopClass, transferSyntax)
  }

  func newMessageID() -> UInt16 {
    // 0 is allowed, but some peers take it for none.
    lastMessageID = lastMessageID == .max ? 1 : lastMessageID + 1
    return lastMessageID
  }

  /// The next response to a request. Its data set, if any, is still to be read.
  func response(
    to request: Command, waitingFor wait: AssociationError.Wait = .response,
    timeout: Duration? = nil
  ) throws(AssociationError) -> (Command, DIMSEStatus, PresentationContext) {
    let message = try connection.nextMessage(
      waitingFor: wait, timeout ?? connection.timeouts.response)
    guard case .command(let response, let context) = message else {
      throw connection.upperLayer.violation("A-RELEASE-RQ instead of a response")
    }
    return (response, try status(of: response, to: request), context)
  }

  /// Checks that a message is a response to a request.
  func status(
    of response: Command, to request: Command
  ) throws(AssociationError) -> DIMSEStatus {
    guard response.field == request.field.response,
      response.messageIDRespondedTo == request.messageID
    else {
      throw connection.upperLayer.violation(
        "\(response.field) to message \(response.messageIDRespondedTo ?? 0) instead of"
          + " \(request.field.response) to message \(request.messageID ?? 0)")
    }
    guard let status = response.status else {
      throw connection.upperLayer.violation("\(response.field) without a Status (0000,0900)")
    }
    return status
  }
}

/// Whether a string can be an AE title (PS3.5 section 6.2): 1 to 16 characters of the default
/// repertoire, no control characters, no backslash, not only spaces.
public func isValidAETitle(_ title: String) -> Bool {
  let bytes = title.utf8
  return (1...16).contains(bytes.count)
    && bytes.allSatisfy { $0 >= 0x20 && $0 < 0x7F && $0 != 0x5C }
    && bytes.contains { $0 != 0x20 }
}
