import DICOM
import Platform
import TestSupport
import Testing
import Training

/// The real daemon before a PACS that lies in one way after the other.
@Suite("A lying PACS and the daemon", .serialized)
struct LyingPACSDaemonTests {
  private static let study = PhantomStudy(
    accession: "SE00000000000808", patientName: "Tolvansson^Tolvan", description: "DT thorax",
    size: 32, series: [.init(number: 1, description: "axial", images: 6)])

  @Test("Each lie is shown for what it is, none is taken for images, and the truth makes it whole")
  func lies() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let archivePort = try freePort()
      let pacs = try LyingPACS(Self.study, directory: directory.path, destination: archivePort)
      let daemon = try DaemonFixture(
        peer: ApplicationEntityAddress("LIAR", port: pacs.port), archivePort: archivePort)
      try daemon.drop([Self.study.accession])
      typealias Behaviour = LyingPACS.Behaviour
      let steps: [(String, Behaviour, images: String, reason: String?)] = [
        ("no room", Behaviour { $0.association = .tooMany }, "none", "peer_unavailable"),
        ("no name", Behaviour { $0.query = .nameless }, "none", "retrieve_failed"),
        ("two studies", Behaviour { $0.query = .twoStudies }, "none", "ambiguous"),
        (
          "success and nothing",
          Behaviour {
            $0.objects = .none
            $0.counters = .allCompleted
          }, "none", "nothing_arrived"
        ),
        (
          "A700 in a query",
          Behaviour {
            $0.query = .final(.outOfResources)
            $0.queryLevel = .image
          }, "none", "peer_unavailable"
        ),
        (
          "an abort after two",
          Behaviour {
            $0.objects = .first(2)
            $0.ending = .abort
          }, "partial", "peer_unavailable"
        ),
        (
          "two more, and all counted",
          Behaviour {
            $0.objects = .first(4)
            $0.counters = .allCompleted
          }, "partial", "nothing_arrived"
        ),
        ("an answer to another request", Behaviour { $0.ending = .wrongMessage }, "complete", nil),
      ]
      pacs.behave(steps[0].1)
      try daemon.start()
      for (what, behaviour, images, reason) in steps {
        pacs.behave(behaviour)
        var seen = "nothing"
        let isRight = waitUntil(.after(.seconds(40))) {
          guard let entry = try? daemon.worklist()[Self.study.accession] else { return false }
          seen = "\(entry)"
          return entry.images == images && entry.reason == reason
        }
        #expect(isRight, "\(what): \(seen)\n\(daemon.log.suffix(1500))")
      }
      #expect(daemon.archived().count == 6)
      // Nothing hangs on: it ends in time, with status 0.
      daemon.signal(15)
      #expect(daemon.exit(.after(.seconds(20))) == .exited(0))
    }
  }
}
