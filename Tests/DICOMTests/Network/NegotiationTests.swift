import Testing

@testable import DICOM

@Suite("What a server answers to an association request")
struct NegotiationTests {
  private struct Commitments: CommitmentProvider, CommitmentReportReceiver {
    func commitment(
      to request: CommitmentRequest, for association: AssociationInfo
    ) -> CommitmentReport {
      CommitmentReport(transaction: request.transaction, committed: [], failed: [])
    }
    func received(_ report: CommitmentReport, from association: AssociationInfo) {}
  }

  private static let everything: DICOMServices = {
    let archive = MemoryArchive()
    return DICOMServices(
      storage: archive, query: archive, retrieve: archive, commitment: Commitments(),
      commitmentReports: Commitments(), isRelational: true)
  }()

  private func request(
    _ classes: [UID] = [SOPClass.verification],
    _ change: (inout AssociateRequest) -> Void = { _ in }
  ) -> AssociateRequest {
    var request = AssociateRequest(
      calledAE: "TEST", callingAE: "CLIENT",
      contexts: classes.enumerated().map {
        .init(
          id: UInt8(2 * $0 + 1), abstractSyntax: $1,
          transferSyntaxes: [.implicitVRLittleEndian, .explicitVRLittleEndian])
      }, user: UserInformation(maximumLength: 16384))
    change(&request)
    return request
  }

  private func answer(
    _ request: AssociateRequest, _ services: DICOMServices = Self.everything,
    hasRoom: Bool = true, configure: (inout ServerConfiguration) -> Void = { _ in }
  ) -> Negotiation.Outcome {
    var configuration = ServerConfiguration(aeTitle: "TEST")
    configure(&configuration)
    return Negotiation.answer(request, configuration, services) { hasRoom }
  }

  private func accept(
    _ request: AssociateRequest, _ services: DICOMServices = Self.everything
  ) throws -> (AssociateAccept, [PresentationContext]) {
    guard case .accept(let accept, let contexts) = answer(request, services) else {
      throw AssociationError.closed
    }
    // What goes out is what a peer reads.
    let bytes = try PDU.associateAccept(accept).encoded()
    guard case .associateAccept(let read) = try PDU(.associateAccept, body: Array(bytes[6...]))
    else { throw AssociationError.closed }
    #expect(read == accept)
    return (read, contexts)
  }

  @Test("Each refusal has its result, source and reason, the permanent ones before the transient")
  func rejections() {
    func rejection(
      _ request: AssociateRequest, hasRoom: Bool = true,
      _ configure: (inout ServerConfiguration) -> Void = { _ in }
    ) -> AssociationRejection? {
      if case .reject(let rejection) = answer(request, hasRoom: hasRoom, configure: configure) {
        return rejection
      }
      return nil
    }
    #expect(rejection(request()) == nil)
    // No place is taken by what is refused anyway: there is no room in these.
    #expect(
      rejection(request { $0.protocolVersion = 2 }, hasRoom: false)
        == AssociationRejection(result: 1, source: 2, reason: 2))
    #expect(rejection(request { $0.protocolVersion = 3 }) == nil)
    #expect(
      rejection(request { $0.applicationContext = "1.2.3" }, hasRoom: false)
        == AssociationRejection(result: 1, source: 1, reason: 2))
    #expect(
      rejection(request { $0.calledAE = "test" }, hasRoom: false)
        == AssociationRejection(result: 1, source: 1, reason: 7))
    #expect(rejection(request { $0.calledAE = "test" }) { $0.acceptsAnyCalledAE = true } == nil)
    #expect(
      rejection(request(), hasRoom: false) { $0.allowedCallingAEs = ["OTHER"] }
        == AssociationRejection(result: 1, source: 1, reason: 3))
    #expect(
      rejection(request { $0.user.maximumLength = 8 }, hasRoom: false)
        == AssociationRejection(result: 1, source: 2, reason: 1))
    #expect(
      rejection(request(), hasRoom: false)
        == AssociationRejection(result: 2, source: 3, reason: 2))
  }

  @Test("A role is agreed where there is a counterpart for it, and nowhere else")
  func roles() throws {
    let classes = [ctImageStorage, secondaryCapture, SOPClass.studyRootGet, "1.2.3"]
    let proposal = request(classes) {
      $0.user.roleSelections = classes.map { .init(sopClass: $0, user: true, provider: true) }
    }
    let (both, contexts) = try accept(proposal)
    #expect(contexts.map(\.abstractSyntax) == Array(classes.prefix(3)))
    // What is not accepted has no roles to tell of.
    #expect(
      both.user.roleSelections == [
        .init(sopClass: ctImageStorage, user: true, provider: true),
        .init(sopClass: secondaryCapture, user: true, provider: true),
        .init(sopClass: SOPClass.studyRootGet, user: true, provider: false),
      ])
    let storing = DICOMServices(storage: MemoryArchive())
    #expect(
      try accept(proposal, storing).0.user.roleSelections == [
        .init(sopClass: ctImageStorage, user: true, provider: false),
        .init(sopClass: secondaryCapture, user: true, provider: false),
      ])
    // An archive that only gives takes no objects, but sends to who provides for them.
    let giving = DICOMServices(retrieve: MemoryArchive())
    #expect(try accept(request([ctImageStorage]), giving).1.isEmpty)
    #expect(try accept(proposal, giving).1.map(\.abstractSyntax) == Array(classes.prefix(3)))
    // In a role that nobody has a counterpart for, nothing is accepted.
    let reversed = request([ctImageStorage]) {
      $0.user.roleSelections = [.init(sopClass: ctImageStorage, user: false, provider: true)]
    }
    #expect(try accept(reversed, storing).1.isEmpty)
    #expect(
      try accept(reversed, storing).0.contexts.map(\.result) == [.abstractSyntaxNotSupported])
    #expect(try accept(request([ctImageStorage])).0.user.roleSelections.isEmpty)
  }

  @Test("Storage commitment is taken as its provider by default, as its user by role")
  func commitment() throws {
    let uid = SOPClass.storageCommitmentPushModel
    let reporting = request([uid]) {
      $0.user.roleSelections = [.init(sopClass: uid, user: false, provider: true)]
    }
    let providing = DICOMServices(commitment: Commitments())
    let using = DICOMServices(commitmentReports: Commitments())
    #expect(try accept(request([uid]), providing).1.count == 1)
    #expect(try accept(reporting, providing).1.isEmpty)
    #expect(try accept(request([uid]), using).1.isEmpty)
    #expect(try accept(reporting, using).1.count == 1)
    #expect(
      try accept(reporting, using).0.user.roleSelections
        == [.init(sopClass: uid, user: false, provider: true)])
  }

  @Test("Of the options of queries only the relational one is offered, and only where it is true")
  func extended() throws {
    let proposal = request([SOPClass.studyRootFind, SOPClass.studyRootGet, ctImageStorage]) {
      $0.user.extendedNegotiations = [
        .init(sopClass: SOPClass.studyRootFind, information: [1, 1, 1, 1, 1, 1, 1]),
        .init(sopClass: SOPClass.studyRootGet, information: [1]),
        .init(sopClass: ctImageStorage, information: [2, 0, 3, 0, 1, 0]),
        .init(sopClass: SOPClass.patientRootFind, information: [1]),
      ]
    }
    #expect(
      try accept(proposal).0.user.extendedNegotiations == [
        .init(sopClass: SOPClass.studyRootFind, information: [1, 0, 0, 0, 0]),
        .init(sopClass: SOPClass.studyRootGet, information: [1]),
      ])
    var services = Self.everything
    services.isRelational = false
    #expect(
      try accept(proposal, services).0.user.extendedNegotiations.map(\.information)
        == [[0, 0, 0, 0, 0], [0]])
    let modest = request([SOPClass.studyRootFind]) {
      $0.user.extendedNegotiations = [
        .init(sopClass: SOPClass.studyRootFind, information: [0, 0])
      ]
    }
    #expect(try accept(modest).0.user.extendedNegotiations.map(\.information) == [[0, 0]])
  }

  @Test("Thousands of roles and options cost no more than the classes they are for")
  func many() throws {
    let proposal = request([ctImageStorage, SOPClass.studyRootFind]) {
      $0.user.roleSelections = (0..<2000).map { index in
        .init(
          sopClass: index % 2 == 0 ? ctImageStorage : UID("1.2.\(index)"), user: true,
          provider: index == 0)
      }
      $0.user.extendedNegotiations = (0..<2000).map { _ in
        .init(sopClass: SOPClass.studyRootFind, information: [])
      }
    }
    let (accept, _) = try accept(proposal)
    #expect(
      accept.user.roleSelections == [.init(sopClass: ctImageStorage, user: true, provider: true)])
    #expect(accept.user.extendedNegotiations.isEmpty)
  }

  @Test("Several objects may be under way at once, and one operation of any other kind")
  func window() throws {
    func window(
      _ classes: [UID], invoked: UInt16
    ) throws -> UserInformation.AsynchronousOperations? {
      let proposal = request(classes) {
        $0.user.asynchronousOperations = .init(invoked: invoked, performed: 10)
      }
      return try accept(proposal).0.user.asynchronousOperations
    }
    #expect(try accept(request([ctImageStorage])).0.user.asynchronousOperations == nil)
    let objects = [SOPClass.verification, ctImageStorage]
    #expect(try window(objects, invoked: 8) == .init(invoked: 1, performed: 8))
    #expect(try window(objects, invoked: 1) == .init(invoked: 1, performed: 1))
    // As many as it likes, and more than we like.
    #expect(try window(objects, invoked: 0) == .init(invoked: 1, performed: 64))
    #expect(try window(objects, invoked: 1000) == .init(invoked: 1, performed: 64))
    for other in [SOPClass.studyRootFind, SOPClass.storageCommitmentPushModel] {
      #expect(
        try window(objects + [other], invoked: 8) == .init(invoked: 1, performed: 1), "\(other)")
    }
  }

  @Test("A user's name is answered when an answer is asked for, and no other kind of identity is")
  func identity() throws {
    func isAcknowledged(_ identity: UserInformation.UserIdentity) throws -> Bool {
      let (accept, _) = try accept(request { $0.user.userIdentity = identity })
      return accept.user.isUserIdentityAcknowledged
    }
    #expect(try isAcknowledged(.user("anna", responseRequested: true)))
    #expect(try isAcknowledged(.user("anna", passcode: "x", responseRequested: true)))
    #expect(try !isAcknowledged(.user("anna")))
    for type: UInt8 in [3, 4, 5] {
      #expect(try !isAcknowledged(.init(type: type, responseRequested: true, primary: [1])))
    }
    #expect(
      UserInformation.UserIdentity.user("anna", passcode: "x")
        == .init(
          type: 2, responseRequested: false, primary: Array("anna".utf8),
          secondary: Array("x".utf8)))
  }

  @Test("Sub-items that nobody knows change nothing")
  func unknownItems() throws {
    let proposal = request { request in
      request.user.others = [
        .init(type: 0x57, contents: [0, 1, 2]), .init(type: 0x6F, contents: []),
      ]
    }
    let bytes = try PDU.associateRequest(proposal).encoded()
    guard case .associateRequest(let read) = try PDU(.associateRequest, body: Array(bytes[6...]))
    else { throw AssociationError.closed }
    #expect(read == proposal)
    #expect(try accept(read).0.user.others.isEmpty)
  }

  @Test("Every storage class of the standard is taken, and of other UIDs those that are allowed")
  func storageClasses() {
    let known = SOPClass.storage(includingRetired: false)
    #expect(known.count > 150)
    #expect(known.allSatisfy(ContextPolicy.isStandardStorage))
    // Not under the root that the others share.
    #expect(ContextPolicy.isStandardStorage("1.2.840.10008.5.1.4.34.7"))
    // A class of a later edition than the registry's.
    #expect(ContextPolicy.isStandardStorage("1.2.840.10008.5.1.4.1.1.999.1"))
    // The queries of inventories and protocols have the root of the storage classes.
    let queries: [UID] = ["1.2.840.10008.5.1.4.1.1.201.2", "1.2.840.10008.5.1.4.1.1.200.4"]
    for other in [SOPClass.verification, SOPClass.studyRootGet, "1.2.752.24.3.1"] + queries {
      #expect(!ContextPolicy.isStandardStorage(other))
    }
  }

  @Test("The models of Query/Retrieve are known by each of their classes")
  func models() {
    for model in [InformationModel.patientRoot, .studyRoot, .patientStudyOnly] {
      for uid in [model.findClass, model.moveClass!, model.getClass!] {
        #expect(InformationModel.of(uid) == model)
      }
    }
    #expect(InformationModel.of(SOPClass.modalityWorklistFind) == .modalityWorklist)
    #expect(InformationModel.of(ctImageStorage) == nil)
  }
}
