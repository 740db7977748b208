import DICOM
import Glibc
import JSON
import Platform
import Training

// Walks a newcomer through the real daemon among a simulated hospital. With --once it runs to its end
// and says by its exit status whether every flag and every object is where it should be.

signal(SIGPIPE, SIG_IGN)
Interruption.prepare()
let isOnce = CommandLine.arguments.dropFirst().contains("--once")
if let unknown = CommandLine.arguments.dropFirst().first(where: { $0 != "--once" }) {
  print("syncd-demo: unknown argument '\(unknown)'. Usage: syncd-demo [--once]")
  exit(2)
}

var isToured = false
do {
  let surroundings = try Surroundings()
  do {
    let tour = Tour(surroundings)
    try tour.run()
    isToured = true
    if !isOnce { try tour.stay() }
    surroundings.end()
  } catch is Interrupted {
    print("\nInterrupted. The end.")
    surroundings.end()
    // Asked for once it stays up, and as good as a failure before its checks.
    exit(isToured ? 0 : 130)
  } catch {
    print("\nThe demonstration failed: \(error)\n\nThe daemon's log ends:\n\(surroundings.logTail)")
    surroundings.end()
    exit(1)
  }
} catch {
  print("The demonstration could not begin: \(error)")
  exit(1)
}
