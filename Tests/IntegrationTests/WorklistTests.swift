import DICOM
import Foundation
import JSON
import Platform
import SyncCore
import TestSupport
import Testing

/// Lists that are worklists of others' making: real ones, and one that misbehaves.
@Suite("Lists from a Modality Worklist", .serialized)
struct WorklistTests {
  private static let steps = [
    WorklistStep(
      file: "one", number: "US00000001", study: "2.25.1",
      values: [
        "PatientName": "Tolvansson^Åke Östen", "RequestedProcedurePriority": "STAT",
        "ScheduledProcedureStepStatus": "ARRIVED",
      ]),
    WorklistStep(
      file: "two", number: "US00000002", study: "2.25.2", characterSet: "ISO_IR 192",
      values: ["PatientName": "Tolvansson^Märta", "RequestedProcedureDescription": "MR Öga"]),
    WorklistStep(
      file: "two-again", number: "US00000002", study: "2.25.2", days: 2,
      characterSet: "ISO_IR 192",
      values: ["PatientName": "Tolvansson^Märta", "RequestedProcedureDescription": "MR Öga"]),
    WorklistStep(file: "old", number: "US00000003", study: "2.25.3", days: -31),
    WorklistStep(file: "late", number: "US00000004", study: "2.25.4", days: 9),
    WorklistStep(file: "other", number: "US00000005", study: "2.25.5", station: "OTHER"),
  ]

  private static func source(
    _ address: ApplicationEntityAddress, station: String = "TELECONSULT",
    response: Duration = .seconds(20), turns: PeerTurns = PeerTurns(1),
    _ change: (inout Configuration.Worklist) -> Void = { _ in }
  ) -> WorklistSource {
    var worklist = Configuration.Worklist(peer: "ris", station: station)
    change(&worklist)
    return WorklistSource(
      worklist,
      address: PeerAddress(
        host: address.host, port: address.port, calledAE: address.aeTitle, callingAE: "SYNCD"),
      timeouts: AssociationTimeouts(response: response), turns: turns)
  }

  private static func read(
    _ source: WorklistSource, within: Duration = .seconds(30), previous: SnapshotIdentity? = nil
  ) -> Result<ListSnapshot, ListReadError> {
    do throws(ListReadError) {
      switch try source.read(deadline: .after(within), previous: previous) {
      case .snapshot(let snapshot): return .success(snapshot)
      case .unchanged, .confirmed: return .failure(ListReadError("", "unchanged"))
      }
    } catch {
      return .failure(error)
    }
  }

  private static func message(_ result: Result<ListSnapshot, ListReadError>) -> String? {
    if case .failure(let error) = result { error.description } else { nil }
  }

  /// What any real worklist with these steps is to give.
  private static func check(_ address: ApplicationEntityAddress) throws {
    let all = try read(source(address)).get()
    #expect(all.rows.map(\.examination) == (1...4).map { "US0000000\($0)" })
    #expect(all.refusedRows.isEmpty)
    #expect(all.proof.hasPrefix("5 answers from ris"))
    let first = try #require(all.rows.first)
    #expect(first.patientName == "Tolvansson^Åke Östen")
    #expect(first.patientID == "191212121212")
    #expect(first.studyUID == "2.25.1" && first.referral == "R1" && first.modality == "CT")
    #expect(first.description == "CT Hjärna" && first.priority == "stat")
    #expect(first.scheduled == String(WallTime.now.local.prefix(10)) + " 09:30")
    let second = try #require(all.rows.dropFirst().first)
    #expect(second.patientName == "Tolvansson^Märta" && second.description == "MR Öga")
    #expect(second.scheduled == first.scheduled)

    // Equal content is another snapshot, of the same identity.
    let again = try read(source(address), previous: all.identity).get()
    #expect(again.identity == all.identity && again.rows == all.rows)
    #expect(again.snapshotID != all.snapshotID)

    func numbers(_ back: Int?, _ ahead: Int?) throws -> [String] {
      try read(
        source(address) {
          $0.daysBack = back
          $0.daysAhead = ahead
        }
      ).get().rows.map { String($0.examination.suffix(1)) }
    }
    #expect(try numbers(30, 1) == ["1", "2"])
    #expect(try numbers(31, nil) == ["1", "2", "3", "4"])
    #expect(try numbers(nil, 0) == ["1", "2", "3"])
    #expect(try read(source(address, station: "OTHER")).get().rows.count == 1)
    let none = try read(source(address, station: "NOBODY")).get()
    #expect(none.rows.isEmpty && none.refusedRows.isEmpty)
  }

  @Test(
    "DCMTK's wlmscpfs is read, in both character sets, whole and by days",
    .needs(.program("/usr/bin/wlmscpfs"), .python("pydicom")))
  func dcmtk() async throws {
    try await offPool {
      let server = try WlmscpfsServer(steps: Self.steps)
      try Self.check(server.address)
      // Without the name of a character set, what is not ASCII is unknown rather than garbled.
      let silent = try WlmscpfsServer(steps: Self.steps, arguments: ["-cs0"])
      let bare = try Self.read(Self.source(silent.address)).get().rows
      #expect(bare.count == 4 && bare[0].patientName == nil && bare[0].patientID != nil)
      // It tells the number of a step that is gone no more.
      unlink(server.folder + "/one.wl")
      #expect(try Self.read(Self.source(server.address)).get().rows.count == 3)
      // And refuses whom it has no folder for.
      var unknown = server.address
      unknown.aeTitle = "NOFOLDER"
      #expect(Self.message(Self.read(Self.source(unknown)))?.contains("rejected") == true)
      server.process.kill(9)
      #expect(server.process.wait() != nil)
      #expect(Self.message(Self.read(Self.source(server.address)))?.contains("connect") == true)
    }
  }

  @Test(
    "Orthanc's worklists are read, in both character sets, whole and by days",
    .needs(.program("Orthanc"), .python("pydicom")))
  func orthanc() async throws {
    try await offPool {
      let directory = try TemporaryDirectory()
      try WorklistStep.write(Self.steps, to: directory.path)
      let server = try OrthancServer(
        plugins: [.worklists],
        options: ["Worklists": "{\"Enable\": true, \"Database\": \"\(directory.path)\"}"])
      try Self.check(server.address)
      let none = try OrthancServer()
      let without = Self.message(Self.read(Self.source(none.address)))
      #expect(without?.contains("ris (ORTHANC@") == true, "\(without ?? "read")")
    }
  }

  @Test("What does not end in Success proves nothing", .needs(.python("pynetdicom")))
  func lies() async throws {
    try await offPool {
      let peer = try WorklistProvider()
      for (station, expected) in [
        ("A700:3", "out of resources"), ("A700", "A700"), ("FE00:3", "FE00"), ("C001:2", "C001"),
        ("B000:2", "B000"), ("0122", "0122"), ("ABORT:3", "abort"), ("ABORT", "abort"),
        ("CLOSE:3", "connection"), ("BARE", "without an identifier"),
        ("PATIENTS", "another Patient ID"), ("STUDIES", "another Study Instance UID"),
        ("OTHER", "not for the station"), ("NOSTEP", "(0040,0100)"),
      ] {
        let result = Self.read(Self.source(peer.address, station: station))
        let message = Self.message(result)
        #expect(message?.contains(expected) == true, "\(station): \(message ?? "read")")
        #expect(message?.contains("ris (WORKLIST@127.0.0.1:") == true)
        for hidden in ["US1", "US0", "1912", "Tolvan"] {
          #expect(message?.contains(hidden) != true, "\(station): \(message ?? "")")
        }
      }
      // A whole answer after all of that.
      #expect(try Self.read(Self.source(peer.address, station: "GOOD:2")).get().rows.count == 2)
    }
  }

  @Test("A peer that falls silent is given up by its time-out", .needs(.python("pynetdicom")))
  func stall() async throws {
    try await offPool {
      let peer = try WorklistProvider()
      let message = Self.message(
        Self.read(Self.source(peer.address, station: "STALL:3", response: .milliseconds(500))))
      #expect(message?.contains("timed out waiting for a response, after 3 answers") == true)
    }
  }

  @Test(
    "A peer that never ends is given up when the time for the list is over",
    .needs(.python("pynetdicom")))
  func drip() async throws {
    try await offPool {
      let peer = try WorklistProvider()
      let start = MonotonicTime.now
      let message = Self.message(
        Self.read(Self.source(peer.address, station: "DRIP"), within: .seconds(2)))
      #expect(message?.contains("the time for reading the list was over") == true)
      #expect(MonotonicTime.now - start < .seconds(8))
      // And one that says nothing, although its own time-out is longer.
      let silent = Self.message(
        Self.read(Self.source(peer.address, station: "STALL"), within: .seconds(1)))
      #expect(silent?.contains("the time for reading the list was over") == true)
    }
  }

  @Test("Nothing on the list is a whole answer", .needs(.python("pynetdicom")))
  func empty() async throws {
    try await offPool {
      let peer = try WorklistProvider()
      let one = try Self.read(Self.source(peer.address, station: "NONE")).get()
      let two = try Self.read(
        Self.source(peer.address, station: "NONE"), previous: one.identity
      ).get()
      #expect(one.rows.isEmpty && one.proof.hasPrefix("0 answers"))
      #expect(one.snapshotID != two.snapshotID && one.identity == two.identity)
    }
  }

  @Test("Wrong numbers are refused one by one, and steps are folded", .needs(.python("pynetdicom")))
  func content() async throws {
    try await offPool {
      let peer = try WorklistProvider()
      let numbers = try Self.read(Self.source(peer.address, station: "NUMBERS")).get()
      #expect(numbers.rows.map(\.examination) == ["US1", "US2"])
      #expect(numbers.refusedRows.map(\.line) == [2, 3, 4, 6, 7, 8])
      let twins = try Self.read(Self.source(peer.address, station: "TWINS")).get()
      #expect(twins.rows.map(\.examination) == ["US1", "US2"])
      #expect(twins.rows[0].status == "SCHEDULED")
      let days = try Self.read(
        Self.source(peer.address, station: "ALLDAYS") {
          $0.daysBack = 1
          $0.daysAhead = 1
        }
      ).get()
      #expect(days.rows.map(\.examination) == ["US1"])
      let range = try #require(peer.days.last)
      #expect(range.wholeMatch(of: #/[0-9]{8}-[0-9]{8}/#) != nil, "\(range)")
      #expect(peer.days.first == "")
    }
  }

  /// Waits until a list has not been read in so many cycles.
  private static func misses(
    _ daemon: DaemonFixture, _ list: String, _ cycles: Int64
  ) throws -> Bool {
    let deadline = Deadline.after(.seconds(30))
    while !deadline.isPast {
      for status in try daemon.syncctl(["status"]) {
        for entry in status["lists"]?.arrayValue ?? [] where entry["id"]?.stringValue == list {
          if let missed = entry["missedCycles"]?.intValue, missed >= cycles { return true }
        }
      }
      usleep(50_000)
    }
    return false
  }

  /// Answers made one by one.
  private struct Many: QueryProvider {
    let count: Int

    func find(_ request: QueryRequest, emit: (DataSet) -> Bool) throws(ServiceFailure) {
      let asked = request.identifier.items(.scheduledProcedureStepSequence)
      var item = DataSet()
      item.setBytes(
        .scheduledStationAETitle, .AE, asked.first?.bytes(.scheduledStationAETitle) ?? [])
      item.setBytes(.modality, .CS, Array("CT".utf8))
      item.setBytes(.scheduledProcedureStepStartDate, .DA, Array("20261123".utf8))
      var answer = DataSet()
      answer.setBytes(.patientName, .PN, Array("Tolvansson^Tolvan".utf8))
      answer.setBytes(.patientID, .LO, Array("191212121212".utf8))
      answer.set(.scheduledProcedureStepSequence, items: [item])
      for number in 0..<count {
        answer.setBytes(.accessionNumber, .SH, Array("SE\(number)".utf8))
        answer.set(.studyInstanceUID, UID("2.25.123456789012345678901234567890.\(number)"))
        answer.setBytes(.requestedProcedureID, .SH, Array("R\(number)".utf8))
        guard emit(answer) else { return }
      }
    }
  }

  @Test("A list of many thousands is read")
  func many() async throws {
    try await offPool {
      let server = try DICOMServer(
        on: .tcp(host: "127.0.0.1", port: 0), configuration: ServerConfiguration(aeTitle: "RIS"),
        services: DICOMServices(query: Many(count: 5000)))
      server.start()
      defer { server.stop(grace: .seconds(1)) }
      let address = ApplicationEntityAddress("RIS", port: server.port)
      let list = try Self.read(Self.source(address)).get()
      #expect(Set(list.rows.map(\.examination)).count == 5000)
      #expect(list.proof.hasPrefix("5000 answers from ris, then "))
    }
  }

  @Test(
    "The lists of one peer wait for each other, but not for ever", .needs(.python("pynetdicom")))
  func turns() async throws {
    try await offPool {
      let peer = try WorklistProvider()
      let turns = PeerTurns(1)
      let slow = Self.source(peer.address, station: "STALL", turns: turns)
      let thread = WorkThread.start("slow") { _ = Self.read(slow, within: .seconds(3)) }
      #expect(waitUntil { !peer.days.isEmpty })
      let other = Self.source(peer.address, station: "GOOD:1", turns: turns)
      let message = Self.message(Self.read(other, within: .milliseconds(200)))
      #expect(message?.contains("before the peer's other lists") == true)
      // Once the slow one is given up it is the next one's turn.
      #expect(try Self.read(other, within: .seconds(20)).get().rows.count == 1)
      #expect(thread.join(until: .after(.seconds(20))))
    }
  }

  @Test(
    "The daemon sets flags from a worklist, keeps them while it is down, and clears what has left it",
    .needs(.program("/usr/bin/wlmscpfs"), .python("pydicom")))
  func daemon() async throws {
    try await offPool {
      let server = try WlmscpfsServer(steps: Array(Self.steps.prefix(2)))
      let daemon = try DaemonFixture(peer: server.address, archivePort: try freePort())
      try daemon.configure(
        peer: server.address,
        extra: """
          [[list]]
          id = "worklist"
          flag = "sectra-samverkan-teleconsult"
          source = { kind = "worklist", peer = "sectra", station = "TELECONSULT", days_back = 30, days_ahead = 1 }
          """)
      try daemon.start()
      func flags() throws -> [String: String] {
        try daemon.worklist().compactMapValues(\.flag)
      }
      let flag = "sectra-samverkan-teleconsult"
      let both = ["US00000001": flag, "US00000002": flag]
      #expect(try waitUntil(.after(.seconds(30))) { try flags() == both }, "\(daemon.log)")
      let shown = try daemon.syncctl(["config", "show"])
      #expect("\(shown)".contains("TELECONSULT"))

      // No more answers, and a step that is gone: nothing is cleared.
      rename(server.folder + "/lockfile", server.folder + "/gone")
      unlink(server.folder + "/one.wl")
      #expect(try Self.misses(daemon, "worklist", 3))
      #expect(try flags() == both)
      rename(server.folder + "/gone", server.folder + "/lockfile")
      #expect(
        try waitUntil(.after(.seconds(30))) { try flags() == ["US00000002": flag] },
        "\(daemon.log)")
    }
  }
}
