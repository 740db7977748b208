import DICOM
import Platform
import Synchronization
import TestSupport

@testable import SyncCore

/// The real dispatcher and its ledger among simulated recipients and HL7 interfaces, on virtual
/// clocks and one thread. A crash drops the dispatcher and everything that has not been committed.
final class DispatchSimulation {
  /// An HL7 interface that keeps what it has got, and answers as the test or chance will have it.
  final class Interface: MessagePeer {
    struct State: Sendable {
      /// What arrived: control id and text, in order; repeats as well.
      var received: [(id: String, text: String)] = []
      var isDown = false
      /// Answers to give, in order; then AA.
      var answers: [MessageOutcome] = []
      var random: SeededGenerator?
      var attempts = 0
    }
    let state = Mutex(State())

    func deliver(_ message: [UInt8], controlID: String, stop: Gate) -> MessageOutcome {
      let text = String(decoding: message, as: UTF8.self)
      return state.withLock { state in
        state.attempts += 1
        if state.isDown { return .notSent("connection refused") }
        if state.random != nil {
          // Dropped before it arrives, lost on the way back, refused for now, or well.
          switch state.random!.next() % 10 {
          case 0: return .notSent("connection refused")
          case 1: return .unknown("timed out")
          case 2, 3:
            state.received.append((controlID, text))
            return .unknown("no answer in time")
          case 4:
            return .acknowledged(MessageAcknowledgement(code: "AE", errorCodes: [207]))
          default: break
          }
          state.received.append((controlID, text))
          return .acknowledged(MessageAcknowledgement(code: "AA"))
        }
        if !state.answers.isEmpty {
          let answer = state.answers.removeFirst()
          switch answer {
          case .notSent, .stopped: break
          default: state.received.append((controlID, text))
          }
          return answer
        }
        state.received.append((controlID, text))
        return .acknowledged(MessageAcknowledgement(code: "AA"))
      }
    }

    var received: [String] { state.withLock { $0.received.map(\.text) } }
    var ids: [String] { state.withLock { $0.received.map(\.id) } }
    var attempts: Int { state.withLock { $0.attempts } }
    func answer(_ outcomes: MessageOutcome...) { state.withLock { $0.answers += outcomes } }
  }

  final class Recipient: ImageRecipient {
    struct State: Sendable {
      var stored: [String: Int] = [:]
      var refuses: Set<String> = []
      var isDown = false
      /// Breaks off after so many objects.
      var breaksAfter: Int?
      var sends = 0
    }
    let state = Mutex(State())
    let name = "ahei"

    func send(
      _ study: UID, _ objects: [ImageObject], priority: Priority, stop: Gate,
      acknowledged: (UID, SendOutcome) -> Void
    ) throws(ImageRecipientError) {
      if state.withLock({
        $0.sends += 1; return $0.isDown
      }) {
        throw ImageRecipientError(text: "connection refused", isPeerDown: true)
      }
      for (index, object) in objects.enumerated() {
        if stop.isOpen { throw ImageRecipientError(text: "stopped", isStopped: true) }
        if state.withLock({ $0.breaksAfter }) == index {
          state.withLock { $0.breaksAfter = nil }
          throw ImageRecipientError(text: "aborted by the peer")
        }
        let uid = object.sopInstance.value
        let isRefused = state.withLock { state in
          if state.refuses.contains(uid) { return true }
          state.stored[uid, default: 0] += 1
          return false
        }
        acknowledged(
          object.sopInstance, isRefused ? .refused(0xA900, "A900 does not match") : .stored)
      }
    }

    var stored: [String: Int] { state.withLock { $0.stored } }
  }

  struct Composer: MessageComposer {
    func message(
      _ step: AssignmentStep, of assignment: AssignmentRecord, interface: String,
      controlID: String, received: [UInt8]?, now: WallTime
    ) throws(MessageComposingError) -> [UInt8] {
      if assignment.order.message == "unencodable" {
        throw MessageComposingError("NTE-3: U+1F600 is not in 8859/1")
      }
      return Array("\(assignment.name) \(step.messageKind ?? "") \(controlID)".utf8)
    }
  }

  final class Disclosures: DisclosureLog {
    struct State: Sendable {
      var isFailing = false
      var disclosed: [String] = []
      var received: [String] = []
    }
    let state = Mutex(State())
    struct Failure: Error {}
    func disclose(_ assignments: [AssignmentRecord], now: WallTime) throws {
      try state.withLock { state in
        if state.isFailing { throw Failure() }
        state.disclosed += assignments.map(\.name)
      }
    }
    func received(_ assignment: AssignmentRecord, what: String, now: WallTime) throws {
      try state.withLock { state in
        if state.isFailing { throw Failure() }
        state.received.append(assignment.name)
      }
    }
  }

  let clock = Simulation.Clock()
  let runner = Simulation.Jobs()
  let imaging = Simulation.Imaging()
  let origin = Interface()
  let orders = Interface()
  let recipient = Recipient()
  let disclosures = Disclosures()
  /// What comes back to the test and to the dispatcher.
  final class Box<Value: Sendable>: Sendable {
    let values = Mutex<[Value]>([])
    func add(_ value: Value) { values.withLock { $0.append(value) } }
    func take() -> [Value] {
      values.withLock { values in
        defer { values = [] }
        return values
      }
    }
    var all: [Value] { values.withLock { $0 } }
  }
  let recalledKeys = Box<ExaminationKey>()
  let mailbox = Box<DispatchEvent>()
  let folder: TemporaryDirectory
  var settings: DispatchSettings
  var dispatcher: Dispatcher!

  init() throws {
    folder = try TemporaryDirectory()
    settings = DispatchSettings()
    let ladder = RetryLadder("1x5m,1x30m,1x3h")!
    settings.outlets = [
      Outlet(.hl7, "ris"): .init(budget: 2, retry: ladder),
      Outlet(.hl7, "ahei-hl7"): .init(budget: 2, retry: ladder),
      Outlet(.dicom, "ahei"): .init(budget: 1, retry: RetryLadder("1x10s,1x30s,1x1m,1x2m")!),
    ]
    settings.orders = ["ahei": "ahei-hl7"]
    settings.origins = ["SECTRA": "ris"]
    settings.prefetching = ["sectra"]
    try start()
  }

  var ledgerPath: String { folder.path + "/deliveries.sqlite" }

  func start() throws {
    let mailbox = self.mailbox
    let recalledKeys = self.recalledKeys
    dispatcher = try Dispatcher(
      settings: settings,
      surroundings: DispatchSurroundings(
        archive: imaging, sources: ["sectra": imaging], recipients: ["ahei": recipient],
        interfaces: ["ris": origin, "ahei-hl7": orders], composer: Composer(),
        disclosures: disclosures),
      ledger: try DeliveryLedger(path: ledgerPath), clock: clock, jobs: runner,
      log: .silent, stop: Gate(),
      recalled: { recalledKeys.add($0) }, post: { mailbox.add($0) })
  }

  /// The daemon dies: what it had not recorded is gone, and so is what was on its way back.
  func crash() throws {
    _ = mailbox.take()
    dispatcher = nil
    try start()
  }

  /// Lets the dispatcher take what is in its mailbox until there is nothing.
  func settle() {
    dispatcher.handle([.tick])
    for _ in 0..<10_000 {
      let events = mailbox.take()
      if events.isEmpty { return }
      dispatcher.handle(events)
    }
  }

  /// Time passes, and the dispatcher does what falls due.
  func pass(_ duration: Duration) {
    let end = clock.monotonic + duration
    settle()
    while true {
      let next = dispatcher.nextDeadline
      guard next < end else { break }
      clock.advance(to: max(next, clock.monotonic + .milliseconds(1)))
      settle()
    }
    clock.advance(to: end)
    settle()
  }

  /// An examination whose images are all in the archive.
  func store(_ number: String, objects: Int) {
    imaging.add(number, objects: objects)
    imaging.state.withLock { state in
      for (study, objects) in state.source { state.archive[study] = objects }
    }
  }

  func order(
    _ number: String, priority: Priority = .routine, message: String? = nil,
    priors: [PriorOrder] = [], kind: AssignmentKind = .review
  ) -> OrderAnswer? {
    var facts = ExaminationFacts(key: ExaminationKey(system: "SECTRA", number: number))
    facts.source = "sectra"
    facts.patientID = "191212121212"
    facts.studyUID = imaging.state.withLock { $0.studies[number]?.first?.value }
    var order = SendOrder(
      examination: facts, recipient: "tmc", destination: "ahei", orderedBy: "tolvan")
    order.priority = priority
    order.message = message
    order.priors = priors
    order.kind = kind
    let answer = Answer<OrderAnswer>()
    dispatcher.handle([.order(order, flag: nil, answer)])
    return answer.wait(until: .after(.zero))
  }

  func act(_ action: AssignmentAction, _ id: Int64) -> ActionResult? {
    let answer = Answer<[ActionResult]>()
    dispatcher.handle([.act(action, [id], by: "tolvan", isDryRun: false, answer)])
    return answer.wait(until: .after(.zero))?.first
  }

  func receive(_ message: InboundMessage) -> InboundAnswer? {
    let answer = Answer<InboundAnswer>()
    dispatcher.handle([.inbound(message, answer)])
    return answer.wait(until: .after(.zero))
  }

  func result(_ number: String, id: String = "R1", status: String = "F") -> InboundMessage {
    var message = InboundMessage(
      sender: "TMC|TMC", facility: "TMC", controlID: id, type: "ORU^R01",
      payload: Array("ORU \(number) \(id)".utf8))
    message.number = number
    message.resultStatus = status
    message.patientID = "19121212-1212"
    return message
  }

  func record(_ id: Int64) throws -> AssignmentRecord {
    guard let record = try DeliveryReader(path: ledgerPath).assignment(id) else {
      throw Missing()
    }
    return record
  }
  struct Missing: Error {}

  func kinds(_ interface: Interface) -> [String] {
    interface.received.map { String($0.split(separator: " ")[1]) }
  }
}

/// SplitMix64: a seed repeats a history.
struct SeededGenerator: RandomNumberGenerator, Sendable {
  var state: UInt64
  init(_ seed: UInt64) { state = seed }
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
