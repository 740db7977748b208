import Platform
import Testing

@testable import SyncCore

private let start = WallTime(milliseconds: 1_790_000_000_000)

@Suite("Completeness of an examination's images")
struct CompletenessTests {
  let completeness = Completeness(policy: .init())

  private func seen(
    _ source: Int, missing: Int = 0, extra: Int = 0, digest: String = "d",
    failure: ImageReason? = nil, retrieved: Bool = false
  ) -> ImageObservation {
    .compared(
      .init(
        studyUID: "1.2.3", source: source, sourceDigest: digest, missing: missing, extra: extra,
        retrieveFailure: failure, didRetrieve: retrieved))
  }

  private func run(
    _ steps: [(seconds: Int, ImageObservation)], status: ExaminationStatus = .completed
  ) -> ImageProgress {
    steps.reduce(ImageProgress()) { progress, step in
      completeness.after(step.1, progress, status: status, now: start + .seconds(step.seconds))
    }
  }

  @Test("equal sets are complete only when unchanged over two reads sixty seconds apart")
  func stability() {
    let first = run([(0, seen(10))])
    #expect(first.state == .fetching)
    #expect(first.reason?.code == .verifying)
    #expect(first.nextAttempt == start + .seconds(60))
    #expect(run([(0, seen(10)), (59, seen(10))]).state == .fetching)
    let complete = run([(0, seen(10)), (60, seen(10))])
    #expect(complete.state == .complete)
    #expect(complete.reason == nil)
    #expect(complete.verified == start + .seconds(60))
  }

  @Test("the right number of other objects is not the same study")
  func sets() {
    let progress = run([(0, seen(10, digest: "a")), (60, seen(10, digest: "b"))])
    #expect(progress.state == .fetching)
    #expect(progress.nextAttempt == start + .seconds(120))
  }

  @Test("an equal number with one missing and one too many is not complete")
  func equalCounts() {
    let progress = run([(0, seen(10, missing: 1, extra: 1)), (60, seen(10, missing: 1, extra: 1))])
    #expect(progress.state == .partial)
    #expect(progress.archived == 9)
    #expect(progress.held)
  }

  @Test("objects that the source does not have hold the examination")
  func extra() {
    let progress = run([(0, seen(10, extra: 2)), (60, seen(10, extra: 2))])
    #expect(progress.held && progress.isBlocked)
    #expect(progress.state == .partial)
    #expect(progress.reason?.code == .extraInArchive)
    // Mended at the source or in the archive, it goes on by itself.
    let mended = run([(0, seen(10, extra: 2)), (600, seen(10)), (660, seen(10))])
    #expect(mended.state == .complete && !mended.held)
  }

  @Test(
    "a status that may not be sent keeps it from being complete",
    arguments: [ExaminationStatus.requested, .scheduled, .ended, .onHold, .unknown, .cancelled])
  func status(_ status: ExaminationStatus) {
    let progress = run([(0, seen(10)), (60, seen(10))], status: status)
    #expect(progress.state == .fetching)
    #expect(progress.reason?.code == .statusNotSendable)
  }

  @Test("late images take a complete examination back to partial, with all of it verified anew")
  func late() {
    let late = run([(0, seen(10)), (60, seen(10)), (600, seen(15, missing: 5, digest: "e"))])
    #expect(late.state == .partial)
    #expect(late.reason?.code == .lateImages)
    #expect(late.archived == 10 && late.expected == 15)
    #expect(late.verified == nil)
    let fetched = run([
      (0, seen(10)), (60, seen(10)), (600, seen(15, digest: "e", retrieved: true)),
    ])
    #expect(fetched.state == .fetching && fetched.reason?.code == .verifying)
  }

  @Test("pauses double from the shortest to the longest while a pass comes no further")
  func backoff() {
    var progress = ImageProgress()
    var pauses: [Int64] = []
    for _ in 0..<9 {
      progress = completeness.after(
        .failed(.peerUnavailable, "x"), progress, status: .completed, now: start)
      pauses.append((progress.nextAttempt!.milliseconds - start.milliseconds) / 1000)
    }
    #expect(pauses == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800])
  }

  @Test("a pass that brought something starts the pauses anew")
  func advance() {
    let stuck = run([
      (0, seen(10, missing: 9)), (1, seen(10, missing: 9)), (2, seen(10, missing: 9)),
    ])
    #expect(stuck.attempts == 3)
    let advanced = completeness.after(
      seen(10, missing: 4, retrieved: true), stuck, status: .completed, now: start)
    #expect(advanced.attempts == 1)
  }

  @Test("no icon has three different reasons, each with its owner")
  func reasons() {
    let absent = run([(0, .notFound)])
    let mismatch = run([(0, .mismatch(list: "1.2.3", source: "1.2.4"))])
    let fresh = ImageProgress()
    #expect([absent, mismatch, fresh].map(\.state) == [.none, .none, .none])
    #expect(absent.reason?.code == .notStored)
    #expect(mismatch.reason?.code == .uidMismatch)
    #expect(mismatch.reason?.text.contains("1.2.3") == true)
    #expect(mismatch.reason?.text.contains("1.2.4") == true)
    #expect(fresh.reason?.code == .notStarted)
    #expect(Set([absent, mismatch, fresh].compactMap { $0.reason?.owner }).count == 3)
  }

  @Test("a study without objects is not complete")
  func empty() {
    let progress = run([(0, seen(0)), (60, seen(0))])
    #expect(progress.state == .none)
    #expect(progress.reason?.code == .notStored)
  }

  @Test("success of a retrieve that brought nothing is told as that")
  func lyingSuccess() {
    let progress = run([(0, seen(10, missing: 10, retrieved: true))])
    #expect(progress.reason?.code == .nothingArrived)
    #expect(progress.state == .none)
  }

  @Test("a source that does not answer takes nothing back of what was seen")
  func sourceDown() {
    let down = ImageObservation.failed(.peerUnavailable, "refused")
    let complete = run([(0, seen(10)), (60, seen(10)), (660, down)])
    #expect(complete.state == .complete && complete.reason == nil)
    #expect(complete.verified == start + .seconds(60))
    #expect(complete.nextAttempt == start + .seconds(690))
    let verifying = run([(0, seen(10)), (60, down)])
    #expect(verifying.state == .fetching && verifying.reason?.code == .peerUnavailable)
    let some = run([(0, seen(10, missing: 4)), (60, down)])
    #expect(some.state == .partial && some.reason?.code == .peerUnavailable)
  }

  @Test("a clock set back starts the stability window anew instead of ending it")
  func clockBack() {
    let progress = run([(1000, seen(10)), (0, seen(10))])
    #expect(progress.state == .fetching)
    #expect(progress.equalSince == start)
  }
}
