import Foundation
import TOML
import Testing

@testable import SyncCore

@Suite("The configuration as text")
struct ConfigurationRenderingTests {
  /// Every key with a value that is not its default.
  static let changed = """
    [daemon]
    name = "samverkan-1"
    state_directory = "/srv/syncd"
    retention = "30d"
    [cycle]
    interval = "1m30s"
    list_timeout = "20s"
    absence_snapshots = 3
    empty_list_snapshots = 6
    brake_minimum = 11
    brake_percent = 31
    warn_missed_cycles = 3
    critical_missed_cycles = 6
    write_alarm_after = 4
    write_retry = "3m"
    write_retry_maximum = "2h"
    [control]
    socket = "/run/other/control"
    monitor_socket = "/run/other/monitor"
    admin_group = "admins"
    monitor_group = "monitors"
    connections_per_user = 17
    idle_timeout = "6m"
    [log]
    level = "debug"
    format = "json"
    [access_log]
    directory = "/srv/access"
    keep = "3650d"
    [portal]
    server = "portal"
    page_size = 77
    adopted_sources = ["rpa", "rpa-2"]
    [archive]
    kind = "embedded"
    ae_title = "TEMP ARCHIVE"
    listen = "0.0.0.0"
    port = 104
    directory = "/srv/images \\"a\\" \\\\ \\u0007å"
    minimum_free = "3 GB"
    max_associations = 33
    max_pdu = "128 KiB"
    allow_calling = ["ONE", "TWO"]
    allow_from = ["10.1.2.0/24", "fd00::/8"]
    [prefetch]
    stability = "250ms"
    retry = "31s"
    retry_maximum = "31m"
    recheck = "11m"
    sendable_statuses = ["signed"]
    [scope]
    care_units = ["SE2321000131-E000000000001"]
    accept_unknown_care_unit = true
    [statuses]
    "Klar för = granskning" = "preliminary"
    [[flag]]
    id = "one"
    label = "Ett \\"citat\\""
    [[flag]]
    id = "two"
    label = "Två"
    [[peer]]
    name = "sectra"
    ae_title = "SECTRAPACS"
    host = "10.1.2.3"
    port = 4242
    calling_ae_title = "ANOTHER"
    tls = true
    authorities = "/p/authorities"
    certificate = "/p/certificate"
    key = "/p/key"
    key_password = "/p/password"
    budget = 3
    retrieve_level = "series"
    connect_timeout = "11s"
    association_timeout = "31s"
    response_timeout = "61s"
    move_idle_timeout = "11m"
    [[peer]]
    name = "web"
    kind = "dicomweb"
    server = "ris"
    [[list]]
    id = "first"
    system = "OTHER"
    flag = "two"
    peer = "sectra"
    prefetch = false
    priority = "stat"
    [list.source]
    kind = "csv"
    directory = "/srv/lists/first"
    pattern = "first-*.csv"
    separator = "tab"
    encoding = "windows-1252"
    max_age = "7m"
    number_length = 16
    [list.source.columns]
    examination = "c1"
    referral = "c2"
    study_uid = "c3"
    patient_id = "c4"
    patient_name = "c5"
    status = "c6"
    modality = "c7"
    description = "c8"
    care_unit = "c9"
    scheduled = "c10"
    priority = "c11"
    [[list]]
    id = "second"
    system = "AGFA"
    flag = "one"
    [[list]]
    id = "third"
    flag = "one"
    [list.source]
    kind = "worklist"
    peer = "sectra"
    station = "TELECONSULT"
    days_back = 0
    days_ahead = 14
    care_unit = "requesting_service"
    [[list]]
    id = "fourth"
    flag = "two"
    source = { kind = "worklist", peer = "sectra", station = "TMC", days_back = 30 }
    [[list]]
    id = "fifth"
    flag = "two"
    source = { kind = "http", server = "ris", list = "L", page_size = 7, max_age = "3m" }
    [[server]]
    name = "ris"
    url = "https://ris.example.org:8443/api"
    authorities = "/c/authorities"
    certificate = "/c/certificate"
    key = "/c/key"
    key_password = "/c/password"
    proxy = "http://proxy:3128"
    parallel = 3
    connect_timeout = "3s"
    [server.oauth]
    token_url = "https://login.example.org/token"
    client_id = "syncd-1"
    secret = "credential:secret"
    scope = "s"
    """ + "\n" + SendingConfigurationTests.changed

  @Test("reads back as the same configuration", arguments: ["", changed])
  func roundTrip(_ text: String) throws {
    let configuration = try Configuration.parse(Array(text.utf8), file: "a")
    let rendered = configuration.rendered()
    #expect(try Configuration.parse(Array(rendered.utf8), file: "b") == configuration)
  }

  @Test("every key of the schema reaches the configuration and the text")
  func everyKey() throws {
    // Guards the two other tests: a key that nobody changed there would prove nothing.
    let faults = FaultCollector(file: "a")
    let configuration = Configuration.read(Array(Self.changed.utf8), faults)
    #expect(faults.errors == [])
    let given = ConfigurationExampleTests.keys(try TOML.parse(Self.changed), "")
    #expect(faults.keys.subtracting(given) == [])
    let rendered = ConfigurationExampleTests.keys(try TOML.parse(configuration.rendered()), "")
    #expect(faults.keys.subtracting(rendered) == [])
  }

  @Test("every changed value differs from the default's text")
  func changes() throws {
    let configuration = try Configuration.parse(Array(Self.changed.utf8), file: "a")
    func values(_ text: String) throws -> [String: String] {
      var result: [String: String] = [:]
      for (key, value) in Self.leaves(try TOML.parse(text), "") where result[key] == nil {
        result[key] = value
      }
      return result
    }
    let ours = try values(configuration.rendered())
    for (key, value) in try values(Configuration().rendered())
    where !key.hasSuffix(".kind") && !key.hasPrefix("statuses.") {
      #expect(ours[key] != value, "\(key)")
    }
    #expect(ours["list.priority"] == #"string("stat")"#)
    #expect(ours["list.source.number_length"] == "integer(16)")
    #expect(ours["peer.calling_ae_title"] == #"string("ANOTHER")"#)
    #expect(ours["statuses.klar för = granskning"] == #"string("preliminary")"#)
  }

  private static func leaves(_ table: TOMLTable, _ path: String) -> [(String, String)] {
    table.entries.flatMap { entry -> [(String, String)] in
      let name = path + entry.key
      switch entry.item.value {
      case .table(let inner): return leaves(inner, name + ".")
      case .array(let items):
        if case .table? = items.first?.value {
          return items.flatMap { item -> [(String, String)] in
            guard case .table(let inner) = item.value else { return [] }
            return leaves(inner, name + ".")
          }
        }
        return [(name, items.map { "\($0.value)" }.joined(separator: ","))]
      default: return [(name, "\(entry.item.value)")]
      }
    }
  }

  @Test("what follows from other keys is shown as a comment")
  func derived() throws {
    let text = """
      [daemon]
      state_directory = "/srv/syncd"
      [cycle]
      interval = "10s"
      [[peer]]
      name = "sectra"
      ae_title = "PACS"
      host = "localhost"
      [[list]]
      id = "a"
      flag = "samverkan"
      """
    let rendered = try Configuration.parse(Array(text.utf8), file: "a").rendered()
    #expect(rendered.contains("\n# directory = \"/srv/syncd/archive\"\n"))
    #expect(rendered.contains("\n# calling_ae_title = \"VGRSECTEMP\"\n"))
    #expect(rendered.contains("\n# max_age = \"20s\"\n"))
    #expect(rendered.contains("\ndirectory = \"/srv/syncd/lists/a\"\n"))
  }

  @Test(
    "a time is read by its units and written with the largest ones",
    arguments: [
      ("90s", 90_000, "1m30s"), ("1h30m", 5_400_000, "1h30m"), ("2d", 172_800_000, "2d"),
      ("250ms", 250, "250ms"), ("0s", 0, "0s"), ("1d1ms", 86_400_001, "1d1ms"),
      ("120m", 7_200_000, "2h"),
    ])
  func durations(_ text: String, _ milliseconds: Int, _ written: String) {
    #expect(DurationText.parse(text) == .milliseconds(milliseconds))
    #expect(DurationText.format(.milliseconds(milliseconds)) == written)
  }

  @Test(
    "a time without a unit, with a sign, out of order or beyond all bounds is none",
    arguments: [
      "", "90", "s", "-1s", "+1s", "1.5h", "30m1h", "1m1m", "1 m", " 1m", "1w", "٣s", "1S",
      "9223372036854775807d", "99999999999999999999s", "999999999999d",
    ])
  func noDurations(_ text: String) {
    #expect(DurationText.parse(text) == nil)
  }

  @Test(
    "a size is read by its unit and written with the largest one",
    arguments: [
      ("2 GiB", Int64(2 << 30), "2 GiB"), ("2GiB", 2 << 30, "2 GiB"),
      ("2048 MiB", 2 << 30, "2 GiB"), ("500 MB", 500_000_000, "500 MB"), ("0 B", 0, "0 B"),
      ("17 B", 17, "17 B"), ("3 kB", 3000, "3 kB"),
    ])
  func sizes(_ text: String, _ bytes: Int64, _ written: String) {
    #expect(SizeText.parse(text) == bytes)
    #expect(SizeText.format(bytes) == written)
  }

  @Test(
    "a size without a unit, with a sign or beyond 64 bits is none",
    arguments: [
      "", "2", "GiB", " GiB", "-2 GiB", "1.5 GiB", "2 gib", "2 G", "2 G iB", "9999999 TiB",
      "99999999999999999999 B", "2 GiB ",
    ])
  func noSizes(_ text: String) {
    #expect(SizeText.parse(text) == nil)
  }
}
