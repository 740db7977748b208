import Platform
import TestSupport
import Testing

@testable import DICOM

@Suite("C-GET between our two sides", .serialized)
struct GetOperationTests {
  /// A server with objects to give, real data sets of several classes and encodings.
  private final class Source {
    let directory: TemporaryDirectory
    let server: TestServer
    let instances: [StoredInstance]

    init(count: Int, size: Int = 1000, syntaxes: [TransferSyntax]) throws {
      let directory = try TemporaryDirectory()
      instances = try (0..<count).map { index in
        let syntax = syntaxes[index % syntaxes.count]
        var content = DataSet()
        let sopClass = index % 2 == 0 ? ctImageStorage : secondaryCapture
        content.set(.sopClassUID, sopClass)
        content.set(.sopInstanceUID, UID("1.2.\(index)"))
        content.setBytes(DICOM.Tag(0x7FE0, 0x0010), .OW, [UInt8](repeating: 7, count: size))
        let isNative = !syntax.isEncapsulated
        let bytes = try content.encoded(as: isNative ? syntax : .explicitVRLittleEndian)
        let path = try directory.write([UInt8](repeating: 9, count: 10) + bytes, to: "\(index)")
        return StoredInstance(
          sopClass: sopClass, sopInstance: UID("1.2.\(index)"), transferSyntax: syntax, path: path,
          dataSetOffset: 10, dataSetLength: bytes.count)
      }
      let plan = instances
      server = try TestServer(MemoryArchive { $0.plan = plan })
      self.directory = directory
    }

    func associate(_ proposal: GetProposal) throws -> Association {
      try Association.request(
        to: server.address, contexts: proposal.contexts + [.verification], timeouts: .short,
        extensions: AssociationExtensions(roles: proposal.roles))
    }
  }

  private static let identifier = DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, "STUDY")])
  private static let jpeg = TransferSyntax("1.2.840.10008.1.2.4.70")

  @Test("Every object comes as it is stored, on the association that asked")
  func whole() async throws {
    try await offPool {
      let source = try Source(
        count: 30,
        syntaxes: [
          .explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian, Self.jpeg,
        ])
      let here = MemoryArchive()
      let proposal = GetProposal(.studyRoot, sopClasses: [ctImageStorage, secondaryCapture])
      let association = try source.associate(proposal)
      #expect(association.refusedContexts.isEmpty)
      var told = 0
      let outcome = try association.get(Self.identifier, in: .studyRoot, into: here) { _ in
        told += 1
        return true
      }
      #expect(outcome.result.status == .success)
      #expect(outcome.suboperations == .init(remaining: nil, completed: 30, failed: 0, warning: 0))
      #expect(told >= 30 && outcome.lastPending != nil && outcome.stored == 30)
      let stored = here.state.read { $0.stored }
      #expect(stored.map(\.sopInstance) == source.instances.map(\.sopInstance))
      for (copy, original) in zip(stored, source.instances) {
        #expect(copy.transferSyntax == original.transferSyntax)
        #expect(try copy.bytes == original.dataSetBytes)
        #expect(copy.moveOriginator == nil)
      }
      #expect(here.state.read { $0.ended } == 1)
      #expect(source.server.server.associationCount == 1)
      // Nothing is left in the way of what comes next.
      #expect(try association.echo().status == .success)
      try association.release()
    }
  }

  @Test("What has no context fails by name; uncompressed objects go in any uncompressed syntax")
  func conversion() async throws {
    try await offPool {
      let source = try Source(
        count: 8,
        syntaxes: [
          .explicitVRLittleEndian, .implicitVRLittleEndian, .explicitVRBigEndian, Self.jpeg,
        ])
      let here = MemoryArchive()
      let roles = [ctImageStorage, secondaryCapture].map {
        UserInformation.RoleSelection(sopClass: $0, user: false, provider: true)
      }
      let association = try Association.request(
        to: source.server.address,
        contexts: [
          ProposedContext(SOPClass.studyRootGet),
          ProposedContext(ctImageStorage, [.implicitVRLittleEndian]),
          ProposedContext(secondaryCapture, [.implicitVRLittleEndian]),
        ], timeouts: .short, extensions: AssociationExtensions(roles: roles))
      let outcome = try association.get(Self.identifier, in: .studyRoot, into: here)
      #expect(outcome.result.status == .coercionOrSuboperationsFailed)
      #expect(outcome.failedInstances == ["1.2.3", "1.2.7"])
      #expect(outcome.suboperations.completed == 6 && outcome.suboperations.failed == 2)
      let stored = here.state.read { $0.stored }
      #expect(stored.count == 6)
      for copy in stored {
        #expect(copy.transferSyntax == .implicitVRLittleEndian)
        let original = try #require(
          source.instances.first { $0.sopInstance == copy.sopInstance })
        let content = try DataSet(decoding: copy.bytes, as: .implicitVRLittleEndian)
        #expect(content.uid(.sopInstanceUID) == copy.sopInstance)
        #expect(
          content.bytes(DICOM.Tag(0x7FE0, 0x0010))
            == (try DataSet(decoding: original.dataSetBytes, as: original.transferSyntax))
            .bytes(DICOM.Tag(0x7FE0, 0x0010)))
      }
      try association.release()
    }
  }

  @Test("Without the provider's role nothing is sent, and the status says so")
  func withoutRole() async throws {
    try await offPool {
      let source = try Source(count: 3, syntaxes: [.explicitVRLittleEndian])
      let here = MemoryArchive()
      let association = try source.server.associate([
        ProposedContext(SOPClass.studyRootGet), ProposedContext(ctImageStorage),
        ProposedContext(secondaryCapture),
      ])
      let outcome = try association.get(Self.identifier, in: .studyRoot, into: here)
      #expect(outcome.result.status == .unableToPerformSuboperations)
      #expect(outcome.failedInstances.count == 3)
      #expect(here.state.read { $0.stored.isEmpty })
      try association.release()
    }
  }

  @Test("An object that is refused here, and one whose file is gone, cost no other")
  func failures() async throws {
    try await offPool {
      let source = try Source(count: 10, syntaxes: [.explicitVRLittleEndian])
      source.server.archive.state.update {
        let gone = $0.plan[4]
        $0.plan[4] = StoredInstance(
          sopClass: gone.sopClass, sopInstance: gone.sopInstance,
          transferSyntax: gone.transferSyntax, path: "/nonexistent", dataSetOffset: 0,
          dataSetLength: 10)
      }
      let here = MemoryArchive { $0.refusals["1.2.7"] = ServiceFailure(.outOfResources) }
      let proposal = GetProposal(.studyRoot, sopClasses: [ctImageStorage, secondaryCapture])
      let association = try source.associate(proposal)
      let outcome = try association.get(Self.identifier, in: .studyRoot, into: here)
      #expect(outcome.result.status == .coercionOrSuboperationsFailed)
      #expect(outcome.failedInstances == ["1.2.4", "1.2.7"])
      #expect(here.state.read { $0.stored.count } == 8 && outcome.stored == 8)
      try association.release()
    }
  }

  @Test("A cancelled C-GET tells what remains, and the association goes on")
  func cancel() async throws {
    try await offPool {
      let source = try Source(count: 200, size: 20_000, syntaxes: [.explicitVRLittleEndian])
      let here = MemoryArchive()
      let proposal = GetProposal(.studyRoot, sopClasses: [ctImageStorage, secondaryCapture])
      let association = try source.associate(proposal)
      var count = 0
      let outcome = try association.get(Self.identifier, in: .studyRoot, into: here) { _ in
        count += 1
        return count < 3
      }
      #expect(outcome.result.status == .cancel)
      let done = Int(outcome.suboperations.completed ?? 0)
      #expect(done >= 1 && done < 200)
      #expect(done + Int(outcome.suboperations.remaining ?? 0) == 200)
      #expect(here.state.read { $0.stored.count } == done)
      #expect(try association.echo().status == .success)
      try association.release()
    }
  }

  @Test("A proposal has a context for each transfer syntax where there is room, and always one")
  func proposal() {
    let syntaxes = GetProposal.transferSyntaxes
    let few = GetProposal(.studyRoot, sopClasses: ["1.2", "1.3", "1.2"])
    #expect(few.contexts.count == 1 + 2 * syntaxes.count)
    #expect(few.contexts.dropFirst().allSatisfy { $0.transferSyntaxes.count == 1 })
    #expect(few.roles.map(\.sopClass) == ["1.2", "1.3"])
    #expect(few.roles.allSatisfy { !$0.user && $0.provider })
    for count in [6, 31, 64, 127, 300] {
      let many = GetProposal(.studyRoot, sopClasses: (0..<count).map { UID("1.2.\($0)") })
      #expect(many.contexts.count <= Association.mostContexts)
      for role in many.roles {
        let offered = many.contexts.filter { $0.abstractSyntax == role.sopClass }
          .flatMap(\.transferSyntaxes)
        #expect(offered == syntaxes, "\(count)")
      }
      #expect(many.roles.count == min(count, 127))
    }
    #expect(GetProposal(.studyRoot, sopClasses: []).contexts.count == 1)
  }
}
