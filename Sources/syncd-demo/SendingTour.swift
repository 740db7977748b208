import DICOM
import JSON
import Training

/// The second half of the tour: what is complete is sent, answered, and recalled.
extension Tour {
  /// Clinical text, which must not be found in the daemon's log.
  private static let question = "Frågeställning: expansivitet?"
  private static let answer = "Utan anmärkning."

  func runSending() throws {
    try showGate()
    try showRefusedObject()
    try showOrderRepeated()
    try showAnswer()
    try showRecall()
    try checkLog()
  }

  private func showGate() throws {
    world.lists["teleconsult"] = [row(Self.skull, status: "Signerad")]
    try world.wait("its status to be signed", 20) {
      try world.syncctl(["list", "--number", Self.skull.accession]).first?["status"]?.stringValue
        == "signed"
    }
    say("An order for SE00000000000303, which has left its list, to TMC itself: refused.")
    try expectRefusal(of: Self.wrist.accession, to: "tmc", rules: ["recipient", "listed"])
    say("A primary review of SE00000000000202, which is signed by now (Signerad): refused.")
    try expectRefusal(of: Self.skull.accession, to: "tmc-ct", rules: ["status"])
    guard try world.syncctl(["sent"]).isEmpty else {
      throw DemoFailure(description: "what was refused is on the send list")
    }
  }

  private func expectRefusal(of number: String, to recipient: String, rules: Set<String>) throws {
    let order = ["send", number, "--to", recipient]
    let result = try world.syncctl(order, exit: 1).first
    let broken = Set(
      (result?["refusals"]?.arrayValue ?? []).compactMap { $0["rule"]?.stringValue })
    guard result?["accepted"]?.boolValue == false, broken.isSuperset(of: rules) else {
      throw DemoFailure(description: "\(number) was not refused for \(rules): \(broken)")
    }
    print(indented(try world.shown(order)))
  }

  private func showRefusedObject() throws {
    let objects = world.pacs.instances(accession: Self.thorax.accession)
    let bad = objects.sorted()[7]
    say("SE00000000000101 is sent with its comparison examination. AHEIPACS refuses one object.")
    world.recipient.refuse { $0 == bad }
    try world.syncctl([
      "send", Self.thorax.accession, "--to", "tmc-ct", "--priority", "stat", "--message",
      Self.question, "--prior", Self.earlier.accession,
    ])
    try world.wait("the transfer to fail", 20) { try text("A1", "dicom") == "red" }
    let failed = try world.syncctl(["failed"], exit: 9).compactMap { $0["id"]?.stringValue }
    guard failed == ["A1"] else {
      throw DemoFailure(description: "the failed assignments are \(failed)")
    }
    let different = try details("A1")["differences"]?.arrayValue ?? []
    guard different.contains(where: { $0["sopInstanceUid"]?.stringValue == bad.value }) else {
      throw DemoFailure(description: "the refused object is not explained: \(different)")
    }
    print(indented(try world.shown(["failed"])))
    print(indented(try world.shown(["show", "A1"])))

    say("AHEIPACS mends its ways, and the assignment is resent: only what is missing goes.")
    let before = world.recipient.received
    guard Set(before.keys).isSuperset(of: objects.subtracting([bad])), before[bad] == nil else {
      throw DemoFailure(description: "the one refused object has kept others from going")
    }
    world.recipient.refuse { _ in false }
    world.reviewer.script([.error(207), .silent, .late(.milliseconds(1500))])
    try world.syncctl(["resend", "A1"])
    try world.wait("the transfer to be done", 20) { try text("A1", "dicom") == "green" }
    try expectObjects(objects)
  }

  /// Each has come, and once.
  private func expectObjects(_ wanted: Set<UID>) throws {
    let came = world.recipient.received.filter { wanted.contains($0.key) }
    guard came.count == wanted.count, came.values.allSatisfy({ $0 == 1 }) else {
      throw DemoFailure(
        description: "of \(wanted.count) objects \(came.count) came, "
          + "\(came.values.count { $0 > 1 }) of them more than once")
    }
    print("    \(came.count) objects have been taken, each once")
  }

  private func showOrderRepeated() throws {
    say(
      "Its HL7 peer answers AE, then nothing, then too late, then AA. The pauses are 1 s here;\n"
        + "  in a hospital they are 5 min, 30 min and 3 h, and then it is red.")
    try world.wait("the order to be acknowledged", 40) { try text("A1", "phase") == "sent" }
    let orders = world.reviewer.received.filter { $0.control == "NW" }
    guard orders.count == 4, Set(orders.map(\.id)).count == 1 else {
      throw DemoFailure(description: "the order was not repeated under one control id: \(orders)")
    }
    let told = (try details("A1")["history"]?.arrayValue ?? []).compactMap { entry -> String? in
      guard entry["event"]?.stringValue == "ormforward" else { return nil }
      return entry["detail"]?.stringValue
    }
    guard told.count == 4 else {
      throw DemoFailure(description: "the history does not tell of four attempts: \(told)")
    }
    for detail in told { print("    \(detail)") }
    try world.wait("the comparison examination to be there", 20) {
      try text("A1", "dicom") == "green"
    }
    try expectObjects(
      world.pacs.instances(accession: Self.thorax.accession)
        .union(world.pacs.instances(accession: Self.earlier.accession)))
    print("    one order, taken \(orders.count) times under one control id, \(orders[0].id)")
  }

  private func showAnswer() throws {
    say("The answer comes back. It goes on to the RIS, and the examination is released there.")
    let code = try world.reviewer.sendResult(
      of: Self.thorax.accession, text: Self.answer, to: world.inboundPort)
    guard code == "AA" else { throw DemoFailure(description: "the answer got \(code)") }
    try world.wait("the assignment to end", 20) { try text("A1", "phase") == "answered" }
    guard world.ris.received.map(\.control) == ["HD", "RE", "RL"] else {
      throw DemoFailure(description: "the RIS got \(world.ris.received)")
    }
    guard try details("A1")["assignment"]?["tick"]?.boolValue == true,
      try text("A1", "hl7") == "green"
    else { throw DemoFailure(description: "an answered assignment has no tick, or is not green") }
    print(indented(try world.shown(["show", "A1"])))
  }

  private func showRecall() throws {
    say(
      "SE00000000000202 goes for a second reading. The order is refused (AR 102): that is red at\n"
        + "  once, as no later attempt would fare better.")
    world.reviewer.script([.refuse(102)])
    try world.syncctl([
      "send", Self.skull.accession, "--to", "tmc-ct", "--review", "second-reading",
    ])
    try world.wait("the order to fail", 20) { try text("A2", "hl7") == "red" }
    let orders = world.reviewer.received.filter { $0.control == "NW" }.count - 4
    guard orders == 1 else {
      throw DemoFailure(description: "what was refused for good was tried \(orders) times")
    }
    print(indented(try world.shown(["failed"])))
    try world.syncctl(["resend", "A2"])
    try world.wait("it to be delivered", 20) { try text("A2", "phase") == "sent" }

    say("It is recalled (återtas): CA to the recipient, released at the RIS, and its flag goes.")
    try world.syncctl(["cancel", "A2"])
    try world.wait("the recall", 20) { try text("A2", "phase") == "cancelled" }
    guard world.reviewer.received.last?.control == "CA",
      world.ris.received.last?.control == "RL"
    else { throw DemoFailure(description: "the recall did not reach both sides") }
    try world.wait("its flag to go although it is still listed", 20) {
      try world.syncctl(["list", "--number", Self.skull.accession]).first?["portalFlag"] == nil
    }
    print(indented(try world.shown(["sent"])))
    guard try world.syncctl(["failed"]).isEmpty else {
      throw DemoFailure(description: "something is still failed")
    }
  }

  /// The access log tells of patients, and is kept apart; the daemon's log must not.
  private func checkLog() throws {
    let log = try world.log()
    guard log.contains("A2") else {
      throw DemoFailure(description: "the daemon's log does not tell of sending at all")
    }
    for secret in [Self.thorax.patientID, "Tolvansson", "Åkesson", Self.question, Self.answer]
    where log.contains(secret) {
      throw DemoFailure(description: "the daemon's log tells of the patient")
    }
  }

  private func details(_ id: String) throws -> JSONValue {
    guard let details = try world.syncctl(["show", id]).first else {
      throw DemoFailure(description: "there is no \(id)")
    }
    return details
  }

  private func text(_ id: String, _ field: String) throws -> String? {
    try details(id)["assignment"]?[field]?.stringValue
  }

  private func indented(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { "    \($0)" }
      .joined(separator: "\n")
  }
}
