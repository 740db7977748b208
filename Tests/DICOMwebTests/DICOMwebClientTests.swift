import DICOM
import HTTP
import JSON
import Platform
import TestSupport
import Testing

@testable import DICOMweb

/// The client against a server that is told to be right or wrong.
@Suite("DICOMweb, with a server that misbehaves", .serialized)
struct DICOMwebClientTests {
  private static let study: UID = "1.2.752.24.7.1"
  private static let files = ["CT_small.dcm", "MR_small_RLE.dcm", "JPEG2000.dcm"]
    .map(RealImages.path)
  private static let association = AssociationInfo(
    id: 1, callingAE: "web", calledAE: "VGRSECTEMP", peerHost: "127.0.0.1")

  private static func client(
    _ server: DICOMwebServer, _ mode: String, page: Int = 1000, idle: Duration = .seconds(10)
  ) throws -> DICOMwebClient {
    var options = DICOMwebClient.Options()
    options.pageSize = page
    options.responseTimeout = idle
    options.idleTimeout = idle
    return DICOMwebClient(
      HTTPService(name: "web", base: try #require(HTTPURL(server.url(mode)))), options)
  }

  /// The objects of the files, by their own look at them.
  private static func parts() throws -> [UID: (dataSet: [UInt8], syntax: TransferSyntax)] {
    var result: [UID: (dataSet: [UInt8], syntax: TransferSyntax)] = [:]
    for path in files {
      let file = try Part10File.open(path)
      let bytes = try FileDescriptor.contents(of: path, atMost: 16 << 20)
      result[try #require(file.header.metaInformation?.mediaStorageSOPInstance)] = (
        Array(bytes[file.dataSetOffset...]), file.transferSyntax
      )
    }
    return result
  }

  private static func failure<T>(
    _ body: () throws(DICOMwebError) -> T
  ) -> DICOMwebError? {
    do throws(DICOMwebError) {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  // MARK: - QIDO-RS

  @Test(
    "every match comes once, however the server counts its pages",
    .needs(.python("pydicom")),
    arguments: [
      ("ok", 1000, 2), ("ok", 10, 4), ("ok", 25, 2), ("ok", 1, 26), ("capped", 1000, 5),
      ("empty204", 25, 2), ("ignores-offset", 1000, 2), ("ignores-both", 10, 2),
    ])
  func pages(mode: String, page: Int, requests: Int) throws {
    let server = try DICOMwebServer(Self.files)
    let found = try Self.client(server, mode, page: page).instances(of: Self.study, stop: Gate())
    #expect(Set(found.map(\.uid)).count == 25 && found.count == 25)
    #expect(try server.requests("GET \(mode)") == requests)
  }

  @Test(
    "what is not proven to be everything is an error",
    .needs(.python("pydicom")),
    arguments: [
      ("ignores-offset", 10), ("ignores-offset", 25), ("capped-no-offset", 1000), ("shifts", 10),
      ("total", 1000),
    ])
  func unproven(mode: String, page: Int) throws {
    let server = try DICOMwebServer(Self.files)
    let client = try Self.client(server, mode, page: page)
    let error = Self.failure { () throws(DICOMwebError) in
      try client.instances(of: Self.study, stop: Gate())
    }
    #expect(error?.kind == .unproven, "\(String(describing: error))")
    #expect(try server.requests("GET \(mode)") <= 15)
  }

  @Test(
    "an answer that is none is told",
    .needs(.python("pydicom")),
    arguments: [
      ("html", "log-in page"), ("error200", "expected an array"), ("cut-json", "ends too early"),
      ("no-uid", "match 8 has no 00080018"), ("foreign", "another study"),
      ("redirect", "redirects are not followed"), ("retry-after", "503"),
    ])
  func badAnswers(mode: String, words: String) throws {
    let server = try DICOMwebServer(Self.files)
    let client = try Self.client(server, mode)
    let error = Self.failure { () throws(DICOMwebError) in
      try client.instances(of: Self.study, stop: Gate())
    }
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    #expect(try server.requests("GET \(mode)") == 1)
    if mode == "retry-after" {
      // It is left alone for as long as it wants.
      let again = Self.failure { () throws(DICOMwebError) in
        try client.instances(of: Self.study, stop: Gate())
      }
      #expect(again?.kind == .failed(.leftAlone))
      #expect(try server.requests("GET \(mode)") == 1)
    }
  }

  @Test("no match is an empty answer or none, and a number is escaped", .needs(.python("pydicom")))
  func studies() throws {
    let server = try DICOMwebServer(Self.files)
    for mode in ["ok", "empty204"] {
      let client = try Self.client(server, mode)
      #expect(try client.studies(accessionNumber: "SE404", stop: Gate()).isEmpty)
      let odd = "SE 1&x=/å"
      let found = try client.studies(accessionNumber: odd, stop: Gate())
      #expect(found.map(\.uid) == [Self.study] && found.first?.accessionNumber == odd)
    }
    let client = try Self.client(server, "ok")
    let error = Self.failure { () throws(DICOMwebError) in
      try client.instances(of: "1.2/../3", stop: Gate())
    }
    #expect(error?.kind == .notAsked)
  }

  // MARK: - WADO-RS

  @Test(
    "objects come as they are stored, byte for byte",
    .needs(.python("pydicom")), arguments: ["ok", "no-type"])
  func retrieve(mode: String) throws {
    let server = try DICOMwebServer(Self.files)
    let storage = MemoryStorage()
    let result = try Self.client(server, mode).retrieve(
      .study(Self.study), into: storage, association: Self.association, stop: Gate())
    #expect(result.stored == 3 && result.failed == 0 && !result.isPartial)
    let parts = try Self.parts()
    storage.state.read { state in
      #expect(state.objects == parts.mapValues(\.dataSet))
      #expect(state.syntaxes == parts.mapValues(\.syntax))
      #expect(state.aborted == 0)
    }
  }

  @Test(
    "what was cut or is something else is a failure, and nothing of a cut object is kept",
    .needs(.python("pydicom")),
    arguments: [
      // How the server answers, objects that were whole, what is said.
      ("truncated", 3, "without its closing delimiter"), ("half", 2, "without its closing"),
      ("wrong-boundary", 0, "without its closing"), ("no-boundary", 0, "no boundary"),
      ("json", 0, "not multipart/related"), ("html", 0, "log-in page"),
      ("cut", 2, "cut"), ("lie", 3, "cut"), ("close-delimited", 0, "may have been cut"),
      ("redirect", 0, "redirects are not followed"), ("hang", 2, "nothing has moved"),
      ("retry-after", 0, "503"),
    ])
  func cut(mode: String, whole: Int, words: String) throws {
    let server = try DICOMwebServer(Self.files)
    let storage = MemoryStorage()
    let client = try Self.client(server, mode, idle: .seconds(1))
    let error = Self.failure { () throws(DICOMwebError) in
      try client.retrieve(
        .study(Self.study), into: storage, association: Self.association, stop: Gate())
    }
    #expect(error?.description.contains(words) == true, "\(String(describing: error))")
    storage.state.read { state in
      #expect(state.objects.count == whole)
      #expect(state.begun == state.objects.count + state.aborted)
    }
  }

  @Test("one bad object costs that one", .needs(.python("pydicom")))
  func oneBad() throws {
    let server = try DICOMwebServer(Self.files)
    for mode in ["garbage", "partial", "foreign-type"] {
      let storage = MemoryStorage()
      let result = try Self.client(server, mode).retrieve(
        .study(Self.study), into: storage, association: Self.association, stop: Gate())
      let failed = ["garbage": 1, "partial": 0, "foreign-type": 3][mode]!
      #expect(result.failed == failed && result.stored == 3 - failed, "\(mode) \(result)")
      #expect(result.isPartial == (mode == "partial"))
    }
    let uids = try Self.parts().keys.sorted()
    let picky = MemoryStorage(refused: [uids[1]])
    let some = try Self.client(server, "ok").retrieve(
      .study(Self.study), into: picky, association: Self.association, stop: Gate(),
      wants: { $0 != uids[0] })
    #expect(some.stored == 1 && some.failed == 1 && some.skipped == 1)
    #expect(some.reason?.contains("not this one") == true)
    // A full disk ends it: no use in having the rest sent.
    let full = MemoryStorage(room: 1)
    let client = try Self.client(server, "ok")
    let error = Self.failure { () throws(DICOMwebError) in
      try client.retrieve(
        .study(Self.study), into: full, association: Self.association, stop: Gate())
    }
    #expect(error?.kind == .notAccepted)
  }

  @Test("a single object without multipart around it is taken", .needs(.python("pydicom")))
  func single() throws {
    let server = try DICOMwebServer(Self.files)
    let storage = MemoryStorage()
    let result = try Self.client(server, "one").retrieve(
      .study(Self.study), into: storage, association: Self.association, stop: Gate())
    #expect(result.stored == 1)
  }

  @Test(
    "a slow disk holds up the server, not the memory and no other request",
    .needs(.python("pydicom")))
  func slow() async throws {
    try await offPool {
      let server = try DICOMwebServer(Self.files)
      let service = HTTPService(
        name: "web", base: try #require(HTTPURL("http://127.0.0.1:\(server.port)")))
      let gate = Gate()
      let storage = MemoryStorage(keeps: false, gate: gate)
      let outcome = Monitor<Result<DICOMwebClient.Retrieved, DICOMwebError>?>(nil)
      let before = Self.residentBytes()
      WorkThread.start("retrieves") {
        // The path's first part is the mode: the client's own paths would be its.
        let client = DICOMwebClient(
          HTTPService(name: "web", base: HTTPURL(server.url("big"))!), DICOMwebClient.Options())
        do throws(DICOMwebError) {
          let result = try client.retrieve(
            .study(Self.study), into: storage, association: Self.association, stop: Gate())
          outcome.update { $0 = .success(result) }
        } catch {
          outcome.update { $0 = .failure(error) }
        }
      }
      // It sends until everything between is full, and then no more.
      let sent = try #require(try server.waitUntilStalled())
      #expect(sent < 64 << 20, "\(sent)")
      #expect(storage.state.read { $0.bytes } == 0)
      #expect(try service.ask("GET", "/counts", deadline: .after(.seconds(5))).status == 200)
      gate.open()
      let result = try #require(outcome.wait(until: .after(.seconds(120))) { $0 }).get()
      #expect(result.stored == 1)
      #expect(storage.state.read { $0.bytes } > 300 << 20)
      let grown = Self.residentBytes() - before
      #expect(grown < 64 << 20, "\(grown) bytes")
    }
  }

  private static func residentBytes() -> Int {
    let text = (try? FileDescriptor.contents(of: "/proc/self/statm", atMost: 4096)) ?? []
    let words = String(decoding: text, as: UTF8.self).split(separator: " ")
    return words.count > 1 ? (Int(words[1]) ?? 0) * 4096 : 0
  }

  @Test(
    "one stream that waits holds up no other of the same session, and a stop ends it",
    .needs(.python("pydicom")))
  func sharedSession() async throws {
    try await offPool {
      let server = try DICOMwebServer(Self.files)
      let session = HTTPSession(name: "shared")
      let stop = Gate()
      let big = try session.exchange(
        HTTPRequest("GET", server.url("big/studies/1.2")), idle: .seconds(30), stop: stop)
      #expect(try big.head().status == 200)
      for _ in 0..<10 {
        let other = try session.exchange(
          HTTPRequest("GET", server.url("ok/studies/1.2")), idle: .seconds(10))
        #expect(try other.head().status == 200)
        #expect(try other.body(limit: 16 << 20).count > 10_000)
      }
      let began = MonotonicTime.now
      WorkThread.start("stop") { stop.open() }
      var piece: [UInt8] = []
      #expect(throws: HTTPFailure.self) { while try big.read(into: &piece) {} }
      #expect(MonotonicTime.now - began < .seconds(5))
    }
  }

  // MARK: - STOW-RS

  private static func instances() throws -> [StoredInstance] {
    try files.map { path in
      let file = try Part10File.open(path)
      let meta = file.header.metaInformation
      return StoredInstance(
        sopClass: try #require(meta?.mediaStorageSOPClass),
        sopInstance: try #require(meta?.mediaStorageSOPInstance),
        transferSyntax: file.transferSyntax, path: path, dataSetOffset: file.dataSetOffset,
        dataSetLength: file.dataSetLength)
    }
  }

  @Test("the answer tells of each object what became of it", .needs(.python("pydicom")))
  func answers() throws {
    let server = try DICOMwebServer(Self.files)
    let instances = try Self.instances()
    let uids = instances.map(\.sopInstance)
    let good = try Self.client(server, "ok").store(instances, of: Self.study, stop: Gate())
    #expect(good.status == 200 && good.refusal == nil)
    #expect(good.answers == Dictionary(uniqueKeysWithValues: uids.map { ($0, .stored) }))
    let mixed = try Self.client(server, "mixed").store(instances, of: Self.study, stop: Gate())
    #expect(mixed.status == 202)
    #expect(mixed.answers[uids[0]] == .stored)
    #expect(mixed.answers[uids[1]] == .failed(.outOfResources))
    #expect(mixed.answers[uids[2]] == .storedWithWarning(.coercionOrSuboperationsFailed))
    for mode in ["silent", "garbage"] {
      let said = try Self.client(server, mode).store(instances, of: Self.study, stop: Gate())
      #expect(said.answers.values.allSatisfy { $0 == .unknown } && said.refusal == nil)
    }
    for (mode, words) in [
      ("401", "401"), ("403", "403"), ("415", "415"), ("500", "500"), ("retry-after", "503"),
      ("early413", "413"),
    ] {
      let said = try Self.client(server, mode).store(instances, of: Self.study, stop: Gate())
      #expect(said.refusal?.contains(words) == true, "\(mode): \(said)")
    }
  }

  @Test("what arrives is what was sent, whatever its size", .needs(.python("pydicom")))
  func large() throws {
    let server = try DICOMwebServer(Self.files)
    let directory = try TemporaryDirectory()
    var seed: UInt64 = 1
    var data: [UInt8] = []
    for _ in 0..<(24 << 20) {
      seed = seed &* 6_364_136_223_846_793_005 &+ 1
      data.append(UInt8(truncatingIfNeeded: seed >> 33))
    }
    let path = try directory.write(data, to: "large")
    let instance = StoredInstance(
      sopClass: "1.2.840.10008.5.1.4.1.1.2", sopInstance: "1.2.752.24.7.9",
      transferSyntax: .explicitVRLittleEndian, path: path, dataSetOffset: 7,
      dataSetLength: data.count - 7)
    let result = try Self.client(server, "ok").store([instance], of: Self.study, stop: Gate())
    #expect(result.answers == ["1.2.752.24.7.9": .stored])
    let meta = try FileMetaInformation(
      sopClass: instance.sopClass, sopInstance: instance.sopInstance,
      transferSyntax: instance.transferSyntax
    ).encodedFileHeader()
    #expect(try server.stored["1.2.752.24.7.9"] == meta.count + data.count - 7)
  }

  @Test("a file that is gone is told before anything is sent", .needs(.python("pydicom")))
  func unreadable() throws {
    let server = try DICOMwebServer(Self.files)
    let gone = StoredInstance(
      sopClass: "1.2", sopInstance: "1.3", transferSyntax: .explicitVRLittleEndian,
      path: "/nonexistent", dataSetOffset: 0, dataSetLength: 10)
    let error = #expect(throws: DICOMwebClient.StoreFailure.self) {
      try Self.client(server, "ok").store([gone], of: Self.study, stop: Gate())
    }
    guard case .unreadable("1.3", _)? = error else {
      Issue.record("\(String(describing: error))")
      return
    }
    #expect(try server.requests("POST ok") == 0)
    let reset = #expect(throws: DICOMwebClient.StoreFailure.self) {
      try Self.client(server, "resets").store(Self.instances(), of: Self.study, stop: Gate())
    }
    guard case .service(let failure)? = reset else {
      Issue.record("\(String(describing: reset))")
      return
    }
    #expect(failure.kind == .failed(.broken))
  }
}
