import Platform

@testable import DICOM
@testable import SyncCore

/// The tables of the conformance statement that the code's own tables and its negotiation tell.
/// What is accepted is not read off a list: it is what ``Negotiation`` answers for the archive.
struct StatementTables {
  let server: DICOMServer

  init(_ archive: EmbeddedArchive) throws {
    // Bound and never started: only its configuration and its services are asked.
    server = try archive.server(on: .tcp(host: "127.0.0.1", port: 0))
  }

  func all() throws -> [(String, String)] {
    [
      ("implementation", implementation()),
      ("services", services()),
      ("contexts", contexts()),
      ("roles", roles()),
      ("options", options()),
      ("rejections", rejections()),
      ("transfer-syntaxes", transferSyntaxes()),
      ("storage-classes", storageClasses()),
      ("get-proposal", getProposal()),
      ("get-classes", flowing(DIMSEPeer.usualClasses.map { $0.name ?? $0.value })),
      ("probe-classes", flowing(ProbedContexts.storageClasses.map { $0.name ?? $0.value })),
      ("probe-syntaxes", flowing(ProbedContexts.syntaxes.map(Self.name))),
      ("store-outcomes", storeOutcomes()),
      ("file-meta", try fileMeta()),
      ("defaults", defaults()),
      ("worklist-keys", try worklistKeys()),
      ("character-sets", characterSets()),
      ("cipher-suites", cipherSuites()),
      ("dicomweb-limits", dicomwebLimits()),
    ]
  }

  // MARK: - Negotiation

  private static let mark = "yes"
  private static let ct = SOPClass.ctImageStorage
  private static let syntaxes = TransferSyntax.all()

  private static func name(_ syntax: TransferSyntax) -> String {
    syntax.uid.name ?? syntax.uid.value
  }

  private func answer(
    _ sopClass: UID, _ syntaxes: [TransferSyntax], _ user: UserInformation? = nil,
    change: (inout AssociateRequest) -> Void = { _ in }, hasRoom: Bool = true
  ) -> Negotiation.Outcome {
    var configuration = server.configuration
    configuration.allowedCallingAEs = ["KNOWN"]
    var request = AssociateRequest(
      calledAE: configuration.aeTitle, callingAE: "KNOWN",
      contexts: [.init(id: 1, abstractSyntax: sopClass, transferSyntaxes: syntaxes)],
      user: user ?? UserInformation(maximumLength: 16384))
    change(&request)
    return Negotiation.answer(request, configuration, server.services) { hasRoom }
  }

  private func accepted(
    _ sopClass: UID, _ syntaxes: [TransferSyntax], roles: UserInformation.RoleSelection? = nil
  ) -> Bool {
    let user = UserInformation(maximumLength: 16384, roleSelections: roles.map { [$0] } ?? [])
    guard case .accept(_, let contexts) = answer(sopClass, syntaxes, user) else { return false }
    return !contexts.isEmpty
  }

  private func accept(_ sopClass: UID, _ user: UserInformation) -> UserInformation? {
    guard case .accept(let accept, _) = answer(sopClass, [.explicitVRLittleEndian], user) else {
      return nil
    }
    return accept.user
  }

  /// What is not stored and is provided, in the order of the UIDs.
  private var provided: [UID] {
    UIDRegistry.entries.map(\.uid).filter {
      !ContextPolicy.isStandardStorage($0)
        && accepted($0, [.explicitVRLittleEndian, .implicitVRLittleEndian])
    }
  }

  /// The storage classes of the registry that are taken.
  private var stored: [UID] {
    UIDRegistry.entries.map(\.uid).filter {
      ContextPolicy.isStandardStorage($0) && accepted($0, [.explicitVRLittleEndian])
    }
  }

  /// Whether there is somebody behind an accepted context; else what is answered.
  private func service(_ sopClass: UID) -> String {
    guard let model = InformationModel.of(sopClass) else { return Self.mark }
    do throws(ServiceFailure) {
      _ = try EmbeddedArchive.level(
        QueryRequest(
          association: ArchiveFixture.association, model: model, level: .study,
          identifier: DataSet()))
      return Self.mark
    } catch {
      return "accepted, answered \(error.status.code)"
    }
  }

  private func implementation() -> String {
    var table = StatementTable("Property", "Value")
    let identity = server.configuration.identity
    func window(_ sopClass: UID, _ invoked: UInt16) -> String {
      let answer = accept(
        sopClass,
        UserInformation(
          maximumLength: 0, asynchronousOperations: .init(invoked: invoked, performed: 1)))?
        .asynchronousOperations
      return answer.map { "invoked \($0.invoked), performed \($0.performed)" } ?? "no answer"
    }
    table.add("Application Context Name", "`\(dicomApplicationContext)`")
    table.add("Implementation Class UID", "`\(identity.classUID)`")
    table.add("Implementation Version Name", "`\(identity.version)`")
    table.add("Presentation contexts of a request, at most", "\(Association.mostContexts)")
    table.add(
      "Asynchronous operations, to a requestor of storage without limit", window(Self.ct, 0))
    table.add("to a requestor of storage who would invoke 10", window(Self.ct, 10))
    table.add(
      "to a requestor of other services without limit", window(SOPClass.studyRootFind, 0))
    return table.text
  }

  private func services() -> String {
    var table = StatementTable("Service", "SOP Class UID", "User (SCU)", "Provider (SCP)")
    let used = ProbedContexts.serviceClasses
    let provided = provided
    for uid in Set(used + provided).sorted() {
      table.add(
        uid.name ?? "", "`\(uid)`", used.contains(uid) ? Self.mark : "",
        provided.contains(uid) ? service(uid) : "")
    }
    table.add("\(stored.count) Storage SOP Classes", "annex B.1", Self.mark, Self.mark)
    return table.text
  }

  private func contexts() -> String {
    var table = StatementTable("Abstract syntax", "Transfer syntaxes", "Of both, chosen")
    let both: [TransferSyntax] = [.implicitVRLittleEndian, .explicitVRLittleEndian]
    // What is answered alike, in one line.
    var groups: [(answer: [String], classes: [String])] = []
    for uid in provided {
      let taken = Self.syntaxes.filter { accepted(uid, [$0]) }
      var chosen = ""
      if case .accept(_, let contexts) = answer(uid, both), let context = contexts.first {
        chosen = Self.name(context.transferSyntax)
      }
      let answer = [taken.map(Self.name).joined(separator: ", "), chosen]
      if let index = groups.firstIndex(where: { $0.answer == answer }) {
        groups[index].classes.append(uid.name ?? uid.value)
      } else {
        groups.append((answer, [uid.name ?? uid.value]))
      }
    }
    for group in groups {
      table.add(group.classes.joined(separator: ", "), group.answer[0], group.answer[1])
    }
    let count = Self.syntaxes.count { accepted(Self.ct, [$0]) }
    table.add("each Storage SOP Class", "\(count) registered ones, annex B.2", "the first proposed")
    return table.text
  }

  private func roles() -> String {
    var table = StatementTable("SOP class", "User offered: answer", "Provider offered: answer")
    for uid in provided + [Self.ct] {
      let answer = accept(
        uid,
        UserInformation(
          maximumLength: 0, roleSelections: [.init(sopClass: uid, user: true, provider: true)]))?
        .roleSelections.first
      guard let answer else { continue }
      table.add(
        uid == Self.ct ? "each Storage SOP Class" : uid.name ?? uid.value, answer.user ? "1" : "0",
        answer.provider ? "1" : "0")
    }
    return table.text
  }

  private func options() -> String {
    var table = StatementTable("Asked for", "Answer")
    for uid in provided {
      let answer = accept(
        uid,
        UserInformation(
          maximumLength: 0,
          extendedNegotiations: [.init(sopClass: uid, information: [1, 1, 1, 1, 1])]))?
        .extendedNegotiations.first
      guard let answer else { continue }
      table.add(
        "extended negotiation of \(uid.name ?? uid.value), 01 01 01 01 01",
        answer.information.map { "0\($0)" }.joined(separator: " "))
    }
    for (type, what) in [
      (1, "name"), (2, "name and passcode"), (3, "Kerberos"), (4, "SAML"), (5, "JWT"),
    ] {
      let user = accept(
        Self.ct,
        UserInformation(
          maximumLength: 0,
          userIdentity: .init(
            type: UInt8(type), responseRequested: true, primary: Array("syncd".utf8))))
      table.add(
        "user identity of type \(type), \(what), with a response",
        user?.isUserIdentityAcknowledged == true ? "acknowledged, not checked" : "no answer")
    }
    return table.text
  }

  private func rejections() -> String {
    var table = StatementTable("When", "Result", "Source", "Reason", "Meaning")
    func add(_ when: String, hasRoom: Bool = true, _ change: (inout AssociateRequest) -> Void) {
      guard
        case .reject(let answer) = answer(
          Self.ct, [.explicitVRLittleEndian], change: change, hasRoom: hasRoom)
      else { return table.add(when, "", "", "", "accepted") }
      table.add(
        when, "\(answer.result)", "\(answer.source)", "\(answer.reason)", answer.description)
    }
    add("protocol version without bit 0") { $0.protocolVersion = 2 }
    add("another application context") { $0.applicationContext = "1.2.3" }
    add("called AE title is not `archive.ae_title`") { $0.calledAE = "OTHER" }
    add("calling AE title is not among `archive.allow_calling`") { $0.callingAE = "OTHER" }
    add("maximum length below 16 bytes") { $0.user.maximumLength = 15 }
    add("`archive.max_associations` are open, or the daemon stops", hasRoom: false) { _ in }
    return table.text
  }

  // MARK: - Storage

  private func transferSyntaxes() -> String {
    var table = StatementTable("UID", "Transfer syntax", "Stored", "Sent by C-GET", "Asked for")
    let send = UserInformation.RoleSelection(sopClass: Self.ct, user: false, provider: true)
    for syntax in Self.syntaxes {
      let entry = UIDRegistry.entry(syntax.uid)
      table.add(
        "`\(syntax.uid)`", Self.name(syntax) + (entry?.isRetired == true ? " (retired)" : ""),
        accepted(Self.ct, [syntax]) ? Self.mark : "",
        accepted(Self.ct, [syntax], roles: send) ? Self.mark : "",
        GetProposal.transferSyntaxes.contains(syntax) ? Self.mark : "")
    }
    return table.text
  }

  private func storageClasses() -> String {
    let root = "1.2.840.10008.5.1.4.1.1"
    let retired = Set(SOPClass.storage()).subtracting(SOPClass.storage(includingRetired: false))
    return flowing(
      stored.map { uid in
        let short = uid.value.hasPrefix(root + ".") ? String(uid.value.dropFirst(root.count)) : ""
        return "`\(short.isEmpty ? uid.value : short)` \(uid.name ?? "")"
          + (retired.contains(uid) ? " (retired)" : "")
      })
  }

  private func getProposal() -> String {
    var table = StatementTable("SOP classes of the study", "Contexts of each", "Together")
    let classes = SOPClass.storage(includingRetired: false)
    for count in [1, 5, 6, 10, 31, 63, 64, 127] {
      let contexts = GetProposal(.studyRoot, sopClasses: Array(classes.prefix(count))).contexts
      let each = contexts.count { $0.abstractSyntax == classes[0] }
      table.add("\(count)", "\(each)", "\(contexts.count)")
    }
    return table.text
  }

  /// What becomes of an object by the recipient's answer to its C-STORE.
  private func storeOutcomes() -> String {
    var table = StatementTable("Status", "Meaning", "The object is")
    for code: UInt16 in [
      0x0000, 0x0111, 0xB000, 0xB006, 0xB007, 0x0110, 0x0213, 0xA700, 0x0112, 0x0117, 0x0122,
      0x0124, 0xA900, 0xC000, 0xFE00,
    ] {
      let status = DIMSEStatus(code)
      let outcome =
        switch DIMSERecipient.outcome(status) {
        case .stored: "sent"
        case .storedWithWarning: "sent, and the warning is shown"
        case .failed: "tried again by `sending.transfer_retry`"
        case .refused: "failed at once"
        case .storedUnproven: "sent without proof"
        }
      table.add(status.code, status.name, outcome)
    }
    return table.text
  }

  private func fileMeta() throws -> String {
    var table = StatementTable("Tag", "Attribute", "VR", "Content")
    let header = ArchiveFileHeader(
      sopClass: "1.2", sopInstance: "1.3", transferSyntax: .explicitVRLittleEndian,
      source: "SENDER"
    ).encoded(identity: .ours)
    guard case .header(let read) = try FileHeader.decode(header, isWhole: true),
      let elements = try read.metaInformation?.dataSet().elements
    else { return "" }
    let told: [UInt32: String] = [
      0x0002_0000: "as it is", 0x0002_0001: "00 01", 0x0002_0002: "as in the C-STORE request",
      0x0002_0003: "as in the C-STORE request", 0x0002_0010: "of the presentation context",
      0x0002_0012: "`\(ImplementationIdentity.ours.classUID)`",
      0x0002_0013: "`\(ImplementationIdentity.ours.version)`",
      0x0002_0016: "the calling AE title that the object came from",
      0x0002_0100: "`\(ArchiveFileHeader.lengthCreator)`",
      0x0002_0102: "the bytes of the data set that follows, 64 bits little endian",
    ]
    for element in elements {
      table.add(
        "\(element.tag)", DataDictionary.entry(element.tag)?.keyword ?? "", element.vr.rawValue,
        told[element.tag.packed] ?? "?")
    }
    return table.text
  }
}
