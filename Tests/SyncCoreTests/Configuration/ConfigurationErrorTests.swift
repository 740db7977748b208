import TestSupport
import Testing

@testable import SyncCore

@Suite("Faults in the configuration")
struct ConfigurationErrorTests {
  private func faults(_ text: String) -> [String] {
    do throws(ConfigurationErrors) {
      _ = try Configuration.parse(Array(text.utf8), file: "c")
      return []
    } catch {
      return error.errors.map(\.description)
    }
  }

  private static let time =
    "expected a time such as \"90s\", \"10m\", \"1h30m\" or \"2d\", from 1s to 1d"
  private static let size =
    "expected a size such as \"256 KiB\", \"500 MB\" or \"2 GiB\", from 16 KiB to 16 MiB"
  private static let aeTitle =
    "expected an AE title: 1 to 16 ASCII characters, no backslash, no space at either end"
  private static let levels = #"one of "debug", "info", "notice", "warning", "error""#

  @Test(
    "a wrong value is named with its place, what was found and what is allowed",
    arguments: [
      (
        "[archive]\nport = 99999",
        "2:8: archive.port: found 99999, expected a whole number from 0 to 65535"
      ),
      (
        "[archive]\nport = -1",
        "2:8: archive.port: found -1, expected a whole number from 0 to 65535"
      ),
      (
        "archive.port = \"x\"",
        "1:16: archive.port: found \"x\", expected a whole number from 0 to 65535"
      ),
      (
        "archive.port = 1.5",
        "1:16: archive.port: found 1.5, expected a whole number from 0 to 65535"
      ),
      ("cycle.interval = 120", "1:18: cycle.interval: found 120, \(time)"),
      ("cycle.interval = \"2w\"", "1:18: cycle.interval: found \"2w\", \(time)"),
      ("cycle.interval = \"10ms\"", "1:18: cycle.interval: found \"10ms\", \(time)"),
      ("archive.max_pdu = \"1 KiB\"", "1:19: archive.max_pdu: found \"1 KiB\", \(size)"),
      ("archive.ae_title = \"A\\\\B\"", "1:20: archive.ae_title: found \"A\\\\B\", \(aeTitle)"),
      (
        "archive.ae_title = \"12345678901234567\"",
        "1:20: archive.ae_title: found \"12345678901234567\", \(aeTitle)"
      ),
      ("archive.ae_title = \"    \"", "1:20: archive.ae_title: found \"    \", \(aeTitle)"),
      ("archive.ae_title = \"\"", "1:20: archive.ae_title: found \"\", \(aeTitle)"),
      ("archive.ae_title = \"Å\"", "1:20: archive.ae_title: found \"Å\", \(aeTitle)"),
      (
        "daemon.name = \"a\\u001Bb\"",
        "1:15: daemon.name: found \"a\\u001Bb\", expected 1 to 64 letters a-z, digits, '-', '_' or '.'"
      ),
      (
        "daemon.state_directory = \"var\"",
        "1:26: daemon.state_directory: found \"var\", expected an absolute path, beginning with '/'"
      ),
      (
        "archive.listen = \"a b\"",
        "1:18: archive.listen: found \"a b\", expected a host name or a numeric address, without a port"
      ),
      (
        "archive.allow_from = [\"10.0.0.0/8\", \"10.0.0.0/33\"]",
        "1:37: archive.allow_from[2]: found \"10.0.0.0/33\", expected an address or a network such as 10.1.2.0/24 or fd00::/8"
      ),
      (
        "archive.allow_calling = \"A\"",
        "1:25: archive.allow_calling: found \"A\", expected an array of texts"
      ),
      (
        "archive.allow_calling = [1]",
        "1:26: archive.allow_calling[1]: found 1, expected text in quotes"
      ),
      (
        "scope.accept_unknown_care_unit = \"yes\"",
        "1:34: scope.accept_unknown_care_unit: found \"yes\", expected true or false"
      ),
      (
        "scope.care_units = [\"SE 1\"]",
        "1:21: scope.care_units[1]: found \"SE 1\", expected an HSA-id of at most 31 characters, such as SE2321000131-E000000000001"
      ),
      ("log.level = \"warn\"", "1:13: log.level: found \"warn\", expected \(levels)"),
      (
        "log.level = \"debgu\"",
        "1:13: log.level: found \"debgu\", expected \(levels); did you mean \"debug\"?"
      ),
      (
        "log.level = \"errors\"",
        "1:13: log.level: found \"errors\", expected \(levels); did you mean \"error\"?"
      ),
      ("log.level = 3", "1:13: log.level: found 3, expected \(levels)"),
      (
        "portal.server = \"x\"",
        "1:17: portal.server: found \"x\", expected the name of a [[server]]"
      ),
      ("daemon = 1", "1:10: daemon: found 1, expected a table: [daemon]"),
      ("peer = 1", "1:8: peer: found 1, expected an array of tables: [[peer]]"),
      ("[peer]\nname = \"a\"", "1:1: peer: found a table, expected an array of tables: [[peer]]"),
      (
        "peer = [{ name = \"a\", ae_title = \"A\", host = \"h\", authorities = \"/ca.pem\" }]",
        "1:65: peer[1].authorities: is for TLS only: say tls = true as well"
      ),
      (
        "peer = [{ name = \"a\", ae_title = \"A\", host = \"h\", tls = true, key = \"/key\" }]",
        "1:69: peer[1].key: needs its certificate as well"
      ),
      (
        "statuses.\"Klar\" = \"done\"",
        "1:19: statuses.Klar: found \"done\", expected one of requested, scheduled, arrived, started, ended, completed, preliminary, signed, definitively_signed, on_hold, cancelled, unknown"
      ),
      ("statuses.Klar = 1", "1:17: statuses.Klar: found 1, expected text in quotes"),
      (
        "prefetch.sendable_statuses = [\"klar\"]",
        "1:31: prefetch.sendable_statuses[1]: found \"klar\", expected one of requested, scheduled, arrived, started, ended, completed, preliminary, signed, definitively_signed, on_hold, cancelled, unknown"
      ),
    ])
  func wrongValue(_ text: String, _ message: String) {
    #expect(faults(text) == ["c:" + message])
  }

  @Test(
    "an unknown key is a fault, with the key that was likely meant",
    arguments: [
      ("[archive]\nprot = 104", "2:1: archive.prot: unknown key; did you mean `port`?"),
      ("[archve]\nport = 104", "1:2: archve: unknown key; did you mean `archive`?"),
      ("cycle.intervall = \"1m\"", "1:7: cycle.intervall: unknown key; did you mean `interval`?"),
      ("colour = 1", "1:1: colour: unknown key"),
      ("[log]\n\n  Level = \"info\"", "3:3: log.Level: unknown key; did you mean `level`?"),
    ])
  func unknownKey(_ text: String, _ message: String) {
    #expect(faults(text) == ["c:" + message])
  }

  @Test(
    "values that do not go together are faults",
    arguments: [
      (
        "[control]\nsocket = \"/run/a\"\nmonitor_socket = \"/run/a\"",
        "3:18: control.monitor_socket: is the same path as control.socket"
      ),
      (
        "[cycle]\nwarn_missed_cycles = 5\ncritical_missed_cycles = 4",
        "3:26: cycle.critical_missed_cycles: is less than cycle.warn_missed_cycles"
      ),
      (
        "[cycle]\nwrite_retry = \"2h\"",
        "1:1: cycle.write_retry_maximum: is less than cycle.write_retry"
      ),
      (
        "[prefetch]\nretry = \"5m\"\nretry_maximum = \"4m\"",
        "3:17: prefetch.retry_maximum: is less than prefetch.retry"
      ),
      (
        "[[flag]]\nid = \"a\"\n[[flag]]\nid = \"a\"", "4:6: flag[2].id: the flag a is defined twice"
      ),
      (
        "[[peer]]\nname = \"a\"\nae_title = \"A\"\nhost = \"h\"\n[[peer]]\nname = \"a\"\nae_title = \"B\"\nhost = \"h\"",
        "6:8: peer[2].name: the peer a is defined twice"
      ),
      (
        "[[peer]]\nname = \"a\"\nae_title = \"VGRSECTEMP\"\nhost = \"127.0.0.1\"\nport = 11112",
        "4:8: peer[1].host: is the archive itself: an examination cannot be fetched from there"
      ),
      (
        "[[peer]]\nae_title = \"A\"\nhost = \"h\"",
        "1:1: peer[1].name: missing: the peer's name, as lists refer to it"
      ),
      (
        "[[peer]]\nname = \"a\"\nae_title = \"A\"",
        "1:1: peer[1].host: missing: the peer's host name or address"
      ),
      ("[[list]]\nid = \"a\"", "1:1: list[1].flag: missing: the flag that its examinations get"),
      (
        "[[list]]\nid = \"a\"\nflag = \"b\"",
        "3:8: list[1].flag: found \"b\", expected one of samverkan, sectra-samverkan-tmc, sectra-samverkan-teleconsult"
      ),
      (
        "[[list]]\nid = \"a\"\nflag = \"samverkan\"\npeer = \"p\"",
        "4:8: list[1].peer: found \"p\", expected the name of a [[peer]]"
      ),
      (
        "[[list]]\nid = \"a\"\nflag = \"samverkan\"\nprefetch = true",
        "4:12: list[1].prefetch: needs a peer to fetch from"
      ),
      (
        "[[list]]\nid = \"a\"\nflag = \"samverkan\"\npriority = \"akut\"",
        "4:12: list[1].priority: found \"akut\", expected one of routine, urgent, stat"
      ),
      (
        "[[list]]\nid = \"a\"\nflag = \"samverkan\"\nsource.pattern = \"../*\"",
        "4:18: list[1].source.pattern: found \"../*\", expected a file name with * and ?, without a folder"
      ),
      (
        "[[list]]\nid = \"a\"\nflag = \"samverkan\"\nsource.kind = \"file\"",
        "4:15: list[1].source.kind: found \"file\", expected one of \"csv\", \"http\", \"worklist\""
      ),
      (
        "[[list]]\nid = \"a\"\nflag = \"samverkan\"\nsource.columns.status = \"Namn\"",
        "4:25: list[1].source.columns.status: has the same heading as patient_name: \"Namn\""
      ),
      (
        "[[list]]\nid = \"a\"\nflag = \"samverkan\"\nsource.columns.colour = \"x\"",
        "4:16: list[1].source.columns.colour: unknown key"
      ),
    ])
  func crossChecks(_ text: String, _ message: String) {
    #expect(faults(text) == ["c:" + message])
  }

  @Test("two lists with one id, or with the same files, are faults")
  func lists() {
    func two(_ id: String, _ directory: String) -> [String] {
      faults(
        """
        [[list]]
        id = "a"
        flag = "samverkan"
        source.directory = "/l/a"
        [[list]]
        id = "\(id)"
        flag = "samverkan"
        source.directory = "\(directory)"
        """)
    }
    #expect(two("b", "/l/b") == [])
    #expect(two("a", "/l/b") == ["c:6:6: list[2].id: the list a is defined twice"])
    #expect(two("b", "/l/a") == ["c:8:1: list[2].source: reads the same files as the list a"])
  }

  @Test(
    "a worklist's faults name what was found and what is allowed",
    arguments: [
      (
        "station = \"TMC\"",
        "6:1: list[1].source.peer: missing: the name of the [[peer]] that has the worklist"
      ),
      (
        "peer = \"p\"",
        "6:1: list[1].source.station: missing: the Scheduled Station AE Title that stands for the list"
      ),
      (
        "peer = \"q\"\nstation = \"TMC\"",
        "8:8: list[1].source.peer: found \"q\", expected the name of a [[peer]]: p"
      ),
      (
        "peer = \"p\"\nstation = \"T*\"",
        "9:11: list[1].source.station: found \"T*\", expected an AE title without * and ?"
      ),
      (
        "peer = \"p\"\nstation = \"A title that is too long\"",
        "9:11: list[1].source.station: found \"A title that is too long\", expected an AE title: 1 to 16 ASCII characters, no backslash, no space at either end"
      ),
      (
        "peer = \"p\"\nstation = \"TMC\"\ndays_back = -1",
        "10:13: list[1].source.days_back: found -1, expected a whole number from 0 to 36500"
      ),
      (
        "peer = \"p\"\nstation = \"TMC\"\ndays_ahead = \"1d\"",
        "10:14: list[1].source.days_ahead: found \"1d\", expected a whole number from 0 to 36500"
      ),
      (
        "peer = \"p\"\nstation = \"TMC\"\ncare_unit = \"x\"",
        "10:13: list[1].source.care_unit: found \"x\", expected one of \"none\", \"requesting_service\", \"institution_name\""
      ),
      (
        "peer = \"p\"\nstation = \"TMC\"\ndays_bak = 1",
        "10:1: list[1].source.days_bak: unknown key; did you mean `days_back`?"
      ),
      (
        "peer = \"p\"\nstation = \"TMC\"\n[[list]]\nid = \"b\"\nflag = \"samverkan\"\nsource = { kind = \"worklist\", peer = \"p\", station = \"TMC\" }",
        "13:10: list[2].source: asks for the same station as the list a"
      ),
    ])
  func worklist(_ text: String, _ message: String) {
    let peer = "peer = [{ name = \"p\", ae_title = \"P\", host = \"p\" }]\n\n[[list]]\n"
    let found = faults(
      "\(peer)id = \"a\"\nflag = \"samverkan\"\n[list.source]\nkind = \"worklist\"\n\(text)")
    #expect(found.contains("c:" + message), "\(found)")
    #expect(found.count <= 2)
  }

  @Test(
    "a server's faults name what was found and what is allowed",
    arguments: [
      (
        "url = \"http://ris.example.org\"",
        "3:7: server[1].url: found \"http://ris.example.org\", expected an address beginning with https:// (http:// for this machine only), without user, ? or #"
      ),
      (
        "url = \"https://a\"\ntoken = \"geheim\"",
        "4:9: server[1].token: found \"geheim\", expected where the secret lies: a file's absolute path, or credential:NAME; never the secret"
      ),
      (
        "url = \"https://a\"\nkey = \"/k\"", "4:7: server[1].key: needs its certificate as well"
      ),
      (
        "url = \"https://a\"\noauth = { token_url = \"https://b/t\", client_id = \"c\" }",
        "4:9: server[1].oauth.secret: missing: without the server's `certificate`, a secret must prove the client"
      ),
      (
        "url = \"https://a\"\n[[list]]\nid = \"a\"\nflag = \"samverkan\"\nsource = { kind = \"http\", server = \"b\" }",
        "7:36: list[1].source.server: found \"b\", expected the name of a [[server]]: a"
      ),
    ])
  func server(_ text: String, _ message: String) {
    let found = faults("[[server]]\nname = \"a\"\n\(text)")
    #expect(found == ["c:" + message])
  }

  @Test("all faults are reported, in the order of the file")
  func all() {
    let found = faults(
      """
      [archive]
      port = 99999
      ae_title = ""
      [cycle]
      intervall = "1m"
      absence_snapshots = 0
      """)
    #expect(
      found.map { $0.split(separator: ": ").prefix(2).joined(separator: ": ") } == [
        "c:2:8: archive.port", "c:3:12: archive.ae_title", "c:5:1: cycle.intervall",
        "c:6:21: cycle.absence_snapshots",
      ])
  }

  @Test("a text that is no TOML is one fault without a key")
  func noTOML() {
    #expect(
      faults("[archive\nport = 1") == [
        "c:1:9: found the end of the line, expected ']' after the table's name"
      ])
  }

  @Test("a file is read from the disk, and a missing one is a fault that names it")
  func load() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write("[archive]\nport = 4242\n", to: "config.toml")
    #expect(try Configuration.load(path: path).archive.port == 4242)
    let bad = try directory.write("archive.port = 0x10000", to: "bad.toml")
    #expect(throws: ConfigurationErrors.self) { try Configuration.load(path: bad) }
    do throws(ConfigurationErrors) {
      _ = try Configuration.load(path: directory.file("absent.toml"))
      Issue.record("was read")
    } catch {
      #expect(error.errors.count == 1)
      #expect(error.description.hasPrefix("\(directory.file("absent.toml")):1:1: cannot be read: "))
      #expect(error.description.contains("ENOENT"))
    }
  }

  @Test("a configuration cut anywhere, or with any bit flipped, is read or refused, never more")
  func damaged() {
    let whole = Array(ConfigurationRenderingTests.changed.utf8)
    var refused = 0
    for end in stride(from: 0, to: whole.count, by: 7) {
      if (try? Configuration.parse(Array(whole[..<end]), file: "c")) == nil { refused += 1 }
    }
    for index in stride(from: 0, to: whole.count, by: 5) {
      var flipped = whole
      flipped[index] ^= 1 << UInt8(index % 8)
      if (try? Configuration.parse(flipped, file: "c")) == nil { refused += 1 }
    }
    #expect(refused > 100)
  }
}
