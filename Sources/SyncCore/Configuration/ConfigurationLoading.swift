import DICOM
import Glibc
import Platform
import TOML

extension Configuration {
  /// Where the configuration lies when nobody says otherwise.
  public static let standardPath = "/etc/syncd/config.toml"

  /// Reads a configuration file.
  /// - Throws: every fault of it, with file, line and key.
  public static func load(path: String) throws(ConfigurationErrors) -> Configuration {
    let bytes: [UInt8]
    do throws(SystemError) {
      bytes = try FileDescriptor.contents(of: path, atMost: 4 << 20)
    } catch {
      throw ConfigurationErrors(errors: [
        ConfigurationError(
          file: path, line: 1, column: 1, key: "", message: "cannot be read: \(error)")
      ])
    }
    return try parse(bytes, file: path)
  }

  /// Reads a configuration from memory.
  public static func parse(
    _ bytes: [UInt8], file: String
  ) throws(ConfigurationErrors) -> Configuration {
    let faults = FaultCollector(file: file)
    let configuration = read(bytes, faults)
    if !faults.errors.isEmpty {
      throw ConfigurationErrors(
        errors: faults.errors.sorted { ($0.line, $0.column) < ($1.line, $1.column) })
    }
    return configuration
  }

  static func read(_ bytes: [UInt8], _ faults: FaultCollector) -> Configuration {
    var configuration = Configuration()
    do throws(TOMLError) {
      let table = try TOML.parse(bytes)
      let root = TableReader(table, path: "", at: TOMLPosition(line: 1, column: 1), faults)
      configuration.read(root)
      root.finish()
    } catch {
      faults.add(error.position, "", error.message)
    }
    return configuration
  }

  private mutating func read(_ root: TableReader) {
    readDaemon(root)
    readCycle(root)
    readArchive(root)
    readStatuses(root)
    readFlags(root)
    readServers(root)
    readPortal(root.table("portal"))
    readPeers(root)
    readLists(root)
    readSending(root)
    checkArchive(root)
  }

  private mutating func readDaemon(_ root: TableReader) {
    let table = root.table("daemon")
    daemon.name = table.string("name", daemon.name, check: Check.name)
    daemon.stateDirectory = table.string(
      "state_directory", daemon.stateDirectory, check: Check.path)
    daemon.retention = table.duration(
      "retention", daemon.retention, .seconds(86400)...(.seconds(3650 * 86400)))
    table.finish()

    let sockets = root.table("control")
    control.socket = sockets.string("socket", control.socket, check: Check.socketPath)
    control.monitorSocket = sockets.string(
      "monitor_socket", control.monitorSocket, check: Check.socketPath)
    control.adminGroup = sockets.string("admin_group", control.adminGroup, check: Check.name)
    control.monitorGroup = sockets.string("monitor_group", control.monitorGroup, check: Check.name)
    control.connectionsPerUser = sockets.integer(
      "connections_per_user", control.connectionsPerUser, 1...1000)
    control.idleTimeout = sockets.duration(
      "idle_timeout", control.idleTimeout, .seconds(1)...(.seconds(86400)))
    if control.socket == control.monitorSocket {
      sockets.fault("monitor_socket", "is the same path as control.socket")
    }
    sockets.finish()

    let logging = root.table("log")
    log.level = logging.choice("level", log.level)
    log.format = logging.choice("format", log.format)
    logging.finish()

    let access = root.table("access_log")
    accessLog.directory = access.optionalString("directory", check: Check.path)
    accessLog.keep = access.duration(
      "keep", accessLog.keep, .seconds(31 * 86400)...(.seconds(36500 * 86400)))
    access.finish()

    let limits = root.table("scope")
    scope.careUnits = limits.strings("care_units", scope.careUnits, check: Check.hsaID)
    scope.acceptUnknownCareUnit = limits.boolean(
      "accept_unknown_care_unit", scope.acceptUnknownCareUnit)
    limits.finish()

  }

  private mutating func readPortal(_ table: TableReader) {
    portal.adoptedSources = table.strings(
      "adopted_sources", portal.adoptedSources, check: Check.name)
    portal.server = table.optionalString("server")
    portal.pageSize = table.integer("page_size", portal.pageSize, 1...100_000)
    checkServer(table, "server", portal.server)
    table.finish()
  }

  private mutating func readCycle(_ root: TableReader) {
    let table = root.table("cycle")
    let day = Duration.seconds(86400)
    cycle.interval = table.duration("interval", cycle.interval, .seconds(1)...day)
    cycle.listTimeout = table.duration("list_timeout", cycle.listTimeout, .seconds(1)...day)
    cycle.absenceSnapshots = table.integer("absence_snapshots", cycle.absenceSnapshots, 1...100)
    cycle.emptyListSnapshots = table.integer(
      "empty_list_snapshots", cycle.emptyListSnapshots, 2...1000)
    cycle.brakeMinimum = table.integer("brake_minimum", cycle.brakeMinimum, 0...1_000_000)
    cycle.brakePercent = table.integer("brake_percent", cycle.brakePercent, 0...100)
    cycle.warnMissedCycles = table.integer("warn_missed_cycles", cycle.warnMissedCycles, 1...1000)
    cycle.criticalMissedCycles = table.integer(
      "critical_missed_cycles", cycle.criticalMissedCycles, 1...1000)
    if cycle.criticalMissedCycles < cycle.warnMissedCycles {
      table.fault("critical_missed_cycles", "is less than cycle.warn_missed_cycles")
    }
    cycle.writeAlarmAfter = table.integer("write_alarm_after", cycle.writeAlarmAfter, 1...100)
    cycle.writeRetry = table.duration("write_retry", cycle.writeRetry, .seconds(1)...day)
    cycle.writeRetryMaximum = table.duration(
      "write_retry_maximum", cycle.writeRetryMaximum, .seconds(1)...day)
    if cycle.writeRetryMaximum < cycle.writeRetry {
      table.fault("write_retry_maximum", "is less than cycle.write_retry")
    }
    table.finish()

    let images = root.table("prefetch")
    prefetch.stability = images.duration("stability", prefetch.stability, .zero...day)
    prefetch.retry = images.duration("retry", prefetch.retry, .milliseconds(100)...day)
    prefetch.retryMaximum = images.duration(
      "retry_maximum", prefetch.retryMaximum, .milliseconds(100)...day)
    if prefetch.retryMaximum < prefetch.retry {
      images.fault("retry_maximum", "is less than prefetch.retry")
    }
    prefetch.recheck = images.duration("recheck", prefetch.recheck, .milliseconds(100)...day)
    let words = ExaminationStatus.allCases.map(\.rawValue)
    prefetch.sendableStatuses = images.strings(
      "sendable_statuses", prefetch.sendableStatuses.map(\.rawValue)
    ) { words.contains($0) ? nil : "one of \(words.joined(separator: ", "))" }
    .compactMap(ExaminationStatus.init(rawValue:))
    images.finish()
  }

  private mutating func readArchive(_ root: TableReader) {
    let table = root.table("archive")
    archive.kind = table.choice("kind", archive.kind)
    if archive.kind == .peer {
      archive.peer = table.optionalString("peer")
    } else if table.has("peer") {
      table.refuse("peer", "is for kind = \"peer\" only")
    }
    archive.aeTitle = table.string("ae_title", archive.aeTitle, check: Check.aeTitle)
    archive.listen = table.string("listen", archive.listen, check: Check.host)
    archive.port = table.integer("port", archive.port, 0...65535)
    archive.directory = table.optionalString("directory", check: Check.path)
    archive.minimumFree = table.size("minimum_free", archive.minimumFree, 0...(1 << 50))
    archive.maxAssociations = table.integer("max_associations", archive.maxAssociations, 1...1000)
    archive.maxPDU = table.size("max_pdu", archive.maxPDU, (16 << 10)...(16 << 20))
    archive.allowCalling = table.strings(
      "allow_calling", archive.allowCalling, check: Check.aeTitle)
    archive.allowFrom = table.strings("allow_from", archive.allowFrom, check: Check.network)
    archive.acceptSOPClasses = table.strings(
      "accept_sop_classes", archive.acceptSOPClasses, check: Check.sopClass)
    table.finish()
  }

  private mutating func readStatuses(_ root: TableReader) {
    let table = root.table("statuses")
    let words = ExaminationStatus.allCases.map(\.rawValue)
    for (word, value, position) in table.freeStrings() {
      guard let status = ExaminationStatus(rawValue: value) else {
        table.faults.add(
          position, table.name(word),
          "found \"\(value)\", expected one of \(words.joined(separator: ", "))")
        continue
      }
      statuses[word.lowercased()] = status
    }
  }

  private mutating func readFlags(_ root: TableReader) {
    let tables = root.tables("flag")
    if tables.isEmpty { return }
    flags = []
    for table in tables {
      let id = table.requiredString("id", "the flag's id", check: Check.name)
      let label = table.string("label", id)
      if flags.contains(where: { $0.id == id }), !id.isEmpty {
        table.fault("id", "the flag \(id) is defined twice")
      }
      flags.append(Flag(id: id, label: label))
      table.finish()
    }
  }

  private mutating func readPeers(_ root: TableReader) {
    for table in root.tables("peer") {
      let name = table.requiredString(
        "name", "the peer's name, as lists refer to it",
        check: Check.name)
      if peers.contains(where: { $0.name == name }), !name.isEmpty {
        table.fault("name", "the peer \(name) is defined twice")
      }
      if table.choice("kind", Peer.Kind.dimse) == .dicomweb {
        peers.append(readWebPeer(table, name))
        table.finish()
        continue
      }
      if table.has("server") {
        table.refuse("server", "is for kind = \"dicomweb\" only: a DIMSE peer has host and port")
      }
      let tls = CertificateFiles.switched(table)
      var peer = Peer(
        name: name,
        aeTitle: table.requiredString("ae_title", "the peer's AE title", check: Check.aeTitle),
        host: table.requiredString("host", "the peer's host name or address", check: Check.host),
        port: table.integer("port", Self.standardPort(tls), 1...65535))
      peer.tls = tls
      peer.callingAETitle = table.optionalString("calling_ae_title", check: Check.aeTitle)
      peer.budget = table.integer("budget", peer.budget, 1...64)
      peer.retrieveLevel = table.choice("retrieve_level", peer.retrieveLevel)
      let hour = Duration.seconds(3600)
      peer.connectTimeout = table.duration(
        "connect_timeout", peer.connectTimeout, .milliseconds(100)...hour)
      peer.associationTimeout = table.duration(
        "association_timeout", peer.associationTimeout, .milliseconds(100)...hour)
      peer.responseTimeout = table.duration(
        "response_timeout", peer.responseTimeout, .milliseconds(100)...hour)
      peer.moveIdleTimeout = table.duration(
        "move_idle_timeout", peer.moveIdleTimeout, .milliseconds(100)...(hour * 24))
      peer.retrieve = table.choice("retrieve", peer.retrieve)
      peer.user = User.read(table)
      if peer.port == archive.port, peer.aeTitle == archive.aeTitle, peer.host == archive.listen {
        table.fault("host", "is the archive itself: an examination cannot be fetched from there")
      }
      table.finish()
      peers.append(peer)
    }
  }

  private mutating func readLists(_ root: TableReader) {
    for table in root.tables("list") {
      let id = table.requiredString("id", "the list's id", check: Check.name)
      if lists.contains(where: { $0.id == id }), !id.isEmpty {
        table.fault("id", "the list \(id) is defined twice")
      }
      var list = List(
        id: id, system: table.string("system", "SECTRA", check: Check.name),
        flag: table.requiredString("flag", "the flag that its examinations get"),
        peer: table.optionalString("peer"), directory: "")
      if !list.flag.isEmpty, !flags.contains(where: { $0.id == list.flag }) {
        table.fault(
          "flag",
          "found \"\(list.flag)\", expected one of \(flags.map(\.id).joined(separator: ", "))")
      }
      if let peer = list.peer, !peers.contains(where: { $0.name == peer }) {
        let known = peers.map(\.name).joined(separator: ", ")
        table.fault(
          "peer",
          "found \"\(peer)\", expected the name of a [[peer]]\(known.isEmpty ? "" : ": \(known)")")
      }
      list.prefetch = table.boolean("prefetch", list.prefetch)
      if list.prefetch, list.peer == nil {
        table.fault("prefetch", "needs a peer to fetch from")
      }
      if let word = table.optionalString(
        "priority",
        check: { text in
          Priority.allCases.contains { $0.name == text } ? nil : "one of routine, urgent, stat"
        })
      {
        list.priority = Priority(word) ?? .routine
      }
      list.source = readSource(table.table("source"), id)
      let twin = lists.first { Self.readTheSame($0.source, list.source) }
      switch (list.source, twin) {
      case (.csv, let other?):
        table.fault("source", "reads the same files as the list \(other.id)")
      case (.worklist, let other?):
        table.fault("source", "asks for the same station as the list \(other.id)")
      case (.http, let other?):
        table.fault("source", "asks for the same as the list \(other.id)")
      default: break
      }
      table.finish()
      lists.append(list)
    }
  }

  private enum SourceKind: String, CaseIterable { case csv, http, worklist }

  /// Where a list comes from: without a word, files in a folder of the standard name.
  private func readSource(_ table: TableReader, _ list: String) -> ListSource {
    switch table.choice("kind", SourceKind.csv) {
    case .csv: .csv(readCSV(table, list))
    case .http: .http(readHTTP(table, list))
    case .worklist: .worklist(readWorklist(table))
    }
  }

  /// Whether two lists would hold the same examinations.
  private static func readTheSame(_ one: ListSource, _ other: ListSource) -> Bool {
    switch (one, other) {
    case (.csv(let one), .csv(let other)):
      !one.directory.isEmpty && one.directory == other.directory && one.pattern == other.pattern
    case (.worklist(let one), .worklist(let other)):
      !one.station.isEmpty && one.peer == other.peer && one.station == other.station
    case (.http(let one), .http(let other)):
      !one.server.isEmpty && one.server == other.server && one.list == other.list
    default: false
    }
  }

  private func readWorklist(_ table: TableReader) -> Worklist {
    var worklist = Worklist(
      peer: table.requiredString("peer", "the name of the [[peer]] that has the worklist"),
      station: table.requiredString(
        "station", "the Scheduled Station AE Title that stands for the list"
      ) { text in
        // In a query they would ask for other stations as well.
        Check.aeTitle(text)
          ?? (text.contains { $0 == "*" || $0 == "?" } ? "an AE title without * and ?" : nil)
      })
    checkPeer(
      table, "peer", worklist.peer, is: .dimse, "worklists are asked for over DIMSE only")
    worklist.daysBack = table.optionalInteger("days_back", 0...36500)
    worklist.daysAhead = table.optionalInteger("days_ahead", 0...36500)
    worklist.careUnit = table.choice("care_unit", worklist.careUnit)
    table.finish()
    return worklist
  }

  private func readHTTP(_ table: TableReader, _ list: String) -> HTTPList {
    var http = HTTPList(
      server: table.requiredString("server", "the name of the [[server]] that answers the list"),
      list: table.string("list", list, check: Check.name))
    checkServer(table, "server", http.server)
    http.pageSize = table.integer("page_size", http.pageSize, 1...100_000)
    http.maxAge = table.optionalDuration("max_age", .seconds(1)...(.seconds(30 * 86400)))
    table.finish()
    return http
  }

  private func readCSV(_ table: TableReader, _ list: String) -> CSVDrop {
    var drop = CSVDrop(
      directory: table.string(
        "directory", "\(daemon.stateDirectory)/lists/\(list)", check: Check.path))
    drop.pattern = table.string("pattern", drop.pattern) {
      $0.isEmpty || $0.contains("/") ? "a file name with * and ?, without a folder" : nil
    }
    drop.separator = table.choice("separator", drop.separator)
    drop.encoding = table.choice("encoding", drop.encoding)
    drop.maxAge = table.optionalDuration("max_age", .seconds(1)...(.seconds(30 * 86400)))
    drop.numberLength = table.integer("number_length", drop.numberLength, 0...64)
    let columns = table.table("columns")
    for key in CSVColumns.defaults.keys.sorted() {
      drop.columns[key] = columns.string(key, drop.columns[key]!) {
        $0.isEmpty ? "the heading of a column" : nil
      }
    }
    var headings: [String: String] = [:]
    for key in CSVColumns.defaults.keys.sorted() {
      let heading = drop.columns[key]!
      if let other = headings.updateValue(key, forKey: heading) {
        columns.fault(key, "has the same heading as \(other): \(TOMLText.quoted(heading))")
      }
    }
    columns.finish()
    table.finish()
    return drop
  }
}

/// Forms of values. Each returns what is expected instead, or nil if the text is right.
enum Check {
  static func name(_ text: String) -> String? {
    let isRight =
      (1...64).contains(text.utf8.count)
      && text.utf8.allSatisfy {
        ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x2D
          || $0 == 0x5F || $0 == 0x2E
      }
    return isRight ? nil : "1 to 64 letters a-z, digits, '-', '_' or '.'"
  }

  static func path(_ text: String) -> String? {
    text.hasPrefix("/") && !text.utf8.contains(0) && text.utf8.count < 4096
      ? nil : "an absolute path, beginning with '/'"
  }

  static func socketPath(_ text: String) -> String? {
    path(text) ?? (text.utf8.count < 108 ? nil : "a path of at most 107 bytes (a socket's limit)")
  }

  static func aeTitle(_ text: String) -> String? {
    isValidAETitle(text) && text.utf8.first != 0x20 && text.utf8.last != 0x20
      ? nil : "an AE title: 1 to 16 ASCII characters, no backslash, no space at either end"
  }

  static func host(_ text: String) -> String? {
    let isRight =
      (1...253).contains(text.utf8.count)
      && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x2F && $0 != 0x5C }
    return isRight ? nil : "a host name or a numeric address, without a port"
  }

  static func network(_ text: String) -> String? {
    NetworkRange(text) == nil ? "an address or a network such as 10.1.2.0/24 or fd00::/8" : nil
  }

  static func hsaID(_ text: String) -> String? {
    (1...31).contains(text.utf8.count) && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F }
      ? nil : "an HSA-id of at most 31 characters, such as SE2321000131-E000000000001"
  }
}
