import DICOM
import Platform
import Synchronization
import TestSupport
import Testing
import Training

@testable import SyncCore

/// What a PACS says and does, through the real peer, pass and archive: whatever it is, the state is
/// what the archive holds, the reason says what happened, and a later pass gets the rest.
@Suite("A PACS that lies", .serialized)
struct LyingPACSTests {
  private static let study = PhantomStudy(
    accession: "SE00000000000001", patientName: "Tolvansson^Tolvan", description: "Thorax",
    size: 16,
    series: [
      .init(number: 1, description: "axial", images: 3),
      .init(number: 2, description: "coronal", images: 3),
    ])

  typealias Behaviour = LyingPACS.Behaviour

  /// One lie, and what is to come of it.
  struct Case: Sendable, CustomTestStringConvertible {
    var what: String
    var state: ImageState
    var code: ImageReason.Code?
    /// A part of the reason's text.
    var text: String
    /// Whether the peer as a whole is left alone for a while.
    var isPeerDown = false
    /// Objects of the study that are archived after the pass.
    var archived: Int
    var behaviour: Behaviour

    var testDescription: String { what }
  }

  private static let all = 6

  static let queryLies: [Case] = [
    Case(
      what: "every match three times", state: .complete, code: nil, text: "", archived: all,
      behaviour: Behaviour { $0.query = .duplicates }),
    Case(
      what: "matches of another study, as of a peer that ignores the key", state: .complete,
      code: nil, text: "", archived: all, behaviour: Behaviour { $0.query = .otherStudies }),
    Case(
      what: "another examination's study", state: .none, code: .notStored, text: "no study",
      archived: 0, behaviour: Behaviour { $0.query = .otherNumber }),
    Case(
      what: "two studies with the number", state: .none, code: .ambiguous, text: "2 studies",
      archived: 0,
      behaviour: Behaviour {
        $0.query = .twoStudies
        $0.queryLevel = .study
      }),
    nameless(.study, "Study Instance UID (0020,000D)"),
    nameless(.series, "Series Instance UID (0020,000E)"),
    nameless(.image, "SOP Instance UID (0008,0018)"),
    endless(.study), endless(.series), endless(.image),
    final(.outOfResources, "A700"), final(.cancel, "FE00"), final(DIMSEStatus(0xB001), "B001"),
    final(.cannotUnderstand, "C000"),
    Case(
      what: "silence", state: .none, code: .peerUnavailable,
      text: "timed out waiting for a response",
      isPeerDown: true, archived: 0, behaviour: Behaviour { $0.query = .silent }),
    Case(
      what: "an abort among the matches", state: .none, code: .peerUnavailable, text: "aborted",
      isPeerDown: true, archived: 0,
      behaviour: Behaviour {
        $0.query = .aborts
        $0.queryLevel = .image
      }),
    Case(
      what: "matches for another request", state: .none, code: .retrieveFailed,
      text: "protocol violation by the peer: C-FIND-RSP to message 4711", archived: 0,
      behaviour: Behaviour { $0.query = .wrongMessage }),
    Case(
      what: "too many associations", state: .none, code: .peerUnavailable,
      text: "transient: local limit exceeded", isPeerDown: true, archived: 0,
      behaviour: Behaviour { $0.association = .tooMany }),
    Case(
      what: "contexts that nobody proposed", state: .none, code: .peerUnavailable,
      text: "accepts no presentation context", isPeerDown: true, archived: 0,
      behaviour: Behaviour { $0.association = .otherContexts }),
  ]

  private static func nameless(_ level: QueryLevel, _ attribute: String) -> Case {
    Case(
      what: "a match without its UID at \(level) level", state: .none, code: .retrieveFailed,
      text: attribute, archived: 0,
      behaviour: Behaviour {
        $0.query = .nameless
        $0.queryLevel = level
      })
  }

  private static func endless(_ level: QueryLevel) -> Case {
    Case(
      what: "matches without end at \(level) level", state: .none, code: .retrieveFailed,
      text: "more than 200", archived: 0,
      behaviour: Behaviour {
        $0.query = .endless
        $0.queryLevel = level
      })
  }

  private static func final(_ status: DIMSEStatus, _ code: String) -> Case {
    Case(
      what: "a query that ends in \(code)", state: .none, code: .peerUnavailable,
      text: "did not finish the query: \(code)", archived: 0,
      behaviour: Behaviour {
        $0.query = .final(status)
        $0.queryLevel = .image
      })
  }

  static let moveLies: [Case] = [
    move("Success with nothing sent", .none, .nothingArrived, "answered Success", 0) {
      $0.objects = .none
      $0.counters = .absent
    },
    move("Success with nothing sent, and all counted", .none, .nothingArrived, "did not arrive", 0)
    {
      $0.objects = .none
      $0.counters = .allCompleted
    },
    move("all sent, without counters", .complete, nil, "", all) { $0.counters = .absent },
    move("all counted, four sent", .partial, .nothingArrived, "2 objects did not arrive", 4) {
      $0.objects = .first(4)
      $0.counters = .allCompleted
    },
    move("B000 with warnings only", .complete, nil, "", all) {
      $0.counters = .allWarnings
      $0.moveStatus = .coercionOrSuboperationsFailed
    },
    move("B000 with warnings only, and two lost", .partial, .nothingArrived, "2 objects", 4) {
      $0.objects = .first(4)
      $0.counters = .allWarnings
      $0.moveStatus = .coercionOrSuboperationsFailed
    },
    move("B000 and two failed", .partial, .retrieveFailed, "2 failed (B000)", 4) {
      $0.objects = .first(4)
      $0.counters = .restFailed
      $0.moveStatus = .coercionOrSuboperationsFailed
    },
    move("a failure though all arrived", .complete, nil, "", all) {
      $0.moveStatus = .cannotUnderstand
      $0.counters = .absent
    },
    move("A702 after three", .partial, .retrieveFailed, "A702", 3) {
      $0.objects = .first(3)
      $0.moveStatus = .unableToPerformSuboperations
    },
    move("A801", .none, .retrieveFailed, "does not know the AE title VGRSECTEMP", 0) {
      $0.objects = .none
      $0.moveStatus = .moveDestinationUnknown
    },
    move("objects that nobody asked for as well", .complete, nil, "", all) {
      $0.objects = .uninvited
    },
    move("objects of another study instead", .none, .nothingArrived, "6 objects did not arrive", 0)
    {
      $0.objects = .otherStudy
      $0.counters = .allCompleted
    },
    move("other bytes under the same UIDs", .complete, nil, "", all) { $0.objects = .otherBytes },
    move("an abort after three", .partial, .peerUnavailable, "association aborted", 3, down: true) {
      $0.objects = .first(3)
      $0.ending = .abort
    },
    move("an abort after all", .complete, nil, "", all, down: true) { $0.ending = .abort },
    move("silence after three", .partial, .retrieveFailed, "timed out waiting for progress", 3) {
      $0.objects = .first(3)
      $0.ending = .silent
    },
    move("pending for ever", .partial, .retrieveFailed, "timed out waiting for progress", 3) {
      $0.objects = .first(3)
      $0.ending = .pendingForEver
    },
    move("an answer to another request", .partial, .retrieveFailed, "protocol violation", 3) {
      $0.objects = .first(3)
      $0.ending = .wrongMessage
    },
    move("a stall in the middle of an object", .none, .retrieveFailed, "timed out waiting", 0) {
      $0.objects = .stalls
    },
  ]

  private static func move(
    _ what: String, _ state: ImageState, _ code: ImageReason.Code?, _ text: String,
    _ archived: Int, down: Bool = false, _ change: (inout Behaviour) -> Void
  ) -> Case {
    Case(
      what: what, state: state, code: code, text: text, isPeerDown: down, archived: archived,
      behaviour: Behaviour(change))
  }

  @Test("Queries", arguments: queryLies)
  func queries(lie: Case) async throws { try await check(lie) }

  @Test("Retrieves", arguments: moveLies)
  func retrieves(lie: Case) async throws { try await check(lie) }

  @Test("One match now and then, for ever, ends as well")
  func dripping() async throws {
    // The time for a whole query is sixty times that for an answer.
    try await check(
      Case(
        what: "dripping", state: .none, code: .retrieveFailed, text: "does not come to an end",
        archived: 0, behaviour: Behaviour { $0.query = .dripping }),
      response: .milliseconds(80), mostMatches: 100_000)
  }

  private func check(
    _ lie: Case, response: Duration = .seconds(4), mostMatches: Int = 200
  ) async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      let fixture = try ArchiveFixture()
      let receiver = try fixture.archive.server(
        on: .tcp(host: "127.0.0.1", port: 0),
        configure: { $0.timeouts.response = .seconds(4) })
      receiver.start()
      defer { receiver.stop(grace: .zero) }
      let pacs = try LyingPACS(
        Self.study, directory: directory.path, destination: receiver.port, behaviour: lie.behaviour)
      var options = DIMSEPeer.Options(
        name: "sectra",
        address: PeerAddress(
          host: "127.0.0.1", port: pacs.port, calledAE: "LIAR", callingAE: "VGRSECTEMP"),
        timeouts: AssociationTimeouts(
          connect: .seconds(5), association: .seconds(5), response: response,
          move: .seconds(8)),
        destination: "VGRSECTEMP")
      options.mostMatches = mostMatches
      let pass = ImagePass(
        source: DIMSEPeer(options), archive: fixture.archive, prefetches: true)
      let completeness = Completeness(policy: .init(stability: .zero))
      func run(_ old: ImageProgress) -> (ImagePass.Result, ImageProgress) {
        let result = pass.run(
          number: Self.study.accession, listStudyUID: nil, stop: Gate()
        ) { archived, expected in #expect(archived <= expected) }
        return (
          result, completeness.after(result.observation, old, status: .completed, now: .now)
        )
      }

      let started = MonotonicTime.now
      let (first, progress) = run(ImageProgress())
      #expect(MonotonicTime.now - started < .seconds(60))
      #expect(progress.state == lie.state, "\(first.observation)")
      #expect(progress.reason?.code == lie.code, "\(String(describing: progress.reason))")
      #expect(
        progress.reason?.text.contains(lie.text) ?? lie.text.isEmpty,
        "\(String(describing: progress.reason))")
      #expect((first.peerFailure != nil) == lie.isPeerDown, "\(first.peerFailure ?? "-")")
      try fixture.archive.flush()
      let held = try Set(fixture.archive.storedObjects(of: Self.study.studyUID).map(\.sopInstance))
      #expect(held.count == lie.archived && held.isSubset(of: pacs.objects))
      let conflicts = fixture.events.count { if case .conflict = $0 { true } else { false } }
      if case .otherBytes = lie.behaviour.objects { #expect(conflicts == Self.all) }

      // An honest answer, and all is there; only what was missing has been asked for.
      let before = pacs.moves.count
      pacs.behave(Behaviour())
      let (second, whole) = run(progress)
      #expect(whole.state == .complete && whole.reason == nil, "\(second.observation)")
      #expect(second.peerFailure == nil)
      let asked = pacs.moves[before...].flatMap { $0 }
      #expect(asked.count == Self.all - lie.archived && held.isDisjoint(with: asked))

      // Nothing is left of any of it.
      #expect(pacs.isQuiet())
      let isClean = waitUntil {
        receiver.associationCount == 0 && OpenSockets.accepted(port: receiver.port) == 0
          && OpenSockets.connected(port: pacs.port) == 0 && fixture.files("incoming").isEmpty
      }
      #expect(isClean)
    }
  }
}
