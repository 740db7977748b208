import Platform

extension Configuration {
  /// The configuration in force as TOML, every key of it; reading the text gives the same
  /// configuration. A key whose value follows from others stands there as a comment.
  ///
  /// The schema has no secrets. One that gets some masks them here.
  public func rendered() -> String {
    var text = TOMLText()
    renderDaemon(&text)
    renderImages(&text)
    text.header("statuses")
    for (word, status) in statuses.sorted(by: { $0.key < $1.key }) {
      text.line(word, .text(status.rawValue))
    }
    for flag in flags {
      text.header("flag", isArray: true)
      text.line("id", .text(flag.id))
      text.line("label", .text(flag.label))
    }
    renderServers(&text)
    for peer in peers {
      if peer.kind == .dicomweb { renderWeb(peer, &text) } else { render(peer, &text) }
    }
    for list in lists { render(list, &text) }
    renderSending(&text)
    return text.result
  }

  private func renderDaemon(_ text: inout TOMLText) {
    text.header("daemon")
    text.line("name", .text(daemon.name))
    text.line("state_directory", .text(daemon.stateDirectory))
    text.line("retention", .time(daemon.retention))

    text.header("cycle")
    text.line("interval", .time(cycle.interval))
    text.line("list_timeout", .time(cycle.listTimeout))
    text.line("absence_snapshots", .number(cycle.absenceSnapshots))
    text.line("empty_list_snapshots", .number(cycle.emptyListSnapshots))
    text.line("brake_minimum", .number(cycle.brakeMinimum))
    text.line("brake_percent", .number(cycle.brakePercent))
    text.line("warn_missed_cycles", .number(cycle.warnMissedCycles))
    text.line("critical_missed_cycles", .number(cycle.criticalMissedCycles))
    text.line("write_alarm_after", .number(cycle.writeAlarmAfter))
    text.line("write_retry", .time(cycle.writeRetry))
    text.line("write_retry_maximum", .time(cycle.writeRetryMaximum))

    text.header("control")
    text.line("socket", .text(control.socket))
    text.line("monitor_socket", .text(control.monitorSocket))
    text.line("admin_group", .text(control.adminGroup))
    text.line("monitor_group", .text(control.monitorGroup))
    text.line("connections_per_user", .number(control.connectionsPerUser))
    text.line("idle_timeout", .time(control.idleTimeout))

    text.header("log")
    text.line("level", .text(log.level.rawValue))
    text.line("format", .text(log.format.rawValue))

    text.header("access_log")
    text.line(
      "directory", .text(accessLogDirectory), isDerived: accessLog.directory == nil)
    text.line("keep", .time(accessLog.keep))

    text.header("portal")
    if let server = portal.server { text.line("server", .text(server)) }
    text.line("page_size", .number(portal.pageSize))
    text.line("adopted_sources", .texts(portal.adoptedSources))
  }

  private func renderImages(_ text: inout TOMLText) {
    text.header("archive")
    text.line("kind", .text(archive.kind.rawValue))
    if let peer = archive.peer { text.line("peer", .text(peer)) }
    text.line("ae_title", .text(archive.aeTitle))
    text.line("listen", .text(archive.listen))
    text.line("port", .number(archive.port))
    text.line("directory", .text(archiveDirectory), isDerived: archive.directory == nil)
    text.line("minimum_free", .size(archive.minimumFree))
    text.line("max_associations", .number(archive.maxAssociations))
    text.line("max_pdu", .size(archive.maxPDU))
    text.line("allow_calling", .texts(archive.allowCalling))
    text.line("allow_from", .texts(archive.allowFrom))
    text.line("accept_sop_classes", .texts(archive.acceptSOPClasses))

    text.header("prefetch")
    text.line("stability", .time(prefetch.stability))
    text.line("retry", .time(prefetch.retry))
    text.line("retry_maximum", .time(prefetch.retryMaximum))
    text.line("recheck", .time(prefetch.recheck))
    text.line("sendable_statuses", .texts(prefetch.sendableStatuses.map(\.rawValue)))

    text.header("scope")
    text.line("care_units", .texts(scope.careUnits))
    text.line("accept_unknown_care_unit", .flag(scope.acceptUnknownCareUnit))
  }

  private func render(_ peer: Peer, _ text: inout TOMLText) {
    text.header("peer", isArray: true)
    text.line("name", .text(peer.name))
    text.line("kind", .text(peer.kind.rawValue))
    text.line("ae_title", .text(peer.aeTitle))
    text.line("host", .text(peer.host))
    text.line("port", .number(peer.port))
    text.line(
      "calling_ae_title", .text(peer.callingAETitle ?? archive.aeTitle),
      isDerived: peer.callingAETitle == nil)
    text.line("tls", .flag(peer.tls != nil))
    peer.tls?.render(&text)
    text.line("budget", .number(peer.budget))
    text.line("retrieve_level", .text(peer.retrieveLevel.rawValue))
    text.line("connect_timeout", .time(peer.connectTimeout))
    text.line("association_timeout", .time(peer.associationTimeout))
    text.line("response_timeout", .time(peer.responseTimeout))
    text.line("move_idle_timeout", .time(peer.moveIdleTimeout))
    text.line("retrieve", .text(peer.retrieve.rawValue))
    peer.user?.render(&text)
  }

  private func render(_ list: List, _ text: inout TOMLText) {
    text.header("list", isArray: true)
    text.line("id", .text(list.id))
    text.line("system", .text(list.system))
    text.line("flag", .text(list.flag))
    if let peer = list.peer { text.line("peer", .text(peer)) }
    text.line("prefetch", .flag(list.prefetch))
    text.line("priority", .text(list.priority.name))

    switch list.source {
    case .csv(let drop): render(drop, &text)
    case .worklist(let worklist): render(worklist, &text)
    case .http(let http): render(http, &text)
    }
  }

  private func render(_ http: HTTPList, _ text: inout TOMLText) {
    text.header("list.source")
    text.line("kind", .text("http"))
    text.line("server", .text(http.server))
    text.line("list", .text(http.list))
    text.line("page_size", .number(http.pageSize))
    text.line(
      "max_age", .time(http.maxAge ?? cycle.interval * 2), isDerived: http.maxAge == nil)
  }

  private func render(_ drop: CSVDrop, _ text: inout TOMLText) {
    text.header("list.source")
    text.line("kind", .text("csv"))
    text.line("directory", .text(drop.directory))
    text.line("pattern", .text(drop.pattern))
    text.line("separator", .text(drop.separator.rawValue))
    text.line("encoding", .text(drop.encoding.rawValue))
    text.line(
      "max_age", .time(drop.maxAge ?? cycle.interval * 2), isDerived: drop.maxAge == nil)
    text.line("number_length", .number(drop.numberLength))

    text.header("list.source.columns")
    for (key, heading) in drop.columns.sorted(by: { $0.key < $1.key }) {
      text.line(key, .text(heading))
    }
  }

  private func render(_ worklist: Worklist, _ text: inout TOMLText) {
    text.header("list.source")
    text.line("kind", .text("worklist"))
    text.line("peer", .text(worklist.peer))
    text.line("station", .text(worklist.station))
    if let days = worklist.daysBack { text.line("days_back", .number(days)) }
    if let days = worklist.daysAhead { text.line("days_ahead", .number(days)) }
    text.line("care_unit", .text(worklist.careUnit.rawValue))
  }
}

/// Writes TOML, one key a line.
struct TOMLText {
  enum Value {
    case text(String)
    case texts([String])
    case number(Int)
    case flag(Bool)
    case time(Duration)
    case size(Int64)
  }

  private(set) var result = ""

  mutating func header(_ name: String, isArray: Bool = false) {
    if !result.isEmpty { result += "\n" }
    result += isArray ? "[[\(name)]]\n" : "[\(name)]\n"
  }

  /// - Parameter isDerived: the value follows from others, so the line is a comment.
  mutating func line(_ key: String, _ value: Value, isDerived: Bool = false) {
    result += "\(isDerived ? "# " : "")\(Self.key(key)) = \(Self.value(value))\n"
  }

  private static func key(_ key: String) -> String {
    let isBare =
      !key.isEmpty
      && key.utf8.allSatisfy {
        ($0 >= 0x30 && $0 <= 0x39) || ($0 | 0x20 >= 0x61 && $0 | 0x20 <= 0x7A) || $0 == 0x2D
          || $0 == 0x5F
      }
    return isBare ? key : quoted(key)
  }

  private static func value(_ value: Value) -> String {
    switch value {
    case .text(let text): quoted(text)
    case .texts(let texts): "[" + texts.map(quoted).joined(separator: ", ") + "]"
    case .number(let number): String(number)
    case .flag(let flag): String(flag)
    case .time(let duration): quoted(DurationText.format(duration))
    case .size(let bytes): quoted(SizeText.format(bytes))
    }
  }

  /// A basic string (TOML 1.0, "String") on one line. Nothing in it moves a terminal's cursor.
  static func quoted(_ text: some StringProtocol) -> String {
    var result = "\""
    for scalar in text.unicodeScalars {
      switch scalar {
      case "\"": result += "\\\""
      case "\\": result += "\\\\"
      case "\n": result += "\\n"
      case "\t": result += "\\t"
      case _ where scalar.value < 0x20 || (0x7F...0x9F).contains(scalar.value):
        let digits = String(scalar.value, radix: 16, uppercase: true)
        result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: result.unicodeScalars.append(scalar)
      }
    }
    return result + "\""
  }
}
