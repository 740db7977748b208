import DICOM
import Platform
import Testing

@testable import SyncCore

@Suite struct DispatcherTests {
  @Test("An order becomes images, lock and order, and its answer goes back and releases")
  func wholeLife() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 5)
    #expect(world.order("SE1") == .accepted(1))
    world.settle()
    #expect(world.recipient.stored.count == 5)
    #expect(world.kinds(world.origin) == ["ormlock"])
    #expect(world.kinds(world.orders) == ["ormforward"])
    #expect(try world.record(1).machine.phase == .sent)
    #expect(world.receive(world.result("SE1")) == .taken(assignment: 1))
    world.settle()
    #expect(world.kinds(world.origin) == ["ormlock", "oruforward", "ormrelease"])
    let record = try world.record(1)
    #expect(record.machine.phase == .answered && record.machine.hasEnded)
    #expect(record[.lock]?.flag == "AA_ACK" && record[.lock]?.result == "SUCCESS")
    #expect(world.disclosures.state.withLock { $0.disclosed } == ["A1"])
  }

  @Test("The same answer again is recognised, and an answer to nothing is kept aside")
  func inbound() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    _ = world.order("SE1")
    world.settle()
    #expect(world.receive(world.result("SE1")) == .taken(assignment: 1))
    #expect(world.receive(world.result("SE1")) == .duplicate)
    #expect(world.receive(world.result("SE9", id: "R2")) == .taken(assignment: nil))
    var stranger = world.result("SE1", id: "R3")
    stranger.patientID = "190101012384"
    #expect(world.receive(stranger) == .taken(assignment: nil))
    let aside = try DeliveryReader(path: world.ledgerPath).aside(limit: 10)
    #expect(
      aside.messages.map(\.reason) == [
        "its patient is another one", "no assignment has that examination number",
      ])
    world.settle()
    #expect(world.kinds(world.origin).filter { $0 == "oruforward" }.count == 1)
  }

  @Test("There is one active assignment of an examination to a recipient")
  func oneActive() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    #expect(world.order("SE1") == .accepted(1))
    #expect(world.order("SE1") == .alreadyActive)
    world.settle()
    #expect(world.order("SE1") == .alreadyActive)
    _ = world.receive(world.result("SE1"))
    world.settle()
    #expect(world.order("SE1") == .accepted(2))
  }

  @Test("A message without an answer is repeated to the letter after 5 min, 30 min and 3 h")
  func ladder() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.origin.answer(
      .unknown("timed out"), .unknown("timed out"), .unknown("timed out"), .unknown("timed out"))
    _ = world.order("SE1")
    world.settle()
    #expect(world.origin.attempts == 1)
    world.pass(.seconds(299))
    #expect(world.origin.attempts == 1)
    world.pass(.seconds(2))
    #expect(world.origin.attempts == 2)
    world.pass(.seconds(30 * 60))
    #expect(world.origin.attempts == 3)
    // A restart neither begins the ladder anew nor sends anything at once.
    try world.crash()
    world.pass(.seconds(3 * 3600 - 60))
    #expect(world.origin.attempts == 3)
    world.pass(.seconds(61))
    #expect(world.origin.attempts == 4)
    let record = try world.record(1)
    #expect(record.machine.phase == .failed)
    #expect(Set(world.origin.ids).count == 1 && Set(world.origin.received).count == 1)
    // Resent by a person, it is the same message still: the receiver must recognise it.
    #expect(world.act(.resend, 1)?.isDone == true)
    world.settle()
    #expect(Set(world.origin.ids).count == 1 && world.origin.attempts == 5)
    #expect(try world.record(1).machine.phase == .sent)
  }

  @Test(
    "Setting the clock neither bunches the ladder nor postpones it", arguments: [-86400, 86400])
  func clockJump(_ seconds: Int) throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.origin.answer(.unknown("timed out"), .unknown("timed out"))
    _ = world.order("SE1")
    world.settle()
    world.clock.setWall(by: .seconds(seconds))
    world.pass(.seconds(290))
    #expect(world.origin.attempts == 1)
    world.pass(.seconds(20))
    #expect(world.origin.attempts == 2)
    // After a restart with the clock set back, a pause is no longer than it was meant to be.
    if seconds < 0 {
      try world.crash()
      world.pass(.seconds(31 * 60))
      #expect(world.origin.attempts == 3)
    }
  }

  @Test("A refused message fails at once, and is made anew when it is resent")
  func refused() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.orders.answer(.acknowledged(MessageAcknowledgement(code: "AR", errorCodes: [102])))
    _ = world.order("SE1")
    world.settle()
    let record = try world.record(1)
    #expect(record.machine.phase == .failed && record[.forward]?.flag == "AR_ACK")
    #expect(record[.forward]?.reason?.contains("data type error") == true)
    #expect(world.act(.resend, 1)?.isDone == true)
    world.settle()
    #expect(try world.record(1).machine.phase == .sent)
    #expect(Set(world.orders.ids).count == 2)
    // What was delivered is left alone.
    #expect(world.kinds(world.origin) == ["ormlock"])
  }

  @Test("What cannot be said in the receiver's character set fails without an attempt")
  func unencodable() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    _ = world.order("SE1", message: "unencodable")
    world.settle()
    #expect(try world.record(1).machine.phase == .failed)
    #expect(world.origin.attempts == 0)
    #expect(try world.record(1)[.lock]?.reason?.contains("U+1F600") == true)
  }

  @Test("A transfer that breaks off goes on with the objects that are missing")
  func resumed() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 10)
    world.recipient.state.withLock { $0.breaksAfter = 4 }
    _ = world.order("SE1")
    world.settle()
    #expect(world.recipient.stored.count == 4)
    world.pass(.seconds(11))
    #expect(world.recipient.stored.count == 10)
    #expect(world.recipient.stored.values.allSatisfy { $0 == 1 })
    #expect(try world.record(1)[.transfer]?.done == 10)
  }

  @Test("One refused object makes the transfer red within minutes, explained, and resends alone")
  func refusedObject() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 3)
    let uid = try #require(world.imaging.state.withLock { $0.source.values.first?[1].sopInstance })
    world.recipient.state.withLock { $0.refuses = [uid.value] }
    _ = world.order("SE1")
    world.settle()
    var record = try world.record(1)
    #expect(record.machine.phase == .failed)
    #expect(record[.transfer]?.done == 2 && record[.transfer]?.refused == 1)
    let job = try #require(record[.transfer])
    let differences = try DeliveryReader(path: world.ledgerPath).differences(
      ofJob: job.id, limit: 10)
    #expect(differences.total == 1)
    #expect(differences.objects.first?.explanation?.contains("A900") == true)
    #expect(world.origin.attempts == 0)
    world.recipient.state.withLock { $0.refuses = [] }
    _ = world.act(.resend, 1)
    world.settle()
    record = try world.record(1)
    #expect(record.machine.phase == .sent)
    #expect(world.recipient.stored.values.allSatisfy { $0 == 1 })
  }

  @Test("A dead recipient makes every waiting transfer red within minutes, without as many tries")
  func deadRecipient() throws {
    let world = try DispatchSimulation()
    for number in 1...50 { world.store("SE\(number)", objects: 1) }
    world.recipient.state.withLock { $0.isDown = true }
    for number in 1...50 { _ = world.order("SE\(number)") }
    world.pass(.seconds(600))
    #expect(world.dispatcher.snapshot().failed == 50)
    #expect(world.recipient.state.withLock { $0.sends } < 100)
    // It comes back, and what failed is resent.
    world.recipient.state.withLock { $0.isDown = false }
    for id in 1...50 { _ = world.act(.resend, Int64(id)) }
    world.pass(.seconds(120))
    #expect(world.recipient.stored.count == 50)
    #expect(world.dispatcher.snapshot().failed == 0)
  }

  @Test("What waited for a long pause to end, or for a window, is not stuck when it does")
  func waitedForPause() throws {
    let world = try DispatchSimulation()
    for number in 1...3 { world.store("SE\(number)", objects: 1) }
    world.settings.outlets[Outlet(.hl7, "ris")]!.budget = 1
    // Closed for the next hours, whatever the zone of the machine.
    let minute = TimeWindow.localMinute(world.clock.wall)
    func text(_ minute: Int) -> String {
      let minute = minute % 1440
      let hour = minute / 60
      return (hour < 10 ? "0" : "") + "\(hour):" + (minute % 60 < 10 ? "0" : "") + "\(minute % 60)"
    }
    world.settings.outlets[Outlet(.dicom, "ahei")]!.window = TimeWindow(
      "\(text(minute + 480))-\(text(minute + 1200))")
    world.dispatcher.handle([
      .reconfigure(world.settings, world.dispatcher.surroundings, Answer<Bool>()),
      .pause(Outlet(.hl7, "ris"), by: "tolvan", Answer<PauseAnswer>()),
    ])
    for number in 1...3 { _ = world.order("SE\(number)") }
    world.pass(.seconds(7 * 3600))
    #expect(world.recipient.stored.isEmpty)
    world.pass(.seconds(9 * 3600))
    #expect(world.recipient.stored.count == 3)
    #expect(world.dispatcher.snapshot().failed == 0)
    world.runner.hold("hl7-ris")
    world.dispatcher.handle([.pause(Outlet(.hl7, "ris"), by: nil, Answer<PauseAnswer>())])
    world.pass(.seconds(120))
    #expect(world.dispatcher.snapshot().failed == 0)
    world.runner.release()
    world.pass(.seconds(60))
    for id in 1...3 { #expect(try world.record(Int64(id)).machine.phase == .sent) }
  }

  @Test("A dead destination that is paused, too, gives no reason to wake up")
  func deadAndPaused() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.recipient.state.withLock { $0.isDown = true }
    _ = world.order("SE1")
    world.settle()
    world.dispatcher.handle([
      .pause(Outlet(.dicom, "ahei"), by: "tolvan", Answer<PauseAnswer>())
    ])
    world.pass(.seconds(3600))
    #expect(world.dispatcher.nextDeadline > world.clock.monotonic)
    let sends = world.recipient.state.withLock { $0.sends }
    world.pass(.seconds(3600))
    #expect(world.recipient.state.withLock { $0.sends } == sends)
  }

  @Test("A long ladder is charged rung by rung, however many tries have been made")
  func longLadder() throws {
    let world = try DispatchSimulation()
    world.settings.outlets[Outlet(.dicom, "ahei")]!.retry = RetryLadder("100x1m")!
    world.dispatcher.handle([
      .reconfigure(world.settings, world.dispatcher.surroundings, Answer<Bool>())
    ])
    for number in 1...5 { world.store("SE\(number)", objects: 1) }
    world.recipient.state.withLock { $0.isDown = true }
    for number in 1...5 { _ = world.order("SE\(number)") }
    world.pass(.seconds(80 * 60))
    #expect(world.dispatcher.snapshot().failed == 0)
    world.pass(.seconds(120 * 60))
    #expect(world.dispatcher.snapshot().failed == 5)
  }

  @Test("A recall after delivery releases at the origin and cancels at the recipient")
  func recall() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    _ = world.order("SE1")
    world.settle()
    #expect(world.act(.cancel, 1)?.isDone == true)
    world.settle()
    #expect(world.kinds(world.origin) == ["ormlock", "ormrelease"])
    #expect(world.kinds(world.orders) == ["ormforward", "cancel"])
    let record = try world.record(1)
    #expect(record.machine.phase == .cancelled && record.machine.hasEnded)
    #expect(world.recalledKeys.all.map(\.number) == ["SE1"])
    #expect(world.act(.cancel, 1)?.isDone == false)
    #expect(world.receive(world.result("SE1")) == .taken(assignment: nil))
  }

  @Test("A recall while the order waits for its ladder undoes what nobody knows the fate of")
  func recallUnknown() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.orders.answer(
      .unknown("timed out"),
      .acknowledged(MessageAcknowledgement(code: "AE", errorCodes: [204])))
    _ = world.order("SE1")
    world.settle()
    _ = world.act(.cancel, 1)
    world.settle()
    // The recipient does not know of it: then there is nothing to withdraw.
    #expect(world.kinds(world.orders) == ["ormforward", "cancel"])
    #expect(try world.record(1).machine.phase == .cancelled)
    world.pass(.seconds(86400))
    #expect(world.orders.attempts == 2)
  }

  @Test("What is held starts nothing, and goes on when it is released")
  func hold() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.origin.answer(.unknown("timed out"))
    _ = world.order("SE1")
    world.settle()
    #expect(world.act(.hold, 1)?.isDone == true)
    world.pass(.seconds(86400))
    #expect(world.origin.attempts == 1)
    #expect(try world.record(1).machine.phase == .locking)
    #expect(world.act(.release, 1)?.isDone == true)
    world.pass(.seconds(1))
    #expect(try world.record(1).machine.phase == .sent)
  }

  @Test("A paused destination gets nothing, the others all, and no job is called stuck")
  func paused() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    let answer = Answer<PauseAnswer>()
    world.dispatcher.handle([.pause(Outlet(.hl7, "ahei-hl7"), by: "tolvan", answer)])
    _ = world.order("SE1")
    world.pass(.seconds(86400))
    #expect(world.kinds(world.origin) == ["ormlock"])
    #expect(world.orders.attempts == 0)
    #expect(try world.record(1).machine.phase == .forwarding)
    try world.crash()
    world.settle()
    #expect(world.orders.attempts == 0)
    world.dispatcher.handle([.pause(Outlet(.hl7, "ahei-hl7"), by: nil, Answer<PauseAnswer>())])
    world.settle()
    #expect(try world.record(1).machine.phase == .sent)
  }

  @Test("What does not move for four hours has failed: nothing stays orange")
  func watchdog() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.runner.hold("nothing")
    // The interface goes from the configuration while a message waits for it.
    world.origin.answer(.unknown("timed out"))
    _ = world.order("SE1")
    world.settle()
    world.settings.outlets[Outlet(.hl7, "ris")] = nil
    let answer = Answer<Bool>()
    world.dispatcher.handle([
      .reconfigure(world.settings, world.dispatcher.surroundings, answer)
    ])
    world.pass(.seconds(3 * 3600))
    #expect(world.dispatcher.snapshot().failed == 0)
    world.pass(.seconds(2 * 3600))
    #expect(world.dispatcher.snapshot().failed == 1)
    #expect(try world.record(1)[.lock]?.reason?.contains("stuck") == true)
  }

  @Test("Nothing leaves that the access log does not have")
  func failsClosed() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.disclosures.state.withLock { $0.isFailing = true }
    _ = world.order("SE1")
    world.settle()
    #expect(world.recipient.stored.isEmpty)
    #expect(world.dispatcher.snapshot().alarms.contains { $0.code == "access_log" })
    world.disclosures.state.withLock { $0.isFailing = false }
    world.pass(.seconds(120))
    #expect(world.recipient.stored.count == 1)
  }

  @Test("The most urgent goes first, and a routine one is not starved")
  func urgency() throws {
    let world = try DispatchSimulation()
    for number in 1...4 { world.store("SE\(number)", objects: 1) }
    let answer = Answer<PauseAnswer>()
    world.dispatcher.handle([.pause(Outlet(.hl7, "ris"), by: "tolvan", answer)])
    _ = world.order("SE1", kind: .referralMove)
    world.pass(.seconds(7 * 3600))
    _ = world.order("SE2", priority: .stat, kind: .referralMove)
    world.pass(.seconds(60))
    _ = world.order("SE3", kind: .referralMove)
    _ = world.order("SE4", priority: .stat, kind: .referralMove)
    world.settings.outlets[Outlet(.hl7, "ris")]!.budget = 1
    world.dispatcher.handle([
      .reconfigure(world.settings, world.dispatcher.surroundings, Answer<Bool>())
    ])
    world.dispatcher.handle([.pause(Outlet(.hl7, "ris"), by: nil, Answer<PauseAnswer>())])
    world.settle()
    let order = world.origin.received.map { String($0.split(separator: " ")[0]) }
    #expect(order == ["A1", "A2", "A4", "A3"])
  }

  @Test("Late images are offered, and a supplement sends only them")
  func supplement() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 3)
    _ = world.order("SE1")
    world.settle()
    world.store("SE1", objects: 2)
    world.dispatcher.handle([
      .imagesChanged(ExaminationKey(system: "SECTRA", number: "SE1"))
    ])
    #expect(try world.record(1).supplementable == 2)
    #expect(world.act(.supplement, 1)?.isDone == true)
    world.settle()
    #expect(world.recipient.stored.count == 5)
    #expect(world.recipient.stored.values.allSatisfy { $0 == 1 })
    let record = try world.record(1)
    #expect(record.supplementable == 0 && record.machine.phase == .sent)
    #expect(world.kinds(world.orders) == ["ormforward"])
  }

  @Test("Comparison examinations go along, each by itself")
  func priors() throws {
    let world = try DispatchSimulation()
    world.store("SE1", objects: 1)
    world.imaging.add("SE2", objects: 2)
    let priors = [
      PriorOrder(key: ExaminationKey(system: "SECTRA", number: "SE2"), report: "Ua."),
      PriorOrder(key: ExaminationKey(system: "SECTRA", number: "SE3"), report: nil),
    ]
    _ = world.order("SE1", priors: priors)
    world.settle()
    let record = try world.record(1)
    #expect(record[.priorTransfer(0)]?.state == .done && record[.priorReport(0)]?.state == .done)
    #expect(record[.priorTransfer(1)]?.state == .failed)
    #expect(record.machine.phase == .sent && record.machine.hasFailed)
    #expect(world.recipient.stored.count == 3)
  }

  @Test(
    "Whatever is lost, delayed or doubled on the way, and however often the daemon dies, everything arrives once it works",
    arguments: UInt64(1)...6)
  func chaos(_ seed: UInt64) throws {
    let world = try DispatchSimulation()
    var random = SeededGenerator(seed)
    let count = 60
    for number in 1...count { world.store("SE\(number)", objects: 2) }
    world.origin.state.withLock { $0.random = SeededGenerator(seed &* 7) }
    world.orders.state.withLock { $0.random = SeededGenerator(seed &* 13) }
    for number in 1...count {
      _ = world.order("SE\(number)")
      switch random.next() % 6 {
      case 0: try world.crash()
      case 1: world.settle()
      case 2: world.pass(.seconds(Int64(random.next() % 1000)))
      case 3: world.recipient.state.withLock { $0.breaksAfter = 1 }
      default: break
      }
      // Some events of a batch come in, then the daemon dies.
      if random.next() % 8 == 0 {
        world.dispatcher.handle(world.mailbox.take())
        try world.crash()
      }
    }
    world.pass(.seconds(5 * 3600))
    // The faults stop; what has failed for good by its ladder is resent by a person.
    world.origin.state.withLock { $0.random = nil }
    world.orders.state.withLock { $0.random = nil }
    for id in 1...count where try world.record(Int64(id)).machine.hasFailed {
      _ = world.act(.resend, Int64(id))
    }
    world.pass(.seconds(5 * 3600))
    for id in 1...count {
      let record = try world.record(Int64(id))
      #expect(record.machine.phase == .sent, "seed \(seed): \(record.name) \(record.machine)")
      // Delivered means that it arrived; and in the order of the assignment.
      #expect(
        world.origin.received.contains { $0.hasPrefix("\(record.name) ormlock ") },
        "seed \(seed): \(record.name)")
      #expect(
        world.orders.received.contains { $0.hasPrefix("\(record.name) ormforward ") },
        "seed \(seed): \(record.name)")
    }
    // An id stands for one message for ever.
    let all =
      world.origin.state.withLock { $0.received } + world.orders.state.withLock { $0.received }
    var texts: [String: String] = [:]
    for (id, text) in all {
      #expect(texts[id] == nil || texts[id] == text, "seed \(seed): \(id) stands for two messages")
      texts[id] = text
    }
  }
}
