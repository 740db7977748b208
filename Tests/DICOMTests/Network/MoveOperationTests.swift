import Platform
import TestSupport
import Testing

@testable import DICOM

@Suite("Sub-operations of a C-MOVE", .serialized)
struct MoveOperationTests {
  /// Two servers: one that plans, and the destination.
  private final class Pair {
    let directory: TemporaryDirectory
    let source: TestServer
    let destination: TestServer
    let instances: [StoredInstance]

    init(count: Int, size: Int) throws {
      let directory = try TemporaryDirectory()
      let destination = try TestServer(aeTitle: "DEST")
      let port = destination.port
      instances = try (0..<count).map { index in
        let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: index), count: size)
        // Something in front, as the File Meta Information would be.
        let path = try directory.write([UInt8](repeating: 9, count: 10) + bytes, to: "\(index)")
        return StoredInstance(
          sopClass: index % 2 == 0 ? ctImageStorage : secondaryCapture,
          sopInstance: UID("1.2.\(index)"),
          transferSyntax: index % 3 == 0 ? .implicitVRLittleEndian : .explicitVRLittleEndian,
          path: path, dataSetOffset: 10, dataSetLength: size)
      }
      let plan = instances
      source = try TestServer(MemoryArchive { $0.plan = plan }, aeTitle: "SOURCE") {
        $0.destination = { title in
          title == "DEST"
            ? PeerAddress(host: "127.0.0.1", port: port, calledAE: "DEST", callingAE: "SOURCE")
            : nil
        }
      }
      self.directory = directory
      self.destination = destination
    }

    func move(
      to title: String = "DEST", progress: (Command.Suboperations) -> Bool = { _ in true }
    ) throws -> MoveOutcome {
      let association = try source.associate([
        ProposedContext(InformationModel.studyRoot.moveClass!)
      ])
      defer { try? association.release() }
      return try association.move(
        DataSet([(DICOM.Tag(0x0008, 0x0052), .CS, "STUDY")]), in: .studyRoot, to: title,
        progress: progress)
    }
  }

  @Test("Objects of several classes and transfer syntaxes go each in its own context")
  func mixed() async throws {
    try await offPool {
      let pair = try Pair(count: 12, size: 5000)
      let outcome = try pair.move()
      #expect(outcome.result.status == .success)
      #expect(outcome.suboperations == .init(remaining: nil, completed: 12, failed: 0, warning: 0))
      #expect(outcome.lastPending != nil)
      let stored = pair.destination.archive.state.read { $0.stored }
      #expect(stored.count == 12)
      for (copy, original) in zip(stored, pair.instances) {
        #expect(copy.sopInstance == original.sopInstance)
        #expect(copy.transferSyntax == original.transferSyntax)
        #expect(try copy.bytes == original.dataSetBytes)
        #expect(copy.moveOriginator?.aeTitle == "CLIENT")
      }
    }
  }

  @Test("Nothing planned is a success of nothing; everything failed, and a part failed, are told")
  func outcomes() async throws {
    try await offPool {
      let pair = try Pair(count: 4, size: 100)
      #expect(try pair.move(to: "NOBODY").result.status == .moveDestinationUnknown)

      pair.destination.archive.state.update {
        $0.refusals["1.2.1"] = ServiceFailure(.outOfResources)
      }
      let partial = try pair.move()
      #expect(partial.result.status == .coercionOrSuboperationsFailed)
      #expect(partial.failedInstances == ["1.2.1"])
      #expect(partial.suboperations.completed == 3)

      pair.destination.server.stop(grace: .zero)
      let nothing = try pair.move()
      #expect(nothing.result.status == .unableToPerformSuboperations)
      #expect(Set(nothing.failedInstances) == Set(pair.instances.map(\.sopInstance)))
      #expect(nothing.suboperations.failed == 4)

      pair.source.archive.state.update { $0.plan = [] }
      let empty = try pair.move()
      #expect(empty.result.status == .success)
      #expect(empty.isSuspectSuccess)
    }
  }

  @Test("A destination that goes away in the middle leaves exact counters")
  func lostDestination() async throws {
    try await offPool {
      let pair = try Pair(count: 40, size: 50_000)
      var isStopped = false
      let outcome = try pair.move { _ in
        if !isStopped { pair.destination.server.stop(grace: .zero) }
        isStopped = true
        return true
      }
      #expect(isStopped)
      let completed = Int(outcome.suboperations.completed ?? 0)
      let stored = pair.destination.archive.state.read { $0.stored.count }
      // The response to the last one may have been lost with the connection.
      #expect(stored == completed || stored == completed + 1)
      #expect(completed + outcome.failedInstances.count == 40)
      #expect(!outcome.result.status.isSuccess || completed == 40)
    }
  }

  @Test("A cancelled C-MOVE tells what remains")
  func cancel() async throws {
    try await offPool {
      let pair = try Pair(count: 300, size: 20_000)
      let outcome = try pair.move { _ in false }
      #expect(outcome.result.status == .cancel)
      let done = Int(outcome.suboperations.completed ?? 0)
      #expect(done >= 1)
      #expect(done + Int(outcome.suboperations.remaining ?? 0) == 300)
      #expect(pair.destination.archive.state.read { $0.stored.count } == done)
    }
  }

  @Test("More than 128 kinds of objects are split over associations, none lost")
  func parts() {
    let instances = (0..<1000).map {
      StoredInstance(
        sopClass: UID("1.2.\($0 % 300)"), sopInstance: UID("1.3.\($0)"),
        transferSyntax: .explicitVRLittleEndian, path: "", dataSetOffset: 0, dataSetLength: 0)
    }
    let parts = MoveOperation.parts(of: instances)
    #expect(parts.map(\.contexts.count) == [128, 128, 44])
    #expect(Set(parts.flatMap(\.instances)) == Set(instances))
    for part in parts {
      let offered = Set(part.contexts.map(\.abstractSyntax))
      #expect(part.instances.allSatisfy { offered.contains($0.sopClass) })
    }
  }
}
