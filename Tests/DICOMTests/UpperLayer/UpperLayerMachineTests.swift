import Testing

@testable import DICOM

@Suite("Protocol machine of PS3.8 table 9-10")
struct UpperLayerMachineTests {
  typealias Machine = UpperLayerMachine

  /// The table as the standard prints it: a row an event, a column a state from Sta1 to Sta13;
  /// `ac/n` is the action and the next state. `/9,10` depends on who requested, `/3,13` on whether
  /// the request can be taken.
  static let table: [(Machine.Event, String)] = [
    (.associateRequest, "AE1/4 - - - - - - - - - - - -"),
    (.transportConnected, "- - - AE2/5 - - - - - - - - -"),
    (
      .associateAcceptPDU,
      "- AA1/13 AA8/13 - AE3/6 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA6/13"
    ),
    (
      .associateRejectPDU,
      "- AA1/13 AA8/13 - AE4/1 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA6/13"
    ),
    (.transportIndication, "AE5/2 - - - - - - - - - - - -"),
    (
      .associateRequestPDU(acceptable: true),
      "- AE6/3 AA8/13 - AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA7/13"
    ),
    (
      .associateRequestPDU(acceptable: false),
      "- AE6/13 AA8/13 - AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA7/13"
    ),
    (.associateResponseAccept, "- - AE7/6 - - - - - - - - - -"),
    (.associateResponseReject, "- - AE8/13 - - - - - - - - - -"),
    (.dataRequest, "- - - - - DT1/6 - AR7/8 - - - - -"),
    (
      .dataPDU,
      "- AA1/13 AA8/13 - AA8/13 DT2/6 AR6/7 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA6/13"
    ),
    (.releaseRequest, "- - - - - AR1/7 - - - - - - -"),
    (
      .releaseRequestPDU,
      "- AA1/13 AA8/13 - AA8/13 AR2/8 AR8/9,10 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA6/13"
    ),
    (
      .releaseResponsePDU,
      "- AA1/13 AA8/13 - AA8/13 AA8/13 AR3/1 AA8/13 AA8/13 AR10/12 AR3/1 AA8/13 AA6/13"
    ),
    (.releaseResponse, "- - - - - - - AR4/13 AR9/11 - - AR4/13 -"),
    (
      .abortRequest,
      "- - AA1/13 AA2/1 AA1/13 AA1/13 AA1/13 AA1/13 AA1/13 AA1/13 AA1/13 AA1/13 -"
    ),
    (.abortPDU, "- AA2/1 AA3/1 - AA3/1 AA3/1 AA3/1 AA3/1 AA3/1 AA3/1 AA3/1 AA3/1 AA2/1"),
    (
      .transportClosed,
      "- AA5/1 AA4/1 AA4/1 AA4/1 AA4/1 AA4/1 AA4/1 AA4/1 AA4/1 AA4/1 AA4/1 AR5/1"
    ),
    (.artimExpired, "- AA2/1 - - - - - - - - - - AA2/1"),
    (
      .invalidPDU,
      "- AA1/13 AA8/13 - AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA8/13 AA7/13"
    ),
  ]

  @Test("Every state and event gives the action and the next state of the standard")
  func wholeTable() throws {
    #expect(Set(Self.table.map(\.0)) == Set(Machine.Event.allCases))
    for (event, row) in Self.table {
      let cells = row.split(separator: " ").map(String.init)
      try #require(cells.count == 13, "\(event)")
      for (state, cell) in zip(Machine.State.allCases, cells) {
        for isRequestor in [true, false] {
          var machine = Machine(isRequestor: isRequestor, state: state)
          let action = machine.handle(event)
          guard cell != "-" else {
            #expect(action == nil, "\(event) in \(state)")
            #expect(machine.state == state)
            continue
          }
          let parts = cell.split(separator: "/").map(String.init)
          #expect(
            action.map { "\($0)" } == parts[0].lowercased(), "\(event) in \(state)")
          let nexts = parts[1].split(separator: ",").compactMap { Int($0) }
          let next = isRequestor ? nexts[0] : nexts[nexts.count - 1]
          #expect(machine.state.rawValue == next, "\(event) in \(state)")
        }
      }
    }
  }
}
