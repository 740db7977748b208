import DICOM
import Glibc
import JSON
import Platform
import Training

/// The steps that a newcomer is walked through, each checked.
struct Tour {
  let world: Surroundings

  init(_ world: Surroundings) { self.world = world }

  static let thorax = PhantomStudy(
    accession: "SE00000000000101", patientName: "Tolvan^Tolvansson", description: "DT thorax",
    size: 256,
    series: [
      .init(number: 1, description: "Topogram", images: 2),
      .init(number: 2, description: "Thorax 5 mm", images: 60),
      .init(number: 3, description: "Thorax 1 mm", images: 120),
    ])
  static let earlier = PhantomStudy(
    accession: "SE00000000000077", patientName: "Tolvan^Tolvansson",
    description: "DT thorax, jämförelse", date: "20250901", size: 192,
    series: [.init(number: 1, description: "Thorax 5 mm", images: 40)])
  static let skull = PhantomStudy(
    accession: "SE00000000000202", patientName: "Ärla^Åkesson", description: "DT skalle",
    series: [.init(number: 1, description: "Skalle", images: 30)])
  private static let late = PhantomStudy.Series(
    number: 2, description: "Skalle, rekonstruktion", images: 25)
  private static let wrist = PhantomStudy(
    accession: "SE00000000000303", patientName: "Örjan^Öberg", description: "DT handled", size: 64,
    series: [.init(number: 1, description: "Handled", images: 8)])

  func say(_ text: String) { print("\n\u{2022} \(text)") }

  func run() throws {
    print("A simulated hospital is being built in \(world.directory) ...")
    for study in [Self.thorax, Self.earlier, Self.skull, Self.wrist] {
      try world.pacs.add(study, series: study.series)
    }
    world.lists["tmc"] = [row(Self.thorax, "Akut"), row(Self.earlier)]
    world.lists["teleconsult"] = [row(Self.skull), row(Self.wrist, status: "Pågående")]
    try world.deliver()
    say("The real daemon starts, with short times in its configuration (a cycle a second).")
    try world.startDaemon()

    say("Two lists name four examinations. Each gets its list's flag in the portal.")
    try world.wait("every flag", 20) { try flags() == expected() }
    for (number, flag) in try flags().sorted(by: { $0.key < $1.key }) {
      print("    \(number)  \(flag)")
    }

    say("Their images stream from the simulated SECTRA PACS into the archive VGRSECTEMP.")
    try watchImages(until: "every image", 40, but: Self.wrist.accession)

    say("SE00000000000303 is still under way (Pågående): not complete, whatever has arrived.")
    try world.wait("its status to hold it back", 20) {
      try imageReason(of: Self.wrist.accession) == "status_not_sendable"
    }
    world.lists["teleconsult"] = [row(Self.skull), row(Self.wrist, status: "Klar")]
    say("Its status changes to Klar.")
    try watchImages(until: "it to be complete", 20)

    say("A late series of SE00000000000202 reaches the PACS. Nobody has to do anything.")
    try world.pacs.add(Self.skull, series: [Self.late])
    try world.wait("the late series to be noticed", 20) {
      try images()["SE00000000000202"]?.1 == 55
    }
    try watchImages(until: "the late series", 20)

    say("SE00000000000303 leaves its list. Seen absent in two snapshots, it loses its flag.")
    world.lists["teleconsult"] = [row(Self.skull)]
    try world.wait("the flag to go", 20) { try flags() == expected() }

    say("The list tmc arrives cut short. A list that is not provably whole clears nothing:")
    world.lists["tmc"] = [row(Self.thorax)]
    try world.deliverCut("tmc")
    try world.wait("the cut list to be noticed", 20) { try reason(of: "tmc") != nil }
    let cycle = try cycleNumber()
    try world.wait("three more cycles", 20) { try cycleNumber() >= cycle + 3 }
    print("    \(try reason(of: "tmc") ?? "")")
    guard try flags()["SE00000000000077"] == "sectra-samverkan-tmc" else {
      throw DemoFailure(description: "a cut list has cleared a flag")
    }
    world.lists["tmc"] = [row(Self.thorax, "Akut"), row(Self.earlier)]
    world.silent = []

    say("The daemon is killed with SIGKILL, and starts again where it was.")
    world.killDaemon()
    try world.startDaemon()
    try world.wait("everything to be right again", 20) {
      try flags() == expected() && reason(of: "tmc") == nil && allComplete()
    }
    try checkObjects()
    let worklist = try world.shown(["list"])
    print("\n\(worklist)")
    try runSending()
    print("Every flag and every object is where it should be.")
  }

  /// Stays up until Ctrl-C.
  func stay() throws -> Never {
    print(
      """

      The daemon stays up. In another terminal, try:

        export SYNCCTL_SOCKET=\(world.socket)
        syncctl status              syncctl status --follow
        syncctl list                syncctl show SE00000000000202
        syncctl sync --wait         syncctl drift
        syncctl check               syncctl config show
        syncctl sent                syncctl show A1
        syncctl dest list           syncctl retry explain ris
        syncctl recipients          syncctl report A1

      (syncctl lies beside syncd-demo, in .build/debug.) Ctrl-C ends everything.
      """)
    fflush(nil)
    while true {
      try world.deliver()
      try Interruption.pause(milliseconds: 1000)
    }
  }

  private func row(_ study: PhantomStudy, _ priority: String = "Rutin", status: String = "Utförd")
    -> CSVDropWriter.Row
  {
    CSVDropWriter.Row(
      examination: study.accession, referral: "R" + study.accession, status: status,
      studyUID: study.studyUID.value, priority: priority)
  }

  // MARK: - What is so

  private func expected() -> [String: String] {
    var result: [String: String] = [:]
    for (list, rows) in world.lists {
      for row in rows { result[row.examination] = "sectra-samverkan-\(list)" }
    }
    return result
  }

  private func flags() throws -> [String: String] {
    var result: [String: String] = [:]
    for examination in try world.syncctl(["list"]) {
      if let number = examination["number"]?.stringValue,
        let flag = examination["portalFlag"]?.stringValue
      {
        result[number] = flag
      }
    }
    return result
  }

  /// State, objects expected and objects archived by examination.
  private func images() throws -> [String: (String, Int, Int)] {
    var result: [String: (String, Int, Int)] = [:]
    for examination in try world.syncctl(["list"]) {
      guard let number = examination["number"]?.stringValue else { continue }
      result[number] = (
        examination["images"]?.stringValue ?? "", Int(examination["expected"]?.intValue ?? 0),
        Int(examination["archived"]?.intValue ?? 0)
      )
    }
    return result
  }

  private func allComplete(but excepted: String? = nil) throws -> Bool {
    let now = try images()
    return expected().keys.allSatisfy { $0 == excepted || now[$0]?.0 == "complete" }
  }

  /// The code of what keeps an examination's images from being complete.
  private func imageReason(of number: String) throws -> String? {
    try world.syncctl(["list", "--number", number]).first?["reason"]?["code"]?.stringValue
  }

  private func status() throws -> JSONValue {
    let answer = try world.syncctl(["status"])
    guard let status = answer.first else { throw DemoFailure(description: "no status") }
    return status["status"] ?? status
  }

  private func reason(of list: String) throws -> String? {
    try status()["lists"]?.arrayValue?.first { $0["id"]?.stringValue == list }?["reason"]?
      .stringValue
  }

  private func cycleNumber() throws -> Int {
    try status()["cycle"]?["number"]?.stringValue.flatMap { Int($0) } ?? 0
  }

  private func watchImages(until what: String, _ seconds: Int, but excepted: String? = nil) throws {
    let isTerminal = isatty(1) == 1
    var drawn = 0
    try world.wait(what, seconds) {
      let now = try images().filter { expected()[$0.key] != nil }
      if isTerminal {
        if drawn > 0 { print("\u{1B}[\(drawn)A", terminator: "") }
        for (number, image) in now.sorted(by: { $0.key < $1.key }) { print(bar(number, image)) }
        drawn = now.count
      }
      return try allComplete(but: excepted)
    }
    if !isTerminal {
      for (number, image) in try images().sorted(by: { $0.key < $1.key }) {
        print(bar(number, image))
      }
    }
  }

  private func bar(_ number: String, _ image: (String, Int, Int)) -> String {
    let width = 30
    let filled = image.1 > 0 ? image.2 * width / image.1 : 0
    let bar = String(repeating: "#", count: filled) + String(repeating: ".", count: width - filled)
    return
      "\(isatty(1) == 1 ? "\u{1B}[K" : "")    \(number)  [\(bar)] \(image.2)/\(image.1) \(image.0)"
  }

  /// Asks the archive itself, over DICOM, and compares the sets of UIDs.
  private func checkObjects() throws {
    let association = try Association.request(
      to: PeerAddress(
        host: "127.0.0.1", port: world.archivePort, calledAE: "VGRSECTEMP", callingAE: "DEMO"),
      contexts: [ProposedContext(InformationModel.studyRoot.findClass)])
    defer { association.abort() }
    for study in [Self.thorax, Self.earlier, Self.skull, Self.wrist] {
      var series: [UID] = []
      var query = DataSet()
      query.setBytes(.queryRetrieveLevel, .CS, Array("SERIES".utf8))
      query.set(.studyInstanceUID, study.studyUID)
      query.setEmpty(.seriesInstanceUID)
      _ = try association.find(query, in: .studyRoot) { match in
        if let uid = match.uid(.seriesInstanceUID) { series.append(uid) }
        return true
      }
      var found: Set<UID> = []
      for one in series {
        query.setBytes(.queryRetrieveLevel, .CS, Array("IMAGE".utf8))
        query.set(.seriesInstanceUID, one)
        query.setEmpty(.sopInstanceUID)
        _ = try association.find(query, in: .studyRoot) { match in
          if let uid = match.uid(.sopInstanceUID) { found.insert(uid) }
          return true
        }
      }
      let wanted = world.pacs.instances(accession: study.accession)
      guard found == wanted else {
        throw DemoFailure(
          description: "\(study.accession): \(found.count) objects in the archive, "
            + "\(wanted.count) at the source, \(wanted.subtracting(found).count) missing")
      }
    }
  }
}
