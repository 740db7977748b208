import DICOM
import Platform
import TOML

extension Configuration {
  /// Reads what sending needs. Peers and archive have been read: they are referred to.
  mutating func readSending(_ root: TableReader) {
    readSendingTable(root.table("sending"))
    readInbound(root.table("inbound"))
    readOrders(root.table("orders"))
    readHL7Interfaces(root.tables("hl7"))
    readDestinations(root.tables("destination"))
    readOrigins(root.tables("origin"))
    readRecipients(root.tables("recipient"))
  }

  private mutating func readSendingTable(_ table: TableReader) {
    let hour = Duration.seconds(3600)
    sending.watchdog = table.duration("watchdog", sending.watchdog, .seconds(60)...(hour * 24 * 30))
    sending.transferRetry = readLadder(table, "transfer_retry", sending.transferRetry)
    sending.keepMessages = table.duration(
      "keep_messages", sending.keepMessages, hour...(hour * 24 * 3650))
    sending.refreshTimeout = table.duration(
      "refresh_timeout", sending.refreshTimeout, .seconds(1)...hour)
    func statuses(_ key: String, _ fallback: [ExaminationStatus]) -> [ExaminationStatus] {
      let words = ExaminationStatus.allCases.map(\.rawValue)
      return table.strings(key, fallback.map(\.rawValue)) {
        words.contains($0) ? nil : "one of \(words.joined(separator: ", "))"
      }.compactMap(ExaminationStatus.init(rawValue:))
    }
    sending.primaryStatuses = statuses("primary_statuses", sending.primaryStatuses)
    sending.secondReadingStatuses = statuses(
      "second_reading_statuses", sending.secondReadingStatuses)
    sending.referralMoveStatuses = statuses("referral_move_statuses", sending.referralMoveStatuses)
    sending.unflagOnRecall = table.strings(
      "unflag_on_recall", sending.unflagOnRecall, check: Check.name)
    table.finish()
  }

  /// A ladder no pause of which the watchdog would take for an assignment that is stuck.
  private func readLadder(
    _ table: TableReader, _ key: String, _ fallback: RetryLadder
  ) -> RetryLadder {
    let ladder =
      table.parsed(key, "a retry ladder such as 1x5m,1x30m,1x3h (tries x pause before each)") {
        RetryLadder($0)
      } ?? fallback
    if ladder.longest >= sending.watchdog {
      table.fault(
        key,
        "waits for \(DurationText.format(ladder.longest)) between two tries, which must be less "
          + "than sending.watchdog, \(DurationText.format(sending.watchdog))")
    }
    return ladder
  }

  private mutating func readInbound(_ table: TableReader) {
    inbound.isEnabled = table.boolean("enabled", inbound.isEnabled)
    inbound.listen = table.string("listen", inbound.listen, check: Check.host)
    inbound.port = table.integer("port", inbound.port, 0...65535)
    inbound.allowFrom = table.strings("allow_from", inbound.allowFrom, check: Check.network)
    inbound.maxConnections = table.integer("max_connections", inbound.maxConnections, 1...1000)
    inbound.idleTimeout = table.duration(
      "idle_timeout", inbound.idleTimeout, .seconds(1)...(.seconds(86400)))
    if inbound.isEnabled, inbound.port != 0, inbound.port == archive.port,
      inbound.listen == archive.listen
    {
      table.fault("port", "is the same as archive.port at the same address")
    }
    let isLocal = ["127.0.0.1", "::1", "localhost"].contains(inbound.listen)
    if inbound.isEnabled, !isLocal, inbound.allowFrom.isEmpty {
      table.fault(
        "allow_from", "missing: HL7 has no passwords, so who may connect must be said here")
    }
    table.finish()
  }

  private mutating func readOrders(_ table: TableReader) {
    orders.server = table.optionalString("server")
    checkServer(table, "server", orders.server)
    orders.interval = table.duration(
      "interval", orders.interval, .milliseconds(100)...(.seconds(3600)))
    table.finish()
  }

  private mutating func readHL7Interfaces(_ tables: [TableReader]) {
    for table in tables {
      let name = table.requiredString(
        "name", "the interface's name, as destinations and origins refer to it", check: Check.name)
      var hl7 = HL7Interface(
        name: name,
        host: table.requiredString(
          "host", "the interface's host name or address", check: Check.host))
      hl7.port = table.integer("port", hl7.port, 1...65535)
      hl7.budget = table.integer("budget", hl7.budget, 1...64)
      hl7.profile = table.choice("profile", hl7.profile)
      hl7.encoding = table.choice("encoding", hl7.encoding)
      hl7.sendingApplication = table.string(
        "sending_application", hl7.sendingApplication, check: Check.application)
      hl7.sendingFacility = table.string(
        "sending_facility", hl7.sendingFacility, check: Check.facility)
      hl7.receivingApplication = table.string(
        "receiving_application", hl7.receivingApplication, check: Check.application)
      hl7.receivingFacility = table.string(
        "receiving_facility", hl7.receivingFacility, check: Check.facility)
      hl7.retry = readLadder(table, "retry", hl7.retry)
      let times = Duration.milliseconds(100)...(.seconds(3600))
      hl7.connectTimeout = table.duration("connect_timeout", hl7.connectTimeout, times)
      hl7.acknowledgementTimeout = table.duration(
        "acknowledgement_timeout", hl7.acknowledgementTimeout, times)
      hl7.applicationTimeout = table.duration("application_timeout", hl7.applicationTimeout, times)
      hl7.releaseStatus = table.string(
        "release_status", hl7.releaseStatus, check: Check.orderStatus)
      hl7.activityField = table.string(
        "activity_field", hl7.activityField, check: Check.messageField)
      hl7.primaryActivity = table.string(
        "primary_activity", hl7.primaryActivity, check: Check.activity)
      hl7.secondReadingActivity = table.string(
        "second_reading_activity", hl7.secondReadingActivity, check: Check.activity)
      if let security = table.switchedTable("tls") { hl7.tls = readTLS(security) }
      if hl7Interfaces.contains(where: { $0.name == name }), !name.isEmpty {
        table.fault("name", "the HL7 interface \(name) is defined twice")
      }
      if inbound.isEnabled, hl7.port == inbound.port, hl7.host == inbound.listen {
        table.fault("host", "is the daemon itself: [inbound] listens there")
      }
      table.finish()
      hl7Interfaces.append(hl7)
    }
  }

  private func readTLS(_ table: TableReader) -> TLS {
    var tls = TLS()
    tls.authorities = table.optionalString("authorities", check: Check.path)
    tls.certificate = table.optionalString("certificate", check: Check.path)
    tls.key = table.optionalString("key", check: Check.path)
    let hasCertificate = table.table["certificate"] != nil
    if hasCertificate != (table.table["key"] != nil) {
      table.fault(
        hasCertificate ? "certificate" : "key",
        hasCertificate ? "needs its key as well" : "needs its certificate as well")
    }
    table.finish()
    return tls
  }

  private mutating func readDestinations(_ tables: [TableReader]) {
    for table in tables {
      let name = table.requiredString(
        "name", "the destination's name, as recipients refer to it", check: Check.name)
      var destination =
        table.has("peer")
        ? readWebDestination(table, name)
        : Destination(
          name: name,
          aeTitle: table.requiredString(
            "ae_title", "the destination's AE title", check: Check.aeTitle),
          host: table.requiredString(
            "host", "the destination's host name or address", check: Check.host))
      if destination.peer == nil { destination.tls = CertificateFiles.switched(table) }
      destination.port = table.integer("port", Self.standardPort(destination.tls), 1...65535)

      destination.callingAETitle = table.optionalString("calling_ae_title", check: Check.aeTitle)
      destination.transfer = table.choice("transfer", destination.transfer)
      destination.mover = readReference(table, "mover", "peer", peers.map(\.name))
      if let mover = destination.mover {
        checkPeer(
          table, "mover", mover, is: .dimse, "it cannot be asked to send to somebody else (C-MOVE)")
      }
      if destination.transfer == .move, table.table["mover"] == nil {
        table.fault("mover", "missing: with transfer = \"move\" the [[peer]] that sends")
      }
      if destination.transfer != .move, table.table["mover"] != nil {
        table.fault("mover", "is only for transfer = \"move\"")
      }
      destination.budget = table.integer("budget", destination.budget, 1...64)
      let times = Duration.milliseconds(100)...(.seconds(3600))
      destination.connectTimeout = table.duration(
        "connect_timeout", destination.connectTimeout, times)
      destination.associationTimeout = table.duration(
        "association_timeout", destination.associationTimeout, times)
      destination.responseTimeout = table.duration(
        "response_timeout", destination.responseTimeout, times)
      destination.operations = table.integer(
        "operations", destination.operations, 1...AssociationExtensions.mostOperations)
      destination.verifyByQuery = table.boolean("verify_by_query", destination.verifyByQuery)
      destination.storageCommitment = table.boolean(
        "storage_commitment", destination.storageCommitment)
      destination.commitmentTimeout = table.duration(
        "commitment_timeout", destination.commitmentTimeout, .milliseconds(100)...(.seconds(86400)))
      if destination.storageCommitment, destination.commitmentTimeout >= sending.watchdog {
        table.fault(
          "commitment_timeout",
          "is \(DurationText.format(destination.commitmentTimeout)), which must be less than "
            + "sending.watchdog, \(DurationText.format(sending.watchdog))")
      }
      destination.user = User.read(table)
      destination.hl7 = readReference(table, "hl7", "hl7", hl7Interfaces.map(\.name))
      destination.window = table.parsed(
        "window", "two different times of the day such as 06:00-22:00 or 20:00-06:00"
      ) { TimeWindow($0) }
      if destinations.contains(where: { $0.name == name }), !name.isEmpty {
        table.fault("name", "the destination \(name) is defined twice")
      }
      if destination.port == archive.port, destination.aeTitle == archive.aeTitle,
        destination.host == archive.listen
      {
        table.fault("host", "is the archive itself: nothing is sent there")
      }
      table.finish()
      destinations.append(destination)
    }
  }

  private mutating func readOrigins(_ tables: [TableReader]) {
    for table in tables {
      let system = table.requiredString(
        "system", "the system that examinations come from, as lists name it", check: Check.name)
      if table.table["hl7"] == nil {
        table.fault("hl7", "missing: the [[hl7]] interface of the system")
      }
      let hl7 = readReference(table, "hl7", "hl7", hl7Interfaces.map(\.name)) ?? ""
      if origins.contains(where: { $0.system == system }), !system.isEmpty {
        table.fault("system", "the origin \(system) is defined twice")
      }
      table.finish()
      origins.append(Origin(system: system, hl7: hl7))
    }
  }

  private mutating func readRecipients(_ tables: [TableReader]) {
    for table in tables {
      let id = table.requiredString("id", "the recipient's id", check: Check.name)
      var recipient = Recipient(id: id, label: table.string("label", id, check: Check.label))
      recipient.parent = table.optionalString("parent")
      recipient.destination = readReference(
        table, "destination", "destination", destinations.map(\.name))
      let kinds = AssignmentKind.allCases.map(\.rawValue)
      if table.table["kinds"] != nil {
        recipient.kinds = table.strings("kinds", []) {
          kinds.contains($0) ? nil : "one of \(kinds.joined(separator: ", "))"
        }.compactMap(AssignmentKind.init(rawValue:))
        if table.isEmptyArray("kinds") {
          table.fault("kinds", "is empty; expected some of \(kinds.joined(separator: ", "))")
        }
      } else {
        _ = table.strings("kinds", [])
      }
      if table.table["systems"] != nil {
        recipient.systems = table.strings("systems", [], check: Check.name)
        if table.isEmptyArray("systems") {
          table.fault("systems", "is empty; without the key it takes examinations of any system")
        }
      } else {
        _ = table.strings("systems", [])
      }
      recipient.hsaID = table.optionalString("hsa_id", check: Check.hsaID)
      if recipients.contains(where: { $0.id == id }), !id.isEmpty {
        table.fault("id", "the recipient \(id) is defined twice")
      }
      table.finish()
      recipients.append(recipient)
    }
    checkTree(tables)
  }

  /// What shows only once all recipients are known.
  private func checkTree(_ tables: [TableReader]) {
    let ids = recipients.map(\.id)
    var hasFault = false
    for (recipient, table) in zip(recipients, tables) {
      guard let parent = recipient.parent else { continue }
      if !ids.contains(parent) {
        hasFault = true
        table.fault("parent", Self.unknown(parent, "recipient", ids.filter { $0 != recipient.id }))
      }
    }
    for (index, table) in tables.enumerated() {
      // A circle is told of once, at its first recipient in the file.
      guard let circle = circle(from: index), circle.min() == index else { continue }
      hasFault = true
      let path = (circle + [index]).map { recipients[$0].id }.joined(separator: " > ")
      table.fault("parent", "leads back to the recipient itself: \(path)")
    }
    // Where the tree is broken, what is inherited is not known.
    if hasFault { return }
    let parents = Set(recipients.compactMap(\.parent))
    for (recipient, table) in zip(recipients, tables) where !recipient.id.isEmpty {
      guard let resolved = resolvedRecipient(recipient.id) else { continue }
      guard let name = resolved.destination else {
        // A destination that was given and is wrong has its fault already.
        if !parents.contains(recipient.id), !lineNames("destination", recipient, tables) {
          table.fault("destination", "missing: neither it nor a parent names a [[destination]]")
        }
        continue
      }
      if recipient.kinds?.contains(.referralMove) == true,
        let destination = destinations.first(where: { $0.name == name }), destination.hl7 == nil
      {
        table.fault(
          "kinds",
          "has referral_move, which is messages only, but the destination \(name) has no hl7")
      }
    }
  }

  /// Whether a key stands in the table of a recipient or of one of those above it.
  private func lineNames(_ key: String, _ recipient: Recipient, _ tables: [TableReader]) -> Bool {
    line(of: recipient).contains { above in
      zip(recipients, tables).contains { $0.id == above.id && $1.table[key] != nil }
    }
  }

  /// The recipients on the way up from one back to itself, by their place; nil if there is none.
  private func circle(from start: Int) -> [Int]? {
    var passed = [start]
    while let parent = recipients[passed[passed.count - 1]].parent,
      let next = recipients.firstIndex(where: { $0.id == parent })
    {
      if next == start { return passed }
      // Into a circle that it is not itself a part of.
      if passed.contains(next) { return nil }
      passed.append(next)
    }
    return nil
  }

  /// The name of something that is defined elsewhere in the file.
  private func readReference(
    _ table: TableReader, _ key: String, _ section: String, _ known: [String]
  ) -> String? {
    guard let name = table.optionalString(key) else { return nil }
    if known.contains(name) { return name }
    table.fault(key, Self.unknown(name, section, known))
    return nil
  }

  private static func unknown(_ name: String, _ section: String, _ known: [String]) -> String {
    let list = known.filter { !$0.isEmpty }.joined(separator: ", ")
    let what = section == "recipient" ? "the id of a [[recipient]]" : "the name of a [[\(section)]]"
    return "found \(TOMLText.quoted(name.prefix(60))), expected \(what)"
      + (list.isEmpty ? "; there is none" : ": \(list)")
  }
}

extension TableReader {
  fileprivate func isEmptyArray(_ key: String) -> Bool {
    if case .array(let items)? = table[key]?.value { return items.isEmpty }
    return false
  }
}

extension Check {
  /// HL7's separators would end the field they stand in.
  private static func isPlain(_ text: String, _ lengths: ClosedRange<Int>) -> Bool {
    lengths.contains(text.unicodeScalars.count)
      && text.unicodeScalars.allSatisfy {
        $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value)
          && !"|^~\\&".unicodeScalars.contains($0)
      }
  }

  /// HL7 2.3.1, MSH-3 and MSH-5: at most 180 characters.
  static func application(_ text: String) -> String? {
    isPlain(text, 0...180)
      ? nil : "the name of an application: at most 180 characters, none of them | ^ ~ \\ &"
  }

  static func facility(_ text: String) -> String? {
    text.isEmpty || (hsaID(text) == nil && isPlain(text, 1...31)) ? nil : hsaID("")
  }

  static func activity(_ text: String) -> String? {
    isPlain(text, 1...60) ? nil : "1 to 60 characters, none of them | ^ ~ \\ &"
  }

  static func label(_ text: String) -> String? {
    (1...80).contains(text.count)
      && text.unicodeScalars.allSatisfy { $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) }
      ? nil : "1 to 80 characters on one line"
  }

  /// HL7 2.3.1, ORC-5: a code of table 0038, or the receiver's own.
  static func orderStatus(_ text: String) -> String? {
    (1...2).contains(text.utf8.count)
      && text.utf8.allSatisfy { ($0 >= 0x41 && $0 <= 0x5A) || ($0 >= 0x30 && $0 <= 0x39) }
      ? nil : "an order status of one or two capital letters or digits, such as CM"
  }

  /// A segment and a field, perhaps a component of it; not one that the message itself needs.
  static func messageField(_ text: String) -> String? {
    func number(_ digits: Substring, _ range: ClosedRange<Int>) -> Int? {
      let isNumber =
        (1...2).contains(digits.utf8.count)
        && digits.utf8.allSatisfy { $0 >= 0x30 && $0 <= 0x39 } && digits.first != "0"
      return isNumber ? Int(digits).flatMap { range.contains($0) ? $0 : nil } : nil
    }
    let wrong = "a segment and a field, such as OBR-20, or a component of it, as in OBR-20.2"
    let parts = text.split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
    guard parts.count == 2, parts[0].utf8.count == 3,
      parts[0].utf8.enumerated().allSatisfy({ index, byte in
        (byte >= 0x41 && byte <= 0x5A) || (index > 0 && byte >= 0x30 && byte <= 0x39)
      })
    else { return wrong }
    let place = parts[1].split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
    guard let field = number(place[0], 1...99), place.count == 1 || number(place[1], 1...20) != nil
    else { return wrong }
    let isTaken =
      parts[0] == "OBR"
      ? [1, 2, 3, 18, 19, 25].contains(field)
      : ["MSH", "PID", "PV1", "ORC", "TQ1", "NTE", "IPC", "ZDS"].contains(parts[0])
    return isTaken
      ? "a field that has no other use: of OBR, but not 1, 2, 3, 18, 19 or 25, or of a segment of "
        + "the receiver's own such as ZUP" : nil
  }
}
