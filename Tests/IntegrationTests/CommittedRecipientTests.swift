import DICOM
import Foundation
import Platform
import SyncCore
import TestSupport
import Testing

/// Sends with storage commitment, to recipients that answer it in every way.
@Suite("Images to a recipient that is to commit to them", .serialized)
struct CommittedRecipientTests {
  private static let files = images(in: "77654033")

  private func committed(
    _ here: ServedArchive, _ address: ApplicationEntityAddress, within timeout: Duration
  ) -> CommittedRecipient {
    let peer = PeerAddress(
      host: "127.0.0.1", port: address.port, calledAE: address.aeTitle, callingAE: "VGRSECTEMP")
    let timeouts = AssociationTimeouts(connect: .seconds(5), response: .seconds(20))
    let options = DIMSERecipient.Options(name: "ahei", address: peer, timeouts: timeouts)
    return CommittedRecipient(
      DIMSERecipient(options, archive: here.archive), options: options, timeout: timeout,
      desk: here.archive.commitments, archive: here.archive,
      query: DIMSEPeer(
        DIMSEPeer.Options(
          name: "ahei", address: peer, timeouts: timeouts, destination: "VGRSECTEMP")))
  }

  private func send(
    _ recipient: CommittedRecipient, _ here: ServedArchive
  ) throws -> ([UID: SendOutcome], ImageRecipientError?) {
    let study = try #require(try Part10File.open(Self.files[0]).dataSet().uid(.studyInstanceUID))
    let objects = try here.archive.storedObjects(of: study)
    #expect(objects.count > 1)
    var outcomes: [UID: SendOutcome] = [:]
    do throws(ImageRecipientError) {
      try recipient.send(study, objects, priority: .routine, stop: Gate()) { uid, outcome in
        #expect(outcomes[uid] == nil, "told twice")
        outcomes[uid] = outcome
      }
    } catch {
      return (outcomes, error)
    }
    #expect(outcomes.count == objects.count)
    return (outcomes, nil)
  }

  @Test(
    "Orthanc reports to our server, and every object is proven",
    .needs(.program("Orthanc"), .program("storescu"), .python("pydicom")))
  func orthanc() async throws {
    try await offPool {
      let here = try ServedArchive()
      try DCMTK.store(Self.files, to: here.address)
      let there = try OrthancServer(aeTitle: "AHEIPACS", modalities: [here.address])
      let (outcomes, error) = try send(
        committed(here, there.address, within: .seconds(30)), here)
      #expect(error == nil && outcomes.values.allSatisfy { $0 == .stored }, "\(outcomes)")
    }
  }

  @Test(
    "a report on either association counts, and one of a stranger does not",
    .needs(.program("storescu"), .python("pynetdicom")))
  func reports() async throws {
    try await offPool {
      let here = try ServedArchive()
      try DCMTK.store(Self.files, to: here.address)
      let there = try ServicesProvider(reportTo: here.server.port)
      for word in ["SAME", "NEW"] {
        let began = MonotonicTime.now
        let (outcomes, error) = try send(
          committed(here, there.address(word), within: .seconds(60)), here)
        #expect(error == nil && outcomes.values.allSatisfy { $0 == .stored }, "\(outcomes)")
        #expect(MonotonicTime.now - began < .seconds(30), "\(word)")
        #expect(waitUntil { there.lines.contains("reported 0000") }, "\(there.lines)")
      }
      // The stranger is not believed; what is found by query is.
      let (outcomes, error) = try send(
        committed(here, there.address("STRANGER"), within: .seconds(3)), here)
      #expect(error == nil && outcomes.values.allSatisfy { $0 == .stored }, "\(outcomes)")
      #expect(waitUntil { there.lines.contains("reported 0124") }, "\(there.lines)")
    }
  }

  @Test(
    "an object that the recipient does not commit to is not sent, with its reason",
    .needs(.program("storescu"), .python("pynetdicom")))
  func failed() async throws {
    try await offPool {
      let here = try ServedArchive()
      try DCMTK.store(Self.files, to: here.address)
      let there = try ServicesProvider()
      let (outcomes, error) = try send(
        committed(here, there.address("FAIL"), within: .seconds(30)), here)
      #expect(error == nil)
      let failures = outcomes.values.compactMap { outcome -> String? in
        if case .failed(0x0112, let text) = outcome { text } else { nil }
      }
      #expect(failures.count == 1, "\(outcomes)")
      #expect(failures.first?.contains("does not commit") == true)
      #expect(outcomes.values.count { $0 == .stored } == outcomes.count - 1)
    }
  }

  @Test(
    "without a report the recipient is asked what it holds; who cannot be asked is believed, aloud",
    .needs(.program("storescp"), .program("storescu"), .python("pynetdicom")))
  func silent() async throws {
    try await offPool {
      let here = try ServedArchive()
      try DCMTK.store(Self.files, to: here.address)
      let there = try ServicesProvider()
      for word in ["SILENT", "REFUSE"] {
        let (outcomes, error) = try send(
          committed(here, there.address(word), within: .seconds(2)), here)
        #expect(error == nil && outcomes.values.allSatisfy { $0 == .stored }, "\(outcomes)")
      }
      // storescp knows neither storage commitment nor queries.
      let plain = try StorescpServer(aeTitle: "AHEIPACS")
      let (outcomes, error) = try send(
        committed(here, plain.address, within: .seconds(2)), here)
      #expect(error == nil)
      for outcome in outcomes.values {
        guard case .storedUnproven(let text) = outcome else {
          Issue.record("\(outcome)")
          continue
        }
        #expect(text.contains("does not know storage commitment"), "\(text)")
        #expect(text.contains("cannot be asked"), "\(text)")
      }
    }
  }
}
