import DICOM
import JSON
import Platform
import Training

/// The second half of the tour: what is complete is sent, answered, and recalled.
extension Tour {
  func runSending() throws {
    let number = Self.thorax.accession
    let world = self.world

    say("An order for SE00000000000303 as a second reading to TMC itself: the gate says why not.")
    let refused = try world.shown(["send", "SE00000000000303", "--to", "tmc"])
    print(indented(refused))

    say("SE00000000000101 is sent with its comparison examination. AHEIPACS refuses one object.")
    let bad = world.pacs.instances(accession: number).sorted()[7]
    world.recipient.refuse { $0 == bad }
    try world.syncctl([
      "send", number, "--to", "tmc-ct", "--priority", "stat", "--message",
      "Frågeställning: expansivitet?", "--prior", Self.earlier.accession,
    ])
    try world.wait("the transfer to fail", 20) { try phase("A1") == "failed" }
    print(indented(try world.shown(["failed"])))

    say("AHEIPACS mends its ways, and the assignment is resent: only what is missing goes.")
    world.recipient.refuse { _ in false }
    world.reviewer.script([.error(207), .silent, .late(.milliseconds(1500))])
    try world.syncctl(["resend", "A1"])
    say(
      "Its HL7 peer answers AE, then nothing, then too late, then AA. The pauses are 1 s here;\n"
        + "  in a hospital they are 5 min, 30 min and 3 h, and then it is red.")
    try world.wait("the order to be acknowledged", 40) { try phase("A1") == "sent" }
    let orders = world.reviewer.received.filter { $0.control == "NW" }
    guard orders.count == 4, Set(orders.map(\.id)).count == 1 else {
      throw DemoFailure(description: "the order was not repeated under one control id: \(orders)")
    }
    print("    taken \(orders.count) times, always as \(orders[0].id)")
    try world.wait("the comparison examination to be there", 20) {
      let wanted = world.pacs.instances(accession: number)
        .union(world.pacs.instances(accession: Self.earlier.accession))
      return Set(world.recipient.received.keys) == wanted
    }
    guard world.recipient.received.values.allSatisfy({ $0 == 1 }) else {
      throw DemoFailure(description: "an object was sent twice")
    }

    say("The answer comes back. It goes on to the RIS, and the examination is released there.")
    let code = try world.reviewer.sendResult(
      of: number, patient: Self.thorax.patientID, text: "Utan anmärkning.",
      to: world.inboundPort)
    guard code == "AA" else { throw DemoFailure(description: "the answer got \(code)") }
    try world.wait("the assignment to end", 20) { try phase("A1") == "answered" }
    guard world.ris.received.map(\.control) == ["HD", "RE", "RL"] else {
      throw DemoFailure(description: "the RIS got \(world.ris.received)")
    }
    print(indented(try world.shown(["show", "A1"])))

    say("SE00000000000202 is sent as well, and recalled (återtas).")
    try world.syncctl(["send", Self.skull.accession, "--to", "tmc-ct"])
    try world.wait("it to be delivered", 20) { try phase("A2") == "sent" }
    try world.syncctl(["cancel", "A2"])
    try world.wait("the recall", 20) { try phase("A2") == "cancelled" }
    guard world.reviewer.received.last?.control == "CA",
      world.ris.received.last?.control == "RL"
    else { throw DemoFailure(description: "the recall did not reach both sides") }
    try world.wait("its flag to go although it is still listed", 20) {
      try world.syncctl(["list", "--number", Self.skull.accession]).first?["portalFlag"] == nil
    }
    print(indented(try world.shown(["sent"])))
    let log = world.log
    for secret in [Self.thorax.patientID, "Tolvansson", "expansivitet", "anmärkning"]
    where log.contains(secret) {
      throw DemoFailure(description: "the daemon's log tells of the patient")
    }
  }

  private func phase(_ id: String) throws -> String? {
    try world.syncctl(["show", id]).first?["assignment"]?["phase"]?.stringValue
  }

  private func indented(_ text: String) -> String {
    text.split(separator: "\n", omittingEmptySubsequences: false).dropLast().map { "    \($0)" }
      .joined(separator: "\n")
  }
}
